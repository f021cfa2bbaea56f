"""The runs of a campaign, bound to the machines that they are for, and what is there of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from helpers.campaigns.job_status import read_attempt
from helpers.campaigns.plan.requirements import notes, obstacles
from helpers.campaigns.plan.target import Place, place_for
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.measure.parameters import CampaignRun, Plan, add_once, campaign_runs
from helpers.records.storage import RECORD, Record, read_record

State = Literal["done", "filed", "to do", "failed", "cannot run", "refused"]
STATES: tuple[State, ...] = ("done", "filed", "to do", "failed", "cannot run", "refused")
"""`filed`: only the committed record is there; `failed`: the last try did, and the next call tries again; `refused`: a
record is there that is invalid or another run's."""
MEASURED_BY_RUN: frozenset[State] = frozenset({"to do", "failed", "filed"})
"""What `run` measures: `filed` too, for a committed record is compared with one of one's own."""


@dataclass(frozen=True)
class PlacedRun:
    """A run of a campaign, bound to the machine that it is for."""

    run: CampaignRun
    plan: Plan
    place: Place


def place_runs(name: str, target: Place) -> list[PlacedRun]:
    """Bind the runs of a campaign to the machines that they are for: `target`, where they name none.

    Raises:
        UserError: one line with file and field for a fault in the campaign.
    """
    places: dict[str, Place] = {}
    plans: dict[str, Plan] = {}
    placed = []
    for run in campaign_runs(name):
        asked = run.parameters.machine
        place = places.setdefault(asked, target if asked == "auto" else place_for(asked, target, run.where))
        item = run.on(place.name, place.hardware)
        add_once(plans, item, run.where)
        placed.append(PlacedRun(run, item, place))
    return placed


def misfit(record: Record, plan: Plan) -> str | None:
    """Return in what a record differs from the run whose place it takes; None where it is that run's."""
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
            f"run.{name}: found {found!r}, the campaign has {wanted!r}"
            for name, (found, wanted) in pairs.items()
            if found != wanted
        ),
        None,
    )


def state_of(placed: PlacedRun, target: Place) -> tuple[State, tuple[str, ...], Record | None]:
    """Say what is there of a run, and where nothing is, what keeps it from starting on `target` or has to be seen to."""
    plan, place = placed.plan, placed.place
    if (found := recorded(plan)) is not None:
        return found
    reasons = obstacles(plan, place)
    if place.name != target.name and not place.here:
        reasons.insert(
            0, f"a run for {place.name}, this is {target.name}: plan it with --machine {place.name}"
        )
    there = notes(plan, place)
    if reasons:
        return "cannot run", (*reasons, *there), None
    failure = _last_failure(plan)
    return "failed" if failure else "to do", (*failure, *there), None


def recorded(plan: Plan) -> tuple[State, tuple[str, ...], Record | None] | None:
    """Return the state of a run that has a record, with the record or why it is refused; None where it has none."""
    filed = paths.MEASUREMENTS / plan.parameters.campaign / plan.run_id
    there: tuple[tuple[State, Path], ...] = (("done", plan.folder), ("filed", filed))
    for state, folder in there:
        if not (folder / RECORD).exists():
            continue
        try:
            record = read_record(folder / RECORD)
        except UserError as error:
            return "refused", (f"{error}; delete the folder to measure it again",), None
        if (difference := misfit(record, plan)) is not None:
            where = paths.relative(folder / RECORD)
            return "refused", (f"{where}: {difference}; delete the folder to measure it again",), None
        return state, (), record
    return None


def _last_failure(plan: Plan) -> tuple[str, ...]:
    try:
        last = read_attempt(plan.folder)
    except UserError as error:
        return (f"{error}; the next call writes it anew",)
    return (f"failed {last.ended}: {last.reason}",) if last is not None and last.reason is not None else ()
