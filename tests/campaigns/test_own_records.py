"""Language models that were measured before: `plan` and `run` expect what they took then."""

import logging
from pathlib import Path

import pytest

from helpers.campaigns.job_status import attempt_file, attempting, read_attempt
from helpers.campaigns.plan import report
from helpers.campaigns.plan.estimate import estimate_pass
from helpers.campaigns.plan.own_records import estimate_from_records
from helpers.campaigns.plan.reference_runs import load_reference_runs
from helpers.campaigns.plan.target import Target
from helpers.campaigns.run import progress as progress_of_campaign
from helpers.campaigns.run.progress import Progress
from helpers.campaigns.run.schedule import ScheduledRun
from helpers.core import paths
from helpers.measure.parameters import LlmParameters, LlmPlan
from helpers.records.hardware import Hardware
from helpers.records.storage import RECORD, Record
from tests.figures.test_any_campaign import Invented, record_of

MODEL = "qwen2.5-0.5b"
CORES = 2
BOX = Target("box", True, Hardware("CPU", CORES, 16.0, (), None), None, None)
TEXTS = 200


def plan(machine: str = "box", cores: int = CORES, **settings) -> LlmPlan:
    chosen = {"model": MODEL, "dataset": "news", "splits": 2, "max_tokens": 128, **settings}
    return LlmPlan(LlmParameters(**chosen), machine, Hardware("CPU", cores, 16.0, (), None))


def stored(folder: Path, *runs: Invented, engine: int | None = CORES, tokens_in: int | None = None, **of_run):
    """Store records of runs, made with `engine` threads, and return the references to them."""
    for number, run in enumerate(runs, len(list(folder.glob("*")))):
        record = record_of(run, number, "own")
        environment = record.environment.model_copy(
            update={"threads": {"blas": 1} | ({} if engine is None else {"engine": engine})}
        )
        checkpoint = plan(model=run.model).served.checkpoint
        name = Path(checkpoint).name if checkpoint.startswith("/") else checkpoint
        splits = record.splits
        if tokens_in is not None:
            splits = [item.model_copy(update={"tokens_in": tokens_in * item.texts}) for item in splits]
        record = record.model_copy(
            update={
                "environment": environment,
                "splits": splits,
                "run": record.run.model_copy(update={"checkpoint": name, "dtype": "bfloat16", **of_run}),
            }
        )
        file = folder / f"run-{number}" / RECORD
        file.parent.mkdir(parents=True)
        file.write_text(
            Record.model_validate_json(record.model_dump_json()).model_dump_json(), encoding="utf-8"
        )
    return load_reference_runs(records=[folder.parent])


OWN = Invented(MODEL, gpus=0, splits=10, seconds=140.0)
MEAN_S = 140.0 * (1 + 0.01 * 4.5)
"""Of the splits 0 to 9 (`record_of`)."""


def test_a_run_with_more_splits_is_expected_from_the_record_and_says_so(tmp_path):
    references = stored(tmp_path / "own", OWN)
    expected = estimate_pass(plan(splits=3), BOX, references)
    assert expected.pass_s == pytest.approx(MEAN_S)
    assert expected.source == "measured"
    assert expected.pass_wh is not None
    assert expected.duration_from.endswith("own/run-0/record.json")


def test_another_dataset_is_scaled_by_texts_and_by_prompt_tokens_where_these_are_known(tmp_path):
    references = stored(tmp_path / "own", OWN, tokens_in=209)
    expected = estimate_pass(plan(dataset="yelp"), BOX, references)
    assert (expected.pass_s, expected.source) == (pytest.approx(MEAN_S), "scaled")
    assert "prompt tokens not known" in expected.duration_from
    # another model on another machine has measured the dataset: its prompts are about as long
    references = stored(
        tmp_path / "own", Invented("smollm2-135m", dataset="yelp", machine="other"), tokens_in=312
    )
    expected = estimate_pass(plan(dataset="yelp"), BOX, references)
    assert expected.pass_s == pytest.approx(MEAN_S * 312 / 209)
    assert "x 1.00 by texts from news to yelp, x 1.49 by prompt tokens" in expected.duration_from


