"""What the figures' and tables' scripts do, in a real browser, on a page with nothing else."""

import base64
import html as markup
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from helpers.book.images import PLOTLY_JS
from helpers.figures import style
from helpers.figures.display import Figure, Panel
from helpers.figures.html import ROOT_LINK
from tests.conftest import ROOT
from tests.support.browsing import look_at

STATIC = ROOT / "book" / "_static"
PATH = "data/measurements/a-campaign-with-a-long-name/a-run-with-a-long-name-0123456789/record.json"
TABLE = pd.DataFrame(
    {
        "model": ["b", "a", "c", "d"],
        "energy": ["1.5 ± 0.1 mWh", "0.2 Wh", "-", "3 µWh"],
        "wh": [10.0, 9.0, np.nan, 100.0],
        "origin": "table_b1",
        "created": ["2026-11-20", "2026-02-03", "2025-12-31", "2026-11-03"],
        "version": ["5.10", "5.9", "5.10.2", "4.11"],
        "package version": ["5.10", "5.9", "5.11", "4.11"],
        "sha256": ["10c9a4", "9e1b2c", "10b9a4", "0e9c8a"],
        "interval": ["1,200 (900 to 1,300)", "< 0.11", "37%", "-0.5 ± 4.6"],
    }
)


def figure(*families: str, hatch: bool = False) -> go.Figure:
    drawn = go.Figure()
    style.layout(drawn, height=320)
    for number, family in enumerate(families):
        look = style.FAMILIES[family]
        labels = pd.DataFrame({"text": ["one", "two"], "place": "top center"})
        drawn.add_trace(
            go.Scatter(
                x=[1, 2],
                y=[number, number + 1],
                mode="markers+text",
                name=look.title,
                marker={"color": look.light, "symbol": look.symbol, "size": 11},
                hovertext=[f"<b>{family}</b><br>source: {PATH}"] * 2,
                hoverinfo="text",
                meta=style.themed(look.light, look.dark, True, labels, labels.assign(text=["", "two"])),
            )
        )
    if hatch:
        pattern = {"shape": "/", "fgcolor": "#ffffff"}
        drawn.add_trace(
            go.Bar(x=[1], y=[1], name="estimated", marker={"pattern": pattern, "color": "#CC79A7"})
        )
    return drawn


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Callable[..., Any]:
    """Open a page with one figure of two plots, and a table of its data."""
    panels = [
        Panel("a", "A", "", figure("Traditional", "Other LLM"), "The finding of A", wide=True),
        Panel("b", "B", "", figure("Other LLM", hatch=True), "The finding of B"),
    ]
    made = Figure("x", "X", "finding", "note", TABLE, "f", panels).html()
    (tmp_path / "_images").mkdir()
    for name in "ab":
        drawn = '<svg xmlns="http://www.w3.org/2000/svg" width="720" height="320"><rect width="9" height="9"/></svg>'
        (tmp_path / "_images" / f"x-{name}.svg").write_text(drawn, encoding="utf-8")
    scripts = [PLOTLY_JS, STATIC / "figures.js", STATIC / "tables.js"]
    loaded = "".join(f'<script defer src="{markup.escape(file.as_uri())}"></script>' for file in scripts)
    head = f'<meta charset="utf-8"><link rel="stylesheet" href="{(STATIC / "figures.css").as_uri()}">{loaded}'
    page = tmp_path / "page.html"
    body = made.replace(ROOT_LINK, "")
    page.write_text(
        f'<!doctype html><html data-theme="light"><head>{head}</head><body>{body}', encoding="utf-8"
    )

    def at(width: int = 1280) -> Any:
        look_at(browser, page, width)
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
        return browser

    return at


def marks(browser: Any) -> list[int]:
    """Count the marks on the screen, per plot."""
    script = """return Array.from(document.querySelectorAll(".plot"), plot =>
        plot.querySelectorAll(".drawing .points path").length)"""
    return list(browser.execute_script(script))


def colours(browser: Any, selector: str) -> list[str]:
    script = "return Array.from(document.querySelectorAll(arguments[0]), mark => getComputedStyle(mark).fill)"
    return list(browser.execute_script(script, selector))


def until(browser: Any, wanted: Callable[[], object]) -> None:
    WebDriverWait(browser, 10, poll_frequency=0.05).until(lambda _: wanted())


def button(browser: Any, text: str) -> Any:
    (found,) = [item for item in browser.find_elements("css selector", "button") if item.text == text]
    return found


