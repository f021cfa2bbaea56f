"""Execute notebooks with papermill: strict, atomic, without paths of the machine in the result."""

import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
from papermill.exceptions import PapermillExecutionError

from helpers import measurement, paths
from helpers.environment import sha256_of
from helpers.errors import UserError
from helpers.lock import holding
from helpers.parameters import Plan
from helpers.record import RECORD, Record, publish, read_record, write_record
from helpers.study import entry

NOTEBOOK = "notebook.ipynb"


def execute_notebook(source: Path, target: Path, parameters: Mapping[str, Any]) -> None:
    """Execute `source` into `target`; papermill's own writes go to `target`, use a scratch folder.

    The executed copy keeps papermill's times, but no path of the machine. The notebook is written once,
    at the end: a write after every cell would fall between what is measured.

    Raises:
        UserError: one line with what the notebook said; `target` then holds the failed notebook.
    """
    logging.getLogger("papermill").setLevel(logging.WARNING)
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters=dict(parameters),
            kernel_name="python3",
            cwd=paths.ROOT,
            progress_bar=False,
            request_save_on_cell_execute=False,
            extra_arguments=["--IPKernelApp.log_level=50"],  # not a word on sockets of this machine
        )
    except PapermillExecutionError as error:
        reason = error.evalue if error.ename == "UserError" else f"{error.ename}: {error.evalue}"
        raise UserError(f"{paths.relative(source)}: {' '.join(str(reason).split())}") from None
    _shorten_paths(target, [source, target, *_paths_in(parameters)])


def measure(plan: Plan) -> Record:
    """Run the measurement notebook for `plan` and publish record and executed notebook together.

    A run that is there already is not repeated: its record is returned.

    Raises:
        UserError: one line; nothing is published, and a failed notebook is kept beside the run's folder.
    """
    plan.folder.parent.mkdir(parents=True, exist_ok=True)
    with holding(plan.folder.parent / f".{plan.run_id}.lock", "this run is being measured already"):
        if (plan.folder / RECORD).exists():
            return read_record(plan.folder / RECORD)
        measurement.check_ready(plan)
        return _measure(plan)


def analyse(name: str) -> Path:
    """Execute an analysis notebook into the staging folder of the book; returns the executed notebook.

    Raises:
        UserError: one line where there is no such notebook, or it failed.
    """
    sources = {file.stem: file for file in (paths.NOTEBOOKS / "analysis").glob("*.ipynb")}
    source = entry("analysis notebook", sources, name)
    target = paths.STAGING / paths.relative(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(f".{os.getpid()}.partial.ipynb")
    try:
        execute_notebook(source, scratch, {})
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return target


def _measure(plan: Plan) -> Record:
    source = paths.NOTEBOOKS / "measure" / "traditional.ipynb"
    with publish(plan.folder) as scratch:
        values = {**plan.parameters.model_dump(), "output": str(scratch)}
        try:
            execute_notebook(source, scratch / NOTEBOOK, values)
        except UserError as error:
            kept = plan.folder.parent / f"{plan.run_id}.failed.ipynb"
            if (scratch / NOTEBOOK).exists():
                (scratch / NOTEBOOK).replace(kept)
            raise UserError(f"{error} (notebook: {paths.relative(kept)})") from None
        inner = scratch / plan.parameters.campaign / plan.run_id
        record = read_record(inner / RECORD)
        for name in record.files:
            (inner / name).rename(scratch / name)
        (inner / RECORD).unlink()
        inner.rmdir()
        inner.parent.rmdir()
        files = {**record.files, NOTEBOOK: sha256_of(scratch / NOTEBOOK)}
        record = record.model_copy(update={"files": files})
        write_record(record, scratch)
    return record


def _paths_in(parameters: Mapping[str, Any]) -> list[Path]:
    return [
        Path(value) for value in parameters.values() if isinstance(value, str) and Path(value).is_absolute()
    ]


def _shorten_paths(notebook: Path, known: list[Path]) -> None:
    """Write the paths of this machine in an executed notebook as seen from the project, or as a bare name.

    Warnings name files of installed packages: those are written as seen from where Python finds packages.
    """
    text = notebook.read_text(encoding="utf-8")
    for path in sorted(known, key=lambda path: -len(str(path))):
        short = paths.relative(path)
        text = text.replace(str(path), path.name if Path(short).is_absolute() else short)
    folders = {str(paths.ROOT), tempfile.gettempdir(), *(folder for folder in sys.path if folder)}
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(f"{folder.rstrip('/')}/", "")
    notebook.write_text(text, encoding="utf-8")
