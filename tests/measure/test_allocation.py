"""Ray over the nodes of a real SLURM job: both are there, only who has the token is answered, and it ends with the run."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.measure import allocation
from tests.campaigns.test_slurm import left_behind
from tests.conftest import Checkout, refusal
from tests.measure.test_kill import wait_for
from tests.support.slurm_cluster import Slurm

pytestmark = pytest.mark.xdist_group("slurm")

SCRIPT = """
import json, os, signal, subprocess, sys
from helpers.measure.allocation import nodes_of_job
from helpers.models.llm.engine import engine_python
from helpers.measure.parameters import plan

COUNT = "import ray; ray.init(address='auto', logging_level='error'); print(len([n for n in ray.nodes() if n['Alive']]))"

def nodes(environment):
    done = subprocess.run([str(engine_python()), "-c", COUNT], env=environment, capture_output=True, text=True, timeout=120)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

before = dict(os.environ)
with nodes_of_job(plan({"model": "tiny", "dataset": "tiny", "nodes": 2}, "-p", "llm")):
    token = os.environ["RAY_AUTH_TOKEN"]
    commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    told = {
        "address": os.environ["RAY_ADDRESS"],
        "with": nodes(dict(os.environ)),
        "with another": nodes({**os.environ, "RAY_AUTH_TOKEN": "0" * 64}),
        "in_commands": token in commands,
    }
    with open(sys.argv[1], "w") as out:
        json.dump(told, out)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
assert dict(os.environ) == before
print("ended by itself")
"""


@pytest.mark.parametrize("end", ["by itself", "killed"])
def test_a_cluster_is_there_for_the_run_and_gone_with_it(
    end: str, slurm: Slurm, checkout: Checkout, llm_python: Path
) -> None:
    (checkout.root / "trial.py").write_text(SCRIPT, encoding="utf-8")
    answers, log = checkout.root / "told.json", checkout.root / "job.log"
    submit = [
        "sbatch",
        "--wait",
        "--nodes=2",
        "--ntasks=2",
        "--exclusive",
        f"--output={log}",
        f"--chdir={checkout.root}",
    ]
    command = f"{sys.executable} trial.py {answers} {end.split(maxsplit=1)[0]}"
    done = subprocess.run(
        [*submit, f"--wrap={command}"],
        env={**checkout.environment, "COMPANION_LLM_PYTHON": str(llm_python)},
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    log_text = log.read_text(encoding="utf-8")
    assert answers.is_file(), log_text
    facts = json.loads(answers.read_text(encoding="utf-8"))
    assert facts["with"] == "2", log_text
    assert facts["with another"] != "2"
    assert not facts["in_commands"], "the token stands in a command line"
    assert facts["address"].startswith(("127.0.0.2:", "127.0.0.3:")), (
        "the address by which SLURM knows the node"
    )
    assert (done.returncode == 0) == (end == "by itself"), log_text
    wait_for(lambda: not left_behind(checkout), 40, "nothing of Ray is left")


def test_a_job_of_other_nodes_than_the_run_needs_is_refused(monkeypatch) -> None:
    from helpers.measure.parameters import plan

    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(allocation, "_nodes", lambda job: ["n1"])
    chosen = plan({"model": "tiny", "dataset": "tiny", "nodes": 2}, "-p", "llm")
    line = refusal(lambda: allocation.nodes_of_job(chosen).__enter__())
    assert line == "nodes=2: the SLURM job has 1; submit it with --nodes=2"


def test_an_interface_that_is_not_there_is_refused_with_those_that_are(monkeypatch) -> None:
    monkeypatch.setenv(allocation.INTERFACE_VARIABLE, "ib7")
    line = refusal(allocation.address_of, "n1")
    assert line.startswith("interface ib7: no IPv4 address on node n1; known: ")
    monkeypatch.setenv(allocation.INTERFACE_VARIABLE, "lo")
    assert allocation.address_of("n1") == "127.0.0.1"


def test_a_run_on_one_node_and_one_outside_of_a_job_need_no_cluster(monkeypatch) -> None:
    from helpers.measure.parameters import plan

    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    begin = time.monotonic()
    for nodes in (1, 2):
        with allocation.nodes_of_job(plan({"model": "tiny", "dataset": "tiny", "nodes": nodes}, "-p", "llm")):
            pass
    assert time.monotonic() - begin < 5
