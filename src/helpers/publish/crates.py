"""The two RO-Crates: of the built book, and of a folder with the runs of a campaign."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.executed import ExecutedFigure, read_executed_figure
from helpers.publish.citation import citation
from helpers.publish.preview import PREVIEW
from helpers.publish.run_actions import add_run, data_of, parameters, tool
from helpers.publish.run_crate import METADATA, Crate
from helpers.publish.table_columns import packages
from helpers.records import checksums
from helpers.records.environment import git_date
from helpers.records.storage import RECORD, Record, read_record, read_records

_EXECUTED = "_sources/notebooks/analysis"
_BOOK = """\
An HTML book that opens without a server or a network: every figure and table with its data, the notebook and the \
function that make it, the runs behind it and the commands that reproduce it."""

_DESCRIPTIONS = {
    "CITATION.cff": "How to cite",
    "LICENSE": "Licence of the code",
    "codecheck.yml": "Figures and tables that a check reproduces",
}

_BESIDE_RUNS = {
    "CITATION.cff": "How to cite",
    "LICENSE": "Licences",
    "README.md": "What is in it, how to check and to import it",
    "order.json": "The order in which the runs were made",
}


_AFTER_CAMPAIGN = (
    "Check that it is complete: sha256sum --check SHA256SUMS, in this folder.",
    "Read a run: open its notebook.ipynb, or record.json, whose fields the book's reference explains.",
    "Compare it with the paper and other campaigns: in a checkout of the companion, python -m helpers import FOLDER, then "
    "make book; the runs then appear in its figures and tables.",
    "Measure the same again: entries.yaml and the campaign's YAML file belong in data/study, then python -m helpers run.",
)
_AFTER_BOOK = (
    "Read it: open index.html; no server is needed.",
    "Take the data of a figure: artefacts holds a CSV file for each, results the tables that all of them are drawn from.",
    "Verify it: in a checkout of the companion at the commit that the book names, make book, then python -m helpers audit.",
)


def describe_campaign(folder: Path, part: str | None = None) -> Path:
    """Describe a folder that holds runs of one campaign, each in a folder of its own; returns the file written.

    The folder is meant to be a copy for others, as an export makes: a copy of the workflow is put into it. The
    same runs have the same description, whenever it is made.

    Args:
        folder: the runs; files beside them are described, too, but no checksums, which have to be written later.
        part: the part of the campaign that the runs are; None where they are the campaign's.

    Raises:
        UserError: one line where there is no run, or a record is not valid.
    """
    records = {file.parent.name: read_record(file) for file in sorted(folder.glob(f"[!.]*/{RECORD}"))}
    if not records:
        raise UserError(f"{paths.relative(folder)}: expected folders of runs with a {RECORD}, found none")
    campaign = next(iter(records.values())).run.campaign
    name = part or campaign
    newest = max(record.created for record in records.values())
    crate = Crate(
        folder,
        f"Runs of the campaign {name}",
        f"{len(records)} measured runs: records, executed notebooks, predictions and power time lines. "
        f"Part of: {citation().title}.",
        newest[:10],
    )
    for file in sorted(folder.glob("[!.]*")):
        if file.is_file() and file.name not in (METADATA, PREVIEW, checksums.NAME):
            crate.file(file.name, _BESIDE_RUNS.get(file.name, file.name), _about(file.name))
    inputs = parameters(crate)
    committed = {file.parent.name for file in (paths.MEASUREMENTS / campaign).glob(f"[!.]*/{RECORD}")}
    runs = [add_run(crate, run, record, run in committed) for run, record in records.items()]
    workflow = crate.workflow(_tools(crate, list(records.values())), inputs)
    crate.action(
        f"#campaign-{name}",
        {
            "name": f"The campaign {name}",
            "description": "All its runs, as the workflow makes them: one at a time on a machine.",
            "instrument": workflow,
            "endTime": newest.replace("Z", "+00:00"),
            "object": _texts(crate, list(records.values())),
            "result": runs,
        },
    )
    return crate.write(_AFTER_CAMPAIGN)


def describe_book_crate(html: Path) -> Path:
    """Describe the built book; returns the file written.

    Raises:
        UserError: one line where the executed analyses or a file that they name are missing.
    """
    runs_by_part = {
        part: {
            file.parent.relative_to(html).as_posix(): record for file, record in _records(html / part).items()
        }
        for part in ("measurements", "runs")
    }
    records = [record for part in runs_by_part.values() for record in part.values()]
    crate = Crate(html, citation().title, _BOOK, _day(records))
    inputs = parameters(crate)
    folders = _data_folders(crate)
    for part, title in (
        ("measurements", "Committed runs"),
        ("runs", "Runs of the machine that built the book"),
    ):
        runs = [
            add_run(crate, folder, record, part == "measurements")
            for folder, record in runs_by_part[part].items()
        ]
        if runs:
            folders.append(crate.dataset(part, title, runs))
    results = _results(crate)
    executed = sorted((html / _EXECUTED).glob("*.ipynb"))
    if not executed:
        raise UserError(
            f"{paths.relative(html / _EXECUTED)}: expected the executed analyses, found none; build the book first"
        )
    pages = [_add_analysis(crate, notebook, read_executed_figure(notebook)) for notebook in executed]
    front = crate.file("index.html", "Front page of the book")
    for name, title in _DESCRIPTIONS.items():
        crate.file(name, title)
    workflow = crate.workflow(_tools(crate, records), inputs)
    crate.action(
        "#book",
        {
            "name": "The book",
            "description": "Results tables from the published values and the records, analyses, pages.",
            "instrument": workflow,
            "object": folders,
            "result": [front, *results, *pages],
        },
    )
    return crate.write(_AFTER_BOOK)


def _about(name: str) -> dict[str, Any] | None:
    """Return further properties of a file beside the runs: a README describes the whole folder."""
    return {"about": {"@id": "./"}} if name == "README.md" else None


def _day(records: Sequence[Record]) -> str:
    """Return the day of the commit; without git, that of the newest run."""
    day = git_date() or max((record.created for record in records), default=str(citation().article.year))
    return day[:10]


def book_path(name: str) -> str:
    """Return where the book has a file of the project."""
    return name.removeprefix("data/")


def _records(folder: Path) -> dict[Path, Record]:
    return read_records(folder)[0]


def _tools(crate: Crate, records: Sequence[Record]) -> list[Any]:
    """Return the measurement notebooks, as they were when the runs were made."""
    used = {(record.run.notebook, record.environment.git_commit) for record in records}
    return [
        tool(crate, f"notebooks/measure/{name}.ipynb", commit)
        for name, commit in sorted(used, key=lambda pair: (pair[0], pair[1] or ""))
    ]


def _texts(crate: Crate, records: Sequence[Record]) -> list[Any]:
    """Return the texts that runs were made on."""
    return list({entity.id: entity for entity in (data_of(crate, record) for record in records)}.values())


def _data_folders(crate: Crate) -> list[Any]:
    """Describe what the book draws on but the runs: published values, catalogue, sample, benches."""
    titles = {name: table.title for name, table in packages().published.tables.items()}
    folders = {
        "published": packages().published.title,
        "study": "Catalogue: models, datasets, machines, campaigns",
        "sample": "Synthetic texts",
        "benchmarks": "Benches of meter and client",
    }
    datasets = []
    for folder, title in folders.items():
        files = sorted(file for file in (crate.folder / folder).rglob("*") if file.is_file())
        parts = [
            crate.file(file.relative_to(crate.folder).as_posix(), titles.get(file.stem, file.name))
            for file in files
        ]
        if parts:
            datasets.append(crate.dataset(folder, title, parts))
    return datasets


def _results(crate: Crate) -> list[Any]:
    tables = packages().results.tables
    files = [crate.file(f"results/{name}.csv", table.title) for name, table in tables.items()]
    described = crate.file("results/datapackage.json", "Columns, units and keys of the results tables")
    return [crate.dataset("results", packages().results.title, [*files, described])]


def _add_analysis(crate: Crate, notebook: Path, shown: ExecutedFigure) -> Any:
    """Describe an analysis: from which files which figure or table was made; returns its page."""
    executed = crate.file(f"{_EXECUTED}/{notebook.name}", f"{shown.label}: executed notebook")
    page = crate.file(f"notebooks/analysis/{shown.name}.html", f"{shown.label}: {shown.finding}")
    data = crate.file(f"artefacts/{shown.name}.csv", f"{shown.label}: data")
    images = [
        crate.file(image, f"{shown.label}, {panel.title or panel.name}", {"description": panel.alt})
        for panel in shown.panels
        if (crate.folder / (image := f"_images/{shown.name}-{panel.name}.svg")).is_file()
    ]
    times = json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("papermill", {})
    crate.action(
        f"#analysis-{shown.name}",
        {
            "name": shown.label,
            "description": f"{shown.finding} Made by {shown.function}. To rebuild it: {shown.rebuild}",
            "instrument": tool(crate, f"notebooks/analysis/{shown.name}.ipynb", shown.commit),
            "startTime": _second(times.get("start_time")),
            "endTime": _second(times.get("end_time")),
            "object": [_input(crate, name, shown.sha256[name]) for name in shown.inputs],
            "result": [executed, page, data, *images],
        },
    )
    return page


def _input(crate: Crate, name: str, sha256: str) -> Any:
    """Return an input file of an analysis; where the book does not contain it, what it was."""
    if (crate.folder / book_path(name)).is_file():
        return crate.file(book_path(name), name)
    described = {"name": Path(name).name, "description": "Not contained.", "identifier": f"sha256:{sha256}"}
    return crate.entity(f"#input-{Path(name).name}", "CreativeWork", described)


def _second(time: str | None) -> str | None:
    return None if time is None else f"{time[:19]}+00:00"
