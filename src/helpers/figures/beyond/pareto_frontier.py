"""The accuracy-energy Pareto frontier per dataset: the runs that no other run dominates."""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from helpers.figures import labels, style
from helpers.figures.beyond import pareto_tables
from helpers.figures.display import Figure, Panel
from helpers.figures.plots import scatter
from helpers.figures.plots import tables as parts
from helpers.figures.plots.comparable import comparable
from helpers.figures.plots.measured_runs import reservations
from helpers.results.tables import Tables
from helpers.results.weights import run_title, run_titles
from helpers.statistics import bootstrap
from helpers.statistics.frontier import (
    CERTAIN,
    OFF,
    POSSIBLE,
    disqualifications,
    membership,
    on_frontier,
    share_of_resamples,
)
from helpers.study.catalogue import model_title, study

_GROUP = ["dataset", "source", "machine"]
"""Only runs that share these compete: one dataset, one campaign (or the paper), one machine."""
_LINE = ("#6b7280", "#9aa3ae")
_DASHES = (("solid", "solid"), ("dot", "dotted"), ("dash", "dashed"), ("dashdot", "dash and dot"))
"""Lines of the campaigns of a panel, and how they are called."""
_FAINT = 0.3
_CLEAR_PX = 8
PUBLISHED, MEASURED = "published", "measured"


def frontier(tables: Tables) -> Figure:
    """Draw the Pareto frontier of every dataset, among the published runs and, apart from them, among those of a campaign.

    Membership of published runs is `certain` or `possible`, after rounding and limits; that of measured ones
    is the share of bootstrap resamples of the splits in which a run is on the frontier.
    """
    return draw(memberships(rows(tables), tables.split_results))


def draw(runs: pd.DataFrame) -> Figure:
    """Draw runs with their `memberships`: panels per dataset, for published and for measured runs."""
    published, measured = (runs[(runs["source"] == "published") == flag] for flag in (True, False))
    return Figure(
        name="frontier",
        label="Accuracy-energy frontier",
        finding=_finding(published),
        note=(
            "A run is on the frontier if no other run of the same dataset has at least its accuracy for at most its "
            "energy. Published and measured runs are not compared with each other: they have separate panels, and a line joins "
            "runs of one machine. A published mark is drawn where the paper's figure shows it, if it does, because the tables "
            "round different values to the same number. Accuracy axes differ from dataset to dataset. Strong marks are on the "
            "frontier; faint marks are not, or may not be. A triangle is a limit (printed as less than 0.01 Wh), so its model "
            'is only possibly on the frontier unless its accuracy decides. "Certain" means for all values that rounding, reading '
            "and limits allow; it does not mean that another sample of texts would give the same result. A run is drawn but "
            "not counted if its accuracy is at or below that of always naming the most frequent label, or if most of its answers "
            "have no label: low energy for guessing is no reason to choose a model. "
            f"{scatter.INFERRED} {scatter.MARKS} For measured runs the share shows in how many of "
            f"{bootstrap.DRAWS:,} resamples of the splits a run is on the frontier. {scatter.ACCOUNTING}"
        ),
        data=runs[
            [
                *scatter.DATA_COLUMNS[:-1],
                *("accuracy_read", "accuracy_low", "accuracy_high", "energy_low_wh", "energy_high_wh"),
                *("on_frontier", "disqualified", "share_of_resamples", "origin"),
            ]
        ],
        function="helpers.figures.beyond.pareto_frontier.frontier",
        panels=[*_panels(published, PUBLISHED), *_panels(measured, MEASURED)],
        body=pareto_tables.published(published)
        + (
            pareto_tables.measured(measured)
            if len(measured)
            else parts.paragraph(f"Runs of ours: {style.NOT_MEASURED}.")
        ),
    )


def rows(tables: Tables) -> pd.DataFrame:
    """Return the runs that may stand side by side (`comparable`), with the bounds in which accuracy and energy lie.

    `accuracy_low` and `accuracy_high` are what print and readings leave together, which decides more than the print.
    """
    runs = comparable(tables)
    return runs.assign(accuracy_low=runs["read_low"], accuracy_high=runs["read_high"])


