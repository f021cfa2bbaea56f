"""The claim ledger and the findings on pages of prose: bars of verdicts, chosen statements, one finding."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.logging import getLogger

from helpers.claims import counts
from helpers.claims.catalogue import CLAIMS
from helpers.claims.ledger import Assessment, evaluate
from helpers.claims.verdicts import DEPENDS, FAILS, HOLDS, OPEN, ROUNDED, VERDICTS
from helpers.core.errors import UserError, nearest
from helpers.core.paths import relative
from helpers.figures.beyond.claims import SIGNS, page_title, places, verdict_html
from helpers.figures.executed import read_executed_figure
from helpers.figures.html import link, page_link
from helpers.results.tables import load_tables

LOGGER = getLogger(__name__)

TOPICS: dict[str, str] = {
    "trade-off": "Accuracy against energy",
    "reasoning": "Reasoning models",
    "datasets": "The other four datasets",
    "hardware": "GPUs, nodes and cards",
    "proxy": "Duration as a proxy",
    "measuring": "Measuring and scatter",
}
"""Titles of `Claim.topic`, in the order of the paper's story."""

_SHORT = {HOLDS: "holds", ROUNDED: "rounded", DEPENDS: "depends", FAILS: "fails", OPEN: "open"}


def bars(ledger: Sequence[Assessment]) -> str:
    """Return a table of the verdicts by topic; the bars only repeat its numbers."""
    by_topic = {topic: counts.count(i for i in ledger if i.claim.topic == topic) for topic in TOPICS}
    longest = max(count.statements for count in by_topic.values())
    head = "".join(
        f'<th scope="col"><span class="verdict-key" data-verdict="{verdict}" aria-hidden="true">{SIGNS[verdict]}</span> '
        f"{_SHORT[verdict]}</th>"
        for verdict in VERDICTS
    )
    rows = "".join(_bar(TOPICS[topic], count, longest) for topic, count in by_topic.items())
    total = counts.count(ledger).by_verdict
    foot = "".join(f"<td>{total[verdict]}</td>" for verdict in VERDICTS)
    return (
        '<div class="glance"><table class="data"><caption>Statements of the paper by topic and verdict</caption>'
        f'<thead><tr><th scope="col">Topic</th>{head}</tr></thead><tbody>{rows}</tbody>'
        f'<tfoot><tr><th scope="row">All</th>{foot}</tr></tfoot></table></div>'
    )


def statements(assessments: Sequence[Assessment]) -> str:
    """Return a list of statements with verdict, reading, reason and links."""
    lines = "".join(f"<li>{_line(item)}</li>" for item in assessments)
    return f'<ul class="verdicts">{lines}</ul>'


def chosen(ledger: Sequence[Assessment], ids: Sequence[str]) -> list[Assessment]:
    """Return the claims of these ids, in this order.

    Raises:
        UserError: one line for an id that the ledger does not have.
    """
    by_id = {item.claim.id: item for item in ledger}
    for name in ids:
        if name not in by_id:
            raise UserError(f"{relative(CLAIMS)} has no claim {name!r}; {nearest(name, by_id)}")
    return [by_id[name] for name in ids]


def with_verdict(ledger: Sequence[Assessment], verdict: str) -> list[Assessment]:
    """Return the paper's statements with this verdict, by topic.

    Raises:
        UserError: one line for a verdict that there is not.
    """
    if verdict not in VERDICTS:
        raise UserError(f"no verdict {verdict!r}; {nearest(verdict, VERDICTS)}")
    matching = [item for item in counts.statements(ledger) if item.verdict == verdict]
    return sorted(matching, key=lambda item: list(TOPICS).index(item.claim.topic))


