"""Energy on duration and GPUs: the paper's regression (section 4.2, Tables 3 and B6), refitted by statsmodels.

`Energy ~ Duration * GPUs`, ordinary least squares; GPUs are the total over all nodes, as in the paper.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy.stats import t

from helpers.core.errors import UserError, nearest
from helpers.results.accounting import energies
from helpers.results.tables import select, select_sequential

TERMS = {
    "duration": "duration_s",
    "gpus": "gpus",
    "duration:gpus": "duration_s:gpus",
    "constant": "Intercept",
}
"""Our names of the terms (Wh/s, Wh, Wh/s, Wh) and those of the formula."""
POINTS_PER_COEFFICIENT = 10
"""A rule of thumb; a fit to fewer is shown without a verdict."""
TITLES = {"duration": "Duration", "gpus": "GPUs", "duration:gpus": "Duration:GPUs", "constant": "Constant"}


@dataclass(frozen=True)
class Term:
    """One coefficient; `duration` and `duration:gpus` in Wh/s, `gpus` and `constant` in Wh."""

    estimate: float
    std_error: float
    p_value: float
    std_error_hc3: float
    """Robust against heteroscedasticity (MacKinnon and White 1985)."""


@dataclass(frozen=True)
class Fit:
    """A fitted regression; terms that the points do not identify (one GPU count only) are left out."""

    source: str
    machine: str
    terms: Mapping[str, Term]
    covariance: pd.DataFrame
    """Of the coefficients, terms x terms."""
    n: int
    df_resid: int
    r2: float
    adjusted_r2: float
    residual_sd_wh: float
    points: pd.DataFrame
    """Rows of the results table; `energy_wh` under the chosen accounting."""


@dataclass(frozen=True)
class PrintedTerm:
    """A coefficient as the paper prints it."""

    estimate: float
    std_error: float
    stars: str


@dataclass(frozen=True)
class PrintedFit:
    """A column of Table 3 or B6."""

    terms: Mapping[str, PrintedTerm]
    n: int
    r2: float
    adjusted_r2: float


def points(
    results: pd.DataFrame,
    source: str = "published",
    machine: str = "capella",
    dataset: str | None = None,
    mode: str = "total_as_published",
) -> pd.DataFrame:
    """Return the runs whose duration, GPUs and energy are known; of all datasets where none is named.

    One text at a time, by the companion's protocol (`select_sequential`).
    Runs on invented texts are left out unless their dataset is named.

    Raises:
        UserError: one line with the nearest source, machine or dataset that there is.
    """
    rows = _select_value(select(results, source), "machine", machine)
    rows = select_sequential(rows, invented=dataset is not None)
    rows = rows if dataset is None else _select_value(rows, "dataset", dataset)
    rows = rows.assign(energy_wh=energies(rows, mode))
    complete = rows[["duration_s", "gpus", "energy_wh"]].notna().all(axis="columns")
    return rows[complete].astype({"gpus": int, "nodes": int, "duration_s": float, "energy_wh": float})


def _select_value(rows: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
    values = sorted(set(rows[column]))
    if value not in values:
        raise UserError(f"--{column} {value}: no run there ({nearest(value, values)})")
    return rows[rows[column] == value]


def formula(rows: pd.DataFrame) -> str:
    """Return the paper's formula, without the GPUs where their number never changes."""
    return "energy_wh ~ duration_s * gpus" if rows["gpus"].nunique() > 1 else "energy_wh ~ duration_s"


def enough(rows: pd.DataFrame) -> bool:
    """Say whether the points identify all terms of the formula and leave a degree of freedom."""
    columns = np.column_stack(list(design(rows).values()))
    size = np.abs(columns).max(axis=0, initial=0.0)
    if len(rows) <= columns.shape[1] or (size == 0).any():
        return False
    return bool(np.linalg.matrix_rank(columns / size) == columns.shape[1])


def design(rows: pd.DataFrame) -> "dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]":
    """Return the columns of the formula, each of the length of `rows`, by our names of its terms."""
    duration, gpus = rows["duration_s"].to_numpy(float), rows["gpus"].to_numpy(float)
    columns = {"constant": np.ones(len(rows)), "duration": duration}
    if "gpus" in formula(rows):
        columns |= {"gpus": gpus, "duration:gpus": duration * gpus}
    return columns


def coefficients(rows: pd.DataFrame) -> dict[str, float]:
    """Return the estimates of `fit` alone, by term: for many fits, of which nothing else is asked."""
    terms, columns, size = _scaled(rows)
    estimates, *_ = np.linalg.lstsq(columns, rows["energy_wh"].to_numpy(float), rcond=None)
    return dict(zip(terms, (estimates / size).tolist(), strict=True))


def p_values(rows: pd.DataFrame) -> dict[str, float]:
    """Return the two-sided p-values of `fit`, by term, a hundred times as fast as it, which parses its formula."""
    terms, columns, _ = _scaled(rows)
    energy_wh = rows["energy_wh"].to_numpy(float)
    estimates, *_ = np.linalg.lstsq(columns, energy_wh, rcond=None)
    df_resid = len(rows) - len(terms)
    variance = float(((energy_wh - columns @ estimates) ** 2).sum()) / df_resid
    errors = np.sqrt(variance * np.diag(np.linalg.inv(columns.T @ columns)))
    with np.errstate(divide="ignore", invalid="ignore"):  # runs that lie on the line have no error
        two_sided = 2 * t.sf(np.abs(estimates) / errors, df_resid)
    return dict(zip(terms, map(float, two_sided), strict=True))


