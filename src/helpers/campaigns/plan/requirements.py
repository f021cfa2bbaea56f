"""What a run needs, and what of it a machine lacks: GPUs, their memory and capability, data, packages, access."""

import os
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path

from helpers.campaigns.plan.downloads import checkpoint_from_hub
from helpers.campaigns.plan.target import Place
from helpers.core import paths, units
from helpers.core.errors import UserError
from helpers.core.paths import is_folder
from helpers.measure.parameters import LlmPlan, Plan, TraditionalPlan
from helpers.models import hub
from helpers.models.llm.checkpoint import Checkpoint, find_checkpoint, is_local
from helpers.models.llm.engine import PYTHON_VARIABLE, engine_entry, engine_python, engine_url
from helpers.models.llm.engine_checks import BFLOAT16, CUDA_13, GPU_SHARE, memory_requirement
from helpers.records.environment import package_version
from helpers.study.catalogue import LanguageModel, study
from helpers.study.datasets import FOLDER_VARIABLE, load_dataset, splits

MEASURE = {
    "traditional": ("codecarbon", "scikit-learn"),
    "llm": ("codecarbon", "dspy"),
}
"""Packages that every run of a notebook needs."""


def obstacles(plan: Plan, place: Place) -> list[str]:
    """Return why a run cannot start on a machine, each with what to do; nothing where it can.

    What cannot be seen from here, such as the data on another machine, is no obstacle.
    """
    found = list(_of_gpus(plan, place))
    if isinstance(plan, LlmPlan):
        found += _of_engine(plan, place)
    if place.here:
        found += [reason for reason in (_of_packages(plan), _of_data(plan)) if reason]
        if isinstance(plan, LlmPlan):
            found += [reason for reason in (_of_checkpoint(plan),) if reason]
        elif isinstance(plan, TraditionalPlan):
            found += [reason for reason in (_of_embedding(plan),) if reason]
    return found


def notes(plan: Plan, place: Place) -> list[str]:
    """Return what has to be seen to on a machine that is not at hand: what is set here says nothing of it."""
    if place.here or not isinstance(plan, LlmPlan) or plan.served.runs_already or not plan.gpus:
        return []
    if place.capability is None or place.capability >= CUDA_13:
        return []
    return [f"on {place.name} {_too_old(place.capability)}"]


def stored_bytes(model: LanguageModel) -> int:
    """Return the size of a checkpoint on disk, from its parameters and their type."""
    return round(model.parameters_b * 1e9 * _BYTES[model.dtype])


_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


def _of_gpus(plan: Plan, place: Place) -> Iterator[str]:
    there = len(place.hardware.gpus)
    if plan.gpus > there:
        yield f"needs {units.counted(plan.gpus, 'GPU')} on a node, {place.name} has {there}"
    if place.nodes is not None and plan.nodes > place.nodes:
        yield f"needs {units.counted(plan.nodes, 'node')}, {place.name} has {place.nodes}"


def _of_engine(plan: LlmPlan, place: Place) -> Iterator[str]:
    served, model = plan.served, plan.model
    if served.runs_already:
        try:
            engine_url(served)
        except UserError as error:
            yield str(error)
        return
    try:
        engine_entry(served)
    except UserError as error:
        yield str(error)
    if plan.gpus > 1 and model.heads % plan.gpus:
        yield f"its {model.heads} attention heads cannot be spread evenly over {plan.gpus} GPUs"
    if plan.gpus and place.capability is not None:
        yield from _of_capability(plan, place, place.capability)
    yield from _of_memory(plan, place)


def _of_capability(plan: LlmPlan, place: Place, capability: tuple[int, int]) -> Iterator[str]:
    if place.here and capability < CUDA_13 and PYTHON_VARIABLE not in os.environ:
        yield _too_old(capability)  # whether the Python that is named is there, `_of_packages` says
    if plan.served.dtype == "bfloat16" and capability < BFLOAT16:
        yield f"{_has(capability)}, bfloat16 needs {BFLOAT16[0]}.{BFLOAT16[1]}: dtype=float16"


def _too_old(capability: tuple[int, int]) -> str:
    return (
        f"{_has(capability)}, the locked engine needs {CUDA_13[0]}.{CUDA_13[1]}: name the Python of a vLLM that is built "
        f"for CUDA 12 in {PYTHON_VARIABLE}"
    )


def _has(capability: tuple[int, int]) -> str:
    return f"the GPUs have compute capability {capability[0]}.{capability[1]}"


