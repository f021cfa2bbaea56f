"""What measured runs say of each other, with what the choice of texts and the scatter of runs leave open."""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from helpers.claims.cells import Run
from helpers.claims.evidence import Evidence
from helpers.claims.source import Row, number
from helpers.claims.values import Untestable, Value
from helpers.claims.wording import LLM, TRADITIONAL, dataset_title
from helpers.statistics.accuracy_noise import effective_texts, expected_overlap, standard_error
from helpers.study.catalogue import study

ERRORS = 2
"""Standard errors on both sides of a difference of accuracies within which it is undecided."""
SCATTER_DEX = 0.2
"""Standard deviation of log10 of a duration or an energy over test sets, where it was measured on one alone (section 4)."""
ESTIMATED = "energy estimated, so ratios of durations have to agree"


def lead(one: Run, other: Run) -> Value:
    """Return by how much the accuracy of a run is above that of another, on the splits that both have.

    The interval is two standard errors on both sides: paired over the texts where the predictions of both are there,
    else as if the models had answered different texts. At least one text counts as one on which the models differ, so
    that a few texts with the same result on each are no certainty. Training sets are taken as they are.

    Raises:
        Untestable: where they have no split in common, or one has no accuracy.
    """
    for run in (one, other):
        run.accuracy()  # read and logged; one that is absent is said
    splits = _common_splits(one, other)
    right = [run.source.right.get(run.origin, {}) for run in (one, other)]
    pairs = [(right[0].get(split), right[1].get(split)) for split in splits]
    paired = [(a, b) for a, b in pairs if a is not None and b is not None and a.index.equals(b.index)]
    if len(paired) < len(splits):
        return _unpaired_lead(one, other, splits)
    ids = np.concatenate([a.index.to_numpy() for a, _ in paired])
    apart = np.concatenate([a.to_numpy(float) - b.to_numpy(float) for a, b in paired])
    _, repeated = np.unique(ids, return_counts=True)
    independent = len(ids) ** 2 / float((repeated**2).sum())  # `effective_texts`, by these test sets
    variance = max(float(apart.var()), 1 / len(apart))
    return Value.about(float(apart.mean()), ERRORS * math.sqrt(variance / independent))


def both_kinds(evidence: Evidence) -> list[str]:
    """Return the paper's datasets with a traditional model and an LLM.

    Raises:
        Untestable: where there is none.
    """
    return evidence.datasets((TRADITIONAL,), LLM)


def accuracy_within(run: Run) -> Value:
    """Return the accuracy of a measured run with two standard errors on both sides.

    Raises:
        Untestable: where it has no accuracy.
    """
    value = run.accuracy().value
    splits = sorted(run.source.by_split.get(run.origin, {}))
    if not splits:
        raise Untestable(f"{run.source.label} does not give the splits of {run.title}")
    return Value.about(value, ERRORS * _share(run, splits)[1])


def energy_ratio(more: Run, less: Run) -> Value:
    """Divide the energies of two runs, of CPU, GPU and memory as the paper adds them up, on the splits that both have.

    The interval is 95 % of the mean ratio over the splits, on logarithmic scales; of one split, by `SCATTER_DEX`.
    Where an energy is estimated, it follows from a duration and a load: then the interval reaches from what the estimates
    say to what the durations say.

    Raises:
        Untestable: where they have no split in common, or one has no energy.
    """
    for run in (more, less):
        run.total_energy()
    if more.origin == less.origin:
        return Value.exact(1.0)
    splits = _common_splits(more, less)
    ratio = _ratio(more, less, splits, "energy_wh")
    if more.row["energy_kind"] == less.row["energy_kind"] == "measured":
        return ratio
    more.log.notes.add(ESTIMATED)
    for run in (more, less):
        run.duration()
    return around(ratio, [ratio, _ratio(more, less, splits, "duration_s")])


def contenders(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that may be the most accurate one: the best first, then those within two standard errors of it.

    Raises:
        Untestable: without a run.
    """
    top = best_measured(runs)
    return [top, *(run for run in runs if run.origin != top.origin and lead(top, run).low <= 0)]


def best_measured(runs: Sequence[Run]) -> Run:
    """Return the most accurate run; of several as accurate, the quickest.

    Raises:
        Untestable: without a run.
    """
    if not runs:
        raise Untestable("there is no run to compare with")
    return min(runs, key=lambda run: (-run.accuracy().value, run.duration().value))


def around(nominal: Value, values: Sequence[Value]) -> Value:
    """Return a number with the interval that holds those of all values."""
    return Value(nominal.value, min(item.low for item in values), max(item.high for item in values))


def _common_splits(one: Run, other: Run) -> list[int]:
    splits = sorted(
        set(one.source.by_split.get(one.origin, {})) & set(other.source.by_split.get(other.origin, {}))
    )
    if not splits:
        where = dataset_title(one.dataset)
        raise Untestable(
            f"{one.source.label} has no split of {where} that both {one.title} and {other.title} were tested on"
        )
    one.log.compare_on([one.origin, other.origin], len(splits))
    return splits


def _unpaired_lead(one: Run, other: Run, splits: Sequence[int]) -> Value:
    (first, first_error), (second, second_error) = (_share(run, splits) for run in (one, other))
    return Value.about(first - second, ERRORS * math.hypot(first_error, second_error))


def _share(run: Run, splits: Sequence[int]) -> tuple[float, float]:
    """Return the share of right answers on these splits and its standard error, with one answer more of each kind."""
    rows = [run.source.by_split[run.origin][split] for split in splits]
    right, texts = (sum(int(row[name]) for row in rows) for name in ("correct", "texts"))
    entry = study().datasets[run.dataset]
    overlap = expected_overlap(entry.split.test, entry.pool)
    independent = effective_texts(texts // len(rows), len(rows), overlap)
    return right / texts, standard_error((right + 1) / (texts + 2), independent)


def _ratio(more: Run, less: Run, splits: Sequence[int], column: str) -> Value:
    rows = [
        (more.source.by_split[more.origin][split], less.source.by_split[less.origin][split])
        for split in splits
    ]
    steps = [_decades(one, column) - _decades(other, column) for one, other in rows]
    middle, half = statistics.fmean(steps), _half_width(steps)
    return Value(10**middle, 10 ** (middle - half), 10 ** (middle + half))


def _half_width(steps: Sequence[float]) -> float:
    if len(steps) == 1:
        return 2 * math.sqrt(2) * SCATTER_DEX
    return float(student.ppf(0.975, len(steps) - 1)) * statistics.stdev(steps) / math.sqrt(len(steps))


def _decades(row: Row, column: str) -> float:
    value = number(row[column])
    if value is None or value <= 0:
        what = "energy" if column == "energy_wh" else "duration"
        raise Untestable(f"a split of {row['model']} on {dataset_title(str(row['dataset']))} has no {what}")
    return math.log10(value)
