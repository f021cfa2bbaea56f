"""Energy of a run by a fitted regression, with its 95 % confidence interval."""

import math
from dataclasses import dataclass

import numpy as np

from helpers.statistics.regression import Fit, quantile_95


@dataclass(frozen=True)
class Prediction:
    """Mean energy that a fit expects of such runs, with its 95 % confidence interval."""

    mean_wh: float
    low_wh: float
    high_wh: float


def predicted_wh(fitted: Fit, duration_s: float, gpus: int) -> float:
    """Return the energy that a fit expects of one run."""
    return float(_regressors(fitted, duration_s, gpus) @ [term.estimate for term in fitted.terms.values()])


def predict(fitted: Fit, duration_s: float, gpus: int) -> Prediction:
    """Return what a fit expects of such runs: the mean, and its 95 % confidence interval."""
    names = list(fitted.terms)
    x = _regressors(fitted, duration_s, gpus)
    mean = predicted_wh(fitted, duration_s, gpus)
    variance = float(x @ fitted.covariance.loc[names, names].to_numpy() @ x)
    half = quantile_95(fitted) * math.sqrt(variance)
    return Prediction(mean, mean - half, mean + half)


def _regressors(fitted: Fit, duration_s: float, gpus: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    values = {"duration": duration_s, "gpus": gpus, "duration:gpus": duration_s * gpus, "constant": 1.0}
    return np.array([values[name] for name in fitted.terms])
