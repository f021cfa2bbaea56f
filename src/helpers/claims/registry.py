"""Which function recomputes which claim."""

from collections.abc import Callable
from dataclasses import dataclass

from helpers.claims.evidence import Evidence
from helpers.claims.values import Value


@dataclass(frozen=True)
class Recomputed:
    """What a claim comes to: the number, the interval its inputs allow, and one sentence with the numbers."""

    value: float
    low: float
    high: float
    reason: str


Function = Callable[[Evidence], Recomputed]
FUNCTIONS: dict[str, Function] = {}
"""Filled by `@claim` when the modules with the functions are imported."""


def claim(identifier: str) -> Callable[[Function], Function]:
    """Register the function that recomputes a claim of data/study/claims.yaml.

    Raises:
        ValueError: for an id that has a function already.
    """

    def register(function: Function) -> Function:
        if identifier in FUNCTIONS:
            raise ValueError(f"claim {identifier!r} has two functions")
        FUNCTIONS[identifier] = function
        return function

    return register


def recomputed(value: Value, reason: str) -> Recomputed:
    """Return what a claim comes to."""
    return Recomputed(value.value, value.low, value.high, reason)
