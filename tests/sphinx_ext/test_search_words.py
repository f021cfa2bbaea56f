"""The words that the search finds beside those of a page."""

from helpers.sphinx_ext.search_words import SYNONYMS
from tests.conftest import ROOT


def test_synonyms_belong_to_pages_and_are_single_words() -> None:
    for page, words in SYNONYMS.items():
        assert any((ROOT / f"{page}{suffix}").is_file() for suffix in (".md", ".ipynb")), page
        assert all(word.isalnum() for word in words.split()), page
