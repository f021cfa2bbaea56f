"""Our client against a bare async httpx client, in turn, on a stub that answers after 200 ms (the paper's time per text).

Used by llm.py (make bench-llm); alone: python benchmarks/client.py
"""

import argparse
import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import httpx
import numpy as np

from helpers.core import paths
from helpers.models.llm import client as client_module
from helpers.models.llm.answer_parser import REQUEST_FAILURES
from helpers.models.llm.connections import Connections
from helpers.models.llm.endpoint import Endpoint
from helpers.models.llm.generation import GenerationConfig
from helpers.models.llm.inference import open_inference_client
from helpers.models.llm.prompts import instruction, messages
from helpers.statistics.bootstrap import resamples
from helpers.study.catalogue import study
from httpx_connections import HttpxConnections
from results_llm import MAX_CPU_MS, MIN_RATIO, Transport

sys.path.append(str(paths.ROOT))
from tests.support.stub_server import stub_process

CONCURRENCIES = (1, 32, 189)
DELAY_S = 0.2
PAIRS = 7
TRANSPORTS: dict[Transport, type] = {"http.client": Connections, "httpx": HttpxConnections}
"""What carries the requests of our client: the package's own connections, and what would take their place."""
TEXTS = 189
SEQUENTIAL_TEXTS = 10
"""Texts of a pass at concurrency 1, which would take 38 s otherwise."""
TIMEOUT_S = 120.0
WORDS = "Der Abstand zum Grundwasser wurde in diesem Gebiet bisher nicht ausreichend bewertet und begründet."


@dataclass(frozen=True)
class Pass:
    """All texts asked once by one client."""

    texts_per_s: float
    cpu_ms: float
    """CPU time of this process per request."""


