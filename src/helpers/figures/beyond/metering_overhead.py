"""What the meter is worth on the machines where its benches ran: errors by length of the task, and overhead.

Two ratios to the long run of the same task: of the energy of a pass, and of the mean power, that is energy by duration. The
machine's speed differs from run to run, which is in the first and not in the second.
"""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.display import Figure, Panel, html_table
from helpers.figures.plots import tables as parts
from helpers.results.overhead import (
    GOAL_PERCENT,
    Cell,
    GpuBench,
    MeterBench,
    Overhead,
    cell_table,
    gpu_table,
    load_sentence,
    overhead_table,
    tool_table,
)

OURS, NAIVE = "ours", ("codecarbon-15", "codecarbon-1")
_LOOKS = {
    "ours": ("#009E73", "#2CC39A", "circle"),
    "codecarbon-15": ("#D55E00", "#FF9354", "square"),
    "codecarbon-1": ("#E69F00", "#F2B83D", "diamond"),
    "zeus": ("#0072B2", "#6BB5F0", "cross"),
    "perun": ("#56B4E9", "#7CC8F2", "x"),
    "carbontracker": ("#CC79A7", "#E3A3C6", "triangle-up"),
    "experiment-impact-tracker": ("#57606a", "#9aa4ae", "star"),
}
"""Colour in both themes (Okabe-Ito) and marker of a tool."""
_TOP = 2.0
"""End of the axis; what lies above is drawn at it and has its value in the hover."""
_APART = 0.045
"""Decades between the marks of two tools at one length, so that their bars can be told apart."""
_NONE = "No bench of the meter has been run yet: make bench-meter."


def protocol(meters: Sequence[tuple[str, MeterBench]], gpus: Sequence[tuple[str, GpuBench]] = ()) -> Figure:
    """Show the benches of the meter (`helpers.results.overhead`), each with the path of its file.

    What each tool reports of a pass, by the length of the task, relative to the long run of the same task by
    the same tool: energy of a pass in the table, mean power (energy per second of work) in table and figure.
    """
    data = pd.DataFrame(
        [_row(file, bench, cell) for file, bench in meters for cell in bench.cells], columns=list(_COLUMNS)
    )
    body = "".join(_tables(bench) for _, bench in meters) or parts.paragraph(_NONE)
    body += "".join(_gpu(bench) for _, bench in gpus) or parts.paragraph(
        "Counter, power time line and CodeCarbon on a GPU have not been compared yet: make bench-gpu-meter."
    )
    return Figure(
        name="protocol",
        label="Benches of the meter",
        finding=_finding([bench for _, bench in meters]),
        note=(
            "One is right. Each tool measured each task in a process of its own and was then given the same task repeated "
            "for long; its mean power, the energy of a pass per second of work, is divided by that of the long run, so that "
            "neither what the tool counts nor the speed of the machine matters, only what it loses or adds. Ratios of the "
            "energy of a pass, which the speed of the machine changes, stand in the table. Bars: lowest and highest of the "
            "repeats."
        ),
        data=data,
        function="helpers.figures.beyond.metering_overhead.protocol",
        panels=[_panel(bench) for _, bench in meters if any(cell.power_ratio for cell in bench.cells)],
        body=body,
        inputs=[file for file, _ in (*meters, *gpus)],
    )


_COLUMNS = (
    "machine",
    "tool",
    "length_s",
    "passes",
    "repeats",
    "duration_s",
    "long_duration_s",
    "duration_ratio",
    "energy_wh",
    "long_energy_wh",
    "energy_ratio",
    "power_ratio",
    "load_by_others_percent",
    "origin",
)


def _row(file: str, bench: MeterBench, cell: Cell) -> dict[str, object]:
    return {
        "machine": bench.where.machine,
        "tool": cell.tool,
        "length_s": cell.length_s,
        "passes": cell.passes,
        "repeats": cell.repeats,
        "duration_s": cell.duration_s,
        "long_duration_s": cell.long_duration_s,
        "duration_ratio": cell.duration_ratio,
        "energy_wh": cell.energy_wh,
        "long_energy_wh": cell.long_energy_wh,
        "energy_ratio": cell.energy_ratio,
        "power_ratio": cell.power_ratio,
        "load_by_others_percent": cell.others_percent,
        "origin": file,
    }


def _finding(benches: Sequence[MeterBench]) -> str:
    cells = [cell for bench in benches for cell in bench.cells]
    ours = _ratios([cell for cell in cells if cell.tool == OURS])
    if ours is None:
        return _NONE
    naive = _ratios([cell for cell in cells if cell.tool in NAIVE])
    lengths = [cell.length_s for cell in cells]
    span = (
        f"Of tasks from {units.duration(min(lengths))} to {units.duration(max(lengths))}, windows give {ours} of the same "
        "work in a long run"
    )
    theirs = "" if naive is None else f"; CodeCarbon's start and stop, {naive}"
    return f"{span}{theirs}{_overhead_words(benches)}."


def _ratios(cells: Sequence[Cell]) -> str | None:
    """Name both ratios of a tool's tasks; None where it gave no energy."""
    power, energy = _span([cell.power_ratio for cell in cells]), _span([cell.energy_ratio for cell in cells])
    return power and energy and f"{power} times the mean power and {energy} times the energy"


