"""Every page of the book as a reader gets it: in a real browser, from file://, without network."""

import gzip
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from plotly.offline import get_plotlyjs_version

from helpers.book.images import PLOTLY_JS
from helpers.campaigns.transfer.archive import write_zip
from helpers.core import units
from helpers.publish.preview import PREVIEW
from helpers.results.tables import load_tables
from helpers.statistics import proxy, regression
from tests.conftest import Checkout
from tests.support.browsing import (
    FIGURE_1,
    SCRIPT,
    emulate,
    html,
    look_at,
    one_book,
    pages,
    requested,
    turn_to,
)

LOOKS = [(1280, "light"), (1280, "dark"), (390, "dark"), (390, "light")]
OUTSIDE = ("http", "https", "mailto", "data", "javascript")
BOOK_BYTES = 40e6  # a run takes about 130 kB of it: its record, files and page
PAGE_BYTES = 350e3
FIRST_FIGURE_MS = 1500

WIDER_THAN_THE_SCREEN = """
    if (document.documentElement.scrollWidth <= window.innerWidth) return [];
    return Array.from(document.querySelectorAll("body *")).filter(
        tag => tag.getBoundingClientRect().right > window.innerWidth + 1).slice(0, 3).map(tag => tag.outerHTML.slice(0, 80));"""

NOT_DRAWN = """
    const sum = numbers => numbers.reduce((a, b) => a + b, 0);
    const given = (trace, wanted) => Array.from(trace.x || []).filter(
        (x, i) => x !== null && trace.y[i] !== null && wanted(trace.orientation === "h" ? x : trace.y[i])).length;
    return Array.from(document.querySelectorAll(".plot")).filter(plot => plot.clientWidth).map(function (plot) {
        const drawing = plot.querySelector(".drawing");
        if (!drawing) return `${plot.id} is not drawn`;
        const traces = drawing.data.filter(trace => trace.visible !== false);
        const having = mode => traces.filter(trace => trace.type !== "bar" && (trace.mode || "").includes(mode));
        const count = selector => drawing.querySelectorAll(selector).length;
        const points = sum(having("markers").map(trace => given(trace, () => true)));
        const bars = sum(traces.filter(trace => trace.type === "bar").map(trace => given(trace, length => Number(length))));
        const drawn = {points: count(".scatterlayer .points path"), bars: count(".barlayer .point path"),
            lines: count(".scatterlayer .js-line")};
        if (drawn.points !== points) return `${plot.id}: ${drawn.points} of ${points} points are drawn`;
        if (drawn.bars < bars) return `${plot.id}: ${drawn.bars} of ${bars} bars are drawn`;
        if (having("lines").length && !drawn.lines) return `${plot.id}: no line is drawn`;
        const mark = drawing.querySelector(".points path, .point path, .js-line");
        if (!mark) return count(".annotation-text") ? "" : `${plot.id} has neither marks nor a text that says why`;
        const box = mark.getBoundingClientRect();
        if (!(box.width + box.height)) return `${plot.id}: a mark has no size`;
        return plot.querySelector("img.static:not([hidden])") ? `${plot.id}: the image stands behind the drawing` : "";
    }).filter(text => text);"""

WITHOUT_ALT = """
    return Array.from(document.querySelectorAll("img, [role=img]")).filter(
        tag => !(tag.getAttribute("alt") || tag.getAttribute("aria-label"))).map(tag => tag.outerHTML.slice(0, 80));"""


@one_book
def test_first_page_leads_to_the_front_page(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / "index.html")
    assert browser.current_url == (html(book) / "book" / "index.html").as_uri()


@one_book
def test_every_page_is_sound_on_desktop_and_phone_in_light_and_dark(book: Checkout, browser: Any) -> None:
    unsound = [line for file in pages(book) for line in _unsound(browser, file)]
    assert unsound == [], "\n".join(unsound)


