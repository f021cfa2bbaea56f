"""What tells of a machine or a person is found in texts, notebooks and tables, and nothing else is."""

import getpass
import json
import socket
import sys
from pathlib import Path

import pandas as pd
import pytest

from conftest import ROOT, refusal
from helpers import paths
from helpers.private import check_private, find_private, private_words

SECRET = "hf_" + "a1B2c3D4" * 4
COMMITTED = sorted(paths.MEASUREMENTS.glob("*/*/*.*"))


@pytest.fixture
def words(monkeypatch):
    """The words of an invented machine."""
    monkeypatch.setattr(socket, "gethostname", lambda: "node17.cluster.example.org")
    monkeypatch.setattr(getpass, "getuser", lambda: "erika")
    monkeypatch.setattr(Path, "home", lambda: Path("/elsewhere/erika"))
    monkeypatch.setattr(sys, "prefix", "/elsewhere/python")
    monkeypatch.setenv("SOME_API_TOKEN", "correct-horse-battery")
    return private_words()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("served by node17.cluster.example.org", "host name"),
        ("on Node17: 3 s", "host name"),
        ("written by erika.", "user name"),
        ("/elsewhere/erika/models", "home directory"),
        (f"{ROOT}/src/helpers", "folder of the project"),
        ("File /elsewhere/python/lib/x.py", "folder of Python"),
        ("token=correct-horse-battery", "value of SOME_API_TOKEN"),
        (SECRET, "a token"),
        ("Authorization: Bearer abcdefghijklmnop12345", "a token"),
        ("http://me:password@host:8000/v1", "a token"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a token"),
        ("see /home/someone/x.csv", "the path /home/someone/x.csv"),
        ('"/scratch/project_1/x"', "the path /scratch/project_1/x"),
        ("file:///tmp/ipykernel_7/1.py", "the path /tmp/ipykernel_7/1.py"),
        ("model=/data/horse/ws/model", "the path /data/horse/ws/model"),
        (r"C:\Users\Someone\x", r"the path C:\Users\Someone\x"),
    ],
)
def test_it_is_found(words, text, said):
    assert find_private(text, words) == said


@pytest.mark.parametrize(
    "text",
    [
        "<td>1</td></data/x>",
        "https://example.org/data/x and https://example.org/home/x",
        "data/measurements/reference-cpu, runs/tmp/x",
        "node171, erikas, pre-erika",
        "bearer of responsibilities",
        "12/tmp/3",
        "",
    ],
)
def test_what_only_looks_like_it_is_not(words, text):
    assert find_private(text, words) is None


@pytest.mark.parametrize("name", ["root", "model", "runs", "vm", "localhost"])
def test_a_name_that_says_nothing_is_no_private_word(monkeypatch, name):
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    monkeypatch.setattr(getpass, "getuser", lambda: name)
    assert name not in private_words()


def test_a_user_without_a_name_is_none(monkeypatch):
    def nobody():
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert "user name" not in private_words().values()


def test_without_words_they_are_those_of_this_machine():
    assert find_private(str(ROOT)) == "folder of the project"


@pytest.mark.parametrize("file", COMMITTED[::7], ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_committed_runs_tell_nothing(words, file):
    check_private(file, words, "-")


def written(file, cells):
    file.write_text(json.dumps({"cells": cells, "metadata": {}}), encoding="utf-8")
    return file


def test_the_cell_is_named_and_a_token_is_not_repeated(tmp_path, words):
    cells = [{"source": ["x\n"]}, {"source": ["x\n"], "outputs": [{"text": ["ok\n", f"key {SECRET}\n"]}]}]
    line = refusal(check_private, written(tmp_path / "n.ipynb", cells), words, "do this")
    assert (
        line == f"{tmp_path}/n.ipynb: cells.1.outputs.0.text: a token, which must not be published; do this"
    )


def test_a_key_is_a_text_too(tmp_path, words):
    line = refusal(check_private, written(tmp_path / "n.ipynb", [{"/home/me/x": 1}]), words, "-")
    assert "cells.0: the path /home/me/x" in line


def test_a_picture_is_no_text(tmp_path, words):
    data = {"image/png": f"iVBOR/{SECRET}/home/me/x"}
    check_private(written(tmp_path / "n.ipynb", [{"outputs": [{"data": data}]}]), words, "-")


def test_the_texts_of_a_table_are_read(tmp_path, words):
    file = tmp_path / "predictions.parquet"
    table = pd.DataFrame({"split": [0, 0, 1], "id": ["a", "/home/me/2", None], "x": [0.5, 1, 2]})
    table.to_parquet(file, index=False)
    assert f"{file}: id: the path /home/me/2" in refusal(check_private, file, words, "-")
    table.assign(id="a").to_parquet(file, index=False)
    check_private(file, words, "-")


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.parquet", "not valid parquet"), ("a.ipynb", "not valid JSON"), ("a.json", "not valid JSON")],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, words, name, said):
    (tmp_path / name).write_bytes(b"{")
    assert refusal(check_private, tmp_path / name, words, "-").startswith(f"{tmp_path / name}: {said}")
