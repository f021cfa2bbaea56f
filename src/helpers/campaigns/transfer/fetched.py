"""What came of fetching: for each item whether it is there, and in one line for people."""

from dataclasses import asdict, dataclass
from typing import Any

from helpers.core import units
from helpers.models.hub_files import Kind


@dataclass(frozen=True)
class Fetched:
    """The outcome of one repository, or of one model that comes in packages."""

    kind: Kind
    name: str
    revision: str | None
    """On the hub; None: it comes in packages of the Python index, by its hash."""
    runs: int | None
    """That need it; None where it was asked for by its name."""
    files: int | None
    """That are there and have their hash; None where something is missing."""
    size_bytes: int | None
    """Of these files."""
    fetched_bytes: int
    """Of them, what was downloaded by this invocation."""
    missing: str | None
    """Why it is not there, and what to do."""

    @property
    def line(self) -> str:
        """The outcome in one line."""
        title = f"{self.kind} {self.name}{f'@{self.revision[:8]}' if self.revision else ''}"
        if self.files is None or self.size_bytes is None:
            return f"missing: {title}: {self.missing}"
        return f"{title}: {units.size(self.size_bytes)}, {units.counted(self.files, 'file')} verified"


@dataclass(frozen=True)
class CampaignFetched:
    """The outcome of a campaign's data and checkpoints."""

    campaign: str
    filed_under: str
    folder: str
    """The hub's cache."""
    items: tuple[Fetched, ...]
    not_public: tuple[str, ...]
    """Why data that the hub does not have is not there, and what to do."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.not_public and all(item.missing is None for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts; what is missing is null."""
        return {**asdict(self), "complete": self.complete}


@dataclass(frozen=True)
class ModelsFetched:
    """The outcome of models that were asked for by their names."""

    folder: str
    """The hub's cache."""
    items: tuple[Fetched, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return all(item.missing is None for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts; what is missing is null."""
        return {**asdict(self), "complete": self.complete}
