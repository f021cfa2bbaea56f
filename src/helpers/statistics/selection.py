"""The most accurate run, the runs with most and least energy, and the share of a component: one rule for the whole book.

Accuracies are those of `results`: the printed one where a table and a figure of the paper both give it.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

TIE = 1e-9
"""Accuracies that differ by less are equal: printed decimals, not data."""


def most_accurate_positions(accuracies: Sequence[float]) -> list[int]:
    """Return the positions of all values that are as high as the highest; of none, none."""
    top = max(accuracies, default=0.0)
    return [position for position, value in enumerate(accuracies) if value > top - TIE]


def most_accurate(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the row of the most accurate run; of several that are equally accurate, the one with the least energy.

    Args:
        rows: of `results`, with `accuracy` (share), `energy_wh` and `energy_wh_below` (Wh). A limit counts as the energy, and
            a run without either comes last.

    Raises:
        ValueError: where no row has an accuracy.
    """
    return tied_for_best(rows).iloc[0]


def tied_for_best(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all runs as accurate as `most_accurate`, which is the first: from the least energy on.

    Raises:
        ValueError: where no row has an accuracy.
    """
    ordered = best_first(rows)
    if ordered.empty:
        raise ValueError("no run has an accuracy")
    return ordered.iloc[most_accurate_positions(ordered["accuracy"].astype(float).to_list())]


def best_first(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with an accuracy, the most accurate first; of equally accurate ones, the least energy first.

    Arguments as of `most_accurate`.
    """
    with_accuracy = rows[rows["accuracy"].notna()]
    # as whole multiples of TIE, so that equal accuracies are equal keys
    keys = pd.DataFrame(
        {
            "accuracy": -(with_accuracy["accuracy"].astype(float) / TIE).round(),
            "energy": _energy_or_limit(with_accuracy),
        }
    )
    return with_accuracy.loc[keys.sort_values(["accuracy", "energy"], kind="stable").index]


def least_energy(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the row of the run with the least energy, among those whose energy is known.

    Raises:
        ValueError: where none is.
    """
    with_energy = _with_energy(rows)
    return with_energy.iloc[int(with_energy["energy_wh"].astype(float).argmin())]


def most_energy(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return the row of the run with the most energy, among those whose energy is known.

    Raises:
        ValueError: where none is.
    """
    with_energy = _with_energy(rows)
    return with_energy.iloc[int(with_energy["energy_wh"].astype(float).argmax())]


def shares(energies_wh: Mapping[Hashable, float | None]) -> dict[Hashable, float | None]:
    """Return the part of each component in the sum of those that are known; None where it, or the sum, is not.

    The sum is that of the components and not a total from elsewhere, which may be rounded otherwise.
    """
    present = {
        name: float(value) for name, value in energies_wh.items() if value is not None and pd.notna(value)
    }
    total = sum(present.values())
    return {name: present[name] / total if name in present and total > 0 else None for name in energies_wh}


COMPONENTS = ("cpu", "gpu", "ram")
"""What an energy is added up from; columns `cpu_wh` and so on of `results`."""


def gpu_shares(rows: pd.DataFrame) -> "pd.Series[float]":
    """Return the share of the GPU in each row of `results`; null where its energy is not known."""
    parts = [
        shares({name: row[f"{name}_wh"] for name in COMPONENTS})["gpu"] for row in rows.to_dict("records")
    ]
    return pd.Series(parts, index=rows.index, dtype=float)


def _energy_or_limit(rows: pd.DataFrame) -> "pd.Series[float]":
    return rows["energy_wh"].astype(float).fillna(rows["energy_wh_below"].astype(float))


def _with_energy(rows: pd.DataFrame) -> pd.DataFrame:
    with_energy = rows[rows["energy_wh"].notna()]
    if with_energy.empty:
        raise ValueError("no run has an energy")
    return with_energy
