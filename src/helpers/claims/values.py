"""Numbers with the interval that rounding and reading leave open, and the few sums that claims need."""

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

NOISE = 1e-9
"""Differences of printed decimals below this are floating point, not data."""


class Untestable(Exception):  # noqa: N818  (an outcome of a claim, not a fault)
    """A claim cannot be tested with this source; the message says what is missing."""


@dataclass(frozen=True)
class Value:
    """A number and its interval [low, high]; both ends are the number itself where it is exact."""

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, number: float) -> Self:
        """Return a number without any uncertainty."""
        return cls(number, number, number)

    @classmethod
    def about(cls, number: float, half_width: float) -> Self:
        """Return a number with an absolute uncertainty on both sides."""
        return cls(number, number - half_width, number + half_width)

    def __add__(self, other: "Value | float") -> "Value":
        return corners(lambda a, b: a + b, self, _value(other))

    def __sub__(self, other: "Value | float") -> "Value":
        return corners(lambda a, b: a - b, self, _value(other))

    def __mul__(self, other: "Value | float") -> "Value":
        return corners(lambda a, b: a * b, self, _value(other))

    def __truediv__(self, other: "Value | float") -> "Value":
        """Divide.

        Raises:
            Untestable: where the divisor may be zero.
        """
        divisor = _value(other)
        if divisor.low <= 0 <= divisor.high:
            raise Untestable("this needs a ratio to a number that rounding or reading allows to be 0")
        return corners(lambda a, b: a / b, self, divisor)

    def __abs__(self) -> "Value":
        lowest = 0.0 if self.low <= 0 <= self.high else min(abs(self.low), abs(self.high))
        return Value(abs(self.value), lowest, max(abs(self.low), abs(self.high)))


def corners(function: Callable[..., float], *inputs: Value) -> Value:
    """Evaluate a function at its inputs and at every corner of their intervals.

    The interval is exact for functions that rise or fall throughout in each input.
    """
    nominal = function(*(item.value for item in inputs))
    ends = [function(*corner) for corner in itertools.product(*((item.low, item.high) for item in inputs))]
    return Value(nominal, min(nominal, *ends), max(nominal, *ends))


def largest(values: Sequence[Value]) -> Value:
    """Return the largest."""
    return _rising(max, values)


def smallest(values: Sequence[Value]) -> Value:
    """Return the smallest."""
    return _rising(min, values)


def mean(values: Sequence[Value]) -> Value:
    """Return the mean."""
    return _rising(statistics.fmean, values)


def median(values: Sequence[Value]) -> Value:
    """Return the median."""
    return _rising(statistics.median, values)


def decades(ratio: Value) -> Value:
    """Return a ratio in powers of ten."""
    return corners(math.log10, ratio)


def positive(margins: Sequence[Value]) -> Value:
    """Count the margins above zero; the interval holds those that surely and those that possibly are."""
    return Value(
        sum(margin.value > NOISE for margin in margins),
        sum(margin.low > NOISE for margin in margins),
        sum(margin.high > NOISE for margin in margins),
    )


def not_positive(margins: Sequence[Value]) -> Value:
    """Count the margins at or below zero, as `positive` does."""
    rest, count = positive(margins), len(margins)
    return Value(count - rest.value, count - rest.high, count - rest.low)


def misses(gap: Value) -> Value:
    """Return a margin above zero where a difference surely is not zero: rounding decides nothing then."""
    return Value.exact(max(gap.low, -gap.high))


def one_at_a_time(function: Callable[[Sequence[float]], float], inputs: Sequence[Value]) -> Value:
    """Evaluate a function of many inputs; the interval adds up what each input alone can change.

    For smooth functions of inputs with small uncertainties, such as a correlation.
    """
    values = [item.value for item in inputs]
    nominal = function(values)
    reach = 0.0
    for position, item in enumerate(inputs):
        changed = [
            abs(function([*values[:position], end, *values[position + 1 :]]) - nominal)
            for end in {item.low, item.high} - {item.value}
        ]
        reach += max(changed, default=0.0)
    return Value.about(nominal, reach)


def _rising(function: Callable[[Sequence[float]], float], values: Sequence[Value]) -> Value:
    if not values:
        raise Untestable("there is no other run to compare with")
    return Value(
        float(function([item.value for item in values])),
        float(function([item.low for item in values])),
        float(function([item.high for item in values])),
    )


def _value(number: Value | float) -> Value:
    return number if isinstance(number, Value) else Value.exact(number)
