"""One tool in a process of its own: a task measured as the tool's users do, then repeated for long in the same process.

Started by meter.py, also with the Python of the tools' own environment: only `ours` imports this project.
"""

# ruff: noqa: PLC0415  (a tool is imported where it is opened: not every environment has every one)
import argparse
import hashlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

Work = Callable[[], object]
Measure = Callable[[Work, float], dict[str, Any]]
"""Measures a task repeated for at least some seconds, or once; gives passes, clock_s, duration_s and energy_wh."""
Counts = Callable[[], str]
"""Says what the energy holds, once something was measured."""

COUNTRY = "DEU"
NONE = "it found no source of energy on this machine"


def task(loops: int) -> Work:
    """Return work that keeps one core busy in Python and needs nothing else."""

    def work() -> None:
        digest = b""
        for _ in range(loops):
            digest = hashlib.sha256(digest).digest()

    return work


def repeated(work: Work, seconds: float) -> tuple[int, float]:
    """Do the work at least once and until the seconds are over; returns passes and seconds by a monotonic clock."""
    start = time.perf_counter()
    passes = 0
    while passes == 0 or time.perf_counter() - start < seconds:
        work()
        passes += 1
    return passes, time.perf_counter() - start


@contextmanager
def this_project(_folder: Path) -> Iterator[tuple[Measure, Counts]]:
    """Open the meter of this project: passes repeat in a window."""
    from helpers.metering.meter import open_meter
    from helpers.records.hardware import detect

    with open_meter(detect().ram_gb) as meter:

        def measure(work: Work, seconds: float) -> dict[str, Any]:
            window = meter.window(work, seconds)
            reading = window.reading
            return _shot(window.passes, reading.duration_s, reading.duration_s, reading.energy.total_wh)

        _, reading = meter.measure(lambda: time.sleep(0.1))
        parts = {name: getattr(reading.energy, name).method for name in ("cpu", "gpu", "ram")}
        text = ", ".join(f"{name} {method}" for name, method in parts.items() if method != "missing")
        yield measure, lambda: text


@contextmanager
def codecarbon_15(folder: Path) -> Iterator[tuple[Measure, Counts]]:
    """Open CodeCarbon with start and stop at its default period."""
    yield _codecarbon(folder, 15)


@contextmanager
def codecarbon_1(folder: Path) -> Iterator[tuple[Measure, Counts]]:
    """Open CodeCarbon with start and stop at a period of one second."""
    yield _codecarbon(folder, 1)


def _codecarbon(_folder: Path, period_s: int) -> tuple[Measure, Counts]:
    from codecarbon import OfflineEmissionsTracker

    parts: list[str] = []

    def measure(work: Work, seconds: float) -> dict[str, Any]:
        tracker = OfflineEmissionsTracker(
            country_iso_code=COUNTRY, measure_power_secs=period_s, output_methods=[], log_level="critical"
        )
        tracker.start()
        passes, clock_s = repeated(work, seconds)
        tracker.stop()
        modes = {type(part).__name__.lower(): getattr(part, "_mode", None) for part in tracker._hardware}
        parts[:] = [f"{name} by {mode}" if mode else name for name, mode in modes.items()]
        data = tracker.final_emissions_data
        return _shot(passes, clock_s, data.duration, data.energy_consumed * 1000)

    return measure, lambda: ", ".join(parts)


@contextmanager
def zeus(_folder: Path) -> Iterator[tuple[Measure, Counts]]:
    """Open zeus: the energy counters at both edges."""
    from zeus.monitor import ZeusMonitor

    monitor = ZeusMonitor()

    def measure(work: Work, seconds: float) -> dict[str, Any]:
        monitor.begin_window("work")
        passes, clock_s = repeated(work, seconds)
        reading = monitor.end_window("work")
        parts = [reading.gpu_energy, reading.cpu_energy or {}, reading.dram_energy or {}]
        joules = [value for part in parts for value in part.values()]
        return _shot(passes, clock_s, reading.time, sum(joules) / 3600 if joules else None)

    counts = [(len(monitor.cpu_indices), "CPU packages"), (len(monitor.gpu_indices), "GPUs")]
    yield measure, lambda: ", ".join(f"{number} {what}" for number, what in counts if number)


@contextmanager
def perun(folder: Path) -> Iterator[tuple[Measure, Counts]]:
    """Open perun: the function is decorated, sensors are read once a second by another process."""
    from perun import perun as decorator
    from perun.api.decorator import register_callback

    def measure(work: Work, seconds: float) -> dict[str, Any]:
        metrics: list[Any] = []
        clock: list[tuple[int, float]] = []

        def keep(node: Any) -> None:
            metrics.append({str(name.value): metric.value for name, metric in node.metrics.items()})

        @decorator(data_out=str(folder))
        def run() -> None:
            keep.__name__ = f"keep_{time.monotonic_ns()}"  # it registers a function once by its name
            register_callback(keep)
            clock.append(repeated(work, seconds))

        run()
        joules = metrics[0].get("energy")
        runtime = metrics[0].get("runtime")
        return _shot(
            *clock[0],
            None if runtime is None else float(runtime),
            None if joules is None else float(joules) / 3600,
        )

    yield measure, lambda: "the sensors of RAPL and NVML that are there"