def memberships(runs: pd.DataFrame, split_results: pd.DataFrame) -> pd.DataFrame:
    """Add `on_frontier` (`certain`, `possible` or `off`) and, for measured runs, `share_of_resamples` (0 to 1).

    `disqualified` says why no sentence counts a run, wherever it lies (`statistics.frontier.disqualifications`); empty where
    nothing does.
    """
    rows = runs.assign(disqualified=disqualifications(runs))
    rows["on_frontier"], rows["share_of_resamples"] = OFF, math.nan
    for _, group in rows.groupby(_GROUP, sort=False):
        rows.loc[group.index, "on_frontier"] = membership(group)
        if group["source"].iloc[0] != "published":
            splits = split_results[split_results["origin"].isin(group["origin"])]
            shares = _shares(splits)
            rows.loc[group.index, "share_of_resamples"] = group["origin"].map(shares).astype(float)
    return rows


def _shares(splits: pd.DataFrame) -> dict[str, float]:
    """Return the share of resamples per run; nothing where runs lack an energy or do not share their splits."""
    accuracy = splits.pivot(index="test_ids_sha256", columns="origin", values="accuracy")
    energy = splits.pivot(index="test_ids_sha256", columns="origin", values="energy_wh")
    if len(accuracy) < 2 or accuracy.isna().any(axis=None) or energy.isna().any(axis=None):
        return {}
    shares = share_of_resamples(accuracy, energy.astype(float))
    return {str(origin): float(share) for origin, share in shares.items()}


def _finding(published: pd.DataFrame) -> str:
    certain = _counted(published, CERTAIN)
    datasets = published["dataset"].nunique()
    per_model = certain.groupby("model")["dataset"].nunique()
    most = int(per_model.max())
    everywhere = [name for name in study().models if per_model.get(name) == most]
    reasoning = list(dict.fromkeys(certain[certain["family"] == "Deepseek"]["dataset"]))
    titles = parts.listed([study().datasets[name].title for name in reasoning])
    open_ones = len(_counted(published, POSSIBLE))
    return (
        f"{parts.titles(everywhere)} {'is' if len(everywhere) == 1 else 'are'} on the frontier of {most} of {datasets} "
        f"datasets, a reasoning model on that of {len(reasoning) or 'none'}{f' ({titles})' if reasoning else ''}; "
        f"{len(certain)} of {len(published)} published runs are certainly on a frontier, and another {open_ones} may be."
    )


def _counted(rows: pd.DataFrame, membership: str) -> pd.DataFrame:
    """Return the rows of a membership that sentences count: those that nothing disqualifies."""
    return rows[(rows["on_frontier"] == membership) & rows["disqualified"].eq("")]


def _panels(rows: pd.DataFrame, kind: str) -> list[Panel]:
    """Draw a panel per dataset; those of the published runs take the whole width, for their labels."""
    decades = scatter.decades(rows)
    datasets = [name for name in study().datasets if name in set(rows["dataset"])]
    return [_panel(rows[rows["dataset"] == name], name, kind, decades) for name in datasets]


def _panel(rows: pd.DataFrame, dataset: str, kind: str, decades: tuple[int, int]) -> Panel:
    published = kind == PUBLISHED
    members = _counted(rows, CERTAIN)
    ends = [members["energy_high_wh"].idxmin(), scatter.drawn_at(members).idxmax()] if len(members) else []
    low, high = scatter.drawn_at(rows).min(), scatter.drawn_at(rows).max()
    room = max(high - low, 0.1)
    axes = scatter.Axes(
        (low - 0.05 * room, high + 0.25 * room), decades
    )  # to the right of the last, its label
    plot = scatter.Plot(
        height=400 if published else 320,
        broad=[],
        narrow=[],
        wide=published,
        legend=published and dataset == "fktg",
    )
    title = f"{study().datasets[dataset].title}, {kind}"
    panel = scatter.panel(rows, dataset, axes, plot, f"{title}. {_members(members)}{_left_out(rows)}")
    broad = _labels(rows, members.index if published else ends, axes, plot.broad_px)
    narrow = _labels(rows, ends, axes, plot.narrow_px)
    energy = rows["energy_wh"].fillna(rows["energy_wh_below"])
    labels.draw_leaders(panel.figure, scatter.drawn_at(rows), energy, style.colours(rows), broad, narrow)
    for family, look in style.FAMILIES.items():
        _mark(panel.figure, rows[rows["family"] == family], f"{look.title}, {kind}", broad, narrow)
    for number, (_, group) in enumerate(rows.groupby(["source", "machine"], sort=False)):
        panel.figure.add_trace(_steps(group, _DASHES[number % len(_DASHES)][0]))
    return replace(panel, name=f"{dataset}-{kind}", title=title, note=_note(rows, published))


