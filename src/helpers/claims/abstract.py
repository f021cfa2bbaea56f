"""Claims of the abstract about accuracy and energy, in both versions."""

from collections.abc import Sequence

from helpers.claims.cells import Run
from helpers.claims.common import LARGER, best, efficiency, extra_datasets
from helpers.claims.evidence import Evidence
from helpers.claims.noise import Pair, at_least_half, noise_of_pairs
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.values import (
    NOISE,
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
    TRADITIONAL,
    accuracy,
    dataset_title,
    names,
    number,
)
from helpers.study.catalogue import study

_UNREAD_BELOW = 0.5
"""An accuracy below this part of a guess's, one by the number of labels, looks like answers that were not read."""


@claim("abstract-best-model-can-be-efficient")
@claim("abstract-v2-best-model-efficient-in-some-contexts")
def best_model_efficient(evidence: Evidence) -> Recomputed:
    """Count the datasets whose most accurate model needs less energy than the median model."""
    ratios = _efficiencies(evidence)
    efficient_on = [dataset for dataset, ratio in ratios.items() if ratio.value > 1]
    return recomputed(
        positive([ratio - 1 for ratio in ratios.values()]),
        f"the most accurate model needs less energy than the median model on {len(efficient_on)} of {len(ratios)} "
        f"datasets: {names(map(dataset_title, efficient_on))}",
    )


@reading("best-model-below-every-llm")
def best_model_below_llms(evidence: Evidence) -> Recomputed:
    """Count the datasets whose most accurate model needs less energy than each LLM."""
    margins = {}
    for dataset in evidence.datasets((TRADITIONAL,), LLM):
        top = best(evidence.models(dataset))
        others = [run for run in evidence.models(dataset, LLM) if run.model != top.model]
        margins[dataset] = smallest([run.energy() for run in others]) - top.energy()
    below_on = [dataset for dataset, margin in margins.items() if margin.value > NOISE]
    return recomputed(
        positive(list(margins.values())),
        f"the most accurate model needs less energy than every other LLM on {len(below_on)} of {len(margins)} datasets: "
        f"{names(map(dataset_title, below_on))}",
    )


@claim("abstract-v2-best-model-not-efficient-everywhere")
def best_model_not_everywhere(evidence: Evidence) -> Recomputed:
    """Count the datasets whose most accurate model needs at least the median energy."""
    ratios = _efficiencies(evidence)
    demanding_on = [dataset for dataset, ratio in ratios.items() if ratio.value <= 1]
    return recomputed(
        not_positive([ratio - 1 for ratio in ratios.values()]),
        f"the most accurate model needs as much energy as the median model or more on {len(demanding_on)} of "
        f"{len(ratios)} datasets: {names(map(dataset_title, demanding_on))}",
    )


@claim("abstract-v2-accuracy-and-efficiency-differ")
def accuracy_and_efficiency(evidence: Evidence) -> Recomputed:
    """Count the pairs of models of one dataset in which the more accurate one needs less energy."""
    margins, pairs = [], 0
    opposite: list[Pair] = []
    for dataset in evidence.datasets((TRADITIONAL,), LLM):
        runs = evidence.models(dataset)
        for position, one in enumerate(runs):
            for other in runs[position + 1 :]:
                pairs += 1
                margins.append(_agreement(one, other))
                if margins[-1].value < -NOISE:
                    opposite.append((one, other))
    against = positive([Value.exact(0.0) - margin for margin in margins])
    return recomputed(
        against,
        f"in {against.value:.0f} of {pairs} pairs of models on one dataset the more accurate one needs less",
        noise_of_pairs(opposite),
    )


@claim("abstract-larger-llms-need-more-energy")
def larger_llms_energy(evidence: Evidence) -> Recomputed:
    """Divide the median energy of the LLMs that the paper calls larger by that of the most accurate model (FKTG)."""
    evidence.models("fktg", (TRADITIONAL,))
    top = best(evidence.models("fktg"))
    ratios = [run.energy() / top.energy() for run in _larger(evidence, "fktg")]
    return recomputed(
        median(ratios),
        f"{len(ratios)} larger LLMs need {number(median(ratios).value)} times the energy of {top.title} in the median and "
        f"{number(smallest(ratios).value)} times at the least",
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
    """Return the share of larger LLMs that are less accurate than the best model (FKTG)."""
    evidence.models("fktg", (TRADITIONAL,))
    top, larger = best(evidence.models("fktg")), _larger(evidence, "fktg")
    margins = [top.accuracy() - run.accuracy() for run in larger]
    below = [(top, run) for run, margin in zip(larger, margins, strict=True) if margin.value > NOISE]
    return recomputed(
        positive(margins) / len(margins),
        f"{len(below)} of {len(larger)} larger LLMs are less accurate than the best model on FKTG, {top.title}",
        noise_of_pairs(below, at_least_half),
    )


@claim("abstract-v2-llms-same-or-lower-accuracy")
def llms_accuracy(evidence: Evidence) -> Recomputed:
    """Return the share of LLMs that are at most as accurate as the best traditional model (FKTG)."""
    evidence.models("fktg", (TRADITIONAL,))
    return _share_not_ahead(evidence, ["fktg"])


@reading("llms-same-or-lower-accuracy-elsewhere")
def llms_accuracy_elsewhere(evidence: Evidence) -> Recomputed:
    """Return the share of LLM results, on all datasets but FKTG, that are at most the best traditional model's."""
    return _share_not_ahead(evidence, extra_datasets(evidence, (TRADITIONAL,), LLM))


def _share_not_ahead(evidence: Evidence, datasets: Sequence[str]) -> Recomputed:
    margins: dict[str, list[Value]] = {}
    ahead: list[Pair] = []
    unread: dict[str, str] = {}
    for dataset in datasets:
        top = best(evidence.models(dataset, (TRADITIONAL,)))
        llms = evidence.models(dataset, LLM)
        margins[dataset] = [run.accuracy() - top.accuracy() for run in llms]
        unread[dataset] = _unread(llms)
        ahead += [(run, top) for run in llms if run.accuracy().value > top.accuracy().value + NOISE]
    flat = [margin for of_dataset in margins.values() for margin in of_dataset]
    counts = ", ".join(
        f"{dataset_title(dataset)} {not_positive(of_dataset).value:.0f} of {len(of_dataset)}{unread[dataset]}"
        for dataset, of_dataset in margins.items()
    )
    return recomputed(
        not_positive(flat) / len(flat),
        f"LLMs at most as accurate as the best traditional model: {counts}"
        + ("; the others are ahead" if ahead else ""),
        noise_of_pairs(ahead),
    )


def _unread(runs: Sequence[Run]) -> str:
    """Name the runs that are right so much less often than a guess that their answers were probably not read."""
    unread = [
        f"the {accuracy(run.accuracy().value)} of {run.title}"
        for run in runs
        if run.accuracy().value < _UNREAD_BELOW / len(study().datasets[str(run.row["dataset"])].labels)
    ]
    if not unread:
        return ""
    which = "one of them is" if len(unread) == 1 else "among them are"
    return f" ({which} {names(unread)}, which suggests that answers could not be read)"


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
