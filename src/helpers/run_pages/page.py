"""The page of one run: what its record says, and the notebook that was executed."""

import json
from pathlib import Path
from typing import Any

from helpers.record import read_record


def page(record_file: Path) -> dict[str, Any]:
    """Return the page as a notebook (nbformat 4).

    Raises:
        UserError: one line where the record cannot be read.
    """
    record = read_record(record_file)
    notebook: dict[str, Any] = json.loads((record_file.parent / "notebook.ipynb").read_text(encoding="utf-8"))
    return notebook | {"cells": [_heading(1, f"Run {record.run.run_id}"), _heading(2, "Executed notebook")]}


def _heading(level: int, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": f"{'#' * level} {text}"}
