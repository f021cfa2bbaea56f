"""The plots of the page on single factors: a row per change, a mark per dataset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.beyond import cheaper_words as words
from helpers.figures.display import Panel
from helpers.figures.plots import dots
from helpers.study.catalogue import model_title, study


@dataclass(frozen=True)
class Quantity:
    """What a panel shows of a change: columns, axis, and whether it is a ratio or a difference."""

    name: str
    title: str
    value: str
    low: str
    high: str
    axis: str
    ratio: bool = True


QUANTITIES = (
    Quantity(
        "time",
        "Time",
        "time_ratio",
        "time_low",
        "time_high",
        "Duration relative to<br>the run without the change",
    ),
    Quantity(
        "accuracy",
        "Accuracy",
        "difference",
        "difference_low",
        "difference_high",
        "Difference in accuracy",
        ratio=False,
    ),
    Quantity(
        "per-correct",
        "Energy per correct answer",
        "per_correct_ratio",
        "per_correct_low",
        "per_correct_high",
        "Energy relative to<br>the run without the change",
    ),
)
_LOOKS = (
    ("#0072B2", "#6BB5F0", "square"),
    ("#D55E00", "#FF9354", "circle"),
    ("#009E73", "#2CC39A", "diamond"),
    ("#8F5B8A", "#E3A3C6", "triangle-up"),
)
"""Colours (Okabe-Ito) and markers of the datasets, both, for readers who see colours differently."""
_ROW_PX, _FRAME_PX, _OFFSET = 38, 90, 0.2
_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def panels(changed: pd.DataFrame) -> list[Panel]:
    """Return a panel for each of `QUANTITIES` that the changed runs have."""
    return [
        _panel(known, quantity)
        for quantity in QUANTITIES
        if len(known := changed[changed[quantity.value].notna()])
    ]


def _panel(rows: pd.DataFrame, quantity: Quantity) -> Panel:
    levels = words.ordered(set(rows["level"]))
    series = [
        (f"{study().datasets[str(dataset)].title}{_model(rows, str(model))}", group)
        for (dataset, model), group in rows.groupby(["dataset", "model"], sort=False)
    ]
    figure = go.Figure()
    style.layout(figure, height=_FRAME_PX + _ROW_PX * len(levels))
    figure.add_vline(x=1 if quantity.ratio else 0, line={"color": "#8a9099", "width": 1, "dash": "dot"})
    figure.update_yaxes(
        tickvals=list(range(len(levels))), ticktext=levels, range=[len(levels) - 0.4, -0.6], showgrid=False
    )
    _value_axis(figure, rows, quantity)
    for number, (title, group) in enumerate(series):
        figure.add_traces(_marks(group, title, quantity, levels, number, len(series)))
    return Panel(
        name=quantity.name,
        title=quantity.title,
        note=_note(rows, quantity),
        figure=figure,
        alt=f"{quantity.axis}. {words.alt(rows, quantity.value, signed=not quantity.ratio)}",
        wide=True,
    )


def _note(rows: pd.DataFrame, quantity: Quantity) -> str:
    kinds = sorted(set(rows["ratio_is" if quantity.ratio else "difference_is"]))
    estimated = " Energies are estimated." if quantity.name == "per-correct" and _estimated(rows) else ""
    return f"{words.models(rows)}, {', '.join(sorted(set(rows['source'])))}. Bars: {'; '.join(kinds)}.{estimated}"


def _estimated(rows: pd.DataFrame) -> bool:
    return set(rows["energy_kind"]) == {"estimated"}


def _model(rows: pd.DataFrame, model: str) -> str:
    return f", {model_title(model)}" if rows["model"].nunique() > 1 else ""


def _value_axis(figure: go.Figure, rows: pd.DataFrame, quantity: Quantity) -> None:
    values = pd.concat(
        [rows[name].astype(float).dropna() for name in (quantity.value, quantity.low, quantity.high)]
    )
    if quantity.ratio:
        values = values[(values > 0) & (values < math.inf)]
        low, high = (math.log10(value) for value in (min(values.min(), 1.0), max(values.max(), 1.0)))
        room = max(high - low, 0.3)
        figure.update_xaxes(
            type="log",
            range=[low - 0.12 * room, high + 0.3 * room],
            tickvals=list(_TICKS),
            ticktext=[f"{tick:g}" for tick in _TICKS],
            minor={"ticks": ""},
        )
    else:
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
        room = max(high - low, 0.05)
        figure.update_xaxes(range=[low - 0.12 * room, high + 0.3 * room])
    figure.update_xaxes(title=quantity.axis, tickangle=0)


def _marks(
    rows: pd.DataFrame, title: str, quantity: Quantity, levels: Sequence[str], number: int, count: int
) -> list[go.Scatter]:
    """Return the marks of a dataset with their bars, and the numbers behind them."""
    light, dark, symbol = _LOOKS[number % len(_LOOKS)]
    look = style.FamilyStyle(title, light, dark, symbol)
    heights = rows["level"].map(levels.index) + _OFFSET * (2 * number - (count - 1)) / max(count - 1, 1)
    values = rows[quantity.value].astype(float)
    low, high = rows[quantity.low].astype(float), rows[quantity.high].astype(float)
    drawn = low.notna() & high.notna() & (high < math.inf)
    marks = dots.dots(
        x=values,
        y=heights,
        symbols=[symbol] * len(rows),
        look=look,
        hover=[_hover(row, quantity) for _, row in rows.iterrows()],
        filled=True,
        bar=(low.where(drawn), high.where(drawn)),
        name=title,
        size=10,
    )
    labels = go.Scatter(
        x=high.where(drawn, values),
        y=heights,
        mode="text",
        name=title,
        showlegend=False,
        text=[f"\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}{_shown(value, quantity)}" for value in values],
        textposition="middle right",
        textfont={"color": look.light, "size": style.FONT_SIZE - 2},
        cliponaxis=False,
        hoverinfo="skip",
        meta=style.themed(look.light, look.dark),
    )
    return [marks, labels]


def _shown(value: float, quantity: Quantity) -> str:
    return units.significant(value, 2) if quantity.ratio else f"{value:+.3f}"


def _hover(row: "pd.Series[Any]", quantity: Quantity) -> str:
    low, high = row[quantity.low], row[quantity.high]
    interval = row["ratio_is" if quantity.ratio else "difference_is"]
    span = (
        f" ({_shown(float(low), quantity)} to {_shown(float(high), quantity)}: {interval})"
        if pd.notna(low) and pd.notna(high)
        else f" ({interval})"
    )
    lines = [
        f"<b>{row['level']}</b>: {words.EXPLAINED[str(row['factor'])]}",
        f"{quantity.axis.lower()}: {_shown(float(row[quantity.value]), quantity)}{span}",
        f"accuracy {row['accuracy']:.3f}, {units.duration(float(row['duration_s']), 3)} a pass, "
        f"{units.energy(row['energy_wh'], 3)} ({row['energy_kind']})",
        f"answers without a category: {float(row['parse_failures']):g} of {row['texts']}",
    ]
    if row["checks_failed"]:
        lines.append(f"checks failed: {row['checks_failed']}")
    return "<br>".join([*lines, f"source: {row['origin']}"])
