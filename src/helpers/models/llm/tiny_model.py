"""A tiny language model that is a real, weak classifier: trained here in seconds, for tests and demos, never a result.

A Llama of about 160,000 parameters learns to answer the exact prompt that DSPy makes of the tiny dataset
(`helpers.models.llm.prompts`), from texts that we wrote (`helpers.models.llm.tiny_texts`). Two things make it learn the task
and not just the form of the answer: the token that decides the category weighs more in the loss, and training
begins without the system prompt, which is long and always the same.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.models.llm import prompts
from helpers.models.llm.answer_parser import read_answer
from helpers.models.llm.tiny_texts import NAME, TinyTexts, tiny_texts
from helpers.study.catalogue import study

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

CONTEXT_LENGTH = 4096
"""Tokens of prompt and answer: enough for a few examples, or for a long text that is split into bytes."""
_VOCABULARY = 900
_PAD, _START, _END = "<pad>", "<s>", "<|end|>"
_ROLES = ("system", "user", "assistant")
_CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_SHORT_STEPS, _SHORT_BATCH = 100, 64
"""Steps without the system prompt."""
_FULL_STEPS, _FULL_BATCH = 80, 16
"""Steps with the prompt as it is asked."""
_PEAK_RATE = 5e-3
_CATEGORY_WEIGHT = 16.0
_CLOSING_WEIGHT = 4.0
"""Of the word by which the closing marker differs from the opening one; else it is sometimes left out."""
_IGNORED = -100


@dataclass(frozen=True)
class Tiny:
    """A model that was built."""

    folder: Path
    """Checkpoint for vLLM and transformers; the texts of the dataset lie there, too, so it is also a `data_dir`."""
    parameters: int
    accuracy: float
    """Share of the dataset's texts, none of which it was trained on, that it answers right."""
    answered: float
    """Share of the dataset's texts that it answers with a category, right or wrong."""
    duration_s: float
    """Of building it."""
    cpu_s: float
    """Processor time of building it."""


def build_tiny(folder: Path, seed: int = 0) -> Tiny:
    """Train the model and write it, and the texts of its dataset, into `folder`.

    The same seed gives the same weights on the same machine: one thread computes.

    Args:
        folder: made if it does not exist; files of an earlier model in it are replaced.
        seed: of the weights at the start and of the order of the texts.
    """
    return _build(folder, seed, short_steps=_SHORT_STEPS, full_steps=_FULL_STEPS)


def build_random(folder: Path, seed: int = 0) -> Tiny:
    """Write the same model untrained: its answers are noise, unless the engine constrains them."""
    return _build(folder, seed, short_steps=0, full_steps=0)


def _build(folder: Path, seed: int, *, short_steps: int, full_steps: int) -> Tiny:
    import torch  # noqa: PLC0415  (slow to import, and only here)

    started, cpu_started = time.monotonic(), time.process_time()
    texts = tiny_texts()
    instruction = prompts.instruction(study().datasets[NAME])
    with _one_thread(), torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(seed)
        tokenizer = _tokenizer(texts, instruction)
        model = _model(tokenizer)
        if short_steps:
            short = [_example(tokenizer, instruction, pair, system=False) for pair in texts.train]
            full = [_example(tokenizer, instruction, pair, system=True) for pair in texts.train]
            decisive = _decisive_tokens(tokenizer, texts.categories)
            stages = [(short, _SHORT_BATCH)] * short_steps + [(full, _FULL_BATCH)] * full_steps
            _train(model, tokenizer, stages, decisive)
        model = model.to(torch.bfloat16).eval()
        folder.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        texts.frame().to_csv(
            folder / f"{NAME}.csv.gz", index=False, compression={"method": "gzip", "mtime": 0}
        )
        answers = _answers(model, tokenizer, instruction, [text for text, _ in texts.dataset])
    categories = [read_answer(answer, texts.categories, "stop", reasoning=False)[0] for answer in answers]
    right = [category == expected for category, (_, expected) in zip(categories, texts.dataset, strict=True)]
    return Tiny(
        folder=folder,
        parameters=sum(weights.numel() for weights in model.parameters()),
        accuracy=sum(right) / len(right),
        answered=sum(category is not None for category in categories) / len(categories),
        duration_s=time.monotonic() - started,
        cpu_s=time.process_time() - cpu_started,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: the order of a sum, and with it the weights, would depend on their number."""
    import torch  # noqa: PLC0415

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the progress bars and the remarks of transformers away."""
    from transformers.utils import logging as transformers_logging  # noqa: PLC0415

    bars, level = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def _answer(category: str) -> str:
    """Return the answer as DSPy's format wants it."""
    return f"[[ ## category ## ]]\n{category}\n\n[[ ## completed ## ]]"


def _tokenizer(texts: TinyTexts, instruction: str) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE on the training texts, the prompt and the answers; any text can be written with it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    roles = [f"<|{role}|>" for role in _ROLES]
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[_PAD, _START, _END, *roles],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    frame = [message["content"] for message in prompts.messages(instruction, "")]
    corpus = [text for text, _ in texts.train] + (frame + [_answer(name) for name in texts.categories]) * 20
    words.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token=_START,
        eos_token=_END,
        pad_token=_PAD,
        additional_special_tokens=roles,
        chat_template=_CHAT_TEMPLATE,
        model_max_length=CONTEXT_LENGTH,
        clean_up_tokenization_spaces=False,
    )


