"""Figure 6: energy against duration, with one line per number of GPUs (paper, Figure 6 and section 4.2)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.display import Figure, Panel, html_table
from helpers.figures.hover import hover_text
from helpers.results.tables import Tables, select_sequential
from helpers.statistics import prediction, regression
from helpers.statistics.proxy import LONG_S
from helpers.statistics.regression import Fit

_DASHES = {1: "solid", 2: "dash", 4: "dot"}
_GREY = ("#6b7280", "#9aa3ae")
_DATA = [
    *("source", "model", "family", "dataset", "machine", "gpus", "nodes", "duration_s"),
    *("duration_uncertainty_s", "energy_wh", "energy_uncertainty_wh", "energy_kind", "origin"),
]


_APART_PX = {4: 13, 1: -5}
"""How far up the name of a line stands on logarithmic axes, by its number of GPUs."""


def figure_6(tables: Tables) -> Figure:
    """Draw Figure 6: FKTG on one Capella node on linear axes as in print, and on logarithmic axes with our runs."""
    published = published_rows(tables.results)
    fits = lines(published)
    compared = compare(fits, tables.printed["figure_6_lines"])
    return draw(with_errors(published, fits), measured_rows(tables.results), fits, compared)


def draw(
    published: pd.DataFrame, measured: pd.DataFrame, fits: Mapping[int, Fit], compared: pd.DataFrame
) -> Figure:
    """Draw the rows `with_errors`, the measured ones and the `lines`, and `compare` them below with the printed lines.

    The bands are 95 % confidence intervals of the mean.
    """
    worst = min(fit.r2 for fit in fits.values())
    errors = published.loc[published["duration_s"] < LONG_S, "error_percent"]
    finding = (
        f"For each number of GPUs a straight line explains at least {100 * worst:.1f} % of the variance in energy; below "
        f"{LONG_S:.0f} s, where its constant weighs most, it misses half of the runs by "
        f"{errors.abs().median():.0f} % or more."
    )
    return Figure(
        name="figure_6_duration_energy",
        label="Figure 6",
        finding=finding,
        note=(
            "Inference on 189 texts of FKTG, one Capella node, all runs that the paper's tables and figures give "
            "(hollow; energy as published, CPU, GPU and memory added up). Lines: least squares per number of GPUs. "
            "Filled: our runs, other machines and datasets, the same sum of energies; a cross where it was estimated."
        ),
        data=pd.concat([published, measured])[_DATA],
        function="helpers.figures.paper.figure_6.figure_6",
        panels=[_linear(published, fits, finding), _logarithmic(published, measured, fits)],
        body=html_table(
            compared, "The printed lines and those through the recovered points", list(compared.columns)
        ),
    )


def published_rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the published rows of `results` that the printed figure shows: FKTG on one Capella node."""
    points = regression.points(results, "published", "capella", "fktg")
    return points[points["nodes"] == 1]


def measured_rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the measured rows of `results` that have a duration and an energy."""
    rows = select_sequential(results)
    rows = rows[rows["source"] != "published"]
    return rows[rows[["duration_s", "energy_wh"]].notna().all(axis="columns")]


def lines(points: pd.DataFrame) -> dict[int, Fit]:
    """Fit energy (Wh) on duration (s) by least squares, once per number of GPUs that has enough points."""
    return {
        int(rows["gpus"].iloc[0]): regression.fit(rows)
        for _, rows in points.groupby("gpus")
        if regression.enough(rows)
    }


def with_errors(points: pd.DataFrame, fits: Mapping[int, Fit]) -> pd.DataFrame:
    """Add `error_percent`: how far the line of a run's number of GPUs lies above its energy; null without a line."""
    expected = [
        prediction.predicted_wh(fits[gpus], seconds, gpus) if gpus in fits else None
        for gpus, seconds in points[["gpus", "duration_s"]].itertuples(index=False)
    ]
    return points.assign(
        error_percent=100 * (pd.Series(expected, points.index, float) / points["energy_wh"] - 1)
    )


def _linear(points: pd.DataFrame, fits: Mapping[int, Fit], finding: str) -> Panel:
    figure = go.Figure()
    style.layout(figure, height=460)
    for gpus, fitted in fits.items():
        _add_line(figure, fitted, gpus, np.array([0.0, points.query("gpus == @gpus")["duration_s"].max()]))
        _name_line(figure, points, gpus)
    _add_points(figure, points, published=True, legend=True)
    figure.update_xaxes(title="Duration (s)", rangemode="tozero")
    figure.update_yaxes(title="Energy (Wh)", rangemode="tozero")
    return Panel(
        name="linear",
        title="As in print: linear axes",
        note=f"{(points['duration_s'] < LONG_S).sum()} of the {len(points)} points are below {LONG_S:.0f} s, in the corner.",
        figure=figure,
        alt=finding,
        wide=True,
    )


