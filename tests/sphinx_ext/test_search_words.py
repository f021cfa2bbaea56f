"""The words that the search finds beside those of a page."""

from pathlib import Path

from helpers.sphinx_ext.search_words import SCORER, SYNONYMS
from tests.conftest import ROOT


def test_synonyms_belong_to_pages_and_are_single_words() -> None:
    for page, words in SYNONYMS.items():
        assert any((ROOT / f"{page}{suffix}").is_file() for suffix in (".md", ".ipynb")), page
        assert all(word.isalnum() for word in words.split()), page


def test_the_scorer_is_a_file_of_the_book() -> None:
    assert "score:" in (ROOT / Path(SCORER)).read_text(encoding="utf-8")
