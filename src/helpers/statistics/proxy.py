"""Energy estimated from duration: three estimators side by side, and how far each is off (paper, section 4.2, Eq. 1 and 2).

All three know the duration T and the number of GPUs G of a run:

- `line`: the regression of Table 3 with all its terms, a T + b G + c G T + d, by least squares in Wh;
- `approximation`: Eq. 1 of the paper, (a + c G) T with the slopes of that line; on Capella its Eq. 2, as printed;
- `relative`: Eq. 1 fitted by relative error to the runs of language models. This one is ours.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls
from scipy.stats import t

from helpers.statistics import regression
from helpers.statistics.diagnostics import estimates, names

LINE, APPROXIMATION, RELATIVE = "line", "approximation", "relative"
ESTIMATORS = {
    LINE: "Least-squares line with its constant",
    APPROXIMATION: "Eq. 1 with the slopes of the least-squares line",
    RELATIVE: "Eq. 1 fitted by relative error",
}
IN_SAMPLE, LEFT_OUT = "in sample", "left out"
MEASURED_FROM_S = 3.0
"""Below, no published energy rests on a reading of its own: CodeCarbon reads every 15 s (section 5), durations are printed
to 10 ms. All published runs below are of traditional models; none lies between here and the shortest language model's."""
LONG_S = 100.0
"""Where the language models of Table B1 that reason part from the others."""


@dataclass(frozen=True)
class Proportional:
    """Eq. 1: energy = (a + c G) T, both coefficients in Wh/s."""

    a: float
    c: float

    def energy_wh(self, rows: pd.DataFrame) -> pd.Series:
        """Return the energy in Wh of each row with `duration_s` and `gpus`."""
        return (self.a + self.c * rows["gpus"]) * rows["duration_s"]


EQUATION_2 = Proportional(0.1, 0.09)
"""The paper's Eq. 2, for Capella."""


def slopes(terms: Mapping[str, float]) -> Proportional:
    """Return Eq. 1 of a regression's estimates: its slopes, without the terms b (GPUs) and d (constant) that the paper drops."""
    return Proportional(terms["duration"], terms.get("duration:gpus", 0.0))


def paper_equation(machine: str, printed: Mapping[str, pd.DataFrame]) -> Proportional:
    """Return Eq. 1 as the paper has it for a machine: Eq. 2 for Capella, otherwise the slopes printed in Table 3."""
    return (
        EQUATION_2
        if machine == "capella"
        else slopes(estimates(regression.printed_fit(printed, machine=machine)))
    )


def fit_relative(rows: pd.DataFrame) -> Proportional:
    """Fit Eq. 1 so that the sum of squared relative errors, (estimate / energy - 1)^2, is smallest.

    Each run counts by its relative error, a short one as much as a long one ("least squares percentage
    regression": Tofallis 2008, J. Modern Applied Statistical Methods 7(2)). Both coefficients are powers, so
    neither is negative. Where all runs have as many GPUs, one is left, and c is 0.
    """
    per_wh = (rows["duration_s"] / rows["energy_wh"]).to_numpy(float)
    columns = [per_wh]
    if rows["gpus"].nunique() > 1:
        columns.append(per_wh * rows["gpus"].to_numpy(float))
    powers, _ = nnls(np.column_stack(columns), np.ones(len(rows)))
    return Proportional(float(powers[0]), float(powers[1]) if len(powers) > 1 else 0.0)


