"""The words for what becomes of a claim: five verdicts on the paper's statements, three outcomes of our inferences.

The two never mix: `word` and `combined` look a result up under the nature of the claim, and only a statement has the
word for one that is refuted.
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
"""Of a statement of the paper."""
AGREES, DIFFERS, UNKNOWN = "agrees", "differs", "open"
"""Outcomes of an inference of ours: whether the numbers agree with it, differ from it, or leave it open."""

Result = Literal["met", "met after rounding", "missed", "mixed", "untested"]
MET: Final = "met"
NEARLY: Final = "met after rounding"
MISSED: Final = "missed"
MIXED: Final = "mixed"
UNTESTED: Final = "untested"

_WORDS: dict[Nature, dict[Result, str]] = {
    "statement": {MET: HOLDS, NEARLY: ROUNDED, MISSED: FAILS, MIXED: DEPENDS, UNTESTED: OPEN},
    "inference": {MET: AGREES, NEARLY: AGREES, MISSED: DIFFERS, MIXED: UNKNOWN, UNTESTED: UNKNOWN},
}


def word(nature: Nature, result: Result) -> str:
    """Return the verdict or outcome of a claim with this result."""
    return _WORDS[nature][result]


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
    is left open; mixed where some meet it and some miss it.
    """
    tested = {result for result in results if result != UNTESTED}
    if not tested:
        return UNTESTED
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
