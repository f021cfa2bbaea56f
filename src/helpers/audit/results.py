"""The results tables that the book carries are those that its sources give now."""

from pathlib import Path

from helpers.audit.compare import csv_difference
from helpers.core import paths
from helpers.records.findings import Finding
from helpers.results.tables import Tables

NAMES = ("results", "observations", "split_results")


def check_results(html: Path, tables: Tables) -> tuple[int, list[Finding]]:
    """Compare `results/*.csv` of the book with tables made now; returns how many there are, and the findings."""
    findings = []
    for name in NAMES:
        file = html / "results" / f"{name}.csv"
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if difference := csv_difference(text, getattr(tables, name).to_csv(index=False)):
            what = f"not as computed now: {difference}" if text else "missing"
            findings.append(Finding(paths.relative(file), what, "build the book again: make book"))
    return len(NAMES), findings
