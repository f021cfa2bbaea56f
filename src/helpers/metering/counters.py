"""What an energy counter is, and how a raw register becomes joules that only grow."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

CounterComponent = Literal["cpu", "dram", "gpu"]

MAX_W = 2000.0
"""No package, memory or GPU draws more: what would need more was a reset, or a wrap that nobody saw."""
_LUMP_S = 0.2
"""A register may be updated in lumps of this length, so a short interval can hold the energy of a longer one."""


@dataclass(frozen=True)
class Absent:
    """A source that does not exist, or is not allowed, or no measure of this run; `remedy` is None where none helps."""

    component: CounterComponent
    source: str
    reason: str
    remedy: str | None


class CounterLost(Exception):  # noqa: N818  (says what has happened)
    """A counter cannot be read any more, or what it counted since the last reading is unknown."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class Counter(Protocol):
    """Counts the energy of one part of the machine."""

    @property
    def name(self) -> str:
        """For example `nvml:GPU-...`, `rapl:package-0`, `rapl:package-0:dram`."""

    @property
    def component(self) -> CounterComponent:
        """What it measures."""

    @property
    def update_period_s(self) -> float:
        """Seconds between two updates of the register."""

    def read_j(self) -> float:
        """Return the joules since the counter was opened; never less than before.

        Raises:
            CounterLost: it cannot be read, was reset, or may have wrapped more than once.
        """


class RegisterCounter:
    """A counter made from a hardware register: unwrapped, with resets distinguished from wraps. Thread-safe."""

    def __init__(
        self,
        name: str,
        component: CounterComponent,
        update_period_s: float,
        read_raw: Callable[[], int],
        unit_j: float,
        range_raw: int | None,
        clock: Callable[[], float],
    ) -> None:
        """Read the register for the first time.

        Args:
            name: name of the counter.
            component: what it measures.
            update_period_s: seconds between two updates of the register.
            read_raw: reads the register; raises `CounterLost` where it cannot.
            unit_j: joules per count.
            range_raw: the register starts again at 0 after this many counts; None where it never does.
            clock: monotonic clock in seconds.
        """
        self.name = name
        self.component: CounterComponent = component
        self.update_period_s = update_period_s
        self._read_raw = read_raw
        self._unit_j = unit_j
        self._range_raw = range_raw
        self._clock = clock
        self._lock = threading.Lock()
        self._total_raw = 0
        self._last_raw = read_raw()
        self._last_s = clock()

    def read_j(self) -> float:
        """Return the joules since the counter was opened (see `Counter`).

        After a reset or a missed wrap it raises once and counts on from there.
        """
        with self._lock:
            raw = self._read_raw()
            now_s = self._clock()
            used_raw, elapsed_s = raw - self._last_raw, now_s - self._last_s
            self._last_raw, self._last_s = raw, now_s
            if self._range_raw is not None:
                if elapsed_s * MAX_W >= self._range_raw * self._unit_j:
                    raise CounterLost(
                        self.name, f"not read for {elapsed_s:.0f} s: it may have wrapped unnoticed"
                    )
                if used_raw < 0:
                    used_raw += self._range_raw
            if used_raw < 0:
                raise CounterLost(self.name, "went backwards: the driver was loaded again, or it was reset")
            if used_raw * self._unit_j > MAX_W * (elapsed_s + _LUMP_S + 2 * self.update_period_s):
                raise CounterLost(
                    self.name,
                    f"jumped by {used_raw * self._unit_j:.0f} J in {elapsed_s:.3g} s: it was reset",
                )
            self._total_raw += used_raw
            return self._total_raw * self._unit_j
