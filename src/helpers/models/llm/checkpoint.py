"""Read what a checkpoint says about itself, without loading it: where it is, its dtype, how much memory it takes."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from helpers.core.errors import UserError

_DTYPE_BYTES = {"float32": 4, "float": 4, "bfloat16": 2, "float16": 2, "half": 2}
_QUANTISED_BYTES = {"fp8": 1.0, "bitsandbytes": 0.5}
"""Per parameter, for methods that quantise a checkpoint while they load it."""
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
_DENSE = {"llama", "mistral", "qwen2", "qwen3", "phi3", "mixtral", "phimoe"}
"""Architectures whose parameters are attention, gated feed-forward (or experts) and embeddings."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is there."""

    config: dict[str, Any]
    """Its `config.json`; the part about text, where it has others."""
    stored_bytes: int | None
    """Size of its weights; None where they are made up."""

    @property
    def dtype(self) -> str:
        """Return the dtype that it is stored in."""
        known = self.config.get("dtype") or self.config.get("torch_dtype") or "float32"
        return str(known).removeprefix("torch.")

    @property
    def quantised(self) -> bool:
        """Say whether its weights are stored quantised."""
        return bool(self.config.get("quantization_config"))


def find_checkpoint(name: str, revision: str | None, weights: Literal["checkpoint", "dummy"]) -> Checkpoint:
    """Find a checkpoint in a local folder, or on the hub or in its cache; nothing but its configuration is downloaded.

    Raises:
        UserError: one line where it is missing or incomplete, or gated without a token.
    """
    if is_local(name):
        return _in_folder(Path(name).expanduser(), name, weights)
    return _on_hub(name, revision, weights)


def is_local(name: str) -> bool:
    """Say whether a checkpoint is given by its folder, and not by its name on the hub."""
    return name.startswith((".", "/", "~")) or Path(name).exists()


def loaded_bytes(found: Checkpoint, dtype: str, quantisation: str) -> int | None:
    """Return what the weights take once they are loaded; None where the configuration does not tell.

    Args:
        found: the checkpoint.
        dtype: what it is computed in; `auto` stands for its own, 16 bits where that has 32.
        quantisation: method of the setting; empty for none.
    """
    if found.quantised:
        return found.stored_bytes
    parameters = (
        count_parameters(found.config)
        if found.stored_bytes is None
        else found.stored_bytes / _DTYPE_BYTES.get(found.dtype, 2)
    )
    each = _QUANTISED_BYTES.get(quantisation) if quantisation else computed_bytes(found, dtype)
    return None if parameters is None or each is None else round(parameters * each)


def computed_bytes(found: Checkpoint, dtype: str) -> int:
    """Return the bytes of one number in the dtype that is computed in."""
    return min(_DTYPE_BYTES.get(found.dtype, 2), 2) if dtype == "auto" else _DTYPE_BYTES.get(dtype, 2)


def count_parameters(config: Mapping[str, Any]) -> int | None:
    """Return how many parameters a configuration stands for (norms and biases left out); None where it is unknown."""
    if config.get("model_type") not in _DENSE:
        return None
    try:
        hidden, layers = config["hidden_size"], config["num_hidden_layers"]
        heads, head, shared = _heads(config)
        inner, vocabulary = config["intermediate_size"], config["vocab_size"]
    except KeyError:
        return None
    experts = config.get("num_local_experts", 1)
    attention = 2 * hidden * heads * head + 2 * hidden * shared * head
    forward = experts * 3 * hidden * inner + (hidden * experts if experts > 1 else 0)
    embeddings = vocabulary * hidden * (1 if config.get("tie_word_embeddings") else 2)
    return int(layers * (attention + forward) + embeddings)


def kv_bytes_per_token(config: Mapping[str, Any], number_bytes: int) -> int | None:
    """Return what attention keeps of one token, over all layers; None where the configuration does not tell.

    An upper bound where layers with attention alternate with others.
    """
    try:
        _, head, shared = _heads(config)
        layers = config["num_hidden_layers"] // config.get("attn_layer_period", 1)
    except KeyError:
        return None
    return int(2 * layers * shared * head * number_bytes)


