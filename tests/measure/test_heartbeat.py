"""Progress while something takes long: a line now and then, none for what is short."""

import json
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.measure import llm as measurement
from helpers.measure.heartbeat import EVERY_S, heartbeat
from helpers.measure.notebook import execute_notebook
from helpers.models.llm.inference import InferenceClient


def test_what_takes_long_is_reported_with_its_seconds(capsys):
    with heartbeat(lambda: "engine starting", every_s=0.05):
        time.sleep(0.18)
    lines = capsys.readouterr().out.splitlines()
    assert 2 <= len(lines) <= 3
    assert set(lines) == {"engine starting, 0 s"}
    time.sleep(0.1)
    assert capsys.readouterr().out == "", "it ends with the block"
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_a_short_window_has_no_line(capsys):
    assert EVERY_S >= 30
    with heartbeat(lambda: "split 0"):
        time.sleep(0.01)
    assert capsys.readouterr().out == ""


def test_the_thread_computes_nothing_between_two_lines():
    with heartbeat(lambda: "split 0"):
        before_s = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before_s < 0.02


def test_it_ends_where_the_block_fails(capsys):
    with pytest.raises(ValueError, match="gone"), heartbeat(lambda: "split 0", every_s=0.02):
        raise ValueError("gone")
    time.sleep(0.06)
    assert capsys.readouterr().out == ""


def test_the_engine_is_reported_while_it_starts_and_not_after(monkeypatch, capsys):
    monkeypatch.setattr(measurement, "heartbeat", lambda text: heartbeat(text, every_s=0.02))

    class Slow:
        def __enter__(self):
            time.sleep(0.07)
            return "server"

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(measurement, "serve", lambda *_: Slow())
    monkeypatch.setattr(measurement, "_Loaded", lambda *_: "loaded")

    def measured(plan, dataset, load):
        with load() as loaded:
            shown = capsys.readouterr().out
            time.sleep(0.06)
            return loaded, shown, capsys.readouterr().out

    monkeypatch.setattr(measurement.measurement, "measure", measured)
    plan = SimpleNamespace(served=None, parameters=SimpleNamespace(start_timeout_s=1.0))
    loaded, starting, after = measurement.measure(plan, None)
    assert loaded == "loaded"
    assert starting.startswith("engine starting, 0 s\n")
    assert after == ""


def test_a_client_counts_the_texts_that_are_answered():
    done, open_ = Future(), Future()
    done.set_result(None)
    client = object.__new__(InferenceClient)
    client._asked = [done, open_, done]
    assert client.answered() == 2


def test_what_a_cell_prints_from_a_thread_is_passed_on_while_it_runs(tmp_path: Path):
    """As in a kernel of a measurement: the lines arrive before the cell has ended."""
    notebook = tmp_path / "slow.ipynb"
    source = (
        "import time\nfrom helpers.measure.heartbeat import heartbeat\n"
        "with heartbeat(lambda: 'split 0: 1 of 2 texts', every_s=0.3):\n    time.sleep(2)\nprint('end')"
    )
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    document = {"cells": [cell | {"source": source}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}

    notebook.write_text(json.dumps(document), encoding="utf-8")
    seen: list[tuple[float, str]] = []
    execute_notebook(
        notebook,
        tmp_path / "out.ipynb",
        {},
        on_line=lambda line: seen.append((time.monotonic(), line)),
    )
    lines = [line for _, line in seen]
    assert any(line.startswith("split 0: 1 of 2 texts, ") for line in lines)
    assert lines[-1] == "end"
    assert seen[-1][0] - seen[0][0] > 0.5, "not all at the end"
