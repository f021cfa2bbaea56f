"""What one row of the power time line holds: the values of a moment, one reader per column.

Columns are named after the energy counters: `nvml:GPU-...:power_instant_w`, `rapl:package-0:power_w`.
A value that cannot be read is None, with the reason kept once per column; it is never 0.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from helpers.core.nvml import nvml_module
from helpers.metering.rapl import POWERCAP, rapl_domains

CPU_LOAD = "cpu_load_percent"
GPU_QUANTITIES = (
    "power_instant_w",
    "power_average_w",
    "temperature_c",
    "clock_sm_mhz",
    "throttle_reasons",
    "utilisation_percent",
)

# Far above any socket: a counter that "used" this was reset (resume, firmware), it did not wrap.
_IMPLAUSIBLE_W = 10_000.0
_VOLTA_OR_TURING, _AMPERE = 6, 7
# On the GA100 chip, as on everything older, NVML knows no averaged power.
_GA100 = re.compile(r"\bA(30|100|800)X?\b")

Reader = Callable[[float], float | None]
"""Reads one value; gets the time of the row in seconds. None where there is no value at the moment."""


class ReadingError(Exception):
    """A value could not be read; the message says why."""


@dataclass(frozen=True)
class Sensors:
    """The readers of all columns; a column without a reader stays empty, `absent` says why."""

    columns: tuple[str, ...]
    readers: Mapping[str, Reader]
    absent: Mapping[str, str]


def gpu_column(uuid: str, quantity: str) -> str:
    """Name the column of a GPU's quantity, one of `GPU_QUANTITIES`."""
    return f"nvml:{uuid}:{quantity}"


def rapl_column(domain: str) -> str:
    """Name the column of a RAPL domain's power, for example of `package-0` or `package-0:dram`."""
    return f"rapl:{domain}:power_w"


def open_sensors(
    gpus: Sequence[str],
    clock: Callable[[], float],
    pynvml: Any | None = None,
    powercap: Path = POWERCAP,
) -> Sensors:
    """Look for everything that a row can hold; never an error.

    Args:
        gpus: UUIDs of the GPUs that the run uses; each gets its columns whether NVML answers or not.
        clock: the clock of the rows, in seconds; mean powers count from now on.
        pynvml: NVML's Python module; nvidia-ml-py by default.
        powercap: the folder of the RAPL domains.
    """
    readers: dict[str, Reader] = {}
    absent: dict[str, str] = {}
    columns = [gpu_column(uuid, quantity) for uuid in gpus for quantity in GPU_QUANTITIES]
    # RAPL first: it is the one whose power depends on the exact time of the row.
    for _, domain, folder in rapl_domains(powercap):
        column = rapl_column(domain)
        columns.append(column)
        try:
            readers[column] = _RaplPower(folder, clock)
        except ReadingError as error:
            absent[column] = str(error)
    if not any(column.startswith("rapl:") for column in columns):
        absent["rapl"] = f"no package domain under {powercap}"
    for column, reader in _gpu_readers(gpus, pynvml).items():
        if isinstance(reader, str):
            absent[column] = reader
        else:
            readers[column] = reader
    psutil.cpu_percent()  # counts from here
    readers[CPU_LOAD] = lambda _: psutil.cpu_percent()
    return Sensors((*columns, CPU_LOAD), readers, absent)


# RAPL


