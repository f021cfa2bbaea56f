"""The plan of a campaign: what is expected and from where, what is done, what cannot run, and what it adds up to."""

import json
import math
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from helpers.campaigns.plan import campaign as planning
from helpers.campaigns.plan import report, requirements
from helpers.campaigns.plan.campaign import plan_campaign
from helpers.campaigns.plan.reference_runs import load_reference_runs
from helpers.campaigns.plan.target import Target, catalogue_target
from helpers.cli import main
from helpers.core import paths
from helpers.core.lock import holding, run_lock
from helpers.measure import parameters
from helpers.models import hub
from helpers.records.hardware import Hardware
from helpers.records.storage import RECORD, GpuInfo
from helpers.results import published
from helpers.study import datasets
from helpers.study.carbon_intensity import co2e_g, grids
from helpers.study.catalogue import Campaign, study
from helpers.study.datasets import load_dataset
from tests.conftest import refusal
from tests.records.test_record import record_document
from tests.support.stub_runs import CAMPAIGN, RUNS, processor_s, slowness, write_stub_runs

COOL_DOWN_S = 10.0
LAPTOP = Target("laptop", True, Hardware("CPU", 8, 32.0, (), None), None, None)


def with_gpus(model="NVIDIA A100-SXM4-80GB", memory_gb=80.0, count=1, capability=(8, 0)):
    gpus = tuple(GpuInfo(uuid=f"GPU-{i}", model=model, memory_gb=memory_gb) for i in range(count))
    return Target("node", True, Hardware("CPU", 64, 512.0, gpus, "580"), capability, None)


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """The paper's runs alone."""
    return load_reference_runs(records=[])


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A project without runs, a machine without the hub's cache, with all packages and an engine."""
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "MEASUREMENTS", tmp_path / "measurements")
    for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "COMPANION_DATASETS", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("COMPANION_LLM_PYTHON", str(tmp_path / "python"))
    (tmp_path / "python").touch()
    monkeypatch.setattr(requirements, "_installed", lambda _: True)


@pytest.fixture
def plan_of(monkeypatch, references):
    """Plan a campaign with the given grid."""

    def make(*grid, here=LAPTOP, machine=None, notebook="llm", references=references):
        campaign = Campaign(title="t", description="d", notebook=notebook, grid=list(grid))
        catalogue = study().model_copy(update={"campaigns": {"trial": campaign}})
        monkeypatch.setattr(parameters, "study", lambda: catalogue)
        monkeypatch.setattr(planning, "study", lambda: catalogue)
        return plan_campaign("trial", machine, references=references, here=here)

    return make


def the_only(plan):
    (run,) = plan.runs
    return run


LLAMA = {"model": "llama-3.1-8b", "dataset": "fktg", "machine": "capella", "gpus": 1, "max_model_len": 8192}
NEWS = {"model": "phi-3.5-mini", "dataset": "news", "gpus": 1, "max_model_len": 8192}


# What is expected


@pytest.mark.parametrize("model", ["llama-3.1-8b", "ds-llama-8b"])
def test_the_papers_rows_stand_for_both_protocols(plan_of, model):
    block = LLAMA | {"model": model}
    companion, dspy = (the_only(plan_of(block | {"protocol": name})) for name in ("companion", "dspy-2025"))
    assert companion.expected == dspy.expected
    assert dspy.expected.source == "published"
    assert companion.run_id != dspy.run_id


def test_a_run_of_the_paper_is_expected_as_printed(plan_of):
    run = the_only(plan_of(LLAMA))
    assert (run.expected.pass_s, run.expected.pass_wh, run.expected.source) == (36.88, 5.86, "published")
    assert "Table B1" in run.expected.duration_from


@pytest.mark.parametrize("same", [{"dtype": "bfloat16"}, {"language": "de"}, {"thinking_tokens": 100}])
def test_a_setting_that_changes_nothing_of_the_cost_leaves_it_as_printed(plan_of, same):
    assert the_only(plan_of(LLAMA | same)).expected == the_only(plan_of(LLAMA)).expected


def test_a_run_is_ten_passes_and_what_warms_them_up(plan_of):
    run = the_only(plan_of(LLAMA))
    passes = 10 * (1 + 4 / 189)
    assert run.duration_s == pytest.approx(passes * 36.88 + 4 + COOL_DOWN_S)
    assert run.energy_wh == pytest.approx(passes * 5.86)
    assert run.gpu_hours == pytest.approx(run.duration_s / 3600)
    assert run.co2e_g == pytest.approx(co2e_g(run.energy_wh, grids()["germany"]))


