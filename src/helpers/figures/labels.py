"""Where the label of a mark stands: beside it, or further off at the end of a line where there is no room beside it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.figures.style import FONT_SIZE

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
_LEADER_PX = (22, 28, 36, 46, 58, 72, 90, 110, 135)
"""How far from its mark the line to a label may end, nearest first."""
_DIRECTIONS = tuple(
    (sign * math.cos(math.radians(angle)), -math.sin(math.radians(angle)))
    for angle in (30, -30, 0, 15, -15, 45, -45, 60, -60, 80, -80, 90, -90)
    for sign in (1, -1)
)
_LEADER_KEEP_PX = 6
"""What a line to a label keeps from the middle of other marks."""
_TOUCHING_PX = 12
"""Two marks that lie on each other."""
_PARTS = 12
_LINE_PX = 4
"""What a label keeps from the points along a line."""
LEADER = "leader"
"""Name of the annotations that are labels at the end of a line."""
Point = tuple[float, float]
Size = tuple[float, float]
"""Width and height of a plot without its axes, in pixels."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def place(
    text: pd.Series,
    points: Sequence[Point],
    *sizes: Size,
    lines: Sequence[Point] = (),
    needed: Collection[object] = (),
) -> pd.DataFrame:
    """Return the labels: `text` and `place` beside their marks, and `leader`, the text at the end of a line.

    A label without a free place beside its mark is empty. If its index is `needed`, it chooses before the others, and
    where nothing is free, `leader` has its text and `x_px`, `y_px` where the line to it ends, from the mark.
    """
    plots = [_Plot(_scaled(points, sizes[0], size), _scaled(lines, sizes[0], size), size) for size in sizes]
    wanted = [number for number, index in enumerate(text.index) if index in needed and text.iloc[number]]
    others = [number for number, label in enumerate(text) if label and number not in wanted]
    boxes = _boxes(plots, list(text))
    places = _places(plots, boxes, wanted, [])
    drawn = [boxes[number, at] for number, at in places.items()]
    leaders = {}
    for number in wanted:
        if number not in places and (end := _leader(plots, number, text.iloc[number], drawn)):
            leaders[number] = end
            drawn.append([_led_box(*plot.points[number], text.iloc[number], end) for plot in plots])
            drawn += _along([plot.points[number] for plot in plots], end)
    places |= _places(plots, boxes, others, drawn)
    rows = [
        (
            _apart(label, places[number]) if number in places else "",
            places.get(number, PLACES[0][0]),
            label if number in leaders else "",
            *leaders.get(number, (0, 0)),
        )
        for number, label in enumerate(text)
    ]
    columns = ["text", "place", "leader", "x_px", "y_px"]
    return pd.DataFrame(rows, columns=columns, index=text.index, dtype=object)


def draw_leaders(
    fig: go.Figure, x: pd.Series, y: pd.Series, colours: pd.Series, broad: pd.DataFrame, narrow: pd.DataFrame
) -> None:
    """Add the labels at the end of a line, to the marks at `x`, `y`: `broad` on a wide plot, `narrow` on a phone.

    Colours are those of the light theme. book/_static/figures.js takes the ones of a phone from `layout.meta`.
    """
    logarithmic = fig.layout.yaxis.type == "log"
    height = y.astype(float).map(math.log10) if logarithmic else y

    def annotations(frame: pd.DataFrame) -> list[dict[str, Any]]:
        led = frame.assign(x=x, y=height, colour=colours)[frame["leader"] != ""]
        return [
            {
                "name": LEADER,
                "text": row["leader"],
                "x": row["x"],
                "y": row["y"],
                "ax": row["x_px"],
                "ay": row["y_px"],
                "xanchor": "left" if row["x_px"] > 0 else "right" if row["x_px"] < 0 else "center",
                "yanchor": "middle",
                "showarrow": True,
                "arrowhead": 0,
                "arrowwidth": 1,
                "standoff": 5,
                "startstandoff": 2,
                "borderpad": 0,
                "arrowcolor": row["colour"],
                "font": {"size": FONT_SIZE - 1, "color": row["colour"]},
            }
            for row in led.to_dict("records")
        ]

    for annotation in annotations(broad):
        fig.add_annotation(annotation)
    if on_phone := annotations(narrow):
        fig.update_layout(meta={"narrow": on_phone})


def _boxes(plots: Sequence["_Plot"], labels: Sequence[str]) -> dict[tuple[int, str], list[Box]]:
    """Return the box of each label at each place, in all plots."""
    return {
        (number, name): [_box(*plot.points[number], label, dx, dy) for plot in plots]
        for number, label in enumerate(labels)
        for name, dx, dy in PLACES
    }


