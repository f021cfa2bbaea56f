"""Stage the sources and the executed notebooks, and build the HTML book from them."""

import gc
import os
import shutil
import sys
from pathlib import Path

from helpers.book import differences, images, manifest, repository
from helpers.book.run_pages.staging import stage_pages
from helpers.book.sphinx_build import build_html
from helpers.book.trimming import trim
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.executed import ExecutedFigure, read_executed_figure
from helpers.figures.html import REPOSITORY_VARIABLE, commit_link
from helpers.publish import describe_book
from helpers.publish.citation import citation
from helpers.records.environment import git_commit, git_date
from helpers.records.storage import RECORD, read_records
from helpers.results.tables import load_tables

HTML = paths.BUILD / "html"


def stage() -> None:
    """Copy everything that the book is made of, but the executed analyses, to the staging folder."""
    paths.STAGING.mkdir(parents=True, exist_ok=True)
    config = (paths.ROOT / "_config.yml").read_text(encoding="utf-8")
    config = with_version(config, git_commit(), git_date())
    config = repository.with_repository(config, os.environ.get(REPOSITORY_VARIABLE))
    (paths.STAGING / "_config.yml").write_text(config, encoding="utf-8")
    for name in ("_toc.yml", "CHANGELOG.md"):
        shutil.copy2(paths.ROOT / name, paths.STAGING / name)
    for executed in paths.STAGING.glob("notebooks/analysis/*.ipynb"):
        if not (paths.ROOT / executed.relative_to(paths.STAGING)).is_file():
            executed.unlink()  # of an analysis that was removed, or stopped
    for name in ("book", "data", "notebooks/measure"):
        _replace(paths.ROOT / name, paths.STAGING / name)
    _replace(paths.BUILD / "results", paths.STAGING / "data" / "results")
    _replace(paths.BENCHES, paths.STAGING / "data" / "benchmarks" / "results")
    for file, record in read_records(paths.RUNS)[0].items():
        target = paths.STAGING / "data" / "runs" / file.parent.relative_to(paths.RUNS)
        target.mkdir(parents=True)
        for name in [RECORD, *record.files]:  # and no raw answers, which may lie beside them
            if (file.parent / name).is_file():
                shutil.copy2(file.parent / name, target / name)
    differences.write(paths.STAGING)
    stage_pages(load_tables(), paths.STAGING)


def with_version(config: str, commit: str | None, date: str | None) -> str:
    """Return the book's configuration with the version in the footer of each page, and the commit and its date where known."""
    known = f", commit {commit_link(commit, 10)} of {date[:10]}" if commit and date else ""
    key = "  extra_footer: >-\n"
    return config.replace(key, f"{key}    Version {citation().version}{known}.\n", 1)


def build() -> Path:
    """Build the book; returns its first page.

    Raises:
        UserError: one line where Jupyter Book gave warnings, which are errors here.
    """
    stage()
    shown = _shown()
    images.draw(shown, paths.STAGING / "data" / "_images")  # the folder is copied beside the pages
    build_html(paths.STAGING, HTML)
    trim(HTML)
    (HTML / "artefacts").mkdir()
    for item in shown:
        (HTML / "artefacts" / f"{item.name}.csv").write_text(item.data_csv, encoding="utf-8")
    describe_book(HTML)
    manifest.write(HTML)  # last: it holds the hash of every file
    return HTML / "index.html"


def has_static_images() -> bool:
    """Say whether the book holds an image for readers without JavaScript."""
    return any((HTML / "_images").glob("*.svg"))


def _shown() -> list[ExecutedFigure]:
    """Read what the executed analyses show."""
    return [read_executed_figure(file) for file in sorted(paths.STAGING.glob("notebooks/analysis/*.ipynb"))]


def _replace(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target)


if __name__ == "__main__":
    gc.disable()  # collecting would take a fifth of the time, and the process ends with the book
    try:
        build()
    except UserError as error:
        sys.exit(f"error: {error}")
