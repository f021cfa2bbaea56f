"""The record: what is valid reads back as it was written, everything else is refused in one line."""

import copy
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.core.errors import UserError
from helpers.records import storage as records
from helpers.records.storage import (
    RECORD,
    Component,
    Energy,
    Record,
    publish,
    read_record,
    read_records,
    write_record,
)

RUN_ID = "fktg-sample-linear-bow-0123abcd"


def component(energy_wh, method):
    return {"energy_wh": energy_wh, "method": method}


def energy_document(cpu=0.02, ram=0.01):
    return {
        "cpu": component(cpu, "estimated:cpu-load"),
        "gpu": component(None, "missing"),
        "ram": component(ram, "estimated:ram-0.375W/GB"),
        "ram_codecarbon": component(0.005, "estimated:ram-codecarbon"),
    }


def split_document(number):
    return {
        "split": number,
        "train_ids_sha256": "a" * 64,
        "test_ids_sha256": "b" * 64,
        "texts": 189,
        "correct": 100 + number,
        "parse_failures": 0,
        "passes": 7,
        "window_s": 5.25,
        "duration_s": 0.75,
        "energy": energy_document(),
        "idle_power_w": 12.5,
        "idle_energy": energy_document(),
        "sources": [
            {
                "source": "codecarbon:estimated:cpu-load",
                "component": "cpu",
                "energy_wh": 0.02,
                "problem": None,
            },
            {"source": "rapl", "component": "cpu", "energy_wh": None, "problem": "no folder"},
        ],
        "tokens_in": None,
        "tokens_out": None,
        "requests_sent": None,
        "requests_cached": None,
        "requests_answered": None,
        "replies": None,
    }


def record_document(run_id=RUN_ID, campaign="demo", splits=3):
    """A valid record as the JSON has it; the tests of other modules start from it, too."""
    return {
        "schema_version": 5,
        "created": "2026-11-20T16:43:32Z",
        "run": {
            "run_id": run_id,
            "campaign": campaign,
            "notebook": "traditional",
            "model": "linear-bow",
            "family": "Traditional",
            "checkpoint": None,
            "revision": None,
            "checkpoint_sha256": None,
            "weights": "trained here",
            "gguf_sha256": None,
            "dtype": None,
            "dataset": "fktg-sample",
            "dataset_origin": "sample",
            "dataset_sha256": "c" * 64,
            "synthetic": True,
            "machine": "amd-epyc-2c",
            "device": "cpu",
            "gpus": 0,
            "nodes": 1,
            "concurrency": 1,
            "splits": splits,
            "window_s": 5.0,
            "served": None,
            "asked": None,
        },
        "environment": {
            "git_commit": "d" * 40,
            "git_dirty": False,
            "lock_sha256": "e" * 64,
            "python": "3.11.7",
            "packages": {"numpy": "2.4.6"},
            "os": "Linux x86_64",
            "cpu_model": "AMD EPYC",
            "cpu_cores": 2,
            "ram_gb": 23.54,
            "gpus": [
                {
                    "uuid": "GPU-1",
                    "model": "NVIDIA H100",
                    "memory_gb": 94.0,
                    "power_limit_w": 700.0,
                    "persistence": True,
                    "mig": False,
                    "ecc": None,
                }
            ],
            "driver": None,
            "container": "docker",
            "garbage_collection": "before windows, never inside",
            "threads": {"openmp": 2},
        },
        "phases": [{"name": "inference", "duration_s": 15.75, "energy": energy_document(0.42, 0.21)}],
        "splits": [split_document(number) for number in range(splits)],
        "checks": [
            {"name": "energy_known", "passed": True, "message": "it is", "severity": "error"},
            {"name": "window_long_enough", "passed": False, "message": "too short", "severity": "warning"},
        ],
        "files": {},
    }


def make_record(**changes):
    return Record.model_validate(record_document(**changes))


