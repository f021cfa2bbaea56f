"""The committed campaigns of classifiers, by name: what tests say of them does not change with campaigns that are added."""

from dataclasses import replace
from pathlib import Path

from helpers.results.tables import Tables, load_tables

CLASSIFIERS = ("reference-cpu", "reference-gpu")


def of_classifiers(live: Path) -> Tables:
    """Return the tables with the published values and the committed campaigns of classifiers; `live` is an empty folder."""
    tables = load_tables(live=live)
    return replace(tables, results=tables.results[tables.results["source"].isin(["published", *CLASSIFIERS])])
