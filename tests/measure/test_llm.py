"""Measure a language model: the real engine through the real notebook; a stub for what an engine will not do on demand."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest

from helpers.campaigns.transfer import promote
from helpers.core import lock
from helpers.core.errors import TransientError, UserError
from helpers.measure import llm, parameters
from helpers.measure import run as measurement
from helpers.metering.record_versions import expected_checks
from helpers.models.llm.server_metrics import read_counters
from helpers.records.storage import RAW_ANSWERS, RECORD, Record, read_record
from helpers.results import tables as results
from helpers.study import datasets
from helpers.study.catalogue import study
from tests.conftest import ROOT, Checkout, make_checkout, refusal
from tests.support.stub_server import MODEL, Stub, stub, stub_process

LABELS = study().datasets["tiny"].labels
ENGINE = pytest.mark.xdist_group("engine")
FILES = {"power.parquet", "predictions.parquet", "notebook.ipynb"}
COLUMNS = [
    *("split", "id", "label", "category", "kind"),
    *("tokens_in", "tokens_out", "tokens_thinking", "latency_s", "answer_sha256"),
]


def checks(record: Record) -> dict[str, bool]:
    return {check.name: check.passed for check in record.checks}


def message(record: Record, name: str) -> str:
    return next(check.message for check in record.checks if check.name == name)


# The real engine


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return make_checkout(tmp_path_factory.mktemp("llm"))


def settings(checkpoint: Path, data_dir: Path, **values: Any) -> dict[str, Any]:
    return {
        "model": "tiny",
        "checkpoint": checkpoint,
        "dataset": "tiny",
        "data_dir": data_dir,
        "engine": "vllm-eager",
        "max_model_len": 2048,
        "threads": 1,  # two of them wait for each other where tests share the cores
        "splits": 2,
        **values,
    }


def using(checkpoint: Path) -> list[psutil.Process]:
    """The processes that were started for a checkpoint."""
    users = []
    for process in psutil.process_iter():
        try:
            if str(checkpoint) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                users.append(process)
        except psutil.Error:
            continue
    return users


@pytest.fixture(scope="module")
def measured(
    copy: Checkout, llm_python: Path, tiny_checkpoint: Path
) -> tuple[Path, Record, subprocess.CompletedProcess[str]]:
    """A run of the tiny model from the command line: folder, record, and what was printed."""
    values = settings(tiny_checkpoint, tiny_checkpoint, concurrency=8, window_s=3.0, keep_answers="true")
    done = copy.helpers(
        "measure",
        "llm",
        *(part for name, value in values.items() for part in ("-p", f"{name}={value}")),
        env={"COMPANION_LLM_PYTHON": str(llm_python)},
    )
    assert done.returncode == 0, done.stderr
    (file,) = (path for path in copy.records() if "tiny-tiny" in str(path))
    return file.parent, read_record(file), done


@ENGINE
def test_the_tiny_model_is_measured_through_the_notebook_and_its_answers_are_as_good_as_they_can_be(
    measured: tuple[Path, Record, subprocess.CompletedProcess[str]], tiny_checkpoint: Path
) -> None:
    folder, record, done = measured
    assert {file.name for file in folder.iterdir()} == {RECORD, RAW_ANSWERS, *FILES}
    assert set(record.files) == FILES
    assert done.stdout.startswith(f"{record.run.run_id}: accuracy 0.")
    for item in record.splits:
        assert item.accuracy is not None
        assert 1.5 / len(LABELS) < item.accuracy < 1
        assert item.texts == 60
        assert item.requests_sent == item.requests_answered == 60
        assert item.passes >= 2
    assert [phase.name for phase in record.phases] == ["load", "idle", "warm-up", "inference", "idle-after"]
    assert using(tiny_checkpoint) == []


@ENGINE
def test_the_counters_of_the_engine_show_that_no_cache_answered(
    measured: tuple[Path, Record, subprocess.CompletedProcess[str]],
) -> None:
    _, record, _ = measured
    for item in record.splits:
        assert item.replies is not None
        assert item.replies.client == item.replies.engine
        assert item.replies.engine is not None
        assert item.replies.engine.requests == 60 * item.passes
        assert item.tokens_in is not None
        assert item.replies.engine.prompt_tokens == item.tokens_in * item.passes
        assert item.replies.prefix_hit_rate is None
        assert 0 < item.replies.latency_p50_s <= item.replies.latency_p95_s <= item.replies.latency_p99_s
        assert item.replies.ttft_s is not None
        assert 0 < item.replies.ttft_s < item.replies.latency_p99_s
        assert item.replies.agreement is not None
    for name in ("no_cache", "engine_counts_agree", "every_text_answered", "engine_here"):
        assert checks(record)[name], message(record, name)


@ENGINE
def test_the_record_says_how_the_model_was_served_and_asked(
    measured: tuple[Path, Record, subprocess.CompletedProcess[str]],
) -> None:
    _, record, _ = measured
    run, served, asked = record.run, record.run.served, record.run.asked
    assert (run.notebook, run.model, run.weights, run.device, run.gpus) == ("llm", "tiny", "real", "cpu", 0)
    assert (run.concurrency, run.dtype, run.revision) == (8, "bfloat16", None)
    assert run.gguf_sha256 is None
    assert record.environment.threads is not None
    assert record.environment.threads["engine"] == 1
    assert run.checkpoint_sha256 is not None
    assert served is not None
    assert (served.engine, served.prefix_caching, served.max_model_len) == ("vllm-eager", False, 2048)
    assert served.engine_version is not None
    assert "--no-enable-prefix-caching" in served.command
    assert asked is not None
    assert (asked.language, asked.shots, asked.output_mode, asked.temperature) == ("en", 0, "free", 0.0)
    assert not asked.json_fallback
    assert asked.dspy_engine
    assert "dspy" in record.environment.packages


@ENGINE
def test_a_run_stores_no_text_no_key_and_no_path(
    measured: tuple[Path, Record, subprocess.CompletedProcess[str]], copy: Checkout, tiny_checkpoint: Path
) -> None:
    folder, record, _ = measured
    texts = datasets.load_dataset("tiny", tiny_checkpoint).texts
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert list(predictions.columns) == COLUMNS
    assert len(predictions) == 120
    right = (predictions["label"] == predictions["category"]).groupby(predictions["split"]).sum()
    assert list(right) == [item.correct for item in record.splits]
    stored = {
        name: (folder / name).read_bytes().decode("utf-8", "replace") for name in (RECORD, *record.files)
    } | {"table": predictions.to_csv()}
    unwanted = (str(copy.root), str(ROOT), sys.prefix, str(Path.home()), str(tiny_checkpoint.parent), *texts)
    for name, text in stored.items():
        assert [part for part in unwanted if part in text] == [], name
    raw = pd.read_parquet(folder / RAW_ANSWERS)
    assert len(raw) == 120
    assert raw["answer"].str.contains("category").all()


@ENGINE
def test_raw_answers_are_never_promoted(
    measured: tuple[Path, Record, subprocess.CompletedProcess[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, _, _ = measured
    monkeypatch.setattr(promote, "git_dirty", lambda: False)
    monkeypatch.setattr(promote, "campaign_plans", lambda _: [type("Planned", (), {"folder": folder})()])
    monkeypatch.setattr("helpers.core.paths.MEASUREMENTS", tmp_path)
    (target,) = promote.promote("local")
    assert {file.name for file in target.iterdir()} == {RECORD, *FILES}


@ENGINE
def test_the_results_tables_take_the_run(
    measured: tuple[Path, Record, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, record, _ = measured
    tables = results.load_tables(committed=tmp_path, live=folder.parents[1])
    assert tables.refused == []
    rows = tables.results[tables.results["model"] == "tiny"]
    (row,) = rows.to_dict("records")
    assert (row["prompt"], row["output_mode"], row["engine"]) == ("en", "free", "vllm-eager")
    assert row["tokens_out"] == sum(item.tokens_out or 0 for item in record.splits) / 2
    assert row["requests_sent"] == 60
    assert row["latency_p50_s"] > 0
    per_split = tables.split_results[tables.split_results["model"] == "tiny"]
    assert not per_split.map(lambda value: isinstance(value, (dict, list))).any(axis=None)


@ENGINE
def test_a_random_model_that_is_constrained_answers_with_categories_only(
    copy: Checkout, llm_python: Path, tiny_checkpoint: Path, random_checkpoint: Path, tmp_path: Path
) -> None:
    values = settings(
        random_checkpoint, tiny_checkpoint, output_mode="constrained", window_s=0.5, splits=1, concurrency=4
    )
    out = tmp_path / "out.ipynb"
    given = [
        part for name, value in {**values, "output": tmp_path}.items() for part in ("-p", name, str(value))
    ]
    done = copy.python(
        "papermill",
        "notebooks/measure/llm.ipynb",
        str(out),
        *given,
        env={"COMPANION_LLM_PYTHON": str(llm_python)},
    )
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("local/*/record.json")
    record = read_record(file)
    (item,) = record.splits
    assert item.replies is not None
    assert (item.parse_failures, item.replies.failures) == (0, {})
    assert set(pd.read_parquet(file.parent / "predictions.parquet")["category"]) <= set(LABELS)
    assert record.run.asked is not None
    assert record.run.asked.output_mode == "constrained"
    assert record.run.asked.constraint == "structured_outputs"
    for name in ("engine_counts_agree", "constraint_applied"):
        assert checks(record)[name], message(record, name)
    assert using(random_checkpoint) == []


@ENGINE
def test_killing_the_engine_in_mid_run_is_one_line_and_leaves_nothing(
    copy: Checkout, llm_python: Path, tiny_checkpoint: Path
) -> None:
    values = settings(tiny_checkpoint, tiny_checkpoint, window_s=300.0, campaign="killed", splits=1)
    process = copy.start(
        "helpers",
        "measure",
        "llm",
        *(part for name, value in values.items() for part in ("-p", f"{name}={value}")),
        env={"COMPANION_LLM_PYTHON": str(llm_python)},
    )
    try:
        engine = wait_for(lambda: busy_engine(process.pid), 400, process)
        engine.send_signal(signal.SIGKILL)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 2, err
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, err
    assert "no longer answers" in errors[0]
    assert list(copy.root.glob("runs/killed/*/record.json")) == []
    deadline = time.monotonic() + 30
    while using(tiny_checkpoint) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert using(tiny_checkpoint) == []


def busy_engine(pid: int) -> psutil.Process | None:
    """The engine below a run, once it has answered more texts than warming up takes."""
    for process in psutil.Process(pid).children(recursive=True):
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if "watchdog.py" not in " ".join(command) and "--port" in command:
            address = f"http://127.0.0.1:{command[command.index('--port') + 1]}/metrics"
            try:
                counted = read_counters(httpx.get(address, timeout=2).text)
            except (httpx.HTTPError, UserError):
                return None
            return process if counted.requests > 60 else None
    return None


def wait_for(
    condition: Callable[[], psutil.Process | None], seconds: float, process: subprocess.Popen[str]
) -> psutil.Process:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if value := condition():
            return value
        time.sleep(0.2)
    return pytest.fail(f"not within {seconds} s; {process.communicate(timeout=5) if process.poll() else ''}")


@ENGINE
def test_a_missing_checkpoint_is_one_line_before_anything_starts(
    copy: Checkout, llm_python: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    values = settings(tmp_path / "nothing-here", tiny_checkpoint, campaign="missing")
    begin = time.monotonic()
    done = copy.helpers(
        "measure",
        "llm",
        *(part for name, value in values.items() for part in ("-p", f"{name}={value}")),
        env={"COMPANION_LLM_PYTHON": str(llm_python)},
    )
    assert time.monotonic() - begin < 60
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "nothing-here" in done.stderr
    assert list(copy.root.glob("runs/missing/*")) == []


# A stub by its address

KINDS = {
    "empty": "empty",
    "null-content": "empty",
    "no-marker": "bad-format",
    "off-list": "off-list",
    "two-lines": "several-categories",
    "truncated": "truncated",
    "http-500": "http-error",
    "http-503": "http-error",
    "timeout": "timeout",
    "lost": "connection-lost",
    "not-json": "malformed",
    "huge": "oversized",
}
"""What a fault of the stub is counted as."""
MARK = "Geheimnis"


@pytest.fixture
def endpoint() -> Iterator[Stub]:
    with stub() as running:
        yield running


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine lock of its own and a short idle phase, for runs in this process."""
    monkeypatch.setattr(lock, "MACHINE_LOCK", tmp_path / "machine.lock")
    monkeypatch.setattr(measurement, "IDLE_S", 0.1)


