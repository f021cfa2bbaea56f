"""Tables of the page on duration as a proxy: errors of the estimators, robustness of the line, negative energies."""

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from helpers.core import units
from helpers.figures.display import html_table
from helpers.figures.plots.remarks import node_power
from helpers.results.tables import Tables
from helpers.statistics import diagnostics, proxy, regression
from helpers.statistics.node_pairs import pairs
from helpers.statistics.proxy import (
    APPROXIMATION,
    ESTIMATORS,
    IN_SAMPLE,
    LEFT_OUT,
    LINE,
    LONG_S,
    RELATIVE,
    Proportional,
)
from helpers.statistics.regression import Fit
from helpers.statistics.robustness import highest_nodes_leverage

_SHARES = (30, 50)
"""Percent within which runs are counted."""


@dataclass(frozen=True)
class Case:
    """The runs of one source on one machine: the published ones of Capella, or those of a campaign."""

    name: str
    title: str
    fitted: Fit
    influence: pd.DataFrame
    about: pd.DataFrame
    """The runs that the estimator by relative error is fitted to."""
    errors: pd.DataFrame
    """As `proxy.compare` returns them."""
    printed: Proportional | None

    @property
    def published(self) -> bool:
        """Whether the marks are hollow."""
        return self.fitted.source == "published"

    @property
    def kind(self) -> str:
        """The models of the runs in `about`."""
        return "all runs" if (self.about["family"] == "Traditional").any() else "language models"


def estimators(case: Case) -> str:
    """Show the three estimators side by side, by decade of duration and in groups of runs."""
    head = f"<h2>{html.escape(case.title)}</h2>"
    if case.errors["error_percent"].isna().all():
        return f"{head}<p>No estimate: the runs do not determine a fit.</p>"
    rows = []
    for title, part in _groups(case):
        sizes = proxy.sizes(part)
        cells = {
            f"{_TITLES[name]}, {sample}": _cell(pd.Series(sizes.loc[(name, sample)]))
            if (name, sample) in sizes.index
            else None
            for name in ESTIMATORS
            for sample in (IN_SAMPLE, LEFT_OUT)
        }
        rows.append({"Runs": title, "Number": part.index.nunique(), **cells})
    table = pd.DataFrame(rows)
    caption = "Error, median / worst, in sample and for a model left out of the fit (times: multiples of the energy)"
    return head + html_table(table, caption, table.columns[1:]) + _formulas(case)


_TITLES = {LINE: "Line", APPROXIMATION: "Eq. 1, its slopes", RELATIVE: "Eq. 1, relative error"}


def _groups(case: Case) -> Iterator[tuple[str, pd.DataFrame]]:
    errors = case.errors
    for low in sorted(map(int, errors["decade"].unique())):
        yield f"{10.0**low:g} to {10.0 ** (low + 1):g} s", errors[errors["decade"] == low]
    models = errors[errors.index.isin(proxy.language_models(case.fitted.points).index)]
    for title, group in (("All", errors), ("Language models", models)):
        short = group["duration_s"] < LONG_S
        parts = {
            title: group,
            f"{title} below {LONG_S:.0f} s": group[short],
            f"{title} from {LONG_S:.0f} s": group[~short],
        }
        yield from ((name, part) for name, part in parts.items() if len(part))


def _cell(sizes: pd.Series) -> str:
    return f"{_percent(sizes['median_percent'])} / {_percent(sizes['worst_percent'])}"


def _percent(value: float) -> str:
    return (
        f"{units.significant(value, 2)}{units.THIN}%"
        if value < 1000
        else f"{units.significant(value / 100, 2)} times"
    )


def _formulas(case: Case) -> str:
    """Show the formula of each estimator, how many runs it gives within a limit, and its prediction interval."""
    errors = case.errors[case.errors.index.isin(case.about.index)]
    factors = proxy.factors(errors)
    fits = {
        APPROXIMATION: case.printed or proxy.slopes(diagnostics.estimates(case.fitted)),
        RELATIVE: proxy.fit_relative(case.about),
    }
    rows = []
    for name, title in ESTIMATORS.items():
        within = {
            f"Within {percent} %, {sample}": f"{(size <= percent).sum()} of {len(size)}"
            for percent in _SHARES
            for sample in (IN_SAMPLE, LEFT_OUT)
            for size in [proxy.size_percent(errors, name, sample)]
        }
        factor = factors[name]
        rows.append(
            {
                "Estimator": title + (" (Eq. 2)" if case.printed and name == APPROXIMATION else ""),
                "Energy in Wh": _equation(fits[name]) if name in fits else _line(case.fitted),
                **within,
                "95 % interval, factor": f"{factor:.2f}" if factor else None,
            }
        )
    table = pd.DataFrame(rows)
    caption = f"The estimators: T in s, G GPUs; counts and intervals for {case.kind}"
    return html_table(table, caption, table.columns[2:])


def _equation(fit: Proportional) -> str:
    two = f"({units.significant(fit.a, 2)} + {units.significant(fit.c, 2)} G) T"
    return two if fit.c else f"{units.significant(fit.a, 2)} T"


def _line(fitted: Fit) -> str:
    letters = {"duration": " T", "gpus": " G", "duration:gpus": " G T", "constant": ""}
    return " ".join(
        f"{'-' if term.estimate < 0 else '+'} {units.significant(abs(term.estimate), 2)}{letters[name]}"
        for name, term in fitted.terms.items()
    ).removeprefix("+ ")


def robustness(fitted: Fit) -> str:
    """Show the line's coefficients with robust errors and without its most influential point, and pairs of node counts."""
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
    return table + _nodes(fitted.points)


def _nodes(points: pd.DataFrame) -> str:
    """Compare the mean power of pairs of runs; a factor of the regression would rest on its longest run."""
    node_pairs, leverage = pairs(points), highest_nodes_leverage(points)
    if node_pairs.empty or leverage is None:
        return ""
    return (
        f"<p>{html.escape(node_power(node_pairs))} With the nodes as a factor of the regression, {html.escape(leverage[0])} "
        f"would have a leverage of {leverage[1]:.3f}: a single run would determine it, so it is not tested.</p>"
    )


def _robust_sentence(fitted: Fit) -> str:
    """Return how much wider robust (HC3) standard errors are, and which terms stay significant with them."""
    ratios = {
        name: term.std_error_hc3 / term.std_error
        for name, term in fitted.terms.items()
        if term.std_error > 0 and math.isfinite(term.std_error_hc3)
    }
    if len(ratios) < len(fitted.terms):
        return "Robust errors are not defined: a single run determines a term, or all runs lie on the line."
    worst = max(ratios, key=lambda name: ratios[name])
    left = [
        regression.TITLES[name]
        for name, term in fitted.terms.items()
        if regression.p_value(term.estimate, term.std_error_hc3, fitted.df_resid) < 0.01
    ]
    return (
        f"Allowing for unequal scatter, the standard error of {regression.TITLES[worst]} is {ratios[worst]:.1f} times as large; "
        f"still significant at 1 %: {', '.join(left) or 'none'}."
    )


def negative(fitted: Fit, tables: Tables) -> str:
    """Show the durations below which the line, printed and refitted, gives a negative energy."""
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
