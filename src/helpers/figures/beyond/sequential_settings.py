"""The settings that distinguish runs of language models, beside GPUs, nodes and concurrency."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from helpers.results.weights import quantisation_of

SETTINGS = [
    "weights",
    "dtype",
    "quantisation",
    "engine",
    "prefix_caching",
    "protocol",
    "dspy_cache",
    "prompt",
    "output_mode",
    "temperature",
    "json_fallback",
]
"""Columns of `results`; runs that are compared agree in them, and published rows have none."""


def unlike_default(row: "pd.Series[Any]") -> Iterator[str]:
    """Yield the settings of a run that differ from the defaults, for its label."""
    if row["weights"] == "dummy":
        yield "dummy weights"
    if weights := quantisation_of(row):
        yield weights
    if pd.notna(row["quantisation"]):
        yield str(row["quantisation"])
    if "examples" in str(row["prompt"]):
        yield str(row["prompt"])
    if row["output_mode"] == "constrained":
        yield "constrained"
    if row["prefix_caching"] is True:
        yield "prefix cache"
    if pd.notna(row["protocol"]) and row["protocol"] != "companion":
        yield f"protocol {row['protocol']}"
    if row["dspy_cache"] is True:
        yield "answer cache"
