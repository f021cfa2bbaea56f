"""Is duration a good proxy for energy? Three estimators side by side, and the diagnostics that the paper does not have."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.beyond.duration_proxy_tables import Case, estimators, negative, robustness
from helpers.figures.display import Figure, Panel
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

_GREY = ("#6b7280", "#9aa3ae")
_GOOD_PERCENT = 20.0
"""Up to this median error duration is said to tell the energy; the limit is ours."""


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
            "Left out: each model is estimated from the runs of all other models. Grey: the 95 % prediction interval for "
            "language models, from the errors of models left out, on the log scale. Our runs, where enough of them "
            f"have measured energy, have panels of their own{_absent(campaigns)}. Circle: traditional; square: LLM; "
            "diamond: reasoning LLM."
        ),
        data=data,
        function="helpers.figures.beyond.duration_proxy.duration_proxy",
        panels=[panel for case in cases for panel in _panels(case)],
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
    runs = results[(results["source"] != "published") & ~results["synthetic"].astype(bool)]
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


def _panels(case: Case) -> list[Panel]:
    panels = [
        *(_ratios(case, name) for name in ESTIMATORS),
        _residuals(case.influence, case.published),
        _cooks(case.influence),
    ]
    return [
        replace(panel, name=f"{case.name}-{panel.name}", title=f"{case.title}: {panel.title}")
        for panel in panels
    ]


def verdict(errors: pd.DataFrame) -> str:
    """Say in words whether duration tells the energy of language models, and how the estimators do for their short runs.

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
    tells = "tells" if median <= _GOOD_PERCENT else "does not tell"
    lead = (
        "it is the line that is off, not duration"
        if own <= _GOOD_PERCENT < line
        else "it hangs on how the formula is fitted"
    )
    return (
        f"Duration {tells} the energy of a language model: Eq. 1 fitted by relative error misses one that it has not seen by "
        f"{median:.0f} % in the median and {size.max():.0f} % at worst ({len(runs)} runs of "
        f"{runs.min():.0f} to {runs.max():.0f} s). Below {LONG_S:.0f} s {lead}: the paper's least-squares line with its "
        f"constant misses a language model by {_size(line)} in the median, its Eq. 2, which has seen these runs, by "
        f"{_size(printed)}, and Eq. 1 fitted by relative error by {_size(own)} ({(runs < LONG_S).sum()} runs). "
        f"Below {MEASURED_FROM_S:.0f} s, where only traditional models ran, nothing was really measured."
    )


def _size(percent: float) -> str:
    return f"{percent:.0f} %" if percent < 1000 else f"{units.significant(percent / 100, 2)} times the energy"


def _scatter(rows: pd.DataFrame, x: str, y: str, published: bool, hover: str) -> list[go.Scatter]:
    """Return marks by family; `hover` is the format of the text on `x` and `y`."""
    traces = []
    for family, look in style.FAMILIES.items():
        part = rows[rows["family"] == family]
        if len(part):
            traces.append(
                go.Scatter(
                    x=part[x],
                    y=part[y],
                    mode="markers",
                    name=look.title,
                    showlegend=False,
                    marker={
                        "symbol": f"{look.symbol}-open" if published else look.symbol,
                        "size": 9,
                        "color": look.light,
                        "line": {"width": 1.5, "color": look.light},
                    },
                    hovertext=[
                        f"<b>{row['name']}</b><br>{hover.format(x=row[x], y=row[y])}"
                        for _, row in part.iterrows()
                    ],
                    hoverinfo="text",
                    meta=style.themed(look.light, look.dark, not published),
                )
            )
    return traces


