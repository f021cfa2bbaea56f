"""`python -m helpers doctor`: what this machine can measure and what not, why, and what to do about it.

It tries the sources themselves, with the code that a run uses: a counter that exists and does not move is
no measurement. A paper-grade measurement is possible where all CPU packages or all GPUs are measured.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from helpers.core.files import read_text
from helpers.core.lock import MACHINE_LOCK
from helpers.measure.system_checks import Finding, State, check_system
from helpers.metering.codecarbon import Tracked, open_tracker
from helpers.metering.counters import Absent, Counter
from helpers.metering.edge_interpolation import Line, lines_before
from helpers.metering.meter import Sources, find_sources
from helpers.metering.nvml import GpuDevice
from helpers.metering.other_processes import other_processes
from helpers.metering.ram import RAM_W_PER_GB
from helpers.metering.rapl import POWERCAP
from helpers.metering.sampling import CPU_LOAD, ReadingError, Sensors, gpu_column, open_sensors
from helpers.metering.timeline import throttled
from helpers.records.environment import package_version
from helpers.records.hardware import GIB, ram_limits_bytes, slurm_memory_bytes

__all__ = ["Finding", "State", "diagnose", "paper_grade", "run_doctor"]

TASK_S = 0.5
_INSTALL = "python -m pip install -e '.[measure]'"
_NVML_ALONE = "GPU"


def diagnose(
    *,
    root: Path = Path("/"),
    powercap: Path = POWERCAP,
    pynvml: Any | None = None,
    lock: Path = MACHINE_LOCK,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
    codecarbon: Callable[[Sequence[GpuDevice]], Tracked] | None = None,
    version: Callable[[str], str | None] = package_version,
) -> list[Finding]:
    """Find out what this machine can measure; takes some seconds.

    Args:
        root: folder that holds `proc`, `sys` and `run` of the machine.
        powercap: folder of the RAPL domains.
        pynvml: NVML's Python module; nvidia-ml-py by default.
        lock: the lock that a measurement holds.
        clock: monotonic clock in seconds.
        sleep: waits for seconds of that clock.
        codecarbon: measures a short task with CodeCarbon; by default with the one installed.
        version: gives the version of an installed package.
    """
    sources = find_sources(pynvml=pynvml, powercap=powercap, clock=clock, sysfs=root / "sys")
    moved = lines_before(sources.counters, clock, sleep)
    tracked = _tracked(codecarbon or _short_task, sources.gpus) if version("codecarbon") else "not installed"
    uuids = [gpu.uuid for gpu in sources.gpus]
    sensors = open_sensors(uuids, clock, pynvml, powercap)
    return [
        *_gpus(sources, moved),
        *_packages(sources, moved, tracked),
        *_dram(sources, moved),
        _memory(root, tracked),
        _codecarbon(tracked, version("codecarbon")),
        _timeline(sensors, version("pyarrow")),
        _gpu_clocks(sensors, uuids, clock()),
        _other_processes(uuids, pynvml),
        *check_system(root, lock, sleep, version),
    ]


def paper_grade(findings: Sequence[Finding]) -> dict[Literal["cpu", "gpu"], bool]:
    """Say for runs on the CPU and on GPUs whether what does the work is measured in all its parts."""

    def all_measured(kind: str) -> bool:
        # "CPU", "CPU package-0", "GPU 0 ...": the energy of one; "CPU clocks" and the like are no energy.
        states = ("measured", "estimated", "missing")
        energies = [
            item
            for item in findings
            if item.what.split()[0] == kind and not item.what.endswith("clocks") and item.state in states
        ]
        return bool(energies) and all(item.state == "measured" for item in energies)

    return {"cpu": all_measured("CPU"), "gpu": all_measured("GPU")}


def run_doctor(as_json: bool = False) -> int:
    """Print what was found; returns 0 where a paper-grade measurement is possible, else 1."""
    findings = diagnose()
    possible = paper_grade(findings)
    status = 0 if any(possible.values()) else 1
    if as_json:
        document = {"paper_grade": possible, "findings": [asdict(item) for item in findings]}
        print(json.dumps(document, indent=1, ensure_ascii=False))
        return status
    width = max(len(item.what) for item in findings)
    for item in findings:
        print(f"{item.state:<10} {item.what:<{width}}  {item.why}")
        if item.remedy:
            print(f"{'':<10} {'':<{width}}  -> {item.remedy}")
    for device, yes in possible.items():
        print(
            f"paper-grade measurement of a run on the {device.upper()}: {'possible' if yes else 'not possible'}"
        )
    return status


# Energy


def _gpus(sources: Sources, moved: dict[str, Line | str]) -> list[Finding]:
    titles = {f"nvml:{gpu.uuid}": f"GPU {gpu.index} ({gpu.name})" for gpu in sources.gpus}
    counted = [
        _counted(titles.get(counter.name, counter.name), counter, moved)
        for counter in sources.counters
        if counter.component == "gpu"
    ]
    return counted + [
        Finding(titles.get(item.source, _gpu_name(item)), "missing", item.reason, item.remedy)
        for item in sources.absent
        if item.component == "gpu"
    ]


def _gpu_name(item: Absent) -> str:
    name = item.source.removeprefix("nvml").removeprefix(":")
    return f"{_NVML_ALONE} {name}".strip()


def _packages(sources: Sources, moved: dict[str, Line | str], tracked: Tracked | str) -> list[Finding]:
    findings = [
        _counted(f"CPU {counter.name.removeprefix('rapl:')}", counter, moved)
        for counter in sources.counters
        if counter.component == "cpu"
    ]
    for item in sources.absent:
        if item.component == "cpu":
            what = f"CPU {item.source.removeprefix('rapl').removeprefix(':')}".strip()
            state, instead = _without_counter(tracked)
            findings.append(Finding(what, state, f"{item.reason}; {instead}", item.remedy))
    return findings


def _without_counter(tracked: Tracked | str) -> tuple[State, str]:
    if isinstance(tracked, str) or tracked.cpu.energy_wh is None:
        return "missing", "and CodeCarbon does not estimate it"
    method = tracked.cpu.method
    if method.startswith("measured"):
        return "missing", f"CodeCarbon reads other counters ({method}), which are not complete"
    return "estimated", f"CodeCarbon estimates it ({method})"


def _counted(what: str, counter: Counter, moved: dict[str, Line | str]) -> Finding:
    line = moved[counter.name]
    if isinstance(line, str):
        remedy = "sudo dmesg | grep -iE 'rapl|nvidia' shows what the driver says; else reboot"
        return Finding(what, "missing", f"its energy counter is there, but {line}", remedy)
    why = f"energy counter {counter.name}, {line.power_w:.3g} W now, updated every {counter.update_period_s:g} s"
    return Finding(what, "measured", why, None)


def _dram(sources: Sources, moved: dict[str, Line | str]) -> list[Finding]:
    counted = [
        _counted(f"DRAM {counter.name.removeprefix('rapl:')}", counter, moved)
        for counter in sources.counters
        if counter.component == "dram"
    ]
    absent = [item for item in sources.absent if item.component == "dram"]
    if not counted and not absent:
        return [Finding("DRAM", "missing", "no RAPL here, see CPU", None)]
    return counted + [Finding("DRAM", "missing", item.reason, item.remedy) for item in absent]


def _memory(root: Path, tracked: Tracked | str) -> Finding:
    """Report how memory is counted: it has no counter everywhere, so two rules stand for it."""
    total = _total_bytes(root)
    limits = list(ram_limits_bytes(root / "proc/self/cgroup", root / "sys/fs/cgroup"))
    sizes = [value for value in (total, *limits) if value is not None]
    if not sizes:
        return Finding("memory", "missing", f"{root / 'proc/meminfo'} does not give its size", None)
    by_slurm = slurm_memory_bytes(os.environ)
    smallest = min(sizes)
    limit = (
        "SLURM's limit"
        if smallest == by_slurm
        else "the whole machine"
        if smallest == total
        else "a cgroup's limit"
    )
    paper_w = RAM_W_PER_GB * smallest / GIB
    codecarbon = "unknown"
    if not isinstance(tracked, str) and tracked.ram.energy_wh is not None:
        codecarbon = f"{tracked.ram.energy_wh * 3600 / tracked.duration_s:.3g} W"
    why = (
        f"by a rule: {smallest / GIB:.2f} GB ({limit}) are {paper_w:.3g} W by the paper's rule of "
        f"{RAM_W_PER_GB} W/GB, {codecarbon} by CodeCarbon's"
    )
    return Finding("memory", "estimated", why, None)


def _total_bytes(root: Path) -> int | None:
    for line in read_text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) * 1024
    return None


# What measures


def _codecarbon(tracked: Tracked | str, version: str | None) -> Finding:
    if version is None:
        return Finding("CodeCarbon", "missing", "not installed", _INSTALL)
    if isinstance(tracked, str):
        return Finding("CodeCarbon", "missing", f"version {version} does not work here: {tracked}", _INSTALL)
    parts = {"CPU": tracked.cpu, "GPU": tracked.gpu, "memory": tracked.ram}
    methods = [
        f"{name} {part.method}{f' ({part.problem})' if part.problem else ''}" for name, part in parts.items()
    ]
    return Finding(
        "CodeCarbon", "fine", f"version {version}, offline, tasks only: {', '.join(methods)}", None
    )


def _tracked(
    codecarbon: Callable[[Sequence[GpuDevice]], Tracked], gpus: Sequence[GpuDevice]
) -> Tracked | str:
    try:
        return codecarbon(gpus)
    except Exception as error:  # whatever a foreign library does here, the doctor goes on
        return " ".join(f"{type(error).__name__}: {error}".split())


def _short_task(gpus: Sequence[GpuDevice]) -> Tracked:
    with open_tracker(gpus) as tracker:
        tracker.start()
        time.sleep(TASK_S)
        return tracker.stop()


def _timeline(sensors: Sensors, pyarrow: str | None) -> Finding:
    what = "power time line"
    if pyarrow is None:
        return Finding(what, "missing", "pyarrow is not installed", _INSTALL)
    powers = [column for column in sensors.readers if column.endswith("_w")]
    if powers:
        return Finding(what, "measured", f"{', '.join(powers)} and {CPU_LOAD}", None)
    reasons = "; ".join(f"{column}: {reason}" for column, reason in sensors.absent.items())
    why = f"no power, only {CPU_LOAD} ({reasons})"
    return Finding(what, "missing", why, "as for the CPU and the GPU above")


def _gpu_clocks(sensors: Sensors, uuids: Sequence[str], now_s: float) -> Finding:
    import pandas as pd  # noqa: PLC0415  (only where there is something to report)

    what = "GPU clocks"
    columns = [gpu_column(uuid, "throttle_reasons") for uuid in uuids]
    values, unknown = {}, []
    for column in columns:
        try:
            values[column] = [sensors.readers[column](now_s)]
        except KeyError:
            unknown.append(sensors.absent.get(column, "unknown"))
        except ReadingError as error:
            unknown.append(str(error))
    if not values:
        return Finding(what, "missing", "; ".join(unknown) or "no GPU", None)
    reasons = throttled(pd.DataFrame({"time_s": [now_s], **values}), now_s, now_s)
    if not reasons:
        return Finding(what, "fine", "not throttled at the moment", None)
    remedy = "see nvidia-smi -q -d PERFORMANCE; let it cool down, or ask for another node"
    return Finding(what, "disturbed", f"throttled: {', '.join(sorted(reasons))}", remedy)


def _other_processes(uuids: Sequence[str], pynvml: Any | None) -> Finding:
    what = "other processes on the GPUs"
    if not uuids:
        return Finding(what, "missing", "no GPU", None)
    others = other_processes(uuids, pynvml)
    if others is None:
        return Finding(what, "missing", "NVML does not list them", None)
    if others:
        remedy = "nvidia-smi lists them; end them, or take the GPUs for yourself: sbatch --exclusive"
        return Finding(what, "disturbed", f"{others} found, their energy would be counted", remedy)
    return Finding(what, "fine", "none", None)
