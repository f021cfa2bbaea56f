"""Energy and duration of a piece of work (paper, section 3.3): CodeCarbon's tasks behind one interface.

CodeCarbon's periodic sampler loses energy of short work; its tasks read at both edges and do not. Its
record does not say how the power of a component was got, so the meter asks the tracker itself.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from helpers.record import Component, Energy, Method

RAM_W_PER_GB = 0.375
WH_PER_KWH = 1000.0

_CPU_METHODS: dict[str, Method] = {
    "intel_rapl": "measured:rapl",
    "cpu_load": "estimated:cpu-load",
    "constant": "estimated:tdp",
}

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Reading:
    """What one stretch of work took: seconds on our clock and on CodeCarbon's, and Wh by component."""

    duration_s: float
    codecarbon_duration_s: float
    energy: Energy


@dataclass(frozen=True)
class Window:
    """Passes repeated until they were long enough to be measured."""

    passes: int
    reading: Reading

    @property
    def duration_s(self) -> float:
        """Seconds per pass."""
        return self.reading.duration_s / self.passes

    @property
    def energy(self) -> Energy:
        """Energy per pass."""
        return scale(self.reading.energy, 1 / self.passes)


class Meter:
    """Measures work on this machine; made by `open_meter`."""

    def __init__(self, tracker: Any, ram_gb: float) -> None:
        self._tracker = tracker
        self._ram_gb = ram_gb
        # The first task of a process looks for the hardware, which takes seconds.
        self.measure(lambda: None)

    @property
    def gpus(self) -> int:
        """Number of GPUs whose energy is counted."""
        parts = [part for part in self._tracker._hardware if type(part).__name__ == "GPU"]
        return sum(len(list(part._get_gpu_ids())) for part in parts)

    def measure(self, work: Callable[[], ResultT]) -> tuple[ResultT, Reading]:
        """Run `work` once; returns its result and what it took."""
        self._tracker.start_task()
        start = time.perf_counter()
        try:
            result = work()
        finally:
            duration_s = time.perf_counter() - start
            data = self._tracker.stop_task()
        return result, Reading(duration_s, data.duration, self._energy(data, duration_s))

    def window(self, work: Callable[[], object], window_s: float) -> Window:
        """Repeat `work` until at least `window_s` seconds are over."""

        def passes() -> int:
            end = time.perf_counter() + window_s
            done = 0
            while done == 0 or time.perf_counter() < end:
                work()
                done += 1
            return done

        return Window(*self.measure(passes))

    def _energy(self, data: Any, duration_s: float) -> Energy:
        hardware = {type(part).__name__: part for part in self._tracker._hardware}
        ram_w = RAM_W_PER_GB * self._ram_gb
        return Energy(
            cpu=_component(data.cpu_energy, _cpu_method(hardware)),
            gpu=_component(data.gpu_energy, "measured:nvml-counter" if "GPU" in hardware else "missing"),
            ram=Component(energy_wh=ram_w * duration_s / 3600, method="estimated:ram-0.375W/GB"),
            ram_codecarbon=_component(
                data.ram_energy, "estimated:ram-codecarbon" if "RAM" in hardware else "missing"
            ),
        )


@contextmanager
def open_meter(ram_gb: float) -> Iterator[Meter]:
    """Start the meter; `ram_gb` is the memory that the run may use.

    No network and no file: the tracker is the offline one, and it has no output. The country only sets
    CodeCarbon's grams of CO2e, which are not used.
    """
    from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415  (absent where only the book is built)

    tracker = OfflineEmissionsTracker(
        country_iso_code="DEU", output_methods=[], log_level="error", allow_multiple_runs=True
    )
    try:
        yield Meter(tracker, ram_gb)
    finally:
        tracker.stop()


def scale(energy: Energy, factor: float) -> Energy:
    """Return `factor` times the energy; what is missing stays missing."""

    def scaled(part: Component) -> Component:
        known = part.energy_wh is not None
        return Component(
            energy_wh=cast(float, part.energy_wh) * factor if known else None, method=part.method
        )

    return Energy(
        cpu=scaled(energy.cpu),
        gpu=scaled(energy.gpu),
        ram=scaled(energy.ram),
        ram_codecarbon=scaled(energy.ram_codecarbon),
    )


def add(first: Energy, second: Energy) -> Energy:
    """Return the sum of two energies of one machine, component by component."""

    def added(a: Component, b: Component) -> Component:
        if a.energy_wh is None or b.energy_wh is None:
            return Component(energy_wh=None, method="missing")
        return Component(energy_wh=a.energy_wh + b.energy_wh, method=a.method)

    return Energy(
        cpu=added(first.cpu, second.cpu),
        gpu=added(first.gpu, second.gpu),
        ram=added(first.ram, second.ram),
        ram_codecarbon=added(first.ram_codecarbon, second.ram_codecarbon),
    )


def _component(energy_kwh: float, method: Method) -> Component:
    return Component(energy_wh=None if method == "missing" else energy_kwh * WH_PER_KWH, method=method)


def _cpu_method(hardware: dict[str, Any]) -> Method:
    if "AppleSiliconChip" in hardware:
        return "measured:powermetrics"
    if "CPU" not in hardware:
        return "missing"
    return _CPU_METHODS.get(hardware["CPU"]._mode, "estimated:unknown")
