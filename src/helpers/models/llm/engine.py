"""Which engine serves a checkpoint, how it is started, and whether it can: checks before anything starts."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from helpers.core import paths
from helpers.core.cores import usable_cores
from helpers.core.errors import UserError
from helpers.core.validation import Strict, load_yaml, parse
from helpers.models.llm.checkpoint import is_local
from helpers.models.llm.generation import Constraint, GenerationConfig
from helpers.study.catalogue import entry

ENGINES = paths.STUDY / "engines.yaml"
PYTHON_VARIABLE = "COMPANION_LLM_PYTHON"

Option = Literal[
    "revision",
    "dtype",
    "quantisation",
    "dummy",
    "max_model_len",
    "prefix_caching",
    "no_prefix_caching",
    "trust_remote_code",
    "cpu",
    "threads",
    "one_gpu",
    "gpus",
    "nodes",
]
_NEEDLESS: frozenset[Option] = frozenset({"cpu", "threads", "one_gpu", "no_prefix_caching", "revision"})
"""What an engine without the option does anyway, or says in another way."""


@dataclass(frozen=True)
class EngineSettings:
    """What to start; recorded."""

    engine: str
    """A name in `data/study/engines.yaml`, or the URL (`http(s)://.../v1`) of an endpoint that runs already."""
    checkpoint: str
    """A local folder, or a repository on the Hugging Face hub; of an endpoint: the name it serves."""
    revision: str | None = None
    """Commit on the hub; None for a local folder."""
    threads: int = 0
    """Threads that compute on the CPU; 0: as many as the engine chooses, which is not recorded."""
    gpus: int = 0
    """GPUs of each node, over which every layer is spread (tensor parallel); 0: the CPU serves."""
    nodes: int = 1
    """Nodes over which the layers are spread (pipeline parallel, with Ray)."""
    dtype: str = "auto"
    quantisation: str = ""
    """Passed through; empty: none, or what the checkpoint itself says."""
    weights: Literal["checkpoint", "dummy"] = "checkpoint"
    """`dummy`: random weights of the checkpoint's shape; only its configuration and tokeniser are needed."""
    max_model_len: int | None = None
    """Tokens of prompt and answer together; None: what the checkpoint allows."""
    prefix_caching: bool = False
    trust_remote_code: bool = False

    @property
    def runs_already(self) -> bool:
        """Say whether the engine is an endpoint that somebody else has started."""
        return "://" in self.engine


class EngineEntry(Strict):
    """How to start one engine."""

    title: str
    packages: list[str] = Field(min_length=1)
    """The first of these that is installed gives the version."""
    install: str
    """Command that installs it."""
    command: list[str]
    options: dict[Option, list[str]] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)
    cpu_environment: dict[str, str] = Field(default_factory=dict)
    """Beside `environment` where the engine computes on the CPU of one node; `{threads}` is their number, `{cores}` the
    numbers of their cores."""
    key_variable: str | None = None
    """Environment variable for the key that requests have to give; None where the engine knows no keys."""
    counters: bool = False
    """Whether `/metrics` has vLLM's counters."""
    health: str = "/health"
    """Path that answers once the engine has started."""
    gguf: bool = False
    """Whether it serves the GGUF file of a model, its weights as they are stored, in place of a folder."""
    always_prefix_caching: bool = False
    """Whether it keeps the beginning of the last prompt, whatever it is told."""
    constraint: Constraint | None = None
    """Field of a request that holds an answer to the categories; None where it has none."""
    revision_in_name: bool = False
    """Whether the revision of a repository on the hub follows its name, as `NAME@REVISION`."""
    name: Literal["{name}", "{checkpoint}"] = "{name}"
    """Under which name requests find the model."""


class _Engines(Strict):
    engines: dict[str, EngineEntry]


@cache
def engines() -> dict[str, EngineEntry]:
    """Return the catalogue of engines, read once per process."""
    location = f"{paths.relative(ENGINES)}"
    return parse(_Engines, load_yaml(ENGINES, location), location).engines


def engine_entry(settings: EngineSettings) -> EngineEntry:
    """Return how to start the engine of `settings`.

    Raises:
        UserError: one line where it is unknown, or has no option for a setting.
    """
    chosen = entry("engine", engines(), settings.engine)
    if lacking := [
        option for option in _options(settings) if option not in chosen.options and option not in _NEEDLESS
    ]:
        able = [name for name, other in engines().items() if set(lacking) <= other.options.keys()]
        raise UserError(
            f"engine={settings.engine}: it has no option for {', '.join(lacking)}; use engine={' or '.join(able)}, "
            "or leave the setting out"
        )
    if chosen.always_prefix_caching and not settings.prefix_caching:
        raise UserError(
            f"engine={settings.engine}: it always keeps the beginning of the last prompt, found prefix_caching=False; set "
            "prefix_caching=true"
        )
    return chosen


