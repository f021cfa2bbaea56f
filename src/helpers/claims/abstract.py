"""Claims of the abstract, in both versions."""

from collections.abc import Mapping, Sequence

from helpers.accounting import TITLES
from helpers.claims.cells import Run
from helpers.claims.common import LARGER, NO_EMBEDDING, best, correlation, efficiency, said
from helpers.claims.evidence import ANY, Evidence
from helpers.claims.noise import Pair, noise_of_pairs, too_little
from helpers.claims.registry import Recomputed, claim, recomputed
from helpers.claims.values import (
    NOISE,
    Untestable,
    Value,
    corners,
    largest,
    median,
    not_positive,
    positive,
    smallest,
)
from helpers.claims.wording import (
    LLM,
    OTHER,
    REASONING,
    TRADITIONAL,
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
    ("ds-llama-8b", "ds-llama-70b"),
    ("ds-qwen-14b", "ds-qwen-32b"),
)
"""A smaller and a larger model of one lineage and one architecture; Phi 3.5 MoE is not a larger Phi 3.5 Mini."""


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
    found: list[Pair] = []
    for dataset in evidence.datasets((TRADITIONAL,), LLM):
        runs = evidence.models(dataset)
        for place, one in enumerate(runs):
            for other in runs[place + 1 :]:
                pairs += 1
                margins.append(_agreement(one, other))
                if margins[-1].value < -NOISE:
                    found.append((one, other))
    against = positive([Value.exact(0.0) - margin for margin in margins])
    return recomputed(
        against,
        f"in {against.value:.0f} of {pairs} pairs of models on one dataset the more accurate one needs less"
        + noise_of_pairs(found),
    )


@claim("abstract-larger-llms-need-more-energy")
def larger_llms_energy(evidence: Evidence) -> Recomputed:
    """Compare the LLMs that the paper calls larger with the most accurate traditional model, by energy."""
    ratios, doubts = [], []
    for dataset in evidence.datasets((TRADITIONAL,), LLM):
        top = best(evidence.models(dataset, (TRADITIONAL,)))
        ratios += [run.energy() / top.energy() for run in _larger(evidence, dataset)]
        doubts.append(too_little(evidence, top))
    return recomputed(
        median(ratios),
        f"of {len(ratios)} pairs of a larger LLM and the best traditional model of its dataset, the LLM needs "
        f"{number(median(ratios).value)} times the energy in the median and {number(smallest(ratios).value)} "
        f"times at the least{''.join(doubts)}",
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


@claim("abstract-larger-llms-less-accurate-on-fktg")
def larger_llms_fktg(evidence: Evidence) -> Recomputed:
    """Return the share of larger LLMs that are less accurate than the best model (FKTG)."""
    evidence.models("fktg", (TRADITIONAL,))
    return _share_below(evidence, {"fktg": best(evidence.models("fktg"))}, "best model")


@claim("abstract-larger-llms-less-accurate-on-all-datasets")
def larger_llms_pooled(evidence: Evidence) -> Recomputed:
    """Return the share of results of larger LLMs, on all datasets, below the best traditional model."""
    datasets = evidence.datasets((TRADITIONAL,), LLM)
    tops = {dataset: best(evidence.models(dataset, (TRADITIONAL,))) for dataset in datasets}
    return _share_below(evidence, tops, "best traditional model")


@claim("abstract-v2-llms-same-or-lower-accuracy")
def llms_accuracy(evidence: Evidence) -> Recomputed:
    """Return the share of LLM results that are at most as accurate as the best traditional model."""
    margins: dict[str, list[Value]] = {}
    ahead: list[Pair] = []
    for dataset in evidence.datasets((TRADITIONAL,), LLM):
        top = best(evidence.models(dataset, (TRADITIONAL,)))
        llms = evidence.models(dataset, LLM)
        margins[dataset] = [run.accuracy() - top.accuracy() for run in llms]
        ahead += [(run, top) for run in llms if run.accuracy().value > top.accuracy().value + NOISE]
    flat = [margin for of_dataset in margins.values() for margin in of_dataset]
    counts = ", ".join(
        f"{dataset_title(dataset)} {not_positive(of_dataset).value:.0f} of {len(of_dataset)}"
        for dataset, of_dataset in margins.items()
    )
    return recomputed(
        not_positive(flat) / len(flat),
        f"LLMs at most as accurate as the best traditional model: {counts}; the others are ahead{noise_of_pairs(ahead)}",
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
        f"the least is {energy(least.energy().value)} ({least.title} on {dataset_title(str(least.row['dataset']))})"
        + too_little(evidence, least),
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
    """Return the smallest ratio of energies between machines, of one LLM on as many GPUs (FKTG)."""
    by_run: dict[tuple[str, int], dict[str, Run]] = {}
    everywhere = evidence.runs("fktg", LLM, machine=ANY)
    for run in everywhere:
        by_run.setdefault((run.model, run.gpus), {}).setdefault(str(run.row["machine"]), run)
    machines = sorted({str(run.row["machine"]) for run in everywhere})
    several = {key: list(runs.values()) for key, runs in by_run.items() if len(runs) > 1}
    if not several:
        raise Untestable(f"{evidence.source.label} has no LLM on several machines with as many GPUs")
    ratios = {}
    for key, runs in several.items():
        for run in runs:
            run.count_gpus()
        energies = [run.energy() for run in runs]
        ratios[key] = largest(energies) / smallest(energies)
    model, gpus = min(ratios, key=lambda key: ratios[key].value)
    return recomputed(
        smallest(list(ratios.values())),
        f"of {len({name for name, _ in ratios})} LLMs on {names(map(machine_title, machines))}, with as many GPUs on "
        f"each, the energy differs by a factor of {number(ratios[model, gpus].value)} at the least "
        f"({model_title(model)}, {gpus} GPU{'s' * (gpus != 1)})",
    )


@claim("abstract-energy-correlates-with-duration")
def energy_and_duration(evidence: Evidence) -> Recomputed:
    """Return the correlation of energy and duration over the runs on one node."""
    found, count = correlation(evidence, logarithmic=False)
    return recomputed(found, f"Pearson's r is {number(found.value)} over {count} runs on one node")


def _share_below(evidence: Evidence, tops: Mapping[str, Run], what: str) -> Recomputed:
    """Return the share of larger LLMs below the best model of their dataset, which `what` names."""
    margins: list[Value] = []
    below: list[Pair] = []
    counts = []
    for dataset, top in tops.items():
        larger = _larger(evidence, dataset)
        of_dataset = [top.accuracy() - run.accuracy() for run in larger]
        margins += of_dataset
        below += [(top, run) for run, margin in zip(larger, of_dataset, strict=True) if margin.value > NOISE]
        counts.append(f"{dataset_title(dataset)} {positive(of_dataset).value:.0f} of {len(of_dataset)}")
    return recomputed(
        positive(margins) / len(margins),
        f"larger LLMs less accurate than the {what}: {', '.join(counts)}{noise_of_pairs(below)}",
    )


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
