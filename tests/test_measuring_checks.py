"""Checks of the measuring: each fails where it must, and says what was found and what was expected."""

import os
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.metering import checks
from helpers.metering.neighbours import other_processes
from helpers.metering.readings import Reading, SourceReading, Window
from helpers.record import Component, Energy

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
    found = checks.clocks_agree([reading(), reading(codecarbon_s=11.0)])
    assert not found.passed
    assert "10.00%" in found.message


def test_the_shortest_window_decides() -> None:
    windows = [Window(3, reading(duration_s=6.0)), Window(2, reading(duration_s=4.0))]
    assert checks.window_long_enough(windows, 4.0).passed
    found = checks.window_long_enough(windows, 5.0)
    assert not found.passed
    assert "4.00 s" in found.message


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
    found = checks.sources_agree([reading(*same), reading(*apart)])
    assert not found.passed
    assert "70.0%" in found.message
    estimated = [
        counter("codecarbon:estimated:tdp", 9.0, component="cpu"),
        counter("rapl:package-0", 2.0, component="cpu"),
    ]
    assert checks.sources_agree([reading(*estimated)]).passed  # an estimate is not compared


def test_the_integral_of_the_time_line_is_held_against_the_counter() -> None:
    assert checks.timeline_agrees([]).passed
    assert checks.timeline_agrees([("nvml:GPU-1", 2.0, 2.1)]).passed
    found = checks.timeline_agrees([("nvml:GPU-1", 2.0, 2.1), ("nvml:GPU-2", 2.0, 1.2)])
    assert not found.passed
    assert "GPU-2" in found.message
    assert "-40.0%" in found.message


@pytest.mark.parametrize(
    ("before_w", "after_w", "passed"),
    [(10.0, 10.5, True), (10.0, 12.0, False), (None, 10.0, False), (0.0, 1.0, False)],
)
def test_idle_power_must_not_drift(before_w: float | None, after_w: float | None, passed: bool) -> None:
    assert checks.idle_stable(before_w, after_w).passed is passed


def test_scatter_over_the_splits_is_judged_by_three_percent() -> None:
    assert checks.repeats_agree([1.0, 1.01, 0.99]).passed
    assert not checks.repeats_agree([1.0, 1.2, 0.8]).passed
    assert not checks.repeats_agree([1.0]).passed


def test_what_slows_a_gpu_or_shares_it_is_told_and_unknown_is_not_a_fault() -> None:
    assert checks.clocks_not_throttled(None).passed
    assert checks.clocks_not_throttled(set()).passed
    found = checks.clocks_not_throttled({"sw-power-cap"})
    assert (found.passed, found.message) == (False, "sw-power-cap")
    assert [checks.temperature_settled(value).passed for value in (None, True, False)] == [True, True, False]
    assert [checks.alone_on_gpu(value).passed for value in (None, 0, 2)] == [True, True, False]


def test_a_busy_machine_is_told() -> None:
    assert checks.machine_quiet(4.0, 2).passed
    assert not checks.machine_quiet(40.0, 2).passed


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
