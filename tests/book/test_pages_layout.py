"""Every page at the widths that people have: no text is cut off, plots say what they show, pictures stand alone."""

import json
import re
from typing import Any

import pytest
from bs4 import BeautifulSoup

from tests.conftest import Checkout
from tests.support.browsing import ANALYSES, FIGURE_1, PAGES, html, look_at, one_book, page, pages, turn_to

WIDTHS = (1280, 320, 390, 640, 1366, 1920)
"""Pixels; 640 is what a screen of 1280 has at 200 % zoom."""

CUT = """
    const found = [], says = node => node.textContent.trim().slice(0, 40);
    for (const element of document.querySelectorAll("body *")) {
      if (element.closest("script, style, noscript, .scratch, .hoverlayer, .sd-d-none")) continue;
      const texts = [...element.childNodes].filter(node => node.nodeType === 3 && node.textContent.trim());
      if (!texts.length || !element.checkVisibility({visibilityProperty: true})) continue;
      const range = document.createRange();
      range.selectNodeContents(texts[0]);
      const box = range.getBoundingClientRect();
      if (box.width < 2 || box.height < 2) continue;
      let scrolls = false, hidden = false;
      let around = element;
      for (; around !== document.documentElement && !scrolls && !hidden; around = around.parentElement) {
        const style = getComputedStyle(around), edge = around.getBoundingClientRect();
        hidden = edge.width < 2 || edge.height < 2;  // for screen readers alone
        if (hidden) break;
        if (/auto|scroll/.test(style.overflowX)) scrolls = true;
        else if (/hidden|clip/.test(style.overflowX) && (box.right > edge.right + 2 || box.left < edge.left - 2)) {
          found.push(`${says(texts[0])} in ${around.tagName}.${around.className.baseVal ?? around.className}`);
          hidden = true;
        }
      }
      const beside = box.right > innerWidth + 1 || box.left < -1;
      if (!scrolls && !hidden && beside) found.push(`${says(texts[0])} beside the page`);
    }
    if (document.documentElement.scrollWidth > innerWidth) found.push("the page itself is wider than the screen");
    return found;"""


CROWDED = """
    const found = [];
    for (const axis of document.querySelectorAll(".plot .drawing .xaxislayer-above")) {
      const names = [...axis.querySelectorAll(".xtick text")].map(text => [text.textContent.trim(), text.getBoundingClientRect()])
        .filter(([text, box]) => text && box.width).sort(([, a], [, b]) => a.left - b.left);
      names.slice(1).forEach(([text, box], i) => {
        if (box.left < names[i][1].right && box.top < names[i][1].bottom) found.push(`${names[i][0]} touches ${text}`);
      });
    }
    return found;"""
"""Names of ticks that lie on each other."""

SQUEEZED = """
    const article = document.querySelector(".bd-article-container").getBoundingClientRect();
    return [...document.querySelectorAll(".bd-article :is(.table-scroll, .pst-scrollable-table-container)")]
      .filter(frame => frame.checkVisibility() && !frame.closest(".calculator, details"))
      .filter(frame => frame.scrollWidth > frame.clientWidth + 1)
      .filter(frame => frame.getBoundingClientRect().right < article.right - 60)
      .map(frame => `${frame.getAttribute("aria-label") || "a table"} scrolls beside blank space`);"""


@one_book
@pytest.mark.parametrize("half", [0, 1])
def test_no_text_is_cut_off_without_a_way_to_reach_it(book: Checkout, browser: Any, half: int) -> None:
    run = next((html(book) / "runs").rglob("*.html")).relative_to(html(book)).with_suffix("")
    found = []
    for name in [*PAGES, run.as_posix()][half::2]:
        look_at(browser, html(book) / f"{name}.html", WIDTHS[0])
        for width in WIDTHS:
            turn_to(browser, width, "light")
            lines = [line for check in (CUT, CROWDED, SQUEEZED) for line in browser.execute_script(check)]
            found += [f"{name} at {width} px: {line}" for line in lines]
    assert found == []


@one_book
def test_tables_of_an_analysis_have_the_room_that_a_short_list_of_contents_would_take(
    book: Checkout, browser: Any
) -> None:
    look_at(browser, html(book) / f"{FIGURE_1}.html", 1280)
    contents = browser.find_element("css selector", ".bd-sidebar-secondary")
    assert not contents.is_displayed()
    turn_to(browser, 390, "light")
    browser.find_element("css selector", ".secondary-toggle").click()  # on a phone it is a button away
    assert "The steps to the figure" in contents.text


@one_book
def test_every_page_says_what_it_is_about_and_has_an_icon(book: Checkout) -> None:
    for file in pages(book):
        soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        if not soup.select_one("article"):  # the page that leads to the front page
            continue
        described = [tag["content"] for tag in soup.select('meta[name="description"]')]
        assert len(described) == len(set(described)) <= 1, file
        assert described or not soup.select_one("article p"), file
        assert all("<" not in str(text) and len(str(text)) <= 160 for text in described), file
        assert len(soup.select('link[rel="icon"]')) == 1, file


