"""The tables of the regressions: coefficients as printed, refitted and of our runs, side by side."""

from collections.abc import Mapping

import pandas as pd

from helpers.core import units
from helpers.figures.display import html_table
from helpers.results.accounting import TITLES as ACCOUNTING
from helpers.statistics import regression
from helpers.statistics.regression import TITLES, Fit, PrintedFit

_ROWS = (*TITLES.values(), "Observations", "R²", "Adjusted R²")


def side_by_side(
    printed: Mapping[str, PrintedFit],
    fits: Mapping[str, Fit],
    compared: pd.DataFrame,
    titles: Mapping[str, str],
    caption: str,
) -> str:
    """Return the printed fits, each beside its refit and the distances that `coefficients` returns (`compared`)."""
    columns: dict[str, list[str | None]] = {"": list(_ROWS)}
    for name, item in printed.items():
        columns[f"{titles[name]}, printed"] = [
            *(
                _coefficient(item.terms[term].estimate, item.terms[term].std_error, item.terms[term].stars)
                for term in TITLES
            ),
            *(str(item.n), f"{item.r2:.3f}", f"{item.adjusted_r2:.3f}"),
        ]
        if name in fits:
            columns[f"{titles[name]}, refitted"] = _column(fits[name])
            its = compared[compared.iloc[:, 0] == name].set_index("term")["distance_in_printed_std_errors"]
            columns["Distance" + " " * len(columns)] = [
                *(None if pd.isna(its[term]) else f"{its[term]:+.2f}" for term in TITLES),
                *(None, None, None),
            ]
    return html_table(pd.DataFrame(columns), caption, list(columns)[1:])


def _column(fit: Fit) -> list[str | None]:
    return [
        *(
            _coefficient(
                fit.terms[term].estimate,
                fit.terms[term].std_error,
                regression.stars(fit.terms[term].p_value),
                4,
            )
            if term in fit.terms
            else None
            for term in TITLES
        ),
        *(str(fit.n), f"{fit.r2:.3f}", f"{fit.adjusted_r2:.3f}"),
    ]


def _coefficient(estimate: float, error: float, stars: str, digits: int = 3) -> str:
    if abs(estimate) < 0.01:
        return f"{units.significant(estimate, 2)}{stars} ({units.significant(error, 2)})"
    return f"{estimate:.{digits}f}{stars} ({error:.{digits if error >= 5e-4 else 4}f})"


def measured(fitted: pd.DataFrame) -> str:
    """Return the table of our `measured_fits`, or the sentences that stand for those that are lacking."""
    if fitted.empty:
        return '<p class="absent">Our runs: none yet.</p>'
    columns: dict[str, list[str | None]] = {"": list(_ROWS)}
    too_few: dict[str, list[str]] = {}
    for source, machine, dataset, fit in fitted[["source", "machine", "dataset", "fit"]].itertuples(
        index=False
    ):
        campaign = f"{source}, {machine}"
        if fit is not None:
            columns[f"{campaign}, {dataset}" if dataset else campaign] = _column(fit)
        else:
            too_few.setdefault(campaign, []).extend([dataset] if dataset else [])
    names = [name + (f" ({', '.join(which)})" if which else "") for name, which in too_few.items()]
    table = (
        html_table(pd.DataFrame(columns), f"Our runs, {ACCOUNTING['measured_only']}", list(columns)[1:])
        if len(columns) > 1
        else ""
    )
    absent = (
        f'<p class="absent">Too few runs with measured energy for a fit: {"; ".join(names)}.</p>'
        if names
        else ""
    )
    return table + absent
