"""The calculator: energy from a duration, and models from requirements. It computes in the reader's browser."""

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure, html_table
from helpers.figures.plots.remarks import node_power
from helpers.results.accounting import TITLES as ACCOUNTING
from helpers.results.tables import Tables, select_sequential
from helpers.results.weights import run_titles
from helpers.statistics import proxy, regression
from helpers.statistics.estimation import Choice, Estimation, estimation
from helpers.statistics.node_pairs import pairs
from helpers.statistics.proxy import ESTIMATORS, MEASURED_FROM_S
from helpers.study.carbon_intensity import grids
from helpers.study.catalogue import embedding_models, study

_FEW_MODELS = 2
"""With so few models, an interval from models left out has next to no degrees of freedom."""
_DOUBTFUL = 10


def calculator(tables: Tables) -> Figure:
    """Put both calculators on a page; their numbers are the fits' JSON and the results table, inside the page."""
    estimations = fits(tables.results, tables.printed)
    return draw(rows(tables.results), estimations, coefficients(estimations))


def draw(models: pd.DataFrame, fits: Sequence[dict[str, Any]], coefficients: pd.DataFrame) -> Figure:
    """Put both calculators on a page: the models of `rows`, the `fits`, and the table of their `coefficients`."""
    content = {
        "fits": [{key: value for key, value in fit.items() if key != "origins"} for fit in fits],
        "grids": [{"title": grid.title, "gco2e_per_kwh": grid.gco2e_per_kwh} for grid in grids().values()],
        "models": models.drop(columns=["origin"]).to_dict("records"),
    }
    runs = sum(fit["runs"] for fit in fits)
    return Figure(
        name="calculator",
        label="Calculator",
        finding=f"Energy from a duration, from {runs} runs in {len(fits)} groups, and the models that meet your wishes.",
        note=(
            "For each decade of durations: the estimator that is nearest for a model left out of the fit. The 95 % prediction "
            "interval is for a run of a model that the fit has not seen, from the errors of models left out, on the log scale. "
            "Nothing leaves your browser."
        ),
        data=models,
        function="helpers.figures.beyond.calculator.calculator",
        body=_BODY.format(
            fits=_options(fit["title"] for fit in fits),
            grids=_options(f"{grid.title}, {grid.gco2e_per_kwh:.0f} g/kWh" for grid in grids().values()),
            datasets=_named_options(
                {name: study().datasets[name].title for name in dict.fromkeys(models["dataset"])}
            ),
            data=_json(content),
        )
        + _table(coefficients),
        inputs=[
            *sorted({str(origin) for fit in fits for origin in fit["origins"]} | set(models["origin"])),
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
    real = results[~results["synthetic"].astype(bool)]
    estimations = []
    for source, machine in real[["source", "machine"]].drop_duplicates().itertuples(index=False):
        published = source == "published"
        mode = "total_as_published" if published else "measured_only"
        points = regression.points(real, source, machine, None, mode)
        measurable = points[points["duration_s"] >= MEASURED_FROM_S] if published else points
        for kind, runs in _kinds(measurable):
            fitted = estimation(points, runs)
            if fitted is None:
                continue
            estimations.append(
                {
                    **_estimation(fitted),
                    "title": f"{_machine_title(machine)}, {source}, {kind}",
                    "accounting_title": ACCOUNTING[mode],
                    "known_from_s": MEASURED_FROM_S if published else fitted.shortest_s,
                    "unknown": _shortest(published, fitted),
                    "remarks": _remarks(runs, kind) + ([] if not published else [_nodes(points)]),
                    "paper": _paper(machine, printed) if published else None,
                    "origins": sorted(set(points["origin"])),
                }
            )
    return estimations


def _kinds(points: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    llms = proxy.language_models(points)
    yield "language models", llms
    yield "traditional models", points.drop(index=llms.index)


def _machine_title(machine: str) -> str:
    entry = study().machines.get(machine)
    return entry.title if entry else machine


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
        return f"None of these runs took {decade}: how far off it is there is not known"
    return (
        f"For a model left out of the fit it is off by {units.significant(choice.median_percent, 2)}{units.THIN}% in the median, "
        f"by {units.significant(choice.worst_percent, 2)}{units.THIN}% at worst "
        f"({units.counted(choice.runs, 'run')} of {units.counted(choice.models, 'model')}, {decade})"
    )


def _shortest(published: bool, fitted: Estimation) -> str:
    """Return below which duration there is no estimate, and why."""
    if published:
        return (
            f"Nothing is known below {MEASURED_FROM_S:.0f}{units.THIN}s: the meter read every 15{units.THIN}s, and durations are "
            "printed to 0.01\u202fs. Published runs as short as that were not really measured."
        )
    return f"Nothing is known below {units.duration(fitted.shortest_s, 3)}: no shorter run was measured."


def _remarks(runs: pd.DataFrame, kind: str) -> list[str]:
    inferred = (runs["gpus_origin"] == "inferred").any()
    basis = f"It rests on {units.counted(len(runs), 'run')} of {runs['model'].nunique()} {kind}"
    return [
        f"{basis}; the paper does not print their numbers of GPUs, which are inferred."
        if inferred
        else f"{basis}."
    ]


def _nodes(points: pd.DataFrame) -> str:
    """Return the power of two nodes against one, in pairs of runs, and how GPUs are counted."""
    node_pairs = pairs(points)
    if node_pairs.empty:
        return "All runs are on one node."
    return f"GPUs count over all nodes. {node_power(node_pairs)} The estimate does not tell nodes apart."


def _paper(machine: str, printed: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the paper's own formula, for comparison."""
    equation = proxy.paper_equation(machine, printed)
    title = "The paper's Eq. 2" if equation is proxy.EQUATION_2 else "Eq. 1 with the slopes of Table 3"
    return {"title": title, **asdict(equation)}


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the runs to choose a model from, by dataset: on one node, with an accuracy, and an energy or its limit."""
    results = select_sequential(results)
    rows = results[results["accuracy"].notna() & (results["nodes"] == 1) & ~results["synthetic"].astype(bool)]
    rows = rows[rows["energy_wh"].notna() | rows["energy_wh_below"].notna()]
    table = pd.DataFrame(
        {
            "dataset": rows["dataset"],
            "model": rows["model"],
            "title": run_titles(rows),
            "source": rows["source"],
            "machine": rows["machine"],
            "machine_title": rows["machine"].map(_machine_title),
            "accuracy": rows["accuracy"],
            "energy_wh_per_text": rows["energy_wh"] / rows["texts"],
            "energy_wh_per_text_below": rows["energy_wh_below"] / rows["texts"],
            "energy_kind": rows["energy_kind"],
            "doubtful": _doubtful(rows),
            "origin": rows["origin"],
        }
    ).astype({"energy_wh_per_text": float, "energy_wh_per_text_below": float})
    order = list(study().datasets)
    table = table.sort_values("dataset", key=lambda column: column.map(order.index), kind="stable")
    return table.astype(object).where(table.notna(), None)


def _doubtful(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Say which published energies are too small for the work, as an embedding's (Errata).

    On another dataset of as many texts the same model takes more than `_DOUBTFUL` times as much.
    """
    known = rows[(rows["source"] == "published") & rows["model"].isin(embedding_models())]
    most = known.groupby(["model", "texts"])["energy_wh"].transform("max")
    return (known["energy_wh"] * _DOUBTFUL < most).reindex(rows.index, fill_value=False)


def _options(titles: Iterable[str]) -> str:
    return _named_options(dict(enumerate(titles)))


def _named_options(titles: Mapping[Any, str]) -> str:
    return "".join(
        f'<option value="{value}">{html.escape(title)}</option>' for value, title in titles.items()
    )


def _json(content: dict[str, Any]) -> str:
    # Inside a script element only "<" could end it.
    return json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


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
        "What the calculator takes: energy per second (G: GPUs), errors for a model left out of the fit. The interval is that of "
        "the estimators as chosen by decade, so it differs from that of any one of them (Is duration a good proxy?)"
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
<p class="panel-title">From a duration to an energy</p>
<div class="fields">
<label>Machine, models <select name="fit">{fits}</select></label>
<label>GPUs <select name="gpus"></select></label>
<label>Duration (s) <input name="duration" inputmode="decimal" autocomplete="off" value="600"></label>
<label>Electricity <select name="grid">{grids}</select></label>
</div>
<output aria-live="polite"></output>
</form>
<form class="calculator-part" id="calculator-models">
<p class="panel-title">Which models reach the accuracy I need?</p>
<div class="fields">
<label>Dataset <select name="dataset">{datasets}</select></label>
<label>Accuracy, at least <input name="accuracy" inputmode="decimal" autocomplete="off" value="0.4"></label>
<label>Texts <input name="texts" inputmode="numeric" autocomplete="off" value="100000"></label>
<label>Electricity <select name="grid">{grids}</select></label>
</div>
<output aria-live="polite"></output>
</form>
</div>
<noscript><p>The calculator needs JavaScript. Without it: multiply the Wh/s of the table below by the duration.</p></noscript>
<script type="application/json" id="calculator-data">{data}</script>
"""
