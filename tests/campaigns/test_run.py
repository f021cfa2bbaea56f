"""A campaign on this machine: its order, what is retried and what is not, Ctrl-C, and that it goes on where it stopped."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from helpers.campaigns.plan import assignment
from helpers.campaigns.run import campaign as running
from helpers.campaigns.run import workflow
from helpers.campaigns.run.schedule import Schedule
from helpers.core import paths
from helpers.measure.parameters import CampaignRun
from helpers.records.storage import read_record
from tests.conftest import Checkout, refusal
from tests.measure.test_kill import alive, assert_whole_or_absent, lock_holder, tree, wait_for

RUNS = {
    "model": ["linear-bow", "linear-tfidf"],
    "dataset": "fktg-sample",
    "splits": 1,
    "window_s": 0.05,
}
LONG = {**RUNS, "window_s": 4}
BEGINS = re.compile(r"^(\S+): begins", re.MULTILINE)
ATTEMPTS = re.compile(r"^(\S+): begins(?:, attempt (\d))?$", re.MULTILINE)


def run(checkout: Checkout, *options: str) -> subprocess.CompletedProcess[str]:
    return checkout.helpers("run", "trial", *options)


def notes(checkout: Checkout) -> dict[str, dict]:
    files = checkout.root.glob("runs/trial/*.attempt.json")
    return {file.name.split(".")[0]: json.loads(file.read_text(encoding="utf-8")) for file in files}


def kernel_of(process: subprocess.Popen[str], checkout: Checkout) -> psutil.Process:
    """Wait until a run of the campaign is being measured; returns its kernel."""
    return psutil.Process(wait_for(lambda: lock_holder(checkout.machine_lock), 60, "a run measures"))


def test_a_campaign_is_planned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is what was planned: the runs are assigned to machines once for a call."""
    planned, scheduled = [], []
    assign = assignment.campaign_runs

    def counted(name: str) -> list[CampaignRun]:
        planned.append(name)
        return assign(name)

    def measured(schedule: Schedule, *_: object) -> bool:
        scheduled.extend(run.run_id for run in schedule.runs)
        return True

    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(assignment, "campaign_runs", counted)
    monkeypatch.setattr(running, "_measure", measured)
    outcome = running.run_campaign("demo")
    assert planned == ["demo"]
    assert outcome.left == len(scheduled) > 0


