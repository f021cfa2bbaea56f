"""Claims of section 5.1 about news, yelp, tomatoes and emotion, with Figure 7 and Tables B4 and B5."""

from dataclasses import replace
from functools import partial

from helpers.claims.common import (
    LARGER,
    accuracy_gap,
    accuracy_lead,
    accuracy_of,
    best,
    energy_of,
    energy_ratio,
    extra_datasets,
    with_numbers,
)
from helpers.claims.evidence import Evidence
from helpers.claims.noise import noise, noise_of_pairs, too_little
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.values import NOISE, Untestable, Value, largest, median, not_positive, positive, smallest
from helpers.claims.wording import LLM, TRADITIONAL, accuracy, dataset_title, energy, names, number


@claim("figure-7-shows-the-three-best")
def figure_7_models(evidence: Evidence) -> Recomputed:
    """Count the models that Figure 7 shows and should not, or should show and does not.

    It should show the models at the first three ranks of accuracy (ties share a rank) and Linear Embedding.
    """
    shown = {(row.label("dataset"), row.label("model")) for row in evidence.printed("figure_7")}
    described = set()
    datasets = sorted({dataset for dataset, _ in shown})
    for dataset in datasets:
        runs = evidence.models(dataset)
        for run in runs:
            ahead = sum(other.accuracy().value > run.accuracy().value + NOISE for other in runs)
            if ahead < 3 or run.model == "linear-embedding":
                described.add((dataset, run.model))
    wrong = sorted(f"{model} ({dataset})" for dataset, model in shown ^ described)
    return recomputed(
        Value.exact(len(wrong)),
        f"{len(shown & described)} of {len(described)} models are shown as described; others: {names(wrong)}",
    )


@claim("an-llm-is-best-on-every-dataset")
def llm_best(evidence: Evidence) -> Recomputed:
    """Count the datasets but FKTG where no LLM is more accurate than the best traditional model."""
    margins, gaps_listed, pairs = [], [], []
    for dataset in extra_datasets(evidence, (TRADITIONAL,), LLM):
        llm, traditional = (best(evidence.models(dataset, families)) for families in (LLM, (TRADITIONAL,)))
        margins.append(llm.accuracy() - traditional.accuracy())
        pairs.append((llm, traditional))
        gaps_listed.append(
            f"{dataset_title(dataset)} {accuracy(llm.accuracy().value)} to {accuracy(traditional.accuracy().value)}"
        )
    return recomputed(
        not_positive(margins),
        f"best LLM to best traditional model: {', '.join(gaps_listed)}",
        noise_of_pairs(pairs, any),
    )


@claim("news-best-linear-model")
def news_best_linear(evidence: Evidence) -> Recomputed:
    """Return how far Linear Embedding is ahead of the other linear models on news."""
    own = evidence.model("linear-embedding", "news")
    rest = evidence.models("news", among=("linear-bow", "linear-tfidf"))
    return accuracy_lead(own, rest)


@claim("news-linear-energy")
def news_linear_energy(evidence: Evidence) -> Recomputed:
    """Return the energy of Linear Embedding on news in Wh."""
    own = energy_of(evidence, "linear-embedding", "news")
    doubt = too_little(evidence, evidence.model("linear-embedding", "news"))
    return replace(own, reason=own.reason + doubt)


@claim("yelp-traditional-models-worse")
def yelp_traditional(evidence: Evidence) -> Recomputed:
    """Subtract the accuracies of the worst LLM and the best traditional model on yelp."""
    llms, top = evidence.models("yelp", LLM), best(evidence.models("yelp", (TRADITIONAL,)))
    worst = smallest([run.accuracy() for run in llms])
    last = min(llms, key=lambda run: run.accuracy().value)
    return recomputed(
        worst - top.accuracy(),
        f"the worst of {len(llms)} LLMs reaches {number(worst.value)}, {top.title} {accuracy(top.accuracy().value)}",
        noise(last, top),
    )


@claim("tomatoes-traditional-models-behind")
def tomatoes_best(evidence: Evidence) -> Recomputed:
    """Subtract the accuracies of the best LLM and the best traditional model on tomatoes."""
    llm, traditional = (best(evidence.models("tomatoes", families)) for families in (LLM, (TRADITIONAL,)))
    behind = [
        f"{run.title} {accuracy(run.accuracy().value)}"
        for run in evidence.models("tomatoes", LLM)
        if run.accuracy().value <= traditional.accuracy().value + NOISE
    ]
    return recomputed(
        llm.accuracy() - traditional.accuracy(),
        f"{llm.title} {accuracy(llm.accuracy().value)}, {traditional.title} {accuracy(traditional.accuracy().value)}"
        f"; LLMs that are not ahead: {names(behind)}",
        noise(llm, traditional),
    )


