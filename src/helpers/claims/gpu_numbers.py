"""Claims of section 4.1.1 about the number of GPUs, with Figure 3."""

import math
from collections.abc import Sequence
from itertools import pairwise

from helpers.claims.cells import Run
from helpers.claims.common import LARGER
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Noise, Recomputed, claim, reading, recomputed
from helpers.claims.values import NOISE, Untestable, Value, decades, largest, not_positive, positive
from helpers.claims.wording import LLM, OTHER, energy, names, number

Step = tuple[Run, Run]
"""Runs of one LLM with fewer and with more GPUs."""


@claim("most-llms-ran-on-1-2-or-4-gpus")
def gpu_counts(evidence: Evidence) -> Recomputed:
    """Return the share of LLMs that ran on at least two of the numbers 1, 2 and 4 of GPUs of one node (FKTG)."""
    counts = {
        model: {run.count_gpus() for run in runs} & {1, 2, 4} for model, runs in _sweep(evidence).items()
    }
    two, three = (sum(len(numbers) >= least for numbers in counts.values()) for least in (2, 3))
    return recomputed(
        Value.exact(two / len(counts)),
        f"{two} of {len(counts)} LLMs ran on two or more of 1, 2 and 4 GPUs of one node, {three} of them on all three",
    )


@reading("most-llms-ran-on-all-three-numbers-of-gpus")
def gpu_counts_all(evidence: Evidence) -> Recomputed:
    """Return the share of LLMs that ran on each of 1, 2 and 4 GPUs of one node (FKTG)."""
    counts = [{run.count_gpus() for run in runs} for runs in _sweep(evidence).values()]
    three = sum(numbers >= {1, 2, 4} for numbers in counts)
    return recomputed(
        Value.exact(three / len(counts)), f"{three} of {len(counts)} LLMs ran on 1, on 2 and on 4 GPUs"
    )


@claim("larger-llms-need-two-gpus")
def larger_llms(evidence: Evidence) -> Recomputed:
    """Count the LLMs that the paper calls larger and that ran on one GPU (FKTG)."""
    runs = [run for run in evidence.runs("fktg", LLM) if run.model in LARGER]
    if not runs:
        raise Untestable(f"{evidence.source.label} has none of the larger LLMs on FKTG")
    small = [run for run in runs if run.count_gpus() < 2]
    return recomputed(
        Value.exact(len(small)),
        f"{len(small)} of {len(runs)} runs of larger LLMs had one GPU: {names(run.title for run in small)}",
    )


@claim("more-gpus-reduce-duration")
def more_gpus_duration(evidence: Evidence) -> Recomputed:
    """Count the steps to more GPUs that do not make inference shorter (FKTG, one node)."""
    steps = _steps(evidence)
    margins = [few.duration() - many.duration() for few, many in steps]
    wrong = not_positive(margins)
    return recomputed(
        wrong, f"{len(steps) - wrong.value:.0f} of {len(steps)} steps to more GPUs shorten inference"
    )


@claim("more-gpus-do-not-reduce-energy")
def more_gpus_energy(evidence: Evidence) -> Recomputed:
    """Count the steps to more GPUs that do reduce energy (FKTG, one node)."""
    steps = _steps(evidence)
    return _falls(evidence, steps, [few.energy() - many.energy() for few, many in steps])


@reading("more-gpus-do-not-reduce-energy-in-figure-3")
def more_gpus_energy_shown(evidence: Evidence) -> Recomputed:
    """Count such steps of the models that Figure 3 shows, which are those without reasoning."""
    steps = [pair for pair in _steps(evidence) if pair[0].row["family"] == OTHER]
    if not steps:
        raise Untestable(f"{evidence.source.label} has no LLM without reasoning on different numbers of GPUs")
    return _falls(evidence, steps, [few.energy() - many.energy() for few, many in steps])


@reading("more-gpus-do-not-reduce-energy-beyond-scatter")
def more_gpus_energy_allowed_dispersion_dex(evidence: Evidence) -> Recomputed:
    """Count the steps that reduce the mean over ten runs by more than the dispersion that section 4 allows.

    That is less than 0.2 dex for a run, so less than 0.2 sqrt(2/10) dex for the difference of two means over ten.
    """
    steps = _steps(evidence)
    least = _allowed_dispersion_dex(evidence, steps)
    drops = [decades(few.energy() / many.energy()) for few, many in steps]
    falls = positive([drop - least for drop in drops])
    largest_drop = largest(drops)
    return recomputed(
        falls,
        f"energy falls by more than {number(least, 2)} dex in {falls.value:.0f} of {len(steps)} steps; the largest fall is "
        f"{number(largest_drop.value, 2)} dex",
    )


