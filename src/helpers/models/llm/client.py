"""Our engine under `dspy.LM`: one request for each call, and what became of it is kept.

Stock `dspy.LM` with its own client (lm15, in threads) is fast enough: 1.9 to 3.0 ms of CPU per request against 1.4 to
2.8 of a bare httpx client (stub with 200 ms, 2 cores). It could not be used as it is:

- its pool holds 100 connections: of concurrency 189, a stub saw 100 requests at the same time, without a warning;
- vLLM's own fields (`structured_outputs`, `ignore_eos`) move a call to LiteLLM: 4.4 to 7.5 ms of CPU per request;
- why an answer ended, its tokens and the kind of a failure are lost where parsing or the request fails;
- it asks the network for prices, and a proxy of the environment even for a server on this machine.

DSPy documents `dspy.LM(engine=...)` for this, an object with `complete(Request) -> Response` (its older `BaseLM` is
deprecated). Signature, prompt, examples and fallback remain DSPy's.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from helpers.models.llm.answer_cache import AnswerCache
from helpers.models.llm.answer_parser import cut_thinking
from helpers.models.llm.connections import Connections, NoAnswerError
from helpers.models.llm.endpoint import Completion, Endpoint
from helpers.records.schema_kinds import Kind

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response

NAME = "http.client"
"""What is recorded as DSPy's engine."""


@dataclass(frozen=True)
class Exchange:
    """One request and what became of it."""

    start_s: float
    end_s: float
    sent: bool
    """Whether it may have reached the server."""
    completion: Completion | None
    kind: Kind | None
    """Why there is no completion; None where there is one."""
    error: str | None
    cached: bool = False
    """The answer came out of the cache, and nothing was sent."""


class Client:
    """DSPy's engine for one endpoint; may be called from many threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float,
        extra: dict[str, Any],
        *,
        reasoning: bool,
        dspy_reads: bool = False,
        cache: AnswerCache | None = None,
    ) -> None:
        """Make a client.

        Args:
            endpoint: where the model answers.
            timeout_s: longest time of a request.
            extra: fields of each request that only vLLM knows.
            reasoning: whether the model thinks before it answers.
            dspy_reads: give DSPy the whole answer, thinking included, and send the JSON schema of its second request.
            cache: answers that are not asked for again; None: each request is sent.
        """
        self.supports_response_schema = dspy_reads
        self.supported_params = ("response_format",) if dspy_reads else ()
        self._dspy_reads = dspy_reads
        self._cache = cache
        self._model = endpoint.model
        self._path = urlsplit(endpoint.url).path.rstrip("/")
        self._connections = Connections(endpoint, timeout_s)
        self._extra = extra
        self._reasoning = reasoning
        self._thread = threading.local()

    def complete(self, request: Request) -> Response:
        """Send a request of DSPy's, keep the exchange, and return the answer, without its thinking unless DSPy reads it."""
        from dspy import lm15  # noqa: PLC0415  (absent where only the book is built)

        payload = self._payload(request)
        exchange = self._cached(payload) or self._exchange(payload)
        self._thread.exchanges.append(exchange)
        if exchange.completion is None:
            raise lm15.TransportError(exchange.error or "")
        completion = exchange.completion
        answer: str | None = completion.content or ""
        if not self._dspy_reads:
            answer, _ = cut_thinking(completion.content or "", completion.finish_reason, self._reasoning)
        return lm15.Response(
            id=None,
            model=request.model,
            message=lm15.Message(role="assistant", parts=(lm15.TextPart(text=answer or ""),)),
            finish_reason="stop",  # the true one is kept; DSPy would print a warning
            usage=lm15.Usage(),
        )

    def start(self) -> list[Exchange]:
        """Begin a new list of this thread's exchanges and return it; it fills as requests end."""
        self._thread.exchanges = []
        kept: list[Exchange] = self._thread.exchanges
        return kept

    def count_tokens(self, text: str) -> int | None:
        """Return the tokens of a text as vLLM's /tokenize counts them; None where the server cannot tell."""
        path = self._path.removesuffix("/v1") + "/tokenize"
        try:
            status, body = self._connections.post(
                path, {"model": self._model, "prompt": text, "add_special_tokens": False}
            )
            return _count(json.loads(body).get("count")) if status == 200 else None
        except (NoAnswerError, ValueError, AttributeError, RecursionError):
            return None

    def close(self) -> None:
        """Close every connection; requests under way fail."""
        self._connections.close()

    def _payload(self, request: Request) -> dict[str, Any]:
        system = [{"role": "system", "content": request.system}] if request.system else []
        turns = [{"role": message.role, "content": message.text} for message in request.messages]
        if any(turn["content"] is None for turn in turns):
            # DSPy makes pictures and the like of its own marks, even where they stand in a text.
            raise ValueError("the text has a mark of DSPy's own")
        return {
            "model": self._model,
            "messages": system + turns,
            "temperature": request.config.temperature,
            "max_tokens": request.config.max_tokens,
            **_response_format(request.config.response_format),
            **self._extra,
        }

    def _cached(self, payload: dict[str, Any]) -> Exchange | None:
        """Return the exchange of an answer that is cached; None where there is none."""
        if self._cache is None or (completion := self._cache.get(payload)) is None:
            return None
        now_s = time.perf_counter()
        return Exchange(now_s, now_s, False, completion, None, None, cached=True)

    def _exchange(self, payload: dict[str, Any]) -> Exchange:
        start_s = time.perf_counter()
        try:
            completion = _completion(*self._connections.post(f"{self._path}/chat/completions", payload))
        except NoAnswerError as fault:
            return Exchange(start_s, time.perf_counter(), fault.sent, None, fault.kind, str(fault))
        if self._cache is not None:
            self._cache.put(payload, completion)
        return Exchange(start_s, time.perf_counter(), True, completion, None, None)


def _response_format(requested: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the field of a request that asks for JSON, as OpenAI's protocol has it; nothing where any text will do."""
    if requested is None:
        return {}
    schema = {key: value for key, value in requested.items() if key != "type"}
    return {"response_format": {"type": requested["type"], **({"json_schema": schema} if schema else {})}}


def _completion(status: int, body: bytes) -> Completion:
    """Read a chat completion; what is not one is malformed."""
    if status != 200:
        raise NoAnswerError("http-error", f"HTTP {status}{_type(body)}")
    try:
        document = json.loads(body)
        (choice,) = document["choices"]
        message = choice["message"]
        usage = document.get("usage") or {}
        details = usage.get("completion_tokens_details") or {}
        return Completion(
            _text(message.get("content")),
            _text(message.get("reasoning") or message.get("reasoning_content")),
            _text(choice.get("finish_reason")),
            _count(usage.get("prompt_tokens")),
            _count(usage.get("completion_tokens")),
            _count(details.get("reasoning_tokens")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what = f"the response is no chat completion ({type(error).__name__})"
        raise NoAnswerError("malformed", what) from None


def _text(value: object) -> str | None:
    """Return a text, with the half characters replaced that JSON can spell and nothing can store."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError
    return value.encode("utf-8", "replace").decode("utf-8")


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _type(body: bytes) -> str:
    """Return the type of an error where the server names one; its message may quote the text and is left out."""
    try:
        named = json.loads(body)["error"]["type"]
        return f" ({named})" if re.fullmatch(r"[A-Za-z_]{1,40}", named) else ""
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
