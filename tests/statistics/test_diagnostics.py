"""Diagnostics of the regression, against their definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.results.tables import load_tables
from helpers.statistics import diagnostics, regression
from tests.statistics.test_regression import design, numpy_fit


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
