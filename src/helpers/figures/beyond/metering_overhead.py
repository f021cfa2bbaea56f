"""What the meter is worth on the machines where its benches ran: errors by length of the task, and overhead.

Two ratios to the long run of the same task: of the energy of a pass, and of the mean power, that is energy by duration. The
machine's speed differs from run to run, which is in the first and not in the second.
"""

from collections.abc import Sequence
from typing import Any

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
    Tool,
    cell_table,
    gpu_table,
    load_sentence,
    overhead_table,
    tool_table,
)

WINDOWS, NAIVE = "ours", ("codecarbon-15", "codecarbon-1")
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
_NONE = "No benchmark of the meter has been run yet: make bench-meter."


_COLUMNS = (
    *("machine", "tool", "length_s", "passes", "repeats", "duration_s", "long_duration_s", "duration_ratio"),
    *("energy_wh", "long_energy_wh", "energy_ratio", "power_ratio", "load_by_others_percent", "origin"),
)
_RATIOS = ("energy_ratio", "power_ratio", "power_ratio_low", "power_ratio_high")


def protocol(meters: Sequence[tuple[str, MeterBench]], gpus: Sequence[tuple[str, GpuBench]] = ()) -> Figure:
    """Show the benches of the meter (`helpers.results.overhead`), each with the path of its file."""
    return draw(rows(meters), overheads(meters), meters, gpus)


def rows(meters: Sequence[tuple[str, MeterBench]]) -> pd.DataFrame:
    """Return what each tool reports of a pass, by the length of the task, relative to the long run of the same task.

    `energy_ratio` is that of the energy of a pass, `power_ratio` that of the mean power, which is energy per second of
    work; `power_ratio_low` and `power_ratio_high` are the lowest and highest of the repeats. Absent is null.
    """
    cells = [_row(file, bench, cell) for file, bench in meters for cell in bench.cells]
    table = pd.DataFrame(cells, columns=[*_COLUMNS, "power_ratio_low", "power_ratio_high"])
    return table.astype(dict.fromkeys(_RATIOS, float))


def overheads(meters: Sequence[tuple[str, MeterBench]]) -> pd.DataFrame:
    """Return by how many percent measuring lengthens what is measured: medians with their 95 % intervals."""
    columns = ["what", "pairs", "block_s", "median_percent", "low_percent", "high_percent"]
    return pd.DataFrame(
        [item.model_dump() for _, bench in meters for item in bench.overheads], columns=columns
    )


def draw(
    cells: pd.DataFrame,
    costs: pd.DataFrame,
    meters: Sequence[tuple[str, MeterBench]],
    gpus: Sequence[tuple[str, GpuBench]],
) -> Figure:
    """Draw the mean powers among the `rows`; tables have the rest of the benches, and the `overheads` (`costs`)."""
    body = "".join(_tables(bench) for _, bench in meters) or parts.paragraph(_NONE)
    body += "".join(_gpu(bench) for _, bench in gpus) or parts.paragraph(
        "Counter, power time line and CodeCarbon on a GPU have not been compared yet: make bench-gpu-meter."
    )
    drawn = cells[cells["power_ratio"].notna()]
    return Figure(
        name="protocol",
        label="How accurate is our meter?",
        finding=_finding(cells, costs),
        note=(
            "1.0 is correct. Each tool measured each task in a process of its own, and then the same task repeated for a long "
            "time. Its mean power, the energy of a pass per second of work, is divided by that of the long run, so that only "
            "what the tool loses or adds matters, not what it counts or how fast the machine is. The table also gives ratios of "
            "the energy of a pass, which depend on the speed of the machine. Bars: lowest and highest of the repeats."
        ),
        data=cells[list(_COLUMNS)],
        function="helpers.figures.beyond.metering_overhead.protocol",
        panels=[
            _panel(bench, drawn[drawn["origin"] == file])
            for file, bench in meters
            if file in set(drawn["origin"])
        ],
        body=body,
        inputs=[file for file, _ in (*meters, *gpus)],
    )


def _row(file: str, bench: MeterBench, cell: Cell) -> dict[str, object]:
    low, high = cell.power_range
    return {
        **cell.model_dump(),
        "machine": bench.where.machine,
        "duration_ratio": cell.duration_ratio,
        "energy_ratio": cell.energy_ratio,
        "power_ratio": cell.power_ratio,
        "power_ratio_low": low,
        "power_ratio_high": high,
        "load_by_others_percent": cell.others_percent,
        "origin": file,
    }


