"""Parameters of the measurement notebooks: checked before anything expensive starts."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from helpers import paths
from helpers.datasets import FOLDER_VARIABLE
from helpers.errors import UserError
from helpers.machine import Hardware, detect, resolve
from helpers.study import NAME, PAPER_EMBEDDING, TraditionalModel, entry, study
from helpers.validation import Strict, parse


class TraditionalParameters(Strict):
    """Parameters of `notebooks/measure/traditional.ipynb`."""

    model: str = "linear-tfidf"
    """A traditional model of the catalogue."""
    dataset: str = "fktg-sample"
    """A dataset of the catalogue."""
    machine: str = "auto"
    """The machine at hand, or the name of the paper's machine that it is."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where a sentence embedding is computed; the paper used a GPU."""
    campaign: str = Field(default="local", pattern=NAME)
    """The name that the run is filed under."""
    splits: int = Field(default=10, ge=1, le=10)
    """How many of the 10 fixed splits, from the first."""
    window_s: float = Field(default=5.0, gt=0, le=3600)
    """Passes repeat until this many seconds are over; below 5 a check fails."""
    checkpoint: str = PAPER_EMBEDDING
    """Sentence embedding: one of the catalogue, or a folder, written with a slash."""
    data_dir: str = ""
    """Folder with NAME.csv.gz files; the default is what COMPANION_DATASETS names."""
    output: str = ""
    """Folder that receives CAMPAIGN/RUN/record.json; the default is runs."""


@dataclass(frozen=True)
class Plan:
    """A run that can start: its parameters, resolved."""

    parameters: TraditionalParameters
    machine: str
    hardware: Hardware

    @property
    def model(self) -> TraditionalModel:
        """The model's entry in the catalogue."""
        return _traditional(self.parameters.model)

    @property
    def checkpoint(self) -> str | None:
        """The sentence embedding, for the models that need one."""
        return self.parameters.checkpoint if self.model.features == "embedding" else None

    @property
    def run_id(self) -> str:
        """Name of the run: readable, and different for every setting that can change the result."""
        chosen = self.parameters
        settings = {
            "machine": self.machine,
            "device": chosen.device,
            "splits": chosen.splits,
            "window_s": chosen.window_s,
            "checkpoint": self.checkpoint,
        }
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return f"{chosen.dataset}-{chosen.model}-{key}"

    @property
    def folder(self) -> Path:
        """Where the record of the run appears."""
        base = Path(self.parameters.output) if self.parameters.output else paths.RUNS
        return base / self.parameters.campaign / self.run_id


def plan(values: Mapping[str, Any], where: str) -> Plan:
    """Validate parameters and resolve the machine; `where` names their place in an error.

    Raises:
        UserError: one line for an unknown or ill-typed parameter, model, dataset or machine.
    """
    parameters = _absolute(parse(TraditionalParameters, dict(values), where))
    _traditional(parameters.model, f"{where}: ")
    entry("dataset", study().datasets, parameters.dataset, f"{where}: ")
    if not is_folder(parameters.checkpoint):
        entry("checkpoint", study().embeddings, parameters.checkpoint, f"{where}: ")
    hardware = detect()
    return Plan(parameters, resolve(parameters.machine, hardware, f"{where}: "), hardware)


def plan_from_notebook(namespace: Mapping[str, Any]) -> Plan:
    """Validate the parameters that a notebook's cells define, before it does anything else.

    papermill only warns of a parameter that the notebook does not declare, and sets it all the same:
    here every plain value of the namespace has to be a parameter.
    """
    plain = (str, int, float, list, tuple, dict, type(None))
    values = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in ("In", "Out") and isinstance(value, plain)
    }
    return plan(values, "parameters")


def is_folder(checkpoint: str) -> bool:
    """Say whether a checkpoint is given as a folder: with a slash, as `./model`; else it is a name of the catalogue."""
    return "/" in checkpoint


def _absolute(parameters: TraditionalParameters) -> TraditionalParameters:
    """Make folders absolute, for the notebook runs elsewhere, and take COMPANION_DATASETS where none is given."""

    def absolute(folder: str) -> str:
        return str(Path(folder).expanduser().absolute()) if folder else ""

    checkpoint = parameters.checkpoint
    return parameters.model_copy(
        update={
            "data_dir": absolute(parameters.data_dir or os.environ.get(FOLDER_VARIABLE, "")),
            "output": absolute(parameters.output),
            "checkpoint": absolute(checkpoint) if is_folder(checkpoint) else checkpoint,
        }
    )


def campaign_plans(name: str) -> list[Plan]:
    """Return the runs of a campaign for the machine at hand.

    Raises:
        UserError: one line with the campaign's file for the first fault; also where two runs are the same.
    """
    campaign = entry("campaign", study().campaigns, name)
    where = paths.relative(paths.CAMPAIGNS / f"{name}.yaml")
    plans: dict[str, Plan] = {}
    for number, block in enumerate(campaign.grid):
        runs = _product(block)
        if not runs:
            raise UserError(f"{where}: grid.{number}: a list in it is empty, so it has no run")
        for settings in runs:
            if "campaign" in settings or "output" in settings:
                raise UserError(
                    f"{where}: grid.{number}: 'campaign' and 'output' are set by the campaign itself"
                )
            item = plan({**settings, "campaign": name}, f"{where}: grid.{number}")
            if item.run_id in plans:
                raise UserError(f"{where}: grid.{number}: the run {item.run_id} stands in the grid twice")
            plans[item.run_id] = item
    return list(plans.values())


def _product(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = [{}]
    for key, value in block.items():
        options = value if isinstance(value, list) else [value]
        runs = [{**run, key: option} for run in runs for option in options]
    return runs


def _traditional(name: str, where: str = "") -> TraditionalModel:
    known = {key: model for key, model in study().models.items() if isinstance(model, TraditionalModel)}
    return entry("traditional model", known, name, where)
