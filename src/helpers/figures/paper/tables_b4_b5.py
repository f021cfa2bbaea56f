"""Tables B4 and B5: energy and accuracy on the four other datasets (paper, Tables B4 and B5)."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure, html_table
from helpers.figures.paper.accuracy_remarks import agreement, below_chance, chance, differs_by_noise
from helpers.figures.plots import tables as parts
from helpers.figures.plots.scatter import sorted_by_study
from helpers.figures.plots.tables import times
from helpers.results.tables import Tables
from helpers.statistics import selection
from helpers.study.catalogue import embedding_models, model_title, study

DATASETS = {"table_b4": ("news", "yelp"), "table_b5": ("tomatoes", "emotion")}
OTHER_DATASETS = (*DATASETS["table_b4"], *DATASETS["table_b5"])
RUN_ON, _TIMES = 2.0, "twice"
"""An LLM that takes more than this many times its energy on every other dataset gets a remark."""


def table_b4(tables: Tables) -> Figure:
    """Show Table B4, `news` and `yelp`, with measured runs beside and remarks from the numbers."""
    return _table(tables, "table_b4")


def table_b5(tables: Tables) -> Figure:
    """Show Table B5, `tomatoes` and `emotion`, with measured runs beside and remarks from the numbers."""
    return _table(tables, "table_b5")


def _table(tables: Tables, name: str) -> Figure:
    published = rows(tables, name)
    measured = measured_rows(tables.results, published)
    return draw(name, published, measured, energy_factors(tables.results, name), tables)


def draw(
    name: str, published: pd.DataFrame, measured: pd.DataFrame, factors: pd.DataFrame, tables: Tables
) -> Figure:
    """Lay out the printed `rows` of the table `name` and the `measured_rows`, with remarks, `energy_factors` among them."""
    results, datasets = tables.results, DATASETS[name]
    body = html_table(
        _in_columns(published, datasets),
        "As published, one Capella node, averages over 10 splits",
        [f"{dataset}: {what}" for dataset in datasets for what in ("energy (Wh)", "accuracy")],
    )
    body += _resolved(published)
    names = parts.listed(list(datasets))
    body += parts.remarks(
        [
            *below_chance(published, measured, datasets),
            *_energy_against_other_datasets(factors, datasets),
            *_embedding(results, tables.observations, datasets),
            *agreement(measured),
        ]
    )
    body += parts.block(measured, f"Measured, {names}", f"{names}: not measured by us.".capitalize(), _BESIDE)
    return Figure(
        name=name,
        label=f"Table {name.removeprefix('table_').upper()}",
        finding=_finding(published, datasets),
        note=(
            "Inference on 200 texts. Energy (Wh) and accuracy as printed; where the table prints a limit or two decimals "
            "below 1 Wh, Figure 7 gives the energy more precisely for the models that it shows. CPU, GPU and memory are "
            "added up as in the paper."
        ),
        data=pd.concat([published, measured], ignore_index=True),
        function=f"helpers.figures.paper.tables_b4_b5.{name}",
        body=body,
        inputs=parts.inputs(
            published["origin"], measured["origin"], ["table_b1", "table_b4", "table_b5", "figure_7"]
        ),
    )


_COLUMNS = [
    *("source", "dataset", "model", "family", "machine", "gpus"),
    *("energy_wh", "energy_wh_below", "energy_uncertainty_wh", "energy_sd_wh", "energy_kind"),
    *("accuracy", "accuracy_uncertainty", "accuracy_sd"),
    *("parse_failures", "splits", "texts", "duration_s", "checkpoint", "weights", "origin"),
]


def rows(tables: Tables, name: str) -> pd.DataFrame:
    """Return the published rows of `results` that the table `name` prints, `table_b4` or `table_b5`.

    Columns beside those of `results`: `chance`, the accuracy of always naming the most frequent label, and
    `printed_energy_wh` or its limit `printed_energy_wh_below`; `energy_wh` is the most precise one that is published.
    """
    results, observations, datasets = tables.results, tables.observations, DATASETS[name]
    printed = observations[(observations["origin"] == name) & (observations["quantity"] == "energy_wh")]
    printed = printed.rename(columns={"value": "printed_energy_wh", "below": "printed_energy_wh_below"})
    runs = results[(results["source"] == "published") & results["dataset"].isin(datasets)]
    runs = sorted_by_study(runs)[_COLUMNS].assign(chance=runs["dataset"].map(chance))
    energies = printed[["dataset", "model", "printed_energy_wh", "printed_energy_wh_below"]]
    return runs.merge(energies, on=["dataset", "model"], how="inner")


def _in_columns(published: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    models = [name for name in study().models if name in set(published["model"])]
    shown = pd.DataFrame({"Model": [model_title(name) for name in models]})
    for dataset in datasets:
        rows = published[published["dataset"] == dataset].set_index("model").reindex(models)
        shown[f"{dataset}: energy (Wh)"] = list(_as_printed(rows))
        shown[f"{dataset}: accuracy"] = list(rows["accuracy"].map("{:.2f}".format))
    return shown


def _as_printed(rows: pd.DataFrame) -> pd.Series:
    limit = rows["printed_energy_wh_below"].map("<{:.2f}".format)
    return rows["printed_energy_wh"].map("{:.2f}".format).where(rows["printed_energy_wh"].notna(), limit)


def _resolved(published: pd.DataFrame) -> str:
    """Show the energies that a figure gives with more digits than the table."""
    rows = published[published["energy_kind"] == "digitised"]
    if rows.empty:
        return ""
    shown = pd.DataFrame(
        {
            "Dataset": rows["dataset"],
            "Model": rows["model"].map(model_title),
            "Printed (Wh)": _as_printed(rows),
            "Read off Figure 7 (Wh)": [
                _with_uncertainty(energy, plus)
                for energy, plus in zip(rows["energy_wh"], rows["energy_uncertainty_wh"], strict=True)
            ],
        }
    )
    return html_table(shown, "The same, where Figure 7 is more precise", list(shown.columns[2:]))


def _with_uncertainty(value: float, uncertainty: float) -> str:
    """Return a value to the second digit of its uncertainty, for example `0.002089 ± 0.000025`."""
    digits = max(0, 1 - math.floor(math.log10(uncertainty)))
    return f"{value:.{digits}f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{uncertainty:.{digits}f}"


_BESIDE = {
    "dataset": "Dataset",
    "model": "Model",
    "source": "Campaign",
    "energy_wh": "Energy (Wh)",
    "published_energy_wh": "Published (Wh)",
    "accuracy": "Accuracy",
    "published_accuracy": "Published accuracy",
    "energy_kind": "Energy is",
    "machine": "Machine",
    "duration_s": "Duration (s)",
    "parse_failures": "Answers without a label",
}


def measured_rows(results: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return the measured rows of `results` on the datasets of the table, with the published values beside them.

    Columns beside those of `results`: `published_energy_wh`, `published_accuracy` and its uncertainty, and
    `differs_by_noise`: whether noise and rounding explain the difference of the accuracies.
    """
    measured = parts.measured(results, list(published["dataset"].unique()))
    keys = ["dataset", "model"]
    columns = {name: f"published_{name}" for name in ("energy_wh", "accuracy", "accuracy_uncertainty")}
    values = published[[*keys, *columns, "splits", "texts"]].rename(columns=columns)
    pairs = measured[_COLUMNS].assign(chance=measured["dataset"].map(chance))
    pairs = pairs.merge(values, on=keys, how="left", suffixes=("", "_published"))
    pairs["parse_failures"] = pairs["parse_failures"].where(pairs["family"] != "Traditional")
    by_noise = pd.Series([differs_by_noise(row) for _, row in pairs.iterrows()], pairs.index, object)
    return pairs.drop(columns=["splits_published", "texts_published"]).assign(differs_by_noise=by_noise)


