"""Result of the bench of a whole campaign: its time against that of what was measured in it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from helpers.core import units
from helpers.core.validation import Strict
from helpers.measure.execute import NOTEBOOK
from helpers.records.storage import RECORD, read_record
from helpers.results.overhead import Where

GOAL = 1.15
"""What a campaign may take, as a multiple of its phases and its cooling down."""


class CampaignBench(Strict):
    """Times of a campaign, all runs together, in seconds."""

    where: Where
    runs: int = Field(ge=1)
    wall_s: float = Field(gt=0)
    """From the command to its end."""
    phases_s: float = Field(gt=0)
    """Of all records: load, idle, train, warm-up, inference."""
    cool_down_s: float = Field(ge=0)
    """Configured: what the machine rests before each run."""
    kernel_s: float = Field(ge=0)
    """From the start of a notebook to its first cell: the start of its kernel."""
    imports_s: float = Field(ge=0)
    """Cells before the one that measures: packages, parameters, data."""
    beside_s: float = Field(ge=0)
    """Of the cell that measures, what is no phase: what is left of cooling down, meters, checks, files of the record."""
    command_s: float = Field(ge=0)
    """Start of Python and packages of the command that executes a notebook, timed apart, once for each run."""

    @property
    def ratio(self) -> float:
        """Time of the campaign over that of what it measures and of the configured rests."""
        return self.wall_s / (self.phases_s + self.cool_down_s)

    @property
    def scheduling_s(self) -> float:
        """What is left: planning, Snakemake, shutting kernels down, looking whether a run has ended."""
        accounted_s = self.phases_s + self.beside_s + self.kernel_s + self.imports_s + self.command_s
        return max(self.wall_s - accounted_s, 0.0)


def times_of(folder: Path) -> dict[str, float]:
    """Return the times of one run, in seconds: phases, kernel, imports, and the cell that measures.

    Args:
        folder: of the run, with its record and executed notebook.
    """
    record = read_record(folder / RECORD)
    notebook = json.loads((folder / NOTEBOOK).read_text(encoding="utf-8"))
    cells = [cell["metadata"]["papermill"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    begun = _time(notebook["metadata"]["papermill"]["start_time"])
    measuring = max(cells, key=lambda cell: float(cell["duration"]))
    first = min(_time(cell["start_time"]) for cell in cells)
    return {
        "phases": sum(phase.duration_s for phase in record.phases),
        "kernel": (first - begun).total_seconds(),
        "imports": (_time(measuring["start_time"]) - first).total_seconds(),
        "cell": float(measuring["duration"]),
    }


def campaign_table(bench: CampaignBench) -> pd.DataFrame:
    """Return where the time of the campaign went, as text."""
    rows: dict[str, tuple[float, str]] = {
        "Phases of the records": (bench.phases_s, "load, idle, train, warm-up, inference"),
        "Beside the phases": (
            bench.beside_s,
            "what is left of cooling down; meters, checks, files of the record",
        ),
        "Start of the kernels": (bench.kernel_s, "while the machine cools down"),
        "Imports": (bench.imports_s, "packages, parameters and data in the kernel, while it cools down"),
        "Start of the command": (bench.command_s, "Python and packages, while it cools down; timed apart"),
        "Scheduling and the rest": (bench.scheduling_s, "planning, Snakemake, end of the kernels"),
    }
    return pd.DataFrame(
        {
            "What": what,
            "Time": units.duration(seconds, 3),
            "Per run": units.duration(seconds / bench.runs, 3),
            "Share": f"{100 * seconds / bench.wall_s:.1f}{units.THIN}%",
            "Note": note,
        }
        for what, (seconds, note) in rows.items()
    )


def campaign_verdict(bench: CampaignBench) -> str:
    """Say whether the goal was met."""
    met = "met" if bench.ratio <= GOAL else "missed"
    return (
        f"{bench.runs} runs took {units.duration(bench.wall_s, 3)}: {bench.ratio:.3f} times their phases and configured "
        f"rests; the goal of {GOAL:g} is {met}."
    )


def _time(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))
