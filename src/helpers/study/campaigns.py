"""Campaigns multiplied out: from the blocks of a grid to the values of every run (`data/study/campaigns/*.yaml`)."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from helpers.core import paths
from helpers.core.errors import UserError, nearest, short
from helpers.core.validation import Strict, parse
from helpers.study.catalogue import Campaign, Study, entry

MAX_RUNS = 10_000
"""More than a campaign can mean: a slip in a grid multiplies fast."""
_OF_CAMPAIGN = ("campaign", "output")


class About(Strict):
    """What a block says beside the parameters of its runs."""

    notebook: Literal["traditional", "llm"] | None = None
    published_in: list[str] = Field(default_factory=list)
    """Tables and figures that show the runs: names of files in `data/published`."""
    reconstruction: str | None = Field(default=None, min_length=20)
    """Why the runs belong to the campaign though nothing shows them."""

    @model_validator(mode="after")
    def _shown_or_not(self) -> Self:
        if self.published_in and self.reconstruction:
            raise ValueError("what is published is no reconstruction: give one of both")
        published = [file.stem for file in paths.PUBLISHED.glob("*.csv")]
        for name in self.published_in:
            if name not in published:
                raise ValueError(f"published_in: unknown file {short(name)} ({nearest(name, published)})")
        return self


@dataclass(frozen=True)
class GridRun:
    """The values of one run, as a campaign gives them: not yet checked."""

    values: Mapping[str, Any]
    location: str
    """File and block, for errors."""
    notebook: Literal["traditional", "llm"]
    published_in: tuple[str, ...]
    reconstruction: str | None


def filed_under(name: str, catalogue: Study) -> str:
    """Return the campaign that records of `name` are stored under: the whole that it is a part of, or itself.

    Raises:
        UserError: one line for an unknown campaign, and for a part of a part.
    """
    campaign = entry("campaign", catalogue.campaigns, name)
    if campaign.part_of is None:
        return name
    location = f"{_file(name)}: part_of: "
    whole = entry("campaign", catalogue.campaigns, campaign.part_of, location)
    if whole.part_of is not None:
        if campaign.part_of == name:
            raise UserError(
                f"{location}found the campaign's own name; expected the campaign whose runs it takes"
            )
        raise UserError(f"{location}{campaign.part_of} is a part itself; name {whole.part_of}")
    return campaign.part_of


def grid_runs(name: str, catalogue: Study) -> Iterator[GridRun]:
    """Yield the runs of a campaign in the order of its grid; those of a part are all of the whole.

    Raises:
        UserError: one line with file and block for the first fault.
    """
    whole = filed_under(name, catalogue)
    campaign = catalogue.campaigns[whole]
    left = MAX_RUNS
    for number, block in enumerate(campaign.grid or []):
        location = f"{_file(whole)}: grid.{number}"
        about, notebook = _about(campaign, block, location)
        values = {key: value for key, value in block.items() if key not in About.model_fields}
        if given := [key for key in _OF_CAMPAIGN if key in values]:
            raise UserError(
                f"{location}: {given[0]}: 'campaign' and 'output' are set by the campaign itself; remove it"
            )
        for key, choices in values.items():
            if isinstance(choices, list) and (again := _again(choices)) is not None:
                raise UserError(f"{location}: {key}: {short(again)} is in the list twice; remove one")
        options = {key: value if isinstance(value, list) else [value] for key, value in values.items()}
        count = math.prod(map(len, options.values()))
        if not count:
            empty = next(key for key, choices in options.items() if not choices)
            raise UserError(f"{location}: {empty}: a list in it is empty, so it has no run")
        left -= count
        if left < 0:
            raise UserError(
                f"{location}: the campaign has more than {MAX_RUNS} runs with this block; divide it"
            )
        for run in _product(options):
            yield GridRun(run, location, notebook, tuple(about.published_in), about.reconstruction)


def _about(
    campaign: Campaign, block: Mapping[str, Any], location: str
) -> tuple[About, Literal["traditional", "llm"]]:
    about = parse(About, {key: value for key, value in block.items() if key in About.model_fields}, location)
    notebook = about.notebook or campaign.notebook
    if notebook is None:
        raise UserError(
            f"{location}: notebook: found in neither the block nor the campaign; expected traditional or llm"
        )
    return about, notebook


def _again(choices: list[Any]) -> Any:
    """Return the first plain value that a list has twice; None where there is none."""
    seen = set()
    for choice in choices:
        if isinstance(choice, str | int | float):
            if (key := (type(choice), choice)) in seen:
                return choice
            seen.add(key)
    return None


def _product(options: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = [{}]
    for key, choices in options.items():
        runs = [{**run, key: choice} for run in runs for choice in choices]
    return runs


def _file(name: str) -> str:
    return paths.relative(paths.CAMPAIGNS / f"{name}.yaml")