def _finding(published: pd.DataFrame, datasets: Sequence[str]) -> str:
    sentences = []
    for dataset in datasets:
        rows = published[published["dataset"] == dataset]
        tied = selection.tied_for_best(rows)
        best = tied.iloc[0]
        least = f", the one with the least energy of {len(tied)} that reach it" if len(tied) > 1 else ""
        which = f"{model_title(best['model'])}{least}"
        text = f"on {dataset} the best accuracy is {best['accuracy']:.2f} ({which})"
        if best["family"] != "Traditional":
            small = selection.most_accurate(rows[rows["family"] == "Traditional"])
            factor = best["energy_wh"] / small["energy_wh"]
            text += f", {best['accuracy'] - small['accuracy']:.2f} above {model_title(small['model'])}"
            text += f" at {times(factor)} times its energy" if pd.notna(factor) else ""
        sentences.append(text)
    text = "; ".join(sentences)
    return f"{text[0].upper()}{text[1:]}."


def energy_factors(results: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return how many times its energy on the other three datasets an LLM takes, as published.

    One row per dataset of the table `name` and LLM: `energy_wh`, `min_factor`, `max_factor`, and `outlying` where even
    the smallest factor is above `RUN_ON`: as many texts, far more energy.
    """
    runs = results[(results["source"] == "published") & (results["family"] != "Traditional")]
    energy = runs[runs["dataset"].isin(OTHER_DATASETS)].pivot(
        index="model", columns="dataset", values="energy_wh"
    )
    compared = []
    for dataset in DATASETS[name]:
        factors = energy.drop(columns=dataset).rdiv(energy[dataset], axis=0)
        columns = {"energy_wh": energy[dataset], "min_factor": factors.min(axis=1)}
        compared.append(pd.DataFrame({**columns, "max_factor": factors.max(axis=1)}).assign(dataset=dataset))
    table = pd.concat(compared).reset_index()
    return table.assign(outlying=table["min_factor"] > RUN_ON)


def _energy_against_other_datasets(factors: pd.DataFrame, datasets: Sequence[str]) -> Iterator[str]:
    """Name every LLM whose energy on a dataset is outlying."""
    for _, row in factors[factors["outlying"]].iterrows():
        others = factors[(factors["dataset"] == row["dataset"]) & ~factors["outlying"]]
        yield (
            f"{model_title(row['model'])} needs {units.energy(row['energy_wh'])} on {row['dataset']}, "
            f"{times(row['min_factor'])} to {times(row['max_factor'])} times its energy on the other three datasets; no "
            f"other LLM needs more than {times(others['max_factor'].max())} times. Answers that do not stop would explain it."
        )
    if not factors["outlying"].any():
        yield f"On {' and '.join(datasets)}, no LLM needs more than {_TIMES} its energy on all other datasets."


def _embedding(results: pd.DataFrame, observations: pd.DataFrame, datasets: Sequence[str]) -> Iterator[str]:
    """Compare the energies of models that all have to embed the same number of texts."""
    embedders = embedding_models()
    runs = results[results["dataset"].isin(OTHER_DATASETS) & results["model"].isin(embedders)]
    published = runs[runs["source"] == "published"]
    power = observations[
        (observations["origin"] == "table_b1") & (observations["quantity"] == "average_power_w")
    ].set_index("model")["value"]
    energy = {name: part.set_index("dataset")["energy_wh"] for name, part in published.groupby("model")}
    for model, by_dataset in energy.items():
        if by_dataset.isna().any():
            continue
        low, high = str(by_dataset.idxmin()), str(by_dataset.idxmax())
        measured = runs[(runs["source"] != "published") & (runs["model"] == model) & (runs["dataset"] == low)]
        fastest = f"; our fastest run on {low} takes {units.duration(measured['duration_s'].min())}"
        yield (
            f"{model_title(str(model))} embeds the same number of texts of every dataset, yet its published energy ranges from "
            f"{units.energy(by_dataset[low])} ({low}) to {units.energy(by_dataset[high])} ({high}). At its average power "
            f"of Table B1, the lower energy lasts {units.duration(3600 * by_dataset[low] / power[model])}"
            f"{fastest if len(measured) else ''}."
        )
    if len(energy) == 2:
        one, other = (name for name in embedders if name in energy)
        ratio = (energy[other] / energy[one]).reindex(list(datasets)).dropna()
        if len(ratio):
            factors = [f"{times(factor)} on {name}" for name, factor in ratio.items()]
            yield (
                f"Both embedding models have to embed the same texts. {model_title(other)} needs the following multiples of the "
                f"energy of {model_title(one)}: {parts.listed(factors)}."
            )
