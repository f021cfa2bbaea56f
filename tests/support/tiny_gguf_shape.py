"""The shape of the model that `tiny_gguf` writes; without the packages that writing needs."""

LAYERS, HIDDEN, HEADS, KV_HEADS, INNER, CONTEXT = 2, 64, 4, 2, 96, 512
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TOKENS = 256 + 1 + len(SPECIAL)
END = TOKENS - 1
"""Number of the token that ends an answer."""
PARAMETERS = 78656
"""With the embedding counted once."""
OF_EMBEDDING, OF_OUTPUT = -1.0, 0.5
"""All numbers of the two tensors that stand for one."""
