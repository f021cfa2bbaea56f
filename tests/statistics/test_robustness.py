"""Which coefficients one run decides, against fits without it."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.formula.api as smf

from helpers.core import paths
from helpers.figures.beyond.regression import constants, measured_fits, printed_fits, table_3, table_b6
from helpers.figures.paper.table_b2 import table_b2
from helpers.figures.plots.remarks import node_power
from helpers.results.tables import load_tables
from helpers.statistics import regression, robustness
from helpers.statistics.node_pairs import pairs
from helpers.study.catalogue import paper_models
from tests.statistics.test_regression import runs as invented


@pytest.fixture(scope="module")
def tables():
    return load_tables()


@pytest.fixture(scope="module")
def capella(tables):
    return regression.points(tables.results, "published", "capella", "fktg")


def runs(duration_s, gpus, energy_wh):
    return invented(duration_s, gpus, energy_wh).assign(model=list(paper_models())[: len(duration_s)])


def nodes_p_value(points):
    rows = points.assign(two_nodes=(points["nodes"] > 1).astype(int))
    base = smf.ols(regression.formula(rows), rows).fit()
    full = smf.ols(f"{regression.formula(rows)} + two_nodes + duration_s:two_nodes", rows).fit()
    return full.compare_f_test(base)[1]


def test_one_run_decides_the_factor_of_a_second_node(capella):
    name, leverage = robustness.highest_nodes_leverage(capella)
    assert name == "DS Llama 70B, 2 GPUs, 2 nodes"
    assert leverage == pytest.approx(0.9994, abs=1e-4)
    its = (capella["model"] == "ds-llama-70b") & (capella["nodes"] == 2)
    assert nodes_p_value(capella) < 2e-5
    assert nodes_p_value(capella[~its]) == pytest.approx(0.11, abs=0.005)


def test_without_a_run_on_two_nodes_there_is_no_factor(capella):
    assert robustness.highest_nodes_leverage(capella[capella["nodes"] == 1]) is None


def test_mean_power_is_compared_pair_by_pair(tables):
    node_pairs = pairs(tables.results[tables.results["source"] == "published"]).set_index("model")
    more = (node_pairs["power_w_2"] - node_pairs["power_w_1"]).round().to_dict()
    assert more == {"ds-llama-70b": 13, "llama-3.1-70b": 38, "qwen-2.5-72b": 53, "jamba-mini-1.5": 145}
    sentence = node_power(node_pairs.reset_index())
    assert (
        "+13 W (DS Llama 70B), +38 W (Llama 3.1 70B), +53 W (Qwen 2.5 72B) and +145 W (Jamba Mini 1.5)"
        in sentence
    )
    assert sentence in table_b2(tables).body


def test_no_page_gives_a_p_value_of_the_second_node(tables):
    from helpers.figures.beyond.duration_proxy import duration_proxy

    body = duration_proxy(tables).body
    assert "F test" not in body
    assert "+13 W (DS Llama 70B)" in body
    assert "leverage of 0.999" in body


def test_p_values_without_a_run_are_those_of_the_fit(capella):
    rest = capella.drop(index=capella.index[-1])
    p_values = regression.p_values(rest)
    theirs = regression.fit(rest).terms
    assert p_values == pytest.approx(
        {name: term.p_value for name, term in theirs.items()}, rel=1e-4, abs=1e-12
    )


def test_a_term_that_one_run_makes_significant_is_named():
    duration = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 1000.0])
    energy = np.array([1.0, -1.0, 1.0, -1.0, 1.0, 100.0])
    hanging = robustness.hanging_on_one_run(regression.fit(runs(duration, 1, energy)))
    assert hanging["duration"] == ["XGBoost Embedding, 1 GPU"]
    straight = regression.fit(runs(duration, 1, duration + 0.01 * energy))
    assert "duration" not in robustness.hanging_on_one_run(straight)


def test_a_term_that_the_other_runs_do_not_determine_hangs_on_its_run():
    duration, gpus = np.array([1.0, 2.0, 3.0, 5.0, 4.0, 7.0]), np.array([1, 1, 1, 1, 2, 2])
    points = runs(duration, gpus, duration * gpus + 0.01 * np.array([1, -1, 1, -1, 1, -1]))
    assert len(robustness.hanging_on_one_run(regression.fit(points))["duration:gpus"]) >= 2


def test_table_b6_says_that_its_constants_do_not_differ_from_zero(tables):
    assert table_b6(tables).finding == (
        "Every R² is printed as 1.000, which is 0.9995 or more before rounding. No constant differs significantly from zero, "
        "and Eq. 1 leaves them out; with them, the energy of a run on one GPU below 2.9 to 5.8 s would be negative."
    )


def test_table_3_says_which_stars_hang_on_one_run(tables):
    assert (
        "depends on a single run: on Capella for none; on Clara for GPUs and Constant; on Paula for GPUs and Constant."
        in table_3(tables).note
    )


def test_the_constants_of_table_b6_are_in_their_standard_errors_and_the_durations_solve_the_printed_line(
    tables,
):
    printed = printed_fits(tables.printed, "dataset")
    for _, row in constants(printed).iterrows():
        terms = {name: term.estimate for name, term in printed[row["dataset"]].terms.items()}
        assert row["std_errors"] == terms["constant"] / printed[row["dataset"]].terms["constant"].std_error
        per_second = terms["duration"] + terms["duration:gpus"]
        energy_wh = terms["constant"] + terms["gpus"] + per_second * row["negative_below_s"]
        assert energy_wh == pytest.approx(0, abs=1e-12)


def test_campaigns_with_too_few_runs_have_no_fit_and_the_table_names_them(tables):
    published = replace(tables, results=tables.results[tables.results["source"] == "published"])
    assert measured_fits(published.results).empty
    assert "Our runs: none yet" in table_b6(published).body
    committed = load_tables(live=paths.ROOT / "no-such-folder")
    fits = measured_fits(committed.results, ["news", "yelp"])
    real = committed.results[committed.results["source"] != "published"]
    on_both = real[real["dataset"].isin(["news", "yelp"])]
    assert len(fits) == len(on_both[["source", "machine", "dataset"]].drop_duplicates())
    campaigns = set(on_both["source"])
    assert fits["fit"].isna().all()
    assert fits["n"].isna().all()
    body = table_b6(committed).body
    for campaign in campaigns:
        assert campaign in body
