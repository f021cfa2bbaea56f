"""Runs: every record is valid, agrees with its predictions, and the files beside it are those of the run."""

from collections.abc import Collection, Iterator
from pathlib import Path

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.records.environment import sha256_of
from helpers.records.findings import Finding, short
from helpers.records.storage import PREDICTIONS, RAW_ANSWERS, RECORD, read_record
from helpers.results.predictions import contradiction

RESTORE = "restore the run's files (`git checkout` for a committed one), or measure it again"


def record_files(selected: Collection[str] | None = None) -> list[Path]:
    """Return the records, committed and live; `selected` takes some, as seen from the root of the project."""
    files = [
        file
        for folder in (paths.MEASUREMENTS, paths.RUNS)
        for file in sorted(folder.glob(f"[!.]*/[!.]*/{RECORD}"))
    ]
    return [file for file in files if selected is None or paths.relative(file) in selected]


def check(files: Collection[Path]) -> tuple[int, list[Finding]]:
    """Check runs by their records; returns how many there are, and the findings."""
    return len(files), [finding for file in files for finding in _check_run(file)]


def _check_run(file: Path) -> Iterator[Finding]:
    try:
        record = read_record(file)
    except UserError as error:
        yield Finding.from_error(error, RESTORE)
        return
    folder = file.parent
    for name, expected in record.files.items():
        path = paths.relative(folder / name)
        if not (folder / name).is_file():
            yield Finding(path, "missing, but listed in its record", RESTORE)
        elif (digest := sha256_of(folder / name)) != expected:
            what = f"changed since the run: sha256 {short(digest)}, expected {short(expected)} ({RECORD})"
            yield Finding(path, what, RESTORE)
    is_committed = folder.is_relative_to(paths.MEASUREMENTS)
    for other in sorted(folder.iterdir()):
        if other.is_symlink():
            yield Finding(paths.relative(other), "a link, expected a file of the run", RESTORE)
        elif other.name == RAW_ANSWERS and is_committed:
            yield Finding(
                paths.relative(other), "raw answers, which may quote the texts of a dataset", "remove it"
            )
        elif other.name not in {RECORD, RAW_ANSWERS, *record.files} and (
            is_committed or not other.name.startswith(".")
        ):
            yield Finding(
                paths.relative(other), "no file of the run: its record does not list it", "remove it"
            )
    if PREDICTIONS in record.files and (said := contradiction(record, folder / PREDICTIONS)) is not None:
        yield Finding(f"{paths.relative(file)}: {said.partition(': ')[0]}", said.partition(": ")[2], RESTORE)
