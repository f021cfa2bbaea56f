"""Which gaps in accuracy are larger than the noise of the test texts? (paper, sections 4 and 5.1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd
from scipy.stats import t as student

from helpers.results.tables import select_sequential
from helpers.statistics.accuracy_noise import (
    Z,
    effective_texts,
    gap_error,
    variance_of_mean,
)
from helpers.statistics.overlap import effective_texts_of_run
from helpers.statistics.selection import best_first

LEVEL = 0.05
MIXED_SPLITS = 3
"""The fewest splits for a mixed model."""
CLEAR, ROUNDING, NOISE = "larger than the noise", "undecided due to rounding", "within the noise"


def verdict(gap: float, rounding: float, std_error: float) -> str:
    """Say whether a gap that rounding moves by at most `rounding` is larger than its noise (95 %), before rounding.

    Where one of the values that round to the gap is and another is not, the verdict hangs on rounding.
    """
    noise = Z * std_error
    if gap - rounding > noise:
        return CLEAR
    return NOISE if gap + rounding <= noise else ROUNDING


@dataclass(frozen=True)
class Gap:
    """The gap between two published accuracies of a dataset, in units of accuracy, and what noise allows to say."""

    dataset: str
    better: str
    worse: str
    gap: float
    rounding: float
    """Bound of what rounding or reading off a figure adds."""
    effective_texts: float
    effective_texts_at_most: float
    """The same of test sets without a text in common, as from a pool without end."""
    std_error: float
    """Of the difference of the two means over ten splits, unpaired."""
    verdict: str
    origin: str


def gap_between(better: "pd.Series[Any]", worse: "pd.Series[Any]") -> Gap:
    """Return the gap between two published rows of `results` on one dataset."""
    first, second, texts = better["accuracy"], worse["accuracy"], int(better["texts"])
    splits = int(better["splits"])
    effective = effective_texts_of_run(str(better["dataset"]), texts, splits)
    error = gap_error(first, second, effective)
    rounding = float(better["accuracy_uncertainty"] + worse["accuracy_uncertainty"])
    return Gap(
        dataset=str(better["dataset"]),
        better=str(better["model"]),
        worse=str(worse["model"]),
        gap=float(first - second),
        rounding=rounding,
        effective_texts=effective,
        effective_texts_at_most=effective_texts(texts, splits, 0.0),
        std_error=error,
        verdict=verdict(abs(first - second), rounding, error),
        origin=f"{better['origin']} {worse['origin']}",
    )


def published_accuracies(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return the published rows of a dataset that have an accuracy, indexed by model; the best one first.

    The order is that of `selection.best_first`. A model that has several stands with its best.
    """
    rows = best_first(results[(results["source"] == "published") & (results["dataset"] == dataset)])
    return rows.drop_duplicates("model").set_index("model", drop=False)


@dataclass(frozen=True)
class Interval:
    """A mean difference with its standard error, 95 % interval and two-sided p-value (Student's t)."""

    mean: float
    std_error: float
    low: float
    high: float
    p_value: float


def paired_t(differences: Sequence[float], overlap: float) -> Interval:
    """Compare two models by their differences on the same splits, whose test sets share the part `overlap`.

    Differences on two splits are taken to be correlated by that part: exactly so as far as they come from the test
    texts; as far as they come from the training sets, where these share no larger part (true of sets that are no
    larger and from the same pool) and their texts act independently. What a text does in training is taken to be
    independent of whether models are right on it, which matters where the texts of one test set are those that
    others train on (halves), and hardly in a large pool. Then the mean by its standard error follows Student's t.

    Raises:
        ValueError: for fewer than two splits, or an overlap outside 0 to 1.
    """
    count = len(differences)
    factor = variance_of_mean(count, overlap)
    mean = math.fsum(differences) / count
    variance = math.fsum((d - mean) ** 2 for d in differences) / (count - 1)
    error = math.sqrt(variance * factor)
    if error == 0:
        return Interval(mean, 0.0, mean, mean, float(mean == 0))
    half = float(student.ppf(1 - LEVEL / 2, count - 1)) * error
    p_value = 2 * float(student.sf(abs(mean) / error, count - 1))
    return Interval(mean, error, mean - half, mean + half, p_value)


