"""Is duration a good proxy for energy? The diagnostics of the regression that the paper does not have."""

import html
import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from helpers import style, units
from helpers.artefacts.table_b2 import node_power, pairs
from helpers.results import Tables, in_paper_mode
from helpers.show import Artefact, Panel, html_table
from helpers.statistics import diagnostics, regression, robustness
from helpers.statistics.diagnostics import FORMS, LONG_S, WRONG_PERCENT
from helpers.statistics.regression import Fit

_GREY = ("#6b7280", "#9aa3ae")
_DASHES = {1: "solid", 2: "dash", 4: "dot"}


@dataclass(frozen=True)
class _Case:
    """One regression with its diagnostics: the published runs of Capella, or the runs of a campaign on a machine."""

    name: str
    title: str
    fitted: Fit
    influence: pd.DataFrame
    errors: dict[str, pd.DataFrame]

    @property
    def published(self) -> bool:
        """Say whether the marks are hollow."""
        return self.fitted.source == "published"


def duration_proxy(tables: Tables) -> Artefact:
    """Show what the fit of Table 3 is worth on Capella: residuals, influence, errors out of sample, limits.

    The same for each campaign and machine with enough runs whose energy was measured.
    """
    points = regression.points(tables.results, "published", "capella", "fktg")
    published = _case("published", "Capella, published", points)
    measured, few = _measured(in_paper_mode(tables.results))
    cases = [published, *measured]
    equation = diagnostics.equation_2(points)
    return Artefact(
        name="duration_proxy",
        label="Diagnostics",
        finding=verdict(published.errors["ols"]),
        note=(
            f"FKTG on Capella, {len(points)} published runs on one and two nodes, energy as published; the regression of "
            "Table 3. Errors are out of sample: each model is predicted from the runs of all other models. Our runs, "
            f"where enough of them have measured energy, have panels of their own{few}. Circle: traditional; square: LLM; "
            "diamond: reasoning LLM."
        ),
        data=pd.concat(_data(case) for case in cases),
        function="helpers.artefacts.duration_proxy.duration_proxy",
        panels=[panel for case in cases for panel in _panels(case)],
        body="".join(_tables(case) for case in cases)
        + _equation_2(equation)
        + _negative(published.fitted, tables),
    )


def _case(name: str, title: str, points: pd.DataFrame) -> _Case:
    fitted = regression.fit(points)
    errors = {form: diagnostics.left_out_errors(points, form) for form in FORMS}
    return _Case(name, title, fitted, diagnostics.influence(fitted), errors)


def _measured(results: pd.DataFrame) -> tuple[list[_Case], str]:
    """Return a case for each campaign and machine that allows one, and what is said of the others."""
    rows = results[(results["source"] != "published") & ~results["synthetic"].astype(bool)]
    cases, few = [], []
    for source, machine in rows[["source", "machine"]].drop_duplicates().itertuples(index=False):
        points = regression.points(results, source, machine, None, "measured_only")
        if regression.enough(points):
            cases.append(_case(f"{source}-{machine}".replace(" ", "-"), f"{source}, {machine}", points))
        else:
            few.append(f"{source} on {machine} has {len(points)}")
    said = f" ({'; '.join(few)})" if few else "" if cases else f": {style.NOT_MEASURED}"
    return cases, said


def _data(case: _Case) -> pd.DataFrame:
    errors = {f"left_out_error_percent_{form}": table["error_percent"] for form, table in case.errors.items()}
    return case.influence.assign(**errors)[_DATA]


def _panels(case: _Case) -> list[Panel]:
    panels = [
        _residuals(case.influence, case.published),
        _cooks(case.influence),
        _errors(case.errors["ols"], case.published),
        _intervals(case.fitted),
    ]
    return [
        replace(panel, name=f"{case.name}-{panel.name}", title=f"{case.title}: {panel.title}")
        for panel in panels
    ]


def _tables(case: _Case) -> str:
    return (
        f"<h2>{html.escape(case.title)}</h2>"
        + _robustness(case.fitted)
        + _forms(case.fitted.points)
        + _decades(case.errors)
    )


_DATA = [
    *(
        "source",
        "machine",
        "dataset",
        "name",
        "model",
        "family",
        "gpus",
        "nodes",
        "duration_s",
        "energy_wh",
        "fitted_wh",
        "residual_wh",
    ),
    *("leverage", "studentised_residual", "cooks_distance"),
    *(f"left_out_error_percent_{form}" for form in FORMS),
    "origin",
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
        f"{'no proxy' if useless else 'a proxy'} for shorter ones: half of them are off by "
        f"{short['size'].median():.0f} % or more, the worst by {_size(short['size'].max())}."
    )


