"""What the replies of a split add up to: counts, percentiles, and a row per text without any text."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from helpers.measure.llm_checks import Counted
from helpers.models.llm.answer_parser import REQUEST_FAILURES
from helpers.models.llm.inference import Reply
from helpers.records.storage import Counts, Replies
from helpers.study.datasets import Split


def client_counts(replies: Sequence[Reply]) -> Counts | None:
    """Return the requests that were answered and their tokens; None where the server did not report all of them."""
    prompt, generated = tokens(replies, "tokens_in"), tokens(replies, "tokens_out")
    if prompt is None or generated is None:
        return None
    requests = sum(map(answered_requests, replies))
    return Counts(requests=requests, prompt_tokens=prompt, generated_tokens=generated)


def tokens(replies: Sequence[Reply], name: Literal["tokens_in", "tokens_out"]) -> int | None:
    """Return the tokens of the texts that were answered; None where one is unknown, or there is none."""
    return _total([getattr(reply, name) for reply in replies if reply.kind not in REQUEST_FAILURES])


def answered_requests(reply: Reply) -> int:
    """Return how many requests of a text were answered: where it failed, all but the last."""
    return max(0, reply.requests - (reply.kind in REQUEST_FAILURES))


def summary(passes: Sequence[Sequence[Reply]], counted: Counted) -> Replies:
    """Return what the record says of the replies, of which the first pass counts unless the schema says otherwise."""
    first, engine = passes[0], counted.engine
    latencies_s = [reply.latency_s for one in passes for reply in one]
    p50, p95, p99 = (float(value) for value in np.percentile(latencies_s, [50, 95, 99]))
    outcomes = [{(reply.kind, reply.category) for reply in of_text} for of_text in zip(*passes, strict=True)]
    return Replies(
        failures=dict(Counter(reply.kind for reply in first if reply.kind != "category")),
        tokens_thinking=_thinking(first),
        latency_p50_s=p50,
        latency_p95_s=p95,
        latency_p99_s=p99,
        ttft_s=engine.ttft_sum_s / engine.ttft_count if engine and engine.ttft_count else None,
        prefix_hit_rate=engine.prefix_hits / engine.prefix_queries
        if engine and engine.prefix_queries
        else None,
        agreement=sum(len(kinds) == 1 for kinds in outcomes) / len(first) if len(passes) > 1 else None,
        client=counted.client,
        engine=None
        if engine is None
        else Counts(
            requests=engine.requests,
            prompt_tokens=engine.prompt_tokens,
            generated_tokens=engine.generated_tokens,
        ),
    )


def predictions(split: Split, labels: Sequence[str], replies: Sequence[Reply]) -> pd.DataFrame:
    """Return the outcome of each test text, without any text: of the answer its hash."""
    names = ("category", "kind", "tokens_in", "tokens_out", "tokens_thinking", "latency_s", "answer_sha256")
    columns = {name: [getattr(reply, name) for reply in replies] for name in names}
    table = pd.DataFrame({"id": split.test, "label": labels, **columns})
    return table.astype(dict.fromkeys(("tokens_in", "tokens_out", "tokens_thinking"), "Int64"))


def raw_answers(split: Split, replies: Sequence[Reply]) -> pd.DataFrame:
    """Return what the model wrote for each test text; it may quote the text."""
    names = ("answer", "thinking", "error")
    return pd.DataFrame(
        {"id": split.test, **{name: [getattr(item, name) for item in replies] for name in names}}
    )


def _thinking(replies: Sequence[Reply]) -> int | None:
    """Return the tokens of thinking; a text without any has none. None where no thinking, or not all, is known."""
    counts = [
        0 if reply.tokens_thinking is None and reply.thinking is None else reply.tokens_thinking
        for reply in replies
    ]
    thought = any(reply.thinking is not None or reply.tokens_thinking is not None for reply in replies)
    return _total(counts) if thought else None


def _total(counts: Sequence[int | None]) -> int | None:
    present = [count for count in counts if count is not None]
    return sum(present) if present and len(present) == len(counts) else None
