"""Sphinx extension of the book: figures and numbers on any page, links that work from every page, no network."""

import html
import json
import re
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.logging import getLogger

from helpers.book import claims_summary
from helpers.book.fragments import excerpt, resolved
from helpers.book.images import PLOTLY_JS
from helpers.book.provenance_page import DIRECTIVE, ShowProvenance
from helpers.book.quoted_numbers import numbers
from helpers.core.errors import nearest
from helpers.figures.executed import fragment_of
from helpers.figures.html import ROOT_LINK
from helpers.publish.citation_page import setup as add_standards
from helpers.results.tables import load_tables
from helpers.sphinx_ext import directives as reference
from helpers.sphinx_ext import figure_first, mathml, search_words

LOGGER = getLogger(__name__)
_STYLES = files("pydata_sphinx_theme") / "theme/pydata_sphinx_theme/static/styles"
THEME_STYLES = [
    name
    for name in ("theme.css", "bootstrap.css", "pydata-sphinx-theme.css")
    if (_STYLES / name).is_file()  # later themes have the second within the third
]

_VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1" />'
"""What docutils adds although the theme has it."""
_DESCRIPTION = 160
"""Characters of the description of a page, about what a search engine shows."""


class ShowFigure(SphinxDirective):  # type: ignore[misc]
    """`{artefact} NAME`: show on a page what the analysis notebook NAME made; `:panel:` takes one panel of it.

    `:brief:` is a height in pixels: only legend and plot are shown, with a link to the whole.
    """

    required_arguments = 1
    option_spec: ClassVar = {"panel": directives.unchanged, "brief": directives.positive_int}

    def run(self) -> list[nodes.Node]:
        """Return the HTML of the executed notebook, and make the page depend on it."""
        notebook = Path(self.env.srcdir) / "notebooks" / "analysis" / f"{self.arguments[0]}.ipynb"
        self.env.note_dependency(str(notebook))
        fragment = _fragment(notebook)
        options = self.options.get("panel", ""), self.options.get("brief")
        fragment = excerpt(fragment, self.arguments[0], *options)
        return [nodes.raw("", fragment, format="html")]


class ShowNumber(SphinxRole):  # type: ignore[misc]
    """`{number}`NAME``: a number computed from the data (`helpers.book.quoted_numbers`), a link to where it comes from."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number, and make the page depend on the numbers, so that no stale page survives."""
        file = _numbers_file(self.env.app)
        self.env.note_dependency(str(file))
        computed = json.loads(file.read_text(encoding="utf-8"))
        if self.text not in computed:
            LOGGER.warning(
                "number %r: %s", self.text, nearest(self.text, computed), location=self.get_location()
            )
            return [nodes.literal(text=self.text)], []
        text, see = computed[self.text]["text"], computed[self.text]["see"]
        classes = ["number", f"number-{self.text}"]  # the audit reads the name
        if not see:
            return [nodes.inline("", text, classes=classes)], []
        target = f"{ROOT_LINK}notebooks/analysis/{see}.html"
        return [nodes.reference("", text, refuri=target, classes=classes)], []


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("artefact", ShowFigure)
    app.add_directive(DIRECTIVE, ShowProvenance)
    app.add_role("number", ShowNumber())
    mathml.setup(app)
    figure_first.setup(app)
    search_words.setup(app)
    claims_summary.setup(app)
    reference.setup(app)
    add_standards(app)
    app.connect("builder-inited", _write_numbers)
    app.connect("config-inited", _read_side_by_side)
    app.connect("html-page-context", _keep_one_copy)
    app.connect("html-page-context", _finish_page)
    app.connect("html-page-context", _choose_buttons, priority=900)  # after the theme made them
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _read_side_by_side(app: Any, _config: Any) -> None:
    """Let pages be read by several processes: the extension that numbers chapters does not say that it can."""
    if numbering := app.extensions.get("sphinx_multitoc_numbering"):  # not where a page is built alone
        numbering.parallel_read_safe = True  # nothing is numbered here


def _numbers_file(app: Any) -> Path:
    return Path(app.doctreedir) / "numbers.json"


def _write_numbers(app: Any) -> None:
    """Compute the numbers for every build; the file changes only where a number does."""
    file = _numbers_file(app)
    computed = {name: asdict(number) for name, number in numbers(load_tables()).items()}
    text = json.dumps(computed, indent=1, ensure_ascii=False)
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _keep_one_copy(_app: Any, pagename: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Copy no source of the page of a run: its notebook stands beside its record already."""
    if pagename.startswith("runs/"):
        context["sourcename"] = ""


def _finish_page(app: Any, pagename: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    body = context.get("body", "")
    if 'class="plotly-figure"' in body:
        app.add_js_file(PLOTLY_JS.name, loading_method="defer")
        app.add_js_file("figures.js", loading_method="defer")
    if 'class="data sortable"' in body:
        app.add_js_file("tables.js", loading_method="defer")
    for name in ("claims", "calculator", "audit"):  # scripts of one page each
        if f'class="{name}"' in body:
            app.add_js_file(f"{name}.js", loading_method="defer")
    context["theme_styles"] = THEME_STYLES
    context["metatags"] = context.get("metatags", "").replace(_VIEWPORT, "") + _description(body)
    images = {file.name for file in (Path(app.srcdir) / "data" / "_images").glob("*.svg")}
    context["body"] = resolved(body, pagename.count("/"), images, lambda name: _function_page(app, name))


def _description(body: str) -> str:
    """Return the tag that says in a list of search results what a page is about: its first paragraph."""
    first = re.search(r"<p>(.*?)</p>", body, re.DOTALL)
    words = re.sub(r"<[^>]*>", "", first[1]).split() if first else []
    text = shorten(" ".join(words), _DESCRIPTION, placeholder=" …")
    return f'\n<meta name="description" content="{html.escape(html.unescape(text))}" />' if text else ""


def _choose_buttons(_app: Any, pagename: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Offer to launch analyses only, which run anywhere, and no source in the repository of pages made at build."""
    unwanted = set()
    if not pagename.startswith("notebooks/analysis/"):
        unwanted.add("launch-buttons")
    if pagename.startswith("runs/"):
        unwanted.add("source-buttons")
    buttons = context.get("header_buttons", [])
    context["header_buttons"] = [button for button in buttons if button.get("label") not in unwanted]
    for group in context["header_buttons"]:
        if pagename.startswith("runs/") and "buttons" in group:
            group["buttons"] = [
                item for item in group["buttons"] if item.get("label") != "download-source-button"
            ]


def _function_page(app: Any, name: str) -> str | None:
    """Return the address of a function in the reference; None where the book has no page of it."""
    entry = app.env.get_domain("py").objects.get(name)
    return f"{entry.docname}.html#{entry.node_id}" if entry else None


def _fragment(notebook: Path) -> str:
    fragment = fragment_of(notebook) if notebook.is_file() else None
    return fragment or "<p>This figure is drawn when the notebooks are executed: <code>make book</code></p>"
