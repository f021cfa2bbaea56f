"""Write every description: those that are committed, and those of the built book."""

import json
import shutil
from pathlib import Path

from helpers.core import paths
from helpers.publish.citation import CFF, cff_text, zenodo_text
from helpers.publish.codecheck import codecheck_text
from helpers.publish.crates import describe_book_crate
from helpers.publish.datapackage import NAME, published_package, results_package
from helpers.records import checksums

CARRIED = ("CITATION.cff", "LICENSE", "codecheck.yml")
"""Files of the project that the book carries along."""


def committed_texts() -> dict[Path, str]:
    """Return what every committed description has to say now, but the checksums.

    Raises:
        UserError: one line where a source of them is missing or wrong.
    """
    return {
        CFF: cff_text(),
        paths.ROOT / ".zenodo.json": zenodo_text(),
        paths.ROOT / "codecheck.yml": codecheck_text(),
        paths.PUBLISHED / NAME: _json(published_package()),
    }


def describe_project() -> list[Path]:
    """Write the committed descriptions, the checksums of the data last; returns those that changed.

    Raises:
        UserError: as `committed_texts`; nothing is written then.
    """
    texts = committed_texts()
    changed = [file for file, text in texts.items() if not _says(file, text)]
    for file in changed:
        file.write_text(texts[file], encoding="utf-8")
    sums = paths.ROOT / "data" / checksums.NAME
    before = sums.read_bytes() if sums.is_file() else b""
    return changed + ([sums] if checksums.write().read_bytes() != before else [])


def describe_book(html: Path) -> None:
    """Write the descriptions of the built book in the folder `html`, which has to be complete but for its manifest.

    Raises:
        UserError: one line where a file that the book needs is missing.
    """
    for name in CARRIED:
        shutil.copyfile(paths.ROOT / name, html / name)
    results = html / "results"
    (results / NAME).write_text(_json(results_package(results)), encoding="utf-8")
    describe_book_crate(html)


def _says(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


def _json(document: object) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
