"""The cells of a run's page. Those of the executed notebook may come from anybody: nothing in them is markup.

Sphinx would follow its directives (`include` reads any file), and a browser its scripts. Texts are markup only where
they are those of our own notebook; tables are rebuilt from their cells; other outputs are shown as text or picture.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from html.parser import HTMLParser
from typing import Any

from helpers.core import paths

_FENCED = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
"""A block of code, in which # is no heading."""
_AS_THEY_ARE = ("text/plain", "image/png", "image/jpeg")


def cells_of(notebook: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield its cells, with headings lowered and tables that scroll."""
    for cell in notebook.get("cells", []):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            yield {
                "cell_type": "code",
                "execution_count": cell["execution_count"],
                "metadata": {"tags": cell["metadata"].get("tags", [])},
                "source": source,
                "outputs": [shown for output in cell["outputs"] if (shown := _shown(output))],
            }
        elif cell["cell_type"] == "markdown" and source in _our_texts():
            yield markdown("".join(map(_lower_headings, _FENCED.split(source))))
        else:
            yield fragment(f"<pre>{html.escape(source)}</pre>")


def markdown(text: str) -> dict[str, Any]:
    """Return a cell of text."""
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def fragment(content: str) -> dict[str, Any]:
    """Return a cell that is nothing but its output."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": ["remove-input"]},
        "source": "# from record.json",  # a cell without a source would not be shown
        "outputs": [_display({"text/html": f'<div class="run">{content}</div>'})],
    }


def _display(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": dict(data)}


def _shown(output: Mapping[str, Any]) -> dict[str, Any] | None:
    match output["output_type"]:
        case "stream" | "error":
            return dict(output)
        case _:
            data = {kind: _joined(value) for kind, value in output["data"].items()}
            if table := _table(data.get("text/html", "")):
                return _display({"text/html": table})
            kept = {kind: data[kind] for kind in _AS_THEY_ARE if data.get(kind)}
            if not kept and (words := data.get("text/html")):
                kept = {"text/plain": words}
            return _display(kept) if kept else None


def _joined(value: Any) -> str:
    """Return a text that may be given in lines; nothing for what is no text, which the form of a notebook allows."""
    lines = value if isinstance(value, list) else [value]
    return "".join(line for line in lines if isinstance(line, str))


@cache
def _our_texts() -> frozenset[str]:
    """Return the texts of the notebooks that measure."""
    notebooks = [json.loads(file.read_bytes()) for file in (paths.NOTEBOOKS / "measure").glob("*.ipynb")]
    return frozenset(
        "".join(cell["source"])
        for notebook in notebooks
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
    )


def _lower_headings(text: str) -> str:
    return text if _FENCED.match(text) else re.sub(r"^(#{1,4}) ", r"##\1 ", text, flags=re.MULTILINE)


class _Cells(HTMLParser):
    """Collects the cells of tables, row by row: whether it is a heading, and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[tuple[bool, str]]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Begin a row or a cell."""
        if tag == "tr":
            self.rows.append([])
            self._inside = False
        elif tag in ("th", "td") and self.rows:
            self.rows[-1].append((tag == "th", ""))
            self._inside = True
        elif tag in ("br", "p", "div", "li"):
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        """End a cell."""
        if tag in ("th", "td", "tr"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        """Add words to the cell."""
        if self._inside:
            heading, words = self.rows[-1][-1]
            self.rows[-1][-1] = (heading, words + data)


def _table(markup: str) -> str | None:
    """Return a table with the cells of a given one, and nothing else of it; None where there is none."""
    cells = _Cells()
    try:
        cells.feed(markup)
        cells.close()
    except AssertionError:  # how the parser of Python 3.11 refuses a declaration that it does not know
        return None
    rows = [row for row in cells.rows if row]
    if not rows:
        return None
    head = 1 if all(heading for heading, _ in rows[0]) else 0
    parts = [f"<thead>{_row(rows[0])}</thead>"] if head else []
    parts.append(f"<tbody>{''.join(map(_row, rows[head:]))}</tbody>")
    return (
        '<div class="table-scroll" tabindex="0" role="group" aria-label="Output">'
        f'<table class="dataframe">{"".join(parts)}</table></div>'
    )


def _row(cells: list[tuple[bool, str]]) -> str:
    tags = [("th" if heading else "td", html.escape(words.strip())) for heading, words in cells]
    return f"<tr>{''.join(f'<{tag}>{words}</{tag}>' for tag, words in tags)}</tr>"
