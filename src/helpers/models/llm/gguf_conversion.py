"""Reads a GGUF file back into a checkpoint's folder: safetensors, configuration, tokeniser, chat template.

A program of its own: it runs in the engine's environment, which has transformers with the packages `gguf` and
`accelerate`. The reading is transformers' own; what its reader leaves wrong is mended here, and what came of it is said
in one line of JSON, for `gguf_checkpoint` to compare with the catalogue.
"""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

_EMBEDDING, _OUTPUT = "token_embd.weight", "output.weight"
"""How GGUF names the two tensors that are one where they are tied."""
_SYSTEM, _USER = "a word from the system", "a word from the user"


def main(arguments: Sequence[str]) -> int:
    """Convert one file: GGUF FOLDER DTYPE TIED, where TIED is `tied` or `untied`; prints what came of it as JSON."""
    file, folder, dtype, tied = arguments
    logging.getLogger("transformers").setLevel(logging.ERROR)
    print(json.dumps(convert(Path(file), Path(folder), dtype, tied == "tied")))
    return 0


def convert(file: Path, folder: Path, dtype: str, tied: bool) -> Mapping[str, Any]:
    """Write the folder of a checkpoint and return what it holds.

    Args:
        file: with the quantised weights.
        folder: where the checkpoint goes.
        dtype: of the weights in it, by torch's name.
        tied: whether the official configuration has the output layer use the embedding.
    """
    import torch  # noqa: PLC0415  (these three are in the engine's environment)
    import transformers  # noqa: PLC0415
    from gguf import GGUFReader  # noqa: PLC0415

    tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    # Newer versions keep the weights quantised where they can, unless they are asked not to.
    config = getattr(transformers, "GgufConfig", None)
    options = {} if config is None else {"quantization_config": config(dequantize=True)}
    model, loading = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=getattr(torch, dtype), output_loading_info=True, **options
    )
    if tied and not model.config.tie_word_embeddings:
        _tie(model, {tensor.name: tensor.n_bytes / tensor.n_elements for tensor in GGUFReader(file).tensors})
    _forget_quantisation(model)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    weights = dict(model.named_parameters())
    not_finite = [name for name, tensor in weights.items() if not bool(torch.isfinite(tensor).all())]
    model.save_pretrained(folder, max_shard_size="1TB")
    tokenizer.save_pretrained(folder)
    return {
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "shapes": {name: list(tensor.shape) for name, tensor in weights.items()},
        "made_up": sorted(loading["missing_keys"]),
        "not_finite": not_finite,
        "tokens": len(tokenizer),
        "end_token": tokenizer.eos_token,
        "end_token_id": tokenizer.eos_token_id,
        "template_fault": _template_fault(tokenizer),
        "versions": {package: version(package) for package in ("transformers", "gguf", "torch")},
    }


def _tie(model: Any, bytes_per_weight: Mapping[str, float]) -> None:
    """Keep one of the two quantised copies of the embedding: the finer, or else the output's."""
    output = model.get_output_embeddings().weight
    if bytes_per_weight[_OUTPUT] >= bytes_per_weight[_EMBEDDING]:
        model.get_input_embeddings().weight = output
    model.config.tie_word_embeddings = True
    model.tie_weights()


def _forget_quantisation(model: Any) -> None:
    """Remove what says that the weights are quantised: they no longer are, and would not be saved."""
    for owner, name in (
        (model, "hf_quantizer"),
        (model.config, "quantization_config"),
        (model, "is_quantized"),
        (model, "quantization_method"),
    ):
        if name in vars(owner):
            delattr(owner, name)


def _template_fault(tokenizer: Any) -> str | None:
    """Return why the chat template does not serve a conversation with a system's turn; None where it does."""
    if not tokenizer.chat_template:
        return "missing"
    turns = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # Jinja's errors, and what the template raises itself
        return f"{type(error).__name__}: {error}"
    return None if _SYSTEM in text and _USER in text else "it leaves out what the system or the user says"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
