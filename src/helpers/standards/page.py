"""Directives of the pages on citing and licences: what they show is read from where it is kept."""

from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from helpers.show import html_table
from helpers.standards.citation import CFF, article_bibtex, companion_bibtex
from helpers.standards.licences import BUNDLED, CODE, MODEL_SPDX, TEXT_AND_DATA
from helpers.study import LanguageModel, study


class ShowLicences(SphinxDirective):  # type: ignore[misc]
    """`{licences} ours|texts|models|bundled`: a table of licences."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        which = directives.choice(self.arguments[0], tuple(TABLES))
        caption, rows = TABLES[which]
        return [nodes.raw("", html_table(pd.DataFrame(list(rows())), caption), format="html")]


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


def _ours() -> list[dict[str, str]]:
    return [
        {"part": "code, notebooks, workflow", "licence": CODE.title, "SPDX": CODE.spdx},
        {
            "part": "text, data, measurements, figures",
            "licence": TEXT_AND_DATA.title,
            "SPDX": TEXT_AND_DATA.spdx,
        },
    ]


def _texts() -> list[dict[str, str]]:
    return [
        {
            "dataset": name,
            "from": entry.hub.repository
            if entry.hub
            else "this repository"
            if entry.synthetic
            else "to be provided",
            "licence of the texts": entry.licence,
        }
        for name, entry in study().datasets.items()
    ]


def _models() -> list[dict[str, str | None]]:
    catalogue = study()
    checkpoints = {
        item.repository or f"package {item.package}": item.licence for item in catalogue.embeddings.values()
    }
    checkpoints |= {
        item.checkpoint: item.licence
        for item in catalogue.models.values()
        if isinstance(item, LanguageModel) and not item.is_folder
    }
    return [
        {"checkpoint": name, "licence": licence, "SPDX": MODEL_SPDX.get(licence)}
        for name, licence in checkpoints.items()
    ]


def _bundled() -> list[dict[str, str]]:
    return [
        {
            "package": item.package,
            "version": metadata.version(item.package),
            "holds": item.holds,
            "SPDX": item.spdx,
        }
        for item in BUNDLED
    ]


TABLES: dict[str, tuple[str, Callable[[], Sequence[Mapping[str, str | None]]]]] = {
    "ours": ("Licences of this companion", _ours),
    "texts": ("Licences of the texts", _texts),
    "models": ("Licences of the checkpoints", _models),
    "bundled": ("Software of others in the built book", _bundled),
}
"""By the directive's argument: the title of the table and what makes its rows."""
