"""Which model for my task: the runs that meet a reader's wishes, the least energy first, in the reader's browser."""

import pandas as pd

from helpers.figures.beyond.calculator import grid_options
from helpers.figures.display import Figure
from helpers.figures.html import ROOT_LINK, options, script_json
from helpers.figures.plots import bars
from helpers.figures.run_addresses import page_of
from helpers.figures.source_panel import is_record
from helpers.results.tables import Tables, select_sequential
from helpers.results.weights import run_titles
from helpers.statistics.accuracy_noise import Z, standard_error
from helpers.statistics.overlap import effective_texts_of_run
from helpers.statistics.proxy import MEASURED_FROM_S
from helpers.study.carbon_intensity import grids
from helpers.study.catalogue import embedding_models, machine_title, study

DOUBTFUL = 10
"""An embedding's energy is doubtful where the same model takes this many times as much for as many other texts."""
_PUBLISHED_PAGES = ("table_b1", "table_b4", "table_b5")
_HARDWARE = {"": "any", "0": "no GPU", "1": "1 GPU", "2": "2 GPUs", "4": "4 GPUs"}


def model_choice(tables: Tables) -> Figure:
    """Put the choice on a page; what it knows is the results table, inside the page."""
    return draw(rows(tables.results))


def draw(models: pd.DataFrame) -> Figure:
    """Put the choice among the models of `rows` on a page."""
    datasets = {name: study().datasets[name] for name in dict.fromkeys(models["dataset"])}
    content = {
        "grids": [{"title": grid.title, "gco2e_per_kwh": grid.gco2e_per_kwh} for grid in grids().values()],
        "training_texts": {name: entry.split.train for name, entry in datasets.items()},
        "models": models.drop(columns=["origin"]).to_dict("records"),
    }
    return Figure(
        name="model_choice",
        label="Model choice",
        finding=f"Compare {len(models)} results of {models['model'].nunique()} models by what you need.",
        note=(
            "A run qualifies if its accuracy, on the texts of the study, is at least what you ask for. The range of an accuracy "
            "is its 95 % interval by the choice of the test texts, and that of an energy what reading, rounding or the spread "
            "over the splits allow. Nothing leaves your browser."
        ),
        data=models,
        function="helpers.figures.beyond.model_choice.model_choice",
        body=_BODY.format(
            datasets=options({name: f"{entry.task} ({entry.title})" for name, entry in datasets.items()}),
            hardware=options(_HARDWARE),
            grids=grid_options(),
            root=ROOT_LINK,
            data=script_json(content),
        ),
        inputs=[*sorted(set(models["origin"])), "data/study/grids.yaml"],
    )


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the runs to choose from, by dataset: on one node, with an accuracy, and an energy or its limit.

    Columns: of `results` `dataset`, `model`, `source`, `gpus`, `accuracy`, `energy_kind`, `origin`; `title`,
    `machine_title`; `trained` (the model learns from labelled texts); `accuracy_low` and `accuracy_high` (95 %, by the
    choice of the test texts); `wh_per_text` with `wh_low_per_text`, `wh_high_per_text`, null and the limit where only that is
    known; `s_per_text`; `doubtful`; `too_short` for the paper's meter; `page`, the evidence as seen from the root of the book.
    """
    results = select_sequential(results)
    chosen = results[results["accuracy"].notna() & (results["nodes"] == 1)]
    chosen = chosen[chosen["energy_wh"].notna() | chosen["energy_wh_below"].notna()]
    margin = _accuracy_margin(chosen)
    energy, bound = chosen["energy_wh"].astype(float), bars.bound(chosen, bars.ENERGY)
    texts = chosen["texts"].astype(float)
    limit = chosen["energy_wh_below"].astype(float)
    table = pd.DataFrame(
        {
            **{column: chosen[column] for column in ("dataset", "model", "source")},
            "title": run_titles(chosen),
            "trained": chosen["family"] == "Traditional",
            "machine_title": chosen["machine"].map(machine_title),
            "gpus": chosen["gpus"].astype(float).mask(_without_gpu(chosen), 0),
            "accuracy": chosen["accuracy"].astype(float),
            "accuracy_low": (chosen["accuracy"] - margin).clip(lower=0),
            "accuracy_high": (chosen["accuracy"] + margin).clip(upper=1),
            "wh_per_text": energy / texts,
            "wh_low_per_text": (energy - bound).clip(lower=0) / texts,
            "wh_high_per_text": (energy + bound).fillna(limit) / texts,
            "s_per_text": chosen["duration_s"].astype(float) / texts,
            "energy_kind": chosen["energy_kind"],
            "doubtful": _doubtful(chosen),
            "too_short": (chosen["source"] == "published")
            & (chosen["duration_s"].astype(float) < MEASURED_FROM_S),
            "page": [_page(str(origin)) for origin in chosen["origin"]],
            "origin": chosen["origin"],
        }
    )
    order = list(study().datasets)
    table = table.sort_values("dataset", key=lambda column: column.map(order.index), kind="stable")
    return table.astype(object).where(table.notna(), None)


def _accuracy_margin(runs: pd.DataFrame) -> pd.Series:
    """Return the half width of the 95 % interval of each accuracy; of a published one with its rounding or reading."""
    columns = ("accuracy", "dataset", "texts", "splits", "origin", "source")
    noise = [
        Z
        * standard_error(
            float(accuracy),
            effective_texts_of_run(
                dataset, int(texts), int(splits), None if source == "published" else str(origin)
            ),
        )
        for accuracy, dataset, texts, splits, origin, source in zip(
            *(runs[name] for name in columns), strict=True
        )
    ]
    return pd.Series(noise, index=runs.index) + runs["accuracy_uncertainty"].astype(float).fillna(0)


def _without_gpu(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Say which published runs used no GPU: Table B1 prints one for them, perhaps that of the job (paper, section 4.1)."""
    plain = (rows["family"] == "Traditional") & ~rows["model"].isin(embedding_models())
    return (rows["source"] == "published") & plain