def test_fast_passes_fill_the_window(plan_of):
    block = {"model": "linear-bow", "dataset": "fktg", "machine": "capella", "splits": 2}
    run = the_only(plan_of(block, notebook="traditional"))
    assert run.expected.pass_s == 0.01
    assert run.duration_s == pytest.approx(2 * (5.0 + 0.01) + 4 + COOL_DOWN_S)
    assert run.energy_wh == pytest.approx(2 * 501 * run.expected.pass_wh)
    assert run.gpu_hours == 0.0


def test_durations_of_tables_b4_and_b5_come_from_table_b6_read_backwards(plan_of):
    run = the_only(plan_of(NEWS | {"machine": "capella"}))
    assert run.expected.duration_from == "Table B4, Table B6 solved for duration"
    seconds = (3.30 - 0.536 * 1 + 1.300) / (0.052 + 0.115 * 1)
    assert run.expected.pass_s == pytest.approx(seconds)
    assert run.expected.pass_wh == 3.30


EMBEDDING = {"machine": "capella", "device": "cuda"}


def test_an_energy_without_a_duration_has_the_duration_of_its_power_on_fktg(plan_of):
    block = EMBEDDING | {"model": "xgboost-embedding", "dataset": ["news", "fktg"]}
    news, fktg = (run.expected for run in plan_of(block, notebook="traditional").runs)
    assert (news.pass_wh, news.energy_from, news.source) == (0.03, "Table B4", "published")
    assert news.pass_s == pytest.approx(0.03 * fktg.pass_s / fktg.pass_wh)
    assert news.duration_from.startswith("Table B4 at the power of ")


def test_a_printed_limit_is_kept_and_reported(plan_of):
    block = EMBEDDING | {"model": "xgboost-embedding", "dataset": ["emotion", "fktg"]}
    emotion, fktg = (run.expected for run in plan_of(block, notebook="traditional").runs)
    assert (emotion.pass_wh, emotion.source) == (0.01, "scaled")
    assert emotion.energy_from == "at most: Table B5 prints less than 0.01 Wh"
    assert emotion.pass_s == pytest.approx(0.01 * fktg.pass_s / fktg.pass_wh)
    bow = {"model": "linear-bow", "dataset": ["emotion", "fktg"], "machine": "capella"}
    emotion, fktg = (run.expected for run in plan_of(bow, notebook="traditional").runs)
    assert (emotion.pass_s, emotion.pass_wh) == (fktg.pass_s, fktg.pass_wh)
    assert emotion.duration_from.endswith(" (fktg), for Table B5 prints less than 0.01 Wh")


def test_no_expectation_on_the_papers_machine_is_above_what_the_paper_prints(references):
    plan = plan_campaign("paper-capella", "capella", references=references, here=LAPTOP)
    limits = pd.concat(published.files()[name] for name in ("table_b4", "table_b5"))
    for row in limits.to_dict("records"):
        (run,) = [item for item in plan.runs if (item.model, item.dataset) == (row["model"], row["dataset"])]
        limit = row["energy_wh_below"]
        most = row["energy_wh"] + 0.0051 if math.isnan(limit) else limit
        assert run.expected.pass_wh <= most, run


def test_the_stand_in_is_expected_as_the_dataset_it_stands_for(plan_of):
    run = the_only(plan_of(LLAMA | {"dataset": "fktg-sample"}))
    assert run.expected.pass_s == 36.88
    assert run.expected.duration_from.endswith("as fktg")


def test_another_machine_is_scaled_by_the_models_own_runs_on_both(plan_of):
    on_capella = the_only(plan_of(NEWS | {"machine": "capella"})).expected
    run = the_only(plan_of(NEWS | {"machine": "paula"}))
    assert run.expected.source == "scaled"
    assert run.expected.pass_s == pytest.approx(on_capella.pass_s * 19.18 / 41.45)
    assert "x 0.46 from capella to paula" in run.expected.duration_from
    assert run.expected.pass_wh == pytest.approx((0.079 + 0.054) * run.expected.pass_s)
    assert run.expected.energy_from == "Table 3 (paula) for this duration"


