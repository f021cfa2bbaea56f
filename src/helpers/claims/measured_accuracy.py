"""Counterparts of the paper's claims about accuracy and answers, for the models that a campaign measured."""

from collections.abc import Sequence
from functools import partial

from helpers.claims.cells import Run
from helpers.claims.common import with_numbers
from helpers.claims.evidence import Evidence
from helpers.claims.measured import best_measured, both_kinds, lead
from helpers.claims.measured_energy import largest_llm
from helpers.claims.registry import Recomputed, reading, recomputed
from helpers.claims.values import (
    NOISE,
    Untestable,
    Value,
    largest,
    median,
    not_positive,
    positive,
    smallest,
)
from helpers.claims.wording import LLM, OTHER, TRADITIONAL, accuracy, dataset_title, number
from helpers.statistics.bandwidth_bound import answer_tokens

_SEVERAL = 3


@reading("measured-larger-llm-less-accurate")
def larger_less_accurate(evidence: Evidence) -> Recomputed:
    """Return the share of datasets where the largest LLM is less accurate than the most accurate model."""
    margins = []
    for dataset in both_kinds(evidence):
        large = largest_llm(evidence, dataset)
        others = [run for run in evidence.models(dataset) if run.model != large.model]
        margins.append(largest([lead(run, large) for run in others]))
    behind = positive(margins)
    return recomputed(
        behind / len(margins),
        f"the largest LLM is less accurate than the most accurate model on {behind.value:.0f} of {len(margins)} datasets",
    )


@reading("measured-llms-not-ahead")
def llms_not_ahead(evidence: Evidence) -> Recomputed:
    """Return the share of LLM results that are at most as accurate as the best traditional model of the dataset."""
    margins = {dataset: _leads_of_llms(evidence, dataset) for dataset in both_kinds(evidence)}
    every = [margin for of_dataset in margins.values() for margin in of_dataset]
    counts = ", ".join(
        f"{dataset_title(dataset)} {not_positive(of_dataset).value:.0f} of {len(of_dataset)}"
        for dataset, of_dataset in margins.items()
    )
    return recomputed(
        not_positive(every) / len(every), f"LLMs at most as accurate as the best traditional model: {counts}"
    )


@reading("measured-llms-as-accurate-as-the-best-traditional-model")
def llms_as_accurate(evidence: Evidence) -> Recomputed:
    """Count the LLM results that are at least as accurate as the best traditional model of the dataset."""
    margins = [margin for dataset in both_kinds(evidence) for margin in _leads_of_llms(evidence, dataset)]
    count = not_positive([Value.exact(0.0) - margin for margin in margins])
    return recomputed(
        count,
        f"{count.value:.0f} of {len(margins)} LLM results are as accurate as the best traditional model, or more",
    )


@reading("measured-datasets-without-an-llm-ahead")
def no_llm_ahead(evidence: Evidence) -> Recomputed:
    """Count the datasets where no LLM is more accurate than the best traditional model."""
    margins = {
        dataset_title(dataset): largest(_leads_of_llms(evidence, dataset)) for dataset in both_kinds(evidence)
    }
    return recomputed(
        not_positive(list(margins.values())),
        f"the lead of the best LLM over the best traditional model: {with_numbers(margins)}",
    )


@reading("measured-linear-embedding-most-accurate")
def linear_embedding_best(evidence: Evidence) -> Recomputed:
    """Return how far Linear Embedding is ahead of the best other model, where that is least."""
    margins = {}
    for dataset in both_kinds(evidence):
        own = evidence.model("linear-embedding", dataset)
        margins[dataset_title(dataset)] = smallest(
            [lead(own, run) for run in evidence.models(dataset) if run.model != own.model]
        )
    return recomputed(
        smallest(list(margins.values())),
        f"the lead of Linear Embedding over the best other model: {with_numbers(margins)}",
    )


@reading("measured-tfidf-beats-llms")
def tfidf_beats(evidence: Evidence) -> Recomputed:
    """Count the LLMs that are less accurate than Linear Tf-idf, on the dataset where these are fewest.

    Raises:
        Untestable: where no dataset has several LLMs.
    """
    counts = {}
    for dataset in both_kinds(evidence):
        own, llms = evidence.model("linear-tfidf", dataset), evidence.models(dataset, LLM)
        if len(llms) >= _SEVERAL:
            counts[dataset_title(dataset)] = positive([lead(own, run) for run in llms])
    if not counts:
        raise Untestable(f"{evidence.source.label} has no dataset with several LLMs, {_SEVERAL} or more")
    return recomputed(
        smallest(list(counts.values())), f"LLMs less accurate than Linear Tf-idf: {with_numbers(counts)}"
    )


