"""Beyond the paper: recovered durations, energy per correct answer, the frontier, other studies."""

import math
import shutil
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.beyond.energy_per_correct import energy_per_correct
from helpers.figures.beyond.other_studies import other_studies
from helpers.figures.beyond.pareto_frontier import frontier
from helpers.figures.beyond.recovered_durations import recovered_durations
from helpers.figures.plots.comparable import comparable
from helpers.results.tables import load_tables
from helpers.statistics import bootstrap, inverse_regression, regression
from helpers.statistics.frontier import membership, on_frontier, on_frontiers, share_of_resamples
from helpers.statistics.regression import PrintedFit, PrintedTerm
from helpers.study.literature import OTHER_STUDIES, load_other_studies

TERMS = ("duration", "gpus", "duration:gpus", "constant")
REASONING = {"ds-llama-8b", "ds-llama-70b", "ds-qwen-14b", "ds-qwen-32b"}
positive = st.floats(min_value=1e-3, max_value=1e3)


@pytest.fixture(scope="module")
def tables():
    """Published values and committed campaigns; live runs of this machine do not matter here."""
    return load_tables(live=paths.ROOT / "no-such-folder")


@pytest.fixture(scope="module")
def made(tables):
    """The artefacts of these tables, made once."""
    makers = (recovered_durations, energy_per_correct, frontier, other_studies)
    return {make.__name__: make(tables) for make in makers}


@pytest.fixture(scope="module")
def published_only(tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    return load_tables(committed=empty, live=empty)


def one(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


# --- bootstrap -----------------------------------------------------------------------------------------------


def test_with_two_splits_the_interval_reaches_from_one_ratio_to_the_other():
    interval = bootstrap.ratio_of_sums(
        [2.0, 9.0], [4.0, 3.0]
    )  # resamples: both, or one of them twice (1 in 4 each)
    assert interval == bootstrap.Interval(11 / 7, 0.5, 3.0)


@given(st.lists(st.tuples(positive, positive), min_size=2, max_size=12), st.sampled_from([1e-6, 3.6, 1000.0]))
@settings(max_examples=40, deadline=None)
def test_an_interval_follows_a_change_of_units_and_not_the_order_of_the_splits(splits, factor):
    over, under = [a for a, _ in splits], [b for _, b in splits]
    interval = bootstrap.ratio_of_sums(over, under, draws=500)
    scaled = bootstrap.ratio_of_sums([factor * a for a in over], under, draws=500)
    assert scaled.low == pytest.approx(factor * interval.low)
    assert scaled.high == pytest.approx(factor * interval.high)
    turned = bootstrap.ratio_of_sums(over[::-1], under[::-1], draws=500)
    assert (turned.low, turned.high) == pytest.approx((interval.low, interval.high))
    ratios = [a / b for a, b in splits]
    assert min(ratios) * (1 - 1e-9) <= interval.low <= interval.high <= max(ratios) * (1 + 1e-9)


def test_an_interval_is_the_same_again_and_another_with_another_generator():
    over, under = list(np.geomspace(1, 50, 10)), list(np.geomspace(7, 2, 10))
    assert bootstrap.ratio_of_sums(over, under) == bootstrap.ratio_of_sums(over, under)
    other = bootstrap.ratio_of_sums(over, under, draws=50, generator=np.random.default_rng(1))
    assert other != bootstrap.ratio_of_sums(over, under, draws=50, generator=np.random.default_rng(2))


def test_a_wider_confidence_gives_a_wider_interval():
    over, under = list(range(1, 11)), [2.0] * 10
    narrow, wide = (bootstrap.ratio_of_sums(over, under, confidence=level) for level in (0.5, 0.95))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high


def test_splits_that_agree_leave_no_width_and_one_split_has_no_interval():
    assert bootstrap.ratio_of_sums([1.0] * 10, [4.0] * 10) == bootstrap.Interval(0.25, 0.25, 0.25)
    assert bootstrap.ratio_of_sums([1.0], [4.0]) == bootstrap.Interval(0.25, None, None)


def test_resamples_without_a_correct_answer_make_the_upper_end_infinite():
    interval = bootstrap.ratio_of_sums([1.0, 1.0], [0.0, 2.0])
    assert (interval.estimate, interval.low, interval.high) == (1.0, 0.5, math.inf)


@pytest.mark.parametrize(
    ("over", "under"), [([1.0], [1.0, 2.0]), ([], []), ([1.0, -1.0], [1.0, 1.0]), ([1.0, 1.0], [0.0, 0.0])]
)
def test_a_ratio_that_makes_no_sense_is_refused(over, under):
    with pytest.raises(ValueError, match=r"expected|no ratio"):
        bootstrap.ratio_of_sums(over, under)


# --- frontier ------------------------------------------------------------------------------------------------

points = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=9)


def beats(one, other):
    return one[0] >= other[0] and one[1] <= other[1] and one != other


@given(points)
def test_exactly_the_points_that_no_other_beats_are_on_the_frontier(drawn):
    members = on_frontier([a for a, _ in drawn], [e for _, e in drawn])
    assert list(members) == [not any(beats(other, point) for other in drawn) for point in drawn]
    assert members.any()


@given(points, st.floats(1e-6, 1e6))
def test_the_frontier_does_not_depend_on_units_or_order(drawn, factor):
    accuracy, energy = [a for a, _ in drawn], [e for _, e in drawn]
    members = on_frontier(accuracy, energy)
    assert list(on_frontier([100 * a for a in accuracy], [factor * e for e in energy])) == list(members)
    assert list(on_frontier(accuracy[::-1], energy[::-1])) == list(members[::-1])


@given(points, st.integers(0, 8))
def test_a_point_that_is_beaten_changes_nothing(drawn, which):
    base = drawn[which % len(drawn)]
    more = [*drawn, (base[0] - 1, base[1] + 1)]
    members = on_frontier([a for a, _ in more], [e for _, e in more])
    assert not members[-1]
    assert list(members[:-1]) == list(on_frontier([a for a, _ in drawn], [e for _, e in drawn]))


def boxes(rows):
    return pd.DataFrame(rows, columns=["accuracy_low", "accuracy_high", "energy_low_wh", "energy_high_wh"])


box = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 5), st.integers(0, 2)).map(
    lambda item: (item[0], item[0] + item[1], item[2], item[2] + item[3])
)


