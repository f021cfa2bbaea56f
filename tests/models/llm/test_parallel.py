"""Several processes give the answers that one gives: tensor parallel, and pipeline parallel over two Ray nodes.

The nodes are two on this machine, each with a meter. A plugin lets vLLM's CPU build run over Ray
(`tests/cpu_ray_shim`), so this is about our launch, the cluster and the meters, and not about GPUs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from helpers.metering.meter import Reading
from helpers.metering.nodes import open_nodes
from helpers.models.llm import engine as engines
from helpers.models.llm import prompts, watchdog
from helpers.models.llm.engine_checks import EngineSettings, check_engine
from helpers.models.llm.server import Server, serve
from helpers.models.llm.tiny_texts import tiny_texts
from helpers.records.hardware import detect
from helpers.records.storage import Component, Energy
from helpers.study.catalogue import study
from tests.conftest import ROOT, refusal

pytestmark = pytest.mark.xdist_group("engine")

READY_S = 900.0
"""Alone an engine is ready within a minute; beside other tests on two cores, a compiler needs several times as long."""
TEXTS = 12
SHIM = ROOT / "tests" / "cpu_ray_shim"
ONE_GPU_EACH = "0|1"
"""Stands for two GPUs: the cores of the first and of the second process."""


def answers(server: Server) -> list[tuple[str, int]]:
    """Ask a few texts of the tiny dataset one by one; returns each answer and its tokens."""
    replies, instruction = [], prompts.instruction(study().datasets["tiny"])
    for text, _category in tiny_texts().dataset[:TEXTS]:
        answer = httpx.post(
            f"{server.endpoint.url}/chat/completions",
            json={
                "model": server.endpoint.model,
                "messages": prompts.messages(instruction, text),
                "max_tokens": 40,
                "temperature": 0,
            },
            headers={"Authorization": f"Bearer {server.endpoint.api_key}"},
            timeout=60,
        ).json()
        replies.append((answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]))
    return replies


@pytest.fixture(scope="module")
def engine(llm_python: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(engines.PYTHON_VARIABLE, str(llm_python))
        patch.setenv(
            "VLLM_CPU_KVCACHE_SPACE", "1"
        )  # GiB; without it each process takes a share of all memory
        yield


@pytest.fixture(scope="module")
def alone(
    engine: None, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, int]]:
    """What one process answers. float32, for sums in another order shall not decide."""
    settings = EngineSettings(engine="vllm-eager", checkpoint=str(tiny_checkpoint), dtype="float32")
    with serve(settings, tmp_path_factory.mktemp("alone") / "log", READY_S) as server:
        single_process = answers(server)
    assert len(set(single_process)) > 1  # it tells texts apart
    return single_process


def test_two_processes_that_share_each_layer_give_the_same_answers(
    alone, tiny_checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", ONE_GPU_EACH)
    settings = EngineSettings(engine="vllm-eager", checkpoint=str(tiny_checkpoint), dtype="float32", gpus=2)
    with serve(settings, tmp_path / "log", READY_S) as server:
        assert "--tensor-parallel-size" in server.command
        assert answers(server) == alone
        assert server.counters().requests == TEXTS + 1
        marks = {Path(file).name for file in temporary_files() if "vllm_dist_" in file}
        pieces = shared_memory(marks)
        assert pieces, marks
    assert not [piece for piece in pieces if piece.exists()]


def shared_memory(marks: set[str]) -> list[Path]:
    """Return the pieces that are named after one of the marks; an engine of one process has a mark and no piece."""
    return [piece for mark in marks for piece in watchdog.SHARED_MEMORY.glob(f"{mark}-*")]


def temporary_files() -> list[str]:
    """Return what lies in the folder for temporary files that the engine was given."""
    folders = {process.environ().get("TMPDIR", "") for process in psutil.Process().children(recursive=True)}
    return [str(file) for folder in folders if "llm-" in folder for file in Path(folder).iterdir()]


@pytest.fixture(scope="module")
def cluster(engine: None, llm_python: Path) -> Iterator[str]:
    """Two Ray nodes of the engine's environment; gives their address, and leaves nothing behind."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # names of sockets have to be short
    begin = time.time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("CPU_RAY_SHIM", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(SHIM), str(ROOT / "src")]))
        nodes = subprocess.Popen(
            [str(llm_python), str(SHIM / "cluster.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            address = nodes.stdout.readline().strip()
            patch.setenv("RAY_ADDRESS", address)
            yield address
        finally:
            nodes.communicate(timeout=60)
            shutil.rmtree(folder, ignore_errors=True)
            # vLLM's CPU workers on Ray nodes leave it; GPUs have none of this kind.
            for piece in watchdog.SHARED_MEMORY.glob("*-pp:*cpushm*"):
                if piece.stat().st_mtime > begin:
                    piece.unlink()


@pytest.fixture
def two_nodes(tiny_checkpoint: Path) -> EngineSettings:
    # Compiled: without, vLLM 0.32 says on a CPU that it is ready and dies of the first request.
    return EngineSettings(engine="vllm", checkpoint=str(tiny_checkpoint), dtype="float32", nodes=2)


KNOWN_WH = 1.5


@contextmanager
def known_meter():
    """Stands in for counters, of which two nodes on one machine have one set only."""
    yield _Known()


class _Known:
    def start(self):
        pass

    def stop(self):
        part = Component(energy_wh=KNOWN_WH, method="measured:rapl")
        none = Component(energy_wh=None, method="missing")
        return Reading(
            duration_s=2.0,
            codecarbon_duration_s=2.0,
            energy=Energy(cpu=part, gpu=none, ram=none, ram_codecarbon=none),
        )


def test_two_ray_nodes_give_the_same_answers_with_a_meter_on_each(cluster, alone, two_nodes, tmp_path):
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[nodes]'")
    ray.cloudpickle.register_pickle_by_value(
        sys.modules[__name__]
    )  # the nodes have the package, and no tests
    check_engine(two_nodes, detect())
    with serve(two_nodes, tmp_path / "log", READY_S) as server:
        assert (
            " ".join(server.command).count("--pipeline-parallel-size 2 --distributed-executor-backend ray")
            == 1
        )
        # The nodes run the engine's Python, their meters ours.
        ray.init(
            address=cluster,
            runtime_env={"py_executable": sys.executable},
            log_to_driver=False,
            logging_level="error",
        )
        try:
            with open_nodes(known_meter) as meter:
                replies, together = meter.measure(lambda: answers(server))
            places = workers()
        finally:
            ray.shutdown()
            ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert replies == alone
    assert len(together.per_node) == 2
    assert together.energy.cpu.energy_wh == 2 * KNOWN_WH
    assert len(set(places.values())) == 2, "both parts of the model ran on one node"
    deadline = time.monotonic() + 20
    while left := [pid for pid in places if psutil.pid_exists(pid)]:
        assert time.monotonic() < deadline, f"workers are left on the nodes: {left}"
        time.sleep(0.1)


def workers() -> dict[int, str]:
    """Return the node of each of vLLM's workers by its process."""
    from ray._private.state import actors  # the public one asks Ray's dashboard

    return {
        actor["Pid"]: actor["Address"]["NodeID"]
        for actor in actors().values()
        if "RayWorkerProc" in actor["ActorClassName"] and actor["State"] == "ALIVE"
    }


def test_more_nodes_than_the_cluster_has_are_refused_at_once(cluster, tiny_checkpoint):
    settings = EngineSettings(engine="vllm", checkpoint=str(tiny_checkpoint), nodes=3)
    line = refusal(check_engine, settings, detect())
    assert "nodes=3: the Ray cluster has 2 nodes" in line


def test_without_a_cluster_the_line_says_how_to_start_one(engine, tiny_checkpoint, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    settings = EngineSettings(engine="vllm", checkpoint=str(tiny_checkpoint), nodes=2)
    assert "no Ray cluster answers" in refusal(check_engine, settings, detect())
