"""Which function recomputes which claim, or which other reading of one."""

from collections.abc import Callable
from dataclasses import dataclass

from helpers.claims.evidence import Evidence
from helpers.claims.values import Value


@dataclass(frozen=True)
class Noise:
    """The noise of the difference that a number is, or hangs on: of the choice of test texts, or of single runs."""

    text: str = ""
    """The comparison of both in words, as the end of the reason."""
    within: bool = False
    """Whether the difference is smaller than its own uncertainty."""


@dataclass(frozen=True)
class Recomputed:
    """A recomputed claim: the number, the interval its inputs allow, and one sentence with the numbers."""

    value: float
    low: float
    high: float
    reason: str
    """Without the words of the noise."""
    noise: Noise = Noise()
    inferred: bool = False
    """Whether it rests on an inference of ours; such a number can support a statement and never refutes one."""


Function = Callable[[Evidence], Recomputed]
FUNCTIONS: dict[str, Function] = {}
"""By the id of the claim; filled by `@claim` when the modules with the functions are imported."""
READINGS: dict[str, Function] = {}
"""Numbers of other readings, by the name that `by` of a reading gives; filled by `@reading`."""


def claim(identifier: str) -> Callable[[Function], Function]:
    """Register the function that recomputes a claim of data/study/claims.yaml.

    Raises:
        ValueError: for an id that has a function already.
    """
    return _registering(FUNCTIONS, identifier)


def reading(name: str) -> Callable[[Function], Function]:
    """Register a function that recomputes claims under another reading.

    Raises:
        ValueError: for a name that has a function already.
    """
    return _registering(READINGS, name)


def function(name: str) -> Function:
    """Return the function of a claim or of a reading."""
    return FUNCTIONS[name] if name in FUNCTIONS else READINGS[name]


def recomputed(value: Value, reason: str, noise: Noise = Noise(), inferred: bool = False) -> Recomputed:
    """Return a recomputed claim from the number with its interval."""
    return Recomputed(value.value, value.low, value.high, reason, noise, inferred)


def _registering(functions: dict[str, Function], name: str) -> Callable[[Function], Function]:
    def register(registered: Function) -> Function:
        if name in FUNCTIONS or name in READINGS:
            raise ValueError(f"claim or reading {name!r} has two functions")
        functions[name] = registered
        return registered

    return register
