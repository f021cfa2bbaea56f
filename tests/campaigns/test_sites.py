"""Sites and schedules: what is asked of a cluster for each run, and what is refused before anything starts."""

import json
import math
import os
import time

import pytest

from helpers.campaigns.plan.campaign import plan_campaign
from helpers.campaigns.plan.target import site_target
from helpers.campaigns.run import jobs
from helpers.campaigns.run import schedule as schedule_module
from helpers.campaigns.run.schedule import (
    Invocation,
    add_invocations,
    make_schedule,
    rank,
    read_run_order,
    read_schedule,
    reschedule,
    write_schedule,
)
from helpers.campaigns.run.sites import LOCAL, Site, load_site
from helpers.models.llm.engine import PYTHON_VARIABLE
from tests.conftest import ROOT, refusal

SLURM = Site(title="t", executor="slurm", machine="capella", most_min=600)


@pytest.fixture(autouse=True)
def _an_engine(tmp_path, monkeypatch):
    (tmp_path / "python").touch()
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "python"))
    monkeypatch.setenv("HF_TOKEN", "token")


def scheduled(campaign, site, seed=1):
    plan = plan_campaign(campaign, here=site_target(site.machine))
    return make_schedule(plan.runs, plan.filed_under, plan.machine, site, seed), plan


def test_every_site_of_the_repository_is_valid():
    names = [file.stem for file in (ROOT / "workflow" / "sites").glob("*.yaml")]
    assert names
    assert all(load_site(name).executor == "slurm" for name in names)


