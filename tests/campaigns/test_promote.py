"""Promotion: a finished, clean campaign is filed whole; anything else is refused and nothing is copied."""

import json
import subprocess

import pandas as pd
import pytest

from helpers.campaigns.run.schedule import Invocation, add_invocations, read_run_order
from helpers.campaigns.transfer import promote
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.measure import parameters
from helpers.records.environment import sha256_of
from helpers.records.storage import RECORD, read_record
from helpers.study.catalogue import Campaign, study
from tests.records.test_record import record_document

CAMPAIGN = "trial"
SIDECARS = {
    "predictions.parquet": pd.DataFrame({"predicted": ["a"]}).to_parquet(index=False),
    "notebook.ipynb": b"{}",
}
_AS = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def git(root, *arguments):
    subprocess.run(["git", "-C", str(root), *_AS, *arguments], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with a campaign of two runs, which the package takes for the project."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".gitignore").write_text("/runs/\n", encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    monkeypatch.setattr(paths, "ROOT", folder)
    monkeypatch.setattr(paths, "RUNS", folder / "runs")
    monkeypatch.setattr(paths, "MEASUREMENTS", folder / "data" / "measurements")
    grid = [{"model": ["linear-bow", "xgboost-bow"], "splits": 3}]
    campaign = Campaign(title="t", description="d", notebook="traditional", grid=grid)
    catalogue = study().model_copy(update={"campaigns": {CAMPAIGN: campaign}})
    monkeypatch.setattr(parameters, "study", lambda: catalogue)
    return folder


@pytest.fixture
def runs(root):
    """The folders of the two runs, finished."""
    folders = [plan.folder for plan in parameters.campaign_plans(CAMPAIGN)]
    assert len(folders) == 2
    for folder in folders:
        write_run(folder)
    return folders


def write_run(folder, change=lambda _: None):
    """Write the folder of a finished run: record and what belongs to it."""
    folder.mkdir(parents=True, exist_ok=True)
    document = record_document(run_id=folder.name, campaign=CAMPAIGN)
    for name, content in SIDECARS.items():
        (folder / name).write_bytes(content)
        document["files"][name] = sha256_of(folder / name)
    change(document)
    (folder / RECORD).write_text(json.dumps(document), encoding="utf-8")


def commit_of(value):
    return lambda document: document["environment"].update(value)


def filed(root):
    """Everything under data/measurements, also hidden."""
    folder = root / "data" / "measurements"
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def refusal(root):
    before = filed(root)
    with pytest.raises(UserError) as error:
        promote.promote(CAMPAIGN)
    line = str(error.value)
    assert len(line.splitlines()) == 1
    assert filed(root) == before
    return line


def test_a_finished_campaign_is_filed_whole(root, runs):
    targets = promote.promote(CAMPAIGN)
    assert targets == [root / "data" / "measurements" / CAMPAIGN / folder.name for folder in runs]
    for source, target in zip(runs, targets, strict=True):
        assert sorted(file.name for file in target.iterdir()) == sorted([RECORD, *SIDECARS])
        for file in target.iterdir():
            assert file.read_bytes() == (source / file.name).read_bytes()
        assert read_record(target / RECORD) == read_record(source / RECORD)
    assert len(filed(root)) == 6


def test_the_order_of_the_runs_is_filed_with_them(root, runs):
    add_invocations(
        root / "runs" / CAMPAIGN / "order.json",
        [call := Invocation(began="now", seed=1, machine="m", runs=["a"])],
    )
    promote.promote(CAMPAIGN)
    assert read_run_order(root / "data" / "measurements" / CAMPAIGN / "order.json") == [call]
    assert len(filed(root)) == 7


def test_a_second_promotion_changes_nothing(root, runs):
    promote.promote(CAMPAIGN)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "promoted")
    times = {file: file.stat().st_mtime_ns for file in (root / "data").rglob("*")}
    assert promote.promote(CAMPAIGN) == []
    assert {file: file.stat().st_mtime_ns for file in (root / "data").rglob("*")} == times


def test_a_run_that_was_added_to_the_campaign_is_filed_alone(root, runs):
    promote.promote(CAMPAIGN)
    git(root, "add", "-A")
    git(root, "rm", "-rq", "--cached", f"data/measurements/{CAMPAIGN}/{runs[1].name}")
    for file in (root / "data" / "measurements" / CAMPAIGN / runs[1].name).iterdir():
        file.unlink()
    git(root, "commit", "-qm", "one of two")
    assert [folder.name for folder in promote.promote(CAMPAIGN)] == [runs[1].name]
    assert len(filed(root)) == 6


@pytest.mark.parametrize("staged", [True, False])
def test_a_tree_with_changes_is_refused(root, runs, staged):
    (root / "new.txt").write_text("new", encoding="utf-8")
    if staged:
        git(root, "add", "new.txt")
    assert refusal(root).startswith("promote: the working tree has changes (git status)")


