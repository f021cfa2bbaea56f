"""Measure a run: execute its notebook, and publish record and executed notebook together."""

import logging
import sys
from collections.abc import Callable

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.lock import MACHINE_LOCK, holding, is_held, run_lock
from helpers.measure import llm as llm_measurement
from helpers.measure import traditional
from helpers.measure.notebook import execute_notebook
from helpers.measure.outdated import outdated
from helpers.measure.plan import LlmPlan, Plan, TraditionalPlan
from helpers.records.environment import sha256_of
from helpers.records.storage import (
    RAW_ANSWERS,
    RECORD,
    Record,
    check_writable,
    publish,
    read_record,
    write_record,
)
from helpers.study.datasets import Dataset

LOGGER = logging.getLogger(__name__)

NOTEBOOK = "notebook.ipynb"


def measure(plan: Plan, on_line: Callable[[str], None] | None = None) -> Record:
    """Run the measurement notebook for `plan` and publish record and executed notebook together.

    A run that has a record is not repeated: its record is returned, if it is of the same data.

    Args:
        plan: the run.
        on_line: gets what the notebook prints, beside standard error.

    Raises:
        TransientError: one line; the next attempt may succeed.
        UserError: one line; nothing is published, and a failed notebook is kept beside the run's folder.
    """
    dataset = _check_input(plan)
    check_writable(plan.folder.parent)
    with holding(run_lock(plan.folder), "this run is being measured already"):
        if (plan.folder / RECORD).exists():
            return _existing(plan, dataset)
        return _measure(plan, on_line)


def _existing(plan: Plan, dataset: Dataset) -> Record:
    """Return the record of a run that was measured before.

    Raises:
        UserError: one line where the catalogue has changed since.
    """
    label = paths.relative(plan.folder)
    record = read_record(plan.folder / RECORD)
    if (change := outdated(record, plan, dataset)) is not None:
        raise UserError(
            f"{label}: {change}; delete the folder to measure it again, or store the run under another campaign=NAME"
        )
    LOGGER.info("%s: measured before, on %s; nothing was done now", label, record.created[:10])
    return record


def _check_input(plan: Plan) -> Dataset:
    match plan:
        case TraditionalPlan():
            return traditional.check_input(plan)
        case LlmPlan():
            return llm_measurement.check_input(plan)
        case _:
            raise TypeError(f"no measurement for a {type(plan).__name__}")


def _measure(plan: Plan, on_line: Callable[[str], None] | None) -> Record:
    source = paths.NOTEBOOKS / "measure" / f"{plan.notebook}.ipynb"
    if is_held(MACHINE_LOCK):
        print("waiting: another measurement runs on this machine", file=sys.stderr, flush=True)
    with publish(plan.folder) as scratch:
        values = {**plan.parameters.model_dump(), "output": str(scratch)}
        try:
            execute_notebook(source, scratch / NOTEBOOK, values, on_line=on_line)
        except UserError as error:
            kept = plan.folder.parent / f"{plan.run_id}.failed.ipynb"
            if not (scratch / NOTEBOOK).exists():
                raise type(error)(f"{error} (run: {paths.relative(plan.folder)})") from None
            (scratch / NOTEBOOK).replace(kept)
            raise type(error)(f"{error} (notebook: {paths.relative(kept)})") from None
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
