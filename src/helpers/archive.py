"""Pack the built book into one ZIP file, which opens without a server."""

import zipfile
from pathlib import Path

FOLDER = "text-classification-energy"
"""What the archive unpacks to."""
_DATE = (1980, 1, 1, 0, 0, 0)


def write_zip(html: Path, file: Path) -> None:
    """Write the book in `html` to `file`; the same book gives the same bytes.

    Names are sorted, and every file has the date where ZIP begins and the same rights.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    sources = sorted(item for item in html.rglob("*") if item.is_file() and item != file)
    scratch = file.with_name(f".{file.name}.partial")
    with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for source in sources:
            entry = zipfile.ZipInfo(f"{FOLDER}/{source.relative_to(html).as_posix()}", _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # rights as on Unix, wherever it is written
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, source.read_bytes())
    scratch.replace(file)
