"""The meter: what it reads, how it adds up, and that it leaves network and disk alone."""

import json
import math
import os
import subprocess
import sys
import textwrap
import time
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.core import paths
from helpers.metering.meter import Reading, Window, add, open_meter, scale
from helpers.metering.ram import RAM_W_PER_GB
from helpers.records.hardware import detect
from helpers.records.storage import Component, Energy

pytestmark = pytest.mark.xdist_group("meter")  # two at once would count each other's work

COMPONENTS = ("cpu", "gpu", "ram", "ram_codecarbon")
RAM_GB = 16.0
MISSING = Component(energy_wh=None, method="missing")


def components(method):
    measured = st.floats(0, 1e6).map(lambda wh: Component(energy_wh=wh, method=method))
    return measured | st.just(MISSING)


ENERGIES = st.builds(
    Energy,
    cpu=components("estimated:cpu-load"),
    gpu=components("measured:nvml-counter"),
    ram=components("estimated:ram-0.375W/GB"),
    ram_codecarbon=components("estimated:ram-codecarbon"),
)
FACTORS = st.floats(1e-6, 1e6)


def values(energy):
    return {name: getattr(energy, name).energy_wh for name in COMPONENTS}


def methods(energy):
    return {name: getattr(energy, name).method for name in COMPONENTS}


def assert_close(first, second):
    """The same components are known, and their energies are the same but for rounding."""
    for name, energy_wh in values(first).items():
        other = values(second)[name]
        assert (energy_wh is None) == (other is None)
        assert energy_wh is None or math.isclose(energy_wh, other, rel_tol=1e-9, abs_tol=1e-15)


# Arithmetic


@settings(max_examples=100, deadline=None)
@given(energy=ENERGIES, factor=FACTORS)
def test_scaling_there_and_back_returns_the_energy(energy, factor):
    back = scale(scale(energy, factor), 1 / factor)
    assert_close(back, energy)
    assert methods(back) == methods(energy)


@settings(max_examples=100, deadline=None)
@given(energy=ENERGIES, factor=FACTORS)
def test_scaling_scales_the_total(energy, factor):
    total = energy.total_wh
    expected = None if total is None else pytest.approx(total * factor, rel=1e-9)
    assert scale(energy, factor).total_wh == expected


@settings(max_examples=100, deadline=None)
@given(first=ENERGIES, second=ENERGIES)
def test_adding_does_not_depend_on_the_order(first, second):
    assert values(add(first, second)) == values(add(second, first))
    assert methods(add(first, second)) == methods(add(second, first))


@settings(max_examples=100, deadline=None)
@given(first=ENERGIES, second=ENERGIES)
def test_a_sum_is_missing_where_a_part_is_missing_and_nowhere_else(first, second):
    for name in COMPONENTS:
        parts = [getattr(energy, name).energy_wh for energy in (first, second)]
        got = getattr(add(first, second), name)
        assert got.energy_wh == (None if None in parts else parts[0] + parts[1])
        assert (got.method == "missing") == (None in parts)


@settings(max_examples=50, deadline=None)
@given(energy=ENERGIES, n=st.integers(1, 8))
def test_a_repeated_sum_is_a_multiple(energy, n):
    assert_close(reduce(add, [energy] * n), scale(energy, n))


@settings(max_examples=100, deadline=None)
@given(energy=ENERGIES)
def test_the_total_is_cpu_gpu_and_ram_only(energy):
    parts_wh = [v for name, v in values(energy).items() if name != "ram_codecarbon" and v is not None]
    assert energy.total_wh == (sum(parts_wh) if parts_wh else None)


@settings(max_examples=50, deadline=None)
@given(energy=ENERGIES, seconds=st.floats(1e-3, 1e4), passes=st.integers(1, 10**6))
def test_a_window_gives_values_per_pass(energy, seconds, passes):
    window = Window(passes, Reading(seconds, seconds, energy))
    assert window.duration_s * passes == pytest.approx(seconds)
    assert_close(scale(window.energy, passes), energy)


# This machine


@pytest.fixture(scope="module")
def meter():
    with open_meter(RAM_GB) as opened:
        yield opened


def timed_sleep(seconds):
    """Sleep, and say how long it really took: a busy machine wakes up late."""
    start = time.perf_counter()
    time.sleep(seconds)
    return time.perf_counter() - start