def test_two_nodes_are_scaled_by_the_family_where_the_model_has_no_such_run(plan_of):
    run = the_only(plan_of(LLAMA | {"nodes": 2}))
    ratios = sorted([304.77 / 161.59, 308.16 / 164.44, 113.88 / 78.61])
    assert run.expected.pass_s == pytest.approx(27.08 * ratios[1])
    assert "(median of Other LLM)" in run.expected.duration_from
    assert run.gpu_hours == pytest.approx(2 * run.duration_s / 3600)


def test_a_card_of_the_paper_is_recognised_on_the_machine_at_hand(plan_of):
    run = the_only(plan_of(NEWS, here=with_gpus("NVIDIA A30", 24.0)))
    assert (run.machine, run.state) == ("node", "to do")
    assert "capella to paula" in run.expected.duration_from


def test_a_card_that_the_paper_has_not_is_scaled_by_bandwidth_where_that_is_known(plan_of):
    on_capella = the_only(plan_of(NEWS | {"machine": "capella"})).expected
    run = the_only(plan_of(NEWS, here=with_gpus("NVIDIA H200", 141.0, capability=(9, 0))))
    assert run.expected.pass_s == pytest.approx(on_capella.pass_s * 3.35 / 4.8)
    assert "bandwidth" in run.expected.duration_from


@pytest.mark.parametrize(
    ("card", "bandwidth", "max_power_w"),
    [
        ("NVIDIA L4", 0.3, 72),
        ("NVIDIA GeForce RTX 3090", 0.936, 350),
        ("NVIDIA GeForce RTX 4090", 1.008, 450),
    ],
)
def test_a_card_of_24_gb_is_scaled_from_the_papers_a30_and_called_rough(
    plan_of, card, bandwidth, max_power_w
):
    on_paula = the_only(plan_of(NEWS | {"machine": "paula"})).expected
    run = the_only(plan_of(NEWS, here=with_gpus(card, 24.0, capability=(8, 6))))
    assert (run.state, run.expected.source) == ("to do", "scaled")
    assert run.expected.pass_s == pytest.approx(on_paula.pass_s * 0.933 / bandwidth)
    assert f"from the A30's memory bandwidth to that of {card} (rough)" in run.expected.duration_from
    of_gpus = 0.054 * max_power_w / 165
    assert run.expected.pass_wh == pytest.approx((0.079 + of_gpus) * run.expected.pass_s)
    assert run.expected.energy_from.endswith(f"by the maximum power of {card} (rough)")


def test_a_card_of_24_gb_has_an_estimate_of_every_language_model_of_its_campaign(references):
    plan = plan_campaign("one-gpu", references=references, here=with_gpus("NVIDIA GeForce RTX 4090", 24.0))
    assert all(run.duration_s and run.energy_wh for run in plan.runs if run.notebook == "llm")


@pytest.mark.parametrize(
    ("block", "here", "why"),
    [
        (NEWS, with_gpus("NVIDIA A100"), "the paper has no run on this card (NVIDIA A100)"),
        (NEWS | {"gpus": 0}, LAPTOP, "on GPUs only"),
        (NEWS | {"concurrency": 8}, with_gpus("NVIDIA A30"), "a run with concurrency=8"),
        (NEWS | {"dtype": "float32"}, with_gpus("NVIDIA A30"), "a run with dtype=float32"),
        (NEWS | {"language": "de"}, with_gpus("NVIDIA A30"), "a run with language=de"),
        (NEWS | {"max_tokens": 100}, with_gpus("NVIDIA A30"), "a run with max_tokens=100"),
        (
            NEWS | {"model": "ds-llama-8b", "thinking_tokens": 100},
            with_gpus("NVIDIA A30"),
            "a run with thinking_tokens=100",
        ),
        (
            NEWS | {"protocol": "dspy-2025", "dspy_cache": True},
            with_gpus("NVIDIA A30"),
            "a run with dspy_cache=True",
        ),
        (NEWS | {"weights": "dummy"}, with_gpus("NVIDIA A30"), "a run with weights=dummy"),
        (NEWS | {"model": "smollm2-360m"}, with_gpus("NVIDIA A30"), "no run of smollm2-360m"),
        (LLAMA | {"gpus": 8, "machine": "paula"}, LAPTOP, "8 GPUs, 1 node of paula"),
    ],
)
def test_what_is_unknown_is_named_and_never_zero(plan_of, block, here, why):
    plan = plan_of(block, here=here)
    run = the_only(plan)
    assert (run.expected.pass_s, run.expected.pass_wh, run.expected.source) == (None, None, "unknown")
    assert (run.duration_s, run.energy_wh, run.co2e_g) == (None, None, None)
    assert run.gpu_hours == (0.0 if block["gpus"] == 0 else None)
    assert why in run.expected.duration_from
    total = plan.totals[run.state]
    assert (total.unknown_durations, total.unknown_energies) == (1, 1)
    (line,) = [line for line in report.lines(plan) if run.run_id in line]
    assert line.count("unknown") >= 3
    assert why in line
    (total_line,) = [line for line in report.lines(plan) if ": 1 run," in line]
    assert "0.0 s" not in total_line
    assert total_line.count("unknown") >= 3


