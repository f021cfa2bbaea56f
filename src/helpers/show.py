"""Put a figure or a table on a page with everything an auditor asks for.

In the book a figure is one output of its notebook: a light HTML fragment, and as metadata what a machine asks for
(`helpers.shown` reads both back). Each panel is a static image, which `helpers.images` draws while the book is
built, and the JSON of the plot, which `book/_static/figures.js` draws over the image. Links to files of the book
begin with `companion-root:`, links to functions with `companion-function:`; `helpers.book_ext` turns both into the
way from the page.
"""

import html
import os
import re
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from IPython.display import HTML, display

from helpers import figure_json, paths
from helpers.environment import git_commit, git_dirty, sha256_of

ROOT_LINK = "companion-root:"
FUNCTION_LINK = "companion-function:"
METADATA = "companion"
"""Key of the output's metadata that `helpers.shown` reads."""
BOOK_VARIABLE = "COMPANION_BOOK"
"""Environment variable of a kernel that executes an analysis for the book."""
WIDE_PX, SMALL_PX = 720, 340
"""Widths of the static images: about what a panel has on a desktop."""


@dataclass(frozen=True)
class Panel:
    """One plot of a figure; `wide` ones take the whole width."""

    name: str
    title: str
    note: str
    figure: go.Figure
    alt: str
    wide: bool = False
    marked: bool = False
    """Set apart from real data."""


@dataclass(frozen=True)
class Artefact:
    """A figure or a table of the book: what it says, what it is drawn from, how to rebuild it."""

    name: str
    """The analysis notebook that makes it."""
    label: str
    """As in the paper, for example `Figure 1`."""
    finding: str
    note: str
    data: pd.DataFrame
    function: str
    panels: Sequence[Panel] = field(default_factory=tuple)
    body: str = ""
    """HTML, for a table."""
    inputs: Sequence[str] = ()
    """What it is computed from, as `origin` values or paths; by default the `origin` column of `data`."""

    def show(self) -> None:
        """Display it in the executed notebook; outside the book's build, Plotly draws the panels itself."""
        if os.environ.get(BOOK_VARIABLE):
            bundle = {"text/html": self.html(), "text/plain": f"{self.label}: {self.finding}"}
            display(bundle, raw=True, metadata={METADATA: self.metadata()})  # type: ignore[no-untyped-call]
            return
        display(HTML(_without_book_links(self._head())))  # type: ignore[no-untyped-call]
        for panel in self.panels:
            panel.figure.show()
        display(HTML(_without_book_links(f"{self.body}{self._caption()}")))  # type: ignore[no-untyped-call]

    def html(self) -> str:
        """Return the fragment."""
        panels = "".join(_panel(self.name, panel) for panel in self.panels)
        return (
            f'<figure class="artefact" id="{self.name}">{self._head()}{_legend(self.panels)}'
            f'<div class="panels">{panels}</div>'
            f"<!-- body -->{self.body}<!-- end of body -->{self._caption()}</figure>"
        )

    def metadata(self) -> dict[str, Any]:
        """Return what a machine asks for, but the figures and the body, which stand in the fragment."""
        files = self.files()
        return {
            "name": self.name,
            "label": self.label,
            "kind": self.kind,
            "finding": self.finding,
            "note": self.note,
            "function": self.function,
            "inputs": {file: _digest(file) for file in files},
            "commit": git_commit(),
            "dirty": git_dirty(),
            "rebuild": self.rebuild,
            "data_csv": self.data.to_csv(index=False),
            "panels": [
                {
                    "name": panel.name,
                    "title": panel.title,
                    "note": panel.note,
                    "alt": panel.alt,
                    "wide": panel.wide,
                    "height": int(panel.figure.layout.height),
                }
                for panel in self.panels
            ],
        }

    def files(self) -> list[str]:
        """Return the files it is computed from, as seen from the root of the project."""
        return source_files(self.inputs or [str(origin) for origin in self.data["origin"]])

    @property
    def kind(self) -> str:
        """`figure`, or `table` where nothing is drawn."""
        return "figure" if self.panels else "table"

    @property
    def rebuild(self) -> str:
        """The command that makes just this."""
        return f".venv/bin/python -m helpers analyse {self.name}"

    def _head(self) -> str:
        return (
            f'<p class="finding">{html.escape(self.finding)}</p><p class="note">{html.escape(self.note)}</p>'
        )

    def _caption(self) -> str:
        return (
            f'<figcaption><span class="label">{html.escape(self.label)}</span> '
            f'<a class="download" href="{ROOT_LINK}artefacts/{self.name}.csv" download>Data (CSV)</a>'
            f"{_data_table(self) if self.panels else ''}{_source(self)}</figcaption>"
        )


class Markup(str):
    """HTML that goes into a table cell as it is."""

    __slots__ = ()


