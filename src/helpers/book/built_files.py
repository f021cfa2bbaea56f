"""Read the built book back: the plots, numbers, links and anchors of its pages."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

FORMAT = "utf-8"
_LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src"}


@dataclass
class Page:
    """What an audit asks of a page."""

    plots: dict[str, Any] = field(default_factory=dict)
    """Plotly's `data`, `layout` and `config` by the id of the plot, `ARTEFACT-PANEL`; None where they are not JSON."""
    numbers: list[tuple[str, str]] = field(default_factory=list)
    """Name and text of each computed number."""
    links: list[str] = field(default_factory=list)
    """Targets as they stand in the page."""
    loads: list[str] = field(default_factory=list)
    """Those among them that a browser follows by itself: scripts, images, frames, and the page that the root leads to."""
    anchors: set[str] = field(default_factory=set)


def read_book(html: Path) -> dict[str, Page]:
    """Read the pages of the book, by their path in it."""
    names = (file.relative_to(html) for file in sorted(html.rglob("*.html")))
    return {name.as_posix(): read_page(html / name) for name in names if name.parts[0] != "_static"}


def read_page(file: Path) -> Page:
    """Read a page of the book."""
    reader = _Reader()
    reader.feed(file.read_text(encoding=FORMAT))
    reader.close()
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._plot = ""
        self._number = ""
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        classes = attributes.get("class", "").split()
        if attributes.get("id"):
            self.page.anchors.add(attributes["id"])
        target = attributes.get(_LINKS.get(tag, ""), "")
        leads_on = tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh"
        if leads_on:
            target = attributes.get("content", "").partition("=")[2].strip()
        if target:
            self.page.links.append(target)
        if target and (leads_on or tag not in ("a", "link")):
            self.page.loads.append(target)
        if "plot" in classes:
            self._plot = attributes.get("id", "")
        elif tag == "script" and "plotly-figure" in classes:
            self._text = []
        elif "number" in classes and (name := _name_in(classes)):
            self._number, self._text = name, []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._text is None or tag not in ("script", "a", "span"):
            return
        text, self._text = "".join(self._text), None
        if self._number:
            self.page.numbers.append((self._number, text))
            self._number = ""
        else:
            self.page.plots[self._plot] = _json(text)


def _name_in(classes: list[str]) -> str:
    names = [name.removeprefix("number-") for name in classes if name.startswith("number-")]
    return names[0] if names else ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
