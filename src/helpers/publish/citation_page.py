"""Directives of the pages on citing and licences: what they show is read from where it is kept."""

from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, ClassVar, NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from helpers.publish.citation import CFF, article_bibtex, companion_bibtex
from helpers.publish.licences import BUNDLED, CODE, MODEL_SPDX, TEXT_AND_DATA
from helpers.study.catalogue import LanguageModel, study


class Term(NamedTuple):
    """An entry of a list of licences."""

    name: str
    origin: str | None
    """A name that is written as code, or nothing."""
    text: str
    items: Sequence[str] = ()
    """Names that follow the text, written as code."""


class ShowLicences(SphinxDirective):  # type: ignore[misc]
    """`{licences} ours|texts|models|bundled`: a list of licences."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return the list; a list reads on a phone, too, where a table of long names does not."""
        terms = LISTS[directives.choice(self.arguments[0], tuple(LISTS))]()
        return [nodes.definition_list("", *map(_item, terms))]


class ShowCitation(SphinxDirective):  # type: ignore[misc]
    """`{citation} article|companion`: an entry for BibTeX."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return the entry as code, which has a copy button."""
        self.env.note_dependency(str(CFF))
        entries = {"article": article_bibtex, "companion": companion_bibtex}
        text = entries[directives.choice(self.arguments[0], tuple(entries))]()
        return [nodes.literal_block(text, text, language="bibtex")]


def setup(app: Any) -> None:
    """Register the directives with Sphinx."""
    app.add_directive("licences", ShowLicences)
    app.add_directive("citation", ShowCitation)


def _ours() -> list[Term]:
    return [
        Term("Code, notebooks, workflow", CODE.spdx, CODE.title),
        Term("Text, data, measurements, figures", TEXT_AND_DATA.spdx, TEXT_AND_DATA.title),
    ]


def _texts() -> list[Term]:
    return [
        Term(name, entry.hub.repository if entry.hub else None, entry.licence)
        for name, entry in study().datasets.items()
    ]


def _models() -> list[Term]:
    catalogue = study()
    licensed = [(item.origin, item.licence) for item in catalogue.embeddings.values()]
    for item in catalogue.models.values():
        if isinstance(item, LanguageModel) and item.gguf is not None:
            licensed.append((item.gguf.repository or item.gguf.file.name, item.licence))
        elif isinstance(item, LanguageModel) and not item.is_folder:
            licensed.append((item.checkpoint, item.licence))
    return [
        Term(licence, MODEL_SPDX.get(licence), "", [name for name, own in licensed if own == licence])
        for licence in dict.fromkeys(licence for _, licence in licensed)
    ]


def _bundled() -> list[Term]:
    return [
        Term(f"{item.package} {metadata.version(item.package)}", item.spdx, item.holds) for item in BUNDLED
    ]


LISTS: dict[str, Callable[[], list[Term]]] = {
    "ours": _ours,
    "texts": _texts,
    "models": _models,
    "bundled": _bundled,
}
"""By the directive's argument: what makes the entries."""


def _item(term: Term) -> nodes.definition_list_item:
    head = nodes.term("", term.name)
    if term.origin:
        head += [nodes.Text(" "), nodes.literal(text=term.origin)]
    text = nodes.paragraph("", term.text)
    for number, name in enumerate(term.items):
        text += [nodes.Text(", " if number else ""), nodes.literal(text=name)]
    return nodes.definition_list_item("", head, nodes.definition("", text))
