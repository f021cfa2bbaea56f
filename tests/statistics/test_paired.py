"""Two runs on the same texts: the difference of accuracies, and ratios over the splits."""

import math

import pandas as pd
import pytest

from helpers.statistics import paired


def answers(right, split=0, ids=None):
    numbers = list(range(len(right))) if ids is None else ids
    return pd.DataFrame({"split": split, "id": numbers, "right": [bool(value) for value in right]})


def test_a_difference_is_paired_over_the_texts():
    found = paired.accuracy_difference(answers([1, 1, 1, 0]), answers([1, 0, 0, 0]))
    assert found.value == 0.5
    half = paired.Z * math.sqrt(4 * 0.5**2) / 4
    assert (found.low, found.high) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))


def test_runs_that_are_right_on_the_same_texts_differ_by_nothing_for_certain():
    found = paired.accuracy_difference(answers([1, 0, 1]), answers([1, 0, 1]))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_the_same_texts_in_a_second_split_make_the_interval_no_narrower():
    first, second = [1, 1, 0, 1, 0, 1], [0, 1, 0, 1, 1, 0]
    once = paired.accuracy_difference(answers(first), answers(second))
    again = [pd.concat([answers(right), answers(right, split=1)]) for right in (first, second)]
    twice = paired.accuracy_difference(*again)
    assert twice.high - twice.low == pytest.approx(once.high - once.low)
    fresh = [pd.concat([answers(r), answers(r, split=1, ids=range(10, 16))]) for r in (first, second)]
    other_texts = paired.accuracy_difference(*fresh)
    assert other_texts.high - other_texts.low == pytest.approx((once.high - once.low) / math.sqrt(2))


def test_only_texts_that_both_have_are_compared():
    found = paired.accuracy_difference(answers([1, 1, 0]), answers([0], ids=[1]))
    assert found.value == 1
    with pytest.raises(ValueError, match="no text in common"):
        paired.accuracy_difference(answers([1]), answers([1], ids=[7]))


def test_one_split_has_a_ratio_and_no_interval():
    found = paired.ratio_over_splits([[20.0]], [[4.0]])
    assert (found.value, found.low, found.high) == (5, None, None)
    assert "one split" in found.interval_is


def timed(seconds, right=None):
    return answers(right or [1] * len(seconds)).assign(latency_s=[float(value) for value in seconds])


def test_one_split_has_an_interval_over_its_texts():
    ratio = paired.ratio_over_splits([[20.0]], [[4.0]])
    same = paired.with_texts_interval(ratio, timed([5, 10, 15] * 9), timed([1, 2, 3] * 9))
    assert (same.value, same.low, same.high) == (5, pytest.approx(5), pytest.approx(5))
    apart = paired.with_texts_interval(ratio, timed([5, 1, 20] * 9), timed([1, 2, 3] * 9))
    assert apart.low < 5 < apart.high
    assert apart.interval_is == "95 % bootstrap over 27 texts"
    fewer = paired.with_texts_interval(ratio, timed([5, 1, 20] * 3), timed([1, 2, 3] * 3))
    assert fewer.high - fewer.low > apart.high - apart.low


def test_correct_answers_widen_an_interval_over_texts():
    ratio = paired.ratio_over_splits([[20.0]], [[4.0]])
    first, second = timed([5, 6, 5] * 9, [1, 0, 1] * 9), timed([1, 1, 1] * 9, [1, 1, 0] * 9)
    time = paired.with_texts_interval(ratio, first, second)
    energy = paired.with_texts_interval(ratio, first, second, per_correct=True)
    assert energy.high - energy.low > time.high - time.low
    without_any = timed([5, 6, 5] * 9, [0] * 27)
    assert paired.with_texts_interval(ratio, without_any, second, per_correct=True) == ratio


def test_an_interval_over_splits_is_kept_and_without_times_there_is_none():
    over_splits = paired.ratio_over_splits([[20.0, 30.0]], [[4.0, 5.0]])
    assert paired.with_texts_interval(over_splits, timed([1, 2]), timed([1, 2])) == over_splits
    one = paired.ratio_over_splits([[20.0]], [[4.0]])
    assert paired.with_texts_interval(one, answers([1, 0]), answers([1, 0])) == one


def test_few_splits_have_their_lowest_and_highest_ratio():
    found = paired.ratio_over_splits([[20.0, 30.0, 26.0]], [[10.0, 10.0, 10.0]])
    assert (found.value, found.low, found.high) == (pytest.approx(76 / 30), 2.0, 3.0)
    assert found.interval_is == "lowest and highest of 3 splits"


def test_many_splits_are_resampled_together():
    seconds = [float(10 + number) for number in range(10)]
    found = paired.ratio_over_splits([[2 * value for value in seconds]], [seconds])
    assert (found.low, found.value, found.high) == (2, 2, 2)  # paired: what both share cancels
    spread = paired.ratio_over_splits([seconds], [seconds[::-1]])
    assert spread.low < spread.value < spread.high
    assert "bootstrap over 10 splits" in spread.interval_is


def test_a_product_of_ratios_is_that_of_the_sums():
    energy, other_energy, correct, other_correct = [3.0, 5.0], [1.0, 1.0], [10.0, 30.0], [20.0, 20.0]
    found = paired.ratio_over_splits([energy, other_correct], [other_energy, correct])
    assert found.value == pytest.approx((8 / 40) / (2 / 40))


@pytest.mark.parametrize(
    ("over", "under"),
    [([[]], [[]]), ([[1.0]], [[1.0, 2.0]]), ([[-1.0]], [[1.0]]), ([[1.0]], [[0.0]]), ([[math.nan]], [[1.0]])],
)
def test_what_gives_no_ratio_is_refused(over, under):
    with pytest.raises(ValueError, match=r"expected|no ratio"):
        paired.ratio_over_splits(over, under)
