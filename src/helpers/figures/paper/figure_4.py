"""Figure 4: one node against two with the same number of GPUs (paper, Figure 4, Table B2, section 4.1.2)."""

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure
from helpers.figures.plots import bars
from helpers.figures.plots.ledger_entry import assessed
from helpers.results.tables import Tables
from helpers.study.catalogue import model_title


def figure_4(tables: Tables) -> Figure:
    """Draw every LLM that ran with the same number of GPUs on one node and on several, published and measured."""
    runs = rows(tables.results)
    return draw(runs, ratios(runs), tables)


def draw(runs: pd.DataFrame, compared: pd.DataFrame, tables: Tables) -> Figure:
    """Draw `rows` with their `ratios`; the ledger of `tables` says what the paper's sentence comes to."""
    finding = _finding(compared)
    return Figure(
        name="figure_4_nodes",
        label="Figure 4",
        finding=finding,
        note=(
            "Time and energy to classify the test set once (a pass), averaged over the splits: "
            "on one node, and with the same number of GPUs spread "
            "over more nodes (energy is the sum over the nodes, duration the longest). Open bars: published. Filled "
            "bars: our runs. After a value: the factor relative to one node. "
            f"{bars.ACCOUNTING} {_against_the_paper(compared, tables)}"
        ),
        data=bars.data(runs, "duration_ratio", "energy_ratio"),
        function="helpers.figures.paper.figure_4.figure_4",
        panels=bars.panels(runs, finding),
    )


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the runs on several nodes and those on one node that they are to be compared with.

    Columns beside those of `results`: `duration_ratio` and `energy_ratio`, several nodes to one (null on one node),
    and the words of the labels.
    """
    runs = bars.language_models(results)
    key = [*bars.KEY, "gpus"]
    single = runs.loc[runs["nodes"] == 1, [*key, "duration_s", "energy_wh"]]
    compared = runs.reset_index().merge(single, on=key, suffixes=("", "_single")).set_index("index")
    varied = compared.groupby(key)["nodes"].transform("nunique") > 1
    runs = bars.in_order(compared[varied], "source", "machine", "gpus", "nodes")
    several = runs["nodes"] > 1
    runs = runs.assign(
        duration_ratio=(runs["duration_s"] / runs["duration_s_single"]).where(several),
        energy_ratio=(runs["energy_wh"] / runs["energy_wh_single"]).where(several),
    )
    return runs.assign(
        header=[
            f"{model_title(model)}, {units.counted(gpus, 'GPU')}"
            for model, gpus in zip(runs["model"], runs["gpus"], strict=True)
        ],
        level=[units.counted(nodes, "node") for nodes in runs["nodes"]],
        **{f"{name}_remark": runs[f"{name}_ratio"].map(_times) for name in ("duration", "energy")},
    )


def _times(ratio: float) -> str:
    return "" if pd.isna(ratio) else f" ({ratio:.2f}\N{MULTIPLICATION SIGN})"


def ratios(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the published runs on several nodes, or the measured ones where none is published.

    Column beside those of `rows`: `excess`, by how much the energy grows more than the duration (a share).
    """
    chosen = bars.published_or_all(runs[runs["duration_ratio"].notna() & runs["energy_ratio"].notna()])
    return chosen.assign(excess=chosen["energy_ratio"] / chosen["duration_ratio"] - 1)


def _finding(compared: pd.DataFrame) -> str:
    if compared.empty:
        return "No LLM was run with the same GPUs on one node and on several."
    more = compared[compared["excess"] > 0]
    spans = [_span(compared[f"{name}_ratio"], 2) for name in ("duration", "energy")]
    lead = f"Spread over two nodes, the same GPUs take {spans[0]} times as long and need {spans[1]} times the energy"
    if more.empty:
        return f"{lead}; for none of the {len(compared)} models does energy grow more than duration."
    most = more.sort_values("excess").iloc[-1]
    return (
        f"{lead}; for {bars.share(len(more), len(compared))} models energy grows more than duration, most for "
        f"{model_title(most['model'])} ({most['energy_ratio']:.2f} against {most['duration_ratio']:.2f} times)."
    )


def _span(values: pd.Series, digits: int) -> str:
    low, high = (f"{value:.{digits}f}" for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _against_the_paper(compared: pd.DataFrame, tables: Tables) -> str:
    """Say within which limits of the ledger the two factors of a model are the same."""
    if not (compared["source"] == "published").any():
        return ""
    apart = 100 * compared["excess"].abs()
    entry = assessed(tables, "two-nodes-same-factor-for-duration")
    limits = sorted(100 * reading.criterion.published for reading in entry.readings)
    within, beyond = ([limit for limit in limits if (apart.max() <= limit) == yes] for yes in (True, False))
    verdicts = [
        *([f"holds within {within[0]:.0f} %"] if within else []),
        *([f"not within {beyond[-1]:.0f} %"] if beyond else []),
    ]
    return (
        "The paper (section 4.1.2) says that duration grew by the same factor as energy, which "
        f"{' and '.join(verdicts)} ({entry.word}): the two factors of a model differ by {_span(apart, 0)} %."
    )
