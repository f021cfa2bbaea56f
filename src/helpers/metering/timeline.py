"""The power time line: rows at 10 Hz, taken by a process of its own and written beside the record.

The process that is measured does no work for it: no thread takes its interpreter lock, and no file is
written before the end. The other process ends with it, however it ends.

    start_timeline          windows          Timeline.stop
         |-- first row ---------------- last row --|-- power.parquet
"""

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

from helpers.core.errors import UserError, short
from helpers.metering.sampling import gpu_column, rapl_column
from helpers.metering.sampling_process import ABOUT, PERIOD_S, READY, STOP, About, main

if TYPE_CHECKING:  # the process that samples loads this module, and needs none of it
    import pandas as pd

FILE = "power.parquet"
GAP_S = 0.35
"""Rows further apart than this leave a gap: at 10 Hz three ticks in a row are missing."""
GAP_SHARE = 0.05
"""The largest share of a window that may lie in gaps."""
SETTLED_C = 2.0
"""How far a GPU's temperature may move over a window."""
ANSWER_S = 60.0
"""NVML takes seconds to start where the driver is not kept loaded."""

# NVML's bits for what lowers the clocks. Being idle does not, nor do clocks that a person has set.
_THROTTLING = {
    0x04: "sw_power_cap",
    0x08: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x200: "board_limit",
    0x400: "reliability",
}


class TimelineLost(UserError):  # noqa: N818  (no fault of the code: there is no time line)
    """The process that samples did not start, or ended before it was asked to; the message says how."""


