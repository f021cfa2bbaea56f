"""The tiny model: a real classifier, above chance and below 1, the same for a seed, readable by what will serve it."""

import json
import re
from pathlib import Path

import pytest

from helpers.core import paths
from helpers.core.validation import load_yaml
from helpers.models.llm import prompts
from helpers.models.llm.answer_parser import read_answer
from helpers.models.llm.tiny_model import Tiny, build_random, build_tiny
from helpers.models.llm.tiny_texts import FILE, tiny_texts
from helpers.study.catalogue import LanguageModel, study
from helpers.study.datasets import load_dataset, splits

TRAINING = pytest.mark.xdist_group("engine")
"""One worker trains the model, for these tests and for those of the engine."""
CATEGORIES = study().datasets["tiny"].labels
CHANCE = 1 / len(CATEGORIES)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return build_tiny(tmp_path_factory.mktemp("again") / "deep" / "tiny")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return build_random(tmp_path_factory.mktemp("untrained"))


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


# Texts


def test_no_text_is_both_trained_on_and_asked():
    texts = tiny_texts()
    trained, asked = dict(texts.train), dict(texts.dataset)
    assert len(trained) == len(texts.train)
    assert len(asked) == len(texts.dataset) == study().datasets["tiny"].texts
    assert not set(trained) & set(asked)


def test_every_category_has_as_many_texts_as_every_other():
    for pairs in (tiny_texts().train, tiny_texts().dataset):
        counts = {name: [category for _, category in pairs].count(name) for name in CATEGORIES}
        assert len(set(counts.values())) == 1
        assert sum(counts.values()) == len(pairs)


def test_the_categories_are_those_of_the_catalogue_in_its_order():
    assert list(tiny_texts().categories) == CATEGORIES


def test_a_quarter_of_what_is_asked_has_a_phrase_that_was_never_trained_on():
    texts = tiny_texts()
    bank = load_yaml(FILE, FILE.name)["phrases"]
    unseen = [phrase for phrases in bank.values() for phrase in phrases["unseen"]]
    assert not [text for text, _ in texts.train if any(phrase in text for phrase in unseen)]
    new = [text for text, _ in texts.dataset if any(phrase in text for phrase in unseen)]
    assert len(new) / len(texts.dataset) == 0.25


def test_no_text_names_its_category_and_none_is_text_of_the_sample():
    for text, category in (*tiny_texts().train, *tiny_texts().dataset):
        assert category.lower() not in text.lower()
        assert re.fullmatch(r"[A-Z][A-Za-z ]+[.?]", text)


# The model


@TRAINING
def test_the_tiny_model_is_clearly_above_chance_and_below_1(tiny: Tiny):
    assert 0.7 <= tiny.accuracy <= 0.95
    assert tiny.accuracy > 3 * CHANCE
    assert tiny.answered > 0.95
    assert 100_000 < tiny.parameters < 300_000
    assert tiny.cpu_s < 60


@TRAINING
def test_the_same_seed_gives_the_same_files_and_another_seed_another_model(
    tiny: Tiny, tiny_checkpoint: Path, untrained: Tiny, tmp_path: Path
):
    names = {file.name for file in tiny.folder.iterdir()}
    assert names == {file.name for file in tiny_checkpoint.iterdir()}
    for name in names:
        assert (tiny.folder / name).read_bytes() == (tiny_checkpoint / name).read_bytes(), name
    assert weights(build_random(tmp_path / "0", seed=0).folder) == weights(untrained.folder)
    assert weights(build_random(tmp_path / "1", seed=1).folder) != weights(untrained.folder)


@TRAINING
def test_training_leaves_the_random_numbers_and_threads_of_its_caller_alone(tmp_path: Path):
    import torch

    threads = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    build_random(tmp_path)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@TRAINING
def test_the_untrained_model_answers_nothing_that_can_be_read(untrained: Tiny, tiny: Tiny):
    assert untrained.accuracy <= CHANCE
    assert untrained.parameters == tiny.parameters
    assert weights(untrained.folder) != weights(tiny.folder)


@TRAINING
def test_transformers_loads_it_and_it_answers_the_prompt_with_category_and_end_marker(tiny: Tiny):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.folder)
    model = AutoModelForCausalLM.from_pretrained(tiny.folder)
    instruction = prompts.instruction(study().datasets["tiny"])
    right = 0
    for text, category in tiny_texts().dataset[:20]:
        asked = prompts.messages(instruction, text)
        ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt")
        made = model.generate(**ids, max_new_tokens=48, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert made[-1] == tokenizer.eos_token_id
        answer = tokenizer.decode(made, skip_special_tokens=True)
        assert answer.endswith("[[ ## completed ## ]]")
        right += read_answer(answer, CATEGORIES, "stop", reasoning=False)[0] == category
    assert 20 * 2 * CHANCE < right < 20


@TRAINING
def test_its_tokens_give_any_text_back(tiny: Tiny):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.folder)
    for text in ("Öffentlichkeitsbeteiligung, 14 %", "雨 🎻\n\ttab", "[[ ## completed ## ]]"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


@TRAINING
def test_the_catalogue_describes_what_is_built(tiny: Tiny):
    entry = study().models["tiny"]
    assert isinstance(entry, LanguageModel)
    config = json.loads((tiny.folder / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (entry.layers, entry.hidden_size) == (config["num_hidden_layers"], config["hidden_size"])
    assert (entry.heads, entry.kv_heads) == (config["num_attention_heads"], config["num_key_value_heads"])
    assert (entry.context_length, entry.dtype) == (config["max_position_embeddings"], config["dtype"])
    assert entry.parameters_b == pytest.approx(tiny.parameters / 1e9, rel=0.05)
    assert (paths.ROOT / entry.checkpoint).is_relative_to(paths.BUILD)


# The dataset


@TRAINING
def test_its_folder_is_a_data_dir_with_the_ten_splits_of_the_dataset(tiny: Tiny):
    dataset = load_dataset("tiny", tiny.folder)
    assert (dataset.origin, dataset.synthetic, dataset.warnings) == ("folder", True, ())
    assert tuple(zip(dataset.texts, dataset.labels, strict=True)) == tiny_texts().dataset
    for split in splits(dataset):
        assert len(split.test) == study().datasets["tiny"].split.test
        assert {dataset.labels[i] for i in split.test} == set(CATEGORIES)
