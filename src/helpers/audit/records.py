"""Runs: every record is valid, agrees with its predictions, and the files beside it are those of the run."""

from collections.abc import Collection, Iterator
from pathlib import Path

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.records.environment import sha256_of
from helpers.records.findings import Finding, short
from helpers.records.storage import PREDICTIONS, RAW_ANSWERS, RECORD, Record, read_record
from helpers.results.predictions import read_answers
from helpers.study.datasets import sha256_of_ids

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
    expected_files = {RECORD, RAW_ANSWERS, *record.files}
    for other in sorted(folder.iterdir()):
        if other.name not in expected_files and not other.name.startswith("."):
            yield Finding(
                paths.relative(other), "no file of the run: its record does not list it", "remove it"
            )
    yield from _recount(file, record)


def _recount(file: Path, record: Record) -> Iterator[Finding]:
    """Count texts and correct answers again from the predictions."""
    predictions = file.parent / PREDICTIONS
    if PREDICTIONS not in record.files or not predictions.is_file():
        return
    try:
        table = read_answers(predictions)[["split", "id", "right"]]
    except (OSError, ValueError, KeyError):  # the line on its sha256 says it all
        return
    for split in record.splits:
        rows = table[table["split"] == split.split]
        field = f"{paths.relative(file)}: splits.{split.split}"
        correct = int(rows["right"].sum())
        if len(rows) != split.texts:
            yield Finding(field, f"texts: {split.texts}, but {PREDICTIONS} has {len(rows)}", RESTORE)
        elif split.correct is not None and correct != split.correct:
            yield Finding(field, f"correct: {split.correct}, but {PREDICTIONS} has {correct}", RESTORE)
        elif sha256_of_ids(rows["id"].tolist()) != split.test_ids_sha256:
            yield Finding(field, f"test_ids_sha256: not that of the ids in {PREDICTIONS}", RESTORE)
