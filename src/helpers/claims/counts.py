"""How many statements have which verdict: the one place where they are counted, for every page and number."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from helpers.claims.ledger import Assessment
from helpers.claims.verdicts import DEPENDS, FAILS, HOLDS, OPEN, ROUNDED
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
        """Those that hold, after rounding or as they stand."""
        return self.by_verdict[HOLDS] + self.by_verdict[ROUNDED]

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
        """Those that hold under no reading."""
        return self.by_verdict[FAILS]

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

    One holds or does not where every campaign that can test it says so; where they disagree it depends.
    """
    return Counts(Counter(_new_verdicts(campaigns).values()))


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
    if tested <= {HOLDS, ROUNDED}:
        return ROUNDED if ROUNDED in tested else HOLDS
    return FAILS if tested == {FAILS} else DEPENDS
