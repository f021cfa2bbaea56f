"""Unpack a ZIP file of others: plain files only, nowhere but inside, and no more than the disk holds."""

import errno
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from helpers.core.errors import UserError, printable, short

MAX_ENTRIES = 200_000
"""More than the runs of a campaign can have."""
_BLOCK_BYTES = 4096
"""What even an empty file takes on a disk."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""With others a few bytes can unpack to any size at once."""
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)


@contextmanager
def unpacked(file: Path) -> Iterator[Path]:
    """Give a temporary folder with what a ZIP file holds; the folder is removed at the end, however that comes.

    Raises:
        UserError: one line where the file is no ZIP file or damaged; holds a name that leads out of the folder or
            stands in it twice, a link or a device, or something encrypted; or is larger than what the disk has left.
    """
    with tempfile.TemporaryDirectory(prefix="import-") as name:
        folder = Path(name)
        try:
            with zipfile.ZipFile(file) as archive:
                targets = _targets(file, archive.infolist())
                _check_size(file, targets.values(), folder)
                for target, entry in targets.items():
                    _unpack(file, archive, entry, folder / target)
        except _BROKEN as error:
            raise UserError(f"import {file}: not a ZIP file, or damaged: {error}; copy it again") from None
        yield folder


def _targets(file: Path, entries: list[zipfile.ZipInfo]) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the plain files of an archive by where they go."""
    if len(entries) > MAX_ENTRIES:
        raise UserError(f"import {file}: it has {len(entries)} entries, expected at most {MAX_ENTRIES}")
    targets: dict[PurePosixPath, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for entry in entries:
        if fault := entry_fault(entry):
            raise UserError(
                f"import {file}: {short(entry.orig_filename)}: {fault}; nothing of it was imported"
            )
        target = PurePosixPath(entry.filename)
        if not entry.is_dir():
            if str(target).casefold() in seen:
                raise UserError(
                    f"import {file}: {short(entry.filename)}: is in it twice; nothing of it was imported"
                )
            seen.add(str(target).casefold())
            targets[target] = entry
    return targets


def entry_fault(entry: zipfile.ZipInfo) -> str | None:
    """Return why an entry of an archive may not be unpacked; None where it may."""
    name = entry.orig_filename
    if name.startswith("/") or "\\" in name or printable(name) != name or re.match(r"[A-Za-z]:", name):
        return "no path inside a folder"
    if ".." in PurePosixPath(name).parts:
        return "leads out of the folder"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or a device, expected files and folders only"
    if entry.flag_bits & 0x1:
        return "encrypted"
    if entry.compress_type not in _METHODS:
        return "compressed by another method than stored or deflated"
    return None


def _check_size(file: Path, entries: Iterable[zipfile.ZipInfo], folder: Path) -> None:
    """Compare what the archive says it holds with what is free; reading it never gives more than it says."""
    needed_bytes = sum(-(-entry.file_size // _BLOCK_BYTES) * _BLOCK_BYTES + _BLOCK_BYTES for entry in entries)
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        raise UserError(
            f"import {file}: unpacked it takes {needed_bytes / 1e6:.1f} MB, and {folder.parent} has "
            f"{free_bytes / 1e6:.1f} MB left; set TMPDIR to a folder with more"
        )


def _unpack(file: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Write one file; no more of it than the archive says, which is what was compared with the disk."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as packed, target.open("xb") as out:
            shutil.copyfileobj(packed, out)
            if out.tell() != entry.file_size:
                raise zipfile.BadZipFile(
                    f"{short(entry.filename)} has {out.tell()} bytes, not {entry.file_size}"
                )
    except OSError as error:
        if error.errno == errno.EINVAL:  # its offset lies before the file
            raise zipfile.BadZipFile(f"{short(entry.filename)} is not in it") from None
        raise UserError(
            f"import {file}: {short(entry.filename)}: cannot be unpacked in {target.parent}: "
            f"{error.strerror or error}; nothing of it was imported"
        ) from None
