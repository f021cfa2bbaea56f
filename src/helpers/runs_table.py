"""The audit's list of runs: every record behind the book, with its checks."""

from typing import Any

import pandas as pd

from helpers import paths
from helpers.record import read_record
from helpers.results import Tables
from helpers.show import ROOT_LINK, Artefact, html_table, link


def runs_table(tables: Tables) -> Artefact:
    """List all measured runs with commit, machine and failed checks, and all records that were refused."""
    rows = tables.results[tables.results["source"] != "published"]
    data = pd.DataFrame([_row(row) for _, row in rows.iterrows()], columns=list(_COLUMNS))
    failed = int((data["checks_failed"] != "").sum())
    return Artefact(
        name="runs",
        label="Runs",
        finding=f"{len(data)} measured runs stand behind this book; {failed} of them failed a check.",
        note="A failed check does not remove a run; it is shown wherever the run is.",
        data=data,
        function="helpers.runs_table.runs_table",
        body=_body(data) + _refused(tables.refused),
    )


_COLUMNS = (
    "campaign",
    "run",
    "created",
    "machine",
    "commit",
    "uncommitted_changes",
    "checks_failed",
    "origin",
)


def _row(row: "pd.Series[Any]") -> dict[str, object]:
    file = paths.ROOT / str(row["origin"])
    record = read_record(file)
    return {
        "campaign": row["source"],
        "run": record.run.run_id,
        "created": record.created,
        "machine": record.run.machine,
        "commit": record.environment.git_commit or "",
        "uncommitted_changes": {True: "yes", False: "no", None: ""}[record.environment.git_dirty],
        "checks_failed": "; ".join(f"{c.name}: {c.message}" for c in record.checks if not c.passed),
        "origin": row["origin"],
    }


def _body(data: pd.DataFrame) -> str:
    if data.empty:
        return "<p>No run has been measured yet: <code>python -m helpers run demo</code></p>"
    shown = data.assign(commit=data["commit"].str[:8]).drop(columns=["origin"])
    shown.columns = [str(name).replace("_", " ") for name in shown.columns]
    table = html_table(shown, "Measured runs; each name leads to its record")
    for run, origin in zip(data["run"], data["origin"], strict=True):
        notebook = f"{str(origin).removesuffix('record.json')}notebook.ipynb"
        target = notebook.removeprefix("data/")
        links = f'{link(origin, run)} (<a href="{ROOT_LINK}{target}" download>notebook</a>)'
        table = table.replace(f"<td>{run}</td>", f"<td>{links}</td>", 1)
    return table


def _refused(refused: list[str]) -> str:
    if not refused:
        return ""
    return html_table(pd.DataFrame({"Refused": refused}), "Records that were refused and stand nowhere else")
