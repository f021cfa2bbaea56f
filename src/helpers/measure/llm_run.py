"""What a record says of a run of a language model: what was served, and what was asked."""

import re
from pathlib import Path

from helpers.measure.plan import LlmPlan
from helpers.models.llm.checkpoint import is_local
from helpers.models.llm.generation import GenerationConfig
from helpers.models.llm.server import Server
from helpers.records.environment import sha256_of, sha256_of_weights
from helpers.records.storage import Generation, Run, Serving
from helpers.study.datasets import Dataset

_DTYPE = re.compile(r"\bdtype=(?:torch\.)?(\w+)")
"""In the line with which vLLM says how it was configured."""


def describe(
    plan: LlmPlan,
    dataset: Dataset,
    server: Server,
    config: GenerationConfig,
    prompt_sha256: str,
    dspy_engine: str,
) -> Run:
    """Describe a run.

    Args:
        plan: what was planned.
        dataset: its texts.
        server: what answered.
        config: of the requests, as they were sent.
        prompt_sha256: of instruction and examples.
        dspy_engine: which client of DSPy sent the requests.
    """
    chosen = plan.parameters
    local = Path(plan.served.checkpoint) if is_local(plan.served.checkpoint) else None
    weights = local if local is not None and local.exists() and chosen.weights == "real" else None
    return Run(
        run_id=plan.run_id,
        campaign=chosen.campaign,
        notebook="llm",
        model=chosen.model,
        family=plan.model.family,
        checkpoint=local.name if local is not None else plan.served.checkpoint,
        revision=plan.served.revision,
        checkpoint_sha256=sha256_of_weights(weights) if weights is not None else None,
        weights=plan.weights,
        gguf_sha256=_gguf_sha256(plan, weights),
        dtype=_dtype(plan, server),
        dataset=dataset.name,
        dataset_origin=dataset.origin,
        dataset_sha256=dataset.sha256,
        synthetic=dataset.synthetic,
        machine=plan.machine,
        device="cuda" if plan.gpus else "cpu",
        gpus=plan.gpus * plan.nodes,
        nodes=plan.nodes,
        concurrency=chosen.concurrency,
        splits=chosen.splits,
        window_s=chosen.window_s,
        served=_serving(plan, server),
        asked=_generation(plan, config, prompt_sha256, dspy_engine),
    )


def _gguf_sha256(plan: LlmPlan, weights: Path | None) -> str | None:
    """Return the hash of the file with the quantised weights, which stands in the checkpoint's folder or is served itself."""
    gguf = plan.model.gguf
    if weights is None or gguf is None or plan.weights in ("real", "unknown"):
        return None
    file = weights if weights.is_file() else weights / gguf.file.name
    return sha256_of(file) if file.is_file() else None


def _dtype(plan: LlmPlan, server: Server) -> str | None:
    """Return what the engine computes in: as asked for, or as it says itself; None where it does not say."""
    if (dtype := plan.parameters.dtype) != "auto":
        return dtype
    match = (
        None
        if server.log is None
        else _DTYPE.search(server.log.read_text(encoding="utf-8", errors="replace"))
    )
    return match[1] if match else None


def _serving(plan: LlmPlan, server: Server) -> Serving:
    settings = plan.served
    return Serving(
        engine=settings.engine,
        engine_version=server.version,
        command=list(server.command),
        quantisation=settings.quantisation or None,
        prefix_caching=settings.prefix_caching if server.command else None,
        max_model_len=settings.max_model_len,
        trust_remote_code=settings.trust_remote_code,
    )


def _generation(plan: LlmPlan, config: GenerationConfig, prompt_sha256: str, dspy_engine: str) -> Generation:
    return Generation(
        language=plan.language,
        prompt_sha256=prompt_sha256,
        shots=plan.parameters.shots,
        output_mode=config.output_mode,
        constraint=config.constraint if config.output_mode == "constrained" else None,
        max_tokens=config.max_tokens,
        reasoning=config.reasoning,
        thinking_tokens=config.thinking_tokens,
        temperature=config.temperature,
        ignore_eos=config.ignore_eos,
        json_fallback=config.json_fallback,
        protocol=config.protocol,
        dspy_cache=config.dspy_cache,
        timeout_s=config.timeout_s,
        dspy_engine=dspy_engine,
    )