def _ratios(case: Case, estimator: str) -> Panel:
    rows = case.errors[(case.errors["estimator"] == estimator) & (case.errors["sample"] == LEFT_OUT)]
    drawn = rows.dropna(subset=["log_error"])
    drawn = drawn.assign(ratio=drawn["estimate_wh"] / drawn["energy_wh"])
    figure = go.Figure(
        _scatter(
            drawn, "duration_s", "ratio", case.published, "duration {x:.4g} s<br>estimate {y:.3g} x energy"
        )
    )
    style.layout(figure, height=360)
    figure.update_xaxes(
        title="Duration (s)", type="log", range=_range(rows["duration_s"]), **_ticks(rows["duration_s"])
    )
    figure.update_yaxes(
        title="Estimate / energy",
        type="log",
        range=_RATIOS,
        tickvals=[0.2, 0.5, 1, 2, 5, 10],
        ticktext=["0.2", "0.5", "1", "2", "5", "10"],
    )
    figure.add_hline(y=1, line={"color": _GREY[0], "width": 1})
    factor = proxy.factors(case.errors[case.errors.index.isin(case.about.index)])[estimator]
    if factor and len(drawn):
        figure.add_shape(
            type="rect",
            x0=case.about["duration_s"].min(),
            x1=case.about["duration_s"].max(),
            y0=1 / factor,
            y1=factor,
            line={"width": 0},
            fillcolor="rgba(128,128,128,0.18)",
        )
    outside = int((rows["estimate_wh"] <= 0).sum())
    size = rows["error_percent"].abs()
    median = (
        f"Median error {units.significant(size[rows.index.isin(case.about.index)].median(), 2)} % for {case.kind}."
        if len(drawn)
        else "No estimate: without any one model, the other runs do not determine the fit."
    )
    interval = f" 95 % interval: the estimate divided and multiplied by {factor:.2f}." if factor else ""
    absent = f" Not drawn: {units.counted(outside, 'run')} with a negative estimate." if outside else ""
    return Panel(
        name=estimator,
        title=f"{ESTIMATORS[estimator]}, model left out",
        note=f"{median}{interval}{absent}",
        figure=figure,
        alt=f"Estimated by measured energy against duration, {len(rows)} runs. {median}{interval}{absent}",
    )


_RATIOS = [-0.75, 1.25]
"""Range of the ratio's axis, as powers of ten."""


def _residuals(influence: pd.DataFrame, published: bool) -> Panel:
    figure = go.Figure(
        _scatter(influence, "fitted_wh", "residual_wh", published, "fitted {x:.4g} Wh, residual {y:+.3g} Wh")
    )
    style.layout(figure, height=360)
    figure.update_xaxes(title="Fitted energy (Wh)")
    figure.update_yaxes(title="Residual (Wh)")
    figure.add_hline(y=0, line={"color": _GREY[0], "width": 1})
    below = int((influence["fitted_wh"] < 0).sum())
    worst = influence.sort_values("residual_wh", key=abs).iloc[-1]
    return Panel(
        name="residuals",
        title="Residuals against fitted energies",
        note=f"{below} runs have a negative fitted energy. Largest residual: {worst['name']}, {worst['residual_wh']:+.2g} Wh.",
        figure=figure,
        alt=f"Residuals against fitted energies of {len(influence)} runs; the largest is {worst['residual_wh']:+.2g} Wh.",
    )


def _cooks(influence: pd.DataFrame) -> Panel:
    top = influence.sort_values("cooks_distance").tail(8)
    figure = go.Figure(
        go.Scatter(
            x=top["cooks_distance"],
            y=top["name"],
            mode="markers",
            marker={"color": _GREY[0], "size": 10},
            hovertext=[
                f"{name}: Cook's distance {cook:.3g}, leverage {leverage:.2f}"
                for name, cook, leverage in zip(
                    top["name"], top["cooks_distance"], top["leverage"], strict=True
                )
            ],
            hoverinfo="text",
            showlegend=False,
            meta=style.themed(*_GREY),
        )
    )
    style.layout(figure, height=360)
    figure.update_xaxes(type="log", dtick=1)
    threshold = 4 / len(influence)
    over = influence[influence["cooks_distance"] > threshold]
    return Panel(
        name="influence",
        title="The points that decide the fit: Cook's distance",
        note=f"{len(over)} of {len(influence)} points exceed 4/n; the first is {top['name'].iloc[-1]}.",
        figure=figure,
        alt=f"Cook's distance: {len(over)} of {len(influence)} runs exceed 4/n, most influential first: "
        f"{'; '.join(top['name'].iloc[::-1])}.",
    )


def _range(values: pd.Series) -> list[float]:
    """Return the ends of a logarithmic axis that has room for all runs, also those that are not drawn."""
    return [math.log10(values.min()) - 0.2, math.log10(values.max()) + 0.2] if len(values) else [0.0, 1.0]


def _ticks(values: pd.Series) -> dict[str, list[float]]:
    """Return ticks for a logarithmic axis: decades, and where the values span less than two of them 2 and 5 as well."""
    low, high = float(values.min()), float(values.max())
    steps = (1,) if high >= 100 * low else (1, 2, 5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return {"tickvals": [float(f"{step}e{decade}") for decade in decades for step in steps]}
