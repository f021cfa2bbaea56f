"""Horizontal bars grouped by model, which Figures 2 to 5 share: places, axes, and the panels of Figures 3 to 5.

Bars start at zero and axes are linear, as in print: the length of a bar is what it says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.display import Panel
from helpers.figures.hover import hover_text
from helpers.figures.plots.tables import listed
from helpers.results.accounting import energies
from helpers.results.tables import select_sequential
from helpers.study.catalogue import model_title, study

KEY = ["source", "machine", "dataset", "model"]
"""What runs have in common that differ in their GPUs or nodes only."""
ACCOUNTING = "Energy is CPU, GPU and memory added up as in the paper; of our runs, the part that was estimated is hatched."
_BAR_PX = 19
_TICKS = 3
_ROOM = 1.9
"""Length of the value axis over its longest bar, so that the label at the bar's end fits."""
_DATA_COLUMNS = [
    *("dataset", "model", "family", "source", "machine"),
    *("gpu_model", "gpus", "gpus_origin", "nodes", "texts"),
    *("duration_s", "duration_uncertainty_s", "duration_sd_s"),
    *("energy_wh", "energy_uncertainty_wh", "energy_sd_wh", "energy_kind", "checks_failed", "origin"),
]


@dataclass(frozen=True)
class Quantity:
    """What a panel shows and where `results` has it: value, bound of its reading, spread over the splits."""

    name: str
    value: str
    bound: str
    spread: str
    text: Callable[[float | None, int], str]


DURATION = Quantity("duration", "duration_s", "duration_uncertainty_s", "duration_sd_s", units.duration)
ENERGY = Quantity("energy", "energy_wh", "energy_uncertainty_wh", "energy_sd_wh", units.energy)


@dataclass(frozen=True)
class Slots:
    """Places from top to bottom in units of a bar: of the bars, and of the headers above their groups."""

    bars: list[float]
    headers: list[tuple[float, str]]
    end: float


def slots(headers: Sequence[str]) -> Slots:
    """Place one bar per entry; equal neighbours are a group below their header, an empty header takes no room."""
    bars: list[float] = []
    above: list[tuple[float, str]] = []
    end = 0.0
    for header, group in groupby(headers):
        if header:
            above.append((end, header))
            end += 1
        for _ in group:
            bars.append(end)
            end += 1
        if header:
            end += 0.4
    return Slots(bars, above, end)


def axes(
    fig: go.Figure,
    places: Slots,
    names: Sequence[str],
    top: float,
    title: str,
    text: Callable[[float | None, int], str],
) -> None:
    """Name the bars, write the headers above their groups, and scale x from 0 to beyond `top`, title and unit below."""
    style.layout(fig, height=round(_BAR_PX * places.end) + 90)
    ticks = _ticks(top)
    labels, unit = _in_one_unit(ticks, text)
    fig.update_xaxes(
        range=[0, _ROOM * top],
        tickvals=ticks,
        ticktext=labels,
        tickangle=0,
        title={"text": f"{title} ({unit})", "standoff": 4},
        fixedrange=True,
    )
    fig.update_yaxes(
        range=[places.end - 0.4, -0.6],
        tickvals=places.bars,
        ticktext=[name.replace(" (", "<br>(") for name in names],  # the bars need the room
        showgrid=False,
        fixedrange=True,
        ticklabelstandoff=4,
    )
    for y, header in places.headers:
        fig.add_annotation(
            text=f"<b>{header}</b>", x=0, xref="x domain", xanchor="left", y=y, yshift=1, showarrow=False
        )


def _ticks(top: float) -> list[float]:
    """Return round values from 0 to `top`, at most four."""
    rough = top / _TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [float(step * i) for i in range(int(top / step * (1 + 1e-9)) + 1)]


def _in_one_unit(values: Sequence[float], text: Callable[[float | None, int], str]) -> tuple[list[str], str]:
    """Return the ticks' labels and their unit, that of the last one."""
    number, _, unit = text(values[-1], 3).partition(units.THIN)
    size = values[-1] / float(number)
    return [f"{value / size:g}" for value in values], unit


