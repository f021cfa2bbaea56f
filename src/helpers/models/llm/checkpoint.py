"""Read a checkpoint's configuration and the size of its files, without loading it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    """What engine checks and planning need of a checkpoint, read once; nothing of it is loaded."""

    dtype: str
    """Data type that its weights are stored in."""
    stored_bytes: int | None
    """Size of its weights on disk; None with dummy weights."""
    quantised: bool = False
    """Whether its weights are stored quantised."""
    parameters: int | None = None
    """Counted from its configuration (norms and biases left out); None for an architecture that cannot be counted."""
    attention_heads: int | None = None
    context_length: int | None = None
    """Tokens of prompt and answer together, at the most."""
    kv_numbers_per_token: int | None = None
    """Numbers that attention keeps of a token, over all layers; None where the configuration does not give it.

    An upper bound where layers with attention alternate with others.
    """

    def weight_bytes(self, dtype: str, quantisation: str) -> int | None:
        """Return the size of the loaded weights; None where the configuration does not give it.

        Args:
            dtype: data type of the computation; `auto` is the checkpoint's own, 16 bits where that has 32.
            quantisation: method that quantises while loading; empty for none.
        """
        if self.quantised:
            return self.stored_bytes
        parameters = (
            self.parameters
            if self.stored_bytes is None
            else self.stored_bytes / _DTYPE_BYTES.get(self.dtype, 2)
        )
        each = _QUANTISED_BYTES.get(quantisation) if quantisation else self._number_bytes(dtype)
        return None if parameters is None or each is None else round(parameters * each)

    def kv_cache_bytes(self, dtype: str, max_model_len: int | None) -> int | None:
        """Return the size of the keys and values of one text of the greatest length; None where it is unknown.

        Args:
            dtype: data type of the computation, as for `weight_bytes`.
            max_model_len: tokens of that text; None: the context length.
        """
        tokens = max_model_len or self.context_length
        if tokens is None or self.kv_numbers_per_token is None:
            return None
        return tokens * self.kv_numbers_per_token * self._number_bytes(dtype)

    def _number_bytes(self, dtype: str) -> int:
        """Return the size of one number in the data type of the computation."""
        own = _DTYPE_BYTES.get(self.dtype, 2)
        return min(own, 2) if dtype == "auto" else _DTYPE_BYTES.get(dtype, 2)


def find_checkpoint(name: str, revision: str | None, weights: Literal["checkpoint", "dummy"]) -> Checkpoint:
    """Find a checkpoint in a local folder, or on the hub or in its cache; nothing but its configuration is downloaded.

    Raises:
        UserError: one line where it is missing or incomplete, or gated without a token.
    """
    if name.endswith(".gguf"):
        return _in_file(Path(name).expanduser(), name)
    if is_local(name):
        return _in_folder(Path(name).expanduser(), name, weights)
    return _on_hub(name, revision, weights)


def is_local(name: str) -> bool:
    """Say whether a checkpoint is given by its folder, and not by its name on the hub."""
    return name.startswith((".", "/", "~")) or Path(name).exists()


def read_config(config: Mapping[str, Any], stored_bytes: int | None) -> Checkpoint:
    """Read a checkpoint's `config.json`, of a multimodal one the part about text.

    Args:
        config: its content.
        stored_bytes: size of the weights on disk; None with dummy weights.
    """
    merged = _about_text(config)
    numbers = {key: value for key, value in merged.items() if isinstance(value, int)}
    return Checkpoint(
        dtype=str(merged.get("dtype") or merged.get("torch_dtype") or "float32").removeprefix("torch."),
        stored_bytes=stored_bytes,
        quantised=bool(merged.get("quantization_config")),
        parameters=_count_parameters(numbers) if str(merged.get("model_type")) in _DENSE else None,
        attention_heads=numbers.get("num_attention_heads"),
        context_length=numbers.get("max_position_embeddings"),
        kv_numbers_per_token=_kv_numbers_per_token(numbers),
    )


def read_shape(folder: Path) -> dict[str, int]:
    """Return a checkpoint's layers, hidden size, heads, and heads for keys and values, by their keys in `config.json`.

    What it does not give is absent; with heads alone, there are as many for keys and values.

    Raises:
        UserError: one line where the folder has no `config.json`, or none that can be read.
    """
    config = _about_text(_read_json(folder / "config.json", f"checkpoint {folder}"))
    keys = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")
    shape = {key: config[key] for key in keys if isinstance(config.get(key), int)}
    if "num_attention_heads" in shape:
        shape.setdefault("num_key_value_heads", shape["num_attention_heads"])
    return shape


def _about_text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return of a multimodal checkpoint's configuration the part about text, above the rest; else all of it."""
    text = config.get("text_config")
    return {**config, **text} if isinstance(text, dict) else config


