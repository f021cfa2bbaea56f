"""The power time line: who takes it and when it ends, what a row holds, and what its integral is worth."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pynvml
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from helpers.core import paths
from helpers.metering import sampling, sampling_process, timeline
from helpers.metering.sampling import CPU_LOAD, GPU_QUANTITIES, gpu_column, open_sensors, rapl_column
from helpers.metering.sampling_process import ABOUT, Samples, collect, write
from helpers.metering.timeline import (
    TimelineLost,
    integral_wh,
    power_column,
    read_about,
    read_timeline,
    start_timeline,
    temperature_drift_c,
    temperature_settled,
    throttled,
)
from tests.conftest import refusal

UUID = "GPU-11111111-2222-3333-4444-555555555555"
INSTANT, AVERAGE = gpu_column(UUID, "power_instant_w"), gpu_column(UUID, "power_average_w")
PACKAGE = rapl_column("package-0")
RANGE_UJ = 262_143_328_850
FOLDERS = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


# Stand-ins for what is not in this machine: a clock, NVML and powercap that follow a given power


class Clock:
    """Time that passes only where somebody waits; `late` says by how much each wait is too long."""

    def __init__(self, duration_s: float = math.inf, late: list[float] | None = None) -> None:
        self.now = self.start = 1000.0
        self.duration_s = duration_s
        self.late = list(late or [])

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def wait(self, seconds: float) -> sampling_process.Order:
        """Let time pass."""
        self.now += max(0.0, seconds) + (self.late.pop(0) if self.late else 0.0)
        return "stop" if self.now - self.start >= self.duration_s - 1e-9 else "go on"


@dataclass
class FakeNvml:
    """nvidia-ml-py as far as it is called, with its own constants, structures and errors."""

    instant_w: Callable[[], float] = lambda: 300.0
    average_w: Callable[[], float] = lambda: 300.0
    fields: tuple[int, ...] = (pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_FI_DEV_POWER_AVERAGE)
    value_type: int = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
    architecture: int = pynvml.NVML_DEVICE_ARCH_HOPPER
    name: str = "NVIDIA H100"
    errors: dict[str, int] = field(default_factory=dict)  # by the name of a call, or of "every" call

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml"):
            return getattr(pynvml, name)
        calls = {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetHandleByUUID": self._handle,
            "nvmlDeviceGetFieldValues": self._field_values,
            "nvmlDeviceGetPowerUsage": lambda _: round(self.instant_w() * 1000),
            "nvmlDeviceGetTemperature": lambda _, sensor: 55,
            "nvmlDeviceGetClockInfo": lambda _, kind: 1980 if kind == pynvml.NVML_CLOCK_SM else 0,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda _: 0x4,
            "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=97, memory=12),
            "nvmlDeviceGetArchitecture": lambda _: self.architecture,
            "nvmlDeviceGetName": lambda _: self.name,
        }
        if name not in calls:
            raise AttributeError(name)  # nothing reaches a real library

        def call(*arguments: Any) -> Any:
            for key in (name, "every"):
                if key in self.errors:
                    raise pynvml.NVMLError(self.errors[key])
            return calls[name](*arguments)

        return call

    def _handle(self, uuid: str) -> str:
        if uuid != UUID:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def _field_values(self, _: str, fields: list[int]) -> list[Any]:
        instant = fields[0] == pynvml.NVML_FI_DEV_POWER_INSTANT
        power_mw = (self.instant_w if instant else self.average_w)() * 1000
        value = pynvml.c_nvmlFieldValue_t()
        value.valueType = self.value_type
        if fields[0] not in self.fields:
            value.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
        elif self.value_type == pynvml.NVML_VALUE_TYPE_DOUBLE:
            value.value.dVal = power_mw
        else:
            value.value.ullVal = round(power_mw)
        return [value]


def powercap(root: Path, energies_uj: dict[str, int], names: dict[str, str] | None = None) -> Path:
    """Write a powercap folder; the names of its domains are those of a server with one socket."""
    domains = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        **(names or {}),
    }
    for folder, energy_uj in energies_uj.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "name").write_text(domains[folder] + "\n")
        (root / folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        (root / folder / "energy_uj").write_text(f"{energy_uj}\n")
    return root


def row(sensors: sampling.Sensors, time_s: float = 0.0) -> dict[str, float]:
    absent: dict[str, str] = {}
    return {column: sampling_process._value(sensors, column, time_s, absent) for column in sensors.columns}


def gpu_row(nvml: FakeNvml) -> tuple[dict[str, float], sampling.Sensors]:
    sensors = open_sensors([UUID], Clock(), pynvml=nvml, powercap=Path("no-such-folder"))
    values = row(sensors)
    return {quantity: values[gpu_column(UUID, quantity)] for quantity in GPU_QUANTITIES}, sensors


def frame_of(samples: Samples | None) -> pd.DataFrame:
    assert samples is not None
    return pd.DataFrame({name: np.array(values) for name, values in samples.values.items()})


# The process of its own


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


def test_a_real_time_line_covers_the_window_at_ten_rows_a_second(tmp_path):
    with start_timeline(tmp_path, []) as line:
        start_s = time.perf_counter()
        time.sleep(1.0)
        assert list(tmp_path.iterdir()) == [], "a file in the middle of a window"
        end_s = time.perf_counter()
        file = line.stop()
    assert file == tmp_path / "power.parquet"
    assert not alive(line.pid)
    frame, about = read_timeline(file), read_about(file)
    assert frame["time_s"].iloc[0] <= start_s < end_s <= frame["time_s"].iloc[-1]  # one clock for both
    assert about.rows == len(frame)
    span_s = frame["time_s"].iloc[-1] - frame["time_s"].iloc[0]
    assert about.rows + about.missed == pytest.approx(span_s / 0.1 + 1, abs=1)
    assert frame["time_s"].diff().min() >= 0.049, "a burst"
    if about.missed == 0:
        assert frame["time_s"].diff().median() == pytest.approx(0.1, rel=0.05)
    assert frame[CPU_LOAD].between(0, 100).all()
    assert 0 <= about.own_cpu_percent < 5
    assert about.period_s == 0.1


def test_a_gpu_that_nobody_knows_has_columns_without_values_and_a_reason(tmp_path):
    with start_timeline(tmp_path, ["GPU-nobody"], period_s=0.02) as line:
        file = line.stop()
    frame, about = read_timeline(file), read_about(file)
    for quantity in GPU_QUANTITIES:
        column = gpu_column("GPU-nobody", quantity)
        assert frame[column].isna().all()
        assert about.absent[column]
    assert power_column(frame, "nvml:GPU-nobody") is None


_PARENT = """
    import os, sys, time
    from pathlib import Path
    from helpers.metering.timeline import start_timeline

    line = start_timeline(Path(sys.argv[1]), [])
    try:
        holder = os.fork() if sys.argv[2] == "a fork holds the pipe" else 0
        if holder or sys.argv[2] == "alone":
            print(line.pid, holder, flush=True)
        time.sleep(30)
    except KeyboardInterrupt:
        line.stop()
