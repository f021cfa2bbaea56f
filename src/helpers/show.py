"""Put a figure or a table on a page with everything an auditor asks for.

A figure is an HTML fragment: interactive panels (plotly.js comes once, from the book's `_static`), a static
image for readers without JavaScript, its data as a table and as CSV, and its source. Links to files of
the book begin with `companion-root:`, which `helpers.book_ext` turns into the way from the page.
"""

import base64
import html
import logging
import sys
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
from IPython.display import HTML, display

from helpers import paths
from helpers.environment import git_commit, git_dirty, sha256_of
from helpers.style import PAPER

ROOT_LINK = "companion-root:"
NO_BROWSER = "no static images: install Chromium (Debian: apt-get install chromium), then `make book` again"


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
        """Display it in the executed notebook."""
        display(HTML(self.html()))  # type: ignore[no-untyped-call]

    def html(self) -> str:
        """Return the fragment."""
        panels = "".join(_panel(self.name, panel) for panel in self.panels)
        return (
            f'<figure class="artefact" id="{self.name}">'
            f'<p class="finding">{html.escape(self.finding)}</p><p class="note">{html.escape(self.note)}</p>'
            f'<div class="panels">{panels}</div>{self.body}'
            f'<figcaption><span class="label">{html.escape(self.label)}</span> {_csv_link(self.name, self.data)}'
            f"{_data_table(self.data) if self.panels else ''}{_source(self)}</figcaption></figure>"
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
        f'<table class="data"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
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


def _panel(artefact: str, panel: Panel) -> str:
    identifier = f"{artefact}-{panel.name}"
    plot = pio.to_html(
        panel.figure,
        include_plotlyjs=False,
        include_mathjax=False,
        full_html=False,
        div_id=identifier,  # fixed, so that the same input gives the same page
        default_height=panel.figure.layout.height,
        config={
            "responsive": True,
            "displaylogo": False,
            "modeBarButtons": [["resetScale2d", "toImage"]],
            "toImageButtonOptions": {"filename": identifier, "scale": 2},
        },
    )
    classes = "panel" + (" wide" if panel.wide else "") + (" marked" if panel.marked else "")
    alt = html.escape(panel.alt)
    return (
        f'<!-- panel {panel.name} --><div class="{classes}"><p class="panel-title">{html.escape(panel.title)}</p>'
        f'<p class="panel-note">{html.escape(panel.note)}</p>'
        f'<div class="plotly-box" role="img" aria-label="{alt}">{plot}</div>{_static(panel, alt)}</div>'
        "<!-- end of panel -->"
    )


def _static(panel: Panel, alt: str) -> str:
    image = static_image(panel.figure, 760 if panel.wide else 460)
    if image is None:
        return f"<noscript><p>{alt}</p></noscript>"
    data = base64.b64encode(image).decode()
    return f'<noscript><img src="data:image/webp;base64,{data}" alt="{alt}"></noscript>'


def has_browser() -> bool:
    """Say whether the machine has a Chromium, which draws the static images."""
    from choreographer.browsers.chromium import Chromium  # noqa: PLC0415  (kaleido's own way to find one)

    return Chromium.find_browser(skip_local=False) is not None


def static_image(figure: go.Figure, width: int) -> bytes | None:
    """Return the figure as WebP; None where the machine has no Chromium (the book is built without)."""
    import kaleido  # noqa: PLC0415  (starts a browser; only where a figure is shown)

    if not has_browser():
        return None
    logging.getLogger("kaleido").setLevel(logging.CRITICAL)
    opaque = go.Figure(figure).update_layout(paper_bgcolor=PAPER)
    try:
        kaleido.start_sync_server(silence_warnings=True)  # one browser for all images of a process
        return bytes(pio.to_image(opaque, format="webp", width=width, height=figure.layout.height, scale=1.5))
    except Exception as error:  # a browser that is there and does not start must not cost the book
        print(f"no static image: Chromium does not work here ({type(error).__name__})", file=sys.stderr)
        return None


def _csv_link(name: str, data: pd.DataFrame) -> str:
    encoded = base64.b64encode(data.to_csv(index=False).encode()).decode()
    return f'<a class="download" download="{name}.csv" href="data:text/csv;base64,{encoded}">Data (CSV)</a>'


def _data_table(data: pd.DataFrame) -> str:
    return f'<details class="figure-data"><summary>Data of this figure</summary>{html_table(data, "Data")}</details>'


def _source(artefact: Artefact) -> str:
    files = source_files(artefact.inputs or [str(origin) for origin in artefact.data["origin"]])
    rows = "".join(_source_row(name) for name in files)
    commit = git_commit() or "not a git checkout"
    changed = " (with uncommitted changes)" if git_dirty() else ""
    notebook = f"notebooks/analysis/{artefact.name}.ipynb"
    return (
        f'<details class="figure-source"><summary>Source of this {"figure" if artefact.panels else "table"}</summary><dl>'
        f'<dt>Notebook</dt><dd><a href="{ROOT_LINK}_sources/{notebook}" download><code>{notebook}</code></a>, '
        f"function <code>{artefact.function}</code></dd>"
        f"<dt>Commit</dt><dd><code>{commit}</code>{changed}</dd>"
        f"<dt>Rebuild just this</dt><dd><code>.venv/bin/python -m helpers analyse {artefact.name}</code></dd>"
        f'<dt>Input files</dt><dd><ul class="inputs">{rows}</ul></dd></dl></details>'
    )


def _source_row(name: str) -> str:
    digest = sha256_of(paths.ROOT / name) if not Path(name).is_absolute() else ""
    return (
        f'<li>{link(name, name)} <span class="sha" title="sha256 {digest}">sha256 {digest[:12]}</span></li>'
    )


def _head(column: str, number: bool) -> str:
    return f'<th scope="col"{" class=number" if number else ""}>{html.escape(column)}</th>'


def _cell(value: object, number: bool) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):  # noqa: PLR0124  (NaN)
        return f'<td class="absent{" number" if number else ""}">-</td>'
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    shown = text if isinstance(value, Markup) else html.escape(text)
    return f'<td class="number">{shown}</td>' if number else f"<td>{shown}</td>"
