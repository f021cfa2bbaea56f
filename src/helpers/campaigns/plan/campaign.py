"""The plan of a campaign: a line per run, what has to be downloaded, and what all of it adds up to."""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.campaigns.plan.assignment import (
    MEASURED_BY_RUN,
    STATES,
    AssignedRun,
    State,
    assign_runs,
    run_state,
)
from helpers.campaigns.plan.downloads import Download, list_downloads
from helpers.campaigns.plan.estimate import estimate_pass
from helpers.campaigns.plan.expectation import Estimate
from helpers.campaigns.plan.reference_runs import ReferenceRuns, load_reference_runs
from helpers.campaigns.plan.requirements import missing_data
from helpers.campaigns.plan.target import Target, catalogue_target, current_target, target_for
from helpers.core import paths
from helpers.core.errors import UserError, nearest
from helpers.measure.parameters import LlmPlan, Plan
from helpers.measure.run import IDLE_S
from helpers.measure.settings import WARM_UP_TEXTS
from helpers.models import hub
from helpers.records.storage import Record
from helpers.study.campaigns import filed_under
from helpers.study.carbon_intensity import HOME, Grid, co2e_g, grids
from helpers.study.catalogue import entry, study

S_PER_HOUR = 3600.0
_NAMED = {"model", "dataset", "machine", "campaign", "gpus", "nodes", "splits"}
"""Parameters that a planned run, or the plan, has by itself."""


@dataclass(frozen=True)
class PlannedRun:
    """A run of a campaign, before anything starts. What is unknown is None, with the reason in `expected`."""

    run_id: str
    state: State
    notebook: str
    model: str
    dataset: str
    machine: str
    gpus: int
    """On each node."""
    nodes: int
    splits: int
    settings: Mapping[str, Any]
    """Parameters that are not as the notebook declares them, beside the above."""
    expected: Estimate
    """Of a pass."""
    duration_s: float | None
    """Of the run: cooling down, windows, warming up and the idle phases; loading and training are not in it. Of a run that
    is done what all its phases took, loading and training included."""
    energy_wh: float | None
    """Of its windows and of warming up; of a run that is done of all its phases."""
    co2e_g: float | None
    gpu_hours: float | None
    reasons: tuple[str, ...]
    """Why it cannot run, why the last attempt failed, or why its record is refused; for a machine that is not the current
    one also what has to be set up there."""
    published_in: tuple[str, ...]
    reconstruction: str | None
    plan: Plan
    """What measures it; no part of the plan's JSON."""


@dataclass(frozen=True)
class Provision:
    """Data that is not on the hub and has to be provided by the user."""

    dataset: str
    file: str
    runs: int
    """That need it and are not done."""


@dataclass(frozen=True)
class Total:
    """What the runs of one state add up to; `unknown_...` of them are not in a sum."""

    runs: int
    duration_s: float
    unknown_durations: int
    energy_wh: float
    co2e_g: float
    unknown_energies: int
    gpu_hours: float
    unknown_gpu_hours: int


@dataclass(frozen=True)
class CampaignPlan:
    """What a campaign will take."""

    campaign: str
    filed_under: str
    machine: str
    here: bool
    """Whether that is the current machine."""
    grid: str
    runs: Sequence[PlannedRun]
    downloads: Sequence[Download]
    provisions: Sequence[Provision]
    totals: Mapping[State, Total]
    free_bytes: int | None
    """Where the hub's files are kept."""

    def runs_in(self, states: Container[State]) -> list[PlannedRun]:
        """Return the runs in one of some states."""
        return [run for run in self.runs if run.state in states]


def plan_campaign(
    name: str,
    machine: str | None = None,
    grid: str = HOME,
    references: ReferenceRuns | None = None,
    here: Target | None = None,
) -> CampaignPlan:
    """Plan a campaign for the current machine, or for one of the catalogue.

    Args:
        name: the campaign.
        machine: a machine of the catalogue; the current one where None.
        grid: the grid whose carbon intensity is used; a name of data/study/grids.yaml.
        references: runs to estimate from; by default the paper's, and the records under `runs` and `data/measurements`.
        here: the current machine.

    Raises:
        UserError: one line with file and field for a fault in the campaign, and for an unknown name.
    """
    here = here or current_target()
    target = here if machine is None else _target(machine, here)
    electricity = entry("grid", grids(), grid, "--grid: ")
    assigned = assign_runs(name, target)
    references = references or load_reference_runs()
    planned = [_planned(item, target, references, electricity) for item in assigned]
    left = [run.plan for run in planned if run.state != "done"]
    runnable = [run.plan for run in planned if run.state in MEASURED_BY_RUN]
    return CampaignPlan(
        campaign=name,
        filed_under=filed_under(name, study()),
        machine=target.name,
        here=target.here,
        grid=grid,
        runs=planned,
        downloads=list_downloads(left, runnable),
        provisions=_provisions(left, target),
        totals={state: _total([run for run in planned if run.state == state]) for state in STATES},
        free_bytes=hub.free_bytes() if target.here else None,
    )