"""


def start_parent(folder: Path, how: str) -> tuple[subprocess.Popen[str], int, int]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_PARENT), str(folder), how],
        env={**os.environ, "PYTHONPATH": str(paths.ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    pid, holder = map(int, process.stdout.readline().split())
    return process, pid, holder


@pytest.mark.parametrize("how", ["alone", "a fork holds the pipe"])
def test_it_ends_with_a_parent_that_is_killed_and_writes_nothing(tmp_path, how):
    process, pid, holder = start_parent(tmp_path, how)
    try:
        assert alive(pid)
        process.kill()
        process.wait(timeout=5)
        assert gone_within(pid, 5.0)
    finally:
        if holder:
            os.kill(holder, signal.SIGKILL)
        with process:
            process.kill()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_from_the_keyboard_is_for_the_run_and_not_for_its_time_line(tmp_path):
    process, pid, _ = start_parent(tmp_path, "alone")
    with process:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=20) == 0
    assert not alive(pid)
    assert len(read_timeline(tmp_path / "power.parquet")) >= 1


def test_a_time_line_that_was_killed_is_lost_and_says_so(tmp_path):
    with start_timeline(tmp_path, []) as line:
        os.kill(line.pid, signal.SIGKILL)
        with pytest.raises(TimelineLost, match="lost: its process ended with status -9"):
            line.stop()
    assert list(tmp_path.iterdir()) == []


def test_leaving_the_block_without_a_stop_ends_the_process_and_writes_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="the run"), start_timeline(tmp_path, []) as line:
        raise RuntimeError("the run failed")
    assert not alive(line.pid)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TimelineLost, match="abandoned"):
        line.stop()


def test_stopping_twice_gives_the_same_file(tmp_path):
    with start_timeline(tmp_path, [], period_s=0.02) as line:
        assert line.stop() == line.stop()


def test_a_process_that_does_not_start_is_told(tmp_path):
    with pytest.raises(TimelineLost, match=r"did not start: its process ended with status 2, .*--period"):
        start_timeline(tmp_path, [], period_s=None)  # type: ignore[arg-type]


def test_a_folder_that_is_gone_at_the_end_loses_the_time_line(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    with start_timeline(folder, [], period_s=0.02) as line:
        folder.rmdir()
        with pytest.raises(TimelineLost, match=r"lost: .*FileNotFoundError"):
            line.stop()


def test_without_pyarrow_the_user_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(timeline, "find_spec", lambda name: None)
    assert "pip install '.[measure]'" in refusal(start_timeline, tmp_path, [])


# The rhythm


def ticks(clock: Clock, period_s: float = 0.1) -> Samples | None:
    return collect(sampling.Sensors((), {}, {}), clock.wait, period_s, clock)


def test_rows_lie_on_a_grid_that_does_not_drift():
    frame = frame_of(ticks(Clock(100.0, late=[0.002] * 2000)))
    assert len(frame) == 1000
    assert np.allclose(frame["time_s"] - 1000.0, 0.1 * np.arange(1, 1001) + 0.002)


def test_missed_ticks_are_a_gap_and_no_burst():
    for late_s, steps_s, missed in [(0.53, [0.1, 0.63, 0.07, 0.1], 5), (0.57, [0.1, 0.67, 0.13, 0.1], 6)]:
        samples = ticks(Clock(2.0, late=[0, 0, late_s]))
        assert samples is not None
        assert np.round(np.diff(samples.values["time_s"]), 3)[:4].tolist() == steps_s
        assert samples.about.missed == 20 - samples.about.rows == missed


@given(st.lists(st.floats(0, 1.0), max_size=30))
def test_however_late_the_ticks_come_rows_keep_apart_and_every_tick_is_accounted_for(late):
    samples = ticks(Clock(5.0, late=late))
    assert samples is not None
    assert min((b - a for a, b in pairwise(samples.values["time_s"])), default=1) >= 0.05 - 1e-9
    last_tick = samples.about.rows + samples.about.missed
    assert 0 <= samples.values["time_s"][-1] - (1000.0 + 0.1 * last_tick) <= 1.0 + 1e-9


def test_when_nobody_wants_the_rows_any_more_there_are_none():
    clock = Clock()
    assert collect(sampling.Sensors((), {}, {}), lambda _: "gone", 0.1, clock) is None


def test_the_first_row_is_reported_once():
    reported: list[float] = []
    clock = Clock(1.0)
    collect(sampling.Sensors((), {}, {}), clock.wait, 0.1, clock, begun=lambda: reported.append(clock()))
    assert reported == [1000.1]


# What a row holds: RAPL


def test_packages_and_memory_have_columns_and_what_is_inside_or_around_them_has_not(tmp_path):
    folders = ["intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl:1:0"]
    others = {"intel-rapl:2": "psys", "intel-rapl-mmio:0": "package-0"}
    names = {"intel-rapl:1": "package-1", "intel-rapl:1:0": "dram", **others}
    powercap(tmp_path, dict.fromkeys([*folders, *others], 5), names)
    sensors = open_sensors([], Clock(), powercap=tmp_path)
    expected = [rapl_column(name) for name in ("package-0", "package-0:dram", "package-1", "package-1:dram")]
    assert list(sensors.columns) == [*expected, CPU_LOAD]
    assert sensors.absent == {}


def test_no_rapl_and_no_gpu_leave_the_cpu_load_and_a_reason(tmp_path):
    sensors = open_sensors([], Clock(), powercap=tmp_path / "none")
    assert sensors.columns == (CPU_LOAD,)
    assert "no package domain" in sensors.absent["rapl"]


def rapl_powers(root: Path, start_uj: int, steps_uj: list[int], period_s: float = 0.1) -> list[float | None]:
    powercap(root, {"intel-rapl:0": start_uj % RANGE_UJ})
    clock = Clock()
    reader = open_sensors([], clock, powercap=root).readers[PACKAGE]
    powers, energy_uj = [], start_uj
    for step_uj in steps_uj:
        energy_uj += step_uj
        clock.wait(period_s)
        powercap(root, {"intel-rapl:0": energy_uj % RANGE_UJ})
        powers.append(reader(clock()))
    return powers


@FOLDERS
@given(st.integers(0, RANGE_UJ - 1), st.lists(st.integers(1, 9 * 10**8), min_size=1, max_size=8))
def test_a_wrap_of_the_rapl_counter_at_any_point_changes_nothing(tmp_path, start_uj, steps_uj):
    assert rapl_powers(tmp_path, start_uj, steps_uj) == pytest.approx(
        [step / 1e5 for step in steps_uj], rel=1e-9
    )


def test_a_rapl_counter_that_stands_still_has_no_power_and_catches_up(tmp_path):
    assert rapl_powers(tmp_path, 7, [10**7, 0, 0, 3 * 10**7]) == [
        pytest.approx(100),
        None,
        None,
        pytest.approx(100),
    ]
    assert rapl_powers(tmp_path, 0, [0, 0, 0]) == [None, None, None]


def test_a_rapl_counter_that_was_reset_has_no_power_for_a_row(tmp_path):
    powers = rapl_powers(tmp_path, 10**10, [10**7, -(10**10), 10**7])
    assert powers == [pytest.approx(100), None, pytest.approx(100)]


def test_no_permission_is_told_apart_from_no_counter(tmp_path, monkeypatch):
    powercap(tmp_path, {"intel-rapl:0": 5})
    read_text = Path.read_text

    def denied(self, *arguments, **options):  # a test that runs as root can read every file
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read_text(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", denied)
    sensors = open_sensors([], Clock(), powercap=tmp_path)
    assert PACKAGE in sensors.columns
    assert "no permission to read" in sensors.absent[PACKAGE]
    assert math.isnan(row(sensors)[PACKAGE])


def test_a_rapl_counter_that_vanishes_leaves_nulls_and_the_reason(tmp_path):
    powercap(tmp_path, {"intel-rapl:0": 5})
    clock = Clock(1.0)
    sensors = open_sensors([], clock, powercap=tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    samples = collect(sensors, clock.wait, 0.1, clock)
    assert samples is not None
    assert frame_of(samples)[PACKAGE].isna().all()
    assert "lost in mid-run" in samples.about.absent[PACKAGE]


# What a row holds: NVML


def test_a_row_holds_what_nvml_says():
    values, sensors = gpu_row(FakeNvml())
    assert values == {
        "power_instant_w": 300.0,
        "power_average_w": 300.0,
        "temperature_c": 55,
        "clock_sm_mhz": 1980,
        "throttle_reasons": 4,
        "utilisation_percent": 97,
    }
    assert not any("nvml" in name for name in sensors.absent)


@pytest.mark.parametrize(
    "kind", ["DOUBLE", "UNSIGNED_INT", "UNSIGNED_LONG", "UNSIGNED_LONG_LONG", "SIGNED_INT"]
)
def test_the_power_does_not_depend_on_the_type_that_a_driver_gives_it(kind):
    values, _ = gpu_row(FakeNvml(value_type=getattr(pynvml, f"NVML_VALUE_TYPE_{kind}")))
    assert values["power_instant_w"] == 300.0


@pytest.mark.parametrize(
    ("name", "architecture", "fields", "expected"),
    [
        ("NVIDIA H100", "HOPPER", (), "power_average_w"),
        ("NVIDIA A10", "AMPERE", (), "power_average_w"),
        ("NVIDIA A100-SXM4-40GB", "AMPERE", (), "power_instant_w"),
        ("NVIDIA A30", "AMPERE", (), "power_instant_w"),
        ("Tesla V100-SXM2-32GB", "VOLTA", (), "power_instant_w"),
        ("NVIDIA A30", "AMPERE", (pynvml.NVML_FI_DEV_POWER_INSTANT,), "power_instant_w"),
        ("NVIDIA L4", "ADA", (pynvml.NVML_FI_DEV_POWER_AVERAGE,), "power_average_w"),
    ],
)
def test_power_of_the_moment_and_power_of_a_second_are_not_mixed_up(name, architecture, fields, expected):
    nvml = FakeNvml(
        name=name, architecture=getattr(pynvml, f"NVML_DEVICE_ARCH_{architecture}"), fields=fields
    )
    values, sensors = gpu_row(nvml)
    other = next(quantity for quantity in ("power_instant_w", "power_average_w") if quantity != expected)
    assert values[expected] == 300.0
    assert math.isnan(values[other])
    assert "Not Supported" in sensors.absent[gpu_column(UUID, other)]


def test_part_of_a_gpu_has_no_power_of_its_own():
    unsupported = pynvml.NVML_ERROR_NOT_SUPPORTED
    calls = ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetUtilizationRates")
    values, sensors = gpu_row(FakeNvml(fields=(), errors=dict.fromkeys(calls, unsupported)))
    assert math.isnan(values["power_instant_w"])
    assert math.isnan(values["power_average_w"])
    assert math.isnan(values["utilisation_percent"])
    assert values["temperature_c"] == 55
    assert sensors.absent[INSTANT] == sensors.absent[AVERAGE] == "NVML: Not Supported"


def test_a_power_of_zero_is_no_power():
    values, sensors = gpu_row(FakeNvml(instant_w=lambda: 0.0))
    assert math.isnan(values["power_instant_w"])
    assert "0 mW" in sensors.absent[INSTANT]


def test_without_a_driver_every_value_of_a_gpu_is_absent():
    values, sensors = gpu_row(FakeNvml(errors={"nvmlInit": pynvml.NVML_ERROR_DRIVER_NOT_LOADED}))
    assert all(math.isnan(value) for value in values.values())
    assert "does not start: Driver Not Loaded" in sensors.absent[INSTANT]


def test_a_gpu_lost_in_mid_run_leaves_nulls_and_no_integral():
    nvml, clock = FakeNvml(), Clock(2.0)

    def wait(seconds: float) -> sampling_process.Order:
        order = clock.wait(seconds)
        if clock() > 1001.0:
            nvml.errors["every"] = pynvml.NVML_ERROR_GPU_IS_LOST
        return order

    sensors = open_sensors([UUID], clock, pynvml=nvml, powercap=Path("no-such-folder"))
    samples = collect(sensors, wait, 0.1, clock)
    frame = frame_of(samples)
    assert samples is not None
    assert frame[INSTANT].notna().sum() == 10
    assert samples.about.absent[INSTANT] == "lost in mid-run: NVML: GPU is lost"
    assert integral_wh(frame, 1000.2, 1000.9, INSTANT) == pytest.approx(300 * 0.7 / 3600)
    assert integral_wh(frame, 1000.2, 1001.9, INSTANT) is None


# The file


def test_absent_values_are_null_in_the_file_and_everything_comes_back(tmp_path):
    nvml, clock = FakeNvml(fields=(pynvml.NVML_FI_DEV_POWER_INSTANT,)), Clock(1.0)
    samples = collect(open_sensors([UUID], clock, pynvml=nvml, powercap=tmp_path), clock.wait, 0.1, clock)
    assert samples is not None
    write(samples, tmp_path / "power.parquet")
    frame = read_timeline(tmp_path / "power.parquet")
    pd.testing.assert_frame_equal(frame, frame_of(samples), check_dtype=False)
    assert frame[AVERAGE].isna().all()
    assert frame[gpu_column(UUID, "throttle_reasons")].dtype == np.int64
    assert read_about(tmp_path / "power.parquet") == samples.about
    from pyarrow import parquet

    table = parquet.read_table(tmp_path / "power.parquet")
    assert table.column(AVERAGE).null_count == len(frame)


def test_a_file_that_is_no_time_line_is_refused(tmp_path):
    file = tmp_path / "power.parquet"
    assert "power.parquet: expected a power time line" in refusal(read_timeline, file)
    file.write_text("no Parquet")
    assert "power.parquet: expected a power time line" in refusal(read_timeline, file)
    pd.DataFrame({"time_s": [1.0]}).to_parquet(file)
    assert "found another table" in refusal(read_about, file)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"rows": "<script>alert(1)</script>"}, "found rows: input should be a valid integer"),
        ({"absent": {"gpu": 1}}, "found absent.gpu: input should be a valid string"),
        ({"own_cpu_percent": math.nan}, "found own_cpu_percent: input should be a finite number"),
        ({"title": "x"}, "found title: unexpected keyword argument"),
    ],
)
def test_what_a_time_line_says_of_itself_is_checked(tmp_path, changed, found):
    import pyarrow as pa
    from pyarrow import parquet

    about = {"period_s": 0.1, "rows": 1, "missed": 0, "own_cpu_percent": 0.4, "absent": {}} | changed
    file = tmp_path / "power.parquet"
    table = pa.table({"time_s": [1.0]}).replace_schema_metadata({ABOUT: json.dumps(about)})
    parquet.write_table(table, file)
    message = refusal(read_about, file)
    assert found in message
    assert "\n" not in message


def test_a_column_of_texts_is_no_time_line(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    file = tmp_path / "power.parquet"
    table = pa.table({"time_s": [1.0], "cpu_load_percent": ["<b>"]})
    parquet.write_table(table.replace_schema_metadata({ABOUT: "{}"}), file)
    assert "found the column 'cpu_load_percent' of type string" in refusal(read_timeline, file)


# The integral


def trace(times: list[float], power_w: Callable[[float], float], column: str = INSTANT) -> pd.DataFrame:
    return pd.DataFrame({"time_s": times, column: [power_w(time_s) for time_s in times]})


IRREGULAR = st.lists(st.floats(0.01, 0.3), min_size=2, max_size=60).map(lambda steps: list(np.cumsum(steps)))
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


def window(times: list[float], shares: list[float]) -> tuple[float, float]:
    length = times[-1] - times[0]
    return tuple(min(times[0] + share * length, times[-1]) for share in shares)  # type: ignore[return-value]


@given(IRREGULAR, SHARES, st.floats(0.1, 1000), st.floats(-5, 5))
def test_the_integral_of_a_straight_line_is_exact_wherever_rows_and_edges_lie(times, shares, base_w, slope):
    start_s, end_s = window(times, shares)
    exact_j = base_w * (end_s - start_s) + slope * (end_s**2 - start_s**2) / 2
    energy_wh = integral_wh(trace(times, lambda t: base_w + slope * t), start_s, end_s, INSTANT)
    assert energy_wh == pytest.approx(exact_j / 3600, rel=1e-9, abs=1e-9)


@given(IRREGULAR, st.tuples(*[st.floats(0, 1)] * 3).map(sorted), st.sampled_from([INSTANT, PACKAGE]))
def test_the_integrals_of_consecutive_windows_add_up(times, shares, column):
    frame = trace(times, lambda t: 200 + 100 * math.sin(3 * t), column)
    start_s, middle_s, end_s = window(times, shares)
    parts = [integral_wh(frame, start_s, middle_s, column), integral_wh(frame, middle_s, end_s, column)]
    assert sum(parts) == pytest.approx(integral_wh(frame, start_s, end_s, column), rel=1e-9, abs=1e-12)


@given(st.floats(1.0, 10.0), st.floats(0, 2 * math.pi), st.floats(0, 0.1))
def test_the_integral_of_a_sine_is_within_two_percent_at_ten_rows_a_second(period_s, phase, offset_s):
    omega = 2 * math.pi / period_s
    frame = trace([offset_s + 0.1 * k for k in range(80)], lambda t: 300 + 250 * math.sin(omega * t + phase))
    start_s, end_s = 1.234, 6.789
    exact_j = 300 * (end_s - start_s) - 250 / omega * (
        math.cos(omega * end_s + phase) - math.cos(omega * start_s + phase)
    )
    assert integral_wh(frame, start_s, end_s, INSTANT) == pytest.approx(exact_j / 3600, rel=0.02)


@FOLDERS
@given(st.lists(st.floats(50, 500), min_size=3, max_size=30), st.data())
def test_the_integral_of_rapl_power_is_what_its_counter_has_counted(tmp_path, powers_w, data):
    steps_uj = [round(power_w * 1e5) for power_w in powers_w]
    powers = rapl_powers(tmp_path, RANGE_UJ - 10**7, steps_uj)
    times = [1000.0 + 0.1 * (k + 1) for k in range(len(powers))]
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(times) - 1)] * 2)))
    energy_wh = integral_wh(
        pd.DataFrame({"time_s": times, PACKAGE: powers}), times[first], times[last], PACKAGE
    )
    assert energy_wh == pytest.approx(sum(steps_uj[first + 1 : last + 1]) / 3.6e9, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("task_s", [0.001, 0.01, 0.1, 1.0, 20.0])
def test_replayed_power_gives_the_energy_of_a_pass_within_two_percent(tmp_path, task_s):
    """A pass takes 600 W for its first half and 200 W for the rest, before and after the window, too."""

    def energy_j(time_s: float) -> float:
        whole, rest_s = divmod(time_s - 1000.0, task_s)
        return whole * 400 * task_s + 600 * min(rest_s, task_s / 2) + 200 * max(0.0, rest_s - task_s / 2)

    passes = math.ceil(5.0 / task_s)
    start_s, end_s = 1002.0, 1002.0 + passes * task_s
    clock = Clock(end_s - 999.0, late=[0.0003 * (k * 7 % 11) for k in range(400)])
    nvml = FakeNvml(
        instant_w=lambda: 600.0 if (clock() - 1000.0) % task_s < task_s / 2 else 200.0,
        average_w=lambda: energy_j(clock()) - energy_j(clock() - 1.0),
    )

    def wait(seconds: float) -> sampling_process.Order:
        order = clock.wait(seconds)
        powercap(tmp_path, {"intel-rapl:0": round(RANGE_UJ - 10**9 + energy_j(clock()) * 1e6) % RANGE_UJ})
        return order

    powercap(tmp_path, {"intel-rapl:0": RANGE_UJ - 10**9})
    frame = frame_of(collect(open_sensors([UUID], clock, nvml, tmp_path), wait, 0.1, clock))
    exact_wh = pytest.approx(400 * task_s / 3600, rel=0.02)
    assert integral_wh(frame, start_s, end_s, PACKAGE) / passes == exact_wh
    if task_s <= 1.0:  # a mean over a second comes late: not for work that lasts as long as its window
        assert integral_wh(frame, start_s, end_s, AVERAGE) / passes == exact_wh
    if task_s >= 1.0:  # rows cannot follow what changes faster than they come
        assert integral_wh(frame, start_s, end_s, INSTANT) / passes == exact_wh


TENTHS = [0.1 * k for k in range(101)]


@pytest.mark.parametrize(("start_s", "end_s"), [(-0.01, 5), (5, 10.01), (-2, -1), (11, 12)])
def test_a_window_that_the_rows_do_not_cover_has_no_integral(start_s, end_s):
    assert integral_wh(trace(TENTHS, lambda _: 100), start_s, end_s, INSTANT) is None


def test_a_column_that_is_absent_or_empty_has_no_integral():
    frame = trace(TENTHS, lambda _: math.nan)
    assert integral_wh(frame, 1, 2, INSTANT) is None
    assert integral_wh(frame, 1, 2, PACKAGE) is None
    assert integral_wh(trace([1.0], lambda _: 100), 1, 1, INSTANT) is None


@pytest.mark.parametrize("column", [INSTANT, PACKAGE])
def test_a_long_gap_has_no_integral_and_a_short_one_is_bridged(column):
    whole = trace(TENTHS, lambda _: 100, column)
    for first, last, covered in [(3.0, 3.2, True), (3.0, 3.4, True), (3.0, 4.0, False)]:
        inside = whole["time_s"].between(first + 0.01, last - 0.01)
        removed, null = whole[~inside], whole.mask(inside & (whole.columns == column).any())
        null["time_s"] = whole["time_s"]
        for frame in (removed, null):
            energy_wh = integral_wh(frame, 0.5, 9.5, column)
            assert (energy_wh == pytest.approx(0.25)) if covered else (energy_wh is None)
        assert integral_wh(removed, 5.0, 9.5, column) == pytest.approx(0.125), "the gap lies outside"
    assert integral_wh(whole[~whole["time_s"].between(3.01, 3.39)], 2.9, 3.5, column) is None, (
        "half of it is gap"
    )


def test_no_integral_of_what_is_no_power_or_runs_backwards():
    frame = trace(TENTHS, lambda _: 50, CPU_LOAD)
    with pytest.raises(ValueError, match="no integral of cpu_load_percent"):
        integral_wh(frame, 1, 2, CPU_LOAD)
    with pytest.raises(ValueError, match="from 2 to 1 s"):
        integral_wh(trace(TENTHS, lambda _: 50), 2, 1, INSTANT)


def test_the_power_of_the_moment_is_preferred_where_it_is_known():
    frame = pd.DataFrame({"time_s": [0.0], INSTANT: [300.0], AVERAGE: [290.0], PACKAGE: [100.0]})
    assert power_column(frame, f"nvml:{UUID}") == INSTANT
    assert power_column(frame.assign(**{INSTANT: math.nan}), f"nvml:{UUID}") == AVERAGE
    assert power_column(frame, "rapl:package-0") == PACKAGE
    assert power_column(frame, "rapl:package-0:dram") is None


# Throttling and temperature


REASONS = gpu_column(UUID, "throttle_reasons")
OTHER_REASONS = gpu_column("GPU-other", "throttle_reasons")
TEMPERATURE = gpu_column(UUID, "temperature_c")
OTHER_TEMPERATURE = gpu_column("GPU-other", "temperature_c")


def test_reasons_for_lower_clocks_are_named_for_all_gpus_within_the_window():
    frame = pd.DataFrame(
        {"time_s": [0, 1, 2, 3], REASONS: [0x8, 0x4 | 0x1, 0, 0x80], OTHER_REASONS: [0, 0, 0x40 | 0x2, 0]}
    )
    assert throttled(frame, 0.5, 2.5) == {"sw_power_cap", "hw_thermal_slowdown"}
    assert throttled(frame, 2.5, 3.0) == {"hw_power_brake_slowdown"}


def test_idling_and_clocks_set_by_a_person_are_no_throttling():
    frame = pd.DataFrame({"time_s": [0.0, 1.0], REASONS: [0x1, 0x2 | 0x100]})
    assert throttled(frame, 0, 1) == set()


def test_unknown_reasons_are_not_taken_for_none():
    frame = pd.DataFrame({"time_s": [0.0, 1.0], REASONS: [math.nan, 0.0]})
    assert throttled(frame, 0, 0.5) is None
    assert throttled(frame, 0, 1) == set()
    assert throttled(frame[["time_s"]], 0, 1) is None


def test_the_bits_are_those_of_nvml():
    names = {
        "sw_power_cap": "SwPowerCap",
        "hw_slowdown": "HwSlowdown",
        "sync_boost": "SyncBoost",
        "sw_thermal_slowdown": "SwThermalSlowdown",
        "hw_thermal_slowdown": "HwThermalSlowdown",
        "hw_power_brake_slowdown": "HwPowerBrakeSlowdown",
        "board_limit": "BoardLimit",
        "reliability": "Reliability",
    }
    assert {name: bit for bit, name in timeline._THROTTLING.items()} == {
        name: getattr(pynvml, f"nvmlClocksThrottleReason{spelt}") for name, spelt in names.items()
    }


@given(st.floats(20, 80), st.floats(-10, 10))
def test_the_drift_of_the_temperature_is_that_of_the_gpu_that_moves_most(base_c, rise_c):
    assume(abs(abs(rise_c) * 2 / 3 - 2) > 0.1)
    times = np.linspace(0, 9, 90)
    frame = pd.DataFrame(
        {"time_s": times, TEMPERATURE: base_c + rise_c * times / 9, OTHER_TEMPERATURE: 50.0, CPU_LOAD: 5.0}
    )
    assert temperature_drift_c(frame, 0, 9) == pytest.approx(rise_c * 2 / 3, abs=0.2)
    assert temperature_settled(frame, 0, 9) == (abs(rise_c) * 2 / 3 < 2)


def test_where_no_temperature_is_known_nobody_says_that_it_has_settled():
    frame = pd.DataFrame({"time_s": TENTHS, TEMPERATURE: math.nan})
    assert temperature_settled(frame, 0, 5) is None
    assert temperature_settled(frame.assign(**{TEMPERATURE: 50.0}), 0, 0.1) is None  # two rows
    assert temperature_settled(frame[["time_s"]], 0, 5) is None
