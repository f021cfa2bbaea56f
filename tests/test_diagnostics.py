"""Diagnostics of the regression, against their definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.results import load_tables
from helpers.statistics import diagnostics, regression
from test_regression import design, numpy_fit


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


def test_two_nodes_against_one_are_the_four_printed_pairs(capella):
    pairs = diagnostics.power_of_nodes(capella).set_index("model")["difference_w"]
    assert pairs.round().to_dict() == {
        "ds-llama-70b": 13,
        "llama-3.1-70b": 38,
        "qwen-2.5-72b": 53,
        "jamba-mini-1.5": 145,
    }
    printed = load_tables().printed
    two = printed["table_b2"].query("model == 'jamba-mini-1.5' and nodes == 2").iloc[0]
    one = printed["table_b1"].query("model == 'jamba-mini-1.5'").iloc[0]
    watts = [3600 * row["energy_wh"] / row["duration_s"] for row in (two, one)]
    assert pairs["jamba-mini-1.5"] == pytest.approx(watts[0] - watts[1])


def test_without_two_node_counts_there_is_no_pair(capella):
    assert diagnostics.power_of_nodes(capella[capella["nodes"] == 1]).empty
    assert diagnostics.power_of_nodes(capella[capella["nodes"] == 2]).empty


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
