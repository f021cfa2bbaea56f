"""What a vLLM server has counted itself, from its `/metrics`: the proof that no cache answered."""

from __future__ import annotations

import re
from dataclasses import dataclass

from helpers.core.errors import UserError

_SAMPLE = re.compile(r"^vllm:(\w+)(?:\{.*\})? (\S+)(?: \d+)?$")


@dataclass(frozen=True)
class EngineCounters:
    """Counts since the start of the server; `later - earlier` are those of the time between."""

    requests: int
    """Requests that ended, whatever their end; one that the server refused does not count."""
    prompt_tokens: int
    generated_tokens: int
    prefix_queries: int
    """Prompt tokens that were looked up in the prefix cache; 0 where it is off."""
    prefix_hits: int
    """Prompt tokens that were found there."""
    ttft_sum_s: float
    """Time to first token, summed over `ttft_count` requests."""
    ttft_count: int

    def __sub__(self, earlier: EngineCounters) -> EngineCounters:
        """Return what was counted since `earlier`."""
        return EngineCounters(
            requests=self.requests - earlier.requests,
            prompt_tokens=self.prompt_tokens - earlier.prompt_tokens,
            generated_tokens=self.generated_tokens - earlier.generated_tokens,
            prefix_queries=self.prefix_queries - earlier.prefix_queries,
            prefix_hits=self.prefix_hits - earlier.prefix_hits,
            ttft_sum_s=self.ttft_sum_s - earlier.ttft_sum_s,
            ttft_count=self.ttft_count - earlier.ttft_count,
        )


def read_counters(text: str) -> EngineCounters:
    """Read the counters from what `/metrics` gives (Prometheus text format), summed over engines.

    Raises:
        UserError: one line where a counter is missing, as in another version of vLLM.
    """
    totals = _sums(text)
    return EngineCounters(
        requests=int(_counter(totals, "request_success_total")),
        prompt_tokens=int(_counter(totals, "prompt_tokens_total")),
        generated_tokens=int(_counter(totals, "generation_tokens_total")),
        prefix_queries=int(_counter(totals, "prefix_cache_queries_total")),
        prefix_hits=int(_counter(totals, "prefix_cache_hits_total")),
        ttft_sum_s=_counter(totals, "time_to_first_token_seconds_sum"),
        ttft_count=int(_counter(totals, "time_to_first_token_seconds_count")),
    )


def requests_open(text: str) -> int:
    """Return how many requests the engine has not ended yet."""
    totals = _sums(text)
    return int(_counter(totals, "num_requests_running") + _counter(totals, "num_requests_waiting"))


def _sums(text: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for line in text.splitlines():
        if match := _SAMPLE.match(line):
            sums[match[1]] = sums.get(match[1], 0.0) + float(match[2])
    return sums


def _counter(totals: dict[str, float], name: str) -> float:
    if name not in totals:
        raise UserError(
            f"the server's /metrics lack vllm:{name}, expected the counters of vLLM 0.32; use that version (make llm)"
        )
    return totals[name]
