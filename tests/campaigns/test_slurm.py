"""Campaigns on a real SLURM of two nodes: over both nodes and spread over them, and what is left after kills at any moment."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from helpers.records.storage import read_record
from tests.conftest import ROOT, Checkout
from tests.measure.test_kill import assert_whole_or_absent, tree, wait_for
from tests.support import slurm_cluster
from tests.support.slurm_cluster import Slurm

pytestmark = pytest.mark.xdist_group("slurm")

SHIM = ROOT / "tests" / "cpu_ray_shim"
SITE = """\
title: Two nodes on one machine
executor: slurm
accounting: false
partition: debug
jobs: 6
check_s: 1
most_min: 10
"""
SMALL = {"dataset": "fktg-sample", "window_s": 0.1}
LONG = {
    **SMALL,
    "model": "linear-embedding",
    "checkpoint": "all-minilm-l6-v2",
    "splits": 1,
    "window_s": 600,
}
"""Longer than a minute, and nothing is known of such a run: so much is not expected."""
SPREAD = {
    "notebook": "llm",
    "model": "tiny",
    "dataset": "tiny",
    "data_dir": "./_build/tiny-model",
    "nodes": 2,
    "splits": 1,
    "window_s": 0.1,
    "dtype": "float32",
}
KILLS = 10


@pytest.fixture
def site(checkout: Checkout) -> Path:
    file = checkout.root / "mini.yaml"
    file.write_text(SITE, encoding="utf-8")
    return file


def run(checkout: Checkout, site: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return checkout.helpers("run", "trial", "--site", str(site), **options)


def asked_for(slurm: Slurm, checkout: Checkout) -> dict[str, list[dict[str, str]]]:
    """Return what SLURM knows of the jobs of a checkout, by run."""
    jobs: dict[str, list[dict[str, str]]] = {}
    for line in slurm.ask("scontrol", "--oneliner", "show", "job").splitlines():
        facts = dict(word.partition("=")[::2] for word in line.split() if "=" in word)
        if facts.get("WorkDir") == str(checkout.root):
            jobs.setdefault(facts["Comment"].removeprefix("rule_measure_wildcards_"), []).append(facts)
    return jobs


def test_a_campaign_runs_over_both_nodes_each_run_alone_on_its_own(
    slurm: Slurm, checkout: Checkout, site: Path
) -> None:
    checkout.campaign("trial", {**SMALL, "model": ["linear-bow", "linear-tfidf"], "splits": [1, 2]})
    done = run(checkout, site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(checkout.records()) == 4
    assert_whole_or_absent(checkout)
    jobs = asked_for(slurm, checkout)
    assert {run: len(submitted) for run, submitted in jobs.items()} == {
        file.parent.name: 1 for file in checkout.records()
    }
    (facts,) = next(iter(jobs.values()))
    assert facts["OverSubscribe"] == "NO"
    assert facts["NumNodes"] == "1"
    assert facts["TimeLimit"] == "00:10:00", (
        "nothing is known of these runs: the longest that the site allows"
    )
    assert {submitted[0]["NodeList"] for submitted in jobs.values()} == {"n1", "n2"}
    threads = read_record(checkout.records()[0]).environment.threads
    assert max(threads.values()) == len(os.sched_getaffinity(0)), "the job has all cores of its node"

    again = run(checkout, site)
    assert again.returncode == 0
    assert again.stdout == "4 of 4 runs done, nothing to do\n"


def test_a_partition_that_is_not_there_is_reported_at_once(
    slurm: Slurm, checkout: Checkout, site: Path
) -> None:
    site.write_text(SITE.replace("partition: debug", "partition: gpu"), encoding="utf-8")
    checkout.campaign("trial", {**SMALL, "model": "linear-bow", "splits": 1})
    done = run(checkout, site)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: partition: gpu is not one of the cluster (")
    assert "known: debug" in line


def test_what_sbatch_refuses_is_reported_in_a_line(slurm: Slurm, checkout: Checkout, site: Path) -> None:
    site.write_text(SITE + "constraint: unicorn\n", encoding="utf-8")
    checkout.campaign("trial", {**SMALL, "model": "linear-bow", "splits": 1})
    done = run(checkout, site)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no run has begun: ")
    assert "Invalid feature specification" in line


def test_a_run_that_is_expected_to_take_longer_than_jobs_may_is_not_submitted(
    slurm: Slurm, checkout: Checkout, site: Path
) -> None:
    site.write_text(SITE.replace("most_min: 10", "most_min: 1"), encoding="utf-8")
    checkout.campaign("trial", {**SMALL, "model": "linear-bow", "splits": 1, "window_s": 600})
    done = run(checkout, site)
    assert done.returncode == 1
    assert "cannot run here: fktg-sample-linear-bow-" in done.stdout
    assert "it is expected to take 10 min, jobs of the site end after 1.0 min (most_min)" in done.stdout
    assert asked_for(slurm, checkout) == {}


def test_a_run_that_takes_longer_than_its_partition_allows_is_reported_so(
    slurm: Slurm, checkout: Checkout, site: Path
) -> None:
    site.write_text(SITE.replace("most_min: 10", "most_min: 1"), encoding="utf-8")
    checkout.campaign("trial", LONG)
    done = run(checkout, site)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if ": failed: " in line]
    assert "SLURM ended its job: TIMEOUT after 1 min; raise limit_factor or most_min of the site" in line
    assert done.stdout.count(": begins") == 1, "there is no more time to be had"
    assert checkout.records() == []


def test_ctrl_c_twice_takes_the_jobs_out_of_the_queue(slurm: Slurm, checkout: Checkout, site: Path) -> None:
    checkout.campaign("trial", {**SMALL, "model": "linear-bow", "splits": [1, 2, 3], "window_s": 60})
    process = checkout.start("helpers", "run", "trial", "--site", str(site))
    wait_for(lambda: "RUNNING" in slurm.queue(), 60, "a job runs")
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(1)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130, out + err
    assert "stopped: 3 runs are left" in err
    wait_for(lambda: not slurm.queue(), 30, "the queue is empty")
    assert checkout.records() == []
    assert_whole_or_absent(checkout)
    assert not list(checkout.root.glob("runs/trial/.*.partial"))
    plan = json.loads(checkout.helpers("plan", "trial", "--json").stdout)
    assert {run["state"] for run in plan["runs"]} == {"to do"}


def test_what_jobs_wait_for_is_reported_unless_it_is_their_turn(
    slurm: Slurm, checkout: Checkout, site: Path
) -> None:
    checkout.campaign("trial", {**SMALL, "model": "linear-bow", "splits": [1, 2]})
    log = checkout.root.parent / "client.log"
    set_nodes(slurm, "DRAIN")
    try:
        with log.open("wb") as out:
            process = checkout.start("helpers", "run", "trial", "--site", str(site), stdout=out)
        wait_for(lambda: "waits in the queue: " in log.read_text(encoding="utf-8"), 60, "it tells why")
    finally:
        set_nodes(slurm, "RESUME")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(checkout.records()) == 2
    reasons = re.findall("^waits in the queue: (.+)$", log.read_text(encoding="utf-8"), re.MULTILINE)
    # SLURM has two wordings for nodes that are not there, and may change from one to the other.
    assert 1 <= len(reasons) <= 2, reasons
    for line in reasons:
        assert re.search(r"^fktg-sample-linear-bow-\S+( and 1 more)?: .*(DRAINED|UnavailableNodes)", line), (
            reasons
        )


def set_nodes(slurm: Slurm, state: str) -> None:
    slurm.ask(
        "scontrol", "update", f"NodeName={','.join(slurm_cluster.NODES)}", f"State={state}", "Reason=mended"
    )


def test_a_cluster_with_accounting_is_asked_by_sacct_and_charges_the_account(
    slurm: Slurm, checkout: Checkout, site: Path
) -> None:
    if (why := slurm_cluster.lacking_accounting()) is not None:
        pytest.skip(why)
    with slurm_cluster.accounting(slurm, "mine"):
        site.write_text(
            SITE.replace("accounting: false", "accounting: true\naccount: mine"), encoding="utf-8"
        )
        checkout.campaign("trial", {**SMALL, "model": ["linear-bow", "linear-tfidf"], "splits": 1})
        done = run(checkout, site)
        # The controller has told the database of the jobs of earlier tests too: they are of another account.
        jobs = slurm.ask("sacct", "-X", "-n", "-P", "--accounts=mine", "-o", "State,NNodes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(checkout.records()) == 2
    assert jobs.split() == ["COMPLETED|1"] * 2


# --- twelve runs, ten kills ----------------------------------------------------------------------------


class Watched:
    """A campaign under fire: what it has measured so far may neither go nor change."""

    def __init__(self, checkout: Checkout, slurm: Slurm, site: Path, environment: dict[str, str]) -> None:
        self.checkout, self.slurm, self.site, self.environment = checkout, slurm, site, environment
        self.seen: dict[Path, str] = {}
        self.log = checkout.root.parent / "client.log"
        self.away_s = [3, 3, 3, 25]
        """How long a node stays away; the longest is more than SLURM waits for it, and its jobs have failed."""
        self.client = self.start()

    def start(self) -> subprocess.Popen[str]:
        """Give the command again."""
        with self.log.open("ab") as out:
            return self.checkout.start(
                *("helpers", "run", "trial", "--site", str(self.site)),
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )

    def look(self) -> int:
        """Check that every record that was there is there, and the same; returns how many there are."""
        now = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in self.checkout.records()}
        assert self.seen == {file: now.get(file) for file in self.seen}, (
            "a record was lost, or measured again"
        )
        self.seen = now
        return len(now)

    def wait(self, seconds: float) -> None:
        """Let it go on for a while; the command is given again where it has ended before its time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.look()
            if self.client.poll() is not None and self.look() < 12:
                self.client = self.start()
            time.sleep(0.2)

    def kill_job(self) -> str:
        """Kill all processes of a job that runs."""
        running = wait_for(
            lambda: self.slurm.ask("squeue", "--noheader", "--states=RUNNING", "--format=%i").split(),
            120,
            "a job runs",
        )
        subprocess.run(["scancel", "--full", "--signal=KILL", running[0]], check=False, timeout=30)
        return f"job {running[0]}"

    def kill_node(self) -> str:
        """Kill the daemon of a node; it comes back later."""
        name = random.choice(sorted(slurm_cluster.NODES))
        self.slurm.kill_node(name)
        self.wait(self.away_s.pop())
        self.slurm.start_node(name)
        return f"daemon of {name}"

    def kill_client(self) -> str:
        """Kill the command and Snakemake below it; the jobs run on."""
        for process in tree(self.client):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.client.wait(20)
        self.client = self.start()
        return "client"


