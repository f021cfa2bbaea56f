"""Claims of section 4 before 4.1, with Figure 1 and Table B1."""

import math

from helpers.claims.common import accuracy_lead, best, gap_of_marks, least
from helpers.claims.evidence import Evidence
from helpers.claims.noise import at_least_half, noise, noise_of_means, noise_of_pairs
from helpers.claims.registry import Noise, Recomputed, claim, reading, recomputed
from helpers.claims.values import (
    NOISE,
    Value,
    decades,
    largest,
    mean,
    median,
    misses,
    not_positive,
    positive,
    smallest,
)
from helpers.claims.wording import (
    LLM,
    OTHER,
    REASONING,
    TRADITIONAL,
    accuracy,
    energy,
    names,
    number,
)

_SMALL = ("llama-3.1-8b", "qwen-2.5-7b", "phi-3.5-mini", "ds-llama-8b")
"""The LLMs of less than ten billion parameters, by their names."""


@claim("minimal-gpus-vary")
def minimal_gpus(evidence: Evidence) -> Recomputed:
    """Count the different minimal numbers of GPUs (FKTG)."""
    runs = evidence.models("fktg", LLM)
    counts = sorted({run.count_gpus() for run in runs})
    return recomputed(Value.exact(len(counts)), f"{len(runs)} LLMs need {names(map(str, counts))} GPUs")


@claim("linear-embedding-most-accurate")
def linear_embedding_best(evidence: Evidence) -> Recomputed:
    """Return how far Linear Embedding is ahead of the best other model (FKTG)."""
    own = evidence.model("linear-embedding")
    evidence.models("fktg", LLM)
    return accuracy_lead(own, [run for run in evidence.models("fktg") if run.model != own.model])


@claim("tfidf-needs-least-energy")
def tfidf_least(evidence: Evidence) -> Recomputed:
    """Return how many times the energy of Linear Tf-idf the next model needs (FKTG)."""
    own = evidence.model("linear-tfidf")
    others = [run for run in evidence.models("fktg") if run.model != own.model]
    next_one = least(others)
    return recomputed(
        smallest([run.energy() for run in others]) / own.energy(),
        f"Linear Tf-idf {energy(own.energy().value)}, next {next_one.title} {energy(next_one.energy().value)}",
    )


@claim("tfidf-beats-several-llms")
def tfidf_beats(evidence: Evidence) -> Recomputed:
    """Count the LLMs that are less accurate than Linear Tf-idf (FKTG)."""
    own, llms = evidence.model("linear-tfidf"), evidence.models("fktg", LLM)
    beaten = [run for run in llms if run.accuracy().value < own.accuracy().value - NOISE]
    return recomputed(
        positive([own.accuracy() - run.accuracy() for run in llms]),
        f"its accuracy of {accuracy(own.accuracy().value)} is above {len(beaten)} of {len(llms)} LLMs: "
        f"{names([run.title for run in beaten], len(llms))}",
        noise_of_pairs([(own, run) for run in beaten], at_least_half),
    )


@claim("qwen-7b-best-small-llm")
def qwen_best_small(evidence: Evidence) -> Recomputed:
    """Return how far Qwen 2.5 7B is ahead of the other LLMs of less than 10 billion parameters (FKTG)."""
    return _ahead(evidence, "qwen-2.5-7b", [model for model in _SMALL if model != "qwen-2.5-7b"])


@claim("qwen-72b-most-accurate-llm")
def qwen_best(evidence: Evidence) -> Recomputed:
    """Return how far Qwen 2.5 72B is ahead of the other LLMs (FKTG)."""
    others = [run.model for run in evidence.models("fktg", LLM) if run.model != "qwen-2.5-72b"]
    return _ahead(evidence, "qwen-2.5-72b", others)


@claim("qwen-7b-seven-times-less-energy")
def qwen_energy(evidence: Evidence) -> Recomputed:
    """Divide the energies of the two Qwen models (FKTG)."""
    large, small = evidence.model("qwen-2.5-72b").energy(), evidence.model("qwen-2.5-7b").energy()
    return recomputed(
        large / small,
        f"{energy(large.value, 4)} / {energy(small.value, 3)} = {number((large / small).value)} times",
    )


