"""The claim ledger as a page: every statement of the paper, recomputed, with its verdict."""

import html
import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from helpers import units
from helpers.claims.ledger import CLAIMS, FAILS, HOLDS, OPEN, ROUNDED, Assessment, as_json, evaluate
from helpers.claims.source import PUBLISHED
from helpers.links import Markup, page_link
from helpers.paths import relative
from helpers.results import Tables
from helpers.show import Artefact, html_table

_ORDER = (FAILS, ROUNDED, OPEN, HOLDS)
SIGNS = {FAILS: "✗", ROUNDED: "≈", OPEN: "?", HOLDS: "✓"}
_KINDS = {"number": "", "at_least": "≥ ", "at_most": "≤ ", "above": "> ", "below": "< "}


def claims(tables: Tables) -> Artefact:
    """Show the ledger for the published values, and for each campaign what can be tested with it."""
    ledger = evaluate(tables)
    campaigns = {source: evaluate(tables, source) for source in _campaigns(tables)}
    everything = [*ledger, *(item for found in campaigns.values() for item in found)]
    origins = {use.origin for item in everything for use in item.uses}
    return Artefact(
        name="claims",
        label="Claim ledger",
        finding=_finding(ledger),
        note=(
            "Each row is a statement of the paper as a number, recomputed from its own tables and figures. It holds if "
            "the recomputed number meets the claim within the rounding of the statement, and after rounding if only "
            "another number does that the rounding of the table, or the reading of the figure, allows; where a claim that holds "
            "would not with such a number, the last column says that rounding could overturn it. Where words had "
            "to become a number, the reading says how; another reading can give another verdict. Versions: v1 is "
            "the arXiv text, v2 the abstract of the published article."
        ),
        data=_data(everything),
        function="helpers.artefacts.claims.claims",
        body=_ledger(ledger) + "".join(_campaign(source, found) for source, found in campaigns.items()),
        inputs=[relative(CLAIMS), *sorted(origins)],
    )


def _campaigns(tables: Tables) -> list[str]:
    return sorted(set(tables.results["source"]) - {PUBLISHED})


def _finding(ledger: Sequence[Assessment]) -> str:
    statements, checks = _apart(ledger)
    count, agree = (Counter(item.verdict for item in part) for part in (statements, checks))
    tested = len(statements) - count[OPEN]
    lead = (
        f"Of {tested} statements of the paper that its own numbers can test, {count[HOLDS]} hold, {count[ROUNDED]} "
        f"only after rounding, and {count[FAILS]} do not as they are worded"
    )
    return (
        f"{lead}; {count[OPEN]} more cannot be tested with what is published. Of {len(checks)} checks of its tables and "
        f"figures against themselves, {agree[HOLDS] + agree[ROUNDED]} agree."
    )


def _apart(ledger: Sequence[Assessment]) -> tuple[list[Assessment], list[Assessment]]:
    """Return what the paper says, and the checks of its tables that it does not state."""
    statements = [item for item in ledger if item.claim.nature == "statement"]
    return statements, [item for item in ledger if item.claim.nature != "statement"]


def _ledger(ledger: Sequence[Assessment]) -> str:
    statements, checks = (
        sorted(part, key=lambda item: _ORDER.index(item.verdict)) for part in _apart(ledger)
    )
    tables = html_table(
        _shown(statements), f"The {len(statements)} statements, those that do not hold first"
    ) + html_table(
        _shown(checks), f"{len(checks)} checks of the paper's tables and figures against themselves"
    )
    return f'<div class="claims">{tables}</div>'


def _campaign(source: str, ledger: Sequence[Assessment]) -> str:
    found, _ = _apart(ledger)
    tested = [item for item in found if item.verdict != OPEN]
    missing = Counter(item.reason for item in found if item.verdict == OPEN)
    title = f"Tested with the campaign {source}: {len(tested)} of {len(found)}"
    reasons = "".join(
        f"<li>{html.escape(reason)} ({count})</li>"
        for reason, count in sorted(missing.items(), key=_most_first)
    )
    table = html_table(_shown(tested, links=False), title) if tested else _nothing(title)
    return (
        f'<div class="claims-campaign">{table}<details><summary>Why {missing.total()} statements cannot be tested '
        f"with it</summary><ul>{reasons}</ul></details></div>"
    )


def _nothing(title: str) -> str:
    return f'<p class="table-title">{html.escape(title)}</p>'


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _shown(ledger: Sequence[Assessment], links: bool = True) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Verdict": [verdict_html(item.verdict) for item in ledger],
            "Statement": [_statement(item, links) for item in ledger],
            "Paper": [_published(item) for item in ledger],
            "Recomputed": [_recomputed(item) for item in ledger],
            "Why": [_why(item, links) for item in ledger],
        },
        dtype=object,  # pandas' own type for text would lose the markup
    )


def verdict_html(verdict: str) -> Markup:
    """Return a verdict with its sign, which does not rest on colour."""
    sign = f'<span aria-hidden="true">{SIGNS[verdict]}</span>'
    return Markup(f'<span class="verdict" data-verdict="{verdict}">{sign} {verdict}</span>')


def _statement(item: Assessment, with_id: bool) -> Markup:
    reading = f' <span class="reading">{html.escape(item.claim.reading)}</span>' if item.claim.reading else ""
    text_only = (
        '<span class="reading">Tested with its own numbers alone; no table is read.</span>'
        if item.claim.rests_on == "text"
        else ""
    )
    code = f' <code id="claim-{item.claim.id}">{item.claim.id}</code>' if with_id else ""
    place = f' <span class="place">{html.escape(_place(item))}</span>'
    return Markup(f"{html.escape(item.claim.says)}{reading}{text_only}{place}{code}")


def _place(item: Assessment) -> str:
    return f"{item.claim.place[:1].upper()}{item.claim.place[1:]}, {item.claim.version}"


def _published(item: Assessment) -> str:
    tolerance = f" ± {plain(item.claim.tolerance)}" if item.claim.tolerance else ""
    return f"{_KINDS[item.claim.kind]}{plain(item.claim.published)}{tolerance} {item.claim.unit}"


def _recomputed(item: Assessment) -> Markup | None:
    if item.recomputed is None or item.low is None or item.high is None:
        return None
    low, high = (plain(end) for end in (item.low, item.high))
    interval = f' <span class="interval">{low} to {high}</span>' if low != high else ""
    return Markup(f"{plain(item.recomputed)}{interval}")


def _why(item: Assessment, with_link: bool) -> Markup:
    to = f" {page_link(item.claim.see, page_title(item.claim.see))}" if with_link else ""
    return Markup(html.escape(item.reason) + to)


def page_title(analysis: str) -> str:
    """Return a short name of an analysis page, such as `Figure 1`."""
    numbered = re.match(r"(figure|table)_(b?\d)(_|$)", analysis)
    if numbered:
        return f"{numbered[1].title()} {numbered[2].upper()}"
    return analysis.replace("_", " ").capitalize()


def plain(value: float, digits: int = 3) -> str:
    """Return a number with few significant digits and no zeros at its end; counts and years stay whole."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    text = units.significant(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _data(everything: Sequence[Assessment]) -> pd.DataFrame:
    rows = as_json(everything)
    for row, item in zip(rows, everything, strict=True):
        row["uses"] = " ".join(sorted({use.origin for use in item.uses}))
    return pd.DataFrame(rows)
