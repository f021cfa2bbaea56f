"""The calculator: energy from a duration. It computes in the reader's browser."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure, html_table
from helpers.figures.html import options, script_json
from helpers.figures.plots.remarks import node_power
from helpers.results.accounting import TITLES as ACCOUNTING
from helpers.results.tables import Tables, select_sequential
from helpers.statistics import proxy, regression
from helpers.statistics.estimation import Choice, Estimation, estimation
from helpers.statistics.node_pairs import pairs
from helpers.statistics.proxy import ESTIMATORS, MEASURED_FROM_S
from helpers.study.carbon_intensity import grids
from helpers.study.catalogue import machine_title

_FEW_MODELS = 2
"""With so few models, an interval from models left out has next to no degrees of freedom."""


def calculator(tables: Tables) -> Figure:
    """Put the calculator on a page; its numbers are the fits' JSON, inside the page."""
    estimations = fits(tables.results, tables.printed)
    return draw(estimations, coefficients(estimations))


def draw(fits: Sequence[dict[str, Any]], coefficients: pd.DataFrame) -> Figure:
    """Put the calculator on a page: the `fits`, and the table of their `coefficients`."""
    content = {
        "fits": [{key: value for key, value in fit.items() if key != "origins"} for fit in fits],
        "grids": [{"title": grid.title, "gco2e_per_kwh": grid.gco2e_per_kwh} for grid in grids().values()],
    }
    runs = sum(fit["runs"] for fit in fits)
    return Figure(
        name="calculator",
        label="Calculator",
        finding=f"Energy estimated from the duration of a run, based on {runs} runs in {len(fits)} groups.",
        note=(
            "For each range of durations (10 to 100 s, 100 to 1000 s and so on) the calculator uses the formula that best "
            "predicted models that it had not seen. The 95 % prediction interval is for a run of a model that the fit has not "
            "seen; it is computed from the errors for the models left out, on the log scale. What you type stays in your browser."
        ),
        data=coefficients,
        function="helpers.figures.beyond.calculator.calculator",
        body=_BODY.format(
            fits=options(dict(enumerate(fit["title"] for fit in fits))),
            grids=grid_options(),
            data=script_json(content),
        )
        + _table(coefficients),
        inputs=[
            *sorted({str(origin) for fit in fits for origin in fit["origins"]}),
            "table_3_regression_fktg",
            "data/study/grids.yaml",
        ],
    )


