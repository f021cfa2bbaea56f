"""Results of the benches of the meter (benchmarks/): what their files hold, and the tables made of them."""

from pathlib import Path
from typing import Literal, TypeVar

import pandas as pd
from pydantic import Field

from helpers.core import paths, units
from helpers.core.validation import Strict, parse_json
from helpers.records.environment import git_commit, git_dirty, utc_now
from helpers.records.hardware import Hardware
from helpers.records.storage import GpuInfo
from helpers.study.catalogue import NAME

GOAL_PERCENT = 1.0
"""What measuring may add to the measured duration."""


class Where(Strict):
    """The machine of a bench, and when it ran there."""

    created: str
    machine: str = Field(pattern=NAME)
    cpu_model: str
    cpu_cores: int = Field(ge=1)
    ram_gb: float = Field(gt=0)
    gpus: list[GpuInfo]
    git_commit: str | None
    git_dirty: bool | None


def here(hardware: Hardware) -> Where:
    """Return this machine, at this moment."""
    return Where(
        created=utc_now(),
        machine=hardware.name,
        cpu_model=hardware.cpu_model,
        cpu_cores=hardware.cpu_cores,
        ram_gb=hardware.ram_gb,
        gpus=list(hardware.gpus),
        git_commit=git_commit(),
        git_dirty=git_dirty(),
    )


class Tool(Strict):
    """A way to measure."""

    name: str
    title: str
    version: str | None
    """Null where it is not installed."""
    counts: str | None
    """What its energy holds on this machine."""
    problem: str | None
    """Why it gave nothing, or no energy."""


class Cell(Strict):
    """A task of one length, measured by one tool and repeated for long in the same process; values are per pass."""

    tool: str
    length_s: float = Field(gt=0)
    """Nominal length of the task."""
    repeats: int = Field(ge=1)
    """How often it was measured; the values are medians."""
    passes: int = Field(ge=1)
    """Passes in one measurement."""
    long_passes: int = Field(ge=1)
    long_duration_s: float = Field(gt=0)
    """In the long run, by a monotonic clock."""
    long_energy_wh: float | None
    """In the long run, by the same tool."""
    clock_s: float = Field(gt=0)
    """By a monotonic clock around the same passes."""
    duration_s: float | None
    """As the tool reports it."""
    energy_wh: float | None
    energy_lowest_wh: float | None
    energy_highest_wh: float | None
    others_percent: float
    """Load of the machine by others meanwhile, in percent of all cores."""

    @property
    def duration_ratio(self) -> float | None:
        """Reported duration by that of the long run."""
        return None if self.duration_s is None else self.duration_s / self.long_duration_s

    @property
    def energy_ratio(self) -> float | None:
        """Reported energy by that of the long run."""
        return _ratio(self.energy_wh, self.long_energy_wh)

    @property
    def power_ratio(self) -> float | None:
        """The same per second of work: what is left of `energy_ratio` where the machine was slower in one of both."""
        return self._per_second(self.energy_wh)

    @property
    def power_range(self) -> tuple[float | None, float | None]:
        """The power ratio of the lowest and the highest energy of the repeats."""
        return self._per_second(self.energy_lowest_wh), self._per_second(self.energy_highest_wh)

    def _per_second(self, energy_wh: float | None) -> float | None:
        ratio = _ratio(energy_wh, self.long_energy_wh)
        return None if ratio is None else ratio * self.long_duration_s / self.clock_s


class Overhead(Strict):
    """By how much measured work gets longer when it is measured: pairs with and without, in turn."""

    what: str
    pairs: int = Field(ge=15)
    block_s: float = Field(gt=0)
    """Median duration of the work."""
    median_percent: float
    low_percent: float
    """95 % interval of the median, by bootstrap."""
    high_percent: float


class MeterBench(Strict):
    """The file that `make bench-meter` writes."""

    schema_version: Literal[1] = 1
    where: Where
    load_before_percent: float
    """Load of the machine before the bench, in percent of all cores."""
    window_s: float = Field(gt=0)
    """The least window of ours."""
    tools: list[Tool]
    cells: list[Cell]
    overheads: list[Overhead]
    edge_s: float = Field(ge=0)
    """What a measurement of ours takes beside the work: median."""


class GpuCell(Strict):
    """A task on the GPU in one window; energies are of the GPU, per pass."""

    task: str
    passes: int = Field(ge=1)
    duration_s: float = Field(gt=0)
    counter_wh: float | None
    instant_wh: float | None
    """Integral of the power of the moment."""
    average_wh: float | None
    """Integral of the power that NVML averages."""
    codecarbon_wh: float | None
    problems: list[str]


