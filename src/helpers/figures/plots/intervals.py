"""Estimates and their intervals as cells of a table."""

import math
from collections.abc import Callable

import pandas as pd

from helpers.core import units


def signed(value: float, digits: int = 3) -> str:
    """Return a difference with its sign, for example `+0.050`."""
    return f"{value:+.{digits}f}"


def three_digits(value: float) -> str:
    """Return a number with three significant digits."""
    return units.significant(value, 3)


def cells(values: "pd.Series[float]", shown: Callable[[float], str] = three_digits) -> "pd.Series[str]":
    """Return numbers as text; what is absent stays so."""
    return values.astype(float).map(shown, na_action="ignore")


def span(rows: pd.DataFrame, quantity: str, shown: Callable[[float], str] = three_digits) -> list[str | None]:
    """Return `QUANTITY_low` to `QUANTITY_high`; nothing where one is absent, and no upper end where that is infinite."""
    return [
        None
        if pd.isna(low) or pd.isna(high)
        else f"{shown(float(low))} or more"
        if math.isinf(high)
        else f"{shown(float(low))} to {shown(float(high))}"
        for low, high in zip(rows[f"{quantity}_low"], rows[f"{quantity}_high"], strict=True)
    ]


def with_range(
    rows: pd.DataFrame, quantity: str, shown: Callable[[float], str] = three_digits
) -> list[str | None]:
    """Return `QUANTITY_ratio` of each row with its interval in brackets, where there is one."""
    ratios = zip(cells(rows[f"{quantity}_ratio"], shown), span(rows, quantity, shown), strict=True)
    return [f"{ratio} ({ends})" if ends else ratio for ratio, ends in ratios]
