"""The page of one run: what its record says, and below it the notebook that was executed."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helpers.record import read_record
from helpers.run_pages import panel

NOTEBOOK = "notebook.ipynb"
_LEFT_OUT = ("output", "data_dir")
"""Parameters that name a folder of the machine where it was measured."""

_FENCED = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
"""A block of code, in which # is no heading."""


def page(record_file: Path) -> dict[str, Any]:
    """Return the page as a notebook (nbformat 4.4: its cells need no names).

    The cells of the executed notebook are those of the file; headings are lowered, and tables made to scroll.

    Raises:
        UserError: one line where the record cannot be read.
    """
    record = read_record(record_file)
    notebook = _notebook(record_file.parent / NOTEBOOK)
    sections = {
        "": panel.summary(record_file, record, _command(record.run.notebook, notebook)),
        "Energy": panel.energies(record) + panel.phases(record),
        "Checks": panel.checks(record),
        "Power over time": panel.power(record_file, record),
        "What was run": panel.settings(record),
        "Environment": panel.environment(record),
        "Files": panel.files(record_file, record),
        "Executed notebook": "" if notebook else "<p>It is not there, or is no notebook.</p>",
    }
    cells = [_markdown(f"# Run {record.run.run_id}")]
    for title, fragment in sections.items():
        cells += ([_markdown(f"## {title}")] if title else []) + ([_shown(fragment)] if fragment else [])
    return {
        "cells": cells + [_lowered(cell) for cell in notebook.get("cells", [])],
        "metadata": {
            name: value for name, value in notebook.get("metadata", {}).items() if name != "papermill"
        }
        | {"nosearch": True},  # found by its title; the words of hundreds of like pages would hide all others
        "nbformat": 4,
        "nbformat_minor": 4,
    }


def _notebook(file: Path) -> dict[str, Any]:
    """Return the executed notebook; nothing where there is none, which is the audit's to report."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("cells"), list) else {}


def _command(kind: str, notebook: Mapping[str, Any]) -> str:
    """Return the command that measures the run again, from the parameters of the executed notebook."""
    given = notebook.get("metadata", {}).get("papermill", {}).get("parameters", {})
    chosen = {name: value for name, value in given.items() if name not in _LEFT_OUT and value != ""}
    assigned = [f"-p {shlex.quote(f'{name}={value}')}" for name, value in sorted(chosen.items())]
    return " ".join([".venv/bin/python -m helpers measure", kind, *assigned]) if chosen else ""


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _shown(fragment: str) -> dict[str, Any]:
    """Return a cell that is nothing but its output."""
    output = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": f'<div class="run">{fragment}</div>'},
    }
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": ["remove-input"]},
        "source": "# from record.json",  # a cell without a source would not be shown
        "outputs": [output],
    }


def _lowered(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cell of the executed notebook as it can stand in the page."""
    kept = {name: value for name, value in cell.items() if name != "id"}  # names came with nbformat 4.5
    kept["metadata"] = {"tags": cell.get("metadata", {}).get("tags", [])}
    if cell["cell_type"] == "markdown":
        kept["source"] = "".join(map(_lower_headings, _FENCED.split("".join(cell["source"]))))
    if "outputs" in cell:
        kept["outputs"] = [_scrolling(output) for output in cell["outputs"]]
    return kept


def _lower_headings(text: str) -> str:
    return text if _FENCED.match(text) else re.sub(r"^(#{1,4}) ", r"##\1 ", text, flags=re.MULTILINE)


def _scrolling(output: Mapping[str, Any]) -> dict[str, Any]:
    found = "".join(output.get("data", {}).get("text/html", ""))
    if "<table" not in found:
        return dict(output)
    scrolling = f'<div class="table-scroll" tabindex="0" role="group" aria-label="Output">{found}</div>'
    return {**output, "data": {**output["data"], "text/html": scrolling}}
