"""The words for what becomes of a claim: verdicts on the paper's statements, and outcomes of our inferences.

The two never mix: `word` and `combined` look a result up under the nature of the claim, and only a statement has the
word for one that is refuted. Nor do the paper's own numbers and measurements: a campaign has other test sets, and mostly
other hardware and models, so its verdicts are about what was measured here and refute no sentence of the paper.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from helpers.claims.catalogue import Criterion, Kind, Nature
from helpers.claims.registry import Recomputed
from helpers.claims.values import NOISE

HOLDS, ROUNDED, DEPENDS, FAILS, OPEN = (
    "holds",
    "holds after rounding",
    "depends on the reading",
    "does not hold",
    "cannot be tested",
)
VERDICTS = (HOLDS, ROUNDED, DEPENDS, FAILS, OPEN)
"""Of a statement of the paper, by its own numbers."""
HOLDS_HERE, UNDECIDED_HERE, FAILS_HERE = "holds here", "undecided here", "does not hold here"
MEASURED_VERDICTS = (HOLDS_HERE, DEPENDS, UNDECIDED_HERE, FAILS_HERE, OPEN)
"""Of a statement of the paper, by a campaign: what is measured here meets it, misses it, or cannot tell."""
AGREES, DIFFERS, UNKNOWN = "agrees", "differs", "open"
"""Outcomes of an inference of ours: whether the numbers agree with it, differ from it, or leave it open."""

Result = Literal["met", "met after rounding", "undecided", "missed", "mixed", "untested"]
MET: Final = "met"
NEARLY: Final = "met after rounding"
UNDECIDED: Final = "undecided"
MISSED: Final = "missed"
MIXED: Final = "mixed"
UNTESTED: Final = "untested"

_WORDS: dict[Nature, dict[Result, str]] = {
    "statement": {MET: HOLDS, NEARLY: ROUNDED, MISSED: FAILS, MIXED: DEPENDS, UNTESTED: OPEN},
    "inference": {MET: AGREES, NEARLY: AGREES, MISSED: DIFFERS, MIXED: UNKNOWN, UNTESTED: UNKNOWN},
}
_MEASURED_WORDS: dict[Result, str] = {
    MET: HOLDS_HERE,
    UNDECIDED: UNDECIDED_HERE,
    MISSED: FAILS_HERE,
    MIXED: DEPENDS,
    UNTESTED: OPEN,
}


def word(nature: Nature, result: Result, measured: bool = False) -> str:
    """Return the verdict or outcome of a claim with this result, by the paper's own numbers or by a campaign."""
    return _MEASURED_WORDS[result] if measured and nature == "statement" else _WORDS[nature][result]


def decide(criterion: Criterion, recomputed: Recomputed) -> Result:
    """Compare what a campaign gives with what a claim asks of it under one reading.

    It is met or missed only where every number of the interval meets or misses it, and where it does not hang on a
    difference within its own uncertainty; else it is undecided.
    """
    nearest = min(max(criterion.published, recomputed.low), recomputed.high)
    met = {
        _meets(criterion, number) for number in (recomputed.value, recomputed.low, nearest, recomputed.high)
    }
    if len(met) > 1 or recomputed.noise.within:
        return UNDECIDED
    return MET if met == {True} else MISSED


def compare(criterion: Criterion, recomputed: Recomputed) -> Result:
    """Compare a recomputed number with what a claim asks of it under one reading.

    It is met if the number itself meets it within the tolerance, and after rounding if only some other number of
    its interval does.
    """
    if _meets(criterion, recomputed.value):
        return MET
    nearest = min(max(criterion.published, recomputed.low), recomputed.high)
    return (
        NEARLY
        if any(_meets(criterion, end) for end in (recomputed.low, nearest, recomputed.high))
        else MISSED
    )


def is_close(criterion: Criterion, recomputed: Recomputed) -> bool:
    """Say whether some numbers of the interval meet the claim and others do not."""
    within = _meets(criterion, recomputed.low) and _meets(criterion, recomputed.high)
    return not within and compare(criterion, recomputed) != MISSED


def combined(results: Sequence[Result]) -> Result:
    """Return the result of a claim over all its readings.

    Those that can be tested decide: met, or after rounding if one of them is so; missed if all miss it, and no other
    is left open; mixed where some meet it and some miss it; undecided where one of them is, and it is not mixed.
    """
    tested = {result for result in results if result != UNTESTED}
    if not tested:
        return UNTESTED
    if UNDECIDED in tested:
        return MIXED if tested >= {MET, MISSED} else UNDECIDED
    if MISSED not in tested:
        return NEARLY if NEARLY in tested else MET
    if tested != {MISSED}:
        return MIXED
    return UNTESTED if UNTESTED in results else MISSED


def _meets(criterion: Criterion, value: float) -> bool:
    return _MEETS[criterion.kind](value, criterion.published, criterion.tolerance)


_MEETS: dict[Kind, Callable[[float, float, float], bool]] = {
    "number": lambda value, published, tolerance: abs(value - published) <= tolerance + NOISE,
    "at_least": lambda value, published, tolerance: value >= published - tolerance - NOISE,
    "at_most": lambda value, published, tolerance: value <= published + tolerance + NOISE,
    "above": lambda value, published, tolerance: value > published - tolerance + NOISE,
    "below": lambda value, published, tolerance: value < published + tolerance - NOISE,
}
