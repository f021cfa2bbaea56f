"""Noise of means over test sets that share texts: simulations of splits with known accuracies."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.core import paths
from helpers.results.tables import load_tables
from helpers.statistics import accuracy_gaps, accuracy_noise
from helpers.statistics.overlap import overlap_of_run
from helpers.study import datasets
from helpers.study.catalogue import study

DESIGNS = [(189, 378), (200, 1066), (200, 7600)]
"""Texts of a test set and of the pool: halves of FKTG, and the smallest and a larger part of public datasets."""
ROUNDS = 20_000


def means_over_ten_splits(rng, accuracy, test_texts, pool):
    """Draw pools of texts that are right with a known accuracy, and ten test sets of each without replacement."""
    right = rng.binomial(pool, accuracy, ROUNDS)
    drawn = rng.hypergeometric(right, pool - right, test_texts, size=(10, ROUNDS))
    return drawn.mean(axis=0) / test_texts


def covered(estimates, truth, half_width):
    return float((np.abs(estimates - truth) <= half_width).mean())


@pytest.mark.parametrize(("test_texts", "pool"), DESIGNS)
@pytest.mark.parametrize("accuracy", [0.3, 0.57, 0.83])
def test_the_noise_of_a_mean_over_ten_splits_covers_the_known_accuracy(test_texts, pool, accuracy):
    rng = np.random.default_rng(1)
    means = means_over_ten_splits(rng, accuracy, test_texts, pool)
    texts = accuracy_noise.effective_texts(test_texts, 10, accuracy_noise.expected_overlap(test_texts, pool))
    errors = [accuracy_noise.standard_error(value, texts) for value in means]
    assert covered(means, accuracy, accuracy_noise.Z * np.array(errors)) == pytest.approx(0.95, abs=0.02)
    assert means.std() == pytest.approx(accuracy_noise.standard_error(accuracy, texts), rel=0.03)


@pytest.mark.parametrize(("test_texts", "pool"), DESIGNS)
def test_the_errors_of_one_split_and_of_ten_independent_ones_are_off(test_texts, pool):
    rng = np.random.default_rng(2)
    means = means_over_ten_splits(rng, 0.57, test_texts, pool)
    one, ten = (accuracy_noise.standard_error(0.57, texts) for texts in (test_texts, 10 * test_texts))
    assert covered(means, 0.57, accuracy_noise.Z * one) > 0.99
    assert covered(means, 0.57, accuracy_noise.Z * ten) < 0.945


@pytest.mark.parametrize(("test_texts", "pool"), DESIGNS)
@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_the_noise_of_a_gap_covers_it_and_is_on_the_safe_side_where_models_err_together(
    test_texts, pool, shared
):
    rng = np.random.default_rng(3)
    first, second, rounds = 0.60, 0.50, 1500
    low, gaps_found = rng.random((rounds, pool)) < shared, np.zeros(rounds)
    hard = rng.random((rounds, pool))
    right = (hard < first, np.where(low, hard, rng.random((rounds, pool))) < second)
    for _ in range(10):
        chosen = rng.permutation(pool)[:test_texts]
        gaps_found += (right[0][:, chosen].mean(axis=1) - right[1][:, chosen].mean(axis=1)) / 10
    texts = accuracy_noise.effective_texts(test_texts, 10, accuracy_noise.expected_overlap(test_texts, pool))
    half_width = accuracy_noise.Z * accuracy_noise.gap_error(first, second, texts)
    coverage = covered(gaps_found, first - second, half_width)
    assert coverage >= 0.93
    assert coverage <= 0.97 or shared > 0


@pytest.mark.parametrize(
    ("test_texts", "pool", "expected"),
    [(189, 378, 344), (200, 1066, 744), (200, 2000, 1053), (200, 7600, 1617), (200, 700_000, 1995)],
)
def test_effective_texts_are_those_of_the_formula_for_a_pool(test_texts, pool, expected):
    overlap = accuracy_noise.expected_overlap(test_texts, pool)
    effective = accuracy_noise.effective_texts(test_texts, 10, overlap)
    assert round(effective) == expected
    finite = 1 / pool + (pool - test_texts) / (pool - 1) / (10 * test_texts)
    assert effective == pytest.approx(1 / finite, rel=1e-3)


@given(st.integers(2, 500), st.integers(1, 20), st.floats(0, 1))
def test_ten_test_sets_tell_at_least_what_one_does_and_at_most_ten_times_that(test_texts, splits, overlap):
    texts = accuracy_noise.effective_texts(test_texts, splits, overlap)
    assert test_texts * (1 - 1e-9) <= texts <= splits * test_texts * (1 + 1e-9)


@pytest.mark.parametrize("call", [(0, 10, 0.5), (200, 0, 0.5), (200, 10, 1.1), (200, 10, -0.1)])
def test_no_noise_without_texts_or_splits(call):
    with pytest.raises(ValueError, match="expected positive"):
        accuracy_noise.effective_texts(*call)


def test_a_test_set_larger_than_the_pool_is_refused():
    with pytest.raises(ValueError, match="at most all"):
        accuracy_noise.expected_overlap(200, 199)


def test_overlap_is_the_mean_share_over_all_pairs():
    assert accuracy_noise.mean_overlap([{1, 2}, {2, 3}, {3, 4}]) == pytest.approx(1 / 3)
    for sets in ([{1}], [{1}, {1, 2}], [set(), set()]):
        with pytest.raises(ValueError, match="two test sets of one size"):
            accuracy_noise.mean_overlap(sets)


def test_the_variance_over_halves_of_378_texts_is_half_that_of_independent_texts():
    assert accuracy_noise.split_variance(0.5, 189, 0.5) == pytest.approx(0.25 / 378)
    rng = np.random.default_rng(4)
    count = rng.binomial(378, 0.51, ROUNDS)
    drawn = rng.hypergeometric(count, 378 - count, 189, size=(10, ROUNDS)) / 189
    variance = drawn.var(axis=0, ddof=1).mean()
    assert variance == pytest.approx(accuracy_noise.split_variance(0.51, 189, 0.5), rel=0.02)


def split_masks(pool, test_texts, train_texts, rng):
    """Return ten random splits as weights of the texts, test and train: 10 x pool each."""
    test, train = np.zeros((10, pool)), np.zeros((10, pool))
    for split in range(10):
        order = rng.permutation(pool)
        test[split, order[:test_texts]] = 1 / test_texts
        train[split, order[test_texts : test_texts + train_texts]] = 1 / train_texts
    return test, train


@pytest.mark.parametrize(
    ("pool", "test_texts", "train_texts"), [(378, 189, 189), (1066, 200, 200), (4270, 200, 200)]
)
@pytest.mark.parametrize("training", [0.0, 0.5, 2.0])
def test_the_interval_of_a_paired_difference_covers_the_known_one(pool, test_texts, train_texts, training):
    """Differences come from the test texts, in -1, 0 and 1, and from the training texts, `training` times as much."""
    rng, rounds = np.random.default_rng(5), 1000
    test, train = split_masks(pool, test_texts, train_texts, rng)
    overlap = accuracy_noise.mean_overlap([set(np.flatnonzero(row)) for row in test])
    assert overlap == pytest.approx(test_texts / pool, rel=0.1)
    drawn = rng.random((rounds, pool), dtype=np.float32)
    texts = (drawn > 0.65).astype(float) - (drawn < 0.2)
    influence = training * 0.72 * rng.standard_normal((rounds, pool), dtype=np.float32)
    inside = np.zeros(2)
    for differences in (texts @ test.T + influence @ train.T).tolist():
        intervals = [accuracy_gaps.paired_t(differences, part) for part in (overlap, 0.0)]
        inside += [item.low <= 0.15 <= item.high for item in intervals]
    coverage, uncorrected = inside / rounds
    assert coverage == pytest.approx(0.95, abs=0.02)
    assert uncorrected < (0.6 if pool == 378 else 0.94)


# The catalogue and the committed runs


def test_overlap_of_a_committed_run_is_counted_from_its_test_ids(tmp_path):
    rows = load_tables(live=tmp_path).split_results
    for (_, dataset), part in rows.groupby(["source", "dataset"]):
        if part["split"].nunique() == 1:
            continue  # nothing is shared by one test set
        shares = {overlap_of_run(origin, dataset) for origin in part["origin"].unique()}
        assert len(shares) == 1  # the same splits for every model
        assert 0.02 < shares.pop() < 0.06
    ids = pd.read_parquet((paths.ROOT / rows["origin"].iloc[0]).with_name("predictions.parquet"))
    for split, part in ids.groupby("split"):
        recorded = rows[(rows["origin"] == rows["origin"].iloc[0]) & (rows["split"] == split)]
        assert datasets.sha256_of_ids(list(part["id"])) == recorded["test_ids_sha256"].iloc[0]


def test_predictions_that_cannot_be_read_are_as_none(tmp_path):
    (tmp_path / "predictions.parquet").write_bytes(b"not a table")
    assert overlap_of_run(str(tmp_path / "record.json"), "news") == 200 / 7600


def test_without_predictions_the_overlap_is_that_of_the_least_pool():
    assert overlap_of_run("table_b1", "fktg") == 0.5
    assert overlap_of_run("table_b4", "news") == 200 / 7600
    assert overlap_of_run("table_b5", "tomatoes") == 200 / 1066


def test_the_share_of_the_most_frequent_label_is_that_of_the_texts(shared):
    for name, entry in study().datasets.items():
        if entry.in_paper and entry.hub is not None:
            labels = pd.Series(datasets.load_dataset(name, shared / "datasets").labels)
            share = labels.value_counts(normalize=True)
            assert entry.chance == pytest.approx(share.iloc[0], abs=0.006)
            if share.iloc[0] > 1.1 / len(share):
                assert entry.largest_class.label == share.index[0]


def test_the_committed_runs_met_the_most_frequent_label_as_often_as_the_catalogue_says(tmp_path):
    rows = load_tables(live=tmp_path).split_results
    origin = rows[rows["dataset"] == "emotion"]["origin"].iloc[0]
    seen = pd.read_parquet((paths.ROOT / origin).with_name("predictions.parquet")).drop_duplicates("id")[
        "label"
    ]
    entry = study().datasets["emotion"]
    assert seen.value_counts().index[0] == entry.largest_class.label == "joy"
    noise = accuracy_noise.Z * math.sqrt(entry.chance * (1 - entry.chance) / len(seen))
    assert (seen == "joy").mean() == pytest.approx(entry.chance, abs=noise)


def test_where_shares_are_not_known_the_best_guess_is_at_least_one_by_the_labels():
    fktg = study().datasets["fktg"]
    assert fktg.largest_class is None
    assert fktg.chance == 1 / 14
    sample = pd.Series(datasets.load_dataset("fktg-sample").labels).value_counts(normalize=True)
    assert study().datasets["fktg-sample"].chance == pytest.approx(sample.iloc[0], abs=5e-4)


def test_a_dataset_of_unknown_size_is_taken_for_the_least_that_its_splits_need():
    entry = study().datasets["news"]
    unknown = entry.model_copy(update={"hub": None, "texts": None})
    assert unknown.pool == 400
    assert entry.pool == 7600
    assert study().datasets["fktg"].pool == 378