def at(document, *path):
    """The part of a document that a path of keys and positions leads to."""
    for step in path:
        document = document[step]
    return document


def write_run(folder, document):
    """Write a document where the record of its run belongs; a text is written as it is."""
    target = folder / RUN_ID
    target.mkdir(parents=True, exist_ok=True)
    text = document if isinstance(document, str) else json.dumps(document)
    (target / RECORD).write_text(text, encoding="utf-8")
    return target / RECORD


def refusal(file):
    with pytest.raises(UserError) as caught:
        read_record(file)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert str(file) in line
    return line


# Write and read


def test_a_record_reads_back_as_it_was_written(tmp_path):
    folder = tmp_path / RUN_ID
    folder.mkdir()
    record = make_record()
    write_record(record, folder)
    assert read_record(folder / RECORD) == record
    assert json.loads((folder / RECORD).read_text(encoding="utf-8")) == record_document()


def test_a_record_of_version_1_is_read_and_what_it_lacks_is_absent(tmp_path):
    document = record_document() | {"schema_version": 1}
    del document["environment"]["threads"]
    del document["run"]["served"], document["run"]["asked"]
    for split in document["splits"]:
        del split["idle_energy"], split["sources"], split["replies"]
    folder = tmp_path / RUN_ID
    folder.mkdir()
    (folder / RECORD).write_text(json.dumps(document), encoding="utf-8")
    record = read_record(folder / RECORD)
    assert (record.schema_version, record.environment.threads) == (1, None)
    assert {split.idle_energy for split in record.splits} == {None}
    assert [split.sources for split in record.splits] == [[]] * 3
    assert {split.net_wh for split in record.splits} == {None}


def test_a_record_of_version_2_is_read_and_what_it_lacks_is_absent(tmp_path):
    document = record_document() | {"schema_version": 2}
    del document["run"]["served"], document["run"]["asked"]
    for split in document["splits"]:
        del split["replies"]
    record = read_record(write_run(tmp_path, document))
    assert (record.schema_version, record.run.served, record.run.asked) == (2, None, None)
    assert {split.replies for split in record.splits} == {None}


def of_language_model(document):
    """Make a record that of a language model."""
    document["run"] |= {
        "notebook": "llm",
        "model": "llama-3.1-8b",
        "family": "Other LLM",
        "weights": "real",
        "served": {
            "engine": "vllm",
            "engine_version": "0.32.0",
            "command": ["python", "-m", "vllm"],
            "quantisation": None,
            "prefix_caching": False,
            "max_model_len": None,
            "trust_remote_code": False,
        },
        "asked": {
            "language": "de",
            "prompt_sha256": "f" * 64,
            "shots": 0,
            "output_mode": "free",
            "constraint": None,
            "max_tokens": 128,
            "reasoning": False,
            "thinking_tokens": 0,
            "temperature": 0.0,
            "ignore_eos": False,
            "json_fallback": False,
            "protocol": "companion",
            "dspy_cache": False,
            "timeout_s": 600.0,
            "dspy_engine": "http.client",
        },
    }
    counts = {"requests": 1323, "prompt_tokens": 70000, "generated_tokens": 14000}
    for split in document["splits"]:
        split |= {
            "parse_failures": 4,
            "tokens_in": 10000,
            "tokens_out": 2000,
            "requests_sent": 189,
            "requests_answered": 188,
            "replies": {
                "failures": {"off-list": 3, "truncated": 1, "timeout": 1},
                "tokens_thinking": None,
                "latency_p50_s": 0.2,
                "latency_p95_s": 0.3,
                "latency_p99_s": 0.4,
                "ttft_s": 0.05,
                "prefix_hit_rate": None,
                "agreement": 0.99,
                "client": counts,
                "engine": counts,
            },
        }


def test_a_record_of_a_language_model_reads_back_as_it_was_written(tmp_path):
    document = record_document()
    of_language_model(document)
    folder = tmp_path / RUN_ID
    folder.mkdir()
    record = Record.model_validate(document)
    write_record(record, folder)
    assert read_record(folder / RECORD) == record
    assert json.loads((folder / RECORD).read_text(encoding="utf-8")) == document


