"""What is checked of every run before anything expensive starts, whatever the model."""

import json
from pathlib import Path

from helpers import paths
from helpers.datasets import Dataset
from helpers.errors import UserError
from helpers.parameters import Plan
from helpers.record import RECORD, check_writable


def check_target(plan: Plan) -> None:
    """Check that the run is not there yet, and that it can be filed.

    Raises:
        UserError: one line that says what to do.
    """
    if (plan.folder / RECORD).exists():
        raise UserError(
            f"{paths.relative(plan.folder)} holds a run already; delete the folder to measure it again, "
            "or file the run under another campaign=NAME"
        )
    check_writable(plan.folder.parent)


def check_data(plan: Plan, dataset: Dataset) -> None:
    """Check that the runs beside this one are on the same data: others would be compared unawares.

    A committed campaign is measured again on whatever data there are: it stands as a source of its own beside them. Only
    what names a run's data is read: a record that is not valid is told elsewhere.

    Raises:
        UserError: one line with both hashes.
    """
    for file in sorted(plan.folder.parent.glob(f"{dataset.name}-*/{RECORD}")):
        found = _data_of(file)
        if found is not None and found != (dataset.name, dataset.sha256) and found[0] == dataset.name:
            raise UserError(
                f"{dataset.name}: found data with sha256 {dataset.sha256}, expected {found[1]} as in "
                f"{paths.relative(file)}; put the data back, delete the runs on it, or file this one under "
                "another campaign=NAME"
            )


def _data_of(file: Path) -> tuple[object, object] | None:
    try:
        run = json.loads(file.read_bytes())["run"]
        return run["dataset"], run["dataset_sha256"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
