"""Records of other machines, copied into `runs/`: validated, hashes checked; only what is broken there is replaced."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from helpers.campaigns.run.schedule import ORDER, add_invocations, read_run_order
from helpers.campaigns.transfer.unpacking import unpacked
from helpers.core import paths
from helpers.core.errors import UserError, printable
from helpers.core.files import atomic_write
from helpers.core.lock import is_held, run_lock
from helpers.measure.preflight import data_of_runs
from helpers.records.environment import sha256_of
from helpers.records.storage import PREDICTIONS, RECORD, Record, publish, read_record
from helpers.results.predictions import contradiction
from helpers.study.catalogue import unknown_entry

State = Literal["imported", "duplicate", "repaired", "conflict", "refused"]


@dataclass(frozen=True)
class Imported:
    """What became of one record."""

    source: str
    state: State
    """`duplicate`: the same record exists; `repaired`: it does, and its missing or changed files were replaced;
    `conflict`: another record of the same run, or runs on other data, exist and were left."""
    target: str | None
    """Where the run is, or would be; None where its record could not be read."""
    message: str


def import_runs(folder: Path, runs: Path | None = None, committed: Path | None = None) -> list[Imported]:
    """Copy every run below a folder into `runs/CAMPAIGN/RUN`, each atomically.

    A run is a folder with a record: folders of campaigns, of `runs/` or of several machines may lie around it.
    Only what the record lists is copied, so no raw answers; the run orders are merged with those stored here.
    Hidden folders, in which runs are still being written, are left out.

    Args:
        folder: what was brought here from another machine; or a ZIP file of it, as an export makes.
        runs: where the runs go; `runs/` where None.
        committed: records that count as being here, too; `data/measurements` where None.

    Raises:
        UserError: one line where the folder is none, holds no record, or is the folder that runs go to; and
            where a ZIP file is none, or holds what must not be unpacked.
    """
    runs, committed = runs or paths.RUNS, committed or paths.MEASUREMENTS
    if folder.is_file():
        with unpacked(folder) as inside:
            return [_name_zip(item, inside, folder) for item in _import_all(inside, folder, runs, committed)]
    if not folder.is_dir():
        raise UserError(
            f"import {folder}: no such folder or ZIP file; give one with CAMPAIGN/RUN/{RECORD} below it"
        )
    inside = folder.resolve()
    for own_folder in (runs.resolve(), committed.resolve()):
        if inside.is_relative_to(own_folder) or own_folder.is_relative_to(inside):
            raise UserError(
                f"import {folder}: it contains, or is inside, {paths.relative(own_folder)}, which already has runs; give the "
                "folder that was copied from the other machine"
            )
    return _import_all(folder, folder, runs, committed)


def _import_all(folder: Path, given: Path, runs: Path, committed: Path) -> list[Imported]:
    files = list(_records(folder))
    if not files:
        raise UserError(f"import {given}: no {RECORD} below it; give a folder with CAMPAIGN/RUN/{RECORD}")
    imported = [_import(file, runs, committed) for file in files]
    orders = {
        (file.parent.parent / ORDER, runs / Path(item.target).parent.name)
        for file, item in zip(files, imported, strict=True)
        if item.target is not None and item.state in ("imported", "duplicate", "repaired")
    }
    refused = [item for source, campaign in sorted(orders) if (item := _add_order(source, campaign))]
    return [
        replace(item, source=printable(item.source), message=printable(item.message))
        for item in imported + refused
    ]


def _add_order(source: Path, campaign: Path) -> Imported | None:
    """Merge the run orders of another machine with the stored ones; returns the refusal where that fails."""
    if not source.is_file() or not campaign.is_dir():
        return None
    try:
        add_invocations(campaign / ORDER, read_run_order(source))
    except UserError as error:
        return Imported(str(source), "refused", None, str(error))
    except OSError as error:
        return Imported(str(source), "refused", None, _write_fault(error, campaign))
    return None


def _name_zip(item: Imported, inside: Path, file: Path) -> Imported:
    """Name the ZIP file instead of the temporary folder that it was unpacked into."""
    source, message = (
        text.replace(str(inside), str(file)).replace(paths.relative(inside), str(file))
        for text in (item.source, item.message)
    )
    return replace(item, source=source, message=message)


def _records(folder: Path) -> Iterator[Path]:
    """Yield the records below a folder in the order of their names; loops of links are not followed."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if RECORD in files:
            folders.clear()  # what lies in a run's folder is no run
            yield Path(parent) / RECORD


