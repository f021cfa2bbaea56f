"""The demo: runs on invented texts, which show that a machine can measure and say nothing about the models."""

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure, Panel
from helpers.figures.plots import scatter
from helpers.figures.plots import tables as parts
from helpers.results.tables import Tables
from helpers.study.catalogue import machine_title, study

_HEADINGS = {
    **{name: title for name, title in parts.MEASURED.items() if name not in ("machine", "gpus")},
    "checks_failed": "Checks failed",
}


def demo(tables: Tables) -> Figure:
    """Draw all runs on invented texts, which stand on no other page but the list of runs."""
    return draw(rows(tables.results))


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `results` on invented texts, by dataset, campaign and model."""
    return scatter.sorted_by_study(results[results["synthetic"].astype(bool)])


def draw(runs: pd.DataFrame) -> Figure:
    """Draw accuracy against energy of the `rows` that have both, a panel for each dataset, and list them all."""
    datasets = [name for name in study().datasets if name in set(runs["dataset"])]
    return Figure(
        name="demo",
        label="Demo",
        finding=_finding(runs),
        note=(
            "The texts are composed by rule from a short list of phrases, so the accuracies say nothing about real texts. "
            f"{scatter.MARKS} {scatter.ACCOUNTING}"
        ),
        data=runs[scatter.DATA_COLUMNS],
        function="helpers.figures.beyond.demo.demo",
        panels=[
            _panel(runs[(runs["dataset"] == name) & runs["accuracy"].notna()], name) for name in datasets
        ],
        body=parts.block(runs, "Runs on invented texts", "No such run has been measured here.", _HEADINGS),
        inputs=parts.inputs(runs["origin"]) or ["data/study/campaigns/demo.yaml"],
    )


def _finding(runs: pd.DataFrame) -> str:
    if runs.empty:
        return "No demo was measured here: make book measures it in a few minutes."
    failed = int((runs["checks_failed"] != "").sum())
    checks = f"{failed} of them failed a check" if failed else "all of them passed every check"
    machines = parts.listed(sorted(set(runs["machine"].map(machine_title))))
    return f"{units.counted(len(runs), 'run')} on invented texts on {machines}: {checks}."


def _panel(runs: pd.DataFrame, dataset: str) -> Panel:
    drawn = runs[scatter.drawable(runs)]
    plot = scatter.Plot(
        height=420,
        broad=list(drawn.index),
        narrow=scatter.extremes(drawn),
        needed=list(drawn.index),
        wide=True,
        legend=True,
    )
    return scatter.panel(
        runs, dataset, scatter.Axes(scatter.accuracy_range(drawn), scatter.decades(drawn)), plot
    )
