"""Parameters of the measurement notebooks: checked before anything expensive starts."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from helpers import paths
from helpers.datasets import FOLDER_VARIABLE
from helpers.errors import UserError
from helpers.llm.asking import Asking
from helpers.llm.engine import EngineSettings
from helpers.machine import Hardware, detect, resolve
from helpers.settings import LlmParameters, RunParameters, TraditionalParameters
from helpers.study import LanguageModel, TraditionalModel, entry, study
from helpers.validation import parse

__all__ = [
    "PARAMETERS",
    "LlmParameters",
    "LlmPlan",
    "Notebook",
    "Plan",
    "TraditionalParameters",
    "TraditionalPlan",
    "campaign_plans",
    "is_folder",
    "llm_plan",
    "plan",
    "traditional_plan",
]

Notebook = Literal["traditional", "llm"]
PARAMETERS: dict[Notebook, type[RunParameters]] = {"traditional": TraditionalParameters, "llm": LlmParameters}
"""What each notebook of `notebooks/measure` declares."""


@dataclass(frozen=True)
class Plan(ABC):
    """A run that can start: its parameters, resolved."""

    parameters: RunParameters
    machine: str
    hardware: Hardware
    notebook: ClassVar[Notebook]

    @property
    @abstractmethod
    def gpus(self) -> int:
        """GPUs that the run uses on each node."""

    @property
    @abstractmethod
    def nodes(self) -> int:
        """Nodes that the run uses."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Every setting that can change the result, beside model, dataset and machine."""

    @property
    def run_id(self) -> str:
        """Name of the run: readable, and different for every setting that can change the result."""
        settings = {**self.settings, "machine": self.machine}
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.parameters.dataset}-{self.parameters.model}-{key}"

    @property
    def folder(self) -> Path:
        """Where the record of the run appears."""
        base = Path(self.parameters.output) if self.parameters.output else paths.RUNS
        return base / self.parameters.campaign / self.run_id


