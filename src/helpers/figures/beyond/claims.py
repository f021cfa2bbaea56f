"""The claim ledger as a page: every statement of the paper, recomputed under each reading, with its verdict."""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from helpers.claims import counts
from helpers.claims.catalogue import CLAIMS, Criterion, Kind
from helpers.claims.ledger import Assessment, ReadingResult, as_json, evaluate, evaluate_campaigns
from helpers.claims.verdicts import (
    AGREES,
    DEPENDS,
    DIFFERS,
    FAILS,
    FAILS_HERE,
    HOLDS,
    HOLDS_HERE,
    MEASURED_VERDICTS,
    OPEN,
    ROUNDED,
    UNDECIDED_HERE,
    UNKNOWN,
    VERDICTS,
)
from helpers.core import units
from helpers.core.paths import relative
from helpers.figures.display import Figure, html_table
from helpers.figures.html import Markup, page_link
from helpers.figures.plots.comparable import folded
from helpers.results.tables import Tables

_ORDER = (
    *(FAILS, FAILS_HERE, DEPENDS, ROUNDED, UNDECIDED_HERE, OPEN, HOLDS, HOLDS_HERE),
    *(DIFFERS, UNKNOWN, AGREES),
)
SIGNS = {
    HOLDS: "✓",
    ROUNDED: "≈",
    DEPENDS: "±",
    FAILS: "✗",
    HOLDS_HERE: "✓",
    UNDECIDED_HERE: "~",
    FAILS_HERE: "✗",
    OPEN: "?",
    AGREES: "=",
    DIFFERS: "≠",
    UNKNOWN: "?",
}
"""Of verdicts and outcomes, so that none rests on its colour."""
_KINDS: dict[Kind, str] = {
    "number": "",
    "at_least": "at least ",
    "at_most": "at most ",
    "above": "more than ",
    "below": "less than ",
}
_COUNTEREXAMPLES = "counterexamples"
_PHRASES = {
    ("number", 0.0, _COUNTEREXAMPLES): "no exception",
    ("above", 0.5, "share"): "more than half",
    ("above", 1.0, "times"): "more than as much",
    ("below", 0.5, "share"): "less than half",
    ("at_least", 1.0, "share"): "all",
    ("above", 0.0, "accuracy margin"): "an accuracy margin above zero",
    ("at_least", 0.0, "accuracy margin"): "an accuracy margin of zero or more",
    ("at_most", 0.0, "accuracy margin"): "no accuracy margin",
}
"""What a statement asks for, where words say it better than a number with its unit."""
_QUANTITIES = {
    "R2": "R²",
    "r": "r",
    "variance": "variance",
    "accuracy": "accuracy",
    "rank": "rank",
    "place": "place",
}
"""Units that are no units but quantities, and stand before their number."""


def claims(tables: Tables) -> Figure:
    """Show the ledger for the published values, and for each campaign what can be tested with it."""
    return draw(evaluate(tables), evaluate_campaigns(tables), tables)


def draw(
    ledger: Sequence[Assessment], campaigns: Mapping[str, Sequence[Assessment]], tables: Tables
) -> Figure:
    """Show the ledger of the published values and those of `campaigns`, by name, all computed from `tables`."""
    everything = [*ledger, *(item for assessments in campaigns.values() for item in assessments)]
    origins = {use.origin for item in everything for use in item.uses}
    return Figure(
        name="claims",
        label="Claim ledger",
        finding=_finding(ledger, campaigns, counts.count_rerun_llms(tables)),
        note=(
            "Each row expresses a statement of the paper as a number and recomputes it from the paper's own tables and "
            "figures. This tests whether the text agrees with the printed numbers, not whether those numbers are right. A "
            "statement holds if the recomputed number agrees with it within the rounding of the statement. It holds after "
            "rounding if only another number agrees, which the rounding of the table or the reading of the figure allows. "
            "Where words had to be turned into a number, every plausible reading is listed and tested; if the readings "
            "disagree, the verdict depends on the reading. The last column says where a verdict depends on rounding or on a "
            "difference within its noise. The results of our campaigns, further below, apply to their own runs, texts and "
            "models: a statement holds here, does not hold here, or is undecided within its uncertainty; they do not refute "
            "the paper. If a campaign has no run of the paper's models that could test a statement, it is tested on the "
            "models that were measured. Inferences are ours: the paper does not state them, and they have no verdict and are "
            "not counted. Versions: v1 is the arXiv text, v2 the abstract of the published article."
        ),
        data=rows(everything),
        function="helpers.figures.beyond.claims.claims",
        body=_ledger(ledger) + "".join(_campaign(*campaign) for campaign in campaigns.items()),
        inputs=[relative(CLAIMS), *sorted(origins)],
    )


