"""What a point says when the pointer rests on it."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from helpers import units
from helpers.study import model_title


def hover_text(row: "pd.Series[Any]") -> str:
    """Return the lines of one row of the results table, as Plotly shows them; what is absent is left out."""
    return "<br>".join(_lines(row))


def _lines(row: "pd.Series[Any]") -> Iterator[str]:
    source = "published" if row["source"] == "published" else f"campaign {row['source']}"
    yield f"<b>{model_title(row['model'])}</b> ({source}, {row['machine']})"
    if pd.notna(row["accuracy"]):
        plus = f" ± {row['accuracy_uncertainty']:.4g}" if pd.notna(row["accuracy_uncertainty"]) else ""
        sd = f", SD over splits {row['accuracy_sd']:.3f}" if pd.notna(row["accuracy_sd"]) else ""
        yield f"accuracy {row['accuracy']:.3f}{plus}{sd}"
    yield from _energy_lines(row)
    if pd.notna(row["duration_s"]):
        yield f"duration {units.duration(_number(row['duration_s']), 3)}"
    if pd.notna(row["gpus"]):
        inferred = " (inferred, not printed)" if row["gpus_origin"] == "inferred" else ""
        yield f"GPUs: {row['gpus']}{inferred}, nodes: {row['nodes']}"
    if pd.notna(row["checkpoint"]):
        yield f"embedding {row['checkpoint']}"
    if row["checks_failed"] and pd.notna(row["checks_failed"]):
        yield f"checks failed: {row['checks_failed']}"
    yield f"source: {row['origin']}"


def _energy_lines(row: "pd.Series[Any]") -> Iterator[str]:
    if pd.notna(row["energy_wh"]):
        energy, texts = _number(row["energy_wh"]), _number(row["texts"])
        yield f"energy {units.energy(energy, 3)} ({row['energy_kind']})"
        yield f"{units.energy(energy / texts, 2)} per text"
        if pd.notna(row["accuracy"]) and row["accuracy"] > 0:
            yield f"{units.energy(energy / texts / _number(row['accuracy']), 2)} per correct answer"
    elif pd.notna(row["energy_wh_below"]):
        yield f"energy below {units.energy(_number(row['energy_wh_below']))} (printed as a limit)"
    else:
        yield "energy missing"


def _number(value: object) -> float:
    return float(str(value))
