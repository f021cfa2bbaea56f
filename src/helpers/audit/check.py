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
        execute: execute every figure and table again and compare; without, the rest is checked.

    Raises:
        UserError: there is no built book.
    """
    html, report = _built_book(), Report()
    _note(report, "files of data", checksums.check)
    _note(report, "runs", lambda: records.check(records.record_files()))
    executed = _read_executed(html, analysis_names(), report)
    _note(
        report,
        "inputs of figures",
        lambda: integrity.check_inputs({k: v.sha256 for k, v in executed.items()}),
    )
    read = built_files.read_book(html)
    _check_manifest(html, report)
    _check_figures(html, read, executed, report)
    _note(report, "links", lambda: pages.check_links(html, read))
    if computed := _computed(report):
        tables, computed_numbers = computed
        _note(report, "results tables", lambda: check_results(html, tables))
        _note(report, "numbers in the sources", lambda: quoted_numbers.check(computed_numbers))
        _note(report, "numbers on pages", lambda: pages.check_numbers(html, read, computed_numbers))
        runs = [
            str(row["origin"]) for row in tables.results.to_dict("records") if row["source"] != "published"
        ]
        _note(report, "panels of runs", lambda: expected_pages.check(html, expected_pages.run_parts(runs)))
        _note(
            report,
            "verdicts and findings",
            lambda: expected_pages.check(html, expected_pages.prose_parts(html, tables, executed)),
        )
    if execute:
        _note(report, "re-executed figures", lambda: rebuild.check(html, executed))
    return report


def audit_figure(name: str, execute: bool = True) -> Report:
    """Verify one figure or table: its inputs, the runs among them, its files in the book, and itself re-executed.

    Raises:
        UserError: there is no built book, or no such figure or table.
    """
    entry("figure or table", {analysis: analysis for analysis in analysis_names()}, name)
    html, report = _built_book(), Report()
    executed = _read_executed(html, [name], report)
    inputs = {file for item in executed.values() for file in item.inputs}
    _note(report, "files of data", lambda: _only(inputs, checksums.check()[1]))
    _note(report, "runs", lambda: records.check(records.record_files(inputs)))
    _note(
        report,
        "inputs of figures",
        lambda: integrity.check_inputs({k: v.sha256 for k, v in executed.items()}),
    )
    _note(report, "files of the book", lambda: integrity.check_figure(html, manifest.read(html), name))
    _note(report, "package", lambda: integrity.check_sources(manifest.read(html), "src/"))
    _check_figures(html, built_files.read_book(html), executed, report)
    runs = sorted({record for item in executed.values() for record in item.records})
    _note(report, "panels of runs", lambda: expected_pages.check(html, expected_pages.run_parts(runs)))
    if execute:
        _note(report, "re-executed figures", lambda: rebuild.check(html, executed))
    return report


def _built_book() -> Path:
    html = paths.BUILD / HTML
    if not html.is_dir():
        raise UserError(f"{paths.relative(html)}: expected the built book, found none; run `make book` first")
    return html


def _check_figures(
    html: Path, read: dict[str, built_files.Page], executed: dict[str, ExecutedFigure], report: Report
) -> None:
    _note(report, "plots and downloads", lambda: pages.check_figures(html, read, executed))
    _note(
        report,
        "figures and tables",
        lambda: expected_pages.check(html, expected_pages.figure_parts(html, executed)),
    )


def _check_manifest(html: Path, report: Report) -> None:
    try:
        written = manifest.read(html)
    except UserError as error:
        report.add("files of the book", 1, [Finding.from_error(error)])
        return
    _note(report, "files of the book", lambda: integrity.check_files(html, written))
    _note(report, "sources of the book", lambda: integrity.check_sources(written))


def _read_executed(html: Path, names: list[str], report: Report) -> dict[str, ExecutedFigure]:
    """Read the executed analyses; what cannot be read is noted and left out."""
    executed = {}
    for name in names:
        try:
            executed[name] = rebuild.read_executed(html / manifest.EXECUTED / f"{name}.ipynb")
        except UserError as error:
            report.add("executed analyses", 0, [Finding.from_error(error, rebuild.REBUILD)])
    report.add("executed analyses", len(names), _other_cells(html, executed))
    return executed


def _other_cells(html: Path, executed: dict[str, ExecutedFigure]) -> list[Finding]:
    """Compare text and code of the executed notebooks with their sources."""
    findings = []
    for name in executed:
        notebook = html / manifest.EXECUTED / f"{name}.ipynb"
        if rebuild.cell_sources(notebook) != rebuild.cell_sources(SOURCES / f"{name}.ipynb"):
            what = f"text or code is not that of notebooks/analysis/{name}.ipynb"
            findings.append(Finding(paths.relative(notebook), what, rebuild.REBUILD))
    return findings


def _computed(report: Report) -> tuple[Tables, dict[str, Number]] | None:
    """Compute tables and numbers; None, and a finding, where the data do not let it."""
    try:
        tables = load_tables()
        return tables, numbers(tables)
    except Exception as error:  # who changes a table may break the computing in any way
        what = f"cannot be computed: {' '.join(str(error).split())}"
        report.add(
            "results tables", 1, [Finding("results tables", what, "restore the data: git checkout data")]
        )
        return None


def _note(report: Report, kind: str, check: Check) -> None:
    try:
        report.add(kind, *check())
    except UserError as error:
        report.add(kind, 1, [Finding.from_error(error)])


def _only(files: set[str], findings: list[Finding]) -> tuple[int, list[Finding]]:
    of_data = {file for file in files if file.startswith("data/")}
    return len(of_data), [item for item in findings if item.where in of_data]
