"""Tables 3 and B6: the regression as printed, refitted, and fitted to our runs (paper, section 4.2)."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from helpers.core.errors import UserError
from helpers.figures.beyond import regression_tables
from helpers.figures.display import Figure
from helpers.results.tables import Tables, select_sequential
from helpers.statistics import regression, robustness
from helpers.statistics.diagnostics import estimates, negative_below_s
from helpers.statistics.regression import TITLES, Fit, PrintedFit
from helpers.study.catalogue import study


def table_3(tables: Tables) -> Figure:
    """Show Table 3 as printed beside the refit on what can be recovered, with the distance in standard errors."""
    printed, fits = printed_fits(tables.printed, "machine"), refits(rows(tables))
    return draw_table_3(
        coefficients(printed, fits, "machine"),
        decided_by_one_run(fits),
        measured_fits(tables.results),
        printed,
        fits,
    )


def table_b6(tables: Tables) -> Figure:
    """Show Table B6 as printed; the paper prints no durations of these runs, so only our runs can be fitted."""
    printed = printed_fits(tables.printed, "dataset")
    return draw_table_b6(printed, constants(printed), measured_fits(tables.results, printed))


def printed_fits(printed: Mapping[str, pd.DataFrame], by: str) -> dict[str, PrintedFit]:
    """Return the columns of Table 3 (by `machine`) or of Table B6 (by `dataset`), in their order."""
    table = printed["table_3_regression_fktg" if by == "machine" else "table_b6_regression"]
    return {str(name): regression.printed_fit(printed, **{by: str(name)}) for name in table[by].unique()}


def rows(tables: Tables) -> pd.DataFrame:
    """Return the published FKTG runs of the machines of Table 3 whose duration, GPUs and energy are known."""
    machines = tables.printed["table_3_regression_fktg"]["machine"].unique()
    return pd.concat([regression.points(tables.results, "published", name, "fktg") for name in machines])


def refits(points: pd.DataFrame) -> dict[str, Fit]:
    """Fit the paper's regression to the `rows` of each machine that has enough of them."""
    return {
        str(machine): regression.fit(runs)
        for machine, runs in points.groupby("machine", sort=False)
        if regression.enough(runs)
    }


def coefficients(printed: Mapping[str, PrintedFit], fits: Mapping[str, Fit], by: str) -> pd.DataFrame:
    """Return each printed coefficient beside the refitted one; the names of the fits are in the column `by`.

    `distance_in_printed_std_errors` is refitted minus printed. What has no refit is null.
    """
    table = []
    for name, item in printed.items():
        for term, value in item.terms.items():
            refitted = fits[name].terms.get(term) if name in fits else None
            table.append(
                {
                    by: name,
                    "term": term,
                    "unit": "Wh/s" if "duration" in term else "Wh",
                    "printed": value.estimate,
                    "printed_std_error": value.std_error,
                    "refitted": refitted and refitted.estimate,
                    "refitted_std_error": refitted and refitted.std_error,
                    "refitted_std_error_hc3": refitted and refitted.std_error_hc3,
                    "distance_in_printed_std_errors": refitted
                    and (refitted.estimate - value.estimate) / value.std_error,
                    "n_printed": item.n,
                    "n_refitted": fits[name].n if name in fits else None,
                }
            )
    return pd.DataFrame(table)


def decided_by_one_run(fits: Mapping[str, Fit]) -> pd.DataFrame:
    """Return which coefficients are significant at 5 % or not because of a single run: `machine`, `term`, `runs`."""
    terms = [
        {"machine": machine, "term": term, "runs": "; ".join(runs)}
        for machine, fit in fits.items()
        for term, runs in robustness.hanging_on_one_run(fit).items()
    ]
    return pd.DataFrame(terms, columns=["machine", "term", "runs"])


def constants(printed: Mapping[str, PrintedFit]) -> pd.DataFrame:
    """Return the printed constant of each fit in Wh, and below which duration it would make a run on one GPU negative.

    `std_errors` is the constant in its standard errors; `negative_below_s` is null where no run would be negative.
    """
    return pd.DataFrame(
        {
            "dataset": name,
            "constant_wh": (constant := fit.terms["constant"]).estimate,
            "std_error_wh": constant.std_error,
            "std_errors": constant.estimate / constant.std_error,
            "negative_below_s": negative_below_s(estimates(fit), gpus=1),
        }
        for name, fit in printed.items()
    )


def measured_fits(results: pd.DataFrame, datasets: Collection[str] = ()) -> pd.DataFrame:
    """Fit our runs in `results` by campaign and machine, and by dataset where some are named and there are runs on them.

    Only measured components count as energy. Columns: `source`, `machine`, `dataset` (null where none is named), `n`, and
    `fit`, which is None where the runs are too few.
    """
    results = select_sequential(results)
    measured = results[results["source"] != "published"]
    measured = measured[measured["dataset"].isin(datasets)] if datasets else measured.assign(dataset=None)
    fitted = [
        (source, machine, dataset, _fit_or_none(results, source, machine, dataset))
        for source, machine, dataset in measured[["source", "machine", "dataset"]]
        .drop_duplicates()
        .itertuples(index=False)
    ]
    table = pd.DataFrame(fitted, columns=["source", "machine", "dataset", "fit"])
    return table.assign(n=pd.array([fit and fit.n for fit in table["fit"]], dtype="Int64"))


