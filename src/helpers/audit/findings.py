"""What an audit says: a line for each thing that is off, and counts of what was checked."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is off."""

    where: str
    """A file as seen from the root of the project, and what in it."""
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


@dataclass
class Report:
    """What was checked, how often, and what was found."""

    checked: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: str, count: int, findings: Iterable[Finding]) -> None:
        """Note that `count` things of a kind were checked, and what was found; a finding is told once."""
        self.checked[kind] += count
        self.findings += [item for item in dict.fromkeys(findings) if item not in self.findings]


def short(digest: str) -> str:
    """Return the beginning of a sha256, enough to find it in a list."""
    return digest[:12] or "none"
