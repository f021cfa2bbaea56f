"""The state of this checkout: what is measured, what is out of date, and what the next command would do."""

from collections.abc import Sequence
from dataclasses import dataclass

from helpers.book import build, manifest
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.measure.parameters import campaign_runs
from helpers.records.storage import Record, read_records
from helpers.study.catalogue import study, unknown_entry


@dataclass(frozen=True)
class CampaignStatus:
    """How many runs a campaign has, and how many records there are of it."""

    campaign: str
    of: int | None
    """Runs of the campaign; None for one that the catalogue does not have."""
    committed: int
    here: int
    """Records in `runs` that are not committed."""


@dataclass(frozen=True)
class Status:
    """The state of a checkout."""

    campaigns: tuple[CampaignStatus, ...]
    refused: tuple[str, ...]
    """A line for each record that no table takes."""
    book_made: str | None
    """When the book was built, UTC; None where it is not, or cannot be read."""
    changed: tuple[str, ...]
    """Files that are not as they were when the book was built."""


def status() -> Status:
    """Look at the records and the book; starts nothing, asks nothing over the network."""
    committed, refused = read_records(paths.MEASUREMENTS)
    here, refused_here = read_records(paths.RUNS)
    known = {(record.run.campaign, record.run.run_id, record.created) for record in committed.values()}
    own = [
        record
        for record in here.values()
        if (record.run.campaign, record.run.run_id, record.created) not in known
    ]
    lacking = [
        f"{paths.relative(file)}: {lack}"
        for file, record in {**committed, **here}.items()
        if (lack := unknown_entry(record.run.model, record.run.dataset))
    ]
    made, changed = _book()
    return Status(
        _campaigns(list(committed.values()), own), (*refused, *refused_here, *lacking), made, tuple(changed)
    )


def lines(state: Status) -> list[str]:
    """Return the state in words, a line each: what is measured, what is refused, what to do next."""
    measured = [item for item in state.campaigns if item.committed or item.here]
    width = max((len(item.campaign) for item in state.campaigns), default=0)
    said = ["measured:" if measured else "measured: nothing"]
    said += [f"  {item.campaign:<{width}}  {_records(item)}" for item in measured]
    if others := [item.campaign for item in state.campaigns if item not in measured]:
        said.append(f"not measured: {', '.join(others)}; python -m helpers plan NAME")
    said += [f"refused: {line}" for line in state.refused]
    if state.book_made is None:
        said.append("book: not built; make book measures the demo first, make read does not")
    elif state.changed:
        more = f" and {len(state.changed) - 1} more" if len(state.changed) > 1 else ""
        said.append(
            f"book: of {state.book_made}, out of date: {state.changed[0]}{more} changed; python -m helpers book --no-measure"
        )
    else:
        said.append(f"book: of {state.book_made}, up to date; python -m helpers audit verifies it")
    return said


def _records(item: CampaignStatus) -> str:
    parts = [f"{item.committed} committed"] if item.committed else []
    parts += [f"{item.here} here"] if item.here else []
    of = "" if item.of is None else f" of {item.of} runs"
    missing = 0 if item.of is None else item.of - max(item.committed, item.here)
    rest = f"; python -m helpers run {item.campaign} measures {missing} more" if missing > 0 else ""
    return f"{', '.join(parts)}{of}{rest}"


def _campaigns(committed: Sequence[Record], here: Sequence[Record]) -> tuple[CampaignStatus, ...]:
    own = {name: len(campaign_runs(name)) for name, item in study().campaigns.items() if item.part_of is None}
    stored = sorted({record.run.campaign for record in (*committed, *here)} - set(own))
    return tuple(
        CampaignStatus(
            name,
            own.get(name),
            sum(record.run.campaign == name for record in committed),
            sum(record.run.campaign == name for record in here),
        )
        for name in (*own, *stored)
    )


def _book() -> tuple[str | None, list[str]]:
    """Return when the book was built, and the files that have changed since."""
    try:
        built = manifest.read(build.HTML)
    except UserError:
        return None, []
    now = manifest.sources()
    names = sorted({*now, *built.sources})
    return built.made, [name for name in names if now.get(name) != built.sources.get(name)]
