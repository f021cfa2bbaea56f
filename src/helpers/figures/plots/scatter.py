"""Accuracy against energy: the panels that Figures 1 and 7 share."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from helpers.figures import labels, style
from helpers.figures.display import Panel
from helpers.figures.hover import hover_text
from helpers.figures.plots.measured_runs import language_models, reservations, weights_ring
from helpers.results.tables import select_sequential
from helpers.results.weights import run_title, run_titles, short_title
from helpers.statistics import selection
from helpers.study.catalogue import PAPER_EMBEDDING, study

_FRAME_PX = 57
"""What a plot leaves of its height to margins and axis."""
_BROAD_PX = (759, 640, 511)
"""Widths of a plot without its axes across the page, from that of a desktop down to where fewer labels are shown."""
_NARROW_PX = (400, 325, 280, 237)
"""The same in a grid and on a phone, where `NARROW_PX` of book/_static/figures.js is not reached."""
_ROOM = 0.2
"""Left free at both ends of an accuracy axis, of what the data span, but at least of `_MIN_SPAN`."""
_MIN_SPAN = 0.2
_WHISKER_STEP_PX = 5
_LOWEST = 0.01
"""A whisker is followed down to this part of its energy, as a logarithmic axis has no zero."""
DATA_COLUMNS = [
    *("dataset", "model", "family", "source", "machine", "gpus"),
    *("accuracy", "accuracy_uncertainty", "accuracy_sd"),
    *("energy_wh", "energy_wh_below", "energy_uncertainty_wh", "energy_sd_wh", "energy_kind"),
    *("duration_s", "texts", "checkpoint", "weights", "checks_failed", "origin"),
]
"""Columns of `results` that a figure of this kind offers as CSV."""
MARKS = "Filled: our runs, with a cross where CPU and GPU were estimated, with a dot where one of them was measured."
RING = "A mark in a ring is a language model with quantised weights, which is none of the paper's, whatever its name is like."
INFERRED = (
    "Hollow with a dot: inferred from the limits of the printed panel, which hides the mark; the paper prints only that the "
    "energy is below 0.01 Wh."
)
"""What is said of the one published energy that was neither printed nor read off a mark (`energy_kind`: inferred)."""
COMPARED = "linear-embedding"
"""The classifier that the paper compares its language models with (section 5)."""
ACCOUNTING = "CPU, GPU and memory are added up as in the paper; memory always counts by a rule."


@dataclass(frozen=True)
class Axes:
    """Ranges of the axes: accuracy, and energy in decades of Wh."""

    accuracy: tuple[float, float]
    decades: tuple[int, int]


@dataclass(frozen=True)
class Plot:
    """How large a panel is drawn, and which rows (of the index) bear a label on a desktop and on a phone.

    `needed` ones bear it in any case, if at the end of a line; others where there is room.
    """

    height: int
    broad: Collection[object]
    narrow: Collection[object]
    needed: Collection[object] = ()
    wide: bool = False
    legend: bool = False
    brief: int | None = None
    """Height on the front page, if it stands there, too."""

    @property
    def broad_px(self) -> list[labels.Size]:
        """Sizes of the plot without its axes on a desktop: its labels suit them all."""
        return self._sizes(_BROAD_PX if self.wide else _NARROW_PX)

    @property
    def narrow_px(self) -> list[labels.Size]:
        """The same on a phone."""
        return self._sizes(_NARROW_PX)

    def _sizes(self, widths: Sequence[int]) -> list[labels.Size]:
        heights = (self.height, self.brief) if self.brief else (self.height,)
        return [(width, height - _FRAME_PX) for height in heights for width in widths]


def sorted_by_study(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort rows of `results` by dataset, source and model; datasets and models as in the catalogue."""
    order = {"dataset": list(study().datasets), "model": list(study().models)}
    return rows.sort_values(
        ["dataset", "source", "model"],
        key=lambda column: column.map(order[column.name].index) if column.name in order else column,
        kind="stable",
    )


