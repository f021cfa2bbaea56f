"""The directives of the reference pages."""

from collections.abc import Iterator, Sequence
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from helpers.core import paths
from helpers.figures.html import code
from helpers.records.schema import Record
from helpers.sphinx_ext import fields
from helpers.sphinx_ext.catalogue_tables import catalogue_part, column_list, parameter_list
from helpers.sphinx_ext.commands import verbs
from helpers.sphinx_ext.docstrings import module_html
from helpers.sphinx_ext.modules import Item, modules_of


class RecordSchema(SphinxDirective):  # type: ignore[misc]
    """`{record-schema}`: a section with the fields of each model of a record."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        sections = []
        for model in fields.models_of(Record):
            title = model.__name__
            text = fields.with_code(" ".join((model.__doc__ or "").split()))
            fragment = f"<p>{text}</p>{fields.field_list(model)}"
            sections.append(_section(title, fields.anchor(model), fragment))
        return sections


class NotebookParameters(SphinxDirective):  # type: ignore[misc]
    """`{notebook-parameters} NAME`: the parameters of a notebook of `notebooks/measure`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the list."""
        return [_html(parameter_list(self.arguments[0]))]


class ResultsColumns(SphinxDirective):  # type: ignore[misc]
    """`{results-columns} TABLE`: the columns of a results table."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the list."""
        return [_html(column_list(self.arguments[0]))]


class Catalogue(SphinxDirective):  # type: ignore[misc]
    """`{catalogue} PART`: models, datasets, machines or campaigns of the catalogue."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the table or list."""
        return [_html(catalogue_part(self.arguments[0]))]


class Commands(SphinxDirective):  # type: ignore[misc]
    """`{commands}`: a section for each verb of `python -m helpers`."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return [
            _section(
                verb.name,
                f"verb-{verb.name}",
                f"<p>{verb.does}</p><pre>{code(verb.usage)}</pre>{verb.arguments}",
            )
            for verb in verbs()
        ]


class Package(SphinxDirective):  # type: ignore[misc]
    """`{package} NAME`: the modules of a package, but not those of the packages in it, from their docstrings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a section for each module, and make its functions known, so that figures and searches lead to them."""
        sections: list[nodes.Node] = []
        for module in modules_of(self.arguments[0]):
            for item in _with_members(module.items):
                self.env.get_domain("py").note_object(item.name, item.kind, item.name)
            self.env.note_dependency(str(paths.ROOT / module.file))
            fragment = module_html(module)
            if module.name == self.arguments[0]:  # the page itself bears its name
                sections.append(_html(fragment))
            else:
                short = module.name.rpartition(".")[2]
                sections.append(_section(short, f"module-{module.name}", fragment))
        return sections


def setup(app: Any) -> None:
    """Register with Sphinx."""
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive)


DIRECTIVES = {
    "record-schema": RecordSchema,
    "notebook-parameters": NotebookParameters,
    "results-columns": ResultsColumns,
    "catalogue": Catalogue,
    "commands": Commands,
    "package": Package,
}


def _with_members(items: Sequence[Item]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _with_members(item.members)


def _section(title: str, identifier: str, fragment: str) -> nodes.section:
    section = nodes.section(ids=[identifier], names=[title.lower()])
    section += nodes.title(title, title)
    section += _html(fragment)
    return section


def _html(fragment: str) -> nodes.raw:
    return nodes.raw("", f'<div class="reference">{fragment}</div>', format="html")
