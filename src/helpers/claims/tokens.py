"""Claims of section 4.1.3 about how much text the models write, of which the paper prints no count."""

from helpers.claims.common import MAYBE_OTHER_WORK, SAME_SIZE, with_numbers
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.values import NOISE, Untestable, Value, largest, positive, smallest
from helpers.claims.wording import OTHER, REASONING, number
from helpers.statistics.bandwidth_bound import answer_tokens, bounds, published_runs
from helpers.study.catalogue import machine_title, model_title

_MACHINES = ("capella", "paula", "clara")
_SHORT_ANSWERS_ON = "paula"
"""The machine of the A30, the slowest memory of the three: there the least fits into a given time."""


@claim("single-token-answers")
def short_answers(evidence: Evidence) -> Recomputed:
    """Return the share of LLMs without reasoning that write no more than the longest answer in DSPy's template (FKTG).

    The paper prints no tokens. Those that fit into the durations of Table B3 on A30, at the speed of the card's memory,
    are an upper bound only if texts were asked one after the other, which is doubtful on these cards: so it is open.
    """
    if evidence.source.is_the_paper:
        raise Untestable(_room(evidence))
    runs = evidence.models("fktg", (OTHER,))
    counted = {run.model: run.tokens_out() / int(run.row["texts"]) for run in runs}
    longer = positive([count - (answer_tokens(model).longest + NOISE) for model, count in counted.items()])
    tokens = {model_title(model): count for model, count in counted.items()}
    return recomputed(Value.exact(1.0) - longer / len(counted), f"tokens per text: {with_numbers(tokens)}")


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
    on_h100 = [ratio.value for name, ratio in ratios.items() if machine_title(_MACHINES[0]) in name]
    alone = f", on which alone it is {number(min(on_h100))} at the least" if on_h100 else ""
    return recomputed(
        smallest(list(ratios.values())),
        f"times as long as Llama 3.1 of the same architecture: {with_numbers(ratios)}; {MAYBE_OTHER_WORK}{alone}",
        inferred=True,
    )


def _counted(evidence: Evidence, family: str) -> dict[str, Value]:
    """Return the generated tokens per text of each model of a family (FKTG)."""
    return {run.title: run.tokens_out() / int(run.row["texts"]) for run in evidence.models("fktg", (family,))}


def _room(evidence: Evidence) -> str:
    """Say how many tokens a text the durations on A30 leave room for, one text at a time, and what an answer takes."""
    runs = bounds(published_runs(evidence.source.tables.results))
    on = runs[(runs["machine"] == _SHORT_ANSWERS_ON) & (runs["family"] == OTHER)]
    listed = ", ".join(f"{model_title(row['model'])} {row['most_tokens']}" for _, row in on.iterrows())
    full, read = (
        " or ".join(map(str, sorted(set(on[column])))) for column in ("complete_tokens", "readable_tokens")
    )
    return (
        "this needs the numbers of tokens, and they are not published. One text at a time, and with the GPU counts that we "
        f"infer, the durations on A30 leave room for at most these tokens a text: {listed}; the shortest full answer has "
        f"{full}, according to the tokenizer, and the shortest that DSPy reads {read}. But the bound holds only for one text at "
        "a time, which is doubtful on these cards"
    )
