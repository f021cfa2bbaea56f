"""Parameters of the measurement notebooks: checked before anything expensive starts."""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from helpers.core import paths
from helpers.core.errors import UserError, nearest, short
from helpers.core.validation import parse
from helpers.measure.plan import LlmPlan, Notebook, Plan, TraditionalPlan, catalogue_model
from helpers.measure.settings import LlmParameters, RunParameters, TraditionalParameters
from helpers.records.hardware import Hardware, detect, resolve
from helpers.study.campaigns import GridRun, filed_under, grid_runs
from helpers.study.catalogue import LanguageModel, TraditionalModel, entry, study
from helpers.study.datasets import FOLDER_VARIABLE
from helpers.study.protocols import DSPY_2025

__all__ = [
    "PARAMETERS",
    "CampaignRun",
    "LlmParameters",
    "LlmPlan",
    "Notebook",
    "Plan",
    "TraditionalParameters",
    "TraditionalPlan",
    "add_once",
    "campaign_plans",
    "campaign_runs",
    "llm_plan",
    "plan",
    "traditional_plan",
]

PARAMETERS: dict[Notebook, type[RunParameters]] = {"traditional": TraditionalParameters, "llm": LlmParameters}
"""What each notebook of `notebooks/measure` declares."""


def plan(values: Mapping[str, Any], location: str, notebook: Notebook = "traditional") -> Plan:
    """Validate parameters and resolve the machine; `location` begins its errors.

    Raises:
        UserError: one line for an unknown or ill-typed parameter, model, dataset or machine.
    """
    hardware = detect()
    chosen = _CHECKS[notebook](values, location)
    return _bound(chosen, resolve(chosen.machine, hardware, f"{location}: "), hardware)


def traditional_plan(namespace: Mapping[str, Any]) -> TraditionalPlan:
    """Validate the parameters that the cells of `traditional.ipynb` define, before it does anything else."""
    location, hardware = "parameters", detect()
    chosen = _traditional(_plain(namespace), location)
    return TraditionalPlan(chosen, resolve(chosen.machine, hardware, f"{location}: "), hardware)


def llm_plan(namespace: Mapping[str, Any]) -> LlmPlan:
    """Validate the parameters that the cells of `llm.ipynb` define, before it does anything else."""
    location, hardware = "parameters", detect()
    chosen = _llm(_plain(namespace), location)
    return LlmPlan(chosen, resolve(chosen.machine, hardware, f"{location}: "), hardware)


@dataclass(frozen=True)
class CampaignRun:
    """A run of a campaign, checked, but not yet bound to a machine."""

    parameters: RunParameters
    notebook: Notebook
    where: str
    """File and block, for errors."""
    published_in: tuple[str, ...]
    reconstruction: str | None

    def on(self, machine: str, hardware: Hardware) -> Plan:
        """Return the run as it is on a machine that need not be the current one."""
        return _bound(self.parameters, machine, hardware)


def campaign_runs(name: str) -> list[CampaignRun]:
    """Return the runs of a campaign, for whatever machines they are.

    Raises:
        UserError: one line with file and block for the first fault; also where a part has no run.
    """
    campaign = entry("campaign", study().campaigns, name)
    whole, selection = filed_under(name, study()), campaign.where or {}
    runs = [_checked(item, whole) for item in grid_runs(name, study())]
    if campaign.part_of is None:
        return runs
    location = f"{paths.relative(paths.CAMPAIGNS / f'{name}.yaml')}: where"
    keys = {"notebook", *(key for kind in PARAMETERS.values() for key in kind.model_fields)}
    if unknown := [key for key in selection if key not in keys]:
        raise UserError(f"{location}: unknown key {short(unknown[0])} ({nearest(unknown[0], keys)})")
    runs = [run for run in runs if campaign.reconstructed or run.reconstruction is None]
    taken = [run for run in runs if all(_value(run, key) == value for key, value in selection.items())]
    if not taken:
        raise UserError(f"{location}: {_without_run(selection, runs, whole)}")
    return taken


def _without_run(selection: Mapping[str, Any], runs: Sequence[CampaignRun], campaign: str) -> str:
    """Say which value of a part no run of the whole has, and which values exist."""
    for key, value in selection.items():
        available = {str(_value(run, key)) for run in runs if _value(run, key) is not None}
        if not any(_value(run, key) == value for run in runs):
            hint = f" ({nearest(value, available)})" if len(available) <= _MAX_NAMED else ""
            return f"{key}: no run of {campaign} has {short(value)}{hint}"
    return f"no run of {campaign} has these values together; correct one of them"


_MAX_NAMED = 30


def _value(run: CampaignRun, key: str) -> Any:
    return getattr(run if key == "notebook" else run.parameters, key, None)


def campaign_plans(name: str) -> list[Plan]:
    """Return the runs of a campaign for the current machine.

    Raises:
        UserError: one line with the campaign's file for the first fault; also where two runs are the same.
    """
    hardware = detect()
    plans: dict[str, Plan] = {}
    for run in campaign_runs(name):
        item = run.on(resolve(run.parameters.machine, hardware, f"{run.where}: "), hardware)
        add_once(plans, item, run.where)
    return list(plans.values())


