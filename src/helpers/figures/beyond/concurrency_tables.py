"""The tables below the figure on concurrency."""

import pandas as pd

from helpers.core import units
from helpers.figures.beyond.concurrency_panels import Series
from helpers.figures.display import html_table
from helpers.study.catalogue import model_title, study


def published(rows: pd.DataFrame) -> str:
    """Return a table of the published runs beside the bounds with all texts together."""
    shown = pd.DataFrame(
        {
            "Model": rows["model"].map(model_title),
            "GPUs": rows["gpus"],
            "Duration (s)": _significant(rows["duration_s"]),
            "Texts per second": _significant(rows["texts_per_s"]),
            "Energy of a pass (Wh)": _significant(rows["energy_wh"]),
            "mWh per text": _significant(1e3 * rows["wh_per_text"]),
            "At most: texts per second": _significant(rows["bound_texts_per_s"], 2),
            "At least: GPU energy of a pass (Wh)": _significant(
                rows["bound_wh_per_text"] * rows["texts"].astype(float), 2
            ),
        }
    )
    texts = ", ".join(str(count) for count in sorted(set(rows["texts"])))
    caption = f"Published runs, and the bounds with all {texts} texts together"
    return html_table(shown, caption, list(shown.columns[1:]))


def measured(series: Series) -> str:
    """Return a table of our runs, each series from the lowest concurrency on."""
    return html_table(
        pd.concat([_series_table(name, rows) for name, rows in series], ignore_index=True),
        "Our runs with several texts at a time; energy and counts of one pass",
        _NUMBERS,
    )


_NUMBERS = (
    *(
        "Texts at a time",
        "Texts per second",
        "times",
        "Energy (Wh)",
        "mWh per text",
        "in percent",
        "Accuracy",
    ),
    *("Tokens in", "Tokens out", "Parse failures"),
)


def _series_table(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    lowest = rows.iloc[0]
    return pd.DataFrame(
        {
            "Dataset": [study().datasets[dataset].title for dataset in rows["dataset"]],
            "Campaign": rows["source"],
            "Model": name,
            "Texts at a time": rows["concurrency"],
            "Texts per second": _significant(rows["texts_per_s"]),
            "times": _significant(rows["texts_per_s"] / lowest["texts_per_s"], 2),
            "Energy (Wh)": _significant(rows["energy_wh"]),
            "Energy is": rows["energy_kind"],
            "mWh per text": _significant(1e3 * rows["wh_per_text"]),
            "in percent": _significant(100 * rows["wh_per_text"] / lowest["wh_per_text"], 2),
            "Accuracy": rows["accuracy"].map("{:.3f}".format, na_action="ignore"),
            "Tokens in": _significant(rows["tokens_in"]),
            "Tokens out": _significant(rows["tokens_out"]),
            "Parse failures": _significant(rows["parse_failures"]),
        }
    )


def _significant(values: "pd.Series[float]", digits: int = 3) -> "pd.Series[str]":
    return values.map(lambda value: units.significant(float(value), digits), na_action="ignore")