def _scaled(
    rows: pd.DataFrame,
) -> "tuple[list[str], np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]":
    """Return the terms, their columns scaled to one size, and the sizes: durations and ones differ by decades."""
    terms = design(rows)
    columns = np.column_stack(list(terms.values()))
    size = np.abs(columns).max(axis=0)
    return list(terms), columns / size, size


def allows_verdict(fitted: Fit) -> bool:
    """Say whether a fit rests on enough points to be judged or relied on, none with an inferred number of GPUs."""
    inferred = (fitted.points["gpus_origin"] == "inferred").any()
    return bool(not inferred and fitted.n >= POINTS_PER_COEFFICIENT * (len(fitted.terms) - 1))


def fit(rows: pd.DataFrame) -> Fit:
    """Fit the paper's regression to the rows of `points`.

    Raises:
        UserError: where the points are too few for it.
    """
    if not enough(rows):
        raise UserError(
            f"fit: {len(rows)} runs with duration, GPUs and energy are too few or too alike for {formula(rows)}; "
            "measure more runs, or name another source or accounting"
        )
    model = smf.ols(formula(rows), rows).fit()
    names = {formula_name: name for name, formula_name in TERMS.items()}
    covariance = model.cov_params().rename(index=names, columns=names)
    return Fit(
        source=str(rows["source"].iloc[0]),
        machine=str(rows["machine"].iloc[0]),
        terms={
            name: Term(
                estimate=float(model.params[formula_name]),
                std_error=float(model.bse[formula_name]),
                p_value=float(model.pvalues[formula_name]),
                std_error_hc3=float(model.HC3_se[formula_name]),
            )
            for name, formula_name in TERMS.items()
            if formula_name in model.params
        },
        covariance=covariance,
        n=int(model.nobs),
        df_resid=int(model.df_resid),
        r2=float(model.rsquared),
        adjusted_r2=float(model.rsquared_adj),
        residual_sd_wh=math.sqrt(model.mse_resid),
        points=rows,
    )


def quantile_95(fitted: Fit) -> float:
    """Return the quantile of Student's t that makes a two-sided 95 % interval of this fit."""
    return float(t.ppf(0.975, fitted.df_resid))


_PRINTED = {
    "duration_a": "duration",
    "gpus_b": "gpus",
    "duration_x_gpus_c": "duration:gpus",
    "constant_d": "constant",
    "duration_x_gpus": "duration:gpus",
}


def printed_fit(
    printed: Mapping[str, pd.DataFrame], machine: str | None = None, dataset: str | None = None
) -> PrintedFit:
    """Return a column of Table 3 (by machine) or of Table B6 (by dataset), as printed."""
    if machine is not None:
        rows = printed["table_3_regression_fktg"].query("machine == @machine")
    else:
        rows = printed["table_b6_regression"].query("dataset == @dataset")
    columns = rows.fillna({"significance": ""}).to_dict("records")
    return PrintedFit(
        terms={
            _PRINTED.get(row["term"], row["term"]): PrintedTerm(
                row["estimate"], row["std_error"], row["significance"]
            )
            for row in columns
        },
        n=columns[0]["observations"],
        r2=columns[0]["r2"],
        adjusted_r2=columns[0]["adjusted_r2"],
    )


def p_value(estimate: float, std_error: float, df_resid: int) -> float:
    """Return the two-sided p-value of Student's t test that a coefficient is 0."""
    return float(2 * t.sf(abs(estimate) / std_error, df_resid))


def stars(p_value: float) -> str:
    """Return the paper's marks of significance: * p < 0.1, ** p < 0.05, *** p < 0.01."""
    return "***" if p_value < 0.01 else "**" if p_value < 0.05 else "*" if p_value < 0.1 else ""


def _finite(value: float) -> float | None:
    """Return a number that JSON can hold; HC3 is not defined where a point decides the fit alone."""
    return value if math.isfinite(value) else None


def as_json(fitted: Fit, mode: str) -> dict[str, Any]:
    """Return a fit for scripts: coefficients and standard errors by term, r2, n, covariance, the points used."""
    columns = ["model", "dataset", "gpus", "nodes", "duration_s", "energy_wh", "origin"]
    return {
        "source": fitted.source,
        "machine": fitted.machine,
        "accounting": mode,
        "formula": formula(fitted.points),
        "terms": {
            name: {
                "estimate": term.estimate,
                "std_error": term.std_error,
                "std_error_hc3": _finite(term.std_error_hc3),
                "p_value": _finite(term.p_value),
            }
            for name, term in fitted.terms.items()
        },
        "n": fitted.n,
        "df_resid": fitted.df_resid,
        "r2": fitted.r2,
        "adjusted_r2": fitted.adjusted_r2,
        "residual_sd_wh": fitted.residual_sd_wh,
        "t_975": quantile_95(fitted),
        "covariance": fitted.covariance.to_dict(),
        "points": fitted.points[columns].to_dict("records"),
    }