@contextmanager
def carbontracker(folder: Path) -> Iterator[tuple[Measure, Counts]]:
    """Open carbontracker: an epoch of its own, read from its own log."""
    from carbontracker import parser
    from carbontracker.tracker import CarbonTracker

    counts: list[str] = []

    def measure(work: Work, seconds: float) -> dict[str, Any]:
        logs = Path(tempfile.mkdtemp(dir=folder))
        tracker = CarbonTracker(epochs=1, epochs_before_pred=0, log_dir=str(logs), verbose=0)
        tracker.epoch_start()
        passes, clock_s = repeated(work, seconds)
        tracker.epoch_end()
        (log,) = parser.parse_all_logs(str(logs))
        for name, part in log["components"].items():
            note = f"{name} {', '.join(part['devices'])}, {part['avg_power_usages (W)'].mean():.3g} W in the mean, times its PUE"
            counts[:] = [*(item for item in counts if not item.startswith(name)), note]
        durations = [part["epoch_durations (s)"].sum() for part in log["components"].values()]
        return _shot(
            passes,
            clock_s,
            float(max(durations)) if durations else None,
            log["actual"]["energy (kWh)"] * 1000,
        )

    yield measure, lambda: "; ".join(counts)


@contextmanager
def experiment_impact_tracker(folder: Path) -> Iterator[tuple[Measure, Counts]]:
    """Open experiment-impact-tracker: another process reads RAPL and nvidia-smi."""
    from experiment_impact_tracker.compute_tracker import ImpactTracker
    from experiment_impact_tracker.data_interface import DataInterface

    def measure(work: Work, seconds: float) -> dict[str, Any]:
        logs = tempfile.mkdtemp(dir=folder)
        tracker = ImpactTracker(logs)
        tracker.launch_impact_monitor()
        passes, clock_s = repeated(work, seconds)
        tracker.get_latest_info_and_check_for_errors()
        data = DataInterface([logs])
        return _shot(passes, clock_s, data.exp_len_hours * 3600, data.total_power * 1000)

    yield measure, lambda: "cpu by RAPL, gpu by nvidia-smi, times its PUE"


TOOLS = {
    "ours": (this_project, "this project", None),
    "codecarbon-15": (codecarbon_15, "CodeCarbon, every 15 s", "codecarbon"),
    "codecarbon-1": (codecarbon_1, "CodeCarbon, every 1 s", "codecarbon"),
    "zeus": (zeus, "zeus", "zeus"),
    "perun": (perun, "perun", "perun"),
    "carbontracker": (carbontracker, "carbontracker", "carbontracker"),
    "experiment-impact-tracker": (
        experiment_impact_tracker,
        "experiment-impact-tracker",
        "experiment-impact-tracker",
    ),
}
"""By name: how it is opened, its title, its package (None for this project)."""


def _shot(passes: int, clock_s: float, duration_s: float | None, energy_wh: float | None) -> dict[str, Any]:
    return {"passes": passes, "clock_s": clock_s, "duration_s": duration_s, "energy_wh": energy_wh}


def main() -> int:
    """Measure and print one JSON object, marked, since tools print, too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("--loops", type=int, required=True, help="length of the task")
    parser.add_argument("--repeats", type=int, default=1, help="measurements")
    parser.add_argument(
        "--window", type=float, default=0.0, help="seconds that a measurement takes at least; 0: one pass"
    )
    parser.add_argument("--long", type=float, required=True, help="seconds of the long run")
    given = parser.parse_args()
    opener, _, package = TOOLS[given.tool]
    try:
        version = metadata.version(package) if package else None
    except metadata.PackageNotFoundError:
        return _tell({"version": None, "problem": "not installed"})
    answer: dict[str, Any] = {"version": version, "problem": None}
    try:
        with tempfile.TemporaryDirectory() as folder, opener(Path(folder)) as (measure, counts):
            work = task(given.loops)
            work()
            # The first is as a user's: nothing was measured in this process before. The long run lies around
            # the others, so that a drift of the machine changes the ratio least.
            shots = [measure(work, given.window)]
            has_energy = shots[0]["energy_wh"] is not None
            before = measure(work, given.long / 2)
            more = given.repeats if has_energy else 1  # a duration alone is no reason to wait
            shots += [measure(work, given.window) for _ in range(more - 1)]
            after = measure(work, given.long / 2)
            long = {
                key: None if None in (before[key], after[key]) else before[key] + after[key] for key in after
            }
            answer |= {"counts": (counts() or None) if has_energy else None, "shots": shots, "long": long}
            answer["problem"] = None if has_energy else NONE
    except (Exception, SystemExit) as error:
        output = re.sub(
            r"\s*\(?/\S+", "", f"{type(error).__name__}: {error}".splitlines()[0]
        )  # no paths of a machine
        answer["problem"] = output
    return _tell(answer)


def _tell(answer: dict[str, Any]) -> int:
    print(f"\nANSWER {json.dumps(answer)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
