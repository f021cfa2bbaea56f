"""Measured runs beside the paper's: which of several one campaign shows, what is said of language models and their weights."""

import pandas as pd
import plotly.graph_objects as go

from helpers.figures import style
from helpers.records.storage import Method
from helpers.results.weights import are_quantised, run_title, run_titles
from helpers.study.catalogue import paper_models, study

METHODS: dict[Method, str] = {
    "measured:nvml-counter": "measured by NVML",
    "measured:rapl": "measured by RAPL",
    "measured:powermetrics": "measured by powermetrics",
    "estimated:cpu-load": "estimated from its load",
    "estimated:tdp": "estimated from its rated power",
    "estimated:unknown": "estimated in an unknown way",
    "estimated:ram-0.375W/GB": "estimated at 0.375 W per GB",
    "estimated:ram-codecarbon": "estimated by CodeCarbon's rule",
    "missing": "missing",
}
"""How the energy of a component was got, in words."""
RING = "Quantised weights"
"""Name of the rings in a legend."""
_RING_PX = 19
_RING_COLOUR = ("#4d4d4d", "#c8ccd2")
"""In the light theme and in the dark one."""
_ONE = ["dataset", "model", "source", "machine", "gpus", "nodes", "checkpoint", "weights"]
"""What the runs have in common of which one is shown."""


def one_per_campaign(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `results` with one measured run of a language model for each campaign, checkpoint and weights.

    Of several it is the one in the dataset's own language, and of those the one with the most splits. Other rows stay.
    """
    asked = rows[_are_measured_language_models(rows)]
    language = asked["dataset"].map({name: entry.language for name, entry in study().datasets.items()})
    ranked = asked.assign(_own=asked["prompt"].eq(language)).sort_values(
        ["_own", "splits"], ascending=False, kind="stable"
    )
    return rows.drop(index=ranked.index[ranked.duplicated(_ONE)])


def outside_the_paper(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return for each row whether it is a measured one that the paper has no model for: it bears its own label."""
    return (rows["source"] != "published") & ~rows["model"].isin(paper_models())


def language_models(rows: pd.DataFrame) -> str:
    """Return a sentence on the measured language models outside the paper, for an alternative text; empty where none is."""
    asked = rows[_are_measured_language_models(rows) & outside_the_paper(rows)]
    items = [f"{run_title(row)} {row['accuracy']:.2f} ({row['source']})" for _, row in asked.iterrows()]
    return (
        f" Measured language models that are not the paper's, with accuracy: {', '.join(items)}."
        if items
        else ""
    )


def weights_ring(rows: pd.DataFrame, x: pd.Series, y: pd.Series, legend: bool = False) -> list[go.Scatter]:
    """Return a trace with a ring around each mark of a run with quantised weights, whatever else the mark says; or none."""
    ringed = are_quantised(rows)
    if not ringed.any():
        return []
    light, dark = _RING_COLOUR
    return [
        go.Scatter(
            x=x[ringed],
            y=y[ringed],
            mode="markers",
            name=RING,
            showlegend=legend,
            marker={
                "symbol": "circle-open",
                "size": _RING_PX,
                "color": light,
                "line": {"width": 1.2, "color": light},
            },
            cliponaxis=False,
            hoverinfo="skip",
            meta=style.themed(light, dark, filled=False),
        )
    ]


def reservations(rows: pd.DataFrame) -> str:
    """Return what has to be known of runs before they are compared, each a sentence with a blank before it; empty if nothing.

    Which have a ring; in which the durations of the splits scatter more than the check `repeats_agree` allows, so that they
    cannot be ranked among close ones; and whose embedding read a part of some texts only (`texts_read_whole`).
    """
    named = {
        "In a ring: quantised weights, none of the paper's models": are_quantised(rows),
        "Durations vary too much between splits to rank close runs": _failed(rows, "repeats_agree")
        & (rows["splits"] > 1),
        "The embedding read only the beginning of some texts": _failed(rows, "texts_read_whole"),
    }
    sentences = [
        f" {words}: {', '.join(sorted(set(run_titles(rows[concerned]))))}."
        for words, concerned in named.items()
        if concerned.any()
    ]
    return "".join(sentences)


def _failed(rows: pd.DataFrame, check: str) -> "pd.Series[bool]":
    return (
        rows["checks_failed"].astype(object).fillna("").map(lambda names: check in names.split()).astype(bool)
    )


def _are_measured_language_models(rows: pd.DataFrame) -> "pd.Series[bool]":
    return (rows["source"] != "published") & (rows["family"] != "Traditional")
