"""What the present machine is: CPU, memory, GPUs; and whether it is the one a run asks for."""

import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from helpers.core.cores import usable_cores
from helpers.core.errors import UserError
from helpers.core.files import read_text
from helpers.core.nvml import nvml_session
from helpers.records.storage import GpuInfo
from helpers.study.catalogue import Machine, entry, is_card, study

GIB = 1024**3


@dataclass(frozen=True)
class Hardware:
    """The present machine. `ram_gb` is what this process may use: the least of memory, cgroup and SLURM limits."""

    cpu_model: str
    cpu_cores: int
    ram_gb: float
    gpus: tuple[GpuInfo, ...]
    driver: str | None

    @property
    def name(self) -> str:
        """A name for a machine that is not in the catalogue, for example `amd-epyc-2c`."""
        parts = [re.sub(r"\b(cpu|processor|\d+-core)\b|@.*|\(r\)|\(tm\)", " ", self.cpu_model.lower())]
        parts.append(f"{self.cpu_cores}c")
        if self.gpus:
            parts.append(f"{len(self.gpus)}x {self.gpus[0].model.lower()}")
        return re.sub(r"[^a-z0-9]+", "-", " ".join(parts)).strip("-")


def detect() -> Hardware:
    """Look at the present machine; what cannot be found out is left empty, never an error."""
    gpus, driver = _gpus()
    return Hardware(
        cpu_model=_cpu_model(),
        cpu_cores=len(usable_cores()),
        ram_gb=round(_ram_bytes() / GIB, 2),
        gpus=gpus,
        driver=driver,
    )


def resolve(machine: str, hardware: Hardware, prefix: str = "") -> str:
    """Return the name of the machine under which a run is recorded.

    `auto` is the current machine; a machine of the catalogue has to be the current one.

    Raises:
        UserError: one line where the name is unknown, or the GPUs or the CPU are others.
    """
    if machine in ("auto", hardware.name):
        return hardware.name
    try:
        expected = entry("machine", study().machines, machine, f"{prefix}machine: ")
    except UserError as error:
        raise UserError(f"{error}; this one is {hardware.name}") from None
    if (difference := _difference(expected, hardware)) is not None:
        raise UserError(f"{prefix}machine={machine}: {difference}; use machine=auto to measure this machine")
    return machine


def _difference(expected: Machine, hardware: Hardware) -> str | None:
    """Return how the current machine differs from one of the catalogue; None where it can be that one."""
    present = ", ".join(gpu.model for gpu in hardware.gpus) or "no GPU"
    card = expected.gpu_model
    if card is None and hardware.gpus:
        return f"it has no GPU, found {present}"
    if card is not None and not (hardware.gpus and all(is_card(card, gpu.model) for gpu in hardware.gpus)):
        return f"it has GPUs of the model {card}, found {present}"
    if expected.cpu_model is not None and expected.cpu_model not in hardware.cpu_model:
        return f"it has a CPU of the model {expected.cpu_model}, found {hardware.cpu_model}"
    return None


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def ram_limits_bytes(
    proc: Path = Path("/proc/self/cgroup"), cgroups: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """Yield every limit on the memory of this process: cgroup v1 and v2 from its own group up, and SLURM's."""
    if (given := slurm_memory_bytes(os.environ)) is not None:
        yield given
    for line in read_text(proc).splitlines():
        _, controllers, group = ([*line.split(":", 2), "", ""])[:3]
        if "memory" in controllers.split(","):
            base, name = cgroups / "memory", "memory.limit_in_bytes"
        elif not controllers:
            base, name = cgroups, "memory.max"
        else:
            continue
        here = base / group.strip("/")
        for folder in (here, *here.parents):
            if (limit := read_text(folder / name)).isdigit():
                yield int(limit)
            if folder == base:
                break


def slurm_memory_bytes(environment: Mapping[str, str]) -> int | None:
    """Return what SLURM gives to the job on this node: --mem, or --mem-per-cpu times its CPUs; None where neither is set.

    SLURM sets one of both, in MB; 0 stands for the whole node. Source: sbatch(1), output environment variables.
    """

    def number(name: str) -> int:
        text = environment.get(name, "")
        return int(text) if text.isdigit() else 0

    per_node = number("SLURM_MEM_PER_NODE")
    given_mb = per_node or number("SLURM_MEM_PER_CPU") * number("SLURM_CPUS_ON_NODE")
    return given_mb * 1024**2 or None


def _ram_bytes() -> int:
    return min([int(psutil.virtual_memory().total), *ram_limits_bytes()])


def _gpus() -> tuple[tuple[GpuInfo, ...], str | None]:
    with nvml_session() as nvml:
        if nvml is None:
            return (), None
        gpus = []
        try:
            for handle in _handles(nvml):
                with suppress(nvml.NVMLError):  # lost, or not for us: the others can be used
                    gpus.append(
                        GpuInfo(
                            uuid=nvml.nvmlDeviceGetUUID(handle),
                            model=nvml.nvmlDeviceGetName(handle),
                            memory_gb=round(nvml.nvmlDeviceGetMemoryInfo(handle).total / GIB, 2),
                            **_settings(nvml, handle),
                        )
                    )
            return tuple(gpus), nvml.nvmlSystemGetDriverVersion()
        except nvml.NVMLError:
            return (), None


def _settings(nvml: Any, handle: Any) -> dict[str, Any]:
    """Return how a GPU is set up; a capped card is another machine than one that is not. What is not known is None."""

    def ask(function: str) -> Any:
        try:
            return getattr(nvml, function)(handle)
        except (AttributeError, nvml.NVMLError):  # an older NVML, or a card without that setting
            return None

    limit_mw, persistence = ask("nvmlDeviceGetEnforcedPowerLimit"), ask("nvmlDeviceGetPersistenceMode")
    mig, ecc = ask("nvmlDeviceGetMigMode"), ask("nvmlDeviceGetEccMode")  # now, and after the next start
    return {
        "power_limit_w": limit_mw / 1000 if limit_mw else None,
        "persistence": None if persistence is None else bool(persistence),
        "mig": None if mig is None else bool(mig[0]),
        "ecc": None if ecc is None else bool(ecc[0]),
    }


def compute_capabilities() -> tuple[tuple[int, int], ...]:
    """Ask the driver for the compute capability of each GPU that it opens; empty without a driver."""
    with nvml_session() as nvml:
        if nvml is None:
            return ()
        capabilities = []
        try:
            for handle in _handles(nvml):
                with suppress(nvml.NVMLError):  # as in `_gpus`
                    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
                    capabilities.append((int(major), int(minor)))
        except nvml.NVMLError:
            return ()
        return tuple(capabilities)


def _handles(nvml: Any) -> Iterator[Any]:
    """Yield the GPUs that the driver opens."""
    for index in range(nvml.nvmlDeviceGetCount()):
        with suppress(nvml.NVMLError):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            yield handle
