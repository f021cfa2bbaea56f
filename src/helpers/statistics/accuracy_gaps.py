"""Which gaps in accuracy are larger than the noise of the test texts? (paper, sections 4 and 5.1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd
from scipy.stats import t as student

from helpers.results import in_paper_mode

Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""
LEVEL = 0.05
SPLITS = 10
"""Test sets behind every published accuracy."""
MIXED_SPLITS = 3
"""The fewest splits for a mixed model."""
YES, UNSURE, NO = "larger than the noise", "cannot be told", "within the noise"


def standard_error(accuracy: float, texts: float) -> float:
    """Return the standard error of an accuracy on that many independent texts: sqrt(p (1 - p) / n).

    Raises:
        ValueError: for an accuracy outside 0 to 1, or without texts.
    """
    if not 0 <= accuracy <= 1 or texts <= 0:
        raise ValueError(f"accuracy {accuracy} on {texts} texts: expected 0 to 1 on at least one text")
    return math.sqrt(accuracy * (1 - accuracy) / texts)


def gap_error(first: float, second: float, texts: float) -> float:
    """Return the standard error of the difference of two accuracies, as if on different texts.

    On the same texts it is smaller wherever models tend to err on the same ones, which the paper's values
    do not tell.
    """
    return math.hypot(standard_error(first, texts), standard_error(second, texts))


def smallest_gap(accuracy: float, texts: float) -> float:
    """Return how far below `accuracy` another one must lie to be told apart (95 %, unpaired).

    The d that solves d = z sqrt((p (1 - p) + (p - d)(1 - p + d)) / n).
    """
    k = Z**2 / texts
    b = k * (2 * accuracy - 1)
    return (b + math.sqrt(b**2 + 8 * k * (1 + k) * accuracy * (1 - accuracy))) / (2 * (1 + k))


def most_texts(texts: int, available: int | None) -> int:
    """Return the independent texts that ten splits hold at the most: ten test sets, or the whole dataset."""
    return min(SPLITS * texts, available or SPLITS * texts)


def verdict(gap: float, rounding: float, errors: tuple[float, float]) -> str:
    """Say whether a gap is noise; `errors` are its standard errors with the most and the least texts.

    It is larger than the noise if it passes that of one split, and within it if it does not pass that of
    all texts that ten splits can hold; between the two, what is published does not tell.
    """
    least, most = errors
    if gap - rounding > Z * most:
        return YES
    return NO if gap + rounding <= Z * least else UNSURE


@dataclass(frozen=True)
class Gap:
    """The gap between two published accuracies of a dataset, in units of accuracy, and what noise allows to say."""

    dataset: str
    better: str
    worse: str
    gap: float
    rounding: float
    """Bound of what rounding or reading off a figure adds."""
    error_one_split: float
    error_ten_splits: float
    verdict: str
    origin: str


def gap_between(better: "pd.Series[Any]", worse: "pd.Series[Any]", available: int | None) -> Gap:
    """Return the gap between two rows of `results`; `available` is the number of texts of the dataset, if known."""
    first, second, texts = better["accuracy"], worse["accuracy"], int(better["texts"])
    most = gap_error(first, second, texts)
    least = gap_error(first, second, most_texts(texts, available))
    rounding = float(better["accuracy_uncertainty"] + worse["accuracy_uncertainty"])
    return Gap(
        dataset=str(better["dataset"]),
        better=str(better["model"]),
        worse=str(worse["model"]),
        gap=float(first - second),
        rounding=rounding,
        error_one_split=most,
        error_ten_splits=least,
        verdict=verdict(abs(first - second), rounding, (least, most)),
        origin=f"{better['origin']} {worse['origin']}",
    )


def published_accuracies(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return the published rows of a dataset that have an accuracy, indexed by model; the best one first.

    Of equally accurate ones that is the one with the least energy, as in `selection.most_accurate`.

    A model that has several stands with its best.
    """
    rows = results[
        (results["source"] == "published") & (results["dataset"] == dataset) & results["accuracy"].notna()
    ]
    best_first = rows.sort_values(["accuracy", "energy_wh"], ascending=[False, True], kind="stable")
    return best_first.drop_duplicates("model").set_index("model", drop=False)


@dataclass(frozen=True)
class Interval:
    """A mean difference with its standard error, 95 % interval and two-sided p-value (Student's t)."""

    mean: float
    std_error: float
    low: float
    high: float
    p_value: float


