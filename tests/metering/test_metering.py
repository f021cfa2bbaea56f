"""The meter on replayed counters: right energies from 1 ms to 20 s, and never a silent wrong number.

NVML and RAPL are replayed from known power curves through the real code, CodeCarbon's included.
"""

import gc
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pynvml
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.core import paths
from helpers.metering import meter as metering
from helpers.metering.counters import CounterLost, RegisterCounter
from helpers.metering.meter import Meter, Sources, add, find_sources, open_meter
from helpers.metering.nvml import open_nvml
from helpers.metering.rapl import open_rapl
from helpers.metering.source_selection import AGREE, PERIODS
from helpers.records.storage import Component
from tests.support.replay import (
    CPU_IDLE_W,
    PAST_S,
    RANGE_UJ,
    UUIDS,
    Curve,
    FakeNvml,
    Machine,
    Register,
    VirtualClock,
)

pytestmark = pytest.mark.xdist_group("meter")  # CodeCarbon is patched, and it is one per process

MISSING = Component(energy_wh=None, method="missing")
CPU, GPU = Curve(200.0, 80.0, 0.37), Curve(400.0, 200.0, 0.23)
TASKS_S = (0.001, 0.01, 0.1, 1.0, 20.0)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def no_gpu_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    return tmp_path / "powercap"


@contextmanager
def metered(
    machine: Machine,
    gpu_uuids: list[str] | None = None,
    codecarbon: bool = True,
    nvml: FakeNvml | None = None,
) -> Iterator[Meter]:
    """Open the meter on a replayed machine; CodeCarbon sees it, too, or what is really here."""
    with machine.seen_by_codecarbon() if codecarbon else nullcontext():
        sources = find_sources(gpu_uuids, nvml or machine.nvml, machine.powercap.root, machine.clock)
        with open_meter(64.0, sources=sources, clock=machine.clock, sleep=machine.clock.sleep) as meter:
            yield meter
    machine.close()


def joules(part):
    return part.energy_wh * 3600


def problems(reading):
    return {item.source: item.problem for item in reading.sources if item.problem is not None}


def own(reading):
    """What the counters say, in J."""
    return {
        item.source: item.energy_wh and item.energy_wh * 3600
        for item in reading.sources
        if item.source.startswith(("nvml:", "rapl:"))
    }


# Right energies


@pytest.mark.parametrize("window_s", [0.5, 5.0])
@pytest.mark.parametrize("codecarbon", [True, False])
@pytest.mark.parametrize("task_s", TASKS_S)
def test_energy_per_pass_is_the_integral_of_the_power(task_s, codecarbon, window_s, powercap):
    machine = Machine(powercap, gpus=2, packages=2)
    with metered(machine, codecarbon=codecarbon) as meter:
        window = meter.window(lambda: machine.run(task_s, CPU, GPU), window_s)
    assert window.reading.duration_s >= max(window_s, PERIODS * 0.1)
    assert window.duration_s == pytest.approx(task_s, rel=0.005)
    assert joules(window.energy.cpu) == pytest.approx(2 * CPU.energy_j(task_s), rel=0.02)
    assert joules(window.energy.gpu) == pytest.approx(2 * GPU.energy_j(task_s), rel=0.02)
    assert (window.energy.cpu.method, window.energy.gpu.method) == ("measured:rapl", "measured:nvml-counter")
    assert window.energy.ram.energy_wh == pytest.approx(0.375 * 64 * window.duration_s / 3600)
    for source, energy_j in own(window.reading).items():
        curve = GPU if source.startswith("nvml") else Curve(20.0) if source.endswith("dram") else CPU
        assert energy_j / window.passes == pytest.approx(curve.energy_j(task_s), rel=0.005), source


