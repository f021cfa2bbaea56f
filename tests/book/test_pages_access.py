"""The pages of the book without a mouse, without JavaScript, on paper, and for a screen reader."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Checkout
from tests.support.browsing import FIGURE_1, emulate, html, look_at, one_book, pages, turn_to

VIOLATIONS = """
    const done = arguments[arguments.length - 1];
    axe.run({exclude: arguments[0]}, {resultTypes: ["violations"], preload: false, ...arguments[1]}).then(found => done(
        found.violations.filter(rule => ["serious", "critical"].includes(rule.impact)).flatMap(
            rule => rule.nodes.slice(0, 3).map(node => `${rule.id}: ${node.target.join(" ")}: ${node.html.slice(0, 100)}`))));"""
FRAME = [[".bd-sidebar-primary"], [".bd-header-article"]]
"""The same on every page; looked at on the front page."""
OF_LOOKS = ["color-contrast", "scrollable-region-focusable", "target-size", "button-name", "link-name"]
"""Rules that theme and width can break; the others need not be asked twice."""

WATCH_FOCUS = """
    window.controls = Array.from(document.querySelectorAll(
        "a[href], button, input, select, textarea, summary, [tabindex='0']")).filter(
        tag => tag.checkVisibility({visibilityProperty: true}) && tag.getClientRects().length
        && !tag.disabled && tag.tabIndex >= 0 && !(tag.type === "radio" && !tag.checked));
    window.reached = new Set();
    window.unseen = [];
    document.addEventListener("focusin", function (event) {
        const tag = event.target;
        const style = getComputedStyle(tag);
        if (!window.reached.has(tag) && (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1))
            window.unseen.push(tag.outerHTML.slice(0, 100));
        window.reached.add(tag);
    });
    return window.controls.length;"""
UNREACHED = """
    return window.controls.filter(tag => !window.reached.has(tag)).map(tag => tag.outerHTML.slice(0, 100));"""


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which finds what keeps people from using a page."""
    file = Path(os.environ.get("COMPANION_AXE", ROOT / ".axe" / "node_modules" / "axe-core" / "axe.min.js"))
    if not file.is_file():
        pytest.skip(f"{file} is not there: make axe, or set COMPANION_AXE")
    return file.read_text(encoding="utf-8")


@one_book
def test_no_page_has_a_serious_violation(axe: str, book: Checkout, browser: Any) -> None:
    violations = [line for file in pages(book) for line in _violations(browser, axe, file)]
    assert violations == [], "\n".join(violations)


def _violations(browser: Any, axe: str, file: Path) -> Iterator[str]:
    look_at(browser, file, 390, "dark")
    browser.execute_script(axe)
    for width, theme in ((390, "dark"), (1280, "light")):
        turn_to(browser, width, theme)
        left_out = [] if file.stem in ("index", "search") else FRAME
        rules = {} if theme == "dark" else {"runOnly": OF_LOOKS}
        lines = browser.execute_async_script(VIOLATIONS, left_out, rules)
        yield from (f"{file.stem} at {width} px, {theme}: {line}" for line in lines)


@one_book
@pytest.mark.parametrize(
    "name",
    [
        "book/index",
        FIGURE_1,
        *(f"notebooks/analysis/{name}" for name in ("claims", "calculator", "runs")),
        "book/audit",
    ],
)
@pytest.mark.parametrize("width", [1280, 390])
def test_keyboard_reaches_every_control_and_is_seen(
    name: str, width: int, book: Checkout, browser: Any
) -> None:
    look_at(browser, html(book) / f"{name}.html", width)
    controls = browser.execute_script(WATCH_FOCUS)
    for _ in range(controls + 5):
        for kind in ("rawKeyDown", "keyUp"):
            key = {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
            browser.execute_cdp_cmd("Input.dispatchKeyEvent", key)
    assert controls > 10
    assert browser.execute_script(UNREACHED) == []
    assert browser.execute_script("return window.unseen") == []


@one_book
def test_first_tab_leads_past_the_contents(book: Checkout, browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    look_at(browser, html(book) / f"{FIGURE_1}.html")
    browser.find_element("tag name", "body").send_keys(Keys.TAB)
    first = browser.switch_to.active_element
    assert first.text == "Skip to main content"
    assert first.is_displayed()
    first.send_keys(Keys.ENTER)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    inside = "return document.querySelector('main').contains(document.activeElement)"
    assert browser.execute_script(inside)


@one_book
def test_without_javascript_every_figure_is_an_image(book: Checkout, browser_without_javascript: Any) -> None:
    driver = browser_without_javascript
    missing = []
    with_figures = [file for file in pages(book) if 'class="plot"' in file.read_text(encoding="utf-8")]
    assert len(with_figures) > 15
    for file in with_figures:
        driver.get(file.as_uri())
        plots = driver.find_elements("css selector", ".plot")
        assert plots
        for plot in plots:
            image = plot.find_element("css selector", "img.static")
            drawn = int(image.get_property("naturalWidth")) > 200 and image.size["width"] > 200
            if not (image.is_displayed() and drawn and image.get_attribute("alt")):
                missing.append(f"{file.stem}: {plot.get_attribute('id')}")
    assert missing == []


@one_book
def test_print_shows_the_article_alone_dark_on_white(book: Checkout, browser: Any) -> None:
    try:
        for theme in ("light", "dark"):
            look_at(browser, html(book) / f"{FIGURE_1}.html", 1280, theme)
            emulate(browser, 800, theme, media="print")
            for selector in (
                ".bd-sidebar-primary",
                ".bd-header-article",
                ".prev-next-footer",
                ".panel-files",
            ):
                shown = browser.find_elements("css selector", selector)
                assert not any(tag.is_displayed() for tag in shown), selector
            colours = browser.execute_script(
                "return ['color', 'backgroundColor'].map(name => getComputedStyle(document.querySelector('article'))[name])"
            )
            assert _brightness(colours[0]) < 0.3, theme
            body = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert _brightness(body) > 0.9, theme
            finding = browser.find_element("css selector", "figure.artefact .finding")
            assert finding.is_displayed()
    finally:
        emulate(browser, 1280, "light")


def _brightness(colour: str) -> float:
    """Give the brightness of a computed colour, from 0 to 1; nothing painted is paper."""
    numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")]
    return 1.0 if len(numbers) == 4 and numbers[3] == 0 else sum(numbers[:3]) / 3 / 255
