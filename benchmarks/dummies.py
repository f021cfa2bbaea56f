"""Checkpoints without weights: an architecture's configuration (configs/) and a tokeniser that we train here.

The tokeniser is a byte-level BPE of the synthetic sample's prompts, just large enough that a prompt has about as
many tokens as the paper's texts have with the models' own tokenisers. Which tokens they are does not matter to
weights that mean nothing.
"""

import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.models.llm import prompts
from helpers.study.catalogue import study
from helpers.study.datasets import Dataset, load_dataset, splits
from helpers.study.roofline import TOKENS_IN

CONFIGS = Path(__file__).with_name("configs")
DATASET = "fktg-sample"
CONTEXT_LENGTH = 2048
"""Tokens of prompt and answer: more than twice what is asked."""
_SPECIALS = ["<pad>", "<s>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
"""In the order of their ids, which the configurations name."""
_PAD, _START, _END = _SPECIALS[:3]
_CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_VOCABULARIES = (262, 1286)
"""Too small and too large a vocabulary: the bytes alone, and one that makes few tokens."""


def write_dummy(config: Path, folder: Path) -> float:
    """Write configuration and tokeniser into an empty `folder`; returns the mean tokens of a prompt."""
    asked = _prompts(load_dataset(DATASET))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(config, folder / "config.json")
    low, high = _VOCABULARIES
    while high - low > 1:  # the smallest vocabulary that makes no more tokens than wanted
        middle = (low + high) // 2
        low, high = (low, middle) if _written(asked, middle, folder) <= TOKENS_IN else (middle, high)
    return _written(asked, high, folder)


def _written(asked: Sequence[str], vocabulary: int, folder: Path) -> float:
    """Write a tokeniser, and return the mean tokens of a prompt as who loads it counts them.

    transformers may give a tokeniser the word boundaries of the architecture, which make other tokens of it.
    """
    from transformers import AutoTokenizer  # noqa: PLC0415  (slow to import)

    _trained(asked, vocabulary).save_pretrained(folder)
    tokens = AutoTokenizer.from_pretrained(folder)(list(asked), add_special_tokens=False)["input_ids"]
    return statistics.fmean(map(len, tokens))


def _prompts(dataset: Dataset) -> list[str]:
    """Return the prompts of the first test set, as the server renders them."""
    instruction = prompts.instruction(study().datasets[DATASET])
    texts = [dataset.texts[i] for i in splits(dataset)[0].test]
    return [_rendered(prompts.messages(instruction, text)) for text in texts]


def _rendered(messages: Sequence[dict[str, str]]) -> str:
    messages_text = "".join(f"<|{item['role']}|>{item['content']}{_END}" for item in messages)
    return f"{_START}{messages_text}<|assistant|>"


def _trained(asked: Sequence[str], vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415  (slow imports)
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=_SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(asked, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token=_START,
        eos_token=_END,
        pad_token=_PAD,
        additional_special_tokens=_SPECIALS[3:],
        chat_template=_CHAT_TEMPLATE,
        model_max_length=CONTEXT_LENGTH,
    )
