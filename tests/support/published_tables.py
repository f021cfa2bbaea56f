"""The CSV files of data/published as they stand, and with one cell changed."""

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path

from helpers.core import paths


def read_published(name: str) -> list[dict[str, str]]:
    """Return the rows of a published table as text."""
    with (paths.PUBLISHED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def published_with_cell(folder: Path, name: str, key: Mapping[str, str], column: str, value: str) -> Path:
    """Copy the published tables below `folder`, with another value in one cell: `column` of the one row with that key."""
    copy = folder / "published"
    shutil.copytree(paths.PUBLISHED, copy, dirs_exist_ok=True)
    rows = read_published(name)
    (row,) = (row for row in rows if key.items() <= row.items())
    assert row[column] != value
    row[column] = value
    with (copy / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return copy