def test_the_guide_shows_the_example_as_it_is():
    guide = (ROOT / "book" / "cluster.md").read_text(encoding="utf-8")
    example = (ROOT / "workflow" / "sites" / "example.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{example}```\n" in guide


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\nexecutor: slrum\n", "executor: unknown value 'slrum' (nearest: 'slurm'"),
        ("title: x\nexecutor: slurm\npartitoin: gpu\n", "unknown key 'partitoin' (nearest: 'partition'"),
        ("title: x\nexecutor: slurm\npartition: 'gpu; rm -rf /'\n", "partition: "),
        ("title: x\nexecutor: slurm\naccount: --exclusive\n", "account: "),
        ("title: x\nexecutor: slurm\ngres: gpu:h100:4\n", "gres: "),
        ("title: x\nexecutor: slurm\njobs: 0\n", "jobs: "),
        ("title: x\nexecutor: local\npartition: gpu\n", "'partition' is for executor: slurm"),
        ("title: x\nexecutor: slurm\nmachine: cappella\n", "unknown machine 'cappella' (nearest: 'capella'"),
    ],
)
def test_a_faulty_site_is_refused_in_a_line_with_file_and_key(text, message, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    line = refusal(lambda: site_target(load_site(str(file)).machine))
    assert message in line
    if "machine" not in message:
        assert line.startswith(str(file))


def test_an_unknown_site_is_reported_with_the_nearest():
    assert "nearest: 'example'" in refusal(load_site, "exampel")
    assert "no such file" in refusal(load_site, "./nowhere.yaml")


def test_the_order_is_that_of_the_seed_and_of_nothing_else():
    first, plan = scheduled("paper-capella", SLURM, seed=7)
    ids = [run.run_id for run in first.runs]
    assert ids == sorted((run.run_id for run in plan.runs), key=lambda run_id: rank(7, run_id))
    assert ids == [run.run_id for run in scheduled("paper-capella", SLURM, seed=7)[0].runs]
    assert ids != [run.run_id for run in scheduled("paper-capella", SLURM, seed=8)[0].runs]
    assert ids != [run.run_id for run in plan.runs]


def test_limits_follow_what_is_expected_and_stay_within_the_partition():
    schedule, plan = scheduled("paper-capella", SLURM)
    expected = {run.run_id: run.duration_s for run in plan.runs}
    for run in schedule.runs:
        load_s = 1800 if run.notebook == "llm" else 900
        limit_min_expected = (
            600 if expected[run.run_id] is None else math.ceil((2 * expected[run.run_id] + load_s) / 60)
        )
        assert run.limit_min == min(limit_min_expected, 600)
    assert {run.limit_min for run in schedule.runs} > {600}, (
        "some are cut to the partition's limit, others not"
    )


def test_gpus_and_nodes_of_each_run_are_asked_for():
    schedule, plan = scheduled("paper-capella", SLURM)
    assert {run.run_id: (run.gpus, run.nodes) for run in schedule.runs} == {
        run.run_id: (run.gpus, run.nodes) for run in plan.runs
    }
    assert {run.nodes for run in schedule.runs} == {1, 2}


def test_a_run_keeps_its_name_in_the_job():
    """The job plans the run again, from these arguments; its record has to appear where Snakemake waits for it."""
    from helpers.measure.parameters import PARAMETERS
    from helpers.verbs import _assignment

    schedule, planned = scheduled("paper-capella", SLURM)
    plans = {run.run_id: run.plan for run in planned.runs}
    for run in schedule.runs:
        declared = PARAMETERS[run.notebook].model_fields
        values = dict(_assignment(text.removeprefix("-p"), declared) for text in run.arguments)
        again_chosen = PARAMETERS[run.notebook].model_validate(values)
        plan = plans[run.run_id]
        assert again_chosen == plan.parameters.model_copy(update={"machine": plan.machine})


def test_schedules_of_long_ago_go_and_those_of_a_running_job_stay(tmp_path, monkeypatch):
    folder = tmp_path / "workflow"
    folder.mkdir()
    monkeypatch.setattr(schedule_module, "FOLDER", folder)
    for name, days in (("old.json", 31), ("old.log", 31), ("new.json", 29)):
        (folder / name).touch()
        at = time.time() - days * 86_400
        os.utime(folder / name, (at, at))
    file = write_schedule(scheduled("demo", LOCAL)[0])
    assert {item.name for item in folder.iterdir()} == {"new.json", file.name}


def test_the_next_attempt_has_more_time():
    schedule, _ = scheduled("paper-capella", SLURM)
    later = reschedule(schedule, schedule.runs[:3])
    assert later.attempt == 2
    for before, after in zip(schedule.runs, later.runs, strict=False):
        assert after.limit_min == min(2 * before.limit_min, 600)


def test_a_schedule_reads_back_and_a_faulty_one_is_refused(tmp_path):
    schedule, _ = scheduled("demo", LOCAL)
    file = tmp_path / "schedule.json"
    file.write_text(schedule.model_dump_json(), encoding="utf-8")
    assert read_schedule(file) == schedule
    file.write_text(json.dumps(json.loads(schedule.model_dump_json()) | {"seed": "1"}), encoding="utf-8")
    assert "seed" in refusal(read_schedule, file)


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [("infinite", None), ("30:00", 30), ("2:00:00", 120), ("1-00:00:00", 1440), ("7-12:30:00", 10830)],
)
def test_limits_of_partitions_are_read_as_slurm_writes_them(limit, minutes, monkeypatch):
    monkeypatch.setattr(jobs, "ask", lambda *_: f"debug*|{limit}\ngpu|1:00:00\n")
    site = SLURM.model_copy(update={"most_min": 600})
    if minutes is None or minutes >= 600:
        jobs.check_limit(site)
    else:
        assert f"ends its jobs after {minutes}; set most_min: {minutes}" in refusal(jobs.check_limit, site)
    assert "after 60" in refusal(jobs.check_limit, site.model_copy(update={"partition": "gpu"}))
    line = refusal(jobs.check_limit, site.model_copy(update={"partition": "gup"}))
    assert line.startswith("partition: gup is not one of the cluster (nearest: 'gpu'")


def test_orders_of_calls_are_added_and_never_lost(tmp_path):
    first = Invocation(began="2026-01-01T00:00:00Z", seed=1, machine="m", runs=["a", "b"])
    second = first.model_copy(update={"seed": 2})
    measured, committed = tmp_path / "runs" / "order.json", tmp_path / "committed" / "order.json"
    add_invocations(measured, [first])
    add_invocations(measured, [second, first])
    assert read_run_order(measured) == [first, second]
    add_invocations(committed, [second])
    add_invocations(committed, read_run_order(measured))
    assert committed.read_bytes() == measured.read_bytes(), "however the calls came together"
