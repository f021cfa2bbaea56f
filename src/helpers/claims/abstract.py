"""Claims of the abstract (both versions) and of the introduction."""

from collections.abc import Sequence

from helpers.accounting import TITLES
from helpers.claims.cells import Run, Untestable
from helpers.claims.common import LARGER, NO_EMBEDDING, best, correlation, efficiency, said
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, recomputed
from helpers.claims.values import (
    Value,
    corners,
    largest,
    median,
    not_positive,
    positive,
    smallest,
)
from helpers.claims.wording import (
    EVERYONE,
    LLM,
    OTHER,
    REASONING,
    TRADITIONAL,
    accuracy,
    dataset_title,
    energy,
    machine_title,
    names,
    number,
)
from helpers.study import model_title

_SIZES = (
    ("llama-3.1-8b", "llama-3.1-70b"),
    ("qwen-2.5-7b", "qwen-2.5-72b"),
    ("phi-3.5-mini", "phi-3.5-moe"),
    ("ds-llama-8b", "ds-llama-70b"),
    ("ds-qwen-14b", "ds-qwen-32b"),
)
"""A smaller and a larger model of one lineage."""


@claim("abstract-best-model-can-be-efficient")
@claim("abstract-v2-best-model-efficient-in-some-contexts")
def best_model_efficient(evidence: Evidence) -> Recomputed:
    """Count the datasets whose most accurate model needs less energy than the median model."""
    ratios = _efficiencies(evidence)
    there = [dataset for dataset, ratio in ratios.items() if ratio.value > 1]
    return recomputed(
        positive([ratio - 1 for ratio in ratios.values()]),
        f"the most accurate model needs less energy than the median model on {len(there)} of {len(ratios)} "
        f"datasets: {names(map(dataset_title, there))}",
    )


@claim("abstract-v2-best-model-not-efficient-everywhere")
def best_model_not_everywhere(evidence: Evidence) -> Recomputed:
    """Count the datasets whose most accurate model needs at least the median energy."""
    ratios = _efficiencies(evidence)
    there = [dataset for dataset, ratio in ratios.items() if ratio.value <= 1]
    return recomputed(
        not_positive([ratio - 1 for ratio in ratios.values()]),
        f"the most accurate model needs as much energy as the median model or more on {len(there)} of "
        f"{len(ratios)} datasets: {names(map(dataset_title, there))}",
    )


@claim("abstract-v2-accuracy-and-efficiency-differ")
def accuracy_and_efficiency(evidence: Evidence) -> Recomputed:
    """Count the pairs of models of one dataset in which the more accurate one needs less energy."""
    margins, pairs = [], 0
    for dataset in evidence.datasets((TRADITIONAL,), LLM):
        runs = evidence.models(dataset)
        for place, one in enumerate(runs):
            for other in runs[place + 1 :]:
                pairs += 1
                margins.append(_agreement(one, other))
    against = positive([Value.exact(0.0) - margin for margin in margins])
    return recomputed(
        against,
        f"in {against.value:.0f} of {pairs} pairs of models on one dataset the more accurate one needs less",
    )


@claim("abstract-larger-llms-need-more-energy")
def larger_llms_energy(evidence: Evidence) -> Recomputed:
    """Compare the LLMs that the paper calls larger with the most accurate traditional model, by energy."""
    ratios = [
        run.energy() / best(evidence.models(dataset, (TRADITIONAL,))).energy()
        for dataset in evidence.datasets((TRADITIONAL,), LLM)
        for run in _larger(evidence, dataset)
    ]
    return recomputed(
        median(ratios),
        f"of {len(ratios)} pairs of a larger LLM and the best traditional model of its dataset, the LLM needs "
        f"{number(median(ratios).value)} times the energy in the median and {number(smallest(ratios).value)} "
        "times at the least",
    )


@claim("abstract-v2-llms-need-more-energy")
def llms_energy(evidence: Evidence) -> Recomputed:
    """Compare every LLM with the traditional model that needs most, by energy."""
    ratios = [
        run.energy() / largest([other.energy() for other in evidence.models(dataset, (TRADITIONAL,))])
        for dataset in evidence.datasets((TRADITIONAL,), LLM)
        for run in evidence.models(dataset, LLM)
    ]
    return recomputed(
        median(ratios),
        f"of {len(ratios)} LLM results, the LLM needs {number(median(ratios).value)} times the energy of the most "
        f"demanding traditional model in the median and {number(smallest(ratios).value)} times at the least",
    )


