"""Compare what was computed twice: plots, tables and texts; numbers may differ by rounding."""

import csv
import io
import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from helpers.figures.executed import ExecutedFigure

RELATIVE_TOLERANCE = 1e-9
_TEXTS = ("label", "kind", "finding", "note", "function", "inputs", "rebuild", "body")
_TOO_SHORT = 30
"""Characters below which a match says nothing of where the rest should be."""
_PANEL_TEXTS = ("title", "note", "alt", "wide", "height")


def differences(book: ExecutedFigure, again: ExecutedFigure) -> Iterator[str]:
    """Say in what an artefact of the book differs from the same executed again; commit, date and hashes do not count."""
    for name in _TEXTS:
        if getattr(book, name) != getattr(again, name):
            yield f"{name}: {_beside(getattr(book, name), getattr(again, name))}"
    if (difference := csv_difference(book.data_csv, again.data_csv)) is not None:
        yield f"data: {difference}"
    panels = {panel.name: panel for panel in again.panels}
    if [panel.name for panel in book.panels] != list(panels):
        yield f"plots: {_beside([panel.name for panel in book.panels], list(panels))}"
        return
    for panel in book.panels:
        other = panels[panel.name]
        for name in _PANEL_TEXTS:
            if getattr(panel, name) != getattr(other, name):
                yield f"plot {panel.name}: {name}: {_beside(getattr(panel, name), getattr(other, name))}"
        if (difference := json_difference(panel.figure, other.figure)) is not None:
            yield f"plot {panel.name}: {difference}"


def json_difference(actual: Any, expected: Any, path: str = "") -> str | None:
    """Say where two JSON documents differ first; None where they do not."""
    if isinstance(actual, dict) and isinstance(expected, dict):
        if actual.keys() != expected.keys():
            names = sorted(actual.keys() ^ expected.keys())
            return f"{path or 'document'}: only one of both has {', '.join(names)}"
        pairs = [(f"{path}.{key}" if path else key, actual[key], expected[key]) for key in actual]
    elif isinstance(actual, list) and isinstance(expected, list):
        if len(actual) != len(expected):
            return f"{path}: {len(actual)} values, expected {len(expected)}"
        pairs = [(f"{path}[{index}]", *both) for index, both in enumerate(zip(actual, expected, strict=True))]
    else:
        return None if _equal(actual, expected) else f"{path or 'document'}: {_beside(actual, expected)}"
    differing = (json_difference(one, other, name) for name, one, other in pairs)
    return next((difference for difference in differing if difference is not None), None)


def csv_difference(actual: str, expected: str) -> str | None:
    """Say where two CSV texts differ first; None where they do not."""
    rows, others = (list(csv.reader(io.StringIO(text))) for text in (actual, expected))
    if rows[:1] != others[:1]:
        return f"columns: {_beside(rows[:1], others[:1])}"
    if len(rows) != len(others):
        return f"{len(rows) - 1} rows, expected {len(others) - 1}"
    for number, (row, other) in enumerate(zip(rows[1:], others[1:], strict=True), start=1):
        if len(row) != len(other):
            return f"row {number}: {len(row)} cells, expected {len(other)}"
        for column, cell, expected_cell in zip(rows[0], row, other, strict=False):
            if not _equal(_value(cell), _value(expected_cell)):
                return f"row {number}, {column}: {_beside(cell, expected_cell)}"
    return None


def text_difference(text: str, part: str) -> str | None:
    """Say where a text ceases to hold what it should; None where it holds it whole."""
    if part in text:
        return None
    end = bisect_left(range(len(part)), True, key=lambda index: part[: index + 1] not in text)
    if end < _TOO_SHORT:  # the beginning stands anywhere
        return f"expected {part[:60]!r}"
    first = text.find(part[:end])
    return _beside(text[first + end - 20 : first + end + 60], part[end - 20 : end + 60])


def _equal(actual: Any, expected: Any) -> bool:
    if isinstance(actual, bool) or isinstance(expected, bool):
        return actual is expected
    if isinstance(actual, int | float) and isinstance(expected, int | float):
        if math.isnan(actual) or math.isnan(expected):
            return math.isnan(actual) and math.isnan(expected)
        return math.isclose(actual, expected, rel_tol=RELATIVE_TOLERANCE)
    return type(actual) is type(expected) and bool(actual == expected)


def _value(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _beside(actual: Any, expected: Any) -> str:
    """Return both values, from where they differ, each short enough for a line."""
    first, second = str(actual), str(expected)
    begin = next((i for i, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), 0)
    begin = max(0, begin - 10) if max(len(first), len(second)) > 60 else 0
    first, second = (
        " ".join(text[begin : begin + 60].split()) + ("..." if len(text) > begin + 60 else "")
        for text in (first, second)
    )
    return f"found {first!r}, expected {second!r}"
