"""What a point says when the pointer rests on it."""

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.results.weights import quantisation_of, run_title


def hover_text(row: "pd.Series[Any]") -> str:
    """Return the lines of one row of the results table, as Plotly shows them; what is absent is left out."""
    return "<br>".join(_lines(row))


def _lines(row: "pd.Series[Any]") -> Iterator[str]:
    source = "published" if row["source"] == "published" else f"campaign {row['source']}"
    yield f"<b>{run_title(row)}</b> ({source}, {row['machine']})"
    if pd.notna(row["accuracy"]):
        plus = f" ± {row['accuracy_uncertainty']:.4g}" if pd.notna(row["accuracy_uncertainty"]) else ""
        sd = f", SD over splits {row['accuracy_sd']:.3f}" if pd.notna(row["accuracy_sd"]) else ""
        yield f"accuracy {row['accuracy']:.3f}{plus}{sd}"
        read = _value(row, "accuracy_read")
        if read is not None and read != row["accuracy"]:
            yield f"drawn at {read:.4g}, as the paper's figure shows it"
    yield from _energy_lines(row)
    if pd.notna(row["duration_s"]):
        duration = units.duration(_number(row["duration_s"]), 3, _value(row, "duration_uncertainty_s"))
        yield f"duration {duration}{_sd(_value(row, 'duration_sd_s'), units.duration)}"
    if pd.notna(row["gpus"]):
        inferred = " (inferred, not printed)" if row["gpus_origin"] == "inferred" else ""
        yield f"GPUs: {row['gpus']}{inferred}, nodes: {row['nodes']}"
    if row["family"] == "Traditional" and pd.notna(row["checkpoint"]):
        yield f"embedding {row['checkpoint']}"
    if row["family"] != "Traditional" and row["source"] != "published":
        yield from _request_lines(row)
    if row["checks_failed"] and pd.notna(row["checks_failed"]):
        yield f"checks failed: {row['checks_failed']}"
    yield f"source: {row['origin']}"


def _request_lines(row: "pd.Series[Any]") -> Iterator[str]:
    """Yield what belongs to a measured language model; rows of a figure need not have these columns."""
    present = {name: value for name, value in row.items() if pd.notna(value)}
    if present.get("weights") == "dummy":
        yield "dummy weights: the answers are meaningless"
    if quantised := quantisation_of(row):
        yield f"weights: {quantised}, not those of any model of the paper"
    if "concurrency" in present:
        yield f"texts at a time: {present['concurrency']}"
    if "tokens_in" in present and "tokens_out" in present:
        texts = _number(row["texts"])
        each = [f"{_number(present[name]) / texts:.0f}" for name in ("tokens_in", "tokens_out")]
        yield f"tokens per text: {each[0]} in, {each[1]} out"
    if "parse_failures" in present:
        yield f"answers without a category: {_number(present['parse_failures']):g} of {present['texts']}"


def _energy_lines(row: "pd.Series[Any]") -> Iterator[str]:
    if pd.notna(row["energy_wh"]):
        energy, texts = _number(row["energy_wh"]), _number(row["texts"])
        rounded = units.energy(energy, 3, _value(row, "energy_uncertainty_wh"))
        kind = _KINDS.get(row["energy_kind"], row["energy_kind"])
        yield f"energy {rounded}{_sd(_value(row, 'energy_sd_wh'), units.energy)} ({kind})"
        yield f"{units.energy(energy / texts, 2)} per text"
        if pd.notna(row["accuracy"]) and row["accuracy"] > 0:
            yield f"{units.energy(energy / texts / _number(row['accuracy']), 2)} per correct answer"
    elif pd.notna(row["energy_wh_below"]):
        yield f"energy below {units.energy(_number(row['energy_wh_below']))} (printed as a limit)"
    else:
        yield "energy missing"


_KINDS = {"inferred": "inferred from the limits of the printed panel; its mark is hidden"}
"""Kinds of energy that need more than their word."""


def _value(row: "pd.Series[Any]", name: str) -> float | None:
    """Return a value of a row; rows of a figure need not have the column."""
    value = row.get(name)
    return None if pd.isna(value) else _number(value)


def _sd(value: float | None, text: Callable[[float], str]) -> str:
    return "" if value is None else f", SD over splits {text(value)}"


def _number(value: object) -> float:
    return float(str(value))
