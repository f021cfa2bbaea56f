"""Put a figure or a table on a page with everything an auditor asks for.

In the book a figure is one output of its notebook: a light HTML fragment, and as metadata what a machine asks for
(`helpers.figures.executed` reads both back). Each panel is a static image, which `helpers.book.images` draws while the book is
built, and the JSON of the plot, which `book/_static/figures.js` draws over the image.
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

from helpers.core import paths
from helpers.figures import plotly_json
from helpers.figures.html import FIGURE_TAG, ROOT_LINK, Markup
from helpers.figures.source_panel import is_record, source_panel
from helpers.figures.style import NOT_MEASURED
from helpers.metering.record_versions import about_records
from helpers.records.environment import git_commit, git_dirty, sha256_of
from helpers.records.storage import read_record

METADATA = "companion"
"""Key of the output's metadata that `helpers.figures.executed` reads."""
BOOK_VARIABLE = "COMPANION_BOOK"
"""Environment variable of a kernel that executes an analysis for the book."""
SOURCE = "Zschache & Hartwig, arXiv:2508.14170, and its reproducible companion. CC BY 4.0."
"""What a downloaded picture names as its source, and its licence (LICENSES/CC-BY-4.0.txt)."""
WIDE_PX, SMALL_PX = 720, 340
"""Widths of the static images: about what a panel has on a desktop."""
_LINE, _SHORT = 160, 60
"""Characters of a note that stand under the finding at once; a shorter one takes the next sentence as well."""
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\bEq\.)(?<!\bal\.)(?<!\be\.g\.) +(?=[A-Z0-9])")
_LONG = 40
"""Characters from which on a text in a table is wrapped."""


@dataclass(frozen=True)
class Panel:
    """One plot of a figure; `wide` ones take the whole width."""

    name: str
    title: str
    note: str
    figure: go.Figure
    alt: str
    wide: bool = False


@dataclass(frozen=True)
class Figure:
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
            if panel.figure.data:
                panel.figure.show()
        display(HTML(_without_book_links(f"{self.body}{self._about_runs()}{self._caption()}")))  # type: ignore[no-untyped-call]

    def html(self) -> str:
        """Return the fragment."""
        panels = "".join(_panel(self.name, panel) for panel in self.panels)
        return (
            f'{FIGURE_TAG} id="{self.name}" data-source="{html.escape(SOURCE)}">{self._head()}{_legend(self.panels)}'
            f'<div class="panels">{panels}</div>'
            f"<!-- body -->{self.body}<!-- end of body -->{self._about_runs()}{self._caption()}</figure>"
        )

    def metadata(self) -> dict[str, Any]:
        """Return what a machine asks for, but the figures and the body, which stand in the fragment."""
        return {
            "name": self.name,
            "label": self.label,
            "kind": self.kind,
            "finding": self.finding,
            "note": self.note,
            "function": self.function,
            "inputs": self.sources(),
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
                if panel.figure.data
            ],
        }

    def sources(self) -> dict[str, str]:
        """Return the files it is computed from, as seen from the root of the project, with their sha256."""
        files = source_files(self.inputs or [str(origin) for origin in self.data["origin"]])
        return {name: _digest(name) for name in files}

    @property
    def kind(self) -> str:
        """`figure`, or `table` where nothing is drawn."""
        return "figure" if self.panels else "table"

    @property
    def rebuild(self) -> str:
        """The command that makes just this."""
        return f".venv/bin/python -m helpers analyse {self.name}"

    def _head(self) -> str:
        return f"{_headline(self.finding)}{_note(self.note)}"

    def _about_runs(self) -> str:
        """Say which version of the meter took our runs, where an earlier one did."""
        records = [read_record(paths.ROOT / name) for name in self.sources() if is_record(name)]
        remark = about_records(records)
        return f'<p class="note meter-version">{html.escape(remark)}</p>' if remark else ""

    def _caption(self) -> str:
        source = source_panel(self.name, self.kind, self.function, self.rebuild, self.sources())
        return (
            f'<figcaption><span class="label">{html.escape(self.label)}</span> '
            f'<a class="download" href="{ROOT_LINK}artefacts/{self.name}.csv" download>Data (CSV)</a>'
            f"{_data_table(self) if self.panels else ''}{source}</figcaption>"
        )


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
        f'<div class="table-scroll" tabindex="0" role="group" aria-label="{html.escape(caption)}">'
        f'<table class="data sortable"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def source_files(origins: Sequence[str]) -> list[str]:
    """Return the files behind `origin` values: names of published CSVs, paths of records and other inputs."""
    files = set()
    for origin in origins:
        for part in [origin] if "/" in origin else origin.split():
            files.add(part if "/" in part else f"data/published/{part}.csv")
    return sorted(files)