@given(st.lists(box, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_membership_is_what_all_corners_of_the_intervals_say(rows):
    memberships = membership(boxes(rows))
    corners = [list(product({low, high}, {cheap, dear})) for low, high, cheap, dear in rows]
    seen = [on_frontier(*zip(*corner, strict=True)) for corner in product(*corners)]
    for index in range(len(rows)):
        values = {bool(item[index]) for item in seen}
        assert memberships[index] == {(True,): "certain", (False,): "off"}.get(tuple(values), "possible")


def test_a_limit_on_the_energy_decides_only_what_the_accuracy_decides():
    rows = boxes([(0.5, 0.5, 0.002, 0.002), (0.4, 0.4, 0, 0.01), (0.6, 0.6, 0, 0.01), (0.3, 0.3, 0.02, 0.02)])
    assert list(membership(rows)) == ["possible", "possible", "certain", "off"]


def test_the_share_of_resamples_is_one_or_zero_where_all_splits_agree_and_counts_where_they_do_not():
    accuracy = pd.DataFrame({"a": [0.5, 0.5], "b": [0.4, 0.4]})
    energy = pd.DataFrame({"a": [1.0, 1.0], "b": [2.0, 2.0]})
    assert share_of_resamples(accuracy, energy).to_dict() == {"a": 1.0, "b": 0.0}
    # b is better in the second split only, by as much: it is beaten where the first is drawn twice (1 in 4)
    accuracy["b"] = [0.4, 0.6]
    assert share_of_resamples(accuracy, energy)["b"] == pytest.approx(0.25, abs=0.02)


@given(arrays(float, (7, 2, 5), elements=st.sampled_from([0.0, 1.0, 2.0])))
def test_many_frontiers_at_once_are_those_of_one_after_the_other_with_all_their_ties(draws):
    good, dear = draws[:, 0], draws[:, 1]
    np.testing.assert_array_equal(on_frontiers(good, dear), [on_frontier(*both) for both in draws])
    np.testing.assert_array_equal(on_frontiers(good[:, :1], dear[:, :1]), np.ones((7, 1), dtype=bool))


# --- regressions read backwards ------------------------------------------------------------------------------


def line(a, b, c, d, errors=(0.002, 1.0, 0.001, 1.3), n=17):
    terms = {
        name: PrintedTerm(value, error, "")
        for name, value, error in zip(TERMS, (a, b, c, d), errors, strict=True)
    }
    return PrintedFit(terms=terms, n=n, r2=1.0, adjusted_r2=1.0)


@given(
    st.floats(0.01, 0.2), st.floats(-2, 2), st.floats(0.01, 0.2), st.floats(-3, 3), st.floats(0.01, 4000),
    st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_a_line_read_forwards_and_backwards_gives_the_duration_again(a, b, c, d, seconds, gpus):
    energy = a * seconds + b * gpus + c * seconds * gpus + d
    seconds_again = inverse_regression.duration(
        line(a, b, c, d), pd.Series([energy]), pd.Series([float(gpus)])
    )
    assert seconds_again[0] == pytest.approx(seconds, rel=1e-6, abs=1e-6)


def b1_design(tables):
    rows = tables.results
    rows = rows[(rows["source"] == "published") & rows["origin"].str.contains("table_b1")]
    return rows["duration_s"].to_numpy(float), rows["gpus"].to_numpy(float)


def numpy_fit(seconds, gpus, energy):
    """Least squares by hand: what the paper's table prints, without its rounding."""
    x = np.column_stack([seconds, gpus, seconds * gpus, np.ones(len(gpus))])
    beta, *_ = np.linalg.lstsq(x, energy, rcond=None)
    sd = math.sqrt(((energy - x @ beta) ** 2).sum() / (len(energy) - 4))
    return line(*beta, errors=sd * np.sqrt(np.diag(np.linalg.inv(x.T @ x)))), sd


def test_the_intervals_cover_at_least_what_they_promise(tables):
    seconds, gpus = b1_design(tables)
    truth = 0.045 * seconds + 0.4 * gpus + 0.12 * seconds * gpus - 1.0
    generator = np.random.default_rng(7)
    inside, scatter = [], []
    for _ in range(200):
        energy = truth + generator.normal(0, 2.0, len(truth))
        fit, sd = numpy_fit(seconds, gpus, energy)
        exact = pd.Series(energy)
        recovered = inverse_regression.recover(fit, exact, 0 * exact, pd.Series(gpus))
        half = recovered.runs["scatter_s"] + recovered.runs["rounding_s"]
        inside.append((recovered.runs["duration_s"] - seconds).abs() <= half)
        scatter.append(recovered.residual_sd_wh / sd)
    assert np.mean(inside) > 0.95
    assert np.median(scatter) == pytest.approx(1, rel=0.03)


def test_on_fktg_the_printed_durations_lie_in_the_intervals_of_the_recovered_ones(made):
    data = made["recovered_durations"].data
    check = data[(data["dataset"] == "fktg") & (data["family"] != "Traditional")]
    assert len(check) == 11
    low, high = check["low_s"].fillna(0), check["high_s"]
    assert check["duration_printed_s"].between(low, high).all()


def test_the_printed_standard_errors_speak_for_the_minimal_numbers_of_gpus(tables):
    printed = regression.printed_fit(tables.printed, dataset="news")
    rows = comparable(tables)
    rows = rows[(rows["source"] == "published") & (rows["dataset"] == "news")].reset_index(drop=True)
    energy = rows["energy_wh"].astype(float).fillna(0.005)
    two = {"llama-3.1-70b", "qwen-2.5-72b", "phi-3.5-moe", "jamba-mini-1.5", "ds-llama-70b"}
    gpus = rows["model"].isin(two).map({True: 2.0, False: 1.0})
    given_counts = inverse_regression.recover(printed, energy, 0 * energy, gpus).mismatch
    assert given_counts < 0.001
    assert inverse_regression.next_best_mismatch(printed, energy, 0 * energy, gpus) > 10 * given_counts


def test_a_recovered_duration_is_the_formula_with_the_printed_coefficients(made):
    row = one(made["recovered_durations"].data, dataset="tomatoes", model="ds-llama-8b")
    assert row["duration_s"] == pytest.approx((72.15 + 0.397 + 0.079) / (0.040 + 0.122))
    assert row["rounding_s"] == pytest.approx((0.005 + 0.0005 * 2 * (1 + row["duration_s"])) / 0.162)
    assert row["duration_is"] == "inferred"
    assert row["gpus_are"] == "assumed as in Table B1"


def test_reasoning_runs_are_narrow_short_ones_wide_and_traditional_ones_have_none(made):
    artefact = made["recovered_durations"]
    data = artefact.data[artefact.data["dataset"] != "fktg"]
    assert len(data) == 4 * 17
    kinds = {family: set(rows["kind"]) for family, rows in data.groupby("family")}
    assert kinds["Deepseek"] == {"narrow"}
    assert kinds["Traditional"] == {"none"}
    assert kinds["Other LLM"] <= {"wide", "upper limit"}
    assert data[data["kind"] == "none"][["duration_s", "low_s", "high_s"]].isna().all(axis=None)
    limits = data[data["kind"] == "upper limit"]
    assert limits["duration_s"].isna().all()
    assert limits["high_s"].notna().all()
    assert "all 16 reasoning runs and no other" in artefact.finding
    short = data[(data["family"] == "Other LLM") & (data["on_the_line_s"] < 60)]
    assert (short["scatter_s"] / short["on_the_line_s"] > 0.2).all()


def test_another_energy_changes_the_finding(tables):
    changed = tables.results.copy()
    changed.loc[(changed["model"] == "ds-llama-8b") & (changed["dataset"] == "news"), "energy_wh"] = 6.0
    assert "all 16" not in recovered_durations(replace(tables, results=changed)).finding


def test_runs_that_are_not_those_of_the_regression_are_refused():
    energy, gpus = pd.Series([1.0, 2.0]), pd.Series([1.0, 2.0])
    with pytest.raises(ValueError, match="17 observations"):
        inverse_regression.recover(line(0.04, 0, 0.12, 0), energy, 0 * energy, gpus)
    with pytest.raises(ValueError, match="one number of GPUs"):
        inverse_regression.recover(line(0.04, 0, 0.12, 0, n=2), energy, 0 * energy, gpus * 0 + 1)


# --- runs that can stand side by side --------------------------------------------------------------------------


def test_a_published_accuracy_is_the_printed_one_and_is_drawn_where_a_figure_has_it_within_its_rounding(
    tables,
):
    rows = comparable(tables)
    published = rows[rows["source"] == "published"]
    assert published.groupby("dataset").size().to_dict() == dict.fromkeys(
        ("fktg", "news", "yelp", "tomatoes", "emotion"), 17
    )
    assert (published["accuracy_low"] <= published["accuracy"]).all()
    assert (published["accuracy"] <= published["accuracy_high"]).all()
    printed = pd.concat([tables.printed[name] for name in ("table_b1", "table_b4", "table_b5")])
    both = published.merge(printed, on=["dataset", "model"], suffixes=("", "_printed"))
    assert len(both) == len(published)
    assert (both["accuracy"] == both["accuracy_printed"]).all()
    assert ((both["accuracy_read"] - both["accuracy_printed"]).abs() <= 0.005 + 1e-9).all()
    read = one(published, dataset="news", model="llama-3.1-70b")
    assert (read["accuracy"], read["accuracy_read"]) == (
        0.88,
        0.8835,
    )  # named as printed, drawn where the figure has it
    assert (published["read_low"] <= published["accuracy_read"]).all()
    assert (published["accuracy_read"] <= published["read_high"]).all()
    limit = one(published, dataset="news", model="linear-bow")
    assert (limit["energy_low_wh"], limit["energy_high_wh"]) == (0.0, 0.01)


# --- energy per correct answer ---------------------------------------------------------------------------------


def test_energy_per_correct_answer_of_a_published_run_has_the_bounds_of_its_rounding(made):
    row = one(made["energy_per_correct"].data, source="published", dataset="news", model="qwen-2.5-7b")
    assert row["wh_per_text"] == pytest.approx(4.21 / 200)
    assert row["wh_per_correct"] == pytest.approx(4.21 / 200 / 0.01)
    assert row["low_wh_per_correct"] == pytest.approx(4.205 / 200 / 0.015)
    assert row["high_wh_per_correct"] == pytest.approx(4.215 / 200 / 0.005)


def test_an_energy_that_is_printed_as_a_limit_has_only_an_upper_bound(made):
    data = made["energy_per_correct"].data
    limits = data[data["energy_wh_below"].notna()]
    assert len(limits) == 18
    assert limits["wh_per_correct"].isna().all()
    row = one(limits, dataset="emotion", model="linear-bow")
    assert row["high_wh_per_correct"] == pytest.approx(0.01 / 200 / 0.355)


def test_the_interval_of_a_measured_run_is_that_over_its_splits(tables, made):
    data = made["energy_per_correct"].data
    row = one(data, source="reference-gpu", dataset="yelp", model="linear-embedding")
    splits = tables.split_results[tables.split_results["origin"] == row["origin"]]
    assert row["wh_per_correct"] == pytest.approx(splits["energy_wh"].sum() / splits["correct"].sum())
    assert row["low_wh_per_correct"] < row["wh_per_correct"] < row["high_wh_per_correct"]
    ratios = splits["energy_wh"] / splits["correct"]
    assert ratios.min() <= row["low_wh_per_correct"] < row["high_wh_per_correct"] <= ratios.max()
    assert row["measured_wh_per_correct"] == pytest.approx(splits["gpu_wh"].sum() / splits["correct"].sum())
    estimated = data[data["source"] == "reference-cpu"]
    assert len(estimated) == 24
    assert estimated["measured_wh_per_correct"].isna().all()


def test_a_run_with_a_split_without_energy_has_no_interval(tables):
    splits = tables.split_results.copy()
    first = splits.index[splits["source"] == "reference-cpu"][0]
    origin = splits.loc[first, "origin"]
    splits.loc[first, "energy_wh"] = None
    data = energy_per_correct(replace(tables, split_results=splits)).data
    row = one(data, origin=origin)
    assert pd.isna(row["high_wh_per_correct"])
    assert pd.isna(row["interval_is"])


# --- the artefacts together ------------------------------------------------------------------------------------


def test_the_frontier_of_the_paper_has_the_linear_embedding_on_every_dataset(made):
    artefact = made["frontier"]
    published = artefact.data[artefact.data["source"] == "published"]
    certain = published[published["on_frontier"] == "certain"]
    assert certain.groupby("model")["dataset"].nunique()["linear-embedding"] == 5
    assert set(certain[certain["dataset"] == "fktg"]["model"]) == {
        "linear-tfidf",
        "xgboost-tfidf",
        "linear-embedding",
    }
    assert set(certain[certain["dataset"] == "news"]["model"]) == {"linear-embedding", "llama-3.1-70b"}
    assert set(certain[certain["model"].isin(REASONING)]["dataset"]) == {"emotion"}
    assert artefact.finding.startswith("Linear Embedding is on the frontier of 5 of 5 datasets")


def test_no_certain_member_is_beaten_by_any_other_run_of_its_group(made):
    data = made["frontier"].data
    for _, group in data.groupby(["dataset", "source", "machine"]):
        for _, row in group[group["on_frontier"] == "certain"].iterrows():
            better = group[
                (group["accuracy_low"] >= row["accuracy_high"])
                & (group["energy_high_wh"] <= row["energy_low_wh"])
            ]
            strictly = better[
                (better["accuracy_low"] > row["accuracy_high"])
                | (better["energy_high_wh"] < row["energy_low_wh"])
            ]
            assert strictly.empty


def test_published_and_measured_runs_do_not_compete(published_only, made):
    together, alone = (
        item.data.query("source == 'published'") for item in (made["frontier"], frontier(published_only))
    )
    keys = ["dataset", "model"]
    assert together.set_index(keys)["on_frontier"].to_dict() == alone.set_index(keys)["on_frontier"].to_dict()


def test_a_better_rival_takes_a_model_off_the_frontier_and_out_of_the_finding(tables):
    results, observations = tables.results.copy(), tables.observations
    changed = (results["source"] == "published") & (results["model"] == "linear-embedding")
    results.loc[changed, "energy_wh"] = 1e6
    assert not frontier(replace(tables, results=results, observations=observations)).finding.startswith(
        "Linear"
    )


def test_the_share_of_resamples_is_given_for_measured_runs_only(made):
    data = made["frontier"].data
    one_split = data["source"].isin(["reference-llm-cpu", "factors-cpu"])  # which leaves nothing to resample
    measured = (data["source"] != "published") & ~one_split
    assert data["share_of_resamples"].notna().equals(measured)
    assert data[measured]["share_of_resamples"].between(0, 1).all()
    alone = one(data, source="reference-gpu", dataset="news", model="linear-embedding")
    assert alone["share_of_resamples"] == 1.0


@pytest.mark.parametrize("make", [recovered_durations, energy_per_correct, frontier, other_studies])
def test_without_a_campaign_the_published_values_are_shown_and_the_rest_is_said_in_words(
    make, published_only
):
    artefact = make(published_only)
    assert set(artefact.data.get("source", pd.Series(["published"]))) == {"published"}
    assert artefact.panels
    assert all(panel.figure.data for panel in artefact.panels)
    if make in (energy_per_correct, frontier):
        assert "not measured by us" in artefact.body


@pytest.mark.parametrize("make", ["recovered_durations", "energy_per_correct", "frontier", "other_studies"])
def test_every_trace_follows_the_theme_and_every_panel_says_what_it_shows(make, made):
    artefact = made[make]
    assert len({panel.name for panel in artefact.panels}) == len(artefact.panels)
    for panel in artefact.panels:
        assert len(panel.alt) > 40
        assert all({"light", "dark"} <= set(trace.meta) for trace in panel.figure.data)


# --- other studies ---------------------------------------------------------------------------------------------


def test_the_papers_runs_are_scaled_to_1000_texts(made):
    data = made["other_studies"].data
    fktg = data[(data["block"] == "The paper (Capella)") & (data["dataset"] == "fktg")]
    total = fktg[fktg["accounting"] == "total"].set_index("model")["wh_per_1000_texts"]
    assert total["qwen-2.5-7b"] == pytest.approx(5.58 / 0.189)
    assert total["ds-llama-70b"] == pytest.approx(702.06 / 0.189)
    gpu = fktg[fktg["accounting"] == "gpu"].set_index("model")["wh_per_1000_texts"]
    assert len(gpu) == 13  # Figure 2 shows no bar for the four models without embeddings
    assert (gpu < total[gpu.index]).all()
    gpu_only = data[data["block"].str.startswith("Ours") & (data["accounting"] == "gpu")]
    assert set(gpu_only["block"]) == {"Ours: reference-gpu"}


def test_figures_of_other_studies_say_what_they_count_and_where_they_stand(made):
    figures = load_other_studies().figures
    assert {item.accounting for item in figures} == {"total", "gpu"}
    secondary = [item for item in figures if item.basis == "secondary source"]
    assert {item.study for item in secondary} == {"AI Energy Score", "Luccioni et al. 2024"}
    requests = {item.what: item.wh_per_1000_texts for item in figures if item.study == "ML.ENERGY v3"}
    assert requests["Llama 8B, batch 512"] == pytest.approx(1000 * 27.84 / 3600, rel=0.005)
    body = made["other_studies"].body
    assert body.count("<a href=") == len(figures)
    assert "&lt;a" not in body
    assert body.count("secondary source") >= len(secondary)


def test_other_studies_count_inference_alone_and_say_how_each_figure_was_taken(made):
    """Reading of the raw data by task: loading a model is no inference."""
    figures = load_other_studies().figures
    given = {(item.what, item.accounting): item.wh_per_1000_texts for item in figures}
    assert given["8 encoders, mean", "total"] == 2.29
    assert given["8 encoders, mean", "gpu"] == 1.24
    assert (given["sbcBI, imdb", "total"], given["RoBERTa-large, sst2", "total"]) == (1.30, 4.54)
    assert [given[f"flan-t5-{size}", "total"] for size in ("base", "xl", "xxl")] == [9.71, 18.7, 29.8]
    assert (given["bloomz-560m", "total"], given["bloomz-7b1", "total"]) == (9.64, 28.3)
    assert (given["bloomz-7b1", "gpu"], given["Llama-2-7b, free text", "total"]) == (16.8, 394)
    assert round(given["8 encoders, mean", "total"]) == given["mean, as printed", "total"]
    raw = [item for item in figures if item.source.title.startswith("Raw data")]
    assert len(raw) == 11
    assert all('"query model"' in item.derivation and "left out" in item.derivation for item in raw)
    column = {"total": "energy_consumed", "gpu": "gpu_energy"}
    assert all(column[item.accounting] in item.derivation for item in raw)
    assert "9.64\u202fWh to 394\u202fWh" in made["other_studies"].finding
    assert "without loading" in made["other_studies"].finding
    assert "could not be derived" not in made["other_studies"].body


def test_figures_of_a_draft_are_quoted_as_a_draft(made):
    drafts = [item for item in load_other_studies().figures if item.basis == "draft"]
    assert {item.what: item.wh_per_1000_texts for item in drafts} == {
        "distilbert-sst2": 0.22,
        "bert-large-sst2": 0.92,
        "t5-large": 7.9,
        "t5-11b": 27.8,
    }
    assert {item.accounting for item in drafts} == {"gpu"}
    assert all("draft" in f"{item.study} {item.note}" for item in drafts)
    data = made["other_studies"].data
    assert set(data[data["block"] == "AI Energy Score, draft"]["basis"]) == {"draft"}


def test_the_share_of_the_gpu_is_that_of_figure_2(made, tables):
    shares = made["other_studies"].data["gpu_share"].dropna()
    runs = tables.results[(tables.results["source"] == "published") & tables.results["gpu_wh"].notna()]
    expected = runs["gpu_wh"] / (runs["cpu_wh"] + runs["gpu_wh"] + runs["ram_wh"])
    paper = made["other_studies"].data["block"] == "The paper (Capella)"
    assert sorted(shares[paper]) == pytest.approx(sorted(expected))
    assert "the GPU alone is 55 to 86 %" in made["other_studies"].finding


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("accounting: gpu", "accounting: gpus", "unknown value 'gpus'"),
        ("wh_per_1000_texts: 2.29", "wh_per_1000_text: 2.29", "unknown key 'wh_per_1000_text'"),
        ("wh_per_1000_texts: 2.29", "wh_per_1000_texts: -2.29", "greater than 0"),
        ("    derivation: *board\n", "", "derivation"),
        ("url: https://github.com/sashavor", "url: github.com/sashavor", "url"),
    ],
)
def test_a_fault_in_the_file_is_named_in_one_line(tmp_path, old, new, fault):
    file = tmp_path / "other_studies.yaml"
    shutil.copy(OTHER_STUDIES, file)
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=fault) as caught:
        load_other_studies(file)
    assert "\n" not in str(caught.value)
