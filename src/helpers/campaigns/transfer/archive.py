"""Pack a folder into one ZIP file: the built book, which opens without a server, and the runs of a campaign."""

import zipfile
from pathlib import Path

from helpers.core.files import atomic_write

FOLDER = "text-classification-energy"
"""What the archive of the book unpacks to."""
_DATE = (1980, 1, 1, 0, 0, 0)


def write_zip(source: Path, file: Path, folder: str = FOLDER) -> None:
    """Write what lies below `source` to `file`, atomically; the same files give the same bytes.

    Names are sorted, and every file has the date where ZIP begins and the same rights.

    Args:
        source: what is packed.
        file: the archive; an existing one is replaced.
        folder: what it unpacks to.
    """
    sources = sorted(item for item in source.rglob("*") if item.is_file() and item != file)
    with (
        atomic_write(file) as scratch,
        zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for item in sources:
            entry = zipfile.ZipInfo(f"{folder}/{item.relative_to(source).as_posix()}", _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # rights as on Unix, wherever it is written
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, item.read_bytes())