@reading("more-gpus-do-not-reduce-energy-of-gpus")
def more_gpus_energy_gpus(evidence: Evidence) -> Recomputed:
    """Count the steps that reduce the GPUs' own energy: what the constants of Figure 2 leave of the total."""
    if not evidence.source.is_the_paper:
        pairs = [pair for pair in _steps(evidence) if all(run.has("gpu_wh") for run in pair)]
        if not pairs:
            raise Untestable(f"{evidence.source.label} has no energy of GPUs at different numbers of them")
        return _falls(evidence, pairs, [few.component("gpu") - many.component("gpu") for few, many in pairs])
    besides = evidence.source.constants.besides_gpu(OTHER).mean_w
    steps = _steps(evidence)
    own = [[run.total_energy() - run.duration() * (besides / 3600) for run in pair] for pair in steps]
    margins = [few - many for few, many in own]
    falls = positive(margins)
    return recomputed(
        falls,
        f"without the {besides:.0f} W of CPU and memory (LLMs) in Figure 2, energy falls in {falls.value:.0f} of {len(steps)} "
        "steps",
        inferred=True,
    )


def _falls(evidence: Evidence, steps: Sequence[Step], margins: Sequence[Value]) -> Recomputed:
    """Count the steps whose margin is above zero, and name them with their change in percent."""
    falls = [
        (few, many, margin)
        for (few, many), margin in zip(steps, margins, strict=True)
        if margin.value > NOISE
    ]
    falls_listed = [
        f"{few.title} from {few.gpus} to {many.gpus} by {100 * margin.value / few.energy().value:.1f} % "
        f"({energy(few.energy().value, 4)} to {energy(many.energy().value, 4)})"
        for few, many, margin in falls
    ]
    limit = _allowed_dispersion_dex(evidence, steps)
    small = [decades(few.energy() / many.energy()).value < limit for few, many, _ in falls]
    how = "; of one configuration each, and less than the scatter that the paper allows" if any(small) else ""
    if any(_read_off(run) for few, many, _ in falls for run in (few, many)):
        how += "; in part read off a figure"
    return recomputed(
        positive(margins),
        f"energy falls in {len(falls)} of {len(steps)} steps to more GPUs: {names(falls_listed)}",
        Noise(how, all(small) and bool(falls)),
    )


@claim("more-gpus-sometimes-raise-energy")
def more_gpus_raise(evidence: Evidence) -> Recomputed:
    """Count the steps to more GPUs that raise energy (FKTG, one node)."""
    steps = _steps(evidence)
    margins = [many.energy() - few.energy() for few, many in steps]
    return recomputed(
        positive(margins), f"energy rises in {positive(margins).value:.0f} of {len(steps)} steps to more GPUs"
    )


def _read_off(run: Run) -> bool:
    """Say whether the energy of a run was read off a figure."""
    return str(run.row["energy_kind"]) == "digitised"


def _allowed_dispersion_dex(evidence: Evidence, steps: Sequence[Step]) -> float:
    """Return the standard deviation, in dex, of the difference of two means if single runs vary as much as section 4 allows."""
    return evidence.number("scatter_dex") * math.sqrt(2 / int(steps[0][0].row["splits"]))


def _sweep(evidence: Evidence) -> dict[str, list[Run]]:
    """Return the runs of each LLM on one node, by number of GPUs (FKTG)."""
    by_gpus: dict[str, dict[int, Run]] = {}
    for run in evidence.runs("fktg", LLM):
        by_gpus.setdefault(run.model, {}).setdefault(run.gpus, run)
    return {model: [runs[gpus] for gpus in sorted(runs)] for model, runs in by_gpus.items()}


def _steps(evidence: Evidence) -> list[Step]:
    """Return the pairs of runs of one LLM with fewer and with the next more GPUs.

    Raises:
        Untestable: where no LLM ran on two numbers of GPUs.
    """
    steps = [pair for runs in _sweep(evidence).values() for pair in pairwise(runs)]
    if not steps:
        raise Untestable(f"{evidence.source.label} has no LLM with different numbers of GPUs on FKTG")
    return steps
