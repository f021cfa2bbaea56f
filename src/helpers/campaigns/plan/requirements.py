"""The requirements of a run, and which a machine does not meet: GPUs, memory, capability, data, packages, access."""

import os
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path

from helpers.campaigns.plan.downloads import hub_checkpoint, stored_bytes
from helpers.campaigns.plan.target import Target
from helpers.core import paths, units
from helpers.core.errors import UserError
from helpers.core.paths import is_folder
from helpers.measure.parameters import LlmPlan, Plan, TraditionalPlan
from helpers.models import hub
from helpers.models.embedding_archive import missing_embedding
from helpers.models.llm.checkpoint import Checkpoint, find_checkpoint, is_local
from helpers.models.llm.engine import PYTHON_VARIABLE, engine_entry, engine_python, engine_url
from helpers.models.llm.engine_checks import BFLOAT16, CUDA_13, GPU_SHARE, memory_requirement
from helpers.models.llm.entry_checks import check_folder
from helpers.records.environment import package_version
from helpers.study.catalogue import study
from helpers.study.datasets import (
    FOLDER_VARIABLE,
    Dataset,
    check_training_labels,
    load_dataset,
    local_file,
    splits,
)

MEASURE = {
    "traditional": ("codecarbon", "scikit-learn"),
    "llm": ("codecarbon", "dspy"),
}
"""Packages that every run of a notebook needs."""


def blockers(plan: Plan, target: Target) -> list[str]:
    """Return why a run cannot start on a machine, each with what to do; nothing where it can.

    What cannot be seen from here, such as the data on another machine, is no blocker.
    """
    reasons = list(_gpu_blockers(plan, target))
    if isinstance(plan, LlmPlan):
        reasons += _engine_blockers(plan, target)
    if target.here:
        reasons += [reason for reason in (_package_blocker(plan), _data_blocker(plan)) if reason]
        if isinstance(plan, LlmPlan):
            reasons += [reason for reason in (_checkpoint_blocker(plan),) if reason]
        elif isinstance(plan, TraditionalPlan):
            reasons += [reason for reason in (_embedding_blocker(plan),) if reason]
    return reasons


def remote_notes(plan: Plan, target: Target) -> list[str]:
    """Return what has to be set up on a machine that is not the current one: settings here do not apply there."""
    if target.here or not isinstance(plan, LlmPlan) or plan.served.runs_already or not plan.gpus:
        return []
    if target.capability is None or target.capability >= CUDA_13:
        return []
    return [f"on {target.name} {_too_old(target.capability)}"]


def _gpu_blockers(plan: Plan, target: Target) -> Iterator[str]:
    gpu_count = len(target.hardware.gpus)
    if plan.gpus > gpu_count:
        yield f"needs {units.counted(plan.gpus, 'GPU')} on a node, {target.name} has {gpu_count}"
    if target.nodes is not None and plan.nodes > target.nodes:
        yield f"needs {units.counted(plan.nodes, 'node')}, {target.name} has {target.nodes}"


def _engine_blockers(plan: LlmPlan, target: Target) -> Iterator[str]:
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
    if plan.gpus and target.capability is not None:
        yield from _capability_blockers(plan, target, target.capability)
    yield from _memory_blockers(plan, target)


def _capability_blockers(plan: LlmPlan, target: Target, capability: tuple[int, int]) -> Iterator[str]:
    if target.here and capability < CUDA_13 and PYTHON_VARIABLE not in os.environ:
        yield _too_old(capability)  # whether the named Python exists, `_package_blocker` checks
    if plan.served.dtype == "bfloat16" and capability < BFLOAT16:
        yield f"{_has(capability)}, bfloat16 needs {BFLOAT16[0]}.{BFLOAT16[1]}: dtype=float16"


def _too_old(capability: tuple[int, int]) -> str:
    return (
        f"{_has(capability)}, the locked engine needs {CUDA_13[0]}.{CUDA_13[1]}: name the Python of a vLLM that is built "
        f"for CUDA 12 in {PYTHON_VARIABLE}"
    )