def test_codecarbons_own_numbers_are_kept_beside(powercap):
    machine = Machine(powercap)
    with metered(machine) as meter:
        reading = meter.window(lambda: machine.run(0.1, CPU, GPU), 5.0).reading
    sources = {item.source: item for item in reading.sources}
    for source, component in (
        ("codecarbon:measured:rapl", "cpu"),
        ("codecarbon:measured:nvml-counter", "gpu"),
        ("codecarbon:estimated:ram-codecarbon", "ram"),
    ):
        assert sources[source].component == component
        assert sources[source].energy_wh > 0
    assert reading.codecarbon_duration_s == pytest.approx(reading.duration_s, rel=0.01)


@FEW
@given(phase_s=st.floats(0, 0.1), task_s=st.floats(0.001, 3), period_s=st.sampled_from([0.02, 0.1, 0.5]))
def test_where_the_updates_fall_changes_nothing(phase_s, task_s, period_s, tmp_path_factory):
    machine = Machine(tmp_path_factory.mktemp("cap") / "powercap", nvml_period_s=period_s, dram=False)
    machine.nvml.gpus[0].register.phase_s = phase_s
    counters, _, _ = open_nvml(machine.nvml, clock=machine.clock)
    counters[0].update_period_s = period_s
    with open_meter(1.0, counters=counters, clock=machine.clock, sleep=machine.clock.sleep) as meter:
        window = meter.window(lambda: machine.run(task_s, CPU, GPU), 1.0)
    machine.close()
    assert window.reading.duration_s >= PERIODS * period_s
    assert joules(window.energy.gpu) == pytest.approx(GPU.energy_j(task_s), rel=0.01)


@FEW
@given(passes=st.lists(st.tuples(st.floats(0.2, 5), st.floats(80, 600)), min_size=2, max_size=5))
def test_energies_of_consecutive_windows_add_up(passes, tmp_path_factory):
    machine = Machine(tmp_path_factory.mktemp("cap") / "powercap", offset_uj=wraps_after(100.0))
    with metered(machine, codecarbon=False) as meter:
        total = None
        for duration_s, power_w in passes:
            curve = Curve(power_w, 40.0, 0.31)
            _, reading = meter.measure(lambda d=duration_s, c=curve: machine.run(d, c, c))
            total = reading.energy if total is None else add(total, reading.energy)
    exact_j = sum(Curve(power_w, 40.0, 0.31).energy_j(duration_s) for duration_s, power_w in passes)
    assert joules(total.cpu) == pytest.approx(exact_j, rel=0.01)
    assert joules(total.gpu) == pytest.approx(exact_j, rel=0.01)


@pytest.mark.parametrize("begins_s", [0.0, 0.03, 0.06, 0.09])
def test_a_train_phase_of_10_ms_has_an_energy_and_a_remark(begins_s, powercap):
    machine = Machine(powercap)
    machine.nvml.gpus[0].register.phase_s = begins_s
    with metered(machine) as meter:
        _, reading = meter.measure(lambda: machine.run(0.01, CPU, GPU))
    # CodeCarbon reads what the register last showed: nothing, or an update's 100 ms.
    assert joules(reading.energy.gpu) == pytest.approx(GPU.energy_j(0.01), rel=0.1)
    assert joules(reading.energy.cpu) == pytest.approx(CPU.energy_j(0.01), rel=0.1)
    assert "less than 20 updates" in problems(reading)[f"nvml:{UUIDS[0]}"]
    assert "codecarbon:measured:nvml-counter" in problems(reading)


def test_a_slow_counter_makes_the_window_longer(powercap):
    machine = Machine(powercap, nvml_period_s=0.5)
    counters, _, _ = open_nvml(machine.nvml, clock=machine.clock)
    counters[0].update_period_s = 0.5
    with open_meter(1.0, counters=counters, clock=machine.clock, sleep=machine.clock.sleep) as meter:
        assert meter.min_window_s == 10.0
        window = meter.window(lambda: machine.run(0.3, CPU, GPU), 1.0)
    machine.close()
    assert 10.0 <= window.reading.duration_s < 10.4