def _overhead_words(benches: Sequence[MeterBench]) -> str:
    costs = [item for bench in benches for item in bench.overheads]
    if not costs:
        return ""
    worst = max(costs, key=lambda item: item.median_percent)
    return (
        f"; measuring by {worst.what} changes the measured duration by {worst.median_percent:+.1f}{units.THIN}% "
        f"({worst.low_percent:+.1f} to {worst.high_percent:+.1f}{units.THIN}%)"
    )


def _span(ratios: Sequence[float | None]) -> str | None:
    known = [ratio for ratio in ratios if ratio is not None]
    if not known:
        return None
    return f"{units.significant(min(known), 3)} to {units.significant(max(known), 3)}"


def _panel(bench: MeterBench) -> Panel:
    figure = go.Figure()
    style.layout(figure, height=360)
    known = {
        tool: [cell for cell in bench.cells if cell.tool == tool.name and cell.power_ratio is not None]
        for tool in bench.tools
    }
    shown = [tool for tool in bench.tools if known[tool]]
    for place, tool in enumerate(shown):
        beside = 10 ** (_APART * (place - (len(shown) - 1) / 2))
        figure.add_trace(_trace(tool.name, tool.title, known[tool], beside))
    lengths = sorted({cell.length_s for cell in bench.cells})
    figure.update_xaxes(
        type="log",
        title="Length of the task",
        tickvals=lengths,
        ticktext=[units.duration(length, 1) for length in lengths],
        minor={"ticks": ""},
    )
    figure.update_yaxes(title="Mean power, relative to a long run", range=[0, _TOP * 1.03])
    figure.add_hline(y=1, line={"color": "#8a9099", "width": 1, "dash": "dot"}, layer="below")
    return Panel(
        name=bench.where.machine,
        title=bench.where.machine,
        note=load_sentence(bench),
        figure=figure,
        alt=f"Mean power by length of the task, relative to a long run, on {bench.where.machine}. "
        + "; ".join(
            f"{tool.title}: {span}"
            for tool in bench.tools
            if (span := _span([cell.power_ratio for cell in bench.cells if cell.tool == tool.name]))
        ),
        wide=True,
    )


def _times(ratio: float | None) -> str:
    return "unknown" if ratio is None else units.significant(ratio, 3)


def _trace(name: str, title: str, cells: Sequence[Cell], beside: float) -> go.Scatter:
    light, dark, symbol = _LOOKS[name]
    rows = pd.DataFrame(
        {
            "x": cell.length_s * beside,
            "y": cell.power_ratio,
            "low": cell.power_range[0],
            "high": cell.power_range[1],
            "hover": f"{title}<br>task of {units.duration(cell.length_s)}, {cell.passes} passes<br>"
            f"mean power {_times(cell.power_ratio)} and energy {_times(cell.energy_ratio)} times the long run's<br>"
            f"{units.energy(cell.energy_wh, 3)} per pass, long run {units.energy(cell.long_energy_wh, 3)}",
        }
        for cell in sorted(cells, key=lambda cell: cell.length_s)
    )
    shown = rows[["y", "low", "high"]].clip(upper=_TOP)
    return go.Scatter(
        x=rows["x"],
        y=shown["y"],
        mode="lines+markers",
        name=title,
        hovertext=rows["hover"],
        hoverinfo="text",
        line={"color": light, "width": 1.5},
        marker={"symbol": symbol, "size": 9, "color": light, "line": {"width": 1, "color": style.PAPER}},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": shown["high"] - shown["y"],
            "arrayminus": shown["y"] - shown["low"],
            "thickness": 1.5,
            "width": 0,
            "color": light,
        },
        meta=style.themed(light, dark),
    )


_NUMBERS = (
    "Duration",
    "Duration ratio",
    "Energy",
    "Energy ratio",
    "Power ratio",
    "Its range",
    "Load by others",
)


def _tables(bench: MeterBench) -> str:
    machine = bench.where.machine
    text = html_table(cell_table(bench), f"Per pass, by task and tool, on {machine}", _NUMBERS)
    text += html_table(tool_table(bench), "The tools, and what each could count there")
    text += html_table(
        overhead_table(bench),
        f"What measuring adds to the measured duration; goal: under {GOAL_PERCENT:g} %",
        ("Work", "Overhead", "95 % interval"),
    )
    return text + parts.remarks([*map(_verdict, bench.overheads), _edge(bench)])


def _verdict(item: Overhead) -> str:
    """Say what the interval allows to say."""
    if item.high_percent < GOAL_PERCENT:
        return f"By {item.what}: the goal is met, with its whole interval."
    if item.low_percent > GOAL_PERCENT:
        return f"By {item.what}: the goal is missed."
    return f"By {item.what}: the goal lies inside the interval, so this machine was too unsteady to tell."


def _edge(bench: MeterBench) -> str:
    return f"Beside the work, opening and closing a window takes {units.duration(bench.edge_s)}."


def _gpu(bench: GpuBench) -> str:
    gpus = ", ".join(sorted({gpu.model for gpu in bench.where.gpus}))
    return html_table(
        gpu_table(bench),
        f"Energy per pass of one GPU ({gpus}) by its counter, and other sources relative to it",
        ("Duration", "Counter", "Power of the moment", "Averaged power", "CodeCarbon"),
    )