def _size(percent: float) -> str:
    return f"{percent:.0f} %" if percent < 1000 else f"{units.significant(percent / 100, 2)} times its energy"


def _scatter(rows: pd.DataFrame, x: str, y: str, published: bool, told: str) -> list[go.Scatter]:
    """Return marks by family; `told` is what the hover says of `x` and `y`, as a format."""
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
                        f"<b>{row['name']}</b><br>{told.format(x=row[x], y=row[y])}"
                        for _, row in part.iterrows()
                    ],
                    hoverinfo="text",
                    meta=style.themed(look.light, look.dark, not published),
                )
            )
    return traces


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


def _errors(errors: pd.DataFrame, published: bool) -> Panel:
    rows = errors.assign(size=errors["error_percent"].abs()).dropna(subset=["size"])
    figure = go.Figure(
        _scatter(rows, "duration_s", "size", published, "duration {x:.4g} s<br>error out of sample {y:.3g} %")
    )
    style.layout(figure, height=360)
    figure.update_xaxes(title="Duration (s)", type="log", **_ticks(errors["duration_s"]))
    figure.update_yaxes(title="Error out of sample (%)", type="log", dtick=1)
    figure.add_hline(y=WRONG_PERCENT, line={"color": _GREY[0], "width": 1, "dash": "dash"})
    return Panel(
        name="errors",
        title="Error for a model that the fit has not seen",
        note=f"Dashed: {WRONG_PERCENT:.0f} %. {int((rows['size'] > WRONG_PERCENT).sum())} of {len(rows)} runs lie above.",
        figure=figure,
        alt=f"Error out of sample against duration: {int((rows['size'] > WRONG_PERCENT).sum())} of {len(rows)} runs "
        f"are off by more than {WRONG_PERCENT:.0f} %, the median by {rows['size'].median():.2g} %.",
    )


def _intervals(fitted: Fit) -> Panel:
    figure = go.Figure()
    style.layout(figure, height=360)
    shortest, longest = fitted.points["duration_s"].min(), fitted.points["duration_s"].max()
    durations = np.geomspace(max(shortest, longest / 1e4), longest, 80)
    counts = sorted(fitted.points["gpus"].unique())
    limit_s = {}
    for gpus in counts:
        expected = [regression.predict(fitted, float(seconds), int(gpus)) for seconds in durations]
        half = [
            100 * (item.high_wh - item.mean_wh) / item.mean_wh if item.mean_wh > 0 else None
            for item in expected
        ]
        figure.add_trace(
            go.Scatter(
                x=durations,
                y=half,
                mode="lines",
                name=_gpus(gpus),
                line={"color": _GREY[0], "dash": _DASHES.get(gpus, "longdash"), "width": 2},
                hovertemplate="%{x:.3g} s: ± %{y:.3g} %",
                showlegend=len(counts) > 1,
                meta=style.themed(*_GREY),
            )
        )
        limit_s[gpus] = next(
            (s for s, h in zip(durations, half, strict=True) if h and h <= WRONG_PERCENT), None
        )
    figure.update_xaxes(title="Duration (s)", type="log", **_ticks(fitted.points["duration_s"]))
    figure.update_yaxes(title="Prediction interval (± %)", type="log", range=[0, 4], dtick=1)
    figure.add_hline(y=WRONG_PERCENT, line={"color": _GREY[0], "width": 1, "dash": "dash"})
    said = ", ".join(
        f"{units.duration(seconds, 2)} with {_gpus(gpus)}" if seconds else f"no duration with {_gpus(gpus)}"
        for gpus, seconds in limit_s.items()
    )
    return Panel(
        name="intervals",
        title="How wide the 95 % prediction interval is",
        note=f"Within ± {WRONG_PERCENT:.0f} % only from {said}.",
        figure=figure,
        alt=f"Half width of the prediction interval in percent of the energy; below {WRONG_PERCENT:.0f} % from {said}.",
    )


