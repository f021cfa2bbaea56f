"""NVML's total-energy counters, of the GPUs that a run may use and of no others."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.core.nvml import nvml_module
from helpers.metering.counters import Absent, Counter, CounterLost, RegisterCounter

UPDATE_PERIOD_S = 0.1
_UNIT_J = 1e-3
_CUDA = "CUDA_VISIBLE_DEVICES"
_NONE = ("-1", "NoDevFiles", "none", "void")
"""How CUDA, SLURM and containers say that there is no GPU."""


@dataclass(frozen=True)
class GpuDevice:
    """A whole GPU that the run may use; `index` is NVML's."""

    index: int
    uuid: str
    name: str


@dataclass(frozen=True)
class _Shown:
    """A GPU that NVML shows, whether the run may use it or not."""

    device: GpuDevice
    handle: Any
    in_parts: bool
    """Split into MIG devices."""


def open_nvml(
    pynvml: Any | None = None, visible: str | None = None, clock: Callable[[], float] = time.perf_counter
) -> tuple[list[Counter], list[Absent], list[GpuDevice]]:
    """Open the energy counters of the GPUs that the run may use; never an error.

    Args:
        pynvml: NVML's Python module; nvidia-ml-py by default.
        visible: indices or UUIDs as in CUDA_VISIBLE_DEVICES; by default that variable, else the GPUs of the
            SLURM job, else all that NVML shows.
        clock: monotonic clock in seconds.

    Returns:
        The counters, what is absent and why, and the whole GPUs that the run may use.
    """
    try:
        nvml = pynvml if pynvml is not None else nvml_module()
        nvml.nvmlInit()
    except ImportError:
        remedy = "python -m pip install nvidia-ml-py"
        return [], [Absent("gpu", "nvml", "nvidia-ml-py is not installed", remedy)], []
    except nvml.NVMLError as error:
        return [], [_no_driver(nvml, error)], []
    try:
        shown = _shown(nvml)
        chosen, absent = _chosen(shown, visible)
    except nvml.NVMLError as error:
        return [], [Absent("gpu", "nvml", f"NVML does not list the GPUs: {error}", None)], []
    counters: list[Counter] = []
    devices = []
    for gpu in chosen:
        if gpu.in_parts:
            absent.append(_part(f"nvml:{gpu.device.uuid}", f"GPU {gpu.device.index} is split"))
            continue
        devices.append(gpu.device)
        try:
            counters.append(_counter(nvml, gpu, clock))
        except CounterLost as lost:
            absent.append(Absent("gpu", lost.name, lost.reason, None))
    return counters, absent, devices


def _no_driver(nvml: Any, error: Any) -> Absent:
    reasons = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: (
            "no NVIDIA driver here",
            "use a machine with an NVIDIA GPU; in a container: docker run --gpus all, apptainer exec --nv",
        ),
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: (
            "the NVIDIA driver is not loaded",
            "sudo modprobe nvidia, on a machine with an NVIDIA GPU",
        ),
        nvml.NVML_ERROR_NO_PERMISSION: (
            "no permission to use the NVIDIA driver",
            "ask the administrator for access to /dev/nvidia*; under SLURM: --gres=gpu:1",
        ),
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
            "the loaded NVIDIA driver and its library have different versions",
            "reboot the machine",
        ),
    }
    reason, remedy = reasons.get(error.value, (f"NVML does not start: {error}", None))
    return Absent("gpu", "nvml", reason, remedy)


def _shown(nvml: Any) -> list[_Shown | Absent]:
    """Return what NVML shows, by its index; a GPU that it shows but does not let us use is absent."""
    gpus: list[_Shown | Absent] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            device = GpuDevice(index, nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle))
            gpus.append(_Shown(device, handle, _in_parts(nvml, handle)))
        except nvml.NVMLError as error:
            gpus.append(Absent("gpu", f"nvml:{index}", f"GPU {index}: {error}", None))
    return gpus