@reading("qwen-7b-saves-seven-times")
def qwen_saving(evidence: Evidence) -> Recomputed:
    """Return how many whole times the energy of the smaller Qwen model it saves beside the larger (FKTG)."""
    large, small = evidence.model("qwen-2.5-72b").energy(), evidence.model("qwen-2.5-7b").energy()
    times = large / small - 1
    return recomputed(
        Value(*map(math.floor, (times.value, times.low, times.high))),
        f"({energy(large.value, 4)} - {energy(small.value, 3)}) / {energy(small.value, 3)} = {number(times.value)} times",
    )


@claim("qwen-7b-accuracy-gap")
def qwen_gap(evidence: Evidence) -> Recomputed:
    """Subtract the accuracies of the two Qwen models (FKTG); Figure 1 shows them more finely than Table B1."""
    large, small = evidence.model("qwen-2.5-72b"), evidence.model("qwen-2.5-7b")
    gap = large.accuracy() - small.accuracy()
    return recomputed(
        gap,
        f"{accuracy(large.accuracy().value)} - {accuracy(small.accuracy().value)} = {number(gap.value)}, between "
        f"{number(gap.low)} and {number(gap.high)} before rounding{gap_of_marks(large, small, 'figure_1')}",
        noise(large, small),
    )


@claim("deepseek-less-accurate")
def deepseek_accuracy(evidence: Evidence) -> Recomputed:
    """Subtract the mean accuracies of reasoning LLMs and of the others (FKTG), and count the pairs."""
    reasoning, others = (evidence.models("fktg", (family,)) for family in (REASONING, OTHER))
    means = [mean([run.accuracy() for run in runs]) for runs in (others, reasoning)]
    pairs = [(one, other) for one in reasoning for other in others]
    ahead = [pair for pair in pairs if pair[0].accuracy().value > pair[1].accuracy().value]
    of_means, of_pairs = noise_of_means(others, reasoning), noise_of_pairs(ahead, at_least_half)
    example = f", such as {ahead[0][0].title} over {ahead[0][1].title}" if ahead else ""
    return recomputed(
        means[0] - means[1],
        f"mean accuracy {number(means[1].value)} with reasoning and {number(means[0].value)} without, a difference of "
        f"{number(abs((means[0] - means[1]).value), 2)}{of_means.text}; the reasoning model is the more "
        f"accurate one in {len(ahead)} of {len(pairs)} pairs{example}",
        Noise(of_pairs.text, of_pairs.within or of_means.within),
    )


@claim("deepseek-not-ahead-on-fktg")
@reading("best-deepseek-less-accurate")
def best_deepseek(evidence: Evidence) -> Recomputed:
    """Return how far the best LLM without reasoning is ahead of the best reasoning LLM (FKTG)."""
    reasoning, other = (best(evidence.models("fktg", (family,))) for family in (REASONING, OTHER))
    return recomputed(
        other.accuracy() - reasoning.accuracy(),
        f"the best with reasoning, {reasoning.title}, reaches {accuracy(reasoning.accuracy().value)}; the best without, "
        f"{other.title}, {accuracy(other.accuracy().value)}",
        noise(other, reasoning),
    )


@claim("deepseek-needs-more-energy")
def deepseek_energy(evidence: Evidence) -> Recomputed:
    """Divide the least energy of a reasoning LLM by the largest of another LLM (FKTG)."""
    reasoning, others = (evidence.models("fktg", (family,)) for family in (REASONING, OTHER))
    least, most = smallest([run.energy() for run in reasoning]), largest([run.energy() for run in others])
    return recomputed(
        least / most,
        f"the least of {len(reasoning)} reasoning LLMs is {energy(least.value, 3)}, the most of {len(others)} others "
        f"{energy(most.value, 3)}",
    )


@reading("deepseek-median-energy")
def deepseek_median_energy(evidence: Evidence) -> Recomputed:
    """Divide the median energies of reasoning LLMs and of the other LLMs (FKTG)."""
    middles = [
        median([run.energy() for run in evidence.models("fktg", (family,))]) for family in (REASONING, OTHER)
    ]
    return recomputed(
        middles[0] / middles[1],
        f"the medians are {energy(middles[0].value, 3)} with reasoning and {energy(middles[1].value, 3)} without",
    )


