"""Frictionless data packages: a JSON file beside tables that says what their columns are."""

from pathlib import Path
from typing import Any

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.publish.citation import citation
from helpers.publish.licences import TEXT_AND_DATA
from helpers.publish.table_columns import Column, Package, Table, columns, packages
from helpers.records.environment import sha256_of

NAME = "datapackage.json"


def published_package() -> dict[str, Any]:
    """Return the description of the published values as they are committed.

    Raises:
        UserError: one line where a table or a column is not described, or a described table is missing.
    """
    return package("published", packages().published, paths.PUBLISHED)


def results_package(folder: Path) -> dict[str, Any]:
    """Return the description of the results tables in `folder`; errors as `published_package`."""
    return package("results", packages().results, folder)


def package(name: str, described: Package, folder: Path) -> dict[str, Any]:
    """Return the description of the CSV files in `folder`; errors as `published_package`."""
    files = {file.stem: file for file in sorted(folder.glob("*.csv"))}
    if missing := sorted(described.tables.keys() - files.keys()):
        raise UserError(
            f"{paths.relative(folder)}: {missing[0]}.csv is described in tables.yaml, but missing"
        )
    cited = citation()
    return {
        "profile": "tabular-data-package",
        "name": f"{cited.slug}-{name}",
        "title": described.title,
        "description": described.description,
        "version": cited.version,
        "licenses": [TEXT_AND_DATA.as_datapackage()],
        "contributors": [{"title": author.full_name, "role": "author"} for author in cited.authors],
        "sources": [{"title": cited.article.title, "path": cited.article.url}],
        "resources": [_resource(stem, file, described) for stem, file in files.items()],
    }


def _resource(name: str, file: Path, described: Package) -> dict[str, Any]:
    described_columns = described.columns_of(name, columns(file))
    table = described.tables[name]
    return {
        "profile": "tabular-data-resource",
        "name": name,
        "path": file.name,
        "title": table.title,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": file.stat().st_size,
        "hash": f"sha256:{sha256_of(file)}",
        "schema": {
            "fields": [_field(column, meaning) for column, meaning in described_columns.items()],
            "missingValues": [""],
            **_keys(table),
        },
    }


def _field(name: str, column: Column) -> dict[str, Any]:
    limits = {
        "required": None if column.optional else True,
        "minimum": column.minimum,
        "maximum": column.maximum,
        "pattern": column.pattern,
        "enum": column.values,
    }
    constraints = {key: _whole(value) for key, value in limits.items() if value is not None}
    field = {"name": name, "type": column.type, "description": column.description}
    if column.unit is not None:
        field["unit"] = column.unit
    return {**field, **({"constraints": constraints} if constraints else {})}


def _keys(table: Table) -> dict[str, Any]:
    foreign = [
        {"fields": [column], "reference": {"resource": other, "fields": [column]}}
        for column, other in table.references.items()
    ]
    return {"primaryKey": table.key, **({"foreignKeys": foreign} if foreign else {})}


def _whole(value: Any) -> Any:
    """Write 1.0 as 1: the limits of an integer are integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
