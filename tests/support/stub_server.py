"""An OpenAI-compatible server that answers as it is told, faults included; for what a real engine will not do on demand.

A text says what it wants: `say: World` gets that category, `fault: NAME` one of FAULTS, anything else the first category
of the instruction. In tests it runs in a thread (`stub`), for benches in a process of its own (`stub_process`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from helpers.models.llm.endpoint import Endpoint

MODEL = "stub"
KEY = "stub-key"
HUGE_BYTES = 10_000_000
VALUE = "[[ ## category ## ]]\n"
END = "\n\n[[ ## completed ## ]]"
METRICS = {
    "vllm:prompt_tokens_total": "prompt",
    "vllm:generation_tokens_total": "generated",
    "vllm:prefix_cache_queries_total": "prefix_queries",
    "vllm:prefix_cache_hits_total": "prefix_hits",
    "vllm:time_to_first_token_seconds_sum": "answered",
    "vllm:time_to_first_token_seconds_count": "answered",
}


@dataclass(frozen=True)
class Completion:
    """What a model would have answered; the usage is counted in words."""

    content: str | None
    finish_reason: str = "stop"
    reasoning: str | None = None
    """Thinking that the server splits off."""


@dataclass(frozen=True)
class Broken:
    """A response that is no completion."""

    status: int = 200
    body: bytes = b""
    cut_at: int | None = None
    """Bytes of the response after which the connection breaks; None: it is sent as a whole."""
    silent: bool = False
    """Never answer."""


COMPLETIONS: dict[str, Callable[[list[str]], Completion]] = {
    "empty": lambda labels: Completion(""),
    "null-content": lambda labels: Completion(None),
    "empty-value": lambda labels: Completion(VALUE + END),
    "no-marker": lambda labels: Completion(f"I would say {labels[0]}."),
    "json": lambda labels: Completion(json.dumps({"category": labels[0]})),
    "off-list": lambda labels: Completion(f"{VALUE}none of these{END}"),
    "markup": lambda labels: Completion(
        f"{VALUE}<script>alert('{labels[0]}')</script><b>{labels[0]}</b>{END}"
    ),
    "two-in-a-line": lambda labels: Completion(f"{VALUE}{labels[0]}, {labels[1]}{END}"),
    "two-lines": lambda labels: Completion(f"{VALUE}{labels[0]}\n{labels[1]}{END}"),
    "truncated-marker": lambda labels: Completion(f"{VALUE}{labels[0]}\n\n[[ ## comple", "length"),
    "truncated": lambda labels: Completion(VALUE + labels[0][:2], "length"),
    "huge": lambda labels: Completion(VALUE + "x" * HUGE_BYTES + END),
    "thinking": lambda labels: Completion(
        f"<think>\nis it {labels[1]}?\n{VALUE}{labels[1]}\n</think>\n\n{VALUE}{labels[0]}{END}"
    ),
    "thinking-open": lambda labels: Completion(f"<think>\nis it {labels[0]} or is it " * 5, "length"),
    "thinking-split": lambda labels: Completion(
        f"{VALUE}{labels[0]}{END}", reasoning="is it this or is it that"
    ),
    "thinking-split-open": lambda labels: Completion(None, "length", reasoning="is it this or is it"),
}
BROKEN: dict[str, Broken] = {
    "http-400": Broken(400, b'{"error": {"message": "the prompt is too long: Geheimtext"}}'),
    "http-500": Broken(500, b"Internal Server Error"),
    "http-503": Broken(503, b'{"error": "overloaded"}'),
    "timeout": Broken(silent=True),
    "lost": Broken(cut_at=0),
    "lost-midway": Broken(body=b'{"choices": [{"index": 0, "message": {"content"', cut_at=90),
    "not-json": Broken(body=b"<html>a proxy</html>"),
    "half-json": Broken(body=b'{"choices": [{"index": 0, '),
    "no-choice": Broken(body=b'{"choices": []}'),
    "wrong-shape": Broken(body=b'{"choices": [{"message": "text", "finish_reason": 3}], "usage": "much"}'),
    "not-an-object": Broken(body=b"[1, 2]"),
    "deep-json": Broken(body=b"[" * 100_000),
}
FAULTS = (*COMPLETIONS, *BROKEN)


@dataclass
class State:
    """What a stub does and has seen; shared with the test that runs it."""

    delay_s: float = 0.0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the completion requests; only kept where `keep`."""
    keep: bool = True
    obeys: tuple[str, ...] = ("structured_outputs", "grammar")
    """Fields of a request that hold an answer to some texts; it ignores the others, as servers do with what they do not know."""
    keys: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    under_way: int = 0
    most_under_way: int = 0
    connections: set[Connection] = field(default_factory=set)


