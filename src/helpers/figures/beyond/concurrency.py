"""Energy, speed and accuracy of language models against concurrency, the number of requests in flight."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.beyond import concurrency_panels, concurrency_tables
from helpers.figures.beyond.concurrency_panels import ACCURACY, ENERGY, SPEED, Series
from helpers.figures.beyond.sequential_settings import SETTINGS, unlike_default
from helpers.figures.display import Figure
from helpers.figures.plots import scatter
from helpers.figures.plots import tables as parts
from helpers.results.tables import Tables, select_real
from helpers.study import roofline
from helpers.study.catalogue import LanguageModel, model_title, study

SERIES = ["source", "machine", "dataset", "model", "gpus", "nodes", *SETTINGS]
"""What runs have in common that differ in their concurrency only."""
NO_SWEEP = "No campaign has run a language model with different numbers of texts at a time yet."
"""The sentence for no measured series."""
_COLUMNS = (
    *("source", "dataset", "model", "family", "machine", "gpu_model", "gpus", "nodes"),
    *SETTINGS,
    *("concurrency", "texts", "duration_s", "texts_per_s", "energy_wh", "wh_per_text", "energy_kind"),
    "gpu_wh",
    *("accuracy", "accuracy_sd", "tokens_in", "tokens_out", "parse_failures"),
    *("bound_texts_per_s", "bound_wh_per_text", "checks_failed", "origin"),
)


def concurrency(tables: Tables) -> Figure:
    """Show energy per text, texts per second and accuracy against concurrency, published and measured.

    The paper prints no concurrency; its runs stand beside what the hardware allows at best with all texts together.
    Runs of ours are drawn where a campaign ran the same model with several concurrencies.
    """
    runs = rows(tables.results)
    return draw(published_rows(runs), swept_rows(runs))


def draw(published: pd.DataFrame, swept: pd.DataFrame) -> Figure:
    """Draw `published_rows` beside their bounds, and a line for each of the `series` in `swept_rows`."""
    finding = _finding(published, swept)
    return Figure(
        name="concurrency",
        label="Energy, time and accuracy against concurrency",
        finding=finding,
        note=_note(published),
        data=pd.concat([published, swept], ignore_index=True)[list(_COLUMNS)],
        function="helpers.figures.beyond.concurrency.concurrency",
        panels=[
            *(concurrency_panels.published(published, quantity, finding) for quantity in (ENERGY, SPEED)),
            *(
                concurrency_panels.measured(series(group), str(dataset), quantity)
                for dataset, group in swept.groupby("dataset", sort=False)
                for quantity in (ENERGY, SPEED, ACCURACY)
            ),
        ],
        body=concurrency_tables.published(published)
        + (concurrency_tables.measured(series(swept)) if len(swept) else parts.paragraph(NO_SWEEP)),
    )


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of language models with their rates and bounds (`with_rates`)."""
    return with_rates(select_real(results[results["family"] != "Traditional"]))


def with_rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Add texts per second, energy per text and the bound of each with all texts together to rows of `results`.

    `bound_texts_per_s` is an upper bound, `bound_wh_per_text` a lower one. They are absent without
    the model's size in the catalogue, or the GPU's limits in `data/study/gpus.yaml`.
    """
    texts, duration = rows["texts"].astype(float), rows["duration_s"].astype(float)
    bounds = [_bound(row) for _, row in rows.iterrows()]
    return rows.assign(
        texts_per_s=texts / duration,
        wh_per_text=rows["energy_wh"].astype(float) / texts,
        bound_texts_per_s=pd.Series([item and item.texts_per_s for item in bounds], rows.index, dtype=float),
        bound_wh_per_text=[
            math.nan if item is None else item.energy_wh / count
            for item, count in zip(bounds, texts, strict=True)
        ],
    )


def published_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of Table B1, whose durations and GPUs are printed; their concurrency is not."""
    chosen = rows[
        (rows["source"] == "published") & rows["origin"].str.contains("table_b1") & (rows["nodes"] == 1)
    ]
    return scatter.sorted_by_study(chosen)


def swept_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the measured runs that differ from another one in their concurrency only, in the study's order."""
    measured = rows[(rows["source"] != "published") & rows["duration_s"].notna()]
    counts = measured.groupby(SERIES, dropna=False)["concurrency"].transform("nunique")
    return scatter.sorted_by_study(measured[counts > 1].sort_values("concurrency", kind="stable"))


def series(rows: pd.DataFrame) -> Series:
    """Return the runs of each line of a panel with its name: the model, and what distinguishes it from other lines."""
    groups = [group for _, group in rows.groupby(SERIES, dropna=False, sort=False)]
    distinguishing = [
        name for name in ("source", "machine", "gpus", "nodes") if rows[name].nunique(dropna=False) > 1
    ]
    return [(_name(group.iloc[0], distinguishing), group.sort_values("concurrency")) for group in groups]


