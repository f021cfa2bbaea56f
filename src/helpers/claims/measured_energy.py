"""Counterparts of the paper's claims about energy, for the models that a campaign measured on the paper's datasets."""

from collections.abc import Callable, Sequence
from functools import partial

from helpers.claims.cells import Run
from helpers.claims.common import LINEAGES, with_numbers
from helpers.claims.evidence import Evidence
from helpers.claims.measured import around, best_measured, both_kinds, contenders, energy_ratio, lead
from helpers.claims.registry import Recomputed, reading, recomputed
from helpers.claims.values import (
    NOISE,
    Untestable,
    Value,
    corners,
    decades,
    median,
    not_positive,
    positive,
    smallest,
)
from helpers.claims.wording import LLM, TRADITIONAL, dataset_title, names, number
from helpers.study.catalogue import LanguageModel, model_title, study


@reading("measured-best-model-below-every-llm")
def best_below_llms(evidence: Evidence) -> Recomputed:
    """Count the datasets whose most accurate model needs less energy than every other LLM.

    How it compares with the median model says nothing here: which one that is follows from how many models of each kind
    a campaign chose.
    """
    ratios = {
        dataset_title(dataset): _over_contenders(
            evidence, dataset, partial(_least_other_to, evidence.models(dataset, LLM))
        )
        for dataset in both_kinds(evidence)
    }
    efficient = [dataset for dataset, ratio in ratios.items() if ratio.value > 1]
    return recomputed(
        positive([ratio - 1 for ratio in ratios.values()]),
        f"the most accurate model needs less energy than every other LLM on {len(efficient)} of {len(ratios)} datasets: "
        f"{names(efficient)}",
    )


@reading("measured-llms-as-frugal-as-the-best-model")
def llms_as_frugal(evidence: Evidence) -> Recomputed:
    """Count the LLM results that do not need more energy than the most accurate model of the dataset."""
    margins = [
        _over_contenders(evidence, dataset, partial(energy_ratio, llm)) - 1
        for dataset in both_kinds(evidence)
        for llm in evidence.models(dataset, LLM)
        if llm.model != best_measured(evidence.models(dataset)).model
    ]
    if not margins:
        raise Untestable(f"{evidence.source.label} has no LLM beside the most accurate model")
    count = not_positive(margins)
    return recomputed(
        count,
        f"{count.value:.0f} of {len(margins)} LLM results need as little energy as the most accurate model",
    )


@reading("measured-more-accurate-for-less")
def more_accurate_for_less(evidence: Evidence) -> Recomputed:
    """Count the pairs of models of one dataset in which the more accurate one needs less energy."""
    margins = [
        corners(lambda a, b: -a * b, lead(one, other), decades(energy_ratio(one, other)))
        for dataset in both_kinds(evidence)
        for one, other in _pairs(evidence.models(dataset))
    ]
    count = positive(margins)
    return recomputed(
        count,
        f"in {count.value:.0f} of {len(margins)} pairs of models on one dataset the more accurate one needs less, in "
        f"{count.low:.0f} of them by more than the uncertainty",
    )


@reading("measured-larger-llm-to-the-best-model")
def larger_to_best(evidence: Evidence) -> Recomputed:
    """Return the median over datasets of the energy of the largest LLM by that of the most accurate model."""
    ratios = {}
    for dataset in both_kinds(evidence):
        large = largest_llm(evidence, dataset)
        ratios[dataset_title(dataset)] = _over_contenders(evidence, dataset, partial(energy_ratio, large))
    return recomputed(
        median(list(ratios.values())),
        f"the largest LLM needs, of the energy of the most accurate model, {with_numbers(ratios)} times",
    )


@reading("measured-llms-to-the-most-demanding-traditional-model")
def llms_to_most_demanding(evidence: Evidence) -> Recomputed:
    """Return the median, over LLM results, of the energy by that of the most demanding traditional model."""
    ratios = _llms_to_traditional(evidence)
    return recomputed(
        median(ratios),
        f"of {len(ratios)} LLM results, the LLM needs {number(median(ratios).value)} times the energy of the most demanding "
        f"traditional model in the median and {number(smallest(ratios).value)} times at the least",
    )


@reading("measured-traditional-models-need-least")
def traditional_least(evidence: Evidence) -> Recomputed:
    """Return the least ratio of the energy of an LLM to that of a traditional model of the dataset."""
    ratios = _llms_to_traditional(evidence)
    return recomputed(
        smallest(ratios),
        f"of {len(ratios)} LLM results, the one nearest to the traditional models needs {number(smallest(ratios).value)} times "
        "the energy of the most demanding of them",
    )


@reading("measured-kinds-of-models-apart")
def kinds_apart(evidence: Evidence) -> Recomputed:
    """Divide the median energies of LLMs and of traditional models of a dataset; the least of these ratios."""
    ratios = {}
    for dataset in both_kinds(evidence):
        traditional, llms = (evidence.models(dataset, kind) for kind in ((TRADITIONAL,), LLM))
        common = best_measured(traditional)
        medians = [median([energy_ratio(run, common) for run in runs]) for runs in (llms, traditional)]
        ratios[dataset_title(dataset)] = medians[0] / medians[1]
    return _least_of(ratios, "times the median energy of traditional models the median LLM needs")


