"""Ten faults of a machine, each one line and nothing half-written; a fault that may pass is told from one that does not.

1. The disk is full: test_faults.py::test_a_full_disk_is_one_line_and_leaves_nothing_half_written,
   test_faults.py::test_what_fills_up_while_it_is_written_is_removed
2. A port is in use: test_server.py::test_a_port_in_use_is_refused_before_anything_starts,
   test_server.py::test_an_engine_whose_port_was_taken_meanwhile_may_start_the_next_time,
   test_faults.py::test_a_kernel_whose_port_is_taken_is_one_line_and_may_start_the_next_time
3. A checkpoint is not complete: test_checkpoint.py::test_a_checkpoint_that_lacks_something_is_refused_by_name,
   test_checkpoint.py::test_a_download_that_broke_off_is_noticed
4. A dataset has changed: test_faults.py::test_a_campaign_is_on_one_state_of_a_dataset
5. Two campaigns in one directory: test_workflow.py::test_two_workflows_at_once_measure_each_run_once
6. The clock jumps: test_faults.py::test_a_jump_of_the_wall_clock_changes_no_duration_and_fails_a_check,
   test_faults.py::test_a_machine_that_slept_is_told, test_faults.py::test_no_duration_comes_from_the_wall_clock
7. The output cannot be written: test_faults.py::test_an_output_that_is_read_only_is_refused_before_anything_starts
8. A kernel is killed: test_faults.py::test_a_killed_kernel_is_one_line_and_the_same_call_works_after,
   test_kill.py::test_twenty_kills_of_a_run_leave_nothing_half_written
9. A server hangs: test_server.py::test_an_engine_that_is_never_ready_ends_at_the_time_out_with_its_last_lines,
   test_server.py::test_an_engine_that_hangs_in_the_warm_up_ends_at_the_time_out
10. No memory: test_server.py::test_an_engine_that_runs_out_of_memory_says_so,
    test_server.py::test_an_engine_that_finds_no_memory_on_the_gpu_says_what_helps,
    test_faults.py::test_a_notebook_without_memory_says_so
"""

import ast
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from jupyter_client.connect import LocalPortCache

from helpers.core import paths
from helpers.core.errors import TransientError, UserError
from helpers.measure import preflight
from helpers.measure.notebook import execute_notebook
from helpers.measure.parameters import Plan, plan
from helpers.metering import checks
from helpers.metering.clocks import Moved
from helpers.metering.meter import open_meter
from helpers.records.storage import RECORD, read_record
from helpers.study.datasets import load_dataset
from tests.conftest import ROOT, Checkout, make_checkout, refusal
from tests.measure.test_kill import alive, lock_holder, tree, wait_for

SETTINGS = {"model": "linear-tfidf", "dataset": "fktg-sample", "splits": 1, "window_s": 0.05}


def test_every_test_that_is_named_here_exists() -> None:
    named = re.findall(r"(test_\w+\.py)::(test_\w+)", str(__doc__))
    assert len(named) >= 18
    for file, name in named:
        (path,) = (ROOT / "tests").rglob(file)
        assert f"def {name}(" in path.read_text(encoding="utf-8"), name
    assert [int(number) for number in re.findall(r"^(\d+)\. ", str(__doc__), re.MULTILINE)] == list(
        range(1, 11)
    )


# Disks: real ones, of a size and kind that the test chooses