@pytest.mark.parametrize(
    ("name", "value"),
    [("PUE", "2"), ("TRACKING_MODE", "process"), ("GPU_IDS", "1"), ("FORCE_CPU_POWER", "9")],
)
def test_codecarbons_configuration_elsewhere_changes_nothing(name, value, powercap, monkeypatch):
    monkeypatch.setenv(f"CODECARBON_{name}", value)
    machine = Machine(powercap, gpus=2)
    with metered(machine, [UUIDS[0]]) as meter:
        reading = meter.window(lambda: machine.run(1.0, CPU, GPU), 5.0).reading
    assert problems(reading) == {}
    sources_wh = {item.source: item.energy_wh for item in reading.sources}
    assert sources_wh["codecarbon:measured:rapl"] * 3600 == pytest.approx(5 * CPU.energy_j(1.0), rel=0.02)
    assert sources_wh["codecarbon:measured:nvml-counter"] * 3600 == pytest.approx(
        5 * GPU.energy_j(1.0), rel=0.02
    )


# Wraps and resets


@settings(max_examples=200, deadline=None)
@given(
    start_raw=st.integers(0, RANGE_UJ - 1),
    used=st.lists(st.tuples(st.integers(0, 10**9), st.floats(1, 20)), min_size=1, max_size=20),
)
def test_a_wrap_at_any_point_changes_nothing(start_raw, used):
    clock, shown = VirtualClock(), [start_raw]
    counter = RegisterCounter("rapl:package-0", "cpu", 0.001, lambda: shown[0], 1e-6, RANGE_UJ, clock)
    total = 0
    for microjoules, elapsed_s in used:
        shown[0] = (shown[0] + microjoules) % RANGE_UJ
        clock.sleep(elapsed_s)
        total += microjoules
        assert counter.read_j() == pytest.approx(total * 1e-6, rel=1e-12)


def wraps_after(energy_j: float) -> int:
    """Return the offset in uJ with which a package wraps after so much more energy."""
    return RANGE_UJ - round((energy_j + CPU_IDLE_W * PAST_S) * 1e6)


@FEW
@given(before_wrap_j=st.floats(10, 1900))
def test_a_wrap_within_a_window_changes_nothing(before_wrap_j, tmp_path_factory):
    root = tmp_path_factory.mktemp("cap") / "powercap"
    machine = Machine(root, gpus=0, dram=False, offset_uj=wraps_after(before_wrap_j))
    package = machine.rapl["intel-rapl:0"]
    with metered(machine, codecarbon=False) as meter:
        before_uj = package.raw()
        reading = meter.window(lambda: machine.run(1.0, CPU, GPU), 10.0).reading
        assert package.raw() < before_uj, "it did not wrap"
    assert joules(reading.energy.cpu) == pytest.approx(10 * CPU.energy_j(1.0), rel=0.002)


def test_many_wraps_in_one_long_pass_are_all_counted(powercap):
    machine = Machine(powercap, gpus=0, range_uj=65_532_610_987)
    with metered(machine) as meter:

        def forty_minutes():
            for _ in range(240):
                machine.run(10.0, Curve(300.0), GPU)
                meter.read_all()  # as the thread does every 10 s

        _, reading = meter.measure(forty_minutes)
    assert joules(reading.energy.cpu) == pytest.approx(720_000, rel=0.001)
    assert "times what the counters say" in problems(reading)["codecarbon:measured:rapl"]


def test_wraps_that_nobody_saw_make_the_energy_missing(powercap):
    machine = Machine(powercap, gpus=0, range_uj=65_532_610_987)
    with metered(machine) as meter:
        _, reading = meter.measure(lambda: machine.run(2400.0, Curve(300.0), GPU))
        assert reading.energy.cpu == MISSING
        assert "may have wrapped unnoticed" in problems(reading)["rapl:package-0"]
        _, next_one = meter.measure(lambda: machine.run(5.0, CPU, GPU))
    assert joules(next_one.energy.cpu) == pytest.approx(CPU.energy_j(5.0), rel=0.02)