def test_a_folder_of_another_user_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a run as root, in a container say; root itself may write everywhere, so what the system says is replaced."""
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    workflow.check_folders()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locks and may(path, mode))
    message = refusal(running.run_campaign, "demo")
    assert message.startswith(".snakemake/locks: cannot be written by this user, it belongs to user ")
    assert message.endswith("sudo chown -R $(id -u) .snakemake")
    assert not (tmp_path / "runs").exists()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and may(path, mode))
    message = refusal(workflow.make_book)
    assert message.startswith("the folder of the companion cannot be written by this user")
    assert "cp -r . ~/companion" in message


def test_a_home_that_cannot_be_written_stops_no_campaign(checkout: Checkout) -> None:
    checkout.campaign("trial", {**RUNS, "model": "linear-bow"})
    done = checkout.helpers("run", "trial", env={"HOME": "/dev/null/home"})
    assert done.returncode == 0, done.stderr
    assert (checkout.root / "runs" / ".workflow" / "cache").is_dir()
    assert done.stdout.splitlines()[-1].endswith("| 1 of 1 done")


def test_runs_are_measured_in_the_order_of_the_seed_which_is_kept(checkout: Checkout) -> None:
    checkout.campaign("trial", {**RUNS, "splits": [1, 2]})
    first = run(checkout, "--seed", "11")
    assert first.returncode == 0, first.stderr
    (call,) = json.loads((checkout.root / "runs" / "trial" / "order.json").read_text(encoding="utf-8"))
    assert call["seed"] == 11
    assert BEGINS.findall(first.stdout) == call["runs"]
    assert len(call["runs"]) == 4
    assert "; order of seed 11" in first.stdout.splitlines()[0]
    assert first.stdout.splitlines()[-1].endswith("| 4 of 4 done")
    assert not notes(checkout)

    again = run(checkout)
    assert again.returncode == 0
    assert again.stdout == "4 of 4 runs done, nothing to do\n"


def test_what_does_not_pass_is_noted_once_and_the_campaign_goes_on(checkout: Checkout) -> None:
    empty = checkout.root / "empty"
    empty.mkdir()
    checkout.campaign("trial", RUNS, {**RUNS, "model": "linear-embedding", "checkpoint": "./empty"})
    done = run(checkout)
    assert done.returncode == 1
    assert len(checkout.records()) == 2
    ((run_id, note),) = notes(checkout).items()
    assert run_id.startswith("fktg-sample-linear-embedding-")
    assert (note["number"], note["passes"]) == (1, False)
    assert len([line for line in done.stdout.splitlines() if line.startswith(f"{run_id}: failed: ")]) == 1
    assert "empty" in note["reason"]
    assert f"{run_id}: failed: {note['reason']} | " in done.stdout
    assert done.stderr == "error: 1 run failed; python -m helpers run trial tries again\n"
    assert "Traceback" not in done.stdout + done.stderr

    plan = checkout.helpers("plan", "trial")
    assert re.search(rf"^failed +{run_id} .*failed {note['ended']}: ", plan.stdout, re.MULTILINE), plan.stdout
    again = run(checkout)
    assert "failed, to be retried here: 1 run" in again.stdout.splitlines()[0]
    assert f"{run_id}: failed: " in again.stdout
    assert again.stdout.count(": accuracy ") == 0, "what is done is not measured again, what failed is"


def test_a_killed_kernel_is_retried(checkout: Checkout) -> None:
    checkout.campaign("trial", {**LONG, "model": "linear-bow"})
    process = checkout.start("helpers", "run", "trial")
    kernel_of(process, checkout).kill()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    (run_id,) = {name for name, _ in ATTEMPTS.findall(out)}
    assert [number for _, number in ATTEMPTS.findall(out)] == ["", "2"]
    assert f"{run_id}: failed: " in out
    assert "kernel was killed" in out
    assert f"retrying: {run_id}" in out
    assert len(checkout.records()) == 1
    assert not notes(checkout)
    assert_whole_or_absent(checkout)


def test_a_run_that_ends_without_a_word_is_attempted_three_times_and_then_given_up(
    checkout: Checkout,
) -> None:
    checkout.campaign("trial", {**LONG, "model": "linear-bow"}, {**RUNS, "model": "linear-tfidf"})
    process = checkout.start("helpers", "run", "trial")
    killed = set()
    deadline = time.monotonic() + 150
    while process.poll() is None:
        assert time.monotonic() < deadline
        for child in tree(process)[1:]:
            try:
                command = " ".join(child.cmdline())
            except psutil.Error:
                continue
            if re.match(r"\S*python\S* -m helpers measure .*linear-bow", command) and child.pid not in killed:
                wait_for(lambda: lock_holder(checkout.machine_lock), 60, "it measures")
                child.kill()
                killed.add(child.pid)
        time.sleep(0.1)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    assert [number for name, number in ATTEMPTS.findall(out) if "bow" in name] == ["", "2", "3"], out
    ((_, note),) = notes(checkout).items()
    assert (note["number"], note["passes"]) == (3, True)
    assert "ended without a message" in note["reason"]
    assert out.count("ended without a message") == 3, "once for each attempt"
    assert [read_record(file).run.model for file in checkout.records()] == ["linear-tfidf"]
    assert_whole_or_absent(checkout)


def interrupt(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGINT)


def test_after_ctrl_c_what_is_measured_comes_to_its_end_and_nothing_else_begins(checkout: Checkout) -> None:
    checkout.campaign("trial", LONG)
    process = checkout.start("helpers", "run", "trial")
    kernel_of(process, checkout)
    started = tree(process)
    interrupt(process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Ctrl-C again stops them at once" in out
    assert "stopped: 1 run is left; python -m helpers run trial goes on" in err
    assert len(checkout.records()) == 1
    assert len(BEGINS.findall(out)) == 1
    wait_for(lambda: not any(map(alive, started)), 10, "no process is left")

    done = run(checkout)
    assert done.returncode == 0, done.stderr
    assert len(checkout.records()) == 2
    assert len(BEGINS.findall(done.stdout)) == 1


def test_ctrl_c_twice_stops_at_once_and_leaves_nothing_half_written(checkout: Checkout) -> None:
    checkout.campaign("trial", {**LONG, "window_s": 60})
    process = checkout.start("helpers", "run", "trial")
    kernel_of(process, checkout)
    started = tree(process)
    begin = time.monotonic()
    interrupt(process)
    time.sleep(1)
    interrupt(process)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - begin < 40
    assert process.returncode == 130
    assert "stopped: 2 runs are left" in err
    assert "Traceback" not in out + err
    assert checkout.records() == []
    assert_whole_or_absent(checkout)
    assert not notes(checkout)
    assert not list(checkout.root.glob("runs/trial/.*.partial"))
    wait_for(lambda: not any(map(alive, started)), 10, "no process is left")

    checkout.campaign("trial", RUNS)
    done = run(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unlock" not in done.stdout + done.stderr
    assert len(checkout.records()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_call_that_is_terminated_cleans_up_and_leaves_nothing_running(
    number: int, checkout: Checkout
) -> None:
    checkout.campaign("trial", {**LONG, "window_s": 60})
    heeded = lambda: signal.signal(number, signal.SIG_DFL)  # noqa: E731  (the tests may run under nohup)
    process = checkout.start("helpers", "run", "trial", preexec_fn=heeded)
    kernel_of(process, checkout)
    started = tree(process)
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for(lambda: not any(map(alive, started)), 10, "no process is left")
    assert checkout.records() == []
    assert not notes(checkout)
    assert not list(checkout.root.glob("runs/trial/.*.partial"))


def test_a_record_that_an_orphan_has_made_meanwhile_is_kept(checkout: Checkout) -> None:
    """The command and Snakemake are killed, the measurement lives on and publishes its record: nobody replaces it."""
    checkout.campaign("trial", {**LONG, "model": "linear-bow", "window_s": 8})
    first = checkout.start("helpers", "run", "trial")
    kernel_of(first, checkout)
    for process in [psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)]:
        command = " ".join(process.cmdline())
        if "helpers run" in command or "snakemake" in command:
            process.kill()
    first.wait(10)
    for pipe in (first.stdout, first.stderr):
        pipe.close()  # the orphan holds them, too: nobody waits for their end
    second = checkout.start("helpers", "run", "trial")
    wait_for(checkout.records, 60, "the orphan publishes")
    made = checkout.records()[0].read_bytes()
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, out + err
    assert checkout.records()[0].read_bytes() == made


def test_a_damaged_order_is_reported_before_anything_starts(checkout: Checkout) -> None:
    checkout.campaign("trial", RUNS)
    order = checkout.root / "runs" / "trial" / "order.json"
    order.parent.mkdir(parents=True)
    order.write_text("", encoding="utf-8")
    done = run(checkout)
    assert done.returncode == 2
    assert done.stderr.startswith("error: runs/trial/order.json: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_record_in_the_way_stops_the_call_before_anything_starts(checkout: Checkout) -> None:
    checkout.campaign("trial", RUNS)
    assert run(checkout).returncode == 0
    file = checkout.records()[0]
    file.write_text(file.read_text(encoding="utf-8").replace('"texts": ', '"txts": ', 1), encoding="utf-8")
    done = run(checkout)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(file.relative_to(checkout.root)) in done.stderr
    assert "delete the folder to measure it again" in done.stderr


def test_a_campaign_that_cannot_run_here_is_refused_in_a_line(checkout: Checkout) -> None:
    checkout.campaign("trial", {**RUNS, "dataset": "fktg"})
    done = run(checkout)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: trial: none of its 2 runs can run here, first fktg-linear-bow-")
    assert line.endswith("all reasons: python -m helpers plan trial")
    assert checkout.written() == ["runs/.workflow.lock"]


def test_what_cannot_run_here_is_reported_and_the_others_are_measured(checkout: Checkout) -> None:
    checkout.campaign("trial", {**RUNS, "model": "linear-bow", "dataset": ["fktg", "fktg-sample"]})
    done = run(checkout)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("cannot run here: ")]
    assert "fktg.csv" in line
    assert [read_record(file).run.dataset for file in checkout.records()] == ["fktg-sample"]


def test_a_workflow_that_cannot_start_a_run_says_why(checkout: Checkout) -> None:
    checkout.campaign("trial", RUNS)
    snakefile = checkout.root / "workflow" / "Snakefile"
    snakefile.write_text(
        snakefile.read_text(encoding="utf-8") + "\nraise Exception('no luck')\n", encoding="utf-8"
    )
    done = run(checkout)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no run has begun: ")
    log = Path(re.search(r"the whole log: (\S+)", done.stderr)[1])
    assert "no luck" in (checkout.root / log).read_text(encoding="utf-8")