def test_a_record_of_version_3_is_of_the_one_protocol_that_there_was_then(tmp_path):
    document = record_document() | {"schema_version": 3}
    of_language_model(document)
    del document["run"]["asked"]["protocol"], document["run"]["asked"]["dspy_cache"]
    for split in document["splits"]:
        del split["requests_cached"]
    record = read_record(write_run(tmp_path, document))
    assert record.run.asked is not None
    assert (record.schema_version, record.run.asked.protocol, record.run.asked.dspy_cache) == (
        3,
        "companion",
        False,
    )
    assert {split.requests_cached for split in record.splits} == {None}


def test_dummy_weights_have_no_accuracy():
    document = record_document()
    of_language_model(document)
    document["run"]["weights"] = "dummy"
    for split in document["splits"]:
        split |= {"correct": None, "parse_failures": None}
    assert {split.accuracy for split in Record.model_validate(document).splits} == {None}


@pytest.mark.parametrize(
    ("change_of", "expected"),
    [
        (("replies", "failures", {"bad": 1}), "splits.0.replies.failures.bad"),
        (("replies", "agreement", 1.5), "splits.0.replies.agreement:"),
        (("replies", "failures", {"off-list": 100}), "correct and replies.failures are more than texts"),
    ],
)
def test_a_fault_in_what_came_of_asking_is_refused(tmp_path, change_of, expected):
    document = record_document()
    of_language_model(document)
    part, name, value = change_of
    document["splits"][0][part][name] = value
    assert expected in refusal(write_run(tmp_path, document))


def test_net_energy_is_the_gross_less_the_idle_machines():
    split = make_record().splits[0]
    assert split.net_wh == pytest.approx(split.energy.total_wh - split.idle_energy.total_wh)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(st.floats(0, 1e6, allow_nan=False), min_size=5, max_size=5),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_any_number_and_text_survives_writing(tmp_path, numbers, text):
    document = record_document(splits=1)
    split = document["splits"][0]
    split["energy"] = energy_document(numbers[0], numbers[1])
    split["duration_s"], split["window_s"], split["idle_power_w"] = (
        numbers[2] + 1e-9,
        numbers[3] + 1,
        numbers[4],
    )
    document["checks"][0]["message"] = document["environment"]["os"] = text
    folder = tmp_path / RUN_ID
    folder.mkdir(exist_ok=True)
    record = Record.model_validate(document)
    write_record(record, folder)
    assert read_record(folder / RECORD) == record


def test_total_adds_cpu_gpu_and_ram_and_not_codecarbons_ram():
    energy = Energy.model_validate(
        {
            "cpu": component(1.0, "measured:rapl"),
            "gpu": component(2.0, "measured:nvml-counter"),
            "ram": component(4.0, "estimated:ram-0.375W/GB"),
            "ram_codecarbon": component(8.0, "estimated:ram-codecarbon"),
        }
    )
    assert energy.total_wh == 7.0


def test_total_of_nothing_known_is_absent_and_not_zero():
    missing = Component(energy_wh=None, method="missing")
    codecarbon = Component(energy_wh=8.0, method="estimated:ram-codecarbon")
    assert Energy(cpu=missing, gpu=missing, ram=missing, ram_codecarbon=codecarbon).total_wh is None


# Refusals


def change(*path, to):
    def apply(document):
        at(document, *path[:-1])[path[-1]] = to

    return apply


def without(*path):
    def apply(document):
        del at(document, *path[:-1])[path[-1]]

    return apply


