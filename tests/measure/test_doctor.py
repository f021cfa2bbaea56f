"""The doctor: what a machine can measure, why not, what to do, and whether that is enough for a paper."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pynvml
import pytest

from helpers.measure import doctor, system_checks
from helpers.measure.doctor import Finding, diagnose, paper_grade, run_doctor
from helpers.metering.codecarbon import Part, Tracked
from helpers.metering.nvml import GpuDevice
from helpers.metering.sampling import CPU_LOAD
from tests.support.replay import FakeNvml, Gpu, Machine

GIB = 2**30
HARDWARE = "processor : 0\nflags : fpu vme sse2\n"
VIRTUAL = "processor : 0\nflags : fpu vme hypervisor sse2\n"


class Nvml(FakeNvml):
    """With what the doctor asks beside counters."""

    others = 0
    reasons = 0

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Gpu:  # noqa: N802
        """Return a GPU."""
        return next(gpu for gpu in self.gpus if gpu.uuid == uuid)

    def nvmlDeviceGetFieldValues(self, gpu: Gpu, fields: list[int]) -> list[Any]:  # noqa: N802
        """Know no power but the one of `nvmlDeviceGetPowerUsage`."""
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlDeviceGetArchitecture(self, gpu: Gpu) -> int:  # noqa: N802
        """Return the generation."""
        return int(pynvml.NVML_DEVICE_ARCH_HOPPER)

    def nvmlDeviceGetTemperature(self, gpu: Gpu, sensor: int) -> int:  # noqa: N802
        """Return degrees."""
        return 40

    def nvmlDeviceGetClockInfo(self, gpu: Gpu, kind: int) -> int:  # noqa: N802
        """Return MHz."""
        return 1980

    def nvmlDeviceGetCurrentClocksEventReasons(self, gpu: Gpu) -> int:  # noqa: N802
        """Return why clocks are low."""
        return self.reasons

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: Gpu) -> list[Any]:  # noqa: N802
        """Return processes of others."""
        return [type("Process", (), {"pid": 10**7 + i}) for i in range(self.others)]


class Host:
    """A machine with a powercap folder, GPUs and a root folder, for the doctor to look at."""

    def __init__(self, folder: Path, gpus: int, packages: int, dram: bool = True) -> None:
        self.machine = Machine(folder / "powercap", gpus=gpus, packages=packages, dram=dram)
        self.nvml = Nvml(self.machine.nvml.gpus)
        self.root = folder / "root"
        self.folder = folder
        self.put("proc/meminfo", f"MemTotal: {64 * GIB // 1024} kB\n")
        self.put("proc/cpuinfo", HARDWARE)
        self.put("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\n")
        self.busy = (0, 1000)
        self.versions: dict[str, str] = dict.fromkeys(system_checks.MEASURE, "1.0")
        self.tracked: Tracked | Exception = tracked("estimated:cpu-load")

    def put(self, name: str, content: str) -> None:
        """Write a file below the root."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(content)

    def sleep(self, seconds: float) -> None:
        """Wait; meanwhile the machine is as busy as `busy` says (ticks busy, ticks idle)."""
        if seconds == system_checks.LOOK_S:
            busy, idle = self.busy
            self.put("proc/stat", f"cpu  {100 + busy} 0 100 {800 + idle} 0 0 0 0 0 0\ncpu0 1 0 1 8 0 0 0 0\n")
            return
        self.machine.clock.sleep(seconds)

    def codecarbon(self, gpus: Sequence[GpuDevice]) -> Tracked:
        """Stand in for CodeCarbon."""
        if isinstance(self.tracked, Exception):
            raise self.tracked
        return self.tracked

    def diagnose(self) -> dict[str, Finding]:
        """Return what the doctor finds, by its name."""
        findings = diagnose(
            root=self.root,
            powercap=self.folder / "powercap",
            pynvml=self.nvml,
            lock=self.folder / "lock",
            clock=self.machine.clock,
            sleep=self.sleep,
            codecarbon=self.codecarbon,
            version=self.versions.get,
        )
        names = [item.what for item in findings]
        assert len(set(names)) == len(names)
        return {item.what: item for item in findings}


