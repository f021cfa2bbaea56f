"""The way from every figure to its inputs, from those to the runs, from the runs to their environments."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from helpers.core import paths
from helpers.figures.executed import ExecutedFigure, read_executed_figure
from helpers.records.storage import Environment, Record, read_record
from helpers.results.tables import Tables


@dataclass(frozen=True)
class Provenance:
    """Figures and tables, runs and environments, and which of them belong together."""

    shown: Mapping[str, ExecutedFigure]
    """Figures and tables by name."""
    runs: Mapping[str, Record]
    """By the record as seen from the root of the project."""

    @property
    def files(self) -> dict[str, str]:
        """sha256 of every input but the records."""
        digests = {
            file: digest
            for item in self.shown.values()
            for file, digest in item.sha256.items()
            if file not in item.records
        }
        return {name: digests[name] for name in sorted(digests)}

    @property
    def environments(self) -> list[Environment]:
        """Return what the runs were made in, each once, in the order of the runs."""
        unique: list[Environment] = []
        for record in self.runs.values():
            if record.environment not in unique:
                unique.append(record.environment)
        return unique

    def users(self, file: str) -> list[ExecutedFigure]:
        """Return the figures and tables that are computed from a file."""
        return [item for item in self.shown.values() if file in item.inputs]


def read_provenance(executed: Path, tables: Tables) -> Provenance:
    """Read the provenance of all executed analyses of a folder; one that shows nothing is left out.

    Args:
        executed: the folder.
        tables: the results tables, which say what runs there are.
    """
    shown = [read_executed_figure(file) for file in sorted(executed.glob("[!.]*.ipynb"))]
    rows = tables.results[tables.results["source"] != "published"]
    runs = {name: read_record(paths.ROOT / name) for name in map(str, rows["origin"])}
    return Provenance({item.name: item for item in sorted(shown, key=_place)}, runs)


def _place(item: ExecutedFigure) -> tuple[int, str]:
    """Put the paper's figures first, then its tables, then what this book adds."""
    kinds = ("Figure ", "Table ")
    return next((i for i, kind in enumerate(kinds) if item.label.startswith(kind)), len(kinds)), item.label
