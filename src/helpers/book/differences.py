"""What differs from each printed figure and table, gathered from the analysis notebooks onto one page."""

import json
import re
from pathlib import Path

from helpers.core.errors import UserError

PAGE = "book/differences.md"
MARK = "<!-- from the notebooks -->"
_SECTION = re.compile(r"^## What differs from the printed (?:figure|table)\n+(.*)", re.DOTALL)


def gathered(analyses: Path) -> str:
    """Return a section for each analysis notebook that says what differs from print; links lead from a page in `book/`."""
    sections = []
    for file in sorted(analyses.glob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        for found in filter(None, map(_SECTION.match, texts)):
            title = texts[0].splitlines()[0].removeprefix("# ")
            sections.append(
                f"### [{title}](../notebooks/analysis/{file.name})\n\n{_from_book(found[1].strip())}"
            )
    return "\n\n".join(sections)


def _from_book(text: str) -> str:
    """Return a text of `notebooks/analysis` whose links lead from `book/`."""
    text = re.sub(r"\]\((?=\w+\.ipynb)", "](../notebooks/analysis/", text)
    return text.replace("](../../book/", "](")


def write(source: Path) -> None:
    """Fill in the page of the staged book in `source`.

    Raises:
        UserError: one line where the page has no place for it.
    """
    page = source / PAGE
    text = page.read_text(encoding="utf-8")
    if text.count(MARK) != 1:
        raise UserError(f"{PAGE}: expected a line {MARK} once, found {text.count(MARK)}")
    page.write_text(text.replace(MARK, gathered(source / "notebooks" / "analysis")), encoding="utf-8")