def tracked(cpu: Any) -> Tracked:
    """What CodeCarbon says of half a second."""
    return Tracked(
        duration_s=0.5,
        cpu=Part(None, "missing", "nothing found") if cpu == "missing" else Part(0.001, cpu),
        gpu=Part(None, "missing", "no GPU that could be measured"),
        ram=Part(20 * 0.5 / 3600, "estimated:ram-codecarbon"),
    )


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "SLURM_MEM_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(system_checks, "locked_version", lambda _: "1.0")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    made: list[Host] = []

    def make(gpus: int = 1, packages: int = 1, dram: bool = True) -> Host:
        made.append(Host(tmp_path, gpus, packages, dram))
        return made[-1]

    yield make
    for host in made:
        host.machine.close()


def grade(findings: dict[str, Finding]) -> dict[str, bool]:
    return dict(paper_grade(list(findings.values())))


# What is measured


def test_a_server_with_all_counters_measures_everything_and_is_good_enough_for_a_paper(hosts):
    findings = hosts(gpus=2, packages=2).diagnose()
    energies = ["GPU 0 (NVIDIA H100)", "GPU 1 (NVIDIA H100)", "CPU package-0", "CPU package-1"]
    energies += ["DRAM package-0:dram", "DRAM package-1:dram", "power time line"]
    assert {findings[name].state for name in energies} == {"measured"}
    assert {findings[name].remedy for name in energies} == {None}
    assert "60 W now" in findings["CPU package-0"].why  # the idle power of the replayed package
    assert "70 W now" in findings["GPU 1 (NVIDIA H100)"].why
    assert grade(findings) == {"cpu": True, "gpu": True}
    rest = {item.state for name, item in findings.items() if name not in (*energies, "memory")}
    assert rest <= {"fine", "missing"}


def test_a_virtual_machine_without_counters_estimates_and_is_not_good_enough(hosts):
    host = hosts(gpus=0, packages=0)
    host.nvml.error = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    host.put("proc/cpuinfo", VIRTUAL)
    host.put("sys/class/dmi/id/product_name", "KVM\n")
    findings = host.diagnose()
    assert findings["CPU"].state == "estimated"
    assert "estimated:cpu-load" in findings["CPU"].why
    assert "modprobe intel_rapl_msr" in str(findings["CPU"].remedy)
    assert findings["GPU"].state == "missing"
    assert "--gpus all" in str(findings["GPU"].remedy)
    assert findings["DRAM"].state == "missing"
    assert findings["power time line"].state == "missing"
    assert CPU_LOAD in findings["power time line"].why
    assert (findings["virtual machine"].state, "KVM" in findings["virtual machine"].why) == (
        "disturbed",
        True,
    )
    assert grade(findings) == {"cpu": False, "gpu": False}


def test_without_an_estimate_either_the_cpu_is_missing(hosts):
    host = hosts(packages=0)
    host.tracked = tracked("missing")
    assert host.diagnose()["CPU"].state == "missing"


def test_a_counter_that_may_not_be_read_names_the_file_and_the_command(hosts, tmp_path, monkeypatch):
    host = hosts(gpus=0, packages=2)
    read_bytes, file = Path.read_bytes, tmp_path / "powercap" / "intel-rapl:1" / "energy_uj"

    def refused(path: Path) -> bytes:
        if path.name == "energy_uj" and path.parent.name == "intel-rapl:1":
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != file)
    findings = host.diagnose()
    assert findings["CPU package-0"].state == "measured"
    assert findings["CPU package-1"].state != "measured"
    assert "no permission" in findings["CPU package-1"].why
    assert str(findings["CPU package-1"].remedy).endswith(f"sudo chmod a+r {file}")
    assert grade(findings)["cpu"] is False, "half of the packages are no measurement"