def _in_parts(nvml: Any, handle: Any) -> bool:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except (AttributeError, nvml.NVMLError):
        return False
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _chosen(shown: Sequence[_Shown | Absent], visible: str | None) -> tuple[list[_Shown], list[Absent]]:
    """Return the GPUs of the run, each once; like CUDA, stop at the first entry that names none."""
    selection = _visible(len(shown)) if visible is None else visible
    if not shown:
        return [], [Absent("gpu", "nvml", "the NVIDIA driver shows no GPU", None)]
    if selection is None:
        chosen: list[_Shown | Absent] = list(shown)
    else:
        chosen = []
        for entry in filter(None, (part.strip() for part in selection.split(","))):
            if entry in _NONE:
                break
            gpu = _one(shown, entry)
            if gpu not in chosen:
                chosen.append(gpu)
            if isinstance(gpu, Absent) and gpu.source == entry:
                break
        if not chosen:
            remedy = f"to use GPUs: {_CUDA}=0 or a UUID"
            given = f": {_CUDA}={selection!r}" if visible is None else ""
            chosen = [Absent("gpu", "nvml", f"no GPU is given to the run{given}", remedy)]
    return (
        [item for item in chosen if isinstance(item, _Shown)],
        [item for item in chosen if isinstance(item, Absent)],
    )


def _visible(shown: int) -> str | None:
    """Return which GPUs the environment gives to the run; None for all that are shown."""
    if (cuda := os.environ.get(_CUDA)) is not None:
        return cuda
    slurm = os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS")
    # Numbers of the whole node; where the job sees its own GPUs only, they are numbered anew.
    return slurm if slurm and slurm.count(",") + 1 < shown else None


def _one(shown: Sequence[_Shown | Absent], entry: str) -> _Shown | Absent:
    """Return the GPU that an entry of CUDA_VISIBLE_DEVICES names: index, UUID or its beginning."""
    if entry.startswith("MIG-"):
        return _part(f"nvml:{entry}", f"{entry} is a part of a GPU")
    if entry.isdigit():
        if int(entry) < len(shown):
            return _ambiguous(shown, entry) or shown[int(entry)]
    else:
        named = [item for item in shown if isinstance(item, _Shown) and item.device.uuid.startswith(entry)]
        if len(named) == 1:
            return named[0]
    indices = ", ".join(str(item.device.index) for item in shown if isinstance(item, _Shown))
    return Absent(
        "gpu", entry, f"no GPU {entry}: NVML shows {indices}", "name a GPU that nvidia-smi -L lists"
    )


def _ambiguous(shown: Sequence[_Shown | Absent], entry: str) -> Absent | None:
    """Refuse an index where CUDA and NVML may count differently: CUDA puts the fastest GPU first."""
    models = {item.device.name for item in shown if isinstance(item, _Shown)}
    if len(models) < 2 or in_nvml_order():
        return None
    reason = (
        f"GPU {entry} is not the same one for CUDA and NVML where models differ: {', '.join(sorted(models))}"
    )
    return Absent(
        "gpu", f"nvml:{entry}", reason, "export CUDA_DEVICE_ORDER=PCI_BUS_ID, or name the GPU by UUID"
    )


def in_nvml_order() -> bool:
    """Say whether CUDA counts GPUs as NVML does, also where their models differ."""
    return os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"


def _part(source: str, what: str) -> Absent:
    reason = f"{what} (MIG): only whole GPUs have an energy counter, and it counts other users' work, too"
    return Absent("gpu", source, reason, "use a whole GPU that is not split")


def _counter(nvml: Any, gpu: _Shown, clock: Callable[[], float]) -> RegisterCounter:
    name = f"nvml:{gpu.device.uuid}"

    def read_raw() -> int:
        try:
            return int(nvml.nvmlDeviceGetTotalEnergyConsumption(gpu.handle))
        except nvml.NVMLError as error:
            raise CounterLost(name, _reason(nvml, gpu.device, error)) from None

    return RegisterCounter(name, "gpu", UPDATE_PERIOD_S, read_raw, _UNIT_J, None, clock)


def _reason(nvml: Any, device: GpuDevice, error: Any) -> str:
    if error.value == nvml.NVML_ERROR_NOT_SUPPORTED:
        return f"{device.name} has no energy counter; GPUs have one from Volta on"
    if error.value == nvml.NVML_ERROR_NO_PERMISSION:
        return "no permission to read the energy counter"
    return str(error)
