"""The plots of the page on duration as a proxy: errors of the estimators, residuals of the line, Cook's distance."""

import math
from dataclasses import replace

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.beyond.duration_proxy_tables import Case
from helpers.figures.display import Panel
from helpers.statistics import proxy
from helpers.statistics.proxy import ESTIMATORS, LEFT_OUT

_GREY = ("#6b7280", "#9aa3ae")


def panels(case: Case) -> list[Panel]:
    """Return the errors of each estimator, the residuals of the line, and the runs that decide it."""
    drawn = [
        *(_ratios(case, name) for name in ESTIMATORS),
        _residuals(case.influence, case.published),
        _cooks(case.influence),
    ]
    return [
        replace(panel, name=f"{case.name}-{panel.name}", title=f"{case.title}: {panel.title}")
        for panel in drawn
    ]


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
        else "No estimate: with a model left out, the other runs do not determine the fit."
    )
    interval = (
        f" In 95 % of cases the energy lies between the estimate divided by {factor:.2f} and multiplied by it."
        if factor
        else ""
    )
    absent = f" Not drawn: {units.counted(outside, 'run')} with a negative estimate." if outside else ""
    return Panel(
        name=estimator,
        title=f"{ESTIMATORS[estimator]}, model left out",
        note=f"{median}{interval}{absent}",
        figure=figure,
        alt=f"Ratio of estimated to measured energy against duration, {len(rows)} runs. {median}{interval}{absent}",
    )


_RATIOS = [-0.75, 1.25]
"""Range of the ratio's axis, as powers of ten."""


def _residuals(influence: pd.DataFrame, published: bool) -> Panel:
    figure = go.Figure(
        _scatter(influence, "fitted_wh", "residual_wh", published, "fitted {x:.4g} Wh, residual {y:+.3g} Wh")
    )
    style.layout(figure, height=360)
    figure.update_xaxes(title="Fitted energy (Wh)")
    figure.update_yaxes(title="Residual (Wh)", exponentformat="none")
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
            y=top["name"].str.replace(", ", "<br>", n=1),  # in two lines: the mark needs the room
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
    decades = math.log10(top["cooks_distance"].max() / top["cooks_distance"].min())
    figure.update_xaxes(title="Cook's distance", type="log", dtick=1 if decades > 1 else "D2")
    threshold = 4 / len(influence)
    over = influence[influence["cooks_distance"] > threshold]
    return Panel(
        name="influence",
        title="The most influential runs: Cook's distance",
        note=f"{len(over)} of {len(influence)} runs exceed the usual threshold, 4 divided by the number of runs; the "
        f"most influential is "
        f"{top['name'].iloc[-1]}.",
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
