"""The plots of the recovered durations: one per dataset, and one of the check against printed durations."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.display import Panel
from helpers.figures.plots import dots
from helpers.statistics import inverse_regression
from helpers.study.catalogue import model_title, study

_LOG_S = (0, 4)
"""Decades of the duration axes, in s."""


def panel(rows: pd.DataFrame, dataset: str) -> Panel:
    """Draw the `durations` of one dataset."""
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
    """Say between which models the durations lie whose interval is narrow."""
    narrow = rows[rows["kind"] == "narrow"].sort_values("duration_s")
    if narrow.empty:
        return "no duration can be recovered narrowly"
    ends = [f"{model_title(row['model'])} with {interval(row)}" for _, row in narrow.iloc[[0, -1]].iterrows()]
    return f"narrowly recovered durations from {' to '.join(ends)}"


def check_panel(rows: pd.DataFrame) -> Panel:
    """Draw the rows of `check`, each with its printed duration."""
    figure = _axes(rows, height=360)
    for family, look in style.FAMILIES.items():
        part = rows[rows["family"] == family]
        if len(part):
            figure.add_trace(_trace(part, look))
            figure.add_trace(_printed_trace(part, look))
    low, high = rows["low_s"].fillna(0), rows["high_s"]
    inside = int(rows["duration_printed_s"].between(low, high).sum())
    worst = (rows["on_the_line_s"] - rows["duration_printed_s"]).abs().max()
    result = (
        f"The same models on FKTG, fitted by us and rounded as in Table B6: {inside} of {len(rows)} printed "
        f"durations (hollow) lie in the interval of the recovered one (dotted); the largest error is {worst:.0f} s."
    )
    return Panel(
        name="check",
        title="Check on FKTG, where durations are printed",
        note=result,
        figure=figure,
        alt=result,
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
        name=f"{look.title}, recovered",
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
        name=f"{look.title}, printed",
        size=14,
    )


def _hover(row: "pd.Series[Any]") -> str:
    lines = [
        f"<b>{model_title(row['model'])}</b> (inferred)",
        f"duration {interval(row)}",
        f"scatter about the line ±{row['scatter_s']:.0f} s, rounding ±{row['rounding_s']:.1f} s",
        f"energy {units.energy(row['energy_wh'], 3)}, GPUs: {row['gpus']} ({row['gpus_are']})",
        f"source: {row['origin']}",
    ]
    return "<br>".join(lines)


def interval(row: "pd.Series[Any]") -> str:
    """Return a recovered duration as text, with its interval."""
    if row["kind"] == "none":
        return "not recoverable"
    if row["kind"] == "upper limit":
        return f"< {row['high_s']:.0f} s"
    return f"{row['duration_s']:.0f} s ({row['low_s']:.0f} to {row['high_s']:.0f})"