@reading("measured-yelp-worst-llm-ahead")
def yelp_worst_llm(evidence: Evidence) -> Recomputed:
    """Return how far the worst LLM is ahead of the best traditional model on yelp."""
    return _leads(evidence, "yelp", "worst")


@reading("measured-emotion-behind-the-best-llm")
def emotion_behind(evidence: Evidence) -> Recomputed:
    """Return how far Linear Embedding is behind the best LLM on emotion."""
    own, llms = evidence.model("linear-embedding", "emotion"), evidence.models("emotion", LLM)
    top = best_measured(llms)
    return recomputed(
        largest([lead(run, own) for run in llms]),
        f"Linear Embedding {accuracy(own.accuracy().value)}, {top.title} {accuracy(top.accuracy().value)}",
    )


@reading("measured-emotion-place-of-linear-embedding")
def emotion_place(evidence: Evidence) -> Recomputed:
    """Return the place of Linear Embedding among all models by accuracy on emotion."""
    own = evidence.model("linear-embedding", "emotion")
    evidence.models("emotion", LLM)
    others = [run for run in evidence.models("emotion") if run.model != own.model]
    ahead = positive([lead(run, own) for run in others])
    return recomputed(
        ahead + 1, f"{ahead.value:.0f} of {len(others)} other models are ahead of Linear Embedding"
    )


@reading("measured-short-answers")
def short_answers(evidence: Evidence) -> Recomputed:
    """Return the share of results of LLMs without reasoning that write no more than the longest answer of the template."""
    runs = _without_reasoning(evidence)
    tokens = [_tokens_per_text(run) for run in runs]
    longest = [answer_tokens(run.model).longest for run in runs]
    short = sum(count.value <= most + NOISE for count, most in zip(tokens, longest, strict=True))
    return recomputed(
        Value.exact(short / len(tokens)),
        f"{short} of {len(tokens)} LLM results have no more tokens a text than the longest answer of the template, "
        f"{max(longest)}; {_range(tokens)}",
    )


@reading("measured-single-token")
def single_token(evidence: Evidence) -> Recomputed:
    """Return the most tokens a text of an LLM without reasoning."""
    tokens = [_tokens_per_text(run) for run in _without_reasoning(evidence)]
    return recomputed(largest(tokens), _range(tokens))


def _without_reasoning(evidence: Evidence) -> list[Run]:
    return [run for dataset in evidence.datasets((OTHER,)) for run in evidence.models(dataset, (OTHER,))]


def _range(tokens: Sequence[Value]) -> str:
    return f"tokens a text: {number(smallest(tokens).value)} to {number(largest(tokens).value)}"


def _tokens_per_text(run: Run) -> Value:
    return run.tokens_out() / int(run.row["texts"])


def _leads_of_llms(evidence: Evidence, dataset: str) -> list[Value]:
    """Return how far each LLM is ahead of the best traditional model: of each of them, the least lead."""
    traditional = evidence.models(dataset, (TRADITIONAL,))
    return [smallest([lead(llm, run) for run in traditional]) for llm in evidence.models(dataset, LLM)]


def _leads(evidence: Evidence, dataset: str, which: str) -> Recomputed:
    """Return how far the worst, median or best LLM is ahead of the best traditional model of a dataset."""
    leads = _leads_of_llms(evidence, dataset)
    middle = {"worst": smallest, "median": median, "best": largest}[which](leads)
    top = best_measured(evidence.models(dataset, (TRADITIONAL,)))
    return recomputed(
        middle,
        f"the {which} of {len(leads)} LLMs is {number(abs(middle.value))} {'ahead of' if middle.value > 0 else 'behind'} the "
        f"best traditional model, {top.title} at {accuracy(top.accuracy().value)}",
    )


for _which in ("best", "median"):
    reading(f"measured-tomatoes-{_which}-llm-ahead")(partial(_leads, dataset="tomatoes", which=_which))
