"""How many statements have which verdict: the one place where they are counted, for every page and number."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from helpers.claims.ledger import Assessment
from helpers.claims.verdicts import (
    DEPENDS,
    FAILS,
    FAILS_HERE,
    HOLDS,
    HOLDS_HERE,
    OPEN,
    ROUNDED,
    UNDECIDED_HERE,
)
from helpers.results.tables import Tables
from helpers.study.catalogue import paper_datasets, paper_models, study


@dataclass(frozen=True)
class Counts:
    """Statements of the paper by verdict; inferences of ours are not among them."""

    by_verdict: Mapping[str, int]

    @property
    def statements(self) -> int:
        """All of them."""
        return sum(self.by_verdict.values())

    @property
    def holding(self) -> int:
        """Those that hold, after rounding or as they stand; of campaigns, those that hold here."""
        return self.by_verdict[HOLDS] + self.by_verdict[ROUNDED] + self.by_verdict[HOLDS_HERE]

    @property
    def rounded(self) -> int:
        """Those that hold after rounding only."""
        return self.by_verdict[ROUNDED]

    @property
    def depending(self) -> int:
        """Those that hold under one reading and not under another."""
        return self.by_verdict[DEPENDS]

    @property
    def failing(self) -> int:
        """Those that hold under no reading; of campaigns, those that do not hold here."""
        return self.by_verdict[FAILS] + self.by_verdict[FAILS_HERE]

    @property
    def undecided(self) -> int:
        """Those whose test by campaigns leaves them undecided."""
        return self.by_verdict[UNDECIDED_HERE]

    @property
    def untested(self) -> int:
        """Those that cannot be tested."""
        return self.by_verdict[OPEN]

    @property
    def tested(self) -> int:
        """Those that can be tested."""
        return self.statements - self.untested


def statements(ledger: Iterable[Assessment]) -> list[Assessment]:
    """Return what the paper states."""
    return [item for item in ledger if item.claim.nature == "statement"]


def inferences(ledger: Iterable[Assessment]) -> list[Assessment]:
    """Return what we infer."""
    return [item for item in ledger if item.claim.nature == "inference"]


def count(ledger: Iterable[Assessment]) -> Counts:
    """Count the statements by verdict."""
    return Counts(Counter(item.verdict or OPEN for item in statements(ledger)))


def count_new(campaigns: Mapping[str, Sequence[Assessment]]) -> Counts:
    """Count the statements by what all campaigns together say.

    One holds here or does not where every campaign that can decide it says so; where they disagree it depends.
    """
    return Counts(Counter(_new_verdicts(campaigns).values()))


def count_tested(campaigns: Mapping[str, Sequence[Assessment]]) -> dict[str, int]:
    """Count the statements that each campaign tests, by its name; the one that tests most comes first."""
    tested = {name: count(ledger).tested for name, ledger in campaigns.items()}
    return dict(sorted(tested.items(), key=lambda item: (-item[1], item[0])))


def by_campaign(campaigns: Mapping[str, Sequence[Assessment]]) -> str:
    """Return how many statements each campaign tests, in words: `reference-gpu 7, reference-cpu 4`."""
    return ", ".join(f"{name} {tested}" for name, tested in count_tested(campaigns).items()) or "none"


def count_counterparts(campaigns: Mapping[str, Sequence[Assessment]]) -> int:
    """Count the statements that campaigns test by their counterparts alone, with models that are not the paper's."""
    tested = [item for ledger in campaigns.values() for item in statements(ledger) if item.verdict != OPEN]
    own = {item.claim.id for item in tested if not item.counterpart}
    return len({item.claim.id for item in tested} - own)


def count_opened(ledger: Iterable[Assessment], campaigns: Mapping[str, Sequence[Assessment]]) -> int:
    """Count the statements that campaigns can test and that the ledger, of the paper's own numbers, leaves open."""
    new = _new_verdicts(campaigns)
    return sum(
        new.get(item.claim.id, OPEN) != OPEN for item in statements(ledger) if item.verdict in (None, OPEN)
    )


def count_rerun_llms(tables: Tables) -> int:
    """Count the language models of the paper that a campaign has run on one of the paper's datasets."""
    rows = tables.results[tables.results["source"] != "published"]
    llms = [name for name in paper_models() if study().models[name].family != "Traditional"]
    own = rows["model"].isin(llms) & rows["dataset"].isin(paper_datasets()) & ~rows["weights"].eq("dummy")
    return int(rows.loc[own, "model"].nunique())


def _new_verdicts(campaigns: Mapping[str, Sequence[Assessment]]) -> dict[str, str]:
    """Return what all campaigns together say of each statement, by its id."""
    verdicts: dict[str, set[str]] = {}
    for ledger in campaigns.values():
        for item in statements(ledger):
            verdicts.setdefault(item.claim.id, set()).add(item.verdict or OPEN)
    return {name: _together(tested - {OPEN}) for name, tested in verdicts.items()}


def _together(tested: set[str]) -> str:
    if not tested:
        return OPEN
    decided = tested - {UNDECIDED_HERE}
    return next(iter(decided or tested)) if len(decided) < 2 else DEPENDS