def compute(seconds):
    """Keep a core busy."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(1000))


def test_a_sleep_is_timed_on_both_clocks(meter):
    slept, reading = meter.measure(lambda: timed_sleep(0.3))
    assert slept >= 0.3
    assert reading.duration_s == pytest.approx(slept, abs=0.02)
    assert reading.codecarbon_duration_s == pytest.approx(slept, abs=0.1)


def test_ram_energy_follows_the_papers_rule(meter):
    _, reading = meter.measure(lambda: time.sleep(0.05))
    assert RAM_W_PER_GB == 0.375
    assert reading.energy.ram.energy_wh == pytest.approx(
        0.375 * RAM_GB * reading.duration_s / 3600, rel=1e-12
    )
    assert reading.energy.ram.method == "estimated:ram-0.375W/GB"


def test_what_the_machine_has_is_known_and_the_rest_is_missing(meter):
    _, reading = meter.measure(lambda: compute(0.2))
    if detect().gpus:
        assert reading.energy.gpu.method == "measured:nvml-counter"
        assert reading.energy.gpu.energy_wh > 0
    else:
        assert reading.energy.gpu == MISSING
    assert reading.energy.cpu.method != "missing"
    assert reading.energy.cpu.energy_wh > 0
    assert reading.energy.ram_codecarbon.energy_wh > 0


def test_the_result_of_the_work_is_returned(meter):
    result, _ = meter.measure(lambda: "answer")
    assert result == "answer"


def test_energies_are_of_the_work_and_not_of_what_was_before(meter):
    _, long = meter.measure(lambda: time.sleep(0.3))
    time.sleep(0.3)
    _, short = meter.measure(lambda: None)
    assert short.duration_s < 0.05
    assert short.energy.ram.energy_wh < long.energy.ram.energy_wh / 5
    assert short.energy.cpu.energy_wh < long.energy.cpu.energy_wh


def test_passes_are_repeated_until_the_window_is_over(meter):
    lasted = []
    window = meter.window(lambda: lasted.append(timed_sleep(0.05)), window_s=0.3)
    assert window.passes == len(lasted) > 1
    assert sum(lasted[:-1]) < 0.3 <= window.reading.duration_s
    assert window.duration_s == window.reading.duration_s / window.passes
    for name in COMPONENTS:
        whole, each = getattr(window.reading.energy, name), getattr(window.energy, name)
        assert each.method == whole.method
        if whole.energy_wh is not None:
            assert each.energy_wh == pytest.approx(whole.energy_wh / window.passes)


def test_a_pass_longer_than_the_window_is_done_once(meter):
    done = []
    assert meter.window(lambda: done.append(time.sleep(0.1)), window_s=0.01).passes == len(done) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_passes_through_and_the_meter_works_on(meter, error):
    def fail():
        time.sleep(0.3)
        raise error("in the work")

    for call in (lambda: meter.measure(fail), lambda: meter.window(fail, 0.1)):
        with pytest.raises(error, match="in the work"):
            call()
        slept, reading = meter.measure(lambda: timed_sleep(0.05))
        assert reading.duration_s == pytest.approx(slept, abs=0.02)
        assert reading.codecarbon_duration_s == pytest.approx(slept, abs=0.15)  # not the failed work's


def test_an_exception_inside_closes_the_meter_and_another_can_be_opened():
    with pytest.raises(RuntimeError, match="outside"), open_meter(RAM_GB):
        raise RuntimeError("outside")
    with open_meter(2 * RAM_GB) as other:
        _, reading = other.measure(lambda: time.sleep(0.05))
    assert reading.energy.ram.energy_wh == pytest.approx(0.375 * 2 * RAM_GB * reading.duration_s / 3600)


_AUDITED = """
    import json, os, sys, time
    from helpers.metering.meter import open_meter
    import codecarbon

    phase, seen = "open", []

    def hook(event, arguments):
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            seen.append((phase, event, repr(arguments[1:])))
        elif event == "subprocess.Popen" and phase == "window":  # looking for the hardware takes some before
            seen.append((phase, event, repr(arguments[0])))
        elif event == "open" and not isinstance(arguments[0], int):  # a number: a pipe that is open already
            path, mode, flags = arguments
            writes = any(c in "wax+" for c in mode) if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
            if writes and not str(path).startswith(("/dev/", "/proc/")):
                seen.append((phase, event, str(path)))

    sys.addaudithook(hook)
    with open_meter(16.0) as meter:
        phase = "window"
        open("canary", "w").close()
        window = meter.window(lambda: time.sleep(0.1), 0.5)
        phase = "close"
    print(json.dumps({"seen": seen, "passes": window.passes}))
"""


def test_no_network_and_no_file_while_measuring(tmp_path):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(paths.ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_AUDITED)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["passes"] > 1
    assert ["window", "open", "canary"] in answer["seen"], "the hook sees nothing"
    others = [event for event in answer["seen"] if event[2] != "canary"]
    assert others == []
    assert [file.name for file in tmp_path.iterdir()] == ["canary"]


# Around CodeCarbon


def test_the_language_of_the_system_changes_no_energy(tmp_path):
    lscpu = tmp_path / "lscpu"  # as util-linux speaks German where it may
    lscpu.write_text('#!/bin/sh\ncase "$LC_ALL" in C*) echo "Socket(s): 2";; *) echo "Sockel: 2";; esac\n')
    lscpu.chmod(0o755)
    program = (
        "import os\n"
        "from codecarbon.core.util import count_physical_cpus\n"
        "from helpers.metering import codecarbon\n"
        "before = dict(os.environ)\n"
        "with codecarbon._english_programs(): print(count_physical_cpus())\n"
        "assert dict(os.environ) == before\n"
        "with codecarbon.open_tracker([]) as tracker:\n"
        "    tracker.start()\n"
        "    tracker.stop()\n"
        "    (cpu,) = [part for part in tracker._tracker._hardware if type(part).__name__ == 'CPU']\n"
        "    print(cpu._tdp)\n"
    )
    printed = {
        language: subprocess.run(
            [sys.executable, "-c", program],
            env={
                **os.environ,
                "LC_ALL": language,
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "PYTHONPATH": str(paths.ROOT / "src"),
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for language in ("C.UTF-8", "de_DE.UTF-8")
    }
    assert printed["de_DE.UTF-8"] == printed["C.UTF-8"]
    assert printed["C.UTF-8"].startswith("2\n")
