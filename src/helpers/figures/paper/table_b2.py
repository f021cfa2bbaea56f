"""Table B2: one node against two nodes (paper, Table B2), with every ratio computed again."""

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure, html_table
from helpers.figures.plots import tables as parts
from helpers.figures.plots.remarks import node_power
from helpers.results.tables import Tables, select_sequential
from helpers.statistics.node_pairs import pairs
from helpers.study.catalogue import model_title

_PRINTED = {
    "duration": "duration_ratio_double_to_single",
    "energy": "energy_ratio_double_to_single",
}
"""Columns of the published file that hold the printed ratios."""
DIGITS = 2
"""Decimals of a printed ratio."""


def table_b2(tables: Tables) -> Figure:
    """Show Table B2 as printed and its ratios recomputed, and the same for every measured pair of runs.

    A pair is a run on one node and a run on two with the same model, dataset, machine and total of GPUs.
    """
    runs = rows(tables.results)
    return draw(runs, with_printed(runs, tables.printed["table_b2"]))


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the `pairs` of the rows of `results` that are compared, published and measured."""
    return pairs(select_sequential(results))


def draw(runs: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Lay out the published pairs `with_printed` ratios, and the measured ones of `rows`."""
    measured = runs[runs["source"] != "published"]
    body = html_table(
        _as_printed(published),
        "As published, FKTG, Capella, averages over 10 splits; ratios of two nodes to one, recomputed in brackets",
        _NUMBERS,
    )
    body += parts.remarks(_remarks(published))
    body += parts.block(
        measured,
        "Measured on one and two nodes",
        "No run on two nodes: not measured by us.",
        _HEADINGS,
    )
    return Figure(
        name="table_b2",
        label="Table B2",
        finding=_finding(published),
        note=(
            "Inference on 189 texts of FKTG with the same number of GPUs on one node and on two. Energy is the sum over "
            "the nodes, duration the longest. A ratio agrees if dividing and rounding the printed values gives it."
        ),
        data=pd.concat([published, measured], ignore_index=True),
        function="helpers.figures.paper.table_b2.table_b2",
        body=body,
        inputs=parts.inputs(published["origin"], measured["origin"]),
    )


def with_printed(runs: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Return the published pairs of `rows` on FKTG with the ratios as printed.

    Columns beside those of `pairs`: `printed_duration_ratio`, `printed_energy_ratio`, and whether dividing the printed
    values and rounding gives them back, `duration_agrees` and `energy_agrees`.
    """
    published = runs[(runs["source"] == "published") & (runs["dataset"] == "fktg")]
    ratios = printed.rename(columns={column: f"printed_{name}_ratio" for name, column in _PRINTED.items()})
    columns = ["model", *(f"printed_{name}_ratio" for name in _PRINTED)]
    merged = published.merge(ratios[columns].dropna(), on="model", how="left")
    for name in _PRINTED:
        agrees = merged[f"{name}_ratio"].round(DIGITS) == merged[f"printed_{name}_ratio"].round(DIGITS)
        merged[f"{name}_agrees"] = agrees.map({True: "yes", False: "no"})
    return merged


def _finding(rows: pd.DataFrame) -> str:
    agree = sum(int((rows[f"{name}_agrees"] == "yes").sum()) for name in _PRINTED)
    total = len(rows) * len(_PRINTED)
    verdict = (
        f"All {total} printed ratios follow"
        if agree == total
        else f"{agree} of {total} printed ratios follow"
    )
    spans = [f"{rows[f'{name}_ratio'].min():.2f} to {rows[f'{name}_ratio'].max():.2f}" for name in _PRINTED]
    return (
        f"{verdict} from the printed values: two nodes take {spans[0]} times the duration and {spans[1]} times the energy "
        "of one."
    )


def _remarks(rows: pd.DataFrame) -> list[str]:
    apart = rows.assign(gap=rows["energy_ratio"] / rows["duration_ratio"] - 1)
    more = int((apart["gap"] > 0).sum())
    far = apart.sort_values("gap", key=abs).iloc[-1]
    return [
        f"Energy grows more than duration for {more} of {len(rows)} models; the two ratios differ most for "
        f"{model_title(far['model'])} ({far['duration_ratio']:.2f} and {far['energy_ratio']:.2f}, "
        f"{100 * far['gap']:+.0f} %).",
        node_power(rows),
    ]


_NUMBERS = (
    "GPUs",
    "1 node (s)",
    "2 nodes (s)",
    "Duration ratio",
    "1 node (Wh)",
    "2 nodes (Wh)",
    "Energy ratio",
)
_HEADINGS = {
    "source": "Campaign",
    "machine": "Machine",
    "dataset": "Dataset",
    "model": "Model",
    "gpus": "GPUs",
    "duration_s_1": "1 node (s)",
    "duration_s_2": "2 nodes (s)",
    "duration_ratio": "Ratio",
    "energy_wh_1": "1 node (Wh)",
    "energy_wh_2": "2 nodes (Wh)",
    "energy_ratio": "Energy ratio",
}


def _as_printed(rows: pd.DataFrame) -> pd.DataFrame:
    def two_decimals(name: str) -> "pd.Series[str]":
        return rows[name].map("{:.2f}".format)

    def ratio(name: str) -> "pd.Series[str]":
        again = rows[f"{name}_ratio"].map(lambda value: units.significant(value, 4))
        return two_decimals(f"printed_{name}_ratio") + " (" + again + ")"

    agree = (rows[[f"{name}_agrees" for name in _PRINTED]] == "yes").all(axis=1)
    return pd.DataFrame(
        {
            "Model": rows["model"].map(model_title),
            "GPUs": rows["gpus"],
            "1 node (s)": two_decimals("duration_s_1"),
            "2 nodes (s)": two_decimals("duration_s_2"),
            "Duration ratio": ratio("duration"),
            "1 node (Wh)": two_decimals("energy_wh_1"),
            "2 nodes (Wh)": two_decimals("energy_wh_2"),
            "Energy ratio": ratio("energy"),
            "Agree": agree.map({True: "yes", False: "no"}),
        }
    )
