"""What claims of several sections compare."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.claims.cells import Run
from helpers.claims.evidence import Evidence
from helpers.claims.measured import accuracy_within, lead
from helpers.claims.noise import noise, too_little
from helpers.claims.registry import Recomputed, recomputed
from helpers.claims.values import Untestable, Value, largest, median, one_at_a_time
from helpers.claims.wording import (
    OTHER,
    REASONING,
    TRADITIONAL,
    accuracy,
    dataset_title,
    energy,
    number,
    printed_title,
)
from helpers.statistics import regression, selection

LARGER = ("qwen-2.5-72b", "phi-3.5-moe", "llama-3.1-70b", "jamba-mini-1.5", "ds-llama-70b")
"""The LLMs that the paper calls larger, because they need two GPUs (section 4.1.1)."""
NO_EMBEDDING = ("linear-bow", "linear-tfidf", "xgboost-bow", "xgboost-tfidf")
SAME_SIZE = (("ds-llama-8b", "llama-3.1-8b"), ("ds-llama-70b", "llama-3.1-70b"))
"""A reasoning model and the Llama 3.1 model of the same size; the distilled checkpoints are built on other releases."""
PAPER_LINEAGES = (
    ("llama-3.1-8b", "llama-3.1-70b"),
    ("qwen-2.5-7b", "qwen-2.5-72b"),
    ("ds-llama-8b", "ds-llama-70b"),
    ("ds-qwen-14b", "ds-qwen-32b"),
)
"""A smaller and a larger model of one lineage and one architecture; Phi 3.5 MoE is not a larger Phi 3.5 Mini."""
LINEAGES = (
    *PAPER_LINEAGES,
    ("qwen2.5-7b", "qwen2.5-72b"),
    ("qwen2.5-0.5b", "qwen2.5-1.5b"),
    ("qwen2.5-1.5b", "qwen2.5-7b"),
    ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"),
    ("smollm2-135m", "smollm2-360m"),
)
"""With those of models that the paper does not have."""
MAYBE_OTHER_WORK = "the rows of A30 and V100 may not be the same work as those of the H100"
"""Why a comparison of cards is no more than one of printed rows (analysis one_text_at_a_time)."""
_FEWEST_RUNS = 5
"""A correlation of fewer runs says nothing."""


def best(runs: Sequence[Run]) -> Run:
    """Return the most accurate run; of several as accurate, the one with the least energy.

    Raises:
        Untestable: without a run.
    """
    if not runs:
        raise Untestable("there is no other run to compare with")
    accuracies = [run.accuracy().value for run in runs]
    level = [runs[position] for position in selection.most_accurate_positions(accuracies)]
    return level[0] if len(level) == 1 else min(level, key=lambda run: run.energy().value)


def least(runs: Sequence[Run]) -> Run:
    """Return the run of the least energy.

    Raises:
        Untestable: without a run.
    """
    if not runs:
        raise Untestable("there is no other run to compare with")
    return min(runs, key=lambda run: run.energy().value)


def efficiency(runs: Sequence[Run]) -> Value:
    """Return how many times the energy of the most accurate model the median model needs."""
    return median([run.energy() for run in runs]) / best(runs).energy()


def with_both(runs: Sequence[Run], label: str) -> list[Run]:
    """Return the runs whose duration and energy are known.

    Raises:
        Untestable: where they are too few.
    """
    complete = [run for run in runs if run.has("duration_s") and run.has("energy")]
    if len(complete) < _FEWEST_RUNS:
        raise Untestable(
            f"{label} has {len(complete)} runs with a duration and an energy that counts; this needs {_FEWEST_RUNS}"
        )
    return complete


def correlation(evidence: Evidence, logarithmic: bool) -> tuple[Value, int]:
    """Return Pearson's correlation of energy and duration over the runs on one node, and their number.

    Raises:
        Untestable: where fewer than five runs have both.
    """
    runs = with_both(evidence.runs(None), evidence.source.label)
    inputs = durations_and_energies(runs)
    for half in (inputs[: len(inputs) // 2], inputs[len(inputs) // 2 :]):
        if len({value.value for value in half}) < 2:
            raise Untestable("these runs all took as long, or as much energy")

    def pearson(values: Sequence[float]) -> float:
        table = np.reshape(np.log(values) if logarithmic else np.asarray(values), (2, -1))
        return float(np.corrcoef(table)[0, 1])

    return one_at_a_time(pearson, inputs), len(runs)


def family_plural(family: str) -> str:
    """Return the plural of the name of a family, for sentences."""
    return {TRADITIONAL: "traditional models", OTHER: "other LLMs", REASONING: "reasoning LLMs"}[family]


def accuracy_of(evidence: Evidence, model: str, dataset: str) -> Recomputed:
    """Return the accuracy of a model on a dataset."""
    run = evidence.model(model, dataset)
    value = run.accuracy() if evidence.source.is_the_paper else accuracy_within(run)
    return recomputed(value, f"{run.title} on {dataset_title(dataset)}: {accuracy(run.accuracy().value)}")


def energy_of(evidence: Evidence, model: str, dataset: str) -> Recomputed:
    """Return the energy of a model on a dataset in Wh; another machine takes another, so it says nothing of it.

    Raises:
        Untestable: where the source ran on another machine than Capella.
    """
    evidence.only_on("capella")
    run = evidence.model(model, dataset)
    return recomputed(
        run.energy(), f"{run.title} on {dataset_title(dataset)}: {energy(run.energy().value, 4)}"
    )


def accuracy_gap(evidence: Evidence, more: str, less: str, dataset: str) -> Recomputed:
    """Subtract the accuracies of two models on a dataset."""
    one, other = evidence.model(more, dataset), evidence.model(less, dataset)
    published = evidence.source.is_the_paper
    gap = one.accuracy() - other.accuracy() if published else lead(one, other)
    return recomputed(
        gap,
        f"{accuracy(one.accuracy().value)} - {accuracy(other.accuracy().value)} = {number(gap.value)}, between "
        f"{number(gap.low)} and {number(gap.high)} {'before rounding' if published else 'by the choice of texts'}",
        noise(one, other),
    )


def energy_ratio(evidence: Evidence, more: str, less: str, dataset: str) -> Recomputed:
    """Divide the energies of two models on a dataset."""
    one, other = evidence.model(more, dataset), evidence.model(less, dataset)
    ratio = one.energy() / other.energy()
    return recomputed(
        ratio,
        f"{one.title} {energy(one.energy().value, 4)}, {other.title} {energy(other.energy().value, 3)}: "
        f"{number(ratio.value)} times{too_little(evidence, other)}",
    )


def accuracy_lead(own: Run, others: Sequence[Run]) -> Recomputed:
    """Return how far the accuracy of a run is ahead of that of the best of the others.

    Raises:
        Untestable: without another run.
    """
    next_best = best(others)
    return recomputed(
        own.accuracy() - largest([run.accuracy() for run in others]),
        f"{own.title} {accuracy(own.accuracy().value)}, next {next_best.title} {accuracy(next_best.accuracy().value)}",
        noise(own, next_best),
    )


def gap_of_marks(one: Run, other: Run, figure: str) -> str:
    """Return the gap between the marks of two accuracies in a figure of the paper, for a sentence; else nothing."""
    marks = [run.reading(figure, "accuracy") for run in (one, other)]
    if marks[0] is None or marks[1] is None:
        return ""
    return f"; the marks of {printed_title(figure)} are {number((marks[0] - marks[1]).value, 2)} apart"


def extra_datasets(evidence: Evidence, *families: tuple[str, ...]) -> list[str]:
    """Return the datasets of section 5.1 that have a run of each of the families."""
    return [dataset for dataset in evidence.datasets(*families) if dataset != "fktg"]


def with_numbers(values: dict[str, Value]) -> str:
    """Return names, each with its number: `Llama 3.1 70B 1.95, Qwen 2.5 72B 1.97`."""
    return ", ".join(f"{title} {number(value.value)}" for title, value in values.items())


def regression_runs(evidence: Evidence, machine: str | None = None) -> list[Run]:
    """Return the runs that the regression takes: on any number of nodes, with duration and energy."""
    return with_both(evidence.runs(None, machine=machine, nodes=None), evidence.source.label)


def durations_and_energies(runs: Sequence[Run]) -> list[Value]:
    """Return all durations, then all energies."""
    return [run.duration() for run in runs] + [run.energy() for run in runs]


def refit(evidence: Evidence, runs: Sequence[Run]) -> regression.Fit:
    """Fit the paper's regression to runs.

    Raises:
        Untestable: where they are too few or too alike for it.
    """
    rows = pd.DataFrame(
        {
            "duration_s": [run.duration().value for run in runs],
            "energy_wh": [run.energy().value for run in runs],
            "gpus": [run.gpus for run in runs],
            "source": evidence.source.label,
            "machine": str(runs[0].row["machine"]),
        }
    )
    if not regression.enough(rows):
        raise Untestable(
            f"the {len(runs)} runs of {evidence.source.label} are too alike for {regression.formula(rows)}"
        )
    return regression.fit(rows)
