"""The paper's campaign: every run that it shows, the rest marked, and no run defined twice."""

from collections import Counter

import pandas as pd
import pytest

from helpers.core import paths
from helpers.measure import parameters
from helpers.measure.parameters import CampaignRun, Plan, campaign_runs
from helpers.records.hardware import Hardware
from helpers.records.storage import GpuInfo
from helpers.results import published
from helpers.study.catalogue import Campaign, LanguageModel, paper_models, study
from tests.conftest import refusal

MACHINES = ["capella", "paula", "clara"]
PRINTED_OBSERVATIONS = {"capella": 44, "clara": 19, "paula": 23}


def hardware(name):
    """One of the paper's machines as a run finds it."""
    machine = study().machines[name]
    gpu = GpuInfo(uuid="GPU-0", model=f"NVIDIA {machine.gpu_model}", memory_gb=machine.gpu_memory_gb)
    return Hardware(machine.cpu, 64, machine.ram_gb, (gpu,) * machine.gpus_per_node, "580")


def planned(run: CampaignRun) -> Plan:
    return run.on(run.parameters.machine, hardware(run.parameters.machine))


def key(run):
    """What tells published runs apart; traditional models have the one GPU that Table B1 prints."""
    gpus = max(planned(run).gpus * planned(run).nodes, 1)
    chosen = run.parameters
    return chosen.model, chosen.dataset, chosen.machine, gpus, planned(run).nodes


def shown():
    """Every published run with its places; where no GPUs are printed, the fewest."""
    seen = published.observations()
    places: dict[tuple, set[str]] = {}
    for row in seen.to_dict("records"):
        gpus = row["gpus"]
        if pd.isna(gpus):
            model = study().models[row["model"]]
            gpus = model.min_gpus[row["machine"]].gpus if isinstance(model, LanguageModel) else 1
        run = (row["model"], row["dataset"], row["machine"], int(gpus), int(row["nodes"]))
        places.setdefault(run, set()).add(row["origin"])
    return places


def test_the_campaign_has_every_run_that_the_paper_shows_and_says_where():
    identified = {key(run): run for run in campaign_runs("paper") if run.reconstruction is None}
    places = shown()
    assert set(identified) == set(places)
    assert len(identified) == 120
    for name, run in identified.items():
        assert set(run.published_in) == places[name], name
        assert len(set(run.published_in)) == len(run.published_in), name


def test_with_the_reconstruction_it_has_the_observations_of_tables_3_and_b6():
    runs = campaign_runs("paper")
    assert len(runs) == len({planned(run).run_id for run in runs}) == 154
    printed = published.files()
    table_3 = printed["table_3_regression_fktg"].groupby("machine")["observations"].first().to_dict()
    assert table_3 == PRINTED_OBSERVATIONS
    assert Counter(run.parameters.machine for run in runs if run.parameters.dataset == "fktg") == table_3
    table_b6 = printed["table_b6_regression"].groupby("dataset")["observations"].first().to_dict()
    assert Counter(run.parameters.dataset for run in runs if run.parameters.dataset != "fktg") == table_b6


def test_what_is_a_reconstruction_says_why():
    reasons = [run.reconstruction for run in campaign_runs("paper") if not run.published_in]
    assert len(reasons) == 34
    for reason in reasons:
        assert "Table 3 counts" in reason


@pytest.mark.parametrize("machine", ["paula", "clara"])
def test_with_the_reconstruction_every_model_stands_on_every_machine(machine):
    runs = [run for run in campaign_runs("paper") if run.parameters.machine == machine]
    assert {run.parameters.model for run in runs} == set(paper_models())


@pytest.mark.parametrize("machine", MACHINES)
def test_the_campaign_of_a_machine_is_its_part(machine):
    part = campaign_runs(f"paper-{machine}")
    expected = [
        run
        for run in campaign_runs("paper")
        if run.parameters.machine == machine and run.reconstruction is None
    ]
    assert part == expected
    assert {run.parameters.campaign for run in part} == {"paper"}


def test_no_run_uses_more_gpus_or_nodes_than_there_are():
    for run in campaign_runs("paper"):
        machine = study().machines[run.parameters.machine]
        assert planned(run).gpus <= machine.gpus_per_node
        assert planned(run).nodes <= machine.nodes