def _ticks(values: pd.Series) -> dict[str, list[float]]:
    """Return ticks for a logarithmic axis: decades, and where the values span less than two of them 2 and 5 as well."""
    low, high = float(values.min()), float(values.max())
    steps = (1,) if high >= 100 * low else (1, 2, 5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return {"tickvals": [float(f"{step}e{decade}") for decade in decades for step in steps]}


def _gpus(count: int) -> str:
    return f"{count} GPU{'s' if count != 1 else ''}"


def _robustness(fitted: Fit) -> str:
    name, without = diagnostics.without_most_influential(fitted)
    terms = list(fitted.terms)
    rows = pd.DataFrame(
        {
            "": [regression.TITLES[term] for term in terms],
            "Estimate": [f"{fitted.terms[term].estimate:.4f}" for term in terms],
            "Standard error": [f"{fitted.terms[term].std_error:.4f}" for term in terms],
            "Robust (HC3)": [f"{fitted.terms[term].std_error_hc3:.4f}" for term in terms],
            f"Without {name}": [
                f"{without.terms[term].estimate:.4f}" if without and term in without.terms else None
                for term in terms
            ],
        }
    )
    table = html_table(
        rows, "Coefficients, robust errors, and the fit without its most influential point", rows.columns[1:]
    )
    table += f"<p>{_robust_sentence(fitted)}</p>"
    return table + _two_nodes(fitted)


def _two_nodes(fitted: Fit) -> str:
    """Compare the mean power of pairs of runs; a factor of the regression would rest on its longest run."""
    found, leverage = pairs(fitted.points), robustness.highest_nodes_leverage(fitted.points)
    if found.empty or leverage is None:
        return ""
    return (
        f"<p>{node_power(found)} With the nodes as a factor of the regression, {leverage[0]} would have a leverage of "
        f"{leverage[1]:.3f}: one run would decide the factor, so it is not tested.</p>"
    )


def _robust_sentence(fitted: Fit) -> str:
    """Say how much wider the errors are that allow for unequal scatter, and which terms they leave significant."""
    ratios = {
        name: term.std_error_hc3 / term.std_error
        for name, term in fitted.terms.items()
        if term.std_error > 0 and math.isfinite(term.std_error_hc3)
    }
    if len(ratios) < len(fitted.terms):
        return "Robust errors are not defined: a point decides a term alone, or the runs lie on the line."
    worst = max(ratios, key=lambda name: ratios[name])
    left = [
        regression.TITLES[name]
        for name, term in fitted.terms.items()
        if regression.p_value(term.estimate, term.std_error_hc3, fitted.df_resid) < 0.01
    ]
    return (
        f"Allowing for unequal scatter, the standard error of {regression.TITLES[worst]} is {ratios[worst]:.1f} times as large; "
        f"significant at 1 % then: {', '.join(left) or 'none'}."
    )


def _forms(points: pd.DataFrame) -> str:
    """Show the fits in other forms: exponents of the log-log fit, coefficients of the relative one."""
    rows = []
    for form in ("relative", "log"):
        model = diagnostics.fitted_model(points, form)
        rows.append(
            {
                "Form": FORMS[form],
                "Coefficients": "; ".join(
                    f"{name.replace('_', ' ')} {value:.3g} ± {error:.2g}"
                    for name, value, error in zip(model.params.index, model.params, model.bse, strict=True)
                ),
                "R²": f"{model.rsquared:.3f}",
            }
        )
    caption = "Other forms of the fit (± standard error; exponents in the log-log form)"
    return html_table(pd.DataFrame(rows), caption, ("R²",))


def _decades(errors: dict[str, pd.DataFrame]) -> str:
    if errors["ols"]["error_percent"].isna().all():
        return (
            "<p>No error out of sample: without any one model, the other runs do not determine the fit.</p>"
        )
    columns = {}
    for title, table in ((FORMS[form], rows) for form, rows in errors.items()):
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
    """Show the range of durations in which Eq. 2 is wrong, by number of GPUs."""
    rows = []
    for gpus, part in equation.groupby("gpus"):
        wrong = part[part["error_percent"].abs() > WRONG_PERCENT]
        right = part.drop(index=wrong.index)
        rows.append(
            {
                "GPUs": gpus,
                "Runs": len(part),
                f"Wrong by more than {WRONG_PERCENT:.0f} %": len(wrong),
                "Wrong up to (s)": f"{wrong['duration_s'].max():.4g}" if len(wrong) else None,
                "Right from (s)": f"{right['duration_s'].min():.4g}" if len(right) else None,
                "Median error (%)": f"{part['error_percent'].abs().median():.3g}",
                "Largest error (%)": f"{part['error_percent'].abs().max():.3g}",
            }
        )
    frame = pd.DataFrame(rows)
    return html_table(
        frame, "Eq. 2 on the runs of Capella; it has no constant, so it is never negative", frame.columns
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