def test_a_sum_says_how_many_runs_are_not_in_it(plan_of):
    plan = plan_of(NEWS | {"concurrency": [1, 8]}, here=with_gpus("NVIDIA A30"))
    total = plan.totals["to do"]
    assert (total.runs, total.unknown_durations, total.unknown_energies, total.unknown_gpu_hours) == (
        2,
        1,
        1,
        1,
    )
    assert total.duration_s == plan.runs[0].duration_s
    total_line = next(line for line in report.lines(plan) if line.startswith("to do here: 2 runs"))
    assert total_line.count("+ 1 unknown") == 4


def test_every_run_that_the_paper_shows_is_expected_and_fits_its_machine(references):
    for machine in ("capella", "paula", "clara"):
        plan = plan_campaign(f"paper-{machine}", machine, references=references, here=LAPTOP)
        for run in plan.runs:
            assert run.expected.pass_s is not None, run
            assert run.state == "to do", run
        assert all(run.expected.pass_wh is not None for run in plan.runs if run.notebook == "llm")


def test_the_whole_paper_has_a_plan_and_says_which_of_it_is_a_reconstruction(references):
    plan = plan_campaign("paper", references=references, here=LAPTOP)
    assert len(plan.runs) == plan.totals["cannot run"].runs == 154
    assert all(run.reasons[0].startswith("a run for ") for run in plan.runs)
    assert (
        sum("; a reconstruction" in line or ", a reconstruction" in line for line in report.lines(plan)) == 34
    )
    models = [item for item in plan.downloads if item.kind == "model"]
    assert len(models) == 11
    assert sum(item.size_bytes for item in models) == pytest.approx(
        sum(2e9 * study().models[name].parameters_b for name in study().models if _papers_llm(name))
    )


def _papers_llm(name):
    model = study().models[name]
    return model.in_paper and model.family != "Traditional"


# What is done


def write_record(folder, run, splits=10, **changes):
    """Write a finished run where the campaign expects it."""
    target = folder / "trial" / run.run_id
    target.mkdir(parents=True)
    document = record_document(run_id=run.run_id, campaign="trial", splits=splits)
    dataset = load_dataset(run.dataset)
    document["run"] |= {"machine": "laptop", "dataset": run.dataset, "model": run.model}
    document["run"] |= {"dataset_sha256": dataset.sha256} | changes
    for item, split in zip(document["splits"], datasets.splits(dataset), strict=False):
        item |= {"train_ids_sha256": split.train_sha256, "test_ids_sha256": split.test_sha256}
    (target / RECORD).write_text(json.dumps(document), encoding="utf-8")
    return target / RECORD


BOW = {"model": "linear-bow", "dataset": "fktg-sample"}


def test_a_run_with_a_record_is_done_and_takes_what_it_took(plan_of):
    run = the_only(plan_of(BOW, notebook="traditional"))
    assert run.state == "to do"
    write_record(paths.RUNS, run)
    done = the_only(plan_of(BOW, notebook="traditional"))
    assert (done.state, done.duration_s) == ("done", 15.75)
    assert done.energy_wh == pytest.approx(0.42 + 0.21)
    both = {"model": ["linear-bow", "linear-tfidf"], "dataset": "fktg-sample"}
    assert "not included" not in list(report.lines(plan_of(BOW, notebook="traditional")))[-1]
    assert (
        "are not included, except in runs that are done"
        in list(report.lines(plan_of(both, notebook="traditional")))[-1]
    )


def test_a_run_that_is_being_measured_is_not_to_do(plan_of):
    lock = run_lock(the_only(plan_of(BOW, notebook="traditional")).plan.folder)
    lock.parent.mkdir(parents=True)
    with holding(lock, "held"):
        plan = plan_of(BOW, notebook="traditional")
    assert the_only(plan).state == "running"
    assert report.summary(plan).startswith("being measured here: 1 run, ")
    assert the_only(plan_of(BOW, notebook="traditional")).state == "to do", "its process has ended"


