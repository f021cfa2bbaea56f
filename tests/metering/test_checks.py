"""Checks of the measuring: each fails where it must, and says what was found and what was expected."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from helpers.measure import llm_checks
from helpers.measure.traditional import texts_read_whole
from helpers.metering import checks
from helpers.metering.other_processes import Load, other_meters, other_processes
from helpers.metering.readings import Reading, SourceReading, Window
from helpers.models.llm.server_metrics import EngineCounters
from helpers.records.storage import Component, Counts, Energy

PART = Component(energy_wh=1.0, method="estimated:tdp")
ENERGY = Energy(cpu=PART, gpu=PART, ram=PART, ram_codecarbon=PART)


def reading(*sources: SourceReading, duration_s: float = 10.0, codecarbon_s: float = 10.0) -> Reading:
    return Reading(duration_s, codecarbon_s, ENERGY, tuple(sources))


def counter(
    name: str, energy_wh: float | None, problem: str | None = None, component: str = "gpu"
) -> SourceReading:
    return SourceReading(name, component, energy_wh, problem)


def test_clocks_more_than_five_percent_apart_are_told() -> None:
    assert checks.clocks_agree([reading(codecarbon_s=10.4)]).passed
    check = checks.clocks_agree([reading(), reading(codecarbon_s=11.0)])
    assert not check.passed
    assert "10.00%" in check.message


def test_the_shortest_window_decides() -> None:
    windows = [Window(3, reading(duration_s=6.0)), Window(2, reading(duration_s=4.0))]
    assert checks.window_long_enough(windows, 4.0).passed
    check = checks.window_long_enough(windows, 5.0)
    assert not check.passed
    assert "4.00 s" in check.message


def test_a_counter_that_stood_still_is_told_and_one_that_is_not_there_is_no_fault() -> None:
    absent = counter("rapl", None, "no folder", "cpu")
    assert checks.counters_moved([reading(absent)]).passed
    assert "no energy counter here" in checks.counters_moved([reading(absent)]).message
    assert checks.counters_moved([reading(counter("nvml:GPU-1", 2.0), absent)]).passed
    stuck = checks.counters_moved([reading(counter("nvml:GPU-1", None, "stood still"), absent)])
    assert not stuck.passed
    assert "nvml:GPU-1: stood still" in stuck.message


def test_two_sources_1_7_times_apart_do_not_agree() -> None:
    same = [counter("codecarbon:measured:nvml-counter", 2.02), counter("nvml:GPU-1", 2.0)]
    assert checks.sources_agree([reading(*same)]).passed
    apart = [counter("codecarbon:measured:nvml-counter", 3.4), counter("nvml:GPU-1", 2.0)]
    check = checks.sources_agree([reading(*same), reading(*apart)])
    assert not check.passed
    assert "70.0%" in check.message
    estimated = [
        counter("codecarbon:estimated:tdp", 9.0, component="cpu"),
        counter("rapl:package-0", 2.0, component="cpu"),
    ]
    assert checks.sources_agree([reading(*estimated)]).passed  # an estimate is not compared


def test_codecarbon_without_an_energy_does_not_agree_with_a_counter_that_has_one() -> None:
    lost = [
        counter("codecarbon:measured:nvml-counter", None, "CodeCarbon counted 0"),
        counter("nvml:GPU-1", 2.0),
    ]
    check = checks.sources_agree([reading(*lost)])
    assert not check.passed
    assert "CodeCarbon counted 0" in check.message
    nobody = [lost[0], counter("nvml:GPU-1", None, "stood still")]
    assert checks.sources_agree([reading(*nobody)]).passed  # the check of the counters tells


def test_the_integral_of_the_time_line_is_held_against_the_counter() -> None:
    assert checks.timeline_agrees([]).passed
    assert checks.timeline_agrees([("nvml:GPU-1", 2.0, 2.1)]).passed
    check = checks.timeline_agrees([("nvml:GPU-1", 2.0, 2.1), ("nvml:GPU-2", 2.0, 1.2)])
    assert not check.passed
    assert "GPU-2" in check.message
    assert "-40.0%" in check.message
    unseen = checks.timeline_agrees([("nvml:GPU-1", 2.0, 2.1)], ["nvml:GPU-2"])
    assert not unseen.passed
    assert "nvml:GPU-2" in unseen.message


def idle(cpu_wh: float, gpu_wh: float | None, ram_wh: float = 100.0) -> Reading:
    """An idle phase beside whose constant memory everything else is small."""
    gpu = Component(energy_wh=gpu_wh, method="missing" if gpu_wh is None else "measured:nvml-counter")
    energy = ENERGY.model_copy(
        update={
            "cpu": Component(energy_wh=cpu_wh, method="measured:rapl"),
            "gpu": gpu,
            "ram": Component(energy_wh=ram_wh, method="estimated:ram-0.375W/GB"),
        }
    )
    return Reading(10.0, 10.0, energy, ())


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [
        (idle(1.0, None), idle(1.05, None), True),
        (idle(1.0, None), idle(1.3, None), False),
        (idle(1.0, 2.0), idle(1.0, 2.5), False),
        (idle(1.0, 2.0), idle(1.02, 1.99), True),
    ],
)
def test_the_idle_power_of_no_measured_component_may_drift(
    before: Reading, after: Reading, passed: bool
) -> None:
    check = checks.idle_stable(before, after)
    assert check.passed is passed
    assert "%" in check.message


def test_estimated_idle_power_is_not_judged() -> None:
    check = checks.idle_stable(reading(), reading())
    assert (check.passed, check.message) == (
        True,
        "no component's idle power was measured before and after the run",
    )


def test_an_energy_without_a_component_that_was_used_is_not_known() -> None:
    whole, without_gpu = idle(1.0, 2.0).energy, idle(1.0, None).energy
    assert checks.energy_known([whole], gpus=1).passed
    assert checks.energy_known([without_gpu], gpus=0).passed
    check = checks.energy_known([whole, without_gpu], gpus=1)
    assert (check.passed, check.severity, check.message) == (False, "error", "no energy of: gpu")


def test_another_meter_on_the_machine_is_told(tmp_path: Path) -> None:
    script = tmp_path / "perun"
    script.write_text("import time; time.sleep(60)")
    # It outlives the shell that started it, so it is no child of this process.
    command = f"{sys.executable} {script} >/dev/null 2>&1 & echo $!"
    pid = int(subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout)
    try:
        meters = other_meters()
        assert f"perun (process {pid})" in meters
        assert not checks.one_tracker(meters).passed
    finally:
        os.kill(pid, signal.SIGKILL)
    assert checks.one_tracker([]).passed


def test_a_counter_of_another_gpu_is_told() -> None:
    readings = [reading(counter("nvml:GPU-1", 2.0), counter("rapl:package-0", 1.0, component="cpu"))]
    assert checks.metered_the_right_gpu("GPU-1", readings).passed
    check = checks.metered_the_right_gpu("GPU-2", readings)
    assert (check.passed, check.severity) == (False, "error")
    assert "GPU-1" in check.message


def test_scatter_over_the_splits_is_judged_by_three_percent() -> None:
    assert checks.repeats_agree([1.0, 1.01, 0.99]).passed
    assert not checks.repeats_agree([1.0, 1.2, 0.8]).passed
    assert not checks.repeats_agree([1.0]).passed


def test_what_slows_a_gpu_or_shares_it_is_told_and_unknown_is_a_fault_where_one_is_used() -> None:
    assert checks.clocks_not_throttled(None, gpus=0).passed
    assert not checks.clocks_not_throttled(None, gpus=1).passed
    assert checks.clocks_not_throttled(set(), gpus=1).passed
    check = checks.clocks_not_throttled({"sw-power-cap"}, gpus=1)
    assert (check.passed, check.message) == (False, "sw-power-cap")
    for gpus, unknown in ((0, True), (1, False)):
        settled = [checks.temperature_settled(value, gpus).passed for value in (None, True, False)]
        alone = [checks.alone_on_gpu(value, gpus).passed for value in (None, 0, 2)]
        assert settled == alone == [unknown, True, False]


def test_a_busy_machine_is_told() -> None:
    assert checks.machine_quiet(4.0, 2).passed
    assert not checks.machine_quiet(40.0, 2).passed
    assert not checks.machine_quiet(4.0, 128).passed  # five cores of others
    assert checks.machine_quiet(0.5, 128).passed


def fake_nvml(pids: list[int] | None) -> Any:
    error = type("NVMLError", (Exception,), {})

    def processes(_handle: str) -> list[Any]:
        if pids is None:
            raise error
        return [SimpleNamespace(pid=pid) for pid in pids]

    return SimpleNamespace(
        NVMLError=error,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetComputeRunningProcesses=processes,
    )


def test_other_processes_on_the_gpus_are_counted_and_this_one_is_not() -> None:
    assert other_processes(["GPU-1"], fake_nvml([os.getpid()])) == 0
    assert other_processes(["GPU-1", "GPU-2"], fake_nvml([os.getpid(), 1])) == 2
    assert other_processes(["GPU-1"], fake_nvml(None)) is None
    assert other_processes(["GPU-1"]) is None  # no driver here


# Language models


def counted(
    texts: int = 10, unanswered: int = 0, client: Counts | None = None, **engine: int
) -> llm_checks.Counted:
    counts = {"requests": 10, "prompt_tokens": 500, "generated_tokens": 90}
    counters = EngineCounters(
        **{**counts, "prefix_queries": 0, "prefix_hits": 0, "ttft_sum_s": 1.0, "ttft_count": 10, **engine}
    )
    return llm_checks.Counted(texts, unanswered, client or Counts(**counts), counters)


def test_counts_of_client_and_engine_that_are_equal_agree() -> None:
    assert llm_checks.engine_counts_agree([counted(), counted()]).passed
    assert llm_checks.no_cache([counted(), counted()], prefix_caching=False).passed


@pytest.mark.parametrize("name", ["requests", "prompt_tokens", "generated_tokens"])
def test_a_single_count_that_differs_is_told_with_its_split(name: str) -> None:
    check = llm_checks.engine_counts_agree([counted(), counted(**{name: 9})])
    assert (check.passed, check.severity) == (False, "error")
    assert check.message.startswith(f"split 1: {name} ")


def test_texts_that_never_reached_the_engine_came_from_a_cache() -> None:
    check = llm_checks.no_cache([counted(requests=3)], prefix_caching=False)
    assert not check.passed
    assert "3 requests reached the engine for 10 texts" in check.message


def test_hits_of_the_prefix_cache_are_a_fault_unless_they_are_wanted() -> None:
    hits = counted(prefix_queries=500, prefix_hits=250)
    assert not llm_checks.no_cache([hits], prefix_caching=False).passed
    allowed = llm_checks.no_cache([hits], prefix_caching=True)
    assert allowed.passed
    assert "50.0%" in allowed.message


def test_what_an_engine_does_not_count_is_not_shown_and_not_passed() -> None:
    unknown = replace(counted(), engine=None)
    for check in (
        llm_checks.no_cache([unknown], prefix_caching=False),
        llm_checks.engine_counts_agree([unknown]),
    ):
        assert (check.passed, check.severity) == (False, "warning")


def test_tokens_that_the_server_did_not_tell_cannot_agree() -> None:
    assert not llm_checks.engine_counts_agree([replace(counted(), client=None)]).passed


def test_passes_that_differ_and_requests_that_failed_are_told() -> None:
    assert llm_checks.passes_agree([]).passed
    assert llm_checks.passes_agree([1.0, 0.995]).passed
    assert not llm_checks.passes_agree([1.0, 0.9]).passed
    assert llm_checks.every_text_answered({}, 60).passed
    check = llm_checks.every_text_answered({"timeout": 2, "http-error": 1}, 60)
    assert (check.passed, check.message) == (False, "1 http-error, 2 timeout; 60 texts")


@pytest.mark.parametrize(
    ("engine", "here"),
    [
        ("vllm", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8000/v1", True),
        ("https://somewhere.example/v1", False),
    ],
)
def test_an_endpoint_elsewhere_takes_energy_that_is_not_measured(engine: str, here: bool) -> None:
    assert llm_checks.engine_here(engine, gpus=0, gpus_there=0).passed is here


def test_an_endpoint_that_may_use_gpus_that_are_not_counted_is_told() -> None:
    url = "http://127.0.0.1:8000/v1"
    assert "gpus=N" in llm_checks.engine_here(url, gpus=0, gpus_there=2).message
    assert not llm_checks.engine_here(url, gpus=0, gpus_there=2).passed
    assert llm_checks.engine_here(url, gpus=1, gpus_there=2).passed
    assert llm_checks.engine_here("vllm", gpus=0, gpus_there=2).passed  # not without a build for GPUs


def test_the_load_of_this_run_and_of_what_it_started_is_not_that_of_others() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        others = Load()
        before_s, start_s = sum(psutil.Process(busy.pid).cpu_times()[:2]), time.monotonic()
        time.sleep(1.0)
        own_percent = others.percent()
        taken_s = sum(psutil.Process(busy.pid).cpu_times()[:2]) - before_s
        share = 100 * taken_s / ((time.monotonic() - start_s) * (psutil.cpu_count() or 1))
    finally:
        busy.kill()
        busy.wait()
    assert 0 <= own_percent <= 100 - share + 5


def test_texts_that_an_embedding_cuts_are_counted_with_what_it_read() -> None:
    assert texts_read_whole([10, 256], 256).passed
    assert texts_read_whole([10, 5000], None).passed
    check = texts_read_whole([100, 300, 400], 200)
    assert (check.passed, check.severity) == (False, "warning")
    assert "2 of 3 test texts are longer than the 200 tokens" in check.message
    assert "it has read 62% of all tokens" in check.message
