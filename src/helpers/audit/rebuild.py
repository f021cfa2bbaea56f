"""Execute figures and tables again, from nothing but the sources, and compare them with those of the book."""

import json
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helpers.audit.compare import differences, text_difference
from helpers.book.analyses import SOURCES, analyse
from helpers.book.manifest import EXECUTED
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.display import METADATA
from helpers.figures.executed import ExecutedFigure, fragment_of, read_executed_figure, without_plots
from helpers.records.findings import Finding

_COMMIT = r"<dt>Commit</dt><dd>.*?</dd>"
REBUILD = "if a source changed, build the book again: make book; else the book was changed"


def check(html: Path, names: Collection[str]) -> tuple[int, list[Finding]]:
    """Execute analyses into a scratch folder and compare; returns how many, and the findings."""
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        with suppress(UserError):  # those that failed are missing below, and their errors are on stderr
            analyse(sorted(names), scratch)
        findings = [finding for name in sorted(names) for finding in _check_one(html, scratch, name)]
    return len(names), findings


def read_executed(file: Path) -> ExecutedFigure:
    """Read the figure or table of an executed analysis, whatever was done to the file.

    Raises:
        UserError: one line.
    """
    try:
        return read_executed_figure(file)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UserError(
            f"{paths.relative(file)}: holds no figure or table: {error}".splitlines()[0]
        ) from None


def _check_one(html: Path, scratch: Path, name: str) -> Iterator[Finding]:
    executed = html / EXECUTED / f"{name}.ipynb"
    again = scratch / paths.relative(SOURCES / f"{name}.ipynb")
    file = paths.relative(executed)
    if not again.is_file():
        yield Finding(
            f"notebooks/analysis/{name}.ipynb", "cannot be executed any more", "see its error above"
        )
        return
    try:
        book, made = read_executed(executed), read_executed(again)
    except UserError as error:
        yield Finding.from_error(error, REBUILD)
        return
    differing = list(differences(book, made))
    if not differing and (difference := text_difference(_fragment(executed), _fragment(again))):
        differing = [difference]
    for difference in differing:
        yield Finding(file, f"not as executed again: {difference}", REBUILD)
    if _outputs(executed) != _outputs(again):
        yield Finding(file, "not as executed again: another output of a cell", REBUILD)


def _fragment(notebook: Path) -> str:
    """Return all that a page shows of the artefact but the plots, which were compared, and the commit."""
    return re.sub(_COMMIT, "", without_plots(fragment_of(notebook) or ""))


def cell_sources(notebook: Path) -> list[tuple[str, str]]:
    """Return kind and source of each cell of a notebook."""
    document = json.loads(notebook.read_text(encoding="utf-8"))
    return [(cell["cell_type"], "".join(cell["source"])) for cell in document["cells"]]


def _outputs(notebook: Path) -> list[list[Any]]:
    """Return what a reader sees below the cells of an executed notebook, but times and the artefact, which `_fragment` gives."""
    document = json.loads(notebook.read_text(encoding="utf-8"))
    return [[_seen(output) for output in cell.get("outputs", [])] for cell in document["cells"]]


def _seen(output: dict[str, Any]) -> Any:
    kinds = ["text/plain"] if METADATA in output.get("metadata", {}) else ["text/plain", "text/html"]
    shown = ["".join(output.get("data", {}).get(kind, "")) for kind in kinds]
    return output.get("output_type"), "".join(output.get("text", "")), shown
