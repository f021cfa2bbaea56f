"""Durations of Tables B4 and B5, which the paper does not print, recovered from Table B6.

Everything here is inferred, from printed energies, Table B6 and the minimal GPU counts of Table B1.
"""

from collections.abc import Iterator, Mapping

import pandas as pd

from helpers.core import units
from helpers.figures.beyond import recovered_panels
from helpers.figures.display import Figure, html_table
from helpers.results.tables import Tables
from helpers.statistics import inverse_regression, regression
from helpers.statistics.inverse_regression import Recovered
from helpers.statistics.regression import PrintedFit
from helpers.study.catalogue import model_title, study

CHECK = "fktg"
"""The dataset whose durations are printed (Table B1), to try the method on."""


def recovered_durations(tables: Tables) -> Figure:
    """Recover the durations of the LLM runs of Tables B4 and B5, and try the same on FKTG, where they are printed."""
    runs = rows(tables)
    recovered = recover(runs, tables.printed)
    return draw(
        durations(runs, recovered), check(tables), recovered, gpu_counts(runs, recovered, tables.printed)
    )


def rows(tables: Tables) -> pd.DataFrame:
    """Return the published runs of the datasets of Table B6 on one node, with the GPUs of Table B1.

    An energy that is printed as a limit counts by half of it.
    """
    published = tables.results[(tables.results["source"] == "published") & (tables.results["nodes"] == 1)]
    gpus = published[published["origin"].str.contains("table_b1")].set_index("model")["gpus"]
    datasets = tables.printed["table_b6_regression"]["dataset"].unique()
    runs: pd.DataFrame = pd.concat([published[published["dataset"] == name] for name in datasets])
    half = runs["energy_wh_below"].astype(float) / 2
    return runs.assign(
        gpus=runs["model"].map(gpus).astype(float),
        energy_wh=runs["energy_wh"].astype(float).fillna(half),
        energy_uncertainty_wh=runs["energy_uncertainty_wh"].astype(float).fillna(half),
    )


def recover(runs: pd.DataFrame, printed: Mapping[str, pd.DataFrame]) -> dict[str, Recovered]:
    """Recover the durations of `rows` by dataset, with the coefficients of `printed` Table B6."""
    return {
        dataset: inverse_regression.recover(*arguments) for dataset, arguments in _arguments(runs, printed)
    }


