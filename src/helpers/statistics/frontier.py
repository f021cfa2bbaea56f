"""The Pareto frontier of accuracy and energy: runs that no other run beats in both, as far as the numbers allow.

Published numbers are intervals: rounded, read off a figure, or an upper limit (`<0.01` Wh). A run is on the
frontier for certain if it is for all values in the intervals, and off it if it is for none.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.statistics import bootstrap
from helpers.study.catalogue import study

CERTAIN, POSSIBLE, OFF = "certain", "possible", "off"


def on_frontier(accuracy: Sequence[float], energy_wh: Sequence[float]) -> np.ndarray:
    """Say for each point whether no other has at least its accuracy for at most its energy, one of them better.

    Points that agree in both are on the Pareto frontier together.
    """
    accuracies, energies = np.asarray(accuracy, dtype=float), np.asarray(energy_wh, dtype=float)
    return np.asarray(~_beaten(accuracies, energies, accuracies, energies).any(axis=1))


def membership(points: pd.DataFrame) -> pd.Series:
    """Say of each run whether it is on the Pareto frontier: `certain`, `possible` or `off`.

    With independent intervals both extremes are reached in a corner: a run is off the frontier for all values
    if it is beaten at its best by another at that one's worst, and on it for certain if it is not beaten at
    its worst by any other at its best.

    Args:
        points: columns `accuracy_low`, `accuracy_high`, `energy_low_wh`, `energy_high_wh`, without gaps.
    """
    accuracy_low, accuracy_high, energy_low, energy_high = (
        points[name].to_numpy(dtype=float)
        for name in ("accuracy_low", "accuracy_high", "energy_low_wh", "energy_high_wh")
    )
    never = _beaten(accuracy_high, energy_low, accuracy_low, energy_high).any(axis=1)
    always = ~_beaten(accuracy_low, energy_high, accuracy_high, energy_low).any(axis=1)
    return pd.Series(
        np.where(always, CERTAIN, np.where(never, OFF, POSSIBLE)), index=points.index, dtype=object
    )


def disqualifications(runs: pd.DataFrame) -> "pd.Series[str]":
    """Say of each run why no sentence names it as one to choose, whatever little energy it takes; empty where it may.

    The reason is an accuracy at or below that of always naming the most frequent label, as far as that is known, or that most
    answers bear no label. The latter is known of measured runs alone.

    Args:
        runs: rows of `results`: columns `dataset`, `accuracy`, `texts`, `parse_failures`.
    """
    reasons = []
    for dataset, accuracy, texts, failures in runs[
        ["dataset", "accuracy", "texts", "parse_failures"]
    ].itertuples(index=False):
        chance = study().datasets[dataset].chance
        if accuracy <= chance:
            reasons.append(f"accuracy {accuracy:.2f}, best guess {chance:.2f}")
        elif pd.notna(failures) and failures > texts / 2:
            reasons.append(f"{failures:.0f} of {texts} answers without a label")
        else:
            reasons.append("")
    return pd.Series(reasons, index=runs.index, dtype=object)


def share_of_resamples(
    accuracy: pd.DataFrame,
    energy_wh: pd.DataFrame,
    draws: int = bootstrap.DRAWS,
    generator: np.random.Generator | None = None,
) -> pd.Series:
    """Return for each run the share of bootstrap resamples of the splits in which it is on the Pareto frontier.

    All runs are resampled together: the splits are the same for every model.

    Args:
        accuracy: splits x runs.
        energy_wh: splits x runs, in Wh.
        draws: number of resamples.
        generator: of the resamples; by default one with the fixed seed.
    """
    index = bootstrap.resamples(len(accuracy), draws, generator)
    accuracies = accuracy.to_numpy(dtype=float)[index].mean(axis=1)
    energies = energy_wh.to_numpy(dtype=float)[index].mean(axis=1)
    return pd.Series(on_frontiers(accuracies, energies).mean(axis=0), index=accuracy.columns)


def on_frontiers(accuracies: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Return `on_frontier` of each row, draws x points, without comparing all points with all: there may be hundreds.

    In the order of energy, and of falling accuracy where energies are equal, every point that beats another comes
    before it and is at least as accurate; so do its equals, which do not beat it.
    """
    order = np.lexsort((-accuracies, energies), axis=-1)
    accuracies, energies = (np.take_along_axis(values, order, axis=-1) for values in (accuracies, energies))
    best_before = np.maximum.accumulate(accuracies, axis=-1)[:, :-1]
    beaten = np.pad(best_before >= accuracies[:, 1:], ((0, 0), (1, 0)))
    equal = (accuracies[:, 1:] == accuracies[:, :-1]) & (energies[:, 1:] == energies[:, :-1])
    first = np.where(np.pad(equal, ((0, 0), (1, 0))), 0, np.arange(accuracies.shape[-1]))
    beaten = np.take_along_axis(beaten, np.maximum.accumulate(first, axis=-1), axis=-1)
    kept = np.empty_like(beaten)
    np.put_along_axis(kept, order, ~beaten, axis=-1)
    return kept


def _beaten(
    accuracy: np.ndarray, energy: np.ndarray, by_accuracy: np.ndarray, by_energy: np.ndarray
) -> np.ndarray:
    """Return ... x points x points: is the point of the row beaten by the other point of the column?"""
    at_least_accuracy = by_accuracy[..., None, :] >= accuracy[..., :, None]
    at_most_energy = by_energy[..., None, :] <= energy[..., :, None]
    better = (by_accuracy[..., None, :] > accuracy[..., :, None]) | (
        by_energy[..., None, :] < energy[..., :, None]
    )
    other = ~np.eye(accuracy.shape[-1], dtype=bool)
    return np.asarray(at_least_accuracy & at_most_energy & better & other)