def check_constraint(settings: EngineSettings, config: GenerationConfig) -> None:
    """Refuse an engine that cannot hold its answers to the categories; an endpoint that runs already is tried later.

    Raises:
        UserError: one line with the engines that can.
    """
    if config.output_mode == "free" or settings.runs_already or engine_entry(settings).constraint:
        return
    able = [name for name, other in engines().items() if other.constraint]
    raise UserError(
        f"output_mode=constrained: engine={settings.engine} does not hold its answers to the categories; use "
        f"engine={' or '.join(able)}, or output_mode=free"
    )


def engine_url(settings: EngineSettings) -> str:
    """Return the address of an endpoint that runs already.

    Raises:
        UserError: one line where it is none.
    """
    url = settings.engine.rstrip("/")
    if not re.fullmatch(r"https?://([\w.-]+|\[[\da-fA-F:]+\])(:\d+)?(/[^\s?#]*)?/v1", url):
        raise UserError(
            f"engine={settings.engine}: expected http(s)://HOST[:PORT]/v1, without a name or key in it"
        )
    return url


def engine_python() -> Path:
    """Return the Python that has the engine.

    Raises:
        UserError: one line where it does not exist.
    """
    file = Path(os.environ.get(PYTHON_VARIABLE, paths.ROOT / ".venv-llm" / "bin" / "python"))
    if not file.is_file():
        raise UserError(
            f"no engine found at {paths.relative(file)}; install one: make llm (CPU) or make llm LLM=gpu, or name the "
            f"Python of another environment with vLLM: {PYTHON_VARIABLE}=/path/to/python"
        )
    return file


@dataclass(frozen=True)
class Installed:
    """The package of an engine, as it is installed."""

    package: str
    version: str


def installed_engine(settings: EngineSettings, python: Path) -> Installed:
    """Return which package of the engine is installed.

    Raises:
        UserError: one line where it is not.
    """
    packages = engine_entry(settings).packages
    program = (
        "import sys; from importlib.metadata import distributions as d; "
        "v = {i.name.replace('_', '-').lower(): i.version for i in d()}; "
        "print(next((f'{n} {v[n]}' for n in sys.argv[1:] if n in v), ''))"
    )
    done = subprocess.run(
        [str(python), "-c", program, *packages], capture_output=True, text=True, check=False, timeout=120
    )
    package, _, version = done.stdout.strip().partition(" ")
    if not version:
        raise UserError(
            f"engine={settings.engine}: {' or '.join(packages)} not found in the environment of "
            f"{paths.relative(python)}; install it: {engine_entry(settings).install}"
        )
    return Installed(package, version)


def command(settings: EngineSettings, values: Mapping[str, str]) -> list[str]:
    """Return the command that starts the engine; `values` gives python, checkpoint, name, port and kv_cache_bytes."""
    chosen = engine_entry(settings)
    parts = [
        *chosen.command,
        *(part for option in _options(settings) for part in chosen.options.get(option, [])),
    ]
    substitutions = {
        **values,
        "revision": str(settings.revision),
        "dtype": settings.dtype,
        "quantisation": settings.quantisation,
        "max_model_len": str(settings.max_model_len),
        "threads": str(settings.threads),
        "gpus": str(settings.gpus),
        "nodes": str(settings.nodes),
    }
    return [part.format_map(substitutions) for part in parts]


def cores(settings: EngineSettings) -> str:
    """Return the numbers of the cores that the engine's threads are bound to: the first that this process may use."""
    return ",".join(map(str, usable_cores()[: settings.threads]))


def served_name(settings: EngineSettings) -> str:
    """Return a short name for the model: that of the folder, or of the repository."""
    return (
        Path(settings.checkpoint).expanduser().resolve().name
        if is_local(settings.checkpoint)
        else settings.checkpoint
    )


def _options(settings: EngineSettings) -> Sequence[Option]:
    """Return the options that the settings require."""
    requested: dict[Option, bool] = {
        "revision": settings.revision is not None,
        "dtype": settings.dtype != "auto",
        "quantisation": settings.quantisation != "",
        "dummy": settings.weights == "dummy",
        "max_model_len": settings.max_model_len is not None,
        "prefix_caching": settings.prefix_caching,
        "no_prefix_caching": not settings.prefix_caching,
        "trust_remote_code": settings.trust_remote_code,
        "cpu": settings.gpus == 0,
        "threads": settings.threads > 0,
        "one_gpu": settings.gpus == 1,
        "gpus": settings.gpus > 1,
        "nodes": settings.nodes > 1,
    }
    return [option for option, is_set in requested.items() if is_set]
