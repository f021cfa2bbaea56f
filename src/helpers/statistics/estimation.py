"""The energy of a run that was not measured, from its duration: what the calculator knows of each machine."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from helpers.statistics import regression
from helpers.statistics.diagnostics import estimates
from helpers.statistics.proxy import (
    APPROXIMATION,
    LEFT_OUT,
    RELATIVE,
    Proportional,
    coefficients,
    compare,
    enough,
    fit_relative,
    interval_factor,
    slopes,
    with_energy,
)

FEWEST_TO_CHOOSE = 5
"""Runs that a decade of durations needs for a choice of its own between estimators."""


@dataclass(frozen=True)
class Choice:
    """The estimator for one decade of durations, and how far it is off there for a model left out."""

    from_s: float
    to_s: float
    estimator: str
    runs: int
    models: int
    median_percent: float | None
    worst_percent: float | None


@dataclass(frozen=True)
class Estimation:
    """What the runs of one kind of model on one machine allow to say of another run."""

    choices: tuple[Choice, ...]
    """One per decade, in order and without a gap; the first and the last also serve what lies beyond."""
    fits: Mapping[str, Proportional]
    """The coefficients by estimator."""
    factor: float | None
    """95 % prediction interval: estimate / factor to estimate x factor."""
    runs: int
    models: int
    shortest_s: float
    longest_s: float
    gpus: tuple[int, ...]


def estimation(points: pd.DataFrame, runs: pd.DataFrame) -> Estimation | None:
    """Choose for each decade of durations the estimator that is nearest for a model left out; None where none can be.

    Only estimators of the form of Eq. 1 stand for a choice, since a constant can make an energy negative, and the
    slopes of the line only where it rests on enough runs. The nearest is the one with the smallest median error;
    a decade with few runs takes the one that is nearest overall. The interval is that of the choice as a whole.

    Args:
        points: all runs of the machine, to which the line is fitted.
        runs: those of `points` that the estimation is about.
    """
    runs = with_energy(runs)
    if not enough(runs):
        return None
    gpus = tuple(sorted({int(count) for count in runs["gpus"]}))
    fits = {RELATIVE: fit_relative(runs)}
    if regression.enough(points) and regression.allows_verdict(line := regression.fit(points)):
        fits[APPROXIMATION] = slopes(estimates(line))
    usable = [name for name, fit in fits.items() if all(fit.a + fit.c * count > 0 for count in gpus)]
    errors = compare(points, runs)
    errors = errors[errors.index.isin(runs.index) & (errors["sample"] == LEFT_OUT)]
    errors = errors[errors["estimator"].isin(usable)]
    overall = _nearest(errors)
    if overall is None:
        return None
    choices, chosen = [], []
    for low in range(int(errors["decade"].min()), int(errors["decade"].max()) + 1):
        part = errors[errors["decade"] == low]
        own = _nearest(part) if part.index.nunique() >= FEWEST_TO_CHOOSE else None
        chosen.append(part[part["estimator"] == (own or overall)])
        choices.append(_choice(low, own or overall, chosen[-1]))
    models = runs["model"].nunique()
    fitted = max(coefficients(runs, choice.estimator) for choice in choices)
    return Estimation(
        choices=tuple(choices),
        fits={name: fits[name] for name in usable},
        factor=interval_factor(pd.concat(chosen)["log_error"], models, fitted),
        runs=len(runs),
        models=models,
        shortest_s=float(runs["duration_s"].min()),
        longest_s=float(runs["duration_s"].max()),
        gpus=gpus,
    )


def _choice(low: int, estimator: str, errors: pd.DataFrame) -> Choice:
    size = errors["error_percent"].abs()
    return Choice(
        from_s=10.0**low,
        to_s=10.0 ** (low + 1),
        estimator=estimator,
        runs=len(errors),
        models=errors["model"].nunique(),
        median_percent=float(size.median()) if len(errors) else None,
        worst_percent=float(size.max()) if len(errors) else None,
    )


def _nearest(errors: pd.DataFrame) -> str | None:
    """Return the estimator with the smallest median error among those that give every run a positive energy."""
    groups = errors.assign(size=errors["error_percent"].abs()).groupby("estimator")
    medians = groups["size"].median()[groups["log_error"].count() == groups.size()]
    return None if medians.empty else str(medians.idxmin())
