"""The schedule of an invocation of `run`: what Snakemake starts, in which order, with which limits.

It is written once and read by Snakemake here and in every job, so that no job asks its own machine what the campaign is.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import Field

from helpers.campaigns.plan.campaign import PlannedRun
from helpers.campaigns.run.sites import Site
from helpers.core import paths
from helpers.core.files import atomic_write
from helpers.core.validation import Strict, parse_json
from helpers.measure.parameters import LlmPlan, Notebook, Plan
from helpers.records.environment import utc_now
from helpers.records.storage import writing

FOLDER = paths.RUNS / ".workflow"
"""Schedules, logs and the lock of the workflow."""
ORDER = "order.json"
"""Beside the runs of a campaign: the run order of each invocation of `run`, and its seed."""
KEPT_S = 30 * 86_400.0
"""How long schedules and logs are kept."""
LOAD_S = 900.0
"""Room in a time limit for what is not expected: starting, loading, training."""
LIMIT_GROWTH_PER_ATTEMPT = 2
"""By what the time limit of a run is multiplied for its next attempt."""


class ScheduledRun(Strict):
    """A run to be measured."""

    run_id: str
    notebook: Notebook
    arguments: list[str]
    """Of the verb `measure`, without the notebook."""
    gpus: int = Field(ge=0)
    """On each node."""
    nodes: int = Field(ge=1)
    limit_min: int = Field(ge=1)
    """Time limit of its job."""
    expected_s: float | None
    """Without loading and training; null where it is unknown."""
    expected_wh: float | None


class Schedule(Strict):
    """The runs of one invocation, in their order."""

    campaign: str
    """The name that the runs are stored under."""
    machine: str
    began: str
    """UTC."""
    seed: int
    """Of the order."""
    attempt: int
    """Number of the attempt, from 1."""
    site: Site
    runs: list[ScheduledRun]


class Invocation(Strict):
    """The run order of one invocation of `run`, stored beside the runs."""

    began: str
    """UTC."""
    seed: int
    machine: str
    runs: list[str]
    """Their names, in their order."""


class RunOrder(Strict):
    """All invocations of a campaign."""

    calls: list[Invocation]


def make_schedule(
    chosen: Iterable[PlannedRun], campaign: str, machine: str, site: Site, seed: int
) -> Schedule:
    """Put runs in the order of `seed`.

    Neither warmth nor wear of a machine nor the time of day shall follow a model or a dataset through the campaign.
    """
    runs = [_scheduled(run, site) for run in chosen]
    return Schedule(
        campaign=campaign,
        machine=machine,
        began=utc_now(),
        seed=seed,
        attempt=1,
        site=site,
        runs=sorted(runs, key=lambda run: rank(seed, run.run_id)),
    )


def rank(seed: int, run_id: str) -> bytes:
    """Return the sort key of a run in the order of `seed`; a hash, because streams of random generators change with versions."""
    return hashlib.sha256(f"{seed}:{run_id}".encode()).digest()


def reschedule(schedule: Schedule, runs: Sequence[ScheduledRun]) -> Schedule:
    """Return the schedule of the next attempt of some runs, with more time for each."""
    longer = [
        run.model_copy(
            update={"limit_min": min(run.limit_min * LIMIT_GROWTH_PER_ATTEMPT, schedule.site.most_min)}
        )
        for run in runs
    ]
    return schedule.model_copy(update={"attempt": schedule.attempt + 1, "runs": longer})


def write_schedule(schedule: Schedule) -> Path:
    """Write a schedule to a file of its own, for jobs of an earlier invocation may still read theirs; old ones are removed.

    Raises:
        UserError: one line with the file where the disk is full.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    moment = schedule.began.replace(":", "").replace("-", "")
    file = FOLDER / f"{schedule.campaign}-{moment}-{schedule.attempt}.json"
    with writing(file):
        file.write_text(schedule.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for other in FOLDER.iterdir():
        if file.stat().st_mtime - other.stat().st_mtime > KEPT_S:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    return file


def read_schedule(file: Path) -> Schedule:
    """Read a schedule.

    Raises:
        UserError: one line with file and field where it is not valid.
    """
    return parse_json(Schedule, file.read_bytes(), paths.relative(file))


def add_to_run_order(schedule: Schedule) -> None:
    """Append the run order of this invocation to those stored beside the runs; it names no folder of this machine."""
    invocation = Invocation(
        began=schedule.began,
        seed=schedule.seed,
        machine=schedule.machine,
        runs=[run.run_id for run in schedule.runs],
    )
    add_invocations(paths.RUNS / schedule.campaign / ORDER, [invocation])


def read_run_order(file: Path) -> list[Invocation]:
    """Read the run orders of a campaign.

    Raises:
        UserError: one line with file and field where the file is not valid.
    """
    return parse_json(RunOrder, b'{"calls": %b}' % file.read_bytes(), paths.relative(file)).calls


def add_invocations(file: Path, invocations: Sequence[Invocation]) -> None:
    """Merge the run orders of invocations into a file, sorted by the time at which they began.

    Raises:
        UserError: one line with the file where it is not valid (with the field), or the disk is full.
    """
    stored = read_run_order(file) if file.is_file() else []
    new = [item for item in invocations if item not in stored]
    if not new:
        return
    by_time = sorted([*stored, *new], key=lambda item: (item.began, item.machine, item.seed))
    with atomic_write(file) as scratch, writing(scratch), scratch.open("w", encoding="utf-8") as out:
        out.write(json.dumps([item.model_dump() for item in by_time], indent=1) + "\n")
        out.flush()
        os.fsync(out.fileno())


def _scheduled(planned: PlannedRun, site: Site) -> ScheduledRun:
    plan = planned.plan
    arguments = {**plan.parameters.model_dump(), "machine": plan.machine}
    return ScheduledRun(
        run_id=plan.run_id,
        notebook=plan.notebook,
        arguments=[f"-p{name}={value}" for name, value in arguments.items() if value != ""],
        gpus=plan.gpus,
        nodes=plan.nodes,
        limit_min=_limit_min(plan, planned.duration_s, site),
        expected_s=planned.duration_s,
        expected_wh=planned.energy_wh,
    )


def _limit_min(plan: Plan, expected_s: float | None, site: Site) -> int:
    if expected_s is None:
        return site.most_min
    load_s = plan.parameters.start_timeout_s if isinstance(plan, LlmPlan) else LOAD_S
    return min(math.ceil((site.limit_factor * expected_s + load_s) / 60), site.most_min)