def press(browser: Any, target: Any, key: str = Keys.ENTER) -> None:
    """Press a key on what has the focus, after moving it there as a reader does."""
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element == target:
            outline = browser.execute_script("return getComputedStyle(arguments[0]).outlineStyle", target)
            assert outline != "none", "the focus is not visible"
            browser.switch_to.active_element.send_keys(key)
            return
    raise AssertionError(f"the keyboard does not reach {target.text!r}")


def test_plots_are_drawn_over_their_images_without_moving_the_page(opened):
    browser = opened()
    assert marks(browser) == [4, 3]
    state = """return Array.from(document.querySelectorAll(".plot"), plot => [
        plot.querySelector(".static").hidden, plot.querySelector(".drawing").getAttribute("role"),
        plot.querySelector(".drawing").getAttribute("aria-label"), plot.getBoundingClientRect().height])"""
    assert browser.execute_script(state) == [
        [True, "img", "The finding of A", 320],
        [True, "img", "The finding of B", 320],
    ]
    assert (
        browser.execute_script("return document.querySelectorAll('.scratch, .drawing g.legend').length") == 0
    )


def test_legend_hides_and_shows_marks_in_all_plots_by_keyboard(opened):
    browser = opened()
    names = [item.text for item in browser.find_elements("css selector", ".legend-buttons button")]
    assert names == ["Traditional", "LLM", "estimated"]
    llm = button(browser, "LLM")
    press(browser, llm)
    assert (marks(browser), llm.get_attribute("aria-pressed")) == ([2, 1], "false")
    llm.send_keys(Keys.SPACE)
    assert (marks(browser), llm.get_attribute("aria-pressed")) == ([4, 3], "true")
    button(browser, "Traditional").click()
    assert marks(browser) == [2, 3]


def test_theme_colours_the_marks_and_those_of_the_legend(opened):
    browser = opened()
    legend = ".legend-buttons button:nth-child(1) path.scatterpts"
    drawn = "#x-a .trace:first-child .points path"
    light = colours(browser, drawn), colours(browser, legend)
    assert set(light[0]) == set(light[1]) == {"rgb(0, 158, 115)"}
    browser.execute_script("document.documentElement.dataset.theme = 'dark'")
    until(browser, lambda: set(colours(browser, drawn)) == {"rgb(44, 195, 154)"})
    assert set(colours(browser, legend)) == {"rgb(44, 195, 154)"}
    hatched = browser.execute_script(
        "return document.querySelector('.legend-buttons button:last-child svg pattern') !== null"
    )
    assert hatched


def test_a_phone_has_fewer_labels_no_dragging_and_hovers_that_fit(opened):
    script = """
        const drawing = document.querySelector("#x-a .drawing");
        return {labels: Array.from(drawing.querySelectorAll(".textpoint text"), t => t.textContent).filter(t => t),
                drag: drawing._fullLayout.dragmode, hover: drawing.data[0].hovertext[0]};"""
    broad, narrow = opened(1280).execute_script(script), opened(390).execute_script(script)
    assert (sorted(set(broad["labels"])), set(narrow["labels"])) == (["one", "two"], {"two"})
    assert (broad["drag"], narrow["drag"]) == ("zoom", False)
    assert max(map(len, narrow["hover"].split("<br>"))) < 50 < len(PATH)
    joined = narrow["hover"].replace("<br>", "").replace("   ", "")
    assert joined.endswith(f"source: {PATH}")


def test_a_hover_lies_inside_the_plot_on_a_phone(opened):
    browser = opened(390)
    browser.execute_script("""
        Plotly.Fx.hover(document.querySelector("#x-a .drawing"), [{curveNumber: 0, pointNumber: 1}])""")
    until(browser, lambda: browser.find_elements("css selector", "#x-a .hovertext"))
    box, plot = browser.execute_script("""
        return ["#x-a .hovertext", "#x-a"].map(name => document.querySelector(name).getBoundingClientRect())""")
    assert plot["left"] - 1 <= box["left"]
    assert box["right"] <= plot["right"] + 1


