"""What the audit page of the book shows: the directive `{audit-trail}`."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from helpers.book.provenance import Provenance, read_provenance
from helpers.core.errors import UserError, nearest
from helpers.figures.display import html_table
from helpers.figures.executed import ExecutedFigure
from helpers.figures.html import FUNCTION_LINK, ROOT_LINK, Markup, commit_link, link, page_link
from helpers.figures.run_addresses import page_of
from helpers.records.findings import short
from helpers.records.storage import Environment, Record
from helpers.results.tables import load_tables

DIRECTIVE = "audit-trail"


class ShowProvenance(SphinxDirective):  # type: ignore[misc]
    """`{audit-trail} figures` (or `runs`, `files`, `environments`): one table of the audit page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table, and make the page depend on the executed notebooks."""
        part = self.arguments[0]
        if part not in _PARTS:
            raise self.error(f"audit-trail {part}: no such table ({nearest(part, _PARTS)})")
        folder = Path(self.env.srcdir) / "notebooks" / "analysis"
        for file in folder.glob("*.ipynb"):
            self.env.note_dependency(str(file))
        try:
            made = fragment(part, read_provenance(folder, load_tables()))
        except UserError:  # a plain build of the sources, where no notebook is executed
            made = _around(
                part, "<p>This table is made when the notebooks are executed: <code>make book</code></p>"
            )
        return [nodes.raw("", made, format="html")]


def fragment(part: str, provenance: Provenance) -> str:
    """Return one of the tables: `figures`, `runs`, `files` or `environments`."""
    return _around(part, _PARTS[part](provenance))


def figures(provenance: Provenance) -> str:
    """Return the table of figures and tables: what draws each, from what, with which runs."""
    rows = [
        {
            "Figure or table": Markup(
                f"{page_link(item.name, item.label)}<br><small>{html.escape(item.finding)}</small>"
            ),
            "Runs": _fold("run", (_run(name) for name in item.records if name in provenance.runs)),
            "Files": _fold("file", (_file(name, item.sha256[name]) for name in _plain(item))),
            "Notebook and function": Markup(f"{_notebook(item)}<br>{_function(item)}"),
        }
        for item in provenance.shown.values()
    ]
    return _table(rows, "Figures and tables")


def runs(provenance: Provenance) -> str:
    """Return the table of runs: what each was, where, and what it stands behind."""
    names = provenance.environments
    rows = [
        {
            "Run": _run(name),
            "Campaign": record.run.campaign + ("" if name.startswith("data/") else ", on this machine"),
            "Environment": _environment_link(names.index(record.environment) + 1),
            "Commit": _commit(record.environment),
            "Checks": _checks(record),
            "Used by": _fold("page", (page_link(item.name, item.label) for item in provenance.users(name))),
        }
        for name, record in provenance.runs.items()
    ]
    return _table(rows, "Runs") if rows else "<p>No run has been measured yet.</p>"


def files(provenance: Provenance) -> str:
    """Return the table of input files that are no records."""
    rows = [
        {
            "File": _file_link(name),
            "sha256": _digest(digest),
            "Used by": _fold("page", (page_link(item.name, item.label) for item in provenance.users(name))),
        }
        for name, digest in provenance.files.items()
    ]
    return _table(rows, "Input files")


def environments(provenance: Provenance) -> str:
    """Return the table of environments, in which runs were made."""
    rows = [
        {
            "Environment": Markup(f'<span id="environment-{number}">E{number}</span>'),
            "Hardware": _hardware(item),
            "System": f"{item.os}, Python {item.python}" + (f", {item.container}" if item.container else ""),
            "Packages": _fold("package", (html.escape(f"{name} {v}") for name, v in item.packages.items())),
            "Lock": _digest(item.lock_sha256 or ""),
            "Commit": _commit(item),
            "Runs": _fold(
                "run", (_run(name) for name, record in provenance.runs.items() if record.environment == item)
            ),
        }
        for number, item in enumerate(provenance.environments, start=1)
    ]
    return _table(rows, "Environments") if rows else "<p>No run has been measured yet.</p>"


_PARTS: dict[str, Callable[[Provenance], str]] = {
    "figures": figures,
    "runs": runs,
    "files": files,
    "environments": environments,
}


def _around(part: str, table: str) -> str:
    return f'<div class="audit" id="audit-{part}">{table}</div>'


def _table(rows: Sequence[Mapping[str, str]], caption: str) -> str:
    return html_table(pd.DataFrame(rows, dtype=object), caption)


def _fold(noun: str, items: Iterable[str]) -> Markup:
    """Return a list that opens on a click; its number stands closed."""
    entries = [f"<li>{item}</li>" for item in items]
    if not entries:
        return Markup("none")
    count = f"{len(entries)}&nbsp;{noun}{'s' if len(entries) > 1 else ''}"
    return Markup(f"<details><summary>{count}</summary><ul>{''.join(entries)}</ul></details>")


def _plain(item: ExecutedFigure) -> list[str]:
    return [name for name in item.inputs if name not in item.records]


def _notebook(item: ExecutedFigure) -> str:
    file = f"notebooks/analysis/{item.name}.ipynb"
    return f'<a href="{ROOT_LINK}_sources/{file}" download>{item.name}.ipynb</a>'


def _function(item: ExecutedFigure) -> str:
    name = html.escape(item.function)
    return f'<a href="{FUNCTION_LINK}{name}"><code>{name.rpartition(".")[2]}()</code></a>'


def _file(name: str, digest: str) -> str:
    return f"{_file_link(name)} {_digest(digest)}"


def _file_link(name: str) -> Markup:
    """Return a link to an input; a file outside the project is in no book."""
    return Markup(html.escape(name)) if PurePosixPath(name).is_absolute() else link(name, name)


def _digest(digest: str) -> Markup:
    return Markup(f'<code class="sha" title="sha256 {digest}">{short(digest)}</code>')


def _run(name: str) -> Markup:
    return link(page_of(name), PurePosixPath(name).parts[-2])


def _environment_link(number: int) -> Markup:
    return Markup(f'<a href="#environment-{number}">E{number}</a>')


def _commit(environment: Environment) -> Markup:
    changed = " with changes" if environment.git_dirty else ""
    shown = commit_link(environment.git_commit, 8) if environment.git_commit else "none"
    return Markup(f"{shown}{changed}")


def _hardware(item: Environment) -> str:
    gpus = [f"{gpu.model} ({gpu.memory_gb:.0f} GB)" for gpu in item.gpus]
    return "; ".join([f"{item.cpu_model}, {item.cpu_cores} cores, {item.ram_gb:.0f} GB", *gpus])


def _checks(record: Record) -> Markup:
    failed = [
        f"{html.escape(check.name)}: {html.escape(check.message)}"
        for check in record.checks
        if not check.passed
    ]
    if not failed:
        return Markup(f"all {len(record.checks)} passed")
    entries = "".join(f"<li>{item}</li>" for item in failed)
    return Markup(
        f"<details><summary>{len(failed)} of {len(record.checks)} failed</summary><ul>{entries}</ul></details>"
    )
