"""A Ray cluster over the nodes of a SLURM job: brought up before a run over several nodes, and gone after it.

Ray listens on the address by which SLURM knows a node, or on that of a named interface, and answers only to who has the
token of this job. It ends with the process that started it, however that ends: a watchdog waits for it on this node, and
SLURM ends the steps on the others.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from helpers.core import paths
from helpers.core.errors import TransientError, UserError
from helpers.core.files import last_line, read_text
from helpers.core.slurm import ask
from helpers.measure.plan import LlmPlan, Plan
from helpers.models.llm import watchdog
from helpers.models.llm.engine import engine_python
from helpers.models.llm.ray_cluster import check_nodes

INTERFACE_VARIABLE = "COMPANION_INTERFACE"
"""Network interface over which the nodes of a run talk; without it the address by which SLURM knows them."""
LOGS = paths.RUNS / ".workflow"
"""Takes what Ray says on each node; kept where the run fails."""
READY_S = 300.0
"""A cluster that takes longer is given up."""
ENDED_S = 60.0
_STORE_BYTES = 2**30
"""Of Ray's store for objects, which takes a third of the memory otherwise; the parts of a model do not talk through it."""
_START = (
    *("start", "--block", "--disable-usage-stats", "--object-store-memory", str(_STORE_BYTES)),
    "--node-ip-address",
)
_HEAD = ("--head", "--include-dashboard=false", "--port")


@contextmanager
def nodes_of_job(plan: Plan) -> Iterator[None]:
    """Bring Ray up on all nodes of the SLURM job that this process is in, and end it with the block.

    Does nothing for a run on one node, outside of a job, and where `RAY_ADDRESS` names a running cluster.

    Raises:
        TransientError: one line with the last lines of the logs where a node does not come up.
        UserError: one line where the job has other nodes than the run needs.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not isinstance(plan, LlmPlan) or plan.nodes == 1 or job is None or "RAY_ADDRESS" in os.environ:
        yield
        return
    names = _nodes(job)
    if len(names) != plan.nodes:
        raise UserError(
            f"nodes={plan.nodes}: the SLURM job has {len(names)}; submit it with --nodes={plan.nodes}"
        )
    here = os.environ.get("SLURMD_NODENAME") or names[0]
    folder = tempfile.mkdtemp(prefix="ray-")  # a short path: names of sockets have to be
    with ExitStack() as started:
        started.callback(shutil.rmtree, folder, ignore_errors=True)
        address = address_of(here)
        cluster = f"{address}:{_free_port(address)}"
        started.enter_context(_environment(cluster, address, folder))
        nodes = []
        for name in names:
            # Ray's files go with the watchdog of this node, too, where this process cannot remove them any more.
            own = folder if name == here else tempfile.mkdtemp(dir=folder)
            log = LOGS / f"ray-{job}-{name}.log"
            nodes.append(started.enter_context(_watched(_command(name, here, cluster, job), name, log, own)))
        _wait(plan, nodes)
        yield
    for node in nodes:
        node.log.unlink(missing_ok=True)


def address_of(node: str) -> str:
    """Return the IPv4 address on which Ray listens on this node, whose name in SLURM is given.

    Raises:
        UserError: one line where the named interface does not exist.
    """
    if interface := os.environ.get(INTERFACE_VARIABLE):
        interfaces = psutil.net_if_addrs()
        addresses = [item.address for item in interfaces.get(interface, []) if item.family == socket.AF_INET]
        if not addresses:
            raise UserError(
                f"interface {interface}: no IPv4 address on node {node}; known: {', '.join(interfaces)}; correct it in the site"
            )
        return addresses[0]
    description = ask("scontrol", "--oneliner", "show", "node", node)
    name = next(
        (word.partition("=")[2] for word in description.split() if word.startswith("NodeAddr=")), node
    )
    return socket.gethostbyname(name)


def join(cluster: str) -> int:
    """Be a node of the cluster until it ends, or this process is asked to end; returns Ray's exit status.

    Started on each other node by `srun`. Ray's files lie in the same place on all nodes.
    """
    address = address_of(os.environ["SLURMD_NODENAME"])
    ray = subprocess.Popen(
        [*_ray(), *_START, address, "--address", cluster], env={**os.environ, "VLLM_HOST_IP": address}
    )
    signal.signal(signal.SIGTERM, lambda *_: ray.terminate())
    try:
        return ray.wait()
    finally:
        shutil.rmtree(os.environ["RAY_TMPDIR"], ignore_errors=True)


def _nodes(job: str) -> list[str]:
    listed = ask("squeue", "--noheader", "--jobs", job, "--format=%N").strip()
    return ask("scontrol", "show", "hostnames", listed).split()


def _command(name: str, here: str, cluster: str, job: str) -> Sequence[str]:
    address, _, port = cluster.rpartition(":")
    if name == here:
        return [*_ray(), *_START, address, *_HEAD, port]
    own_python = [sys.executable, "-m", "helpers.measure.allocation", cluster]
    step = ("--overlap", "--nodes=1", "--ntasks=1", f"--jobid={job}", f"--nodelist={name}", "--cpu-bind=none")
    return ["srun", *step, *own_python]


def _ray() -> list[str]:
    return [str(engine_python()), "-m", "ray.scripts.scripts"]


@contextmanager
def _environment(cluster: str, address: str, folder: str) -> Iterator[None]:
    """Set what Ray and the engine find the cluster by, here and on the other nodes; srun passes it on."""
    before = dict(os.environ)
    os.environ |= {
        "RAY_ADDRESS": cluster,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": folder,
        "VLLM_HOST_IP": address,
    }
    if interface := os.environ.get(INTERFACE_VARIABLE):
        os.environ |= {"NCCL_SOCKET_IFNAME": interface, "GLOO_SOCKET_IFNAME": interface}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


@dataclass(frozen=True)
class _Node:
    """A node that has been started."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def _watched(command: Sequence[str], name: str, log: Path, folder: str) -> Iterator[_Node]:
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = {variable: value for variable, value in os.environ.items() if variable != "RAY_ADDRESS"}
    process = subprocess.Popen(
        [sys.executable, "-P", watchdog.__file__, str(log), folder, *command],
        stdin=subprocess.PIPE,
        env=kept,
        start_new_session=True,
    )
    try:
        yield _Node(name, process, log)
    finally:
        if process.stdin is not None:
            process.stdin.close()  # what the watchdog waits for
        process.wait(ENDED_S)


def _wait(plan: LlmPlan, nodes: Sequence[_Node]) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            check_nodes(plan.served, engine_python())
        except UserError as error:
            if ended := [node for node in nodes if node.process.poll() is not None]:
                raise TransientError(
                    f"Ray ended on node {ended[0].name} before the run: {_log_end(ended[0].log)}"
                ) from None
            if time.monotonic() > deadline:
                log_lines = " | ".join(_log_end(node.log) for node in nodes)
                raise TransientError(
                    f"Ray did not come up on all {plan.nodes} nodes within {READY_S:g} s ({error}); its logs end: {log_lines}"
                ) from None
        else:
            return


def _log_end(log: Path) -> str:
    return last_line(read_text(log))[:200] or "(empty)"


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(join(sys.argv[1]))