def _target(machine: str, here: Target) -> Target:
    if machine == here.name:
        return here
    if machine not in study().machines:
        raise UserError(
            f"--machine {machine}: unknown machine ({nearest(machine, [here.name, *study().machines])})"
        )
    target = target_for(machine, here, "--machine")
    return target if target.here else catalogue_target(machine)


def _planned(
    assigned: AssignedRun, target: Target, references: ReferenceRuns, electricity: Grid
) -> PlannedRun:
    run, plan = assigned.run, assigned.plan
    state, reasons, record = run_state(assigned, target)
    estimate = estimate_pass(plan, assigned.target, references)
    if record is not None and state == "done":  # one that is filed is measured again
        duration_s, energy_wh = _actual_cost(record)
    else:
        duration_s, energy_wh = _estimated_cost(plan, estimate)
    total_gpus = plan.gpus * plan.nodes
    return PlannedRun(
        run_id=plan.run_id,
        state=state,
        notebook=plan.notebook,
        model=plan.parameters.model,
        dataset=plan.parameters.dataset,
        machine=plan.machine,
        gpus=plan.gpus,
        nodes=plan.nodes,
        splits=plan.parameters.splits,
        settings=plan.parameters.model_dump(exclude_defaults=True, exclude=_NAMED),
        expected=estimate,
        duration_s=duration_s,
        energy_wh=energy_wh,
        co2e_g=None if energy_wh is None else co2e_g(energy_wh, electricity),
        gpu_hours=0.0
        if not total_gpus
        else None
        if duration_s is None
        else total_gpus * duration_s / S_PER_HOUR,
        reasons=reasons,
        published_in=run.published_in,
        reconstruction=run.reconstruction,
        plan=plan,
    )


def _actual_cost(record: Record) -> tuple[float | None, float | None]:
    """Return what a run took: all its phases."""
    energies = [phase.energy.total_wh for phase in record.phases]
    measured = [energy for energy in energies if energy is not None]
    seconds = sum(phase.duration_s for phase in record.phases)
    return seconds, sum(measured) if len(measured) == len(energies) else None


def expected_cost(plan: Plan, target: Target, references: ReferenceRuns) -> tuple[float | None, float | None]:
    """Return what a run will take, in s and Wh, as `PlannedRun` has it before the run is done; None where unknown."""
    return _estimated_cost(plan, estimate_pass(plan, target, references))


def _estimated_cost(plan: Plan, estimate: Estimate) -> tuple[float | None, float | None]:
    """Return what a run will take: in every split its window, in whole passes, and what warms it up before."""
    if estimate.pass_s is None or estimate.pass_s <= 0:
        return None, None
    texts = study().datasets[plan.parameters.dataset].split.test
    warm_up = 1.0
    if isinstance(plan, LlmPlan):
        warm_up = min(1.0, max(WARM_UP_TEXTS, plan.parameters.concurrency) / texts)
    in_window = max(1, math.ceil(plan.parameters.window_s / estimate.pass_s))
    passes = plan.parameters.splits * (in_window + warm_up)
    energy_wh = None if estimate.pass_wh is None else passes * estimate.pass_wh
    return passes * estimate.pass_s + 2 * IDLE_S + plan.parameters.cool_down_s, energy_wh


def _total(runs: Sequence[PlannedRun]) -> Total:
    durations = [run.duration_s for run in runs if run.duration_s is not None]
    energies = [run for run in runs if run.energy_wh is not None]
    hours = [run.gpu_hours for run in runs if run.gpu_hours is not None]
    return Total(
        runs=len(runs),
        duration_s=math.fsum(durations),
        unknown_durations=len(runs) - len(durations),
        energy_wh=math.fsum(run.energy_wh or 0.0 for run in energies),
        co2e_g=math.fsum(run.co2e_g or 0.0 for run in energies),
        unknown_energies=len(runs) - len(energies),
        gpu_hours=math.fsum(hours),
        unknown_gpu_hours=len(runs) - len(hours),
    )


def _provisions(left: Iterable[Plan], target: Target) -> list[Provision]:
    """Return the data that the user has to provide; on another machine its presence cannot be checked, so all is listed."""
    provisions: dict[str, Provision] = {}
    for chosen in (plan.parameters for plan in left):
        csv = study().datasets[chosen.dataset].csv
        if csv is None or csv.file == paths.SAMPLE.name:
            continue
        if not target.here or missing_data(chosen.dataset, chosen.data_dir) is not None:
            before = provisions.get(chosen.dataset)
            provisions[chosen.dataset] = Provision(chosen.dataset, csv.file, before.runs + 1 if before else 1)
    return list(provisions.values())
