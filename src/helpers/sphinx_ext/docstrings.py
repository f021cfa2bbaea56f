"""Docstrings as HTML: paragraphs, code, and Google's sections of arguments, results and errors."""

import html
import inspect
import re
import textwrap
from collections.abc import Sequence

from helpers.figures.html import code
from helpers.sphinx_ext.fields import with_code
from helpers.sphinx_ext.modules import Item, Module

_SECTION = re.compile(r"(Args|Returns|Yields|Raises):$")
_ENTRY = re.compile(r"(\*{0,2}\w+(?:, \w+)*): (.*)", re.DOTALL)
"""An argument or an error and what it means."""
TITLES = {"Args": "Arguments", "Returns": "Returns", "Yields": "Yields", "Raises": "Raises"}


def doc_html(doc: str) -> str:
    """Return a docstring as HTML."""
    return "".join(map(_block, _blocks(inspect.cleandoc(doc)))) if doc.strip() else ""


def items_html(items: Sequence[Item]) -> str:
    """Return parts of a module, each with what it holds; their names are where links lead."""
    rows = "".join(
        f'<dt id="{html.escape(item.name)}"><code>{"class " if item.kind == "class" else ""}'
        f"<b>{html.escape(item.name.rpartition('.')[2])}</b>{html.escape(item.signature)}</code></dt>"
        f"<dd>{doc_html(item.doc)}{items_html(item.members)}</dd>"
        for item in items
    )
    return f'<dl class="api">{rows}</dl>' if items else ""


def module_html(module: Module) -> str:
    """Return a module: where it stands, what it is for, what is public in it."""
    path = f'<p class="note">{code(module.file)}</p>'
    return path + doc_html(module.doc) + items_html(module.items)


def _blocks(text: str) -> list[str]:
    """Return what blank lines set apart; a section of arguments or errors is one block."""
    blocks: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        continues = blocks and block.startswith(" ") and _SECTION.match(blocks[-1].partition("\n")[0])
        if continues:
            blocks[-1] += "\n" + block
        else:
            blocks.append(block)
    return blocks


def _block(block: str) -> str:
    first, _, rest = block.partition("\n")
    match = _SECTION.match(first)
    if match:
        return f'<p class="section">{TITLES[match[1]]}</p>{_entries(textwrap.dedent(rest))}'
    if block.startswith(" "):
        return f"<pre>{html.escape(textwrap.dedent(block))}</pre>"
    return f"<p>{with_code(' '.join(block.split()))}</p>"


def _entries(text: str) -> str:
    """Return a section's entries: name and meaning, or a sentence where it names nothing."""
    entries = [" ".join(entry.split()) for entry in re.split(r"\n(?=\S)", text)]
    rows = []
    for entry in entries:
        match = _ENTRY.fullmatch(entry)
        rows.append(
            f"<li>{code(match[1])}: {with_code(match[2])}</li>" if match else f"<li>{with_code(entry)}</li>"
        )
    return f"<ul>{''.join(rows)}</ul>"