def _heads(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the number of heads, the size of one, and the number of heads for keys and values."""
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    return heads, head, config.get("num_key_value_heads") or heads


def _in_folder(folder: Path, name: str, weights: str) -> Checkpoint:
    where = f"checkpoint {name}"
    if not folder.is_dir():
        raise UserError(f"{where}: no such folder; give a folder with config.json")
    config = _json(folder / "config.json", where)
    if not any((folder / file).is_file() for file in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise UserError(
            f"{where}: no tokeniser found, expected tokenizer.json or tokenizer.model beside config.json"
        )
    if weights == "dummy":
        return Checkpoint(_of_text(config), None)
    sizes = {file.name: file.stat().st_size for pattern in _WEIGHTS for file in folder.glob(pattern)}
    expected = set()
    if (index := folder / "model.safetensors.index.json").is_file():
        expected = set(_json(index, where).get("weight_map", {}).values())
    if missing := sorted(expected - sizes.keys()):
        raise UserError(
            f"{where}: {len(missing)} of {len(expected)} files with weights are missing ({missing[0]}, ...); download it anew"
        )
    counted = [size for file, size in sizes.items() if not expected or file in expected]
    if not sum(counted):
        raise UserError(
            f"{where}: no weights found, expected *.safetensors; download it anew, or weights=dummy"
        )
    return Checkpoint(_of_text(config), _once(sizes) if not expected else sum(counted))


def _once(sizes: Mapping[str, int]) -> int:
    """Return the size of the weights in one format: some checkpoints hold several."""
    return next(
        total
        for pattern in _WEIGHTS
        if (total := sum(size for file, size in sizes.items() if file.endswith(pattern[1:])))
    )


def _on_hub(name: str, revision: str | None, weights: str) -> Checkpoint:
    from huggingface_hub import HfApi, errors, try_to_load_from_cache  # noqa: PLC0415  (slow; only hub names need it)

    where = f"checkpoint {name}"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(
            f"{where}: neither a folder here nor a name on the hub; expected OWNER/NAME or a folder"
        )
    cached = try_to_load_from_cache(name, "config.json", revision=revision)
    if isinstance(cached, str):
        try:
            return _in_folder(Path(cached).parent, name, weights)
        except UserError:
            pass  # not all of it is in the cache
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        api.auth_check(name)
        files = api.model_info(name, revision=revision, files_metadata=True).siblings or []
        config = api.hf_hub_download(name, "config.json", revision=revision)
    except errors.RemoteEntryNotFoundError:
        raise UserError(
            f"{where}: no config.json on the hub, expected a checkpoint of transformers"
        ) from None
    except Exception as error:  # of the network there are many kinds
        if (refusal := hub_refusal(error, revision)) is not None:
            raise UserError(f"{where}: {refusal}") from None
        raise UserError(
            f"{where}: not complete in the cache, and the hub cannot be asked ({type(error).__name__}); where "
            f"there is a network: hf download {name}{f' --revision {revision}' if revision else ''}"
        ) from None
    sizes = {file.rfilename: file.size or 0 for file in files if "/" not in file.rfilename}
    known = any(sizes.get(file) and file.endswith(pattern[1:]) for file in sizes for pattern in _WEIGHTS)
    stored = _once(sizes) if weights == "checkpoint" and known else None
    return Checkpoint(_of_text(_json(Path(config), where)), stored)


def hub_refusal(error: Exception, revision: str | None) -> str | None:
    """Say why the hub does not give something, and what to do; None where it could not be asked at all."""
    from huggingface_hub import errors  # noqa: PLC0415  (slow; only hub names need it)

    match error:
        case errors.GatedRepoError():
            return (
                f"gated, and {_token()}; accept its licence on the hub and give a token of that "
                "account: hf auth login, or HF_TOKEN"
            )
        case errors.RevisionNotFoundError():
            return f"the hub has no revision {revision}; expected a commit of it"
        case errors.RepositoryNotFoundError():
            return f"not on the hub, or private ({_token()}); check the name"
    return None


def _token() -> str:
    from huggingface_hub import get_token  # noqa: PLC0415

    return "the token at hand has no access" if get_token() else "no token found"


def _of_text(config: dict[str, Any]) -> dict[str, Any]:
    """Return the part about text of a configuration that has several."""
    part = config.get("text_config")
    return {**config, **part} if isinstance(part, dict) else config


def _json(file: Path, where: str) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{where}: no {file.name} found, expected a checkpoint of transformers") from None
    except ValueError as error:
        raise UserError(f"{where}: {file.name} is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{where}: {file.name} holds no object; download it anew")
    return found
