"""Which claims of the ledger change their verdict when the energies are counted by another rule."""

from dataclasses import replace

import pandas as pd

from helpers.claims import ledger
from helpers.claims.ledger import Assessment
from helpers.claims.verdicts import OPEN, UNKNOWN
from helpers.figures.display import html_table
from helpers.figures.html import page_link
from helpers.figures.plots import tables as parts
from helpers.results.tables import Tables
from helpers.statistics import power

RULES = ("codecarbon_3_job", "codecarbon_3_node", "gpu_inferred")
"""Rules that give every single-node run with a GPU a value."""


def claims(tables: Tables, runs: pd.DataFrame) -> str:
    """Return the table of changed verdicts; `runs` comes from `helpers.statistics.power.under_rules`.

    Both sides are evaluated on the same runs: those that have a value under every rule. All other energies
    are absent, and claims that need them are not compared.
    """
    comparable = runs[runs[list(RULES)].notna().all(axis="columns")]
    before = _evaluated(tables, comparable, "total")
    rows = []
    tested = 0
    for rule in RULES:
        after = _evaluated(tables, comparable, rule)
        tested = sum(uses_energy(item) for item in after)
        rows += [
            {
                "Rule": power.RULES[rule],
                "Claim": page_link("claims", first.claim.id),
                "By the paper's rule": _told(first),
                "By this rule": _told(second),
                "Reason": second.reason,
            }
            for first, second in zip(before, after, strict=True)
            if {first.word, second.word}.isdisjoint({OPEN, UNKNOWN}) and first.word != second.word
        ]
    caption = (
        f"Claims that change their verdict, of {tested} that need only energies of FKTG on one Capella node. Lines drawn in "
        "the paper are compared with the other rule's fit"
    )
    if not rows:
        return parts.paragraph(
            f"No claim changes its verdict under another rule, of {tested} that can be compared."
        )
    return html_table(pd.DataFrame(rows, dtype=object), caption)  # text would lose its links


def _told(item: Assessment) -> str:
    """Return the verdict, or the outcome of an inference, with the numbers of the readings behind it."""
    found = [f"{reading.recomputed:.3g}" for reading in item.readings if reading.recomputed is not None]
    return f"{item.word} ({', '.join(found)})"


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
