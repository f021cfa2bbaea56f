"""Execute notebooks with papermill: strict, atomic, without paths of the machine in the result."""

import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import papermill
from papermill.exceptions import PapermillExecutionError

from helpers import paths, traditional_measurement
from helpers.datasets import Dataset
from helpers.environment import sha256_of
from helpers.errors import UserError
from helpers.llm import measure as llm_measurement
from helpers.lock import MACHINE_LOCK, holding, is_held
from helpers.measurement import RAW_ANSWERS
from helpers.parameters import LlmPlan, Plan, TraditionalPlan
from helpers.record import RECORD, Record, publish, read_record, write_record
from helpers.show import BOOK_VARIABLE
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
            stdout_file=sys.stderr,  # what a cell prints is progress
            request_save_on_cell_execute=False,
            extra_arguments=["--IPKernelApp.log_level=50"],  # not a word on sockets of this machine
        )
    except PapermillExecutionError as error:
        reason = error.evalue if error.ename == "UserError" else f"{error.ename}: {error.evalue}"
        raise UserError(f"{paths.relative(source)}: {' '.join(str(reason).split())}") from None
    except KeyboardInterrupt:
        # The cell's task goes on while the kernel is shut down, and nobody asks for its error then.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise
    _shorten_paths(target, [source, target, *_paths_in(parameters)])


def measure(plan: Plan) -> Record:
    """Run the measurement notebook for `plan` and publish record and executed notebook together.

    A run that is there already is not repeated: its record is returned, if it is of the same data.

    Raises:
        UserError: one line; nothing is published, and a failed notebook is kept beside the run's folder.
    """
    dataset = _check_input(plan)
    plan.folder.parent.mkdir(parents=True, exist_ok=True)
    with holding(plan.folder.parent / f".{plan.run_id}.lock", "this run is being measured already"):
        if not (plan.folder / RECORD).exists():
            return _measure(plan)
        record = read_record(plan.folder / RECORD)
        if record.run.dataset_sha256 != dataset.sha256:
            raise UserError(
                f"{paths.relative(plan.folder)} holds a run on other data of the same name; delete the folder, "
                "or file the run under another campaign=NAME"
            )
        return record


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
        with _for_the_book():
            execute_notebook(source, scratch, {})
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return target


@contextmanager
def _for_the_book() -> Iterator[None]:
    """Tell the kernels that start meanwhile that what they show goes into the book."""
    before = os.environ.get(BOOK_VARIABLE)
    os.environ[BOOK_VARIABLE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[BOOK_VARIABLE]
        else:
            os.environ[BOOK_VARIABLE] = before


def _check_input(plan: Plan) -> Dataset:
    match plan:
        case TraditionalPlan():
            return traditional_measurement.check_input(plan)
        case LlmPlan():
            return llm_measurement.check_input(plan)
    raise TypeError(f"no measurement for a {type(plan).__name__}")


def _measure(plan: Plan) -> Record:
    source = paths.NOTEBOOKS / "measure" / f"{plan.notebook}.ipynb"
    if is_held(MACHINE_LOCK):
        print("waiting: another measurement runs on this machine", file=sys.stderr, flush=True)
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
        for name in (*record.files, RAW_ANSWERS):
            if (inner / name).is_file():
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
    What cells display (tables, figures) is left as it is.
    """
    short = {
        f"{folder.rstrip('/')}/": ""
        for folder in (str(paths.ROOT), tempfile.gettempdir(), *sys.path)
        if folder
    }
    for path in known:
        name = paths.relative(path)
        short[str(path)] = path.name if Path(name).is_absolute() else name
    order = sorted(short, key=len, reverse=True)

    def shortened(value: Any) -> Any:
        if isinstance(value, str):
            for path in order:
                value = value.replace(path, short[path])
        elif isinstance(value, list):
            value = [shortened(item) for item in value]
        elif isinstance(value, dict):
            value = {key: item if key == "data" else shortened(item) for key, item in value.items()}
        return value

    document = json.loads(notebook.read_text(encoding="utf-8"))
    notebook.write_text(
        json.dumps(shortened(document), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
