"""Power behind Figure 2: closed forms, CodeCarbon's own code, and rankings that keep their rules."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.claims.evidence import Evidence
from helpers.claims.registry import function as recompute
from helpers.claims.source import source_of
from helpers.figures.beyond import power_claims
from helpers.figures.beyond.power import power_decomposition
from helpers.figures.beyond.power_tables import falling
from helpers.results.tables import load_tables
from helpers.statistics import power
from helpers.statistics.power import rank_change, weighted_mean

NODE_GB = 768


@pytest.fixture(scope="module")
def tables():
    return load_tables()


@pytest.fixture(scope="module")
def constants(tables):
    return power.constants(tables.observations, tables.results)


@pytest.fixture(scope="module")
def runs(tables, constants):
    return power.under_rules(tables.results, constants, NODE_GB)


# Weighted mean


def test_the_weighted_mean_of_two_values_is_their_closed_form():
    constant = weighted_mean([10.0, 16.0], [1.0, 2.0])
    assert constant.mean_w == pytest.approx((10 / 1 + 16 / 4) / (1 + 1 / 4))
    assert constant.std_error_w == pytest.approx(1 / math.sqrt(1.25))
    assert constant.chi2 == pytest.approx(6**2 / (1 + 4))  # two values: difference against both variances
    assert constant.dof == 1


def test_with_equal_sigmas_it_is_the_plain_mean_and_chi2_the_sum_of_squares():
    values = [41.0, 42.5, 44.0, 47.5]
    constant = weighted_mean(values, [2.0] * 4)
    assert constant.mean_w == pytest.approx(np.mean(values))
    assert constant.std_error_w == pytest.approx(2.0 / 2)
    assert constant.chi2 == pytest.approx(np.var(values) * 4 / 4)


def test_the_p_value_of_chi2_with_two_degrees_of_freedom_is_exponential():
    constant = weighted_mean([0.0, 3.0, 1.0], [1.0, 1.0, 1.0])
    assert constant.p_value == pytest.approx(math.exp(-constant.chi2 / 2))


def test_one_value_is_its_own_constant_and_has_no_p_value():
    constant = weighted_mean([42.5], [0.5])
    assert (constant.mean_w, constant.std_error_w, constant.chi2, constant.dof) == (42.5, 0.5, 0.0, 0)
    assert constant.p_value is None


@pytest.mark.parametrize(
    ("values", "sigmas"), [([], []), ([1.0], [0.0]), ([1.0, 2.0], [1.0]), ([1.0], [-1.0])]
)
def test_values_without_a_positive_sigma_each_are_refused(values, sigmas):
    with pytest.raises(ValueError, match="expected at least one value"):
        weighted_mean(values, sigmas)


MEASURED = st.lists(st.tuples(st.floats(1, 1e3), st.floats(0.1, 10)), min_size=2, max_size=12)


@given(MEASURED, st.floats(0.1, 100), st.randoms(use_true_random=False))
def test_neither_units_nor_the_order_of_rows_change_what_a_weighted_mean_says(pairs, factor, random):
    values, sigmas = zip(*pairs, strict=True)
    before = weighted_mean(values, sigmas)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    after = weighted_mean([factor * v for v, _ in shuffled], [factor * s for _, s in shuffled])
    assert after.mean_w == pytest.approx(factor * before.mean_w)
    assert after.std_error_w == pytest.approx(factor * before.std_error_w)
    assert after.chi2 == pytest.approx(before.chi2, rel=1e-6, abs=1e-6)
    assert min(values) <= before.mean_w * (1 + 1e-12)
    assert before.mean_w * (1 - 1e-12) <= max(values)


# Figure 2


def test_figure_2_gives_the_constants_that_its_file_gives_with_numpy(tables, constants):
    frame = tables.printed["figure_2"]
    rows = frame[(frame["component"] == "CPU") & (frame["source"] == "digitised")]
    durations = tables.printed["table_b1"].set_index("model")["duration_s"]
    hours = rows["model"].map(durations) / 3600
    watts, sigma = rows["energy_wh"] / hours, rows["energy_wh_uncertainty"] / hours / 2
    mean = np.average(watts, weights=sigma**-2)
    assert constants.cpu.mean_w == pytest.approx(
        mean, rel=1e-3
    )  # the durations' rounding, which ours counts, is left out
    assert constants.cpu.dof == len(rows) - 1 == 12
    assert constants.cpu.chi2 == pytest.approx((((watts - mean) / sigma) ** 2).sum(), rel=0.01)


def test_cpu_and_memory_are_codecarbons_fallback_and_requested_memory(constants):
    assert abs(constants.cpu.mean_w - power.CPU_FALLBACK_W) < constants.cpu.bound_w
    assert abs(power.implied_gb(constants.ram_llm.mean_w) - 300) < power.implied_gb(constants.ram_llm.bound_w)
    assert abs(power.implied_gb(constants.ram_traditional.mean_w) - 200) < power.implied_gb(
        constants.ram_traditional.bound_w
    )
    assert constants.cpu.chi2 / constants.cpu.dof < 1.5
    together = constants.besides_gpu("Deepseek")
    assert together.mean_w == constants.cpu.mean_w + constants.ram_llm.mean_w


def test_a_different_power_in_one_bar_breaks_the_constant_and_the_sentence(tables):
    observations = tables.observations.copy()
    bar = (observations["origin"] == "figure_2") & (observations["quantity"] == "cpu_wh")
    bar &= observations["model"] == "llama-3.1-70b"
    assert bar.sum() == 1
    observations.loc[bar, "value"] *= 3
    changed = power.constants(observations, tables.results)
    assert changed.cpu.p_value < 1e-6
    finding = power_decomposition(replace(tables, observations=observations)).finding
    assert "differs between models" in finding
    assert "differs between models" not in power_decomposition(tables).finding


def test_power_per_gpu_and_the_constants_add_up_to_the_average_power(tables, constants):
    per_gpu = power.gpu_power(tables.results, constants).set_index(["model", "gpus"])
    table = tables.printed["table_b1"].set_index("model")
    for model, gpus in (("qwen-2.5-7b", 1), ("llama-3.1-70b", 2), ("ds-llama-70b", 2)):
        total = per_gpu.loc[(model, gpus), "power_w"] * gpus + constants.cpu.mean_w + constants.ram_llm.mean_w
        assert total == pytest.approx(table.loc[model, "average_power_w"], rel=2e-3)
    assert set(per_gpu.index.get_level_values("gpus")) == {1, 2, 4}
    assert not {"linear-bow", "xgboost-tfidf"} & set(per_gpu.index.get_level_values("model"))


def test_the_gpu_bars_of_figure_2_agree_with_what_the_constants_leave(runs):
    both = runs.dropna(subset=["gpu_read"])
    assert len(both) == 13
    assert ((both["gpu_read"] - both["gpu_inferred"]).abs() / both["gpu_read"]).max() < 0.04


# Rules of accounting


def test_the_fallback_and_the_memory_rule_are_those_of_the_installed_codecarbon():
    hardware = pytest.importorskip("codecarbon.external.hardware")
    assert hardware.POWER_CONSTANT * hardware.CONSUMPTION_PERCENTAGE_CONSTANT == power.CPU_FALLBACK_W
    from codecarbon.external.ram import RAM, RAM_SLOT_POWER_X86

    theirs = RAM()
    theirs.is_arm_cpu = False
    assert power.DIMM_W == RAM_SLOT_POWER_X86
    for gb in (
        *np.arange(0.5, 40, 0.5),
        *range(40, 5000, 7),
        63,
        64,
        65,
        127,
        128,
        129,
        200,
        300,
        512,
        768,
        1000,
        1024,
    ):
        assert power.codecarbon_3_dimms(gb) == theirs._estimate_dimm_count(gb), gb
        assert power.codecarbon_3_ram_w(gb) == pytest.approx(theirs._calculate_ram_power(gb)), gb


def test_under_the_dimm_rule_more_memory_can_mean_less_power():
    assert power.codecarbon_3_ram_w(NODE_GB) == 54.0  # 12 modules: 4 x 5 + 4 x 4.5 + 4 x 4
    assert power.codecarbon_3_ram_w(300) < power.codecarbon_3_ram_w(200)


def test_changing_the_memory_rule_changes_only_the_memorys_share(runs, constants):
    row = runs[(runs["model"] == "ds-llama-8b") & (runs["gpus"] == 1)].iloc[0]
    hours = 517.83 / 3600
    assert row["total"] - row["codecarbon_3_node"] == pytest.approx((constants.ram_llm.mean_w - 54.0) * hours)
    assert row["total"] - row["codecarbon_3_job"] == pytest.approx((constants.ram_llm.mean_w - 46.0) * hours)
    expected = row["total"] - (constants.cpu.mean_w + constants.ram_llm.mean_w) * hours
    assert row["gpu_inferred"] == pytest.approx(expected)


def test_a_model_without_a_gpu_has_no_gpu_energy_and_not_zero(runs, tables):
    rows = runs[runs["model"].isin(["linear-bow", "linear-tfidf", "xgboost-bow", "xgboost-tfidf"])]
    assert len(rows) == 4
    assert rows[["gpu_read", "gpu_inferred", "codecarbon_3_job", "codecarbon_3_node"]].isna().all().all()
    assert rows["total"].notna().all()
    measured = power.measured_under_rules(tables.results)
    without = measured[measured["gpus"] == 0]
    assert len(without) > 0
    assert without["gpu_only"].isna().all()
    body = power_decomposition(tables).body
    cells = body[body.index("Linear BoW") :].split("</tr>")[0]
    assert cells.count("missing") == 4


def test_measured_runs_take_the_second_memory_rule_from_their_record(tables):
    measured = power.measured_under_rules(tables.results).set_index("origin")
    run = tables.results[tables.results["source"] == "reference-gpu"].iloc[0]
    expected = run["cpu_wh"] + run["gpu_wh"] + run["ram_codecarbon_wh"]
    assert measured.loc[run["origin"], "codecarbon_3"] == pytest.approx(expected, rel=1e-9)
    assert measured.loc[run["origin"], "measured_only"] == pytest.approx(run["gpu_wh"])


# Rankings

ENERGIES = st.lists(st.floats(0.01, 1e3), min_size=2, max_size=8, unique=True)


def series(values):
    return pd.Series(values, index=[f"m{i}" for i in range(len(values))])


@given(ENERGIES, st.floats(0.1, 10))
def test_a_ranking_does_not_differ_from_itself_in_other_units(values, factor):
    change = rank_change(series(values), factor * series(values))
    assert change.swapped == ()
    assert change.tau in (1.0, None) or len(set(factor * series(values))) < len(values)


@given(ENERGIES)
def test_a_reversed_ranking_swaps_every_pair(values):
    change = rank_change(series(values), -series(values))
    assert change.tau == -1
    assert len(change.swapped) == math.comb(len(values), 2)


@given(st.permutations(range(7)), st.permutations(range(7)), st.randoms(use_true_random=False))
def test_tau_is_scipys_it_is_symmetric_and_the_order_of_rows_does_not_matter(one, two, random):
    from scipy.stats import kendalltau

    before, after = series(one), series(two)
    change = rank_change(before, after)
    assert change.tau == pytest.approx(kendalltau(one, two).statistic)
    assert change.tau == rank_change(after, before).tau
    rows = list(before.index)
    random.shuffle(rows)
    again = rank_change(before[rows], after)
    assert set(again.swapped) == set(change.swapped)


def test_a_model_without_a_value_is_left_out_of_the_ranking():
    change = rank_change(series([1.0, 2.0, 3.0]), pd.Series({"m0": 5.0, "m1": None, "m2": 1.0}))
    assert change.models == 2
    assert change.swapped == (("m0", "m2"),)
    assert rank_change(series([1.0]), series([2.0])).tau is None


def test_only_gpu_accounting_swaps_models(runs):
    minimal = runs.sort_values("gpus").drop_duplicates("model").set_index("model")
    assert rank_change(minimal["total"], minimal["codecarbon_3_node"]).swapped == ()
    swapped = {frozenset(pair) for pair in rank_change(minimal["total"], minimal["gpu_inferred"]).swapped}
    assert swapped == {
        frozenset({"qwen-2.5-7b", "phi-3.5-mini"}),
        frozenset({"llama-3.1-70b", "qwen-2.5-72b"}),
    }


def test_steps_to_more_gpus_save_energy_twice_in_total_and_never_on_the_gpus_alone(runs):
    assert len(power.gpu_steps(runs, "total")) == 17
    assert falling(runs, "total") == ["DS Qwen 32B 1 to 2", "Jamba Mini 1.5 2 to 4"]
    assert falling(runs, "gpu_inferred") == []
    row = power.gpu_steps(runs, "total").set_index("model").loc["ds-qwen-32b"].iloc[0]
    assert row["change_wh"] == pytest.approx(350.05 - 373.56)


# Claims


def test_a_claim_about_more_gpus_changes_its_verdict_on_the_gpus_alone_and_links_to_the_ledger(tables, runs):
    table = power_claims.table(power_claims.compare(tables, runs))
    row = next(part for part in table.split("<tr>") if "more-gpus-do-not-reduce-energy" in part)
    assert "GPU only" in row
    assert row.index("depends on the reading (2, 1, 0, 0)") < row.index("would agree (0, 0, 0, 0)")
    assert '<a href="companion-root:notebooks/analysis/claims.html">' in row


def test_rules_that_the_paper_never_used_give_no_verdict_and_leave_its_own_coefficients_alone(tables, runs):
    """A line drawn through totals is not refuted by a fit to the GPU alone."""
    table = power_claims.table(power_claims.compare(tables, runs))
    head, *rows = table.split("<tr>")[1:]
    assert "With this rule" in head
    assert rows
    for row in rows:
        would = re.findall(r"<td[^>]*>(.*?)</td>", row)[3:]
        assert would[0].startswith("would ")
        assert not re.search("does not hold|holds", " ".join(would))
    assert not re.search("figure-6-lines-are-regressions|duration-is-a-good-proxy|equation-2", table)


def test_a_rule_that_changes_nothing_changes_no_claim(tables, runs):
    same = runs.assign(**{rule: runs["total"].where(runs[rule].notna()) for rule in power_claims.RULES})
    table = power_claims.table(power_claims.compare(tables, same))
    assert table.startswith('<p class="absent">Another rule would change the verdict on none')


def test_a_reading_that_counts_the_gpus_alone_subtracts_the_constants_once_by_every_rule(tables):
    """The energy falls, also on the GPUs alone, but by less than the constants of the time that is saved."""
    results = tables.results.copy()
    run = (results["source"] == "published") & (results["dataset"] == "fktg")
    run &= (results["machine"] == "capella") & (results["nodes"] == 1) & (results["model"] == "llama-3.1-70b")
    duration_s = results[run].set_index("gpus")["duration_s"]
    other = power.constants(tables.observations, results)
    saved_wh = other.besides_gpu("Other LLM").mean_w * (duration_s[2] - duration_s[4]) / 3600
    results.loc[run, "energy_wh"] = results.loc[run, "gpus"].map({2: 50.0, 4: 50.0 - 1.5 * saved_wh})
    changed = replace(tables, results=results)
    runs = power.under_rules(results, other, NODE_GB)
    source = source_of(changed, "published")
    for rule in ("total", *power_claims.RULES):
        ledger = {item.claim.id: item for item in power_claims.evaluate_by_rule(source, runs, rule)}
        total, *_, gpus = ledger["more-gpus-do-not-reduce-energy"].readings
        assert "energy falls in 1 of 17 steps" in gpus.reason, rule
        assert "Llama 3.1 70B from 2 to 4" in total.reason


def test_a_source_counted_by_its_gpus_alone_has_the_same_reading_of_the_gpus(tables):
    name = "more-gpus-do-not-reduce-energy-of-gpus"
    readings = [
        recompute(name)(Evidence(source_of(tables, "published", mode)))
        for mode in ("total_as_published", "gpu_only")
    ]
    assert readings[0] == readings[1]


# The page


def test_the_page_names_what_it_was_computed_from_and_marks_estimates(tables):
    artefact = power_decomposition(tables)
    page = artefact.html()
    for name in ("figure_2.csv", "table_b1.csv", "figure_3.csv"):
        assert name in page
    names = [panel.name for panel in artefact.panels]
    assert names[:2] == ["constants", "gpus"]
    gpu_panel = next(panel for panel in artefact.panels if panel.name == "measured-reference-gpu")
    symbols = {trace.name: set(trace.marker.symbol) for trace in gpu_panel.figure.data}
    assert symbols["CPU"] == {"circle-x"}  # estimated
    assert symbols["GPU"] == {"diamond"}  # measured


def test_without_any_run_of_ours_the_page_says_so(tables):
    alone = replace(tables, results=tables.results[tables.results["source"] == "published"])
    artefact = power_decomposition(alone)
    assert [panel.name for panel in artefact.panels] == ["constants", "gpus"]
    assert "Our runs: none yet" in artefact.body