def write_texts(folder: Path, wish: Callable[[int, str], str]) -> list[int]:
    """Write a dataset whose texts say what the stub shall answer; returns the test ids of the first split."""
    labels = [LABELS[number % len(LABELS)] for number in range(120)]
    texts = [f"{MARK} {number}: {wish(number, label)}" for number, label in enumerate(labels)]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(folder / "tiny.csv.gz", index=False)
    return list(datasets.splits(datasets.load_dataset("tiny", folder))[0].test)


def measure_stub(endpoint: Stub, folder: Path, **values: Any) -> tuple[Record, Path]:
    given = {
        "model": "tiny",
        "dataset": "tiny",
        "engine": endpoint.endpoint.url,
        "checkpoint": MODEL,
        "data_dir": str(folder),
        "output": str(folder / "out"),
        "splits": 1,
        "window_s": 0.01,
        "concurrency": 8,
        **values,
    }
    plan = parameters.llm_plan(given)
    return llm.measure(plan, llm.check_ready(plan)), plan.folder


def test_each_fault_is_counted_under_its_kind_and_touches_no_other_text(
    endpoint: Stub, tmp_path: Path
) -> None:
    test = write_texts(tmp_path, lambda _, label: f"say: {label}")
    faulty = dict(zip(test[5::4], KINDS, strict=False))
    assert len(faulty) == len(KINDS)
    write_texts(
        tmp_path,
        lambda number, label: f"fault: {faulty[number]}" if number in faulty else f"say: {label}",
    )
    record, folder = measure_stub(endpoint, tmp_path, timeout_s=1.0)
    (item,) = record.splits
    expected = Counter(KINDS.values())
    assert item.replies is not None
    assert item.replies.failures == dict(expected)
    assert item.correct == 60 - len(KINDS)
    requests = sum(
        expected[kind] for kind in ("http-error", "timeout", "connection-lost", "malformed", "oversized")
    )
    assert item.parse_failures == len(KINDS) - requests
    assert (item.requests_sent, item.requests_answered) == (60, 60 - requests)
    predictions = pd.read_parquet(folder / "predictions.parquet").set_index("id")
    assert {number: predictions.loc[number, "kind"] for number in faulty} == {
        number: KINDS[fault] for number, fault in faulty.items()
    }
    assert (predictions.drop(index=list(faulty))["kind"] == "category").all()
    assert not checks(record)["every_text_answered"]
    for file in folder.iterdir():
        assert MARK.encode() not in file.read_bytes(), file.name


