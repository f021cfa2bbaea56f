"""The claim ledger: what the paper states, what its tables give, and the verdict, which is computed."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from helpers.claims.basis import Basis, basis_of
from helpers.claims.catalogue import Claim, Criterion, project_claims
from helpers.claims.cells import Use
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, function
from helpers.claims.source import PUBLISHED, Source, source_of
from helpers.claims.values import Untestable
from helpers.claims.verdicts import (
    MET,
    MISSED,
    NEARLY,
    OPEN,
    UNDECIDED,
    UNKNOWN,
    UNTESTED,
    Result,
    combined,
    compare,
    decide,
    interval_text,
    is_close,
    word,
)
from helpers.results.tables import Tables, select_real

_CLOSE = {MET: "; rounding could overturn this", NEARLY: "; it agrees only after rounding"}
_INFERRED = "; this is based on an inference of ours, which refutes no statement"


@dataclass(frozen=True)
class ReadingResult:
    """A claim under one reading, with what a source says; the numbers are absent where it cannot be tested."""

    criterion: Criterion
    word: str
    """A verdict for a statement, an outcome for an inference."""
    recomputed: float | None
    low: float | None
    high: float | None
    close: bool
    """Whether rounding, or the reading of a figure, could turn it."""
    within_noise: bool
    """Whether it hangs on a difference that is smaller than its own uncertainty."""
    inferred: bool
    """Whether the number rests on an inference of ours."""
    reason: str
    uses: tuple[Use, ...]
    basis: Basis | None
    """The runs that it rests on; of a campaign."""


@dataclass(frozen=True)
class Assessment:
    """A claim with what a source says about it."""

    claim: Claim
    source: str
    readings: tuple[ReadingResult, ...]
    """One for each reading; a single one where the claim has none."""
    verdict: str | None
    """Of a statement (`helpers.claims.verdicts`: `VERDICTS` by the paper's own numbers, `MEASURED_VERDICTS` by a campaign);
    an inference has none."""
    outcome: str | None
    """Of an inference (`AGREES`, `DIFFERS`, `UNKNOWN`); a statement has none."""
    counterpart: bool = False
    """Whether what is tested is the claim's counterpart: the same said of the models that the campaign measured."""

    @property
    def word(self) -> str:
        """The verdict or the outcome."""
        return self.verdict or self.outcome or ""

    @property
    def main(self) -> ReadingResult:
        """The first reading that can be tested; its number stands for the claim in prose. None has one where it is open."""
        tested = self.word not in (OPEN, UNKNOWN)
        return next(
            (item for item in self.readings if (item.recomputed is not None) == tested), self.readings[0]
        )

    @property
    def recomputed(self) -> float | None:
        """The number of the main reading."""
        return self.main.recomputed

    @property
    def low(self) -> float | None:
        """The lower end of its interval."""
        return self.main.low

    @property
    def high(self) -> float | None:
        """The upper end of its interval."""
        return self.main.high

    @property
    def close(self) -> bool:
        """Whether rounding, or the reading of a figure, could turn a reading."""
        return any(item.close for item in self.readings)

    @property
    def within_noise(self) -> bool:
        """Whether a reading hangs on a difference that is smaller than its own uncertainty."""
        return any(item.within_noise for item in self.readings)

    @property
    def inferred(self) -> bool:
        """Whether a reading rests on an inference of ours."""
        return any(item.inferred for item in self.readings)

    @property
    def reason(self) -> str:
        """One sentence with the numbers; of several readings that can be tested, one for each with its result."""
        if len(self.readings) == 1 or self.main.recomputed is None:
            return self.main.reason
        return " ".join(
            f"({position}) {item.word}: {item.reason}" for position, item in enumerate(self.readings, 1)
        )

    @property
    def basis(self) -> Basis | None:
        """The runs that its readings rest on, of a campaign that can test it."""
        found = [item.basis for item in self.readings if item.basis is not None]
        return Basis.joined(found) if found else None

    @property
    def uses(self) -> tuple[Use, ...]:
        """Every cell that a reading has read."""
        return tuple(sorted({use for item in self.readings for use in item.uses}, key=str))


def evaluate(
    tables: Tables, source: str = PUBLISHED, mode: str | None = None, claims: Sequence[Claim] | None = None
) -> list[Assessment]:
    """Recompute every claim from the rows of one source.

    `mode` is the accounting of energy (`helpers.results.accounting`): by default the published total for published
    values and the measured components for a campaign. A source without rows leaves every claim untested.

    A campaign tests a claim with runs of the paper's models; where it cannot, the claim's counterpart is tested with all
    the models that it has, and `Assessment.counterpart` says so. Its verdicts are about what was measured
    (`helpers.claims.verdicts.MEASURED_VERDICTS`), within the uncertainty of its texts and splits.
    `claims` are the project's unless given.
    """
    return evaluate_source(source_of(tables, source, mode), claims)


def evaluate_source(source: Source, claims: Sequence[Claim] | None = None) -> list[Assessment]:
    """Recompute every claim from rows that are indexed already; `claims` are the project's unless given."""
    return [_assess(item, source) for item in (project_claims() if claims is None else claims)]


def evaluate_campaigns(tables: Tables) -> dict[str, list[Assessment]]:
    """Recompute every claim from each campaign of the tables, by its name."""
    sources = sorted(set(select_real(tables.results)["source"]) - {PUBLISHED})
    return {source: evaluate(tables, source) for source in sources}


def as_json(assessments: Sequence[Assessment]) -> list[dict[str, Any]]:
    """Return the ledger for scripts.

    A statement has a `verdict` and no `outcome`, an inference the other way round; numbers are null where a claim
    cannot be tested. `recomputed`, `low` and `high` are those of the first reading that can be tested; `readings`
    has each with its own numbers and result, and is empty where the paper's words are a number already.
    """
    return [
        {
            "id": item.claim.id,
            "place": item.claim.place,
            "version": item.claim.version,
            "also": [passage.model_dump() for passage in item.claim.also],
            "topic": item.claim.topic,
            "nature": item.claim.nature,
            "says": item.claim.says,
            "source": item.source,
            "verdict": item.verdict,
            "outcome": item.outcome,
            "counterpart": item.counterpart,
            "basis": None if item.basis is None else asdict(item.basis),
            "readings": [_reading(reading) for reading in item.readings if reading.criterion.says],
            **_numbers(item.main),
            "close": item.close,
            "within_noise": item.within_noise,
            "inferred": item.inferred,
            "reason": item.reason,
            "uses": [asdict(use) for use in item.uses],
            "see": item.claim.see,
        }
        for item in assessments
    ]


def _reading(reading: ReadingResult) -> dict[str, Any]:
    return {
        "says": reading.criterion.says,
        "result": reading.word,
        **_numbers(reading),
        "close": reading.close,
        "within_noise": reading.within_noise,
        "inferred": reading.inferred,
        "reason": reading.reason,
    }


def _numbers(reading: ReadingResult) -> dict[str, Any]:
    return {
        "kind": reading.criterion.kind,
        "published": reading.criterion.published,
        "tolerance": reading.criterion.tolerance,
        "unit": reading.criterion.unit,
        "recomputed": reading.recomputed,
        "low": reading.low,
        "high": reading.high,
    }


def _assess(claim: Claim, source: Source) -> Assessment:
    if source.is_the_paper:
        return _judge(claim, claim.criteria(), source)
    own = _judge(claim, claim.criteria(), source.of_its_models)
    if own.word not in (OPEN, UNKNOWN) or not claim.counterparts:
        return own
    return replace(_judge(claim, claim.counterpart_criteria(), source), counterpart=True)


def _judge(claim: Claim, criteria: Sequence[Criterion], source: Source) -> Assessment:
    results, readings = zip(*(_read(claim, criterion, source) for criterion in criteria), strict=True)
    result_word = word(claim.nature, combined(results), not source.is_the_paper)
    statement = claim.nature == "statement"
    return Assessment(
        claim,
        source.name,
        readings,
        verdict=result_word if statement else None,
        outcome=None if statement else result_word,
    )


def _read(claim: Claim, criterion: Criterion, source: Source) -> tuple[Result, ReadingResult]:
    evidence, measured = Evidence(source, criterion.stated), not source.is_the_paper
    deciding = measured and claim.nature == "statement"
    try:
        recomputed = _finite(function(criterion.function)(evidence))
    except Untestable as lacking:
        return UNTESTED, _untested(claim, criterion, str(lacking), measured)
    result = (decide if deciding else compare)(criterion, recomputed)
    close = not deciding and is_close(criterion, recomputed)
    if result == MISSED and recomputed.inferred and claim.nature == "statement":
        return UNTESTED, _untested(
            claim, criterion, recomputed.reason + recomputed.noise.text + _INFERRED, measured
        )
    ending = _CLOSE[result] if close else interval_text(recomputed) if result == UNDECIDED else ""
    return result, ReadingResult(
        criterion=criterion,
        word=word(claim.nature, result, measured),
        recomputed=_rounded(recomputed.value),
        low=_rounded(recomputed.low),
        high=_rounded(recomputed.high),
        close=close,
        within_noise=recomputed.noise.within,
        inferred=recomputed.inferred,
        reason=_sentence(recomputed.reason + recomputed.noise.text + ending, sorted(evidence.log.notes)),
        uses=tuple(sorted(evidence.log.uses, key=str)),
        basis=basis_of(source, evidence.log) if measured else None,
    )


def _untested(claim: Claim, criterion: Criterion, reason: str, measured: bool) -> ReadingResult:
    result_word = word(claim.nature, UNTESTED, measured)
    return ReadingResult(
        criterion, result_word, None, None, None, False, False, False, _sentence(reason, []), (), None
    )


def _finite(recomputed: Recomputed) -> Recomputed:
    if not all(map(math.isfinite, (recomputed.value, recomputed.low, recomputed.high))):
        raise Untestable("these runs are too few or too alike to give a number")
    return recomputed


def _rounded(value: float) -> float:
    return float(f"{value:.10g}")  # 0.06, not 0.05999999999999994


def _sentence(reason: str, notes: Sequence[str]) -> str:
    added = f" ({'; '.join(notes)})" if notes else ""
    return f"{reason[:1].upper()}{reason[1:]}{added}."
