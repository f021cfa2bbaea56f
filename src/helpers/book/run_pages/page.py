"""The page of one run: what its record says, and below it the notebook that was executed."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helpers.book.run_pages import panel
from helpers.book.run_pages.notebook_cells import cells_of, fragment, markdown
from helpers.figures.notebooks import papermill_of, read_executed
from helpers.records.storage import read_record

NOTEBOOK = "notebook.ipynb"
_LEFT_OUT = ("output", "data_dir")
"""Parameters that name a folder of the machine where it was measured."""


def page(record_file: Path) -> dict[str, Any]:
    """Return the page as a notebook (nbformat 4.4: its cells need no names).

    Raises:
        UserError: one line where the record cannot be read.
    """
    record = read_record(record_file)
    notebook = read_executed(record_file.parent / NOTEBOOK)
    sections = {
        "": panel.summary(record_file, record, _command(record.run.notebook, notebook)),
        "Energy": panel.energies(record) + panel.phases(record),
        "Checks": panel.checks(record),
        "Power over time": panel.power(record_file, record),
        "What was run": panel.settings(record),
        "Environment": panel.environment(record),
        "Files": panel.files(record_file, record),
        "Executed notebook": "" if notebook else "<p>The file is missing or is not a notebook.</p>",
    }
    cells = [markdown(f"# Run {record.run.run_id}")]
    for title, content in sections.items():
        cells += ([markdown(f"## {title}")] if title else []) + ([fragment(content)] if content else [])
    return {
        "cells": [*cells, *cells_of(notebook)],
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
            "nosearch": True,  # found by its title; the words of hundreds of like pages would hide all others
        },
        "nbformat": 4,
        "nbformat_minor": 4,
    }


def _command(kind: str, notebook: Mapping[str, Any]) -> str:
    """Return the command that measures the run again, from the parameters of the executed notebook."""
    given = papermill_of(notebook).get("parameters")
    parameters = given if isinstance(given, dict) else {}
    chosen = {name: value for name, value in parameters.items() if name not in _LEFT_OUT and value != ""}
    assigned = [f"-p {shlex.quote(f'{name}={value}')}" for name, value in sorted(chosen.items())]
    return " ".join([".venv/bin/python -m helpers measure", kind, *assigned]) if chosen else ""
