"""The record on disk: the JSON that a run writes, read, written and published (schema: `helpers.records.schema`)."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from helpers.core import paths
from helpers.core.errors import UserError, short
from helpers.core.validation import parse_json
from helpers.records.schema import (
    SCHEMA_VERSION,
    Check,
    Component,
    Counts,
    Energy,
    Method,
    Phase,
    Record,
    Replies,
    Source,
    SplitResult,
)
from helpers.records.schema_run import Environment, Generation, GpuInfo, Run, Serving

__all__ = [
    "PREDICTIONS",
    "RAW_ANSWERS",
    "READABLE",
    "RECORD",
    "SCHEMA_VERSION",
    "Check",
    "Component",
    "Counts",
    "Energy",
    "Environment",
    "Generation",
    "GpuInfo",
    "Method",
    "Phase",
    "Record",
    "Replies",
    "Run",
    "Serving",
    "Source",
    "SplitResult",
    "check_writable",
    "publish",
    "read_record",
    "read_records",
    "write_record",
    "writing",
]

READABLE = (1, 2, 3, 4, SCHEMA_VERSION)
"""What an older record lacks is absent; `helpers.metering.record_versions` says what that is.

Version 1 had no sources, no second idle phase, no thread counts and no power time line; version 2 had no
language models; version 3 had one protocol of classification with them, the companion's, and no cache.
"""
RECORD = "record.json"
PREDICTIONS = "predictions.parquet"
RAW_ANSWERS = "raw_answers.parquet"


def read_record(file: Path) -> Record:
    """Read and validate a record.

    Raises:
        UserError: one line with file and field.
    """
    location = paths.relative(file)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise UserError(f"{location}: cannot be read: {error.strerror}") from None
    record = _parsed(text, location)
    if file.parent.name != record.run.run_id:
        raise UserError(f"{location}: run.run_id: {short(record.run.run_id)} does not name its folder")
    return record


@lru_cache(maxsize=2048)
def _parsed(text: bytes, location: str) -> Record:
    """Validate a record; the same bytes once: a build and an audit ask for each record several times.

    Raises:
        UserError: one line with file and field.
    """
    version = _schema_version(text)
    if version is not None and (version not in READABLE or isinstance(version, bool)):
        raise UserError(
            f"{location}: schema_version: found {short(version)}, this version reads "
            f"{', '.join(map(str, READABLE))}; "
            "use the version of the companion that wrote it"
        )
    return parse_json(Record, text, location)


def read_records(folder: Path) -> tuple[dict[Path, Record], list[str]]:
    """Read `folder/CAMPAIGN/RUN/record.json`; give the valid ones and what is wrong with others."""
    records: dict[Path, Record] = {}
    refused: list[str] = []
    for file in sorted(folder.glob(f"[!.]*/[!.]*/{RECORD}")):
        try:
            records[file] = read_record(file)
        except UserError as error:
            refused.append(str(error))
    return records, refused


def write_record(record: Record, folder: Path) -> None:
    """Write `folder/record.json`, durable, and check that it reads back; call it last, inside `publish`."""
    file = folder / RECORD
    with writing(file), file.open("w", encoding="utf-8") as out:
        out.write(record.model_dump_json(indent=1) + "\n")
        out.flush()
        os.fsync(out.fileno())
    if parse_json(Record, file.read_bytes(), str(file)) != record:
        raise UserError(f"{paths.relative(file)}: does not read back as it was written")


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Write a file in the block; where that fails nothing half-written is left.

    Raises:
        UserError: one line with the file and the reason where the disk is full, or will not take it.
    """
    try:
        yield
    except OSError as error:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        if error.errno not in _DISK:
            raise
        raise UserError(
            f"{file.name}: cannot be written: {_reason(error)}; make room on its disk and start again"
        ) from None


def check_writable(folder: Path, remedy: str = "make it writable, or give another output=FOLDER") -> None:
    """Make sure that a run can be stored in a folder, before anything expensive starts; the folder is made.

    Args:
        folder: where the run's folder will be.
        remedy: what to do where it cannot, for the error.

    Raises:
        UserError: one line with the folder and the reason, a read-only disk for example.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # it has no name: nothing of it can be left
    except OSError as error:
        raise UserError(f"{paths.relative(folder)}: cannot be written: {_reason(error)}; {remedy}") from None


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


def _reason(error: OSError) -> str:
    """Return the system's word; libraries put their own around it."""
    return os.strerror(error.errno) if error.errno else str(error)


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Give a scratch folder beside `target` that becomes `target` at the end, atomically.

    Scratch folders of processes that no longer live are removed first, and so is a `target` that holds no
    record: what is left of a run whose record was deleted.

    Raises:
        UserError: where `target` holds a record already, or cannot be written.
    """
    check_writable(target.parent, "make it writable")
    for stale in target.parent.glob(f".{target.name}.*.partial"):
        process = stale.name.split(".")[-2]
        if process.isdecimal() and (int(process) == os.getpid() or not _alive(int(process))):
            shutil.rmtree(stale, ignore_errors=True)
    scratch = target.parent / f".{target.name}.{os.getpid()}.partial"
    scratch.mkdir()
    try:
        yield scratch
        if target.is_dir() and not (target / RECORD).exists():
            shutil.rmtree(target)
        try:
            scratch.rename(target)  # never replaces a folder that holds something
        except OSError as error:
            raise UserError(f"{paths.relative(target)}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _schema_version(text: bytes) -> object:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document.get("schema_version") if isinstance(document, dict) else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
