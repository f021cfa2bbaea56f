"""Verify everything, or one figure: the verb `audit`."""

from collections.abc import Callable
from pathlib import Path

from helpers.audit import expected_pages, integrity, pages, quoted_numbers, rebuild, records
from helpers.audit.results import check_results
from helpers.book import built_files, manifest
from helpers.book.analyses import SOURCES, analysis_names
from helpers.book.quoted_numbers import Number, numbers
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.executed import ExecutedFigure
from helpers.records import checksums
from helpers.records.findings import Finding, Report
from helpers.results.tables import Tables, load_tables
from helpers.study.catalogue import entry

HTML = "html"
Check = Callable[[], tuple[int, list[Finding]]]


def audit(execute: bool = True) -> Report:
    """Verify data, records, executed notebooks, figures, numbers, pages and links of the built book.

    Args:
        execute: make every figure and table again and compare; without, the rest is checked.

    Raises:
        UserError: there is no built book.
    """
    html, report = _built_book(), Report()
    _note(report, "files of data", checksums.check)
    _note(report, "runs", lambda: records.check(records.record_files()))
    shown = _read_shown(html, analysis_names(), report)
    _note(
        report, "inputs of figures", lambda: integrity.check_inputs({k: v.sha256 for k, v in shown.items()})
    )
    read = built_files.read_book(html)
    _check_manifest(html, read, report)
    _check_artefacts(html, read, shown, report)
    _note(report, "links", lambda: pages.check_links(html, read))
    if computed := _computed(report):
        tables, known = computed
        _note(report, "results tables", lambda: check_results(html, tables))
        _note(report, "numbers in the sources", lambda: quoted_numbers.check(known))
        _note(report, "numbers on pages", lambda: pages.check_numbers(html, read, known))
        runs = [
            str(row["origin"]) for row in tables.results.to_dict("records") if row["source"] != "published"
        ]
        _note(report, "panels of runs", lambda: expected_pages.check(html, expected_pages.of_runs(runs)))
        _note(
            report,
            "verdicts and findings",
            lambda: expected_pages.check(html, expected_pages.of_prose(html, tables, shown)),
        )
    if execute:
        _note(report, "figures made again", lambda: rebuild.check(html, shown))
    return report


def audit_figure(name: str, execute: bool = True) -> Report:
    """Verify one figure or table: its inputs, the runs among them, its files in the book, and itself made again.

    Raises:
        UserError: there is no built book, or no such figure or table.
    """
    entry("figure or table", {known: known for known in analysis_names()}, name)
    html, report = _built_book(), Report()
    shown = _read_shown(html, [name], report)
    inputs = {file for item in shown.values() for file in item.inputs}
    _note(report, "files of data", lambda: _only(inputs, checksums.check()[1]))
    _note(report, "runs", lambda: records.check(records.record_files(inputs)))
    _note(
        report, "inputs of figures", lambda: integrity.check_inputs({k: v.sha256 for k, v in shown.items()})
    )
    _note(report, "files of the book", lambda: integrity.check_figure(html, manifest.read(html), name))
    _note(report, "package", lambda: integrity.check_sources(manifest.read(html), "src/"))
    _check_artefacts(html, built_files.read_book(html), shown, report)
    runs = sorted({record for item in shown.values() for record in item.records})
    _note(report, "panels of runs", lambda: expected_pages.check(html, expected_pages.of_runs(runs)))
    if execute:
        _note(report, "figures made again", lambda: rebuild.check(html, shown))
    return report


def _built_book() -> Path:
    html = paths.BUILD / HTML
    if not html.is_dir():
        raise UserError(f"{paths.relative(html)}: expected the built book, found none; run `make book` first")
    return html


def _check_artefacts(
    html: Path, read: dict[str, built_files.Page], shown: dict[str, ExecutedFigure], report: Report
) -> None:
    _note(report, "plots and downloads", lambda: pages.check_artefacts(html, read, shown))
    _note(
        report,
        "figures and tables",
        lambda: expected_pages.check(html, expected_pages.of_artefacts(html, shown)),
    )


def _check_manifest(html: Path, read: dict[str, built_files.Page], report: Report) -> None:
    try:
        written = manifest.read(html)
    except UserError as error:
        report.add("files of the book", 1, [Finding.from_error(error)])
        return
    before = len(report.findings)
    _note(report, "files of the book", lambda: integrity.check_files(html, written))
    _note(report, "sources of the book", lambda: integrity.check_sources(written))
    if len(report.findings) == before:  # else what follows would tell the same again
        _note(report, "entries of the manifest", lambda: integrity.check_content(html, read, written))


def _read_shown(html: Path, names: list[str], report: Report) -> dict[str, ExecutedFigure]:
    """Read the executed analyses; what cannot be read is noted and left out."""
    shown = {}
    for name in names:
        try:
            shown[name] = rebuild.read_executed(html / manifest.EXECUTED / f"{name}.ipynb")
        except UserError as error:
            report.add("executed analyses", 0, [Finding.from_error(error, rebuild.REBUILD)])
    report.add("executed analyses", len(names), _other_cells(html, shown))
    return shown


def _other_cells(html: Path, shown: dict[str, ExecutedFigure]) -> list[Finding]:
    """Compare text and code of the executed notebooks with their sources."""
    findings = []
    for name in shown:
        executed = html / manifest.EXECUTED / f"{name}.ipynb"
        if rebuild.sources_of(executed) != rebuild.sources_of(SOURCES / f"{name}.ipynb"):
            said = f"text or code is not that of notebooks/analysis/{name}.ipynb"
            findings.append(Finding(paths.relative(executed), said, rebuild.REBUILD))
    return findings


def _computed(report: Report) -> tuple[Tables, dict[str, Number]] | None:
    """Compute tables and numbers; None, and a finding, where the data do not let it."""
    try:
        tables = load_tables()
        return tables, numbers(tables)
    except Exception as error:  # who changes a table may break the computing in any way
        said = f"cannot be computed: {' '.join(str(error).split())}"
        report.add(
            "results tables", 1, [Finding("results tables", said, "bring the data back: git checkout data")]
        )
        return None


def _note(report: Report, kind: str, check: Check) -> None:
    try:
        report.add(kind, *check())
    except UserError as error:
        report.add(kind, 1, [Finding.from_error(error)])


def _only(files: set[str], findings: list[Finding]) -> tuple[int, list[Finding]]:
    wanted = {file for file in files if file.startswith("data/")}
    return len(wanted), [item for item in findings if item.where in wanted]
