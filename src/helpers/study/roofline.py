"""Lower bounds of time and energy of language models for a set of texts, by the limits of the hardware (roofline).

Every token costs 2 floating-point operations per parameter that it uses, and every step that makes a token reads all
weights from the GPU's memory once, for as many texts as are in work at that moment. One text at a time, the weights are
read for each token of each text; all texts together, once per token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import Field

from helpers.core import paths
from helpers.core.validation import Strict, load_yaml, parse
from helpers.study.catalogue import LanguageModel, is_card

GPUS = paths.STUDY / "gpus.yaml"
TOKENS_IN = 600
"""Tokens of a prompt, where a run does not say: assumed, since the paper prints no token counts."""
TOKENS_OUT = 22
"""Tokens of an answer in DSPy's template, in the same way assumed."""
FLOP_PER_PARAMETER = 2
"""A multiplication and an addition for each parameter and token."""
BYTES_PER_PARAMETER = 2
"""In bfloat16, and in float16, which cards without bfloat16 compute in."""


class GpuLimits(Strict):
    """What a GPU can do at best, by its maker."""

    title: str
    bf16_tflops: float = Field(gt=0)
    """Dense, in 10**12 floating-point operations per second; in float16 of a card without bfloat16."""
    bandwidth_tb_per_s: float = Field(gt=0)
    """Of its memory, in 10**12 bytes per second."""
    max_power_w: float = Field(gt=0)
    source: str = Field(pattern=r"^https://\S+$")
    note: str | None = None


class _Gpus(Strict):
    gpus: dict[str, GpuLimits] = Field(min_length=1)


@dataclass(frozen=True)
class Work:
    """A set of texts for a model."""

    texts: int
    parameters: float
    """All of them, which have to be read."""
    active_parameters: float
    """Those that a token uses: fewer in a mixture of experts."""
    tokens_in: float = TOKENS_IN
    """Per text."""
    tokens_out: float = TOKENS_OUT
    """Per text, thinking included."""


@dataclass(frozen=True)
class LowerBound:
    """The least duration of a pass and the energy of the GPUs if they draw their full power meanwhile."""

    duration_s: float
    energy_wh: float
    texts_per_s: float


def load_gpus(file: Path = GPUS) -> dict[str, GpuLimits]:
    """Read and check the limits of GPUs.

    Raises:
        UserError: one line with file and key of the first fault.
    """
    file_name = paths.relative(file)
    return parse(_Gpus, load_yaml(file, file_name), file_name).gpus


@cache
def gpus() -> Mapping[str, GpuLimits]:
    """Return the limits of the GPUs of this repository, read once per process."""
    return load_gpus()


def find_limits(gpu_model: str | None) -> GpuLimits | None:
    """Return the limits of a GPU by its name as the driver or the paper gives it; None where they are unknown."""
    return next((gpu for name, gpu in gpus().items() if gpu_model and is_card(name, gpu_model)), None)


def work_for(
    model: LanguageModel, texts: int, tokens_in: float | None = None, tokens_out: float | None = None
) -> Work:
    """Return the work of a model of the catalogue; tokens per text that are unknown are those assumed."""
    return Work(
        texts=texts,
        parameters=1e9 * model.parameters_b,
        active_parameters=1e9 * (model.active_parameters_b or model.parameters_b),
        tokens_in=TOKENS_IN if tokens_in is None else tokens_in,
        tokens_out=TOKENS_OUT if tokens_out is None else tokens_out,
    )


def sequential_bound(work: Work, gpu: GpuLimits, count: int) -> LowerBound:
    """Return the lower bound of sequential requests (concurrency 1) on `count` GPUs.

    The first token comes with the prompt. A prompt uses all experts of a mixture, a token some of them.
    """
    prompt_s = max(_compute_s(work, work.tokens_in, gpu, count), read_s(work.parameters, gpu, count))
    token_s = read_s(work.active_parameters, gpu, count)
    return _lower_bound(work, work.texts * (prompt_s + (work.tokens_out - 1) * token_s), gpu, count)


def concurrent_bound(work: Work, gpu: GpuLimits, count: int) -> LowerBound:
    """Return the lower bound of concurrent requests, all texts at once, on `count` GPUs.

    Reading and computing may overlap: the longer of both counts.
    """
    compute_s = work.texts * _compute_s(work, work.tokens_in + work.tokens_out - 1, gpu, count)
    return _lower_bound(
        work, max(compute_s, work.tokens_out * read_s(work.parameters, gpu, count)), gpu, count
    )


def read_s(parameters: float, gpu: GpuLimits, count: int) -> float:
    """Return the seconds in which `count` GPUs, each with its share, read this many parameters from their memory once."""
    return BYTES_PER_PARAMETER * parameters / (gpu.bandwidth_tb_per_s * 1e12 * count)


def _compute_s(work: Work, tokens: float, gpu: GpuLimits, count: int) -> float:
    return FLOP_PER_PARAMETER * work.active_parameters * tokens / (gpu.bf16_tflops * 1e12 * count)


def _lower_bound(work: Work, duration_s: float, gpu: GpuLimits, count: int) -> LowerBound:
    energy_wh = duration_s * gpu.max_power_w * count / 3600
    return LowerBound(duration_s, energy_wh, work.texts / duration_s)
