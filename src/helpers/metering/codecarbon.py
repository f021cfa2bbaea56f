"""CodeCarbon, the meter of record: its offline tracker, tasks only, the run's GPUs only.

Its periodic sampler loses energy of short work; its tasks read at both edges and do not. Its record does not
say how a component's energy was got, so the tracker's own parts are asked. What of it can be wrong without a
word (version 3.3.2): GPUs named by UUID are ignored, none named means all, a GPU whose counter fails counts
as 0 W, and where a counter is unreadable its energy is 0.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from helpers.metering.nvml import GpuDevice
from helpers.records.storage import Method

WH_PER_KWH = 1000.0

_CPU_METHODS: dict[str, Method] = {
    "intel_rapl": "measured:rapl",
    "cpu_load": "estimated:cpu-load",
    "constant": "estimated:tdp",
}


@dataclass(frozen=True)
class Part:
    """Energy of a component by CodeCarbon, and how it got it; without an energy, `problem` says why."""

    energy_wh: float | None
    method: Method
    problem: str | None = None


@dataclass(frozen=True)
class Tracked:
    """What CodeCarbon says about one task, on its own clock."""

    duration_s: float
    cpu: Part
    gpu: Part
    ram: Part


class Tracker:
    """CodeCarbon's tracker; made by `open_tracker`."""

    def __init__(self, tracker: Any, gpus: Sequence[GpuDevice]) -> None:
        self._tracker = tracker
        self._gpu_uuids = {gpu.uuid for gpu in gpus}

    @property
    def gpus(self) -> int:
        """Number of GPUs that it counts, where they are those of the run; else 0."""
        return len(self._gpu_uuids) if {gpu._uuid for gpu in self._tracked_gpus()} == self._gpu_uuids else 0

    def start(self) -> None:
        """Begin a task; the first one looks for the hardware."""
        with _english_programs():
            self._tracker.start_task()

    def stop(self) -> Tracked:
        """End the task; what it took."""
        data = self._tracker.stop_task()
        return Tracked(
            duration_s=data.duration,
            cpu=_part(data.cpu_energy, self._cpu_method()),
            gpu=self._gpu(data.gpu_energy),
            ram=_part(data.ram_energy, "estimated:ram-codecarbon" if self._has("RAM") else "missing"),
        )

    def _gpu(self, energy_kwh: float) -> Part:
        if not self._gpu_uuids:
            return Part(None, "missing", "no GPU that could be measured")
        tracked = self._tracked_gpus()
        if (tracked_uuids := {gpu._uuid for gpu in tracked}) != self._gpu_uuids:
            counts, uses = (", ".join(sorted(some)) or "no GPU" for some in (tracked_uuids, self._gpu_uuids))
            return Part(None, "missing", f"CodeCarbon counts {counts}, the run uses {uses}")
        averaging = [gpu for gpu in tracked if gpu._use_power_fallback]
        if any(gpu._has_counter for gpu in averaging):
            return Part(None, "measured:nvml-counter", "CodeCarbon lost the counter of a GPU")
        if averaging:
            return _part(energy_kwh, "estimated:unknown", "a GPU has no counter: its power once a second")
        return _part(energy_kwh, "measured:nvml-counter")

    def _tracked_gpus(self) -> list[Any]:
        return [
            gpu
            for part in self._tracker._hardware
            if type(part).__name__ == "GPU"
            for gpu in part.devices.devices
            if gpu.gpu_index in part._get_gpu_ids()
        ]

    def _cpu_method(self) -> Method:
        if self._has("AppleSiliconChip"):
            return "measured:powermetrics"
        for part in self._tracker._hardware:
            if type(part).__name__ == "CPU":
                return _CPU_METHODS.get(part._mode, "estimated:unknown")
        return "missing"

    def _has(self, kind: str) -> bool:
        return any(type(part).__name__ == kind for part in self._tracker._hardware)


@contextmanager
def open_tracker(gpus: Sequence[GpuDevice]) -> Iterator[Tracker]:
    """Start CodeCarbon for the given GPUs.

    No network and no file: the tracker is the offline one, and it has no output. The country only sets
    CodeCarbon's grams of CO2e, which are not used. Everything that changes an energy is set here, because a
    `.codecarbon.config` or the environment would set it otherwise.
    """
    from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415  (absent where only the book is built)

    logging.getLogger("codecarbon").setLevel(logging.ERROR)  # it speaks before it reads its log_level
    with _english_programs():
        tracker = OfflineEmissionsTracker(
            country_iso_code="DEU",
            output_methods=[],
            log_level="error",
            allow_multiple_runs=True,
            gpu_ids=[gpu.index for gpu in gpus],  # by index: CodeCarbon 3.3.2 takes no UUID
            tracking_mode="machine",
            force_cpu_power=None,
            force_ram_power=None,
            force_mode_cpu_load=False,
            rapl_include_dram=False,
            rapl_prefer_psys=False,
            pue=1.0,
        )
    try:
        yield Tracker(tracker, gpus)
    finally:
        tracker.stop()


@contextmanager
def _english_programs() -> Iterator[None]:
    """Let programs print in English and UTF-8 while CodeCarbon reads what they say of the CPU.

    It looks for `Socket(s):` in what lscpu prints, and takes one socket where it finds none; where `dmesg` speaks in an
    encoding of its own, py-cpuinfo gives nothing at all, and CodeCarbon takes a power for a CPU that it does not know.
    """
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = "C.UTF-8"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LC_ALL"]
        else:
            os.environ["LC_ALL"] = before


def _part(energy_kwh: float, method: Method, problem: str | None = None) -> Part:
    if method == "missing":
        return Part(None, method, problem or "CodeCarbon does not count it")
    if energy_kwh <= 0:
        return Part(None, method, "CodeCarbon counted 0")
    return Part(energy_kwh * WH_PER_KWH, method, problem)
