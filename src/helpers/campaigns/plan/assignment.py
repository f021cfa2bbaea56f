"""The runs of a campaign, assigned to the machines that they are for, and the state of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from helpers.campaigns.job_status import read_attempt
from helpers.campaigns.plan.requirements import blockers, dataset_here, remote_notes
from helpers.campaigns.plan.target import Target, target_for
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.lock import is_held, run_lock
from helpers.measure.outdated import outdated
from helpers.measure.parameters import CampaignRun, Plan, add_once, campaign_runs
from helpers.records.storage import RECORD, Record, read_record

State = Literal["done", "filed", "running", "to do", "failed", "cannot run", "refused"]
STATES: tuple[State, ...] = ("done", "filed", "running", "to do", "failed", "cannot run", "refused")
"""`running`: it is being measured on this machine; `filed`: only the committed record exists; `failed`: the last attempt
did, and the next invocation retries it; `refused`: its record is invalid, another run's, or outdated."""
MEASURED_BY_RUN: frozenset[State] = frozenset({"to do", "running", "failed", "filed"})
"""What `run` measures: `filed` too, for a committed record is compared with an own one."""


@dataclass(frozen=True)
class AssignedRun:
    """A run of a campaign, assigned to the machine that it is for."""

    run: CampaignRun
    plan: Plan
    target: Target


def assign_runs(name: str, target: Target) -> list[AssignedRun]:
    """Assign the runs of a campaign to the machines that they are for: `target`, where they name none.

    Raises:
        UserError: one line with file and field for a fault in the campaign.
    """
    targets: dict[str, Target] = {}
    plans: dict[str, Plan] = {}
    assigned = []
    for run in campaign_runs(name):
        machine = run.parameters.machine
        run_target = targets.setdefault(
            machine, target if machine == "auto" else target_for(machine, target, run.where)
        )
        plan = run.on(run_target.name, run_target.hardware)
        add_once(plans, plan, run.where)
        assigned.append(AssignedRun(run, plan, run_target))
    return assigned


def mismatch(record: Record, plan: Plan) -> str | None:
    """Return the first field in which a record differs from a planned run, with both values; None where it is that run's."""
    run, chosen = record.run, plan.parameters
    pairs = {
        "campaign": (run.campaign, chosen.campaign),
        "notebook": (run.notebook, plan.notebook),
        "model": (run.model, chosen.model),
        "dataset": (run.dataset, chosen.dataset),
        "machine": (run.machine, plan.machine),
        "gpus": (run.gpus, plan.gpus * plan.nodes),
        "nodes": (run.nodes, plan.nodes),
        "splits": (run.splits, chosen.splits),
        "window_s": (run.window_s, chosen.window_s),
    }
    return next(
        (
            f"run.{name}: found {recorded_value!r}, the campaign has {planned_value!r}"
            for name, (recorded_value, planned_value) in pairs.items()
            if recorded_value != planned_value
        ),
        None,
    )


def run_state(assigned: AssignedRun, target: Target) -> tuple[State, tuple[str, ...], Record | None]:
    """Return the state of a run, the reasons for it or notes on it, and its record where it has one."""
    plan, run_target = assigned.plan, assigned.target
    if (record_state := recorded(plan)) is not None:
        state, _, record = record_state
        if state == "done" and record is not None and run_target.here and (change := _change(record, plan)):
            label = paths.relative(plan.folder)
            return "refused", (f"{label}: {change}; delete the folder to measure it again",), None
        return record_state
    reasons = blockers(plan, run_target)
    if run_target.name != target.name and not run_target.here:
        reasons.insert(
            0, f"a run for {run_target.name}, this is {target.name}: plan it with --machine {run_target.name}"
        )
    notes = remote_notes(plan, run_target)
    if reasons:
        return "cannot run", (*reasons, *notes), None
    if (lock := run_lock(plan.folder)).exists() and is_held(lock):
        return "running", tuple(notes), None
    failure = _last_failure(plan)
    return "failed" if failure else "to do", (*failure, *notes), None


def recorded(plan: Plan) -> tuple[State, tuple[str, ...], Record | None] | None:
    """Return the state of a run that has a record, with the record or why it is refused; None where it has none."""
    committed_folder = paths.MEASUREMENTS / plan.parameters.campaign / plan.run_id
    folders: tuple[tuple[State, Path], ...] = (("done", plan.folder), ("filed", committed_folder))
    for state, folder in folders:
        if not (folder / RECORD).exists():
            continue
        try:
            record = read_record(folder / RECORD)
        except UserError as error:
            return "refused", (f"{error}; delete the folder to measure it again",), None
        if (difference := mismatch(record, plan)) is not None:
            label = paths.relative(folder / RECORD)
            return "refused", (f"{label}: {difference}; delete the folder to measure it again",), None
        return state, (), record
    return None


def _change(record: Record, plan: Plan) -> str | None:
    """Return what has changed since a run was measured here; None where nothing has, or its data are not here."""
    try:
        dataset = dataset_here(plan)
    except UserError as error:
        return str(error)
    return None if dataset is None else outdated(record, plan, dataset)


def _last_failure(plan: Plan) -> tuple[str, ...]:
    try:
        last = read_attempt(plan.folder)
    except UserError as error:
        return (f"{error}; the next attempt replaces it",)
    return (f"failed {last.ended}: {last.reason}",) if last is not None and last.reason is not None else ()
