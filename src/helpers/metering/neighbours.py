"""Other processes on the GPUs of a run."""

import os
from collections.abc import Sequence
from typing import Any


def other_processes(gpu_uuids: Sequence[str], pynvml: Any | None = None) -> int | None:
    """Count the compute processes on these GPUs that are not this one; None where NVML cannot tell.

    Inside a container the driver may give process ids of the host; this process is then counted as another.
    """
    try:
        nvml = pynvml or __import__("pynvml")
        nvml.nvmlInit()
    except Exception:  # no driver, no package: nothing to be told
        return None
    try:
        found = [
            process.pid
            for uuid in gpu_uuids
            for process in nvml.nvmlDeviceGetComputeRunningProcesses(nvml.nvmlDeviceGetHandleByUUID(uuid))
        ]
    except nvml.NVMLError:
        return None
    finally:
        nvml.nvmlShutdown()
    return len([pid for pid in found if pid != os.getpid()])
