"""What the built book is made of, as `audit.json` beside its pages: sources, figures, runs, numbers, every file."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from helpers.book import built_files
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.validation import Strict, parse_json
from helpers.figures.executed import ExecutedFigure, read_executed_figure
from helpers.figures.run_addresses import page_of
from helpers.records import checksums
from helpers.records.environment import git_commit, git_dirty, sha256_of, utc_now
from helpers.records.storage import read_record
from helpers.results.tables import load_tables

NAME = "audit.json"
EXECUTED = "_sources/notebooks/analysis"
"""Where the book holds the executed analyses."""
_SOURCE_FOLDERS = ("benchmarks/results", "book", "data", "notebooks", "src", "workflow")


class Figure(Strict):
    """A figure or a table of the book."""

    label: str
    kind: str
    page: str
    notebook: str
    """As seen from the root of the project."""
    executed: str
    """As seen from the root of the book, like `page` and `csv`."""
    executed_sha256: str
    function: str
    inputs: dict[str, str]
    """sha256 of each input file when it was made, by path as seen from the root of the project."""
    plots_sha256: dict[str, str]
    """sha256 of the JSON of each plot."""
    csv: str
    csv_sha256: str
    rebuild: str


class RunEntry(Strict):
    """A run of the book."""

    page: str
    sha256: str
    """Of the record."""
    created: str
    files: dict[str, str]
    """sha256 of the files beside the record."""
    failed_checks: list[str]


class NumberEntry(Strict):
    """A computed number of the prose."""

    page: str
    name: str
    text: str


class Manifest(Strict):
    """What the built book is made of."""

    made: str
    """When the book was built, UTC."""
    commit: str | None
    dirty: bool | None
    lock_sha256: str
    artefacts: dict[str, Figure]
    runs: dict[str, RunEntry]
    """By the record as seen from the root of the project."""
    numbers: list[NumberEntry]
    sources: dict[str, str]
    """sha256 of every file that the book was made from, by path as seen from the root of the project."""
    files: dict[str, str]
    """sha256 of every file of the book but this one, by path as seen from its root."""
    seal: str
    """sha256 of all of the above, as JSON with sorted keys."""


def write(html: Path) -> None:
    """Write `html/audit.json`; the last step of building the book.

    Args:
        html: the root of the built book.

    Raises:
        UserError: one line where an executed analysis of the book shows no figure or table.
    """
    text = describe(html, built_files.read_book(html)).model_dump_json(indent=1) + "\n"
    (html / NAME).write_text(text, encoding="utf-8")


def read(html: Path) -> Manifest:
    """Read `html/audit.json`.

    Raises:
        UserError: one line where it is missing, or not as it was written.
    """
    file = html / NAME
    where = paths.relative(file)
    if not file.is_file():
        raise UserError(f"{where}: missing; build the book: make book")
    return parse_json(Manifest, file.read_bytes(), where)


def describe(html: Path, pages: Mapping[str, built_files.Page]) -> Manifest:
    """Describe a built book from its files and its sources, as they are now."""
    content: dict[str, Any] = {
        "made": utc_now(),
        "commit": git_commit(),
        "dirty": git_dirty(),
        "lock_sha256": sha256_of(paths.LOCK_FILE),
        "artefacts": {item.name: _figure(html, item) for item in shown(html)},
        "runs": _runs(),
        "numbers": _numbers(pages),
        "sources": sources(),
        "files": files(html),
    }
    return sealed(Manifest.model_validate({**content, "seal": ""}))


def sealed(manifest: Manifest) -> Manifest:
    """Return the same with its seal."""
    content = manifest.model_dump(mode="json", exclude={"seal"})
    return manifest.model_copy(
        update={"seal": _digest(json.dumps(content, sort_keys=True, ensure_ascii=False))}
    )


def shown(html: Path) -> list[ExecutedFigure]:
    """Read the figures and tables back from the executed analyses that the book holds."""
    return [read_executed_figure(file) for file in sorted((html / EXECUTED).glob("*.ipynb"))]


def sources() -> dict[str, str]:
    """Return the sha256 of every file that the book is made from; live runs stand under `runs`."""
    single = [paths.ROOT / name for name in paths.DOCUMENTS]
    folders = [file for name in _SOURCE_FOLDERS for file in _files(paths.ROOT / name)]
    return digests({paths.relative(file) for file in [*single, *folders]})


def digests(names: Collection[str]) -> dict[str, str]:
    """Return the sha256 of files, given as seen from the root of the project; empty for one that is not there."""
    files = {name: paths.ROOT / name for name in sorted(names)}
    return {name: sha256_of(file) if file.is_file() else "" for name, file in files.items()}


def files(html: Path) -> dict[str, str]:
    """Return the sha256 of every file of the book but `audit.json`."""
    found = {file.relative_to(html).as_posix(): file for file in html.rglob("*") if file.is_file()}
    return {name: sha256_of(found[name]) for name in sorted(found) if name != NAME}


def plot_sha256(figure: dict[str, Any]) -> str:
    """Return the sha256 of a plot's JSON, whatever its order and spacing."""
    return _digest(json.dumps(figure, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def _figure(html: Path, item: ExecutedFigure) -> Figure:
    notebook = f"notebooks/analysis/{item.name}"
    return Figure(
        label=item.label,
        kind=item.kind,
        page=f"{notebook}.html",
        notebook=f"{notebook}.ipynb",
        executed=f"{EXECUTED}/{item.name}.ipynb",
        executed_sha256=sha256_of(html / EXECUTED / f"{item.name}.ipynb"),
        function=item.function,
        inputs=item.sha256,
        plots_sha256={panel.name: plot_sha256(panel.figure) for panel in item.panels},
        csv=f"artefacts/{item.name}.csv",
        csv_sha256=_digest(item.data_csv),
        rebuild=item.rebuild,
    )


def _runs() -> dict[str, RunEntry]:
    rows = load_tables().results
    return {name: _run(name) for name in sorted(rows.loc[rows["source"] != "published", "origin"])}


def _run(name: str) -> RunEntry:
    record = read_record(paths.ROOT / name)
    return RunEntry(
        page=page_of(name),
        sha256=sha256_of(paths.ROOT / name),
        created=record.created,
        files=record.files,
        failed_checks=[check.name for check in record.checks if not check.passed],
    )


def _numbers(pages: Mapping[str, built_files.Page]) -> list[NumberEntry]:
    return [
        NumberEntry(page=page, name=name, text=text)
        for page, parts in pages.items()
        for name, text in parts.numbers
    ]


def _files(folder: Path) -> Iterable[Path]:
    """Give the files below a folder but hidden ones, caches, raw answers and what an installation leaves."""
    for file in folder.rglob("*"):
        inner = file.relative_to(folder).parts
        unwanted = any(part.startswith((".", "__pycache__")) or part.endswith(".egg-info") for part in inner)
        if file.is_file() and not unwanted and file.name != checksums.UNCOMMITTED:
            yield file


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
