"""Which source a component's energy comes from, where there are several."""

from collections.abc import Sequence

from helpers.metering.codecarbon import Part
from helpers.metering.counters import Absent, Counter
from helpers.metering.readings import SourceReading
from helpers.records.storage import Component, Method

PERIODS = 20
"""A window is at least this many update periods of the slowest counter long."""
AGREE = 0.015
"""CodeCarbon's number of a counter stands where it is this close to what the counter says itself."""


def counter_reading(counter: Counter, used_j: float | str, duration_s: float) -> SourceReading:
    """Return what a counter says; `used_j` is its energy, or why that is not known."""
    if isinstance(used_j, str):
        return SourceReading(counter.name, counter.component, None, used_j)
    short = duration_s < PERIODS * counter.update_period_s
    problem = f"{duration_s:.3g} s are less than {PERIODS} updates of {counter.update_period_s:g} s"
    return SourceReading(counter.name, counter.component, used_j / 3600, problem if short else None)


def choose(
    component: str,
    tracked: Part,
    measured: Method,
    readings: Sequence[SourceReading],
    absent: Sequence[Absent],
) -> tuple[Component, str | None]:
    """Return a component's energy, and what is wrong with CodeCarbon's.

    CodeCarbon's number where it measured and its counter agrees; the counter's where CodeCarbon estimates or
    does not agree; nothing where a counter was lost, or where only some of the counters can be read.
    """
    counted = [reading for reading in readings if reading.component == component]
    gaps = [f"{item.source}: {item.reason}" for item in absent if item.component == component]
    lost = [f"{item.source}: {item.problem}" for item in counted if item.energy_wh is None]
    missing = Component(energy_wh=None, method="missing")
    if lost:
        return missing, tracked.problem or f"not used: {'; '.join(lost)}"
    if counted and not gaps:
        counted_wh = sum(reading.energy_wh or 0.0 for reading in counted)
        if tracked.energy_wh is None or tracked.method != measured:
            return Component(energy_wh=counted_wh, method=measured), tracked.problem
        if abs(tracked.energy_wh - counted_wh) > AGREE * counted_wh:
            apart = f"{tracked.energy_wh / counted_wh:.3g} times what the counters say; theirs is used"
            return Component(energy_wh=counted_wh, method=measured), apart
    if gaps and tracked.method == measured:
        return missing, f"not complete: {'; '.join(gaps)}"
    if tracked.energy_wh is None:
        return missing, tracked.problem
    return Component(energy_wh=tracked.energy_wh, method=tracked.method), tracked.problem


def codecarbon_reading(component: str, tracked: Part, problem: str | None) -> SourceReading:
    """Return what CodeCarbon says about a component."""
    return SourceReading(f"codecarbon:{tracked.method}", component, tracked.energy_wh, problem)
