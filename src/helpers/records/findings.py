"""Findings of an audit, one line each, and counts of what was checked."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from helpers.core.errors import UserError


@dataclass(frozen=True, order=True)
class Finding:
    """A finding."""

    where: str
    """A file as seen from the root of the project, and what in it."""
    what: str
    remedy: str
    """What to do; empty where `what` says it."""

    @classmethod
    def from_error(cls, error: UserError, remedy: str = "") -> Self:
        """Make one from an error's line, which begins with the location."""
        location, _, what = str(error).partition(": ")
        return cls(location, what, remedy)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass
class Report:
    """What was checked, how often, and what was found."""

    checked: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: str, count: int, findings: Iterable[Finding]) -> None:
        """Note that `count` things of a kind were checked, and what was found; a finding is reported once."""
        self.checked[kind] += count
        self.findings += [item for item in dict.fromkeys(findings) if item not in self.findings]

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        return {
            "passed": not self.findings,
            "checked": dict(self.checked),
            "findings": [asdict(item) for item in self.findings],
        }

    def as_text(self) -> str:
        """Return a line for each finding, or what was checked."""
        if self.findings:
            return "\n".join(map(str, self.findings))
        width = max(map(len, self.checked))
        counts = "\n".join(f"  {kind:<{width}}  {count:>6}" for kind, count in self.checked.items())
        return f"no findings; checked:\n{counts}"


def short(digest: str) -> str:
    """Return the beginning of a sha256, enough to find it in a list."""
    return digest[:12] or "none"