@pytest.mark.parametrize(("answered", "refused"), [(0, True), (29, True), (30, False)])
def test_a_server_that_answers_less_than_half_gives_no_result(
    endpoint: Stub, tmp_path: Path, answered: int, refused: bool
) -> None:
    test = set(write_texts(tmp_path, lambda *_: "")[answered:])
    write_texts(tmp_path, lambda number, label: "fault: http-500" if number in test else f"say: {label}")
    if not refused:
        assert measure_stub(endpoint, tmp_path)[0].splits[0].correct == 30
        return
    with pytest.raises(
        TransientError, match=f"did not answer {60 - answered} of 60 texts .{60 - answered} http-error"
    ):
        measure_stub(endpoint, tmp_path)
    assert not list((tmp_path / "out").glob("*/*"))


@pytest.mark.parametrize("field", ["structured_outputs", "grammar"])
def test_an_endpoint_is_constrained_in_the_way_that_it_obeys(
    endpoint: Stub, tmp_path: Path, field: str
) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    endpoint.state.obeys = (field,)
    record, _ = measure_stub(endpoint, tmp_path, output_mode="constrained")
    assert record.run.asked is not None
    assert (record.run.asked.output_mode, record.run.asked.constraint) == ("constrained", field)
    assert all(field in body for body in endpoint.state.bodies[-60:])
    assert checks(record)["constraint_applied"], message(record, "constraint_applied")
    assert set(expected_checks(record.run)) <= set(checks(record))


