"""Two runs on the same texts: the difference of their accuracies, and the ratio of what they took."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.statistics.accuracy_noise import Z, gap_error
from helpers.statistics.bootstrap import resamples

FEWEST_FOR_BOOTSTRAP = 5
"""Splits; resamples of fewer repeat so few values that their percentiles say nothing that the values do not."""
TEXT_DRAWS = 2_000
"""Resamples over texts, of which there are some hundred."""
PAIRED, UNPAIRED = "95 %, paired over the texts", "95 %, unpaired"


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its interval, and what the interval is; without an interval its ends are absent."""

    value: float
    low: float | None
    high: float | None
    interval_is: str


def accuracy_difference(first: pd.DataFrame, second: pd.DataFrame) -> Estimate:
    """Return how much more accurate the first of two runs is on the texts of the splits that both have.

    Both are frames with `split`, `id` and `right` (`helpers.results.predictions`). The difference of a text is 1, 0 or
    -1; a text that several test sets share counts in each and is one cluster for the standard error (CR0), so sharing
    texts does not make the interval narrower than they allow.

    Raises:
        ValueError: where they have no text in common.
    """
    both = first.merge(second, on=["split", "id"], suffixes=("_first", "_second"), validate="one_to_one")
    if both.empty:
        raise ValueError("the runs have no text in common")
    difference = both["right_first"].astype(float) - both["right_second"].astype(float)
    mean = float(difference.mean())
    by_text = (difference - mean).groupby(both["id"]).sum()
    half = Z * math.sqrt(float((by_text**2).sum())) / len(both)
    return Estimate(mean, mean - half, mean + half, PAIRED)


def unpaired_difference(first: float, second: float, texts: float) -> Estimate:
    """Return the difference of two accuracies that are known as means only, on so many independent texts."""
    half = Z * gap_error(first, second, texts)
    return Estimate(first - second, first - second - half, first - second + half, UNPAIRED)


def ratio_over_splits(
    numerators: "Sequence[Sequence[float] | pd.Series[float]]",
    denominators: "Sequence[Sequence[float] | pd.Series[float]]",
) -> Estimate:
    """Return the product of the sums of `numerators` by that of `denominators`, each with one value per split, in order.

    Duration by duration is one of each; energy per correct answer by the same of another run two: energy and the
    other's correct answers above, the other's energy and its own correct answers below. With
    `FEWEST_FOR_BOOTSTRAP` splits or more the interval is a percentile bootstrap (95 %, the same splits drawn for all);
    with fewer it is the lowest and the highest ratio of a single split, and with one there is none.

    Raises:
        ValueError: without a split, for values that differ in number, are negative or not finite, or whose sum below
            is zero.
    """
    over, under = (np.asarray(values, dtype=float) for values in (numerators, denominators))
    if over.ndim != 2 or under.ndim != 2 or over.shape[1] != under.shape[1] or not over.shape[1]:
        raise ValueError("expected one value of each quantity per split")
    if not (np.isfinite(over).all() and np.isfinite(under).all()) or min(over.min(), under.min()) < 0:
        raise ValueError("expected finite values that are not negative")
    if not under.sum(axis=1).all():
        raise ValueError("a sum below is zero: there is no ratio")
    value = float(over.sum(axis=1).prod() / under.sum(axis=1).prod())
    count = over.shape[1]
    if count == 1:
        return Estimate(value, None, None, "none, with one split")
    if count < FEWEST_FOR_BOOTSTRAP:
        single = _quotient(over.prod(axis=0), under.prod(axis=0))
        return Estimate(
            value, float(single.min()), float(single.max()), f"lowest and highest of {count} splits"
        )
    drawn = resamples(count)
    replicates = _quotient(
        np.prod([row[drawn].sum(axis=1) for row in over], axis=0),
        np.prod([row[drawn].sum(axis=1) for row in under], axis=0),
    )
    low, high = np.quantile(replicates, [0.025, 0.975], method="inverted_cdf")
    return Estimate(value, float(low), float(high), f"95 % bootstrap over {count} splits")


def with_texts_interval(
    ratio: Estimate, first: pd.DataFrame, second: pd.DataFrame, *, per_correct: bool = False
) -> Estimate:
    """Return a ratio of two runs of language models with an interval over the texts, where it has none over the splits.

    The time of each text (`latency_s`) is resampled with the texts that both runs have, the same for both: a percentile
    bootstrap (95 %) of the ratio of their sums, carried over to `ratio` in proportion. It holds for durations, and for
    energies as far as they follow the duration; with several texts at a time their times overlap, and only the
    proportion counts. It says how far the ratio hangs on these texts, not how far a second
    measurement of them would be off.

    Args:
        ratio: without an interval; another is returned as it is.
        first: predictions of the one run (`helpers.results.predictions`).
        second: those of the other.
        per_correct: whether `ratio` is one of energies per correct answer, so that `right` is resampled, too.
    """
    if ratio.low is not None or "latency_s" not in first or "latency_s" not in second:
        return ratio
    both = first.merge(second, on=["split", "id"], suffixes=("_first", "_second"), validate="one_to_one")
    pairs = [("latency_s_first", "latency_s_second")] + [("right_second", "right_first")] * per_correct
    if both.empty or not all(both[below].sum() for _, below in pairs):
        return ratio
    drawn = resamples(len(both), TEXT_DRAWS)
    replicates = np.ones(len(drawn))
    for above, below in pairs:
        over, under = (both[name].to_numpy(dtype=float) for name in (above, below))
        replicates *= _quotient(over[drawn].sum(axis=1), under[drawn].sum(axis=1)) * under.sum() / over.sum()
    low, high = np.quantile(replicates, [0.025, 0.975], method="inverted_cdf") * ratio.value
    return Estimate(ratio.value, float(low), float(high), f"95 % bootstrap over {len(both)} texts")


def _quotient(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    quotient = np.full(over.shape, np.inf)
    np.divide(over, under, out=quotient, where=under > 0)
    return quotient
