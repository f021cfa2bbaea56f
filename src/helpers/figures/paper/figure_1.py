"""Figure 1: accuracy against energy, one panel per dataset (paper, Figure 1 and Tables B1, B4, B5)."""

import math
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure, Panel
from helpers.figures.plots import scatter
from helpers.figures.plots.measured_runs import one_per_campaign, outside_the_paper
from helpers.results.tables import Tables
from helpers.statistics import selection
from helpers.study.catalogue import model_title

PUBLIC = ("news", "yelp", "tomatoes", "emotion")
"""The paper's public datasets, in its order."""
BRIEF_PX = 300
"""Height of the first panel on the front page (book/index.md)."""


def figure_1(tables: Tables) -> Figure:
    """Draw Figure 1 from the results table: FKTG as published, the public datasets with what was measured."""
    runs = rows(tables.results)
    return draw(runs, extremes(runs))


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `results` that are drawn, by dataset, source and model.

    Capella, one node, minimal number of GPUs (Tables B1, B4, B5) for the published rows; every measured row of the
    dataset beside them, of a language model one for each campaign and weights.
    """
    return scatter.sorted_by_study(one_per_campaign(scatter.side_by_side(results)))


def extremes(runs: pd.DataFrame) -> pd.DataFrame:
    """Return three published rows of FKTG, in this order: `most_accurate`, `least_energy` and `most_energy`."""
    fktg = runs[(runs["dataset"] == "fktg") & (runs["source"] == "published")]
    picks = (selection.most_accurate, selection.least_energy, selection.most_energy)
    picked = fktg.loc[[pick(fktg).name for pick in picks]]
    return picked.set_axis([pick.__name__ for pick in picks])


def draw(runs: pd.DataFrame, picked: pd.DataFrame) -> Figure:
    """Draw `rows`, a panel per dataset; the finding compares the `extremes`."""
    best, least, most = (row for _, row in picked.iterrows())
    finding = (
        f"The most accurate model, {model_title(best['model'])}, needs {units.energy(best['energy_wh'])} for 189 texts; "
        f"the one with the most energy, {model_title(most['model'])}, needs {units.energy(most['energy_wh'])} "
        f"{'and is less accurate' if most['accuracy'] < best['accuracy'] else 'and is as accurate'}."
    )
    return Figure(
        name="figure_1_accuracy_energy",
        label="Figure 1",
        finding=finding,
        note=(
            "Energy of one pass over a test set (189 texts of FKTG, 200 of the others) against "
            "accuracy, whose axis differs from dataset to dataset. Hollow: published, Capella, one node; a triangle is "
            f"an upper limit. {scatter.INFERRED} Points are labelled where there is room; point at or tap the others. "
            f"{scatter.MARKS} {scatter.ACCOUNTING}"
        ),
        data=runs[scatter.DATA_COLUMNS],
        function="helpers.figures.paper.figure_1.figure_1",
        panels=[
            _panel(runs, "fktg", f"{finding} {_span(most, least)}", wide=True),
            *(_panel(runs, name, "") for name in (*PUBLIC, *_own_datasets(runs))),
        ],
    )


def _own_datasets(runs: pd.DataFrame) -> list[str]:
    """Return the datasets that somebody has added and measured, in the order of the catalogue."""
    return [str(name) for name in runs["dataset"].unique() if name not in ("fktg", *PUBLIC)]


def _span(most: "pd.Series[Any]", least: "pd.Series[Any]") -> str:
    """Say how many decades lie between most and least energy, and how the least one was got, if it is not printed."""
    decades = math.log10(most["energy_wh"] / least["energy_wh"])
    how = f"; the least energy, of {model_title(str(least['model']))}, is {least['energy_kind']}"
    return f"The energies span {decades:.1f} decades{how if least['energy_kind'] != 'printed' else ''}."


def _panel(chosen: pd.DataFrame, dataset: str, alt: str, wide: bool = False) -> Panel:
    runs = chosen[chosen["dataset"] == dataset]
    drawn = runs[scatter.drawable(runs)]
    published = list(drawn.index[drawn["source"] == "published"])
    named = scatter.extremes(drawn)
    compared = list(drawn.index[(drawn["source"] == "published") & (drawn["model"] == scatter.COMPARED)])
    own = [index for index in drawn.index[outside_the_paper(drawn)] if index not in named]
    plot = scatter.Plot(
        height=480 if wide else 380,
        broad=list(drawn.index) if wide else [*(published or named), *own],
        narrow=[*named, *own] if wide else [*(published or named), *own],
        needed=list(drawn.index) if wide else [*named, *compared],
        wide=wide,
        legend=wide,
        brief=BRIEF_PX if wide else None,
    )
    decades = scatter.decades(runs if wide else chosen[chosen["dataset"] != "fktg"])
    return scatter.panel(runs, dataset, scatter.Axes(scatter.accuracy_range(drawn), decades), plot, alt)
