"""Claims of the introduction."""

from helpers.claims.cells import Run
from helpers.claims.common import best, efficiency, least
from helpers.claims.evidence import Evidence
from helpers.claims.noise import noise
from helpers.claims.registry import Recomputed, claim, recomputed
from helpers.claims.values import not_positive
from helpers.claims.wording import EVERYONE, LLM, TRADITIONAL, accuracy, energy, number


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
        f"{len(others)} LLMs need {energy(least(others).energy().value)} or more, {top.title} "
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
        noise(top, best(llms)),
    )


def _both(evidence: Evidence, dataset: str) -> list[Run]:
    for families in ((TRADITIONAL,), LLM):
        evidence.models(dataset, families)
    return evidence.models(dataset, EVERYONE)