@dataclass(frozen=True)
class Pairs:
    """Our client and the bare one at one concurrency, in turn."""

    concurrency: int
    texts: int
    """Of each pass."""
    transport: Transport
    own: list[Pass]
    bare: list[Pass]

    @property
    def ratios(self) -> list[float]:
        """Texts per second of ours over those of the bare client, pair by pair."""
        return [own.texts_per_s / bare.texts_per_s for own, bare in zip(self.own, self.bare, strict=True)]

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Median of the ratios and the ends of its 95 % bootstrap interval."""
        medians = np.median(np.asarray(self.ratios)[resamples(len(self.ratios))], axis=1)
        low, high = np.quantile(medians, [0.025, 0.975])
        return statistics.median(self.ratios), float(low), float(high)

    @property
    def cpu_ms(self) -> float:
        """CPU time of our client per request, as a median over the passes."""
        return statistics.median(item.cpu_ms for item in self.own)

    @property
    def bare_cpu_ms(self) -> float:
        """The same of the bare client."""
        return statistics.median(item.cpu_ms for item in self.bare)

    @property
    def reached(self) -> bool:
        """Whether both goals are reached."""
        return self.ratio[0] >= MIN_RATIO and self.cpu_ms < MAX_CPU_MS


def sample_texts(number: int = TEXTS) -> list[str]:
    """Return texts that are all different and about as long as those of the paper (600 tokens with the prompt)."""
    return [f"{number}. {' '.join([WORDS] * 15)}" for number in range(number)]


def compare(
    endpoint: Endpoint,
    concurrency: int,
    texts: Sequence[str],
    pairs: int = PAIRS,
    max_tokens: int = 128,
    transport: Transport = "http.client",
) -> Pairs:
    """Ask an endpoint for every text by both clients, `pairs` times in turn, after a pass that is not counted."""
    dataset = study().datasets["fktg-sample"]
    task = instruction(dataset)
    config = GenerationConfig(concurrency=concurrency, timeout_s=TIMEOUT_S, max_tokens=max_tokens)
    with (
        patch.object(client_module, "Connections", TRANSPORTS[transport]),
        open_inference_client(endpoint, task, dataset.labels, config) as client,
        bare_client(endpoint, concurrency) as post,
    ):
        payloads = [
            {
                "model": endpoint.model,
                "messages": messages(task, text),
                "temperature": 0.0,
                "max_tokens": max_tokens,
            }
            for text in texts
        ]

        def ask_all() -> int:
            return sum(reply.kind not in REQUEST_FAILURES for reply in client.ask(texts))

        def bare() -> int:
            return post(payloads)

        both = {"ours": (ask_all, [_timed(ask_all, len(texts))]), "bare": (bare, [_timed(bare, len(texts))])}
        for pair in range(pairs):
            # Each goes first in every other pair, so that a drift of the machine favours neither.
            for name in ("ours", "bare") if pair % 2 else ("bare", "ours"):
                work, passes = both[name]
                passes.append(_timed(work, len(texts)))
    return Pairs(concurrency, len(texts), transport, both["ours"][1][1:], both["bare"][1][1:])


@contextmanager
def bare_client(endpoint: Endpoint, concurrency: int) -> Iterator[Callable[[list[dict[str, object]]], int]]:
    """Give a function that posts payloads with httpx, `concurrency` at a time, and returns how many were answered.

    Every connection has a client of its own: the pool of a single one takes 25 ms of CPU per request at concurrency
    189 (37 texts/s), and nobody could fall behind that.
    """
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    tls = httpx.create_ssl_context()
    with asyncio.Runner() as runner:
        clients = [
            httpx.AsyncClient(timeout=TIMEOUT_S, headers=headers, trust_env=False, verify=tls)
            for _ in range(concurrency)
        ]

        async def work(client: httpx.AsyncClient, queue: Iterator[dict[str, object]]) -> int:
            answered = 0
            for payload in queue:
                response = await client.post(f"{endpoint.url}/chat/completions", json=payload)
                answered += bool(response.raise_for_status().json()["choices"])
            return answered

        async def post(payloads: list[dict[str, object]]) -> int:
            queue = iter(payloads)
            return sum(await asyncio.gather(*(work(client, queue) for client in clients)))

        async def close() -> None:
            await asyncio.gather(*(client.aclose() for client in clients))

        try:
            yield lambda payloads: runner.run(post(payloads))
        finally:
            runner.run(close())


def stub_pairs(
    concurrencies: Sequence[int] = CONCURRENCIES, delay_s: float = DELAY_S, pairs: int = PAIRS
) -> Iterator[Pairs]:
    """Compare both clients on the stub, one concurrency after the other."""
    with stub_process(delay_s) as endpoint:
        for concurrency in concurrencies:
            texts = sample_texts(SEQUENTIAL_TEXTS if concurrency == 1 else TEXTS)
            for transport in TRANSPORTS:
                yield compare(endpoint, concurrency, texts, pairs, transport=transport)


def line(pairs: Pairs) -> str:
    """Return a result as a line for people."""
    median, low, high = pairs.ratio
    client_rate, bare = (
        statistics.median(item.texts_per_s for item in passes) for passes in (pairs.own, pairs.bare)
    )
    return (
        f"{pairs.transport}, concurrency {pairs.concurrency:>3}: ratio {median:.2f} (median of {len(pairs.ratios)} "
        f"pairs, 95 % interval {low:.2f} to {high:.2f}); {client_rate:.1f} against {bare:.1f} texts/s; client CPU "
        f"{pairs.cpu_ms:.2f} against {pairs.bare_cpu_ms:.2f} ms per request; "
        f"{'goals reached' if pairs.reached else 'GOAL MISSED'}"
    )


def _timed(work: Callable[[], int], expected: int) -> Pass:
    cpu_s, start_s = _cpu_s(), time.perf_counter()
    answered = work()
    wall_s, cpu_s = time.perf_counter() - start_s, _cpu_s() - cpu_s
    if answered != expected:
        raise RuntimeError(f"{answered} of {expected} requests were answered")
    return Pass(expected / wall_s, 1000 * cpu_s / expected)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Print a line per concurrency; the exit status says whether the goals are reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--delay-s", type=float, default=DELAY_S)
    given = parser.parse_args()
    print(f"Goals: ratio at least {MIN_RATIO:g}, client CPU under {MAX_CPU_MS:g} ms per request.")
    reached = []
    for pairs in stub_pairs(delay_s=given.delay_s, pairs=given.pairs):
        print(line(pairs), flush=True)
        reached.append(pairs.reached or pairs.transport == "httpx")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
