"""The panel "Source" under a figure or table: everything that an auditor asks for."""

import html
import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from helpers.figures.html import FUNCTION_LINK, ROOT_LINK, commit_link, link
from helpers.figures.run_addresses import page_of
from helpers.records.environment import git_commit, git_date, git_dirty
from helpers.records.storage import RECORD

PACKAGE = "helpers"


def source_panel(name: str, kind: str, function: str, rebuild: str, inputs: Mapping[str, str]) -> str:
    """Return the HTML.

    Args:
        name: the analysis notebook.
        kind: `figure` or `table`.
        function: dotted name of what makes it.
        rebuild: the command that makes just this.
        inputs: sha256 of the files it is computed from, by their path from the root of the project.
    """
    notebook = f"notebooks/analysis/{name}"
    entries = {
        "Notebook": f'<a href="{ROOT_LINK}{notebook}.html">rendered</a>, '
        f'<a href="{ROOT_LINK}_sources/{notebook}.ipynb" download><code>{notebook}.ipynb</code></a>',
        "Function": f'<a href="{FUNCTION_LINK}{function}"><code>{function}</code></a>{_module(function)}',
        "Commit": _commit(),
        "Rebuild just this": f'<code class="copied">{rebuild}</code>',
        "Input files": _files(inputs),
        "Runs": _runs(inputs),
    }
    rows = "".join(f"<dt>{title}</dt><dd>{text}</dd>" for title, text in entries.items() if text)
    return f'<details class="figure-source"><summary>Source of this {kind}</summary><dl>{rows}</dl></details>'


def is_record(name: str) -> bool:
    """Say whether an input is the record of a run."""
    return PurePosixPath(name).name == RECORD


def _module(function: str) -> str:
    """Return the source of the module that a function is in, folded; a function of the reader's own has none here."""
    name = function.rpartition(".")[0]
    if name.split(".")[0] != PACKAGE or importlib.util.find_spec(name) is None:
        return ""
    source = inspect.getsource(importlib.import_module(name))
    return (
        f"<details><summary>Source of {name}</summary>"
        f'<pre class="module" tabindex="0">{html.escape(source)}</pre></details>'
    )


def _commit() -> str:
    commit, date = git_commit(), git_date()
    if commit is None:
        return "not a git checkout"
    changed = " (with uncommitted changes)" if git_dirty() else ""
    return f"{commit_link(commit)}{changed}" + (f", {date[:10]}" if date else "")


def _files(inputs: Mapping[str, str]) -> str:
    return _list([_file(name, digest) for name, digest in inputs.items() if not is_record(name)])


def _runs(inputs: Mapping[str, str]) -> str:
    """List the runs behind the measured points, by campaign, each with its page and its record."""
    campaigns: dict[str, list[str]] = {}
    for name, digest in inputs.items():
        if is_record(name):
            run, campaign = PurePosixPath(name).parent.name, PurePosixPath(name).parent.parent.name
            row = f"{link(page_of(name), run)}: {_file(name, digest, RECORD)}"
            campaigns.setdefault(campaign, []).append(row)
    return "".join(
        f"<details><summary>{campaign}: {len(rows)} {'run' if len(rows) == 1 else 'runs'}</summary>{_list(rows)}</details>"
        for campaign, rows in campaigns.items()
    )


def _list(rows: Sequence[str]) -> str:
    items = "".join(f"<li>{row}</li>" for row in rows)
    return f'<ul class="inputs">{items}</ul>' if rows else ""


def _file(name: str, digest: str, text: str = "") -> str:
    """Return a link to the file, under its path or `text`, with its hash; one outside the project has none."""
    shown = f' <span class="sha" title="sha256 {digest}">sha256 {digest[:12]}</span>' if digest else ""
    return f'<span class="input" data-file="{html.escape(name)}">{link(name, text or name)}{shown}</span>'
