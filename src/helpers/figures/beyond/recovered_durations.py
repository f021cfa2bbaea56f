"""Durations of Tables B4 and B5, which the paper does not print, recovered from Table B6."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.display import Figure, Panel, html_table
from helpers.figures.plots import dots
from helpers.results.tables import Tables
from helpers.statistics import inverse_regression, regression
from helpers.statistics.inverse_regression import Recovered
from helpers.statistics.regression import PrintedFit
from helpers.study.catalogue import model_title, study

CHECK = "fktg"
"""The dataset whose durations are printed (Table B1), to try the method on."""
_LOG_S = (0, 4)
"""Decades of the duration axes, in s."""


def recovered_durations(tables: Tables) -> Figure:
    """Recover the durations of the LLM runs of Tables B4 and B5, and try the same on FKTG, where they are printed.

    Everything here is inferred, from printed energies, Table B6 and the minimal GPU counts of Table B1.
    """
    found = {name: _published(tables, str(name)) for name in _datasets(tables)}
    asked = {name: _arguments(tables, runs, name) for name, runs in found.items()}
    recovered = {name: inverse_regression.recover(*given) for name, given in asked.items()}
    next_best = min(inverse_regression.next_best_mismatch(*given) for given in asked.values())
    check, tried = _check(tables)
    data = pd.concat(
        [*(_tidy(found[name], recovered[name], name) for name in found), _tidy(check, tried, CHECK)],
        ignore_index=True,
    )
    inferred = data[data["dataset"] != CHECK]
    llms = inferred[inferred["family"] != "Traditional"]
    checked = data[(data["dataset"] == CHECK) & (data["family"] != "Traditional")]
    finding = _finding(inferred, llms)
    return Figure(
        name="recovered_durations",
        label="Recovered durations",
        finding=finding,
        note=_note(recovered, data, next_best),
        data=data,
        function="helpers.figures.beyond.recovered_durations.recovered_durations",
        panels=[
            *(_panel(llms[llms["dataset"] == name], name) for name in found),
            _check_panel(checked),
        ],
        body=_table(llms, list(found)) + _scatter_table(recovered),
    )


def _datasets(tables: Tables) -> list[str]:
    return list(dict.fromkeys(tables.printed["table_b6_regression"]["dataset"]))


def _published(tables: Tables, dataset: str) -> pd.DataFrame:
    """Return the published runs of a dataset on one node, with the GPUs of Table B1; a limit counts by half."""
    rows = tables.results
    rows = rows[(rows["source"] == "published") & (rows["nodes"] == 1)]
    printed = rows[rows["origin"].str.contains("table_b1")].set_index("model")["gpus"]
    rows = rows[rows["dataset"] == dataset]
    half = rows["energy_wh_below"].astype(float) / 2
    return rows.assign(
        gpus=rows["model"].map(printed).astype(float),
        energy_wh=rows["energy_wh"].astype(float).fillna(half),
        energy_uncertainty_wh=rows["energy_uncertainty_wh"].astype(float).fillna(half),
    )


def _arguments(
    tables: Tables, runs: pd.DataFrame, dataset: str
) -> tuple[PrintedFit, pd.Series, pd.Series, pd.Series]:
    printed = regression.printed_fit(tables.printed, dataset=dataset)
    return printed, runs["energy_wh"], runs["energy_uncertainty_wh"], runs["gpus"]


def _check(tables: Tables) -> tuple[pd.DataFrame, Recovered]:
    """Fit the runs of Table B1 ourselves, round as Table B6 does, and recover the printed durations."""
    points = regression.points(tables.results, "published", "capella", CHECK)
    points = points[points["origin"].str.contains("table_b1") & (points["nodes"] == 1)]
    fit = inverse_regression.as_printed(regression.fit(points))
    return points, inverse_regression.recover(
        fit, points["energy_wh"], points["energy_uncertainty_wh"].astype(float), points["gpus"]
    )


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
        f"Read backwards, Table B6 gives the durations of {who} to within "
        f"{100 * inverse_regression.NARROW:.0f} %; {counts.get('wide', 0)} LLM runs get a wide interval, "
        f"{counts.get('upper limit', 0)} only an upper limit, and {given or 'no'} traditional run"
        f"{' gets' if given <= 1 else 's get'} a duration."
    )


def _note(recovered: Mapping[str, Recovered], data: pd.DataFrame, next_best: float) -> str:
    nothing = data[(data["dataset"] != CHECK) & (data["kind"] == "none")]
    known = data[(data["dataset"] == CHECK) & data["model"].isin(nothing["model"])]["duration_printed_s"]
    why = (
        " Where the energy is below the scatter of the fit, the constant alone would make the duration "
        f"({units.duration(nothing['on_the_line_s'].min())} to {units.duration(nothing['on_the_line_s'].max())}; "
        f"on FKTG the same models take {units.duration(known.min())} to {units.duration(known.max())}), so none is "
        "given."
        if len(nothing)
        else ""
    )
    agree = max(item.mismatch for item in recovered.values())
    speaks = "supports" if agree < next_best else "does not support"
    return (
        "Inferred, not printed: duration = (energy - d - b x GPUs) / (a + c x GPUs) with the coefficients of Table "
        "B6, on Capella, one node. The GPU counts are assumed to be the minimal ones of Table B1. Table B6 itself "
        f"{speaks} that: with them the printed standard errors of the terms GPUs and constant imply the same scatter "
        f"of the runs to {100 * agree:.2f} %; with 1, 2 or 4 GPUs for any one run instead they differ by at least "
        f"{100 * next_best:.1f} %. Intervals (95 %): Table B6 prints no covariances; they are rebuilt from the "
        "recovered durations, and the scatter of a run about the line and all rounding are added. That is "
        f"conservative, as the runs are those of the fit itself.{why}"
    )


def _panel(rows: pd.DataFrame, dataset: str) -> Panel:
    figure = _axes(rows, height=340)
    for family, look in style.FAMILIES.items():
        part = rows[rows["family"] == family]
        if len(part):
            figure.add_trace(_trace(part, look))
    title = study().datasets[dataset].title
    counts = rows["kind"].value_counts()
    parts = ", ".join(f"{counts[kind]} {kind}" for kind in inverse_regression.KINDS if kind in counts)
    return Panel(
        name=dataset,
        title=f"{title}, inferred",
        note=f"Dotted marks: inferred. A bar that begins at the left edge reaches down to zero. {parts.capitalize()}.",
        figure=figure,
        alt=f"{title}: {_recovered(rows)}, of {len(rows)} LLM runs with 95 % intervals; {parts}.",
    )


def _recovered(rows: pd.DataFrame) -> str:
    """Say between which models the durations lie that are known to within a narrow interval."""
    narrow = rows[rows["kind"] == "narrow"].sort_values("duration_s")
    if narrow.empty:
        return "no duration can be recovered narrowly"
    ends = [f"{model_title(row['model'])} with {_said(row)}" for _, row in narrow.iloc[[0, -1]].iterrows()]
    return f"narrowly recovered durations from {' to '.join(ends)}"


def _check_panel(rows: pd.DataFrame) -> Panel:
    figure = _axes(rows, height=360)
    for family, look in style.FAMILIES.items():
        part = rows[rows["family"] == family]
        if len(part):
            figure.add_trace(_trace(part, look))
            figure.add_trace(_printed_trace(part, look))
    low, high = rows["low_s"].fillna(0), rows["high_s"]
    inside = int(rows["duration_printed_s"].between(low, high).sum())
    worst = (rows["on_the_line_s"] - rows["duration_printed_s"]).abs().max()
    said = (
        f"The same models on FKTG, fitted by us and rounded as in Table B6: {inside} of {len(rows)} printed "
        f"durations (hollow) lie in the interval of the recovered one (dotted); the largest error is {worst:.0f} s."
    )
    return Panel(
        name="check",
        title="Check on FKTG, where durations are printed",
        note=said,
        figure=figure,
        alt=said,
        wide=True,
    )


def _axes(rows: pd.DataFrame, height: int) -> go.Figure:
    figure = go.Figure()
    style.layout(figure, height=height)
    decades = range(_LOG_S[0], _LOG_S[1] + 1)
    figure.update_xaxes(
        type="log",
        range=[_LOG_S[0], _LOG_S[1]],
        tickvals=[10.0**exponent for exponent in decades],
        ticktext=[units.duration(10.0**exponent, 1) for exponent in decades],
        title="Duration of one pass",
        minor={"ticks": ""},
    )
    dots.model_axis(figure, set(rows["model"]))
    return figure


def _trace(rows: pd.DataFrame, look: style.FamilyStyle) -> go.Scatter:
    """Draw the point on the line and its interval; an upper limit is a triangle at its upper end."""
    limit = rows["kind"] == "upper limit"
    floor = 10.0 ** _LOG_S[0]  # a logarithmic axis has no zero
    return dots.dots(
        x=rows["duration_s"].where(~limit, rows["high_s"]),
        y=rows["model"].map(model_title),
        symbols=["triangle-left-open-dot" if item else f"{look.symbol}-open-dot" for item in limit],
        look=look,
        hover=[_hover(row) for _, row in rows.iterrows()],
        bar=(rows["low_s"].fillna(0).clip(lower=floor), rows["high_s"]),
        size=10,
    )


def _printed_trace(rows: pd.DataFrame, look: style.FamilyStyle) -> go.Scatter:
    return dots.dots(
        x=rows["duration_printed_s"],
        y=rows["model"].map(model_title),
        symbols=[f"{look.symbol}-open"] * len(rows),
        look=look,
        hover=[
            f"<b>{model_title(row['model'])}</b><br>duration {row['duration_printed_s']:.2f} s<br>source: table_b1"
            for _, row in rows.iterrows()
        ],
        size=14,
    )


def _hover(row: "pd.Series[Any]") -> str:
    lines = [
        f"<b>{model_title(row['model'])}</b> (inferred)",
        f"duration {_said(row)}",
        f"scatter about the line ±{row['scatter_s']:.0f} s, rounding ±{row['rounding_s']:.1f} s",
        f"energy {units.energy(row['energy_wh'], 3)}, GPUs: {row['gpus']} ({row['gpus_are']})",
        f"source: {row['origin']}",
    ]
    return "<br>".join(lines)


def _said(row: "pd.Series[Any]") -> str:
    if row["kind"] == "none":
        return "not recoverable"
    if row["kind"] == "upper limit":
        return f"< {row['high_s']:.0f} s"
    return f"{row['duration_s']:.0f} s ({row['low_s']:.0f} to {row['high_s']:.0f})"


def _table(llms: pd.DataFrame, datasets: list[str]) -> str:
    models = [name for name in study().models if name in set(llms["model"])]
    cells = {
        dataset: llms[llms["dataset"] == dataset].set_index("model").apply(_said, axis="columns")
        for dataset in datasets
    }
    gpus = llms.groupby("model")["gpus"].first()
    shown = pd.DataFrame(
        {"Model": [model_title(name) for name in models], "GPUs (assumed)": gpus[models].to_list()}
    )
    for dataset, said in cells.items():
        shown[study().datasets[dataset].title] = said.reindex(models).to_list()
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
