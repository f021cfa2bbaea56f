"""What measuring adds to the measured duration: the same work with and without, in turn."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from helpers.metering.meter import Meter
from helpers.metering.timeline import start_timeline
from helpers.results.overhead import Overhead
from helpers.statistics.bootstrap import resamples

EDGES = 15


def overheads(meter: Meter, gpus: list[str], work: Callable[[], object], pairs: int) -> list[Overhead]:
    """Return the overhead of the meter, and of the meter with the power time line beside it."""

    @contextmanager
    def alone() -> Iterator[None]:
        yield

    @contextmanager
    def beside() -> Iterator[None]:
        # It is left unwritten: writing it would keep the machine busy beside the half that follows.
        with tempfile.TemporaryDirectory() as folder, start_timeline(Path(folder), gpus):
            yield

    return [
        _overhead("the meter", alone, meter, work, pairs),
        _overhead("the meter and the power time line", beside, meter, work, pairs),
    ]


def edge_s(meter: Meter) -> float:
    """Return the seconds that a measurement takes beside the work, as a median."""
    return statistics.median(_seconds(lambda: meter.measure(lambda: None)) for _ in range(EDGES))


def interval_percent(ratios: list[float]) -> tuple[float, float, float]:
    """Return the median of ratios and the ends of its 95 % bootstrap interval, as percent above 1."""
    medians = np.median(np.asarray(ratios)[resamples(len(ratios))], axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    median, low, high = (100 * (float(value) - 1) for value in (np.median(ratios), low, high))
    return median, low, high


def _overhead(
    what: str,
    around: Callable[[], AbstractContextManager[None]],
    meter: Meter,
    work: Callable[[], object],
    pairs: int,
) -> Overhead:
    def measured() -> float:
        with around():
            return meter.measure(work)[1].duration_s

    ratios, blocks = [], []
    for pair in range(pairs):
        # Each goes first in every other pair, so that a drift of the machine favours neither.
        if pair % 2:
            plain_s = _seconds(work)
            measured_s = measured()
        else:
            measured_s = measured()
            plain_s = _seconds(work)
        ratios.append(measured_s / plain_s)
        blocks.append(plain_s)
    median, low, high = interval_percent(ratios)
    return Overhead(
        what=what,
        pairs=pairs,
        block_s=statistics.median(blocks),
        median_percent=median,
        low_percent=low,
        high_percent=high,
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
