"""Numbers as people read them: units with a thin space, two significant digits in prose."""

import math
from collections.abc import Iterable

THIN = "\u202f"
_WH = ((1e3, 1e3, "kWh"), (0.1, 1.0, "Wh"), (1e-4, 1e-3, "mWh"), (0.0, 1e-6, "µWh"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
_S = ((0.1, 1.0, "s"), (1e-4, 1e-3, "ms"), (0.0, 1e-6, "µs"))
"""From which value on a unit is used, its size, its name: the steps of the axes' labels."""


def energy(wh: float | None, digits: int = 2, bound: float | None = None) -> str:
    """Return an energy in Wh as text, for example `0.13 mWh`; absent is `missing`.

    With a `bound`, how far off it may be, it is `0.13 ± 0.01 mWh`.
    """
    return _scaled(wh, _WH, digits, bound)


def duration(seconds: float | None, digits: int = 2, bound: float | None = None) -> str:
    """Return a duration as text, in s or a part of it; absent is `missing`, a `bound` as in `energy`."""
    return _scaled(seconds, _S, digits, bound)


def table_unit(values_wh: Iterable[float | None], digits: int) -> tuple[float, str]:
    """Return size (in Wh) and name of the unit in which the longest number of a table is the shortest."""
    sizes = [abs(value) for value in values_wh if value]
    unit = min(
        _WH, key=lambda step: max((len(significant(value / step[1], digits)) for value in sizes), default=0)
    )
    return (unit[1], unit[2]) if sizes else (1.0, "Wh")


def energy_tick(exponent: int) -> str:
    """Return the label of 10**exponent Wh on an axis, for example `0.1 mWh`."""
    return energy(10.0**exponent, 1)


def size(number_bytes: float) -> str:
    """Return a size in bytes as text, for example `15.2 GB`; of 1000 MB each, as disks are sold."""
    unit, name = next((step for step in _BYTES if number_bytes >= step[0]), _BYTES[-1])
    return f"{number_bytes / unit:.1f} {name}" if unit > 1 else f"{number_bytes:.0f} {name}"


def counted(number: int, thing: str) -> str:
    """Return how many there are of something, for example `1 GPU` or `2 GPUs`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def significant(value: float, digits: int) -> str:
    """Return a number with that many significant digits, without an exponent."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    return f"{rounded:.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def _scaled(
    value: float | None, steps: tuple[tuple[float, float, str], ...], digits: int, bound: float | None = None
) -> str:
    if value is None or math.isnan(value):
        return "missing"
    size, unit = next((size, unit) for start, size, unit in steps if abs(value) >= start)
    plus = f" ± {significant(bound / size, 2 if bound / size >= 10 else 1)}" if bound else ""
    return f"{significant(value / size, digits)}{plus}{THIN}{unit}"