def paired_t(differences: Sequence[float], test_to_train: float = 0.0) -> Interval:
    """Compare two models by their differences on the same splits.

    The variance of the mean is s^2 (1/k + test/train). With 0 this is the plain paired t-test, right for
    independent splits; with the ratio of test to training texts it is the corrected resampled t-test of
    Nadeau and Bengio (2003), for splits of one small dataset, which overlap.

    Raises:
        ValueError: for fewer than two splits.
    """
    count = len(differences)
    if count < 2:
        raise ValueError(f"{count} split: expected at least two")
    mean = math.fsum(differences) / count
    variance = math.fsum((d - mean) ** 2 for d in differences) / (count - 1)
    error = math.sqrt(variance * (1 / count + test_to_train))
    if error == 0:
        return Interval(mean, 0.0, mean, mean, float(mean == 0))
    half = float(student.ppf(1 - LEVEL / 2, count - 1)) * error
    p_value = 2 * float(student.sf(abs(mean) / error, count - 1))
    return Interval(mean, error, mean - half, mean + half, p_value)


def by_split(split_results: pd.DataFrame, source: str, dataset: str) -> pd.DataFrame:
    """Return the accuracies of a source on a dataset: a row per split, a column per model; splits that all have."""
    rows = in_paper_mode(split_results)
    rows = rows[(rows["source"] == source) & (rows["dataset"] == dataset)]
    first = rows.drop_duplicates(["model", "split"])
    return first.pivot(index="split", columns="model", values="accuracy").dropna()


def paired_gaps(accuracies: pd.DataFrame, test_to_train: float) -> pd.DataFrame:
    """Compare every pair of models over the same splits, plain and corrected, with Holm's correction for all pairs.

    `accuracies` comes from `by_split`. Columns `better`, `worse`, `gap`, `low`, `high`, `corrected_low`,
    `corrected_high` (95 % intervals of the single comparison), `p_holm`, `corrected_p_holm`, `verdict`.
    """
    order = accuracies.mean().sort_values(ascending=False, kind="stable").index
    pairs = list(combinations(order, 2))
    if not pairs or len(accuracies) < 2:
        return pd.DataFrame(columns=PAIR_COLUMNS)
    differences = [list(accuracies[better] - accuracies[worse]) for better, worse in pairs]
    plain = [paired_t(values) for values in differences]
    corrected = [paired_t(values, test_to_train) for values in differences]
    p_plain, p_corrected = (holm([found.p_value for found in tests]) for tests in (plain, corrected))
    rows = [
        (*pair, a.mean, a.low, a.high, b.low, b.high, p, q, _paired_verdict(p, q))
        for pair, a, b, p, q in zip(pairs, plain, corrected, p_plain, p_corrected, strict=True)
    ]
    return pd.DataFrame(rows, columns=PAIR_COLUMNS)


PAIR_COLUMNS = [
    "better",
    "worse",
    "gap",
    "low",
    "high",
    "corrected_low",
    "corrected_high",
    "p_holm",
    "corrected_p_holm",
    "verdict",
]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's step-down correction: the i-th smallest of n times n - i, never falling.

    As statsmodels' `multipletests`, which collects Python's garbage at each call and takes half a second for it.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[i]))
        corrected[i] = highest
    return corrected


def _paired_verdict(plain_p: float, corrected_p: float) -> str:
    return YES if corrected_p < LEVEL else NO if plain_p >= LEVEL else UNSURE


@dataclass(frozen=True)
class MixedFit:
    """accuracy ~ model + (1 | split): differences to a reference model and where the scatter comes from."""

    effects: pd.DataFrame
    """Index: model without the reference; columns `estimate` and `std_error`, in units of accuracy."""
    split_share: float | None
    """Part of the variance that all models of a split have in common; None where nothing varies."""


def mixed_model(accuracies: pd.DataFrame, reference: str) -> MixedFit:
    """Fit the mixed model by REML; `accuracies` comes from `by_split`.

    The design is balanced (each model on each split), so the estimates are those of the two-way analysis of
    variance; where the splits scatter less than chance alone would make them, their variance is 0 and their
    sum of squares goes to the residual (Searle, Casella and McCulloch, Variance Components, section 4.5).

    Raises:
        ValueError: for fewer than two models or three splits.
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
    error = math.sqrt(2 * scale / splits)
    effects = pd.DataFrame({"estimate": means.drop(reference) - means[reference], "std_error": error})
    total = between + scale
    return MixedFit(effects, float(between / total) if total > 0 else None)
