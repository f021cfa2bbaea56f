"""Which claims of the ledger would come out otherwise if the energies were counted by another rule than the paper's."""

from dataclasses import replace

import pandas as pd

from helpers.claims import ledger
from helpers.claims.ledger import Assessment
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


def claims(tables: Tables, runs: pd.DataFrame) -> str:
    """Return the table of claims that another rule would change; `runs` comes from `helpers.statistics.power.under_rules`.

    Both sides are evaluated on the same runs: those that have a value under every rule. All other energies
    are absent, and claims that need them are not compared. Nor are those about coefficients that the paper draws or
    prints: they are its rule's, and no other rule could meet them.
    """
    comparable = runs[runs[list(RULES)].notna().all(axis="columns")]
    before = _evaluated(tables, comparable, "total")
    rows = []
    tested = 0
    for rule in RULES:
        after = _evaluated(tables, comparable, rule)
        tested = sum(uses_energy(item) and not has_coefficients(item) for item in after)
        rows += [
            {
                "Rule": power.RULES[rule],
                "Claim": page_link("claims", first.claim.id),
                "By the paper's rule": f"{first.word} ({_numbers(first)})",
                "Would be, by this rule": f"{_WOULD[second.word]} ({_numbers(second)})",
                "Numbers by this rule": _reason(second),
            }
            for first, second in zip(before, after, strict=True)
            if {first.word, second.word}.isdisjoint({OPEN, UNKNOWN})
            and first.word != second.word
            and not has_coefficients(first)
        ]
    caption = (
        f"Claims that another rule would change, of {tested} that need only energies of FKTG on one Capella node. The paper "
        "never used these rules, so nothing is said of its statements; those about its own coefficients are left out"
    )
    if not rows:
        return parts.paragraph(
            f"No claim would come out otherwise by another rule, of {tested} that can be compared."
        )
    return html_table(pd.DataFrame(rows, dtype=object), caption)  # text would lose its links


def _numbers(item: Assessment) -> str:
    """Return the numbers of the readings that can be tested."""
    return ", ".join(
        f"{reading.recomputed:.3g}" for reading in item.readings if reading.recomputed is not None
    )


def _reason(item: Assessment) -> str:
    """Return the reason of each reading, without its verdict."""
    if len(item.readings) == 1:
        return item.readings[0].reason
    return " ".join(f"({place}) {reading.reason}" for place, reading in enumerate(item.readings, 1))


def has_coefficients(item: Assessment) -> bool:
    """Say whether a claim compares with coefficients that the paper draws or prints, in a table or in its Eq. 2."""
    stated = any({"a", "c"} <= set(reading.criterion.stated) for reading in item.readings)
    return stated or any(use.origin in _COEFFICIENTS for use in item.uses)


def uses_energy(item: Assessment) -> bool:
    """Say whether a claim was recomputed from an energy."""
    return any(use.quantity == "energy_wh" for use in item.uses)


def _evaluated(tables: Tables, runs: pd.DataFrame, rule: str) -> list[Assessment]:
    """Evaluate the ledger with the energies of a rule; published runs that are not in `runs` have none."""
    key = ["source", "dataset", "machine", "model", "gpus", "nodes"]
    counted = runs.assign(nodes=1)[[*key, rule]].astype({"nodes": "Int64"})
    results = tables.results.merge(counted, on=key, how="left", suffixes=("", "_rule"))
    published = results["source"] == "published"
    results = results.assign(
        energy_wh=results["energy_wh"].where(~published, results[rule]),
        energy_wh_below=results["energy_wh_below"].where(~published),
    )
    return ledger.evaluate(replace(tables, results=results.drop(columns=rule)))
