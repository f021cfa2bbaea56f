"""Numbers of the prose: which are computed, and which are typed and why (`book/typed_numbers.yaml`)."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from helpers.book.quoted_numbers import Number
from helpers.core import paths
from helpers.core.errors import UserError, nearest
from helpers.core.validation import load_yaml
from helpers.records.findings import Finding
from helpers.study import roofline
from helpers.study.catalogue import study

TYPED = "typed_numbers.yaml"
_ROLE = re.compile(r"\{number\}`([^`]+)`")
_FENCE = re.compile(r"\s*(`{3,})(\{[a-z-]+\})?(.*)")
_PROSE_DIRECTIVES = {
    *("{admonition}", "{note}", "{tip}", "{hint}", "{important}", "{warning}", "{caution}", "{attention}"),
    *("{seealso}", "{dropdown}", "{glossary}", "{list-table}"),
}
_SHOWN_ROLES = "term|abbr|sub|sup|math"
"""Roles whose text a reader sees as it is typed."""
_NO_PROSE = (
    r"<!--.*?-->",
    r"^:{3,}(\{(grid|container)\}.*$|\{[a-z-]+\})?",  # fences of other directives; their titles are prose
    r"^:[a-z-]+:.*$",  # options of directives
    rf"\{{(?!{_SHOWN_ROLES})[a-z:]+\}}`[^`]*`",  # roles: citations, generated numbers
    r"`[^`]*`",  # code
    r"</?[a-zA-Z][^>]*>",  # tags, and addresses
    r"\]\([^)]*\)",  # targets of links
    r"\barXiv \d{4}\.\d{5}(v\d)?",  # citations
    r"\((19|20)\d\d\)",  # years of citations
    r"\b([Ss]ections?|Eq\.) [1-9](\.[1-9]){0,2}\b(?!\.\d)",  # references
    r"^\d{1,2}\. ",  # ordered lists
    r"\bsha256\b|\bHC3\b|\b(CO[²₂2]e?|R[²2])(?!\w)",  # names
    r"\bper 1000 texts\b",  # a unit
)
_WORDS = (
    "eleven|twelve|(thir|four|fif|six|seven|eigh|nine)teen|(twen|thir|for|fif|six|seven|eigh|nine)ty(-[a-z]+)?|"
    "dozen|(a|one|two|three|four|five|six|seven|eight|nine|ten) (hundred|thousand|million)|hundred|thousand|million"
)
_TYPED = rf"\d+(?:[.,]\d+)*|[¼-¾⅐-⅟↉²³¹⁰-⁹₀-₉]+|\b(?:{_WORDS})\b"


def texts() -> dict[str, str]:
    """Return the prose of the book by its file, as seen from the root: pages, and text cells of the notebooks."""
    pages = {file: file.read_text(encoding="utf-8") for file in (paths.ROOT / "book").rglob("*.md")}
    cells = {file: _text_cells(file) for file in (paths.ROOT / "notebooks").rglob("*.ipynb")}
    return {paths.relative(file): text for file, text in sorted((pages | cells).items())}


def _text_cells(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def typed_numbers(text: str) -> list[str]:
    """Return the numbers that stand typed in the prose of a page, in order: digits, and words above ten."""
    text = re.sub(rf"\{{({_SHOWN_ROLES})\}}`([^`]*)`", r"\2", _without_blocks(text))
    for pattern in (*_NO_PROSE, *_names(paths.ROOT)):
        text = re.sub(pattern, " ", text, flags=re.MULTILINE | (re.DOTALL if ".*?" in pattern else 0))
    return [match[0] for match in re.finditer(_TYPED, text, re.IGNORECASE)]


def _without_blocks(text: str) -> str:
    """Return a page without code blocks and directives that hold no prose; of the others without the fences."""
    kept: list[str] = []
    open_fences: list[tuple[str, bool]] = []
    """Of each block around a line its backticks, and whether it holds prose."""
    for line in text.splitlines():
        in_prose = all(prose for _, prose in open_fences)
        fence = _FENCE.fullmatch(line)
        if open_fences and fence and not line.strip().strip("`") and fence[1].startswith(open_fences[-1][0]):
            open_fences.pop()
        elif fence and in_prose and "`" not in fence[3]:
            is_prose = fence[2] in _PROSE_DIRECTIVES
            open_fences.append((fence[1], is_prose))
            kept += [fence[3]] if is_prose else []
        elif in_prose:
            kept.append(line)
    return "\n".join(kept)


@cache
def _names(root: Path) -> tuple[str, ...]:
    """Return patterns of names with digits: models, their checkpoints, GPUs, and figures and tables of the project at `root`."""
    catalogue = study()
    names = {
        *(model.title for model in catalogue.models.values()),
        *catalogue.embeddings,
        *(machine.gpu_model for machine in catalogue.machines.values() if machine.gpu_model),
        *roofline.load_gpus(),
    }
    stems = [file.stem.split("_") for file in (root / "notebooks" / "analysis").glob("*.ipynb")]
    label = {
        kind: _any({stem[1].upper() for stem in stems if stem[0] == kind}) for kind in ("figure", "table")
    }
    references = [
        rf"\b{kind.title()}(?:\s{one}|s\s{one}(?:(?:, (?:and )?| and | to |-){one})+)(?!\w|\.\d)"
        for kind, one in label.items()
    ]
    return (*references, rf"(?<![\w.])(?i:{_any(names)})(?!\w|\.\d)")


def _any(names: Iterable[str]) -> str:
    """Return a pattern for any of the names, the longest that fits."""
    escaped = (re.escape(name).replace(r"\ ", r"\s") for name in sorted(names, key=len, reverse=True))
    return rf"(?:{'|'.join(escaped)})"


def used_numbers(text: str) -> list[str]:
    """Return the names of the computed numbers that a page shows, in order."""
    return _ROLE.findall(text)


def allowed() -> dict[str, dict[str, str]]:
    """Return the numbers that may stand typed, by file as seen from the root of the project, each with its reason.

    Raises:
        UserError: one line where the list is no list of pages, numbers and reasons.
    """
    file = paths.ROOT / "book" / TYPED
    name = paths.relative(file)
    reasons = load_yaml(file, name) or {}
    for page, numbers in reasons.items() if isinstance(reasons, dict) else [("", None)]:
        if not isinstance(numbers, dict) or not all(
            isinstance(part, str) and part for item in numbers.items() for part in item
        ):
            raise UserError(f'{name}: {page}: expected lines `"NUMBER": reason`, found {str(numbers)[:60]}')
    return reasons


def check(computed: dict[str, Number]) -> tuple[int, list[Finding]]:
    """Check the numbers of all pages' sources; returns how many there are, and the findings.

    Args:
        computed: the numbers as computed now, by name.
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
            Finding(page, f"no number {name!r} ({nearest(name, computed)})", "correct the name")
            for name in used
            if name not in computed
        ]
    findings += [
        Finding(f"book/{TYPED}", f"{number} of {page} is not typed there", "take it from the list")
        for page, numbers in reasons.items()
        for number in numbers
        if number not in typed_numbers(prose.get(page, ""))
    ]
    return count, findings