class _RaplPower:
    """Mean power of a RAPL domain since the last row that has a value."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._energy = folder / "energy_uj"
        self._range_uj = _microjoules(folder / "max_energy_range_uj")
        self._last = (clock(), _microjoules(self._energy))

    def __call__(self, time_s: float) -> float | None:
        """Return the mean power in W; None while the counter stands still or right after its reset.

        Raises:
            ReadingError: the file cannot be read.
        """
        energy_uj = _microjoules(self._energy)
        last_s, last_uj = self._last
        used_uj = energy_uj - last_uj if energy_uj >= last_uj else energy_uj - last_uj + self._range_uj
        if used_uj == 0 or time_s <= last_s:  # no chip needs 0 W: the counter was not updated
            return None
        self._last = (time_s, energy_uj)
        power_w = used_uj / 1e6 / (time_s - last_s)
        return power_w if 0 < power_w < _IMPLAUSIBLE_W else None


def _microjoules(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii"))
    except PermissionError:
        raise ReadingError(f"no permission to read {file}") from None
    except (OSError, ValueError) as error:
        raise ReadingError(f"{file}: {error}") from None


# NVML


def _gpu_readers(gpus: Sequence[str], pynvml: Any | None) -> dict[str, Reader | str]:
    """Return for every GPU column its reader, or the reason why there is none."""
    everything = [gpu_column(uuid, quantity) for uuid in gpus for quantity in GPU_QUANTITIES]
    if not gpus:
        return {}
    try:
        nvml = pynvml or nvml_module()
        nvml.nvmlInit()
    except ImportError:
        return dict.fromkeys(everything, "nvidia-ml-py is not installed")
    except nvml.NVMLError as error:
        return dict.fromkeys(everything, f"NVML does not start: {error}")
    result: dict[str, Reader | str] = {}
    for uuid in gpus:
        result |= _one_gpu(nvml, uuid)
    return result


def _one_gpu(pynvml: Any, uuid: str) -> dict[str, Reader | str]:
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except pynvml.NVMLError as error:
        return {gpu_column(uuid, quantity): f"no GPU {uuid}: {error}" for quantity in GPU_QUANTITIES}
    calls: dict[str, Callable[[], float]] = {
        "power_instant_w": lambda: _field_w(pynvml, handle, pynvml.NVML_FI_DEV_POWER_INSTANT),
        "power_average_w": lambda: _field_w(pynvml, handle, pynvml.NVML_FI_DEV_POWER_AVERAGE),
        "temperature_c": lambda: _temperature_c(pynvml, handle),
        "clock_sm_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "throttle_reasons": lambda: _throttle_reasons(pynvml, handle),
        "utilisation_percent": lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu,
    }
    tried = {name: _tried(pynvml, call) for name, call in calls.items()}
    if isinstance(tried["power_instant_w"], str) and isinstance(tried["power_average_w"], str):
        # A driver without these fields has one power; the chip decides which it is.
        usage = _tried(pynvml, lambda: _positive_w(pynvml.nvmlDeviceGetPowerUsage(handle)))
        tried["power_average_w" if _power_usage_is_averaged(pynvml, handle) else "power_instant_w"] = usage
    return {gpu_column(uuid, name): reader for name, reader in tried.items()}


def _tried(pynvml: Any, call: Callable[[], float]) -> Reader | str:
    """Return a reader of what `call` gives, or the reason why it gives nothing now."""

    def reader(_: float) -> float:
        try:
            return call()
        except pynvml.NVMLError as error:
            raise ReadingError(f"NVML: {error}") from None

    try:
        reader(0.0)
    except ReadingError as error:
        return str(error)
    return reader


def _field_w(pynvml: Any, handle: Any, field: int) -> float:
    value = pynvml.nvmlDeviceGetFieldValues(handle, [field])[0]
    if value.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(value.nvmlReturn)
    members = {  # the type differs between drivers
        pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
        pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
        pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "usVal",
    }
    if value.valueType not in members:
        raise ReadingError(f"NVML: field {field} has the unknown type {value.valueType}")
    return _positive_w(getattr(value.value, members[value.valueType]))


def _positive_w(power_mw: float) -> float:
    if power_mw <= 0:
        raise ReadingError(f"NVML: a power of {power_mw} mW")
    return power_mw / 1000


def _power_usage_is_averaged(pynvml: Any, handle: Any) -> bool:
    """Say whether `nvmlDeviceGetPowerUsage` is a mean over 1 s: on Ampere except GA100, and on newer chips."""
    try:
        architecture = pynvml.nvmlDeviceGetArchitecture(handle)
        if architecture != _AMPERE:
            return bool(architecture > _VOLTA_OR_TURING)
        return not _GA100.search(pynvml.nvmlDeviceGetName(handle))
    except pynvml.NVMLError:
        return True


def _temperature_c(pynvml: Any, handle: Any) -> float:
    # The newer call does not exist in older drivers, the older one is to go with CUDA 14.
    try:
        return float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
    except (AttributeError, pynvml.NVMLError_FunctionNotFound):
        return float(pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))


def _throttle_reasons(pynvml: Any, handle: Any) -> float:
    try:
        return float(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except (AttributeError, pynvml.NVMLError_FunctionNotFound):  # the name before driver 535
        return float(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