def test_width_of_the_window_changes_the_plot(opened):
    browser = opened(1280)
    size = {"width": 600, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    script = """return document.querySelector("#x-a .drawing svg").getBoundingClientRect().width
        === document.querySelector("#x-a").clientWidth && document.querySelector("#x-a").clientWidth < 600"""
    until(browser, lambda: browser.execute_script(script))


def test_a_zoom_can_be_undone_by_a_button(opened):
    browser = opened()
    axis = 'return document.querySelector("#x-a .drawing")._fullLayout.xaxis.range'
    before = browser.execute_script(axis)
    resets = browser.find_elements("css selector", ".panel-files .reset")
    assert [item.is_displayed() for item in resets] == [False, False]
    browser.execute_script(
        """Plotly.relayout(document.querySelector("#x-a .drawing"), {"xaxis.range": [1.2, 1.4]})"""
    )
    until(browser, resets[0].is_displayed)
    assert not resets[1].is_displayed()
    resets[0].click()
    assert browser.execute_script(axis) == before
    assert not resets[0].is_displayed()


def test_png_is_the_plot_on_white_with_its_legend(opened, tmp_path):
    browser = opened()
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    browser.execute_script("document.documentElement.dataset.theme = 'dark'")
    browser.find_elements("css selector", ".panel-files .png")[1].click()
    until(browser, (tmp_path / "x-b.png").is_file)
    content = (tmp_path / "x-b.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    size = browser.execute_script("return document.querySelector('#x-b').clientWidth")
    assert int.from_bytes(content[16:20]) == 2 * size
    pixel = """
        const done = arguments[1], image = new Image();
        image.onload = () => {
          const canvas = document.createElement("canvas");
          canvas.width = canvas.height = 1;
          canvas.getContext("2d").drawImage(image, 0, 0);
          done(Array.from(canvas.getContext("2d").getImageData(0, 0, 1, 1).data));
        };
        image.src = arguments[0];"""
    address = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    assert browser.execute_async_script(pixel, address) == [255, 255, 255, 255]


def test_rebuild_command_can_be_copied(opened):
    browser = opened()
    browser.execute_script("""
        navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); };
        document.querySelector(".figure-source").open = true;""")
    press(browser, button(browser, "Copy"))
    until(browser, lambda: button(browser, "Copied"))
    assert browser.execute_script("return window.copied") == ".venv/bin/python -m helpers analyse x"


def test_printed_is_the_light_image(opened):
    browser = opened()
    browser.execute_script("document.documentElement.dataset.theme = 'dark'")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        time.sleep(0.2)
        shown = """return [".static", ".drawing", ".legend-buttons"].map(name =>
            getComputedStyle(document.querySelector(name)).display !== "none")"""
        assert browser.execute_script(shown) == [True, False, False]
        assert (
            browser.execute_script("return getComputedStyle(document.querySelector('.static')).filter")
            == "none"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def column(browser: Any, number: int) -> list[str]:
    cells = browser.find_elements("css selector", f"table.sortable tbody td:nth-child({number})")
    return [cell.get_attribute("textContent") for cell in cells]


def test_a_table_sorts_by_keyboard_by_value_and_unit_with_what_is_absent_last(opened):
    browser = opened()
    browser.execute_script("document.querySelector('.figure-data').open = true")
    heads = browser.find_elements("css selector", "table.sortable th")
    buttons = [head.find_element("css selector", "button") for head in heads]
    press(browser, buttons[1])
    assert column(browser, 2) == ["3 µWh", "1.5 ± 0.1 mWh", "0.2 Wh", "-"]
    buttons[1].send_keys(Keys.ENTER)
    assert column(browser, 2) == ["0.2 Wh", "1.5 ± 0.1 mWh", "3 µWh", "-"]
    assert [head.get_attribute("aria-sort") for head in heads] == [None, "descending", *[None] * 7]
    buttons[2].click()
    assert column(browser, 3) == ["9", "10", "100", "-"]
    assert [head.get_attribute("aria-sort") for head in heads] == [None, None, "ascending", *[None] * 6]
    buttons[0].click()
    assert column(browser, 1) == ["a", "b", "c", "d"]
    assert column(browser, 2) == ["0.2 Wh", "1.5 ± 0.1 mWh", "-", "3 µWh"]  # whole rows move


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (5, ["2025-12-31", "2026-02-03", "2026-11-03", "2026-11-20"]),
        (6, ["4.11", "5.9", "5.10", "5.10.2"]),
        (7, ["4.11", "5.9", "5.10", "5.11"]),
        (8, ["0e9c8a", "9e1b2c", "10b9a4", "10c9a4"]),
        (9, ["-0.5 ± 4.6", "< 0.11", "37%", "1,200 (900 to 1,300)"]),
    ],
    ids=["dates", "versions", "versions of two parts", "hashes", "numbers with more behind them"],
)
def test_what_only_begins_with_a_number_is_sorted_as_a_text(opened, number, expected):
    browser = opened()
    browser.execute_script("document.querySelector('.figure-data').open = true")
    browser.execute_script(
        "document.querySelector(`table.sortable th:nth-child(${arguments[0]}) button`).click()", number
    )
    assert column(browser, number) == expected
