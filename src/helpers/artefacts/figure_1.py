"""Figure 1: accuracy against energy, one panel per dataset (paper, Figure 1 and Tables B1, B4, B5)."""

import math

import pandas as pd
import plotly.graph_objects as go

from helpers import style, units
from helpers.hover import hover_text
from helpers.results import Tables
from helpers.show import Artefact, Panel
from helpers.study import PAPER_EMBEDDING, model_title, study

REAL = ("news", "yelp", "tomatoes", "emotion")
_WIDE_PX, _SMALL_PX, _NARROW_PX = (600.0, 370.0), (235.0, 240.0), (250.0, 370.0)
"""Size of the plots without their axes, for placing the labels: on a desktop, in the grid, on a phone."""
_DATA_COLUMNS = [
    "dataset",
    "synthetic",
    "model",
    "family",
    "source",
    "machine",
    "gpus",
    "accuracy",
    "accuracy_uncertainty",
    "accuracy_sd",
    "energy_wh",
    "energy_wh_below",
    "energy_uncertainty_wh",
    "energy_sd_wh",
    "energy_kind",
    "duration_s",
    "texts",
    "checkpoint",
    "checks_failed",
    "origin",
]


def figure_1(tables: Tables) -> Artefact:
    """Draw Figure 1 from the results table: FKTG as published, the public datasets with what was measured.

    Capella, one node, minimal number of GPUs (Table B1) for the published rows; every measured row of the
    dataset beside them. The synthetic sample has a panel of its own.
    """
    chosen = _rows(tables.results)
    fktg = chosen[(chosen["dataset"] == "fktg") & (chosen["source"] == "published")]
    best = fktg.sort_values("accuracy").iloc[-1]
    cheapest, dearest = (fktg.sort_values("energy_wh").iloc[i] for i in (0, -1))
    decades = math.log10(dearest["energy_wh"] / cheapest["energy_wh"])
    finding = (
        f"The most accurate model, {model_title(best['model'])}, needs {units.energy(best['energy_wh'])} for 189 texts; "
        f"the dearest, {model_title(dearest['model'])}, needs {units.energy(dearest['energy_wh'])} and is less accurate."
    )
    return Artefact(
        name="figure_1_accuracy_energy",
        label="Figure 1",
        finding=finding,
        note=(
            "Energy of one pass over a test set (189 texts of FKTG and the sample, 200 of the others) against "
            "accuracy. Hollow: published, Capella, one node; a triangle is an upper limit. Filled: our runs, with a "
            "cross where CPU and GPU were estimated, with a dot where one of them was measured. CPU, GPU and memory "
            "are added up as in the paper; memory always counts by a rule."
        ),
        data=chosen[_DATA_COLUMNS],
        function="helpers.artefacts.figure_1.figure_1",
        panels=[
            _panel(chosen, "fktg", f"{finding} The energies span {decades:.1f} decades.", wide=True),
            *(_panel(chosen, name, "") for name in (*REAL, "fktg-sample")),
        ],
    )


