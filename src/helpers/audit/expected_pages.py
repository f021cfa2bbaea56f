"""What has to stand on the pages of the book, made from the sources, and whether it stands there."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath

from docutils.utils.smartquotes import smartyPants
from sphinx.util.inventory import InventoryFile

from helpers.audit import quoted_numbers
from helpers.audit.compare import text_difference
from helpers.book import claims_summary
from helpers.book import provenance_page as audit_page
from helpers.book.fragments import excerpt, resolved
from helpers.book.manifest import EXECUTED
from helpers.book.provenance import read_provenance
from helpers.book.run_pages.page import page as run_page
from helpers.claims.ledger import Assessment, evaluate
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.executed import ExecutedFigure, fragment_of, without_plots
from helpers.figures.run_addresses import page_of
from helpers.records.findings import Finding
from helpers.results.tables import Tables

REBUILD = "build the book again: make book"
_DIRECTIVE = re.compile(
    rf"^`{{3,}}\{{(artefact|{audit_page.DIRECTIVE}|claims|verdict-bars)\}} *([^\n]*)\n(.*?)^`{{3,}}",
    re.MULTILINE | re.DOTALL,
)
_OPTION = re.compile(r"^:([a-z-]+): *(.*)\n", re.MULTILINE)
_FINDING = re.compile(r"\{finding\}`([^`]+)`")


@dataclass(frozen=True)
class Expected:
    """A part of a page."""

    page: str
    """As seen from the root of the book."""
    what: str
    html: str
    """As the sources give it: links are not resolved yet."""
    source: str
    """What it was made from."""


def check(html: Path, expected: Iterable[Expected]) -> tuple[int, list[Finding]]:
    """Look for parts on their pages; returns how many there are, and which are not as they should be.

    The plots' JSON is left out: `pages.check_figures` compares it with a tolerance.
    """
    images = {file.name for file in (html / "_images").glob("*.svg")}
    functions = _function_pages(html)
    texts: dict[str, str] = {}
    parts, findings = list(expected), []
    for item in parts:
        file = html / item.page
        if item.page not in texts:
            texts[item.page] = without_plots(file.read_text(encoding="utf-8")) if file.is_file() else ""
        depth = item.page.count("/")
        part = without_plots(resolved(item.html, depth, images, functions.get))
        if (difference := text_difference(texts[item.page], part)) is not None:
            what = f"{item.what}: not as {item.source}: {difference}" if texts[item.page] else "missing"
            findings.append(Finding(paths.relative(file), what, REBUILD))
    return len(parts), findings


def figure_parts(html: Path, executed: Collection[str]) -> Iterator[Expected]:
    """Give each figure and table for its own page, whole, as its executed notebook holds it."""
    for name in executed:
        if fragment := fragment_of(html / EXECUTED / f"{name}.ipynb"):
            yield Expected(f"notebooks/analysis/{name}.html", name, fragment, "in the executed notebook")


def run_parts(records: Iterable[str]) -> Iterator[Expected]:
    """Give the panels of each run's page, and what its executed notebook shows as HTML.

    Args:
        records: as seen from the root of the project; those that cannot be read are left out.
    """
    for name in records:
        try:
            cells = run_page(paths.ROOT / name)["cells"]
        except UserError:  # `records.check` reports it
            continue
        for output in (output for cell in cells for output in cell.get("outputs", [])):
            if shown := "".join(output.get("data", {}).get("text/html", "")):
                yield Expected(page_of(name), "what it shows of the run", shown, "made from the record")


def prose_parts(html: Path, tables: Tables, executed: Mapping[str, ExecutedFigure]) -> Iterator[Expected]:
    """Give what directives and roles put on the pages of prose: verdicts, figures, findings, tables of the audit."""
    ledger = evaluate(tables)
    provenance = read_provenance(html / EXECUTED, tables)
    for name, text in quoted_numbers.texts().items():
        page = PurePosixPath(name).with_suffix(".html").as_posix()
        for directive, argument, body in _DIRECTIVE.findall(text):
            options, content = dict(_OPTION.findall(body)), _OPTION.sub("", body).split()
            if directive == "artefact":
                made = _excerpt(html, argument, options)
            elif directive == audit_page.DIRECTIVE:
                made = audit_page.fragment(argument, provenance)
            elif directive == "claims":
                made = claims_summary.statements(_claims(ledger, options.get("verdict"), content))
            else:
                made = claims_summary.bars(ledger)
            yield Expected(page, f"{directive} {argument}".strip(), made, "computed now")
        for artefact in filter(executed.__contains__, _FINDING.findall(text)):
            finding = escape(smartyPants(executed[artefact].finding, "qDe"), quote=False)  # as Sphinx does
            yield Expected(page, f"the finding of {artefact}", finding, "in the executed notebook")


def _excerpt(html: Path, name: str, options: Mapping[str, str]) -> str:
    fragment = fragment_of(html / EXECUTED / f"{name}.ipynb") or ""
    height = options.get("brief")
    return excerpt(fragment, name, options.get("panel", ""), int(height) if height else None)


def _claims(ledger: list[Assessment], verdict: str | None, ids: list[str]) -> list[Assessment]:
    return claims_summary.with_verdict(ledger, verdict) if verdict else claims_summary.chosen(ledger, ids)


def _function_pages(html: Path) -> dict[str, str]:
    """Return the addresses of the package's functions in the reference, by their dotted names."""
    file = html / "objects.inv"
    if not file.is_file():
        return {}
    with file.open("rb") as stream:
        inventory = InventoryFile.load(stream, "", posixpath.join)
    return {
        name: entry.uri if hasattr(entry, "uri") else entry[2]  # a tuple up to Sphinx 8.1
        for kind, entries in inventory.items()
        if kind.startswith("py:")
        for name, entry in entries.items()
    }
