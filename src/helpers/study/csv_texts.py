"""Read texts and labels from a CSV of whoever has the data; what is doubtful is refused, so that no text is lost in silence."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

from helpers.core.errors import UserError, short

_LONGEST_HEAD = 10_000
"""Characters of the first line, which names columns."""
_LONGEST_TEXT = 10_000_000
"""Characters of a line or a field: far more than any model reads."""
_FORM = "expected UTF-8, fields separated by commas (or semicolons), texts that hold one in quotes (Excel: CSV UTF-8)"


def read_texts(file: Path, text_column: str, label_column: str) -> tuple[list[str], list[str]]:
    """Return the texts and labels of a CSV, compressed where its name ends on `.gz`; rows without a text are left out.

    Quotes are those of RFC 4180. A first line `sep=;`, as Excel knows it, names the separator; else it is a semicolon
    where the head has no comma but a semicolon.

    Raises:
        UserError: one line where the file cannot be read, has other columns, has rows with more fields than its head, or
            quotes that swallow rows.
    """
    try:
        with _opened(file) as handle:
            rows = _rows(handle)
            head = next(rows)
            columns = [
                _column(file, head, name, (text_column, label_column)) for name in (text_column, label_column)
            ]
            pairs = [[row[column] if column < len(row) else "" for column in columns] for row in rows]
    except (ValueError, OSError, EOFError, csv.Error, zlib.error) as error:
        raise UserError(f"{file}: not a readable CSV: {' '.join(str(error).split())}; {_FORM}") from None
    kept = [(text, label) for text, label in pairs if text.strip()]
    texts, labels = [text for text, _ in kept], [label for _, label in kept]
    _check_no_row_is_swallowed(file, texts, set(labels))
    return texts, labels


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    """Open the file, and let a field be as long as a text may be meanwhile."""
    limit = csv.field_size_limit(_LONGEST_TEXT)
    try:
        if file.suffix == ".gz":
            with gzip.open(file, "rt", encoding="utf-8-sig", newline="") as handle:
                yield handle
        else:
            with file.open(encoding="utf-8-sig", newline="") as handle:
                yield handle
    finally:
        csv.field_size_limit(limit)


def _rows(handle: TextIO) -> Iterator[list[str]]:
    """Yield the head, then each row that is not blank.

    Raises:
        ValueError: a line or row is not as it should be.
    """
    head = handle.readline(_LONGEST_HEAD)
    if not head.strip():
        raise ValueError("its first line names no columns")
    if len(head) == _LONGEST_HEAD:
        raise ValueError(f"its first line, which should name columns, has {_LONGEST_HEAD} characters or more")
    separator = ";" if ";" in head and "," not in head else ","
    before = 1
    if head.startswith("sep=") and len(head.strip()) == len("sep=;"):
        separator, head, before = head[4], handle.readline(_LONGEST_HEAD), 2
    names = next(csv.reader([head], delimiter=separator, strict=True))
    yield names
    reader = csv.reader(_lines(handle), delimiter=separator, strict=True)
    try:
        for row in reader:
            if len(row) > len(names):
                raise ValueError(
                    f"line {before + reader.line_num} has {len(row)} fields, its head {len(names)}"
                )
            if row:
                yield row
    except csv.Error as error:
        raise ValueError(f"line {before + reader.line_num}: {error}") from None


def _lines(handle: TextIO) -> Iterator[str]:
    for line in iter(partial(handle.readline, _LONGEST_TEXT), ""):
        if len(line) == _LONGEST_TEXT:
            raise ValueError(f"a line has {_LONGEST_TEXT} characters or more")
        yield line


def _column(file: Path, head: Sequence[str], name: str, expected: Sequence[str]) -> int:
    if name not in head:
        raise UserError(
            f"{file}: column {name!r} not found; expected {', '.join(map(repr, expected))}, "
            f"found {', '.join(map(short, head[:20]))}; {_FORM}"
        )
    return head.index(name)


def _check_no_row_is_swallowed(file: Path, texts: Sequence[str], labels: set[str]) -> None:
    """Look for texts whose lines all end, or begin, as rows do: two quotes that nobody closed make one text of many.

    Raises:
        UserError: one line with the beginning of such a text.
    """
    for text in texts:
        lines = text.splitlines()
        if len(lines) > 2 and (
            all(_at_end(line) in labels for line in lines[:-1])
            or all(_at_start(line) in labels for line in lines[1:])
        ):
            raise UserError(
                f"{file}: found a text of {len(lines)} lines that look like rows, {short(text)}; expected quotes in pairs; "
                'write a quote within a text twice, and the text in quotes ("")'
            )


def _at_end(line: str) -> str:
    return re.split("[,;]", line)[-1].strip('"')


def _at_start(line: str) -> str:
    return re.split("[,;]", line, maxsplit=1)[0].strip('"')
