"""Figure 7: accuracy against energy, best models of the four other datasets (paper, Figure 7, Tables B4 and B5), and ours."""

import math

import pandas as pd

from helpers.figures.display import Figure, Panel
from helpers.figures.plots import scatter
from helpers.figures.plots.comparable import comparable
from helpers.figures.plots.measured_runs import one_per_campaign, outside_the_paper
from helpers.figures.plots.tables import times
from helpers.results.tables import Tables, select_sequential
from helpers.statistics import selection
from helpers.study.catalogue import model_title, study

DATASETS = ("news", "yelp", "tomatoes", "emotion")
HIGHEST = 3
_HEIGHT = 440
_ROOM = 0.03
"""Of accuracy, left of a mark with a ring."""


def figure_7(tables: Tables) -> Figure:
    """Draw Figure 7: the models with the three highest accuracies of a dataset, ties included, and Linear Embedding.

    The rule is applied to the published accuracies as printed (Tables B4 and B5, Capella, one node). Every
    measured row of the same models stands beside them, and every language model that was measured, and every model that is
    not the paper's: one mark for each campaign and weights. Points lie where the printed figure has them, which
    tells accuracies apart that the tables round to one number; what is said of a model is its printed accuracy.
    """
    printed = rows(tables.results)
    return draw(printed, gains(printed), as_read(printed, tables), tables.printed["figure_7"])


def draw(printed: pd.DataFrame, gained: pd.DataFrame, chosen: pd.DataFrame, figure: pd.DataFrame) -> Figure:
    """Draw the rows `as_read`; the finding has the `gains` of the printed ones, the note compares with the `figure`."""
    published = printed[printed["source"] == "published"]
    left = _left_end(chosen[chosen["model"].isin(published["model"])])
    energy = chosen["energy_wh"].dropna()
    decades = math.floor(math.log10(energy.min())), math.ceil(math.log10(energy.max()))
    axes = scatter.Axes((left, 1.0), decades)
    return Figure(
        name="figure_7_other_datasets",
        label="Figure 7",
        finding=_finding(gained),
        note=(
            "Energy of one pass over a test set of 200 texts against accuracy, for the models with the three highest "
            f"accuracies as printed, ties included, and {model_title(scatter.COMPARED)}. "
            f"{_as_drawn(published, figure)} Also shown are our runs of the same models, of every language model, and of every "
            "model that is not the paper's. Circle: traditional; square: LLM; diamond: reasoning "
            "LLM. Hollow: published, Capella, one node; accuracies, and energies below 1 Wh, are read off the "
            "printed figure where it shows them. "
            f"{scatter.MARKS} {scatter.ACCOUNTING} {_spread(chosen)}"
        ).strip(),
        data=chosen[[*scatter.DATA_COLUMNS, "accuracy_read"]],
        function="helpers.figures.paper.figure_7.figure_7",
        panels=[_panel(chosen, name, axes) for name in DATASETS],
    )


def best_models(published: pd.DataFrame) -> list[str]:
    """Return the models of Figure 7 among the published rows of one dataset (paper, section 5).

    A model belongs to it if fewer than three are more accurate, so models that tie for the third place all do.
    """
    rank = published["accuracy"].rank(method="min", ascending=False)
    return list(published.loc[(rank <= HIGHEST) | (published["model"] == scatter.COMPARED), "model"])


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the published rows of the models that the rule picks, and the measured rows that stand beside them.

    These are all rows of the same models, of all language models, and of models that are not the paper's; of a language model
    `one_per_campaign`.
    """
    kept = []
    for dataset in DATASETS:
        runs = select_sequential(results[(results["dataset"] == dataset) & results["accuracy"].notna()])
        models = best_models(runs[runs["source"] == "published"])
        measured_llm = (runs["source"] != "published") & (runs["family"] != "Traditional")
        kept.append(runs[runs["model"].isin(models) | measured_llm | outside_the_paper(runs)])
    return one_per_campaign(pd.concat(kept))


def as_read(picked: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Return the picked rows with `accuracy_read`: as the printed figure shows it, where that is more precise."""
    runs = comparable(tables)
    runs = runs[_run_keys(runs).isin(_run_keys(picked))]
    without_energy = picked[~scatter.drawable(picked)]
    return scatter.sorted_by_study(pd.concat([runs, without_energy], ignore_index=True))


