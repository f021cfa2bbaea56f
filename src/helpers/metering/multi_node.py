"""One interface to measure a run, whether it takes one node or several."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

from helpers.metering.meter import Reading, Sources, Window, open_meter, repeat
from helpers.metering.node_readings import NodesReading, node_checks
from helpers.metering.nodes import NodesMeter, open_nodes
from helpers.records.storage import Check

ResultT = TypeVar("ResultT")


class RunMeter(Protocol):
    """Measures the work of a run."""

    @property
    def gpus(self) -> int:
        """Number of GPUs whose energy is counted."""

    @property
    def min_window_s(self) -> float:
        """Seconds that a window takes at least."""

    def measure(self, work: Callable[[], ResultT]) -> tuple[ResultT, Reading]:
        """Run `work` once; returns its result and what it took."""

    def window(self, work: Callable[[], object], window_s: float) -> Window:
        """Repeat `work` until at least `window_s` seconds are over."""

    def checks(self) -> list[Check]:
        """Judge what only this kind of meter knows."""


class SeveralNodes:
    """Measures work on all nodes of a run: energies add up, the longest duration counts (paper, section 3.3)."""

    min_window_s = 0.0
    """The counters of the nodes are read there; a window of `helpers.metering.plausibility.WINDOW_S` is enough."""

    def __init__(self, meter: NodesMeter, nodes: int) -> None:
        self._meter = meter
        self._nodes = nodes
        self._windows: list[NodesReading] = []

    @property
    def gpus(self) -> int:
        """Number of GPUs whose energy was counted in every window."""
        return min((_gpus(reading) for reading in self._windows), default=0)

    def measure(self, work: Callable[[], ResultT]) -> tuple[ResultT, Reading]:
        """Run `work` once, here; returns its result and what all nodes took."""
        result, reading, started_s = self._measure(work)
        return result, _as_one(reading, started_s)

    def window(self, work: Callable[[], object], window_s: float) -> Window:
        """Repeat `work` until at least `window_s` seconds are over."""

        def measure(passes: Callable[[], int]) -> tuple[int, Reading]:
            done, reading, started_s = self._measure(passes)
            self._windows.append(reading)
            return done, _as_one(reading, started_s)

        return repeat(measure, work, window_s)

    def checks(self) -> list[Check]:
        """Check the nodes over all windows: of each check the first that failed, or any."""
        worst: dict[str, Check] = {}
        for reading in self._windows:
            for check in node_checks(reading, self._nodes):
                if worst.setdefault(check.name, check).passed:
                    worst[check.name] = check
        return list(worst.values())

    def _measure(self, work: Callable[[], ResultT]) -> tuple[ResultT, NodesReading, float]:
        begun: list[float] = []

        def timed() -> ResultT:
            begun.append(time.perf_counter())
            return work()

        result, reading = self._meter.measure(timed)
        return result, reading, begun[0]


@contextmanager
def open_run_meter(nodes: int, ram_gb: float, sources: Sources) -> Iterator[RunMeter]:
    """Open the meter of this machine, or one on each node of the Ray cluster.

    Args:
        nodes: that the run takes.
        ram_gb: memory that the run may use on this machine; other nodes find out themselves.
        sources: counters of this machine that the run may use; other nodes find out themselves.

    Raises:
        UserError: one line where a node or its meter is missing.
    """
    if nodes == 1:
        with open_meter(ram_gb, sources=sources) as meter:
            yield meter
    else:
        with open_nodes() as meters:
            yield SeveralNodes(meters, nodes)


def _as_one(reading: NodesReading, started_s: float) -> Reading:
    """Return what all nodes took as one reading; each source bears the number of its node."""
    longest = max((node.reading for node in reading.per_node), key=lambda item: item.duration_s)
    sources = tuple(
        replace(source, source=f"{source.source}@{number}")
        for number, node in enumerate(reading.per_node)
        for source in node.reading.sources
    )
    moves = [node.reading.moved for node in reading.per_node if node.reading.moved is not None]
    return Reading(
        reading.duration_s,
        longest.codecarbon_duration_s,
        reading.energy,
        sources,
        started_s,
        max(moves, key=lambda item: abs(item.wall_s), default=None),
    )


def _gpus(reading: NodesReading) -> int:
    return sum(
        source.component == "gpu" and source.source.startswith("nvml:")
        for node in reading.per_node
        for source in node.reading.sources
    )
