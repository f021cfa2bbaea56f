"""What the choice of test texts and the size of an energy leave open, as the end of a claim's reason."""

from collections.abc import Sequence

from helpers.claims.cells import Run
from helpers.claims.evidence import Evidence
from helpers.claims.wording import dataset_title, energy, number
from helpers.statistics import accuracy_gaps
from helpers.study import study

_TOO_LITTLE = 0.01
"""An embedding that took less than this share of its time on FKTG was not inside the measured window."""

Pair = tuple[Run, Run]


def noise(one: Run, other: Run) -> str:
    """Say whether the gap between two accuracies on a dataset is larger than the noise of its test texts."""
    texts, most = _texts(one)
    return {
        accuracy_gaps.YES: f"; the gap is larger than the noise of {texts} texts",
        accuracy_gaps.UNSURE: f"; the gap is perhaps within the noise of {texts} texts",
        accuracy_gaps.NO: f"; the gap is within the noise of {texts} texts, and of the {most} that ten test sets can hold",
    }[_verdict(one, other)]


def noise_of_pairs(pairs: Sequence[Pair]) -> str:
    """Say how many of these gaps are larger than the noise of their test texts; nothing where there are none."""
    if len(pairs) < 2:
        return noise(*pairs[0]) if pairs else ""
    clear = sum(_verdict(one, other) == accuracy_gaps.YES for one, other in pairs)
    texts = sorted({_texts(one)[0] for one, _ in pairs})
    return (
        f"; {clear} of these {len(pairs)} gaps {'is' if clear == 1 else 'are'} larger than the noise of "
        f"{' or '.join(map(str, texts))} texts"
    )


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


def _verdict(one: Run, other: Run) -> str:
    first, second = one.accuracy(), other.accuracy()
    gap = first - second
    texts, most = _texts(one)
    least_error, most_error = (
        accuracy_gaps.gap_error(first.value, second.value, count) for count in (most, texts)
    )
    return accuracy_gaps.verdict(abs(gap.value), gap.high - gap.value, (least_error, most_error))


def _texts(run: Run) -> tuple[int, int]:
    """Return the texts of a test set, and the most different ones that ten of them can hold."""
    texts = int(run.row["texts"])
    return texts, accuracy_gaps.most_texts(texts, study().datasets[str(run.row["dataset"])].texts)
