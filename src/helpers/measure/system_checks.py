"""What disturbs a measurement on this machine, and what it needs beside energy counters: load, clocks, packages."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from helpers.core import paths
from helpers.core.cores import usable_cores
from helpers.core.files import read_text
from helpers.core.lock import is_held
from helpers.metering.checks import BUSY_PERCENT
from helpers.records.environment import container, git_problem

State = Literal["measured", "estimated", "missing", "fine", "disturbed"]
"""Of energy: measured, estimated or missing. Of what is around it: fine, disturbed or missing."""
LOOK_S = 1.0
MEASURE = (
    "codecarbon",
    "nvidia-ml-py",
    "pyarrow",
    "scikit-learn",
    "sentence-transformers",
    "torch",
    "xgboost",
)
"""Packages of the extra `measure`."""


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing; `remedy` is the exact thing to do, None where there is nothing to do."""

    what: str
    state: State
    why: str
    remedy: str | None


def check_system(
    root: Path, lock: Path, sleep: Callable[[float], None], version: Callable[[str], str | None]
) -> list[Finding]:
    """Check everything that is not an energy source.

    Args:
        root: folder that holds `proc`, `sys` and `run` of the machine.
        lock: the lock that a measurement holds.
        sleep: waits for seconds.
        version: gives the version of an installed package.
    """
    return [
        _clocks(root),
        _lock(lock),
        _load(root, sleep),
        _share(root),
        _virtual(root),
        _container(root, os.environ),
        _commit(),
        _packages(version),
        _ray(version),
    ]


def locked_version(package: str, lock_file: Path = paths.LOCK_FILE) -> str | None:
    """Return the version that requirements.txt pins."""
    match = re.search(rf"^{re.escape(package)}==([^\s;+]+)", read_text(lock_file), re.MULTILINE)
    return match[1] if match else None


def _clocks(root: Path) -> Finding:
    what = "CPU clocks"
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    governors = sorted({governor for file in files if (governor := read_text(file))})
    if not governors:
        return Finding(what, "missing", "the kernel shows no clocks, as in most virtual machines", None)
    if governors == ["performance"]:
        return Finding(what, "fine", "governor performance", None)
    why = f"governor {', '.join(governors)}: clocks follow the load, so short work runs slower"
    return Finding(what, "disturbed", why, "sudo cpupower frequency-set -g performance")


def _lock(lock: Path) -> Finding:
    try:
        held = is_held(lock)
    except OSError as error:
        why = f"{lock} cannot be opened: {error.strerror}"
        return Finding("machine lock", "disturbed", why, f"sudo chmod a+r {lock}")
    if held:
        why = f"another measurement runs on this machine: {lock} is held"
        return Finding("machine lock", "disturbed", why, "wait until it has ended; a new one waits by itself")
    return Finding("machine lock", "fine", "no other measurement runs", None)


def _load(root: Path, sleep: Callable[[float], None]) -> Finding:
    what = "quietness"
    before = _cpu_times(root)
    sleep(LOOK_S)
    after = _cpu_times(root)
    if before is None or after is None or after[1] <= before[1]:
        return Finding(what, "missing", f"{root / 'proc/stat'} does not give the load", None)
    busy = 100 * (after[0] - before[0]) / (after[1] - before[1])
    why = f"the CPU is {busy:.0f} % busy without a run, at most {BUSY_PERCENT:g} % are expected"
    if busy <= BUSY_PERCENT:
        return Finding(what, "fine", why, None)
    remedy = "end other programs (top shows them), or take a whole node: sbatch --exclusive"
    return Finding(what, "disturbed", why, remedy)


def _cpu_times(root: Path) -> tuple[float, float] | None:
    """Return busy and all time of all cores since the start, in ticks."""
    first = read_text(root / "proc/stat").partition("\n")[0].split()
    if len(first) < 6 or first[0] != "cpu":
        return None
    ticks = [float(value) for value in first[1:9]]  # what follows is counted in these already
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _share(root: Path) -> Finding:
    what = "share of the machine"
    cores = len(re.findall(r"^cpu\d+ ", read_text(root / "proc/stat"), re.MULTILINE))
    available = len(usable_cores())
    if not cores or available >= cores:
        return Finding(what, "fine", f"all {available} cores", None)
    why = f"{available} of {cores} cores: counters of a package hold the work of the others, too"
    return Finding(
        what, "disturbed", why, "take the whole node: sbatch --exclusive; without SLURM: no taskset"
    )


def _virtual(root: Path) -> Finding:
    product = read_text(root / "sys/class/dmi/id/product_name")
    if not re.search(r"^flags\s*:.*\bhypervisor\b", read_text(root / "proc/cpuinfo"), re.MULTILINE):
        return Finding("virtual machine", "fine", "none detected", None)
    why = (
        f"a virtual machine{f' ({product})' if product else ''}: energy counters and other guests are hidden"
    )
    return Finding("virtual machine", "disturbed", why, "measure on the machine itself")


def _container(root: Path, environment: Mapping[str, str]) -> Finding:
    kind = container(root, environment)
    if kind is None:
        return Finding("container", "fine", "none detected", None)
    why = f"inside {kind}: it needs the host's counters, which count everything on the machine"
    # The engines hide powercap since it was used to spy on others (CVE-2020-8694).
    remedies = {
        "apptainer": "apptainer exec --nv --bind /sys/class/powercap,/sys/devices/virtual/powercap ...",
        "docker": "docker run --gpus all --security-opt systempaths=unconfined ...",
        "podman": "podman run --device nvidia.com/gpu=all --security-opt unmask=/sys/devices/virtual/powercap ...",
        "kubernetes": "request nvidia.com/gpu; for the CPU a privileged pod",
    }
    return Finding("container", "fine", why, remedies[kind])


def _commit() -> Finding:
    if (problem := git_problem()) is None:
        return Finding("commit", "fine", "known, and written into each record", None)
    why, _, remedy = problem.partition("; ")
    return Finding("commit", "missing", f"unknown, so runs cannot be promoted: {why}", remedy)


def _packages(version: Callable[[str], str | None]) -> Finding:
    versions = {package: version(package) for package in MEASURE}
    absent = [package for package, installed in versions.items() if installed is None]
    if absent:
        why = f"not installed: {', '.join(absent)}"
        return Finding("Python packages", "missing", why, "python -m pip install -e '.[measure]'")
    others = [
        f"{package} {installed}, locked {locked}"
        for package, installed in versions.items()
        if installed and (locked := locked_version(package)) and installed.partition("+")[0] != locked
    ]
    if others:
        remedy = "python -m pip install -r requirements.txt, unless they are intended (a CUDA build of torch)"
        return Finding("Python packages", "disturbed", f"not as locked: {'; '.join(others)}", remedy)
    return Finding("Python packages", "fine", "all that a measurement needs, as locked", None)


def _ray(version: Callable[[str], str | None]) -> Finding:
    ray_version = version("ray")
    if ray_version is None:
        remedy = "on every node: python -m pip install -e '.[nodes]'"
        return Finding("Ray", "missing", "not installed; only runs on several nodes need it", remedy)
    return Finding("Ray", "fine", f"version {ray_version}, for runs on several nodes", None)