def _unsound(browser: Any, file: Path) -> Iterator[str]:
    """Name what is wrong with a page, which is loaded once and then turned to each look."""
    name = f"{file.parent.name}/{file.stem}"
    look_at(browser, file, *LOOKS[0])
    for width, theme in LOOKS:
        turn_to(browser, width, theme)
        look = f"{name} at {width} px, {theme}"
        yield from (f"{look}: {text}" for text in browser.execute_script(NOT_DRAWN))
        yield from (
            f"{look}: wider than the screen: {text}" for text in browser.execute_script(WIDER_THAN_THE_SCREEN)
        )
    yield from (f"{name}: no alternative text: {text}" for text in browser.execute_script(WITHOUT_ALT))
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    yield from (f"{name}: console: {text}" for text in severe)
    outside = [url for url in requested(browser) if not url.startswith(("file:", "data:", "blob:"))]
    yield from (f"{name}: asks the network for {url}" for url in outside)


@one_book
@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_preview_of_the_crate_is_a_page_on_its_own(
    book: Checkout, browser: Any, width: int, theme: str
) -> None:
    file = html(book) / PREVIEW
    emulate(browser, width, theme)
    browser.get(file.as_uri())
    assert browser.execute_script(WIDER_THAN_THE_SCREEN) == []
    broken = """return Array.from(document.querySelectorAll(".wide td:not(:first-child), th")).filter(cell => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return range.getClientRects().length > 1;
    }).map(cell => cell.textContent)"""
    assert browser.execute_script(broken) == [], "a column is squeezed"
    soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
    assert not soup.select("script, link, img, iframe, base")
    addresses = [str(tag["href"]) for tag in soup.select("a[href]")]
    inside = [address for address in addresses if not address.startswith("https://")]
    assert len(inside) > 100
    assert [address for address in inside if not (html(book) / unquote(address)).is_file()] == []


@one_book
def test_pages_load_nothing_from_the_network(book: Checkout) -> None:
    for file in pages(book):
        soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        loaded = soup.select("script[src], link[href], img[src], iframe[src], source[src]")
        addresses = [str(tag.get("src") or tag.get("href")) for tag in loaded]
        assert [address for address in addresses if re.match(r"(https?:)?//", address)] == [], file.name


@one_book
def test_every_link_inside_the_book_resolves(book: Checkout) -> None:
    identifiers: dict[Path, set[str]] = {}
    broken = []
    for file in pages(book):
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
    for file in pages(book):
        assert SCRIPT not in file.read_text(encoding="utf-8"), file.name
    look_at(browser, html(book) / "notebooks" / "analysis" / "runs.html")  # an alert would raise here
    text = browser.execute_script("return document.body.innerText")
    assert SCRIPT in text
    assert f"unknown key '{SCRIPT}'" in text


@one_book
def test_unpacked_zip_has_figures_and_search_and_asks_for_nothing_else(
    book: Checkout, browser: Any, tmp_path: Path
) -> None:
    write_zip(html(book), tmp_path / "book.zip")
    folder = tmp_path / "Bücher und 100 % Daten"
    with zipfile.ZipFile(tmp_path / "book.zip") as archive:
        archive.extractall(folder)
    (top,) = folder.iterdir()
    look_at(browser, top / "book" / "index.html")
    assert browser.execute_script(NOT_DRAWN) == []
    assert len(browser.find_elements("css selector", ".plot .drawing")) == 1
    asked = requested(browser)
    _search_for_jamba(browser)
    urls = {url for url in asked + requested(browser) if not url.startswith(("data:", "blob:"))}
    assert [url for url in urls if not url.startswith(top.as_uri())] == []


@one_book
def test_search_finds_a_word_and_leads_to_its_pages(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / "book" / "index.html")
    _search_for_jamba(browser)


def _search_for_jamba(browser: Any) -> None:
    """Search on the open page as a reader does, and follow a result."""
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    browser.find_element("css selector", ".search-button-field").click()
    browser.switch_to.active_element.send_keys("Jamba", Keys.ENTER)
    finished = "return document.querySelector('#search-results')?.innerText.includes('Search finished')"
    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(finished))
    links = browser.find_elements("css selector", "#search-results li a")
    assert {"Table 1: the language models", "Claim ledger"} <= {link.text for link in links}
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []
    next(link for link in links if link.text == "Table 1: the language models").click()
    assert "Jamba" in browser.find_element("tag name", "article").text


