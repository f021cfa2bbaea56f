"""The process that takes the power time line: a row per tick, a file at the end.

It is started by `helpers.metering.timeline` and imports next to nothing, so that it starts at once and
leaves the memory to the run.
"""

import argparse
import json
import math
import os
import select
import sys
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from helpers.metering.sampling import ReadingError, Sensors, open_sensors

PERIOD_S = 0.1
ABOUT = b"timeline"
"""The key of `About` in the metadata of the file."""
READY = b"ready\n"
STOP = b"stop\n"
_GONE = 3

Order = Literal["go on", "stop", "gone"]


@dataclass(frozen=True)
class About:
    """How a time line was taken.

    `missed` ticks are gaps; `own_cpu_percent` is what sampling took, in percent of one core; `absent` says
    of each column (or source) that has no values, or lost them, why.
    """

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012  (read back by pydantic)
    period_s: float
    rows: int
    missed: int
    own_cpu_percent: float
    absent: Mapping[str, str]


@dataclass(frozen=True)
class Samples:
    """The rows of a time line, by column; NaN where a value is absent."""

    values: Mapping[str, "array[float]"]
    about: About


def collect(
    sensors: Sensors,
    wait: Callable[[float], Order],
    period_s: float,
    clock: Callable[[], float] = time.perf_counter,
    begun: Callable[[], None] = lambda: None,
) -> Samples | None:
    """Take a row per tick until asked to stop; the row after that order is the last.

    Ticks lie on a grid that starts one period from now. A tick that comes too late is left out, so that a
    busy machine leaves a gap and no burst of rows.

    Args:
        sensors: what to read.
        wait: waits for some seconds (none where negative) and says how to go on.
        period_s: seconds between ticks.
        clock: time in seconds; the default is CLOCK_MONOTONIC on Linux, the same in every process.
        begun: called once, after the first row.

    Returns:
        The rows, or None where nobody wants them any more.
    """
    columns = ("time_s", *sensors.columns)
    values = {column: array("d") for column in columns}
    absent = dict(sensors.absent)
    start_s, cpu_s = clock(), time.process_time()
    tick, missed = 0, 0
    time_s = start_s
    order: Order = "go on"
    while order == "go on":
        # At least half a period after the row before: a shorter one has no mean load worth the name.
        due = max(tick + 1, math.ceil((time_s - start_s) / period_s + 0.5))
        missed += due - tick - 1
        tick = due
        order = wait(start_s + tick * period_s - clock())
        if order == "gone":
            return None
        time_s = clock()
        values["time_s"].append(time_s)
        for column in sensors.columns:
            values[column].append(_value(sensors, column, time_s, absent))
        if len(values["time_s"]) == 1:
            begun()
    own_cpu_percent = 100 * (time.process_time() - cpu_s) / (time_s - start_s)
    return Samples(values, About(period_s, len(values["time_s"]), missed, own_cpu_percent, absent))


def write(samples: Samples, file: Path) -> None:
    """Write the rows as Parquet, `About` in its metadata; an absent value is null."""
    import numpy as np  # noqa: PLC0415  (nothing that sampling needs)
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    columns = {}
    for name, values in samples.values.items():
        numbers = np.frombuffer(values, dtype=float)
        column = pa.array(numbers, mask=np.isnan(numbers))
        columns[name] = column.cast(pa.int64()) if name.endswith("throttle_reasons") else column
    about = json.dumps(asdict(samples.about))
    parquet.write_table(pa.table(columns).replace_schema_metadata({ABOUT: about}), file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take a time line until standard input says so; returns the exit status.

    The end of standard input, or of the parent, is no order to write: the run is gone, and so is its folder.
    """
    parser = argparse.ArgumentParser(prog="python -m helpers.metering.timeline", description=__doc__)
    parser.add_argument("file", type=Path, help="the Parquet file to write")
    parser.add_argument("--period", type=float, default=PERIOD_S, help="seconds between rows")
    parser.add_argument("--gpu", action="append", default=[], help="UUID of a GPU; may be repeated")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="end with this process, the parent")
    given = parser.parse_args(arguments)
    samples = collect(
        open_sensors(given.gpu, time.perf_counter),
        lambda seconds: _listen(seconds, given.parent),
        given.period,
        begun=lambda: print(READY.decode(), end="", flush=True),
    )
    if samples is None:
        return _GONE
    try:
        write(samples, given.file)
    except OSError as error:
        given.file.unlink(missing_ok=True)
        reason = os.strerror(error.errno) if error.errno else error
        print(f"{type(error).__name__}: {given.file.name}: {reason}", file=sys.stderr)
        return 1
    return 0


def _listen(seconds: float, parent: int) -> Order:
    """Wait, and read the orders of the parent meanwhile."""
    end = time.perf_counter() + seconds
    readable, _, _ = select.select([0], [], [], max(0.0, seconds))
    # Another child of the parent may hold the pipe open; the parent's id shows it, too.
    if os.getppid() != parent or (readable and not os.read(0, len(STOP))):
        return "gone"
    if not readable:
        return "go on"
    time.sleep(max(0.0, end - time.perf_counter()))
    return "stop"


def _value(sensors: Sensors, column: str, time_s: float, absent: dict[str, str]) -> float:
    value = None
    if column in sensors.readers:
        try:
            value = sensors.readers[column](time_s)
        except ReadingError as error:
            absent.setdefault(column, f"lost in mid-run: {error}")
    return math.nan if value is None else value