def test_an_endpoint_that_ignores_constraints_is_refused_before_any_text_is_sent(
    endpoint: Stub, tmp_path: Path
) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    endpoint.state.obeys = ()
    line = refusal(lambda: measure_stub(endpoint, tmp_path, output_mode="constrained"))
    assert "does not hold its answers to the categories" in line
    assert "output_mode=free" in line
    assert MARK not in json.dumps(endpoint.state.bodies)
    assert list(tmp_path.glob("out/**/*.*")) == []


def test_an_answer_against_the_constraint_is_a_failed_check(endpoint: Stub, tmp_path: Path) -> None:
    test = write_texts(tmp_path, lambda _, label: f"say: {label}")
    write_texts(tmp_path, lambda number, label: "fault: off-list" if number == test[3] else f"say: {label}")
    record, _ = measure_stub(endpoint, tmp_path, output_mode="constrained")
    assert not checks(record)["constraint_applied"]
    assert "1 of 60" in message(record, "constraint_applied")
    free, _ = measure_stub(endpoint, tmp_path, campaign="free")
    assert "constraint_applied" not in checks(free)
    assert free.run.asked is not None
    assert free.run.asked.constraint is None


def test_an_endpoint_that_is_gone_in_mid_run_is_one_line_and_no_record(
    endpoint: Stub, tmp_path: Path
) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    endpoint.state.delay_s = 0.02

    def stop_after_some() -> None:
        while endpoint.requests < 60:
            time.sleep(0.005)
        endpoint.stop()

    stopping = threading.Thread(target=stop_after_some)
    stopping.start()
    line = refusal(lambda: measure_stub(endpoint, tmp_path, window_s=60.0))
    stopping.join()
    assert "no longer answers" in line
    assert MARK not in line
    assert list(tmp_path.glob("out/**/*.*")) == []


