"""The bench of a campaign: where its time went, and whether that adds up."""

import re

import pytest

from helpers.records.hardware import detect
from helpers.records.storage import read_record
from helpers.results.overhead import here
from results_campaign import CampaignBench, campaign_table, campaign_verdict, times_of
from tests.conftest import ROOT

FOLDERS = sorted((ROOT / "data" / "measurements" / "reference-cpu").glob("*/record.json"))


def bench(**changes):
    times = {"phases_s": 700.0, "beside_s": 120.0, "kernel_s": 30.0, "imports_s": 40.0, "command_s": 50.0}
    return CampaignBench(
        **({"where": here(detect()), "runs": 24, "wall_s": 1000.0, "cool_down_s": 200.0} | times | changes)
    )


@pytest.mark.parametrize("file", FOLDERS[:3], ids=lambda file: file.parent.name)
def test_times_of_a_run_are_those_of_its_record_and_notebook(file):
    times = times_of(file.parent)
    record = read_record(file)
    assert times["phases"] == pytest.approx(sum(phase.duration_s for phase in record.phases))
    assert times["cell"] >= times["phases"], "the phases lie in the cell that measures"
    assert 0 < times["kernel"] < 30
    assert times["imports"] > 0


def test_the_ratio_is_that_of_the_whole_to_its_phases_and_configured_rests():
    assert bench().ratio == pytest.approx(1000 / 900)
    assert "1.111 times their phases and configured rests; the goal of 1.15 is met" in campaign_verdict(
        bench()
    )
    assert "missed" in campaign_verdict(bench(wall_s=1100.0))


def test_the_parts_add_up_to_the_whole():
    table = campaign_table(bench())
    shares = [float(re.match(r"[\d.]+", text)[0]) for text in table["Share"]]
    assert shares == pytest.approx([70.0, 12.0, 3.0, 4.0, 5.0, 6.0])
    assert {"Start of the kernels", "Imports", "Scheduling and the rest"} <= set(table["What"])
    assert bench().scheduling_s == pytest.approx(60)