@dataclass(frozen=True)
class TraditionalPlan(Plan):
    """A run of a traditional model."""

    parameters: TraditionalParameters
    notebook = "traditional"

    @property
    def model(self) -> TraditionalModel:
        """The model's entry in the catalogue."""
        return _model(TraditionalModel, self.parameters.model)

    @property
    def checkpoint(self) -> str | None:
        """The sentence embedding, for the models that need one."""
        return self.parameters.checkpoint if self.model.features == "embedding" else None

    @property
    def gpus(self) -> int:
        """1 where a sentence embedding is computed on a GPU: torch takes the first one."""
        return 1 if self.checkpoint is not None and self.parameters.device == "cuda" else 0

    @property
    def nodes(self) -> int:
        """Always 1."""
        return 1

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting that can change the result; no checkpoint for models that need none."""
        chosen = self.parameters.model_dump(include={"device", "splits", "window_s"})
        return {**chosen, "checkpoint": self.checkpoint}


@dataclass(frozen=True)
class LlmPlan(Plan):
    """A run of a language model."""

    parameters: LlmParameters
    notebook = "llm"

    @property
    def model(self) -> LanguageModel:
        """The model's entry in the catalogue."""
        return _model(LanguageModel, self.parameters.model)

    @property
    def gpus(self) -> int:
        """GPUs that the run uses on each node."""
        return self.parameters.gpus

    @property
    def nodes(self) -> int:
        """Nodes that the run uses."""
        return self.parameters.nodes

    @property
    def language(self) -> Literal["de", "en"]:
        """Language of the instruction."""
        return self.parameters.language or study().datasets[self.parameters.dataset].language

    @property
    def served(self) -> EngineSettings:
        """What to serve."""
        chosen, model = self.parameters, self.model
        of_study = str(paths.ROOT / model.checkpoint) if model.is_folder else model.checkpoint
        elsewhere = "://" in chosen.engine  # which revision it serves, nobody here knows
        return EngineSettings(
            engine=chosen.engine,
            checkpoint=chosen.checkpoint or of_study,
            revision=None if chosen.checkpoint or elsewhere else model.revision,
            gpus=chosen.gpus,
            nodes=chosen.nodes,
            dtype=chosen.dtype,
            quantisation=chosen.quantisation,
            weights="dummy" if chosen.weights == "dummy" else "checkpoint",
            max_model_len=chosen.max_model_len or None,
            prefix_caching=chosen.prefix_caching,
            trust_remote_code=model.trust_remote_code,
        )

    @property
    def asking(self) -> Asking:
        """How to ask."""
        chosen, reasoning = self.parameters, self.model.reasoning
        return Asking(
            concurrency=chosen.concurrency,
            timeout_s=chosen.timeout_s,
            max_tokens=chosen.max_tokens,
            output_mode=chosen.output_mode,
            json_fallback=chosen.json_fallback,
            reasoning=reasoning,
            thinking_tokens=chosen.thinking_tokens if reasoning else 0,
            ignore_eos=chosen.weights == "dummy",
            temperature=chosen.temperature,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting that can change the result; language and thinking as they are used."""
        elsewhere = {"model", "dataset", "machine", "campaign", "data_dir", "output"}
        chosen = self.parameters.model_dump(exclude=elsewhere | {"start_timeout_s", "keep_answers"})
        return {**chosen, "language": self.language, "thinking_tokens": self.asking.thinking_tokens}


def plan(values: Mapping[str, Any], where: str, notebook: Notebook = "traditional") -> Plan:
    """Validate parameters and resolve the machine; `where` names their place in an error.

    Raises:
        UserError: one line for an unknown or ill-typed parameter, model, dataset or machine.
    """
    return {"traditional": _plan_traditional, "llm": _plan_llm}[notebook](values, where)


def traditional_plan(namespace: Mapping[str, Any]) -> TraditionalPlan:
    """Validate the parameters that the cells of `traditional.ipynb` define, before it does anything else."""
    return _plan_traditional(_plain(namespace), "parameters")


def llm_plan(namespace: Mapping[str, Any]) -> LlmPlan:
    """Validate the parameters that the cells of `llm.ipynb` define, before it does anything else."""
    return _plan_llm(_plain(namespace), "parameters")


def is_folder(checkpoint: str) -> bool:
    """Say whether a checkpoint is given as a folder: with a slash, as `./model`; else it is a name of the catalogue."""
    return "/" in checkpoint


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
            item = plan({**settings, "campaign": name}, f"{where}: grid.{number}", campaign.notebook)
            if item.run_id in plans:
                raise UserError(f"{where}: grid.{number}: the run {item.run_id} stands in the grid twice")
            plans[item.run_id] = item
    return list(plans.values())


def _plan_traditional(values: Mapping[str, Any], where: str) -> TraditionalPlan:
    chosen = parse(TraditionalParameters, dict(values), where)
    _model(TraditionalModel, chosen.model, f"{where}: ")
    if not is_folder(chosen.checkpoint):
        entry("checkpoint", study().embeddings, chosen.checkpoint, f"{where}: ")
    checkpoint = _absolute(chosen.checkpoint) if is_folder(chosen.checkpoint) else chosen.checkpoint
    chosen = _with_folders(chosen).model_copy(update={"checkpoint": checkpoint})
    return TraditionalPlan(chosen, *_place(chosen, where))


def _plan_llm(values: Mapping[str, Any], where: str) -> LlmPlan:
    chosen = parse(LlmParameters, dict(values), where)
    _model(LanguageModel, chosen.model, f"{where}: ")
    chosen = _with_folders(chosen)
    if "://" not in chosen.engine:  # an endpoint that runs already serves a name
        chosen = chosen.model_copy(update={"checkpoint": _absolute(chosen.checkpoint)})
    return LlmPlan(chosen, *_place(chosen, where))


def _place(chosen: RunParameters, where: str) -> tuple[str, Hardware]:
    """Return the name of the machine and its hardware, once the dataset is known to be in the catalogue."""
    entry("dataset", study().datasets, chosen.dataset, f"{where}: ")
    hardware = detect()
    return resolve(chosen.machine, hardware, f"{where}: "), hardware


ParametersT = TypeVar("ParametersT", bound=RunParameters)
ModelT = TypeVar("ModelT", TraditionalModel, LanguageModel)


def _with_folders(chosen: ParametersT) -> ParametersT:
    """Make folders absolute, for the notebook runs elsewhere, and take COMPANION_DATASETS where none is given."""
    data_dir = chosen.data_dir or os.environ.get(FOLDER_VARIABLE, "")
    return chosen.model_copy(update={"data_dir": _absolute(data_dir), "output": _absolute(chosen.output)})


def _absolute(folder: str) -> str:
    return str(Path(folder).expanduser().absolute()) if folder else ""


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


def _product(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = [{}]
    for key, value in block.items():
        options = value if isinstance(value, list) else [value]
        runs = [{**run, key: option} for run in runs for option in options]
    return runs


def _model(kind: type[ModelT], name: str, where: str = "") -> ModelT:
    known = {key: model for key, model in study().models.items() if isinstance(model, kind)}
    return entry(_KINDS[kind], known, name, where)


_KINDS: dict[type, str] = {TraditionalModel: "traditional model", LanguageModel: "language model"}