def _of_memory(plan: LlmPlan, place: Place) -> Iterator[str]:
    if plan.parameters.checkpoint:  # a folder instead of the catalogue's checkpoint: checked by itself
        return
    model = plan.model
    checkpoint = Checkpoint(
        dtype=model.dtype,
        stored_bytes=stored_bytes(model),
        context_length=model.context_length,
        kv_numbers_per_token=model.kv_bytes_per_token // 2,  # the catalogue's are of 2 bytes
    )
    required = memory_requirement(plan.served, checkpoint)
    if required is None:
        return
    if not plan.gpus:
        if not required.fits(place.hardware.ram_gb):
            yield f"needs {required.gib:.1f} GiB of memory, {place.name} has {place.hardware.ram_gb:.1f}"
        return
    if not place.hardware.gpus:
        return
    smallest_gib = min(gpu.memory_gb for gpu in place.hardware.gpus)
    if not required.fits(smallest_gib):
        each = f"each of {required.gpus} GPUs" if required.gpus > 1 else "its GPU"
        yield (
            f"needs {required.gib:.1f} GiB on {each}, {place.name} has {smallest_gib:.1f}, of which the engine uses "
            f"{GPU_SHARE:.0%}: more gpus, a quantisation, or a smaller max_model_len"
        )


def _of_packages(plan: Plan) -> str | None:
    wanted = [*MEASURE[plan.notebook]]
    if isinstance(plan, TraditionalPlan):
        wanted += ["xgboost"] if plan.model.classifier == "xgboost" else []
        wanted += ["sentence-transformers"] if plan.model.features == "embedding" else []
    if plan.nodes > 1:
        wanted.append("ray")
    if absent := [package for package in wanted if not _installed(package)]:
        return (
            f"not installed: {', '.join(absent)} (make book; for nodes: python -m pip install -e '.[nodes]')"
        )
    if isinstance(plan, LlmPlan) and not plan.served.runs_already:
        try:
            engine_python()
        except UserError as error:
            return str(error)
    return None


@cache
def _installed(package: str) -> bool:
    return package_version(package) is not None


def _of_data(plan: Plan) -> str | None:
    name, folder = plan.parameters.dataset, plan.parameters.data_dir
    item = study().datasets[name]
    missing = missing_data(name, folder)
    if missing is not None or item.csv is None or item.csv.file == paths.SAMPLE.name:
        return missing
    files = [Path(folder) / file for file in (item.csv.file, f"{name}.csv.gz")]
    state = [(file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file()]
    return _fault_of_data(name, folder, f"{state} {item!r}")


@lru_cache
def _fault_of_data(name: str, folder: str, state: str) -> str | None:
    """Look at a CSV of the user's own, which nobody has looked at before; once for each state of it."""
    return _refused(lambda: splits(load_dataset(name, folder)))


def missing_data(dataset: str, folder: str) -> str | None:
    """Return why the data of a run is not to be had here; None where it is there, or comes from the hub."""
    item = study().datasets[dataset]
    if folder and not Path(folder).is_dir():
        return (
            f"data of {dataset}: {paths.relative(Path(folder))} is no folder (data_dir or {FOLDER_VARIABLE})"
        )
    if folder and (Path(folder) / f"{dataset}.csv.gz").is_file():
        return None
    if item.csv is not None:
        if item.csv.file == paths.SAMPLE.name or (folder and (Path(folder) / item.csv.file).is_file()):
            return None
        return f"data of {dataset}: put {item.csv.file} into a folder and name it in {FOLDER_VARIABLE} or data_dir"
    if item.hub is not None and hub.offline() and not hub.has_dataset(item.hub):
        return f"data of {dataset}: neither in a folder nor in the hub's cache, and HF_HUB_OFFLINE is set"
    return None


def _of_checkpoint(plan: LlmPlan) -> str | None:
    served, model = plan.served, plan.model
    if served.runs_already:
        return None
    if is_local(served.checkpoint):
        return _refused(lambda: find_checkpoint(served.checkpoint, None, served.weights))
    return _of_hub(plan, model.gated)


def _of_hub(plan: Plan, gated: bool | None) -> str | None:
    item = checkpoint_from_hub(plan)
    if item is None or hub.complete(item):
        return None
    if hub.offline():
        return f"{item.name}: not in the hub's cache, and HF_HUB_OFFLINE is set"
    if gated and not hub.has_token():
        return f"{item.name}: gated; accept its licence on the hub, then: hf auth login, or HF_TOKEN"
    return None


def _of_embedding(plan: TraditionalPlan) -> str | None:
    name = plan.checkpoint
    if name is None:
        return None
    if is_folder(name):
        return None if Path(name).is_dir() else f"checkpoint: {paths.relative(Path(name))} is no folder"
    item = study().embeddings[name]
    if item.package is not None:
        return (
            None
            if _installed(item.package.replace("_", "-"))
            else f"not installed: {item.package} (make book)"
        )
    return _of_hub(plan, False)


def _refused(look: Callable[[], object]) -> str | None:
    try:
        look()
    except UserError as error:
        return str(error)
    return None