@claim("abstract-larger-llms-less-accurate")
def larger_llms_accuracy(evidence: Evidence) -> Recomputed:
    """Return the share of results of larger LLMs that are less accurate than the best traditional model."""
    margins: dict[str, list[Value]] = {}
    for dataset in evidence.datasets((TRADITIONAL,), LLM):
        top = best(evidence.models(dataset, (TRADITIONAL,))).accuracy()
        margins[dataset] = [top - run.accuracy() for run in _larger(evidence, dataset)]
    flat = [margin for of_dataset in margins.values() for margin in of_dataset]
    counts = ", ".join(
        f"{dataset_title(dataset)} {positive(of_dataset).value:.0f} of {len(of_dataset)}"
        for dataset, of_dataset in margins.items()
    )
    return recomputed(
        positive(flat) / len(flat), f"larger LLMs less accurate than the best traditional model: {counts}"
    )


@claim("abstract-v2-llms-same-or-lower-accuracy")
def llms_accuracy(evidence: Evidence) -> Recomputed:
    """Return the share of LLM results that are at most as accurate as the best traditional model."""
    margins: dict[str, list[Value]] = {}
    for dataset in evidence.datasets((TRADITIONAL,), LLM):
        top = best(evidence.models(dataset, (TRADITIONAL,))).accuracy()
        margins[dataset] = [run.accuracy() - top for run in evidence.models(dataset, LLM)]
    flat = [margin for of_dataset in margins.values() for margin in of_dataset]
    counts = ", ".join(
        f"{dataset_title(dataset)} {not_positive(of_dataset).value:.0f} of {len(of_dataset)}"
        for dataset, of_dataset in margins.items()
    )
    return recomputed(
        not_positive(flat) / len(flat), f"LLMs at most as accurate as the best traditional model: {counts}"
    )


@claim("abstract-below-one-mwh")
def below_one_mwh(evidence: Evidence) -> Recomputed:
    """Return the least energy of one run; without a model that is cheap it says nothing."""
    if not any(run.model in NO_EMBEDDING for run in evidence.runs(None)):
        raise Untestable(f"{evidence.source.label} has no model without embeddings")
    runs = [run for run in evidence.runs(None) if _energy_known(run)]
    least = min(_some_energy(runs, evidence), key=lambda run: run.energy().value)
    return recomputed(
        smallest([run.energy() for run in runs]),
        f"the least is {energy(least.energy().value)} ({least.title} on {dataset_title(str(least.row['dataset']))})",
    )


@claim("abstract-above-one-kwh")
def above_one_kwh(evidence: Evidence) -> Recomputed:
    """Return the largest energy of one run, on any number of nodes; without a reasoning LLM it says nothing."""
    evidence.runs(None, (REASONING,), nodes=None)
    everything = [run for run in evidence.runs(None, nodes=None) if _energy_known(run)]
    most = max(_some_energy(everything, evidence), key=lambda run: run.energy().value)
    one_node = largest([run.energy() for run in everything if run.nodes == 1])
    return recomputed(
        largest([run.energy() for run in everything]),
        f"the largest is {energy(most.energy().value, 3)} ({most.title}, {most.nodes} "
        f"node{'s' * (most.nodes != 1)}); on one node it is {energy(one_node.value, 3)}",
    )


@claim("abstract-energy-varies-with-model-type")
def varies_with_type(evidence: Evidence) -> Recomputed:
    """Return the smaller of the two steps between the families' median energies on FKTG."""
    medians = {
        family: median([run.energy() for run in evidence.models("fktg", (family,))])
        for family in (TRADITIONAL, OTHER, REASONING)
    }
    steps = [medians[OTHER] / medians[TRADITIONAL], medians[REASONING] / medians[OTHER]]
    return recomputed(
        smallest(steps),
        "median energies on FKTG: "
        + ", ".join(f"{said(family)} {energy(middle.value)}" for family, middle in medians.items()),
    )


@claim("abstract-energy-grows-with-model-size")
def grows_with_size(evidence: Evidence) -> Recomputed:
    """Return the smallest ratio of energies between a larger and a smaller model of one lineage (FKTG)."""
    ratios = {
        f"{model_title(large)} to {model_title(small)}": evidence.model(large).energy()
        / evidence.model(small).energy()
        for small, large in _SIZES
    }
    return recomputed(
        smallest(list(ratios.values())),
        "; ".join(f"{pair} {number(ratio.value)}" for pair, ratio in ratios.items()),
    )


