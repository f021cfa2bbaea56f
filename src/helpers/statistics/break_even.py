"""After how many texts has the training of a model paid for itself? (the paper leaves training out, section 5)."""

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Interval:
    """All values from `low` to `high`, both of them included; `high` may be infinite."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"interval from {self.low} to {self.high}: expected low <= high")

    @classmethod
    def around(cls, value: float, bound: float = 0.0) -> Self:
        """Return value - bound to value + bound; an absent bound (NaN) is none."""
        half_width = 0.0 if math.isnan(bound) else bound
        return cls(value - half_width, value + half_width)


def break_even(training_wh: Interval, own_wh: Interval, other_wh: Interval) -> Interval | None:
    """Return after how many texts training and own inference cost no more than the other model's inference.

    Training / (other - own), in texts; `own_wh` and `other_wh` are Wh per text. The upper end is infinite
    where the own model may need more energy per text within the intervals; None where it does for
    certain, so that training never pays.

    Raises:
        ValueError: for a training energy below 0.
    """
    if training_wh.low < 0:
        raise ValueError(f"training from {training_wh.low} Wh: expected no less than 0")
    most_saved, least_saved = other_wh.high - own_wh.low, other_wh.low - own_wh.high
    if most_saved <= 0:
        return None
    return Interval(
        training_wh.low / most_saved, training_wh.high / least_saved if least_saved > 0 else math.inf
    )
