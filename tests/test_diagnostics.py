"""Diagnostics of the regression, against their definitions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.artefacts.duration_proxy import verdict
from helpers.results import load_tables
from helpers.statistics import diagnostics, regression
from test_regression import design, numpy_fit, runs


@pytest.fixture(scope="module")
def capella():
    return regression.points(load_tables().results, "published", "capella", "fktg")


def test_influence_is_what_leaving_each_point_out_does(capella):
    table = diagnostics.influence(regression.fit(capella))
    whole = design(capella) @ numpy_fit(capella)[0]
    variance = ((capella["energy_wh"] - whole) ** 2).sum() / (len(capella) - 4)
    for row in capella.index[[0, 10, 16, -1]]:
        without = design(capella) @ numpy_fit(capella.drop(index=row))[0]
        assert table.loc[row, "cooks_distance"] == pytest.approx(
            ((whole - without) ** 2).sum() / (4 * variance), rel=1e-5
        )
        assert table.loc[row, "fitted_wh"] == pytest.approx(whole[capella.index.get_loc(row)], rel=1e-6)
    assert table["leverage"].sum() == pytest.approx(4)


def test_the_most_influential_point_is_named_and_left_out(capella):
    fitted = regression.fit(capella)
    name, without = diagnostics.without_most_influential(fitted)
    assert name == "DS Llama 70B, 2 GPUs, 2 nodes"
    rest = capella[~((capella["model"] == "ds-llama-70b") & (capella["nodes"] == 2))]
    assert without.n == len(rest) == 37
    assert without.terms["duration"].estimate == pytest.approx(numpy_fit(rest)[0][0], rel=1e-6)


def test_a_model_is_predicted_from_the_other_models_alone(capella):
    errors = diagnostics.left_out_errors(capella)
    assert list(errors.index) == list(capella.index)
    for model in ("ds-llama-70b", "llama-3.1-8b"):
        mine = capella["model"] == model
        expected = design(capella[mine]) @ numpy_fit(capella[~mine])[0]
        assert errors.loc[mine, "predicted_wh"].tolist() == pytest.approx(expected, rel=1e-6)
    changed = capella.assign(energy_wh=capella["energy_wh"].where(capella["model"] != "ds-llama-70b", 1.0))
    again = diagnostics.left_out_errors(changed)
    own = capella["model"] == "ds-llama-70b"
    assert again.loc[own, "predicted_wh"].tolist() == pytest.approx(errors.loc[own, "predicted_wh"].tolist())


def test_where_one_model_is_all_there_is_its_error_is_absent():
    errors = diagnostics.left_out_errors(runs([1.0, 2.0, 4.0], 1, [1.0, 2.0, 4.0]).assign(model="linear-bow"))
    assert errors["error_percent"].isna().all()
    assert diagnostics.by_decade(errors).empty


def test_relative_and_log_forms_find_a_power_law_and_a_proportion_again():
    duration = np.array([0.01, 0.1, 1.0, 10.0, 100.0, 1000.0])
    law = runs(duration, [1, 2, 4, 1, 2, 4], 0.3 * duration**0.9 * np.array([1, 2, 4, 1, 2, 4]) ** 0.5)
    assert diagnostics.predicted(law, law, "log").tolist() == pytest.approx(law["energy_wh"].tolist())
    line = runs(duration, 1, 0.2 * duration + 0.001)
    assert diagnostics.predicted(line, line, "relative").tolist() == pytest.approx(line["energy_wh"].tolist())


def test_relative_form_minimises_the_relative_error(capella):
    def loss(predicted):
        return (((predicted - capella["energy_wh"]) / capella["energy_wh"]) ** 2).sum()

    assert loss(diagnostics.predicted(capella, capella, "relative")) < loss(
        diagnostics.predicted(capella, capella)
    )


def test_a_form_that_is_not_there_is_refused(capella):
    with pytest.raises(ValueError, match="expected ols"):
        diagnostics.predicted(capella, capella, "cubic")


def test_decades_are_those_of_the_axis():
    assert diagnostics.decade(pd.Series([0.01, 0.09, 1.0, 9.99, 10.0, 2543.0])).tolist() == [
        -2,
        -2,
        0,
        0,
        1,
        3,
    ]


def test_summary_by_decade_names_the_worst():
    errors = pd.DataFrame(
        {"decade": [1, 1, 1, 2], "error_percent": [10.0, -30.0, 20.0, None], "name": ["a", "b", "c", "d"]}
    )
    assert diagnostics.by_decade(errors).to_dict("records") == [
        {"decade": 1, "runs": 3, "median_percent": 20.0, "worst_percent": 30.0, "worst": "b"}
    ]


def test_equation_2_is_the_printed_one(capella):
    table = diagnostics.equation_2(capella).set_index("name")
    assert table.loc["DS Qwen 32B, 1 GPU", "predicted_wh"] == pytest.approx(0.19 * 2255.99)
    assert table.loc["DS Qwen 32B, 1 GPU", "error_percent"] == pytest.approx(
        100 * (0.19 * 2255.99 / 373.56 - 1)
    )


@given(
    st.floats(0.01, 1), st.floats(0, 1), st.floats(-50, 50), st.floats(-50, 50), st.sampled_from([1, 2, 4])
)
def test_below_the_limit_the_energy_is_negative_and_above_it_is_not(a, c, b, d, gpus):
    limit = diagnostics.negative_below_s({"duration": a, "duration:gpus": c, "gpus": b, "constant": d}, gpus)
    level = d + b * gpus
    if level >= 0:
        assert limit is None
    else:
        assert limit is not None
        assert level + (a + c * gpus) * limit == pytest.approx(0, abs=1e-9 * max(1, abs(level)))


def test_table_3_gives_negative_energies_to_seven_of_the_recovered_runs(capella):
    terms = diagnostics.estimates(regression.printed_fit(load_tables().printed, machine="capella"))
    limits = capella["gpus"].map(lambda gpus: diagnostics.negative_below_s(terms, gpus))
    assert (capella["duration_s"] < limits).sum() == 7


@pytest.mark.parametrize(
    ("long_percent", "short_percent", "words"),
    [
        (5, 60, ("a good proxy", "no proxy")),
        (5, 10, ("a good proxy", "a proxy")),
        (30, 60, ("a rough proxy", "no proxy")),
    ],
)
def test_the_verdict_follows_the_numbers(long_percent, short_percent, words):
    errors = pd.DataFrame(
        {"duration_s": [1.0, 2.0, 500.0], "error_percent": [-short_percent, short_percent, long_percent]}
    )
    said = verdict(errors)
    assert all(word in said for word in words)
    assert f"{long_percent} %" in said
    assert f"half of them are off by {short_percent} % or more" in said


def test_an_error_of_many_times_the_energy_is_no_percentage():
    said = verdict(pd.DataFrame({"duration_s": [1.0, 2.0, 500.0], "error_percent": [60.0, -4e6, 5.0]}))
    assert "the worst by 40000 times its energy." in said
    assert "4000000" not in said
