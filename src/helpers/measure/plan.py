"""The plan of a run: its parameters resolved to a model, an engine, settings, a name and a folder."""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.measure.settings import LlmParameters, RunParameters, TraditionalParameters
from helpers.models.llm.engine import EngineSettings, engines
from helpers.models.llm.generation import GenerationConfig
from helpers.records.hardware import Hardware
from helpers.study.catalogue import LanguageModel, TraditionalModel, entry, study

Notebook = Literal["traditional", "llm"]


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
    def engine_threads(self) -> int:
        """Threads on the CPU with which an engine computes that is started for the run; 0 where there is none."""
        return 0

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Every setting that can change the result, beside model, dataset and machine; not how long it rested."""

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
        return catalogue_model(TraditionalModel, self.parameters.model)

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
        return catalogue_model(LanguageModel, self.parameters.model)

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
        if model.gguf is not None and self._serves_gguf:
            of_study = str(Path(of_study) / model.gguf.file.name)
        elsewhere = "://" in chosen.engine  # which revision it serves, nobody here knows
        here = not (elsewhere or chosen.gpus or chosen.nodes > 1)
        revision = None if chosen.checkpoint or elsewhere else model.revision
        return EngineSettings(
            engine=chosen.engine,
            checkpoint=chosen.checkpoint or of_study,
            revision=revision,
            threads=(chosen.threads or self.hardware.cpu_cores) if here else 0,
            gpus=chosen.gpus,
            nodes=chosen.nodes,
            dtype=chosen.dtype,
            quantisation=chosen.quantisation,
            weights="dummy" if chosen.weights == "dummy" else "checkpoint",
            max_model_len=chosen.max_model_len or None,
            prefix_caching=chosen.prefix_caching,
            trust_remote_code=model.trust_remote_code and revision is not None,  # a folder holds other code
        )

    @property
    def engine_threads(self) -> int:
        """Threads on the CPU with which the engine computes; 0 where GPUs, other nodes or other programs serve."""
        return self.served.threads

    @property
    def weights(self) -> str:
        """What the weights are, as `helpers.records.schema_run.Weights` has it."""
        chosen, gguf = self.parameters, self.model.gguf
        if chosen.weights == "dummy" or gguf is None or chosen.checkpoint:
            return chosen.weights
        if "://" in chosen.engine:  # it may serve the file as it is, or read back
            return "unknown"
        return gguf.quantisation if self._serves_gguf else f"dequantised {gguf.quantisation}"

    @property
    def _serves_gguf(self) -> bool:
        """Whether the engine serves quantised weights as they are stored."""
        chosen = engines().get(self.parameters.engine)
        return chosen is not None and chosen.gguf

    @property
    def generation(self) -> GenerationConfig:
        """Settings of the requests; the protocol `dspy-2025` counts thinking among the tokens of the answer."""
        chosen, reasoning = self.parameters, self.model.reasoning
        on_top = reasoning and chosen.protocol == "companion"
        return GenerationConfig(
            concurrency=chosen.concurrency,
            timeout_s=chosen.timeout_s,
            max_tokens=chosen.max_tokens,
            output_mode=chosen.output_mode,
            json_fallback=chosen.json_fallback,
            reasoning=reasoning,
            thinking_tokens=chosen.thinking_tokens if on_top else 0,
            ignore_eos=chosen.weights == "dummy",
            temperature=chosen.temperature,
            protocol=chosen.protocol,
            dspy_cache=chosen.dspy_cache,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting that can change the result; language and thinking as they are used.

        Runs by the companion's protocol keep the names that they had when there was no other.
        """
        elsewhere = {"model", "dataset", "machine", "campaign", "data_dir", "output"}
        if self.parameters.protocol == "companion":
            elsewhere |= {"protocol", "dspy_cache"}
        chosen = self.parameters.model_dump(
            exclude=elsewhere | {"cool_down_s", "start_timeout_s", "keep_answers", "threads"}
        )
        return {
            **chosen,
            **({"threads": self.engine_threads} if self.engine_threads else {}),
            "language": self.language,
            "thinking_tokens": self.generation.thinking_tokens,
        }


ModelT = TypeVar("ModelT", TraditionalModel, LanguageModel)


def catalogue_model(kind: type[ModelT], name: str, prefix: str = "") -> ModelT:
    """Return a model's entry in the catalogue; `prefix` begins an error.

    Raises:
        UserError: one line where it is unknown, or of another kind.
    """
    models = {key: model for key, model in study().models.items() if isinstance(model, kind)}
    if name not in models and name in study().models:
        what, notebook = _KINDS[type(study().models[name])]
        raise UserError(f"{prefix}{name} is a {what}: it is measured by the notebook {notebook}")
    return entry(_KINDS[kind][0], models, name, prefix)


_KINDS: dict[type, tuple[str, str]] = {
    TraditionalModel: ("traditional model", "traditional"),
    LanguageModel: ("language model", "llm"),
}
"""What a kind of models is called, and which notebook measures it."""