@pytest.mark.parametrize(
    ("settings", "engine"),
    [
        ({"machine": "other"}, CORES),
        ({"model": "qwen2.5-1.5b"}, CORES),
        ({"concurrency": 16}, CORES),
        ({"shots": 4}, CORES),
        ({"output_mode": "constrained"}, CORES),
        ({"engine": "transformers"}, CORES),
        ({"gpus": 1}, CORES),
        ({"weights": "dummy"}, CORES),
        ({"dtype": "float32"}, CORES),
        ({"checkpoint": "/somewhere/else"}, CORES),
        ({"prefix_caching": True}, CORES),
        ({}, 1),  # bound to one core
        ({}, None),  # not known
    ],
)
def test_what_costs_something_else_is_no_reference(settings, engine, tmp_path):
    references = stored(tmp_path / "own", OWN, engine=engine)
    assert estimate_from_records(plan(**settings), references) is None


def test_threads_of_the_engine_count_on_the_cpu_alone(tmp_path):
    on_gpu = stored(tmp_path / "own", Invented(MODEL, gpus=1, seconds=20.0), engine=None)
    expected = estimate_from_records(plan(gpus=1), on_gpu)
    assert expected is not None
    assert expected.pass_s == pytest.approx(20.0 * 1.045)


def test_batched_runs_stand_for_each_other_within_a_factor_of_two(tmp_path):
    references = stored(tmp_path / "own", Invented(MODEL, gpus=0, concurrency=16, seconds=30.0))
    expected = estimate_from_records(plan(concurrency=32), references)
    assert expected is not None
    assert "at concurrency 16" in expected.duration_from
    assert estimate_from_records(plan(concurrency=64), references) is None
    assert estimate_from_records(plan(concurrency=1), references) is None


# Progress of `run`


def scheduled(run_id: str, expected_s: float | None = None) -> ScheduledRun:
    return ScheduledRun(
        run_id=run_id,
        notebook="llm",
        arguments=[],
        gpus=0,
        nodes=1,
        limit_min=10,
        expected_s=expected_s,
        expected_wh=None,
    )


@pytest.fixture
def live(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    caplog.set_level(logging.INFO, progress_of_campaign.LOGGER.name)
    return tmp_path / "runs" / "own"


def test_time_is_unknown_until_the_first_run_of_a_model_has_ended(live, caplog):
    asked = []

    def expect(run_ids):
        asked.append(list(run_ids))
        return dict.fromkeys(run_ids, (3600.0, 5.0))

    progress = Progress("own", [scheduled("a"), scheduled("b")], 0, 2, expect)
    progress.poll()
    assert asked == []
    (live / "a").mkdir(parents=True)
    (live / "a" / RECORD).write_text(record_of(OWN, 0).model_dump_json(), encoding="utf-8")
    progress.poll()
    assert asked == [["a", "b"]], "what is known once is not asked again"
    (line,) = [item for item in caplog.messages if "1 of 2 done" in item]
    assert "unknown" not in line.partition(" left: ")[2]


def test_a_line_of_progress_is_logged_once(live, caplog, monkeypatch):
    monkeypatch.setattr("helpers.campaigns.job_status.PROGRESS_S", 0.0)
    progress = Progress("own", [scheduled("a")], 0, 1)
    with attempting(live / "a", 1) as on_line:
        progress.poll()
        on_line("split 0: 120 of 200 texts, 61 s")
        progress.poll()
        progress.poll()
    assert caplog.messages == ["a: begins", "a: split 0: 120 of 200 texts, 61 s"]


def test_lines_of_progress_are_stored_twice_a_minute_at_the_most(live):
    with attempting(live / "a", 1) as on_line:
        on_line("split 0: accuracy 0.5")
        assert read_attempt(live / "a").progress is None
    assert not attempt_file(live / "a").exists()


# The row of a run that failed

LOG = "; its log ends: INFO 1 | (EngineCore) ValueError: too little memory | Traceback | last"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        (
            f"failed: vllm ended with status 1 before it was ready{LOG}",
            "before it was ready (whole reason: --json)",
        ),
        ("needs 1 GPU on a node, laptop has 0", "laptop has 0"),
        ("x" * 1000, f"{'x' * 240} ... (whole reason: --json)"),
    ],
)
def test_a_row_of_the_plan_has_no_log(reason, shown):
    text = report._without_log(reason)
    assert text.endswith(shown)
    assert "log ends" not in text
    assert len(text) < 300
