"""Which claims of the ledger would come out otherwise if the energies were counted by another rule than the paper's."""

import math
from dataclasses import replace

import pandas as pd

from helpers.claims import ledger
from helpers.claims.ledger import Assessment
from helpers.claims.source import PUBLISHED, Source, run_key, source_of
from helpers.claims.verdicts import AGREES, DEPENDS, DIFFERS, FAILS, HOLDS, OPEN, ROUNDED, UNKNOWN
from helpers.figures.display import html_table
from helpers.figures.html import page_link
from helpers.figures.plots import tables as parts
from helpers.results.tables import Tables
from helpers.statistics import power

RULES = ("codecarbon_3_job", "codecarbon_3_node", "gpu_inferred")
"""Rules that give every single-node run with a GPU a value."""
_COEFFICIENTS = {"figure_6_lines", "table_3_regression_fktg", "table_b6_regression"}
"""Printed and drawn coefficients; they belong to the paper's own rule."""
_WOULD = {
    HOLDS: "would agree",
    ROUNDED: "would agree after rounding",
    DEPENDS: "would depend on the reading",
    FAILS: "would not agree",
    AGREES: "would agree",
    DIFFERS: "would not agree",
}
"""No verdicts: the paper never counted by these rules."""
_COLUMNS = ("rule", "claim", "by_the_paper", "by_the_rule", "reason", "changes")


def compare(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """Evaluate the ledger by each of `RULES`; `runs` comes from `helpers.statistics.power.under_rules`.

    Both sides are evaluated on the same runs: those that have a value under every rule. All other energies
    are absent, and claims that need them are not compared. Nor are those about coefficients that the paper draws or
    prints: they are its rule's, and no other rule could meet them.

    Columns: `rule`, `claim`, `by_the_paper` and `by_the_rule` (word and numbers of each reading), `reason` (by the rule),
    and `changes`, whether the words differ. One row per rule and claim.
    """
    source = source_of(tables, PUBLISHED)
    comparable = runs[runs[list(RULES)].notna().all(axis="columns")]
    before = evaluate_by_rule(source, comparable, "total")
    compared = [
        _compared(rule, first, second)
        for rule in RULES
        for first, second in zip(before, evaluate_by_rule(source, comparable, rule), strict=True)
        if uses_energy(second) and not has_coefficients(second)
    ]
    return pd.DataFrame(compared, columns=list(_COLUMNS))


def evaluate_by_rule(source: Source, runs: pd.DataFrame, rule: str) -> list[Assessment]:
    """Evaluate the ledger with the energies of a rule; published runs that are not in `runs` have none.

    Only what counts as energy is replaced: a reading that counts the GPUs alone does so by every rule.
    """
    keys = runs.assign(nodes=1)[["model", "dataset", "machine", "gpus", "nodes"]]  # as `run_key` has them
    energy_wh = dict(zip(keys.itertuples(index=False, name=None), runs[rule], strict=True))
    rows = [
        {**row, "energy": energy_wh.get(run_key(row), math.nan), "energy_wh_below": None}
        for row in source.rows
    ]
    return ledger.evaluate_source(replace(source, rows=rows))


def table(compared: pd.DataFrame) -> str:
    """Return the claims that another rule would change, of those that `compare` returns, as HTML."""
    tested = compared["claim"].nunique()
    changed = compared[compared["changes"]]
    if changed.empty:
        return parts.paragraph(
            f"Another rule would change the verdict on none of the {tested} claims that can be compared."
        )
    shown = pd.DataFrame(
        {
            "Rule": changed["rule"].map(power.RULES),
            "Claim": pd.Series(
                [page_link("claims", name) for name in changed["claim"]], changed.index, object
            ),
            "With the paper's rule": changed["by_the_paper"],
            "With this rule": changed["by_the_rule"],
            "Numbers with this rule": changed["reason"],
        }
    )
    caption = (
        f"Claims whose verdict another rule would change, of {tested} that need only energies of FKTG on one Capella node. The "
        "paper did not use these rules, so this does not judge its statements; those about its own coefficients are left out"
    )
    return html_table(shown, caption)


def _compared(rule: str, before: Assessment, after: Assessment) -> dict[str, object]:
    tested = {before.word, after.word}.isdisjoint({OPEN, UNKNOWN})
    return {
        "rule": rule,
        "claim": after.claim.id,
        "by_the_paper": f"{before.word} ({_numbers(before)})",
        "by_the_rule": f"{_WOULD.get(after.word, after.word)} ({_numbers(after)})",
        "reason": _reason(after),
        "changes": tested and before.word != after.word,
    }


def _numbers(item: Assessment) -> str:
    """Return the numbers of the readings that can be tested."""
    return ", ".join(
        f"{reading.recomputed:.3g}" for reading in item.readings if reading.recomputed is not None
    )


def _reason(item: Assessment) -> str:
    """Return the reason of each reading, without its verdict."""
    if len(item.readings) == 1:
        return item.readings[0].reason
    return " ".join(f"({number}) {reading.reason}" for number, reading in enumerate(item.readings, 1))


def has_coefficients(item: Assessment) -> bool:
    """Say whether a claim compares with coefficients that the paper draws or prints, in a table or in its Eq. 2."""
    stated = any({"a", "c"} <= set(reading.criterion.stated) for reading in item.readings)
    return stated or any(use.origin in _COEFFICIENTS for use in item.uses)


def uses_energy(item: Assessment) -> bool:
    """Say whether a claim was recomputed from energies of runs, and of nothing else: a printed table keeps its own."""
    energies = [use for use in item.uses if use.quantity == "energy_wh"]
    return bool(energies) and all(use.dataset is not None for use in energies)
