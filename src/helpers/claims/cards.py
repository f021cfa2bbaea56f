"""Claims of section 4.1.3 about GPU cards, with Figure 5 and Table B3."""

from collections.abc import Callable, Sequence
from functools import partial

from helpers.claims.cells import PrintedRow, Run
from helpers.claims.common import MAYBE_OTHER_WORK
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.values import NOISE, Untestable, Value, largest, not_positive, positive, smallest
from helpers.claims.wording import OTHER, REASONING, energy, names
from helpers.study.catalogue import machine_title

_CARDS = ("paula", "clara", "capella")
"""A30, V100, H100 (Table 2)."""
_End = Callable[[Sequence[Value]], Value]
"""The smallest or the largest of values."""


@claim("figure-5-row-labels")
def figure_5_labels(evidence: Evidence) -> Recomputed:
    """Count the bars of Figure 5 that, in the row they are labelled with, miss Table B3 by more than 5 %.

    Where the file holds the rows already exchanged, as its `source` says, they are exchanged back first.
    """
    table = {(row.label("model"), row.label("machine")): row for row in evidence.printed("table_b3")}
    as_labelled: list[Value] = []
    exchanged: list[Value] = []
    for bar in evidence.printed("figure_5"):
        row = table[bar.label("model"), bar.label("machine")]
        columns = ("duration_s", "energy_wh")
        other = columns[::-1]
        swapped_back = bar.text("source").endswith("row_labels_swapped_back")
        for column, opposite in zip(columns, other, strict=True):
            value = row.number(column, 0.005)
            labelled, not_labelled = (opposite, column) if swapped_back else (column, opposite)
            as_labelled.append(_off(bar, labelled, value))
            exchanged.append(_off(bar, not_labelled, value))
    wrong = positive([miss - 0.05 for miss in as_labelled])
    return recomputed(
        wrong,
        f"as labelled, {wrong.value:.0f} of {len(as_labelled)} bars miss Table B3 by more than 5 %; with the two row "
        f"labels exchanged the largest miss is {100 * largest(exchanged).value:.1f} %",
    )


@claim("table-b3-h100-is-table-b1")
def h100_runs(evidence: Evidence) -> Recomputed:
    """Count the H100 rows of Table B3 that are not the run of Table B1."""
    first = {row.label("model"): row for row in evidence.printed("table_b1")}
    margins, other = [], []
    for row in evidence.printed("table_b3"):
        if row.label("gpu_model") != "H100":
            continue
        gaps = [
            abs(row.number(column, 0.005) - first[row.label("model")].number(column, 0.005))
            for column in ("duration_s", "energy_wh")
        ]
        margins.append(largest(gaps) - 0.01)
        if margins[-1].value > NOISE:
            other.append(row.title)
    return recomputed(
        positive(margins),
        f"{len(other)} of {len(margins)} H100 columns are other runs: {names(other)}; their GPU counts are not printed",
    )


@claim("h100-gains-for-deepseek")
def h100_deepseek(evidence: Evidence) -> Recomputed:
    """Count the reasoning LLMs that do not need least energy on H100 (FKTG)."""
    margins = [
        smallest([runs["paula"].energy(), runs["clara"].energy()]) - runs["capella"].energy()
        for runs in _cards(evidence, REASONING)
    ]
    wrong = not_positive(margins)
    return recomputed(
        wrong, f"{len(margins) - wrong.value:.0f} of {len(margins)} reasoning LLMs need least on H100"
    )


def _gains(evidence: Evidence, end: _End, over: str) -> Recomputed:
    """Count the LLMs without reasoning whose energy on H100 is below the smallest or the largest on the others (FKTG)."""
    gains, listed = [], []
    for runs in _cards(evidence, OTHER):
        gain = end([runs["paula"].energy(), runs["clara"].energy()]) - runs["capella"].energy()
        gains.append(gain)
        if gain.value > NOISE:
            each = (f"{machine_title(m)} {energy(r.energy().value, 4)}" for m, r in runs.items())
            listed.append(f"{runs['capella'].title} ({', '.join(each)})")
    return recomputed(
        positive(gains),
        f"{len(listed)} of {len(gains)} LLMs without reasoning need less on H100 than on {over}: {names(listed)}",
    )


def _older(evidence: Evidence, end: _End, cards: str) -> Recomputed:
    """Count the LLMs without reasoning whose smaller or larger energy on the older cards is not below that on H100 (FKTG)."""
    margins = [
        runs["capella"].energy() - end([runs["paula"].energy(), runs["clara"].energy()])
        for runs in _cards(evidence, OTHER)
    ]
    wrong = not_positive(margins)
    return recomputed(
        wrong,
        f"{len(margins) - wrong.value:.0f} of {len(margins)} LLMs without reasoning need less on {cards} than on H100, as the "
        f"tables print it; {MAYBE_OTHER_WORK}",
    )


def _cards(evidence: Evidence, family: str) -> list[dict[str, Run]]:
    """Return the runs of each model on A30, V100 and H100, with as many GPUs as the A30 run had.

    Raises:
        Untestable: where the source has no such run on one of the machines.
    """
    triples = []
    by_machine = {
        machine: {
            (run.model, run.gpus): run for run in reversed(evidence.runs("fktg", (family,), machine=machine))
        }
        for machine in _CARDS
    }
    for key in sorted(by_machine["paula"], key=str):
        if all(key in runs for runs in by_machine.values()):
            triples.append({machine: runs[key] for machine, runs in by_machine.items()})
    if not triples:
        raise Untestable(
            f"{evidence.source.label} has no LLM on A30, V100 and H100 with the same number of GPUs"
        )
    return triples


def _off(bar: PrintedRow, column: str, value: Value) -> Value:
    return abs(bar.number(column) / value - 1)


claim("h100-gains-only-for-deepseek")(partial(_gains, end=smallest, over="both other cards"))
reading("h100-gains-over-one-card")(partial(_gains, end=largest, over="one of the other cards"))
claim("older-cards-better-for-short-answers")(partial(_older, end=smallest, cards="A30 or on V100"))
reading("both-older-cards-better-for-short-answers")(
    partial(_older, end=largest, cards="A30 and on V100 alike")
)
