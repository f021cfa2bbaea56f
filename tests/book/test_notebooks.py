"""Notebooks show, the package does: what stands in the repository is source and nothing else."""

import ast
import re
from itertools import pairwise

import nbformat
import pytest

from helpers.core import paths

SOURCES = sorted(file for file in paths.NOTEBOOKS.rglob("*.ipynb") if ".ipynb_checkpoints" not in file.parts)
NAMES = [file.relative_to(paths.NOTEBOOKS).as_posix() for file in SOURCES]


@pytest.fixture(params=SOURCES, ids=NAMES)
def notebook(request):
    return nbformat.read(request.param, as_version=nbformat.NO_CONVERT)


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def nodes(source):
    return list(ast.walk(ast.parse(source)))


def faults(source):
    """What a code cell must not hold."""
    lines = []
    for node in nodes(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            lines.append(f"defines {getattr(node, 'name', 'a lambda')}")
        if isinstance(node, ast.For | ast.AsyncFor | ast.While):
            lines.append("loops")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_path(node.value):
            lines.append(f"path {node.value!r}")
    return lines


def is_path(text):
    return bool(re.search(r"(^|\s)(/|~/|[A-Za-z]:\\)\w|\.\./|\.\.\\", text))


def test_there_are_notebooks_to_measure_and_to_analyse():
    assert {"measure/traditional.ipynb", "measure/llm.ipynb"} <= set(NAMES)
    assert any(name.startswith("analysis/") for name in NAMES)


def test_it_is_valid_and_has_a_title(notebook):
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert re.match(r"# \S", notebook.cells[0].source)


def test_it_holds_no_outputs_and_was_not_executed(notebook):
    for cell in notebook.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert "execution" not in cell.metadata
    assert "papermill" not in notebook.metadata
    assert "widgets" not in notebook.metadata


def test_it_runs_with_the_kernel_that_everybody_has(notebook):
    assert notebook.metadata.kernelspec.name == "python3"


def test_its_cells_are_short(notebook):
    shown = [cell for cell in notebook.cells if "parameters" not in cell.metadata.get("tags", [])]
    assert [cell.source for cell in shown if len(cell.source.splitlines()) > 15] == []
    assert [cell.source for cell in notebook.cells if not cell.source.strip()] == []


def test_its_code_defines_nothing_loops_over_nothing_and_spells_no_path(notebook):
    assert {source: lines for source in code(notebook) if (lines := faults(source))} == {}


def test_its_code_uses_the_package_and_no_library_behind_its_back(notebook):
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for source in code(notebook)
        for node in nodes(source)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"helpers"}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("measure/")])
def test_a_measurement_notebook_has_one_cell_of_parameters_and_nothing_before_it(name):
    cells = nbformat.read(paths.NOTEBOOKS / name, as_version=nbformat.NO_CONVERT).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert next(cell for cell in cells if cell.cell_type == "code") is tagged[0]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("analysis/")])
def test_an_analysis_notebook_shows_its_steps_and_at_the_end_one_figure_or_table(name):
    cells = nbformat.read(paths.NOTEBOOKS / name, as_version=nbformat.NO_CONVERT).cells
    steps = [cell for cell in cells if cell.cell_type == "code"]
    assert 3 <= len(steps) <= 6
    assert [cell.source for cell in steps if len(cell.source.splitlines()) > 8] == []
    assert [cell.metadata.tags for cell in steps if cell.metadata.get("tags")] == []  # none is hidden
    assert [".show()" in cell.source for cell in steps] == [False] * (len(steps) - 1) + [True]
    values = [ast.parse(cell.source).body[-1] for cell in steps]
    assert all(isinstance(value, ast.Expr) for value in values)  # each shows what it has made
    described = [before.cell_type for before, cell in pairwise(cells) if cell.cell_type == "code"]
    assert set(described) == {"markdown"}


def test_readme_lists_every_analysis_with_the_module_that_draws_it():
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        if name.startswith("analysis/"):
            cells = nbformat.read(paths.NOTEBOOKS / name, as_version=nbformat.NO_CONVERT).cells
            first = next(cell for cell in cells if cell.cell_type == "code")
            module = re.search(
                r"from helpers\.(figures\.paper|figures\.beyond|campaigns\.plan) import (\w+)", first.source
            )
            assert module, name
            file = paths.ROOT / "src" / "helpers" / module[1].replace(".", "/") / f"{module[2]}.py"
            assert f"(notebooks/{name}) | [{file.name}]({paths.relative(file)})" in text
            assert file.is_file()
