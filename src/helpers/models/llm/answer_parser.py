"""Read the category from what a language model answers; never an exception, always a kind.

The one rule, in the order in which it is applied:

1. Thinking is cut off: everything up to the first `</think>`. Where that is missing, there is no answer if `<think>`
   stands at the beginning, or if the model thinks and its tokens ran out; otherwise it did not think.
2. The value is what follows the line `[[ ## category ## ]]`, up to the next marker at the beginning of a line, a marker
   that was cut off in mid-word, or the end (DSPy's ChatAdapter finds the same). Nothing after `[[ ## completed ## ]]`
   counts.
3. The first line of the value that is not empty is compared with the categories, after Unicode
   normalisation (NFC), white space made single, bullets, numbering, quotes, emphasis and a final full stop taken
   away, and without regard to capitals. It has to be one of them as a whole, and no other line may be another one.
4. Anything else is a failure to parse, counted as wrong, with the kind that fits first.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from helpers.records.schema_kinds import Kind

PARSE_FAILURES: tuple[Kind, ...] = (
    "off-list",
    "several-categories",
    "bad-format",
    "empty",
    "truncated",
    "reasoning-open",
)
"""The model answered, but not with a category."""
REQUEST_FAILURES: tuple[Kind, ...] = (
    "http-error",
    "timeout",
    "connection-lost",
    "malformed",
    "oversized",
    "not-sent",
)
"""The server gave no answer; the text counts as wrong, too, but the model is not to blame."""


def read_answer(
    content: str | None, labels: Sequence[str], finish_reason: str | None, reasoning: bool
) -> tuple[str | None, Kind, str | None]:
    """Read one answer by the rule above.

    Args:
        content: what the model wrote; None where the server sent none.
        labels: the categories.
        finish_reason: why it stopped, as the server says; `length` where the tokens ran out.
        reasoning: whether the model thinks before it answers (its chat template may open the thinking itself).

    Returns:
        The category as the catalogue writes it (None unless the kind is `category`), the kind, and the
        thinking that was cut off (None where there was none).
    """
    answer, thinking = cut_thinking(content or "", finish_reason, reasoning)
    if answer is None:
        return None, "reasoning-open", thinking
    cut = finish_reason == "length"
    if not answer.strip():
        return None, "empty", thinking
    sections = _sections(answer, cut)
    if not sections:
        return None, "truncated" if cut else "bad-format", thinking
    first, others = sections[0], sections[1:]
    return *_read(first, labels, _firsts(others)), thinking


def read_value(value: str, labels: Sequence[str]) -> tuple[str | None, Kind]:
    """Read a value that was parsed already (of a JSON answer) by steps 3 and 4 of the rule."""
    return _read(_Section(value.splitlines()), labels, [])


def read_exactly(value: str | None, labels: Sequence[str], by_the_rule: Kind) -> tuple[str | None, Kind]:
    """Read what DSPy's own parser found: it has to be a category, letter by letter.

    Args:
        value: the field `category` by DSPy's parser; None where it could not parse the answer.
        labels: the categories.
        by_the_rule: the kind by the rule of this module, which is more lenient in most ways; it stands where both fail.
    """
    if value in labels:
        return value, "category"
    if by_the_rule != "category":
        return None, by_the_rule
    return None, "bad-format" if value is None else "off-list"


def cut_thinking(content: str, finish_reason: str | None, reasoning: bool) -> tuple[str | None, str | None]:
    """Return the answer without its thinking, and the thinking; the answer is None where the thinking has no end."""
    opened = content.lstrip().startswith(OPEN)
    before, end, after = content.partition(CLOSE)
    thinks = opened or (reasoning and (bool(end) or finish_reason == "length"))
    if not thinks:
        return content, None
    return (after if end else None), before.strip().removeprefix(OPEN).strip()


OPEN, CLOSE = "<think>", "</think>"
LONGEST = 1000
"""Characters of a line from which on nothing is taken away around it: it is no category anyhow."""
_MARKER = re.compile(r"\[\[ ## (\w+) ## \]\]")
_COMPLETED = "[[ ## completed ## ]]"
_AROUND = " \"'`*_„“”\u201a\u2018\u2019«»\u2039\u203a"
_BULLET = re.compile(r"^(?:[-\u2013\u2014•+>](?:\s+|(?=[^\W\d]))|\(?\d{1,2}[.)]\s+)")
"""A sign needs no blank before a letter; before a digit it may be a minus, and behind a number a decimal point."""


@dataclass(frozen=True)
class _Section:
    """What follows a marker."""

    lines: list[str]
    cut: bool = False
    """The tokens ran out within it."""
    unfinished: bool = False
    """They did within its last line."""


def _sections(answer: str, cut: bool) -> list[_Section]:
    """Return what follows each `[[ ## category ## ]]`, up to the end of the answer proper."""
    sections: list[list[str]] = []
    current: list[str] = []  # text before the first marker belongs to no section
    lines = answer.splitlines()
    for line in lines:
        marker = _MARKER.match(line.strip())
        if marker is None:
            current.append(line)
            continue
        if marker[1] == "completed":
            return [_Section(section) for section in sections]
        current = [line.strip()[marker.end() :]]
        if marker[1] == "category":
            sections.append(current)
    if not sections or current is not sections[-1]:
        return [_Section(section) for section in sections]
    last = current[-1].strip()
    if last and _COMPLETED.startswith(last):
        return [*map(_Section, sections[:-1]), _Section(current[:-1])]
    unfinished = cut and answer.splitlines(keepends=True)[-1] == lines[-1]
    return [*map(_Section, sections[:-1]), _Section(current, cut, unfinished)]


def _read(section: _Section, labels: Sequence[str], others: Sequence[str]) -> tuple[str | None, Kind]:
    filled = [line for line in section.lines if line.strip()]
    if not filled:
        return None, "truncated" if section.cut else "empty"
    if len(filled) == 1 and section.unfinished:
        return None, "truncated"
    table = _table(labels)
    category = _category(filled[0], labels, table)
    named = {_category(line, labels, table) for line in [*filled, *others]} - {None}
    if len(named) > 1 or (category is None and len(_mentioned(filled[0], table)) > 1):
        return None, "several-categories"
    return category, "off-list" if category is None else "category"


def _firsts(sections: Sequence[_Section]) -> list[str]:
    """Return the first line of each section that is not empty."""
    return [line for section in sections for line in [next(filter(str.strip, section.lines), "")]]


def _category(line: str, labels: Sequence[str], table: dict[str, str]) -> str | None:
    return line.strip() if line.strip() in labels else table.get(_normal(line))


def _table(labels: Sequence[str]) -> dict[str, str]:
    """Return the categories by their normal form, without those that share one."""
    shared = Counter(map(_normal, labels))
    return {_normal(label): label for label in labels if shared[_normal(label)] == 1}


def _normal(line: str) -> str:
    text, before = _single(line), None
    while text != before and len(text) <= LONGEST:
        before, text = text, _BULLET.sub("", text.strip(_AROUND).removesuffix("."))
    return text


def _mentioned(line: str, table: dict[str, str]) -> set[str]:
    """Return the categories that stand in a line as whole words; the longest wins where one contains another."""
    categories = sorted(filter(None, table), key=len, reverse=True)
    if not categories:
        return set()
    anyone = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, categories))})(?!\w)")
    return set(anyone.findall(_single(line)))


def _single(line: str) -> str:
    return " ".join(unicodedata.normalize("NFC", line).split()).casefold()