def _labels(
    rows: pd.DataFrame, labelled: Collection[object], axes: scatter.Axes, sizes: Sequence[labels.Size]
) -> pd.DataFrame:
    """Return text and position of the labels, which keep clear of the points and of the lines."""
    text = [
        model_title(name) if index in labelled else ""
        for index, name in zip(rows.index, rows["model"], strict=True)
    ]
    points = scatter.pixels(rows, axes, sizes[0])
    line = [
        point
        for _, group in rows.groupby(["source", "machine"], sort=False)
        for point in _along(scatter.pixels(_corners(group), axes, sizes[0]))
        if all(math.dist(point, mark) > _CLEAR_PX for mark in points)
    ]
    return labels.place(pd.Series(text, index=rows.index), points, *sizes, lines=line, needed=list(labelled))


def _along(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return points every few pixels along the steps between the corners: up first, then to the right."""
    points: list[tuple[float, float]] = []
    for (x, y), (right, up) in pairwise(corners):
        points += [(x, height) for height in np.arange(up, y, _CLEAR_PX)]
        points += [(width, up) for width in np.arange(x, right, _CLEAR_PX)]
    return points


def _mark(
    figure: go.Figure, rows: pd.DataFrame, name: str, broad: pd.DataFrame, narrow: pd.DataFrame
) -> None:
    """Make runs that are not on the frontier for certain faint, and label the others; a trace holds a family."""
    for trace in figure.select_traces(selector={"name": name}):
        trace.marker.opacity = [1.0 if on == CERTAIN else _FAINT for on in rows["on_frontier"]]
        trace.error_x.thickness = trace.error_y.thickness = 0
        trace.text, trace.textposition = broad["text"][rows.index], list(broad["place"][rows.index])
        trace.meta = {
            **trace.meta,
            "broad": broad.loc[rows.index, ["text", "place"]].to_dict("list"),
            "narrow": narrow.loc[rows.index, ["text", "place"]].to_dict("list"),
        }


def _members(members: pd.DataFrame) -> str:
    groups = [
        ("" if source == "published" else f"{source} on {machine}: ")
        + parts.listed(list(run_titles(group.sort_values("energy_high_wh"))))
        for (source, machine), group in members.groupby(["source", "machine"], sort=False)
    ]
    return f"Certainly on the frontier, by increasing energy: {'; '.join(groups) or 'none'}."


def _left_out(rows: pd.DataFrame) -> str:
    """Say which runs that no other dominates are not counted, and why; with a blank before it, or empty."""
    unbeaten = rows[(rows["on_frontier"] != OFF) & rows["disqualified"].ne("")]
    names = [f"{run_title(row)} ({row['disqualified']})" for _, row in unbeaten.iterrows()]
    return (
        f" Not counted, although no other run certainly dominates it: {parts.listed(names)}." if names else ""
    )


def _corners(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the runs on the frontier by their best values, by accuracy; a limit counts as the energy."""
    energy = rows["energy_wh"].astype(float).fillna(rows["energy_high_wh"])
    kept = rows.assign(energy_wh=energy)[on_frontier(scatter.drawn_at(rows).to_list(), energy.to_list())]
    return kept.sort_values("accuracy_read")


def _steps(rows: pd.DataFrame, dash: str) -> go.Scatter:
    """Draw the least energy for at least an accuracy, as steps."""
    corners, (light, dark) = _corners(rows), _LINE
    return go.Scatter(
        x=scatter.drawn_at(corners),
        y=corners["energy_wh"],
        mode="lines",
        line={"shape": "vh", "width": 1.5, "color": light, "dash": dash},
        hoverinfo="skip",
        showlegend=False,
        meta=style.themed(light, dark),
    )


def _note(rows: pd.DataFrame, published: bool) -> str:
    certain = f"Certainly on the frontier: {len(_counted(rows, CERTAIN))} of {len(rows)} runs"
    if published:
        return f"{certain}; possibly: {len(_counted(rows, POSSIBLE))}.{_left_out(rows)}"
    lines = [
        f"{source} on {machine}"
        for source, machine in dict.fromkeys(zip(rows["source"], rows["machine"], strict=True))
    ]
    drawn = [f"{_DASHES[number % len(_DASHES)][1]}: {line}" for number, line in enumerate(lines)]
    return f"{certain}.{_left_out(rows)} Lines: {'; '.join(drawn)}.{reservations(rows)}"