FAULTS = {
    "unknown key at the top": (change("extra", to=1), "unknown key 'extra'"),
    "unknown key in run": (change("run", "modle", to="x"), "run: unknown key 'modle' (nearest: 'model'"),
    "unknown key in environment": (change("environment", "hostname", to="x"), "unknown key 'hostname'"),
    "unknown key in a GPU": (
        change("environment", "gpus", 0, "modell", to=1),
        "environment.gpus.0: unknown key",
    ),
    "unknown key in a phase": (change("phases", 0, "energie", to=1), "phases.0: unknown key 'energie'"),
    "unknown key in a split": (change("splits", 1, "txets", to=1), "splits.1: unknown key 'txets'"),
    "unknown key in an energy": (change("splits", 0, "energy", "disk", to=1), "splits.0.energy: unknown key"),
    "unknown key in a component": (
        change("splits", 0, "energy", "cpu", "wh", to=1),
        "splits.0.energy.cpu: unknown key 'wh'",
    ),
    "unknown key in a check": (change("checks", 0, "pased", to=True), "checks.0: unknown key 'pased'"),
    "blanks and colons in a key": (
        change("environment", "packages", "a b:\fc", to=1),
        r": environment.packages.a\x20b\x3a\x0cc: ",
    ),
    "missing key": (without("run", "dataset_sha256"), "run.dataset_sha256: Field required"),
    "missing key in a split": (without("splits", 2, "idle_power_w"), "splits.2.idle_power_w: Field required"),
    "text for a number": (change("splits", 0, "correct", to="100"), "splits.0.correct:"),
    "number for a text": (change("environment", "python", to=3.11), "environment.python:"),
    "number for a yes or no": (change("run", "synthetic", to=1), "run.synthetic:"),
    "list for an object": (change("run", to=[]), "run:"),
    "null for a number": (change("splits", 0, "texts", to=None), "splits.0.texts:"),
    "negative energy": (
        change("splits", 0, "energy", "cpu", "energy_wh", to=-0.1),
        "splits.0.energy.cpu.energy_wh:",
    ),
    "energy absent but measured": (
        change("splits", 0, "energy", "ram", to=component(None, "measured:rapl")),
        "splits.0.energy.ram: energy_wh is null exactly where method is 'missing'",
    ),
    "energy given but missing": (
        change("splits", 0, "energy", "gpu", to=component(0.0, "missing")),
        "splits.0.energy.gpu: energy_wh is null exactly where method is 'missing'",
    ),
    "unknown method": (
        change("splits", 0, "energy", "cpu", "method", to="measured:rapll"),
        "splits.0.energy.cpu.method: unknown value 'measured:rapll' (nearest: 'measured:rapl'",
    ),
    "more texts than a float can tell apart": (
        change("splits", 0, "tokens_in", to=10**400),
        "splits.0.tokens_in:",
    ),
    "durations whose sum overflows": (change("splits", 0, "duration_s", to=1.7e308), "splits.0.duration_s:"),
    "NaN": (change("splits", 0, "duration_s", to=math.nan), "splits.0.duration_s:"),
    "infinity": (change("phases", 0, "duration_s", to=math.inf), "phases.0.duration_s:"),
    "other schema version": (
        change("schema_version", to=6),
        "schema_version: found 6, this version reads 1, 2, 3, 4, 5",
    ),
    "schema version as text": (change("schema_version", to="1"), "schema_version: found '1'"),
    "schema version as yes": (change("schema_version", to=True), "schema_version:"),
    "no schema version": (without("schema_version"), "schema_version: Field required"),
    "split missing": (without("splits", 1), "splits are not 0 to 2, each once, in order"),
    "split twice": (change("splits", 1, "split", to=0), "splits are not 0 to 2, each once, in order"),
    "splits in another order": (
        lambda document: document["splits"].reverse(),
        "splits are not 0 to 2, each once, in order",
    ),
    "fewer splits than the run says": (change("run", "splits", to=4), "splits are not 0 to 3"),
    "more right than texts": (change("splits", 0, "correct", to=190), "splits.0: correct and parse_failures"),
    "duration of nothing": (change("splits", 0, "duration_s", to=0), "splits.0.duration_s:"),
    "short sha256": (change("splits", 0, "test_ids_sha256", to="b" * 63), "splits.0.test_ids_sha256:"),
    "time without a zone": (change("created", to="2026-11-20T16:43:32"), "created:"),
    "another run's folder": (
        change("run", "run_id", to="another-run"),
        "run.run_id: 'another-run' does not name its folder",
    ),
    "run id that leaves the folder": (change("run", "run_id", to="../x"), "run.run_id:"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_with_file_and_field(tmp_path, fault):
    apply, expected = FAULTS[fault]
    document = record_document()
    apply(document)
    assert expected in refusal(write_run(tmp_path, document))


@pytest.mark.parametrize("text", ["", " ", "[]", "null", "1", '"text"', "{", '{"schema_version": 1'])
def test_a_document_that_is_no_object_is_refused(tmp_path, text):
    assert "document:" in refusal(write_run(tmp_path, text))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_a_truncated_record_is_refused(tmp_path, part):
    text = json.dumps(record_document())
    assert "Invalid JSON" in refusal(write_run(tmp_path, text[: int(len(text) * part)]))


def test_a_record_that_is_not_utf_8_is_refused(tmp_path):
    file = write_run(tmp_path, record_document())
    file.write_bytes(file.read_bytes().replace(b"docker", b"d\xf6cker"))
    refusal(file)


def test_a_record_that_is_a_folder_or_absent_is_refused(tmp_path):
    assert "No such file" in refusal(tmp_path / RUN_ID / RECORD)
    (tmp_path / RUN_ID / RECORD).mkdir(parents=True)
    assert "cannot be read" in refusal(tmp_path / RUN_ID / RECORD)


def test_deeply_nested_json_is_refused(tmp_path):
    refusal(write_run(tmp_path, "[" * 100_000))


def test_a_line_break_in_a_key_does_not_break_the_line(tmp_path):
    document = record_document()
    document["environment"]["packages"]["two\nlines"] = 1
    assert "environment.packages" in refusal(write_run(tmp_path, document))


def _paths(node, path=()):
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _paths(child, (*path, key))


_ALL_PATHS = [path for path in _paths(record_document()) if path]
_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([[], {}, [[]], {"a": 1}, "missing", "measured:rapl", "Deepseek", 10**400])
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_record_reads_back_valid_or_is_refused_in_one_line(tmp_path, data):
    document = record_document()
    for _ in range(data.draw(st.integers(1, 3), "mutations")):
        path = data.draw(st.sampled_from(_ALL_PATHS), "path")
        try:
            parent = at(document, *path[:-1])
            at(document, *path)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier mutation took it away
        match data.draw(st.sampled_from(["delete", "replace", "add"]), "kind"):
            case "delete":
                del parent[path[-1]]
            case "replace":
                parent[path[-1]] = copy.deepcopy(data.draw(_VALUES, "value"))
            case "add" if isinstance(parent, dict):
                parent[data.draw(st.text(st.characters(exclude_categories=["C", "Z"])), "key")] = data.draw(
                    _VALUES
                )
            case _:
                parent.append(data.draw(_VALUES, "value"))
    file = write_run(tmp_path / "demo", document)
    records, refused = read_records(tmp_path)
    for record in records.values():
        assert Record.model_validate_json(record.model_dump_json()) == record
    for line in refused:
        assert line.startswith(f"{file}: ")
        assert len(line.splitlines()) == 1
    assert len(records) + len(refused) == 1


# Folders of records


def test_good_records_are_read_and_a_bad_one_is_one_line(tmp_path):
    good = tmp_path / "demo" / RUN_ID
    good.mkdir(parents=True)
    write_record(make_record(), good)
    bad = [write_run(tmp_path / name, text) for name, text in (("a", "{"), ("b", ""))]
    (tmp_path / "demo" / f".{RUN_ID}.1.partial").mkdir()
    (tmp_path / "demo" / f".{RUN_ID}.1.partial" / RECORD).write_text("{", encoding="utf-8")
    (tmp_path / "demo" / "empty-run").mkdir()
    records, refused = read_records(tmp_path)
    assert list(records) == [good / RECORD]
    assert records[good / RECORD] == make_record()
    assert len(refused) == len(bad)
    for file, line in zip(bad, refused, strict=True):
        assert line.startswith(f"{file}: ")
        assert len(line.splitlines()) == 1


def test_a_folder_that_is_not_there_holds_no_records(tmp_path):
    assert read_records(tmp_path / "none") == ({}, [])


# Publishing


def test_a_published_folder_appears_at_the_end_and_whole(tmp_path):
    target = tmp_path / "demo" / RUN_ID
    with publish(target) as scratch:
        write_record(make_record(), scratch)
        (scratch / "more.txt").write_text("more", encoding="utf-8")
        assert not target.exists()
        assert scratch.parent == target.parent
    assert sorted(file.name for file in target.iterdir()) == ["more.txt", RECORD]
    assert list(target.parent.iterdir()) == [target]
    assert read_record(target / RECORD) == make_record()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path, error):
    target = tmp_path / RUN_ID

    def fail(scratch):
        (scratch / RECORD).write_text("{", encoding="utf-8")
        raise error

    with pytest.raises(error), publish(target) as scratch:
        fail(scratch)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_what_stood_there(tmp_path):
    target = tmp_path / RUN_ID
    target.mkdir()
    (target / "kept.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(RuntimeError), publish(target):
        raise RuntimeError
    assert [file.name for file in target.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("left", [(), ("notebook.ipynb",)])
def test_a_folder_without_a_record_is_replaced(tmp_path, left):
    target = tmp_path / RUN_ID
    target.mkdir()
    for name in left:
        (target / name).write_text("old", encoding="utf-8")
    with publish(target) as scratch:
        write_record(make_record(), scratch)
    assert [file.name for file in target.iterdir()] == [RECORD]


def test_a_folder_with_a_record_is_not_replaced(tmp_path):
    target = tmp_path / RUN_ID
    with publish(target) as scratch:
        write_record(make_record(), scratch)
    before = (target / RECORD).read_bytes()
    with pytest.raises(UserError) as caught, publish(target) as scratch:
        (scratch / RECORD).write_text("other", encoding="utf-8")
    assert str(target) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert (target / RECORD).read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_scratch_folders_of_the_dead_are_removed_and_those_of_the_living_kept(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    living_folder, dead_folder, other = (
        tmp_path / f".{RUN_ID}.{child.pid}.partial",
        tmp_path / f".{RUN_ID}.{dead.pid}.partial",
        tmp_path / f".another-run.{dead.pid}.partial",
    )
    for folder in (living_folder, dead_folder, other):
        folder.mkdir()
        (folder / "file").write_text("x", encoding="utf-8")
    try:
        with publish(tmp_path / RUN_ID) as scratch:
            write_record(make_record(), scratch)
        assert (living_folder / "file").exists()
        assert not dead_folder.exists()
        assert (other / "file").exists()
    finally:
        child.communicate(b"\n")


def test_what_an_earlier_process_of_the_same_number_left_is_not_in_the_way(tmp_path):
    left = tmp_path / f".{RUN_ID}.{os.getpid()}.partial"
    left.mkdir()
    (left / "half").write_text("x", encoding="utf-8")
    with publish(tmp_path / RUN_ID) as scratch:
        write_record(make_record(), scratch)
    assert [file.name for file in (tmp_path / RUN_ID).iterdir()] == [RECORD]


def test_a_record_is_durable_before_it_is_published(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        records.os, "fsync", lambda number: (synced.append(os.fstat(number).st_ino), real(number))
    )
    with publish(tmp_path / RUN_ID) as scratch:
        write_record(make_record(), scratch)
        inode = Path(scratch / RECORD).stat().st_ino
        assert synced == [inode]
