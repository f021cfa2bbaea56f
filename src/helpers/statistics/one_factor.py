"""Runs of a language model that differ in one factor only: which factor, and which run is the partner."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

FACTORS: Mapping[str, tuple[str, ...]] = {
    "engine": ("engine", "weights", "quantisation", "dtype"),
    "prefix cache": ("prefix_caching",),
    "texts at a time": ("concurrency",),
    "examples": ("examples",),
    "answer": ("output_mode",),
    "language": ("language",),
    "protocol": ("protocol", "dspy_cache", "json_fallback", "temperature"),
}
"""The factors, in the order in which a run that differs in several looks for its partner, and the columns of each.

`language` and `examples` are the two parts of the column `prompt` of `results`. An engine comes with the weights that it
reads, so both are one factor.
"""
BASELINE: Mapping[str, object] = {
    "engine": "vllm",
    "prefix_caching": False,
    "concurrency": 1,
    "examples": 0,
    "output_mode": "free",
    "language": "en",
    "protocol": "companion",
}
"""What the run is that all others are a change of; the columns that are not named here are the baseline's own."""
COMMON = ("source", "model", "dataset", "machine", "device", "gpus", "nodes")
"""What runs have in common that are compared."""


def with_factors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `results` with the columns `language` and `examples`, which `prompt` holds together."""
    prompt = rows["prompt"].astype("string")
    return rows.assign(
        language=prompt.str.extract(r"^(\w+)")[0],
        examples=pd.to_numeric(prompt.str.extract(r"(\d+) examples")[0]).fillna(0).astype(int),
    )


def partners(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `with_factors` with `role`, `factor` and `partner`, the `origin` of the run each is compared with.

    `role` is `baseline` for the run that is as `BASELINE` says; `changed` for one that differs from its partner in
    one factor; `alone` for one without a partner. The partner is the baseline, or, of a run that differs from it in
    more than one factor, the run that shares all of these but one.
    """
    assigned = [_partner(row, _alike(rows, row)) for row in rows.to_dict("records")]
    columns = zip(*assigned, strict=True) if assigned else ((), (), ())
    return rows.assign(
        **{
            name: pd.Series(values, rows.index, dtype=object)
            for name, values in zip(("role", "factor", "partner"), columns, strict=True)
        }
    )


def _alike(rows: pd.DataFrame, row: Mapping[Any, Any]) -> list[dict[Any, Any]]:
    """Return the rows on the same model, dataset and machine."""
    return [
        other
        for other in rows.to_dict("records")
        if all(_plain(other[name]) == _plain(row[name]) for name in COMMON)
    ]


def _partner(row: Mapping[Any, Any], others: list[dict[Any, Any]]) -> tuple[str, str | None, str | None]:
    if _is_baseline(row):
        return "baseline", None, None
    baseline = next((other for other in others if _is_baseline(other)), None)
    if baseline is None:
        return "alone", None, None
    for factor in _differing(row, baseline):
        for other in others:
            if _differing(row, other) == [factor] and factor not in _differing(other, baseline):
                return "changed", factor, str(other["origin"])
    return "alone", None, None


def _is_baseline(row: Mapping[Any, Any]) -> bool:
    return all(_plain(row[name]) == value for name, value in BASELINE.items())


def _differing(row: Mapping[Any, Any], other: Mapping[Any, Any]) -> list[str]:
    return [
        factor
        for factor, columns in FACTORS.items()
        if any(_plain(row[name]) != _plain(other[name]) for name in columns)
    ]


def _plain(value: object) -> object:
    """Return a cell as it compares: what is absent is None."""
    return None if value is None or value is pd.NA or value != value else value  # noqa: PLR0124  (NaN)
