"""Is duration a good proxy for energy? The diagnostics of the regression that the paper does not have."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from helpers import style, units
from helpers.results import Tables
from helpers.show import Artefact, Panel, html_table
from helpers.statistics import diagnostics, regression
from helpers.statistics.diagnostics import FORMS, LONG_S, WRONG_PERCENT
from helpers.statistics.regression import Fit

_GREY = ("#6b7280", "#9aa3ae")


def duration_proxy(tables: Tables) -> Artefact:
    """Show what the fit of Table 3 is worth on Capella: residuals, influence, errors out of sample, limits."""
    points = regression.points(tables.results, "published", "capella", "fktg")
    fitted = regression.fit(points)
    influence = diagnostics.influence(fitted)
    errors = {form: diagnostics.left_out_errors(points, form) for form in FORMS}
    equation = diagnostics.equation_2(points)
    data = influence.assign(
        **{f"left_out_error_percent_{form}": table["error_percent"] for form, table in errors.items()},
        equation_2_error_percent=equation["error_percent"],
    )
    return Artefact(
        name="duration_proxy",
        label="Diagnostics",
        finding=verdict(errors["ols"]),
        note=(
            f"FKTG on Capella, {len(points)} published runs on one and two nodes; the regression of Table 3. Errors are "
            "out of sample: each model is predicted from the runs of all other models. Energy as published."
        ),
        data=data[_DATA],
        function="helpers.artefacts.duration_proxy.duration_proxy",
        panels=[
            _residuals(influence),
            _cooks(influence),
            _errors(errors),
            _intervals(fitted),
        ],
        body=_robustness(fitted)
        + _decades(errors, equation)
        + _equation_2(equation)
        + _negative(fitted, tables)
        + _measured(tables.results),
    )


_DATA = [
    *("name", "model", "family", "gpus", "nodes", "duration_s", "energy_wh", "fitted_wh", "residual_wh"),
    *("leverage", "studentised_residual", "cooks_distance"),
    *(f"left_out_error_percent_{form}" for form in FORMS),
    *("equation_2_error_percent", "origin"),
]


def verdict(errors: pd.DataFrame) -> str:
    """Say in words how well duration predicts the energy of a model that the fit has not seen."""
    sizes = errors.assign(size=errors["error_percent"].abs()).dropna(subset=["size"])
    long, short = (sizes[sizes["duration_s"] >= LONG_S], sizes[sizes["duration_s"] < LONG_S])
    if long.empty or short.empty:
        return f"The median error out of sample is {sizes['size'].median():.0f} %."
    good, useless = long["size"].max() <= WRONG_PERCENT, short["size"].median() > WRONG_PERCENT
    return (
        f"Duration is {'a good' if good else 'a rough'} proxy for runs of {LONG_S:.0f} s or more (median error "
        f"{long['size'].median():.0f} %, worst {long['size'].max():.0f} %) and "
        f"{'no proxy' if useless else 'a proxy'} for shorter ones (median {short['size'].median():.0f} %, "
        f"worst {_times(short['size'].max())})."
    )


def _times(percent: float) -> str:
    return f"{percent:.0f} %" if percent < 1000 else f"{units.significant(percent / 100, 2)} times the energy"


def _scatter(
    rows: pd.DataFrame, x: str, y: str, published: bool = True, legend: bool = False
) -> list[go.Scatter]:
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
                    showlegend=legend,
                    marker={
                        "symbol": f"{look.symbol}-open" if published else look.symbol,
                        "size": 9,
                        "color": look.light,
                        "line": {"width": 1.5, "color": look.light},
                    },
                    hovertext=[
                        f"{name}: {value:.4g}" for name, value in zip(part["name"], part[y], strict=True)
                    ],
                    hoverinfo="text",
                    meta=style.themed(look.light, look.dark, not published),
                )
            )
    return traces


def _residuals(influence: pd.DataFrame) -> Panel:
    figure = go.Figure(_scatter(influence, "fitted_wh", "residual_wh", legend=True))
    style.layout(figure, height=360)
    figure.update_xaxes(title="Fitted energy (Wh)")
    figure.update_yaxes(title="Residual (Wh)")
    figure.add_hline(y=0, line={"color": _GREY[0], "width": 1})
    below = int((influence["fitted_wh"] < 0).sum())
    worst = influence.sort_values("residual_wh", key=abs).iloc[-1]
    return Panel(
        name="residuals",
        title="Residuals against fitted energies",
        note=f"{below} runs have a negative fitted energy. Largest residual: {worst['name']}, {worst['residual_wh']:.0f} Wh.",
        figure=figure,
        alt=f"Residuals against fitted energies of {len(influence)} runs; the largest is {worst['residual_wh']:.0f} Wh.",
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
    figure.update_xaxes(title="Cook's distance", type="log", dtick=1)
    threshold = 4 / len(influence)
    over = influence[influence["cooks_distance"] > threshold]
    return Panel(
        name="influence",
        title="The points that decide the fit",
        note=f"{len(over)} of {len(influence)} points exceed 4/n; the first is {top['name'].iloc[-1]}.",
        figure=figure,
        alt="Cook's distance of the eight most influential runs: " + ", ".join(top["name"].iloc[::-1]),
    )


def _errors(errors: dict[str, pd.DataFrame]) -> Panel:
    rows = errors["ols"].assign(size=errors["ols"]["error_percent"].abs())
    figure = go.Figure(_scatter(rows.dropna(subset=["size"]), "duration_s", "size"))
    style.layout(figure, height=360)
    figure.update_xaxes(title="Duration (s)", type="log", dtick=1)
    figure.update_yaxes(title="Error out of sample (%)", type="log", dtick=1)
    figure.add_hline(y=WRONG_PERCENT, line={"color": _GREY[0], "width": 1, "dash": "dash"})
    return Panel(
        name="errors",
        title="Error for a model that the fit has not seen",
        note=f"Dashed: {WRONG_PERCENT:.0f} %. {int((rows['size'] > WRONG_PERCENT).sum())} of {len(rows)} runs lie above.",
        figure=figure,
        alt="Relative error out of sample against duration, with a line at the error from which an energy is called wrong.",
    )


def _intervals(fitted: Fit) -> Panel:
    figure = go.Figure()
    style.layout(figure, height=360)
    durations = np.geomspace(1, fitted.points["duration_s"].max(), 60)
    limit_s = {}
    for gpus, dash in ((1, "solid"), (4, "dot")):
        expected = [regression.predict(fitted, float(seconds), gpus) for seconds in durations]
        half = [
            100 * (item.high_wh - item.mean_wh) / item.mean_wh if item.mean_wh > 0 else None
            for item in expected
        ]
        figure.add_trace(
            go.Scatter(
                x=durations,
                y=half,
                mode="lines",
                name=f"{gpus} GPU{'s' if gpus > 1 else ''}",
                line={"color": _GREY[0], "dash": dash, "width": 2},
                hoverinfo="x+y",
                meta=style.themed(*_GREY),
            )
        )
        limit_s[gpus] = next(
            (s for s, h in zip(durations, half, strict=True) if h and h <= WRONG_PERCENT), None
        )
    figure.update_xaxes(title="Duration (s)", type="log", dtick=1)
    figure.update_yaxes(title="Prediction interval (± %)", type="log", range=[0, 4], dtick=1)
    figure.add_hline(y=WRONG_PERCENT, line={"color": _GREY[0], "width": 1, "dash": "dash"})
    said = ", ".join(
        f"{units.significant(seconds, 2)} s with {gpus} GPU{'s' if gpus > 1 else ''}"
        if seconds
        else f"never with {gpus}"
        for gpus, seconds in limit_s.items()
    )
    return Panel(
        name="intervals",
        title="How wide the 95 % prediction interval is",
        note=f"Within ± {WRONG_PERCENT:.0f} % only from {said}.",
        figure=figure,
        alt=f"Half width of the prediction interval in percent of the energy; below {WRONG_PERCENT:.0f} % from {said}.",
    )


def _robustness(fitted: Fit) -> str:
    name, without = diagnostics.without_most_influential(fitted)
    rows = pd.DataFrame(
        {
            "": list(regression.TITLES.values()),
            "Estimate": [f"{fitted.terms[term].estimate:.4f}" for term in regression.TITLES],
            "Standard error": [f"{fitted.terms[term].std_error:.4f}" for term in regression.TITLES],
            "Robust (HC3)": [f"{fitted.terms[term].std_error_hc3:.4f}" for term in regression.TITLES],
            f"Without {name}": [f"{without.terms[term].estimate:.4f}" for term in regression.TITLES],
        }
    )
    table = html_table(
        rows, "Coefficients, robust errors, and the fit without its most influential point", list(rows)[1:]
    )
    nodes = diagnostics.nodes_as_factor(fitted)
    if nodes is None:
        return table
    differs = "do not follow" if nodes.p_value < 0.05 else "follow"
    return table + (
        f"<p>Nodes as a factor: runs on two nodes {differs} the same line (F test, p = {nodes.p_value:.2g}); a second node "
        f"changes the power by {3600 * nodes.node_wh_per_s:+.0f} ± {3600 * 1.96 * nodes.node_wh_per_s_error:.0f} W.</p>"
    )


def _decades(errors: dict[str, pd.DataFrame], equation: pd.DataFrame) -> str:
    columns = {}
    for title, table in [
        *((FORMS[form], rows) for form, rows in errors.items()),
        ("Eq. 2, in sample", equation),
    ]:
        summary = diagnostics.by_decade(table).set_index("decade")
        columns["Runs"] = summary["runs"]
        columns[title] = summary.apply(
            lambda row: (
                f"{units.significant(row['median_percent'], 2)} / {units.significant(row['worst_percent'], 2)}"
            ),
            axis=1,
        )
    frame = pd.DataFrame(columns)
    frame.insert(0, "Duration", [f"{10.0**low:g} to {10.0 ** (low + 1):g} s" for low in frame.index])
    return html_table(frame, "Error in percent, median / worst, by decade of duration", frame.columns[1:])


def _equation_2(equation: pd.DataFrame) -> str:
    wrong = equation[equation["error_percent"].abs() > WRONG_PERCENT]
    if wrong.empty:
        return f"<p>Eq. 2 is within {WRONG_PERCENT:.0f} % for all {len(equation)} runs.</p>"
    longest = wrong.sort_values("duration_s").iloc[-1]
    return (
        f"<p>Eq. 2, which has no constant, is never negative; it is off by more than {WRONG_PERCENT:.0f} % for {len(wrong)} of "
        f"{len(equation)} runs, the longest of them {longest['name']} with {units.duration(longest['duration_s'], 3)} "
        f"({longest['error_percent']:+.0f} %).</p>"
    )


def _negative(fitted: Fit, tables: Tables) -> str:
    printed = diagnostics.estimates(regression.printed_fit(tables.printed, machine=fitted.machine))
    rows = []
    for gpus in sorted(fitted.points["gpus"].unique()):
        limits = [
            diagnostics.negative_below_s(terms, int(gpus))
            for terms in (printed, diagnostics.estimates(fitted))
        ]
        rows.append(
            {"GPUs": int(gpus), "Printed (s)": _seconds(limits[0]), "Refitted (s)": _seconds(limits[1])}
        )
    frame = pd.DataFrame(rows)
    return html_table(
        frame, "Durations below which the full regression gives a negative energy", frame.columns
    )


def _seconds(limit: float | None) -> str | None:
    return None if limit is None else f"{limit:.1f}"


def _measured(results: pd.DataFrame) -> str:
    rows = results[(results["source"] != "published") & ~results["synthetic"].astype(bool)]
    said = []
    for source, machine in rows[["source", "machine"]].drop_duplicates().itertuples(index=False):
        points = regression.points(results, source, machine, None, "measured_only")
        if not regression.enough(points):
            said.append(f"{source} on {machine}: too few runs with measured energy ({len(points)})")
            continue
        errors = diagnostics.left_out_errors(points)["error_percent"].abs()
        said.append(
            f"{source} on {machine}: {len(points)} runs, R² {regression.fit(points).r2:.3f}, "
            + (
                f"median error out of sample {errors.median():.0f} %"
                if errors.notna().any()
                else "one model only"
            )
        )
    text = "; ".join(said) or style.NOT_MEASURED
    return f"<p>Our runs, measured components only: {text}.</p>"
