"""Numbers of the prose: which are computed, and which are typed and why (`book/typed_numbers.yaml`)."""

import re
from collections import Counter
from pathlib import Path

from helpers import paths
from helpers.audit.findings import Finding
from helpers.errors import UserError, nearest
from helpers.numbers import Number
from helpers.validation import load_yaml

TYPED = "typed_numbers.yaml"
_ROLE = re.compile(r"\{number\}`([^`]+)`")
_NO_PROSE = (
    r"^(`{3,}).*?^\1`*$",  # code blocks and directives with an argument
    r"^:{3,}.*$",  # fences of other directives
    r"^:[a-z-]+:.*$",  # their options
    r"\{[a-z:]+\}`[^`]*`",  # roles: citations, generated numbers
    r"`[^`]*`",  # code
    r"<[^>]*>",  # tags
    r"\]\([^)]*\)",  # targets of links
    r"\barXiv \d{4}\.\d{5}(v\d)?",  # citations
    r"\b(Figures?|Tables?|Eq\.|[Ss]ections?|Appendix) [A-Z]?\d+(\.\d+)*(( and|,| to|-) ?[A-Z]?\d+(\.\d+)*)*",  # references
    r"^\d+\. ",  # ordered lists
    r"\bsha256\b|\b(CO|R)[²2]e?\b",  # names
    r"\b[A-Z]\d{2,3}\b",  # names of GPUs
)


def pages() -> dict[str, Path]:
    """Return the pages of prose by their path as seen from `book/`."""
    folder = paths.ROOT / "book"
    return {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*.md"))}


def typed_numbers(text: str) -> list[str]:
    """Return the numbers that stand typed in the prose of a page, in order."""
    for pattern in _NO_PROSE:
        text = re.sub(pattern, " ", text, flags=re.MULTILINE | (re.DOTALL if "{3,}).*?" in pattern else 0))
    return re.findall(r"\d+(?:[.,]\d+)*", text)


def used_numbers(text: str) -> list[str]:
    """Return the names of the computed numbers that a page shows, in order."""
    return _ROLE.findall(text)


def allowed() -> dict[str, dict[str, str]]:
    """Return the numbers that may stand typed, by page, each with its reason.

    Raises:
        UserError: one line where the list is no list of pages, numbers and reasons.
    """
    file = paths.ROOT / "book" / TYPED
    where = paths.relative(file)
    found = load_yaml(file, where) or {}
    for page, numbers in found.items() if isinstance(found, dict) else [("", None)]:
        if not isinstance(numbers, dict) or not all(
            isinstance(part, str) and part for item in numbers.items() for part in item
        ):
            raise UserError(f'{where}: {page}: expected lines `"NUMBER": reason`, found {str(numbers)[:60]}')
    return found


def check(known: dict[str, Number]) -> tuple[int, list[Finding]]:
    """Check the numbers of all pages' sources; returns how many there are, and what is off.

    Args:
        known: the numbers as computed now, by name.
    """
    reasons, texts = allowed(), {name: file.read_text(encoding="utf-8") for name, file in pages().items()}
    count, findings = 0, []
    for page, text in texts.items():
        typed, used = Counter(typed_numbers(text)), used_numbers(text)
        count += typed.total() + len(used)
        findings += [
            Finding(
                f"book/{page}",
                f"the number {number} is typed",
                f"use the role `number`, or give a reason in book/{TYPED}",
            )
            for number in typed
            if number not in reasons.get(page, {})
        ]
        findings += [
            Finding(f"book/{page}", f"no number {name!r} ({nearest(name, known)})", "correct the name")
            for name in used
            if name not in known
        ]
    findings += [
        Finding(f"book/{TYPED}", f"{number} of {page} is not typed there", "take it from the list")
        for page, numbers in reasons.items()
        for number in numbers
        if number not in typed_numbers(texts.get(page, ""))
    ]
    return count, findings
