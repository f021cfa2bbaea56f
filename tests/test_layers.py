"""The folders of `helpers` read as the way of the data: no import runs against their order, lazy ones included.

Inside `figures`, what the figures of the paper share with those beyond it stands in `plots`.
"""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.core import paths

ORDER = (
    *("core", "study", "records", "metering", "models", "results", "measure", "statistics"),
    *("claims", "figures", "publish", "book", "audit", "campaigns", "cli", "sphinx_ext"),
)
"""A package imports those to its left and itself."""
AT_THE_ROOT = {"__init__", "__main__", "cli", "verbs"}
APART = ("helpers.figures.paper", "helpers.figures.beyond")
"""Packages that import nothing of each other, and of which `plots` imports nothing."""
SOURCES = paths.ROOT / "src"


def upward_imports(sources: Path) -> list[str]:
    """Return the lines that import a package to the right of their own, as `file:line: what -> what`."""
    found = []
    for file in sorted((sources / "helpers").rglob("*.py")):
        inside = file.relative_to(sources / "helpers")
        layer = _layer(inside.parts[0].removesuffix(".py"))
        if layer is None:
            continue
        for line, target in _imports(ast.parse(file.read_text(encoding="utf-8"))):
            above = _layer(target.split(".")[1]) if target.count(".") else None
            if above is not None and ORDER.index(above) > ORDER.index(layer):
                found.append(f"src/helpers/{inside.as_posix()}:{line}: {layer} -> {target}")
    return found


def imports_across(sources: Path) -> list[str]:
    """Return the lines by which the figures of the paper and those beyond it, or `plots`, import what stands apart."""
    crossing = []
    for package in (*APART, "helpers.figures.plots"):
        for file in sorted((sources / package.replace(".", "/")).rglob("*.py")):
            crossing += [
                f"src/{file.relative_to(sources).as_posix()}:{line}: {target}"
                for line, target in _imports(ast.parse(file.read_text(encoding="utf-8")))
                if any(f"{target}.".startswith(f"{other}.") for other in APART if other != package)
            ]
    return crossing


def _layer(name: str) -> str | None:
    name = "cli" if name == "verbs" else name
    return name if name in ORDER else None


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, alias.name) for alias in node.names if alias.name.startswith("helpers.")
            )
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"line {node.lineno}: a relative import; name the whole package")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "helpers":
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_no_import_runs_against_the_order_of_the_folders() -> None:
    assert upward_imports(SOURCES) == []


def test_figures_of_the_paper_and_those_beyond_it_share_by_way_of_plots() -> None:
    assert imports_across(SOURCES) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("paper/figure_1.py", "from helpers.figures.beyond import power"),
        ("beyond/power.py", "def late():\n    from helpers.figures.paper.figure_2 import rows"),
        ("plots/bars.py", "import helpers.figures.paper.figure_3"),
    ],
)
def test_a_line_that_imports_across_is_named(file: str, line: str, tmp_path: Path) -> None:
    number = add_line(tmp_path, f"figures/{file}", line)
    (crossing,) = imports_across(tmp_path)
    assert crossing.startswith(f"src/helpers/figures/{file}:{number}: ")


def add_line(sources: Path, file: str, line: str) -> int:
    """Copy the package below `sources` with `line` at the end of a file; returns the number of its last line."""
    shutil.copytree(SOURCES / "helpers", sources / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    changed = sources / "helpers" / file
    before = changed.read_text(encoding="utf-8")
    changed.write_text(f"{before}\n\n{line}\n", encoding="utf-8")
    return before.count("\n") + 3 + line.count("\n")


def test_every_folder_has_its_place_in_the_order_and_few_modules_stand_at_the_root() -> None:
    folders = {
        folder.name for folder in (SOURCES / "helpers").iterdir() if (folder / "__init__.py").is_file()
    }
    assert folders <= set(ORDER)
    assert {file.stem for file in (SOURCES / "helpers").glob("*.py")} == AT_THE_ROOT


def test_contributing_describes_every_folder_in_the_order_of_the_imports() -> None:
    text = (paths.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert tuple(row.removesuffix("/") for row in rows) == ORDER


def test_the_tests_mirror_the_folders() -> None:
    known = {
        folder.relative_to(SOURCES / "helpers")
        for folder in (SOURCES / "helpers").rglob("*")
        if folder.is_dir()
    }
    tests = paths.ROOT / "tests"
    mirrored = {file.parent.relative_to(tests) for file in tests.rglob("test_*.py")} - {Path()}
    assert mirrored <= known


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("core/units.py", "from helpers.study.catalogue import study"),
        ("results/tables.py", "from helpers import audit"),
        ("records/storage.py", "import helpers.measure.run"),
        ("statistics/regression.py", "def late():\n    from helpers.figures import style"),
        ("campaigns/run/jobs.py", "from helpers.cli import main"),
    ],
)
def test_a_line_that_imports_upwards_is_named(file: str, line: str, tmp_path: Path) -> None:
    number = add_line(tmp_path, file, line)
    (upward,) = upward_imports(tmp_path)
    assert upward.startswith(f"src/helpers/{file}:{number}: ")
