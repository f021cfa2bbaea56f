"""Inputs and surroundings that once went wrong (`cases/` of the shared folder): each gives the right value, or one line.

Cases that need more than their own files are tested where their code is; `ELSEWHERE` says where.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.book.run_pages.power_chart import power_lines
from helpers.campaigns.transfer.import_runs import import_runs
from helpers.core import paths
from helpers.core.validation import load_yaml
from helpers.records.storage import read_record
from helpers.study.catalogue import TraditionalModel, paper_models, study
from helpers.study.csv_texts import read_texts
from tests.conftest import ROOT, make_checkout, refusal

ELSEWHERE = {
    "embedding-cuts-texts": "metering/test_checks.py::test_texts_that_an_embedding_cuts_are_counted_with_what_it_read",
    "llm-server-that-answers-nothing": "measure/test_llm.py::test_a_server_that_answers_less_than_half_gives_no_result",
    "locale-changes-energy": "metering/test_meter.py::test_the_language_of_the_system_changes_no_energy",
    "own-dataset-not-in-figure-1": "figures/test_own_models.py::test_figure_1_has_a_panel_for_each_dataset_of_ones_own",
    "read-only-home": "campaigns/test_run.py::test_a_home_that_cannot_be_written_stops_no_campaign",
    "stale-run-after-entry-changed": "measure/test_measure.py::test_a_changed_entry_is_noticed_before_an_old_result_counts",
    "title-not-escaped": "figures/test_display.py::test_a_folded_part_has_its_summary_as_text",
    "two-users-one-checkout": "campaigns/test_run.py::test_a_folder_of_another_user_is_named_before_anything_starts",
}
"""Case, and the test of its kind."""


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    return shared / "cases"


def test_every_case_has_a_test(cases: Path) -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    for case in cases.iterdir():
        if (where := ELSEWHERE.get(case.name)) is None:
            assert f'"{case.name}' in here, case.name
            continue
        file, _, name = where.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), case.name


def test_claims_are_json_in_any_locale(cases: Path) -> None:
    assert (cases / "claims-in-latin1").is_dir()
    done = subprocess.run(
        [sys.executable, "-m", "helpers", "claims", "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        check=True,
    )
    assert len(json.loads(done.stdout.decode("utf-8"))) > 100


def test_a_csv_of_separators_is_refused_at_once(cases: Path) -> None:
    started = time.perf_counter()
    message = refusal(read_texts, cases / "csv-hang-39.csv.gz", "text", "label")
    assert "not a readable CSV" in message
    assert time.perf_counter() - started < 5


def test_lone_quotes_lose_no_texts(cases: Path) -> None:
    file = cases / "stray-quotes-lose-texts" / "tickets.csv"
    assert "not a readable CSV: line 42" in refusal(read_texts, file, "message", "topic")


def test_a_tag_that_yaml_cannot_follow_is_one_line(cases: Path) -> None:
    file = cases / "yaml-timestamp-tag.yaml"
    assert refusal(load_yaml, file, "campaign.yaml").startswith("campaign.yaml: not valid YAML")


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ("record-concurrency-2e63", "run.concurrency"),
        ("record-energy-1.7e308", "energy_wh"),
    ],
)
def test_numbers_that_nothing_can_count_are_refused(cases: Path, case: str, field: str) -> None:
    (file,) = (cases / case).rglob("record.json")
    assert field in refusal(read_record, file)


@pytest.mark.parametrize("case", ["record-page-61-31.json", "record-row-112-2038.json"])
def test_mutated_records_are_refused_in_one_line(cases: Path, case: str) -> None:
    assert "\n" not in refusal(read_record, cases / case)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without runs."""
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "MEASUREMENTS", tmp_path / "measurements")
    return tmp_path


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("import-accuracy-1.0", "correct: "),
        ("import-of-own-dataset/svc.zip", "is not in the catalogue"),
    ],
)
def test_an_import_believes_no_record(cases: Path, empty: Path, case: str, said: str) -> None:
    imported = import_runs(cases / case)
    refused = [item for item in imported if item.state == "refused"]
    assert refused
    assert all(said in item.message for item in refused)
    records = [read_record(file) for file in empty.glob("runs/*/*/record.json")]
    assert len(records) == len(imported) - len(refused)
    assert all(record.run.model in study().models for record in records)


def test_a_script_in_a_time_line_reaches_no_page(cases: Path) -> None:
    (file,) = (cases / "xss-power-about").rglob("power.parquet")
    message = refusal(power_lines, file)
    assert "found rows: input should be a valid integer" in message


