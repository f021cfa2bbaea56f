"""Executed notebooks, which may come from anybody: read if they are notebooks at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

_VERSION = (4, 4)
"""The last one in which cells need no names; those that have some pass, too."""


def read_executed(file: Path) -> Mapping[str, Any]:
    """Return an executed notebook, of valid form; nothing where there is none, which is the audit's to report."""
    try:
        document = json.loads(file.read_bytes())
        if not isinstance(document, dict):
            return {}
        nbformat.validate(document, None, *_VERSION, relax_add_props=True)
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair cannot be written again
    except (OSError, ValueError, RecursionError, nbformat.ValidationError):
        return {}
    return document


def papermill_of(notebook: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what papermill noted in a notebook; nothing where it noted nothing."""
    about = notebook.get("metadata", {}).get("papermill")
    return about if isinstance(about, dict) else {}
