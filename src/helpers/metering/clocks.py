"""The clocks of this machine against each other: a clock that is set, and a machine that sleeps, are noticed.

Durations are on the monotonic clock, which nobody sets and which stands still while the machine is suspended.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """What the clocks say at one moment, in seconds; each counts from an origin of its own."""

    steady_s: float
    wall_s: float
    boot_s: float | None
    """The clock that goes on while the machine is suspended; None where the system has none."""


@dataclass(frozen=True)
class Moved:
    """How far other clocks went ahead of the monotonic one in `duration_s` of it."""

    duration_s: float
    wall_s: float
    suspended_s: float | None
    """None where the system does not report it."""


def moment() -> Moment:
    """Read all clocks now."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    boot_s = None if boot is None else time.clock_gettime(boot)
    return Moment(time.perf_counter(), time.time(), boot_s)


def moved(start: Moment, end: Moment) -> Moved:
    """Compare the clocks between two moments."""
    duration_s = end.steady_s - start.steady_s
    suspended_s = None
    if start.boot_s is not None and end.boot_s is not None:
        suspended_s = end.boot_s - start.boot_s - duration_s
    return Moved(duration_s, end.wall_s - start.wall_s - duration_s, suspended_s)
