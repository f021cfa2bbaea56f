"""Estimates of runs of language models from our own records of the same model on the same machine.

A record stands for a run where everything agrees that the time of a text hangs on: model and its weights, machine, GPUs, nodes,
engine and its threads, how the model is asked, and how many texts at a time. From another dataset the duration is scaled by
texts, and by prompt tokens where some record of the requested dataset reports them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median

from helpers.campaigns.plan.expectation import Estimate
from helpers.campaigns.plan.reference_runs import MeasuredRun, ReferenceRuns
from helpers.measure.parameters import LlmPlan
from helpers.models.llm.checkpoint import is_local
from helpers.records.storage import Record
from helpers.study.catalogue import study

_NEAR = 2.0
"""Texts at a time may differ by up to this factor, where there are several: an engine that is full does not get faster."""


def estimate_from_records(plan: LlmPlan, references: ReferenceRuns) -> Estimate | None:
    """Estimate a pass from the nearest comparable record, the newest of several; None where there is none.

    The estimate is `measured` where the record is of the same dataset, and `scaled` otherwise.
    """
    measured = [
        item
        for item in references.measured_for_model(plan.parameters.model)
        if _is_comparable(plan, item.record)
    ]
    if not measured:
        return None
    nearest = min(
        measured, key=lambda item: _distance(plan, item)
    )  # the first, and so the newest, of several
    return _scaled(plan, nearest, references)


def _is_comparable(plan: LlmPlan, record: Record) -> bool:
    run, chosen = record.run, plan.parameters
    served, asked = run.served, run.asked
    if served is None or asked is None:
        return False
    generation = plan.generation
    same = (
        (run.machine, plan.machine),
        (run.gpus, plan.gpus * plan.nodes),
        (run.nodes, plan.nodes),
        (run.checkpoint, _checkpoint_name(plan)),
        (run.weights == "dummy", chosen.weights == "dummy"),
        (served.engine, chosen.engine),
        (served.quantisation or "", chosen.quantisation),
        (asked.shots, chosen.shots),
        (asked.output_mode, chosen.output_mode),
        (asked.max_tokens, generation.max_tokens),
        (asked.thinking_tokens, generation.thinking_tokens),
        (asked.json_fallback, generation.json_fallback),
        (asked.protocol, generation.protocol),
        (asked.dspy_cache, generation.dspy_cache),
    )
    return (
        all(recorded == planned for recorded, planned in same)
        and served.prefix_caching in (None, chosen.prefix_caching)
        and chosen.dtype in ("auto", run.dtype)
        and _concurrency_alike(run.concurrency, chosen.concurrency)
        and _threads_alike(plan, record)
    )


def _checkpoint_name(plan: LlmPlan) -> str:
    """Return the checkpoint of a run as its record names it."""
    checkpoint = plan.served.checkpoint
    return Path(checkpoint).name if is_local(checkpoint) else checkpoint


def _concurrency_alike(recorded: int, planned: int) -> bool:
    if 1 in (recorded, planned):
        return recorded == planned
    return 1 / _NEAR <= recorded / planned <= _NEAR


def _threads_alike(plan: LlmPlan, record: Record) -> bool:
    """Say whether an engine on the CPU had as many threads as it will have; a record that does not say so does not count."""
    if not plan.engine_threads:
        return True
    return (record.environment.threads or {}).get("engine") == plan.engine_threads


def _distance(plan: LlmPlan, item: MeasuredRun) -> tuple[bool, bool, float]:
    run, chosen = item.record.run, plan.parameters
    language = run.asked is not None and run.asked.language != plan.language
    return run.dataset != chosen.dataset, language, abs(run.concurrency - chosen.concurrency)


def _scaled(plan: LlmPlan, item: MeasuredRun, references: ReferenceRuns) -> Estimate:
    run, chosen = item.record.run, plan.parameters
    notes = [item.origin]
    if run.concurrency != chosen.concurrency:
        notes.append(f"at concurrency {run.concurrency}")
    factor = 1.0
    if run.dataset != chosen.dataset:
        texts = item.record.splits[0].texts
        factor = study().datasets[chosen.dataset].split.test / texts
        notes.append(f"x {factor:.2f} by texts from {run.dataset} to {chosen.dataset}")
        tokens = _tokens_per_text(plan, references)
        own = _mean_tokens(item.record)
        if tokens is not None and own is not None:
            factor *= tokens / own
            notes.append(f"x {tokens / own:.2f} by prompt tokens")
        else:
            notes.append("prompt tokens not known, not scaled by them")
    energy_wh = None if item.energy_wh is None else item.energy_wh * factor
    origin = ", ".join(notes)
    return Estimate(
        pass_s=item.duration_s * factor,
        duration_from=origin,
        pass_wh=energy_wh,
        energy_from=origin if energy_wh is not None else f"{item.origin} has no energy",
        source="measured" if run.dataset == chosen.dataset else "scaled",
    )


def _tokens_per_text(plan: LlmPlan, references: ReferenceRuns) -> float | None:
    """Return the prompt tokens of a text of the requested dataset with as many examples: the median over models."""
    counts = list(_prompt_tokens(plan, [item for runs in references.measured.values() for item in runs]))
    return median(counts) if counts else None


def _prompt_tokens(plan: LlmPlan, measured: Sequence[MeasuredRun]) -> Iterator[float]:
    for item in measured:
        run = item.record.run
        alike = run.asked is not None and run.asked.shots == plan.parameters.shots
        if run.dataset == plan.parameters.dataset and alike:
            tokens = _mean_tokens(item.record)
            if tokens is not None:
                yield tokens


def _mean_tokens(record: Record) -> float | None:
    """Return the mean prompt tokens of a text; None where the engine does not report them."""
    counts = [item.tokens_in / item.texts for item in record.splits if item.tokens_in]
    return fmean(counts) if len(counts) == len(record.splits) else None