def test_a_committed_record_alone_is_reported_apart(plan_of):
    run = the_only(plan_of(BOW, notebook="traditional"))
    write_record(paths.MEASUREMENTS, run)
    plan = plan_of(BOW, notebook="traditional")
    assert (the_only(plan).state, the_only(plan).duration_s) == (
        "filed",
        run.duration_s,
    )  # it is measured again
    assert any(
        "stored under data/measurements; run measures them again: 1 run," in line
        for line in report.lines(plan)
    )
    assert list(report.lines(plan))[-1].endswith("; loading and training are not included")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": "linear-tfidf"}, "run.model"),
        ({"window_s": 1.0}, "run.window_s"),
        ({"machine": "other"}, "run.machine"),
    ],
)
def test_a_record_of_another_run_in_its_place_is_refused_with_the_field(plan_of, change, field):
    run = the_only(plan_of(BOW, notebook="traditional"))
    file = write_record(paths.RUNS, run, **change)
    refused = the_only(plan_of(BOW, notebook="traditional"))
    assert refused.state == "refused"
    assert refused.reasons[0].startswith(f"{file}: {field}: found ")


def test_a_run_on_other_splits_than_the_catalogue_has_now_is_not_done(plan_of):
    run = the_only(plan_of(BOW, notebook="traditional"))
    file = write_record(paths.RUNS, run)
    document = json.loads(file.read_text(encoding="utf-8"))
    document["splits"][3]["test_ids_sha256"] = "0" * 64
    file.write_text(json.dumps(document), encoding="utf-8")
    refused = the_only(plan_of(BOW, notebook="traditional"))
    assert refused.state == "refused"
    assert (
        "its splits are not the current ones of fktg-sample in data/study/datasets.yaml" in refused.reasons[0]
    )


def test_a_broken_record_is_refused_and_the_plan_goes_on(plan_of):
    run = the_only(plan_of(BOW, notebook="traditional"))
    write_record(paths.RUNS, run).write_text("{", encoding="utf-8")
    plan = plan_of(
        {"model": ["linear-bow", "linear-tfidf"], "dataset": "fktg-sample"}, notebook="traditional"
    )
    assert [item.state for item in plan.runs] == ["refused", "to do"]


def test_a_measured_run_is_the_best_expectation(plan_of):
    run = the_only(plan_of(BOW, notebook="traditional"))
    write_record(paths.MEASUREMENTS, run)
    measured = load_reference_runs(records=[paths.MEASUREMENTS])
    (expected,) = [item.expected for item in plan_of(BOW, notebook="traditional", references=measured).runs]
    assert (expected.source, expected.pass_s) == ("measured", 0.75)
    assert expected.pass_wh == pytest.approx(0.03)
    elsewhere = the_only(
        plan_of(BOW, notebook="traditional", references=measured, here=replace(LAPTOP, name="other"))
    )
    assert elsewhere.expected.source == "scaled"
    assert "measured on laptop, not scaled" in elsewhere.expected.duration_from


# What cannot run


@pytest.mark.parametrize(
    ("block", "here", "reason"),
    [
        (NEWS, LAPTOP, "needs 1 GPU on a node, laptop has 0"),
        (
            NEWS | {"model": "ds-qwen-32b"},
            with_gpus("NVIDIA A30", 24.0),
            "GiB on its GPU, node has 24.0",
        ),
        (NEWS, with_gpus("Tesla V100", 32.0, capability=(6, 0)), None),
        (
            NEWS | {"dtype": "bfloat16"},
            with_gpus("Tesla V100", 32.0, capability=(7, 5)),
            "bfloat16 needs 8.0: dtype=float16",
        ),
        (NEWS | {"model": "qwen-2.5-7b", "gpus": 8}, with_gpus("NVIDIA A30", 24.0, 8), "28 attention heads"),
        (NEWS | {"model": "llama-3.1-8b"}, with_gpus(), "gated; accept its licence on the hub"),
        (NEWS | {"model": "llama-3.1-70b", "gpus": 0}, LAPTOP, "GiB of memory, laptop has 32.0"),
        (NEWS | {"engine": "vlm"}, with_gpus(), "unknown engine 'vlm' (nearest: 'vllm'"),
        (NEWS | {"dataset": "fktg"}, with_gpus(), "data of fktg: put fktg.csv into a folder"),
        (NEWS | {"data_dir": "/nowhere"}, with_gpus(), "data of news: /nowhere is no folder"),
        (NEWS | {"checkpoint": "/nowhere/model"}, with_gpus(), "no such folder"),
        (LLAMA, LAPTOP, "a run for capella, this is laptop: plan it with --machine capella"),
    ],
)
def test_what_cannot_run_says_why(plan_of, block, here, reason):
    run = the_only(plan_of(block, here=here))
    if reason is None:
        assert run.state == "to do"  # the engine named by COMPANION_LLM_PYTHON may be built for it
        return
    assert run.state == "cannot run"
    assert any(reason in text for text in run.reasons), run.reasons


