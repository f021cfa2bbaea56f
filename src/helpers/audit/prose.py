"""Numbers of the prose: which are computed, and which are typed and why (`book/typed_numbers.yaml`)."""

import json
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
    r"\bsha256\b|\bHC3\b|\b(CO|R)[²2]e?\b",  # names
    r"\b[A-Z]\d{2,3}\b",  # names of GPUs
    r"\b(Qwen|Phi|Llama)\s[\d.]+|\b\d+B\b|-L\d+-v\d\b",  # names of models
    r"\(\d{4}\)",  # years of citations
    r"\bper 1000 texts\b",  # a unit
)


def texts() -> dict[str, str]:
    """Return the prose of the book by its file, as seen from the root: pages, and text cells of the notebooks."""
    pages = {file: file.read_text(encoding="utf-8") for file in (paths.ROOT / "book").rglob("*.md")}
    cells = {file: _text_cells(file) for file in (paths.ROOT / "notebooks").rglob("*.ipynb")}
    return {paths.relative(file): text for file, text in sorted((pages | cells).items())}


def _text_cells(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def typed_numbers(text: str) -> list[str]:
    """Return the numbers that stand typed in the prose of a page, in order."""
    for pattern in _NO_PROSE:
        text = re.sub(pattern, " ", text, flags=re.MULTILINE | (re.DOTALL if "{3,}).*?" in pattern else 0))
    return re.findall(r"\d+(?:[.,]\d+)*", text)


def used_numbers(text: str) -> list[str]:
    """Return the names of the computed numbers that a page shows, in order."""
    return _ROLE.findall(text)


def allowed() -> dict[str, dict[str, str]]:
    """Return the numbers that may stand typed, by file as seen from the root of the project, each with its reason.

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
    reasons, prose = allowed(), texts()
    count, findings = 0, []
    for page, text in prose.items():
        typed, used = Counter(typed_numbers(text)), used_numbers(text)
        count += typed.total() + len(used)
        findings += [
            Finding(
                page,
                f"the number {number} is typed",
                f"use the role `number`, or give a reason in book/{TYPED}",
            )
            for number in typed
            if number not in reasons.get(page, {})
        ]
        findings += [
            Finding(page, f"no number {name!r} ({nearest(name, known)})", "correct the name")
            for name in used
            if name not in known
        ]
    findings += [
        Finding(f"book/{TYPED}", f"{number} of {page} is not typed there", "take it from the list")
        for page, numbers in reasons.items()
        for number in numbers
        if number not in typed_numbers(prose.get(page, ""))
    ]
    return count, findings
