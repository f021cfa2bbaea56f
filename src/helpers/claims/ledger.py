"""The claim ledger: what the paper claims, what the tables give, and the verdict, which is computed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from helpers import paths
from helpers.claims import (
    abstract,
    cards,
    documents,
    fits,
    hardware,
    introduction,
    other_datasets,
    proxy,
    reasoning,
    results,
    spread,
)
from helpers.claims.cells import Use
from helpers.claims.evidence import Evidence
from helpers.claims.registry import FUNCTIONS, Recomputed
from helpers.claims.source import PUBLISHED, Source, source_of
from helpers.claims.values import NOISE, Untestable
from helpers.errors import UserError
from helpers.results import Tables
from helpers.validation import Strict, load_yaml, parse

CLAIMS = paths.STUDY / "claims.yaml"
MODULES = (
    abstract,
    cards,
    documents,
    fits,
    hardware,
    introduction,
    other_datasets,
    proxy,
    reasoning,
    results,
    spread,
)
"""Importing them fills the registry."""

HOLDS, ROUNDED, FAILS, OPEN = "holds", "holds after rounding", "does not hold", "cannot be tested"
VERDICTS = (HOLDS, ROUNDED, FAILS, OPEN)

_CLOSE = {HOLDS: "; rounding could overturn this", ROUNDED: "; the numbers as they stand miss it"}

Kind = Literal["number", "at_least", "at_most", "above", "below"]
Topic = Literal["trade-off", "reasoning", "datasets", "hardware", "proxy", "measuring"]


class Claim(Strict):
    """A statement of the paper as a number that can be recomputed."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    place: str
    """Where it stands, such as `section 4.1.1`."""
    version: Literal["v1", "v2"]
    """v1: the arXiv text of 2025. v2: the published version of 2026, of which we have the abstract's changes."""
    topic: Topic
    """What it is about; the page of the verdicts at a glance is in this order."""
    says: str
    """A short paraphrase, never the paper's sentence."""
    reading: str | None = None
    """How words became a number, where the paper gives none."""
    kind: Kind
    published: float
    unit: str
    tolerance: float = Field(default=0.0, ge=0)
    """Absolute; from the rounding of the statement."""
    stated: dict[str, float] = Field(default_factory=dict)
    """Numbers that the statement brings along and that stand in no table."""
    see: str
    """The analysis notebook behind it."""
    nature: Literal["statement", "consistency"] = "statement"
    """consistency: not said in the text; a check of the paper's tables and figures against themselves."""
    rests_on: Literal["tables", "text"] = "tables"
    """text: the statement is tested with its own numbers alone; no table is read."""


class _Claims(Strict):
    claims: list[Claim]

    @model_validator(mode="after")
    def _ids_once(self) -> Self:
        ids = [item.id for item in self.claims]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"id twice: {', '.join(twice)}")
        return self


@dataclass(frozen=True)
class Assessment:
    """A claim with what a source says about it; the recomputed numbers are absent where it cannot be tested."""

    claim: Claim
    source: str
    recomputed: float | None
    low: float | None
    high: float | None
    verdict: str
    close: bool
    """Whether rounding, or the reading of a figure, could turn the verdict."""
    reason: str
    uses: tuple[Use, ...]


def load_claims(file: Path = CLAIMS) -> list[Claim]:
    """Read the ledger, and check that each claim has a function and each function a claim.

    Raises:
        UserError: one line with the fault.
    """
    where = paths.relative(file)
    found = parse(_Claims, load_yaml(file, where), where).claims
    ids = {item.id for item in found}
    if missing := sorted(ids - set(FUNCTIONS)):
        raise UserError(
            f"{where}: no function for {', '.join(missing)}; add one with @claim in helpers.claims"
        )
    if missing := sorted(set(FUNCTIONS) - ids):
        raise UserError(f"{where}: no entry for the registered {', '.join(missing)}")
    return found


@cache
def _claims() -> tuple[Claim, ...]:
    """Return the ledger of the project, read once: the catalogue does not change while a process runs."""
    return tuple(load_claims())


