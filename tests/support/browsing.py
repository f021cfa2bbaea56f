"""What the tests of the book share: the book, built once, and how a browser looks at it."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bs4 import BeautifulSoup, Tag

from helpers.publish.preview import PREVIEW
from tests.conftest import ROOT, Checkout, make_checkout

one_book = pytest.mark.xdist_group("book")  # so that the book is built once
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
ANALYSES = sorted(file.stem for file in (ROOT / "notebooks" / "analysis").glob("*.ipynb"))
FIGURE_1 = "notebooks/analysis/figure_1_accuracy_energy"
REAL = ("news", "yelp", "tomatoes", "emotion")
MEASURED = {"model": ["linear-bow", "linear-tfidf"], "dataset": "fktg-sample", "splits": 1, "window_s": 0.05}
SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
MARKDOWN = "[x](javascript:alert(1)) {raw}`html` ![y](x)\n\n```{raw} html\n<script>alert(1)</script>\n```"
HOSTILE = (SCRIPT, IMAGE, MARKDOWN)


def make_book(folder: Path) -> Checkout:
    """Build a book from two measured runs, one whose strings are hostile, and one that is refused."""
    copy = make_checkout(folder)
    copy.campaign("demo", MEASURED)
    done = copy.helpers("run", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    _write_hostile_records(copy)
    done = copy.helpers("book", "--no-measure")
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


def _write_hostile_records(copy: Checkout) -> None:
    document = json.loads(copy.records()[0].read_text(encoding="utf-8"))
    document["run"] |= {"campaign": "hostile", "checkpoint": SCRIPT, "dataset_origin": SCRIPT}
    document["run"] |= {"dtype": MARKDOWN, "revision": IMAGE}
    document["environment"] |= {"os": SCRIPT, "cpu_model": SCRIPT, "python": IMAGE, "driver": IMAGE}
    document["environment"] |= {"packages": {text: text for text in HOSTILE}, "container": MARKDOWN}
    for text in HOSTILE:
        document["checks"].append({"name": text, "passed": False, "message": text, "severity": "warning"})
    for split in document["splits"]:
        for source in split["sources"]:
            source |= {"source": IMAGE, "problem": MARKDOWN}
    notebook = json.dumps(_hostile_notebook())
    document["files"]["notebook.ipynb"] = hashlib.sha256(notebook.encode()).hexdigest()
    for campaign, content in (("hostile", document), ("refused", document | {SCRIPT: 1})):
        folder = copy.root / "runs" / campaign / document["run"]["run_id"]
        shutil.copytree(copy.records()[0].parent, folder)
        (folder / "record.json").write_text(json.dumps(content), encoding="utf-8")
        (folder / "notebook.ipynb").write_text(notebook, encoding="utf-8")


def _hostile_notebook() -> dict[str, Any]:
    """Return a notebook that tries to run a script, to read a file, and to be executed by who builds the book."""
    include = "```{include} /etc/passwd\n```"
    shown = dict.fromkeys(("text/html", "text/markdown", "image/svg+xml", "application/javascript"), SCRIPT)
    output = {"output_type": "display_data", "metadata": {}, "data": shown | {"text/plain": SCRIPT}}
    table = {**output, "data": {"text/html": f"<table><tr><td>{SCRIPT}{IMAGE}</td></tr></table>"}}
    words = {"output_type": "stream", "name": "stdout", "text": SCRIPT}
    code = {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "open('/tmp/x', 'w')"}
    return {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"mystnb": {"execution_mode": "force"}},
        "cells": [
            {
                "cell_type": "markdown",
                "metadata": {},
                "source": f"{include}\n\n{MARKDOWN}\n\n{SCRIPT}{IMAGE}",
            },
            {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": SCRIPT},
            {**code, "outputs": [output, table, words]},
        ],
    }


def html(book: Checkout) -> Path:
    return book.root / "_build" / "html"


def page(book: Checkout, name: str) -> BeautifulSoup:
    return BeautifulSoup((html(book) / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def pages(book: Checkout) -> list[Path]:
    """Return every page of the book, also those that no table of contents lists."""
    files = [
        file
        for file in sorted(html(book).rglob("*.html"))
        if not {"_static", "_sources"} & set(file.parts)
        and file.name != PREVIEW  # which is no page of the theme
    ]
    assert len(files) > 40
    return files


def look_at(browser: Any, file: Path, width: int = 1280, theme: str = "light") -> None:
    """Open a page and wait until its figures are drawn."""
    emulate(browser, width, theme)
    for log in ("browser", "performance"):
        browser.get_log(log)  # what earlier pages left
    browser.get(file.as_uri())
    wait_for_figures(browser)


def turn_to(browser: Any, width: int, theme: str) -> None:
    """Give the open page another width and theme, as a reader does, and wait until its figures have followed."""
    emulate(browser, width, theme)
    wait_for_figures(browser)


def emulate(browser: Any, width: int, theme: str, media: str = "") -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    features = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}  # nothing half-way
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": media, "features": [{"name": name, "value": value} for name, value in features.items()]},
    )


def wait_for_figures(browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    script = """const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
        return document.readyState === "complete" && document.documentElement.dataset.theme === theme
        && Array.from(document.querySelectorAll(".plot")).filter(plot => plot.clientWidth).every(plot =>
           (plot.dataset.state || "").startsWith(`${theme} ${plot.clientWidth}`))"""
    WebDriverWait(browser, 20, poll_frequency=0.02).until(lambda driver: driver.execute_script(script))


def requested(browser: Any) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def panel(browser: Any, name: str, figure: str = "figure_1_accuracy_energy") -> dict[str, Any]:
    """Read a drawn panel: markers on the screen, and what Plotly holds of each trace; rings around marks left out."""
    script = """
        const plot = document.getElementById(arguments[0]).querySelector(".drawing");
        const rings = plot.data.filter(t => !t.hovertext).reduce((sum, t) => sum + t.x.length, 0);
        return {
          drawn: plot.querySelectorAll(".points path").length - rings,
          labels: Array.from(plot.querySelectorAll(".textpoint text, .annotation-text")).map(t => t.textContent).filter(t => t),
          colours: Array.from(plot.querySelectorAll(".points path")).map(p => getComputedStyle(p).stroke),
          traces: plot.data.filter(t => t.hovertext).map(t => ({
            name: t.name, text: t.text, hover: t.hovertext, colour: t.marker.color, points: t.x.length,
            broad: t.meta.broad.text, narrow: t.meta.narrow.text})),
        };"""
    return browser.execute_script(script, f"{figure}-{name}")


def published_and_measured(drawn: dict[str, Any]) -> tuple[list[str], list[str]]:
    hovers = [
        text.replace("<br>   ", "") for trace in drawn["traces"] for text in trace["hover"]
    ]  # lines as written
    assert drawn["drawn"] == len(hovers)
    named = [(re.match(r"<b>(.*?)</b> \((.*?),", text), text) for text in hovers]
    titles = [(" ".join(match[1].replace("<br>", " ").split()), match[2]) for match, _ in named if match]
    assert len(titles) == len(hovers)
    return (
        [title for title, source in titles if source == "published"],
        [title for title, source in titles if source != "published"],
    )


def artefacts(book: Checkout) -> Iterator[tuple[Path, Tag]]:
    for name in ANALYSES:
        file = html(book) / "notebooks" / "analysis" / f"{name}.html"
        found = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").select("figure.artefact")
        assert len(found) == 1, name
        yield file, found[0]


def fill(opened: Any, form: str, **values: object) -> str:
    """Fill the form as a reader does and return its output."""
    script = """
        const form = document.getElementById(arguments[0]);
        for (const [name, value] of Object.entries(arguments[1])) {
          form.elements[name].value = value;
          form.elements[name].dispatchEvent(new Event("input", {bubbles: true}));
        }
        return form.querySelector("output").innerText;"""
    return str(opened.execute_script(script, form, values))


def page_of_form(body: str, folder: Path) -> Path:
    """Write a page with a form and the script that answers it; return its file."""
    script = (ROOT / "book" / "_static" / "calculator.js").read_text(encoding="utf-8")
    file = folder / "page.html"
    file.write_text(
        f"<!doctype html><meta charset='utf-8'><body>{body}<script>{script}</script></body>", encoding="utf-8"
    )
    return file