def test_a_csv_that_no_run_would_take_is_reported_before_one_starts(plan_of, tmp_path):
    block = BOW | {"dataset": "fktg", "data_dir": str(tmp_path)}
    file = tmp_path / "fktg.csv"
    file.write_text("Beitrag|Themenkomplex\na|geoWK\n", encoding="utf-8")
    run = the_only(plan_of(block, notebook="traditional"))
    assert run.state == "cannot run"
    assert "fktg.csv: column 'Beitrag' not found" in "; ".join(run.reasons)
    shutil.copy(paths.SAMPLE, file)
    assert the_only(plan_of(block, notebook="traditional")).state == "to do", "it is looked at again"
    file.write_bytes(b"\n".join(file.read_bytes().splitlines()[:12]))
    run = the_only(plan_of(block, notebook="traditional"))
    assert "texts found, a split needs" in "; ".join(run.reasons)


@pytest.mark.parametrize("python", [None, "/anywhere/python"])
def test_an_old_card_of_another_machine_is_a_note_whatever_is_set_here(plan_of, monkeypatch, python):
    if python is None:
        monkeypatch.delenv("COMPANION_LLM_PYTHON")
    else:
        monkeypatch.setenv("COMPANION_LLM_PYTHON", python)
    plan = plan_of(LLAMA | {"machine": "clara", "dtype": "float16"}, machine="clara")
    assert (the_only(plan).state, plan.totals["to do"].runs) == ("to do", 1)
    note = (
        "on clara the GPUs have compute capability 7.0, the locked engine needs 7.5: name the Python of a vLLM that is "
        "built for CUDA 12 in COMPANION_LLM_PYTHON"
    )
    assert the_only(plan).reasons == (note,)
    assert any(note in line for line in report.lines(plan))


def test_the_locked_engine_does_not_know_a_card_that_is_too_old(plan_of, monkeypatch, tmp_path):
    here = with_gpus("Tesla V100", 32.0, capability=(7, 0))
    monkeypatch.setenv("COMPANION_LLM_PYTHON", str(tmp_path / "absent"))
    assert "no engine found at " in the_only(plan_of(NEWS, here=here)).reasons[0]
    monkeypatch.delenv("COMPANION_LLM_PYTHON")
    run = the_only(plan_of(NEWS, here=here))
    assert run.state == "cannot run"
    assert run.reasons[0].startswith(
        "the GPUs have compute capability 7.0, the locked engine needs 7.5: name"
    )


def test_a_missing_package_is_named(plan_of, monkeypatch):
    monkeypatch.setattr(requirements, "_installed", lambda package: package not in ("dspy", "ray"))
    run = the_only(plan_of(NEWS | {"nodes": 2}, here=with_gpus("NVIDIA A30", 24.0)))
    assert "not installed: dspy, ray" in run.reasons[0]