def fits(results: pd.DataFrame, printed: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Return the estimation for each source, machine and kind of model, with the sentences of the page.

    Published runs too short to be measured are left out. `fits` holds the coefficients `a` and `c` of Eq. 1
    (Wh/s, and Wh/s per GPU) by estimator, `choices` the estimator of each decade of durations with its errors.
    `printed` are the paper's tables of coefficients.
    """
    results = select_sequential(results)
    estimations = []
    for source, machine in results[["source", "machine"]].drop_duplicates().itertuples(index=False):
        published = source == "published"
        mode = "total_as_published" if published else "measured_only"
        points = regression.points(results, source, machine, None, mode)
        measurable = points[points["duration_s"] >= MEASURED_FROM_S] if published else points
        for kind, runs in _kinds(measurable):
            fitted = estimation(points, runs)
            if fitted is None:
                continue
            estimations.append(
                {
                    **_estimation(fitted),
                    "title": f"{machine_title(machine)}, {source}, {kind}",
                    "accounting_title": ACCOUNTING[mode],
                    "known_from_s": MEASURED_FROM_S if published else fitted.shortest_s,
                    "unknown": _shortest(published, fitted),
                    "remarks": _remarks(runs, kind) + ([] if not published else [_nodes(points)]),
                    "paper": _paper(machine, printed) if published else None,
                    "origins": sorted(set(points["origin"])),
                }
            )
    return estimations


def grid_options() -> str:
    """Return the options of a choice of electricity."""
    titles = (f"{grid.title}, {grid.gco2e_per_kwh:.0f} g/kWh" for grid in grids().values())
    return options(dict(enumerate(titles)))


def _kinds(points: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    llms = proxy.language_models(points)
    yield "language models", llms
    yield "traditional models", points.drop(index=llms.index)


def _estimation(fitted: Estimation) -> dict[str, Any]:
    return {
        **asdict(fitted),
        "choices": [
            {
                **asdict(choice),
                "title": ESTIMATORS[choice.estimator],
                "error": _error(choice),
            }
            for choice in fitted.choices
        ],
        "range": _range(fitted.shortest_s, fitted.longest_s),
    }


def _range(shortest_s: float, longest_s: float) -> str:
    return f"{units.significant(shortest_s, 3)} to {units.significant(longest_s, 4)}{units.THIN}s"


def _error(choice: Choice) -> str:
    """Return the error of an estimator in its decade, as a sentence."""
    decade = f"{choice.from_s:g} to {choice.to_s:g}{units.THIN}s"
    if choice.median_percent is None or choice.worst_percent is None:
        return f"None of these runs took {decade}, so the error there is not known"
    return (
        f"For a model left out of the fit the median error is {units.significant(choice.median_percent, 2)}{units.THIN}%, "
        f"the largest {units.significant(choice.worst_percent, 2)}{units.THIN}% "
        f"({units.counted(choice.runs, 'run')} of {units.counted(choice.models, 'model')}, {decade})"
    )


def _shortest(published: bool, fitted: Estimation) -> str:
    """Return below which duration there is no estimate, and why."""
    if published:
        return (
            f"No estimate below {MEASURED_FROM_S:.0f}{units.THIN}s: the meter was read every 15{units.THIN}s, and durations are "
            "printed to 0.01\u202fs, so published runs as short as that were not really measured."
        )
    return f"No estimate below {units.duration(fitted.shortest_s, 3)}: no shorter run was measured."


def _remarks(runs: pd.DataFrame, kind: str) -> list[str]:
    inferred = (runs["gpus_origin"] == "inferred").any()
    basis = f"It is based on {units.counted(len(runs), 'run')} of {runs['model'].nunique()} {kind}"
    return [
        f"{basis}; their numbers of GPUs are inferred, because the paper does not print them."
        if inferred
        else f"{basis}."
    ]


def _nodes(points: pd.DataFrame) -> str:
    """Return the power of two nodes against one, in pairs of runs, and how GPUs are counted."""
    node_pairs = pairs(points)
    if node_pairs.empty:
        return "All runs are on one node."
    return f"GPUs are counted over all nodes. {node_power(node_pairs)} The estimate does not depend on the number of nodes."


def _paper(machine: str, printed: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the paper's own formula, for comparison."""
    equation = proxy.paper_equation(machine, printed)
    title = "The paper's Eq. 2" if equation is proxy.EQUATION_2 else "Eq. 1 with the slopes of Table 3"
    return {"title": title, **asdict(equation)}


def coefficients(fits: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the table of what the calculator takes, a row for each of `fits` and each decade of durations."""
    rows = [
        {
            "Runs of": fit["title"],
            "Duration (s)": f"{choice['from_s']:g} to {choice['to_s']:g}",
            "Estimator": choice["title"],
            "Wh/s": _per_second(fit["fits"][choice["estimator"]]),
            "Runs": choice["runs"],
            **{
                title: None if choice[key] is None else units.significant(choice[key], 2)
                for title, key in (("Median error (%)", "median_percent"), ("Largest (%)", "worst_percent"))
            },
            "95 % interval, factor": f"{fit['factor']:.2f}{_few_models(fit['models'])}"
            if fit["factor"]
            else None,
            "Energy": fit["accounting_title"],
        }
        for fit in fits
        for choice in fit["choices"]
    ]
    return pd.DataFrame(rows)


def _table(coefficients: pd.DataFrame) -> str:
    caption = (
        "What the calculator uses: energy per second (G: number of GPUs) and errors for a model left out of the fit. The "
        "interval is for the estimators as chosen by decade, so it differs from that of any single one (see Is duration a good "
        "proxy?)"
    )
    return html_table(coefficients, caption, coefficients.columns[3:-1])


def _few_models(models: int) -> str:
    """Return the number of models in brackets where an interval is wide because it rests on so few."""
    return f" ({models} models only)" if models <= _FEW_MODELS else ""


def _per_second(fit: dict[str, float]) -> str:
    return f"{fit['a']:.4g} + {fit['c']:.4g} G" if fit["c"] else f"{fit['a']:.4g}"


_BODY = """
<div class="calculator" hidden>
<form class="calculator-part" id="calculator-energy">
<p class="panel-title">Energy of a run from its duration</p>
<div class="fields">
<label>Machine, models <select name="fit">{fits}</select></label>
<label>GPUs <select name="gpus"></select></label>
<label>Duration (s) <input name="duration" inputmode="decimal" autocomplete="off" value="600"></label>
<label>Electricity <select name="grid">{grids}</select></label>
</div>
<output aria-live="polite"></output>
</form>
</div>
<noscript><p>The calculator needs JavaScript. Without it: multiply the Wh/s of the table below by the duration.</p></noscript>
<script type="application/json" id="calculator-data">{data}</script>
"""
