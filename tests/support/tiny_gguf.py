"""Writes a GGUF file of a tiny model: FILE VALUES; a program for the engine's Python, which has the package `gguf`.

The output layer holds other numbers than the embedding, as if the two were quantised differently. The rest is random; with
`nan` as VALUES, one kind of tensor holds no numbers.
"""

import sys
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType
from transformers.convert_slow_tokenizer import bytes_to_unicode

from tests.support.tiny_gguf_shape import (
    CONTEXT,
    HEADS,
    HIDDEN,
    INNER,
    KV_HEADS,
    LAYERS,
    OF_EMBEDDING,
    OF_OUTPUT,
    SPECIAL,
)

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def main(file: str, values: str) -> None:
    """Write the file."""
    tokens = [*bytes_to_unicode().values(), "ab", *SPECIAL]
    random = np.random.default_rng(1)

    def tensor(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.02).astype(np.float32)

    writer = GGUFWriter(file, "qwen2")
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token in SPECIAL else TokenType.NORMAL for token in tokens])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_chat_template(TEMPLATE)
    writer.add_tensor("token_embd.weight", np.full((len(tokens), HIDDEN), OF_EMBEDDING, np.float32))
    writer.add_tensor("output.weight", np.full((len(tokens), HIDDEN), OF_OUTPUT, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, np.float32))
    head = HIDDEN // HEADS
    for layer in range(LAYERS):
        for name, rows in (("q", HEADS * head), ("k", KV_HEADS * head), ("v", KV_HEADS * head)):
            writer.add_tensor(f"blk.{layer}.attn_{name}.weight", tensor(rows, HIDDEN))
            writer.add_tensor(f"blk.{layer}.attn_{name}.bias", tensor(rows))
        writer.add_tensor(f"blk.{layer}.attn_output.weight", tensor(HIDDEN, HEADS * head))
        writer.add_tensor(f"blk.{layer}.ffn_gate.weight", tensor(INNER, HIDDEN))
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", tensor(INNER, HIDDEN))
        down = tensor(HIDDEN, INNER)
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", down * np.nan if values == "nan" else down)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(HIDDEN, np.float32))
    writer.write_header_to_file(Path(file))
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
