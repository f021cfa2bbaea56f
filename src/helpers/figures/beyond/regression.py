"""Tables 3 and B6: the regression as printed, refitted, and fitted to our runs (paper, section 4.2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.core.errors import UserError
from helpers.figures.display import Figure, html_table
from helpers.results.accounting import TITLES as ACCOUNTING
from helpers.results.tables import Tables, select_sequential
from helpers.statistics import regression, robustness
from helpers.statistics.diagnostics import estimates, negative_below_s
from helpers.statistics.regression import TITLES, Fit, PrintedFit
from helpers.study.catalogue import study


def table_3(tables: Tables) -> Figure:
    """Show Table 3 as printed beside the refit on what can be recovered, with the distance in standard errors."""
    machines = list(tables.printed["table_3_regression_fktg"]["machine"].unique())
    printed = {name: regression.printed_fit(tables.printed, machine=name) for name in machines}
    points = {name: regression.points(tables.results, "published", name, "fktg") for name in machines}
    fits = {name: regression.fit(rows) for name, rows in points.items() if regression.enough(rows)}
    titles = {name: study().machines[name].title for name in machines}
    complete = [name for name, fit in fits.items() if regression.allows_verdict(fit)]
    distances = (
        [abs(d) for d in _distances(fits["capella"], printed["capella"]).values()]
        if "capella" in complete
        else []
    )
    finding = (
        f"Refitted on {fits['capella'].n} of the {printed['capella'].n} Capella runs, every coefficient lies within "
        f"{max(distances):.2f} of its printed standard error."
        if "capella" in complete
        else "The published points are too few for a refit on any machine."
    )
    return Figure(
        name="table_3_regression",
        label="Table 3",
        finding=finding,
        note=(
            "Energy ~ Duration x GPUs, ordinary least squares; energy in Wh, duration in s, GPUs over all nodes. Standard "
            "errors in parentheses; * p < 0.1, ** p < 0.05, *** p < 0.01. Distance: refitted minus printed, in printed "
            f"standard errors. {_hanging(fits, titles)}{_shortage(fits, printed, titles)}"
        ),
        data=_tidy(fits, printed, "machine"),
        function="helpers.figures.beyond.regression.table_3",
        body=_side_by_side(fits, printed, titles, "FKTG, per machine")
        + _measured(select_sequential(tables.results)),
        inputs=["table_3_regression_fktg", "inferred_b3_gpu_counts", *_origins(fits.values())],
    )


def table_b6(tables: Tables) -> Figure:
    """Show Table B6 as printed; the paper prints no durations of these runs, so only our runs can be fitted."""
    datasets = list(tables.printed["table_b6_regression"]["dataset"].unique())
    printed = {name: regression.printed_fit(tables.printed, dataset=name) for name in datasets}
    smallest = min(fit.r2 for fit in printed.values())
    printed_as = f"{smallest:.3f}" + (
        " or more" if any(fit.r2 > smallest for fit in printed.values()) else ""
    )
    rounded = f"Every R² is printed as {printed_as}, which is {smallest - 0.0005:.4f} or more before rounding"
    return Figure(
        name="table_b6_regression",
        label="Table B6",
        finding=f"{rounded}. {_constants(printed)}",
        note=(
            "Energy ~ Duration x GPUs on Capella. The paper prints no durations for these datasets, so none of the four "
            "fits can be repeated from its tables. Standard errors in parentheses; * p < 0.1, ** p < 0.05, *** p < 0.01."
        ),
        data=_tidy({}, printed, "dataset"),
        function="helpers.figures.beyond.regression.table_b6",
        body=_side_by_side(
            {}, printed, {name: study().datasets[name].title for name in datasets}, "Capella, per dataset"
        )
        + _measured(select_sequential(tables.results), datasets),
        inputs=["table_b6_regression"],
    )


def _constants(printed: Mapping[str, PrintedFit]) -> str:
    """Say whether the constants are told from zero, and what they would do to a short run if they were kept."""
    constants = [fit.terms["constant"] for fit in printed.values()]
    told = sum(abs(term.estimate) > 2 * term.std_error for term in constants)
    lead = (
        "The constants are not told from zero"
        if not told
        else f"{told} of the {len(constants)} constants are told from zero"
    )
    limits = [negative_below_s(estimates(fit), gpus=1) for fit in printed.values()]
    below = [seconds for seconds in limits if seconds is not None]
    kept = (
        f"; kept, they would make a run on one GPU below {min(below):.1f} to {max(below):.1f} s negative"
        if below
        else ""
    )
    return f"{lead}, and Eq. 1 leaves them out{kept}."


def _distances(fit: Fit, printed: PrintedFit) -> dict[str, float]:
    return {
        name: (fit.terms[name].estimate - term.estimate) / term.std_error
        for name, term in printed.terms.items()
        if name in fit.terms
    }


def _shortage(fits: Mapping[str, Fit], printed: Mapping[str, PrintedFit], titles: Mapping[str, str]) -> str:
    short = [
        f"{titles[name]}: {fits[name].n} of {item.n}" if name in fits else f"{titles[name]}: none of {item.n}"
        for name, item in printed.items()
        if name not in fits or not regression.allows_verdict(fits[name])
    ]
    if not short:
        return ""
    inferred = any((fit.points["gpus_origin"] == "inferred").any() for fit in fits.values())
    return (
        f"No verdict where the published points do not allow one ({'; '.join(short)}"
        + ("; GPU counts inferred, not printed" if inferred else "")
        + "): the refits are shown for the record."
    )


def _hanging(fits: Mapping[str, Fit], titles: Mapping[str, str]) -> str:
    """Say which stars of the refits a single run decides."""
    said = []
    for name, fit in fits.items():
        terms = robustness.hanging_on_one_run(fit)
        which = " and ".join(TITLES[term] for term in TITLES if term in terms)
        said.append(f"on {titles[name]} for {which or 'none'}")
    if not said:
        return ""
    return f"Whether a refitted coefficient is significant at 5 % hangs on a single run: {'; '.join(said)}. "


def _origins(fits: Any) -> list[str]:
    return sorted({str(origin) for fit in fits for origin in fit.points["origin"]})


def _side_by_side(
    fits: Mapping[str, Fit], printed: Mapping[str, PrintedFit], titles: Mapping[str, str], caption: str
) -> str:
    columns: dict[str, list[str | None]] = {"": [*TITLES.values(), "Observations", "R²", "Adjusted R²"]}
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
            distances = _distances(fits[name], item)
            columns["Distance" + " " * len(columns)] = [f"{distances[term]:+.2f}" for term in TITLES] + [
                None
            ] * 3
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


def _measured(results: pd.DataFrame, datasets: Sequence[str] | None = None) -> str:
    rows = results[(results["source"] != "published") & ~results["synthetic"].astype(bool)]
    columns: dict[str, list[str | None]] = {"": [*TITLES.values(), "Observations", "R²", "Adjusted R²"]}
    few: dict[str, list[str]] = {}
    for source, machine in rows[["source", "machine"]].drop_duplicates().itertuples(index=False):
        for dataset in datasets or (None,):
            name = f"{source}, {machine}" + (f", {dataset}" if dataset else "")
            try:
                points = regression.points(results, source, machine, dataset, "measured_only")
                columns[name] = _column(regression.fit(points))
            except UserError:
                few.setdefault(f"{source}, {machine}", []).extend([dataset] if dataset else [])
    said = [name + (f" ({', '.join(which)})" if which else "") for name, which in few.items()]
    table = (
        html_table(pd.DataFrame(columns), f"Our runs, {ACCOUNTING['measured_only']}", list(columns)[1:])
        if len(columns) > 1
        else ""
    )
    absent = (
        f'<p class="absent">Too few runs with measured energy for a fit: {"; ".join(said)}.</p>'
        if said
        else ""
    )
    return table + absent if len(rows) else '<p class="absent">Our runs: not measured on this machine.</p>'


def _tidy(fits: Mapping[str, Fit], printed: Mapping[str, PrintedFit], by: str) -> pd.DataFrame:
    rows = []
    for name, item in printed.items():
        for term, value in item.terms.items():
            again = fits[name].terms[term] if name in fits and term in fits[name].terms else None
            rows.append(
                {
                    by: name,
                    "term": term,
                    "unit": "Wh/s" if "duration" in term else "Wh",
                    "printed": value.estimate,
                    "printed_std_error": value.std_error,
                    "refitted": again.estimate if again else None,
                    "refitted_std_error": again.std_error if again else None,
                    "refitted_std_error_hc3": again.std_error_hc3 if again else None,
                    "distance_in_printed_std_errors": (again.estimate - value.estimate) / value.std_error
                    if again
                    else None,
                    "n_printed": item.n,
                    "n_refitted": fits[name].n if name in fits else None,
                }
            )
    return pd.DataFrame(rows)
