"""A machine that is not there: NVML and RAPL counters that replay a known power curve P(t) on a clock.

The counters have what real ones have: update periods, quantisation, wraps; and they fail as real ones do.
Everything that reads them is the real code. The exact energy of each pass is the integral of its curve.
"""

# ruff: noqa: N802  (NVML's names)
import math
import os
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pynvml

RANGE_UJ = 262_143_328_850
"""Where the packages of many Intel CPUs wrap."""
CPU_IDLE_W = 60.0
PAST_S = 1000.0
"""For so long all parts have idled before the clock starts."""
UUIDS = tuple(f"GPU-{number:08x}-2222-3333-4444-555555555555" for number in range(8))


@dataclass(frozen=True)
class Curve:
    """Power in W: a mean with a wave, which begins anew with each pass."""

    mean_w: float
    wave_w: float = 0.0
    wave_s: float = 1.0

    def energy_j(self, duration_s: float) -> float:
        """Return the exact integral of the first `duration_s` seconds."""
        turns = 2 * math.pi / self.wave_s
        return self.mean_w * duration_s + self.wave_w / turns * (1 - math.cos(turns * duration_s))


class VirtualClock:
    """Time that passes only where somebody works or waits, and a little with each look at it."""

    def __init__(self, look_s: float = 2e-6) -> None:
        self.now_s = PAST_S
        self._look_s = look_s
        self._lock = threading.RLock()
        self._watching: list[Callable[[], None]] = []

    def __call__(self) -> float:
        """Return the time."""
        self.sleep(self._look_s)
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.now_s += seconds
            for callback in self._watching:
                callback()

    def tell(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever time has passed."""
        self._watching.append(callback)


class RealClock:
    """The machine's own time; a thread tells it."""

    sleep = staticmethod(time.sleep)
    _time = staticmethod(time.perf_counter)

    @property
    def now_s(self) -> float:
        """Seconds."""
        return self._time()

    def __call__(self) -> float:
        """Return the time."""
        return self._time()

    def tell(self, callback: Callable[[], None]) -> None:
        """Call `callback` a thousand times a second."""

        def ticking() -> None:
            while True:
                callback()
                time.sleep(0.001)

        threading.Thread(target=ticking, daemon=True).start()


class Trace:
    """The power of one part of the machine over time, and its exact integral."""

    def __init__(self, clock: Any, idle_w: float) -> None:
        self._clock = clock
        self.idle = Curve(idle_w)
        self._starts_s = [clock.now_s - PAST_S]
        self._curves = [self.idle]
        self._before_j = [0.0]

    def follow(self, curve: Curve) -> None:
        """Draw the power of `curve` from now on."""
        now_s = self._clock.now_s
        self._before_j.append(self.energy_j(now_s))
        self._starts_s.append(now_s)
        self._curves.append(curve)

    def energy_j(self, time_s: float) -> float:
        """Return the joules until a moment."""
        i = bisect_right(self._starts_s, time_s) - 1
        return self._before_j[i] + self._curves[i].energy_j(time_s - self._starts_s[i])


@dataclass
class Register:
    """A counter as hardware shows it: old by up to one update, in whole counts, and it wraps."""

    trace: Trace
    clock: Any
    period_s: float
    unit_j: float
    range_raw: int | None = None
    offset_raw: int = 0
    phase_s: float = 0.0
    stuck_at: int | None = None
    factor: float = 1.0
    """Counts this many times the energy that there is."""

    def tick(self) -> int:
        """Return the number of the last update."""
        return math.floor((self.clock.now_s - self.phase_s) / self.period_s)

    def raw(self) -> int:
        """Return what the register shows now."""
        if self.stuck_at is not None:
            return self.stuck_at
        updated_s = self.tick() * self.period_s + self.phase_s
        raw = math.floor(self.factor * self.trace.energy_j(updated_s) / self.unit_j) + self.offset_raw
        return raw % self.range_raw if self.range_raw else raw


class Powercap:
    """A folder like /sys/class/powercap; its files are rewritten with each update of the registers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: list[tuple[Register, int]] = []
        self._ticks: dict[int, tuple[int, int | None]] = {}

    def add(self, folder: str, name: str, register: Register) -> None:
        """Add a domain, for example `intel-rapl:0` named `package-0`."""
        # Domains lie in the control type, packages with their parts, and are linked from class/powercap.
        parts = folder.split(":")
        inside = self.root / "intel-rapl" / ":".join(parts[:2])
        inside = inside / folder if len(parts) > 2 else inside
        inside.mkdir(parents=True)
        (self.root / folder).symlink_to(inside.relative_to(self.root))
        (inside / "name").write_text(f"{name}\n")
        (inside / "max_energy_range_uj").write_text(f"{register.range_raw}\n")
        self._files.append((register, os.open(inside / "energy_uj", os.O_RDWR | os.O_CREAT, 0o444)))
        self.update()

    def update(self) -> None:
        """Write what the registers show."""
        for register, file in self._files:
            shown = (register.tick(), register.stuck_at)
            if self._ticks.get(file) != shown:
                self._ticks[file] = shown
                os.pwrite(file, f"{register.raw():020d}\n".encode(), 0)  # in place: a reader sees no half

    def close(self) -> None:
        """Close the files."""
        for _, file in self._files:
            os.close(file)
        self._files.clear()


@dataclass
class Gpu:
    """A GPU as NVML shows it."""

    uuid: str
    register: Register
    name: str = "NVIDIA H100"
    in_parts: bool = False
    error: int | None = None
    """NVML's code of what every call for this GPU ends with."""
    counter_error: int | None = None
    """The same for its energy counter alone."""


@dataclass
class FakeNvml:
    """nvidia-ml-py as far as it is called, with its own constants and errors."""

    gpus: list[Gpu] = field(default_factory=list)
    error: int | None = None
    """NVML's code of what its start ends with."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("nvml"):  # nothing reaches a real library
            raise AttributeError(name)
        return getattr(pynvml, name)

    def nvmlInit(self) -> None:
        """Start."""
        if self.error is not None:
            raise pynvml.NVMLError(self.error)

    def nvmlShutdown(self) -> None:
        """Stop."""

    def nvmlSystemGetDriverVersion(self) -> str:
        """Return the version of the driver."""
        return "570.1"

    def nvmlDeviceGetCount(self) -> int:
        """Return the number of GPUs."""
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Gpu:
        """Return a GPU."""
        return self._alive(self.gpus[index])

    def nvmlDeviceGetUUID(self, gpu: Gpu) -> str:
        """Return its UUID."""
        return self._alive(gpu).uuid

    def nvmlDeviceGetName(self, gpu: Gpu) -> str:
        """Return its model."""
        return self._alive(gpu).name

    def nvmlDeviceGetCudaComputeCapability(self, gpu: Gpu) -> tuple[int, int]:
        """Return its compute capability."""
        self._alive(gpu)
        return 9, 0

    def nvmlDeviceGetMigMode(self, gpu: Gpu) -> list[int]:
        """Return whether it is split, now and after a reset."""
        return [int(self._alive(gpu).in_parts)] * 2

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: Gpu) -> int:
        """Return the energy counter in mJ."""
        if gpu.counter_error is not None:
            raise pynvml.NVMLError(gpu.counter_error)
        return self._alive(gpu).register.raw()

    def nvmlDeviceGetPowerUsage(self, gpu: Gpu) -> int:
        """Return a power in mW; CodeCarbon asks for it where there is no counter."""
        return round(self._alive(gpu).register.trace.idle.mean_w * 1000)

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu: Gpu) -> int:
        """Return the limit in mW."""
        self._alive(gpu)
        return 700_000

    def nvmlDeviceGetMemoryInfo(self, gpu: Gpu) -> Any:
        """Return the memory in bytes."""
        self._alive(gpu)
        return SimpleNamespace(total=80 * 2**30, used=2**30, free=79 * 2**30)

    def nvmlDeviceGetUtilizationRates(self, gpu: Gpu) -> Any:
        """Return the load."""
        self._alive(gpu)
        return SimpleNamespace(gpu=50, memory=10)

    def _alive(self, gpu: Gpu) -> Gpu:
        if gpu.error is not None:
            raise pynvml.NVMLError(gpu.error)
        return gpu


class Machine:
    """Packages, their memory, and GPUs that all follow the curves of the work; each part with its own idle power."""

    def __init__(
        self,
        root: Path,
        *,
        gpus: int = 1,
        packages: int = 1,
        dram: bool = True,
        nvml_period_s: float = 0.1,
        rapl_period_s: float = 0.001,
        range_uj: int = RANGE_UJ,
        offset_uj: int = 123_456_789,
        clock: Any | None = None,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.cpu = Trace(self.clock, CPU_IDLE_W)
        self.dram = Trace(self.clock, 8.0)
        self.gpu = Trace(self.clock, 70.0)
        self.powercap = Powercap(root)
        self.rapl: dict[str, Register] = {}
        for package in range(packages):
            # Each package starts elsewhere; two that never differ are one.
            offset = offset_uj + package * 54_321_000_000
            self._domain(
                f"intel-rapl:{package}", f"package-{package}", self.cpu, rapl_period_s, range_uj, offset
            )
            self._domain(f"intel-rapl:{package}:0", "core", self.cpu, rapl_period_s, range_uj, offset)
            if dram:
                self._domain(f"intel-rapl:{package}:1", "dram", self.dram, rapl_period_s, range_uj, offset)
        self.nvml = FakeNvml(
            [
                Gpu(
                    UUIDS[i],
                    Register(self.gpu, self.clock, nvml_period_s, 1e-3, None, 5_000_000 * i, 0.0137 * i),
                )
                for i in range(gpus)
            ]
        )
        self.clock.tell(self.powercap.update)

    def _domain(
        self, folder: str, name: str, trace: Trace, period_s: float, range_uj: int, offset_uj: int
    ) -> None:
        register = Register(trace, self.clock, period_s, 1e-6, range_uj, offset_uj)
        self.rapl[folder] = register
        self.powercap.add(folder, name, register)

    def run(self, duration_s: float, cpu: Curve, gpu: Curve, dram: Curve | None = None) -> None:
        """Do one pass of work: each part follows its curve, then idles."""
        traces = ((self.cpu, cpu), (self.gpu, gpu), (self.dram, dram or Curve(20.0)))
        for trace, curve in traces:
            trace.follow(curve)
        self.clock.sleep(duration_s)
        for trace, _ in traces:
            trace.follow(trace.idle)

    @contextmanager
    def seen_by_codecarbon(self) -> Iterator[None]:
        """Let CodeCarbon find these GPUs and packages, and nothing else; its clock is this one."""
        from codecarbon.core import cpu, gpu, gpu_nvidia, hardware_cache

        here = [str(self.powercap.root)]
        hardware_cache.clear_cache()
        try:
            with (
                patch.object(time, "perf_counter", self.clock),
                patch.object(gpu_nvidia, "pynvml", self.nvml),
                patch.object(gpu_nvidia, "PYNVML_AVAILABLE", True),
                patch.object(gpu, "PYNVML_AVAILABLE", True),
                patch.object(gpu, "is_nvidia_system", lambda: bool(self.nvml.gpus)),
                patch.object(cpu, "_get_candidate_bases", lambda _: here),
                patch.object(cpu.IntelRAPL, "_setup_rapl", cpu.IntelRAPL._fetch_rapl_files),
            ):
                yield
        finally:
            hardware_cache.clear_cache()

    def close(self) -> None:
        """Close the files."""
        self.powercap.close()