def test_a_counter_that_stands_still_is_no_measurement(hosts):
    host = hosts(gpus=1, packages=1)
    for gpu in host.machine.nvml.gpus:
        gpu.register.stuck_at = 0
    findings = host.diagnose()
    assert findings["GPU 0 (NVIDIA H100)"].state == "missing"
    assert "stuck" in findings["GPU 0 (NVIDIA H100)"].why
    assert grade(findings) == {"cpu": True, "gpu": False}


def test_only_the_gpus_of_the_run_are_looked_at(hosts, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    host = hosts(gpus=8)
    findings = host.diagnose()
    assert [name for name in findings if name.startswith("GPU ") and "(" in name] == ["GPU 3 (NVIDIA H100)"]


def test_a_gpu_without_a_counter_and_a_part_of_a_gpu_are_told_apart(hosts):
    host = hosts(gpus=2)
    host.nvml.gpus[0].counter_error = pynvml.NVML_ERROR_NOT_SUPPORTED
    host.nvml.gpus[1].in_parts = True
    findings = host.diagnose()
    assert "Volta" in findings["GPU 0 (NVIDIA H100)"].why
    mig = next(item for item in findings.values() if "MIG" in item.why)
    assert (mig.state, mig.remedy) == ("missing", "use a whole GPU that is not split")
    assert grade(findings)["gpu"] is False


# Memory, CodeCarbon


def test_memory_counts_by_both_rules_in_watts_and_says_whose_limit_it_is(hosts, monkeypatch):
    host = hosts()
    assert "64.00 GB (the whole machine) are 24 W" in host.diagnose()["memory"].why
    host.put("proc/self/cgroup", "0::/job\n")
    host.put("sys/fs/cgroup/job/memory.max", f"{16 * GIB}\n")
    why = host.diagnose()["memory"].why
    assert "16.00 GB (a cgroup's limit) are 6 W" in why
    assert "20 W by CodeCarbon's" in why
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "8192")
    assert "8.00 GB (SLURM's limit) are 3 W" in host.diagnose()["memory"].why


def test_codecarbon_tells_version_and_modes_and_may_fail_without_harm(hosts):
    host = hosts()
    host.versions["codecarbon"] = "3.3.2"
    codecarbon = host.diagnose()["CodeCarbon"]
    assert codecarbon.state == "fine"
    assert "version 3.3.2" in codecarbon.why
    assert "CPU estimated:cpu-load" in codecarbon.why
    host.tracked = RuntimeError("no\nhardware")
    assert "RuntimeError: no hardware" in host.diagnose()["CodeCarbon"].why
    del host.versions["codecarbon"]
    findings = host.diagnose()
    assert findings["CodeCarbon"].state == "missing"
    assert findings["Python packages"].state == "missing"
    assert "'.[measure]'" in str(findings["Python packages"].remedy)


# What disturbs


def test_a_busy_machine_and_a_lock_that_is_held_disturb(hosts, tmp_path, hold):
    host = hosts()
    assert host.diagnose()["quietness"].state == "fine"
    host.put("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\n")
    host.busy = (500, 500)
    release = hold(tmp_path / "lock")
    findings = host.diagnose()
    assert findings["quietness"].state == "disturbed"
    assert "50 % busy" in findings["quietness"].why
    assert findings["machine lock"].state == "disturbed"
    release()
    assert host.diagnose()["machine lock"].state == "fine"


def test_other_processes_and_throttled_clocks_of_a_gpu_disturb(hosts):
    host = hosts()
    findings = host.diagnose()
    assert (findings["other processes on the GPUs"].state, findings["GPU clocks"].state) == ("fine", "fine")
    host.nvml.others, host.nvml.reasons = 2, 0x20
    findings = host.diagnose()
    assert findings["other processes on the GPUs"].state == "disturbed"
    assert findings["other processes on the GPUs"].why.startswith("2 ")
    assert "sw_thermal_slowdown" in findings["GPU clocks"].why