def _model(tokenizer: "PreTrainedTokenizerFast") -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def _prompt(tokenizer: "PreTrainedTokenizerFast", instruction: str, text: str, *, system: bool) -> list[int]:
    messages = prompts.messages(instruction, text)
    chosen = messages if system else [message for message in messages if message["role"] != "system"]
    rendered = tokenizer.apply_chat_template(chosen, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(rendered, add_special_tokens=False)["input_ids"])


def _example(
    tokenizer: "PreTrainedTokenizerFast", instruction: str, pair: tuple[str, str], *, system: bool
) -> tuple[list[int], list[int]]:
    """Return the tokens of prompt and answer, and what the loss looks at: the answer alone."""
    text, category = pair
    prompt = _prompt(tokenizer, instruction, text, system=system)
    answer = tokenizer(_answer(category) + _END, add_special_tokens=False)["input_ids"]
    return prompt + answer, [_IGNORED] * len(prompt) + answer


def _decisive_tokens(tokenizer: "PreTrainedTokenizerFast", categories: Sequence[str]) -> list[int]:
    """Return the first token of each category's answer that differs from the others'; it says the category."""
    answers = [tokenizer(_answer(name), add_special_tokens=False)["input_ids"] for name in categories]
    position = next(i for i, column in enumerate(zip(*answers, strict=False)) if len(set(column)) > 1)
    decisive = [answer[position] for answer in answers]
    if len(set(decisive)) != len(decisive):
        raise AssertionError(f"two categories begin with the same token: {', '.join(categories)}")
    return decisive


def _train(
    model: Any,
    tokenizer: "PreTrainedTokenizerFast",
    stages: Sequence[tuple[list[tuple[list[int], list[int]]], int]],
    decisive: Sequence[int],
) -> None:
    """Take one step per entry of `stages`: the examples to draw from and how many of them."""
    import torch  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    weight = torch.ones(len(tokenizer))
    weight[tokenizer(" completed", add_special_tokens=False)["input_ids"]] = _CLOSING_WEIGHT
    weight[list(decisive)] = _CATEGORY_WEIGHT
    optimizer = torch.optim.AdamW(model.parameters(), lr=_PEAK_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=len(stages))
    model.train()
    for examples, size in stages:
        drawn = torch.randint(len(examples), (size,))
        tokens, targets = _padded([examples[int(i)] for i in drawn], tokenizer.pad_token_id)
        states = model.model(tokens).last_hidden_state[:, :-1]  # padding is last, and no token looks ahead
        targets = targets[:, 1:]
        is_target = targets != _IGNORED
        loss = functional.cross_entropy(model.lm_head(states[is_target]), targets[is_target], weight=weight)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def _padded(
    examples: Sequence[tuple[list[int], list[int]]], padding: int
) -> tuple["torch.Tensor", "torch.Tensor"]:
    import torch  # noqa: PLC0415

    longest = max(len(tokens) for tokens, _ in examples)
    tokens = [row + [padding] * (longest - len(row)) for row, _ in examples]
    targets = [row + [_IGNORED] * (longest - len(row)) for _, row in examples]
    return torch.tensor(tokens), torch.tensor(targets)


def _answers(
    model: Any, tokenizer: "PreTrainedTokenizerFast", instruction: str, texts: Sequence[str]
) -> list[str]:
    """Return what the model answers, without sampling."""
    import torch  # noqa: PLC0415

    ids = [_prompt(tokenizer, instruction, text, system=True) for text in texts]
    longest = max(map(len, ids))
    tokens = torch.tensor([[tokenizer.pad_token_id] * (longest - len(row)) + row for row in ids])
    with torch.inference_mode():
        made = model.generate(
            tokens,
            attention_mask=(tokens != tokenizer.pad_token_id).long(),
            max_new_tokens=48,
            do_sample=False,
        )
    return [text.strip() for text in tokenizer.batch_decode(made[:, longest:], skip_special_tokens=True)]