def test_ten_kills_at_random_moments_lose_no_record_and_duplicate_none(
    slurm: Slurm, checkout: Checkout, site: Path, llm_python: Path, tiny_checkpoint: Path
) -> None:
    (checkout.root / "_build").mkdir()
    (checkout.root / "_build" / "tiny-model").symlink_to(tiny_checkpoint)
    campaign = {
        "title": "t",
        "description": "d",
        "notebook": "traditional",
        "grid": [
            {**SMALL, "model": ["linear-bow", "linear-tfidf"], "splits": [1, 2, 3, 4, 5]},
            {**SMALL, "model": "xgboost-tfidf", "splits": 1},
            SPREAD,
        ],
    }
    file = checkout.root / "data" / "study" / "campaigns" / "trial.yaml"
    file.write_text(json.dumps(campaign), encoding="utf-8")
    environment = {
        "COMPANION_LLM_PYTHON": str(llm_python),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        # vLLM's CPU build runs over Ray nodes by a plugin of the tests, which wants this resource on each.
        "CPU_RAY_SHIM": "1",
        "RAY_OVERRIDE_RESOURCES": '{"vllm_cpu_slot": 1}',
        "PYTHONPATH": f"{SHIM}:{checkout.root / 'src'}",
    }
    chance = random.Random(5)
    random.seed(6)
    watched = Watched(checkout, slurm, site, environment)
    kills = [watched.kill_job, watched.kill_node, watched.kill_client] * 4
    chance.shuffle(kills)
    history = []
    for kill in kills[:KILLS]:
        watched.wait(chance.uniform(1, 15))
        history.append(kill())
    deadline = time.monotonic() + 900
    while watched.client.poll() is None:
        assert time.monotonic() < deadline, history
        watched.look()
        time.sleep(0.5)
    done = run(checkout, site, env=environment)
    assert done.returncode == 0, (history, done.stdout, done.stderr)
    assert watched.look() == 12, history
    assert_whole_or_absent(checkout)
    records = [read_record(file) for file in checkout.records()]
    assert len({record.run.run_id for record in records}) == 12
    (spread,) = [record for record in records if record.run.nodes == 2]
    assert spread.run.served is not None
    assert "--pipeline-parallel-size" in spread.run.served.command
    assert not list(checkout.root.glob("runs/trial/*.attempt.json"))
    assert not list(checkout.root.glob("runs/trial/.*.partial"))
    assert re.search(
        "waiting for jobs of an earlier invocation|nothing to do|runs done",
        watched.log.read_text(encoding="utf-8"),
    )
    wait_for(lambda: not slurm.queue(), 120, "the queue is empty")
    wait_for(lambda: not left_behind(checkout), 120, "no process is left, of Ray neither")


def left_behind(checkout: Checkout) -> list[psutil.Process]:
    """Return the processes that were started in a checkout, by their environment; the tests' own are none of them."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(checkout.root / "src") in process.environ().get("PYTHONPATH", ""):
                processes.append(process)
    return processes
