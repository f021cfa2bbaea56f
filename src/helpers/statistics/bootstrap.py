"""Bootstrap over the splits of a run: how far a ratio moves when other splits had been drawn.

The 10 splits of a dataset overlap, so an interval is about splits of these texts, not about new texts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
SEED = 20250819
"""Fixed, so that a page does not change when it is built again; the date of arXiv v1."""


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its interval; None where there are too few splits for one."""

    estimate: float
    low: float | None
    high: float | None


def resamples(count: int, draws: int = DRAWS, generator: np.random.Generator | None = None) -> np.ndarray:
    """Return `draws` x `count` positions, each row drawn with replacement; by default with the fixed seed."""
    chosen = generator or np.random.default_rng(SEED)
    return chosen.integers(0, count, size=(draws, count))


def ratio_of_sums(
    numerators: Sequence[float],
    denominators: Sequence[float],
    confidence: float = 0.95,
    draws: int = DRAWS,
    generator: np.random.Generator | None = None,
) -> Interval:
    """Return sum / sum over splits and its percentile interval, for example Wh per correct answer.

    Both sums are taken over the same resampled splits. Percentiles are order statistics of the replicates,
    so a change of units changes the ends by just that factor. With n splits such an interval is too narrow
    by about sqrt((n - 1) / n), 5 % at 10. An end is infinite where resamples without any correct answer
    reach into it.

    Raises:
        ValueError: for lists that differ in length or are empty, for a negative value, and where the
            denominators add up to zero.
    """
    over, under = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if over.shape != under.shape or over.ndim != 1 or not len(over):
        raise ValueError(
            f"{len(over)} numerators and {len(under)} denominators: expected one of each per split"
        )
    if (over < 0).any() or (under < 0).any() or not math.isfinite(over.sum() + under.sum()):
        raise ValueError("expected finite values that are not negative")
    if under.sum() == 0:
        raise ValueError("the denominators add up to zero: there is no ratio")
    estimate = float(over.sum() / under.sum())
    if len(over) < 2:
        return Interval(estimate, None, None)
    order = np.lexsort((under, over))  # so that the order of the splits does not matter
    index = order[resamples(len(over), draws, generator)]
    sums = under[index].sum(axis=1)
    replicates = np.full(draws, np.inf)
    np.divide(over[index].sum(axis=1), sums, out=replicates, where=sums > 0)
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail], method="inverted_cdf")
    return Interval(estimate, float(low), float(high))
