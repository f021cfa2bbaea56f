"""The table "Where to look" of the README leads to the code that it names."""

import ast
import re

import pytest

from helpers.core import paths

README = (paths.ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## Where to look\n")[2].partition("\n## ")[0]
ROWS = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("| ")][1:]


def test_the_table_answers_what_a_reviewer_looks_for_first() -> None:
    questions = " ".join(row[0] for row in ROWS)
    assert all(part in questions for part in ("Figure 3", "verdict", "wrap", "new class of models"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_a_file_and_what_is_defined_in_it(row: list[str]) -> None:
    links = re.findall(r"\]\(([^)]+)\)", " ".join(row))
    assert links
    assert [link for link in links if not (paths.ROOT / link).is_file()] == []
    file = paths.ROOT / links[0]
    if file.suffix == ".py":
        name = re.search(r"`(\w+)`", row[2])
        assert name, row
        body = ast.parse(file.read_text(encoding="utf-8")).body
        assert name[1] in {item.name for item in body if isinstance(item, ast.FunctionDef | ast.ClassDef)}