def _has(capability: tuple[int, int]) -> str:
    return f"the GPUs have compute capability {capability[0]}.{capability[1]}"


def _memory_blockers(plan: LlmPlan, target: Target) -> Iterator[str]:
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
        if not required.fits(target.hardware.ram_gb):
            yield f"needs {required.gib:.1f} GiB of memory, {target.name} has {target.hardware.ram_gb:.1f}"
        return
    if not target.hardware.gpus:
        return
    smallest_gib = min(gpu.memory_gb for gpu in target.hardware.gpus)
    if not required.fits(smallest_gib):
        each = f"each of {required.gpus} GPUs" if required.gpus > 1 else "its GPU"
        yield (
            f"needs {required.gib:.1f} GiB on {each}, {target.name} has {smallest_gib:.1f}, of which the engine uses "
            f"{GPU_SHARE:.0%}: more gpus, a quantisation, or a smaller max_model_len"
        )


def _package_blocker(plan: Plan) -> str | None:
    packages = [*MEASURE[plan.notebook]]
    if isinstance(plan, TraditionalPlan):
        packages += ["xgboost"] if plan.model.classifier == "xgboost" else []
        packages += ["sentence-transformers"] if plan.model.features == "embedding" else []
    if plan.nodes > 1:
        packages.append("ray")
    if absent := [package for package in packages if not _installed(package)]:
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


def _data_blocker(plan: Plan) -> str | None:
    missing = missing_data(plan.parameters.dataset, plan.parameters.data_dir)
    return missing if missing is not None else _refused(lambda: _check_data(plan))


def _check_data(plan: Plan) -> None:
    dataset = dataset_here(plan)
    if dataset is not None and isinstance(plan, TraditionalPlan):
        for split in splits(dataset)[: plan.parameters.splits]:
            check_training_labels(dataset, split)


def dataset_here(plan: Plan) -> Dataset | None:
    """Return the dataset of a run where it is a file of this machine; None where it would have to be asked for.

    Raises:
        UserError: one line for a fault in the file, or a split that it is too small for.
    """
    name, folder = plan.parameters.dataset, plan.parameters.data_dir
    file = local_file(name, folder)
    if file is None:
        return None
    state = file.stat()
    return _loaded(name, folder, f"{file} {state.st_mtime_ns} {state.st_size} {study().datasets[name]!r}")


@lru_cache
def _loaded(name: str, folder: str, state: str) -> Dataset:
    """Load and split a file; once for each `state` of it."""
    dataset = load_dataset(name, folder)
    splits(dataset)
    return dataset


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


def _checkpoint_blocker(plan: LlmPlan) -> str | None:
    served, model = plan.served, plan.model
    if served.runs_already:
        return None
    if is_local(served.checkpoint):
        folder = Path(served.checkpoint).expanduser()
        return _refused(lambda: check_folder(folder, plan.parameters.model, model)) or _refused(
            lambda: find_checkpoint(served.checkpoint, None, served.weights)
        )
    return _hub_blocker(plan, model.gated)


def _hub_blocker(plan: Plan, gated: bool | None) -> str | None:
    item = hub_checkpoint(plan)
    if item is None or hub.complete(item):
        return None
    if hub.offline():
        return f"{item.name}: not in the hub's cache, and HF_HUB_OFFLINE is set"
    if gated and not hub.has_token():
        return f"{item.name}: gated; accept its licence on the hub, then: hf auth login, or HF_TOKEN"
    return None


def _embedding_blocker(plan: TraditionalPlan) -> str | None:
    name = plan.checkpoint
    if name is None:
        return None
    if is_folder(name):
        return None if Path(name).is_dir() else f"checkpoint: {paths.relative(Path(name))} is no folder"
    item = study().embeddings[name]
    if item.archive is not None:
        return missing_embedding(name)
    if item.package is not None:
        return (
            None
            if _installed(item.package.replace("_", "-"))
            else f"not installed: {item.package} (make book)"
        )
    return _hub_blocker(plan, False)


def _refused(check: Callable[[], object]) -> str | None:
    try:
        check()
    except UserError as error:
        return str(error)
    return None
