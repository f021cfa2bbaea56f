"""What is checked of every run before anything expensive starts, whatever the model."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.measure.plan import Plan
from helpers.records.storage import RECORD, check_writable
from helpers.study.datasets import Dataset, load_dataset

PROCESSOR_TIMES = Path("/proc/stat")


def check_target(plan: Plan) -> None:
    """Check that the run does not exist yet, that it can be stored, and what every measurement needs of the machine.

    Raises:
        UserError: one line that says what to do.
    """
    if (plan.folder / RECORD).exists():
        raise UserError(
            f"{paths.relative(plan.folder)} holds a run already; delete the folder to measure it again, "
            "or store the run under another campaign=NAME"
        )
    check_writable(plan.folder.parent)
    if sys.platform == "linux":
        _check_processor_times()


def _check_processor_times() -> None:
    """Check that the load of this machine can be read: psutil and CodeCarbon end in a TypeError where it cannot."""
    try:
        PROCESSOR_TIMES.read_bytes()
    except OSError as error:
        raise UserError(
            f"{PROCESSOR_TIMES}: {error.strerror}; expected the processor times of the kernel, without which neither the load "
            "of other processes nor an energy of the CPU is known; measure where they can be read"
        ) from None


def load_run_dataset(plan: Plan) -> Dataset:
    """Load the dataset of a run, and check it with `check_data`.

    Raises:
        UserError: one line where the data is missing or not valid, or other data than that of the runs beside this one.
    """
    dataset = load_dataset(plan.parameters.dataset, plan.parameters.data_dir)
    check_data(plan, dataset)
    return dataset


def check_data(plan: Plan, dataset: Dataset) -> None:
    """Check that the runs beside this one are on the same data: others would be compared unawares.

    A committed campaign is measured again on whatever data exist: it stands as a source of its own beside them. Only
    what names a run's data is read: a record that is not valid is reported elsewhere.

    Raises:
        UserError: one line with both hashes.
    """
    for file, sha256 in data_of_runs(plan.folder.parent, dataset.name):
        if sha256 != dataset.sha256:
            raise UserError(
                f"{dataset.name}: found data with sha256 {dataset.sha256}, expected {sha256} as in "
                f"{paths.relative(file)}; put the data back, delete the runs on it, or store this one under "
                "another campaign=NAME"
            )


def data_of_runs(folder: Path, dataset: str) -> Iterator[tuple[Path, str]]:
    """Yield the records of a dataset in the folder of a campaign, each with the hash of its data."""
    for file in sorted(folder.glob(f"{dataset}-*/{RECORD}")):
        name, sha256 = _data_of(file)
        if name == dataset:  # another one's name may begin alike
            yield file, str(sha256)


def _data_of(file: Path) -> tuple[object, object]:
    try:
        run = json.loads(file.read_bytes())["run"]
        return run["dataset"], run["dataset_sha256"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None, None
