"""Numbers as people read them: units with a thin space, two significant digits in prose."""

import math

THIN = "\u202f"
WH_STEPS = ((1000.0, "kWh"), (1.0, "Wh"), (1e-3, "mWh"), (1e-6, "µWh"))
S_STEPS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def energy(wh: float | None, digits: int = 2) -> str:
    """Return an energy in Wh as text, for example `0.13 mWh`; absent is `missing`."""
    return _scaled(wh, WH_STEPS, digits)


def duration(seconds: float | None, digits: int = 2) -> str:
    """Return a duration as text, in s or a part of it; absent is `missing`."""
    return _scaled(seconds, S_STEPS, digits)


def energy_tick(exponent: int) -> str:
    """Return the label of 10**exponent Wh on an axis: powers of ten that people read."""
    unit, shift = ("kWh", 3) if exponent >= 3 else ("Wh", 0) if exponent >= -1 else ("mWh", -3)
    if exponent < -4:
        unit, shift = "µWh", -6
    return f"{10.0 ** (exponent - shift):g}{THIN}{unit}"


def significant(value: float, digits: int) -> str:
    """Return a number with that many significant digits, without an exponent."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{round(value, digits - 1 - math.floor(math.log10(abs(value)))):.{places}f}"


def _scaled(value: float | None, steps: tuple[tuple[float, str], ...], digits: int) -> str:
    if value is None or math.isnan(value):
        return "missing"
    for size, unit in steps:
        if abs(value) >= size:
            return f"{significant(value / size, digits)}{THIN}{unit}"
    size, unit = steps[-1]
    return f"{significant(value / size, digits)}{THIN}{unit}"
