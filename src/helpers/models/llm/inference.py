"""Classify texts with a served model, through DSPy."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from helpers.core.errors import UserError
from helpers.models.llm.answer_cache import AnswerCache
from helpers.models.llm.answer_parser import REQUEST_FAILURES, read_answer, read_exactly, read_value
from helpers.models.llm.client import NAME, Client, Exchange
from helpers.models.llm.endpoint import Completion, Endpoint
from helpers.models.llm.generation import GenerationConfig, check_generation, extra_fields
from helpers.models.llm.prompts import demonstrations, signature
from helpers.records.schema_kinds import Kind

WARM_UP = "This sentence belongs to no dataset."


@dataclass(frozen=True)
class Reply:
    """The outcome of one text."""

    category: str | None
    """As the catalogue writes it; None unless `kind` is `category`."""
    kind: Kind
    tokens_in: int | None
    """As the server counts them, over all requests of this text that were sent; None where it does not report them."""
    tokens_out: int | None
    """Generated tokens, thinking included."""
    tokens_thinking: int | None
    """Of `tokens_out`, those of the thinking; None where the server reports none (`InferenceClient.count_thinking`)."""
    latency_s: float
    """From the start of the first request to the end of the last one; waiting for a free thread not included."""
    requests: int
    """Requests sent for this text."""
    cached: int
    """Requests that were not sent, for the cache had their answer; no tokens count for them."""
    answer: str | None = field(repr=False)
    """What the model wrote, thinking included unless the server splits it off; never stored by default."""
    answer_sha256: str | None
    thinking: str | None = field(repr=False)
    error: str | None
    """One line on what failed, without any text of the dataset; None where the model answered."""


class InferenceClient:
    """Asks one model with one instruction through DSPy; made by `open_inference_client`."""

    engine: str
    """What carries DSPy's requests; recorded as its engine."""

    def __init__(
        self,
        client: Client,
        instruction: str,
        labels: Sequence[str],
        config: GenerationConfig,
        examples: Sequence[tuple[str, str]],
    ) -> None:
        import dspy  # noqa: PLC0415  (absent where only the book is built)

        self.engine = NAME
        self._client = client
        self._labels = tuple(labels)
        self._config = config
        self._predict = dspy.Predict(signature(instruction))
        self._predict.demos = demonstrations(examples)
        self._settings = {
            "lm": dspy.LM(
                "served",  # the client knows the name; one like o3-mini would have its own rules in DSPy
                engine=client,
                cache=False,
                num_retries=0,
                temperature=config.temperature,
                max_tokens=config.max_tokens + config.thinking_tokens,
            ),
            # explicit: the installed DSPy has other defaults than that of the paper's time
            "adapter": dspy.ChatAdapter(use_json_adapter_fallback=config.json_fallback),
            "disable_history": True,  # otherwise DSPy keeps every text of the dataset
            "trace": None,
        }
        self._context = dspy.context
        self._threads = ThreadPoolExecutor(config.concurrency, "ask")
        self._asked: list[Future[Reply]] = []

    def ask(self, texts: Sequence[str]) -> list[Reply]:
        """Ask for every text, `concurrency` at a time; replies in the order of the texts.

        Nothing that happens to one text touches another: every failure is a Reply with its kind.
        """
        asked = self._asked = [self._threads.submit(self._ask, text) for text in texts]
        try:
            return [future.result() for future in asked]
        finally:
            for future in asked:
                future.cancel()  # where this was interrupted

    def answered(self) -> int:
        """Return how many texts of the last call of `ask` have their reply; nothing is counted while they are asked."""
        return sum(future.done() for future in self._asked)

    def warm_up(self) -> Reply:
        """Ask for one sentence that belongs to no dataset, so that nothing is done for the first time later.

        Raises:
            UserError: one line where the server does not answer it.
        """
        (reply,) = self.ask([WARM_UP])
        if reply.kind in REQUEST_FAILURES:
            raise UserError(f"the server did not answer the warm-up request: {reply.kind}: {reply.error}")
        return reply

    def count_thinking(self, replies: Sequence[Reply]) -> list[Reply]:
        """Fill in `tokens_thinking` through the server's /tokenize; call it after the window.

        Replies stay as they are where they have the number, have no thinking, or the server cannot tell.
        """
        return [
            replace(reply, tokens_thinking=self._client.count_tokens(reply.thinking))
            if reply.tokens_thinking is None and reply.thinking is not None
            else reply
            for reply in replies
        ]

    def close(self) -> None:
        """End the threads; requests under way fail."""
        self._client.close()
        self._threads.shutdown(cancel_futures=True)

    def _ask(self, text: str) -> Reply:
        start_s = time.perf_counter()
        exchanges = self._client.start()
        value: str | None = None
        problem: str | None = None
        try:
            with self._context(**self._settings):
                value = self._predict(text=text).category
        except (
            Exception
        ) as error:  # DSPy's for an answer that it cannot parse, or whatever else is this text's own
            problem = type(error).__name__
        if not exchanges:
            return _unsent(problem, time.perf_counter() - start_s)
        return self._reply(exchanges, value)

    def _reply(self, exchanges: Sequence[Exchange], value: str | None) -> Reply:
        first, last = exchanges[0], exchanges[-1]
        answered = [exchange.completion for exchange in exchanges if exchange.completion is not None]
        category: str | None = None
        thinking: str | None = None
        if last.completion is None:
            kind = last.kind or "malformed"
        else:
            category, kind, thinking = self._read(answered[0])
            if len(exchanges) > 1 and value is not None:
                category, kind = read_value(value, self._labels)
            if self._config.protocol == "dspy-2025":
                category, kind = read_exactly(value, self._labels, kind)
        fresh = [exchange.completion for exchange in exchanges if exchange.completion and not exchange.cached]
        answer = answered[-1].content if answered else None
        complete = len(answered) == len(exchanges)
        return Reply(
            category=category,
            kind=kind,
            tokens_in=_sum(item.tokens_in for item in fresh) if complete else None,
            tokens_out=_sum(item.tokens_out for item in fresh) if complete else None,
            tokens_thinking=_sum(item.tokens_thinking for item in fresh) if complete else None,
            latency_s=last.end_s - first.start_s,
            requests=sum(exchange.sent for exchange in exchanges),
            cached=sum(exchange.cached for exchange in exchanges),
            answer=answer,
            answer_sha256=None if answer is None else hashlib.sha256(answer.encode()).hexdigest(),
            thinking=thinking,
            error=last.error,
        )

    def _read(self, completion: Completion) -> tuple[str | None, Kind, str | None]:
        if completion.reasoning is None:
            return read_answer(
                completion.content, self._labels, completion.finish_reason, self._config.reasoning
            )
        if not completion.content and completion.finish_reason == "length":
            return None, "reasoning-open", completion.reasoning
        category, kind, _ = read_answer(completion.content, self._labels, completion.finish_reason, False)
        return category, kind, completion.reasoning


