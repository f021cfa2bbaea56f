"""What is expected of a pass of a run, and where that comes from."""

from dataclasses import dataclass
from typing import Literal

Source = Literal["measured", "published", "scaled", "unknown"]


@dataclass(frozen=True)
class Estimate:
    """Duration and energy of a pass; None where unknown, and then the `..._from` field holds the reason."""

    pass_s: float | None
    duration_from: str
    pass_wh: float | None
    energy_from: str
    source: Source