def _run_keys(rows: pd.DataFrame) -> pd.MultiIndex:
    """Return what tells the rows of the figure apart; a published row may name more origins for what it is read from."""
    record = rows["origin"].where(rows["source"] != "published", "")
    return pd.MultiIndex.from_frame(rows[["dataset", "model", "source"]].assign(record=record))


def _panel(chosen: pd.DataFrame, dataset: str, axes: scatter.Axes) -> Panel:
    runs = chosen[chosen["dataset"] == dataset]
    named = list(runs.index[(runs["source"] == "published") | outside_the_paper(runs)])
    plot = scatter.Plot(_HEIGHT, named, named, named)
    others = runs[outside_the_paper(runs)]
    left = min([axes.accuracy[0], *([_left_end(others, _ROOM)] if len(others) else [])])
    return scatter.panel(runs, dataset, scatter.Axes((left, axes.accuracy[1]), axes.decades), plot)


def _left_end(runs: pd.DataFrame, room: float = 0.0) -> float:
    """Return where an accuracy axis begins: all panels share that of the paper's models, unless another lies below it.

    `room` keeps the ring of that other one off the axis.
    """
    lowest = float((runs["accuracy"] - runs["accuracy_sd"].fillna(0)).min()) - room
    return max(0.0, math.floor(20 * lowest) / 20)


def gains(printed: pd.DataFrame) -> pd.DataFrame:
    """Compare the most accurate published model of each dataset with Linear Embedding.

    Columns: `dataset`, `model`, `gain`, the difference in accuracy as printed, and `factor`, the ratio of energies.
    """
    compared = []
    for dataset, runs in printed[printed["source"] == "published"].groupby("dataset"):
        best = selection.most_accurate(runs)
        reference = runs[runs["model"] == scatter.COMPARED].iloc[0]
        compared.append(
            {
                "dataset": dataset,
                "model": best["model"],
                "gain": best["accuracy"] - reference["accuracy"],
                "factor": best["energy_wh"] / reference["energy_wh"],
            }
        )
    return pd.DataFrame(compared)


def _finding(gained: pd.DataFrame) -> str:
    titles = [study().datasets[name].title for name in gained["dataset"]]
    gain, factor = (dict(zip(titles, gained[name], strict=True)) for name in ("gain", "factor"))
    least, most = (f"{gain[name]:.2f} ({name})" for name in _ends(gain))
    low, high = (f"{times(factor[name])} ({name})" for name in _ends(factor))
    return (
        f"The most accurate model beats {model_title(scatter.COMPARED)} by {least} to {most} in accuracy and needs {low} to "
        f"{high} times its energy (where several tie in print, the one with the least energy)."
    )


def _ends(values: dict[str, float]) -> tuple[str, str]:
    return min(values, key=values.__getitem__), max(values, key=values.__getitem__)


def _as_drawn(published: pd.DataFrame, figure: pd.DataFrame) -> str:
    """Compare what the rule picks with the markers of the printed figure."""
    picked = set(zip(published["dataset"], published["model"], strict=True))
    drawn = set(zip(figure["dataset"], figure["model"], strict=True))
    if picked == drawn:
        return f"This rule gives the {len(drawn)} points that the paper draws."
    differ = sorted(f"{model_title(model)} ({dataset})" for dataset, model in picked ^ drawn)
    return f"This rule and the paper's figure differ in {', '.join(differ)}."


def _spread(chosen: pd.DataFrame) -> str:
    """Say how much the energy of Linear Embedding differs between the datasets, published and measured."""
    runs = chosen[(chosen["model"] == scatter.COMPARED) & chosen["energy_wh"].notna()]
    spread = {
        str(source): part["energy_wh"].max() / part["energy_wh"].min()
        for (source, _), part in runs.groupby(["source", "machine"])
        if set(part["dataset"]) == set(DATASETS)
    }
    if "published" not in spread:
        return ""
    measured = [f"{times(factor)} in {source}" for source, factor in spread.items() if source != "published"]
    beside = f", and by a factor of {' and '.join(measured)}" if measured else ""
    return (
        f"The published energy of {model_title(scatter.COMPARED)} differs by a factor of {times(spread['published'])} between "
        f"the datasets{beside}."
    )
