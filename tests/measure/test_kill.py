"""kill -9 at any moment: nothing half-written, no second measurement beside an orphan, no manual step after."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers.records.storage import read_record
from tests.conftest import Checkout

SETTINGS = {
    "model": "linear-tfidf",
    "dataset": "fktg-sample",
    "splits": 1,
    "window_s": 0.3,
    "campaign": "killed",
}
KILLS = 20
ORPHAN_S = 8.0
"""How long a kernel may outlive its driver: it looks once a second, and a busy machine is slow."""


@pytest.fixture
def tracked() -> Iterator[list[psutil.Process]]:
    """Processes that a test has started; those that are left are killed at its end."""
    processes: list[psutil.Process] = []
    yield processes
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def tree(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def close(process: subprocess.Popen[str]) -> None:
    """Reap a killed process without waiting for orphans that still hold its pipes."""
    process.wait(timeout=10)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    return pytest.fail(f"not within {seconds} s: {what}")


def assert_whole_or_absent(checkout: Checkout) -> None:
    """Every run folder is complete, with a valid record whose files are the right ones, or holds nothing."""
    for folder in checkout.root.glob("runs/[!.]*/[!.]*/"):
        names = {file.name for file in folder.iterdir()}
        if names:
            record = read_record(folder / "record.json")
            assert names == {"record.json", "notebook.ipynb", "power.parquet", "predictions.parquet"}
            for name, expected in record.files.items():
                assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected


def remove_records(checkout: Checkout) -> None:
    for file in checkout.records():
        for part in file.parent.iterdir():
            part.unlink()
        file.parent.rmdir()


def lock_holder(file: Path) -> int | None:
    """Return the process that holds a lock file, without touching the lock."""
    if not file.exists():
        return None
    inode = file.stat().st_ino
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and int(fields[5].split(":")[2]) == inode:
            return int(fields[4])
    return None


def has_open(process: psutil.Process, file: Path) -> bool:
    try:
        links = [os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()]  # noqa: PTH115
    except OSError:
        return False
    return str(file) in links


def test_twenty_kills_of_a_run_leave_nothing_half_written(
    checkout: Checkout, tracked: list[psutil.Process]
) -> None:
    begin = time.monotonic()
    done = checkout.measure(**SETTINGS)
    whole_s = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    chance = random.Random(2)
    moments = [(number + chance.random()) / KILLS * whole_s for number in range(KILLS)]
    chance.shuffle(moments)
    for number, moment in enumerate(moments):
        remove_records(checkout)
        process = checkout.start_measure(**SETTINGS)
        time.sleep(moment)
        processes = tree(process)
        tracked += processes
        kill(
            processes[:1] if number % 2 else processes
        )  # the driver alone leaves its kernel behind for a second
        close(process)
        assert_whole_or_absent(checkout)
    wait_for(lambda: not any(map(alive, tracked)), ORPHAN_S, "the orphaned kernels end by themselves")
    assert_whole_or_absent(checkout)
    done = checkout.measure(**SETTINGS)
    assert done.returncode == 0, done.stderr
    assert len(checkout.records()) == 1
    assert_whole_or_absent(checkout)
    left = [name for name in checkout.written() if not name.endswith(".lock")]
    assert len(left) == 4, left  # record, notebook, predictions, power


def test_no_second_measurement_beside_an_orphan(checkout: Checkout, tracked: list[psutil.Process]) -> None:
    lock = checkout.machine_lock
    settings = SETTINGS | {"window_s": 5}
    first = checkout.start_measure(**settings)
    orphan = psutil.Process(wait_for(lambda: lock_holder(lock), 40, "the first run measures"))
    tracked += tree(first)
    assert orphan.pid in {process.pid for process in tree(first)[1:]}
    orphan.suspend()  # an orphan that is in no hurry to end
    kill(tree(first)[:1])
    close(first)
    assert alive(orphan)

    second = checkout.start_measure(**SETTINGS)

    def waiting() -> psutil.Process | None:
        return next((process for process in tree(second)[1:] if has_open(process, lock)), None)

    kernel = wait_for(waiting, 40, "the second run asks for the machine")
    tracked += tree(second)
    for _ in range(10):
        time.sleep(0.1)
        assert lock_holder(lock) == orphan.pid
        assert checkout.records() == []
    orphan.resume()
    wait_for(lambda: not alive(orphan), ORPHAN_S, "the orphan ends by itself")
    wait_for(lambda: lock_holder(lock) == kernel.pid, 10, "the second run measures after it")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert len(checkout.records()) == 1
    assert_whole_or_absent(checkout)


CAMPAIGN = {
    "model": ["linear-bow", "linear-tfidf"],
    "dataset": "fktg-sample",
    "splits": 1,
    "window_s": 0.2,
}


def test_killed_campaign_completes_with_the_same_command(
    checkout: Checkout, tracked: list[psutil.Process]
) -> None:
    checkout.campaign("tiny", CAMPAIGN)
    moments = random.Random(7)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # pipes would be kept by orphans
    # helpers alone leaves Snakemake behind, Snakemake alone its jobs; then both, and everything.
    for victims in ("helpers", "Snakemake", "both", "all", "Snakemake"):
        process = checkout.start("helpers", "run", "tiny", **quiet)
        time.sleep(moments.uniform(1, 10))
        processes = tree(process)
        tracked += processes
        chosen = {
            "helpers": processes[:1],
            "Snakemake": processes[1:2],
            "both": processes[:2],
            "all": processes,
        }[victims]
        kill(chosen or processes[:1])  # Snakemake is not there while another one is waited for
        process.wait(timeout=20)
        assert_whole_or_absent(checkout)
    done = checkout.helpers("run", "tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unlock" not in done.stdout + done.stderr
    assert len(checkout.records()) == 2
    assert_whole_or_absent(checkout)
    wait_for(lambda: not any(map(alive, tracked)), ORPHAN_S, "no process is left behind")


def test_ctrl_c_ends_a_measurement_without_a_trace(checkout: Checkout, tracked: list[psutil.Process]) -> None:
    process = checkout.start_measure(**SETTINGS)
    wait_for(lambda: lock_holder(checkout.machine_lock), 40, "the run measures")
    tracked += tree(process)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in err
    assert_whole_or_absent(checkout)
    wait_for(lambda: not any(map(alive, tracked)), ORPHAN_S, "the kernel ends with its driver")
