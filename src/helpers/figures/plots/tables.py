"""What several tables and figures need: the block of measured runs, remarks, factors."""

import html
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.display import html_table
from helpers.figures.plots.scatter import sorted_by_study
from helpers.results.tables import select_sequential
from helpers.results.weights import quantisation_of, run_title
from helpers.study.catalogue import model_title, paper_models

MEASURED = {
    "dataset": "Dataset",
    "model": "Model",
    "source": "Campaign",
    "machine": "Machine",
    "gpus": "GPUs",
    "energy_wh": "Energy (Wh)",
    "energy_kind": "Energy is",
    "accuracy": "Accuracy",
    "duration_s": "Duration (s)",
}
"""Columns of `results` that describe a measured run, with their headings."""


def measured(
    results: pd.DataFrame, datasets: Collection[str], models: Collection[str] | None = None
) -> pd.DataFrame:
    """Return the measured rows of these datasets, and of these models where some are named, that are compared."""
    rows = select_sequential(results)
    rows = rows[(rows["source"] != "published") & rows["dataset"].isin(datasets)]
    if models is not None:
        rows = rows[rows["model"].isin(models)]
    return sorted_by_study(rows)


def block(rows: pd.DataFrame, caption: str, absent: str, columns: Mapping[str, str] = MEASURED) -> str:
    """Return a table of measured rows with these columns and headings, or the sentence that stands for it.

    Numbers have three significant digits, accuracies as many decimals in the whole column. A model of the paper is named as
    there; another says that it is not the paper's, and one with quantised weights what these are.
    """
    if rows.empty:
        return paragraph(absent)
    shown = rows[list(columns)].copy()
    if "model" in columns:
        shown["model"] = [marked_title(row) for _, row in rows.iterrows()]
    numbers = [name for name in columns if pd.api.types.is_float_dtype(shown[name])]
    for name in numbers:
        shown[name] = [None if pd.isna(value) else _number(value, name) for value in shown[name]]
    return html_table(shown.rename(columns=columns), caption, [columns[name] for name in numbers])


def marked_title(row: "pd.Series[Any]") -> str:
    """Return the name of the model of a measured row, marked where it is not one of the paper's; see `block`."""
    if row["model"] in paper_models():
        return run_title(row)
    remarks_on_it = ["not in the paper", *filter(None, [quantisation_of(row)])]
    return f"{model_title(str(row['model']))} ({', '.join(remarks_on_it)})"


_DECIMALS = {"accuracy": 3, "best_accuracy": 3, "published_accuracy": 2, "parse_failures": 1}
"""Of columns whose numbers may be 0: accuracies, of which the paper prints two decimals, and means of counts."""


def _number(value: float, column: str) -> str:
    return f"{value:.{_DECIMALS[column]}f}" if column in _DECIMALS else units.significant(value, 3)


def paragraph(text: str) -> str:
    """Return the sentence that stands where there is nothing to show."""
    return f'<p class="absent">{html.escape(text)}</p>'


def remarks(sentences: Iterable[str]) -> str:
    """Return a list of sentences, or nothing where there are none."""
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="remarks">{items}</ul>' if items else ""


def titles(models: Iterable[str]) -> str:
    """Return the names of models as the paper writes them, as a list in a sentence."""
    return listed([model_title(model) for model in models])


def listed(items: Sequence[str]) -> str:
    """Join words as a sentence does: `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def times(factor: float) -> str:
    """Return a factor in two significant digits, for example `630`, `12,000` or `4.2 million`."""
    if factor >= 1e6:
        return f"{units.significant(factor / 1e6, 2)} million"
    return f"{float(units.significant(factor, 2)):,.0f}" if factor >= 1e3 else units.significant(factor, 2)


def inputs(*origins: Iterable[str]) -> list[str]:
    """Return each file once that is named in `origin` values; a value may name several, with blanks between."""
    return sorted({name for values in origins for value in values for name in value.split()})
