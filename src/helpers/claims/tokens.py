"""Claims of section 4.1.3 about how much text the models write, of which the paper prints no count."""

from helpers.claims.cells import Run
from helpers.claims.common import SAME_SIZE, with_numbers
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.values import NOISE, Untestable, Value, corners, largest, positive, smallest
from helpers.claims.wording import OTHER, REASONING, machine_title
from helpers.study import roofline
from helpers.study.catalogue import LanguageModel, study

_MACHINES = ("capella", "paula", "clara")
_SHORT_ANSWERS_ON = "paula"
"""The machine of the A30, the slowest memory of the three: there the least fits into a given time."""


@claim("single-token-answers")
def short_answers(evidence: Evidence) -> Recomputed:
    """Return the share of LLMs without reasoning that write no more than a limit of tokens a text (FKTG).

    The paper's own tokens are not printed. Those that fit into the durations of Table B3 on A30, at the speed of the
    card's memory and one text at a time, are an upper bound; it is an inference, as are the numbers of GPUs.
    """
    limit = evidence.number("template_tokens")
    if not evidence.source.is_the_paper:
        tokens = _counted(evidence, OTHER)
        return recomputed(_share_within(tokens, limit), f"tokens per text: {with_numbers(tokens)}")
    fitting = {
        run.title: _most_tokens(run) for run in evidence.runs("fktg", (OTHER,), machine=_SHORT_ANSWERS_ON)
    }
    return recomputed(
        _share_within(fitting, limit),
        f"one text at a time, the printed durations on A30 leave room for at most these tokens a text: "
        f"{with_numbers(fitting)}; DSPy's markers alone take about {limit:.0f}, so the length of the answers, concurrency, "
        "caching or the number of GPUs was another than we assume",
        inferred=True,
    )


@reading("single-token-literally")
def single_token(evidence: Evidence) -> Recomputed:
    """Return the fewest tokens of an answer: the paper's format of Appendix A, or the most that a campaign counted."""
    if evidence.source.is_the_paper:
        parts = evidence.number("parts_of_an_answer")
        return recomputed(
            Value.exact(parts),
            f"the prompt of Appendix A asks for a category between two markers: {parts:.0f} tokens at the very least",
        )
    tokens = _counted(evidence, OTHER)
    return recomputed(largest(list(tokens.values())), f"tokens per text: {with_numbers(tokens)}")


@claim("deepseek-generates-more")
def deepseek_tokens(evidence: Evidence) -> Recomputed:
    """Return how many times the tokens of another LLM a reasoning LLM generates at the least (FKTG).

    The paper prints no tokens. A reasoning model and the Llama 3.1 model of its size have the same architecture, so on
    the same cards each token takes as long: the ratio of their durations stands for that of their tokens.
    """
    if not evidence.source.is_the_paper:
        reasoning, others = (_counted(evidence, family) for family in (REASONING, OTHER))
        return recomputed(
            smallest(list(reasoning.values())) / largest(list(others.values())),
            f"tokens per text: {with_numbers({**reasoning, **others})}",
        )
    ratios = {}
    for machine in _MACHINES:
        runs = {(run.model, run.gpus): run for run in reversed(evidence.runs("fktg", machine=machine))}
        for more, less in SAME_SIZE:
            for model, gpus in sorted(runs):
                if model == more and (less, gpus) in runs:
                    one, other = runs[more, gpus], runs[less, gpus]
                    name = f"{one.title} on {machine_title(machine)} ({gpus} GPU{'s' * (gpus != 1)})"
                    ratios[name] = one.duration() / other.duration()
    if not ratios:
        raise Untestable(f"{evidence.source.label} has no reasoning LLM beside Llama 3.1 of its size")
    return recomputed(
        smallest(list(ratios.values())),
        f"times as long as Llama 3.1 of the same architecture: {with_numbers(ratios)}",
        inferred=True,
    )


def _counted(evidence: Evidence, family: str) -> dict[str, Value]:
    """Return the generated tokens per text of each model of a family (FKTG)."""
    return {run.title: run.tokens_out() / int(run.row["texts"]) for run in evidence.models("fktg", (family,))}


def _share_within(tokens: dict[str, Value], limit: float) -> Value:
    return Value.exact(1.0) - positive([count - (limit + NOISE) for count in tokens.values()]) / len(tokens)


def _most_tokens(run: Run) -> Value:
    """Return how many tokens per text fit into a run's duration at the least time per token (`helpers.study.roofline`).

    Raises:
        Untestable: where we do not know what the GPU can do.
    """
    limits = roofline.limits_of(str(run.row["gpu_model"]))
    model, texts, gpus = study().models[run.model], int(run.row["texts"]), run.count_gpus()
    if limits is None or not isinstance(model, LanguageModel):
        raise Untestable(f"we do not know the memory bandwidth of {run.row['gpu_model']}")
    one, two = (
        roofline.one_by_one(roofline.of(model, texts, tokens_out=count), limits, gpus).duration_s
        for count in (1, 2)
    )
    return corners(lambda duration: 1 + (duration - one) / (two - one), run.duration())