@reading("measured-larger-model-of-a-lineage")
def larger_of_lineage(evidence: Evidence) -> Recomputed:
    """Return the least ratio of energies between a larger and a smaller model of one lineage, over all datasets.

    Raises:
        Untestable: where no dataset has two models of one lineage.
    """
    ratios = {}
    for dataset in evidence.datasets(LLM):
        runs = {run.model: run for run in evidence.models(dataset, LLM)}
        for small, large in LINEAGES:
            if small in runs and large in runs:
                name = f"{model_title(large)} to {model_title(small)} on {dataset_title(dataset)}"
                ratios[name] = energy_ratio(runs[large], runs[small])
    if not ratios:
        raise Untestable(f"{evidence.source.label} has no two LLMs of one lineage on a dataset")
    listed = "; ".join(f"{name} {number(ratio.value)}" for name, ratio in ratios.items())
    return recomputed(smallest(list(ratios.values())), listed)


@reading("measured-tfidf-needs-least-energy")
def tfidf_least(evidence: Evidence) -> Recomputed:
    """Return how many times the energy of Linear Tf-idf the next model needs, where that is least."""
    ratios = {}
    for dataset in both_kinds(evidence):
        own = evidence.model("linear-tfidf", dataset)
        ratios[dataset_title(dataset)] = smallest(
            [energy_ratio(run, own) for run in evidence.models(dataset) if run.model != own.model]
        )
    return _least_of(ratios, "times the energy of Linear Tf-idf the least demanding other model needs")


@reading("measured-news-best-llm-to-linear-embedding")
def news_best_llm(evidence: Evidence) -> Recomputed:
    """Divide the energy of the most accurate LLM on news by that of Linear Embedding."""
    own, tops = evidence.model("linear-embedding", "news"), contenders(evidence.models("news", LLM))
    ratios = [energy_ratio(run, own) for run in tops]
    return recomputed(
        around(ratios[0], ratios),
        f"{tops[0].title} needs {number(ratios[0].value)} times the energy of {own.title}",
    )


@reading("measured-emotion-more-efficient-than-linear-embedding")
def emotion_efficient(evidence: Evidence) -> Recomputed:
    """Count the LLMs on emotion that are at least as accurate as Linear Embedding and need no more energy."""
    own, llms = evidence.model("linear-embedding", "emotion"), evidence.models("emotion", LLM)
    leads, ratios = ([measure(run, own) for run in llms] for measure in (lead, energy_ratio))
    margins = [_both_at_most(own_lead, ratio) for own_lead, ratio in zip(leads, ratios, strict=True)]
    count = positive(margins)
    as_accurate = [run.title for run, ahead in zip(llms, leads, strict=True) if ahead.value >= -NOISE]
    return recomputed(
        count,
        f"of {len(llms)} LLMs, {names(as_accurate)} reaches the accuracy of {own.title}, and {count.value:.0f} of them "
        "with as little energy",
    )


def largest_llm(evidence: Evidence, dataset: str) -> Run:
    """Return the LLM with most parameters on a dataset.

    Raises:
        Untestable: where there are no two LLMs of different size.
    """
    sizes = {
        run.model: entry.parameters_b
        for run in evidence.models(dataset, LLM)
        if isinstance(entry := study().models[run.model], LanguageModel)
    }
    if len(set(sizes.values())) < 2:
        raise Untestable(
            f"{evidence.source.label} has no two LLMs of different size on {dataset_title(dataset)}"
        )
    return evidence.model(max(sizes, key=lambda model: sizes[model]), dataset)


def _over_contenders(evidence: Evidence, dataset: str, ratio: Callable[[Run], Value]) -> Value:
    """Return what holds of the most accurate model, with the interval of every model that may be it."""
    values = [ratio(top) for top in contenders(evidence.models(dataset))]
    return around(values[0], values)


def _least_other_to(runs: Sequence[Run], top: Run) -> Value:
    return smallest([energy_ratio(run, top) for run in runs if run.model != top.model])


def _llms_to_traditional(evidence: Evidence) -> list[Value]:
    """Return the energy of each LLM result by that of the most demanding traditional model of its dataset."""
    return [
        smallest([energy_ratio(llm, other) for other in evidence.models(dataset, (TRADITIONAL,))])
        for dataset in both_kinds(evidence)
        for llm in evidence.models(dataset, LLM)
    ]


def _least_of(ratios: dict[str, Value], what: str) -> Recomputed:
    return recomputed(smallest(list(ratios.values())), f"{what}: {with_numbers(ratios)}")


def _pairs(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    return [(one, other) for position, one in enumerate(runs) for other in runs[position + 1 :]]


def _both_at_most(ahead: Value, ratio: Value) -> Value:
    """Return a margin above zero where a model is at least as accurate and needs at most as much energy."""
    return corners(
        lambda margin, times: 1.0 if margin >= -NOISE and times <= 1 + NOISE else -1.0, ahead, ratio
    )
