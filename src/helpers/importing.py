"""Records of other machines, copied into `runs/`: validated, hashes checked, nothing overwritten."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from helpers import paths
from helpers.environment import sha256_of
from helpers.errors import UserError
from helpers.record import RECORD, Record, publish, read_record
from helpers.unpacking import unpacked

State = Literal["imported", "duplicate", "conflict", "refused"]


@dataclass(frozen=True)
class Imported:
    """What became of one record."""

    source: str
    state: State
    """`duplicate`: the same record is there; `conflict`: another one of the same run is there, and was left."""
    target: str | None
    """Where the run is, or would be; None where its record could not be read."""
    message: str


def import_runs(folder: Path, runs: Path | None = None, committed: Path | None = None) -> list[Imported]:
    """Copy every run below a folder into `runs/CAMPAIGN/RUN`, each whole or not at all.

    A run is a folder with a record: folders of campaigns, of `runs/` or of several machines may lie around it.
    Only what the record lists is copied, so no raw answers. Hidden folders, in which runs are still being written,
    are left out.

    Args:
        folder: what was brought here from another machine; or a ZIP file of it, as an export makes.
        runs: where the runs go; `runs/` where None.
        committed: records that count as being here, too; `data/measurements` where None.

    Raises:
        UserError: one line where the folder is none, holds no record, or is the very place that runs go to; and
            where a ZIP file is none, or holds what must not be unpacked.
    """
    runs, committed = runs or paths.RUNS, committed or paths.MEASUREMENTS
    if folder.is_file():
        with unpacked(folder) as inside:
            return [_in_zip(item, inside, folder) for item in _import_all(inside, folder, runs, committed)]
    if not folder.is_dir():
        raise UserError(
            f"import {folder}: no such folder or ZIP file; give one with CAMPAIGN/RUN/{RECORD} below it"
        )
    inside = folder.resolve()
    for ours in (runs.resolve(), committed.resolve()):
        if inside.is_relative_to(ours) or ours.is_relative_to(inside):
            raise UserError(
                f"import {folder}: it holds, or lies in, {paths.relative(ours)}, where runs are already; give the folder "
                "that was copied from the other machine"
            )
    return _import_all(folder, folder, runs, committed)


def _import_all(folder: Path, given: Path, runs: Path, committed: Path) -> list[Imported]:
    found = list(_records(folder))
    if not found:
        raise UserError(f"import {given}: no {RECORD} below it; give a folder with CAMPAIGN/RUN/{RECORD}")
    return [_import(file, runs, committed) for file in found]


def _in_zip(item: Imported, inside: Path, file: Path) -> Imported:
    """Name the ZIP file in place of the folder that it was unpacked into, which is gone."""
    source, message = (
        text.replace(str(inside), str(file)).replace(paths.relative(inside), str(file))
        for text in (item.source, item.message)
    )
    return replace(item, source=source, message=message)


def _records(folder: Path) -> Iterator[Path]:
    """Yield the records below a folder in the order of their names; loops of links are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if RECORD in files:
            folders.clear()  # what lies in a run's folder is no run
            yield Path(place) / RECORD


def _import(file: Path, runs: Path, committed: Path) -> Imported:
    source, where = str(file), None
    try:
        digest = sha256_of(file)
        record = read_record(file)
        target = runs / record.run.campaign / record.run.run_id
        where = paths.relative(target)
        for there in (target, committed / record.run.campaign / record.run.run_id):
            if (there / RECORD).exists():
                return _beside(source, record, there)
        try:
            _copy(file.parent, record, digest, target)
        finally:
            with suppress(OSError):
                target.parent.rmdir()  # where a refused run was to be the first of its campaign
    except UserError as error:
        return Imported(source, "refused", where, str(error))
    except OSError as error:
        return Imported(source, "refused", where, f"{error.filename or file}: {error.strerror or error}")
    return Imported(source, "imported", where, "")


def _beside(source: str, record: Record, there: Path) -> Imported:
    """Say what it is that a record of the same name is there already."""
    where = paths.relative(there)
    known = read_record(there / RECORD)  # a fault of ours refuses the import: nothing here is replaced
    if known == record:
        return Imported(source, "duplicate", where, f"the same record is in {where}")
    return Imported(
        source,
        "conflict",
        where,
        f"{where} holds another record of this run: created {known.created}, found {record.created}; move one of both "
        "to another campaign or delete the folder",
    )


def _copy(source: Path, record: Record, digest: str, target: Path) -> None:
    """Copy a run and check the copies, so that a file that changes meanwhile is noticed.

    Raises:
        UserError: one line with file and field where a file is missing or not what the record says; nothing is left.
    """
    where = paths.relative(source / RECORD)
    with publish(target) as scratch:
        for name, expected in record.files.items():
            if not (source / name).is_file():
                raise UserError(f"{where}: files.{name}: missing; copy the whole folder of the run")
            shutil.copy2(source / name, scratch / name)
            if (found := sha256_of(scratch / name)) != expected:
                raise UserError(
                    f"{where}: files.{name}: sha256 is {found[:12]}..., the record says {expected[:12]}...; copy it anew"
                )
        shutil.copy2(source / RECORD, scratch / RECORD)
        if sha256_of(scratch / RECORD) != digest:
            raise UserError(f"{where}: changed while it was copied; try again")