def test_a_classifier_of_ones_own_is_not_the_papers(cases: Path) -> None:
    assert (cases / "own-classifier-counts-as-the-papers").is_dir()
    own = TraditionalModel(title="My BoW", features="bow", classifier="logistic-regression")
    assert not own.in_paper
    assert len(paper_models()) == 17


def test_one_class_in_a_training_split_is_found_before_anything_is_measured(
    cases: Path, tmp_path: Path
) -> None:
    copy = make_checkout(tmp_path)
    file = copy.root / "data" / "study" / "datasets.yaml"
    entry = (cases / "one-class-in-a-training-split" / "sms-few.yaml").read_text(encoding="utf-8")
    file.write_text(file.read_text(encoding="utf-8") + "\n" + entry, encoding="utf-8")
    rows = [(f"message number {number}", "spam" if number == 0 else "ham") for number in range(200)]
    with (copy.root / "sms.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("text", "label"), *rows])
    entry = file.read_text(encoding="utf-8").replace("file: sms.csv.gz", "file: sms.csv")
    file.write_text(entry, encoding="utf-8")
    copy.campaign("few", {"model": "linear-bow", "dataset": "sms-few", "data_dir": str(copy.root)})
    (run,) = json.loads(copy.helpers("plan", "few", "--json").stdout)["runs"]
    assert run["state"] == "cannot run"
    assert "training texts have the label 'ham', expected two labels or more" in run["reasons"][0]
    done = copy.measure(model="linear-bow", dataset="sms-few", data_dir=str(copy.root))
    assert done.returncode == 2
    assert "make 'split.train' in data/study/datasets.yaml larger" in done.stderr
    assert not list(copy.root.glob("runs/local/[!.]*"))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}, "git config --global --add safe.directory"),
        ({}, "is no git repository"),
    ],
    ids=["git-that-does-not-answer", "ZIP without .git"],
)
def test_git_that_does_not_answer_is_no_change(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    copy = make_checkout(tmp_path)
    if not environment:
        shutil.rmtree(copy.root / ".git")
    done = copy.helpers("promote", "demo", env=environment)
    assert done.returncode == 2
    assert "promote: the commit is unknown" in done.stderr
    assert said in done.stderr


# The Makefile, with stand-ins for Python and pip


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python in a folder with a blank: it makes environments without anything in them, and notes each call."""
    folder = tmp_path / "my pythons"
    folder.mkdir()
    file = folder / "python3.11"
    file.write_text(
        '#!/bin/sh\necho "$*" >> "$(dirname "$0")/calls"\n'
        'if [ "$2" = venv ]; then mkdir -p "$3/bin"; printf "#!/bin/sh\\necho \\$* >> calls\\n" > "$3/bin/python"; '
        'chmod +x "$3/bin/python"; fi\n',
        encoding="utf-8",
    )
    file.chmod(0o755)
    return file


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that installing needs."""
    folder = tmp_path / "ein Ordner mit Umlaut \u00fc"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-book.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_a_path_with_blanks_leads_to_a_python(cases: Path, project: Path, python: Path) -> None:
    assert (cases / "python-path-with-space").is_dir()
    done = make(project, "install", f"PYTHON={python}")
    assert done.returncode == 0, done.stderr
    assert "install" in (project / "calls").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["install", "read"])
def test_an_environment_that_was_moved_is_made_anew(
    cases: Path, project: Path, python: Path, target: str
) -> None:
    assert (cases / "moved-checkout").is_dir()
    stamp = ".venv" if target == "install" else ".venv-read"
    target = "install" if target == "install" else ".venv-read/installed-requirements.txt"
    assert make(project, target, f"PYTHON={python}").returncode == 0
    again = make(project, target, f"PYTHON={python}")
    assert "== " not in again.stdout
    moved = project.rename(project.with_name("elsewhere"))
    done = make(moved, target, f"PYTHON={python}")
    assert done.returncode == 0, done.stderr
    assert "this folder was moved" in done.stdout
    assert (moved / stamp / "folder.txt").read_text(encoding="utf-8").strip() == str(moved)


def test_another_python_is_refused_at_once_with_nothing_installed(project: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.10"
    old.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.10.1" && exit 0\nexit 1\n', encoding="utf-8"
    )
    old.chmod(0o755)
    started = time.perf_counter()
    done = make(project, "book", f"PYTHON={old}")
    assert done.returncode == 2
    assert "found Python 3.10.1, expected Python 3.11, 3.12 or 3.13; get one with" in done.stderr
    assert time.perf_counter() - started < 2
    assert not (project / ".venv").exists()
