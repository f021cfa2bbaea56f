"""Engines of the catalogue: what starts them, and settings that they refuse."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.models.llm.engine import EngineSettings, check_constraint, command, cores, engine_entry, engines
from helpers.models.llm.generation import GenerationConfig, allowed_answers, only_answers
from tests.conftest import refusal

CONSTRAINED = GenerationConfig(concurrency=1, timeout_s=1.0, output_mode="constrained")
VALUES = {"python": "python", "checkpoint": "M.gguf", "name": "M", "port": "1", "kv_cache_bytes": "1"}


def test_llama_cpp_is_given_the_file_the_threads_and_the_whole_context():
    settings = EngineSettings("llama-cpp", "M.gguf", threads=3, prefix_caching=True)
    parts = command(settings, VALUES)
    assert parts[parts.index("--model") + 1] == "M.gguf"
    assert parts[parts.index("--n_threads") + 1] == parts[parts.index("--n_threads_batch") + 1] == "3"
    assert parts[parts.index("--n_ctx") + 1] == "0"
    shorter = command(EngineSettings("llama-cpp", "M.gguf", max_model_len=64, prefix_caching=True), VALUES)
    sizes = [value for option, value in pairwise(shorter) if option == "--n_ctx"]
    assert sizes[-1] == "64"  # the last one counts


def test_an_engine_that_always_keeps_beginnings_is_refused_without_prefix_caching():
    line = refusal(lambda: engine_entry(EngineSettings("llama-cpp", "M.gguf")))
    assert "prefix_caching=true" in line
    assert engine_entry(EngineSettings("llama-cpp", "M.gguf", prefix_caching=True)).gguf


def test_an_engine_that_ignores_constraints_is_refused_with_those_that_do_not():
    line = refusal(lambda: check_constraint(EngineSettings("transformers", "M"), CONSTRAINED))
    assert "engine=transformers does not hold its answers to the categories" in line
    assert all(name in line for name, item in engines().items() if item.constraint)
    check_constraint(EngineSettings("vllm", "M"), CONSTRAINED)
    check_constraint(EngineSettings("http://127.0.0.1:1/v1", "M"), CONSTRAINED)
    check_constraint(EngineSettings("transformers", "M"), GenerationConfig(concurrency=1, timeout_s=1.0))


def test_threads_are_bound_to_as_many_cores_as_there_are_threads(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {7, 3, 5}, raising=False)
    assert cores(EngineSettings("vllm", "M", threads=2)) == "3,5"
    assert cores(EngineSettings("vllm", "M", threads=8)) == "3,5,7"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, unique=True))
def test_a_grammar_holds_every_answer_and_nothing_else(labels):
    answers = allowed_answers(labels)
    grammar = only_answers(answers, "grammar")["grammar"]
    assert "\n" not in grammar
    literals = re.findall(r'"(?:[^"\\]|\\.)*"', grammar)
    assert grammar == "root ::= " + " | ".join(literals)
    assert [json.loads(literal) for literal in literals] == answers


@pytest.mark.parametrize("name", sorted(engines()))
def test_every_engine_is_given_the_threads_that_its_record_states(name):
    entry = engines()[name]
    given = [*entry.options.get("threads", []), *entry.cpu_environment.values()]
    assert any("{threads}" in part or "{cores}" in part for part in given)


@pytest.mark.parametrize("name", sorted(engines()))
def test_every_engine_says_how_it_is_installed(name):
    assert engines()[name].install.startswith("make ")