def _finding(
    ledger: Sequence[Assessment], campaigns: Mapping[str, Sequence[Assessment]], rerun_llms: int
) -> str:
    own, new = counts.count(ledger), counts.count_new(campaigns)
    failing = f", {new.failing} {'do' if new.failing > 1 else 'does'} not hold here" if new.failing else ""
    others = counts.count_counterparts(campaigns)
    by_others = f" ({others} of them with other models than the paper's alone)" if others else ""
    return (
        f"Of the {own.tested} statements that the paper's own numbers can test, {own.holding} agree with them "
        f"({own.rounded} only after rounding), {own.depending} agree under one reading but not under another, and "
        f"{own.failing} under none; {own.untested} more cannot be tested with the published values. Our measurements test "
        f"{new.tested} of the {own.statements} statements{by_others}, {counts.count_opened(ledger, campaigns)} of which the "
        f"paper's own numbers leave open: {new.holding} hold here, {new.depending} depend on the reading or the campaign, "
        f"{new.undecided} undecided{failing}. By campaign: {counts.by_campaign(campaigns)}. "
        + (f"They include {rerun_llms} of the paper's language models." if rerun_llms else NO_LLM)
    )


NO_LLM = "No language model of the paper was run again."


def _ledger(ledger: Sequence[Assessment]) -> str:
    statements, inferences = map(_in_order, (counts.statements(ledger), counts.inferences(ledger)))
    tables = html_table(
        _shown(statements), f"The {len(statements)} statements, those that do not hold first"
    ) + html_table(
        _shown(inferences), f"{len(inferences)} inferences of ours, which the paper does not state"
    )
    return f'<div class="claims">{tables}</div>'


def _in_order(part: Sequence[Assessment]) -> list[Assessment]:
    return sorted(part, key=lambda item: _ORDER.index(item.word))


def _campaign(source: str, ledger: Sequence[Assessment]) -> str:
    statements = counts.statements(ledger)
    tested = [item for item in statements if item.verdict != OPEN]
    missing = Counter(item.reason for item in statements if item.verdict == OPEN)
    title = f"Tested with the campaign {source}: {len(tested)} of {len(statements)}"
    reasons = "".join(
        f"<li>{html.escape(reason)} ({count})</li>"
        for reason, count in sorted(missing.items(), key=_by_count_descending)
    )
    table = _title(title)
    if tested:  # folded: the page is long enough without it
        table = folded(title, html_table(_shown(_in_order(tested), links=False), title))
    return (
        f'<div class="claims-campaign">{table}<details><summary>Why {missing.total()} statements cannot be tested '
        f"with it</summary><ul>{reasons}</ul></details></div>"
    )


def _title(title: str) -> str:
    return f'<p class="table-title">{html.escape(title)}</p>'


def _by_count_descending(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _shown(ledger: Sequence[Assessment], links: bool = True) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Verdict": [verdict_html(item.word) for item in ledger],
            "Statement": [_statement(item, links) for item in ledger],
            "Paper": [_each(item, _published) for item in ledger],
            "Recomputed": [_each(item, _recomputed) for item in ledger],
            "Why": [_why(item, links) for item in ledger],
        },
        dtype=object,  # pandas' own type for text would lose the markup
    )


def verdict_html(word: str) -> Markup:
    """Return a verdict or an outcome with its sign, which does not rest on colour."""
    kind = "verdict" if word in {*VERDICTS, *MEASURED_VERDICTS} else "outcome"
    sign = f'<span aria-hidden="true">{SIGNS[word]}</span>'
    return Markup(f'<span class="verdict" data-{kind}="{word}">{sign} {word}</span>')


def readings_html(item: Assessment) -> str:
    """Return the readings of a claim in words, numbered where there are several."""
    texts = [html.escape(reading.criterion.says) for reading in item.readings if reading.criterion.says]
    if len(texts) < 2:
        return "".join(f' <span class="reading">{text}</span>' for text in texts)
    return _numbered(texts)


def reasons_html(item: Assessment) -> str:
    """Return the reasons of a verdict; of several readings, each with its result, numbered as the readings."""
    if len(item.readings) == 1 or item.recomputed is None:
        return html.escape(item.reason)
    return _numbered(
        f"<strong>{SIGNS[reading.word]} {reading.word}.</strong> {html.escape(reading.reason)}"
        for reading in item.readings
    )