def _rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the measured rows, and of the published ones those of Figure 1 and Tables B4 and B5."""
    published = results["source"] == "published"
    printed_in = results["origin"].str.contains("table_b1|table_b4|table_b5")
    keep = results["accuracy"].notna() & (~published | (printed_in & (results["nodes"] == 1)))
    return results[keep].sort_values(["dataset", "source", "model"], key=_in_the_studys_order)


def _in_the_studys_order(column: pd.Series) -> pd.Series:
    order = list(study().models)
    return column.map(order.index) if column.name == "model" else column


def _energy_axis(rows: pd.DataFrame) -> tuple[int, int]:
    """Return the decades of all energy axes, in Wh: a reader compares down the page."""
    energy = rows["energy_wh"].dropna()
    return min(-5, math.floor(math.log10(energy.min()))), max(3, math.ceil(math.log10(energy.max())))


_MARKS = {"measured": "", "partly-measured": "-dot", "estimated": "-x"}
"""What is added to the marker of a run, by how its energy was got."""


def _panel(chosen: pd.DataFrame, dataset: str, alt: str, wide: bool = False) -> Panel:
    entry = study().datasets[dataset]
    decades = _energy_axis(chosen)
    of_dataset = chosen[chosen["dataset"] == dataset]
    has_energy = of_dataset["energy_wh"].notna() | of_dataset["energy_wh_below"].notna()
    rows = of_dataset[has_energy]
    measured = rows[rows["source"] != "published"]
    figure = go.Figure()
    style.layout(figure, height=480 if wide else 340)
    style.energy_axis(figure, *decades)
    low, high = (-0.03, 1.03)
    if wide:
        low, high = min(0.25, rows["accuracy"].min() - 0.02), max(0.62, rows["accuracy"].max() + 0.02)
    figure.update_xaxes(title="Accuracy", range=[low, high])
    broad = _labels(rows, everything=wide, box=(low, high, *decades), size=_WIDE_PX if wide else _SMALL_PX)
    narrow = _labels(
        rows, everything=False, box=(low, high, *decades), size=_NARROW_PX if wide else _SMALL_PX
    )
    for family, look in style.FAMILIES.items():
        for is_published in (True, False):
            mask = (rows["family"] == family) & ((rows["source"] == "published") == is_published)
            if mask.any():
                part = rows[mask]
                figure.add_trace(_trace(part, look, is_published, broad[mask], narrow[mask], legend=wide))
    if rows.empty:
        style.not_measured(figure)
    return Panel(
        name=dataset,
        title=entry.title,
        note=_note(measured, entry.synthetic, wide) + _left_out(of_dataset[~has_energy]),
        figure=figure,
        alt=alt or _alt(rows, entry.title),
        wide=wide,
        marked=entry.synthetic,
    )


def _trace(
    rows: pd.DataFrame,
    look: style.FamilyStyle,
    published: bool,
    broad: pd.DataFrame,
    narrow: pd.DataFrame,
    legend: bool,
) -> go.Scatter:
    below = rows["energy_wh"].isna()
    energy = rows["energy_wh"].fillna(rows["energy_wh_below"])
    symbols = [
        "triangle-down-open"
        if limit
        else f"{look.symbol}-open"
        if published
        else f"{look.symbol}{_MARKS[kind]}"
        for limit, kind in zip(below, rows["energy_kind"], strict=True)
    ]
    spread = {"thickness": 1, "width": 0, "color": look.light}
    return go.Scatter(
        x=rows["accuracy"],
        y=energy,
        mode="markers+text",
        name=f"{look.title}, {'published' if published else 'measured'}",
        showlegend=legend,
        text=broad["text"],
        textposition=list(broad["place"]),
        textfont={"color": look.light, "size": style.FONT_SIZE - 1},
        marker={
            "symbol": symbols,
            "size": 11,
            "color": look.light,
            "line": {"width": 2 if published else 1, "color": look.light if published else style.PAPER},
        },
        cliponaxis=False,
        error_x=None if published else {"array": rows["accuracy_sd"].fillna(0), **spread},
        error_y={"array": rows["energy_uncertainty_wh" if published else "energy_sd_wh"].fillna(0), **spread},
        hovertext=[hover_text(row) for _, row in rows.iterrows()],
        hoverinfo="text",
        meta=style.themed(
            look.light,
            look.dark,
            not published,
            broad,
            narrow,
        ),
    )


def _labels(
    rows: pd.DataFrame, everything: bool, box: tuple[float, float, int, int], size: tuple[float, float]
) -> pd.DataFrame:
    """Return text and place of the labels: of all points, or of the extreme ones; the rest is in the hover."""
    text = rows["model"].map({name: model.title for name, model in study().models.items()})
    if not everything:
        text = text.where(rows.index.isin(_extremes(rows)), "")
    points = _pixels(rows, box, size)
    places = style.place_labels(points, list(text), *size)
    return pd.DataFrame({"text": text, "place": pd.Series(places, index=rows.index, dtype=object)})


def _extremes(rows: pd.DataFrame) -> list[object]:
    """Return the published rows with the most and the least accuracy and energy; without any, those of our runs."""
    published = rows[rows["source"] == "published"]
    named = rows if published.empty else published
    energy = named["energy_wh"].dropna()
    return (
        [named["accuracy"].idxmax(), named["accuracy"].idxmin(), energy.idxmax(), energy.idxmin()]
        if len(energy)
        else []
    )


def _pixels(
    rows: pd.DataFrame, box: tuple[float, float, int, int], size: tuple[float, float]
) -> list[tuple[float, float]]:
    width, height = size
    left, right, low, high = box[0], box[1], box[2] - style.PAD, box[3] + style.PAD
    return [
        (
            (x - left) / (right - left) * width,
            (high - math.log10(y)) / (high - low) * height,
        )
        for x, y in zip(rows["accuracy"], rows["energy_wh"].fillna(rows["energy_wh_below"]), strict=True)
    ]


def _note(measured: pd.DataFrame, synthetic: bool, wide: bool) -> str:
    if synthetic:
        lead = "Invented texts, for trying the companion out; not a result of the paper's kind. "
        return lead + ("" if len(measured) else "Not measured on this machine.")
    if measured.empty:
        return (
            "Published values; not measured on this machine."
            if not wide
            else ("Published values. The texts are not public as a file, so no run of ours stands here.")
        )
    other = sorted(set(measured["checkpoint"].dropna()) - {PAPER_EMBEDDING})
    return f"Measured: {', '.join(sorted(set(measured['source'])))}." + (
        f" Embedding rows use {', '.join(other)}, not the paper's checkpoint." if other else ""
    )


def _left_out(rows: pd.DataFrame) -> str:
    return (
        f" Without any energy, so not drawn: {', '.join(map(model_title, rows['model']))}."
        if len(rows)
        else ""
    )


def _alt(rows: pd.DataFrame, title: str) -> str:
    if rows.empty:
        return f"{title}: not measured on this machine."
    parts = []
    for published, part in rows.groupby(rows["source"] == "published", sort=False):
        best = part.sort_values("accuracy").iloc[-1]
        kind = "Published" if published else "Measured here"
        parts.append(
            f"{kind}: {len(part)} models, best {model_title(best['model'])} with accuracy {best['accuracy']:.2f}."
        )
    return f"{title}, accuracy against energy. {' '.join(parts)}"