def test_counters_are_read_in_the_background_during_long_work(monkeypatch):
    monkeypatch.setattr(metering, "READ_EVERY_S", 0.02)

    class Counting:
        name, component, update_period_s, reads = "rapl:package-0", "cpu", 0.001, 0

        def read_j(self):
            self.reads += 1
            return time.perf_counter()

    counter = Counting()
    with open_meter(1.0, counters=[counter]) as meter:

        def reads_during():
            before = counter.reads
            time.sleep(0.5)
            return counter.reads - before

        reads, _ = meter.measure(reads_during)
    assert reads >= 5
    after = counter.reads
    time.sleep(0.1)
    assert counter.reads == after, "the thread outlives the meter"


@pytest.mark.parametrize("to_raw", [0, 5_000])
def test_a_reset_in_mid_run_makes_the_energy_missing(to_raw, powercap):
    machine = Machine(powercap)
    package, gpu = machine.rapl["intel-rapl:0"], machine.nvml.gpus[0].register
    package.offset_raw = 100_000_000_000  # a reset right before a wrap looks like the wrap
    with metered(machine) as meter:

        def work():
            machine.run(1.0, CPU, GPU)
            for register in (package, gpu):
                register.offset_raw -= register.raw() - to_raw
            machine.run(1.0, CPU, GPU)

        _, reading = meter.measure(work)
    assert (reading.energy.cpu, reading.energy.gpu) == (MISSING, MISSING)
    assert "jumped" in problems(reading)["rapl:package-0"]
    assert "went backwards" in problems(reading)[f"nvml:{UUIDS[0]}"]


# Counters that fail


@pytest.mark.parametrize("codecarbon", [True, False])
def test_a_counter_stuck_at_0_gives_no_energy(codecarbon, powercap):
    machine = Machine(powercap)
    machine.rapl["intel-rapl:0"].stuck_at = 0
    machine.nvml.gpus[0].register.stuck_at = 0
    with metered(machine, codecarbon=codecarbon) as meter:
        reading = meter.window(lambda: machine.run(1.0, CPU, GPU), 5.0).reading
    assert (reading.energy.cpu, reading.energy.gpu) == (MISSING, MISSING)
    assert "stuck" in problems(reading)["rapl:package-0"]
    assert "stuck" in problems(reading)[f"nvml:{UUIDS[0]}"]


def test_a_counter_that_gets_stuck_in_mid_run_gives_no_energy(powercap):
    machine = Machine(powercap)
    register = machine.nvml.gpus[0].register
    with metered(machine) as meter:

        def work():
            machine.run(2.0, CPU, GPU)
            register.stuck_at = register.raw()
            machine.run(3.0, CPU, GPU)

        _, reading = meter.measure(work)
    assert reading.energy.gpu == MISSING
    assert "stuck" in problems(reading)[f"nvml:{UUIDS[0]}"]
    assert reading.energy.cpu.method == "measured:rapl"


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_gpu_lost_in_mid_run_gives_no_energy(comes_back, powercap):
    machine = Machine(powercap, gpus=2)
    with metered(machine) as meter:

        def work():
            machine.run(3.0, CPU, GPU)
            machine.nvml.gpus[1].error = pynvml.NVML_ERROR_GPU_IS_LOST
            meter.read_all()
            machine.run(3.0, CPU, GPU)
            machine.nvml.gpus[1].error = None if comes_back else pynvml.NVML_ERROR_GPU_IS_LOST

        _, reading = meter.measure(work)
        assert reading.energy.gpu == MISSING
        assert "GPU is lost" in problems(reading)[f"nvml:{UUIDS[1]}"]
        assert f"nvml:{UUIDS[0]}" not in problems(reading)
        assert reading.energy.cpu.method == "measured:rapl"
        machine.nvml.gpus[1].error = None
        _, next_one = meter.measure(lambda: machine.run(5.0, CPU, GPU))
    assert joules(next_one.energy.gpu) == pytest.approx(2 * GPU.energy_j(5.0), rel=0.02)