def _name(row: "pd.Series[Any]", distinguishing: Sequence[str]) -> str:
    names = {
        "source": str(row["source"]),
        "machine": str(row["machine"]),
        "gpus": units.counted(row["gpus"], "GPU") if row["gpus"] else "CPU",
        "nodes": units.counted(row["nodes"], "node"),
    }
    return ", ".join(
        [model_title(row["model"]), *(names[name] for name in distinguishing), *unlike_default(row)]
    )


def _bound(row: "pd.Series[Any]") -> roofline.LowerBound | None:
    """Return the bound of a row with all texts together; of a reasoning model only with counted tokens."""
    model = study().models[str(row["model"])]
    limits = roofline.find_limits(None if pd.isna(row["gpu_model"]) else str(row["gpu_model"]))
    if pd.notna(row["quantisation"]) or row["prefix_caching"] is True:
        return None  # fewer bytes to read, or fewer tokens to compute, than the bound counts
    if not isinstance(model, LanguageModel) or limits is None or pd.isna(row["gpus"]) or not row["gpus"]:
        return None
    counted = pd.notna(row["tokens_in"]) and pd.notna(row["tokens_out"])
    if not counted and row["family"] == "Deepseek":
        return None
    tokens = (
        [float(row[name]) / float(row["texts"]) for name in ("tokens_in", "tokens_out")] if counted else []
    )
    work = roofline.work_for(model, int(row["texts"]), *tokens)
    return roofline.concurrent_bound(work, limits, int(row["gpus"]))


def _finding(published: pd.DataFrame, swept: pd.DataFrame) -> str:
    fastest = published.sort_values("texts_per_s").iloc[-1]
    lead = (
        "The paper's durations on Capella are consistent with one text at a time: its fastest LLM there, "
        f"{model_title(fastest['model'])}, classifies "
        f"{units.significant(fastest['texts_per_s'], 2)} texts per second on {units.counted(fastest['gpus'], 'GPU')} "
        f"({fastest['gpu_model']}) and needs {units.energy(fastest['energy_wh'], 3)} for {fastest['texts']} texts"
    )
    if pd.notna(fastest["bound_texts_per_s"]):
        gain = fastest["bound_texts_per_s"] / fastest["texts_per_s"]
        lead += f", where the hardware allows up to {parts.times(gain)} times as many texts per second"
    return f"{lead}. {_gain(swept)}"


def _gain(swept: pd.DataFrame) -> str:
    """Return the largest gain of a series in our runs over its sequential run, as a sentence."""
    gains = []
    for name, rows in series(swept) if len(swept) else []:
        alone = rows[rows["concurrency"] == 1]
        if len(alone):
            best = rows.sort_values("texts_per_s").iloc[-1]
            gains.append((best["texts_per_s"] / alone["texts_per_s"].iloc[0], name, alone.iloc[0], best))
    if not gains:
        return NO_SWEEP if swept.empty else "None of our series starts with one text at a time."
    speedup, name, single, best = max(gains, key=lambda item: float(item[0]))
    changes = [f"{parts.times(speedup)} times as many texts per second"]
    if pd.notna(best["wh_per_text"]) and pd.notna(single["wh_per_text"]):
        changes.append(f"{100 * best['wh_per_text'] / single['wh_per_text']:.0f} % of the energy")
    if pd.notna(best["accuracy"]) and pd.notna(single["accuracy"]):
        before, now = (f"{row['accuracy']:.3f}" for row in (single, best))
        changes.append(
            f"the same accuracy ({now})" if now == before else f"an accuracy of {now} instead of {before}"
        )
    return (
        f"In our runs, {best['concurrency']} texts at a time instead of one give {parts.listed(changes)} ({name}): the largest "
        f"gain of the {len(gains)} series that start with one."
    )


def _note(published: pd.DataFrame) -> str:
    gpu = roofline.find_limits(str(published["gpu_model"].iloc[0]))
    return (
        "Hollow: published runs on one Capella node (Table B1); we infer one text at a time. Filled: our runs. "
        f"{scatter.ACCOUNTING} "
    ) + (
        ""
        if gpu is None
        else (
            "Dashes: the hardware limit with all texts processed together, for the GPUs alone at full power: a lower bound of "
            "the energy and an upper bound of the speed. It "
            f"assumes {roofline.FLOP_PER_PARAMETER} operations per parameter and token at {gpu.bf16_tflops:g} TFLOP/s, and all "
            f"weights ({roofline.BYTES_PER_PARAMETER} bytes each) read once per token at {gpu.bandwidth_tb_per_s:g} TB/s, "
            f"whichever takes longer, at {gpu.max_power_w:g} W ({gpu.title}, data sheet of the card with 80 GB; Capella has "
            f"the one with 94 GB, whose bandwidth the paper does not print). We assume {roofline.TOKENS_IN} tokens in and "
            f"{roofline.TOKENS_OUT} out, since the paper prints no token counts; reasoning models therefore have no bound. "
            "Runs with quantised weights or a prefix cache, which need less, have none either."
        )
    )
