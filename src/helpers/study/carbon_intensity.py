"""Carbon intensity of electricity grids (`data/study/grids.yaml`) and what an energy emits there."""

from functools import cache
from pathlib import Path

from pydantic import Field

from helpers.core import paths
from helpers.core.validation import Strict, load_yaml, parse

GRIDS = paths.STUDY / "grids.yaml"
WH_PER_KWH = 1000.0
HOME = "germany"
"""The grid of the paper's machines."""


class GridSource(Strict):
    """Where a value stands: a file of an installed package, and the entry in it."""

    package: str
    version: str
    file: str
    """Inside the package."""
    entry: str | None = None
    """Key of the record in the file; none where the field is at its top."""
    field: str


class Grid(Strict):
    """The electricity of a country or of the world, averaged over a year."""

    title: str
    gco2e_per_kwh: float = Field(gt=0)
    """Grams of CO2 equivalents per kWh."""
    year: int | None
    """Year of the value, where the source gives it."""
    source: GridSource
    note: str | None = None


class _Grids(Strict):
    grids: dict[str, Grid] = Field(min_length=1)


def load_grids(file: Path = GRIDS) -> dict[str, Grid]:
    """Read and check the grids, in the order of the file.

    Raises:
        UserError: one line with file and key of the first fault.
    """
    file_name = paths.relative(file)
    return parse(_Grids, load_yaml(file, file_name), file_name).grids


@cache
def grids() -> dict[str, Grid]:
    """Return the grids of this repository, read once per process."""
    return load_grids()


def co2e_g(energy_wh: float, grid: Grid) -> float:
    """Return the grams of CO2 equivalents of an energy in Wh; absent (NaN) stays absent."""
    return energy_wh / WH_PER_KWH * grid.gco2e_per_kwh
