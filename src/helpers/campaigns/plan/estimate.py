"""How long a pass of a run will take and what energy, and where that is known from.

From the best source there is: a record of the same run; the paper's row of the same run; the paper's nearest run of the
same model, scaled by factors that the paper itself shows (between datasets, machines, numbers of GPUs, nodes), with
the energy of that duration by Table 3. Where none of these is there, it is unknown, with the reason.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from helpers.campaigns.plan.gpu_ratios import Factor, OtherCard, other_card
from helpers.campaigns.plan.reference_runs import PAPERS_MACHINE, Known, KnownRun
from helpers.campaigns.plan.target import Place
from helpers.core import units
from helpers.measure.parameters import LlmPlan, Plan, TraditionalPlan
from helpers.measure.settings import LlmParameters
from helpers.models.llm.generation import DEFAULT_MAX_TOKENS
from helpers.study.catalogue import PAPER_EMBEDDING, LanguageModel, study
from helpers.study.protocols import DSPY_2025

Source = Literal["measured", "published", "scaled", "unknown"]
_STANDS_FOR = {"fktg-sample": "fktg"}
"""Our stand-in has as many texts as the paper's dataset, of about their length."""


@dataclass(frozen=True)
class Expectation:
    """What a pass is expected to take; None where that is unknown, and the reason stands in place of the source."""

    pass_s: float | None
    duration_from: str
    pass_wh: float | None
    energy_from: str
    source: Source


def expect(plan: Plan, place: Place, known: Known) -> Expectation:
    """Return what is expected of a pass of a run."""
    if (same := known.measured.get(plan.run_id)) is not None:
        run = same[0]
        energy_from = run.origin if run.energy_wh is not None else f"{run.origin} knows no energy"
        return Expectation(run.duration_s, run.origin, run.energy_wh, energy_from, "measured")
    match plan:
        case TraditionalPlan():
            return _of_traditional(plan, place, known)
        case LlmPlan():
            return _of_language_model(plan, place, known)
    raise TypeError(f"no expectation of a {type(plan).__name__}")


def _unknown(why: str) -> Expectation:
    return Expectation(None, why, None, why, "unknown")


def _row(run: KnownRun, source: Source = "published", note: str = "") -> Expectation:
    return Expectation(
        run.duration_s, f"{run.duration_from}{note}", run.energy_wh, f"{run.energy_from}{note}", source
    )


# Traditional models


def _of_traditional(plan: TraditionalPlan, place: Place, known: Known) -> Expectation:
    chosen = plan.parameters
    dataset = _STANDS_FOR.get(chosen.dataset, chosen.dataset)
    device = "cuda" if plan.gpus else "cpu"
    of_model = [run for run in known.published if run.model == chosen.model and run.duration_s is not None]
    # The paper's embeddings are those of its own checkpoint, on a GPU.
    alike = plan.model.features != "embedding" or (device == "cuda" and _papers_embedding(plan))
    if alike and (exact := [run for run in of_model if (run.machine, run.dataset) == (place.name, dataset)]):
        source: Source = "published" if exact[0].energy_below_wh is None else "scaled"
        return _row(exact[0], source, _stand_in(chosen.dataset))
    for item in known.of_model(chosen.model):
        run = item.record.run
        if (run.dataset, run.device, run.checkpoint) == (chosen.dataset, device, plan.checkpoint):
            why = f"{item.origin}, measured on {run.machine}, not scaled"
            return Expectation(item.duration_s, why, item.energy_wh, why, "scaled")
    if not alike:
        return _unknown("no run with this sentence embedding on this device is known")
    if not of_model:
        return _unknown(f"the paper prints no duration of {chosen.model}")
    nearest = min(of_model, key=lambda run: (run.dataset != dataset, run.machine != place.like))
    return _row(nearest, "scaled", f" ({nearest.dataset} on {nearest.machine}), not scaled")


def _papers_embedding(plan: TraditionalPlan) -> bool:
    return plan.checkpoint == PAPER_EMBEDDING


def _stand_in(dataset: str) -> str:
    return f", as {_STANDS_FOR[dataset]}" if dataset in _STANDS_FOR else ""


# Language models


def _of_language_model(plan: LlmPlan, place: Place, known: Known) -> Expectation:
    if different := _beyond_the_papers_rows(plan):
        return _unknown(f"the paper's rows stand for no run with {different}, and no record is there")
    if not plan.gpus:
        return _unknown("the paper served language models on GPUs only, and no record is there")
    model = plan.model.stands_for or plan.parameters.model
    of_model = [run for run in known.published if run.model == model and run.duration_s is not None]
    if not of_model:
        return _unknown(f"the paper has no run of {model}, and no record is there")
    machine, elsewhere = place.like, other_card(place)
    if elsewhere is not None:
        machine = elsewhere.machine
    if machine is None:
        card = place.hardware.gpus[0].model if place.hardware.gpus else "no GPU"
        return _unknown(f"the paper has no run on this card ({card}), and no record is there")
    wanted = KnownRun(
        model,
        _STANDS_FOR.get(plan.parameters.dataset, plan.parameters.dataset),
        machine,
        plan.gpus * plan.nodes,
        plan.nodes,
        *(None, "", None, ""),
    )
    note = _stand_in(plan.parameters.dataset) + (f", as {model}" if plan.model.stands_for else "")
    for run in sorted(of_model, key=lambda run: _distance(run, wanted)):
        if (factors := _factors(run, wanted, known)) is not None:
            return _scaled(run, wanted, factors, known, note, elsewhere)
    return _unknown(
        f"no run of {model} in the paper leads to {wanted.dataset} on {units.counted(wanted.gpus, 'GPU')}, "
        f"{units.counted(wanted.nodes, 'node')} of {machine}"
    )


