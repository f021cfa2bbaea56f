"""What the choice of test texts and the size of an energy leave open, as the end of a claim's reason."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from helpers.claims.cells import Run
from helpers.claims.evidence import Evidence
from helpers.claims.wording import dataset_title, energy, number
from helpers.statistics import accuracy_gaps
from helpers.statistics.accuracy_noise import Z, effective_texts, gap_error, standard_error
from helpers.statistics.overlap import overlap_of_run

_TOO_LITTLE = 0.01
"""An embedding that took less than this share of its time on FKTG was not inside the measured window."""

Pair = tuple[Run, Run]


def noise(one: Run, other: Run) -> str:
    """Say whether the gap between two accuracies on a dataset is larger than the noise of their test texts."""
    gap = _gap(one, other)
    sets = f"{gap.splits} test sets of {gap.texts} texts (95 %: {number(Z * gap.std_error, 2)})"
    return {
        accuracy_gaps.CLEAR: f"; the gap is larger than the noise of {sets}",
        accuracy_gaps.ROUNDING: f"; whether the gap is larger than the noise of {sets} hangs on rounding",
        accuracy_gaps.NOISE: f"; the gap is within the noise of {sets}",
    }[gap.verdict]


def noise_of_pairs(pairs: Sequence[Pair]) -> str:
    """Say how many of these gaps are larger than the noise of their test texts; nothing where there are none."""
    if len(pairs) < 2:
        return noise(*pairs[0]) if pairs else ""
    gaps = [_gap(one, other) for one, other in pairs]
    clear, hanging = (
        sum(gap.verdict == verdict for gap in gaps)
        for verdict in (accuracy_gaps.CLEAR, accuracy_gaps.ROUNDING)
    )
    splits, texts = (sorted(found) for found in ({gap.splits for gap in gaps}, {gap.texts for gap in gaps}))
    sets = f"{' or '.join(map(str, splits))} test sets of {' or '.join(map(str, texts))} texts"
    return (
        f"; {clear} of these {len(pairs)} gaps {'is' if clear == 1 else 'are'} larger than the noise of {sets}"
        + (f", {hanging} {'hangs' if hanging == 1 else 'hang'} on rounding" if hanging else "")
    )


def noise_of_means(some: Sequence[Run], others: Sequence[Run]) -> str:
    """Say whether the gap between the mean accuracies of two groups of models is larger than the noise of the texts."""
    where = "within" if are_within_noise(some, others) else "larger than"
    return f", {where} the noise (95 %: {number(Z * _error_of_means(some, others), 1)})"


def are_within_noise(some: Sequence[Run], others: Sequence[Run]) -> bool:
    """Say whether the choice of the test texts could have made the gap between two mean accuracies."""
    first, second = (math.fsum(run.accuracy().value for run in runs) / len(runs) for runs in (some, others))
    return abs(first - second) <= Z * _error_of_means(some, others)


def _error_of_means(some: Sequence[Run], others: Sequence[Run]) -> float:
    """Return the standard error of the difference of two mean accuracies, as if each model had other texts."""
    errors = [
        standard_error(run.accuracy().value, _texts(run)[2]) / len(runs)
        for runs in (some, others)
        for run in runs
    ]
    return math.hypot(*errors)


def too_little(evidence: Evidence, run: Run) -> str:
    """Say where an energy is too small for the embedding that it should contain (paper/tables README, 4.1).

    At the average power of the model on FKTG (Table B1), the energy would be used up in a small part of the
    time that the model took there. Nothing for campaigns, whose windows are in their records.
    """
    if not evidence.source.is_the_paper or not run.model.endswith("-embedding"):
        return ""
    row = next(row for row in evidence.printed("table_b1") if row.label("model") == run.model)
    power, usual = row.number("average_power_w", 0.005).value, row.number("duration_s", 0.005).value
    seconds = 3600 * run.energy().value / power
    if seconds >= _TOO_LITTLE * usual:
        return ""
    fktg = evidence.model(run.model)
    return (
        f"; the {energy(run.energy().value)} of {run.title} on {dataset_title(str(run.row['dataset']))} are used up in "
        f"{number(1000 * seconds, 2)} ms at the {power:.0f} W of Table B1, where {fktg.row['texts']} texts took "
        f"{number(usual)} s: too little to embed {run.row['texts']} texts"
    )


@dataclass(frozen=True)
class _Gap:
    std_error: float
    """Of the difference of two means over test sets, unpaired: on the safe side for models tested on the same texts."""
    verdict: str
    splits: int
    texts: int
    """Of a test set."""


def _gap(one: Run, other: Run) -> _Gap:
    first, second = one.accuracy(), other.accuracy()
    gap = first - second
    texts, splits, effective = _texts(one)
    error = gap_error(first.value, second.value, effective)
    verdict = accuracy_gaps.verdict(abs(gap.value), gap.high - gap.value, error)
    return _Gap(error, verdict, splits, texts)


def _texts(run: Run) -> tuple[int, int, float]:
    """Return texts of a test set, test sets, and how many independent texts their mean stands for."""
    texts, splits = int(run.row["texts"]), int(run.row["splits"])
    overlap = overlap_of_run(str(run.row["origin"]), str(run.row["dataset"]))
    return texts, splits, effective_texts(texts, splits, overlap)