def side_by_side(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that may stand in one plot: the measured, and the published of Tables B1, B4 and B5, one node."""
    rows = select_sequential(results)
    published = rows["source"] == "published"
    printed_in = rows["origin"].str.contains("table_b1|table_b4|table_b5")
    return rows[rows["accuracy"].notna() & (~published | (printed_in & (rows["nodes"] == 1)))]


def drawable(rows: pd.DataFrame) -> pd.Series:
    """Say which rows have an energy, or at least a limit for it."""
    return rows["energy_wh"].notna() | rows["energy_wh_below"].notna()


def panel(runs: pd.DataFrame, dataset: str, axes: Axes, plot: Plot, alt: str = "") -> Panel:
    """Draw rows of `results` of one dataset: hollow where published, filled where measured.

    Rows without any energy are named below the title instead; where nothing is left, the plot says so.
    """
    entry = study().datasets[dataset]
    rows = runs[drawable(runs)]
    figure = go.Figure()
    style.layout(figure, height=plot.height)
    style.energy_axis(figure, *axes.decades, title="Energy of one pass")
    figure.update_xaxes(title="Accuracy", range=list(axes.accuracy))
    broad = _labels(rows, plot.broad, plot.needed, axes, plot.broad_px)
    narrow = _labels(rows, plot.narrow, plot.needed, axes, plot.narrow_px)
    for family, look in style.FAMILIES.items():
        for is_published in (True, False):
            mask = (rows["family"] == family) & ((rows["source"] == "published") == is_published)
            if mask.any():
                figure.add_trace(
                    _trace(rows[mask], look, is_published, broad[mask], narrow[mask], plot.legend)
                )
    energy = rows["energy_wh"].fillna(rows["energy_wh_below"])
    labels.draw_leaders(figure, drawn_at(rows), energy, style.colours(rows), broad, narrow)
    figure.add_traces(weights_ring(rows, drawn_at(rows), energy, plot.legend))
    if rows.empty:
        style.not_measured(figure)
    measured = rows[rows["source"] != "published"]
    return Panel(
        name=dataset,
        title=entry.title,
        note=_note(measured, plot.wide) + _left_out(runs[~drawable(runs)]),
        figure=figure,
        alt=f"{alt or _alt(rows, entry.title)}{language_models(rows)}",
        wide=plot.wide,
    )


def accuracy_range(rows: pd.DataFrame) -> tuple[float, float]:
    """Return what the accuracy axis of rows that are drawn spans: what they do, and room for labels at both ends."""
    if rows.empty:
        return 0.0, 1.0
    low, high = rows["accuracy"].min(), rows["accuracy"].max()
    room = _ROOM * max(high - low, _MIN_SPAN)
    return low - room, high + room


def decades(rows: pd.DataFrame) -> tuple[int, int]:
    """Return the decades of an energy axis for all of these rows, in Wh: a reader compares down the page."""
    energy = rows["energy_wh"].fillna(rows["energy_wh_below"]).astype(float).dropna()
    if energy.empty:
        return -5, 3
    return math.floor(math.log10(energy.min())), math.ceil(math.log10(energy.max()))


def extremes(rows: pd.DataFrame) -> list[object]:
    """Return the published rows with the most and the least accuracy and energy; without any, those of our runs."""
    published = rows[rows["source"] == "published"]
    named = rows if published.empty else published
    energy = named["energy_wh"].dropna()
    if energy.empty:
        return []
    picked = (selection.most_accurate(named), selection.most_energy(named), selection.least_energy(named))
    return [*(row.name for row in picked), named["accuracy"].idxmin()]


def drawn_at(rows: pd.DataFrame) -> pd.Series:
    """Return the accuracies at which rows are drawn: read off the paper's figure where that is known (`comparable`)."""
    return rows["accuracy_read"] if "accuracy_read" in rows else rows["accuracy"]


def pixels(rows: pd.DataFrame, axes: Axes, size: labels.Size) -> list[tuple[float, float]]:
    """Return where the rows lie in a plot of that size, from the left and from the top."""
    energies = rows["energy_wh"].fillna(rows["energy_wh_below"])
    return [_pixel(x, y, axes, size) for x, y in zip(drawn_at(rows), energies, strict=True)]


def whisker_pixels(rows: pd.DataFrame, axes: Axes, size: labels.Size) -> list[tuple[float, float]]:
    """Return points along the whiskers of the rows in a plot of that size, which labels keep clear of."""
    published = rows["source"] == "published"
    across = rows["accuracy_sd"].mask(published).astype(float).fillna(0)
    energy = rows["energy_wh"].fillna(rows["energy_wh_below"]).astype(float)
    upwards = rows["energy_sd_wh"].mask(published, rows["energy_uncertainty_wh"]).astype(float).fillna(0)
    along = []
    for x, y, dx, dy in zip(drawn_at(rows), energy, across, upwards, strict=True):
        lowest = max(y - dy, y * _LOWEST)
        for start, end in (((x - dx, y), (x + dx, y)), ((x, lowest), (x, y + dy))):
            first, last = (_pixel(*point, axes, size) for point in (start, end))
            steps = int(math.dist(first, last) // _WHISKER_STEP_PX)
            across_px, down_px = last[0] - first[0], last[1] - first[1]
            parts = [step / steps for step in range(steps + 1)] if steps > 1 else []
            along += [(first[0] + part * across_px, first[1] + part * down_px) for part in parts]
    return along


def _pixel(x: float, y: float, axes: Axes, size: labels.Size) -> tuple[float, float]:
    width, height = size
    left, right = axes.accuracy
    low, high = axes.decades[0] - style.PAD, axes.decades[1] + style.PAD
    return (x - left) / (right - left) * width, (high - math.log10(y)) / (high - low) * height


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
        "triangle-down-open" if limit else f"{look.symbol}{style.SYMBOLS[kind]}"
        for limit, kind in zip(below, rows["energy_kind"], strict=True)
    ]
    spread = {"thickness": 1, "width": 0, "color": look.light}
    return go.Scatter(
        x=drawn_at(rows),
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
        meta=style.themed(look.light, look.dark, not published, broad, narrow),
    )


def _labels(
    rows: pd.DataFrame,
    labelled: Collection[object],
    needed: Collection[object],
    axes: Axes,
    sizes: Sequence[labels.Size],
) -> pd.DataFrame:
    """Return the labels; what bears none is in the hover."""
    text = rows["model"].map({name: short_title(model.title) for name, model in study().models.items()})
    text = text.where(rows.index.isin(list(labelled)), "")
    points, whiskers = (find(rows, axes, sizes[0]) for find in (pixels, whisker_pixels))
    return labels.place(text, points, *sizes, lines=whiskers, needed=needed)


def _note(measured: pd.DataFrame, wide: bool) -> str:
    if measured.empty:
        return (
            "Published values; not measured by us."
            if not wide
            else ("Published values. The texts are not public as a file, so we have no runs of our own here.")
        )
    other = other_embeddings(measured)
    embedding = f" Embedding rows use {', '.join(other)}, not the paper's checkpoint." if other else ""
    return f"Measured: {', '.join(sorted(set(measured['source'])))}.{embedding}{reservations(measured)}"


def other_embeddings(rows: pd.DataFrame) -> list[str]:
    """Return the sentence embeddings of measured rows, those of language models aside, that are not the paper's."""
    embedded = rows.loc[rows["family"] == "Traditional", "checkpoint"]
    return sorted(set(embedded.dropna()) - {PAPER_EMBEDDING})


def _left_out(rows: pd.DataFrame) -> str:
    return f" Without any energy, so not drawn: {', '.join(run_titles(rows))}." if len(rows) else ""


def _alt(rows: pd.DataFrame, title: str) -> str:
    if rows.empty:
        return f"{title}: not measured by us."
    parts = []
    for published, part in rows.groupby(rows["source"] == "published", sort=False):
        best = selection.most_accurate(part)
        kind, count = "Published" if published else "Measured here", part["model"].nunique()
        parts.append(
            f"{kind}: {count} model{'s' if count > 1 else ''}, best {run_title(best)} with accuracy "
            f"{best['accuracy']:.2f}."
        )
    return f"{title}, accuracy against energy. {' '.join(parts)}"