def _beyond_the_papers_rows(plan: LlmPlan) -> str:
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
        if (found := getattr(chosen, name)) != value:
            return f"{name}={found}"
    return ""


_PAPERS_DTYPES = ("auto", "bfloat16", "float16", "half")
"""Of 16 bits: those of the checkpoints, and on Clara float16."""


def _distance(run: KnownRun, wanted: KnownRun) -> tuple[int, int, int, int]:
    return (
        int(run.dataset != wanted.dataset) + int(run.machine != wanted.machine),
        int(run.nodes != wanted.nodes),
        abs(run.gpus - wanted.gpus),
        int(run.machine != PAPERS_MACHINE),
    )


def _scaled(
    run: KnownRun,
    wanted: KnownRun,
    factors: Sequence[Factor],
    known: Known,
    note: str,
    other: OtherCard | None,
) -> Expectation:
    if other is not None:
        factors = [*factors, other.factor]
    if not factors:
        return _row(run, note=note)
    seconds = math.prod([run.duration_s or 0.0, *(factor.value for factor in factors)])
    duration_from = ", ".join([run.duration_from, *(factor.why for factor in factors)]) + note
    power = known.power.get(wanted.machine)
    if power is None:
        return Expectation(seconds, duration_from, None, f"Table 3 has no {wanted.machine}", "scaled")
    energy_from = f"Table 3 ({wanted.machine}) for this duration"
    if other is not None and other.power_factor != 1:
        power = replace(power, c_wh_per_s=power.c_wh_per_s * other.power_factor)
        energy_from += f", its GPUs x {other.power_factor:.2f} by the maximum power of {other.title} (rough)"
    return Expectation(seconds, duration_from, power.energy_wh(seconds, wanted.gpus), energy_from, "scaled")


def _factors(run: KnownRun, wanted: KnownRun, known: Known) -> list[Factor] | None:
    """Return what leads from a run to the one that is wanted, one property at a time; None where a step is not known."""
    found: list[Factor] = []
    for step in _steps(run, wanted, known):
        if step is None:
            return None
        found.append(step)
    return found


def _steps(run: KnownRun, wanted: KnownRun, known: Known) -> Iterator[Factor | None]:
    published = known.published
    if run.dataset != wanted.dataset:
        yield _factor(
            published,
            run.model,
            lambda item: (
                item.machine == PAPERS_MACHINE
                and item.nodes == 1
                and item.gpus == known.fewest_gpus.get((item.model, item.dataset, item.machine))
            ),
            lambda item: item.dataset,
            (run.dataset, wanted.dataset),
        )
    if run.nodes != wanted.nodes:
        # Seen for 2 GPUs: on one node, and one on each of two.
        if not run.gpus == wanted.gpus == 2:
            yield None
            return
        yield _factor(
            published,
            run.model,
            lambda item: (item.machine, item.dataset, item.gpus) == (PAPERS_MACHINE, "fktg", 2),
            lambda item: item.nodes,
            (run.nodes, wanted.nodes),
            " nodes",
        )
    elif run.gpus != wanted.gpus:
        yield _factor(
            published,
            run.model,
            lambda item: (item.machine, item.dataset, item.nodes) == (PAPERS_MACHINE, "fktg", wanted.nodes),
            lambda item: item.gpus,
            (run.gpus, wanted.gpus),
            " GPUs",
        )
    if run.machine != wanted.machine:
        yield _between_machines(run, wanted, known)


def _between_machines(run: KnownRun, wanted: KnownRun, known: Known) -> Factor | None:
    """Compare machines on equal numbers of GPUs, whatever that number is."""
    pairs: dict[str, float] = {}
    for there in known.published:
        if there.machine != wanted.machine:
            continue
        here = known.by_key.get((there.model, there.dataset, run.machine, there.gpus, there.nodes))
        if here is not None and here.duration_s and there.duration_s:
            pairs[there.model] = there.duration_s / here.duration_s
    return _of_pairs(pairs, run.model, f"{run.machine} to {wanted.machine}")


def _factor(
    published: Sequence[KnownRun],
    model: str,
    among: Callable[[KnownRun], bool],
    of: Callable[[KnownRun], object],
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
    return _of_pairs(pairs, model, f"{step[0]} to {step[1]}{unit}")


def _of_pairs(pairs: dict[str, float], model: str, step: str) -> Factor | None:
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
