"""Energy told from duration: the estimators against hand-made least squares, and the figures that the book gives of them."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from helpers.book.quoted_numbers import numbers
from helpers.figures.beyond.duration_proxy import duration_proxy, verdict
from helpers.results.tables import load_tables
from helpers.statistics import proxy, regression
from helpers.statistics.estimation import FEWEST_TO_CHOOSE, estimation
from helpers.statistics.proxy import (
    APPROXIMATION,
    EQUATION_2,
    ESTIMATORS,
    IN_SAMPLE,
    LEFT_OUT,
    LINE,
    RELATIVE,
    Proportional,
)
from helpers.study.catalogue import study
from tests.statistics.test_regression import design, numpy_fit, runs

TABLES = load_tables()
NAMES = list(study().models)
LLMS_BELOW_100_S, ALL_BELOW_100_S, ALL_FROM_100_S = 15, 21, 17


@pytest.fixture(scope="module")
def capella():
    return regression.points(TABLES.results, "published", "capella", "fktg")


@pytest.fixture(scope="module")
def llms(capella):
    return proxy.language_models(capella)


@pytest.fixture(scope="module")
def errors(capella, llms):
    return proxy.compare(capella, llms, EQUATION_2)


def size(errors, estimator, sample=IN_SAMPLE):
    return proxy.size_percent(errors, estimator, sample)


def invented(duration_s, gpus, energy_wh, models=None, family="Other LLM"):
    """Rows as `regression.points` gives them, of language models of one invented machine."""
    rows = runs(np.asarray(duration_s, float), gpus, energy_wh).assign(family=family, gpus_origin="measured")
    names = [NAMES[number % len(NAMES)] for number in range(len(rows))] if models is None else models
    return rows.assign(model=names)


# --- the table of the review, figure by figure --------------------------------------------------------------


def test_fit_by_relative_error_is_the_reviews(llms):
    fitted = proxy.fit_relative(llms)
    assert (round(fitted.a, 3), round(fitted.c, 3)) == (0.077, 0.081)
    assert len(llms) == 32
    assert llms["duration_s"].min() == 19.73
    assert llms["duration_s"].max() == 6792.54


@pytest.mark.parametrize(
    ("estimator", "median", "worst", "within_30", "within_50"),
    [(LINE, 16, 67, 27, 27), (APPROXIMATION, 14, 55, 27, 30), (RELATIVE, 8, 35, 31, 32)],
)
def test_errors_on_all_language_models(errors, llms, estimator, median, worst, within_30, within_50):
    errors_percent = size(errors, estimator)[llms.index]
    assert (round(errors_percent.median()), round(errors_percent.max())) == (median, worst)
    assert ((errors_percent <= 30).sum(), (errors_percent <= 50).sum()) == (within_30, within_50)


def test_equation_2_is_within_a_factor_of_1_6_on_language_models(errors, llms):
    approximated = errors[(errors["estimator"] == APPROXIMATION) & (errors["sample"] == IN_SAMPLE)].loc[
        llms.index
    ]
    assert np.exp(approximated["log_error"].abs().max()) < 1.6


@pytest.mark.parametrize(
    ("estimator", "median", "worst"), [(LINE, 21.5, 67), (APPROXIMATION, 23.5, 55), (RELATIVE, 7.8, 35)]
)
def test_errors_on_language_models_below_100_s(errors, llms, estimator, median, worst):
    errors_percent = size(errors, estimator)[llms.index[llms["duration_s"] < 100]]
    assert len(errors_percent) == LLMS_BELOW_100_S
    assert errors_percent.median() == pytest.approx(median, abs=0.05)
    assert round(errors_percent.max()) == worst


@pytest.mark.parametrize(("estimator", "median"), [(LINE, 50.1), (APPROXIMATION, 37.2), (RELATIVE, 22.4)])
def test_errors_on_all_runs_below_100_s(errors, capella, estimator, median):
    errors_percent = size(errors, estimator)[capella.index[capella["duration_s"] < 100]]
    assert len(errors_percent) == ALL_BELOW_100_S
    assert errors_percent.median() == pytest.approx(median, abs=0.05)


def test_equation_2_from_100_s(errors, capella):
    errors_percent = size(errors, APPROXIMATION)[capella.index[capella["duration_s"] >= 100]]
    assert len(errors_percent) == ALL_FROM_100_S
    assert (round(errors_percent.median(), 1), round(errors_percent.max(), 1)) == (7.0, 23.5)


def test_models_left_out_leave_the_order_as_it_is_but_not_for_the_longest_runs(errors, llms):
    by_estimator = {name: size(errors, name, LEFT_OUT)[llms.index] for name in ESTIMATORS}
    assert [round(by_estimator[name].median(), 1) for name in ESTIMATORS] == [16.8, 15.1, 8.7]
    assert [round(by_estimator[name].max()) for name in ESTIMATORS] == [73, 53, 41]
    longest = llms.index[llms["duration_s"] >= 1000]
    assert [round(by_estimator[name][longest].median(), 1) for name in ESTIMATORS] == [5.3, 5.3, 11.6]


def test_every_run_below_3_s_is_traditional_and_none_lies_between_it_and_the_language_models(capella, llms):
    short = capella[capella["duration_s"] < llms["duration_s"].min()]
    assert set(short["family"]) == {"Traditional"}
    assert len(short) == 6
    assert short["duration_s"].max() < proxy.MEASURED_FROM_S


def test_numbers_of_the_prose_give_each_estimator_its_own():
    text = {
        name: number.text.replace("\u202f", " ")
        for name, number in numbers(TABLES).items()
        if name.startswith(("equation-2.", "proxy."))
    }
    assert text == {
        "equation-2.a": "0.1",
        "equation-2.c": "0.09",
        "equation-2.median-long": "7 %",
        "equation-2.worst-long": "24 %",
        "equation-2.median-short": "24 %",
        "proxy.a": "0.077",
        "proxy.c": "0.081",
        "proxy.long-from": "100 s",
        "proxy.measured-from": "3 s",
        "proxy.runs": "32",
        "proxy.short-runs": "15",
        "proxy.traditional.runs": "6",
        "proxy.traditional.longest": "2.9 s",
        "proxy.line.median-short": "25 %",
        "proxy.median": "9 %",
        "proxy.worst": "41 %",
        "proxy.median-short": "8 %",
    }


# --- the estimators -----------------------------------------------------------------------------------------


def test_relative_fit_is_where_the_squared_relative_errors_are_smallest(llms):
    def loss(coefficients):
        return ((Proportional(*coefficients).energy_wh(llms) / llms["energy_wh"] - 1) ** 2).sum()

    fitted = proxy.fit_relative(llms)
    best = minimize(loss, [0.1, 0.1], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
    assert [fitted.a, fitted.c] == pytest.approx(best.x, rel=1e-4)


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.001, 1000))
def test_relative_fit_finds_eq_1_again_whatever_the_unit_of_time(a, c, scale):
    duration, gpus = scale * np.array([1.0, 10.0, 1000.0, 30.0]), np.array([1, 2, 4, 1])
    fitted = proxy.fit_relative(invented(duration, gpus, (a + c * gpus) * duration))
    assert (fitted.a, fitted.c) == pytest.approx((a, c), rel=1e-6)


def test_no_coefficient_is_negative_and_one_gpu_count_leaves_one():
    falling = invented([10.0, 10.0, 10.0], [1, 2, 4], np.array([4.0, 2.0, 1.0]))
    fitted = proxy.fit_relative(falling)
    assert fitted.a > 0
    assert fitted.c == 0
    assert proxy.fit_relative(invented([1.0, 100.0], 2, np.array([0.2, 20.0]))) == Proportional(
        pytest.approx(0.2), 0.0
    )


def test_line_is_the_regression(capella):
    fitted = regression.fit(capella)
    expected = {name: term.estimate for name, term in fitted.terms.items()}
    assert regression.coefficients(capella) == pytest.approx(expected)
    one = capella[capella["gpus"] == 1]
    expected = {name: term.estimate for name, term in regression.fit(one).terms.items()}
    assert regression.coefficients(one) == pytest.approx(expected)


def test_equation_1_of_the_paper_for_each_machine():
    assert proxy.paper_equation("capella", TABLES.printed) is EQUATION_2
    assert proxy.paper_equation("paula", TABLES.printed) == Proportional(0.079, 0.054)
    assert proxy.paper_equation("clara", TABLES.printed) == Proportional(0.061, 0.036)


def test_a_model_is_estimated_from_the_other_models_alone(capella, llms, errors):
    left_out = errors[errors["sample"] == LEFT_OUT].set_index("estimator", append=True)["estimate_wh"]
    for model in ("ds-llama-70b", "llama-3.1-8b"):
        of_model = capella["model"] == model
        a, b, c, d = numpy_fit(capella[~of_model])[0]
        own = capella[of_model]
        slopes = Proportional(a, c).energy_wh(own)
        relative = proxy.fit_relative(llms[llms["model"] != model]).energy_wh(own)
        expected = {LINE: design(own) @ [a, b, c, d], APPROXIMATION: slopes, RELATIVE: relative}
        for estimator, energies in expected.items():
            estimates = left_out.xs(estimator, level="estimator")[own.index]
            assert estimates.tolist() == pytest.approx(list(energies), rel=1e-6)


def test_the_own_energy_of_a_model_left_out_does_not_matter(capella):
    changed = capella.assign(energy_wh=capella["energy_wh"].where(capella["model"] != "ds-llama-70b", 1.0))
    own = capella.index[capella["model"] == "ds-llama-70b"]
    both = [
        proxy.compare(rows, proxy.language_models(rows)).query("sample == 'left out'").loc[own, "estimate_wh"]
        for rows in (capella, changed)
    ]
    assert both[0].tolist() == pytest.approx(both[1].tolist())


def test_where_one_model_is_all_there_is_its_error_is_absent():
    rows = invented([1.0, 2.0, 4.0], 1, np.array([1.0, 2.0, 4.0]), models="linear-bow")
    compared = proxy.compare(rows, rows)
    assert compared.loc[compared["sample"] == LEFT_OUT, "error_percent"].isna().all()
    assert compared.loc[compared["sample"] == IN_SAMPLE, "error_percent"].notna().all()
    assert estimation(rows, rows) is None


def test_from_one_number_of_gpus_nothing_follows_for_another():
    rows = invented([1.0, 2.0, 4.0], [1, 1, 2], np.array([1.0, 2.0, 6.0]), models=NAMES[:3])
    compared = proxy.compare(rows, rows)
    compared = compared[(compared["estimator"] == RELATIVE) & (compared["sample"] == LEFT_OUT)]
    assert compared["estimate_wh"].isna().tolist() == [False, False, True]


def test_runs_of_no_energy_have_no_relative_error():
    rows = invented([1.0, 2.0, 4.0, 8.0], 1, np.array([0.0, 2.0, 4.0, 8.0]))
    assert sorted(set(proxy.compare(rows, rows).index)) == [1, 2, 3]


def test_decades_are_those_of_the_axis():
    decades = proxy.decade(pd.Series([0.01, 0.09, 1.0, 9.99, 10.0, 2543.0]))
    assert decades.tolist() == [-2, -2, 0, 0, 1, 3]


def test_the_summary_names_the_worst(errors):
    row = proxy.sizes(errors).loc[(RELATIVE, IN_SAMPLE)]
    assert row["worst"] == "Linear Tf-idf, 1 GPU"
    assert row["runs"] == 38


# --- the interval -------------------------------------------------------------------------------------------


def test_interval_is_students_t_on_the_log_scale():
    errors = pd.Series([0.1, -0.2, 0.1])
    assert np.log(proxy.interval_factor(errors, 11, 2)) == pytest.approx(2.2622 * np.sqrt(0.06 / 3), rel=1e-4)
    assert proxy.interval_factor(errors, 2, 2) is None
    assert proxy.interval_factor(pd.Series([0.1, np.nan]), 11, 2) is None


def test_interval_covers_new_models_as_often_as_it_says():
    """Eleven models of two to four runs, and one more; power differs between models by 15 %, between runs by 5 %."""
    random = np.random.default_rng(7)
    models = np.repeat(np.arange(12), [4, 3, 3, 3, 2, 4, 3, 3, 2, 3, 2, 3])
    inside = []
    for _ in range(250):
        gpus = random.choice([1, 2, 4], len(models))
        duration = np.exp(random.uniform(3, 8, len(models)))
        noise = 0.15 * random.standard_normal(12)[models] + 0.05 * random.standard_normal(len(models))
        energy = (0.08 + 0.08 * gpus) * duration * np.exp(noise)
        rows = pd.DataFrame({"gpus": gpus, "duration_s": duration, "energy_wh": energy})
        error = np.empty(len(models))
        for model in range(12):  # the last one is new: no fit has seen it
            seen, own = rows[(models != model) & (models != 11)], rows[models == model]
            error[models == model] = np.log(proxy.fit_relative(seen).energy_wh(own) / own["energy_wh"])
        factor = proxy.interval_factor(pd.Series(error[models != 11]), 11, 2)
        inside.extend(np.abs(error[models == 11]) <= np.log(factor))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def test_all_runs_of_models_left_out_lie_within_the_interval(errors, llms):
    for name, factor in proxy.factors(errors.loc[errors.index.isin(llms.index)]).items():
        rows = errors[(errors["estimator"] == name) & (errors["sample"] == LEFT_OUT)].loc[llms.index]
        share = (rows["log_error"].abs() <= np.log(factor)).mean()
        assert share >= 0.9
    assert round(factor, 2) == 1.47


# --- the choice of the calculator ---------------------------------------------------------------------------


def test_the_choice_of_each_decade_is_the_nearest_for_a_model_left_out(capella, llms):
    estimates = estimation(capella, llms)
    assert [(choice.from_s, choice.estimator) for choice in estimates.choices] == [
        (10.0, RELATIVE),
        (100.0, RELATIVE),
        (1000.0, APPROXIMATION),
    ]
    errors = proxy.compare(capella, llms)
    for choice in estimates.choices:
        rows = llms.index[(llms["duration_s"] >= choice.from_s) & (llms["duration_s"] < choice.to_s)]
        medians = {
            name: size(errors, name, LEFT_OUT)[rows].median() for name in (LINE, APPROXIMATION, RELATIVE)
        }
        assert choice.median_percent == min(medians.values())
        assert choice.runs == len(rows) >= FEWEST_TO_CHOOSE


@pytest.mark.parametrize("machine", ["paula", "clara"])
def test_seven_runs_with_inferred_gpus_carry_no_line(machine):
    points = regression.points(TABLES.results, "published", machine, "fktg")
    estimates = estimation(points, points)
    assert set(estimates.fits) == {RELATIVE}
    assert {choice.estimator for choice in estimates.choices} == {RELATIVE}
    empty = estimates.choices[1]
    assert (empty.from_s, empty.runs, empty.median_percent) == (100.0, 0, None)


def test_an_estimator_that_gives_a_negative_energy_is_no_choice():
    # Energy falls with GPUs so steeply that the line's slopes are negative for many of them.
    duration = np.tile([10.0, 20.0, 40.0, 80.0, 160.0, 300.0], 5)
    gpus = np.repeat([1, 2, 3, 4, 8], 6)
    energy = duration * np.repeat([8.0, 6.0, 4.0, 2.0, 0.1], 6)
    estimates = estimation(*[invented(duration, gpus, energy)] * 2)
    assert set(estimates.fits) == {RELATIVE}


# --- what the page says -------------------------------------------------------------------------------------


def made_up(line_percent, relative_percent):
    rows = pd.DataFrame({"family": "Other LLM", "duration_s": [20.0, 50.0, 500.0]})
    both = [
        rows.assign(estimator=name, sample=sample, error_percent=percent)
        for name, sample, percent in (
            (LINE, LEFT_OUT, line_percent),
            (APPROXIMATION, IN_SAMPLE, 24.0),
            (RELATIVE, LEFT_OUT, relative_percent),
        )
    ]
    return pd.concat(both)


@pytest.mark.parametrize(
    ("line", "relative", "words"),
    [
        (60.0, -5.0, ("Duration predicts", "Below 100 s the line is at fault", "with its constant is 60 %")),
        (10.0, 5.0, ("Duration predicts", "Below 100 s the error depends on how the formula is fitted")),
        (
            60.0,
            -30.0,
            ("Duration does not predict", "Below 100 s the error depends on how the formula is fitted"),
        ),
        (4e6, 5.0, ("Duration predicts", "40000 times the energy")),
    ],
)
def test_the_verdict_parts_the_line_from_duration(line, relative, words):
    sentence = verdict(made_up(line, relative))
    assert all(word in sentence for word in words)
    assert "its Eq. 2, which was fitted to these runs, 24 %" in sentence
    assert "(2 runs)" in sentence
    assert "Below 3 s, where only traditional models ran, nothing was really measured" in sentence


def test_the_verdict_compares_the_estimators_on_language_models_alone():
    errors_made = made_up(25.0, 8.0)
    short = errors_made.assign(family="Traditional", duration_s=0.01, error_percent=1e6)
    assert verdict(pd.concat([errors_made, short], ignore_index=True)) == verdict(
        errors_made.reset_index(drop=True)
    )


def test_the_page_shows_the_three_estimators_of_the_published_runs():
    page = duration_proxy(TABLES)
    assert page.finding.startswith("Duration predicts the energy of a language model")
    assert "a median error of 9 % and a largest one of 41 % (32 runs of 20 to 6793 s)" in page.finding
    assert (
        "constant is 25 %, that of its Eq. 2, which was fitted to these runs, 24 %, and that of Eq. 1 fitted by relative "
        "error 8 % (15 runs)" in page.finding
    )
    assert [panel.name for panel in page.panels[:3]] == [f"published-{name}" for name in ESTIMATORS]
    assert "6 runs with a negative estimate" in page.panels[0].note
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page.body)
    row = cells.index("Language models below 100 s")
    assert cells[row + 1] == "15"
    assert [cell.replace("\u202f", " ") for cell in cells[row + 2 : row + 8]] == [
        *("22 % / 67 %", "25 % / 73 %"),
        *("24 % / 55 %", "22 % / 53 %"),
        *("7.8 % / 35 %", "7.7 % / 41 %"),
    ]
    assert (
        "+13 W (DS Llama 70B), +38 W (Llama 3.1 70B), +53 W (Qwen 2.5 72B) and +145 W (Jamba Mini 1.5)"
        in page.body
    )
    assert "F test" not in page.body