MOUNTED = """mount -t tmpfs -o "$1" none "$2" || exit 99
disk=$2; left=$3; shift 3
"$@"
code=$?
cp -a "$disk/." "$left"
exit $code"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return make_checkout(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command with a disk of its own mounted at `tmp_path/disk`; what is left on it is copied to `tmp_path/left`."""
    tried = subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True)
    if tried.returncode != 0:
        pytest.skip(f"no mount namespace of one's own here: {tried.stderr.decode().strip()}")
    for name in ("disk", "left"):
        (tmp_path / name).mkdir()

    def run(options: str, copy: Checkout, *command: str) -> subprocess.CompletedProcess[str]:
        script = ["sh", "-c", MOUNTED, "sh", options, str(tmp_path / "disk"), str(tmp_path / "left")]
        done = subprocess.run(
            ["unshare", "-rm", *script, sys.executable, *command],
            cwd=copy.root,
            env=copy.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode != 99, done.stderr
        return done

    return run


def measure(output: Path, **settings: object) -> list[str]:
    given = {**SETTINGS, "output": output, **settings}
    assignments = [part for name, value in given.items() for part in ("-p", f"{name}={value}")]
    return ["-m", "helpers", "measure", "traditional", *assignments]


def the_error(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert done.stderr.splitlines()[-1] == errors[0]
    return errors[0]


@pytest.mark.parametrize("size", ["4k", "16k"])  # the notebook does not fit; the record does not
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(size, copy, on_disk, tmp_path) -> None:
    error = the_error(on_disk(f"size={size}", copy, *measure(tmp_path / "disk")))
    assert re.search(r"(notebook\.ipynb|record\.json|predictions\.parquet): cannot be written: ", error)
    assert "No space left on device" in error
    assert "make room" in error
    for file in (tmp_path / "left").rglob("*"):
        if file.is_file():
            assert file.name.endswith((".lock", ".failed.ipynb")), file.name
        if file.name.endswith(".ipynb"):
            nbformat.read(file, as_version=4)  # whole


def test_a_campaign_on_a_full_disk_is_one_line(copy, on_disk, tmp_path) -> None:
    copy.campaign("full", {"model": "linear-bow", "dataset": "fktg-sample", "splits": 1})
    runs = copy.root / "runs"
    runs.symlink_to(tmp_path / "disk")
    try:
        error = the_error(on_disk("size=4k", copy, "-m", "helpers", "run", "full"))
    finally:
        runs.unlink()
    assert re.search(r"full-\S+\.json: cannot be written: No space left on device; make room", error)


FILL = """
import sys
from pathlib import Path
import pandas as pd
from helpers.core.errors import UserError
from helpers.metering.timeline import TimelineLost, start_timeline
from helpers.records.storage import writing
disk = Path(sys.argv[1])
try:
    with writing(disk / "predictions.parquet"):
        pd.DataFrame({"a": [str(n * 7919 % 10007) * 9 for n in range(20000)]}).to_parquet(disk / "predictions.parquet")
except UserError as error:
    print(error)
with start_timeline(disk, [], period_s=0.02) as line:
    with (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            try:
                filler.write(bytes(1024))
            except OSError:
                break
    try:
        line.stop()
    except TimelineLost as lost:
        print(lost)
(disk / "filler").unlink()
"""


def test_what_fills_up_while_it_is_written_is_removed(copy, on_disk, tmp_path) -> None:
    done = on_disk("size=20k", copy, "-c", FILL, str(tmp_path / "disk"))
    assert done.returncode == 0, done.stderr
    predictions, power = done.stdout.splitlines()
    assert predictions.startswith("predictions.parquet: cannot be written: No space left on device")
    assert power.startswith("the power time line was lost: ")
    assert power.endswith("OSError: power.parquet: No space left on device")
    assert list((tmp_path / "left").iterdir()) == []


def test_a_machine_that_hides_its_load_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "PROCESSOR_TIMES", tmp_path / "stat")
    line = refusal(
        preflight.check_target, plan(SETTINGS | {"output": str(tmp_path)}, "parameters", "traditional")
    )
    assert line.startswith(f"{tmp_path}/stat: No such file or directory; expected the processor times")


def test_an_output_that_is_read_only_is_refused_before_anything_starts(copy, on_disk, tmp_path) -> None:
    done = on_disk("ro", copy, *measure(tmp_path / "disk"))
    error = the_error(done)
    assert done.stderr == f"{error}\n"  # no kernel has said anything
    assert "/disk/local: cannot be written: Read-only file system" in error
    assert "output=FOLDER" in error


# Data


@pytest.fixture
def filed(tmp_path: Path) -> Plan:
    """A run beside one of the same campaign."""
    reference = paths.MEASUREMENTS / "reference-cpu" / "news-linear-bow-31b092b2"
    beside = tmp_path / "mine" / "news-linear-bow-31b092b2"
    beside.mkdir(parents=True)
    shutil.copy(reference / RECORD, beside)
    return plan({**SETTINGS, "dataset": "news", "campaign": "mine", "output": str(tmp_path)}, "parameters")


def test_a_campaign_is_on_one_state_of_a_dataset(filed, monkeypatch, tmp_path) -> None:
    sample = load_dataset("fktg-sample", "")
    recorded_sha256 = read_record(next(tmp_path.glob("mine/*/record.json"))).run.dataset_sha256
    now = replace(sample, name="news", sha256="0" * 64)
    line = refusal(preflight.check_data, filed, now)
    assert line.startswith(f"news: found data with sha256 {'0' * 64}, expected {recorded_sha256} as in ")
    assert "news-linear-bow-31b092b2/record.json; put the data back, " in line
    preflight.check_data(filed, replace(now, sha256=recorded_sha256))
    preflight.check_data(filed, sample)  # another dataset
    monkeypatch.setattr(paths, "MEASUREMENTS", tmp_path)
    elsewhere = plan(
        {**SETTINGS, "dataset": "news", "campaign": "mine", "output": str(tmp_path / "x")}, "parameters"
    )
    preflight.check_data(elsewhere, now)  # a committed campaign may be measured again on other copies
    other = plan({**SETTINGS, "campaign": "yours", "output": str(tmp_path)}, "parameters")
    preflight.check_data(other, now)


def test_a_changed_dataset_is_refused_before_anything_starts(copy: Checkout) -> None:
    assert copy.measure(**SETTINGS, campaign="changed").returncode == 0
    sample = copy.root / "data" / "sample" / "fktg-sample.csv"
    before = sample.read_text(encoding="utf-8")
    try:
        sample.write_text(before.replace(" die ", " diese ", 1), encoding="utf-8")
        done = copy.measure(**{**SETTINGS, "model": "linear-bow"}, campaign="changed")
    finally:
        sample.write_text(before, encoding="utf-8")
    assert done.stderr == f"{the_error(done)}\n"
    assert len(re.findall(r"\b[0-9a-f]{64}\b", done.stderr)) == 2
    assert len(list(copy.root.glob("runs/changed/*/record.json"))) == 1


# Clocks


def test_a_jump_of_the_wall_clock_changes_no_duration_and_fails_a_check(monkeypatch) -> None:
    """A stand-in for the clock that a service sets: a test may not set the machine's."""
    real = time.time

    def work(jump_s: float) -> None:
        time.sleep(0.2)
        monkeypatch.setattr(time, "time", lambda: real() + jump_s)
        time.sleep(0.2)

    with open_meter(4.0, gpu_uuids=[]) as meter:
        for jump_s in (3600.0, -86400.0):
            _, steady = meter.measure(lambda: time.sleep(0.4))
            _, jumped = meter.measure(lambda jump_s=jump_s: work(jump_s))
            monkeypatch.setattr(time, "time", real)
            assert jumped.duration_s == pytest.approx(0.4, abs=0.15)
            assert jumped.codecarbon_duration_s == pytest.approx(jumped.duration_s, abs=0.15)
            assert jumped.energy.ram.energy_wh == pytest.approx(1.5 * jumped.duration_s / 3600)
            for part in (jumped.energy.ram_codecarbon, jumped.energy.cpu):
                assert part.energy_wh is None or 0 < part.energy_wh < 1  # an hour would be more
            assert checks.clocks_steady([steady.moved, None]).passed
            check = checks.clocks_steady([steady.moved, jumped.moved])
            assert not check.passed
            assert f"{jump_s:+.3g} s" in check.message


def test_a_machine_that_slept_is_told() -> None:
    check = checks.clocks_steady([Moved(5.0, 0.0, 0.0), Moved(5.0, 61.0, 61.0)])
    assert (check.passed, "suspended for 61 s" in check.message) == (False, True)
    assert checks.clocks_steady([Moved(5.0, -0.4, None)]).passed
    assert checks.clocks_steady([Moved(3600.0, 3.0, 0.0)]).passed  # kept right by a service
    assert not checks.clocks_steady([Moved(3600.0, 3.0, 0.0), Moved(5.0, 0.6, 0.0)]).passed
    assert not checks.clocks_steady([None]).passed  # unknown is not steady


def test_no_duration_comes_from_the_wall_clock() -> None:
    uses = {
        file.name
        for file in (ROOT / "src" / "helpers").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "time.time"
    }
    assert uses == {"clocks.py", "lock.py"}  # how long a machine has rested, by the time of a file


# Kernels


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[[str], UserError]:
    """Execute a notebook of one cell that fails; returns the error."""

    def run(source: str) -> UserError:
        cells = [
            nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(source),
        ]
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "in.ipynb")
        with pytest.raises(UserError) as error:
            execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", {"x": 2})
        assert len(str(error.value).splitlines()) == 1
        return error.value

    return run


