"""The look of all figures: colours and markers by family, axes, places for labels."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from helpers.core.units import energy_tick

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
SYMBOLS = {
    "printed": "-open",
    "digitised": "-open",
    "inferred": "-open-dot",
    "measured": "",
    "partly-measured": "-dot",
    "estimated": "-x",
    "missing": "-x",
}
"""What is added to a marker by how the energy of its run was got; with CPU and GPU missing, memory's rule is left."""
NOT_MEASURED = "not measured by us"


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
    ("top right", 1, -1),
    ("bottom right", 1, 1),
    ("top left", -1, -1),
    ("bottom left", -1, 1),
)
"""Plotly's text positions and the direction of the label, x to the right and y down; below the middle it touches its mark."""
_MIDDLE_PX, _CORNER_PX, _ABOVE_PX = 11, 8, 7
"""From the middle of a mark to a label beside it, with a space between, in its corner, and above or below it."""
_KEEP_PX, _NARROW_KEEP_PX, _NARROW_PLOT_PX = 7, 8.1, 480
"""What a label keeps from the middle of any other mark; more in a narrow plot, which names few of its marks."""
_SPACE = "\u00a0"
_NARROW, _NARROW_PX, _LETTER_PX = frozenset(" .,-fijlrtI"), 4.2, 8.2
"""Widths of letters in the font that has the widest ones of `FONT`, a little more rather than less."""
_LINE_PX = 4
"""What a label keeps from the points along a line."""
Point = tuple[float, float]
Size = tuple[float, float]
"""Width and height of a plot without its axes, in pixels."""


def labels(
    text: pd.Series, points: Sequence[Point], *sizes: Size, lines: Sequence[Point] = ()
) -> pd.DataFrame:
    """Return text and place of the labels, apart from their marks by a space, and empty where no place is free."""
    places = place_labels(points, list(text), *sizes, lines=lines)
    rows = [
        (_apart(label, position) if label and position else "", position or PLACES[0][0])
        for label, position in zip(text, places, strict=True)
    ]
    return pd.DataFrame(rows, columns=["text", "place"], index=text.index, dtype=object)


def place_labels(
    points: Sequence[Point], labels: Sequence[str], *sizes: Size, lines: Sequence[Point] = ()
) -> list[str | None]:
    """Choose a text position for each label so that it hides no other label and keeps away from other points and lines.

    That holds in plots of all `sizes`; `points`, and those along `lines`, are pixels in the first of them. The label with
    the fewest free places chooses first, the place that leaves the most to the others; one without any gets None, and
    an empty one takes no room. A position, unlike an offset in data, survives a change of size.
    """
    plots = [_Plot(_scaled(points, sizes[0], size), _scaled(lines, sizes[0], size), size) for size in sizes]
    boxes = {
        (number, name): [_box(*plot.points[number], label, dx, dy) for plot in plots]
        for number, label in enumerate(labels)
        for name, dx, dy in PLACES
    }
    free = {
        number: [
            name
            for name, *_ in PLACES
            if all(plot.is_free(box, number) for plot, box in zip(plots, boxes[number, name], strict=True))
        ]
        for number, label in enumerate(labels)
        if label
    }
    first: set[int] = set()
    attempts = [_choose(free, boxes, first)]
    for _ in labels:  # what found no place is tried again as one of the first to choose
        lacking = {number for number, places in free.items() if places} - set(attempts[-1])
        if not lacking - first:
            break
        first |= lacking
        attempts.append(_choose(free, boxes, first))
    best = max(attempts, key=len)
    return [best.get(number) if label else PLACES[0][0] for number, label in enumerate(labels)]


Box = tuple[float, float, float, float]


def _choose(
    free: Mapping[int, list[str]], boxes: Mapping[tuple[int, str], list[Box]], first: Collection[int]
) -> dict[int, str]:
    """Return the places of the labels that find one, if `first` choose before the others."""
    free, chosen = dict(free), {}
    while free:
        number = min(free, key=lambda number: (number not in first, len(free[number]), number))
        own = free.pop(number)
        if not own:
            continue
        hidden = {
            name: {
                (other, position)
                for other, positions in free.items()
                for position in positions
                if any(map(_overlap, boxes[number, name], boxes[other, position]))
            }
            for name in own
        }
        chosen[number] = min(own, key=lambda name: len(hidden[name]))
        lost = hidden[chosen[number]]
        free = {
            other: [position for position in positions if (other, position) not in lost]
            for other, positions in free.items()
        }
    return chosen


def _apart(label: str, position: str) -> str:
    return {"middle right": _SPACE + label, "middle left": label + _SPACE}.get(position, label)


@dataclass(frozen=True)
class _Plot:
    """Marks and lines of a plot in pixels."""

    points: Sequence[Point]
    lines: Sequence[Point]
    size: Size

    def is_free(self, box: Box, number: int) -> bool:
        """Say whether a label of a point lies there inside, and would not be read as that of another mark."""
        keep_px = _NARROW_KEEP_PX if self.size[0] < _NARROW_PLOT_PX else _KEEP_PX
        inside = box[0] >= 0 and box[1] >= 0 and box[2] <= self.size[0] and box[3] <= self.size[1]
        return (
            inside
            and all(_apart_px(box, at) > keep_px for at in self.points if at != self.points[number])
            and all(_apart_px(box, at) > _LINE_PX for at in self.lines)
        )


def _scaled(points: Sequence[Point], old: Size, new: Size) -> list[Point]:
    return [(x * new[0] / old[0], y * new[1] / old[1]) for x, y in points]


def _apart_px(box: Box, point: Point) -> float:
    """Return how far a point lies from a box; 0 inside."""
    return math.hypot(
        max(box[0] - point[0], 0.0, point[0] - box[2]), max(box[1] - point[1], 0.0, point[1] - box[3])
    )


def _box(x: float, y: float, label: str, dx: int, dy: int) -> Box:
    wide, high = sum(_NARROW_PX if letter in _NARROW else _LETTER_PX for letter in label), FONT_SIZE - 1
    beside = _CORNER_PX if dy else _MIDDLE_PX
    left = x + beside if dx > 0 else x - beside - wide if dx < 0 else x - wide / 2
    top = y + _ABOVE_PX if dy > 0 else y - _ABOVE_PX - high if dy < 0 else y - high / 2
    return left, top, left + wide, top + high


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
