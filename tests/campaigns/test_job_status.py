"""Notes on tries: there while a run has no record, with the reason where it failed, and gone once it has succeeded."""

import json

import pytest

from helpers.campaigns.job_status import attempt_file, attempting, fail, read_attempt
from helpers.cli import main
from helpers.core.errors import Terminated, TransientError, UserError
from tests.conftest import refusal


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "campaign" / "news-linear-bow-01234567"


def tried(folder, error):
    with pytest.raises(type(error)), attempting(folder, 2):
        raise error
    return read_attempt(folder)


def test_a_run_that_is_tried_has_a_note_and_one_that_succeeded_has_none(folder):
    with attempting(folder, 1):
        attempt = read_attempt(folder)
        assert (attempt.run_id, attempt.number, attempt.reason) == (folder.name, 1, None)
    assert not attempt_file(folder).exists()


@pytest.mark.parametrize(
    ("error", "passes", "reason"),
    [
        (UserError("no data\nat all"), False, "no data at all"),
        (TransientError("port taken"), True, "port taken"),
        (
            OSError(28, "No space left on device", "record.json"),
            False,
            "record.json: No space left on device",
        ),
        (RuntimeError("what\nnow"), False, "RuntimeError: what now"),
    ],
)
def test_a_note_says_why_and_whether_it_may_pass(folder, error, passes, reason):
    attempt = tried(folder, error)
    assert (attempt.number, attempt.passes, attempt.reason) == (2, passes, reason)
    assert attempt.began <= attempt.ended


def test_ctrl_c_is_no_failure(folder):
    assert tried(folder, KeyboardInterrupt()) is None


def test_a_process_that_is_terminated_leaves_a_note_that_it_has_begun(folder):
    assert tried(folder, Terminated("SIGTERM")).ended is None


def test_a_note_that_a_process_left_without_a_word_says_that_it_has_begun(folder):
    note = attempting(folder, 1)
    note.__enter__()
    attempt = read_attempt(folder)
    assert attempt.ended is None
    given_up = fail(folder, 1, "killed\nby somebody", passes=True)
    assert given_up.began == attempt.began
    assert read_attempt(folder) == given_up
    assert given_up.reason == "killed by somebody"


def test_a_note_that_cannot_be_read_is_written_again(folder):
    tried(folder, UserError("no"))
    attempt_file(folder).write_text("{", encoding="utf-8")
    assert fail(folder, 2, "killed", passes=True) == read_attempt(folder)


def test_a_record_counts_more_than_a_note(folder):
    tried(folder, UserError("no"))
    folder.mkdir()
    (folder / "record.json").touch()
    assert read_attempt(folder) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"passes": None}, "given together"),
        ({"reasn": "x"}, "nearest: 'reason'"),
        ({"number": "1"}, "number: "),
    ],
)
def test_a_note_that_is_not_valid_is_refused_with_file_and_field(folder, change, message):
    tried(folder, UserError("no"))
    file = attempt_file(folder)
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change), encoding="utf-8")
    line = refusal(read_attempt, folder)
    assert file.name in line
    assert message in line


def test_a_run_on_a_node_that_is_another_machine_says_which(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("helpers.core.paths.RUNS", tmp_path)
    arguments = ["-p", "campaign=trial", "-p", "model=linear-bow", "-p", "machine=capella"]
    assert main(["measure", "traditional", *arguments, "--attempt", "news-linear-bow-01234567:2"]) == 2
    attempt = read_attempt(tmp_path / "trial" / "news-linear-bow-01234567")
    assert (attempt.number, attempt.passes) == (2, False)
    assert attempt.reason.startswith("parameters: machine=capella: ")
    assert capsys.readouterr().err == f"error: {attempt.reason}\n"


@pytest.mark.parametrize("text", ["news", "news:0", ":1", "../news:1", "news:x"])
def test_an_attempt_without_run_or_number_is_refused(text, capsys):
    with pytest.raises(SystemExit):
        main(["measure", "traditional", "--attempt", text])
    assert "expected" in capsys.readouterr().err.splitlines()[-1]