def plots(book: Checkout) -> list[tuple[str, dict[str, Any]]]:
    """All plots of the analyses, each with the address of its page."""
    return [
        (str(plot["id"]), json.loads(plot.select_one("script.plotly-figure").string))
        for name in ANALYSES
        for plot in page(book, f"notebooks/analysis/{name}").select(".plot")
    ]


def quantitative(figure: dict[str, Any], letter: str) -> list[dict[str, Any]]:
    """The axes of that direction on which numbers stand: not those whose ticks are names."""
    axes = [axis for key, axis in figure["layout"].items() if key.startswith(f"{letter}axis")]
    named = {
        trace.get(f"{letter}axis", letter)
        for trace in figure["data"]
        if any(
            isinstance(value, str)
            for value in trace.get(letter) or []
            if not isinstance(trace.get(letter), dict)
        )
    }
    return [
        axis
        for number, axis in enumerate(axes)
        if (letter if number == 0 else f"{letter}{number + 1}") not in named
        and axis.get("visible") is not False
        and not any(
            len(text) > 12 or text[:1].isalpha() or re.search("GPU|node", text)
            for text in axis.get("ticktext", [])
        )
    ]


@one_book
def test_every_axis_with_numbers_has_a_title(book: Checkout) -> None:
    found = plots(book)
    assert len(found) > 80
    lacking = [
        f"{name}: {letter}"
        for name, figure in found
        for letter in "xy"
        for axis in quantitative(figure, letter)
        if not axis.get("title", {}).get("text")
    ]
    assert lacking == []


@one_book
def test_where_marks_differ_in_colour_a_legend_names_them(book: Checkout) -> None:
    lacking = []
    for name in ANALYSES:
        soup = page(book, f"notebooks/analysis/{name}")
        traces = [
            trace
            for plot in soup.select(".plot")
            for trace in json.loads(plot.select_one("script.plotly-figure").string)["data"]
        ]
        colours = {
            trace["meta"]["light"]
            for trace in traces
            if trace.get("meta", {}).get("light") and trace.get("marker")
        }
        if len(colours) > 1 and len(soup.select(".legend-buttons button")) < 2:
            lacking.append(name)
    assert lacking == []


NEAREST = """
    const wrong = [];
    for (const drawing of document.querySelectorAll(".plot .drawing")) {
      const frame = drawing.getBoundingClientRect();
      const marks = drawing._fullData.filter(trace => trace.type === "scatter" && (trace.mode || "").includes("markers"))
        .flatMap(trace => trace.x.map((x, i) => {
          const axis = name => drawing._fullLayout[name.replace(/^[xy]/, "$&axis")];
          const across = axis(trace.xaxis), up = axis(trace.yaxis), text = Array.isArray(trace.text) ? trace.text[i] : trace.text;
          return {text: (text || "").trim(),
                  x: frame.left + across._offset + across.d2p(x), y: frame.top + up._offset + up.d2p(trace.y[i])};
        }));
      for (const label of drawing.querySelectorAll(".textpoint text")) {
        const text = label.textContent.trim(), box = label.getBoundingClientRect();
        if (!text) continue;
        const far = mark => Math.hypot(Math.max(box.left - mark.x, 0, mark.x - box.right),
                                       Math.max(box.top - mark.y, 0, mark.y - box.bottom));
        const own = Math.min(...marks.filter(mark => mark.text === text).map(far));
        const near = Math.min(...marks.map(far));
        if (near < own - 0.5) wrong.push(`${drawing.parentNode.id}: ${text}, ${own} px from its mark, ${near} from another`);
      }
    }
    return wrong;"""


@one_book
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "name", ["figure_1_accuracy_energy", "figure_7_other_datasets", "frontier", "one_machine"]
)
def test_every_label_is_nearest_to_its_own_mark(book: Checkout, browser: Any, name: str, width: int) -> None:
    look_at(browser, html(book) / "notebooks" / "analysis" / f"{name}.html", width)
    assert browser.execute_script(NEAREST) == []


@one_book
def test_a_download_leaves_no_error_behind(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / f"{FIGURE_1}.html")
    browser.find_element("css selector", ".panel-files .png").click()
    browser.execute_async_script("setTimeout(arguments[0], 1500)")
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@one_book
def test_a_downloaded_picture_has_title_source_and_licence(book: Checkout, browser: Any) -> None:
    script = """
        window.saved = [];
        Plotly.downloadImage = (figure, how) => saved.push([figure.layout, how.format]);
        document.querySelectorAll(".panel-files button.png, .panel-files button.svg").forEach(button => button.click());
        return saved.map(([layout, format]) => [layout.title.text, layout.title.subtitle.text, format]);"""
    count = 0
    for name in ANALYSES:
        look_at(browser, html(book) / "notebooks" / "analysis" / f"{name}.html")
        drawn = browser.execute_script("return document.querySelectorAll('.plot .drawing').length")
        if not drawn:
            continue
        saved = browser.execute_script(script)
        assert len(saved) == 2 * drawn, name
        for title, source, _ in saved:
            assert "</b>" in title, name
            assert len(title) > 12, name
            words = " ".join(source.replace("<br>", " ").split())
            assert "arXiv:2508.14170" in words, name
            assert "CC BY 4.0" in words, name
        count += len(saved)
    assert count > 150