def _import(file: Path, runs: Path, committed: Path) -> Imported:
    source, label, target = str(file), None, runs
    try:
        digest = sha256_of(file)
        record = read_record(file)
        target = runs / record.run.campaign / record.run.run_id
        label = paths.relative(target)
        for existing in (target, committed / record.run.campaign / record.run.run_id):
            if (existing / RECORD).exists():
                return _compare_existing(file, record, existing, repairable=existing == target)
        if (fault := _fault(file, record)) is not None:
            return Imported(source, "refused", label, fault)
        if other := _on_other_data(record, target.parent):
            return Imported(source, "conflict", label, other)
        try:
            _copy(file.parent, record, digest, target)
        finally:
            with suppress(OSError):
                target.parent.rmdir()  # where a refused run was to be the first of its campaign
    except UserError as error:
        return Imported(source, "refused", label, str(error))
    except OSError as error:
        return Imported(source, "refused", label, _write_fault(error, target))
    return Imported(source, "imported", label, "")


def _fault(file: Path, record: Record) -> str | None:
    """Return why a record cannot stand in the results: a name that nobody knows here, or a count that is not its own."""
    if (lack := unknown_entry(record.run.model, record.run.dataset)) is not None:
        return f"{paths.relative(file)}: {lack}"
    if PREDICTIONS in record.files and (said := contradiction(record, file.parent / PREDICTIONS)) is not None:
        return f"{paths.relative(file)}: {said}; measure it again"
    return None


def _write_fault(error: OSError, target: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):  # the system names what was read
        return f"{paths.relative(target)}: cannot be written: {error.strerror}; make room there and import it again"
    return f"{error.filename or target}: {error.strerror or error}; correct that and import it again"


def _compare_existing(file: Path, record: Record, existing: Path, repairable: bool) -> Imported:
    """Compare a record with an existing one of the same name; repair the files of the same record if it is in `runs`.

    Raises:
        UserError: one line where a file matches the record neither here nor in the source.
    """
    source, label = str(file), paths.relative(existing)
    existing_record = read_record(
        existing / RECORD
    )  # an invalid one here refuses the import: nothing is replaced
    if existing_record != record:
        return Imported(
            source,
            "conflict",
            label,
            f"{label} holds another record of this run: created {existing_record.created}, found {record.created}; move "
            "one of both to another campaign or delete the folder",
        )
    damaged = [name for name, expected in record.files.items() if not _has_sha256(existing / name, expected)]
    if damaged and not repairable:
        message = f"the same record is in {label}; missing or changed there: {', '.join(damaged)}; restore that with git"
        return Imported(source, "duplicate", label, message)
    for name in damaged:
        with atomic_write(existing / name) as scratch:
            _copy_file(file.parent, name, scratch, record.files[name])
    if damaged:
        return Imported(
            source, "repaired", label, f"{', '.join(damaged)}: missing or changed, now as the record says"
        )
    return Imported(source, "duplicate", label, f"the same record is in {label}")


def _has_sha256(file: Path, sha256: str) -> bool:
    return file.is_file() and sha256_of(file) == sha256


def _on_other_data(record: Record, campaign: Path) -> str | None:
    """Return the conflict where the runs of the campaign are on other data; None where they are on the same."""
    other = next(data_of_runs(campaign, record.run.dataset), None)
    if other is None or other[1] == record.run.dataset_sha256:
        return None
    return (
        f"it is on data of {record.run.dataset} with sha256 {record.run.dataset_sha256[:12]}..., the runs here on "
        f"{other[1][:12]}... ({paths.relative(other[0])}); keep only the runs on one of them, or measure them under another "
        "campaign=NAME"
    )


def _copy(source: Path, record: Record, digest: str, target: Path) -> None:
    """Copy a run and check the copies, so that a file that changes meanwhile is noticed.

    Raises:
        UserError: one line with file and field where a file is missing or not what the record says, and where the run
            is being measured here; nothing is left.
    """
    if (lock := run_lock(target)).exists() and is_held(lock):
        raise UserError(f"{paths.relative(target)}: is being measured; import it when that has ended")
    with publish(target) as scratch:
        for name, expected in record.files.items():
            _copy_file(source, name, scratch / name, expected)
        shutil.copy2(source / RECORD, scratch / RECORD)
        if sha256_of(scratch / RECORD) != digest:
            raise UserError(
                f"{paths.relative(source / RECORD)}: changed while it was copied; import it again"
            )


def _copy_file(source: Path, name: str, target: Path, expected: str) -> None:
    label = paths.relative(source / RECORD)
    if not (source / name).is_file():
        raise UserError(f"{label}: files.{name}: missing; copy the whole folder of the run")
    shutil.copy2(source / name, target)
    if (actual := sha256_of(target)) != expected:
        raise UserError(
            f"{label}: files.{name}: sha256 is {actual[:12]}..., the record says {expected[:12]}...; copy it again"
        )