def test_an_endpoint_that_is_not_there_is_one_line(endpoint: Stub, tmp_path: Path) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    endpoint.stop()
    line = refusal(lambda: measure_stub(endpoint, tmp_path))
    assert "no answer" in line
    assert list(tmp_path.glob("out/**/*.*")) == []


def test_counts_that_differ_from_the_engines_are_a_failed_check(endpoint: Stub, tmp_path: Path) -> None:
    test = write_texts(tmp_path, lambda _, label: f"say: {label}")
    write_texts(tmp_path, lambda number, label: "fault: half-json" if number == test[3] else f"say: {label}")
    honest, _ = measure_stub(endpoint, tmp_path, campaign="honest")
    assert checks(honest)["engine_counts_agree"], "the stub counts no broken response, and neither do we"
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    sent = endpoint.state.counts
    seen: list[int] = []

    class Cached(Counter[str]):
        """Counts of an engine that half of the texts never reach."""

        def update(self, *args: Any, **counts: Any) -> None:
            seen.append(1)
            if len(seen) % 2:
                super().update(*args, **counts)

    endpoint.state.counts = Cached(sent)
    cached, _ = measure_stub(endpoint, tmp_path, campaign="cached")
    assert not checks(cached)["engine_counts_agree"]
    assert not checks(cached)["no_cache"]
    assert "requests" in message(cached, "engine_counts_agree")


def test_dummy_weights_have_no_accuracy_anywhere(endpoint: Stub, tmp_path: Path) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    record, folder = measure_stub(endpoint, tmp_path, weights="dummy", max_tokens=22)
    (item,) = record.splits
    assert (record.run.weights, item.correct, item.parse_failures, item.accuracy) == (
        "dummy",
        None,
        None,
        None,
    )
    asked = endpoint.state.bodies[-60:]
    assert all(body.get("ignore_eos") for body in asked)
    assert {body.get("max_tokens") or body.get("max_completion_tokens") for body in asked} == {22}
    assert "no accuracy (dummy weights)" in results.describe(record)
    tables = results.load_tables(committed=tmp_path / "none", live=folder.parents[1])
    (row,) = tables.results[tables.results["source"] == "local"].to_dict("records")
    assert (row["weights"], row["accuracy"], row["parse_failures"]) == (
        "dummy",
        pytest.approx(float("nan"), nan_ok=True),
        pytest.approx(float("nan"), nan_ok=True),
    )


