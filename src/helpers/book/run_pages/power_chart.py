"""The power time line of a run as a drawing in the page: no script, and in the colours of the page."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.core import units
from helpers.metering.timeline import read_about, read_timeline

if TYPE_CHECKING:
    import pandas as pd

WIDTH, HEIGHT = 1000.0, 100.0
"""Of the drawing's own coordinates; the page stretches them."""
BINS = 400
"""Each gives its lowest and its highest value, so that no peak is lost."""
POWER = ":power_w"
GPU_POWER = (":power_instant_w", ":power_average_w")
CPU_LOAD = "cpu_load_percent"


@dataclass(frozen=True)
class Line:
    """One column of a time line: what it is, in which unit, and its values over time."""

    title: str
    unit: str
    times_s: Sequence[float]
    values: Sequence[float]

    @property
    def top(self) -> float:
        """End of the axis: a round number that is not below the highest value."""
        return _round_up(max(self.values))


def power_lines(file: Path) -> str:
    """Return the drawings of a `power.parquet`, and how it was taken.

    Raises:
        UserError: one line where the file is no power time line.
    """
    frame, about = read_timeline(file), read_about(file)
    lines = lines_of(frame)
    drawings = "".join(drawing(line) for line in lines)
    missing = "" if any(line.unit == "W" for line in lines) else _NO_POWER
    taken = (
        f"{about.rows} rows, one every {about.period_s:g} s, {about.missed} missed; recording them kept one core "
        f"{about.own_cpu_percent:.1f} % busy."
    )
    return f'{missing}{drawings}<p class="note">{taken}</p>'


def lines_of(frame: "pd.DataFrame") -> list[Line]:
    """Return what is drawn of a time line: the power of each part that was measured, and the load of the CPU."""
    names = [str(name) for name in frame]
    lines = [_line(frame, name, f"CPU {_middle(name)}", "W") for name in names if name.endswith(POWER)]
    for gpu in [name.removesuffix(GPU_POWER[0]) for name in names if name.endswith(GPU_POWER[0])]:
        column = next((gpu + ending for ending in GPU_POWER if _known(frame, gpu + ending)), None)
        if column:
            lines.append(_line(frame, column, f"GPU {_middle(column)}", "W"))
    if CPU_LOAD in frame:
        lines.append(_line(frame, CPU_LOAD, "Load of the whole CPU", "%"))
    return [line for line in lines if len(line.values) > 1]


def drawing(line: Line) -> str:
    """Return a line as an SVG with its axes as text beside it, so that letters keep their size on a phone."""
    seconds = line.times_s[-1] - line.times_s[0]
    mean, highest = (
        f"{units.significant(value, 2)}{units.THIN}{line.unit}"
        for value in (sum(line.values) / len(line.values), max(line.values))
    )
    length = f"{units.significant(seconds, 2)}{units.THIN}s"
    caption = f"{line.title} over {length}: mean {mean}, highest {highest}"
    grid = "".join(f'<line x1="0" x2="{WIDTH:g}" y1="{y:g}" y2="{y:g}"/>' for y in (0, HEIGHT / 2, HEIGHT))
    return (
        f'<figure class="power-line"><figcaption>{html.escape(caption)}</figcaption><div class="plane">'
        f'<div class="scale" aria-hidden="true"><span>{line.top:g}{units.THIN}{line.unit}</span>'
        f"<span>{line.top / 2:g}</span><span>0</span></div>"
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img" aria-label="{html.escape(caption)}">'
        f'<g class="grid">{grid}</g><polyline points="{_points(line)}"/></svg></div>'
        f'<div class="seconds" aria-hidden="true"><span>0</span><span>{units.significant(seconds / 2, 2)}</span>'
        f"<span>{length}</span></div></figure>"
    )


_NO_POWER = "<p>No power could be measured on this machine: neither RAPL nor a GPU. The line shows how busy the CPU was.</p>"


def _line(frame: "pd.DataFrame", column: str, title: str, unit: str) -> Line:
    measured = frame[["time_s", column]].dropna()
    return Line(title, unit, measured["time_s"].tolist(), measured[column].tolist())


def _known(frame: "pd.DataFrame", column: str) -> bool:
    return column in frame and bool(frame[column].notna().any())


def _middle(column: str) -> str:
    """Return the part of a column's name that says which one: `nvml:GPU-1:power_instant_w`."""
    return column.partition(":")[2].rpartition(":")[0]


def _points(line: Line) -> str:
    start, seconds = line.times_s[0], line.times_s[-1] - line.times_s[0]
    size = max(1, len(line.values) // BINS)
    chosen: list[int] = []
    for first in range(0, len(line.values), size):
        among = range(first, min(first + size, len(line.values)))
        ends = {min(among, key=line.values.__getitem__), max(among, key=line.values.__getitem__)}
        chosen += sorted(ends | ({among[0]} if first == 0 else set()) | {among[-1]})
    top = line.top  # looks at all values, so not once for each point
    return " ".join(
        f"{WIDTH * (line.times_s[index] - start) / seconds:.1f},{HEIGHT * (1 - line.values[index] / top):.1f}"
        for index in chosen
    )


def _round_up(value: float) -> float:
    """Return the next of 1, 2 or 5 times a power of ten; 1 for nothing at all."""
    size = 1e-3
    while value > 0:
        for factor in (1, 2, 5):
            if value <= factor * size:
                return factor * size
        size *= 10
    return 1.0
