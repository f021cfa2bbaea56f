"""The measured runs of language models: how they were served and asked, what they generated, and what failed."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.display import html_table
from helpers.figures.plots import tables as parts
from helpers.records.storage import Generation, Record, SplitResult
from helpers.study.catalogue import model_title, study

NONE = "Language models: none was measured."


def body(rows: pd.DataFrame, records: Sequence[Record]) -> str:
    """Return two tables of the language models among rows of `results`, or a sentence where there is none.

    `records` are those of the rows, in their order.
    """
    chosen = [
        (row, record)
        for (_, row), record in zip(rows.iterrows(), records, strict=True)
        if record.run.family != "Traditional"
    ]
    if not chosen:
        return parts.paragraph(NONE)
    settings = pd.DataFrame([_settings(record) for _, record in chosen])
    outcome = pd.DataFrame([_outcome(row, record) for row, record in chosen])
    return html_table(settings, "Language models: how they were served and prompted", _COUNTS) + html_table(
        outcome,
        "Language models: one pass, mean over the splits; failures over all splits",
        list(outcome.columns[1:-1]),
    )


_COUNTS = ("GPUs", "Nodes", "Threads", "Texts at a time", "Examples", "Most tokens")


def _settings(record: Record) -> dict[str, object]:
    run, served, asked = record.run, record.run.served, record.run.asked
    weights = "dummy: answers are meaningless" if run.weights == "dummy" else run.weights
    return {
        "Run": run.run_id,
        "Model": model_title(run.model),
        "Family": run.family,
        "Dataset": study().datasets[run.dataset].title,
        "GPUs": run.gpus,
        "Nodes": run.nodes,
        "Weights": ", ".join(filter(None, (weights, run.dtype, served.quantisation if served else None))),
        "Engine": " ".join(filter(None, (served.engine, served.engine_version))) if served else None,
        "Threads": (record.environment.threads or {}).get("engine"),
        "Prefix cache": served and _on(served.prefix_caching),
        "Texts at a time": run.concurrency,
        "Protocol": asked and _protocol(asked),
        "Prompt": asked and asked.language,
        "Examples": asked and asked.shots,
        "Answer": asked and ", ".join(filter(None, (asked.output_mode, asked.constraint))),
        "Most tokens": asked and asked.max_tokens + asked.thinking_tokens,
        "Client": asked and f"DSPy, {asked.dspy_engine}",
    }


def _protocol(asked: Generation) -> str:
    return f"{asked.protocol}, cache on" if asked.dspy_cache else asked.protocol


def _outcome(row: "pd.Series[Any]", record: Record) -> dict[str, object]:
    splits = record.splits
    accuracy = _mean([item.accuracy for item in splits])
    return {
        "Run": record.run.run_id,
        "Energy (Wh)": _text(row["energy_wh"]),
        "Duration (s)": _text(row["duration_s"]),
        "Accuracy": None if accuracy is None else f"{accuracy:.3f}",
        "Tokens in": _text(_mean([item.tokens_in for item in splits])),
        "out": _text(_mean([item.tokens_out for item in splits])),
        "of these thinking": _text(_mean_of_replies(splits, "tokens_thinking")),
        "Latency, median (s)": _text(_mean_of_replies(splits, "latency_p50_s")),
        "95th percentile (s)": _text(_mean_of_replies(splits, "latency_p95_s")),
        "First token (s)": _text(_mean_of_replies(splits, "ttft_s")),
        "Requests sent": _text(_mean([item.requests_sent for item in splits])),
        "from the cache": _text(_mean([item.requests_cached for item in splits])),
        "Passes agree": _share(_mean_of_replies(splits, "agreement")),
        "Parse failures": None
        if any(item.parse_failures is None for item in splits)
        else sum(item.parse_failures or 0 for item in splits),
        "By kind": _kinds(splits),
    }


def _kinds(splits: Sequence[SplitResult]) -> str | None:
    """Return the texts without a category by kind, failures of the server among them; None where no split has counts."""
    counts = [item.replies.failures for item in splits if item.replies is not None]
    total: Counter[str] = Counter()
    for failures in counts:
        total.update(failures)
    return ", ".join(f"{kind} {count}" for kind, count in total.most_common()) or ("none" if counts else None)


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present and len(present) == len(values) else None


def _mean_of_replies(splits: Sequence[SplitResult], name: str) -> float | None:
    """Return the mean of a number that only language models have; None where one split lacks it."""
    return _mean([None if item.replies is None else getattr(item.replies, name) for item in splits])


def _text(value: float | None) -> str | None:
    return None if pd.isna(value) else units.significant(value, 3)


def _share(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


def _on(value: bool | None) -> str | None:
    return None if value is None else "on" if value else "off"