def _places(
    plots: Sequence["_Plot"],
    boxes: Mapping[tuple[int, str], list[Box]],
    numbers: Collection[int],
    drawn: Sequence[list[Box]],
) -> dict[int, str]:
    """Choose text positions for labels so that they hide no other label and keep away from other points and lines.

    That holds in all plots, and among the labels that are `drawn`. The label with the fewest free places chooses first,
    the place that leaves the most to the others; one without any is not in the result. A position, unlike an offset in
    data, survives a change of size.
    """
    free = {
        number: [
            name
            for name, *_ in PLACES
            if all(
                plot.is_free(box, number) and not any(_overlap(box, other[at]) for other in drawn)
                for at, (plot, box) in enumerate(zip(plots, boxes[number, name], strict=True))
            )
        ]
        for number in numbers
    }
    first: set[int] = set()
    attempts = [_choose(free, boxes, first)]
    for _ in numbers:  # what found no place is tried again as one of the first to choose
        lacking = {number for number, places in free.items() if places} - set(attempts[-1])
        if not lacking - first:
            break
        first |= lacking
        attempts.append(_choose(free, boxes, first))
    return max(attempts, key=len)


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


def _leader(
    plots: Sequence["_Plot"], number: int, label: str, drawn: Sequence[list[Box]]
) -> tuple[int, int] | None:
    """Return where a line from a mark to its label ends, from the mark: the nearest place that hides nothing."""
    for length in _LEADER_PX:
        for x, y in _DIRECTIONS:
            end = (round(length * x), round(length * y))
            if all(
                plot.is_led(number, label, end, [boxes[at] for boxes in drawn])
                for at, plot in enumerate(plots)
            ):
                return end
    return None


def _along(marks: Sequence[Point], end: tuple[int, int]) -> list[list[Box]]:
    """Return small boxes along a line to a label, in all plots, which other labels keep clear of."""
    ways = [(part / _PARTS * end[0], part / _PARTS * end[1]) for part in range(2, _PARTS + 1)]
    return [[(x + dx - 2, y + dy - 2, x + dx + 2, y + dy + 2) for x, y in marks] for dx, dy in ways]


def _led_box(x: float, y: float, label: str, end: tuple[int, int]) -> Box:
    wide, high = _size(label)
    left = x + end[0] if end[0] > 0 else x + end[0] - wide if end[0] < 0 else x - wide / 2
    return left, y + end[1] - high / 2, left + wide, y + end[1] + high / 2


def _apart(label: str, position: str) -> str:
    return {"middle right": _SPACE + label, "middle left": label + _SPACE}.get(position, label)


@dataclass(frozen=True)
class _Plot:
    """Marks and lines of a plot in pixels."""

    points: Sequence[Point]
    lines: Sequence[Point]
    size: Size

    def is_free(self, box: Box, number: int) -> bool:
        """Say whether a label of a point lies there inside, and nearer to it than to any other mark."""
        own = self.points[number]
        return self._is_clear(box, number, max(self._keep_px(), _apart_px(box, own)))

    def is_led(self, number: int, label: str, end: tuple[int, int], drawn: Sequence[Box]) -> bool:
        """Say whether a label may stand at the `end` of a line from its point, among those that are `drawn`."""
        box, (x, y) = _led_box(*self.points[number], label, end), self.points[number]
        steps = max(abs(end[0]), abs(end[1])) // 2
        line = [(x + end[0] * step / steps, y + end[1] * step / steps) for step in range(2, steps + 1)]
        # No line could keep clear of a mark that touches its own.
        others = [at for at in self.points if math.dist(at, (x, y)) > _TOUCHING_PX]
        return (
            self._is_clear(box, number, self._keep_px())
            and not any(_overlap(box, other) for other in drawn)
            and all(_apart_px(other, at) > 1 for other in drawn for at in line)
            and all(math.dist(at, other) > _LEADER_KEEP_PX for at in line[2:] for other in others)
        )

    def _is_clear(self, box: Box, number: int, keep_px: float) -> bool:
        inside = box[0] >= 0 and box[1] >= 0 and box[2] <= self.size[0] and box[3] <= self.size[1]
        return (
            inside
            and all(_apart_px(box, at) > keep_px for at in self.points if at != self.points[number])
            and all(_apart_px(box, at) > _LINE_PX for at in self.lines)
        )

    def _keep_px(self) -> float:
        return _NARROW_KEEP_PX if self.size[0] < _NARROW_PLOT_PX else _KEEP_PX


def _scaled(points: Sequence[Point], old: Size, new: Size) -> list[Point]:
    return [(x * new[0] / old[0], y * new[1] / old[1]) for x, y in points]


def _apart_px(box: Box, point: Point) -> float:
    """Return how far a point lies from a box; 0 inside."""
    return math.hypot(
        max(box[0] - point[0], 0.0, point[0] - box[2]), max(box[1] - point[1], 0.0, point[1] - box[3])
    )


def _box(x: float, y: float, label: str, dx: int, dy: int) -> Box:
    wide, high = _size(label)
    beside = _CORNER_PX if dy else _MIDDLE_PX
    left = x + beside if dx > 0 else x - beside - wide if dx < 0 else x - wide / 2
    top = y + _ABOVE_PX if dy > 0 else y - _ABOVE_PX - high if dy < 0 else y - high / 2
    return left, top, left + wide, top + high


def _size(label: str) -> Size:
    return sum(_NARROW_PX if letter in _NARROW else _LETTER_PX for letter in label), FONT_SIZE - 1


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
