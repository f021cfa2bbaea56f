"""Counters at the edge of a window: a register is up to one update old, which a straight line makes up for.

NVML updates its register every 100 ms or so: read at both edges of 2 s of work, it may be 5 % off. So each
counter is watched before the work and after it until it has moved twice; the line through the two updates
gives the joules at the edge itself, as long as the power beside the work is steady.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from helpers.metering.counters import Counter, CounterLost

_PATIENCE_PERIODS = 20
_PATIENCE_S = 0.1
_MIN_READS = 200
"""A process that had to wait for its processor has not looked often."""
_SPAN_S = 0.01
"""Fast counters are watched for this long: one update of theirs says little about the power."""
_LOOKS_PER_PERIOD = 100


@dataclass(frozen=True)
class Line:
    """Joules of a counter around an edge."""

    time_s: float
    energy_j: float
    power_w: float

    def at_j(self, time_s: float) -> float:
        """Return the joules at a moment."""
        return self.energy_j + self.power_w * (time_s - self.time_s)


def lines_before(
    counters: Iterable[Counter], clock: Callable[[], float], sleep: Callable[[float], None]
) -> dict[str, Line | str]:
    """Watch the counters now, slow ones first; returns a line or what is wrong, by the counter's name."""
    return _lines(sorted(counters, key=_period_s, reverse=True), clock, sleep)


def lines_after(
    counters: Iterable[Counter], clock: Callable[[], float], sleep: Callable[[float], None]
) -> dict[str, Line | str]:
    """Watch the counters now, fast ones first; returns a line or what is wrong, by the counter's name."""
    return _lines(sorted(counters, key=_period_s), clock, sleep)


def energy_j(
    name: str,
    before: Mapping[str, Line | str],
    after: Mapping[str, Line | str],
    start_s: float,
    end_s: float,
) -> float | str:
    """Return the joules between two moments, or why they are not known."""
    first, last = before[name], after[name]
    if isinstance(first, str):
        return f"{first}, before the work"
    if isinstance(last, str):
        return f"{last}, after the work"
    used_j = last.at_j(end_s) - first.at_j(start_s)
    return used_j if used_j > 0 else f"no energy above 0 in {end_s - start_s:.3g} s"


def _period_s(counter: Counter) -> float:
    return counter.update_period_s


def _lines(
    counters: Sequence[Counter], clock: Callable[[], float], sleep: Callable[[float], None]
) -> dict[str, Line | str]:
    lines: dict[str, Line | str] = {}
    for period_s, group in groupby(counters, _period_s):
        lines |= _watch(list(group), period_s, clock, sleep)
    return lines


@dataclass
class _Watched:
    """A counter while it is watched: its last reading, and the first and last update seen."""

    counter: Counter
    time_s: float
    energy_j: float
    first: tuple[float, float] | None = None

    def look(self, clock: Callable[[], float]) -> Line | None:
        """Read the counter; gives the line once there are two updates far enough apart."""
        looked_s, self.time_s = self.time_s, clock()
        last_j, self.energy_j = self.energy_j, self.counter.read_j()
        if self.energy_j == last_j:
            return None
        update_s = (looked_s + self.time_s) / 2
        if self.first is None:
            self.first = (update_s, self.energy_j)
            return None
        first_s, first_j = self.first
        if update_s - first_s < min(_SPAN_S, self.counter.update_period_s * _PATIENCE_PERIODS / 2):
            return None
        return Line(update_s, self.energy_j, (self.energy_j - first_j) / (update_s - first_s))


def _watch(
    counters: Sequence[Counter], period_s: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> dict[str, Line | str]:
    """Read counters of one period again and again until each has moved often enough, or for too long."""
    lines: dict[str, Line | str] = {}
    watched = []
    start_s = clock()
    for counter in counters:
        try:
            watched.append(_Watched(counter, clock(), counter.read_j()))
        except CounterLost as lost:
            lines[counter.name] = lost.reason
    end_s = start_s + max(_PATIENCE_PERIODS * period_s, _PATIENCE_S)
    looks = 0
    while watched and (clock() < end_s or looks < _MIN_READS):
        looks += 1
        sleep(period_s / _LOOKS_PER_PERIOD)
        for item in list(watched):
            try:
                line = item.look(clock)
            except CounterLost as lost:
                lines[item.counter.name] = lost.reason
                watched.remove(item)
                continue
            if line is not None:
                lines[item.counter.name] = line
                watched.remove(item)
    for item in watched:
        lines[item.counter.name] = f"stuck: it did not move twice in {clock() - start_s:.3g} s"
    return lines