@pytest.mark.parametrize("factor", [1.7, 1 / 1.7])
def test_two_sources_that_disagree_are_told_and_the_counter_is_used(factor, powercap):
    machine = Machine(powercap)
    theirs = machine.nvml.gpus[0].register
    register = Register(machine.gpu, machine.clock, 0.1, 1e-3, factor=factor)
    nvml = Machine(powercap / "other", clock=machine.clock).nvml
    nvml.gpus[0].register = register
    assert theirs is not register
    with metered(machine, nvml=nvml) as meter:
        reading = meter.window(lambda: machine.run(1.0, CPU, GPU), 5.0).reading
    sources = {item.source: item for item in reading.sources}
    assert joules(sources["codecarbon:measured:nvml-counter"]) == pytest.approx(
        5 * GPU.energy_j(1.0), rel=0.02
    )
    assert joules(reading.energy.gpu) == pytest.approx(factor * 5 * GPU.energy_j(1.0), rel=0.01)
    apart, explanation = sources["codecarbon:measured:nvml-counter"].problem.split(" ", 1)
    assert float(apart) == pytest.approx(1 / factor, rel=0.02)
    assert explanation == "times what the counters say; theirs is used"
    assert AGREE < 0.02


def test_a_real_counter_stands_in_for_an_estimate(powercap):
    machine = Machine(powercap, gpus=0)
    with metered(machine, codecarbon=False) as meter:
        reading = meter.window(lambda: machine.run(1.0, CPU, GPU), 5.0).reading
    assert reading.energy.cpu.method == "measured:rapl"
    assert joules(reading.energy.cpu) == pytest.approx(5 * CPU.energy_j(1.0), rel=0.01)
    assert reading.energy.gpu == MISSING


def test_a_gpu_without_counter_is_an_estimate(powercap):
    machine = Machine(powercap)
    machine.nvml.gpus[0].counter_error = pynvml.NVML_ERROR_NOT_SUPPORTED
    with metered(machine) as meter:
        reading = meter.window(lambda: machine.run(1.0, CPU, GPU), 5.0).reading
    assert reading.energy.gpu.method == "estimated:unknown"
    assert "no counter" in problems(reading)["codecarbon:estimated:unknown"]
    assert "GPUs have one from Volta on" in problems(reading)[f"nvml:{UUIDS[0]}"]


# Which GPUs