def language_models(points: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of language models."""
    return points[points["family"] != "Traditional"]


def basis(points: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that `relative` is fitted to: those of language models, or all where these are too few."""
    rows = with_energy(points)
    runs = language_models(rows)
    return runs if enough(runs) else rows


def coefficients(rows: pd.DataFrame, estimator: str = RELATIVE) -> int:
    """Return how many coefficients are fitted: those of Eq. 1, or of the line, whose slopes it may take."""
    return min(2, rows["gpus"].nunique()) * (1 if estimator == RELATIVE else 2)


def enough(rows: pd.DataFrame) -> bool:
    """Say whether there are more models than coefficients of Eq. 1, so that each model can be left out."""
    return bool(len(rows)) and rows["model"].nunique() > coefficients(rows)


def compare(points: pd.DataFrame, about: pd.DataFrame, printed: Proportional | None = None) -> pd.DataFrame:
    """Estimate the energy of each run by each estimator, in sample and with its model left out.

    A model is left out with all its runs, so that its own other runs do not help.

    Args:
        points: rows of `regression.points`, to which the line is fitted; those of 0 Wh are skipped.
        about: those of them that `relative` is fitted to.
        printed: Eq. 1 as printed, which `approximation` takes in sample. It has no version without a model,
            so left out it is the slopes of the line through the other runs.

    Returns:
        The index and columns of `points`, once for each estimator and sample, with `name`, `decade`, `estimator`, `sample`,
        `estimate_wh` (null where the other runs do not determine the fit), `error_percent` relative to the
        energy, and `log_error` (natural logarithm of estimate / energy, null where the estimate is negative).
    """
    rows = with_energy(points)
    rows = rows.assign(name=names(rows), decade=decade(rows["duration_s"]))
    about = with_energy(about)
    whole = _estimates(rows, about, rows)
    if printed:
        whole = whole.assign(**{APPROXIMATION: printed.energy_wh(rows)})
    left_out = [
        _estimates(rows[rows["model"] != model], about[about["model"] != model], own)
        for model, own in rows.groupby("model", sort=False)
    ]
    samples = {IN_SAMPLE: whole, LEFT_OUT: pd.concat(left_out)} if len(rows) else {IN_SAMPLE: whole}
    return pd.concat(
        _with_errors(rows.assign(estimator=estimator, sample=sample), energies.loc[rows.index, estimator])
        for sample, energies in samples.items()
        for estimator in ESTIMATORS
    )


def with_energy(points: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of more than 0 Wh, of which a relative error is defined."""
    return points[points["energy_wh"] > 0]


def _estimates(line_of: pd.DataFrame, about: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the energies in Wh that the estimators, fitted to these runs, give to `rows`; null where they cannot."""
    estimates = pd.DataFrame(math.nan, index=rows.index, columns=list(ESTIMATORS))
    if regression.enough(line_of):
        terms = regression.coefficients(line_of)
        applicable = _applies(line_of, rows)
        estimates[APPROXIMATION] = slopes(terms).energy_wh(rows).where(applicable)
        estimates[LINE] = estimates[APPROXIMATION] + terms.get("gpus", 0.0) * rows["gpus"] + terms["constant"]
    if len(about):
        estimates[RELATIVE] = fit_relative(about).energy_wh(rows).where(_applies(about, rows))
    return estimates


def _applies(fitted_to: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Say of which rows a fit may speak: from one number of GPUs nothing follows for another."""
    counts = set(fitted_to["gpus"])
    return rows["gpus"].isin(counts) | (len(counts) > 1)


def _with_errors(rows: pd.DataFrame, energies: pd.Series) -> pd.DataFrame:
    ratio = energies / rows["energy_wh"]
    return rows.assign(
        estimate_wh=energies,
        error_percent=100 * (ratio - 1),
        log_error=np.log(ratio.where(ratio > 0)),
    )


def decade(duration_s: pd.Series) -> pd.Series:
    """Return the decade of a duration, as the exponent of its lower end: -2 for 0.01 s to 0.1 s."""
    return duration_s.map(lambda seconds: math.floor(math.log10(seconds))).astype(int)


def size_percent(errors: pd.DataFrame, estimator: str, sample: str) -> pd.Series:
    """Return the absolute errors of one estimator in one sample, in percent, by run."""
    rows = errors[(errors["estimator"] == estimator) & (errors["sample"] == sample)]
    return rows["error_percent"].abs()


def sizes(errors: pd.DataFrame) -> pd.DataFrame:
    """Return per estimator and sample: runs, median and largest absolute error in percent, and whose that is."""
    defined = errors.dropna(subset=["error_percent"])
    defined = defined.assign(size=defined["error_percent"].abs()).reset_index(drop=True)
    groups = defined.groupby(["estimator", "sample"])["size"]
    return pd.DataFrame(
        {
            "runs": groups.size(),
            "median_percent": groups.median(),
            "worst_percent": groups.max(),
            "worst": defined["name"].loc[groups.idxmax()].to_numpy(),
        }
    )


def interval_factor(log_errors: pd.Series, models: int, fitted: int) -> float | None:
    """Return the factor f of a 95 % prediction interval, estimate / f to estimate x f, for a run of a new model.

    The errors are those of models left out, on the log scale, so that they hold both the dispersion of runs and
    what the fit does not know: f = exp(t x root mean square). Runs of one model err alike, so the degrees of
    freedom of Student's t are the models less the coefficients. None where that leaves none, or where an
    error is not defined because an estimate is negative.
    """
    freedom = models - fitted
    if freedom < 1 or log_errors.empty or log_errors.isna().any():
        return None
    return math.exp(float(t.ppf(0.975, freedom)) * math.sqrt(float((log_errors**2).mean())))


def factors(errors: pd.DataFrame) -> dict[str, float | None]:
    """Return the `interval_factor` of each estimator for the runs of `errors`, from the errors left out."""
    left_out = errors[errors["sample"] == LEFT_OUT]
    factor_by_estimator = {}
    for name in ESTIMATORS:
        runs = left_out[left_out["estimator"] == name]
        factor_by_estimator[name] = interval_factor(
            runs["log_error"], runs["model"].nunique(), coefficients(runs, name)
        )
    return factor_by_estimator
