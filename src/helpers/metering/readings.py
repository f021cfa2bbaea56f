"""What a measurement gives: seconds and Wh by component, with what every source says by itself."""

from dataclasses import dataclass
from typing import get_args

from helpers.metering.clocks import Moved
from helpers.records.storage import Component, Energy, Method


@dataclass(frozen=True)
class SourceReading:
    """What one source says about a component: CodeCarbon (`codecarbon:METHOD`) or one counter.

    An energy with a problem is to be used with care; without an energy, the problem is the reason.
    """

    source: str
    component: str
    energy_wh: float | None
    problem: str | None


@dataclass(frozen=True)
class Reading:
    """What one stretch of work took: seconds on our clock and on CodeCarbon's, and Wh by component.

    `sources` holds what every source says by itself, and why others are absent. `started_s` is when the work
    began on the meter's clock, which is that of the power time line; the counters are watched before and after.
    `moved` compares the machine's clocks meanwhile.
    """

    duration_s: float
    codecarbon_duration_s: float
    energy: Energy
    sources: tuple[SourceReading, ...] = ()
    started_s: float | None = None
    moved: Moved | None = None


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


def scale(energy: Energy, factor: float) -> Energy:
    """Return `factor` times the energy; what is missing stays missing."""

    def scaled(part: Component) -> Component:
        return Component(
            energy_wh=None if part.energy_wh is None else part.energy_wh * factor, method=part.method
        )

    return Energy(**{name: scaled(getattr(energy, name)) for name in Energy.model_fields})


def add(first: Energy, second: Energy) -> Energy:
    """Return the sum of two energies of one machine, component by component.

    Where the methods differ, the sum has the weaker one: an estimate with a measured part is an estimate.
    """

    def added(a: Component, b: Component) -> Component:
        if a.energy_wh is None or b.energy_wh is None:
            return Component(energy_wh=None, method="missing")
        method = max(a.method, b.method, key=get_args(Method).index)
        return Component(energy_wh=a.energy_wh + b.energy_wh, method=method)

    return Energy(
        **{name: added(getattr(first, name), getattr(second, name)) for name in Energy.model_fields}
    )
