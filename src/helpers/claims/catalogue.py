"""The entries of data/study/claims.yaml: what the paper states, what we infer, and how words become numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from helpers.claims import (  # noqa: F401  (importing them fills the registry)
    abstract,
    cards,
    documents,
    fits,
    gpu_numbers,
    hardware,
    introduction,
    measured_accuracy,
    measured_energy,
    other_datasets,
    proxy,
    reasoning,
    results,
    spread,
    tokens,
    variability,
)
from helpers.claims.registry import FUNCTIONS, READINGS
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.validation import Strict, load_yaml, parse

CLAIMS = paths.STUDY / "claims.yaml"

Kind = Literal["number", "at_least", "at_most", "above", "below"]
Nature = Literal["statement", "inference"]
Topic = Literal["trade-off", "reasoning", "datasets", "hardware", "proxy", "measuring"]
Version = Literal["v1", "v2"]


@dataclass(frozen=True)
class Criterion:
    """A claim under one reading: the function that gives the number, and what is asked of the number."""

    says: str | None
    """The reading in words; None where the statement itself is a number."""
    function: str
    kind: Kind
    published: float
    unit: str
    tolerance: float
    stated: Mapping[str, float] = field(default_factory=dict)


class Reading(Strict):
    """One way to turn the words of a claim into a number; what it does not give is the claim's."""

    says: str
    by: str | None = None
    """Another registered function than the claim's own."""
    kind: Kind | None = None
    published: float | None = None
    unit: str | None = None
    tolerance: float | None = Field(default=None, ge=0)
    stated: dict[str, float] = Field(default_factory=dict)
    """Beside the claim's own."""


class Passage(Strict):
    """Another passage where the paper says the same."""

    place: str
    version: Version


class Claim(Strict):
    """A statement of the paper, or an inference of ours, as a number that can be recomputed."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    place: str
    """Where it stands, such as `section 4.1.1`; of an inference, what it is about."""
    version: Version
    """v1: the arXiv text of 2025. v2: the published version of 2026, of which we have the abstract."""
    also: list[Passage] = Field(default_factory=list)
    """Where the paper says the same again: one statement, tested and counted once."""
    topic: Topic
    """What it is about; the page of the verdicts at a glance is in this order."""
    nature: Nature = "statement"
    """statement: the paper says or prints it. inference: ours, which the paper does not say; it has no verdict."""
    says: str
    """A short paraphrase, never the paper's sentence, and without a word that adds to its meaning."""
    readings: list[Reading] = Field(default_factory=list)
    """How words became a number, wherever the paper gives none: every plausible way. The verdict is that of all."""
    counterparts: list[Reading] = Field(default_factory=list)
    """The same said of the models and datasets that a campaign measured, where it cannot test the statement itself:
    every plausible way, as under `readings`. Its verdict is about the measurement and never about the paper's sentence."""
    kind: Kind
    published: float
    unit: str
    tolerance: float = Field(default=0.0, ge=0)
    """Absolute; from the rounding of the statement."""
    stated: dict[str, float] = Field(default_factory=dict)
    """Numbers that the statement brings along and that stand in no table."""
    see: str
    """The analysis notebook behind it."""

    def criteria(self) -> tuple[Criterion, ...]:
        """Return the claim under each of its readings; without one, as its numbers say it."""
        return tuple(map(self._criterion, self.readings)) or (self._criterion(None),)

    def counterpart_criteria(self) -> tuple[Criterion, ...]:
        """Return what is asked of the models that a campaign measured; nothing where the claim has no counterpart."""
        return tuple(map(self._criterion, self.counterparts))

    def _criterion(self, reading: Reading | None) -> Criterion:
        if reading is None:
            return Criterion(
                None, self.id, self.kind, self.published, self.unit, self.tolerance, dict(self.stated)
            )
        return Criterion(
            says=reading.says,
            function=reading.by or self.id,
            kind=reading.kind or self.kind,
            published=self.published if reading.published is None else reading.published,
            unit=reading.unit or self.unit,
            tolerance=self.tolerance if reading.tolerance is None else reading.tolerance,
            stated={**self.stated, **reading.stated},
        )


class _Claims(Strict):
    claims: list[Claim]

    @model_validator(mode="after")
    def _ids_once(self) -> Self:
        ids = [item.id for item in self.claims]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"id twice: {', '.join(twice)}")
        return self


def load_claims(file: Path = CLAIMS) -> list[Claim]:
    """Read the ledger, and check that each claim has a function and each function a claim.

    Functions of other readings (`@reading`) may be without one, so that a reading can be taken out.

    Raises:
        UserError: one line with the fault.
    """
    file_name = paths.relative(file)
    claims = parse(_Claims, load_yaml(file, file_name), file_name).claims
    ids = {item.id for item in claims}
    used = ids | {
        criterion.function
        for item in claims
        for criterion in (*item.criteria(), *item.counterpart_criteria())
    }
    if missing := sorted(used - set(FUNCTIONS) - set(READINGS)):
        raise UserError(
            f"{file_name}: no function for {', '.join(missing)}; add one with @claim or @reading in helpers.claims"
        )
    if missing := sorted(set(FUNCTIONS) - ids):
        raise UserError(f"{file_name}: no entry for the registered {', '.join(missing)}")
    return claims


@cache
def project_claims() -> tuple[Claim, ...]:
    """Return the ledger of the project, read once: the catalogue does not change while a process runs."""
    return tuple(load_claims())
