"""Is duration a good proxy for energy? What the paper's regression (section 4.2) does not say about itself."""

import math
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

from helpers.statistics import regression
from helpers.statistics.regression import Fit
from helpers.study import model_title

EQUATION_2 = (0.1, 0.09)
"""The paper's Eq. 2 for Capella: (0.1 + 0.09 x GPUs) x duration, in Wh/s."""
WRONG_PERCENT = 20.0
"""From this error on an energy is called wrong."""
LONG_S = 100.0
"""Runs from here on are called long: where the language models of Table B1 that reason part from the others."""


def influence(fitted: Fit) -> pd.DataFrame:
    """Return per point: fitted_wh, residual_wh, leverage, studentised residual, Cook's distance, and a name."""
    model = smf.ols(regression.formula(fitted.points), fitted.points).fit()
    measures = model.get_influence()
    return fitted.points.assign(
        name=names(fitted.points),
        fitted_wh=model.fittedvalues,
        residual_wh=model.resid,
        leverage=measures.hat_matrix_diag,
        studentised_residual=measures.resid_studentized_external,
        cooks_distance=measures.cooks_distance[0],
    )


def names(points: pd.DataFrame) -> list[str]:
    """Return what a point is called: model, GPUs, nodes where there are two, dataset where there are several."""
    several = points["dataset"].nunique() > 1
    return [
        f"{model_title(model)}, {gpus} GPU{'s' if gpus != 1 else ''}"
        + (f", {nodes} nodes" if nodes > 1 else "")
        + (f", {dataset}" if several else "")
        for model, gpus, nodes, dataset in points[["model", "gpus", "nodes", "dataset"]].itertuples(
            index=False
        )
    ]


def without_most_influential(fitted: Fit) -> tuple[str, Fit | None]:
    """Return the name of the point with the largest Cook's distance, and the fit without it, where there is one."""
    points = influence(fitted).sort_values("cooks_distance")
    rest = points.iloc[:-1].sort_index()
    return str(points["name"].iloc[-1]), regression.fit(rest) if regression.enough(rest) else None


def fitted_model(rows: pd.DataFrame, form: str = "ols") -> Any:
    """Fit to `rows` in one of three forms; returns the results of statsmodels.

    `ols` is the paper's; `relative` the same formula with weights 1/energy**2, so that each point counts by its
    relative error; `log` the regression of log10(energy) on log10(duration) and log10(GPUs).

    Raises:
        ValueError: for another form.
    """
    if form == "ols":
        return smf.ols(regression.formula(rows), rows).fit()
    if form == "relative":
        return smf.wls(regression.formula(rows), rows, weights=rows["energy_wh"] ** -2.0).fit()
    if form == "log":
        # A run without a GPU has no log10(GPUs); where all are alike the term says nothing.
        gpus = " + log_gpus" if rows["gpus"].nunique() > 1 and rows["gpus"].min() > 0 else ""
        return smf.ols(f"log_energy ~ log_duration{gpus}", _logarithms(rows)).fit()
    raise ValueError(f"form {form!r}: expected ols, relative or log")


def predicted(rows: pd.DataFrame, to: pd.DataFrame, form: str = "ols") -> pd.Series:
    """Fit to `rows` in a form of `fitted_model` and return the energy in Wh that it expects of `to`."""
    model = fitted_model(rows, form)
    if form == "log":
        return pd.Series(10.0 ** model.predict(_logarithms(to)), index=to.index)
    return pd.Series(model.predict(to), index=to.index)


def _logarithms(rows: pd.DataFrame) -> pd.DataFrame:
    with np.errstate(divide="ignore"):  # no GPU
        return rows.assign(
            log_energy=np.log10(rows["energy_wh"]),
            log_duration=np.log10(rows["duration_s"]),
            log_gpus=np.log10(rows["gpus"]),
        )


FORMS = {
    "ols": "As in the paper (least squares in Wh)",
    "relative": "Relative error (weights 1/energy²)",
    "log": "log-log",
}


def left_out_errors(points: pd.DataFrame, form: str = "ols") -> pd.DataFrame:
    """Predict the runs of each model from those of all other models; `error_percent` is relative to the truth.

    A model is left out with all its runs, so that its own other runs do not help. A model without which the
    fit is undetermined has no prediction (null).
    """
    parts = []
    for _, rows in points.groupby("model", sort=False):
        others = points.drop(index=rows.index)
        expected = predicted(others, rows, form) if regression.enough(others) else math.nan
        parts.append(rows.assign(predicted_wh=expected))
    result = pd.concat(parts).loc[points.index]
    error = 100 * (result["predicted_wh"] - result["energy_wh"]) / result["energy_wh"]
    return result.assign(name=names(result), error_percent=error, decade=decade(result["duration_s"]))


def decade(duration_s: pd.Series) -> pd.Series:
    """Return the decade of a duration, as the exponent of its lower end: -2 for 0.01 s to 0.1 s."""
    return duration_s.map(lambda seconds: math.floor(math.log10(seconds)))


def by_decade(errors: pd.DataFrame) -> pd.DataFrame:
    """Return per decade of duration: runs, median and worst absolute error in percent, and whose it is."""
    sizes = errors.dropna(subset=["error_percent"])
    sizes = sizes.assign(size=sizes["error_percent"].abs())
    groups = sizes.groupby("decade")["size"]
    worst = sizes.loc[groups.idxmax()].set_index("decade")["name"]
    return pd.DataFrame(
        {
            "runs": groups.size(),
            "median_percent": groups.median(),
            "worst_percent": groups.max(),
            "worst": worst,
        }
    ).reset_index()


def equation_2(points: pd.DataFrame, coefficients: tuple[float, float] = EQUATION_2) -> pd.DataFrame:
    """Apply the paper's Eq. 2 to the points: `predicted_wh` and `error_percent`."""
    base, per_gpu = coefficients
    expected = (base + per_gpu * points["gpus"]) * points["duration_s"]
    return points.assign(
        name=names(points),
        predicted_wh=expected,
        error_percent=100 * (expected / points["energy_wh"] - 1),
        decade=decade(points["duration_s"]),
    )


def negative_below_s(terms: dict[str, float], gpus: int) -> float | None:
    """Return the duration below which a + b G + (c + d G) T, in our names, gives a negative energy.

    `terms` are estimates by name (`duration`, `gpus`, `duration:gpus`, `constant`; absent ones count as 0).
    None where no positive duration gives a negative energy.
    """
    slope = terms.get("duration", 0.0) + terms.get("duration:gpus", 0.0) * gpus
    level = terms.get("constant", 0.0) + terms.get("gpus", 0.0) * gpus
    return -level / slope if level < 0 < slope else None


def estimates(fitted: Fit | regression.PrintedFit) -> dict[str, float]:
    """Return the coefficients of a fit by name."""
    return {name: term.estimate for name, term in fitted.terms.items()}