def evaluate(tables: Tables, source: str = PUBLISHED, mode: str | None = None) -> list[Assessment]:
    """Recompute every claim from the rows of one source.

    `mode` is the accounting of energy (`helpers.accounting`): by default the published total for published
    values and the measured components for a campaign. A source without rows leaves every claim untested.
    """
    rows = source_of(tables, source, mode)
    return [_assess(item, rows) for item in _claims()]


def as_json(assessments: Sequence[Assessment]) -> list[dict[str, Any]]:
    """Return the ledger for scripts; numbers are null where a claim cannot be tested."""
    return [
        {
            "id": item.claim.id,
            "place": item.claim.place,
            "version": item.claim.version,
            "topic": item.claim.topic,
            "nature": item.claim.nature,
            "rests_on": item.claim.rests_on,
            "says": item.claim.says,
            "reading": item.claim.reading,
            "kind": item.claim.kind,
            "published": item.claim.published,
            "tolerance": item.claim.tolerance,
            "unit": item.claim.unit,
            "source": item.source,
            "recomputed": item.recomputed,
            "low": item.low,
            "high": item.high,
            "verdict": item.verdict,
            "close": item.close,
            "reason": item.reason,
            "uses": [asdict(use) for use in item.uses],
            "see": item.claim.see,
        }
        for item in assessments
    ]


def verdict(claim: Claim, found: Recomputed) -> str:
    """Compare a recomputed number with its claim.

    It holds if the number itself meets the claim within the tolerance, and after rounding if only some
    other number of its interval does.
    """
    if _meets(claim, found.value):
        return HOLDS
    nearest = min(max(claim.published, found.low), found.high)
    return ROUNDED if any(_meets(claim, end) for end in (found.low, nearest, found.high)) else FAILS


def is_close(claim: Claim, found: Recomputed) -> bool:
    """Say whether some numbers of the interval meet the claim and others do not."""
    within = _meets(claim, found.low) and _meets(claim, found.high)
    return not within and verdict(claim, found) != FAILS


def _meets(claim: Claim, value: float) -> bool:
    return _MEETS[claim.kind](value, claim.published, claim.tolerance)


_MEETS: dict[str, Callable[[float, float, float], bool]] = {
    "number": lambda value, published, tolerance: abs(value - published) <= tolerance + NOISE,
    "at_least": lambda value, published, tolerance: value >= published - tolerance - NOISE,
    "at_most": lambda value, published, tolerance: value <= published + tolerance + NOISE,
    "above": lambda value, published, tolerance: value > published - tolerance + NOISE,
    "below": lambda value, published, tolerance: value < published + tolerance - NOISE,
}


def _assess(claim: Claim, source: Source) -> Assessment:
    evidence = Evidence(source, claim.stated)
    found: Recomputed | None = None
    try:
        found = _finite(FUNCTIONS[claim.id](evidence))
        outcome, close = verdict(claim, found), is_close(claim, found)
        reason = found.reason + (_CLOSE[outcome] if close else "")
    except Untestable as lacking:
        reason, outcome, close = str(lacking), OPEN, False
    notes = sorted(evidence.log.notes) if found else []
    return Assessment(
        claim=claim,
        source=source.name,
        recomputed=_rounded(found.value) if found else None,
        low=_rounded(found.low) if found else None,
        high=_rounded(found.high) if found else None,
        verdict=outcome,
        close=close,
        reason=_sentence(reason, notes),
        uses=tuple(sorted(evidence.log.uses, key=str)) if found else (),
    )


def _finite(found: Recomputed) -> Recomputed:
    if not all(map(math.isfinite, (found.value, found.low, found.high))):
        raise Untestable("these runs are too few or too alike to give a number")
    return found


def _rounded(value: float) -> float:
    return float(f"{value:.10g}")  # 0.06, not 0.05999999999999994


def _sentence(reason: str, notes: Sequence[str]) -> str:
    added = f" ({'; '.join(notes)})" if notes else ""
    return f"{reason[:1].upper()}{reason[1:]}{added}."
