"""Figure 4: one node against two with the same number of GPUs (paper, Figure 4, Table B2, section 4.1.2)."""

import pandas as pd

from helpers.figures.display import Figure
from helpers.figures.plots import bars
from helpers.figures.plots.ledger_entry import assessed
from helpers.results.tables import Tables
from helpers.study.catalogue import model_title


def figure_4(tables: Tables) -> Figure:
    """Draw every LLM that ran with the same number of GPUs on one node and on several, published and measured."""
    rows = _rows(tables.results)
    finding = _finding(rows)
    return Figure(
        name="figure_4_nodes",
        label="Figure 4",
        finding=finding,
        note=(
            "One pass over the test set, mean over the splits: on one node, and with the same number of GPUs spread "
            "over more nodes (energy is the sum over the nodes, duration the longest). Open bars: published. Filled "
            "bars: our runs. Behind a value: how many times that of one node. "
            f"{bars.ACCOUNTING} {_against_the_paper(rows, tables)}"
        ),
        data=bars.data(rows, "duration_ratio", "energy_ratio"),
        function="helpers.figures.paper.figure_4.figure_4",
        panels=bars.panels(rows, finding),
    )


def _rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the runs on several nodes and those on one node that they are to be compared with."""
    runs = bars.language_models(results)
    key = [*bars.KEY, "gpus"]
    single = runs.loc[runs["nodes"] == 1, [*key, "duration_s", "energy_wh"]]
    compared = runs.reset_index().merge(single, on=key, suffixes=("", "_single")).set_index("index")
    varied = compared.groupby(key)["nodes"].transform("nunique") > 1
    rows = bars.in_order(compared[varied], "source", "machine", "gpus", "nodes")
    several = rows["nodes"] > 1
    rows = rows.assign(
        duration_ratio=(rows["duration_s"] / rows["duration_s_single"]).where(several),
        energy_ratio=(rows["energy_wh"] / rows["energy_wh_single"]).where(several),
    )
    return rows.assign(
        header=[
            f"{model_title(model)}, {bars.several(gpus, 'GPU')}"
            for model, gpus in zip(rows["model"], rows["gpus"], strict=True)
        ],
        level=[bars.several(nodes, "node") for nodes in rows["nodes"]],
        **{f"{name}_remark": rows[f"{name}_ratio"].map(_times) for name in ("duration", "energy")},
    )


def _times(ratio: float) -> str:
    return "" if pd.isna(ratio) else f" ({ratio:.2f}\N{MULTIPLICATION SIGN})"


def _ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the published comparisons, or the measured ones where none is published."""
    chosen = bars.told(rows[rows["duration_ratio"].notna() & rows["energy_ratio"].notna()])
    return chosen.assign(excess=chosen["energy_ratio"] / chosen["duration_ratio"] - 1)


def _finding(rows: pd.DataFrame) -> str:
    found = _ratios(rows)
    if found.empty:
        return "No LLM was run with the same GPUs on one node and on several."
    more = found[found["excess"] > 0]
    spans = [_span(found[f"{name}_ratio"], 2) for name in ("duration", "energy")]
    lead = f"Spread over two nodes, the same GPUs take {spans[0]} times as long and need {spans[1]} times the energy"
    if more.empty:
        return f"{lead}; for none of the {len(found)} models does energy grow more than duration."
    most = more.sort_values("excess").iloc[-1]
    return (
        f"{lead}; for {bars.share(len(more), len(found))} models energy grows more than duration, most for "
        f"{model_title(most['model'])} ({most['energy_ratio']:.2f} against {most['duration_ratio']:.2f} times)."
    )


def _span(values: pd.Series, digits: int) -> str:
    low, high = (f"{value:.{digits}f}" for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _against_the_paper(rows: pd.DataFrame, tables: Tables) -> str:
    """Say within which limits of the ledger the two factors of a model are the same."""
    found = _ratios(rows)
    if not (found["source"] == "published").any():
        return ""
    apart = 100 * found["excess"].abs()
    entry = assessed(tables, "two-nodes-same-factor-for-duration")
    limits = sorted(100 * reading.criterion.published for reading in entry.readings)
    within, beyond = ([limit for limit in limits if (apart.max() <= limit) == yes] for yes in (True, False))
    said = [
        *([f"holds within {within[0]:.0f} %"] if within else []),
        *([f"not within {beyond[-1]:.0f} %"] if beyond else []),
    ]
    return (
        "The paper (section 4.1.2) says that duration grew by the same factor as energy, which "
        f"{' and '.join(said)} ({entry.word}): the factors of a model lie {_span(apart, 0)} % apart."
    )
