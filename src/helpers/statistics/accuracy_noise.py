"""Noise of an accuracy that is a mean over test sets which share texts (paper, sections 3, 4 and 5.1)."""

import math
from collections.abc import Collection, Sequence
from itertools import combinations

Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""


def expected_overlap(test_texts: int, pool: int) -> float:
    """Return the share of texts that two test sets have in common on average, drawn independently from a pool: n/N.

    Raises:
        ValueError: where a test set has no text, or more than the pool.
    """
    if not 0 < test_texts <= pool:
        raise ValueError(f"{test_texts} texts of {pool}: expected at least one and at most all")
    return test_texts / pool


def mean_overlap(test_sets: Sequence[Collection[int]]) -> float:
    """Return the share of texts that two of these test sets of one size have in common, the mean over all pairs.

    Raises:
        ValueError: for fewer than two test sets, or sets of different sizes.
    """
    sets = [set(ids) for ids in test_sets]
    if len(sets) < 2 or len(set(map(len, sets))) > 1 or not sets[0]:
        raise ValueError("expected at least two test sets of one size")
    shared = [len(one & other) / len(one) for one, other in combinations(sets, 2)]
    return math.fsum(shared) / len(shared)


def effective_texts(test_texts: int, splits: int, overlap: float) -> float:
    """Return how many independent texts are worth as much as the mean over `splits` test sets that overlap.

    A model is right on a text with probability p, independently of other texts. A test set has n texts, two test
    sets share the part o of them (`expected_overlap` or `mean_overlap`). Then the accuracy on one test set has the
    variance p(1-p)/n, two have the covariance o p(1-p)/n, as they have o n texts in common, and the mean over k has

        p(1-p)/n x (1/k + (1 - 1/k) o) = p(1-p)/n_eff.

    With test sets drawn from a pool of N texts, o = n/N, so 1/n_eff = 1/N + (1/k)(1/n - 1/N): what the pool leaves
    open about other texts, and what the test sets leave open about the pool. (With the finite-population factor for
    a given pool in place of its mean, the second term is (1/k)(1/n)(N-n)/(N-1), larger by the factor N/(N-1).)
    FKTG, halves of 378: 344.

    A model's answer to a text counts as fixed. That of a trained model also depends on the training set of the
    split, which adds a variance that published means do not show.

    Raises:
        ValueError: without texts or splits, or for an overlap outside 0 to 1.
    """
    if test_texts <= 0 or splits <= 0 or not 0 <= overlap <= 1:
        raise ValueError(
            f"{splits} test sets of {test_texts} texts, overlap {overlap}: expected positive, 0 to 1"
        )
    return test_texts / (1 / splits + (1 - 1 / splits) * overlap)


def split_variance(accuracy: float, test_texts: int, overlap: float) -> float:
    """Return the variance over splits that the choice of test texts gives an accuracy, p(1-p)/n x (1 - o).

    Less than over independent texts, as texts that test sets share do not vary. Notation as in `effective_texts`.
    """
    return standard_error(accuracy, test_texts) ** 2 * (1 - overlap)


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

    Models that are tested on the same texts are paired: where they tend to be right on the same ones, the error is
    smaller, by a covariance that published means do not show, so this one is on the safe side.
    """
    return math.hypot(standard_error(first, texts), standard_error(second, texts))


def smallest_gap(accuracy: float, texts: float) -> float:
    """Return how far below `accuracy` another one must lie to differ significantly (95 %, unpaired).

    The d that solves d = z sqrt((p (1 - p) + (p - d)(1 - p + d)) / n).
    """
    k = Z**2 / texts
    b = k * (2 * accuracy - 1)
    return (b + math.sqrt(b**2 + 8 * k * (1 + k) * accuracy * (1 - accuracy))) / (2 * (1 + k))


def variance_of_mean(splits: int, overlap: float) -> float:
    """Return the variance of a mean over splits by the variance s^2 between them: 1/k + o/(1 - o).

    Splits that are correlated by o vary less between each other, E[s^2] = sigma^2 (1 - o), than their mean does,
    sigma^2 (1/k + (1 - 1/k) o). Where train and test sets divide one dataset, o/(1 - o) is n_test/n_train, the
    corrected resampled t-test of Nadeau and Bengio (2003); here it follows the overlap of the actual splits.

    Raises:
        ValueError: for fewer than two splits, or an overlap outside 0 to 1.
    """
    if splits < 2 or not 0 <= overlap < 1:
        raise ValueError(f"{splits} splits, overlap {overlap}: expected at least two, and 0 to 1")
    return 1 / splits + overlap / (1 - overlap)