# Parts and blocks


@pytest.fixture
def runs_of(monkeypatch):
    """Give the runs of the last of some campaigns; the rest of the catalogue is the shipped one."""

    def make(**campaigns):
        made = {name: Campaign(title="t", description="d", **given) for name, given in campaigns.items()}
        catalogue = study().model_copy(update={"campaigns": made})
        monkeypatch.setattr(parameters, "study", lambda: catalogue)
        return campaign_runs(list(campaigns)[-1])

    return make


WHOLE = {"notebook": "llm", "grid": [{"model": "tiny", "dataset": "tiny", "concurrency": [1, 8]}]}


def test_a_part_takes_the_runs_with_its_values(runs_of):
    runs = runs_of(whole=WHOLE, part={"part_of": "whole", "where": {"concurrency": 8}})
    assert [(run.parameters.concurrency, run.parameters.campaign) for run in runs] == [(8, "whole")]


def test_a_block_has_its_own_notebook(runs_of):
    grid = [{"notebook": "traditional", "model": "linear-bow"}, {"model": "tiny"}]
    runs = runs_of(mixed={"notebook": "llm", "grid": grid})
    assert [run.notebook for run in runs] == ["traditional", "llm"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"part_of": "hole", "where": {"concurrency": 8}},
            "part.yaml: part_of: unknown campaign 'hole' (nearest: 'whole'",
        ),
        (
            {"part_of": "part", "where": {"concurrency": 8}},
            "part.yaml: part_of: found the campaign's own name; expected the campaign whose runs it takes",
        ),
        (
            {"part_of": "whole", "where": {"concurency": 8}},
            "part.yaml: where: unknown key 'concurency' (nearest: 'concurrency'",
        ),
        (
            {"part_of": "whole", "where": {"concurrency": 9}},
            "part.yaml: where: concurrency: no run of whole has 9 (known: 1, 8)",
        ),
        (
            {"part_of": "whole", "where": {"concurrency": 8, "dataset": "tini"}},
            "part.yaml: where: dataset: no run of whole has 'tini' (nearest: 'tiny'; known: tiny)",
        ),
        (
            {"part_of": "pairs", "where": {"concurrency": 8, "shots": 1}},
            "part.yaml: where: no run of pairs has these values together",
        ),
    ],
)
def test_a_slip_in_a_part_is_one_line_with_its_file(runs_of, part, expected):
    pairs = WHOLE | {"grid": [{"model": "tiny", "concurrency": 8}, {"model": "tiny", "shots": 1}]}
    assert expected in refusal(lambda: runs_of(whole=WHOLE, pairs=pairs, part=part))


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"published_in": ["table_b9"]}, "published_in: unknown file 'table_b9'"),
        ({"published_in": "table_b1"}, "published_in: Input should be a valid list"),
        ({"reconstruction": "so"}, "reconstruction: String should have at least 20 characters"),
        ({"gpus": [1, 2, 1]}, "gpus: 1 is in the list twice; remove one"),
        ({"notebook": "lm"}, "notebook: unknown value 'lm' (nearest: 'llm'"),
        (
            {"published_in": ["table_b1"], "reconstruction": "because it has to be there"},
            "what is published is no reconstruction",
        ),
        ({"max_tokens": list(range(1, 102)), "timeout_s": list(range(1, 101))}, "more than 10000 runs"),
        ({"notebook": None}, "notebook: found in neither the block nor the campaign"),
    ],
)
def test_a_slip_in_what_a_block_says_is_one_line_with_file_and_block(runs_of, block, expected):
    grid = [{"model": "tiny"}, {"model": "tiny", **block}]
    notebook = "llm" if "notebook" not in block or block["notebook"] else None
    if notebook is None:
        grid = grid[1:]
    line = refusal(lambda: runs_of(trial={"notebook": notebook, "grid": grid}))
    assert line.startswith(f"data/study/campaigns/trial.yaml: grid.{len(grid) - 1}: ")
    assert expected in line


def test_every_campaign_file_names_a_campaign_that_can_be_read():
    for file in paths.CAMPAIGNS.glob("*.yaml"):
        assert campaign_runs(file.stem)