def places(item: Assessment) -> str:
    """Return the passages of the paper that state it, `Section 4.2, v1; abstract, v2`, or that none does."""
    if item.claim.nature == "inference":
        return f"Our inference, about {item.claim.place}, {item.claim.version}"
    repeated = "".join(f"; {passage.place}, {passage.version}" for passage in item.claim.also)
    text = f"{item.claim.place}, {item.claim.version}{repeated}"
    return text[:1].upper() + text[1:]


def _statement(item: Assessment, with_id: bool) -> Markup:
    tested = item.recomputed is not None
    text_only = (
        '<span class="reading">Tested with the numbers of the statement only, without a table.</span>'
        if tested and not item.uses
        else ""
    )
    inferred = (
        '<span class="reading">Based on our own inference; see the reason.</span>' if item.inferred else ""
    )
    code = f' <code id="claim-{item.claim.id}">{item.claim.id}</code>' if with_id else ""
    source = f' <span class="place">{html.escape(places(item))}</span>'
    counterpart = (
        '<span class="reading">Tested on the models measured here, not all of which are the paper\'s:</span>'
        if item.counterpart
        else ""
    )
    basis = f'<span class="place">{html.escape(item.basis.text)}</span>' if item.basis else ""
    return Markup(
        f"{html.escape(item.claim.says)}{counterpart}{readings_html(item)}{text_only}{inferred}{source}{basis}{code}"
    )


def _each(item: Assessment, cell: Callable[[ReadingResult], str]) -> Markup | None:
    """Return the cell of each reading: one value, or a numbered list of several."""
    cells = [cell(reading) for reading in item.readings]
    if not any(cells):
        return None
    return Markup(cells[0] if len(cells) == 1 else _numbered(text or "-" for text in cells))


def _numbered(items: Iterable[str]) -> str:
    return f'<ol class="readings">{"".join(f"<li>{text}</li>" for text in items)}</ol>'


def _published(reading: ReadingResult) -> str:
    return html.escape(in_words(reading.criterion))


def in_words(criterion: Criterion) -> str:
    """Return what a statement asks for in words: `no exception`, `at least 1 dataset`, `0.61 ± 0.005`."""
    phrase = _PHRASES.get((criterion.kind, criterion.published, criterion.unit))
    if phrase is not None:
        return phrase
    tolerance = f" ± {plain(criterion.tolerance)}" if criterion.tolerance else ""
    kind, number = _KINDS[criterion.kind], f"{plain(criterion.published)}{tolerance}"
    if criterion.unit in ("share", "relative difference"):
        percent = f"{kind}{plain(100 * criterion.published)} %"
        return percent if criterion.unit == "share" else f"{percent} apart"
    if criterion.unit in _QUANTITIES:
        return f"{_QUANTITIES[criterion.unit]}: {kind}{number}"
    plural = criterion.published != 1 or criterion.unit in ("times", "Wh/s")
    return f"{kind}{number} {criterion.unit if plural else criterion.unit.removesuffix('s')}"


def _recomputed(reading: ReadingResult) -> str:
    if reading.recomputed is None or reading.low is None or reading.high is None:
        return ""
    low, high = (plain(end) for end in (reading.low, reading.high))
    interval = f' <span class="interval">{low} to {high}</span>' if low != high else ""
    if reading.criterion.unit == _COUNTEREXAMPLES:
        return f"{units.counted(int(reading.recomputed), 'exception')}{interval}"
    return f"{plain(reading.recomputed)}{interval}"


def _why(item: Assessment, with_link: bool) -> Markup:
    to = f" {page_link(item.claim.see, page_title(item.claim.see))}" if with_link else ""
    return Markup(reasons_html(item) + to)


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


def rows(assessments: Sequence[Assessment]) -> pd.DataFrame:
    """Return one row per claim and source, with the columns of `as_json`; lists are joined to text."""
    entries = as_json(assessments)
    for entry, item in zip(entries, assessments, strict=True):
        entry["uses"] = " ".join(sorted({use.origin for use in item.uses}))
        entry["basis"] = None if item.basis is None else item.basis.text
        entry["also"] = "; ".join(f"{passage.place}, {passage.version}" for passage in item.claim.also)
        entry["readings"] = " ".join(
            f"({number}) {reading['result']}: {reading['says']}"
            for number, reading in enumerate(entry["readings"], 1)
        )
    return pd.DataFrame(entries)