@contextmanager
def open_inference_client(
    endpoint: Endpoint,
    instruction: str,
    labels: Sequence[str],
    config: GenerationConfig,
    examples: Sequence[tuple[str, str]] = (),
    cache: AnswerCache | None = None,
) -> Iterator[InferenceClient]:
    """Make a client whose connections are closed when the block ends.

    Args:
        endpoint: where the model answers.
        instruction: the task with the list of categories (`helpers.models.llm.prompts.instruction`).
        labels: the categories.
        config: the settings.
        examples: text and category of each example (k-shot, from the training split); none is zero-shot.
        cache: of the run; None: each request is sent.

    Raises:
        UserError: one line where the settings contradict each other.
    """
    check_generation(config)
    client = Client(
        endpoint,
        config.timeout_s,
        extra_fields(config, labels),
        reasoning=config.reasoning,
        dspy_reads=config.protocol == "dspy-2025",
        cache=cache,
    )
    inference = InferenceClient(client, instruction, labels, config, examples)
    try:
        yield inference
    finally:
        inference.close()


def _unsent(problem: str | None, latency_s: float) -> Reply:
    return Reply(
        category=None,
        kind="not-sent",
        tokens_in=None,
        tokens_out=None,
        tokens_thinking=None,
        latency_s=latency_s,
        requests=0,
        cached=0,
        answer=None,
        answer_sha256=None,
        thinking=None,
        error=f"DSPy refused the text ({problem})",
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    numbers = list(counts)
    return None if None in numbers else sum(count for count in numbers if count is not None)