class GpuBench(Strict):
    """The file that `make bench-gpu-meter` writes."""

    schema_version: Literal[1] = 1
    where: Where
    driver: str | None
    torch: str
    window_s: float = Field(gt=0)
    period_s: float = Field(gt=0)
    """Seconds between rows of the power time line."""
    cells: list[GpuCell]


BenchT = TypeVar("BenchT", MeterBench, GpuBench)


def load_meter_benches(folder: Path = paths.BENCHES) -> list[tuple[str, MeterBench]]:
    """Read the results of `make bench-meter`, each with the path of its file, by machine.

    Raises:
        UserError: one line with the file and the fault.
    """
    return _load(folder, "meter", MeterBench)


def load_gpu_benches(folder: Path = paths.BENCHES) -> list[tuple[str, GpuBench]]:
    """Read the results of `make bench-gpu-meter` in the same way."""
    return _load(folder, "gpu-meter", GpuBench)


def cell_table(bench: MeterBench) -> pd.DataFrame:
    """Return the readings of each tool for each task, as text, by length and in the order of the tools."""
    titles = {tool.name: tool.title for tool in bench.tools}
    order = list(titles)
    cells = sorted(bench.cells, key=lambda cell: (cell.length_s, order.index(cell.tool)))
    return pd.DataFrame(
        {
            "Task": units.duration(cell.length_s),
            "Tool": titles[cell.tool],
            "Passes": cell.passes,
            "Duration": units.duration(cell.duration_s, 3),
            "Duration ratio": _number(cell.duration_ratio),
            "Energy": units.energy(cell.energy_wh, 3),
            "Energy ratio": _number(cell.energy_ratio),
            "Power ratio": _number(cell.power_ratio),
            "Its range": _range(cell),
            "Load by others": _percent(cell.others_percent),
        }
        for cell in cells
    )


def tool_table(bench: MeterBench) -> pd.DataFrame:
    """Return the tools and what they counted, or why they did not."""
    return pd.DataFrame(
        {
            "Tool": tool.title,
            "Version": tool.version,
            "Its energy holds": tool.counts or f"nothing: {tool.problem}",
        }
        for tool in bench.tools
    )


def overhead_table(bench: MeterBench) -> pd.DataFrame:
    """Return by how much measuring lengthens what is measured, as text."""
    return pd.DataFrame(
        {
            "Measured by": item.what,
            "Pairs": item.pairs,
            "Work": units.duration(item.block_s),
            "Overhead": f"{item.median_percent:+.2f}{units.THIN}%",
            "95 % interval": f"{item.low_percent:+.2f} to {item.high_percent:+.2f}{units.THIN}%",
        }
        for item in bench.overheads
    )


def gpu_table(bench: GpuBench) -> pd.DataFrame:
    """Return the energy of a GPU by its counter, and what the other sources say, as a ratio to it."""
    return pd.DataFrame(
        {
            "Task": cell.task,
            "Passes": cell.passes,
            "Duration": units.duration(cell.duration_s, 3),
            "Counter": units.energy(cell.counter_wh, 3),
            "Power of the moment": _number(_ratio(cell.instant_wh, cell.counter_wh)),
            "Averaged power": _number(_ratio(cell.average_wh, cell.counter_wh)),
            "CodeCarbon": _number(_ratio(cell.codecarbon_wh, cell.counter_wh)),
            "Problems": "; ".join(cell.problems) or None,
        }
        for cell in bench.cells
    )


def load_sentence(bench: MeterBench) -> str:
    """Say how busy others kept the machine."""
    loads = [cell.others_percent for cell in bench.cells]
    during = f" and {_percent(min(loads))} to {_percent(max(loads))} during it" if loads else ""
    return f"Other processes used {_percent(bench.load_before_percent)} of all cores before the benchmark{during}."


def _load(folder: Path, kind: str, model: type[BenchT]) -> list[tuple[str, BenchT]]:
    files = sorted(folder.glob(f"{kind}-*.json"))
    return [
        (paths.relative(file), parse_json(model, file.read_bytes(), paths.relative(file))) for file in files
    ]


def _range(cell: Cell) -> str | None:
    ends = [_number(end) for end in cell.power_range if end is not None]
    return " to ".join(ends) if cell.repeats > 1 and ends else None


def _ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference


def _percent(value: float) -> str:
    return f"{value:.0f}{units.THIN}%"


def _number(value: float | None) -> str:
    return "missing" if value is None else units.significant(value, 3)
