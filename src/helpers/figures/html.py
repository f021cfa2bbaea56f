"""Links into the book from what a notebook shows: `helpers.sphinx_ext.extension` turns them into the way from the page."""

import html

ROOT_LINK = "companion-root:"
FUNCTION_LINK = "companion-function:"
FIGURE_TAG = '<figure class="artefact"'
"""How the HTML of a figure or table begins."""


class Markup(str):
    """HTML that goes into a table cell as it is."""

    __slots__ = ()


def link(path: str, text: str) -> Markup:
    """Return a link to a file of the repository that the book carries along."""
    target = path.removeprefix("data/")
    return Markup(f'<a href="{ROOT_LINK}{html.escape(target)}">{html.escape(text)}</a>')


def page_link(analysis: str, text: str) -> Markup:
    """Return a link to the page of an analysis notebook, wherever it is shown."""
    return link(f"notebooks/analysis/{analysis}.html", text)


def external(address: str, text: str) -> Markup:
    """Return a link to a page elsewhere."""
    return Markup(f'<a href="{html.escape(address)}">{html.escape(text)}</a>')


def code(text: str) -> Markup:
    """Return a name as code."""
    return Markup(f"<code>{html.escape(text)}</code>")
