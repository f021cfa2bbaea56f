"""The pages of the book as a reader gets them: in a real browser, from file://, without network."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from browsing import FIGURE_1, PAGES, SCRIPT, html, look_at, one_book, page, requested
from conftest import Checkout

LOOKS = [(width, theme) for width in (1280, 390) for theme in ("light", "dark")]
EVERY_LOOK = ("book/index", FIGURE_1, "notebooks/analysis/claims", "notebooks/analysis/calculator")
"""Pages of the most different kinds; the others are looked at on a light desktop and on a dark phone."""
OUTSIDE = ("http", "https", "mailto", "data", "javascript")
HARMLESS: tuple[str, ...] = ()
"""Messages of the console that are known and named here."""


@one_book
def test_first_page_leads_to_the_front_page(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / "index.html")
    assert browser.current_url == (html(book) / "book" / "index.html").as_uri()


@one_book
@pytest.mark.parametrize("name", PAGES)
def test_page_is_sound_on_desktop_and_phone_in_light_and_dark(
    name: str, book: Checkout, browser: Any
) -> None:
    for width, theme in LOOKS if name in EVERY_LOOK else LOOKS[::3]:
        look = f"{name} at {width} px, {theme}"
        look_at(browser, html(book) / f"{name}.html", width, theme)
        severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert [text for text in severe if not any(part in text for part in HARMLESS)] == [], look
        assert browser.execute_script("return document.documentElement.dataset.theme") == theme, look
        size = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert size[0] <= size[1], f"{look}: the page is {size[0]} px wide"
        assert [url for url in requested(browser) if not url.startswith(("file:", "data:", "blob:"))] == [], (
            look
        )


@one_book
@pytest.mark.parametrize("name", PAGES)
def test_page_loads_nothing_from_the_network(name: str, book: Checkout) -> None:
    loaded = page(book, name).select("script[src], link[href], img[src], iframe[src], source[src]")
    addresses = [str(tag.get("src") or tag.get("href")) for tag in loaded]
    assert [address for address in addresses if re.match(r"(https?:)?//", address)] == []


@one_book
def test_every_link_inside_the_book_resolves(book: Checkout) -> None:
    identifiers: dict[Path, set[str]] = {}
    broken = []
    for file in sorted(html(book).rglob("*.html")):
        if "_static" in file.parts or "_sources" in file.parts:
            continue
        soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        for tag in soup.select("[href], [src]"):
            address = str(tag.get("href") or tag.get("src") or "")
            parts = urlsplit(address)
            if parts.scheme in OUTSIDE or not address.strip("#"):
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.is_file() or not target.is_relative_to(html(book).resolve()):
                broken.append(f"{file.relative_to(html(book))}: {address}")
            elif parts.fragment and target.suffix == ".html":
                if target not in identifiers:
                    other = BeautifulSoup(target.read_text(encoding="utf-8"), "html.parser")
                    identifiers[target] = {str(item["id"]) for item in other.select("[id]")}
                if unquote(parts.fragment) not in identifiers[target]:
                    broken.append(f"{file.relative_to(html(book))}: {address}")
    assert broken == []


@one_book
def test_strings_of_a_record_never_become_markup(book: Checkout, browser: Any) -> None:
    for file in html(book).rglob("*.html"):
        assert SCRIPT not in file.read_text(encoding="utf-8"), file.name
    look_at(browser, html(book) / "notebooks" / "analysis" / "runs.html")  # an alert would raise here
    text = browser.execute_script("return document.body.innerText")
    assert SCRIPT in text
    assert f"unknown key '{SCRIPT}'" in text
