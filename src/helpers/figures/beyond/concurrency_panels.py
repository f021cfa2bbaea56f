"""The plots of the page on concurrency: published runs beside their bounds, and what we measured."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.display import Panel
from helpers.figures.hover import hover_text
from helpers.figures.plots import dots
from helpers.results.weights import short_title
from helpers.study.catalogue import model_title, study


@dataclass(frozen=True)
class Quantity:
    """What a panel shows: a column of the data, its axis, and whether that is logarithmic."""

    name: str
    column: str
    axis: str
    bound: str = ""
    """What the hardware allows is a `lower` or an `upper` bound of it; empty where it bounds nothing."""
    logarithmic: bool = True


ENERGY = Quantity("energy", "wh_per_text", "Energy per text", "lower")
SPEED = Quantity("speed", "texts_per_s", "Texts per second", "upper")
ACCURACY = Quantity("accuracy", "accuracy", "Accuracy", logarithmic=False)

Series = list[tuple[str, pd.DataFrame]]
"""Runs that differ in their concurrency only, with the name of their line."""

_BOUND = style.FamilyStyle("Bound, all texts together", "#6b7280", "#9aa3ae", "line-ns")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_HEIGHT_PX = 250.0
"""Of a measured plot without its axes, for placing the labels."""
_LABEL_PX = 15.0
"""Least distance of two labels."""
_BESIDE = 0.75
"""Room for the labels behind the last point, in parts of the axis up to there."""


def published(rows: pd.DataFrame, quantity: Quantity, alt: str) -> Panel:
    """Draw the published runs, a row per model, and the bound with all texts together where there is one."""
    figure = go.Figure()
    style.layout(figure, height=430)
    drawn = rows[rows[quantity.column].notna()]
    bounded = drawn[drawn[f"bound_{quantity.column}"].notna()]
    dots.model_axis(figure, set(drawn["model"]))
    for family, look in style.FAMILIES.items():
        part = drawn[drawn["family"] == family]
        if len(part):
            figure.add_trace(
                _marks(part, quantity.column, f"{look.symbol}-open", look, f"{look.title}, published")
            )
    if len(bounded):
        bound = f"bound_{quantity.column}"
        figure.add_trace(
            _marks(bounded, bound, f"{_BOUND.symbol}-open", _BOUND, _BOUND.title).update(marker_size=14)
        )
    values = pd.concat([drawn[quantity.column], bounded[f"bound_{quantity.column}"]])
    _value_axis(figure, quantity, values, "x")
    return Panel(
        name=f"published-{quantity.name}",
        title=f"{quantity.axis}: published, and the {quantity.bound} bound",
        note=f"FKTG on one Capella node. The {quantity.bound} bound is for all texts processed together.",
        figure=figure,
        alt=f"{quantity.axis} of {len(drawn)} published runs and the {quantity.bound} bound of {len(bounded)}. {alt}",
        wide=True,
    )


def measured(series: Series, dataset: str, quantity: Quantity) -> Panel:
    """Draw a line per series over its concurrencies."""
    entry = study().datasets[dataset]
    lines = [(name, rows[rows[quantity.column].notna()]) for name, rows in series]
    lines = [(name, rows) for name, rows in lines if len(rows)]
    figure = go.Figure()
    style.layout(figure, height=320)
    if lines:
        _draw(figure, lines, quantity)
    else:
        style.not_measured(figure)
    sources = sorted({str(rows["source"].iloc[0]) for _, rows in series})
    lacking = [name for name, _ in series if name not in dict(lines)]
    return Panel(
        name=f"{dataset}-{quantity.name}",
        title=f"{entry.title}: {quantity.axis[0].lower()}{quantity.axis[1:]}",
        note=f"Measured: {', '.join(sources)}."
        + (f" No {quantity.name}, so not drawn: {'; '.join(lacking)}." if lacking else ""),
        figure=figure,
        alt=f"{entry.title}, {quantity.axis.lower()} against concurrency: "
        + ("; ".join(_range(name, rows, quantity) for name, rows in lines) or style.NOT_MEASURED)
        + ".",
        wide=True,
    )


def _format_value(quantity: Quantity, value: float) -> str:
    """Return a value of a quantity as text, with its unit for an energy."""
    if quantity is ENERGY:
        return units.energy(value)
    return f"{value:.3f}" if quantity is ACCURACY else units.significant(value, 2)


def _range(name: str, rows: pd.DataFrame, quantity: Quantity) -> str:
    first, last = rows.iloc[0], rows.iloc[-1]
    return (
        f"{name}, {_format_value(quantity, first[quantity.column])} at {first['concurrency']} and "
        f"{_format_value(quantity, last[quantity.column])} at {last['concurrency']}"
    )


def _marks(rows: pd.DataFrame, column: str, symbol: str, look: style.FamilyStyle, name: str) -> go.Scatter:
    return dots.dots(
        x=rows[column],
        y=rows["model"].map(model_title),
        symbols=[symbol] * len(rows),
        look=look,
        hover=[_hover(row) for _, row in rows.iterrows()],
        name=name,
    )


def _draw(figure: go.Figure, lines: Series, quantity: Quantity) -> None:
    concurrencies = sorted({int(count) for _, rows in lines for count in rows["concurrency"]})
    left, right = math.log10(concurrencies[0]), math.log10(concurrencies[-1])
    room = max(right - left, 1.0)
    figure.update_xaxes(
        title="Texts at a time",
        type="log",
        range=[left - 0.06 * room, right + _BESIDE * room],
        tickvals=concurrencies,
        ticktext=[str(count) for count in concurrencies],
        tickangle=0,
        minor={"ticks": ""},
    )
    values = pd.concat([rows[quantity.column] for _, rows in lines])
    if quantity is ACCURACY:
        spread = pd.concat([rows["accuracy_sd"].fillna(0) for _, rows in lines])
        values = pd.concat([values - spread, values + spread])
    ends = _value_axis(figure, quantity, values, "y")
    heights = _spread([float(rows[quantity.column].iloc[-1]) for _, rows in lines], quantity, ends)
    count: dict[str, int] = {}
    for (name, rows), height in zip(lines, heights, strict=True):
        family = str(rows["family"].iloc[0])
        dash = _DASHES[count.setdefault(family, 0) % len(_DASHES)]
        count[family] += 1
        figure.add_trace(_line(rows, quantity, style.FAMILIES[family], dash))
        figure.add_trace(_label(name, rows, height, style.FAMILIES[family]))


def _line(rows: pd.DataFrame, quantity: Quantity, look: style.FamilyStyle, dash: str) -> go.Scatter:
    return go.Scatter(
        x=rows["concurrency"].astype(int),
        y=rows[quantity.column],
        mode="lines+markers",
        line={"color": look.light, "width": 1.5, "dash": dash},
        marker={
            "symbol": [f"{look.symbol}{style.SYMBOLS[kind]}" for kind in rows["energy_kind"]],
            "size": 9,
            "color": look.light,
            "line": {"width": 1, "color": style.PAPER},
        },
        error_y={
            "array": rows["accuracy_sd"].fillna(0) if quantity is ACCURACY else [0.0] * len(rows),
            "thickness": 1,
            "width": 0,
            "color": look.light,
        },
        showlegend=False,
        hovertext=[_hover(row) for _, row in rows.iterrows()],
        hoverinfo="text",
        meta=style.themed(look.light, look.dark),
    )


def _label(name: str, rows: pd.DataFrame, height: float, look: style.FamilyStyle) -> go.Scatter:
    """Return the name of a line behind its last point; on a phone only the model fits."""
    side, gap = "middle right", "\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}"
    broad = pd.DataFrame({"text": [gap + short_title(name).replace("dequantised ", "")], "place": [side]})
    narrow = pd.DataFrame(
        {"text": [short_title(model_title(str(rows["model"].iloc[0])))], "place": ["top left"]}
    )
    return go.Scatter(
        x=[int(rows["concurrency"].iloc[-1])],
        y=[height],
        mode="text",
        text=broad["text"],
        textposition=[side],
        textfont={"color": look.light, "size": style.FONT_SIZE - 1},
        cliponaxis=False,
        showlegend=False,
        hoverinfo="skip",
        meta=style.themed(look.light, look.dark, True, broad, narrow),
    )


def _spread(values: list[float], quantity: Quantity, ends: tuple[float, float]) -> list[float]:
    """Return the heights of labels for these values, moved apart from the lowest up; not above the axis."""
    low, high = ends
    gap = _LABEL_PX / _HEIGHT_PX * (high - low)
    heights = [math.log10(value) if quantity.logarithmic else value for value in values]
    order = sorted(range(len(heights)), key=heights.__getitem__)
    for before, after in pairwise(order):
        heights[after] = max(heights[after], heights[before] + gap)
    beyond = max(0.0, max(heights) - high)
    return [10 ** (height - beyond) if quantity.logarithmic else height - beyond for height in heights]


def _value_axis(figure: go.Figure, quantity: Quantity, values: pd.Series, axis: str) -> tuple[float, float]:
    """Make the axis of a quantity; returns its ends, as logarithms where it is logarithmic."""
    update = figure.update_yaxes if axis == "y" else figure.update_xaxes
    update(title=quantity.axis, tickangle=0)
    if quantity is ACCURACY:
        room = max(float(values.max() - values.min()), 0.1)
        low, high = max(0.0, float(values.min()) - 0.2 * room), min(1.02, float(values.max()) + 0.2 * room)
        update(range=[low, high])
        return low, high
    low, high = math.floor(math.log10(values.min())), math.ceil(math.log10(values.max()))
    if quantity is ENERGY:
        every = 1 if axis == "y" else 2
        style.energy_axis(figure, low, high, "y" if axis == "y" else "x", every, title=quantity.axis)
        return low - style.PAD, high + style.PAD
    update(type="log", range=[low - 0.1, high + 0.1], dtick=1, minor={"ticks": ""})
    return low - 0.1, high + 0.1


def _hover(row: "pd.Series[Any]") -> str:
    lines = [hover_text(row), f"{units.significant(row['texts_per_s'], 3)} texts per second"]
    if pd.notna(row["bound_texts_per_s"]):
        lines.append(
            f"bounds with all {row['texts']} texts together: at least {units.energy(row['bound_wh_per_text'])} per text, at most "
            f"{units.significant(row['bound_texts_per_s'], 2)} texts per second"
        )
    return "<br>".join(lines)
