"""Whose weights a run used: a model's own, or quantised ones, which stand for no model but their own entry."""

import re
from typing import Any

import pandas as pd

from helpers.study.catalogue import model_title, paper_models

_UNQUANTISED = r"trained here|real|dummy|unknown|(dequantised )?(BF16|F16|F32)"
"""Values of the column `weights` that name no quantisation; others do: `dequantised Q4_K_M`, `Q4_K_M`."""


def are_quantised(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return for each row of `results` or `split_results` whether its weights are, or were, quantised."""
    weights = rows["weights"].astype("string")
    return weights.notna() & ~weights.str.fullmatch(_UNQUANTISED).fillna(True).astype(bool)


def quantisation_of(row: "pd.Series[Any]") -> str:
    """Return how the weights of a row are, or were, quantised; empty where they were not. A row need not have the column."""
    weights = row.get("weights")
    return "" if pd.isna(weights) or re.fullmatch(_UNQUANTISED, str(weights)) else str(weights)


def run_title(row: "pd.Series[Any]") -> str:
    """Return the name of the model of a row, with its weights in brackets where these are not the published ones."""
    title, weights = model_title(str(row["model"])), quantisation_of(row)
    return f"{title} ({weights})" if weights else title


def run_titles(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the `run_title` of each row."""
    return pd.Series([run_title(row) for _, row in rows.iterrows()], index=rows.index, dtype=object)


def short_title(title: str) -> str:
    """Return a `run_title` as short as an axis needs it: `Qwen2.5-Coder-0.5B (Q4)`, with the bits of the weights."""
    return re.sub(r" \((?:dequantised )?(I?Q\d+)\w*\)", r" (\1)", title.replace("-Instruct", ""))


def of_the_papers_models(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return for each row whether it is a run of one of the paper's models, with weights that were not quantised."""
    return rows["model"].isin(paper_models()) & ~are_quantised(rows)
