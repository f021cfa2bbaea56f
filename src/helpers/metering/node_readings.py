"""What several nodes took together (paper, section 3.3): energies add up, the longest duration counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from helpers.metering.meter import Reading
from helpers.records.storage import Check, Component, Energy, Method

TOGETHER = 0.01
"""Part of the duration by which the meters may start, or stop, apart."""
AS_LONG = 0.05
"""Part of the duration of the work by which a node's reading may differ from it."""


@dataclass(frozen=True)
class NodeReading:
    """What one node took.

    `started_s` and `stopped_s` are on the node's monotonic clock, like its power time line; the driver's is
    that minus `clock_offset_s`. Monotonic clocks count from different origins: an offset between machines
    is large, and says nothing by itself.
    """

    node_id: str
    hostname: str
    clock_offset_s: float
    clock_offset_uncertainty_s: float
    """Half the width of what all round trips, before and after the work, leave possible; drift included."""
    reading: Reading
    machine_id: str
    """The same for all nodes and containers on one machine."""
    started_s: float
    stopped_s: float


@dataclass(frozen=True)
class NodesReading:
    """What all nodes took together: the longest duration and the sum of energies."""

    duration_s: float
    energy: Energy
    per_node: tuple[NodeReading, ...]
    work_duration_s: float
    """Seconds that the work took on the driver's clock."""

    @property
    def start_spread_s(self) -> float:
        """Seconds between the first and the last meter that started."""
        return _spread([node.started_s - node.clock_offset_s for node in self.per_node])

    @property
    def stop_spread_s(self) -> float:
        """Seconds between the first and the last meter that stopped."""
        return _spread([node.stopped_s - node.clock_offset_s for node in self.per_node])

    @property
    def remarks(self) -> tuple[str, ...]:
        """A sentence for each component whose methods differ between nodes, or that one of them lacks."""
        return tuple(
            f"{name}: {', '.join(f'{method} on {count}' for method, count in methods.items())} "
            f"of {len(self.per_node)} nodes; the sum is {getattr(self.energy, name).method}"
            for name in Energy.model_fields
            if len(methods := Counter(getattr(node.reading.energy, name).method for node in self.per_node))
            > 1
        )


def combine(per_node: Sequence[NodeReading], work_duration_s: float) -> NodesReading:
    """Return the sum of energies and the longest duration (paper, section 3.3)."""
    return NodesReading(
        duration_s=max(node.reading.duration_s for node in per_node),
        energy=sum_energies([node.reading.energy for node in per_node]),
        per_node=tuple(per_node),
        work_duration_s=work_duration_s,
    )


def sum_energies(energies: Sequence[Energy]) -> Energy:
    """Add up energies of several nodes, component by component.

    A component that one of them lacks is missing. Where methods differ, the sum has the weakest: an
    estimate with a measured part is an estimate.
    """

    def added(parts: Sequence[Component]) -> Component:
        parts_wh = [part.energy_wh for part in parts if part.energy_wh is not None]
        method = max((part.method for part in parts), key=_weakness)
        return Component(energy_wh=sum(parts_wh) if method != "missing" else None, method=method)

    return Energy(
        **{name: added([getattr(energy, name) for energy in energies]) for name in Energy.model_fields}
    )


def node_checks(reading: NodesReading, nodes: int) -> list[Check]:
    """Check a measurement of `nodes` nodes."""
    machines = len({node.machine_id for node in reading.per_node})
    apart_s = max(reading.start_spread_s, reading.stop_spread_s)
    furthest_s = max(abs(node.reading.duration_s - reading.work_duration_s) for node in reading.per_node)
    return [
        Check(
            name="no_node_missing",
            passed=len(reading.per_node) == nodes,
            message=f"{len(reading.per_node)} nodes have a reading, expected {nodes}",
            severity="error",
        ),
        Check(
            name="one_meter_per_machine",
            passed=machines == len(reading.per_node),
            message=f"{len(reading.per_node)} meters on {machines} machines, expected one each: "
            "two on one count it twice",
            severity="error",
        ),
        Check(
            name="same_methods_on_all_nodes",
            passed=not reading.remarks,
            message="; ".join(reading.remarks) or "each component was got in the same way on all nodes",
            severity="warning",
        ),
        Check(
            name="meters_together",
            passed=apart_s <= TOGETHER * reading.duration_s,
            message=f"the meters started and stopped within {apart_s * 1000:.3g} ms of each other, expected "
            f"at most {TOGETHER:.0%} of {reading.duration_s:.4g} s",
            severity="warning",
        ),
        Check(
            name="nodes_measured_the_work",
            passed=furthest_s <= AS_LONG * reading.work_duration_s,
            message=f"durations of the nodes are at most {furthest_s:.3g} s off that of the work, "
            f"{reading.work_duration_s:.4g} s; expected {AS_LONG:.0%}",
            severity="warning",
        ),
    ]


def _weakness(method: Method) -> tuple[int, int]:
    """Order methods from measured over estimated to missing."""
    kind = ("measured", "estimated", "missing").index(method.partition(":")[0])
    return kind, get_args(Method).index(method)


def _spread(moments: Sequence[float]) -> float:
    return max(moments) - min(moments)
