"""The memory that a process may use is the least of all limits, wherever they are written; GPUs that can be seen are seen."""

import sys

import pynvml
import pytest

from helpers.campaigns.plan.target import Target
from helpers.core.errors import UserError
from helpers.records.hardware import (
    GIB,
    Hardware,
    compute_capabilities,
    detect,
    ram_limits_bytes,
    resolve,
    slurm_memory_bytes,
)
from helpers.records.storage import GpuInfo
from helpers.study import roofline
from helpers.study.catalogue import is_card
from tests.support.replay import UUIDS, Machine


@pytest.mark.parametrize(
    ("given", "gb"),
    [
        ({"SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_ON_NODE": "4"}, 8),
        ({"SLURM_MEM_PER_NODE": "3072", "SLURM_CPUS_ON_NODE": "4"}, 3),
        ({"SLURM_MEM_PER_CPU": "2048"}, None),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({}, None),
    ],
)
def test_memory_per_cpu_counts_for_all_cpus_of_a_slurm_job(given, gb):
    assert slurm_memory_bytes(given) == (None if gb is None else gb * GIB)


def test_a_gpu_that_is_lost_hides_no_other(monkeypatch, tmp_path):
    machine = Machine(tmp_path / "powercap", gpus=3)
    monkeypatch.setitem(sys.modules, "pynvml", machine.nvml)
    machine.nvml.gpus[1].error = pynvml.NVML_ERROR_GPU_IS_LOST
    assert [gpu.uuid for gpu in detect().gpus] == [UUIDS[0], UUIDS[2]]
    assert compute_capabilities() == ((9, 0), (9, 0))
    machine.close()


@pytest.mark.parametrize(
    ("card", "gpu_model", "same"),
    [
        ("A30", "NVIDIA A30", True),
        ("A30", "NVIDIA RTX A3000 Laptop GPU", False),
        ("V100", "Tesla V100-SXM2-32GB", True),
        ("H100", "NVIDIA H100 80GB HBM3", True),
        ("H200", "NVIDIA GH200 480GB", False),
        ("RTX 3090", "NVIDIA GeForce RTX 3090", True),
        ("RTX 3090", "NVIDIA GeForce RTX 3090 Ti", False),
        ("RTX 4090", "NVIDIA GeForce RTX 4090 Laptop GPU", False),
    ],
)
def test_a_card_is_a_whole_word_of_the_name_of_a_gpu(card, gpu_model, same):
    assert is_card(card, gpu_model) is same


def test_a_card_whose_name_contains_another_is_taken_for_no_machine_of_the_paper():
    gpu = GpuInfo(uuid="GPU-0", model="NVIDIA RTX A3000", memory_gb=12.0)
    here = Hardware("CPU", 8, 32.0, (gpu,), None)
    assert Target("node", True, here, None, None).like is None
    with pytest.raises(UserError, match="it has GPUs of the model A30, found NVIDIA RTX A3000"):
        resolve("paula", here)
    assert roofline.find_limits("NVIDIA GH200 480GB") is None


def put(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="ascii")
    return file


def test_limits_of_a_nested_group_and_its_parents_count(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    proc = put(tmp_path / "cgroup", "0::/slurm/job_1/step_0\n")
    groups = tmp_path / "sys"
    put(groups / "slurm" / "job_1" / "memory.max", "2000\n")
    put(groups / "slurm" / "job_1" / "step_0" / "memory.max", "max\n")
    put(groups / "slurm" / "memory.max", "9000\n")
    assert sorted(ram_limits_bytes(proc, groups)) == [2000, 9000]


def test_limits_of_the_first_version_of_cgroups_count(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    proc = put(tmp_path / "cgroup", "5:cpuset:/a\n4:memory:/slurm/job_1\n0::/\n")
    put(tmp_path / "sys" / "memory" / "slurm" / "job_1" / "memory.limit_in_bytes", "3000\n")
    assert list(ram_limits_bytes(proc, tmp_path / "sys")) == [3000]


@pytest.mark.parametrize(("value", "limits"), [("4096", [4096 * 1024**2]), ("0", []), ("", []), ("all", [])])
def test_the_memory_of_a_slurm_job_counts(value, limits, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", value)
    assert list(ram_limits_bytes(tmp_path / "none", tmp_path)) == limits
