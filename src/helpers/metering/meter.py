"""Energy and duration of a piece of work: CodeCarbon and the machine's own counters behind one interface.

CodeCarbon is the meter of record (paper, section 3.3). Beside it the counters themselves are read, with the
edges of the window put right; they decide where CodeCarbon estimates, or says something else than they do.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from helpers.metering.clocks import moment, moved
from helpers.metering.codecarbon import Tracker, open_tracker
from helpers.metering.counters import Absent, Counter, CounterLost
from helpers.metering.edge_interpolation import energy_j, lines_after, lines_before
from helpers.metering.nvml import GpuDevice, in_nvml_order, open_nvml
from helpers.metering.ram import codecarbon_ram, paper_ram
from helpers.metering.rapl import POWERCAP, open_rapl
from helpers.metering.readings import Reading, SourceReading, Window, add, scale
from helpers.metering.source_selection import PERIODS, choose, codecarbon_reading, counter_reading
from helpers.metering.unread import SYSFS, unread_sources
from helpers.records.storage import Check, Energy

__all__ = [
    "Meter",
    "Reading",
    "SourceReading",
    "Sources",
    "Window",
    "add",
    "find_sources",
    "open_meter",
    "repeat",
    "scale",
    "sources_of_run",
]

READ_EVERY_S = 10.0
"""Counters are read this often, also in long work: a register that wraps twice unread says nothing."""

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Sources:
    """The counters of this machine that the run may use, what is absent, and its whole GPUs."""

    counters: tuple[Counter, ...]
    absent: tuple[Absent, ...] = ()
    gpus: tuple[GpuDevice, ...] = ()


class Meter:
    """Measures work on this machine; made by `open_meter`."""

    def __init__(
        self,
        tracker: Tracker,
        sources: Sources,
        ram_gb: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._tracker = tracker
        self._sources = sources
        self._ram_gb = ram_gb
        self._clock = clock
        self._sleep = sleep
        self._lost: dict[str, str] = {}
        # The first task of a process looks for the hardware, which takes seconds.
        self.measure(lambda: None)

    @property
    def gpus(self) -> int:
        """Number of GPUs whose energy is counted."""
        counted = sum(counter.component == "gpu" for counter in self._sources.counters)
        return counted or self._tracker.gpus

    @property
    def absent(self) -> tuple[Absent, ...]:
        """What this machine cannot measure, why, and what helps."""
        return self._sources.absent

    @property
    def min_window_s(self) -> float:
        """Seconds that a window takes at least: `PERIODS` updates of the slowest counter."""
        return PERIODS * max((counter.update_period_s for counter in self._sources.counters), default=0.0)

    def measure(self, work: Callable[[], ResultT]) -> tuple[ResultT, Reading]:
        """Run `work` once; returns its result and what it took."""
        counters = self._sources.counters
        before = lines_before(counters, self._clock, self._sleep)
        self._lost.clear()
        self._tracker.start()
        begun, start_s = moment(), self._clock()
        try:
            result = work()
        finally:
            end_s, ended = self._clock(), moment()
            tracked = self._tracker.stop()
        after = lines_after(counters, self._clock, self._sleep)
        duration_s = end_s - start_s
        readings = [
            counter_reading(
                counter,
                self._lost.get(counter.name) or energy_j(counter.name, before, after, start_s, end_s),
                duration_s,
            )
            for counter in counters
        ]
        cpu, cpu_problem = choose("cpu", tracked.cpu, "measured:rapl", readings, self.absent)
        gpu, gpu_problem = choose("gpu", tracked.gpu, "measured:nvml-counter", readings, self.absent)
        energy = Energy(
            cpu=cpu,
            gpu=gpu,
            ram=paper_ram(self._ram_gb, duration_s),
            ram_codecarbon=codecarbon_ram(tracked.ram.energy_wh),
        )
        sources = (
            codecarbon_reading("cpu", tracked.cpu, cpu_problem),
            codecarbon_reading("gpu", tracked.gpu, gpu_problem),
            codecarbon_reading("ram", tracked.ram, tracked.ram.problem),
            *readings,
            *(SourceReading(item.source, item.component, None, item.reason) for item in self.absent),
        )
        return result, Reading(duration_s, tracked.duration_s, energy, sources, start_s, moved(begun, ended))

    def window(self, work: Callable[[], object], window_s: float) -> Window:
        """Repeat `work` until at least `window_s` seconds are over, and enough updates of every counter."""
        shortest_s = max(window_s, self.min_window_s)
        return repeat(self.measure, work, shortest_s, self._clock)

    def checks(self) -> list[Check]:
        """Return nothing: one machine has no checks of its own; several nodes have (`metering.several`)."""
        return []

    def read_all(self) -> None:
        """Read every counter, so that no wrap is missed; what is lost is lost for the work that runs."""
        for counter in self._sources.counters:
            try:
                counter.read_j()
            except CounterLost as lost:
                self._lost[counter.name] = f"{lost.reason}, during the work"


@contextmanager
def open_meter(
    ram_gb: float,
    gpu_uuids: Sequence[str] | None = None,
    counters: Sequence[Counter] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
    sources: Sources | None = None,
) -> Iterator[Meter]:
    """Start the meter.

    Args:
        ram_gb: memory that the run may use (`helpers.records.hardware`).
        gpu_uuids: the GPUs that the run uses; by default those that the environment gives to it.
        counters: counters to use in place of the machine's.
        clock: monotonic clock in seconds; both edges of a window are read on it.
        sleep: waits for a number of seconds of that clock.
        sources: counters, with what is absent and the GPUs, in place of the machine's.
    """
    if sources is None:
        sources = find_sources(gpu_uuids, clock=clock) if counters is None else Sources(tuple(counters))
    with open_tracker(sources.gpus) as tracker:
        meter = Meter(tracker, sources, ram_gb, clock, sleep)
        with _read_in_background(meter, bool(sources.counters)):
            yield meter


def find_sources(
    gpu_uuids: Sequence[str] | None = None,
    pynvml: Any | None = None,
    powercap: Path = POWERCAP,
    clock: Callable[[], float] = time.perf_counter,
    sysfs: Path = SYSFS,
) -> Sources:
    """Open all counters of this machine that the run may use; never an error."""
    visible = None if gpu_uuids is None else ",".join(gpu_uuids)
    of_gpus, no_gpu, gpus = open_nvml(pynvml, visible, clock)
    of_cpu, no_cpu = open_rapl(powercap, clock)
    return Sources((*of_cpu, *of_gpus), (*no_cpu, *no_gpu, *unread_sources(sysfs)), tuple(gpus))


def sources_of_run(
    gpus: int,
    pynvml: Any | None = None,
    powercap: Path = POWERCAP,
    clock: Callable[[], float] = time.perf_counter,
) -> Sources:
    """Open the counters of a run that computes on so many GPUs of this machine: the first that CUDA shows to it.

    Where they cannot be distinguished from others, or are not all visible, no GPU is metered and `absent` says why.
    """
    if gpus == 0:
        return find_sources([], pynvml, powercap, clock)
    sources = find_sources(None, pynvml, powercap, clock)
    cpu = tuple(counter for counter in sources.counters if counter.component != "gpu")
    if len(sources.gpus) < gpus:
        reason = f"the run uses {gpus} GPUs, NVML shows {len(sources.gpus)} whole ones"
        return Sources(cpu, (*sources.absent, Absent("gpu", "nvml", reason, None)))
    if len(sources.gpus) > gpus and len({gpu.name for gpu in sources.gpus}) > 1 and not in_nvml_order():
        reason = "which GPUs the run uses is not known: models differ, and CUDA puts the fastest first"
        remedy = "export CUDA_DEVICE_ORDER=PCI_BUS_ID, or name the GPUs by UUID in CUDA_VISIBLE_DEVICES"
        return Sources(cpu, (*sources.absent, Absent("gpu", "nvml", reason, remedy)))
    return find_sources([gpu.uuid for gpu in sources.gpus[:gpus]], pynvml, powercap, clock)


def repeat(
    measure: Callable[[Callable[[], int]], tuple[int, Reading]],
    work: Callable[[], object],
    shortest_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Window:
    """Let `measure` run passes of `work` until `shortest_s` seconds are over, at least one.

    Python's garbage is collected before; no collection happens inside.
    """

    def passes() -> int:
        end_s = clock() + shortest_s
        done = 0
        while done == 0 or clock() < end_s:
            work()
            done += 1
        return done

    gc.collect()
    with _no_collection():
        return Window(*measure(passes))


@contextmanager
def _no_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _read_in_background(meter: Meter, enabled: bool) -> Iterator[None]:
    """Read all counters every `READ_EVERY_S` seconds until the end."""
    end = threading.Event()

    def read() -> None:
        while not end.wait(READ_EVERY_S):
            with suppress(Exception):  # a thread that ended would let counters wrap unseen
                meter.read_all()

    thread = threading.Thread(target=read, name="counters", daemon=True)
    if enabled:
        thread.start()
    try:
        yield
    finally:
        end.set()
        if enabled:
            thread.join(READ_EVERY_S)  # it ends with the process where the driver hangs
