"""The machine that a campaign is planned for: the current one, or another one of the catalogue."""

from dataclasses import dataclass, replace

from helpers.core.errors import UserError, nearest, short
from helpers.records.hardware import Hardware, compute_capabilities, detect, resolve
from helpers.records.storage import GpuInfo
from helpers.study.catalogue import Machine, entry, is_card, paper_machines, study


@dataclass(frozen=True)
class Target:
    """A machine to plan for, with what is known of its hardware."""

    name: str
    here: bool
    """Whether it is the current machine: only then data, packages and access can be checked."""
    hardware: Hardware
    capability: tuple[int, int] | None
    """The lowest compute capability of its GPUs; None without GPUs, or where unknown."""
    nodes: int | None
    """Number of nodes; None where unknown."""

    @property
    def like(self) -> str | None:
        """The paper's machine with the same GPUs; None where there is none."""
        if self.name in paper_machines():
            return self.name
        return _with_gpu(self.hardware.gpus[0].model) if self.hardware.gpus else None


def current_target() -> Target:
    """Return the current machine, under the name that its runs are recorded by without further settings."""
    hardware = detect()
    return Target(hardware.name, True, hardware, min(compute_capabilities(), default=None), None)


def site_target(machine: str) -> Target:
    """Return a node of a site, by the machine that the site names.

    Files, packages and access are those of the current machine: a cluster shares them between its nodes.
    """
    current = current_target()
    if machine in ("auto", current.name):
        return current
    entry("machine", study().machines, machine, "site: machine: ")
    return replace(catalogue_target(machine), here=True)


def catalogue_target(name: str) -> Target:
    """Return a machine as the catalogue describes it."""
    machine = study().machines[name]
    cores = 1  # what the paper prints is ambiguous, and nothing here is reckoned with it
    hardware = Hardware(machine.cpu, cores, machine.ram_gb, _gpus(machine), None)
    return Target(name, False, hardware, _capability(machine), machine.nodes)


def target_for(machine: str, current: Target, label: str) -> Target:
    """Return the target of a run, by its parameter `machine`: the current machine if it can be that one.

    Raises:
        UserError: one line where no machine has that name.
    """
    if machine in ("auto", current.name):
        return current
    if machine not in study().machines:
        names = [current.name, *study().machines]
        raise UserError(f"{label}: machine: unknown machine {short(machine)} ({nearest(machine, names)})")
    try:
        resolve(machine, current.hardware)
    except UserError:
        return catalogue_target(machine)
    return Target(machine, True, current.hardware, current.capability, study().machines[machine].nodes)


def _with_gpu(model: str) -> str | None:
    return next(
        (
            name
            for name, item in paper_machines().items()
            if item.gpu_model and is_card(item.gpu_model, model)
        ),
        None,
    )


def _gpus(machine: Machine) -> tuple[GpuInfo, ...]:
    if machine.gpu_model is None or machine.gpu_memory_gb is None:
        return ()
    gpu = GpuInfo(uuid="unknown", model=machine.gpu_model, memory_gb=machine.gpu_memory_gb)
    return (gpu,) * machine.gpus_per_node


def _capability(machine: Machine) -> tuple[int, int] | None:
    if machine.gpu_compute_capability is None:
        return None
    major, _, minor = str(machine.gpu_compute_capability).partition(".")
    return int(major), int(minor)
