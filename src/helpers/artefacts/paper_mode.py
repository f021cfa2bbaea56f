"""Which runs of language models are like the paper's, and what tells the others apart beside GPUs, nodes and concurrency."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from helpers.results import one_at_a_time

SETTINGS = ["weights", "dtype", "quantisation", "engine", "prefix_caching", "prompt", "output_mode"]
"""Columns of `results`; runs that are compared agree in them, and published rows have none."""


def in_paper_mode(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `results` that may stand beside the paper's: published ones, and ours in its way.

    That is one text at a time, the model's own weights, no examples in the prompt, an answer in free text, and no
    prefix cache. The others have their places on the pages on concurrency and of all runs.
    """
    unlike = (
        rows["weights"].eq("dummy")
        | rows["output_mode"].eq("constrained")
        | rows["prompt"].astype("string").str.contains("examples")
        | rows["prefix_caching"].eq(True)
    )
    return one_at_a_time(rows[~unlike.fillna(False).astype(bool)])


def said(row: "pd.Series[Any]") -> Iterator[str]:
    """Yield what is unlike the paper in the settings of a run, for its label."""
    if row["weights"] == "dummy":
        yield "dummy weights"
    if pd.notna(row["quantisation"]):
        yield str(row["quantisation"])
    if "examples" in str(row["prompt"]):
        yield str(row["prompt"])
    if row["output_mode"] == "constrained":
        yield "constrained"
    if row["prefix_caching"] is True:
        yield "prefix cache"
