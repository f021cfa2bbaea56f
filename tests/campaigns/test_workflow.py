"""Campaigns through Snakemake: resume, keep going, one workflow at a time; and the rule that nothing is skipped."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.records.storage import read_record
from tests.conftest import ROOT, Checkout, make_checkout

TINY = {
    "model": ["linear-bow", "linear-tfidf"],
    "dataset": "fktg-sample",
    "splits": 1,
    "window_s": 0.05,
}


RESULT = re.compile(r"^fktg-sample-\S+: accuracy ", re.MULTILINE)
"""The line that a measured run ends with."""


def times(files: list[Path]) -> dict[str, int]:
    return {file.parent.name: file.stat().st_mtime_ns for file in files}


def output(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, str]:
    copy = make_checkout(tmp_path_factory.mktemp("tiny"))
    copy.campaign("tiny", TINY)
    done = copy.helpers("run", "tiny")
    assert done.returncode == 0, output(done)
    return copy, output(done)


@pytest.mark.xdist_group("tiny")
def test_campaign_measures_all_runs_with_a_progress_line_each(tiny: tuple[Checkout, str]) -> None:
    copy, printed = tiny
    files = copy.records()
    assert [read_record(file).run.model for file in files] == ["linear-bow", "linear-tfidf"]
    assert all(f"{file.parent.name}: accuracy" in printed for file in files)


@pytest.mark.xdist_group("tiny")
def test_finished_campaign_measures_nothing_more(tiny: tuple[Checkout, str]) -> None:
    copy, _ = tiny
    before = times(copy.records())
    begin = time.monotonic()
    done = copy.helpers("run", "tiny")
    assert time.monotonic() - begin < 15
    assert done.returncode == 0, output(done)
    assert not RESULT.search(output(done))
    assert times(copy.records()) == before


@pytest.mark.xdist_group("tiny")
def test_deleted_record_alone_is_measured_again(tiny: tuple[Checkout, str]) -> None:
    copy, _ = tiny
    before = times(copy.records())
    deleted = copy.records()[0]
    deleted.unlink()
    done = copy.helpers("run", "tiny")
    assert done.returncode == 0, output(done)
    after = times(copy.records())
    assert after.pop(deleted.parent.name) > before.pop(deleted.parent.name)
    assert after == before


@pytest.mark.xdist_group("tiny")
def test_record_that_the_campaign_no_longer_plans_stays_in_the_results(tiny: tuple[Checkout, str]) -> None:
    copy, _ = tiny
    planned = copy.records()[0]
    stale = planned.parent.with_name(f"{planned.parent.name[:-8]}00000000") / "record.json"
    stale.parent.mkdir()
    text = planned.read_text(encoding="utf-8").replace(planned.parent.name, stale.parent.name)
    stale.write_text(text, encoding="utf-8")
    try:
        done = copy.python(
            "snakemake",
            "_build/results/results.csv",
            *("--profile", "workflow/profiles/local", "--snakefile", "workflow/Snakefile"),
        )
        assert done.returncode == 0, output(done)
        table = (copy.root / "_build" / "results" / "results.csv").read_text(encoding="utf-8")
        assert len([line for line in table.splitlines() if line.startswith("tiny,")]) == 3
    finally:
        shutil.rmtree(stale.parent)


def test_two_workflows_at_once_measure_each_run_once(checkout: Checkout) -> None:
    checkout.campaign("one", TINY | {"model": "linear-bow"})
    both = [checkout.start("helpers", "run", "one", stderr=subprocess.STDOUT) for _ in range(2)]
    printed = [process.communicate(timeout=150)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert len(checkout.records()) == 1
    measured = [line for text in printed for line in text.splitlines() if RESULT.match(line)]
    assert len(measured) == 1, printed
    assert sum("waiting: another workflow runs in this folder" in text for text in printed) == 1, printed


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "title: x\ndescription: x\nnotebook: traditional\ngird: []\n",
            "unknown key 'gird' (nearest: 'grid'",
        ),
        ("title: x\ndescription: x\nnotebook: traditional\ngrid:\n  - modle: linear-bow\n", "'modle'"),
        ("title: x\ndescription: x\nnotebook: traditional\ngrid:\n  - model: linear-bo\n", "'linear-bow'"),
        ("title: [\n", "not valid YAML"),
    ],
)
def test_faulty_campaign_is_reported_in_a_line_with_its_file(
    content: str, expected: str, checkout: Checkout
) -> None:
    file = checkout.root / "data" / "study" / "campaigns" / "faulty.yaml"
    file.write_text(content, encoding="utf-8")
    done = checkout.helpers("run", "faulty")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: data/study/campaigns/faulty.yaml: ")
    assert expected in done.stderr
    assert checkout.written() in ([], ["runs/.workflow.lock"])


def test_unknown_campaign_is_reported_with_the_nearest(checkout: Checkout) -> None:
    done = checkout.helpers("run", "dmeo")
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown campaign 'dmeo' (nearest: 'demo'")
    assert len(done.stderr.splitlines()) == 1


# --- REQUIRE_ALL=1, of conftest.py ---------------------------------------------------------------------

SKIPPING = {
    "by mark": "@pytest.mark.skip(reason='no fish')\ndef test_x(): pass\n",
    "by condition": "@pytest.mark.skipif(True, reason='no fish')\ndef test_x(): pass\n",
    "in the test": "def test_x():\n    pytest.skip('no fish')\n",
    "in a fixture": "@pytest.fixture\ndef f(): pytest.skip('no fish')\ndef test_x(f): pass\n",
    "in the module": "pytest.skip('no fish', allow_module_level=True)\n",
    "for a package": "pytest.importorskip('nofish', reason='no fish')\n",
    "expected to fail": "@pytest.mark.xfail(reason='no fish')\ndef test_x(): assert False\n",
    "expected, but passes": "@pytest.mark.xfail(reason='no fish')\ndef test_x(): pass\n",
}


def test_require_all_turns_every_skip_into_a_failure(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    for number, source in enumerate(SKIPPING.values()):
        (tmp_path / f"test_{number}.py").write_text(f"import pytest\n\n{source}", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-ra",
        "--continue-on-collection-errors",
        "-p",
        "no:cacheprovider",
    ]

    def run(require: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "REQUIRE_ALL": require, "PYTEST_ADDOPTS": "", "COLUMNS": "200"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
        )

    relaxed, strict = run("0"), run("1")
    assert relaxed.returncode == 0, relaxed.stdout
    assert "6 skipped, 1 xfailed, 1 xpassed" in relaxed.stdout
    assert strict.returncode == 1, strict.stdout
    assert re.search(r"= 3 failed, 5 errors in ", strict.stdout), strict.stdout
    for number in range(len(SKIPPING)):
        failures = [
            line
            for line in strict.stdout.splitlines()
            if f"test_{number}.py" in line and "REQUIRE_ALL=1" in line
        ]
        assert failures, strict.stdout
        assert all("no fish" in line for line in failures)