def _finding(cells: pd.DataFrame, costs: pd.DataFrame) -> str:
    windows = _ratios(cells[cells["tool"] == WINDOWS])
    if windows is None:
        return _NONE
    naive = _ratios(cells[cells["tool"].isin(NAIVE)])
    lengths = cells["length_s"]
    span = (
        f"For tasks of {units.duration(lengths.min())} to {units.duration(lengths.max())}, our meter's windows report {windows} "
        "of the same work in a long run"
    )
    start_and_stop = "" if naive is None else f". CodeCarbon with start and stop reports {naive}"
    return f"{span}{start_and_stop}{_largest_overhead(costs)}."


def _ratios(cells: pd.DataFrame) -> str | None:
    """Name both ratios of a tool's tasks; None where it gave no energy."""
    power, energy = _span(cells["power_ratio"]), _span(cells["energy_ratio"])
    return power and energy and f"{power} times the mean power and {energy} times the energy"


def _largest_overhead(costs: pd.DataFrame) -> str:
    if costs.empty:
        return ""
    worst = costs.nlargest(1, "median_percent").iloc[0]
    return (
        f". Measuring by {worst['what']} changes the measured duration by {worst['median_percent']:+.1f}{units.THIN}% "
        f"({worst['low_percent']:+.1f} to {worst['high_percent']:+.1f}{units.THIN}%)"
    )


def _span(ratios: pd.Series) -> str | None:
    low, high = ratios.min(), ratios.max()
    return None if pd.isna(low) else f"{units.significant(low, 3)} to {units.significant(high, 3)}"


def _panel(bench: MeterBench, cells: pd.DataFrame) -> Panel:
    figure = go.Figure()
    style.layout(figure, height=360)
    tools = [tool for tool in bench.tools if tool.name in set(cells["tool"])]
    for number, tool in enumerate(tools):
        beside = 10 ** (_APART * (number - (len(tools) - 1) / 2))
        figure.add_trace(_trace(tool, cells[cells["tool"] == tool.name], beside))
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
    spans = [f"{tool.title}: {_span(cells.loc[cells['tool'] == tool.name, 'power_ratio'])}" for tool in tools]
    return Panel(
        name=bench.where.machine,
        title=bench.where.machine,
        note=load_sentence(bench),
        figure=figure,
        alt=f"Mean power by length of the task, relative to a long run, on {bench.where.machine}. {'; '.join(spans)}",
        wide=True,
    )


def _trace(tool: Tool, cells: pd.DataFrame, beside: float) -> go.Scatter:
    light, dark, symbol = _LOOKS[tool.name]
    cells = cells.sort_values("length_s", kind="stable")
    drawn = cells[["power_ratio", "power_ratio_low", "power_ratio_high"]].clip(upper=_TOP)
    return go.Scatter(
        x=cells["length_s"] * beside,
        y=drawn["power_ratio"],
        mode="lines+markers",
        name=tool.title,
        hovertext=[_hover(tool, cell) for _, cell in cells.iterrows()],
        hoverinfo="text",
        line={"color": light, "width": 1.5},
        marker={"symbol": symbol, "size": 9, "color": light, "line": {"width": 1, "color": style.PAPER}},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": drawn["power_ratio_high"] - drawn["power_ratio"],
            "arrayminus": drawn["power_ratio"] - drawn["power_ratio_low"],
            "thickness": 1.5,
            "width": 0,
            "color": light,
        },
        meta=style.themed(light, dark),
    )


def _hover(tool: Tool, cell: "pd.Series[Any]") -> str:
    power, energy = (units.significant(cell[name], 3) for name in ("power_ratio", "energy_ratio"))
    return (
        f"{tool.title}<br>task of {units.duration(cell['length_s'])}, {cell['passes']} passes<br>"
        f"mean power {power} and energy {energy} times those of the long run<br>"
        f"{units.energy(cell['energy_wh'], 3)} per pass, long run {units.energy(cell['long_energy_wh'], 3)}"
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
        return f"By {item.what}: the whole interval meets the goal."
    if item.low_percent > GOAL_PERCENT:
        return f"By {item.what}: the goal is missed."
    return (
        f"By {item.what}: between {item.low_percent:+.1f} and {item.high_percent:+.1f} %, so it is open whether the goal of "
        f"{GOAL_PERCENT:g} % is met."
    )


def _edge(bench: MeterBench) -> str:
    return f"In addition to the work, opening and closing a window takes {units.duration(bench.edge_s)}."


def _gpu(bench: GpuBench) -> str:
    gpus = ", ".join(sorted({gpu.model for gpu in bench.where.gpus}))
    return html_table(
        gpu_table(bench),
        f"Energy per pass of one GPU ({gpus}) by its counter, and other sources relative to it",
        ("Duration", "Counter", "Power of the moment", "Averaged power", "CodeCarbon"),
    )