@claim("deepseek-takes-longer")
def deepseek_duration(evidence: Evidence) -> Recomputed:
    """Divide the shortest duration of a reasoning LLM by the longest of another LLM (FKTG)."""
    reasoning, others = (evidence.models("fktg", (family,)) for family in (REASONING, OTHER))
    least, most = smallest([run.duration() for run in reasoning]), largest([run.duration() for run in others])
    return recomputed(
        least / most,
        f"the shortest of {len(reasoning)} reasoning LLMs takes {number(least.value)} s, the longest of {len(others)} "
        f"others {number(most.value)} s",
    )


@claim("six-orders-of-magnitude")
def orders_of_magnitude(evidence: Evidence) -> Recomputed:
    """Return the range of the energies in powers of ten (FKTG)."""
    for families in ((TRADITIONAL,), LLM):
        evidence.models("fktg", families)
    energies = [run.energy() for run in evidence.models("fktg")]
    least, most = smallest(energies), largest(energies)
    return recomputed(
        decades(most / least),
        f"{energy(most.value, 3)} / {energy(least.value, 3)} is {number(decades(most / least).value)} powers of ten",
    )


@claim("traditional-models-need-least")
def traditional_least(evidence: Evidence) -> Recomputed:
    """Divide the least energy of an LLM by the largest of a traditional model (FKTG)."""
    llms, traditional = evidence.models("fktg", LLM), evidence.models("fktg", (TRADITIONAL,))
    least, most = smallest([run.energy() for run in llms]), largest([run.energy() for run in traditional])
    return recomputed(
        least / most,
        f"the least of {len(llms)} LLMs is {energy(least.value)}, the most of {len(traditional)} traditional models "
        f"{energy(most.value)}",
    )


@claim("reasoning-models-need-most")
def reasoning_most(evidence: Evidence) -> Recomputed:
    """Count the models that need as much as the least demanding reasoning LLM (FKTG)."""
    reasoning = evidence.models("fktg", (REASONING,))
    others = [run for run in evidence.models("fktg") if run.row["family"] != REASONING]
    least = min(reasoning, key=lambda run: run.energy().value)
    above = [run for run in others if run.energy().value >= least.energy().value]
    return recomputed(
        not_positive([least.energy() - run.energy() for run in others]),
        f"{len(above)} of {len(others)} other models need as much as {least.title} ({energy(least.energy().value, 3)})",
    )


@claim("best-model-has-moderate-energy")
def moderate_energy(evidence: Evidence) -> Recomputed:
    """Place the best model between the least (0) and the most demanding one (1), in powers of ten (FKTG)."""
    evidence.models("fktg", LLM)
    own, runs = evidence.model("linear-embedding"), evidence.models("fktg")
    energies = [run.energy() for run in runs]
    least, most = smallest(energies), largest(energies)
    rank = 1 + sum(run.energy().value < own.energy().value for run in runs)
    return recomputed(
        decades(own.energy() / least) / decades(most / least),
        f"{energy(own.energy().value)} is {number(decades(own.energy() / least).value)} of "
        f"{number(decades(most / least).value)} powers of ten above the least, rank {rank} of {len(runs)}",
    )


@claim("table-b1-average-power")
def average_power(evidence: Evidence) -> Recomputed:
    """Count the models whose printed power is not energy / duration within the rounding of both (Table B1)."""
    printed = {row.label("model"): row for row in evidence.printed("table_b1")}
    margins = []
    for run in evidence.models("fktg"):
        power = run.energy() / run.duration() * 3600
        gap = printed[run.model].number("average_power_w", half=0.005) - power
        # outside the interval for sure, or not at all: rounding decides nothing here
        margins.append(misses(gap))
    wrong = positive(margins)
    return recomputed(
        wrong,
        f"3600 x energy / duration misses the printed power for {wrong.value:.0f} of {len(margins)} models",
    )


def _ahead(evidence: Evidence, model: str, others: list[str]) -> Recomputed:
    return accuracy_lead(evidence.model(model), evidence.models("fktg", among=others))
