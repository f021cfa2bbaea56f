"""Accuracy gaps: closed forms, simulated tests, statsmodels and scipy as judges."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.book.quoted_numbers import numbers
from helpers.figures.beyond.accuracy_differences import accuracy_differences
from helpers.results.tables import load_tables, select_real
from helpers.statistics import accuracy_gaps as gaps
from helpers.statistics import accuracy_noise

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
    assert accuracy_noise.standard_error(0.5, 189) == pytest.approx(0.5 / math.sqrt(189))
    assert round(accuracy_noise.standard_error(0.5, 189), 3) == 0.036
    assert accuracy_noise.standard_error(1.0, 200) == 0


@pytest.mark.parametrize(("accuracy", "texts"), [(-0.1, 10), (1.1, 10), (0.5, 0)])
def test_what_is_no_accuracy_is_refused(accuracy, texts):
    with pytest.raises(ValueError, match="expected 0 to 1"):
        accuracy_noise.standard_error(accuracy, texts)


def test_the_standard_error_of_a_gap_is_what_random_texts_give():
    rng = np.random.default_rng(1)
    drawn = rng.binomial(189, 0.57, 200_000) / 189 - rng.binomial(189, 0.45, 200_000) / 189
    assert accuracy_noise.gap_error(0.57, 0.45, 189) == pytest.approx(drawn.std(), rel=0.01)


@given(PROPORTION, st.integers(20, 5000))
def test_the_smallest_gap_lies_exactly_at_the_noise(accuracy, texts):
    gap = accuracy_noise.smallest_gap(accuracy, texts)
    assert gap > 0
    other = accuracy - gap
    variance = (
        accuracy * (1 - accuracy) + other * (1 - other)
    ) / texts  # other may be below 0: then no gap is enough
    assert gap == pytest.approx(accuracy_noise.Z * math.sqrt(max(variance, 0)), rel=1e-6)


@given(PROPORTION, st.integers(20, 1000))
def test_four_times_the_texts_halve_the_noise(accuracy, texts):
    assert accuracy_noise.standard_error(accuracy, 4 * texts) == pytest.approx(
        accuracy_noise.standard_error(accuracy, texts) / 2
    )
    assert accuracy_noise.smallest_gap(accuracy, 4 * texts) < accuracy_noise.smallest_gap(accuracy, texts)


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (0.30, gaps.CLEAR),
        (0.111, gaps.CLEAR),
        (0.109, gaps.ROUNDING),
        (0.091, gaps.ROUNDING),
        (0.089, gaps.NOISE),
        (0.0, gaps.NOISE),
    ],
)
def test_a_gap_is_judged_with_its_rounding(gap, expected):
    assert gaps.verdict(gap, 0.01, 0.10 / accuracy_noise.Z) == expected


def test_published_gaps_judge_what_the_paper_compares(tables):
    news = gaps.published_accuracies(tables.results, "news")
    gap = gaps.gap_between(news.loc["llama-3.1-70b"], news.loc["linear-embedding"])
    assert gap.gap == pytest.approx(0.05)
    assert gap.rounding == pytest.approx(0.01)
    texts = 1 / (1 / 7600 + (1 / 200 - 1 / 7600) / 10)
    assert gap.effective_texts == pytest.approx(texts)
    assert gap.effective_texts_at_most == pytest.approx(2000)
    assert gap.std_error == pytest.approx(math.sqrt((0.88 * 0.12 + 0.83 * 0.17) / texts))
    assert gap.verdict == gaps.CLEAR
    best = gaps.published_accuracies(tables.results, "fktg").iloc[0]
    assert best["model"] == "linear-embedding"


@pytest.mark.parametrize(
    ("dataset", "better", "worse", "errors", "expected"),
    [
        ("fktg", "linear-embedding", "qwen-2.5-72b", 1.6, gaps.NOISE),
        ("news", "llama-3.1-70b", "linear-embedding", 4.05, gaps.CLEAR),
        ("news", "linear-embedding", "xgboost-embedding", 6.3, gaps.CLEAR),
        ("yelp", "qwen-2.5-72b", "qwen-2.5-7b", 5.2, gaps.CLEAR),
        ("yelp", "ds-llama-8b", "llama-3.1-8b", 2.5, gaps.ROUNDING),
        ("tomatoes", "llama-3.1-70b", "llama-3.1-8b", 2.5, gaps.ROUNDING),
        ("tomatoes", "llama-3.1-70b", "phi-3.5-moe", 1.3, gaps.NOISE),
        ("emotion", "ds-llama-70b", "phi-3.5-moe", 0.5, gaps.NOISE),
    ],
)
def test_gaps_that_the_review_recomputed(tables, dataset, better, worse, errors, expected):
    rows = gaps.published_accuracies(tables.results, dataset)
    gap = gaps.gap_between(rows.loc[better], rows.loc[worse])
    assert gap.gap / gap.std_error == pytest.approx(errors, abs=0.06)
    assert gap.verdict == expected


def test_of_28_gaps_that_one_and_ten_splits_leave_open_18_are_clear_and_4_hang_on_rounding(artefact):
    published = artefact.data[artefact.data["source"] == "published"]
    per_split = np.where(published["dataset"] == "fktg", 189, 200)
    one = published["std_error"] * (published["effective_texts"] / per_split) ** 0.5
    all_texts = np.minimum(per_split * 10, published["dataset"].map({"fktg": 378}).fillna(2000))
    ten = published["std_error"] * (published["effective_texts"] / all_texts) ** 0.5
    z = accuracy_noise.Z
    left_open = (published["gap"] - published["rounding"] <= z * one) & (
        published["gap"] + published["rounding"] > z * ten
    )
    counts = published.loc[left_open, "verdict"].value_counts().to_dict()
    assert counts == {gaps.CLEAR: 18, gaps.NOISE: 6, gaps.ROUNDING: 4}
    assert published["verdict"].value_counts().to_dict() == {gaps.CLEAR: 60, gaps.NOISE: 16, gaps.ROUNDING: 4}


# Measured: paired tests


DIFFERENCES = st.lists(st.floats(-0.3, 0.3).map(lambda x: round(x, 3)), min_size=3, max_size=12).filter(
    lambda values: len(set(values)) > 1
)


@given(DIFFERENCES)
def test_without_a_shared_text_it_is_scipys_paired_t_test(values):
    paired = gaps.paired_t(values, 0.0)
    reference = stats.ttest_1samp(values, 0.0)
    interval = reference.confidence_interval(0.95)
    assert paired.p_value == pytest.approx(reference.pvalue, rel=1e-6, abs=1e-12)
    assert (paired.low, paired.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


@given(DIFFERENCES, st.integers(1, 99), st.integers(1, 99))
def test_where_train_and_test_divide_a_dataset_it_is_the_test_of_nadeau_and_bengio(values, train, test):
    plain, corrected = gaps.paired_t(values, 0.0), gaps.paired_t(values, test / (train + test))
    count = len(values)
    assert corrected.std_error == pytest.approx(
        plain.std_error * math.sqrt((1 / count + test / train) * count)
    )
    assert corrected.p_value >= plain.p_value - 1e-12
    assert corrected.mean == plain.mean


@given(DIFFERENCES)
def test_turning_the_models_round_turns_the_interval_round(values):
    one, other = gaps.paired_t(values, 0.5), gaps.paired_t([-v for v in values], 0.5)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert one.p_value == pytest.approx(other.p_value)


def test_differences_of_splits_without_overlap_or_with_all_texts_are_refused():
    for overlap in (-0.1, 1.0):
        with pytest.raises(ValueError, match="expected at least two, and 0 to 1"):
            gaps.paired_t([0.1, 0.2], overlap)


def test_differences_without_any_scatter_are_certain_or_nothing():
    assert gaps.paired_t([0.25] * 10, 0.1).p_value == 0.0
    assert gaps.paired_t([0.0] * 10, 0.1).p_value == 1.0
    with pytest.raises(ValueError, match="at least two"):
        gaps.paired_t([0.1], 0.1)


def test_holm_multiplies_the_smallest_p_by_all_and_never_falls():
    assert gaps.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert gaps.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_the_pairs_of_a_campaign_are_all_pairs_best_first(news):
    pairs = gaps.paired_gaps(news, 0.0)
    assert len(pairs) == math.comb(news.shape[1], 2)
    assert (pairs["gap"] >= 0).all()
    first = pairs.iloc[0]
    by_hand = news[first["better"]] - news[first["worse"]]
    assert first["gap"] == pytest.approx(by_hand.mean())
    theirs = stats.ttest_rel(news[first["better"]], news[first["worse"]]).confidence_interval(0.95)
    assert (first["low"], first["high"]) == pytest.approx((theirs.low, theirs.high))
    wider = gaps.paired_gaps(news, 0.5)
    assert (wider["p_holm"] >= pairs["p_holm"] - 1e-12).all()
    assert (wider["std_error"] > pairs["std_error"]).all()


def test_verdicts_follow_the_test():
    same = pd.DataFrame({"a": [0.5, 0.6, 0.55, 0.52], "b": [0.5, 0.6, 0.55, 0.52]})
    assert list(gaps.paired_gaps(same, 0.02)["verdict"]) == [gaps.NOISE]
    between = pd.DataFrame({"a": [0.60, 0.63, 0.58, 0.62], "b": [0.55, 0.55, 0.55, 0.55]})
    assert list(gaps.paired_gaps(between, 0.02)["verdict"]) == [gaps.CLEAR]
    assert list(gaps.paired_gaps(between, 0.5)["verdict"]) == [gaps.NOISE]


def test_our_best_and_worst_model_on_tomatoes_are_told_apart(artefact):
    measured = artefact.data[
        (artefact.data["source"] == "reference-cpu") & (artefact.data["dataset"] == "tomatoes")
    ]
    pair = measured[(measured["better"] == "linear-embedding") & (measured["worse"] == "xgboost-bow")].iloc[0]
    assert pair["gap"] == pytest.approx(0.145)
    assert pair["overlap"] == pytest.approx(4.8 / 200)
    assert pair["p_holm"] < 0.001
    assert pair["verdict"] == gaps.CLEAR


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
    fit, expected = (
        gaps.mixed_model(accuracies, "linear-embedding", 0.0),
        reml(accuracies, "linear-embedding"),
    )
    assert list(fit.effects["estimate"]) == pytest.approx(list(expected.fe_params[1:]), abs=1e-6)
    assert list(fit.effects["std_error"]) == pytest.approx(list(expected.bse_fe[1:]), rel=1e-3)
    between = float(expected.cov_re.iloc[0, 0])
    assert fit.split_share == pytest.approx(between / (between + expected.scale), abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 17), st.integers(3, 10))
def test_accuracies_without_any_effect_of_the_split_do_not_break_the_mixed_model(seed, models, splits):
    values = np.random.default_rng(seed).binomial(200, 0.6, (splits, models)) / 200
    frame = pd.DataFrame(values, columns=[f"m{number}" for number in range(models)])
    fit = gaps.mixed_model(frame, "m0", 0.02)
    assert (fit.effects["std_error"] >= 0).all()
    assert fit.split_share is None or 0 <= fit.split_share <= 1


def test_where_nothing_varies_no_share_of_the_variance_is_given():
    assert gaps.mixed_model(pd.DataFrame({"a": [1.0] * 4, "b": [1.0] * 4}), "a", 0.02).split_share is None


def test_texts_that_test_sets_share_widen_the_errors_of_the_mixed_model(news):
    apart, shared = (gaps.mixed_model(news, "linear-embedding", part) for part in (0.0, 0.5))
    widened = shared.effects["std_error"] / apart.effects["std_error"]
    assert list(widened) == pytest.approx([math.sqrt(11)] * len(widened))


def test_a_shift_that_all_models_of_a_split_share_does_not_widen_the_gaps(news):
    shifted = news.add(pd.Series(np.linspace(-0.2, 0.2, len(news)), index=news.index), axis="index")
    before, after = (gaps.mixed_model(frame, "linear-embedding", 0.02) for frame in (news, shifted))
    assert list(after.effects["std_error"]) == pytest.approx(list(before.effects["std_error"]), rel=1e-2)
    assert after.split_share > before.split_share


@pytest.mark.parametrize(("models", "splits"), [(1, 10), (3, 2)])
def test_too_little_for_a_mixed_model_is_refused(news, models, splits):
    with pytest.raises(ValueError, match="expected 2 and 3 at least"):
        gaps.mixed_model(news.iloc[:splits, :models], str(news.columns[0]), 0.02)


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
    for phrase in (
        f"{counts[gaps.CLEAR]} are larger",
        f"{counts[gaps.NOISE]} are within",
        f"{counts[gaps.ROUNDING]} are undecided",
    ):
        assert phrase in artefact.finding


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
    assert list(within["verdict"]) == [gaps.NOISE]


def test_datasets_that_were_not_measured_say_so_and_the_best_is_marked(artefact):
    notes = {panel.name: panel.note for panel in artefact.panels}
    assert "Not measured by us." in notes["fktg"]
    assert "Our runs" in notes["news"]
    panel = next(panel for panel in artefact.panels if panel.name == "news")
    assert sum("best" in (trace.text or ()) for trace in panel.figure.data) == 2


def test_without_any_run_of_ours_only_published_gaps_stand(tables):
    alone = replace(
        tables, results=tables.results[tables.results["source"] == "published"], split_results=pd.DataFrame()
    )
    artefact = accuracy_differences(alone)
    assert len(artefact.panels) == 5
    assert "not measured by us" in artefact.body
    assert set(artefact.data["source"]) == {"published"}


def test_the_page_names_the_records_of_both_models_of_a_pair(tables, artefact):
    page = artefact.html()
    used = select_real(tables.split_results)["origin"]
    assert all(file in page for file in set(used))


# What pages say of gaps


def test_the_papers_comparisons_take_the_best_model_by_the_rule_of_all_pages(artefact):
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", artefact.body)
    on_tomatoes = [cells[position + 1] for position, cell in enumerate(cells) if cell == "tomatoes"]
    assert on_tomatoes[:2] == ["Jamba Mini 1.5 and Linear Embedding", "Jamba Mini 1.5 and Llama 3.1 70B"]


@pytest.mark.parametrize(
    ("dataset", "ahead", "behind", "expected"),
    [
        ("news", "llama-3.1-70b", "linear-embedding", gaps.CLEAR),
        ("yelp", "qwen-2.5-72b", "linear-embedding", gaps.CLEAR),
        ("tomatoes", "jamba-mini-1.5", "linear-embedding", gaps.CLEAR),
        ("emotion", "ds-llama-70b", "linear-embedding", gaps.NOISE),
        ("emotion", "ds-llama-70b", "phi-3.5-moe", gaps.NOISE),
    ],
)
def test_the_story_says_noise_where_it_is_and_nowhere_else(tables, dataset, ahead, behind, expected):
    rows = gaps.published_accuracies(tables.results, dataset)
    gap = gaps.gap_between(rows.loc[ahead], rows.loc[behind])
    assert gap.verdict == expected


def test_the_story_gives_the_gaps_by_number(tables):
    quoted = numbers(tables)
    assert quoted["claim.news-accuracy-gap"].text == "0.05"
    assert quoted["claim.yelp-qwen-slightly-lower"].text == "0.08"
