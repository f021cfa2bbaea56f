"""Durations that the paper does not print, from its regressions read backwards (Tables B1 and B4 to B6).

`Energy = d + a * Duration + b * GPUs + c * Duration * GPUs` gives `Duration = (Energy - d - b * GPUs) / (a + c * GPUs)`.
The coefficients are those of the very runs that are looked for, so what a duration lacks is the distance of
its run from the line, and the rounding of what is printed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t

from helpers.statistics.regression import Fit, PrintedFit, PrintedTerm, stars

HALF_UNIT = 0.0005
"""Table B6 prints coefficients and standard errors with three decimals."""
NARROW = 0.1
"""An interval is narrow if it reaches at most this share of the duration to either side."""
KINDS = ("narrow", "wide", "upper limit", "none")
COUNTS = (1, 2, 4)
"""Numbers of GPUs that the paper gives a model on one Capella node (Figure 3)."""
_TERMS = ("duration", "gpus", "duration:gpus", "constant")


@dataclass(frozen=True)
class Recovered:
    """Durations of the runs of one regression, all of them inferred."""

    runs: pd.DataFrame
    """`duration_s`, 95 % interval `low_s` to `high_s`, `kind`, and what the interval consists of, in s."""
    residual_sd_wh: float
    """Residual standard deviation of the runs about the line that goes with the printed standard errors."""
    implied_sd_wh: Mapping[str, float]
    """The same from each term alone; they agree if the durations and GPU counts are the right ones."""

    @property
    def mismatch(self) -> float:
        """Say by what share the two best resolved terms, GPUs and constant, imply different residuals."""
        return abs(self.implied_sd_wh["gpus"] / self.implied_sd_wh["constant"] - 1)


def duration(fit: PrintedFit, energy_wh: pd.Series, gpus: pd.Series) -> pd.Series:
    """Return the duration in s at which the printed line has that energy; it may be negative."""
    a, b, c, d = (fit.terms[name].estimate for name in _TERMS)
    return (energy_wh - d - b * gpus) / (a + c * gpus)


def recover(fit: PrintedFit, energy_wh: pd.Series, uncertainty_wh: pd.Series, gpus: pd.Series) -> Recovered:
    """Recover the durations of all runs that a printed regression was fitted to, with 95 % intervals.

    The paper prints standard errors without covariances. Both follow from the design, and the design from
    the recovered durations themselves: covariance = s^2 (X'X)^-1. The term with the largest standard error,
    printed with most digits, gives s. The interval is that for a new run: Student's t times
    s * sqrt(1 + leverage), as a duration, plus the most that rounding can add. This is conservative: the
    runs are not new, and the residuals of a fit are smaller, by sqrt(1 - leverage).

    `kind` says what an interval is worth: `narrow`, `wide`, `upper limit` where it reaches zero, and
    `none` where the energy is smaller than the residual standard deviation s, so that the constant alone makes the duration.

    Args:
        fit: a column of Table B6.
        energy_wh: energy of every run of the fit, in Wh.
        uncertainty_wh: a bound for what rounding did to it, in Wh.
        gpus: number of GPUs of each run.

    Raises:
        ValueError: for runs that are not those of the fit, or all with the same number of GPUs.
    """
    if len(energy_wh) != fit.n:
        raise ValueError(f"{len(energy_wh)} runs, but the regression has {fit.n} observations")
    if gpus.nunique() < 2:
        raise ValueError("one number of GPUs only, which does not identify the terms")
    seconds = duration(fit, energy_wh, gpus)
    x = _design(seconds.clip(lower=0), gpus)
    inverse = np.linalg.inv(x.T @ x)
    errors = np.array([fit.terms[name].std_error for name in _TERMS])
    implied = errors / np.sqrt(np.diag(inverse))
    residual_sd = float(implied[int(np.argmax(errors))])

    a, _, c, _ = (fit.terms[name].estimate for name in _TERMS)
    power = a + c * gpus
    quantile = float(t.ppf(0.975, fit.n - len(_TERMS)))
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    scatter = quantile * residual_sd * np.sqrt(1 + leverage) / power
    rounding = (uncertainty_wh + HALF_UNIT * (1 + gpus) * (1 + seconds.abs())) / power
    half = scatter + rounding
    runs = pd.DataFrame(
        {
            "duration_s": seconds,
            "low_s": (seconds - half).clip(lower=0),
            "high_s": seconds + half,
            "scatter_s": scatter,
            "rounding_s": rounding,
            "independent_s": quantile * _independent(x, errors) / power,
            "leverage": leverage,
        }
    )
    runs["kind"] = [
        _kind(energy, residual_sd, value, width)
        for energy, value, width in zip(energy_wh, seconds, half, strict=True)
    ]
    return Recovered(runs, residual_sd, dict(zip(_TERMS, (float(item) for item in implied), strict=True)))


def next_best_mismatch(
    fit: PrintedFit, energy_wh: pd.Series, uncertainty_wh: pd.Series, gpus: pd.Series
) -> float:
    """Return the smallest `mismatch` that is left when one run has another number of GPUs out of `COUNTS`.

    If it is far above that of the given numbers, the printed standard errors speak for these.
    """
    others = [
        recover(fit, energy_wh, uncertainty_wh, gpus.mask(gpus.index == run, other)).mismatch
        for run in gpus.index
        for other in COUNTS
        if other != gpus[run]
    ]
    return min(others)


def as_printed(fit: Fit) -> PrintedFit:
    """Return a fit as Table B6 would print it, to try the recovery where the durations are known."""
    return PrintedFit(
        terms={
            name: PrintedTerm(round(term.estimate, 3), round(term.std_error, 3), stars(term.p_value))
            for name, term in fit.terms.items()
        },
        n=fit.n,
        r2=round(fit.r2, 3),
        adjusted_r2=round(fit.adjusted_r2, 3),
    )


def _design(seconds: pd.Series, gpus: pd.Series) -> np.ndarray:
    return np.column_stack([seconds, gpus, seconds * gpus, np.ones(len(gpus))]).astype(float)


def _independent(x: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return the error of the line in Wh if the errors of its terms were independent, for comparison."""
    return np.asarray(np.sqrt((x**2) @ (errors**2)))


def _kind(energy_wh: float, residual_sd_wh: float, seconds: float, half: float) -> str:
    if energy_wh < residual_sd_wh or not math.isfinite(seconds) or seconds <= 0:
        return "none"
    if half >= seconds:
        return "upper limit"
    return "narrow" if half <= NARROW * seconds else "wide"
