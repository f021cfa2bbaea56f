"""Analyses in forks of a warm process: what a notebook shows, how it fails, and that none disturbs another."""

import json
from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers.book import analyses, warm_engine
from helpers.figures.executed import read_executed_figure
from tests.conftest import refusal


def write(file: Path, *cells: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=metadata), file)
    return file


def outputs(executed: Path) -> list[dict]:
    document = json.loads(executed.read_text(encoding="utf-8"))
    outputs = [output for cell in document["cells"] for output in cell.get("outputs", [])]
    for output in outputs:
        output.pop("traceback", None)  # tells of the frames of either
    return outputs


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of analysis notebooks in place of the project's."""
    monkeypatch.setattr(analyses.paths, "ROOT", tmp_path)
    monkeypatch.setattr(analyses, "SOURCES", tmp_path / "notebooks" / "analysis")
    return tmp_path / "notebooks" / "analysis"


CELLS = (
    "x = 20\nprint('seen')",
    "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'), metadata={'companion': {'n': 1}})\nx + 1",
    "import sys\nprint('aside', file=sys.stderr)",
)


def test_shows_what_a_kernel_shows(tmp_path: Path) -> None:
    source = write(tmp_path / "in.ipynb", *CELLS)
    for engine in (None, warm_engine.NAME):
        papermill.execute_notebook(
            source, tmp_path / f"{engine}.ipynb", engine_name=engine, progress_bar=False, cwd=tmp_path
        )
    warm, kernel = outputs(tmp_path / "warm.ipynb"), outputs(tmp_path / "None.ipynb")
    assert warm == kernel
    assert [output["output_type"] for output in warm] == [
        "stream",
        "display_data",
        "execute_result",
        "stream",
    ]
    assert warm[1]["metadata"] == {"companion": {"n": 1}}


def test_stops_at_the_cell_that_fails_and_keeps_its_error(tmp_path: Path) -> None:
    source = write(tmp_path / "in.ipynb", "x = 1", "x / 0", "print('never')")
    for engine in (None, warm_engine.NAME):
        with pytest.raises(papermill.PapermillExecutionError, match="ZeroDivisionError"):
            papermill.execute_notebook(
                source, tmp_path / f"{engine}.ipynb", engine_name=engine, progress_bar=False, cwd=tmp_path
            )
    warm, kernel = outputs(tmp_path / "warm.ipynb"), outputs(tmp_path / "None.ipynb")
    assert [output for output in warm if output["output_type"] == "error"] == [
        {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero"}
    ]
    assert [output["output_type"] for output in warm] == [output["output_type"] for output in kernel]


def test_one_notebook_does_not_see_another(sources: Path, tmp_path: Path) -> None:
    change = "import helpers.core.units\nassert not hasattr(helpers.core.units, 'mark')\nhelpers.core.units.mark = 1\nx = 1"
    for name in ("a", "b", "c"):
        write(sources / f"{name}.ipynb", change, "assert 'y' not in globals()\ny = 1")
    executed = analyses.analyse(["a", "b", "c"], tmp_path / "out")
    assert [file.name for file in executed] == ["a.ipynb", "b.ipynb", "c.ipynb"]
    assert all(file.is_file() for file in executed)


def test_those_that_fail_are_named_and_the_others_appear(
    sources: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    write(sources / "bad.ipynb", "raise ValueError('it is Monday')")
    write(sources / "gone.ipynb", "import os\nos._exit(9)")
    write(sources / "good.ipynb", "1")
    line = refusal(analyses.analyse, ["bad", "gone", "good"], tmp_path / "out")
    assert "2 of 3" in line
    assert line.endswith("bad, gone")
    assert "error: notebooks/analysis/bad.ipynb: ValueError: it is Monday" in capfd.readouterr().err
    written = [file.name for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert written == ["good.ipynb"]


def test_unknown_name_is_refused_before_anything_runs(sources: Path, tmp_path: Path) -> None:
    write(sources / "table_b1.ipynb", "1")
    assert "table_b1" in refusal(analyses.analyse, ["table_b9"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_analysis_of_the_project_can_be_read_back(tmp_path: Path) -> None:
    [executed] = analyses.analyse(["table_b1"], tmp_path)
    shown = read_executed_figure(executed)
    assert (shown.name, shown.kind) == ("table_b1", "table")
    assert str(Path.home()) not in executed.read_text(encoding="utf-8")
    assert json.loads(executed.read_text(encoding="utf-8"))["metadata"]["language_info"]["name"] == "python"