def _bar(title: str, count: counts.Counts, longest: int) -> str:
    numbers = count.by_verdict
    parts = "".join(
        f'<span data-verdict="{verdict}" style="flex-grow:{numbers[verdict]}"></span>'
        for verdict in VERDICTS
        if numbers[verdict]
    )
    cells = "".join(f"<td>{numbers[verdict]}</td>" for verdict in VERDICTS)
    bar = (
        f'<span class="bar" aria-hidden="true" style="width:{count.statements / longest:.0%}">{parts}</span>'
    )
    return f'<tr><th scope="row">{html.escape(title)}{bar}</th>{cells}</tr>'


def _line(item: Assessment) -> str:
    entry = link(f"notebooks/analysis/claims.html#claim-{item.claim.id}", "ledger")
    return (
        f'{verdict_html(item.word)} <span class="says">{html.escape(item.claim.says)}</span> {_readings(item)} '
        f'<span class="from">{html.escape(places(item))} · {entry} · '
        f"{page_link(item.claim.see, page_title(item.claim.see))}</span>"
    )


def _readings(item: Assessment) -> str:
    """Return the reading and the reason; of several readings that can be tested, a list of each with its result."""
    several = len(item.readings) > 1 and item.recomputed is not None
    if not several:
        says = " Or: ".join(reading.criterion.says for reading in item.readings if reading.criterion.says)
        reading = f'<span class="reading">Read as: {html.escape(says)}</span> ' if says else ""
        return f'{reading}<span class="why">{html.escape(item.reason)}</span>'
    each = "".join(
        f'<li><span class="reading">Read as: {html.escape(reading.criterion.says or "")}</span> '
        f'<span class="why"><strong>{SIGNS[reading.word]} {reading.word}.</strong> {html.escape(reading.reason)}</span></li>'
        for reading in item.readings
    )
    return f'<ol class="readings">{each}</ol>'


# --- for Sphinx --------------------------------------------------------------------------------------------


class ShowBars(SphinxDirective):  # type: ignore[misc]
    """`{verdict-bars}`: how many statements of each topic hold."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        return [nodes.raw("", bars(_ledger(self.env)), format="html")]


class ShowClaims(SphinxDirective):  # type: ignore[misc]
    """`{claims}`: statements of the ledger, by their ids, one on a line, or all with one verdict (`:verdict:`)."""

    has_content = True
    option_spec: ClassVar = {"verdict": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the list; an id or a verdict that there is not is a warning."""
        try:
            if verdict := self.options.get("verdict"):
                listed = with_verdict(_ledger(self.env), verdict)
            else:
                listed = chosen(_ledger(self.env), [line.strip() for line in self.content if line.strip()])
        except UserError as error:
            LOGGER.warning("%s", error, location=self.get_location())
            return []
        return [nodes.raw("", statements(listed), format="html")]


class ShowFinding(SphinxRole):  # type: ignore[misc]
    """`{finding}`NAME``: the finding of an analysis, as its executed notebook states it."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the sentence, and make the page depend on the notebook."""
        analyses = Path(self.env.srcdir) / "notebooks" / "analysis"
        file = analyses / f"{self.text}.ipynb"
        if not file.is_file():
            names = [notebook.stem for notebook in analyses.glob("*.ipynb")]
            LOGGER.warning(
                "finding %r: %s", self.text, nearest(self.text, names), location=self.get_location()
            )
            return [nodes.literal(text=self.text)], []
        self.env.note_dependency(str(file))
        try:
            return [nodes.Text(read_executed_figure(file).finding)], []
        except UserError:  # built without executing: the figures say so as well
            return [nodes.Text("This is found when the notebooks are executed.")], []


def setup(app: Any) -> None:
    """Register with Sphinx; called by `helpers.sphinx_ext.extension`."""
    app.add_directive("verdict-bars", ShowBars)
    app.add_directive("claims", ShowClaims)
    app.add_role("finding", ShowFinding())
    app.connect("builder-inited", _assess)


def _assess(app: Any) -> None:
    app.env.companion_ledger = evaluate(load_tables())


def _ledger(env: Any) -> list[Assessment]:
    assessments: list[Assessment] = env.companion_ledger
    return assessments