@pytest.mark.parametrize("visible", ["3", UUIDS[3], UUIDS[3][:12]])
def test_one_of_eight_gpus_is_counted_alone(visible, powercap, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    machine = Machine(powercap, gpus=8)
    for number, gpu in enumerate(machine.nvml.gpus):
        gpu.register.factor = 1 + number
    with metered(machine) as meter:
        reading = meter.window(lambda: machine.run(1.0, CPU, GPU), 5.0).reading
        assert meter.gpus == 1
    assert problems(reading) == {}
    assert joules(reading.energy.gpu) == pytest.approx(4 * 5 * GPU.energy_j(1.0), rel=0.02)
    sources = {item.source: item for item in reading.sources}
    assert joules(sources["codecarbon:measured:nvml-counter"]) == pytest.approx(
        4 * 5 * GPU.energy_j(1.0), rel=0.02
    )


@pytest.mark.parametrize("visible", ["MIG-8c1f2f40-1111-5222-8333-444444444444", "2", "", "-1", "17"])
def test_without_a_whole_gpu_no_gpu_energy_is_given(visible, powercap, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    machine = Machine(powercap, gpus=8)
    machine.nvml.gpus[2].in_parts = True
    with metered(machine) as meter:
        first = meter.measure(lambda: machine.run(5.0, CPU, GPU))[1]
        assert meter.gpus == 0
        (absent,) = (item for item in meter.absent if item.component == "gpu")
        # CodeCarbon itself counts all GPUs where it is given none, from its second tracker on.
        with open_meter(1.0, sources=meter._sources, clock=machine.clock, sleep=machine.clock.sleep) as again:
            second = again.measure(lambda: machine.run(5.0, CPU, GPU))[1]
    assert (first.energy.gpu, second.energy.gpu) == (MISSING, MISSING)
    expected = {"MIG": "whole GPUs", "2": "whole GPUs", "": "no GPU is given", "-1": "no GPU is given"}
    assert expected.get(visible[:3], "no GPU 17: NVML shows 0, 1, 2") in absent.reason
    assert absent.reason in problems(first).values()


@pytest.mark.parametrize(
    ("environment", "indices"),
    [
        ({}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, [2, 0]),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,3"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "1,9,3"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "1,1"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, []),
        ({"SLURM_JOB_GPUS": "2,3"}, [2, 3]),
        ({"SLURM_JOB_GPUS": "2,3", "SLURM_STEP_GPUS": "3"}, [3]),
        ({"SLURM_JOB_GPUS": "4,5,6,7"}, [0, 1, 2, 3]),  # the job sees its own GPUs only, numbered anew
        ({"SLURM_JOB_GPUS": "0", "CUDA_VISIBLE_DEVICES": "1"}, [1]),
    ],
)
def test_the_gpus_of_the_run_are_those_that_the_environment_gives(
    environment, indices, powercap, monkeypatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    machine = Machine(powercap, gpus=4)
    counters, _, devices = open_nvml(machine.nvml, clock=machine.clock)
    machine.close()
    assert [device.index for device in devices] == indices
    assert [counter.name for counter in counters] == [f"nvml:{UUIDS[i]}" for i in indices]


def test_an_index_is_refused_where_cuda_may_count_otherwise(powercap, monkeypatch):
    machine = Machine(powercap, gpus=2)
    machine.nvml.gpus[1].name = "NVIDIA A30"
    _, (absent,), devices = open_nvml(machine.nvml, "1", machine.clock)
    assert devices == []
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in absent.remedy
    assert [device.index for device in open_nvml(machine.nvml, UUIDS[1], machine.clock)[2]] == [1]
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert [device.index for device in open_nvml(machine.nvml, "1", machine.clock)[2]] == [1]
    machine.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver here"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "the NVIDIA driver is not loaded"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "no permission to use the NVIDIA driver"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "different versions"),
        (None, "shows no GPU"),
    ],
)
def test_what_keeps_nvml_away_is_told_apart(error, reason):
    counters, (absent,), devices = open_nvml(FakeNvml(error=error))
    assert (counters, devices) == ([], [])
    assert reason in absent.reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (pynvml.NVML_ERROR_NOT_SUPPORTED, "has no energy counter"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "no permission"),
        (pynvml.NVML_ERROR_GPU_IS_LOST, "GPU is lost"),
    ],
)
def test_what_keeps_a_gpus_counter_away_is_told_apart(error, reason, powercap):
    machine = Machine(powercap, gpus=2)
    machine.nvml.gpus[1].counter_error = error
    counters, (absent,), devices = open_nvml(machine.nvml, clock=machine.clock)
    machine.close()
    assert (len(counters), len(devices)) == (1, 2)
    assert absent.source == f"nvml:{UUIDS[1]}"
    assert reason in absent.reason


def test_a_neighbours_broken_gpu_does_not_matter(powercap, monkeypatch):
    machine = Machine(powercap, gpus=2)
    machine.nvml.gpus[1].error = pynvml.NVML_ERROR_GPU_IS_LOST
    counters, absent, _ = open_nvml(machine.nvml, "0", machine.clock)
    assert (len(counters), absent) == (1, [])
    _, (lost,), _ = open_nvml(machine.nvml, "1", machine.clock)
    machine.close()
    assert "GPU is lost" in lost.reason


# RAPL


def test_packages_and_their_memory_are_found_and_nothing_else(powercap):
    machine = Machine(powercap, packages=2)
    machine.powercap.add("intel-rapl:2", "psys", Register(machine.cpu, machine.clock, 0.001, 1e-6, RANGE_UJ))
    counters, absent = open_rapl(powercap, machine.clock)
    machine.close()
    assert absent == []
    assert [(counter.name, counter.component) for counter in counters] == [
        ("rapl:package-0", "cpu"),
        ("rapl:package-0:dram", "dram"),
        ("rapl:package-1", "cpu"),
        ("rapl:package-1:dram", "dram"),
    ]


