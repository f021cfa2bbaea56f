"""The pages of the runs: where they stand, what they say, and that they say when a file is not what it was."""

import json
import re
import shutil
from array import array
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup, Tag

from helpers.book import build
from helpers.book.run_pages import notebook_cells
from helpers.book.run_pages.page import page
from helpers.book.run_pages.power_chart import drawing, lines_of, power_lines
from helpers.book.run_pages.staging import LIST, stage_pages
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.run_addresses import page_of
from helpers.metering.sampling_process import About, Samples, write
from helpers.metering.timeline import read_timeline
from helpers.records.environment import sha256_of
from helpers.records.storage import RAW_ANSWERS, RECORD, read_record, read_records
from helpers.results.tables import load_tables

CPU_RUN = paths.MEASUREMENTS / "reference-cpu" / "news-linear-bow-31b092b2"
GPU_RUN = paths.MEASUREMENTS / "reference-gpu" / "news-linear-embedding-fe5b93f3"
SCRIPT = "<script>alert(1)</script>"
TOC = {
    "root": "book/index",
    "parts": [{"caption": "Audit", "chapters": [{"file": LIST}, {"file": "book/audit"}]}],
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of a committed run, as a live one."""
    return Path(shutil.copytree(CPU_RUN, tmp_path / "mine" / CPU_RUN.name))


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """A staging folder with nothing but a table of contents."""
    folder = tmp_path / "staging"
    folder.mkdir()
    (folder / "_toc.yml").write_text(yaml.safe_dump(TOC), encoding="utf-8")
    return folder


def change(folder: Path, section: str, **values: Any) -> None:
    document = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    document[section] |= values
    (folder / RECORD).write_text(json.dumps(document), encoding="utf-8")


def shown(folder: Path) -> BeautifulSoup:
    """Return what the page of a run shows of its record, as a browser reads it."""
    cells = page(folder / RECORD)["cells"]
    own_cells = [cell for cell in cells if "remove-input" in cell["metadata"].get("tags", [])]
    fragments = "".join(cell["outputs"][0]["data"]["text/html"] for cell in own_cells)
    return BeautifulSoup(fragments, "html.parser")


def table(page_of_run: BeautifulSoup, caption: str) -> list[dict[str, str]]:
    section = page_of_run.find("div", attrs={"aria-label": caption})
    assert isinstance(section, Tag), caption
    head = [cell.get_text() for cell in section.select("thead th")]
    return [
        dict(zip(head, (cell.get_text() for cell in row.select("td")), strict=True))
        for row in section.select("tbody tr")
    ]


# Where a page stands


def test_committed_and_live_runs_of_a_campaign_have_different_pages():
    assert page_of("data/measurements/reference-cpu/a/record.json") == "runs/reference-cpu/a.html"
    assert page_of("runs/reference-cpu/a/record.json") == "runs/reference-cpu-live/a.html"
    assert page_of("runs/demo/a/record.json") == "runs/demo/a.html"


@pytest.mark.parametrize(
    "path", ["", "record.json", "a/record.json", "runs/demo/a/notebook.ipynb", "table_b1"]
)
def test_what_is_no_record_has_no_page(path):
    with pytest.raises(ValueError, match="no path of a record"):
        page_of(path)


def test_every_run_behind_the_results_is_staged_and_filed_below_the_list_of_runs(staging):
    documents = stage_pages(load_tables(), staging)
    committed = {f"runs/{file.parts[-3]}/{file.parts[-2]}" for file in read_records(paths.MEASUREMENTS)[0]}
    assert committed <= set(documents)
    assert {str(file.relative_to(staging).with_suffix("")) for file in staging.glob("runs/*/*")} == set(
        documents
    )
    chapters = yaml.safe_load((staging / "_toc.yml").read_text(encoding="utf-8"))["parts"][0]["chapters"]
    assert chapters == [
        {"file": LIST, "sections": [{"file": name} for name in documents]},
        {"file": "book/audit"},
    ]


def test_a_page_is_written_when_its_record_changed_and_goes_with_its_run(staging, tmp_path, run):
    gone = staging / "runs" / "old" / "gone.ipynb"
    gone.parent.mkdir(parents=True)
    gone.write_text("{}", encoding="utf-8")
    change(run, "run", campaign="mine")

    def stage() -> Path:
        documents = stage_pages(load_tables(committed=tmp_path / "none", live=tmp_path), staging)
        assert documents == [f"runs/mine/{run.name}"]
        return staging / f"{documents[0]}.ipynb"

    first = stage().stat().st_mtime_ns
    assert not gone.parent.exists()
    assert stage().stat().st_mtime_ns == first, (
        "an unchanged page was written again: the whole book would be built anew"
    )
    change(run, "run", dataset_origin="elsewhere")
    assert "elsewhere" in stage().read_text(encoding="utf-8")


def test_a_table_of_contents_without_the_list_of_runs_is_one_line(staging):
    (staging / "_toc.yml").write_text(yaml.safe_dump({**TOC, "parts": []}), encoding="utf-8")
    with pytest.raises(UserError, match=f"expected a chapter `file: {LIST}`"):
        stage_pages(load_tables(), staging)


def test_the_book_takes_the_files_of_a_live_run_and_no_raw_answers(tmp_path, monkeypatch, run):
    (run / RAW_ANSWERS).write_text("what a model said", encoding="utf-8")
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    monkeypatch.setattr(paths, "STAGING", tmp_path / ".staging")
    build.stage()
    copied = {file.name for file in (paths.STAGING / "data" / "runs" / "mine" / run.name).iterdir()}
    assert copied == {RECORD, *read_record(run / RECORD).files}


# What it says


def test_the_summary_gives_what_the_run_gave():
    text = shown(GPU_RUN).select_one(".finding").get_text()  # type: ignore[union-attr]
    splits = read_record(GPU_RUN / RECORD).splits
    accuracy = sum(item.correct or 0 for item in splits) / sum(item.texts for item in splits)
    energy_mwh = 1000 * sum(item.energy.total_wh or 0 for item in splits) / len(splits)
    assert f"Accuracy {accuracy:.3f} ±" in text
    assert f"{energy_mwh:.1f}\u202fmWh (partly measured)" in text
    assert "over 10 splits" in text


def test_energy_stands_by_component_with_its_method_and_what_is_missing_is_no_zero():
    record = read_record(CPU_RUN / RECORD)
    rows = {
        row["Component"]: row
        for row in table(shown(CPU_RUN), "Energy of a pass over a test set, mean over the splits")
    }
    (column,) = [name for name in rows["CPU"] if name.startswith("Per pass")]
    unit_wh = {"µWh": 1e-6, "mWh": 1e-3, "Wh": 1.0}[column.removeprefix("Per pass (").removesuffix(")")]
    for title, name in (("CPU", "cpu"), ("Memory", "ram")):
        parts = [getattr(item.energy, name) for item in record.splits]
        mean_wh = sum(part.energy_wh for part in parts) / len(parts)
        assert float(rows[title][column]) * unit_wh == pytest.approx(mean_wh, rel=5e-3)
        assert rows[title]["Method"] == parts[0].method
    assert (rows["GPU"][column], rows["GPU"]["Method"]) == ("-", "missing")
    total_wh = sum(item.energy.total_wh or 0 for item in record.splits) / len(record.splits)
    assert float(rows["CPU, GPU and memory"][column]) * unit_wh == pytest.approx(total_wh, rel=5e-3)


def test_all_phases_and_all_checks_are_listed_and_failed_ones_come_first(run):
    document = json.loads((run / RECORD).read_text(encoding="utf-8"))
    document["checks"][2]["passed"] = False
    (run / RECORD).write_text(json.dumps(document), encoding="utf-8")
    page_of_run = shown(run)
    checks = table(page_of_run, "Checks")
    assert [row["Result"] for row in checks] == ["failed"] + ["passed"] * (len(document["checks"]) - 1)
    assert checks[0]["Check"] == document["checks"][2]["name"]
    assert f"1 of {len(checks)} checks failed: {checks[0]['Check']}." in page_of_run.get_text()
    assert len(table(page_of_run, "Phases, all splits together")) == len(document["phases"])


def test_files_have_their_hash_and_a_link_that_the_book_carries():
    for row, line in zip(
        table(shown(GPU_RUN), "Files of the run"),
        shown(GPU_RUN).select('[aria-label="Files of the run"] tbody a'),
        strict=True,
    ):
        file = GPU_RUN / row["File"]
        assert row["sha256"] == sha256_of(file)
        assert int(row["Bytes"]) == file.stat().st_size
        assert line["href"] == f"companion-root:{file.relative_to(paths.ROOT / 'data')}"


@pytest.mark.parametrize("name", ["predictions.parquet", "notebook.ipynb"])
def test_a_file_that_changed_or_is_gone_is_seen_on_the_page(run, name):
    expected = sha256_of(run / name)
    (run / name).write_bytes((run / name).read_bytes() + b"\n")
    row = next(row for row in table(shown(run), "Files of the run") if row["File"] == name)
    assert row["As recorded"] == f"no: {expected}"
    (run / name).unlink()
    row = next(row for row in table(shown(run), "Files of the run") if row["File"] == name)
    assert row["As recorded"] == "no: the file is missing"


def test_the_executed_notebook_stands_below_with_its_code_and_output_as_they_are():
    executed = json.loads((GPU_RUN / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    cells = page(GPU_RUN / RECORD)["cells"]
    staged = cells[-len(executed) :]
    assert [cell["cell_type"] for cell in staged] == [cell["cell_type"] for cell in executed]
    for before, after in zip(executed, staged, strict=True):
        if before["cell_type"] == "code":
            assert after["source"] == "".join(before["source"])
            texts = [[output.get("text") for output in cell["outputs"]] for cell in (before, after)]
            assert texts[0] == texts[1]
    headings = [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
    assert [text for text in headings if text.startswith("# ")] == [f"# Run {GPU_RUN.name}"], (
        "a page has one title"
    )


def test_a_search_finds_a_run_by_its_title_and_not_by_the_words_that_all_runs_share():
    assert page(GPU_RUN / RECORD)["metadata"]["nosearch"] is True


def write_notebook(run: Path, *cells: dict[str, Any], **about: Any) -> None:
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **about}
    (run / "notebook.ipynb").write_text(json.dumps(document), encoding="utf-8")


def code(**output: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": {},
        "source": "1",
        "execution_count": 1,
        "outputs": [{"output_type": "display_data", "metadata": {}, **output}],
    }


def test_lines_of_code_in_a_text_of_the_notebook_are_no_headings(run, monkeypatch):
    text = "# Title\n\n```\n# a comment\n```\n"
    monkeypatch.setattr(notebook_cells, "_our_texts", lambda: {text})
    write_notebook(run, {"cell_type": "markdown", "metadata": {}, "source": text})
    assert page(run / RECORD)["cells"][-1]["source"] == "### Title\n\n```\n# a comment\n```\n"


@pytest.mark.parametrize(
    "cell",
    [
        {"cell_type": "markdown", "metadata": {}, "source": f"{SCRIPT}\n```{{include}} /etc/passwd\n```"},
        {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": SCRIPT},
    ],
)
def test_texts_that_are_not_those_of_our_notebook_are_shown_and_not_followed(run, cell):
    write_notebook(run, cell)
    last = page(run / RECORD)["cells"][-1]
    assert last["cell_type"] == "code"
    (shown_as,) = (output["data"]["text/html"] for output in last["outputs"])
    page_of_run = BeautifulSoup(shown_as, "html.parser")
    assert page_of_run.get_text() == cell["source"]
    assert not page_of_run.find("script")


@pytest.mark.parametrize(
    "kind", ["text/html", "text/markdown", "text/latex", "image/svg+xml", "application/javascript"]
)
def test_of_an_output_only_text_pictures_and_the_cells_of_tables_are_shown(run, kind):
    write_notebook(run, code(data={kind: [SCRIPT], "text/plain": "words", "image/png": "iVBOR"}))
    (output,) = page(run / RECORD)["cells"][-1]["outputs"]
    assert output["data"] == {"text/plain": "words", "image/png": "iVBOR"}


def test_an_output_of_which_nothing_can_be_shown_is_left_out(run):
    write_notebook(run, code(data={"text/markdown": "x", "text/html": 1, "text/plain": [2]}))
    assert page(run / RECORD)["cells"][-1]["outputs"] == []


def test_a_table_keeps_its_words_and_loses_its_markup(run):
    markup = (
        f"<style>x</style><table onclick='alert(1)'><tr><th>a<th>&lt;b&gt;</tr>{SCRIPT}"
        f"<tr style='color:red'><td>1 <b>2</b></td><td>{SCRIPT}</td></tr></table>"
    )
    write_notebook(run, code(data={"text/html": markup}))
    (output,) = page(run / RECORD)["cells"][-1]["outputs"]
    table = BeautifulSoup(output["data"]["text/html"], "html.parser")
    assert [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")] == [
        ["a", "<b>"],
        ["1 2", "alert(1)"],
    ]
    assert not table.find_all(["script", "style", "b"])
    assert {name for tag in table.find_all(True) for name in tag.attrs} == {
        *("class", "tabindex", "role", "aria-label")
    }


def test_a_notebook_cannot_say_how_its_page_is_made(run):
    write_notebook(run, code(data={}), metadata={"mystnb": {"execution_mode": "force"}})
    assert set(page(run / RECORD)["metadata"]) == {"kernelspec", "language_info", "nosearch"}


def test_markup_that_no_table_can_be_read_from_is_shown_as_text(run):
    for markup in ("<p>hello</p>", "<![foo[x]]>"):
        write_notebook(run, code(data={"text/html": markup}))
        (output,) = page(run / RECORD)["cells"][-1]["outputs"]
        assert output["data"] == {"text/plain": markup}


def test_lines_of_a_cell_stay_apart(run):
    write_notebook(run, code(data={"text/html": "<table><tr><td>x<br>y<p>z</p></td></tr></table>"}))
    (output,) = page(run / RECORD)["cells"][-1]["outputs"]
    assert BeautifulSoup(output["data"]["text/html"], "html.parser").td.get_text() == "x y z"


NO_NOTEBOOKS = [
    {"cells": [{"cell_type": "raw", "metadata": {}, "source": "\ud800"}]},
    {"cells": [1]},
    {"cells": [{}]},
    {"cells": [], "metadata": []},
    {"cells": [{"cell_type": "markdown", "metadata": {}, "source": 5}]},
    {"cells": [{"cell_type": "code", "metadata": {}, "source": "", "execution_count": 1, "outputs": 1}]},
    {"cells": [code(data=[])]},
    {"nbformat": 3},
    {"nbformat": "x"},
]


@pytest.mark.parametrize("about", NO_NOTEBOOKS)
def test_what_has_not_the_form_of_a_notebook_is_none(run, about):
    rest = {name: value for name, value in about.items() if name != "cells"}
    write_notebook(run, *about.get("cells", []), **rest)
    assert "The file is missing or is not a notebook." in shown(run).get_text()


@pytest.mark.parametrize("papermill", [1, [], {"parameters": 1}, {"parameters": {"a": [1]}}])
def test_notes_of_papermill_may_be_anything(run, papermill):
    write_notebook(run, metadata={"papermill": papermill})
    assert "The file is missing or is not a notebook." not in shown(run).get_text()


@pytest.mark.parametrize("text", [None, "no notebook", "[]", '{"cells": 1}'])
def test_without_its_notebook_a_run_still_has_a_page(run, text):
    (run / "notebook.ipynb").unlink()
    if text is not None:
        (run / "notebook.ipynb").write_text(text, encoding="utf-8")
    assert "The file is missing or is not a notebook." in shown(run).get_text()


def test_the_command_measures_the_same_again_and_names_no_folder_of_the_machine(run):
    executed = json.loads((run / "notebook.ipynb").read_text(encoding="utf-8"))
    executed["metadata"]["papermill"]["parameters"] |= {"data_dir": "/home/me", "model": "my model"}
    (run / "notebook.ipynb").write_text(json.dumps(executed), encoding="utf-8")
    command = next(line.get_text() for line in shown(run).select("pre") if "measure" in line.get_text())
    assert command.startswith(".venv/bin/python -m helpers measure traditional -p campaign=reference-cpu ")
    assert "-p 'model=my model'" in command
    assert "-p splits=10" in command
    assert "/home/me" not in command
    assert ".partial" not in command


def test_strings_of_a_record_are_text_and_never_markup(run):
    change(run, "run", checkpoint=SCRIPT, dataset_origin=SCRIPT)
    change(run, "environment", cpu_model=SCRIPT, packages={SCRIPT: SCRIPT})
    page_of_run = shown(run)
    assert not page_of_run.find_all("script")
    assert page_of_run.get_text().count(SCRIPT) == 5


# Power over time


def parquet(file: Path, **columns: list[float]) -> Path:
    rows = len(next(iter(columns.values())))
    values = {"time_s": array("d", [100 + row / 10 for row in range(rows)])}
    values |= {name.replace("__", ":"): array("d", column) for name, column in columns.items()}
    write(Samples(values, About(period_s=0.1, rows=rows, missed=2, own_cpu_percent=0.4, absent={})), file)
    return file


def test_a_peak_of_one_row_among_thousands_is_drawn(tmp_path):
    power = [100.0] * 9000
    power[4321] = 450.0
    (line,) = lines_of(
        read_timeline(parquet(tmp_path / "power.parquet", **{"rapl__package-0__power_w": power}))
    )
    svg = BeautifulSoup(drawing(line), "html.parser")
    points = [tuple(map(float, point.split(","))) for point in svg.polyline["points"].split()]  # type: ignore[index, union-attr]
    assert min(points, key=lambda point: point[1]) == (
        pytest.approx(1000 * 4321 / 8999, abs=0.1),
        10.0,
    )  # of 500 W
    assert len(points) < 1000
    assert [point[0] for point in points] == sorted(point[0] for point in points)
    assert (points[0][0], points[-1][0]) == (0.0, 1000.0)
    assert svg.svg["aria-label"] == "CPU package-0 over 900\u202fs: mean 100\u202fW, highest 450\u202fW"  # type: ignore[index]


def test_of_a_gpu_the_power_of_the_moment_is_drawn_or_the_mean_where_that_is_unknown(tmp_path):
    absent = float("nan")
    file = parquet(
        tmp_path / "power.parquet",
        **{
            "nvml__GPU-a__power_instant_w": [1.0, 2.0],
            "nvml__GPU-a__power_average_w": [5.0, 5.0],
            "nvml__GPU-b__power_instant_w": [absent, absent],
            "nvml__GPU-b__power_average_w": [7.0, 8.0],
            "nvml__GPU-c__power_instant_w": [absent, absent],
            "nvml__GPU-a__temperature_c": [40.0, 41.0],
            "cpu_load_percent": [10.0, 20.0],
        },
    )
    drawn = [(line.title, line.unit, list(line.values)) for line in lines_of(read_timeline(file))]
    assert drawn == [
        ("GPU GPU-a", "W", [1.0, 2.0]),
        ("GPU GPU-b", "W", [7.0, 8.0]),
        ("Load of the whole CPU", "%", [10.0, 20.0]),
    ]
    assert "2 missed" in power_lines(file)


def test_where_no_power_was_measured_the_page_says_so_and_draws_the_load(tmp_path):
    chart = power_lines(parquet(tmp_path / "power.parquet", cpu_load_percent=[0.0, 0.0, 0.0]))
    assert "No power could be measured" in chart
    assert chart.count("<svg") == 1


def test_a_run_without_a_time_line_and_one_whose_time_line_is_broken_say_so(tmp_path):
    run = Path(shutil.copytree(GPU_RUN, tmp_path / "mine" / GPU_RUN.name))
    assert "has no power time line" in shown(run).get_text()
    pd.DataFrame({"a": [1]}).to_parquet(run / "power.parquet")
    change(run, "files", **{"power.parquet": sha256_of(run / "power.parquet")})
    assert re.search("expected a power time line, found another table", shown(run).get_text())