class Connection(asyncio.Protocol):
    """One keep-alive connection of HTTP/1.1."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]
        self.state.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.state.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Serve every request that is complete."""
        self.buffer += data
        while True:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            size = int(length[1]) if length else 0
            if not separator or len(rest) < size:
                return
            body, self.buffer = rest[:size], rest[size:]
            self.serve(head, body)

    def serve(self, head: bytes, body: bytes) -> None:
        """Answer one request."""
        path = head.split(b" ", 2)[1].decode()
        if path == "/v1/chat/completions":
            key = re.search(rb"(?i)authorization: *bearer (\S+)", head)
            self.state.keys.append(key[1].decode() if key else "")
            self.complete(json.loads(body))
        elif path == "/tokenize":
            self.state.counts["tokenize"] += 1
            self.send(200, json.dumps({"count": len(json.loads(body)["prompt"].split())}).encode())
        elif path == "/v1/models":
            self.send(200, json.dumps({"data": [{"id": MODEL}]}).encode())
        elif path == "/metrics":
            self.send(200, metrics(self.state).encode())
        else:
            self.send(200 if path == "/health" else 404, b"{}")

    def complete(self, request: dict[str, Any]) -> None:
        """Answer a completion request after the delay."""
        state = self.state
        state.counts["requests"] += 1
        if state.keep:
            state.bodies.append(request)
        state.under_way += 1
        state.most_under_way = max(state.most_under_way, state.under_way)
        if state.delay_s:
            asyncio.get_running_loop().call_later(state.delay_s, self.answer, request)
        else:
            self.answer(request)

    def answer(self, request: dict[str, Any]) -> None:
        """Answer a completion request now."""
        wanted = choose(request, self.state.obeys)
        self.state.under_way -= 1
        if isinstance(wanted, Broken) and wanted.silent:
            return
        if isinstance(wanted, Broken):
            self.send(wanted.status, wanted.body, wanted.cut_at)
            return
        prompt = sum(len(message["content"].split()) for message in request["messages"])
        thinking = len((wanted.reasoning or "").split())
        generated = len((wanted.content or "").split()) + thinking
        self.state.counts.update(answered=1, prompt=prompt, generated=generated)
        message = {"role": "assistant", "content": wanted.content}
        usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": generated,
            "total_tokens": prompt + generated,
        }
        if wanted.reasoning is not None:
            message["reasoning"] = wanted.reasoning
            usage["completion_tokens_details"] = {"reasoning_tokens": thinking}
        choice = {"index": 0, "message": message, "finish_reason": wanted.finish_reason}
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": request["model"],
            "choices": [choice],
            "usage": usage,
        }
        self.send(200, json.dumps(answer).encode())

    def send(self, status: int, body: bytes, cut_at: int | None = None) -> None:
        """Send a response, or its beginning before the connection breaks."""
        if self.transport.is_closing():
            return
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        response = head.encode() + body
        self.transport.write(response[:cut_at])
        if cut_at is not None:
            self.transport.close()


def choose(request: dict[str, Any], obeys: Collection[str]) -> Completion | Broken:
    """Return what the last text of a request wants, a fault of it even against a constraint."""
    messages = request["messages"]
    labels = [
        line.strip()[2:] for line in messages[0]["content"].splitlines() if line.strip().startswith("- ")
    ]
    wish = re.search(r"(fault|say): ([^\n]+)", messages[-1]["content"])
    if wish and wish[1] == "fault":
        name = wish[2].split()[0]
        return BROKEN[name] if name in BROKEN else COMPLETIONS[name](labels)
    category = wish[2].strip() if wish else labels[0] if labels else "hello"
    grammar = re.findall(r'"(?:[^"\\]|\\.)*"', request.get("grammar", ""))
    allowed = {
        "structured_outputs": request.get("structured_outputs", {}).get("choice", []),
        "grammar": [json.loads(text) for text in grammar],
    }
    if choices := [text for field in obeys for text in allowed[field]]:
        return Completion(next((choice for choice in choices if f"\n{category}\n" in choice), choices[0]))
    return Completion(f"{VALUE}{category}{END}")


def metrics(state: State) -> str:
    """Return the counters as vLLM names them."""
    lines = [f'vllm:request_success_total{{finished_reason="stop"}} {state.counts["answered"]}.0']
    lines += [f'{name}{{engine="0"}} {state.counts[count]}.0' for name, count in METRICS.items()]
    lines += [f"vllm:num_requests_running {state.under_way}.0", "vllm:num_requests_waiting 0.0"]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Stub:
    """A stub that runs in a thread."""

    endpoint: Endpoint
    state: State
    stop: Callable[[], None]
    """Close the server and every connection at once, as a killed server does."""

    @property
    def requests(self) -> int:
        """Completion requests so far."""
        return self.state.counts["requests"]


@contextmanager
def stub(delay_s: float = 0.0) -> Iterator[Stub]:
    """Run a stub in a thread of this process."""
    state = State(delay_s)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(listen(state, 0), loop).result(10)

    async def close() -> None:
        server.close()
        for connection in tuple(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    def stop() -> None:
        if thread.is_alive():
            asyncio.run_coroutine_threadsafe(close(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    try:
        yield Stub(endpoint(server.sockets[0].getsockname()[1]), state, stop)
    finally:
        stop()


async def listen(state: State, port: int) -> asyncio.Server:
    """Listen on the loopback interface."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(state), "127.0.0.1", port, backlog=1024)


def endpoint(port: int) -> Endpoint:
    """Return where a stub on `port` answers."""
    return Endpoint(f"http://127.0.0.1:{port}/v1", MODEL, KEY)


@contextmanager
def stub_process(delay_s: float) -> Iterator[Endpoint]:
    """Run a stub in a process of its own; it ends with the block, or when this process is gone."""
    command = [sys.executable, __file__, "--delay-ms", str(1000 * delay_s)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield endpoint(int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


def main() -> int:
    """Serve until standard input is closed, so that no stub outlives who started it; prints its port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="time of every answer")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    given = parser.parse_args()

    async def serve() -> None:
        server = await listen(State(given.delay_ms / 1000, keep=False), given.port)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    asyncio.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
