"""What the tables hold: type, unit, limits and keys of every column (`data/study/tables.yaml`)."""

from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from helpers.core import paths
from helpers.core.errors import UserError, nearest
from helpers.core.validation import Strict, load_yaml, parse


class Column(Strict):
    """A column of a table."""

    type: Literal["string", "integer", "number", "boolean"]
    description: str
    unit: str | None = None
    """Of the values; `1` for shares and ratios, null where the values are no quantity or the description says it."""
    optional: bool = False
    """Whether a row may lack it."""
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    values: list[str] | None = None
    """All that a text may be."""


class Table(Strict):
    """A CSV file."""

    title: str
    key: list[str] = Field(min_length=1)
    """Columns that together identify a row."""
    references: dict[str, str] = Field(default_factory=dict)
    """By column: the table that has its values in the column of the same name."""
    columns: dict[str, Column] = Field(default_factory=dict)
    """What this table alone has, or means otherwise."""


class Package(Strict):
    """Tables that belong together in one folder."""

    title: str
    description: str
    folder: str
    columns: dict[str, Column]
    tables: dict[str, Table]

    def columns_of(self, table: str, names: list[str]) -> dict[str, Column]:
        """Return what the columns `names` of a table mean.

        Raises:
            UserError: one line where a table or a column is not described.
        """
        file = paths.relative(FILE)
        if table not in self.tables:
            raise UserError(f"{file}: table {table!r} is not described ({nearest(table, self.tables)})")
        described = self.columns | self.tables[table].columns
        if missing := [name for name in names if name not in described]:
            raise UserError(
                f"{file}: column {missing[0]!r} of {table} is not described ({nearest(missing[0], described)})"
            )
        return {name: described[name] for name in names}


class Packages(Strict):
    """Both packages: what the paper gives, and what the book draws from."""

    published: Package
    results: Package


FILE = paths.STUDY / "tables.yaml"


@cache
def packages() -> Packages:
    """Return what `data/study/tables.yaml` says, read once per process.

    Raises:
        UserError: one line with file, key and fault.
    """
    file = paths.relative(FILE)
    return parse(Packages, load_yaml(FILE, file), file)


def columns(file: Path) -> list[str]:
    """Return the column names of a CSV file."""
    return [str(name) for name in pd.read_csv(file, nrows=0).columns]
