"""The look of all figures: colours and markers by family, axes, places for labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from helpers.units import energy_tick

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
FONT_SIZE = 13
TEXT, GRID, PAPER = "#1f2328", "#e3e5e8", "#ffffff"
"""Light theme; book/_static/figures.js has the dark one and switches."""


@dataclass(frozen=True)
class FamilyStyle:
    """Colour (Okabe-Ito) and marker of a model family, both, for readers who see colours differently."""

    title: str
    light: str
    dark: str
    symbol: str


FAMILIES = {
    "Traditional": FamilyStyle("Traditional", "#009E73", "#2CC39A", "circle"),
    "Other LLM": FamilyStyle("LLM", "#0072B2", "#6BB5F0", "square"),
    "Deepseek": FamilyStyle("LLM, reasoning", "#D55E00", "#FF9354", "diamond"),
}


@dataclass(frozen=True)
class ComponentStyle:
    """Colour of a component of the energy; estimated ones are hatched."""

    title: str
    light: str
    dark: str


COMPONENTS = {
    "cpu": ComponentStyle("CPU", "#CC79A7", "#E3A3C6"),
    "gpu": ComponentStyle("GPU", "#56B4E9", "#7CC8F2"),
    "ram": ComponentStyle("Memory", "#E69F00", "#F2B83D"),
}
SYMBOLS = {"measured": "", "partly-measured": "-dot", "estimated": "-x", "missing": "-x"}
"""What is added to the marker of a run of ours, by how its energy was got; with CPU and GPU missing, memory's rule is left."""
HATCH = "/"
"""Pattern of everything that was estimated, not measured."""
NOT_MEASURED = "not measured on this machine"


def layout(fig: go.Figure, height: int) -> None:
    """Give a figure the common look: light grid, no frame, transparent, the page's font."""
    title = {"title": {"font": {"size": FONT_SIZE}}}  # in the template, which a later title keeps
    fig.update_layout(
        template={"layout": {"xaxis": title, "yaxis": title}},
        height=height,
        font={"family": FONT, "size": FONT_SIZE, "color": TEXT},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        modebar={"bgcolor": "rgba(0,0,0,0)"},
        legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
        hoverlabel={"font": {"family": FONT}, "align": "left"},
    )
    fig.update_xaxes(gridcolor=GRID, zeroline=False, showline=False, automargin=True)
    fig.update_yaxes(gridcolor=GRID, zeroline=False, showline=False, automargin=True)


def not_measured(fig: go.Figure) -> None:
    """Say in an empty plot that nothing was measured, and draw no axes."""
    fig.add_annotation(text=NOT_MEASURED, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    fig.update_xaxes(visible=False)
    fig.update_yaxes(visible=False)


def themed(
    light: str,
    dark: str,
    filled: bool = True,
    broad: pd.DataFrame | None = None,
    narrow: pd.DataFrame | None = None,
) -> dict[str, object]:
    """Return the `meta` of a trace that book/_static/figures.js reads: colours of the themes, labels by width.

    `filled` marks take an outline in the colour of the page, others one in their own. `broad` and `narrow`
    are the labels on a wide and on a narrow plot: columns `text` and `place`, one row per point.
    """
    meta: dict[str, object] = {"light": light, "dark": dark, "filled": filled}
    for width, labels in (("broad", broad), ("narrow", narrow)):
        if labels is not None:
            meta[width] = labels.to_dict("list")
    return meta


PAD = 0.3
"""Room at both ends of an energy axis, in decades."""


def energy_axis(fig: go.Figure, low: int, high: int, axis: Literal["x", "y"] = "y", every: int = 1) -> None:
    """Make an axis a logarithmic energy axis from 10**low to 10**high Wh, with units in its labels.

    A label stands at each decade, or at multiples of `every` where there is little room and more than one of them.
    """
    decades = range(low, high + 1)
    sparse = [exponent for exponent in decades if exponent % every == 0]
    exponents = sparse if len(sparse) > 1 else list(decades)
    update = fig.update_yaxes if axis == "y" else fig.update_xaxes
    update(
        type="log",
        range=[low - PAD, high + PAD],
        tickvals=[10.0**e for e in exponents],
        ticktext=[energy_tick(e) for e in exponents],
        minor={"ticks": ""},
    )


PLACES = (
    ("middle right", 1, 0),
    ("middle left", -1, 0),
    ("top center", 0, -1),
    ("bottom center", 0, 1),
    ("top right", 1, -1),
    ("bottom right", 1, 1),
    ("top left", -1, -1),
    ("bottom left", -1, 1),
)
"""Plotly's text positions and the direction of the label, x to the right and y down."""


def place_labels(
    points: Sequence[tuple[float, float]], labels: Sequence[str], width: float, height: float
) -> list[str]:
    """Choose a text position for each label so that it hides no point and no other label.

    `points` are pixels in a plot of `width` x `height`; labels are placed greedily in their order, an
    empty label takes no room. A position, unlike an offset in data, survives a change of size.
    """
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in points]
    chosen = []
    for (x, y), label in zip(points, labels, strict=True):
        boxes = [_box(x, y, label, dx, dy) for _, dx, dy in PLACES]
        costs = [_cost(box, taken, (x, y), width, height) for box in boxes]
        best = costs.index(min(costs))
        if label:
            taken.append(boxes[best])
        chosen.append(PLACES[best][0])
    return chosen


Box = tuple[float, float, float, float]


def _box(x: float, y: float, label: str, dx: int, dy: int) -> Box:
    wide, high, gap = 0.56 * FONT_SIZE * len(label), 1.1 * FONT_SIZE, 7
    left = x + gap if dx > 0 else x - gap - wide if dx < 0 else x - wide / 2
    top = y + gap if dy > 0 else y - gap - high if dy < 0 else y - high / 2
    return left, top, left + wide, top + high


def _cost(box: Box, taken: Sequence[Box], point: tuple[float, float], width: float, height: float) -> float:
    own = (point[0] - 7, point[1] - 7, point[0] + 7, point[1] + 7)
    hidden = sum(_overlap(box, other) for other in taken if other != own)
    outside = max(0.0, -box[0]) + max(0.0, box[2] - width) + max(0.0, -box[1]) + max(0.0, box[3] - height)
    return hidden + 20 * outside


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
