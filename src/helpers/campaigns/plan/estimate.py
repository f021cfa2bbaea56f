"""Estimates of the duration and energy of a pass of a run, with their source.

From the best source there is: a record of the same run; of a language model a record of the same model on the same machine
(`own_records`); the paper's row of the same run; the paper's nearest run of the same model, scaled by factors that the paper
itself shows (between datasets, machines, numbers of GPUs, nodes), with the energy of that duration by Table 3. Where none of
these is there, it is unknown, with the reason.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import median

from helpers.campaigns.plan.expectation import Estimate, Source
from helpers.campaigns.plan.gpu_ratios import Factor, OtherCard, other_card
from helpers.campaigns.plan.own_records import estimate_from_records
from helpers.campaigns.plan.reference_runs import PAPERS_MACHINE, PublishedRun, ReferenceRuns
from helpers.campaigns.plan.target import Target
from helpers.core import units
from helpers.measure.parameters import LlmPlan, Plan, TraditionalPlan
from helpers.measure.settings import LlmParameters
from helpers.models.llm.generation import DEFAULT_MAX_TOKENS
from helpers.study.catalogue import PAPER_EMBEDDING, LanguageModel, study
from helpers.study.protocols import DSPY_2025

_STANDS_FOR = {"fktg-sample": "fktg"}
"""Our stand-in has as many texts as the paper's dataset, of about their length."""


def estimate_pass(plan: Plan, target: Target, references: ReferenceRuns) -> Estimate:
    """Estimate a pass of a run on a target machine."""
    if (same := references.measured.get(plan.run_id)) is not None:
        run = same[0]
        energy_from = run.origin if run.energy_wh is not None else f"{run.origin} has no energy"
        return Estimate(run.duration_s, run.origin, run.energy_wh, energy_from, "measured")
    match plan:
        case TraditionalPlan():
            return _estimate_traditional(plan, target, references)
        case LlmPlan():
            own = estimate_from_records(plan, references)
            return own or _estimate_language_model(plan, target, references)
    raise TypeError(f"no estimate of a {type(plan).__name__}")


def _unknown(why: str) -> Estimate:
    return Estimate(None, why, None, why, "unknown")


def _row(run: PublishedRun, source: Source = "published", note: str = "") -> Estimate:
    return Estimate(
        run.duration_s, f"{run.duration_from}{note}", run.energy_wh, f"{run.energy_from}{note}", source
    )


# Traditional models


def _estimate_traditional(plan: TraditionalPlan, target: Target, references: ReferenceRuns) -> Estimate:
    chosen = plan.parameters
    dataset = _STANDS_FOR.get(chosen.dataset, chosen.dataset)
    device = "cuda" if plan.gpus else "cpu"
    same_model = references.published_for_model(chosen.model)
    # The paper's embeddings are those of its own checkpoint, on a GPU.
    alike = plan.model.features != "embedding" or (device == "cuda" and plan.checkpoint == PAPER_EMBEDDING)
    if alike and (
        exact := [run for run in same_model if (run.machine, run.dataset) == (target.name, dataset)]
    ):
        source: Source = "published" if exact[0].energy_below_wh is None else "scaled"
        return _row(exact[0], source, _stand_in(chosen.dataset))
    for item in references.measured_for_model(chosen.model):
        run = item.record.run
        if (run.dataset, run.device, run.checkpoint) == (chosen.dataset, device, plan.checkpoint):
            why = f"{item.origin}, measured on {run.machine}, not scaled"
            return Estimate(item.duration_s, why, item.energy_wh, why, "scaled")
    if not alike:
        return _unknown("no reference run with this sentence embedding on this device")
    if not same_model:
        return _unknown(f"the paper prints no duration of {chosen.model}")
    nearest = min(same_model, key=lambda run: (run.dataset != dataset, run.machine != target.like))
    return _row(nearest, "scaled", f" ({nearest.dataset} on {nearest.machine}), not scaled")


def _stand_in(dataset: str) -> str:
    return f", as {_STANDS_FOR[dataset]}" if dataset in _STANDS_FOR else ""


# Language models