def _page(origin: str) -> str:
    """Return where the evidence stands: the page of a run, the table of a published value."""
    if is_record(origin):
        return page_of(origin)
    table = next((name for name in _PUBLISHED_PAGES if name in origin.split()), "runs")
    return f"notebooks/analysis/{table}.html"


def _doubtful(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Say which published energies are too small for the work, as an embedding's (Errata).

    On another dataset of as many texts the same model takes more than `DOUBTFUL` times as much.
    """
    known = rows[(rows["source"] == "published") & rows["model"].isin(embedding_models())]
    most = known.groupby(["model", "texts"])["energy_wh"].transform("max")
    return (known["energy_wh"] * DOUBTFUL < most).reindex(rows.index, fill_value=False)


_BODY = """
<div class="calculator" hidden>
<form class="calculator-part" id="calculator-models">
<div class="fields">
<label>The task of the study that is most like yours <select name="dataset">{datasets}</select></label>
<label>Labelled examples to learn from <select name="labelled">
<option value="yes">as many as in the study</option><option value="">none</option></select></label>
<label>Accuracy, at least <input name="accuracy" inputmode="decimal" autocomplete="off" value="0.4"></label>
<label>Texts <input name="texts" inputmode="numeric" autocomplete="off" value="100000"></label>
<label>Hardware <select name="hardware">{hardware}</select></label>
<label>Electricity <select name="grid">{grids}</select></label>
</div>
<output aria-live="polite"></output>
</form>
<a class="root" hidden href="{root}index.html">Book</a>
</div>
<noscript><p>The choice needs JavaScript. Without it: Figures 1 and 7 and Tables B1, B4 and B5 show the same runs.</p></noscript>
<script type="application/json" id="calculator-data">{data}</script>
"""