def add_once(plans: dict[str, Plan], item: Plan, location: str) -> None:
    """Add a run to those of a campaign, by its name.

    Raises:
        UserError: one line where it is in them already.
    """
    if item.run_id in plans:
        raise UserError(
            f"{location}: the run {item.run_id} is in the grid twice; remove it here or there, or give the two another "
            "value of a parameter that changes the result"
        )
    plans[item.run_id] = item


def _checked(item: GridRun, campaign: str) -> CampaignRun:
    values = {**item.values, "campaign": campaign}
    chosen = _CHECKS[item.notebook](values, item.location)
    return CampaignRun(chosen, item.notebook, item.location, item.published_in, item.reconstruction)


def _traditional(values: Mapping[str, Any], location: str) -> TraditionalParameters:
    chosen = parse(TraditionalParameters, dict(values), location)
    catalogue_model(TraditionalModel, chosen.model, f"{location}: model: ")
    if not paths.is_folder(chosen.checkpoint):
        entry("checkpoint", study().embeddings, chosen.checkpoint, f"{location}: checkpoint: ")
    checkpoint = (
        _absolute(chosen.checkpoint, f"{location}: checkpoint")
        if paths.is_folder(chosen.checkpoint)
        else chosen.checkpoint
    )
    return _with_folders(chosen, location).model_copy(update={"checkpoint": checkpoint})


def _llm(values: Mapping[str, Any], location: str) -> LlmParameters:
    chosen = parse(LlmParameters, dict(values), location)
    catalogue_model(LanguageModel, chosen.model, f"{location}: model: ")
    chosen = _with_folders(_with_protocol(chosen, location), location)
    if "://" not in chosen.engine:  # an endpoint that runs already serves a name
        chosen = chosen.model_copy(
            update={"checkpoint": _absolute(chosen.checkpoint, f"{location}: checkpoint")}
        )
    return chosen


def _with_protocol(chosen: LlmParameters, location: str) -> LlmParameters:
    """Return the parameters as their protocol sets them.

    Raises:
        UserError: one line with a parameter that it does not leave to be chosen.
    """
    if chosen.protocol == "companion":
        if chosen.dspy_cache:
            raise UserError(
                f"{location}: dspy_cache: found True with protocol 'companion', which sends every request; "
                "leave it out, or use protocol 'dspy-2025'"
            )
        return chosen
    for name in (*DSPY_2025, "thinking_tokens"):
        value, default = getattr(chosen, name), LlmParameters.model_fields[name].default
        if value not in (default, DSPY_2025.get(name, default)):
            sets = f"sets {DSPY_2025[name]}" if name in DSPY_2025 else "counts thinking among its max_tokens"
            raise UserError(
                f"{location}: {name}: found {short(value)}, but protocol 'dspy-2025' {sets}; "
                "leave it out, or use protocol 'companion'"
            )
    return chosen.model_copy(update=dict(DSPY_2025))


_CHECKS: dict[Notebook, Callable[[Mapping[str, Any], str], RunParameters]] = {
    "traditional": _traditional,
    "llm": _llm,
}


def _bound(chosen: RunParameters, machine: str, hardware: Hardware) -> Plan:
    match chosen:
        case TraditionalParameters():
            return TraditionalPlan(chosen, machine, hardware)
        case LlmParameters():
            return LlmPlan(chosen, machine, hardware)
    raise TypeError(f"no plan for {type(chosen).__name__}")


ParametersT = TypeVar("ParametersT", bound=RunParameters)


def _with_folders(chosen: ParametersT, location: str) -> ParametersT:
    """Make folders absolute, for the notebook runs elsewhere, and take COMPANION_DATASETS where none is given.

    The dataset is known to be in the catalogue then, too.
    """
    entry("dataset", study().datasets, chosen.dataset, f"{location}: dataset: ")
    data_dir = chosen.data_dir or os.environ.get(FOLDER_VARIABLE, "")
    return chosen.model_copy(
        update={
            "data_dir": _absolute(data_dir, f"{location}: data_dir"),
            "output": _absolute(chosen.output, f"{location}: output"),
        }
    )


def _absolute(folder: str, location: str) -> str:
    """Return a folder from the root on.

    Raises:
        UserError: one line where it cannot be a folder.
    """
    if "\0" in folder:
        raise UserError(f"{location}: {short(folder)} is no folder: it holds a null character")
    try:
        path = Path(folder).expanduser().absolute()
    except RuntimeError as error:  # ~NAME, and nobody has that name
        raise UserError(f"{location}: {short(folder)} is no folder: {error}") from None
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(
                f"{location}: {short(folder)} is no folder: a path of {len(folder)} characters is too long; correct it"
            ) from None
    return str(path) if folder else ""


def _plain(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a notebook's cells define.

    papermill only warns of a parameter that the notebook does not declare, and sets it all the same:
    here every plain value of the namespace has to be a parameter.
    """
    plain = (str, int, float, list, tuple, dict, type(None))
    return {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in ("In", "Out") and isinstance(value, plain)
    }