@reading("tomatoes-traditional-models-behind-the-median-llm")
def tomatoes_median(evidence: Evidence) -> Recomputed:
    """Subtract the accuracies of the median LLM and the best traditional model on tomatoes."""
    llms, top = evidence.models("tomatoes", LLM), best(evidence.models("tomatoes", (TRADITIONAL,)))
    middle = median([run.accuracy() for run in llms])
    return recomputed(
        middle - top.accuracy(),
        f"the median of {len(llms)} LLMs reaches {number(middle.value)}, {top.title} {accuracy(top.accuracy().value)}",
    )


@claim("tomatoes-jamba-among-most-efficient")
def tomatoes_jamba_rank(evidence: Evidence) -> Recomputed:
    """Return the rank of Jamba Mini 1.5 by energy among the larger LLMs on tomatoes."""
    own = evidence.model("jamba-mini-1.5", "tomatoes")
    rest = [run for run in evidence.models("tomatoes", among=LARGER) if run.model != own.model]
    less = [run for run in rest if run.energy().value < own.energy().value]
    return recomputed(
        positive([own.energy() - run.energy() for run in rest]) + 1,
        f"of {len(rest) + 1} larger LLMs, {names(run.title for run in less)} needs less than its {energy(own.energy().value, 3)}",
    )


@claim("tomatoes-jamba-less-energy")
def tomatoes_jamba_less(evidence: Evidence) -> Recomputed:
    """Divide the median energy of the other larger LLMs on tomatoes by that of Jamba Mini 1.5."""
    own = evidence.model("jamba-mini-1.5", "tomatoes")
    rest = [run for run in evidence.models("tomatoes", among=LARGER) if run.model != own.model]
    if not rest:
        raise Untestable(f"{evidence.source.label} has no other of the larger LLMs on tomatoes")
    ratios = {run.title: run.energy() / own.energy() for run in rest}
    middle = median(list(ratios.values()))
    return recomputed(
        middle,
        f"times the energy of Jamba Mini 1.5: {with_numbers(ratios)}; {number(middle.value)} in the median",
    )


@claim("tomatoes-jamba-strong-accuracy")
def tomatoes_jamba_accuracy(evidence: Evidence) -> Recomputed:
    """Return how far Jamba Mini 1.5 is behind the best other LLM on tomatoes."""
    own = evidence.model("jamba-mini-1.5", "tomatoes")
    rest = [run for run in evidence.models("tomatoes", LLM) if run.model != own.model]
    return recomputed(
        largest([run.accuracy() for run in rest]) - own.accuracy(),
        f"Jamba Mini 1.5 {accuracy(own.accuracy().value)}, {best(rest).title} {accuracy(best(rest).accuracy().value)}",
        noise(own, best(rest)),
    )


for _identifier, _function in {
    "news-llama-accuracy": partial(accuracy_of, model="llama-3.1-70b", dataset="news"),
    "news-linear-accuracy": partial(accuracy_of, model="linear-embedding", dataset="news"),
    "yelp-qwen-7b-accuracy": partial(accuracy_of, model="qwen-2.5-7b", dataset="yelp"),
    "yelp-qwen-72b-accuracy": partial(accuracy_of, model="qwen-2.5-72b", dataset="yelp"),
    "emotion-ds-llama-70b-accuracy": partial(accuracy_of, model="ds-llama-70b", dataset="emotion"),
    "emotion-phi-moe-accuracy": partial(accuracy_of, model="phi-3.5-moe", dataset="emotion"),
    "news-llama-energy": partial(energy_of, model="llama-3.1-70b", dataset="news"),
    "news-accuracy-gap": partial(accuracy_gap, more="llama-3.1-70b", less="linear-embedding", dataset="news"),
    "yelp-qwen-slightly-lower": partial(
        accuracy_gap, more="qwen-2.5-72b", less="qwen-2.5-7b", dataset="yelp"
    ),
    "news-significantly-more-energy": partial(
        energy_ratio, more="llama-3.1-70b", less="linear-embedding", dataset="news"
    ),
    "yelp-qwen-one-eighth": partial(energy_ratio, more="qwen-2.5-72b", less="qwen-2.5-7b", dataset="yelp"),
    "tomatoes-jamba-quarter-of-llama": partial(
        energy_ratio, more="llama-3.1-70b", less="jamba-mini-1.5", dataset="tomatoes"
    ),
    "tomatoes-jamba-quarter-of-qwen": partial(
        energy_ratio, more="qwen-2.5-72b", less="jamba-mini-1.5", dataset="tomatoes"
    ),
}.items():
    claim(_identifier)(_function)