def test_examples_come_from_the_training_split_of_each_split(endpoint: Stub, tmp_path: Path) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    record, _ = measure_stub(endpoint, tmp_path, shots=3, splits=2)
    data = datasets.load_dataset("tiny", tmp_path)
    for split in datasets.splits(data)[:2]:
        shown = {data.texts[number] for number in split.train[:3]}
        tested = {data.texts[number] for number in split.test}
        asked = [
            [message["content"] for message in body["messages"][1:]]
            for body in endpoint.state.bodies
            if len(body["messages"]) == 2 + 2 * 3
        ]
        requests = [contents for contents in asked if any(text in contents[-1] for text in tested)]
        of_split = [
            contents for contents in requests if all(text in "".join(contents[:-1]) for text in shown)
        ]
        assert len(of_split) >= 60
        assert not [text for text in tested for contents in of_split if text in "".join(contents[:-1])]
    assert record.run.asked is not None
    assert record.run.asked.shots == 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"engine": "vllm", "checkpoint": ""}, "threads=1024: this run may use "),
        ({}, "threads=1024: they are chosen for an engine that is started on the CPU of one node only"),
    ],
)
def test_threads_that_the_engine_would_not_have_are_refused(
    endpoint: Stub, tmp_path: Path, values: dict[str, Any], expected: str
) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    assert expected in refusal(lambda: measure_stub(endpoint, tmp_path, threads=1024, **values))
    assert endpoint.requests == 0


def test_more_examples_than_training_texts_are_refused(endpoint: Stub, tmp_path: Path) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    assert "has 40 texts" in refusal(lambda: measure_stub(endpoint, tmp_path, shots=41))
    assert endpoint.requests == 0


def test_passes_repeat_until_the_window_is_over_and_their_agreement_is_told(
    endpoint: Stub, tmp_path: Path
) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    record, _ = measure_stub(endpoint, tmp_path, window_s=1.0)
    (item,) = record.splits
    assert item.passes >= 2
    assert item.replies is not None
    assert item.replies.agreement == 1.0
    assert item.replies.client is not None
    assert item.replies.client.requests == 60 * item.passes
    assert item.replies.client == item.replies.engine
    assert checks(record)["passes_agree"]


def test_raw_answers_are_kept_on_request_only(endpoint: Stub, tmp_path: Path) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    _, without = measure_stub(endpoint, tmp_path, campaign="without")
    record, kept = measure_stub(endpoint, tmp_path, campaign="kept", keep_answers=True)
    assert not (without / RAW_ANSWERS).exists()
    assert len(pd.read_parquet(kept / RAW_ANSWERS)) == 60
    assert RAW_ANSWERS not in record.files


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two Ray nodes on this machine; loopback only, nothing left behind."""
    pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[nodes]'")
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    running = Cluster()
    try:
        running.add_node(node_ip_address="127.0.0.2", **node)
        running.add_node(node_ip_address="127.0.0.3", **node)
        ray.init(address=running.address, log_to_driver=False, logging_level="error")
        yield
    finally:
        ray.shutdown()
        running.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.usefixtures("cluster")
def test_energies_of_two_nodes_are_summed_and_two_meters_on_one_machine_are_told(
    endpoint: Stub, tmp_path: Path
) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    one, _ = measure_stub(endpoint, tmp_path, window_s=1.0)
    two, _ = measure_stub(endpoint, tmp_path, window_s=1.0, nodes=2)
    assert (one.run.nodes, two.run.nodes) == (1, 2)
    ram_w = [
        (record.splits[0].energy.ram.energy_wh or 0) * 3600 / record.splits[0].duration_s
        for record in (one, two)
    ]
    assert ram_w[1] == pytest.approx(2 * ram_w[0], rel=0.1)  # by the paper's rule: a constant power
    assert checks(two)["no_node_missing"]
    assert not checks(two)["one_meter_per_machine"]
    assert "one_meter_per_machine" not in checks(one)
    assert two.splits[0].correct == one.splits[0].correct == 60


def test_a_campaign_of_language_models_runs_through_the_workflow(checkout: Checkout) -> None:
    write_texts(checkout.root, lambda _, label: f"say: {label}")
    with stub_process(0.0) as endpoint:
        block = {
            "model": "tiny",
            "dataset": "tiny",
            "data_dir": str(checkout.root),
            "engine": endpoint.url,
            "checkpoint": MODEL,
            "concurrency": [1, 8],
            "splits": 1,
            "window_s": 0.05,
        }
        document = {"title": "stub", "description": "stub", "notebook": "llm", "grid": [block]}
        file = checkout.root / "data" / "study" / "campaigns" / "stub.yaml"
        file.write_text(json.dumps(document), encoding="utf-8")
        done = checkout.helpers("run", "stub")
    assert done.returncode == 0, done.stdout + done.stderr
    records = [read_record(path) for path in checkout.records()]
    assert sorted(record.run.concurrency for record in records) == [1, 8]
    assert all(record.splits[0].correct == 60 for record in records)
    assert os.environ.get("COMPANION_DATASETS") is None