def by_split(split_results: pd.DataFrame, source: str, dataset: str) -> pd.DataFrame:
    """Return the accuracies of a source on a dataset: a row per split, a column per model; splits that all have."""
    rows = select_sequential(split_results)
    rows = rows[(rows["source"] == source) & (rows["dataset"] == dataset)]
    first = rows.drop_duplicates(["model", "split"])
    return first.pivot(index="split", columns="model", values="accuracy").dropna()


PAIR_COLUMNS = ["better", "worse", "gap", "std_error", "low", "high", "p_holm", "verdict"]


def paired_gaps(accuracies: pd.DataFrame, overlap: float) -> pd.DataFrame:
    """Compare every pair of models over the same splits by `paired_t`, with Holm's correction for all pairs.

    `accuracies` comes from `by_split`. Columns `better`, `worse`, `gap`, `std_error`, `low`, `high` (95 % interval
    of the single comparison), `p_holm`, `verdict`.
    """
    order = accuracies.mean().sort_values(ascending=False, kind="stable").index
    pairs = list(combinations(order, 2))
    if not pairs or len(accuracies) < 2:
        return pd.DataFrame(columns=PAIR_COLUMNS)
    tests = [paired_t(list(accuracies[better] - accuracies[worse]), overlap) for better, worse in pairs]
    corrected = holm([test.p_value for test in tests])
    rows = [
        (*pair, test.mean, test.std_error, test.low, test.high, p, CLEAR if p < LEVEL else NOISE)
        for pair, test, p in zip(pairs, tests, corrected, strict=True)
    ]
    return pd.DataFrame(rows, columns=PAIR_COLUMNS)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's step-down correction: the i-th smallest of n times n - i, never falling.

    As statsmodels' `multipletests`, which collects Python's garbage at each call and takes half a second for it.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected


@dataclass(frozen=True)
class MixedFit:
    """accuracy ~ model + (1 | split): differences to a reference model and the sources of the variance."""

    effects: pd.DataFrame
    """Index: model without the reference; columns `estimate` and `std_error`, in units of accuracy."""
    split_share: float | None
    """Part of the variance that all models of a split have in common; None where nothing varies."""


def mixed_model(accuracies: pd.DataFrame, reference: str, overlap: float) -> MixedFit:
    """Fit the mixed model by REML; `accuracies` comes from `by_split`, `overlap` is that of its test sets.

    The design is balanced (each model on each split), so the estimates are those of the two-way analysis of
    variance; where the splits vary less than by chance alone, their variance is 0 and their
    sum of squares goes to the residual (Searle, Casella and McCulloch, Variance Components, section 4.5). The
    residuals of two splits are correlated as in `paired_t`, which widens the standard errors.

    Raises:
        ValueError: for fewer than two models or three splits, or an overlap outside 0 to 1.
    """
    splits, models = accuracies.shape
    if models < 2 or splits < MIXED_SPLITS:
        raise ValueError(f"{models} models, {splits} splits: expected 2 and 3 at least")
    values = accuracies.to_numpy(float)
    per_model, per_split = values.mean(axis=0), values.mean(axis=1)
    residual = values - per_model - per_split[:, None] + values.mean()
    of_splits, of_residual = models * ((per_split - values.mean()) ** 2).sum(), (residual**2).sum()
    free = (splits - 1) * (models - 1)
    scale, between = of_residual / free, (of_splits / (splits - 1) - of_residual / free) / models
    if between < 0:
        scale, between = (of_splits + of_residual) / (free + splits - 1), 0.0
    means = pd.Series(per_model, index=accuracies.columns)
    error = math.sqrt(2 * scale * variance_of_mean(splits, overlap))
    effects = pd.DataFrame({"estimate": means.drop(reference) - means[reference], "std_error": error})
    total = between + scale
    return MixedFit(effects, float(between / total) if total > 0 else None)