def bar(
    y: Sequence[float],
    x: Sequence[float],
    look: style.FamilyStyle | style.ComponentStyle,
    filled: bool,
    hatched: Sequence[bool],
    hover: Sequence[str],
) -> go.Bar:
    """Return bars: filled where measured, an outline over a tint where published, hatched where estimated."""
    red, green, blue = (int(look.light[i : i + 2], 16) for i in (1, 3, 5))
    # An empty pattern makes the outline: the script that switches themes sets the colour of all bars.
    # The legend shows the pattern as drawn only where it is one for the trace.
    solidity = [0.25 if hatch else 0 for hatch in hatched]
    pattern = {
        "shape": ["/" if hatch or not filled else "" for hatch in hatched],
        "solidity": solidity[0] if len(set(solidity)) == 1 else solidity,
        "fillmode": "overlay" if filled else "replace",
        "size": 6,
        "fgcolor": style.PAPER if filled else look.light,
    }
    if not filled:
        pattern["bgcolor"] = f"rgba({red},{green},{blue},0.18)"
    return go.Bar(
        y=list(y),
        x=list(x),
        orientation="h",
        width=0.78,
        name=look.title,
        showlegend=False,
        hovertext=list(hover),
        hoverinfo="text",
        marker={
            "color": look.light,
            "line": {"width": 1 if filled else 1.5, "color": style.PAPER if filled else look.light},
            "pattern": pattern,
        },
        meta=style.themed(look.light, look.dark, filled),
    )


