"""One page says what differs from print, in the words of the notebooks."""

import json
from pathlib import Path

import pytest

from helpers.book import differences
from helpers.core import paths
from tests.conftest import Checkout, refusal
from tests.support.browsing import ANALYSES, one_book, page

ANALYSES_OF_PRINT = [name for name in ANALYSES if name.startswith(("figure_", "table_"))]


def notebook(folder: Path, name: str, *cells: str) -> None:
    made = [{"cell_type": "markdown", "source": text.splitlines(keepends=True)} for text in cells]
    (folder / f"{name}.ipynb").write_text(json.dumps({"cells": made}), encoding="utf-8")


def test_each_notebook_that_says_what_differs_has_a_section_whose_links_lead_from_the_book(tmp_path):
    notebook(
        tmp_path,
        "table_9",
        "# Table 9: more",
        "## What differs from the printed table\n\n- [a](b.ipynb), [c](../../book/d.md)",
    )
    notebook(tmp_path, "other", "# Other", "## What is left out\n\n- Nothing.")
    assert differences.gathered(tmp_path) == (
        "### [Table 9: more](../notebooks/analysis/table_9.ipynb)\n\n- [a](../notebooks/analysis/b.ipynb), [c](d.md)"
    )


def test_every_figure_and_table_of_the_paper_says_what_differs():
    text = differences.gathered(paths.NOTEBOOKS / "analysis")
    assert [name for name in ANALYSES_OF_PRINT if f"analysis/{name}.ipynb)\n" not in text] == []


@pytest.mark.parametrize("text", ["", f"{differences.MARK}\n{differences.MARK}\n"])
def test_a_page_without_a_place_for_them_is_refused(text, tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / differences.PAGE).write_text(text, encoding="utf-8")
    assert refusal(differences.write, tmp_path).startswith("book/differences.md: expected a line")


@one_book
def test_the_page_shows_them(book: Checkout):
    headings = [tag.get_text() for tag in page(book, "book/differences").select("article h3")]
    assert len(headings) == len(ANALYSES_OF_PRINT)
