"""What the built book is made of, as `audit.json` beside its pages: the sha256 of its sources and of its files."""

from collections.abc import Collection, Iterable
from pathlib import Path

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.validation import Strict, parse_json
from helpers.records import checksums
from helpers.records.environment import git_commit, git_dirty, sha256_of, utc_now

NAME = "audit.json"
EXECUTED = "_sources/notebooks/analysis"
"""Where the book holds the executed analyses."""
_SOURCE_FOLDERS = ("benchmarks/results", "book", "data", "notebooks", "src", "workflow")


class Manifest(Strict):
    """What the built book is made of."""

    made: str
    """When the book was built, UTC."""
    commit: str | None
    dirty: bool | None
    sources: dict[str, str]
    """sha256 of every file that the book was made from, by path as seen from the root of the project."""
    files: dict[str, str]
    """sha256 of every file of the book but this one, by path as seen from its root."""


def write(html: Path) -> None:
    """Write `html/audit.json`, the last step of building the book, of which `html` is the root."""
    manifest = Manifest(
        made=utc_now(),
        commit=git_commit(),
        dirty=git_dirty(),
        sources=sources(),
        files=files(html),
    )
    (html / NAME).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read(html: Path) -> Manifest:
    """Read `html/audit.json`.

    Raises:
        UserError: one line where it is missing, or not as it was written.
    """
    file = html / NAME
    name = paths.relative(file)
    if not file.is_file():
        raise UserError(f"{name}: missing; build the book: make book")
    return parse_json(Manifest, file.read_bytes(), name)


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
    built = {file.relative_to(html).as_posix(): file for file in html.rglob("*") if file.is_file()}
    return {name: sha256_of(built[name]) for name in sorted(built) if name != NAME}


def _files(folder: Path) -> Iterable[Path]:
    """Give the files below a folder but hidden ones, caches, raw answers and what an installation leaves."""
    for file in folder.rglob("*"):
        inner = file.relative_to(folder).parts
        skipped = any(part.startswith((".", "__pycache__")) or part.endswith(".egg-info") for part in inner)
        if file.is_file() and not skipped and file.name != checksums.UNCOMMITTED:
            yield file