def _count_parameters(config: Mapping[str, int]) -> int | None:
    try:
        hidden, layers = config["hidden_size"], config["num_hidden_layers"]
        heads, head_size, kv_heads = _attention(config)
        inner, vocabulary = config["intermediate_size"], config["vocab_size"]
        experts = config.get("num_local_experts", 1)
        attention = 2 * hidden * heads * head_size + 2 * hidden * kv_heads * head_size
        forward = experts * 3 * hidden * inner + (hidden * experts if experts > 1 else 0)
        embeddings = vocabulary * hidden * (1 if config.get("tie_word_embeddings") else 2)
        return layers * (attention + forward) + embeddings
    except (KeyError, ZeroDivisionError):
        return None


def _kv_numbers_per_token(config: Mapping[str, int]) -> int | None:
    try:
        _, head_size, kv_heads = _attention(config)
        layers = config["num_hidden_layers"] // config.get("attn_layer_period", 1)
        return 2 * layers * kv_heads * head_size
    except (KeyError, ZeroDivisionError):
        return None


def _attention(config: Mapping[str, int]) -> tuple[int, int, int]:
    """Return the number of attention heads, the size of one, and the number of heads for keys and values."""
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    return heads, head_size, config.get("num_key_value_heads") or heads


def _in_file(file: Path, name: str) -> Checkpoint:
    """Return what is known of a GGUF file: its size, and of the folder that it stands in the configuration."""
    if not file.is_file():
        raise UserError(f"checkpoint {name}: no such file; give a GGUF file")
    config = _read_json(beside, name) if (beside := file.parent / "config.json").is_file() else {}
    return replace(read_config(config, file.stat().st_size), quantised=True)


def _in_folder(folder: Path, name: str, weights: str) -> Checkpoint:
    label = f"checkpoint {name}"
    if not folder.is_dir():
        raise UserError(f"{label}: no such folder; give a folder with config.json")
    config = _read_json(folder / "config.json", label)
    if not any((folder / file).is_file() for file in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise UserError(
            f"{label}: no tokeniser found, expected tokenizer.json or tokenizer.model beside config.json"
        )
    if weights == "dummy":
        return read_config(config, None)
    sizes = {file.name: file.stat().st_size for pattern in _WEIGHTS for file in folder.glob(pattern)}
    expected = set()
    if (index := folder / "model.safetensors.index.json").is_file():
        expected = set(_read_json(index, label).get("weight_map", {}).values())
    if missing := sorted(expected - sizes.keys()):
        raise UserError(
            f"{label}: {len(missing)} of {len(expected)} files with weights are missing ({missing[0]}, ...); download it again"
        )
    counted = [size for file, size in sizes.items() if not expected or file in expected]
    if not sum(counted):
        raise UserError(
            f"{label}: no weights found, expected *.safetensors; download it again, or weights=dummy"
        )
    return read_config(config, sum(counted) if expected else _single_format_bytes(sizes))


def _single_format_bytes(sizes: Mapping[str, int]) -> int:
    """Return the size of the weights in one format: some checkpoints hold several."""
    return next(
        total
        for pattern in _WEIGHTS
        if (total := sum(size for file, size in sizes.items() if file.endswith(pattern[1:])))
    )


def _on_hub(name: str, revision: str | None, weights: str) -> Checkpoint:
    from huggingface_hub import HfApi, errors, try_to_load_from_cache  # noqa: PLC0415  (slow; only hub names need it)

    label = f"checkpoint {name}"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(
            f"{label}: neither a folder here nor a name on the hub; expected OWNER/NAME or a folder"
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
            f"{label}: no config.json on the hub, expected a checkpoint of transformers"
        ) from None
    except Exception as error:  # of the network there are many kinds
        if (refusal := hub_refusal(error, revision)) is not None:
            raise UserError(f"{label}: {refusal}") from None
        raise UserError(
            f"{label}: not complete in the cache, and the hub cannot be asked ({type(error).__name__}); where "
            f"there is a network: hf download {name}{f' --revision {revision}' if revision else ''}"
        ) from None
    sizes = {file.rfilename: file.size or 0 for file in files if "/" not in file.rfilename}
    has_weights = any(
        sizes.get(file) and file.endswith(pattern[1:]) for file in sizes for pattern in _WEIGHTS
    )
    stored = _single_format_bytes(sizes) if weights == "checkpoint" and has_weights else None
    return read_config(_read_json(Path(config), label), stored)


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

    return "the current token has no access" if get_token() else "no token found"


def _read_json(file: Path, label: str) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{label}: no {file.name} found, expected a checkpoint of transformers") from None
    except ValueError as error:
        raise UserError(f"{label}: {file.name} is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise UserError(f"{label}: {file.name} holds no object; download it again")
    return document