def test_a_tree_that_is_no_repository_is_refused(root, runs, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (root / ".git").rename(root / "not-git")
    refusal(root)


def test_a_campaign_with_a_run_missing_is_refused(root, runs):
    (runs[1] / RECORD).unlink()
    line = refusal(root)
    assert f"1 of 2 runs of {CAMPAIGN} have no record" in line
    assert paths.relative(runs[1]) in line
    assert f"python -m helpers run {CAMPAIGN}" in line


def test_an_unknown_campaign_is_refused(root):
    with pytest.raises(UserError, match=r"^unknown campaign 'trail' \(nearest: 'trial'"):
        promote.promote("trail")


@pytest.mark.parametrize("name", SIDECARS)
@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b"other"), lambda file: file.unlink()])
def test_a_file_that_was_changed_since_the_run_is_refused(root, runs, name, spoil):
    spoil(runs[1] / name)
    line = refusal(root)
    assert line.startswith(f"{paths.relative(runs[1] / RECORD)}: files.{name}: ")


@pytest.mark.parametrize(
    "environment",
    [
        {"git_dirty": True},
        {"git_commit": None, "git_dirty": None},
        {"git_commit": None, "git_dirty": False},
        {"git_dirty": None},
    ],
)
def test_a_run_of_uncommitted_code_is_refused(root, runs, environment):
    write_run(runs[1], commit_of(environment))
    line = refusal(root)
    assert line.startswith(f"{paths.relative(runs[1] / RECORD)}: environment.git_dirty: ")


def test_an_invalid_record_is_refused(root, runs):
    write_run(runs[1], lambda document: document.update(schema_version=6))
    assert refusal(root).startswith(f"{paths.relative(runs[1] / RECORD)}: schema_version: ")


def test_a_record_of_another_campaign_is_refused(root, runs):
    write_run(runs[1], lambda document: document["run"].update(campaign="elsewhere"))
    assert "campaign" in refusal(root)


def test_another_run_of_the_same_name_is_not_replaced(root, runs):
    promote.promote(CAMPAIGN)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "promoted")
    write_run(runs[1], lambda document: document.update(created="2026-11-21T00:00:00Z"))
    line = refusal(root)
    label = f"data/measurements/{CAMPAIGN}/{runs[1].name}/{RECORD}"
    assert line.startswith(f"{label} is another run of the same name")


def test_a_run_that_was_half_deleted_is_filed_again(root, runs):
    promote.promote(CAMPAIGN)
    (root / "data" / "measurements" / CAMPAIGN / runs[0].name / RECORD).unlink()
    git(root, "add", "-A")
    git(root, "commit", "-qm", "half")
    promote.promote(CAMPAIGN)
    assert len(filed(root)) == 6


def test_only_what_the_record_lists_is_filed(root, runs):
    (runs[0] / "answers.txt").write_text("the text of a dataset", encoding="utf-8")
    promote.promote(CAMPAIGN)
    assert "answers.txt" not in {name.rpartition("/")[2] for name in filed(root)}
    assert len(filed(root)) == 6


def test_a_folder_that_an_editor_left_is_not_in_the_way(root, runs):
    (runs[1] / ".ipynb_checkpoints").mkdir()
    promote.promote(CAMPAIGN)
    assert len(filed(root)) == 6


def test_the_command_line_says_what_was_refused_and_what_was_filed(checkout):
    checkout.campaign(CAMPAIGN, {"model": "linear-bow", "splits": 3})
    done = checkout.helpers("promote", CAMPAIGN)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: promote: the working tree has changes")
    assert len(done.stderr.splitlines()) == 1
    git(checkout.root, "add", "-A")
    git(checkout.root, "commit", "-qm", "campaign")
    done = checkout.helpers("promote", CAMPAIGN)
    assert done.returncode == 2
    missing = done.stderr.partition("first ")[2].partition(";")[0]
    write_run(checkout.root / missing)
    done = checkout.helpers("promote", CAMPAIGN, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    target = missing.replace("runs/", "data/measurements/")
    assert json.loads(done.stdout) == [target]
    assert {file.name for file in (checkout.root / target).iterdir()} == {RECORD, *SIDECARS}


def test_what_tells_of_a_person_is_not_filed(root, runs):
    (runs[1] / "notebook.ipynb").write_text('{"cells": [{"source": "/home/me/x"}]}', encoding="utf-8")
    document = json.loads((runs[1] / RECORD).read_text(encoding="utf-8"))
    document["files"]["notebook.ipynb"] = sha256_of(runs[1] / "notebook.ipynb")
    (runs[1] / RECORD).write_text(json.dumps(document), encoding="utf-8")
    line = refusal(root)
    assert (
        f"{runs[1].name}/notebook.ipynb: cells.0.source: the path /home/me/x, which must not be published"
        in line
    )
