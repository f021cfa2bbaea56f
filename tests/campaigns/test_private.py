"""What tells of a machine or a person is found in texts, notebooks and tables, and nothing else is."""

import getpass
import json
import socket
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.campaigns.transfer import private
from helpers.campaigns.transfer.private import check_private, find_private, private_words
from helpers.core import paths
from tests.conftest import ROOT, refusal

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
    ("text", "message"),
    [
        ("served by node17.cluster.example.org", "host name 'node17.cluster.example.org'"),
        ("on Node17: 3 s", "host name 'node17'"),
        ("over node17-ib0", "host name 'node17'"),
        ("written by erika.", "user name 'erika'"),
        ("torchinductor_erika/x", "user name 'erika'"),
        ("\x1b[32merika\x1b[0m", "user name 'erika'"),
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
        ("\x1b[32m/home/someone/proj/x.py\x1b[0m", "the path /home/someone/proj/x.py"),
        ("&#x2F;home&#x2F;someone&#x2F;x", "the path /home/someone/x"),
        ("PATH=/bin:/users/someone/bin", "the path /users/someone/bin"),
        ("in /p/project1/x", "the path /p/project1/x"),
        ("/home/someone/pytorch/aten/Context.cpp:49", "the path /home/someone/pytorch/aten/Context.cpp:49"),
        ("in /dev/shm/x/y", "the path /dev/shm/x/y"),
        ("Authorization: Basic bWU6cGFzc3dvcmQ=", "a token"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2Q", "a token"),
        ("nvapi-" + "a1B2" * 10, "a token"),
        ("AIza" + "a1B2c" * 7, "a token"),
        (r"C:\Users\Someone\x", r"the path C:\Users\Someone\x"),
    ],
)
def test_it_is_found(words, text, message):
    assert find_private(text, words) == message


@pytest.mark.parametrize(
    "text",
    [
        "<td>1</td></data/x>",
        "https://example.org/data/x and https://example.org/home/x",
        "data/measurements/reference-cpu, runs/tmp/x",
        "node171, erikas, preerika",
        "bearer of responsibilities",
        "#!/usr/bin/env python, /dev/null and /proc/cpuinfo",
        "POST /v1/chat/completions, /sys/class/powercap: not there",
        "(Triggered internally at /__w/pytorch/pytorch/aten/src/ATen/Context.cpp:49.)",
        "[W /workspace/src/engine.cc:12:3] git_commit, lock_sha256",
        "tokens/s, text/html, 1 /2/3, <a href='../x/y'/>",
        "12/tmp/3",
        "",
    ],
)
def test_what_only_looks_like_it_is_not(words, text):
    assert find_private(text, words) is None


@pytest.mark.parametrize(
    "name",
    ["root", "model", "runs", "vm", "localhost", "Jupyter", "intel", "torch", "gpu", "git", "lock", "Epyc"],
)
def test_a_name_that_says_nothing_is_no_private_word(monkeypatch, name):
    private._vocabulary.cache_clear()  # another test may have filled it from other folders
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


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: f"{file.parent.name}/{file.name}")
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


@pytest.mark.parametrize(
    "output",
    [
        {"data": {"image/svg+xml": ["<svg>", "<text>/home/me/x</text>"]}},
        {"metadata": {"image/png": {"alt": "/home/me/x"}}},
    ],
)
def test_what_a_picture_says_is_a_text(tmp_path, words, output):
    assert "the path /home/me/x" in refusal(
        check_private, written(tmp_path / "n.ipynb", [{"outputs": [output]}]), words, "-"
    )


def test_the_texts_of_a_table_are_read(tmp_path, words):
    file = tmp_path / "predictions.parquet"
    table = pd.DataFrame({"split": [0, 0, 1], "id": ["a", "/home/me/2", None], "x": [0.5, 1, 2]})
    table.to_parquet(file, index=False)
    assert f"{file}: id: the path /home/me/2" in refusal(check_private, file, words, "-")
    table.assign(id="a").to_parquet(file, index=False)
    check_private(file, words, "-")


FOUND = "/home/me/x"


@pytest.mark.parametrize(
    ("table", "field"),
    [
        (pa.table({"a": [[FOUND], None]}), "a"),
        (pa.table({"a": [{"b": FOUND}]}), "a"),
        (pa.table({"a": pa.array([[("k", FOUND)]], pa.map_(pa.string(), pa.string()))}), "a"),
        (pa.table({"a": pa.array([FOUND.encode()])}), "a"),
        (pa.table({"a": pa.array([FOUND]).dictionary_encode()}), "a"),
        (pa.table({FOUND: [1]}), "columns"),
        (pa.table({"a": [1]}).replace_schema_metadata({"made": FOUND}), "metadata made"),
        (pa.table({"a": [1]}, pa.schema([pa.field("a", pa.int64(), metadata={"of": FOUND})])), "metadata of"),
        (pa.Table.from_pandas(pd.DataFrame({"a": [1]}, index=pd.Index([FOUND], name="b"))), "b"),
    ],
)
def test_whatever_a_table_holds_is_read(tmp_path, words, table, field):
    pq.write_table(table, tmp_path / "a.parquet")
    line = refusal(check_private, tmp_path / "a.parquet", words, "-")
    assert f"a.parquet: {field}: the path {FOUND}" in line


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.parquet", "not valid parquet"), ("a.ipynb", "not valid JSON"), ("a.json", "not valid JSON")],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, words, name, message):
    (tmp_path / name).write_bytes(b"{")
    assert refusal(check_private, tmp_path / name, words, "-").startswith(f"{tmp_path / name}: {message}")