def _estimate_language_model(plan: LlmPlan, target: Target, references: ReferenceRuns) -> Estimate:
    if different := _unpublished_setting(plan):
        return _unknown(f"no row of the paper is a run with {different}, and there is no record of one")
    if not plan.gpus:
        return _unknown("the paper ran language models on GPUs only, and there is no record")
    model = plan.model.stands_for or plan.parameters.model
    same_model = references.published_for_model(model)
    if not same_model:
        return _unknown(f"the paper has no run of {model}, and there is no record")
    elsewhere = other_card(target)
    machine = target.like if elsewhere is None else elsewhere.machine
    if machine is None:
        card = target.hardware.gpus[0].model if target.hardware.gpus else "no GPU"
        return _unknown(f"the paper has no run on this card ({card}), and there is no record")
    requested = PublishedRun(
        model,
        _STANDS_FOR.get(plan.parameters.dataset, plan.parameters.dataset),
        machine,
        plan.gpus * plan.nodes,
        plan.nodes,
        *(None, "", None, ""),
    )
    note = _stand_in(plan.parameters.dataset) + (f", as {model}" if plan.model.stands_for else "")
    for run in sorted(same_model, key=lambda run: _distance(run, requested)):
        if (factors := _factors(run, requested, references)) is not None:
            return _scaled(run, requested, factors, references, note, elsewhere)
    return _unknown(
        f"no run of {model} in the paper can be scaled to {requested.dataset} on {units.counted(requested.gpus, 'GPU')}, "
        f"{units.counted(requested.nodes, 'node')} of {machine}"
    )


def _unpublished_setting(plan: LlmPlan) -> str:
    """Name the first setting by which a run takes something else than the paper's rows can stand for.

    They stand for both protocols, one request for a text: which of them the paper's is nearer to, it does not say. A
    cache is another matter: it answers for part of the texts.
    """
    chosen, dataset = plan.parameters, study().datasets[plan.parameters.dataset]
    if plan.language != dataset.language:
        return f"language={plan.language}"
    if chosen.dtype not in _PAPERS_DTYPES:
        return f"dtype={chosen.dtype}"
    stands_for = {
        "concurrency": 1,
        "shots": 0,
        "output_mode": "free",
        "temperature": 0.0,
        "json_fallback": False,
        "dspy_cache": False,
        "engine": "vllm",
        "weights": "real",
        "quantisation": "",
        "prefix_caching": False,
        "checkpoint": "",
        "max_tokens": DEFAULT_MAX_TOKENS,
    }
    if chosen.protocol == "dspy-2025":
        stands_for |= DSPY_2025
    elif plan.model.reasoning:  # of no other model the tokens of thinking are counted
        stands_for["thinking_tokens"] = LlmParameters.model_fields["thinking_tokens"].default
    for name, value in stands_for.items():
        if (setting := getattr(chosen, name)) != value:
            return f"{name}={setting}"
    return ""


_PAPERS_DTYPES = ("auto", "bfloat16", "float16", "half")
"""Of 16 bits: those of the checkpoints, and on Clara float16."""


def _distance(run: PublishedRun, requested: PublishedRun) -> tuple[int, int, int, int]:
    return (
        int(run.dataset != requested.dataset) + int(run.machine != requested.machine),
        int(run.nodes != requested.nodes),
        abs(run.gpus - requested.gpus),
        int(run.machine != PAPERS_MACHINE),
    )


def _scaled(
    run: PublishedRun,
    requested: PublishedRun,
    factors: Sequence[Factor],
    references: ReferenceRuns,
    note: str,
    other: OtherCard | None,
) -> Estimate:
    if other is not None:
        factors = [*factors, other.factor]
    if not factors:
        return _row(run, note=note)
    seconds = math.prod([run.duration_s or 0.0, *(factor.value for factor in factors)])
    duration_from = ", ".join([run.duration_from, *(factor.why for factor in factors)]) + note
    power = references.power.get(requested.machine)
    if power is None:
        return Estimate(seconds, duration_from, None, f"Table 3 has no {requested.machine}", "scaled")
    energy_from = f"Table 3 ({requested.machine}) for this duration"
    if other is not None and other.power_factor != 1:
        power = replace(power, c_wh_per_s=power.c_wh_per_s * other.power_factor)
        energy_from += f", its GPUs x {other.power_factor:.2f} by the maximum power of {other.title} (rough)"
    return Estimate(seconds, duration_from, power.energy_wh(seconds, requested.gpus), energy_from, "scaled")