def test_a_part_of_the_cores_is_told(hosts):
    host = hosts()
    host.put("proc/stat", "cpu  1 0 1 8 0 0 0 0\n" + "".join(f"cpu{i} 1 0 1 8\n" for i in range(4)))
    host.sleep = lambda seconds: (
        None if seconds == system_checks.LOOK_S else host.machine.clock.sleep(seconds)
    )
    share = host.diagnose()["share of the machine"]
    assert (share.state, "1 of 4 cores" in share.why) == ("disturbed", True)


@pytest.mark.parametrize(
    ("name", "content", "kind", "remedy"),
    [
        (".dockerenv", "", "docker", "systempaths=unconfined"),
        ("run/.containerenv", "", "podman", "unmask=/sys/devices/virtual/powercap"),
        ("proc/1/cgroup", "0::/kubepods/x\n", "kubernetes", "privileged"),
    ],
)
def test_a_container_is_recognised_and_gets_its_own_remedy(hosts, name, content, kind, remedy):
    host = hosts()
    assert host.diagnose()["container"].why == "none detected"
    host.put(name, content)
    container = host.diagnose()["container"]
    assert f"inside {kind}" in container.why
    assert remedy in container.remedy


@pytest.mark.parametrize(("governor", "state"), [("performance", "fine"), ("powersave", "disturbed")])
def test_the_governor_of_the_clocks_is_told(hosts, governor, state):
    host = hosts()
    host.put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", f"{governor}\n")
    assert host.diagnose()["CPU clocks"].state == state


def test_packages_that_are_not_as_locked_and_ray_are_told(hosts):
    host = hosts()
    assert host.diagnose()["Python packages"].state == "fine"
    assert host.diagnose()["Ray"].state == "missing"
    host.versions |= {"torch": "9.9", "ray": "2.0"}
    findings = host.diagnose()
    assert findings["Python packages"].why == "not as locked: torch 9.9, locked 1.0"
    assert findings["Ray"].state == "fine"


def test_a_locked_version_is_read_from_the_lock_file(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text("codecarbon==3.3.2\ntorch==2.13.0+cpu ; x\nnvidia-ml-py==13.0\n")
    versions = [system_checks.locked_version(name, lock) for name in ("codecarbon", "torch", "pyarrow")]
    assert versions == ["3.3.2", "2.13.0", None]


# The verb


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"CPU package-0": "measured", "GPU": "missing"}, {"cpu": True, "gpu": False}),
        ({"CPU": "estimated", "GPU 0 (NVIDIA H100)": "measured"}, {"cpu": False, "gpu": True}),
        ({"CPU": "estimated", "GPU": "missing", "CPU clocks": "fine"}, {"cpu": False, "gpu": False}),
        (
            {"CPU package-0": "measured", "CPU clocks": "missing", "GPU": "missing"},
            {"cpu": True, "gpu": False},
        ),
        ({}, {"cpu": False, "gpu": False}),
    ],
)
def test_a_device_is_paper_grade_where_all_its_parts_are_measured(states, expected):
    assert paper_grade([Finding(what, state, "", None) for what, state in states.items()]) == expected


@pytest.mark.parametrize(("state", "status"), [("measured", 0), ("estimated", 1), ("missing", 1)])
def test_the_exit_status_says_whether_a_paper_can_be_written(monkeypatch, capsys, state, status):
    monkeypatch.setattr(doctor, "diagnose", lambda: [Finding("CPU", state, "because", "do this")])
    assert run_doctor() == status
    output = capsys.readouterr().out
    assert "because" in output
    assert "-> do this" in output
    assert run_doctor(as_json=True) == status
    assert json.loads(capsys.readouterr().out) == {
        "paper_grade": {"cpu": status == 0, "gpu": False},
        "findings": [{"what": "CPU", "state": state, "why": "because", "remedy": "do this"}],
    }


def test_on_this_machine_everything_is_looked_at_and_the_verdict_fits(capsys):
    status = run_doctor(as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert status == (0 if any(document["paper_grade"].values()) else 1)
    names = {item["what"].split()[0] for item in document["findings"]}
    assert {"CPU", "GPU", "DRAM", "memory", "CodeCarbon", "power", "machine", "quietness", "Ray"} <= names
    assert all(item["why"] for item in document["findings"])