def html_table(frame: pd.DataFrame, caption: str, numbers: Collection[Hashable] = ()) -> str:
    """Return a table in which every cell but `Markup` is escaped and absent values are a dash.

    Numbers stand right, also those that come as text in the columns `numbers`. A column of `Markup` needs the dtype
    object: pandas would turn it into plain text, which is escaped.
    """
    numeric = {
        str(column): column in numbers or pd.api.types.is_numeric_dtype(frame[column])
        for column in frame.columns
    }
    head = "".join(_head(column, number) for column, number in numeric.items())
    rows = "".join(
        "<tr>"
        + "".join(_cell(value, number) for value, number in zip(row, numeric.values(), strict=True))
        + "</tr>"
        for row in frame.itertuples(index=False)
    )
    return (
        f'<p class="table-title">{html.escape(caption)}</p>'
        f'<div class="table-scroll" tabindex="0" role="region" aria-label="{html.escape(caption)}">'
        f'<table class="data sortable"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def link(path: str, text: str) -> Markup:
    """Return a link to a file of the repository that the book carries along."""
    target = path.removeprefix("data/")
    return Markup(f'<a href="{ROOT_LINK}{html.escape(target)}">{html.escape(text)}</a>')


def page_link(analysis: str, text: str) -> Markup:
    """Return a link to the page of an analysis notebook, wherever it is shown."""
    return link(f"notebooks/analysis/{analysis}.html", text)


def source_files(origins: Sequence[str]) -> list[str]:
    """Return the files behind `origin` values: names of published CSVs, paths of records and other inputs."""
    files = set()
    for origin in origins:
        for part in [origin] if "/" in origin else origin.split():
            files.add(part if "/" in part else f"data/published/{part}.csv")
    return sorted(files)


def _legend(panels: Sequence[Panel]) -> str:
    """Return a button for each name in the plots, which shows or hides its marks; nothing where there is no choice."""
    names = dict.fromkeys(trace.name for panel in panels for trace in panel.figure.data if trace.name)
    if len(names) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" aria-pressed="true" data-name="{html.escape(name)}">'
        f'<svg width="18" height="18" aria-hidden="true"></svg>{html.escape(name)}</button>'
        for name in names
    )
    return f'<div class="legend-buttons" role="group" aria-label="Marks shown">{buttons}</div>'


def _panel(artefact: str, panel: Panel) -> str:
    identifier = f"{artefact}-{panel.name}"
    classes = "panel" + (" wide" if panel.wide else "") + (" marked" if panel.marked else "")
    alt, height = html.escape(panel.alt), int(panel.figure.layout.height)
    image = f"{ROOT_LINK}_images/{identifier}.svg"
    return (
        f'<!-- panel {panel.name} --><div class="{classes}"><p class="panel-title">{html.escape(panel.title)}</p>'
        f'<p class="panel-note">{html.escape(panel.note)}</p>'
        f'<div class="plot" id="{identifier}" data-alt="{alt}" style="min-height: {height}px">'
        f'<img class="static" src="{image}" alt="{alt}" width="{WIDE_PX if panel.wide else SMALL_PX}" height="{height}">'
        f'<script type="application/json" class="plotly-figure">{figure_json.dumps(panel.figure)}</script></div>'
        f'<p class="panel-files"><a class="svg" href="{image}" download>SVG</a></p></div><!-- end of panel -->'
    )


def _data_table(artefact: Artefact) -> str:
    table = html_table(artefact.data, f"Data of {artefact.label}")
    return f'<details class="figure-data"><summary>Data of this figure</summary>{table}</details>'


def _source(artefact: Artefact) -> str:
    rows = "".join(_source_row(name) for name in artefact.files())
    commit = git_commit() or "not a git checkout"
    changed = " (with uncommitted changes)" if git_dirty() else ""
    notebook = f"notebooks/analysis/{artefact.name}"
    return (
        f'<details class="figure-source"><summary>Source of this {artefact.kind}</summary><dl>'
        f'<dt>Notebook</dt><dd><a href="{ROOT_LINK}{notebook}.html">rendered</a>, '
        f'<a href="{ROOT_LINK}_sources/{notebook}.ipynb" download><code>{notebook}.ipynb</code></a></dd>'
        f'<dt>Function</dt><dd><a href="{FUNCTION_LINK}{artefact.function}"><code>{artefact.function}</code></a></dd>'
        f"<dt>Commit</dt><dd><code>{commit}</code>{changed}</dd>"
        f'<dt>Rebuild just this</dt><dd><code class="copied">{artefact.rebuild}</code></dd>'
        f'<dt>Input files</dt><dd><ul class="inputs">{rows}</ul></dd></dl></details>'
    )


def _source_row(name: str) -> str:
    digest = _digest(name)
    return (
        f'<li>{link(name, name)} <span class="sha" title="sha256 {digest}">sha256 {digest[:12]}</span></li>'
    )


def _digest(name: str) -> str:
    """Return the sha256 of an input; nothing for a file that lies outside the project."""
    return "" if Path(name).is_absolute() else sha256_of(paths.ROOT / name)


def _without_book_links(fragment: str) -> str:
    """Keep the text of links that lead into the book, which is not around."""
    return re.sub(r'<a [^>]*href="companion-[^"]*"[^>]*>(.*?)</a>', r"\1", fragment)


def _head(column: str, number: bool) -> str:
    return f'<th scope="col"{" class=number" if number else ""}>{html.escape(column)}</th>'


def _cell(value: object, number: bool) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):  # noqa: PLR0124  (NaN)
        return f'<td class="absent{" number" if number else ""}">-</td>'
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    shown = text if isinstance(value, Markup) else html.escape(text)
    return f'<td class="number">{shown}</td>' if number else f"<td>{shown}</td>"