def _fit_or_none(results: pd.DataFrame, source: str, machine: str, dataset: str | None) -> Fit | None:
    try:
        return regression.fit(regression.points(results, source, machine, dataset, "measured_only"))
    except UserError:
        return None


def draw_table_3(
    compared: pd.DataFrame,
    decided: pd.DataFrame,
    measured: pd.DataFrame,
    printed: Mapping[str, PrintedFit],
    fits: Mapping[str, Fit],
) -> Figure:
    """Show the `coefficients` (`compared`), which of them one run has `decided`, and the `measured_fits`."""
    titles = {name: study().machines[name].title for name in printed}
    finding = "The published points are too few for a refit on any machine."
    if "capella" in fits and regression.allows_verdict(fits["capella"]):
        distances = compared.loc[compared["machine"] == "capella", "distance_in_printed_std_errors"]
        finding = (
            f"Refitted on {fits['capella'].n} of the {printed['capella'].n} Capella runs, every coefficient differs from the "
            f"printed one by at most {distances.abs().max():.2f} of its standard error."
        )
    return Figure(
        name="table_3_regression",
        label="Table 3",
        finding=finding,
        note=(
            "Energy ~ Duration x GPUs, ordinary least squares; energy in Wh, duration in s, GPUs over all nodes. Standard "
            "errors in parentheses; * p < 0.1, ** p < 0.05, *** p < 0.01. Distance: refitted minus printed, in printed "
            f"standard errors. {_hanging(decided, fits, titles)}{_shortage(fits, printed, titles)}"
        ),
        data=compared,
        function="helpers.figures.beyond.regression.table_3",
        body=regression_tables.side_by_side(printed, fits, compared, titles, "FKTG, per machine")
        + regression_tables.measured(measured),
        inputs=["table_3_regression_fktg", "inferred_b3_gpu_counts", *_origins(fits.values())],
    )


def draw_table_b6(
    printed: Mapping[str, PrintedFit], constants: pd.DataFrame, measured: pd.DataFrame
) -> Figure:
    """Show the printed fits, what their `constants` mean, and the `measured_fits`."""
    smallest = min(fit.r2 for fit in printed.values())
    printed_as = f"{smallest:.3f}" + (
        " or more" if any(fit.r2 > smallest for fit in printed.values()) else ""
    )
    rounded = f"Every R² is printed as {printed_as}, which is {smallest - 0.0005:.4f} or more before rounding"
    titles = {name: study().datasets[name].title for name in printed}
    compared = coefficients(printed, {}, "dataset")
    return Figure(
        name="table_b6_regression",
        label="Table B6",
        finding=f"{rounded}. {_about_constants(constants)}",
        note=(
            "Energy ~ Duration x GPUs on Capella. The paper prints no durations for these datasets, so none of the four "
            "fits can be repeated from its tables. Standard errors in parentheses; * p < 0.1, ** p < 0.05, *** p < 0.01."
        ),
        data=compared,
        function="helpers.figures.beyond.regression.table_b6",
        body=regression_tables.side_by_side(printed, {}, compared, titles, "Capella, per dataset")
        + regression_tables.measured(measured),
        inputs=["table_b6_regression"],
    )


def _about_constants(constants: pd.DataFrame) -> str:
    """Say whether the constants differ significantly from zero, and what they would do to a short run if they were kept."""
    apart = int((constants["std_errors"].abs() > 2).sum())
    lead = (
        f"{apart} of the {len(constants)} constants differ significantly from zero"
        if apart
        else "No constant differs significantly from zero"
    )
    below = constants["negative_below_s"].dropna()
    kept = (
        f"; with them, the energy of a run on one GPU below {below.min():.1f} to {below.max():.1f} s would be negative"
        if len(below)
        else ""
    )
    return f"{lead}, and Eq. 1 leaves them out{kept}."


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


def _hanging(decided: pd.DataFrame, fits: Mapping[str, Fit], titles: Mapping[str, str]) -> str:
    """Say which stars of the refits a single run decides."""
    if not fits:
        return ""
    terms = {name: set(decided.loc[decided["machine"] == name, "term"]) for name in fits}
    by_machine = [
        f"on {titles[name]} for {' and '.join(TITLES[term] for term in TITLES if term in terms[name]) or 'none'}"
        for name in fits
    ]
    return f"Whether a refitted coefficient is significant at 5 % depends on a single run: {'; '.join(by_machine)}. "


def _origins(fits: Any) -> list[str]:
    return sorted({str(origin) for fit in fits for origin in fit.points["origin"]})