def _factors(run: PublishedRun, requested: PublishedRun, references: ReferenceRuns) -> list[Factor] | None:
    """Return the factors from a published run to the requested one, one property at a time; None where one is unknown."""
    factors: list[Factor] = []
    for step in _steps(run, requested, references):
        if step is None:
            return None
        factors.append(step)
    return factors


def _steps(run: PublishedRun, requested: PublishedRun, references: ReferenceRuns) -> Iterator[Factor | None]:
    published = references.published
    if run.dataset != requested.dataset:
        yield _factor(
            published,
            run.model,
            lambda item: (
                item.machine == PAPERS_MACHINE
                and item.nodes == 1
                and item.gpus == references.fewest_gpus.get((item.model, item.dataset, item.machine))
            ),
            lambda item: item.dataset,
            (run.dataset, requested.dataset),
        )
    if run.nodes != requested.nodes:
        # Seen for 2 GPUs: on one node, and one on each of two.
        if not run.gpus == requested.gpus == 2:
            yield None
            return
        yield _factor(
            published,
            run.model,
            lambda item: (item.machine, item.dataset, item.gpus) == (PAPERS_MACHINE, "fktg", 2),
            lambda item: item.nodes,
            (run.nodes, requested.nodes),
            " nodes",
        )
    elif run.gpus != requested.gpus:
        yield _factor(
            published,
            run.model,
            lambda item: (
                (item.machine, item.dataset, item.nodes) == (PAPERS_MACHINE, "fktg", requested.nodes)
            ),
            lambda item: item.gpus,
            (run.gpus, requested.gpus),
            " GPUs",
        )
    if run.machine != requested.machine:
        yield _between_machines(run, requested, references)


def _between_machines(run: PublishedRun, requested: PublishedRun, references: ReferenceRuns) -> Factor | None:
    """Compare machines on equal numbers of GPUs, whatever that number is."""
    pairs: dict[str, float] = {}
    for target_run in references.published:
        if target_run.machine != requested.machine:
            continue
        source_run = references.by_key.get(
            (target_run.model, target_run.dataset, run.machine, target_run.gpus, target_run.nodes)
        )
        if source_run is not None and source_run.duration_s and target_run.duration_s:
            pairs[target_run.model] = target_run.duration_s / source_run.duration_s
    return _factor_from_pairs(pairs, run.model, f"{run.machine} to {requested.machine}")


def _factor(
    published: Sequence[PublishedRun],
    model: str,
    among: Callable[[PublishedRun], bool],
    of: Callable[[PublishedRun], object],
    step: tuple[object, object],
    unit: str = "",
) -> Factor | None:
    """Return the factor of one step, from runs that differ in nothing else."""
    seen: dict[object, dict[str, float]] = {step[0]: {}, step[1]: {}}
    for run in published:
        if of(run) in seen and run.duration_s is not None and among(run):
            seen[of(run)][run.model] = run.duration_s
    before, after = seen[step[0]], seen[step[1]]
    pairs = {name: after[name] / before[name] for name in before if name in after}
    return _factor_from_pairs(pairs, model, f"{step[0]} to {step[1]}{unit}")


def _factor_from_pairs(pairs: dict[str, float], model: str, step: str) -> Factor | None:
    """Return the factor of the model itself, or the middle one of its family; None where neither is seen."""
    if model in pairs:
        return Factor(pairs[model], f"x {pairs[model]:.2f} from {step}")
    entry = study().models[model]
    family = [
        value
        for name, value in pairs.items()
        if isinstance(study().models[name], LanguageModel) and study().models[name].family == entry.family
    ]
    if not family:
        return None
    value = median(family)
    return Factor(value, f"x {value:.2f} from {step} (median of {entry.family})")