def _logarithmic(points: pd.DataFrame, measured: pd.DataFrame, fits: Mapping[int, Fit]) -> Panel:
    figure = go.Figure()
    style.layout(figure, height=460)
    everything = pd.concat([points, measured])
    exponents = np.log10(everything["energy_wh"].astype(float))
    low, high = int(np.floor(exponents.min())), int(np.ceil(exponents.max()))
    style.energy_axis(figure, low, high, title="Energy")
    figure.update_xaxes(title="Duration (s)", type="log", dtick=1, tickformat=",~r")
    for gpus, fitted in fits.items():
        durations = np.geomspace(0.005, points.query("gpus == @gpus")["duration_s"].max(), 60)
        _add_line(figure, fitted, gpus, durations, band=False)
        _name_line(figure, points, gpus)
    _add_points(figure, points, published=True, legend=False)
    _add_points(figure, measured, published=False, legend=False)
    negative = [gpus for gpus, fit in fits.items() if fit.terms["constant"].estimate < 0]
    counts = ", ".join(map(str, negative))
    note = f"A line ends where its energy falls below zero ({counts} GPUs). " if negative else ""
    if measured.empty:
        note += style.NOT_MEASURED.capitalize() + "."
    return Panel(
        name="logarithmic",
        title="The same on logarithmic axes, with our runs",
        note=note,
        figure=figure,
        alt=f"The same points on logarithmic axes: {len(points)} published, {len(measured)} of our runs. {note}",
        wide=True,
    )


def _add_line(figure: go.Figure, fitted: Fit, gpus: int, durations: Any, band: bool = True) -> None:
    expected = [prediction.predict(fitted, float(seconds), gpus) for seconds in durations]
    if band:
        figure.add_trace(
            go.Scatter(
                x=[*durations, *durations[::-1]],
                y=[item.high_wh for item in expected] + [item.low_wh for item in expected[::-1]],
                mode="lines",
                fill="toself",
                fillcolor="rgba(128,128,128,0.18)",
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    figure.add_trace(
        go.Scatter(
            x=durations,
            y=[item.mean_wh if item.mean_wh > 0 or band else None for item in expected],
            mode="lines",
            line={"color": _GREY[0], "dash": _DASHES.get(gpus, "longdash"), "width": 1.5},
            hoverinfo="skip",
            name=f"line, {units.counted(gpus, 'GPU')}",
            showlegend=band,
            meta=style.themed(*_GREY),
        )
    )


def _name_line(figure: go.Figure, points: pd.DataFrame, gpus: int) -> None:
    """Write the number of GPUs at the end of its line, which is at its longest run."""
    end = points.query("gpus == @gpus").sort_values("duration_s").iloc[-1]
    x, y, up = end["duration_s"], end["energy_wh"], 0
    if figure.layout.xaxis.type == "log":  # where the longest runs lie side by side
        x, y, up = np.log10(x), np.log10(y), _APART_PX.get(gpus, 0)
    text = units.counted(gpus, "GPU")
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, xanchor="left", xshift=10, yshift=up)


def _add_points(figure: go.Figure, points: pd.DataFrame, published: bool, legend: bool) -> None:
    for family, look in style.FAMILIES.items():
        rows = points[points["family"] == family]
        if rows.empty:
            continue
        symbols = [look.symbol + style.SYMBOLS[kind] for kind in rows["energy_kind"]]
        bars = {"thickness": 1, "width": 0, "color": look.light}
        figure.add_trace(
            go.Scatter(
                x=rows["duration_s"],
                y=rows["energy_wh"],
                mode="markers",
                name=look.title,
                showlegend=legend,
                marker={
                    "symbol": symbols,
                    "size": 9,
                    "color": look.light,
                    "line": {
                        "width": 1.5 if published else 1,
                        "color": look.light if published else style.PAPER,
                    },
                },
                error_x={"array": rows["duration_uncertainty_s"].fillna(0), **bars},
                error_y={"array": rows["energy_uncertainty_wh"].fillna(0), **bars},
                hovertext=[hover_text(row) for _, row in rows.iterrows()],
                hoverinfo="text",
                meta=style.themed(look.light, look.dark, not published),
            )
        )


def compare(fits: Mapping[int, Fit], printed: pd.DataFrame) -> pd.DataFrame:
    """Return slope and level of the printed lines beside those of `lines`, one row per number of GPUs, as text."""
    rows = []
    for line in printed.to_dict("records"):
        fitted = fits.get(line["gpus"])
        rows.append(
            {
                "GPUs": line["gpus"],
                "Slope, read off the print (Wh/s)": f"{line['slope_wh_per_s']:.4f} ± {line['slope_wh_per_s_uncertainty']:.4f}",
                "Slope, refitted": f"{fitted.terms['duration'].estimate:.4f}" if fitted else None,
                "Level, read off (Wh)": f"{line['intercept_wh']:.2f} ± {line['intercept_wh_uncertainty']:.2f}",
                "Level, refitted": f"{fitted.terms['constant'].estimate:.2f}" if fitted else None,
                "Points": fitted.n if fitted else 0,
                "Power (W)": units.significant(3600 * fitted.terms["duration"].estimate, 3)
                if fitted
                else None,
            }
        )
    return pd.DataFrame(rows)
