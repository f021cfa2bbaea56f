"""Read an executed analysis back: what it shows, from what, and its plots."""

import json
import re
from pathlib import Path
from typing import Any, Literal

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.validation import Strict
from helpers.figures.display import METADATA
from helpers.figures.source_panel import is_record

_PLOT = r'(<script type="application/json" class="plotly-figure">)(.*?)(</script>)'


class ExecutedPanel(Strict):
    """One plot of a figure."""

    name: str
    title: str
    note: str
    alt: str
    wide: bool
    height: int
    """Pixels."""
    figure: dict[str, Any]
    """Plotly's `data`, `layout` and `config`, as the page has them."""


class ExecutedFigure(Strict):
    """A figure or a table as the executed notebook holds it."""

    name: str
    label: str
    kind: Literal["figure", "table"]
    finding: str
    note: str
    function: str
    inputs: tuple[str, ...]
    """Files, as seen from the root of the project."""
    sha256: dict[str, str]
    """Hash of each input when this was made; empty for a file outside the project."""
    records: tuple[str, ...]
    """Those of the inputs that are records of runs."""
    commit: str | None
    dirty: bool | None
    rebuild: str
    data_csv: str
    body: str
    """HTML below the plots."""
    panels: tuple[ExecutedPanel, ...]


def read_executed_figure(notebook: Path) -> ExecutedFigure:
    """Read the figure or table of an executed analysis notebook.

    Raises:
        UserError: one line where the notebook holds none, or was not executed for the book.
    """
    for output in _outputs(notebook):
        metadata = output.get("metadata", {}).get(METADATA)
        if metadata is not None:
            return _executed_figure(metadata, "".join(output["data"]["text/html"]))
    name = paths.relative(notebook)
    raise UserError(
        f"{name}: expected a figure or table made for the book, found none; run `python -m helpers analyse {notebook.stem}`"
    )


def fragment_of(notebook: Path) -> str | None:
    """Return the HTML of the figure or table; None where the notebook holds none."""
    for output in _outputs(notebook):
        if METADATA in output.get("metadata", {}):
            return "".join(output["data"]["text/html"])
    return None


def without_plots(fragment: str) -> str:
    """Return HTML without the JSON of the plots in it, which is compared by its values, not as text."""
    return re.sub(_PLOT, r"\1\3", fragment, flags=re.DOTALL)


def _outputs(notebook: Path) -> list[dict[str, Any]]:
    document = json.loads(notebook.read_text(encoding="utf-8"))
    return [output for cell in document["cells"] for output in cell.get("outputs", [])]


def _executed_figure(metadata: dict[str, Any], fragment: str) -> ExecutedFigure:
    plots = [json.loads(plot) for _, plot, _ in re.findall(_PLOT, fragment, re.DOTALL)]
    panels = [{**panel, "figure": plot} for panel, plot in zip(metadata["panels"], plots, strict=True)]
    body = re.search(r"<!-- body -->(.*?)<!-- end of body -->", fragment, re.DOTALL)
    inputs = metadata["inputs"]
    return ExecutedFigure.model_validate(
        {
            **metadata,
            "inputs": tuple(inputs),
            "sha256": inputs,
            "records": tuple(filter(is_record, inputs)),
            "body": body[1] if body else "",
            "panels": tuple(panels),
        }
    )