@claim("abstract-energy-depends-on-hardware")
def depends_on_hardware(evidence: Evidence) -> Recomputed:
    """Return, of the models that ran on several machines, the smallest ratio of energies between them (FKTG)."""
    by_model: dict[str, dict[str, Run]] = {}
    machines = sorted({str(row["machine"]) for row in evidence.source.rows})
    for machine in machines:
        for run in evidence.runs("fktg", LLM, machine=machine):
            by_model.setdefault(run.model, {}).setdefault(machine, run)
    several = {model: runs for model, runs in by_model.items() if len(runs) > 1}
    if not several:
        raise Untestable(f"{evidence.source.label} has no LLM on several machines")
    ratios = {}
    for model, runs in several.items():
        energies = [run.energy() for run in runs.values()]
        ratios[model] = largest(energies) / smallest(energies)
    least = min(ratios, key=lambda model: ratios[model].value)
    return recomputed(
        smallest(list(ratios.values())),
        f"of {len(ratios)} LLMs on {names(map(machine_title, machines))}, the energy differs by a factor of "
        f"{number(ratios[least].value)} at the least ({model_title(least)})",
    )


@claim("abstract-energy-correlates-with-duration")
def energy_and_duration(evidence: Evidence) -> Recomputed:
    """Return the correlation of energy and duration over the runs on one node."""
    found, count = correlation(evidence, logarithmic=False)
    return recomputed(found, f"Pearson's r is {number(found.value)} over {count} runs on one node")


@claim("introduction-energy-correlates-with-duration")
def energy_and_duration_logarithmic(evidence: Evidence) -> Recomputed:
    """Return the same correlation on logarithmic scales, where short runs count as much as long ones."""
    found, count = correlation(evidence, logarithmic=True)
    return recomputed(
        found, f"on logarithmic scales, Pearson's r is {number(found.value)} over {count} runs on one node"
    )


@claim("introduction-best-model-is-efficient")
def best_model_is_efficient(evidence: Evidence) -> Recomputed:
    """Return how many times the energy of the most accurate model the median model needs (FKTG)."""
    runs = _both(evidence, "fktg")
    ratio = efficiency(runs)
    return recomputed(
        ratio,
        f"{best(runs).title} needs {energy(best(runs).energy().value)}, the median model {number(ratio.value)} times that",
    )


@claim("introduction-llms-need-more-energy")
def llms_need_more(evidence: Evidence) -> Recomputed:
    """Count the LLMs that do not need more energy than the most accurate model (FKTG)."""
    top = best(_both(evidence, "fktg"))
    others = [run for run in evidence.models("fktg", LLM) if run.model != top.model]
    return recomputed(
        not_positive([run.energy() - top.energy() for run in others]),
        f"{len(others)} LLMs need {energy(min(run.energy().value for run in others))} or more, {top.title} "
        f"{energy(top.energy().value)}",
    )


@claim("introduction-llms-less-accurate")
def llms_less_accurate(evidence: Evidence) -> Recomputed:
    """Count the LLMs that are at least as accurate as the best traditional model (FKTG)."""
    top, llms = best(evidence.models("fktg", (TRADITIONAL,))), evidence.models("fktg", LLM)
    return recomputed(
        not_positive([top.accuracy() - run.accuracy() for run in llms]),
        f"the best of {len(llms)} LLMs, {best(llms).title}, reaches {accuracy(best(llms).accuracy().value)}; {top.title} "
        f"{accuracy(top.accuracy().value)}",
    )


def _both(evidence: Evidence, dataset: str) -> list[Run]:
    for families in ((TRADITIONAL,), LLM):
        evidence.models(dataset, families)
    return evidence.models(dataset, EVERYONE)


def _efficiencies(evidence: Evidence) -> dict[str, Value]:
    return {
        dataset: efficiency(evidence.models(dataset)) for dataset in evidence.datasets((TRADITIONAL,), LLM)
    }


def _agreement(one: Run, other: Run) -> Value:
    """Return a margin above zero where the more accurate of two models also needs more energy."""
    return corners(
        lambda a, b, c, d: (a - b) * (c - d), one.accuracy(), other.accuracy(), one.energy(), other.energy()
    )


def _larger(evidence: Evidence, dataset: str) -> list[Run]:
    return evidence.models(dataset, among=LARGER)


def _energy_known(run: Run) -> bool:
    return run.has("energy")


def _some_energy(runs: Sequence[Run], evidence: Evidence) -> Sequence[Run]:
    if not runs:
        counted = TITLES[evidence.source.mode]
        raise Untestable(f"{evidence.source.label} has no energy that counts ({counted})")
    return runs
