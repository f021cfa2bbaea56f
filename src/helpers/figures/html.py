"""Links into the book from what a notebook shows: `helpers.sphinx_ext.extension` turns them into the way from the page."""

import html
import json
import os
from collections.abc import Mapping
from typing import Any

ROOT_LINK = "companion-root:"
FUNCTION_LINK = "companion-function:"
FIGURE_TAG = '<figure class="artefact"'
"""How the HTML of a figure or table begins."""


REPOSITORY_VARIABLE = "COMPANION_REPOSITORY"
"""Environment variable with the address of the public repository, for example https://github.com/OWNER/NAME."""


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


def commit_link(commit: str, length: int = 40) -> Markup:
    """Return the first characters of a commit, as a link where the public repository is known."""
    shown = f'<code title="{html.escape(commit)}">{html.escape(commit[:length])}</code>'
    repository = os.environ.get(REPOSITORY_VARIABLE, "").rstrip("/")
    return Markup(
        f'<a href="{html.escape(repository)}/commit/{html.escape(commit)}">{shown}</a>'
        if repository
        else shown
    )


def external(address: str, text: str) -> Markup:
    """Return a link to a page elsewhere."""
    return Markup(f'<a href="{html.escape(address)}">{html.escape(text)}</a>')


def code(text: str) -> Markup:
    """Return a name as code."""
    return Markup(f"<code>{html.escape(text)}</code>")


def options(titles: Mapping[Any, str]) -> str:
    """Return the options of a choice, by their values."""
    return "".join(
        f'<option value="{value}">{html.escape(title)}</option>' for value, title in titles.items()
    )


def script_json(content: Mapping[str, Any]) -> str:
    """Return JSON that can stand in a script element, which only "<" could end."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
