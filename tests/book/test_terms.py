"""Words of a figure that the glossary explains."""

import re

import pytest
from bs4 import BeautifulSoup

from helpers.book.terms import TERMS, with_terms
from tests.conftest import Checkout
from tests.support.browsing import FIGURE_1, html, one_book, page

LINK = '<a class="term" href="companion-root:book/glossary.html#term-{}">{}</a>'


def test_the_first_use_of_each_term_is_a_link_and_no_other() -> None:
    words = '<p class="finding">FKTG on Capella.</p><p class="note">Splits: one pass, a split, FKTG.</p>'
    assert with_terms(words) == (
        f'<p class="finding">{LINK.format("FKTG", "FKTG")} on {LINK.format("machine", "Capella")}.</p>'
        f'<p class="note">Splits: {LINK.format("pass", "one pass")}, a {LINK.format("split", "split")}, FKTG.</p>'
    )


@pytest.mark.parametrize(
    "untouched",
    [
        "<td>FKTG</td>",  # cells of tables, and what a plot says
        '<p class="panel-title">FKTG</p>',
        '<p class="finding" title="FKTG">All passed; they splitted it.</p>',
    ],
)
def test_other_places_and_other_words_stay(untouched: str) -> None:
    assert with_terms(untouched) == untouched


def test_the_words_of_a_panel_and_of_its_fold_are_searched() -> None:
    panel = '<div class="panel-note"><p>Hollow.</p><details><summary>x</summary><p>1 dex</p></details></div>'
    assert with_terms(panel).count('class="term"') == 2


@one_book
def test_each_term_has_an_entry_and_the_links_lead_there(book: Checkout) -> None:
    anchors = {str(tag["id"]) for tag in page(book, "book/glossary").select("dt[id]")}
    assert {f"term-{term}" for term in TERMS} <= anchors
    found = page(book, FIGURE_1).select("figure.artefact a.term")
    assert {str(link["href"]) for link in found} >= {"../../book/glossary.html#term-FKTG"}
    for file in (html(book) / "notebooks" / "analysis").glob("*.html"):
        soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        targets = [str(link["href"]) for link in soup.select("figure.artefact a.term")]
        assert len(targets) == len(set(targets)), file.name
        assert not re.search(r"<a[^>]*><a", str(soup.select_one("figure.artefact"))), file.name
