"""What can be measured on which hardware: as the planner says, and the same on every machine."""

from itertools import pairwise

import pandas as pd
import pytest

from helpers.campaigns.plan import what_can_run
from helpers.campaigns.plan.campaign import plan_campaign
from helpers.campaigns.plan.reference_runs import load_reference_runs
from helpers.core import paths
from helpers.records import hardware


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return what_can_run.rows()


def test_more_hardware_fits_at_least_as_many_runs(found):
    fitting = found.pivot_table(index="campaign", columns="hardware", values="runs_that_fit", fill_value=0)
    ladder = [
        "1 GPU of 24 GB",
        "1 GPU of 80 GB",
        "2 GPUs of 80 GB",
        "4 GPUs of 80 GB",
        "2 nodes with 4 GPUs of 80 GB",
    ]
    assert set(ladder) < set(fitting.columns)
    for less, more in pairwise(ladder):
        assert (fitting[less] <= fitting[more]).all(), (less, more)
    assert (found["runs_that_fit"] <= found["runs"]).all()


def test_the_largest_model_is_one_that_fits(found):
    largest = found.groupby("hardware")["largest_b"].max()
    assert largest["a laptop of 16 GB without GPU"] < 2
    assert 5 < largest["1 GPU of 24 GB"] < 9
    assert 30 < largest["1 GPU of 80 GB"] < 36
    assert largest["4 GPUs of 80 GB"] > 70
    everything = found[found["hardware"] == "2 nodes with 4 GPUs of 80 GB"].set_index("campaign")
    assert everything.loc["paper-models", "runs_that_fit"] == everything.loc["paper-models", "runs"]


def test_the_sums_are_those_of_the_plan(found):
    references = load_reference_runs(records=[paths.MEASUREMENTS])
    target = what_can_run.targets()["1 GPU of 24 GB"]
    plan = plan_campaign("one-gpu", references=references, here=target)
    (row,) = found[(found["hardware"] == "1 GPU of 24 GB") & (found["campaign"] == "one-gpu")].to_dict(
        "records"
    )
    total = plan.totals["to do"]
    assert (row["runs_that_fit"], row["runs"]) == (total.runs, len(plan.runs))
    assert row["duration_s"] == pytest.approx(total.duration_s)
    assert row["energy_wh"] == pytest.approx(total.energy_wh)


def test_nothing_of_this_machine_is_asked_for(found, monkeypatch):
    monkeypatch.setattr(hardware, "detect", lambda: pytest.fail("looked at this machine"))
    monkeypatch.setenv("HF_HOME", "/nowhere")
    pd.testing.assert_frame_equal(what_can_run.rows(), found)


def test_each_kind_of_hardware_has_a_table_and_absent_estimates_are_named(found):
    figure = what_can_run.draw(found)
    for name in what_can_run.targets():
        assert name[1:] in figure.body
    unknown = found[found["duration_s"].isna()]
    assert figure.body.count(">unknown<") >= len(unknown)
