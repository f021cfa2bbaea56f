"""What else runs on the machine: other processes on the GPUs of a run, and other load of the CPU."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from helpers.core.nvml import nvml_session

METERS = ("codecarbon", "carbontracker", "perun", "scaphandre", "powerjoular")
"""Commands that meter the energy of a machine."""


class Load:
    """Tells how busy other processes keep the CPU, from its making on."""

    def __init__(self) -> None:
        self._busy_s, self._total_s = _machine_s()
        self._own_s = _own_s()

    def percent(self) -> float:
        """Return the share of all cores that other processes took; a server that the run has started is no other."""
        busy_s, total_s = _machine_s()
        others_s = busy_s - self._busy_s - (_own_s() - self._own_s)
        return max(0.0, 100 * others_s / max(total_s - self._total_s, 1e-9))


def other_processes(gpu_uuids: Sequence[str], pynvml: Any | None = None) -> int | None:
    """Count the compute processes on these GPUs that are not of this run; None where NVML cannot tell.

    Inside a container the driver may give process ids of the host; those of the run are then counted as others.
    """
    with nvml_session(pynvml) as nvml:
        if nvml is None:
            return None
        try:
            pids = [
                process.pid
                for uuid in gpu_uuids
                for process in nvml.nvmlDeviceGetComputeRunningProcesses(nvml.nvmlDeviceGetHandleByUUID(uuid))
            ]
        except nvml.NVMLError:
            return None
    own = {process.pid for process in _own()}
    return len([pid for pid in pids if pid not in own])


def other_meters() -> list[str]:
    """Return the processes on this machine that look like another meter, by name and number.

    Runs of this project wait for the machine's lock; other programs do not know of it.
    """
    own = {process.pid for process in _own()}
    meters = []
    for process in psutil.process_iter(["cmdline"]):
        words = [Path(word).name for word in process.info["cmdline"] or [] if not word.startswith("-")]
        name = next((word for word in words[:3] if word in METERS), None)
        if name is not None and process.pid not in own:
            meters.append(f"{name} (process {process.pid})")
    return sorted(meters)


def _own() -> list[psutil.Process]:
    """Return this process and all that it has started, servers included."""
    this = psutil.Process(os.getpid())
    return [this, *this.children(recursive=True)]


def _own_s() -> float:
    """Return the processor time of this run so far."""
    seconds = 0.0
    for process in _own():
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def _machine_s() -> tuple[float, float]:
    """Return the processor time of the machine so far: busy, and in total."""
    times = psutil.cpu_times()
    # On Linux the time of guests is in that of users, too.
    total_s = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total_s - times.idle - getattr(times, "iowait", 0.0), total_s
