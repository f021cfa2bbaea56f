"""Noise of gaps between accuracies by the choice of the test texts, and energies too small to be complete."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from helpers.claims.cells import Run
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Noise
from helpers.claims.wording import dataset_title, energy, number
from helpers.statistics import accuracy_gaps
from helpers.statistics.accuracy_noise import Z, standard_error
from helpers.statistics.overlap import effective_texts_of_run

_TOO_LITTLE = 0.01
"""An embedding that took less than this share of its time on FKTG was not inside the measured window."""

Pair = tuple[Run, Run]


def noise(one: Run, other: Run) -> Noise:
    """Compare the gap between two accuracies on a dataset with the noise of their test texts."""
    gap = _gap(one, other)
    sets = f"{_counted([gap])} (95 %: {number(Z * gap.std_error, 2)})"
    text = {
        accuracy_gaps.CLEAR: f"; the gap is larger than the noise of {sets}",
        accuracy_gaps.ROUNDING: f"; whether the gap is larger than the noise of {sets} depends on rounding",
        accuracy_gaps.NOISE: f"; the gap is within the noise of {sets}",
    }[gap.verdict]
    return Noise(text, gap.verdict == accuracy_gaps.NOISE)


def noise_of_pairs(pairs: Sequence[Pair], enough: Callable[[Sequence[bool]], bool] = all) -> Noise:
    """Count the gaps that are larger than the noise of their test texts; no pairs have no noise.

    `enough` takes whether each gap is within its noise and returns whether the number hangs on it.
    """
    if len(pairs) < 2:
        return noise(*pairs[0]) if pairs else Noise()
    gaps = [_gap(one, other) for one, other in pairs]
    clear, hanging = (
        sum(gap.verdict == verdict for gap in gaps)
        for verdict in (accuracy_gaps.CLEAR, accuracy_gaps.ROUNDING)
    )
    sets = _counted(gaps)
    text = (
        f"; {clear} of these {len(pairs)} gaps {'is' if clear == 1 else 'are'} larger than the noise of {sets}"
        + (f", {hanging} {'depends' if hanging == 1 else 'depend'} on rounding" if hanging else "")
    )
    return Noise(text, enough([gap.verdict == accuracy_gaps.NOISE for gap in gaps]))


def at_least_half(flags: Sequence[bool]) -> bool:
    """Say whether at least half of the flags are set; so a majority hangs on them."""
    return 2 * sum(flags) >= len(flags)


def noise_of_means(some: Sequence[Run], others: Sequence[Run]) -> Noise:
    """Compare the gap between the mean accuracies of two groups of models with the noise of the texts."""
    first, second = (math.fsum(run.accuracy().value for run in runs) / len(runs) for runs in (some, others))
    half_width = Z * _error_of_means(some, others)
    within = abs(first - second) <= half_width
    size = "within" if within else "larger than"
    return Noise(f", {size} the noise (95 %: {number(half_width, 1)})", within)


def _error_of_means(some: Sequence[Run], others: Sequence[Run]) -> float:
    """Return the standard error of the difference of two mean accuracies, as if each model had other texts."""
    errors = [
        standard_error(run.accuracy().value, _effective_texts(run)) / len(runs)
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
        f"; at the {power:.0f} W of Table B1, the {energy(run.energy().value)} of {run.title} on "
        f"{dataset_title(str(run.row['dataset']))} last {number(1000 * seconds, 2)} ms, but there {fktg.row['texts']} texts took "
        f"{number(usual)} s: too little to embed {run.row['texts']} texts"
    )


@dataclass(frozen=True)
class _Gap:
    std_error: float
    """Of the difference of two means over test sets, unpaired: on the safe side for models tested on the same texts."""
    verdict: str
    splits: tuple[int, int]
    """Test sets of the one model and of the other."""
    texts: tuple[int, int]
    """Of a test set."""


def _gap(one: Run, other: Run) -> _Gap:
    first, second = one.accuracy(), other.accuracy()
    gap = first - second
    error = math.hypot(
        standard_error(first.value, _effective_texts(one)),
        standard_error(second.value, _effective_texts(other)),
    )
    verdict = accuracy_gaps.verdict(abs(gap.value), gap.high - gap.value, error)
    return _Gap(
        error,
        verdict,
        splits=(int(one.row["splits"]), int(other.row["splits"])),
        texts=(int(one.row["texts"]), int(other.row["texts"])),
    )


def _counted(gaps: Sequence[_Gap]) -> str:
    splits = sorted({count for gap in gaps for count in gap.splits})
    texts = sorted({count for gap in gaps for count in gap.texts})
    sets = f"test set{'s' * (splits != [1])}"
    return f"{' or '.join(map(str, splits))} {sets} of {' or '.join(map(str, texts))} texts"


def _effective_texts(run: Run) -> float:
    row = run.row
    return effective_texts_of_run(
        str(row["dataset"]), int(row["texts"]), int(row["splits"]), str(row["origin"])
    )
