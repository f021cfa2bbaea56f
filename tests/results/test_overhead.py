"""The benches of the meter: the quick one really runs, what it leaves can be read and shown, and no GPU is one line."""

import json
import math
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.figures.beyond import metering_overhead as artefact
from helpers.metering.readings import Reading, SourceReading
from helpers.records.storage import Component, Energy, Method
from helpers.results import overhead as bench
from helpers.results.overhead import Cell, GpuBench, GpuCell, MeterBench, Overhead, Tool, Where
from tests.conftest import ROOT, refusal

BENCHMARKS = ROOT / "benchmarks"
UUID = "GPU-11111111-2222-3333-4444-555555555555"
PAGE = ROOT / "book" / "protocol.md"


def run(script: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the benches, which import each other by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu_meter
    import meter
    import overhead
    import report
    import tools

    class Scripts:
        pass

    scripts = Scripts()
    for name, module in [("gpu_meter", gpu_meter), ("meter", meter), ("overhead", overhead)]:
        setattr(scripts, name, module)
    scripts.report, scripts.tools = report, tools  # type: ignore[attr-defined]
    return scripts


def bench_machine(machine: str = "amd-epyc-2c") -> Where:
    return Where(
        created="2026-11-20T12:00:00Z",
        machine=machine,
        cpu_model="AMD EPYC",
        cpu_cores=2,
        ram_gb=23.54,
        gpus=[],
        git_commit=None,
        git_dirty=None,
    )


def cell(tool: str, length_s: float, energy_wh: float | None, long_wh: float | None = 2.0) -> Cell:
    return Cell(
        tool=tool,
        length_s=length_s,
        repeats=3,
        passes=1,
        long_passes=100,
        long_duration_s=length_s,
        long_energy_wh=long_wh,
        clock_s=length_s * 2,
        duration_s=length_s * 1.5,
        energy_wh=energy_wh,
        energy_lowest_wh=None if energy_wh is None else energy_wh / 2,
        energy_highest_wh=None if energy_wh is None else energy_wh * 2,
        others_percent=12.0,
    )


def result(cells: list[Cell], overheads: list[Overhead] | None = None) -> MeterBench:
    names = dict.fromkeys(item.tool for item in cells)
    return MeterBench(
        where=bench_machine(),
        load_before_percent=3.0,
        window_s=5.0,
        tools=[Tool(name=n, title=f"tool {n}", version="1", counts="cpu", problem=None) for n in names],
        cells=cells,
        overheads=overheads or [],
        edge_s=0.002,
    )


def cost(median: float, low: float, high: float) -> Overhead:
    return Overhead(
        what="the meter", pairs=15, block_s=0.3, median_percent=median, low_percent=low, high_percent=high
    )


# The bench itself


def test_the_quick_bench_really_measures_with_our_meter_and_leaves_json_and_a_table(tmp_path):
    done = run(
        "meter.py",
        *("--lengths", "0.001", "0.02", "--tools", "ours", "zeus", "--window", "0.3", "--long", "0.3"),
        *("--pairs", "15", "--block", "0.02", "--wait", "0", "--out", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    ((file, loaded),) = bench.load_meter_benches(tmp_path)
    assert Path(file).name == f"meter-{loaded.where.machine}.json"
    assert [(item.tool, item.length_s) for item in loaded.cells] == [("ours", 0.001), ("ours", 0.02)]
    short, long = loaded.cells
    assert short.passes > long.passes > 1, "passes repeat until the window is long enough"
    for item in loaded.cells:
        assert item.duration_ratio == pytest.approx(
            1, abs=0.9
        )  # others work here, too; a wrong unit is 1000 off
        assert item.long_duration_s == pytest.approx(item.length_s, rel=3)
        assert item.energy_wh is not None
        assert item.energy_wh > 0
    assert {item.what for item in loaded.overheads} == {"the meter", "the meter and the power time line"}
    assert all(item.low_percent <= item.median_percent <= item.high_percent for item in loaded.overheads)
    assert loaded.edge_s < 5
    companion, zeus = loaded.tools
    assert "cpu" in str(companion.counts)
    assert (zeus.version, "not installed" in str(zeus.problem)) == (None, True)
    table = (tmp_path / f"meter-{loaded.where.machine}.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\| [^|]+ \| this project \| \d+ \|", table, re.MULTILINE)) == 2
    assert "Other processes used" in table
    assert table in done.stdout


def test_a_tool_measures_a_task_once_and_then_for_long_in_one_process(tmp_path):
    done = run("tools.py", "codecarbon-1", "--loops", "2000", "--repeats", "2", "--long", "0.4")
    (line,) = [text for text in done.stdout.splitlines() if text.startswith("ANSWER ")]
    answer = json.loads(line.removeprefix("ANSWER "))
    assert answer["problem"] is None
    assert [shot["passes"] for shot in answer["shots"]] == [1, 1]
    assert answer["long"]["passes"] > 2
    assert answer["long"]["clock_s"] >= 0.4
    assert answer["long"]["energy_wh"] > 0
    assert "ram" in answer["counts"]


def test_a_tool_that_cannot_be_imported_or_started_is_reported_and_costs_nothing_else(tmp_path, scripts):
    broken = tmp_path / "peers"
    chosen = scripts.meter.Settings((0.001,), ("zeus",), 1.0, 1.0, 15, 0.1, broken)
    tool, cells = scripts.meter._tool("zeus", chosen, 1e6)
    assert cells == []
    assert "its Python does not start" in tool.problem
    (broken / "bin").mkdir(parents=True)
    (broken / "bin" / "python").symlink_to(sys.executable)
    tool, cells = scripts.meter._tool("zeus", chosen, 1e6)
    assert (tool.version, tool.problem, cells) == (None, "not installed", [])


def test_fewer_pairs_than_say_something_are_refused(tmp_path):
    done = run("meter.py", "--pairs", "14", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "at least 15" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_task_is_repeated_until_the_time_is_over_and_at_least_once(scripts):
    done: list[int] = []
    assert scripts.tools.repeated(lambda: done.append(1), 0.0)[0] == len(done) == 1
    passes, seconds = scripts.tools.repeated(scripts.tools.task(100), 0.05)
    assert passes > 1
    assert 0.05 <= seconds < 5


def test_the_interval_of_equal_ratios_is_that_ratio(scripts):
    assert scripts.overhead.interval_percent([1.01] * 15) == pytest.approx((1.0, 1.0, 1.0))


@given(st.lists(st.floats(0.5, 2.0), min_size=15, max_size=41))
def test_the_median_lies_in_its_interval_and_the_interval_in_the_data(ratios):
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from overhead import interval_percent
    finally:
        sys.path.remove(str(BENCHMARKS))
    median, low, high = interval_percent(ratios)
    assert median == pytest.approx(100 * (statistics.median(ratios) - 1))
    assert 100 * (min(ratios) - 1) - 1e-9 <= low <= high <= 100 * (max(ratios) - 1) + 1e-9
    assert low - 1e-9 <= median <= high + 1e-9


# What it leaves


def test_ratios_are_to_the_long_run_and_absent_where_either_is():
    reference = cell("ours", 0.1, 1.0)
    assert (reference.duration_ratio, reference.energy_ratio) == (pytest.approx(1.5), 0.5)
    # The machine was half as fast as in the long run: twice the duration, and a quarter of the power.
    assert reference.power_ratio == pytest.approx(0.25)
    assert reference.power_range == pytest.approx((0.125, 0.5))
    assert cell("ours", 0.1, None).energy_ratio is None
    assert cell("ours", 0.1, None).power_ratio is None
    assert cell("ours", 0.1, 1.0, long_wh=None).energy_ratio is None
    assert cell("ours", 0.1, 1.0, long_wh=0.0).energy_ratio is None  # nothing to divide by
    assert cell("ours", 0.1, 0.0).energy_ratio == 0  # a zero that was reported is one


def test_a_result_is_read_as_it_was_written(tmp_path, scripts):
    written = result([cell("ours", 0.001, 1.0), cell("zeus", 0.001, None)], [cost(0.2, -0.1, 0.5)])
    scripts.report.write(written, tmp_path)
    assert [loaded for _, loaded in bench.load_meter_benches(tmp_path)] == [written]
    assert bench.load_gpu_benches(tmp_path) == []
    table = (tmp_path / "meter-amd-epyc-2c.md").read_text(encoding="utf-8")
    assert re.search(
        r"\| tool zeus \| 1 \| 1\.50\sms \| 1\.50 \| missing \| missing \| missing \| - \| 12\s%", table
    )


def test_a_file_that_is_no_result_is_refused_in_one_line(tmp_path):
    (tmp_path / "meter-x.json").write_text('{"schema_version": 1, "cels": []}')
    line = refusal(bench.load_meter_benches, tmp_path)
    assert "meter-x.json" in line
    assert "nearest: 'cells'" in line


# A GPU


def test_without_a_gpu_the_bench_says_so_in_one_line_and_fails(tmp_path):
    done = run("gpu_meter.py", "--out", str(tmp_path), CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: no GPU with an energy counter: ")
    assert list(tmp_path.iterdir()) == []


def test_counter_time_line_and_codecarbon_are_compared_per_pass(scripts):
    # 300 W over 12 s are 1 Wh; the averaged power is not there; CodeCarbon says 5 % more.
    times = [i / 10 for i in range(200)]
    frame = pd.DataFrame({"time_s": times, f"nvml:{UUID}:power_instant_w": 300.0})
    sources = (
        SourceReading("codecarbon:measured:nvml-counter", "gpu", 1.05, None),
        SourceReading("codecarbon:estimated:cpu-load", "cpu", 7.0, None),
        SourceReading(f"nvml:{UUID}", "gpu", 1.0, "short"),
    )
    missing = Component(energy_wh=None, method="missing")
    energy = Energy(cpu=missing, gpu=missing, ram=missing, ram_codecarbon=missing)
    measured = scripts.gpu_meter.Measured("a product", 4, 2.0, 14.0, Reading(12.0, 12.0, energy, sources))
    gpu_cell = scripts.gpu_meter.cell(measured, UUID, frame)
    assert gpu_cell.counter_wh == pytest.approx(0.25)
    assert gpu_cell.instant_wh == pytest.approx(0.25)
    assert gpu_cell.average_wh is None
    assert gpu_cell.codecarbon_wh == pytest.approx(1.05 / 4)
    assert gpu_cell.duration_s == pytest.approx(3.0)
    assert gpu_cell.problems == [f"nvml:{UUID}: short"]


def gpu_result() -> GpuBench:
    reference = GpuCell(
        task="a product",
        passes=4,
        duration_s=3.0,
        counter_wh=0.25,
        instant_wh=0.2,
        average_wh=None,
        codecarbon_wh=0.25,
        problems=[],
    )
    return GpuBench(
        where=bench_machine(), driver="1", torch="2", window_s=10.0, period_s=0.1, cells=[reference]
    )


def test_the_table_of_a_gpu_gives_ratios_to_the_counter(tmp_path, scripts):
    scripts.report.write(gpu_result(), tmp_path)
    table = (tmp_path / "gpu-meter-amd-epyc-2c.md").read_text(encoding="utf-8")
    assert re.search(
        r"\| a product \| 4 \| 3\.00\ss \| 0\.250\sWh \| 0\.800 \| missing \| 1\.00 \| - \|", table
    )
    assert [loaded for _, loaded in bench.load_gpu_benches(tmp_path)] == [gpu_result()]


# The page


def test_without_a_bench_the_page_says_how_to_run_one():
    shown = artefact.protocol([])
    assert "make bench-meter" in shown.finding
    assert "make bench-gpu-meter" in shown.body
    assert list(shown.panels) == []
    assert len(shown.data) == 0


def test_the_finding_follows_the_result():
    cells = [cell("ours", 0.001, 4.0), cell("ours", 20.0, 4.4), cell("codecarbon-15", 0.001, 0.2)]
    shown = artefact.protocol([("benchmarks/results/x.json", result(cells, [cost(0.2, -0.1, 0.5)]))])
    assert (
        "windows report 1.00 to 1.10 times the mean power and 2.00 to 2.20 times the energy" in shown.finding
    )
    assert (
        "start and stop reports 0.0500 to 0.0500 times the mean power and 0.100 to 0.100 times"
        in shown.finding
    )
    assert "1.0\u202fms to 20\u202fs" in shown.finding
    assert "+0.2\u202f% (-0.1 to +0.5\u202f%)" in shown.finding
    (panel,) = shown.panels
    assert [trace.name for trace in panel.figure.data] == ["tool ours", "tool codecarbon-15"]
    assert list(panel.figure.data[0].y) == pytest.approx([1.0, 1.1])
    assert list(shown.inputs) == ["benchmarks/results/x.json"]


@pytest.mark.parametrize(
    ("overhead", "verdict"),
    [
        (cost(0.2, -0.1, 0.5), "meets the goal"),
        (cost(3, 2, 4), "is missed"),
        (cost(0.5, -2, 2), "it is open whether the goal"),
    ],
)
def test_the_verdict_on_the_overhead_is_what_its_interval_allows(overhead, verdict):
    shown = artefact.protocol([("benchmarks/results/x.json", result([cell("ours", 0.1, 1.0)], [overhead]))])
    assert verdict in shown.body


def test_tools_without_an_energy_have_a_row_and_no_mark():
    shown = artefact.protocol(
        [("benchmarks/results/x.json", result([cell("ours", 0.1, 1.0), cell("zeus", 0.1, None)]))],
        [("benchmarks/results/y.json", gpu_result())],
    )
    assert [trace.name for trace in shown.panels[0].figure.data] == ["tool ours"]
    assert "<td>tool zeus</td>" in shown.body
    assert "a product" in shown.body
    assert math.isnan(shown.data.loc[shown.data["tool"] == "zeus", "energy_ratio"].astype(float).item())


def test_committed_results_can_be_shown():
    shown = artefact.protocol(bench.load_meter_benches(), bench.load_gpu_benches())
    assert shown.finding.endswith(".")
    assert all((ROOT / name).is_file() for name in shown.inputs)


def test_the_page_explains_every_method_of_a_record():
    text = PAGE.read_text(encoding="utf-8")
    explained = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert explained == list(get_args(Method))


def test_the_drawing_takes_its_colours_from_the_page_and_has_words_for_those_who_do_not_see_it():
    (drawing,) = re.findall(r"<svg.*?</svg>", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', drawing))
    assert colours == {"currentColor", "none"}
    assert 'role="img"' in drawing
    assert len(re.search(r'aria-label="([^"]+)"', drawing)[1]) > 100
    assert "\n\n" not in drawing, "an empty line ends the HTML block"
