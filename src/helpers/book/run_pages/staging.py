"""Write the pages of the runs while the book is staged.

The list of runs in the staged table of contents leads to them; the committed `_toc.yml` knows nothing of runs, which
differ from machine to machine.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from helpers.book.run_pages.page import page
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.run_addresses import FOLDER, page_of
from helpers.results.tables import Tables

LIST = "notebooks/analysis/runs"
"""The page that lists all runs; theirs stand below it."""


def stage_pages(tables: Tables, staging: Path) -> list[str]:
    """Write the pages of all runs behind the results tables, and list them in the staged table of contents.

    A page that did not change keeps its file, and one whose run is gone goes.

    Returns:
        The documents, as `runs/CAMPAIGN/RUN`.

    Raises:
        UserError: the table of contents has no list of runs to list them in.
    """
    rows = tables.results[tables.results["source"] != "published"]
    documents = []
    for origin in rows["origin"]:
        document = page_of(str(origin)).removesuffix(".html")
        _write(staging / f"{document}.ipynb", json.dumps(page(paths.ROOT / str(origin)), ensure_ascii=False))
        documents.append(document)
    _remove_others(staging / FOLDER, {staging / f"{document}.ipynb" for document in documents})
    _list_in_contents(staging / "_toc.yml", documents)
    return documents


def _write(file: Path, text: str) -> None:
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _remove_others(folder: Path, pages: set[Path]) -> None:
    for file in folder.glob("*/*.ipynb"):
        if file not in pages:
            file.unlink()
    for campaign in folder.glob("*"):
        if not any(campaign.iterdir()):
            shutil.rmtree(campaign)


def _list_in_contents(file: Path, documents: list[str]) -> None:
    toc = yaml.safe_load(file.read_text(encoding="utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    run_list: dict[str, Any] | None = next((item for item in chapters if item["file"] == LIST), None)
    if run_list is None:
        raise UserError(
            f"_toc.yml: expected a chapter `file: {LIST}`, found none; the pages of the runs are placed below it"
        )
    if documents:
        run_list["sections"] = [{"file": document} for document in documents]
    _write(file, yaml.safe_dump(toc, sort_keys=False, allow_unicode=True))