def test_without_an_engine_nothing_is_served(plan_of, monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANION_LLM_PYTHON", str(tmp_path / "absent"))
    run = the_only(plan_of(NEWS, here=with_gpus("NVIDIA A30", 24.0)))
    assert "no engine found" in run.reasons[0]


def test_a_token_lets_a_gated_model_be_tried_and_offline_nothing_is_downloaded(plan_of, monkeypatch):
    block, here = NEWS | {"model": "llama-3.1-8b"}, with_gpus("NVIDIA A30", 24.0)
    monkeypatch.setenv("HF_TOKEN", "x")
    assert the_only(plan_of(block, here=here)).state == "to do"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = the_only(plan_of(block, here=here))
    assert run.reasons == (
        "data of news: neither in a folder nor in the hub's cache, and HF_HUB_OFFLINE is set",
        "meta-llama/Meta-Llama-3.1-8B-Instruct: not in the hub's cache, and HF_HUB_OFFLINE is set",
    )


@pytest.mark.parametrize("name", ["HF_HOME", "HF_HUB_CACHE", "HF_TOKEN_PATH"])
def test_a_folder_of_a_user_that_is_not_there_holds_nothing(plan_of, monkeypatch, name):
    monkeypatch.setenv(name, "~nobody-has-this-name/x")
    block, here = NEWS | {"model": "llama-3.1-8b"}, with_gpus("NVIDIA A30", 24.0)
    assert "gated; accept its licence on the hub" in the_only(plan_of(block, here=here)).reasons[0]


def test_what_is_in_the_cache_is_not_downloaded_again(plan_of, tmp_path, monkeypatch):
    entry, data = study().models["phi-3.5-mini"], study().datasets["news"].hub
    snapshots = tmp_path / "hf" / "hub"
    folder = snapshots / "models--microsoft--Phi-3.5-mini-instruct" / "snapshots" / entry.revision
    folder.mkdir(parents=True)
    for name, content in (("config.json", "{}"), ("tokenizer.json", "{}"), ("model.safetensors", "x")):
        (folder / name).write_text(content, encoding="utf-8")
    parts = snapshots / "datasets--fancyzhx--ag_news" / "snapshots" / data.revision
    (parts / "data").mkdir(parents=True)
    (parts / data.parts[0]).touch()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    plan = plan_of(NEWS, here=with_gpus("NVIDIA A30", 24.0))
    assert the_only(plan).state == "to do"
    assert {item.name: item.present for item in plan.downloads} == {
        entry.checkpoint: True,
        data.repository: True,
    }
    assert any(line.startswith("to download: nothing; ") for line in report.lines(plan))


def test_downloads_have_the_size_of_the_weights_or_say_that_it_is_unknown(plan_of):
    plan = plan_of(NEWS | {"concurrency": [1, 8]}, here=with_gpus("NVIDIA A30", 24.0))
    downloads = {item.name: (item.size_bytes, item.runs) for item in plan.downloads}
    assert downloads == {"fancyzhx/ag_news": (None, 2), "microsoft/Phi-3.5-mini-instruct": (7_642_000_000, 2)}
    assert any(line.startswith("to download: 7.6 GB + 1 unknown; ") for line in report.lines(plan))


def test_what_is_needed_only_by_runs_that_cannot_run_is_counted_apart(plan_of, monkeypatch):
    blocks = NEWS | {"model": ["phi-3.5-mini", "ds-qwen-32b"]}
    here = with_gpus("NVIDIA A30", 24.0)
    monkeypatch.setattr(hub, "free_bytes", lambda: 5_000_000_000)
    plan = plan_of(blocks, here=here)
    assert [(item.runs, item.runnable) for item in plan.downloads] == [(2, 1), (1, 1), (1, 0)]
    lines = list(report.lines(plan))
    assert any(line.endswith("to download (2 runs, 1 of which can run here)") for line in lines)
    assert any("65.5 GB, to download (1 run, which cannot run here)" in line for line in lines)
    (total_line,) = [line for line in lines if line.startswith("to download: ")]
    assert total_line.startswith(
        "to download: 7.6 GB + 1 unknown; 65.5 GB for runs that cannot run here; 5.0 GB free in "
    )
    assert total_line.endswith(": not enough")
    monkeypatch.setattr(hub, "free_bytes", lambda: 50_000_000_000)
    assert any(line.endswith(": not enough for all") for line in report.lines(plan_of(blocks, here=here)))


def test_sizes_that_nobody_knows_are_no_zero(plan_of):
    plan = plan_of({"model": "linear-bow", "dataset": ["news", "yelp"]}, notebook="traditional")
    assert any(line.startswith("to download: unknown (2 without a size); ") for line in report.lines(plan))


def test_data_that_the_hub_does_not_have_is_asked_for(plan_of, tmp_path, monkeypatch):
    blocks = LLAMA | {"machine": "auto", "dataset": ["fktg", "fktg-sample"], "concurrency": [1, 8]}
    notice = "dataset fktg: not on the hub; put fktg.csv into a folder and name it in COMPANION_DATASETS or data_dir"
    for machine, here in (("capella", LAPTOP), (None, with_gpus())):
        (line,) = [
            line for line in report.lines(plan_of(blocks, machine=machine, here=here)) if notice in line
        ]
        assert line.endswith(", see book/get_the_data.md (2 runs)")
    (tmp_path / "fktg.csv").touch()
    monkeypatch.setenv("COMPANION_DATASETS", str(tmp_path))
    assert not any("not on the hub" in line for line in report.lines(plan_of(blocks, here=with_gpus())))


def test_of_another_machine_only_the_hardware_is_checked(plan_of, monkeypatch):
    monkeypatch.setattr(requirements, "_installed", lambda _: False)
    plan = plan_of(LLAMA | {"machine": "auto"}, machine="capella")
    assert (the_only(plan).machine, the_only(plan).state, plan.here) == ("capella", "to do", False)
    lines = list(report.lines(plan))
    assert any("its data, packages and access were not checked" in line for line in lines)
    assert any(line.startswith("to do on capella: 1 run, ") for line in lines)


# The whole


def test_a_fault_in_the_campaign_is_one_line_with_file_and_block(plan_of):
    label = "data/study/campaigns/trial.yaml: grid.1: "
    for block, expected in (
        ({"model": "phi"}, "model: unknown language model 'phi'"),
        ({"machine": "capela"}, "machine: unknown machine 'capela' (nearest: 'capella'"),
        ({"gpus": "two"}, "gpus: Input should be a valid integer, found 'two'"),
    ):
        line = refusal(lambda block=block: plan_of(NEWS, block))
        assert line.startswith(label)
        assert expected in line


def test_an_unknown_name_is_one_line(references):
    assert "unknown campaign 'papers' (nearest: 'paper'" in refusal(plan_campaign, "papers")
    assert "--machine capela: unknown machine (nearest: 'capella'" in refusal(
        plan_campaign, "paper", "capela"
    )
    assert "--grid: unknown grid 'germny' (nearest: 'germany'" in refusal(
        plan_campaign, "paper", None, "germny"
    )


def test_the_command_line_gives_a_line_per_run_and_json_the_same(capsys):
    assert main(["plan", "paper-paula", "--machine", "paula"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["state", "run", "machine"]
    assert sum(line.startswith("to do  ") and "paula" in line for line in lines) == 7
    assert main(["plan", "paper-paula", "--machine", "paula", "--json", "--grid", "sweden"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [run["run_id"] in lines[i + 1] for i, run in enumerate(document["runs"])] == [True] * 7
    assert document["runs"][0]["settings"] == {"max_model_len": 8192}
    total = document["totals"]["to do"]
    assert total["runs"] == 7
    for name in ("duration_s", "energy_wh", "co2e_g", "gpu_hours"):
        assert total[name] == pytest.approx(math.fsum(run[name] for run in document["runs"]))
    assert document["grid"] == "sweden"
    assert main(["plan", "paula"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown campaign 'paula'")


def test_a_machine_that_is_one_of_the_papers_is_the_machine_at_hand(plan_of):
    here = replace(catalogue_target("paula"), name="detected", here=True)
    run = the_only(
        plan_of(LLAMA | {"machine": "paula", "model": "phi-3.5-mini", "dataset": "news"}, here=here)
    )
    assert (run.machine, run.reasons) == ("paula", ())


# Load

MANY = {
    "model": ["llama-3.1-8b", "qwen-2.5-7b", "phi-3.5-mini", "ds-llama-8b", "ds-qwen-14b"],
    "dataset": ["news", "yelp", "tomatoes", "emotion", "fktg"],
    "machine": "paula",
    "gpus": [1, 2],
    "max_model_len": list(range(8000, 8010)),
}


def test_a_campaign_of_500_runs_is_planned_in_5_s(checkout):
    campaign = {"title": "t", "description": "d", "notebook": "llm", "grid": [MANY]}
    file = checkout.root / "data" / "study" / "campaigns" / "many.yaml"
    file.write_text(json.dumps(campaign), encoding="utf-8")
    assert timed_plan(checkout, "many")["cannot run"] == RUNS
    write_stub_runs(checkout.root)
    assert timed_plan(checkout, CAMPAIGN)["done"] == RUNS


def timed_plan(checkout, name):
    """Plan in a process of its own, from its start to its end; returns how many runs are in which state."""
    started_s = processor_s()
    done = checkout.helpers("plan", name, "--json")
    took_s = processor_s() - started_s
    assert done.returncode == 0, done.stderr
    limit_s = 5.0 * slowness()
    assert took_s < limit_s, f"{took_s:.1f} s of {limit_s:.1f} s"
    return {state: total["runs"] for state, total in json.loads(done.stdout)["totals"].items()}