@pytest.mark.parametrize("kind", [UserError, TransientError])
def test_whether_a_fault_passes_is_known_on_the_other_side_of_a_kernel(kind, notebook) -> None:
    error = notebook(f"from helpers.core.errors import {kind.__name__}\nraise {kind.__name__}('no fish')")
    assert type(error) is kind
    assert str(error).endswith("in.ipynb: no fish")


def test_a_kernel_whose_port_is_taken_is_one_line_and_may_start_the_next_time(
    notebook, monkeypatch, capfd
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(LocalPortCache, "find_available_port", lambda *_: taken)
        error = notebook("1")
    assert type(error) is TransientError
    assert "did not start" in str(error)
    assert "Address already in use" in str(error)
    assert capfd.readouterr().err == ""


def test_a_notebook_without_memory_says_so(notebook) -> None:
    error = notebook("bytearray(1 << 60)")
    assert type(error) is UserError
    assert "in.ipynb: out of memory (MemoryError: " in str(error)
    assert "a machine with more memory" in str(error)
    assert "out of memory" in str(notebook("raise RuntimeError('CUDA out of memory. Tried')"))


def test_a_killed_kernel_is_one_line_and_the_same_call_works_after(checkout: Checkout) -> None:
    settings = SETTINGS | {"window_s": 4}
    process = checkout.start_measure(**settings)
    kernel = wait_for(lambda: lock_holder(checkout.machine_lock), 90, "the run measures")
    time.sleep(1)
    processes = tree(process)
    os.kill(kernel, signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    error = the_error(subprocess.CompletedProcess([], process.returncode, out, err))
    assert "kernel was killed" in error
    assert "(run: runs/local/fktg-sample-linear-tfidf-" in error
    assert [name for name in checkout.written() if not name.endswith(".lock")] == []
    assert not list(checkout.root.glob("runs/*/.*.partial"))
    wait_for(lambda: not any(map(alive, processes)), 20, "the power time line ends with its run")
    done = checkout.measure(**settings)
    assert done.returncode == 0, done.stderr
    document = json.loads(checkout.records()[0].read_text(encoding="utf-8"))
    assert {check["name"]: check["passed"] for check in document["checks"]}["clocks_steady"] is True
