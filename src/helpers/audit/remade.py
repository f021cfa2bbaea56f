"""Make figures and tables again, from nothing but the sources, and compare them with those of the book."""

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helpers import paths
from helpers.analyses import SOURCES, analyse
from helpers.audit.compare import differences
from helpers.audit.findings import Finding
from helpers.audit.manifest import EXECUTED
from helpers.errors import UserError
from helpers.shown import Shown, read_shown

REBUILD = "if a source changed, build the book again: make book; else the book was changed"


def check(html: Path, names: Collection[str]) -> tuple[int, list[Finding]]:
    """Execute analyses into a scratch folder and compare; returns how many, and what is off."""
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        with suppress(UserError):  # those that failed are missing below, and what they said is on stderr
            analyse(sorted(names), scratch)
        findings = [finding for name in sorted(names) for finding in _check_one(html, scratch, name)]
    return len(names), findings


def read_executed(file: Path) -> Shown:
    """Read the figure or table of an executed analysis, whatever was done to the file.

    Raises:
        UserError: one line.
    """
    try:
        return read_shown(file)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UserError(
            f"{paths.relative(file)}: holds no figure or table: {error}".splitlines()[0]
        ) from None


def _check_one(html: Path, scratch: Path, name: str) -> Iterator[Finding]:
    executed = html / EXECUTED / f"{name}.ipynb"
    again = scratch / paths.relative(SOURCES / f"{name}.ipynb")
    where = paths.relative(executed)
    if not again.is_file():
        yield Finding(
            f"notebooks/analysis/{name}.ipynb", "cannot be executed any more", "see its error above"
        )
        return
    try:
        book, made = read_executed(executed), read_executed(again)
    except UserError as error:
        yield Finding.of_error(error, REBUILD)
        return
    for difference in differences(book, made):
        yield Finding(where, f"not as made again: {difference}", REBUILD)
    if _outputs(executed) != _outputs(again):
        yield Finding(where, "not as made again: another output of a cell", REBUILD)


def sources_of(notebook: Path) -> list[tuple[str, str]]:
    """Return kind and source of each cell of a notebook."""
    document = json.loads(notebook.read_text(encoding="utf-8"))
    return [(cell["cell_type"], "".join(cell["source"])) for cell in document["cells"]]


def _outputs(notebook: Path) -> list[list[Any]]:
    """Return what a reader sees below the cells of an executed notebook, but the artefact and times."""
    document = json.loads(notebook.read_text(encoding="utf-8"))
    return [[_seen(output) for output in cell.get("outputs", [])] for cell in document["cells"]]


def _seen(output: dict[str, Any]) -> Any:
    plain = output.get("data", {}).get("text/plain", "")
    return output.get("output_type"), "".join(output.get("text", "")), "".join(plain)