@one_book
@pytest.mark.parametrize(
    "words",
    ["Jamba", "CodeCarbon", "licence", "license", "few-shot", "A100", "recommend", "Tabelle", "Abbildung"],
)
def test_the_first_hit_of_a_search_is_a_readers_page(book: Checkout, browser: Any, words: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(f"{(html(book) / 'search.html').as_uri()}?q={words}")
    finished = "return document.querySelector('#search-results')?.innerText.includes('Search finished')"
    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(finished))
    hits = [
        str(link.get_attribute("href")).partition("?")[0]
        for link in browser.find_elements("css selector", "#search-results li a")
    ]
    pages_first = [Path(unquote(urlsplit(hit).path)).relative_to(html(book)).as_posix() for hit in hits]
    assert pages_first
    assert not pages_first[0].startswith(("book/reference/", "runs/")), pages_first[:3]
    if words == "Jamba":
        assert f"{FIGURE_1}.html" in pages_first[:3]
    if words in ("licence", "license"):
        assert pages_first[0] == "book/licences.html"


@one_book
def test_calculator_gives_the_energy_that_the_package_computes(book: Checkout, browser: Any) -> None:
    fitted = proxy.fit_relative(
        proxy.language_models(regression.points(load_tables().results, "published", "capella"))
    )
    look_at(browser, html(book) / "notebooks" / "analysis" / "calculator.html")
    field = browser.find_element("css selector", "#calculator-energy [name=duration]")
    field.clear()
    field.send_keys("234")
    output = browser.find_element("css selector", "#calculator-energy output").text
    assert units.energy((fitted.a + fitted.c) * 234, 3) in output


def test_the_pages_draw_with_the_plotly_that_made_the_figures() -> None:
    head = PLOTLY_JS.read_text(encoding="utf-8")[:200]
    assert f"plotly.js (basic - minified) v{get_plotlyjs_version()}" in head, "run: make plotly"


@one_book
def test_book_and_pages_are_small(book: Checkout) -> None:
    sizes = {file: file.stat().st_size for file in html(book).rglob("*") if file.is_file()}
    assert sum(sizes.values()) < BOOK_BYTES
    for file in pages(book):
        soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        images = _files_of(soup, file, "img[src]")
        if len(images) <= 2:
            own = sizes[file] + sum(sizes[image] for image in images)
            most = PAGE_BYTES * (3 if file.stem == "audit" else 1)  # which names every run of every figure
            assert own < most, f"{file.name}: {own / 1e3:.0f} kB"
            loaded = {file, *images, *_files_of(soup, file, "script[src], link[rel=stylesheet]")}
            sent = sum(
                len(gzip.compress(item.read_bytes())) for item in loaded if item.name != PLOTLY_JS.name
            )
            assert sent < PAGE_BYTES, f"{file.name}: {sent / 1e3:.0f} kB as a server sends it"


def _files_of(soup: BeautifulSoup, page: Path, selector: str) -> set[Path]:
    addresses = [str(tag.get("src") or tag.get("href")) for tag in soup.select(selector)]
    return {(page.parent / urlsplit(address).path).resolve() for address in addresses}


@one_book
@pytest.mark.parametrize("name", ["book/index", FIGURE_1])
def test_first_figure_is_soon_visible(name: str, book: Checkout, browser: Any) -> None:
    script = """
        window.shown = null;
        document.addEventListener("load", function (event) {
            if (window.shown === null && event.target.matches && event.target.matches(".plot img.static"))
                requestAnimationFrame(() => requestAnimationFrame(() => { window.shown ??= performance.now(); }));
        }, true);"""
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        times = []
        for _ in range(3):  # the machine may be busy with something else
            look_at(browser, html(book) / f"{name}.html")
            times.append(browser.execute_script("return window.shown"))
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert min(times) < FIRST_FIGURE_MS, times
