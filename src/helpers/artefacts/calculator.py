"""The calculator: energy from a duration, and models from a wish. It computes in the reader's browser."""

import html
import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from helpers.accounting import TITLES as ACCOUNTING
from helpers.grids import grids
from helpers.results import Tables, in_paper_mode
from helpers.show import Artefact, html_table
from helpers.statistics import regression
from helpers.study import model_title, study


def calculator(tables: Tables) -> Artefact:
    """Put both calculators on a page; their numbers are the fits' JSON and the results table, inside the page."""
    results = in_paper_mode(tables.results)
    fits = list(_fits(results))
    models = _models(results)
    content = {
        "fits": fits,
        "grids": [{"title": grid.title, "gco2e_per_kwh": grid.gco2e_per_kwh} for grid in grids().values()],
        "models": models.drop(columns=["origin"]).to_dict("records"),
    }
    points = sum(fit["n"] for fit in fits)
    return Artefact(
        name="calculator",
        label="Calculator",
        finding=f"Energy from a duration by {len(fits)} fits to {points} runs, and the models that meet your wishes.",
        note=(
            "The interval is the 95 % prediction interval of the fit: where a new run would lie, not where the line is. It takes "
            "all runs to scatter alike, which short and long runs seldom do. "
            "Nothing leaves your browser."
        ),
        data=models,
        function="helpers.artefacts.calculator.calculator",
        body=_BODY.format(
            fits=_options(fit["title"] for fit in fits),
            grids=_options(f"{grid.title}, {grid.gco2e_per_kwh:.0f} g/kWh" for grid in grids().values()),
            datasets=_options_of(
                {name: study().datasets[name].title for name in dict.fromkeys(models["dataset"])}
            ),
            data=_json(content),
        )
        + _coefficients(fits),
        inputs=[
            *sorted(
                {str(point["origin"]) for fit in fits for point in fit["points"]} | set(models["origin"])
            ),
            "data/study/grids.yaml",
        ],
    )


def _fits(results: pd.DataFrame) -> Iterator[dict[str, Any]]:
    real = results[~results["synthetic"].astype(bool)]
    for source, machine in real[["source", "machine"]].drop_duplicates().itertuples(index=False):
        mode = "total_as_published" if source == "published" else "measured_only"
        points = regression.points(real, source, machine, None, mode)
        if not regression.enough(points):
            continue
        known = study().machines.get(machine)
        few = " (few points, GPU counts inferred)" if (points["gpus_origin"] == "inferred").any() else ""
        yield {
            **regression.as_json(regression.fit(points), mode),
            "title": f"{known.title if known else machine}, {source}{few}",
            "accounting_title": ACCOUNTING[mode],
            "gpus": sorted({int(gpus) for gpus in points["gpus"]}),
            "shortest_s": float(points["duration_s"].min()),
            "longest_s": float(points["duration_s"].max()),
        }


def _models(results: pd.DataFrame) -> pd.DataFrame:
    rows = results[results["accuracy"].notna() & (results["nodes"] == 1) & ~results["synthetic"].astype(bool)]
    rows = rows[rows["energy_wh"].notna() | rows["energy_wh_below"].notna()]
    table = pd.DataFrame(
        {
            "dataset": rows["dataset"],
            "model": rows["model"],
            "title": rows["model"].map(model_title),
            "source": rows["source"],
            "machine": rows["machine"],
            "accuracy": rows["accuracy"],
            "energy_wh_per_text": rows["energy_wh"] / rows["texts"],
            "energy_wh_per_text_below": rows["energy_wh_below"] / rows["texts"],
            "energy_kind": rows["energy_kind"],
            "origin": rows["origin"],
        }
    ).astype({"energy_wh_per_text": float, "energy_wh_per_text_below": float})
    order = {name: place for place, name in enumerate(study().datasets)}
    table = table.sort_values("dataset", key=lambda column: column.map(order), kind="stable")
    return table.astype(object).where(table.notna(), None)


def _options(titles: Iterator[str]) -> str:
    return "".join(
        f'<option value="{place}">{html.escape(title)}</option>' for place, title in enumerate(titles)
    )


def _options_of(titles: dict[str, str]) -> str:
    return "".join(f'<option value="{name}">{html.escape(title)}</option>' for name, title in titles.items())


def _json(content: dict[str, Any]) -> str:
    # Inside a script element only "<" could end it.
    return json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _coefficients(fits: list[dict[str, Any]]) -> str:
    rows = [
        {
            "Machine": fit["title"],
            "Runs": fit["n"],
            **{
                title: f"{fit['terms'][term]['estimate']:.4g}" if term in fit["terms"] else None
                for term, title in regression.TITLES.items()
            },
            "Scatter (Wh)": f"{fit['residual_sd_wh']:.3g}",
            "Energy": fit["accounting_title"],
        }
        for fit in fits
    ]
    table = pd.DataFrame(rows)
    caption = "Coefficients (Wh/s for Duration and Duration:GPUs, Wh for GPUs and Constant)"
    return html_table(table, caption, table.columns[1:-1])


_BODY = """
<div class="calculator" hidden>
<form class="calculator-part" id="calculator-energy">
<p class="panel-title">From a duration to an energy</p>
<div class="fields">
<label>Machine <select name="fit">{fits}</select></label>
<label>GPUs <select name="gpus"></select></label>
<label>Duration (s) <input name="duration" type="number" min="0" step="any" value="600" required></label>
<label>Electricity <select name="grid">{grids}</select></label>
</div>
<output aria-live="polite"></output>
</form>
<form class="calculator-part" id="calculator-models">
<p class="panel-title">From a wish to the models that meet it</p>
<div class="fields">
<label>Dataset <select name="dataset">{datasets}</select></label>
<label>Accuracy, at least <input name="accuracy" type="number" min="0" max="1" step="0.01" value="0.4" required></label>
<label>Texts <input name="texts" type="number" min="1" step="1" value="100000" required></label>
<label>Electricity <select name="grid">{grids}</select></label>
</div>
<output aria-live="polite"></output>
</form>
</div>
<noscript><p>The calculator needs JavaScript. Without it: the coefficients below, or
<code>python -m helpers fit --machine capella --json</code>.</p></noscript>
<script type="application/json" id="calculator-data">{data}</script>
"""
