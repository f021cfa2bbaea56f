"""Figure 3: duration and energy on 1, 2 and 4 GPUs of one node (paper, Figure 3 and section 4.1.1).

The Deepseek models, which the printed figure leaves out, come from Figure 6 and Tables B1 and B3.
"""

from itertools import pairwise

import pandas as pd

from helpers.claims.verdicts import DEPENDS
from helpers.core import units
from helpers.figures.display import Figure
from helpers.figures.plots import bars
from helpers.figures.plots import tables as parts
from helpers.figures.plots.ledger_entry import assessed
from helpers.results.tables import Tables
from helpers.results.weights import run_titles
from helpers.study.catalogue import model_title, paper_models, study


def figure_3(tables: Tables) -> Figure:
    """Draw every LLM that ran on one node of a machine with several numbers of GPUs, published and measured."""
    runs = rows(tables.results)
    return draw(runs, steps(runs), tables)


def draw(runs: pd.DataFrame, changes: pd.DataFrame, tables: Tables) -> Figure:
    """Draw `rows` with the `steps` between them; the ledger of `tables` says what the paper's sentences come to."""
    finding = _finding(changes)
    labelled = _labelled(runs, changes)
    return Figure(
        name="figure_3_gpus",
        label="Figure 3",
        finding=finding,
        note=(
            "Time and energy to classify the test set once (a pass) on one node, averaged over the splits. "
            "Open bars: published, values read off a "
            "figure, with whiskers for the error of reading it. Filled bars: our runs. In brackets: change from the bar above. "
            f"{bars.ACCOUNTING} {_against_the_paper(changes, runs, tables)}"
        ),
        data=bars.data(labelled, "duration_change", "energy_change"),
        function="helpers.figures.paper.figure_3.figure_3",
        panels=bars.panels(labelled, finding),
    )


def steps(runs: pd.DataFrame) -> pd.DataFrame:
    """Return every step to the next higher number of GPUs among rows of `results`.

    Columns: those of `bars.KEY`, `gpus_from`, `gpus_to`, the relative changes `duration_change` and
    `energy_change`, and `duration_direction` and `energy_direction`: `falls`, `rises`, or `unclear` where
    the change is within the bounds of the two values. A change is null where a value is. The index is that of the row
    with more GPUs.
    """
    changes, index = [], []
    bounds = {quantity: bars.bound(runs, quantity) for quantity in (bars.DURATION, bars.ENERGY)}
    for key, group in runs.sort_values("gpus", kind="stable").groupby(bars.KEY, sort=False):
        for low, high in pairwise(group.index):
            step = dict(zip(bars.KEY, key, strict=True))
            step |= {"gpus_from": runs.loc[low, "gpus"], "gpus_to": runs.loc[high, "gpus"]}
            for quantity, bound in bounds.items():
                before, after = runs.loc[low, quantity.value], runs.loc[high, quantity.value]
                allowed = (bound[low] ** 2 + bound[high] ** 2) ** 0.5
                step[f"{quantity.name}_change"] = after / before - 1
                step[f"{quantity.name}_direction"] = _direction(after - before, allowed)
            changes.append(step)
            index.append(high)
    directions = ["duration_change", "duration_direction", "energy_change", "energy_direction"]
    return pd.DataFrame(changes, index=index, columns=[*bars.KEY, "gpus_from", "gpus_to", *directions])