class Timeline:
    """A time line that is being taken; made by `start_timeline`. As a context it never outlives its block."""

    def __init__(self, process: "subprocess.Popen[bytes]", file: Path) -> None:
        self._process = process
        self._file = file

    @property
    def pid(self) -> int:
        """The process that samples."""
        return self._process.pid

    def stop(self) -> Path:
        """Wait for one last row, so that what ended just now is covered, and return the file written.

        Raises:
            TimelineLost: nothing was written.
        """
        if self._process.returncode is None:
            try:
                _, errors = self._process.communicate(STOP, timeout=ANSWER_S)
            except subprocess.TimeoutExpired:
                self.abandon()
                raise TimelineLost(f"the power time line was not written within {ANSWER_S:g} s") from None
            if self._process.returncode != 0:
                raise TimelineLost(f"the power time line was lost: {_end(self._process, errors)}")
        if not self._file.is_file():
            raise TimelineLost("the power time line was abandoned")
        return self._file

    def abandon(self) -> None:
        """End the process, if it has not ended; nothing is written."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()


def start_timeline(folder: Path, gpus: Sequence[str], period_s: float = PERIOD_S) -> Timeline:
    """Start to take the time line of this machine; returns once its first row is written.

    Args:
        folder: where `Timeline.stop` shall write `power.parquet`.
        gpus: UUIDs of the GPUs that the run uses.
        period_s: seconds between rows.

    Raises:
        UserError: one line where pyarrow is missing.
        TimelineLost: the process that samples did not start.
    """
    if find_spec("pyarrow") is None:
        raise UserError("the power time line needs pyarrow, found none; pip install '.[measure]'")
    file = folder.resolve() / FILE
    command = [sys.executable, "-B", "-P", "-m", "helpers.metering.timeline", str(file)]
    command += ["--period", str(period_s), "--parent", str(os.getpid())]
    for uuid in gpus:
        command += ["--gpu", uuid]
    # The same package as here, wherever this process has it from.
    sources = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sources))},
        start_new_session=True,  # Ctrl-C is for the run; the time line ends with the run
    )
    timeline = Timeline(process, file)
    try:
        _wait_until_ready(process)
    except BaseException:
        timeline.abandon()
        raise
    return timeline


def _wait_until_ready(process: "subprocess.Popen[bytes]") -> None:
    pipe = cast(IO[bytes], process.stdout)
    answered, _, _ = select.select([pipe], [], [], ANSWER_S)
    if answered and pipe.readline() == READY:
        return
    if not answered:
        raise TimelineLost(f"the power time line did not start within {ANSWER_S:g} s")
    _, errors = process.communicate(timeout=ANSWER_S)
    raise TimelineLost(f"the power time line did not start: {_end(process, errors)}")


def _end(process: "subprocess.Popen[bytes]", errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()
    return ", ".join([f"its process ended with status {process.returncode}", *lines[-1:]])


# What was written


def read_timeline(file: Path) -> "pd.DataFrame":
    """Return the rows: `time_s` on the clock of `time.perf_counter`, and a column per value, null where absent.

    Raises:
        UserError: one line where the file is no time line.
    """
    frame: pd.DataFrame = _table(file).to_pandas()
    return frame


def read_about(file: Path) -> About:
    """Return how the time line was taken; every value is checked, as the file may be another machine's.

    Raises:
        UserError: one line where the file is no time line.
    """
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415  (the process that samples needs none)

    try:
        return TypeAdapter(About).validate_json(_table(file).schema.metadata[ABOUT], strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(map(str, fault["loc"])) or "document"
        raise UserError(
            f"{file.name}: expected a power time line, found {field}: {fault['msg'].lower()}, "
            f"{short(fault.get('input'))}; measure again"
        ) from None


def _table(file: Path) -> Any:
    import pyarrow as pa  # noqa: PLC0415  (absent where only the book is built)
    from pyarrow import parquet  # noqa: PLC0415

    try:
        table = parquet.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file.name}: expected a power time line, found {error}; measure again") from None
    if ABOUT not in (table.schema.metadata or {}) or "time_s" not in table.column_names:
        raise UserError(f"{file.name}: expected a power time line, found another table; measure again")
    for column in table.schema:
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise UserError(
                f"{file.name}: expected a power time line, found the column {short(column.name)} of type {column.type}; "
                "measure again"
            )
    return table


# What it says of a window; its edges are seconds on the clock of `time.perf_counter`


def power_column(frame: "pd.DataFrame", source: str) -> str | None:
    """Return the column with the power of an energy counter (`nvml:GPU-...`, `rapl:package-0`).

    Of a GPU that is the power of the moment, or the mean over a second where the moment's is unknown: the
    mean comes half a second late, the moment misses what changes faster than rows come. None where there
    is neither.
    """
    kind, _, name = source.partition(":")
    names = [rapl_column(name)]
    if kind == "nvml":
        names = [gpu_column(name, "power_instant_w"), gpu_column(name, "power_average_w")]
    return next((column for column in names if column in frame and frame[column].notna().any()), None)


def integral_wh(
    frame: "pd.DataFrame", start_s: float, end_s: float, column: str, gap_s: float = GAP_S
) -> float | None:
    """Integrate a power column (in W) over a window; returns Wh.

    Between the rows, and at the edges, power is interpolated. RAPL's power is a mean since the row before
    and is integrated as such, which gives back what its counter has counted.

    Returns:
        None where the rows do not cover the window, the column is absent, or more than 5 % of the window
        lie in gaps longer than `gap_s` seconds: a guess is no measurement.

    Raises:
        ValueError: the column holds no power, or the window ends before it starts.
    """
    if not column.endswith("_w") or end_s < start_s:
        raise ValueError(f"no integral of {column} from {start_s} to {end_s} s")
    if column not in frame:
        return None
    rows = frame.loc[frame[column].notna(), ["time_s", column]]
    times, power_w = rows["time_s"].to_numpy(float), rows[column].to_numpy(float)
    if len(times) < 2 or start_s < times[0] or end_s > times[-1]:
        return None
    # Each stretch between two rows, cut to the window; a straight line has its mean in the middle.
    before, after = times[:-1], times[1:]
    left, right = before.clip(start_s, end_s), after.clip(start_s, end_s)
    seconds = right - left
    if seconds[after - before > gap_s].sum() > GAP_SHARE * (end_s - start_s):
        return None
    mean_w = power_w[1:]
    if not column.startswith("rapl:"):
        share = ((left + right) / 2 - before) / (after - before)
        mean_w = power_w[:-1] + share * (power_w[1:] - power_w[:-1])
    return float((seconds * mean_w).sum()) / 3600


def throttled(frame: "pd.DataFrame", start_s: float, end_s: float) -> set[str] | None:
    """Return why the clocks of any GPU were lowered within a window, by NVML's names.

    Returns:
        None where no row of the window has a value, which is not the same as an empty set.
    """
    values = _values(frame, start_s, end_s, ":throttle_reasons")
    if not values:
        return None
    bit_masks = {int(bits) for column in values for bits in column}
    return {name for bit, name in _THROTTLING.items() if any(bits & bit for bits in bit_masks)}


def temperature_drift_c(frame: "pd.DataFrame", start_s: float, end_s: float) -> float | None:
    """Return by how much the GPUs got warmer from the first to the last third of a window, in kelvin.

    It is the largest change of any GPU, negative where it cooled down; None where too few rows have a value.
    """
    drifts = []
    for column in _values(frame, start_s, end_s, ":temperature_c"):
        third = len(column) // 3
        if third:
            drifts.append(float(column[-third:].mean() - column[:third].mean()))
    return max(drifts, key=abs, default=None)


def temperature_settled(
    frame: "pd.DataFrame", start_s: float, end_s: float, tolerance_c: float = SETTLED_C
) -> bool | None:
    """Say whether no GPU's temperature moved by more than the tolerance; None where it is not known."""
    drift_c = temperature_drift_c(frame, start_s, end_s)
    return None if drift_c is None else abs(drift_c) <= tolerance_c


def _values(frame: "pd.DataFrame", start_s: float, end_s: float, ending: str) -> list[Any]:
    """Return what is known within the window of every column with this ending, as arrays."""
    inside = frame[frame["time_s"].between(start_s, end_s)]
    columns = [inside[name].dropna().to_numpy() for name in inside.columns if name.endswith(ending)]
    return [column for column in columns if len(column)]


if __name__ == "__main__":
    sys.exit(main())
