"""Accuracy gaps: closed forms, simulated tests, statsmodels and scipy as judges."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.artefacts.accuracy_differences import accuracy_differences
from helpers.results import load_tables
from helpers.statistics import accuracy_gaps as gaps
from helpers.study import study

PROPORTION = st.floats(0.02, 0.98)


@pytest.fixture(scope="module")
def tables():
    return load_tables()


@pytest.fixture(scope="module")
def news(tables):
    return gaps.by_split(tables.split_results, "reference-cpu", "news")


@pytest.fixture(scope="module")
def artefact(tables):
    return accuracy_differences(tables)


# Published: closed forms


def test_half_right_of_189_texts_has_a_standard_error_of_0_036():
    assert gaps.standard_error(0.5, 189) == pytest.approx(0.5 / math.sqrt(189))
    assert round(gaps.standard_error(0.5, 189), 3) == 0.036
    assert gaps.standard_error(1.0, 200) == 0


@pytest.mark.parametrize(("accuracy", "texts"), [(-0.1, 10), (1.1, 10), (0.5, 0)])
def test_what_is_no_accuracy_is_refused(accuracy, texts):
    with pytest.raises(ValueError, match="expected 0 to 1"):
        gaps.standard_error(accuracy, texts)


def test_the_standard_error_of_a_gap_is_what_random_texts_give():
    rng = np.random.default_rng(1)
    drawn = rng.binomial(189, 0.57, 200_000) / 189 - rng.binomial(189, 0.45, 200_000) / 189
    assert gaps.gap_error(0.57, 0.45, 189) == pytest.approx(drawn.std(), rel=0.01)


@given(PROPORTION, st.integers(20, 5000))
def test_the_smallest_gap_lies_exactly_at_the_noise(accuracy, texts):
    gap = gaps.smallest_gap(accuracy, texts)
    assert gap > 0
    other = accuracy - gap
    variance = (
        accuracy * (1 - accuracy) + other * (1 - other)
    ) / texts  # other may be below 0: then no gap is enough
    assert gap == pytest.approx(gaps.Z * math.sqrt(max(variance, 0)), rel=1e-6)


@given(PROPORTION, st.integers(20, 1000))
def test_four_times_the_texts_halve_the_noise(accuracy, texts):
    assert gaps.standard_error(accuracy, 4 * texts) == pytest.approx(gaps.standard_error(accuracy, texts) / 2)
    assert gaps.smallest_gap(accuracy, 4 * texts) < gaps.smallest_gap(accuracy, texts)


def test_ten_splits_hold_no_more_texts_than_the_dataset():
    assert gaps.most_texts(189, 378) == 378
    assert gaps.most_texts(200, None) == 2000


@pytest.mark.parametrize(
    ("gap", "expected"),
    [(0.30, gaps.YES), (0.08, gaps.UNSURE), (0.02, gaps.NO), (0.105, gaps.UNSURE), (0.025, gaps.NO)],
)
def test_a_gap_is_judged_by_both_bounds_and_with_its_rounding(gap, expected):
    errors = (0.04 / gaps.Z, 0.10 / gaps.Z)
    assert gaps.verdict(gap, 0.01, errors) == expected


def test_published_gaps_judge_what_the_paper_compares(tables):
    news = {str(r["model"]): r for _, r in gaps.published_accuracies(tables.results, "news").iterrows()}
    gap = gaps.gap_between(news["llama-3.1-70b"], news["linear-embedding"], None)
    assert gap.gap == pytest.approx(0.05)
    assert gap.rounding == pytest.approx(0.01)
    assert gap.error_one_split == pytest.approx(math.sqrt((0.88 * 0.12 + 0.83 * 0.17) / 200))
    assert gap.error_one_split / gap.error_ten_splits == pytest.approx(math.sqrt(10))
    assert gap.verdict == gaps.UNSURE
    best = gaps.published_accuracies(tables.results, "fktg").iloc[0]
    assert best["model"] == "linear-embedding"


# Measured: paired tests


DIFFERENCES = st.lists(st.floats(-0.3, 0.3).map(lambda x: round(x, 3)), min_size=3, max_size=12).filter(
    lambda values: len(set(values)) > 1
)


@given(DIFFERENCES)
def test_without_a_correction_it_is_scipys_paired_t_test(values):
    ours = gaps.paired_t(values)
    theirs = stats.ttest_1samp(values, 0.0)
    interval = theirs.confidence_interval(0.95)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


@given(DIFFERENCES, st.floats(0, 2))
def test_the_correction_widens_by_the_factor_of_nadeau_and_bengio(values, ratio):
    plain, corrected = gaps.paired_t(values), gaps.paired_t(values, ratio)
    count = len(values)
    assert corrected.std_error == pytest.approx(plain.std_error * math.sqrt((1 / count + ratio) * count))
    assert corrected.p_value >= plain.p_value - 1e-12
    assert corrected.mean == plain.mean


@given(DIFFERENCES)
def test_turning_the_models_round_turns_the_interval_round(values):
    one, other = gaps.paired_t(values, 1.0), gaps.paired_t([-v for v in values], 1.0)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert one.p_value == pytest.approx(other.p_value)


def test_differences_without_any_scatter_are_certain_or_nothing():
    assert gaps.paired_t([0.25] * 10).p_value == 0.0
    assert gaps.paired_t([0.0] * 10).p_value == 1.0
    with pytest.raises(ValueError, match="at least two"):
        gaps.paired_t([0.1])


def test_holm_multiplies_the_smallest_p_by_all_and_never_falls():
    assert gaps.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert gaps.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_the_pairs_of_a_campaign_are_all_pairs_best_first(news):
    pairs = gaps.paired_gaps(news, 1.0)
    assert len(pairs) == math.comb(news.shape[1], 2)
    assert (pairs["gap"] >= 0).all()
    assert (pairs["corrected_p_holm"] >= pairs["p_holm"] - 1e-12).all()
    first = pairs.iloc[0]
    by_hand = news[first["better"]] - news[first["worse"]]
    assert first["gap"] == pytest.approx(by_hand.mean())
    theirs = stats.ttest_rel(news[first["better"]], news[first["worse"]]).confidence_interval(0.95)
    assert (first["low"], first["high"]) == pytest.approx((theirs.low, theirs.high))


def test_verdicts_follow_the_corrected_and_the_plain_test():
    same = pd.DataFrame({"a": [0.5, 0.6, 0.55, 0.52], "b": [0.5, 0.6, 0.55, 0.52]})
    assert list(gaps.paired_gaps(same, 1.0)["verdict"]) == [gaps.NO]
    far = pd.DataFrame({"a": [0.90, 0.91, 0.92, 0.90], "b": [0.10, 0.12, 0.11, 0.11]})
    assert list(gaps.paired_gaps(far, 1.0)["verdict"]) == [gaps.YES]
    between = pd.DataFrame({"a": [0.60, 0.63, 0.58, 0.62], "b": [0.55, 0.55, 0.55, 0.55]})
    assert list(gaps.paired_gaps(between, 1.0)["verdict"]) == [gaps.UNSURE]


# Measured: mixed model


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holms_correction_is_that_of_statsmodels(p_values):
    from statsmodels.stats.multitest import multipletests

    assert gaps.holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def reml(accuracies, reference):
    """The same by statsmodels, iteratively."""
    import statsmodels.formula.api as smf

    long = accuracies.reset_index().melt(id_vars="split", var_name="model", value_name="accuracy")
    formula = f"accuracy ~ C(model, Treatment({reference!r}))"
    return smf.mixedlm(formula, long, groups=long["split"]).fit(reml=True)


@pytest.mark.parametrize("source", ["reference-cpu", "reference-gpu"])
def test_the_mixed_model_is_that_of_statsmodels(tables, source):
    accuracies = gaps.by_split(tables.split_results, source, "news")
    found, expected = gaps.mixed_model(accuracies, "linear-embedding"), reml(accuracies, "linear-embedding")
    assert list(found.effects["estimate"]) == pytest.approx(list(expected.fe_params[1:]), abs=1e-6)
    assert list(found.effects["std_error"]) == pytest.approx(list(expected.bse_fe[1:]), rel=1e-3)
    between = float(expected.cov_re.iloc[0, 0])
    assert found.split_share == pytest.approx(between / (between + expected.scale), abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 17), st.integers(3, 10))
def test_accuracies_without_any_effect_of_the_split_do_not_break_the_mixed_model(seed, models, splits):
    values = np.random.default_rng(seed).binomial(200, 0.6, (splits, models)) / 200
    frame = pd.DataFrame(values, columns=[f"m{number}" for number in range(models)])
    found = gaps.mixed_model(frame, "m0")
    assert (found.effects["std_error"] >= 0).all()
    assert found.split_share is None or 0 <= found.split_share <= 1


def test_where_nothing_varies_no_share_of_the_variance_is_given():
    assert gaps.mixed_model(pd.DataFrame({"a": [1.0] * 4, "b": [1.0] * 4}), "a").split_share is None


def test_a_shift_that_all_models_of_a_split_share_does_not_widen_the_gaps(news):
    shifted = news.add(pd.Series(np.linspace(-0.2, 0.2, len(news)), index=news.index), axis="index")
    before, after = (gaps.mixed_model(frame, "linear-embedding") for frame in (news, shifted))
    assert list(after.effects["std_error"]) == pytest.approx(list(before.effects["std_error"]), rel=1e-2)
    assert after.split_share > before.split_share


@pytest.mark.parametrize(("models", "splits"), [(1, 10), (3, 2)])
def test_too_little_for_a_mixed_model_is_refused(news, models, splits):
    with pytest.raises(ValueError, match="expected 2 and 3 at least"):
        gaps.mixed_model(news.iloc[:splits, :models], str(news.columns[0]))


def test_splits_that_a_model_lacks_are_left_out(tables):
    rows = tables.split_results
    drop = (rows["source"] == "reference-cpu") & (rows["dataset"] == "news")
    drop &= (rows["model"] == "linear-bow") & (rows["split"] == 3)
    assert drop.sum() == 1
    assert list(gaps.by_split(rows[~drop], "reference-cpu", "news").index) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


# The page


def test_every_published_accuracy_but_the_best_has_a_gap(tables, artefact):
    published = artefact.data[artefact.data["source"] == "published"]
    with_accuracy = tables.results[
        (tables.results["source"] == "published") & tables.results["accuracy"].notna()
    ]
    assert len(published) == len(with_accuracy) - with_accuracy["dataset"].nunique() == 80
    counts = published["verdict"].value_counts()
    for said in (
        f"{counts[gaps.YES]} are larger",
        f"{counts[gaps.NO]} are within",
        f"{counts[gaps.UNSURE]} the published",
    ):
        assert said in artefact.finding


def test_the_sentence_follows_the_values(tables, artefact):
    results = tables.results.copy()
    row = (
        (results["source"] == "published")
        & (results["dataset"] == "fktg")
        & (results["model"] == "phi-3.5-mini")
        & results["accuracy"].notna()
    )
    results.loc[row, "accuracy"] = 0.56  # now as good as the best
    after = accuracy_differences(replace(tables, results=results, split_results=pd.DataFrame()))
    assert artefact.finding != after.finding
    within = after.data[(after.data["worse"] == "phi-3.5-mini") & (after.data["dataset"] == "fktg")]
    assert list(within["verdict"]) == [gaps.NO]


def test_datasets_that_were_not_measured_say_so_and_the_best_is_marked(artefact):
    notes = {panel.name: panel.note for panel in artefact.panels}
    assert "Not measured on this machine." in notes["fktg"]
    assert "Our runs" in notes["news"]
    panel = next(panel for panel in artefact.panels if panel.name == "news")
    assert sum("best" in (trace.text or ()) for trace in panel.figure.data) == 2


def test_without_any_run_of_ours_only_published_gaps_stand(tables):
    alone = replace(
        tables, results=tables.results[tables.results["source"] == "published"], split_results=pd.DataFrame()
    )
    artefact = accuracy_differences(alone)
    assert len(artefact.panels) == 5
    assert "not measured on this machine" in artefact.body
    assert set(artefact.data["source"]) == {"published"}


def test_the_page_names_the_records_of_both_models_of_a_pair(tables, artefact):
    page = artefact.html()
    used = tables.split_results[tables.split_results["dataset"].isin(set(study().datasets))]["origin"]
    assert all(file in page for file in set(used))