def test_a_cpu_without_memory_counter_says_so(powercap):
    machine = Machine(powercap, dram=False)
    counters, (absent,) = open_rapl(powercap, machine.clock)
    machine.close()
    assert [counter.name for counter in counters] == ["rapl:package-0"]
    assert (absent.component, absent.remedy) == ("dram", None)


def test_a_die_that_mirrors_its_package_is_not_counted_twice(powercap):
    machine = Machine(powercap, gpus=0, packages=2, dram=False)
    machine.rapl["intel-rapl:1"].offset_raw = machine.rapl["intel-rapl:0"].offset_raw
    machine.powercap._ticks.clear()
    machine.powercap.update()
    with metered(machine) as meter:
        reading = meter.window(lambda: machine.run(1.0, CPU, GPU), 5.0).reading
    assert joules(reading.energy.cpu) == pytest.approx(5 * CPU.energy_j(1.0), rel=0.02)


@pytest.mark.parametrize(("rates_uj", "left"), [((5, 6), 2), ((5, 5), 1)])
def test_two_packages_that_show_nearly_the_same_by_chance_are_both_counted(rates_uj, left, tmp_path):
    files = []
    for number in range(2):
        folder = tmp_path / f"intel-rapl:{number}"
        folder.mkdir()
        (folder / "name").write_text(f"package-{number}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        files.append(folder / "energy_uj")
        files[-1].write_text(f"{7_000_000 + 900_000 * number}\n")

    def wait(seconds):
        for file, rate_uj in zip(files, rates_uj, strict=True):
            file.write_text(str(int(file.read_text()) + int(rate_uj * 1e6 * seconds)))

    counters, _ = open_rapl(tmp_path, sleep=wait)
    assert [counter.name for counter in counters] == [f"rapl:package-{number}" for number in range(left)]


@pytest.mark.parametrize("exists", [True, False])
def test_a_machine_without_rapl_says_so(exists, tmp_path):
    root = tmp_path / "powercap"
    if exists:
        root.mkdir()
    counters, (absent,) = open_rapl(root)
    assert counters == []
    assert "virtual machines" in absent.reason
    assert "modprobe" in absent.remedy


@contextmanager
def without_rights() -> Iterator[None]:
    """Be a user like any other for a moment: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that everybody can look into."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "powercap"


@pytest.mark.parametrize(
    ("denied", "method"), [(("0", "1"), "estimated:cpu-load"), (("1",), "missing")], ids=["all", "one of two"]
)
def test_a_counter_without_permission_is_told_and_never_counted_as_0(denied, method, open_folder):
    machine = Machine(open_folder, gpus=0, packages=2)
    for package in denied:
        for file in (open_folder / f"intel-rapl:{package}").glob("**/energy_uj"):  # as kernels do it
            file.chmod(0o400 if os.geteuid() == 0 else 0)
    with metered(Machine(open_folder.with_name("warm-up"))) as meter:
        meter.measure(lambda: None)  # imports everything while it may
    with without_rights(), metered(machine) as meter:
        reading = meter.window(lambda: machine.run(1.0, CPU, GPU), 5.0).reading
        absent = {item.source: item for item in meter.absent}
    for package in denied:
        item = absent[f"rapl:package-{package}"]
        assert "no permission to read" in item.reason
        assert item.remedy == (
            f"allow to read it until the next boot: sudo chmod a+r {open_folder}/intel-rapl:{package}/energy_uj"
        )
    assert reading.energy.cpu.method == method
    if method == "missing":
        assert "not complete: rapl:package-1: no permission" in problems(reading)["codecarbon:measured:rapl"]


# The window itself


def test_no_garbage_is_collected_in_a_window_and_again_after_it():
    with open_meter(1.0, counters=[]) as meter:
        seen = []
        meter.window(lambda: seen.append(gc.isenabled()), 0.001)
        assert not any(seen)
        assert gc.isenabled()

        def fail():
            raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011
            meter.window(fail, 0.001)
        assert gc.isenabled()


def test_work_that_fails_leaves_the_meter_in_order(powercap):
    machine = Machine(powercap)
    with metered(machine) as meter:

        def fail():
            machine.run(1.0, CPU, GPU)
            raise RuntimeError("in the work")

        with pytest.raises(RuntimeError, match="in the work"):
            meter.measure(fail)
        _, reading = meter.measure(lambda: machine.run(5.0, CPU, GPU))
    assert joules(reading.energy.gpu) == pytest.approx(GPU.energy_j(5.0), rel=0.02)


def test_a_sum_of_a_measured_and_an_estimated_energy_is_estimated():
    with open_meter(1.0, counters=[]) as meter:
        energy = meter.measure(lambda: None)[1].energy
    measured = energy.model_copy(update={"cpu": Component(energy_wh=1.0, method="measured:rapl")})
    assert add(energy, measured).cpu.method == add(measured, energy).cpu.method == energy.cpu.method


def test_a_lost_counter_names_itself():
    error = CounterLost("nvml:GPU-1", "GPU is lost")
    assert (str(error), error.name, error.reason) == ("nvml:GPU-1: GPU is lost", "nvml:GPU-1", "GPU is lost")
    assert Sources(()).absent == ()


_AUDITED = """
    import json, os, sys, time
    from pathlib import Path
    from helpers.models import traditional
    from helpers.metering.meter import find_sources, open_meter
    from helpers.metering.timeline import start_timeline
    from helpers.study.catalogue import study
    from tests.support.replay import Curve, Machine, RealClock
    import codecarbon

    phase, seen = "open", []

    def hook(event, arguments):
        if phase != "window":
            return
        if event.startswith("socket.") or event in ("subprocess.Popen", "os.posix_spawn", "os.fork"):
            seen.append((event, repr(arguments)))
        elif event in ("os.mkdir", "os.rename", "os.remove", "os.truncate"):
            seen.append((event, repr(arguments)))
        elif event == "open" and not isinstance(arguments[0], int):  # a number: a pipe that is open already
            path, mode, flags = arguments
            writes = any(c in "wax+" for c in mode) if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
            if writes:
                seen.append((event, str(path)))

    sys.addaudithook(hook)
    machine = Machine(Path("powercap"), clock=RealClock())
    with machine.seen_by_codecarbon():
        sources = find_sources(None, machine.nvml, machine.powercap.root)
        with open_meter(16.0, sources=sources) as meter:
            phase = "window"
            open("canary", "w").close()
            window = meter.window(lambda: machine.run(0.1, Curve(200), Curve(400)), 0.5)
            phase = "train"
            texts, labels = ["rot und rund", "blau und eckig"] * 8, ["apfel", "kiste"] * 8
            model = study().models["linear-tfidf"]
            classifier = meter.measure(lambda: traditional.train(model, None, texts, labels))[0]
            with start_timeline(Path.cwd(), []) as timeline:
                phase = "window"
                meter.window(lambda: classifier.predict(texts), 0.5)
                phase = "close"
                timeline.stop()
    print(json.dumps({
        "seen": seen,
        "passes": window.passes,
        "methods": [window.energy.cpu.method, window.energy.gpu.method],
        "gpu_w": window.energy.gpu.energy_wh * 3600 / window.duration_s,
    }))
"""


def test_a_window_opens_no_socket_and_no_file_for_writing(tmp_path):
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(paths.ROOT / "src"), str(paths.ROOT)]),
    }
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
    assert answer["passes"] >= 10
    assert answer["methods"] == ["measured:rapl", "measured:nvml-counter"]
    assert answer["gpu_w"] == pytest.approx(400, rel=0.1)  # in real time, on a machine that is busy
    assert answer["seen"] == [["open", "canary"]]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["canary", "power.parquet", "powercap"]