def language_models(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of LLMs that are compared (`select_sequential`), with known GPUs."""
    rows = select_sequential(results)
    return rows[(rows["family"] != "Traditional") & rows["gpus"].notna()]


def in_order(rows: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Sort by model as in the study, then by the columns `by`; of sources, the published one comes first."""
    order = list(study().models)
    keys = rows.assign(_model=rows["model"].map(order.index), source=rows["source"].replace("published", ""))
    columns = list(dict.fromkeys(["_model", *by, "source"]))
    return rows.loc[keys.sort_values(columns, kind="stable").index]


def bound(rows: pd.DataFrame, quantity: Quantity) -> pd.Series:
    """Return how far off each value may be (about 95 %): its reading, or two standard errors over the splits."""
    spread = 2 * rows[quantity.spread].astype(float) / rows["splits"].astype(float) ** 0.5
    return rows[quantity.bound].astype(float).fillna(spread).fillna(0.0)


def data(rows: pd.DataFrame, *more: str) -> pd.DataFrame:
    """Return what a figure of this kind offers as CSV."""
    return rows[[*_DATA_COLUMNS[:-1], *more, "origin"]]


def published_or_all(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the published rows, which a finding is about, or all where none is published."""
    published = rows[rows["source"] == "published"]
    return published if len(published) else rows


def share(number: int, of: int) -> str:
    """Return a share in words, for example `all 17` or `2 of 17`."""
    return f"all {of}" if number == of > 1 else f"{'none' if number == 0 else number} of {of}"


def panels(rows: pd.DataFrame, alt: str) -> list[Panel]:
    """Draw duration and energy of rows of `results`, a pair of panels per dataset and family of LLMs.

    `rows` have, besides the columns of `results`: `header` (above a group of bars), `level` (name of a
    bar), and `duration_remark` and `energy_remark` (text behind the value). FKTG is always there.
    """
    chosen = []
    for dataset in study().datasets:
        for family in ("Other LLM", "Deepseek"):
            group = rows[(rows["dataset"] == dataset) & (rows["family"] == family)]
            if len(group) or dataset == "fktg":
                chosen += [_panel(group, dataset, family, quantity, alt) for quantity in (DURATION, ENERGY)]
    return chosen


def _panel(rows: pd.DataFrame, dataset: str, family: str, quantity: Quantity, alt: str) -> Panel:
    entry, look = study().datasets[dataset], style.FAMILIES[family]
    drawn = rows[rows[quantity.value].notna()]
    fig = go.Figure()
    if drawn.empty:
        style.layout(fig, height=200)
        style.not_measured(fig)
    else:
        _draw(fig, drawn, look, quantity)
    title = f"{look.title}: {quantity.name}" + ("" if dataset == "fktg" else f", {entry.title}")
    counts = f"{(drawn['source'] == 'published').sum()} published bars, {(drawn['source'] != 'published').sum()} measured."
    return Panel(
        name=f"{dataset}-{family.lower().replace(' ', '-')}-{quantity.name}",
        title=title,
        note=_note(rows, drawn, entry.title, quantity),
        figure=fig,
        alt=f"{title}, {counts} {alt}" if len(drawn) else f"{title}: {style.NOT_MEASURED}.",
    )


def _note(rows: pd.DataFrame, drawn: pd.DataFrame, dataset: str, quantity: Quantity) -> str:
    measured = sorted(set(drawn.loc[drawn["source"] != "published", "source"]))
    published = sorted(set(drawn.loc[drawn["source"] == "published", "machine"]))
    parts = []
    if published:
        names = [study().machines[name].title for name in published]
        parts.append(f"Published: {dataset} on {listed(names)}.")
    parts.append(f"Measured: {listed(measured)}." if measured else "Not measured by us.")
    lacking = rows.loc[~rows.index.isin(drawn.index), "model"].unique()
    if len(lacking):
        parts.append(f"No {quantity.name}, so not drawn: {listed([model_title(m) for m in lacking])}.")
    return " ".join(parts)


def _draw(fig: go.Figure, rows: pd.DataFrame, look: style.FamilyStyle, quantity: Quantity) -> None:
    places = slots(list(rows["header"]))
    axes(
        fig,
        places,
        _names(rows),
        float(rows[quantity.value].max()),
        quantity.name.capitalize(),
        quantity.text,
    )
    fig.update_layout(barmode="overlay", showlegend=False)
    placed = rows.assign(_y=places.bars)
    for published, part in placed.groupby(rows["source"] == "published", sort=False):
        fig.add_trace(_total(part, look, quantity, bool(published)))
        if quantity is ENERGY and not published:
            fig.add_trace(_measured_part(part, look))


def _names(rows: pd.DataFrame) -> list[str]:
    """Return the names of the bars; with the campaign where several stand in one plot."""
    measured = rows["source"] != "published"
    several_campaigns = rows.loc[measured, "source"].nunique() > 1
    campaign = (", " + rows["source"]).where(measured & several_campaigns, "")
    return list(rows["level"] + campaign)


def _total(rows: pd.DataFrame, look: style.FamilyStyle, quantity: Quantity, published: bool) -> go.Bar:
    by_rule = quantity is ENERGY and not published
    trace = bar(
        list(rows["_y"]),
        list(rows[quantity.value]),
        look,
        published is False,
        [by_rule] * len(rows),
        [hover_text(row) for _, row in rows.iterrows()],
    )
    values = [quantity.text(float(value), 3) for value in rows[quantity.value]]
    spread = rows[quantity.bound if published else quantity.spread].astype(float).fillna(0)
    return trace.update(
        text=[a + b for a, b in zip(values, rows[f"{quantity.name}_remark"], strict=True)],
        textposition="outside",
        cliponaxis=False,
        error_x={"array": list(spread), "thickness": 1, "width": 0, "color": style.TEXT},
    )


def _measured_part(rows: pd.DataFrame, look: style.FamilyStyle) -> go.Bar:
    measured = rows[energies(rows, "measured_only").notna()]
    return bar(
        list(measured["_y"]),
        list(energies(measured, "measured_only")),
        look,
        True,
        [False] * len(measured),
        [f"{hover_text(row)}<br>without what was estimated" for _, row in measured.iterrows()],
    )
