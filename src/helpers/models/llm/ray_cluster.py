"""The Ray cluster that an engine over several nodes needs."""

import subprocess
from pathlib import Path

from helpers.core.errors import UserError
from helpers.models.llm.engine import EngineSettings

ANSWER_S = 60.0
"""A cluster that takes longer is taken for dead."""
_PROGRAM = """
import logging, os, socket, ray
host, _, port = os.environ.get("RAY_ADDRESS", "").rpartition(":")
try:
    if port.isdigit():  # Ray itself would try for minutes
        socket.create_connection((host, int(port)), 5).close()
    ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
except Exception as error:
    print("none", type(error).__name__)
else:
    print("nodes", *(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"]))
"""
_START = (
    "start it from the engine's environment on every node: .venv-llm/bin/ray start --head on one, "
    ".venv-llm/bin/ray start --address=HOST:6379 on the others, each with --disable-usage-stats"
)


def check_nodes(settings: EngineSettings, python: Path) -> None:
    """Check that the current Ray cluster (`RAY_ADDRESS`, or that of this machine) has the nodes, with their GPUs.

    Raises:
        UserError: one line where there is none, or it is too small; vLLM would wait for it in silence.
    """
    try:
        done = subprocess.run(
            [str(python), "-c", _PROGRAM], capture_output=True, text=True, check=False, timeout=ANSWER_S
        )
        answer = next(
            (line.split() for line in done.stdout.splitlines() if line.startswith(("none", "nodes"))),
            ["none"],
        )
    except subprocess.TimeoutExpired:
        answer = ["none"]
    if answer[0] == "none":
        raise UserError(
            f"nodes={settings.nodes}: no Ray cluster answers, expected one over all nodes; {_START}"
        )
    able = [gpus for gpus in answer[1:] if float(gpus) >= settings.gpus]
    if len(able) < settings.nodes:
        raise UserError(
            f"nodes={settings.nodes}: the Ray cluster has {len(answer) - 1} nodes, {len(able)} of them with "
            f"{settings.gpus} GPUs or more; {_START}"
        )