def gpu_counts(
    runs: pd.DataFrame, recovered: Mapping[str, Recovered], printed: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return how well the assumed numbers of GPUs go with the printed standard errors, by dataset.

    `mismatch` is by what share two terms imply a different scatter, `next_best` the smallest such share with another
    number of GPUs for one of the runs (`helpers.statistics.inverse_regression`).
    """
    return pd.DataFrame(
        [
            {
                "dataset": dataset,
                "mismatch": recovered[dataset].mismatch,
                "next_best": inverse_regression.next_best_mismatch(*arguments),
            }
            for dataset, arguments in _arguments(runs, printed)
        ]
    )


def _arguments(
    runs: pd.DataFrame, printed: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[str, tuple[PrintedFit, pd.Series, pd.Series, pd.Series]]]:
    for name, part in runs.groupby("dataset", sort=False):
        fit = regression.printed_fit(printed, dataset=str(name))
        yield str(name), (fit, part["energy_wh"], part["energy_uncertainty_wh"], part["gpus"])


def durations(runs: pd.DataFrame, recovered: Mapping[str, Recovered]) -> pd.DataFrame:
    """Return `recovered` durations in s with their 95 % intervals, one row per run, in the study's order of models.

    An upper limit has `high_s` alone, and a run of the kind `none` has neither; `on_the_line_s` is what the line gives.
    """
    return pd.concat(
        [_tidy(runs[runs["dataset"] == dataset], item, dataset) for dataset, item in recovered.items()],
        ignore_index=True,
    )


def check(tables: Tables) -> pd.DataFrame:
    """Return the same of the runs of Table B1, recovered from a fit of ours that is rounded as Table B6 is."""
    points = regression.points(tables.results, "published", "capella", CHECK)
    points = points[points["origin"].str.contains("table_b1") & (points["nodes"] == 1)]
    fit = inverse_regression.as_printed(regression.fit(points))
    uncertainty_wh = points["energy_uncertainty_wh"].astype(float)
    recovered = inverse_regression.recover(fit, points["energy_wh"], uncertainty_wh, points["gpus"])
    return _tidy(points, recovered, CHECK)


def _tidy(runs: pd.DataFrame, recovered: Recovered, dataset: str) -> pd.DataFrame:
    printed = dataset == CHECK
    table = "table_b1" if printed else "table_b1 table_b6_regression"
    none = recovered.runs["kind"] == "none"
    seconds = recovered.runs[["duration_s", "low_s", "high_s"]].mask(none, axis="index")
    limit = recovered.runs["kind"] == "upper limit"
    seconds[["duration_s", "low_s"]] = seconds[["duration_s", "low_s"]].mask(limit, axis="index")
    return pd.DataFrame(
        {
            "dataset": dataset,
            "model": runs["model"],
            "family": runs["family"],
            "gpus": runs["gpus"].astype(int),
            "gpus_are": "printed" if printed else "assumed as in Table B1",
            "energy_wh": runs["energy_wh"],
            "duration_is": "inferred",
            "kind": recovered.runs["kind"],
            "duration_s": seconds["duration_s"],
            "low_s": seconds["low_s"],
            "high_s": seconds["high_s"],
            "on_the_line_s": recovered.runs["duration_s"],
            "scatter_s": recovered.runs["scatter_s"],
            "rounding_s": recovered.runs["rounding_s"],
            "independent_errors_s": recovered.runs["independent_s"],
            "duration_printed_s": runs["duration_s"].astype(float) if printed else None,
            "origin": runs["origin"] + " " + table,
        }
    ).sort_values("model", key=lambda column: column.map(list(study().models).index))


def draw(
    inferred: pd.DataFrame, tried: pd.DataFrame, recovered: Mapping[str, Recovered], counts: pd.DataFrame
) -> Figure:
    """Draw the `durations` of LLMs and those of the `check` (`tried`); `counts` are `gpu_counts`."""
    llms = inferred[inferred["family"] != "Traditional"]
    return Figure(
        name="recovered_durations",
        label="Recovered durations",
        finding=_finding(inferred, llms),
        note=_note(inferred, tried, counts),
        data=pd.concat([inferred, tried], ignore_index=True),
        function="helpers.figures.beyond.recovered_durations.recovered_durations",
        panels=[
            *(recovered_panels.panel(llms[llms["dataset"] == name], name) for name in recovered),
            recovered_panels.check_panel(tried[tried["family"] != "Traditional"]),
        ],
        body=_table(llms, list(recovered)) + _scatter_table(recovered),
    )


def _finding(inferred: pd.DataFrame, llms: pd.DataFrame) -> str:
    narrow = llms[llms["kind"] == "narrow"]
    reasoning = llms[llms["family"] == "Deepseek"]
    exactly = len(narrow) == len(reasoning) and set(narrow.index) == set(reasoning.index)
    who = (
        f"all {len(narrow)} reasoning runs and no other"
        if exactly
        else f"{len(narrow)} of {len(llms)} LLM runs"
    )
    counts = llms["kind"].value_counts()
    given = int((inferred[inferred["family"] == "Traditional"]["kind"] != "none").sum())
    return (
        f"The regressions of Table B6, solved for duration, give the durations of {who} to within "
        f"{100 * inverse_regression.NARROW:.0f} %; {counts.get('wide', 0)} LLM runs get a wide interval, "
        f"{counts.get('upper limit', 0)} only an upper limit, and {given or 'no'} traditional run"
        f"{' gets' if given <= 1 else 's get'} a duration."
    )


def _note(inferred: pd.DataFrame, tried: pd.DataFrame, counts: pd.DataFrame) -> str:
    nothing = inferred[inferred["kind"] == "none"]
    printed_s = tried.loc[tried["model"].isin(nothing["model"]), "duration_printed_s"]
    why = (
        " Where the energy is below the scatter of the fit, the constant alone would determine the duration "
        f"({units.duration(nothing['on_the_line_s'].min())} to {units.duration(nothing['on_the_line_s'].max())}; "
        f"on FKTG the same models need {units.duration(printed_s.min())} to {units.duration(printed_s.max())}), so none is "
        "given."
        if len(nothing)
        else ""
    )
    agree, next_best = counts["mismatch"].max(), counts["next_best"].min()
    speaks = "supports" if agree < next_best else "does not support"
    return (
        "Inferred, not printed: duration = (energy - d - b x GPUs) / (a + c x GPUs) with the coefficients of Table "
        "B6, on Capella, one node. The GPU counts are assumed to be the minimal ones of Table B1. Table B6 itself "
        f"{speaks} this: with them the printed standard errors of the terms GPUs and constant imply the same scatter "
        f"of the runs to {100 * agree:.2f} %; with 1, 2 or 4 GPUs for any one run instead they differ by at least "
        f"{100 * next_best:.1f} %. Intervals (95 %): Table B6 prints no covariances; they are rebuilt from the "
        "recovered durations, and the scatter of a run about the line and all rounding are added. That is "
        f"conservative, as the runs are those of the fit itself.{why}"
    )


def _table(llms: pd.DataFrame, datasets: list[str]) -> str:
    models = [name for name in study().models if name in set(llms["model"])]
    cells = {
        dataset: llms[llms["dataset"] == dataset]
        .set_index("model")
        .apply(recovered_panels.interval, axis="columns")
        for dataset in datasets
    }
    gpus = llms.groupby("model")["gpus"].first()
    shown = pd.DataFrame(
        {"Model": [model_title(name) for name in models], "GPUs (assumed)": gpus[models].to_list()}
    )
    for dataset, texts in cells.items():
        shown[study().datasets[dataset].title] = texts.reindex(models).to_list()
    caption = "Inferred durations of one pass over a test set, with 95 % intervals"
    return html_table(shown, caption, list(shown.columns[2:]))


def _scatter_table(recovered: Mapping[str, Recovered]) -> str:
    rows = [
        {
            "Dataset": study().datasets[dataset].title,
            **{
                f"{regression.TITLES[term]} (Wh)": units.significant(value, 3)
                for term, value in item.implied_sd_wh.items()
            },
            "Used (Wh)": units.significant(item.residual_sd_wh, 3),
        }
        for dataset, item in recovered.items()
    ]
    caption = "Scatter of the runs about the line that each printed standard error implies (inferred)"
    shown = pd.DataFrame(rows)
    return html_table(shown, caption, list(shown.columns[1:]))
