"""Settings with which a language model generates its answers, and their checks before anything starts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from helpers.core.errors import UserError
from helpers.study.protocols import Protocol

OutputMode = Literal["free", "constrained"]
Constraint = Literal["structured_outputs", "grammar"]
"""How a server is told that an answer has to be one of some texts: vLLM's field with a list of choices, or a grammar in
llama.cpp's notation (GBNF)."""
DEFAULT_MAX_TOKENS = 128
"""Tokens of an answer beside its thinking: the reply template and a long category take about 40 with a real tokeniser."""


@dataclass(frozen=True)
class GenerationConfig:
    """Settings of the requests; recorded."""

    concurrency: int
    """Requests under way at the same time; 1 is sequential."""
    timeout_s: float
    """Longest time of one request, from its sending to the end of its answer."""
    max_tokens: int = DEFAULT_MAX_TOKENS
    """Tokens of an answer, at the most; thinking comes on top."""
    output_mode: OutputMode = "free"
    """`constrained`: the whole answer is one of the categories in DSPy's format."""
    constraint: Constraint = "structured_outputs"
    """How the server is told so."""
    json_fallback: bool = False
    """Ask a second time, for JSON, where an answer has not the format (on in DSPy by default; it costs energy). The server
    is made to force JSON under the protocol `dspy-2025` only."""
    reasoning: bool = False
    """The model thinks before it answers."""
    thinking_tokens: int = 0
    """Tokens of thinking, at the most; 0 unless `reasoning`."""
    ignore_eos: bool = False
    """Generate exactly `max_tokens` (dummy weights: the model never stops by itself)."""
    temperature: float = 0.0
    protocol: Protocol = "companion"
    """Who reads the answer: `helpers.models.llm.answer_parser`, or DSPy's own parser."""
    dspy_cache: bool = False
    """Whether an answer of an earlier split is taken for the same request (`helpers.models.llm.answer_cache`)."""


def check_generation(config: GenerationConfig) -> None:
    """Refuse settings that contradict each other, before anything starts.

    Raises:
        UserError: one line that names them.
    """
    constrained = config.output_mode == "constrained"
    faults = {
        f"concurrency is {config.concurrency}; expected at least 1": config.concurrency < 1,
        f"max_tokens is {config.max_tokens}; expected at least 1": config.max_tokens < 1,
        f"timeout_s is {config.timeout_s:g}; expected more than 0": not config.timeout_s > 0,
        f"thinking_tokens is {config.thinking_tokens}, but the model does not think; expected 0": (
            config.thinking_tokens != 0 and not config.reasoning
        ),
        f"thinking_tokens is {config.thinking_tokens}, but the model thinks; expected at least 1": (
            config.thinking_tokens < 1 and config.reasoning and config.protocol == "companion"
        ),
        "output_mode 'constrained' forbids the thinking of a reasoning model; use 'free'": (
            constrained and config.reasoning
        ),
        "json_fallback has no use with output_mode 'constrained'; set one of them": (
            constrained and config.json_fallback
        ),
        "ignore_eos cannot go beyond the answers of output_mode 'constrained'; set one of them": (
            constrained and config.ignore_eos
        ),
    }
    for fault, present in faults.items():
        if present:
            raise UserError(fault)


def allowed_answers(labels: Sequence[str]) -> list[str]:
    """Return the answers of output_mode `constrained`: marker to marker, for the bare category is not DSPy's format."""
    return [f"[[ ## category ## ]]\n{label}\n\n[[ ## completed ## ]]" for label in labels]


def only_answers(answers: Sequence[str], constraint: Constraint) -> dict[str, Any]:
    """Return the field of a request that lets the server give these answers and no others."""
    if constraint == "grammar":
        # A literal of GBNF is quoted and escaped as a text of JSON is.
        return {"grammar": "root ::= " + " | ".join(json.dumps(item, ensure_ascii=False) for item in answers)}
    return {"structured_outputs": {"choice": list(answers)}}


def extra_fields(config: GenerationConfig, labels: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a request that OpenAI's protocol does not have."""
    if config.output_mode == "constrained":
        return only_answers(allowed_answers(labels), config.constraint)
    if config.ignore_eos:
        return {"ignore_eos": True, "min_tokens": config.max_tokens + config.thinking_tokens}
    return {}
