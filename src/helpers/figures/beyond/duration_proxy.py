"""Is duration a good proxy for energy? Three estimators side by side, and the diagnostics that the paper does not have."""

from collections.abc import Mapping, Sequence

import pandas as pd

from helpers.core import units
from helpers.figures import style
from helpers.figures.beyond import duration_proxy_panels
from helpers.figures.beyond.duration_proxy_tables import Case, estimators, negative, robustness
from helpers.figures.display import Figure
from helpers.results.tables import Tables, select_sequential
from helpers.statistics import diagnostics, proxy, regression
from helpers.statistics.proxy import (
    APPROXIMATION,
    EQUATION_2,
    ESTIMATORS,
    IN_SAMPLE,
    LEFT_OUT,
    LINE,
    LONG_S,
    MEASURED_FROM_S,
    RELATIVE,
    Proportional,
)

_GOOD_PERCENT = 20.0
"""Up to this median error duration counts as a predictor of the energy; the limit is ours."""


def duration_proxy(tables: Tables) -> Figure:
    """Show how far three estimators are off on Capella, in sample and for a model left out, and what decides the fit.

    The same for each campaign and machine with enough runs whose energy was measured.
    """
    campaigns = campaign_points(tables.results)
    cases = [published_case(rows(tables.results)), *measured_cases(campaigns)]
    return draw(cases, errors_by_run(cases), campaigns, tables)


def draw(
    cases: Sequence[Case],
    data: pd.DataFrame,
    campaigns: Mapping[tuple[str, str], pd.DataFrame],
    tables: Tables,
) -> Figure:
    """Draw panels and tables for each case, the published one first; `data` are their `errors_by_run`.

    `campaigns` are the `campaign_points`: the note names those that are too few for a case.
    """
    published = cases[0]
    return Figure(
        name="duration_proxy",
        label="Diagnostics",
        finding=verdict(published.errors),
        note=(
            f"FKTG on Capella, {len(published.fitted.points)} published runs on one and two nodes, energy as published. "
            "Model left out: each model is estimated from the runs of all other models. Grey: the 95 % prediction interval for "
            "language models, from the errors of models left out, on the log scale. Our runs, where enough of them "
            f"have measured energy, have panels of their own{_absent(campaigns)}. Circle: traditional; square: LLM; "
            "diamond: reasoning LLM."
        ),
        data=data,
        function="helpers.figures.beyond.duration_proxy.duration_proxy",
        panels=[panel for case in cases for panel in duration_proxy_panels.panels(case)],
        body="".join(f"{estimators(case)}{robustness(case.fitted)}" for case in cases)
        + negative(published.fitted, tables),
    )


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the published runs of FKTG on Capella with the duration, GPUs and energy that the paper gives."""
    return regression.points(results, "published", "capella", "fktg")


def published_case(points: pd.DataFrame) -> Case:
    """Fit the estimators to `rows`; Eq. 1 has the coefficients that the paper prints (Eq. 2)."""
    return _case("published", "Capella, published", points, EQUATION_2)


def campaign_points(results: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the runs whose energy was measured, by campaign and machine."""
    results = select_sequential(results)
    runs = results[results["source"] != "published"]
    return {
        (source, machine): regression.points(results, source, machine, None, "measured_only")
        for source, machine in runs[["source", "machine"]].drop_duplicates().itertuples(index=False)
    }


def measured_cases(campaigns: Mapping[tuple[str, str], pd.DataFrame]) -> list[Case]:
    """Fit the estimators to each of `campaign_points` that has enough runs."""
    return [
        _case(f"{source}-{machine}".replace(" ", "-"), f"{source}, {machine}", points)
        for (source, machine), points in campaigns.items()
        if regression.enough(points)
    ]


def _case(name: str, title: str, points: pd.DataFrame, printed: Proportional | None = None) -> Case:
    fitted = regression.fit(points)
    about = proxy.basis(points)
    errors = proxy.compare(points, about, printed)
    return Case(name, title, fitted, diagnostics.influence(fitted), about, errors, printed)


def _absent(campaigns: Mapping[tuple[str, str], pd.DataFrame]) -> str:
    """Return the campaigns with too few runs for a case in brackets, or that nothing was measured."""
    few = [
        f"{source} on {machine} has {len(points)}"
        for (source, machine), points in campaigns.items()
        if not regression.enough(points)
    ]
    return f" ({'; '.join(few)})" if few else "" if campaigns else f": {style.NOT_MEASURED}"


def errors_by_run(cases: Sequence[Case]) -> pd.DataFrame:
    """Return a row for each run of the cases: the fit of the line, its influence, and the error of each estimator.

    Columns `in_sample_error_percent_NAME` and `left_out_error_percent_NAME` for the names in `proxy.ESTIMATORS`,
    in percent of the energy.
    """
    return pd.concat(_errors(case) for case in cases)


def _errors(case: Case) -> pd.DataFrame:
    errors = {
        f"{str(sample).replace(' ', '_')}_error_percent_{name}": rows["error_percent"]
        for (name, sample), rows in case.errors.groupby(["estimator", "sample"])
    }
    columns = [
        f"{sample.replace(' ', '_')}_error_percent_{name}"
        for name in ESTIMATORS
        for sample in (IN_SAMPLE, LEFT_OUT)
    ]
    return case.influence.assign(**errors).reindex(columns=[*_DATA, *columns, "origin"])


_DATA = [
    *("source", "machine", "dataset", "name", "model", "family", "gpus", "nodes", "duration_s", "energy_wh"),
    *("fitted_wh", "residual_wh", "leverage", "studentised_residual", "cooks_distance"),
]


def verdict(errors: pd.DataFrame) -> str:
    """Return whether duration predicts the energy of language models, and the errors for their short runs, in words.

    All numbers are of language models: the traditional ones ran too short to be measured.
    """
    of_llms = proxy.language_models(errors)
    runs = of_llms["duration_s"].groupby(level=0).first()
    short = of_llms[of_llms["duration_s"] < LONG_S]
    line = proxy.size_percent(short, LINE, LEFT_OUT).median()
    printed = proxy.size_percent(short, APPROXIMATION, IN_SAMPLE).median()
    own = proxy.size_percent(short, RELATIVE, LEFT_OUT).median()
    size = proxy.size_percent(of_llms, RELATIVE, LEFT_OUT)
    median = size.median()
    predicts = "predicts" if median <= _GOOD_PERCENT else "does not predict"
    lead = (
        "the line is at fault, not duration"
        if own <= _GOOD_PERCENT < line
        else "the error depends on how the formula is fitted"
    )
    return (
        f"Duration {predicts} the energy of a language model: for models left out of the fit, Eq. 1 fitted by relative error "
        f"has a median error of {median:.0f} % and a largest one of {size.max():.0f} % ({len(runs)} runs of "
        f"{runs.min():.0f} to {runs.max():.0f} s). Below {LONG_S:.0f} s {lead}: the median error of the paper's least-squares "
        f"line with its constant is {_size(line)}, that of its Eq. 2, which was fitted to these runs, {_size(printed)}, and "
        f"that of Eq. 1 fitted by relative error {_size(own)} ({(runs < LONG_S).sum()} runs). "
        f"Below {MEASURED_FROM_S:.0f} s, where only traditional models ran, nothing was really measured."
    )


def _size(percent: float) -> str:
    return f"{percent:.0f} %" if percent < 1000 else f"{units.significant(percent / 100, 2)} times the energy"