def _direction(change: float, allowed: float) -> str:
    return "falls" if change < -allowed else "rises" if change > allowed else "unclear"


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `results` that are drawn, the fewest GPUs of a model first."""
    one_node = bars.language_models(results).query("nodes == 1")
    varied = one_node.groupby(bars.KEY)["gpus"].transform("nunique") > 1
    return bars.in_order(one_node[varied], "source", "machine", "gpus")


def _labelled(runs: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """Add the words of the labels to `rows`, and the change from the bar above, by the index of `steps`."""
    labelled = runs.join(changes[["duration_change", "energy_change"]])
    return labelled.assign(
        header=run_titles(labelled),
        level=[units.counted(gpus, "GPU") for gpus in labelled["gpus"]],
        **{f"{name}_remark": labelled[f"{name}_change"].map(_in_brackets) for name in ("duration", "energy")},
    )


def _in_brackets(change: float) -> str:
    return "" if pd.isna(change) else f" ({_percent(change, 0)})"


def _percent(change: float, digits: int) -> str:
    return f"{100 * change:+.{digits}f} %".replace("-", "\u2212")  # a minus sign, not a hyphen


def _finding(changes: pd.DataFrame) -> str:
    chosen = bars.published_or_all(changes)
    if chosen.empty:
        return "No LLM was run on different numbers of GPUs."
    return f"More GPUs {_summary(chosen)}{_named(chosen)}."


def _summary(changes: pd.DataFrame) -> str:
    faster, more_efficient = (
        int((changes[f"{name}_direction"] == "falls").sum()) for name in ("duration", "energy")
    )
    return (
        f"shorten the run in {bars.share(faster, len(changes))} steps and lower its energy in "
        f"{bars.share(more_efficient, len(changes))}"
    )


def _named(changes: pd.DataFrame) -> str:
    """Name the steps that take less energy, which by the paper's words there are none of."""
    more_efficient = changes[changes["energy_direction"] == "falls"].sort_values("energy_change")
    names = [
        f"{model_title(step['model'])} from {step['gpus_from']} to {step['gpus_to']} "
        f"({_percent(step['energy_change'], 1)})"
        for _, step in more_efficient.iterrows()
    ]
    return f": {parts.listed(names)}" if names else ""


def _against_the_paper(changes: pd.DataFrame, rows: pd.DataFrame, tables: Tables) -> str:
    """Say what the ledger says of the paper's two sentences, and how more GPUs did in our runs of its models."""
    published, measured = (changes[(changes["source"] == "published") == yes] for yes in (True, False))
    sentences = []
    if len(published):
        sentences.append(
            "The paper (section 4.1.1) says that more GPUs always shortened the run, which "
            f"{assessed(tables, 'more-gpus-reduce-duration').word}, and that they did not lower its energy"
            f"{_energy_verdict(published, rows, tables)}."
        )
    measured = measured[measured["model"].isin(paper_models())]
    if len(measured):
        sentences.append(f"In our runs of the paper's models more GPUs {_summary(measured)}.")
    return " ".join(sentences)


def _energy_verdict(published: pd.DataFrame, rows: pd.DataFrame, tables: Tables) -> str:
    """Return what the ledger says of energy, with what to know about the steps in which it falls."""
    entry = assessed(tables, "more-gpus-do-not-reduce-energy")
    falls = published[published["energy_direction"] == "falls"].sort_values("energy_change")
    if entry.word != DEPENDS or falls.empty:
        return f", which {entry.word}"
    by = [f"{-100 * change:.1f}" for change in falls["energy_change"]]
    ends = [rows[(rows[bars.KEY] == step[bars.KEY]).all(axis="columns")] for _, step in falls.iterrows()]
    counts = [{step["gpus_from"], step["gpus_to"]} for _, step in falls.iterrows()]
    read_off = all(
        (run.loc[run["gpus"].isin(gpus), "energy_kind"] == "digitised").any()
        for run, gpus in zip(ends, counts, strict=True)
    )
    reasoning = [model_title(name) for name in falls["model"] if study().models[name].family == "Deepseek"]
    return (
        f"; whether that holds depends on the reading: in the steps named above it falls by {parts.listed(by)} %"
        + (", one value of each read off a figure" if read_off else "")
        + (", less than the scatter that the paper allows" if entry.readings[0].within_noise else "")
        + (f", and the printed figure does not show {parts.listed(reasoning)}" if reasoning else "")
    )