def _headline(finding: str) -> str:
    """Return its first sentence as a headline, the others in smaller letters."""
    first, *more = _SENTENCE_END.split(finding, maxsplit=1)
    rest = f' <span class="more">{html.escape(more[0])}</span>' if more else ""
    return f'<p class="finding">{html.escape(first)}{rest}</p>'


def _note(note: str) -> str:
    """Return its first sentences, about a line of them, and fold the rest."""
    line, *more = _SENTENCE_END.split(note)
    while more and (len(line) < _SHORT or len(f"{line} {more[0]}") <= _LINE):
        line = f"{line} {more.pop(0)}"
    return f'<p class="note">{html.escape(line)}</p>{_folded("note", "How to read this", more)}'


def _panel_note(note: str) -> str:
    """Return its first sentence and fold the rest, so that the plots stand close together; a short one stays whole."""
    first, *more = _SENTENCE_END.split(note)
    if len(note) <= _LINE:
        first, more = note, []
    return f'<div class="panel-note"><p>{html.escape(first)}</p>{_folded("", "About these runs", more)}</div>'


def _folded(kind: str, summary: str, sentences: Sequence[str]) -> str:
    """Return sentences that open on a click; nothing where there are none."""
    if not sentences:
        return ""
    attribute = f' class="{kind}"' if kind else ""
    return (
        f'<details class="note-more"><summary>{summary}</summary>'
        f"<p{attribute}>{html.escape(' '.join(sentences))}</p></details>"
    )


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


def _panel(figure: str, panel: Panel) -> str:
    identifier = f"{figure}-{panel.name}"
    classes = "panel" + (" wide" if panel.wide else "")
    alt, height = html.escape(panel.alt), int(panel.figure.layout.height)
    head = (
        f'<!-- panel {panel.name} --><div class="{classes}"><p class="panel-title">{html.escape(panel.title)}</p>'
        f"{_panel_note(panel.note)}"
    )
    if not panel.figure.data:  # a sentence says so; an empty plot would only take room
        sentence = "" if NOT_MEASURED in panel.note.lower() else f'<p class="panel-note">{alt}</p>'
        return f"{head}{sentence}</div><!-- end of panel -->"
    image = f"{ROOT_LINK}_images/{identifier}.svg"
    return (
        f'{head}<div class="plot" id="{identifier}" data-alt="{alt}" style="min-height: {height}px">'
        f'<img class="static" src="{image}" alt="{alt}" width="{WIDE_PX if panel.wide else SMALL_PX}" height="{height}">'
        f'<script type="application/json" class="plotly-figure">{plotly_json.dumps(panel.figure)}</script></div>'
        f'<p class="panel-files"><a class="svg" href="{image}" download>SVG</a></p></div><!-- end of panel -->'
    )


def _data_table(figure: Figure) -> str:
    table = html_table(figure.data, f"Data of {figure.label}")
    return f'<details class="figure-data"><summary>Data of this figure</summary>{table}</details>'


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
    length = len(re.sub("<[^>]*>", "", text)) if isinstance(value, Markup) else len(text)
    kind = "number" if number else "long" if length > _LONG else ""
    return f'<td class="{kind}">{shown}</td>' if kind else f"<td>{shown}</td>"
