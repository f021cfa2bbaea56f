"""Keep-alive connections to a server: a request is sent once, and every failure has a kind.

Our own, because httpx does not keep up: against a stub that answers after 200 ms, the client over httpx reaches 1.00, 1.01
and 0.85 of a bare httpx client's texts per second at concurrency 1, 32 and 189, and over these connections 1.00, 1.02 and
0.98, with a third less processor time (`make bench-llm`, 2 cores; httpx would take their place from 0.95 on). Nor can
httpx end requests under way from another thread, or bound the time of a whole response that trickles in.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from helpers.models.llm.endpoint import Endpoint
from helpers.records.schema_kinds import Kind

MAX_RESPONSE_BYTES = 4 * 2**20
"""More than any answer with its thinking takes; the rest of a larger one is not read."""
CONNECT_S = 10.0
CHUNK_BYTES = 2**16


class NoAnswerError(Exception):
    """There is no answer: of which kind, and whether the request may have reached the server.

    The message has no word of the request or the response, which may quote a text.
    """

    def __init__(self, kind: Kind, message: str, sent: bool = True) -> None:
        super().__init__(message)
        self.kind = kind
        self.sent = sent


class Connections:
    """As many connections as there are requests at the same time; a broken one is never used again.

    Proxies of the environment are not asked: what is measured is a server on this machine or beside it.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float) -> None:
        parts = urlsplit(endpoint.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {endpoint.api_key}"}
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._open: set[http.client.HTTPConnection] = set()
        self._closed = False

    def post(self, path: str, payload: dict[str, Any]) -> tuple[int, bytes]:
        """Send a JSON document once; return status and body of the response.

        Raises:
            NoAnswerError: where there is no whole response.
        """
        body = json.dumps(payload).encode()
        deadline_s = time.perf_counter() + self._timeout_s
        connection = self._take()
        sent = False
        try:
            if connection.sock is None:
                connection.connect()
            channel: socket.socket = connection.sock
            sent = True
            channel.settimeout(_left(deadline_s))
            connection.request("POST", path, body, self._headers)
            channel.settimeout(_left(deadline_s))
            response = connection.getresponse()
            content = _read(response, channel, deadline_s)
        except (OSError, http.client.HTTPException, NoAnswerError) as error:
            self._drop(connection)
            raise _fault(error, sent) from error
        except BaseException:
            self._drop(connection)
            raise
        self._give_back(connection)
        return response.status, content

    def close(self) -> None:
        """Close every connection at once; requests under way fail."""
        with self._lock:
            self._closed = True
            connections = tuple(self._open)
        for connection in connections:
            self._drop(connection)

    def _take(self) -> http.client.HTTPConnection:
        while True:
            with self._lock:
                if self._closed:
                    raise NoAnswerError("connection-lost", "the connections were closed", sent=False)
                if not self._idle:
                    connection = self._new()
                    self._open.add(connection)
                    return connection
                connection = self._idle.pop()
            if not _readable(connection):  # otherwise the server closed it meanwhile
                return connection
            self._drop(connection)

    def _new(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_S)
        return http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_S, context=self._tls)

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if connection in self._open:
                self._idle.append(connection)

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._open.discard(connection)
        channel: socket.socket | None = connection.sock
        if channel is not None:
            with suppress(OSError):  # it may be closed from the other side
                channel.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for it
        connection.close()


def _left(deadline_s: float) -> float:
    left_s = deadline_s - time.perf_counter()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _readable(connection: http.client.HTTPConnection) -> bool:
    """Say whether an idle connection has something to read, which is its end; poll knows no limit of 1024 files."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _read(response: http.client.HTTPResponse, channel: socket.socket, deadline_s: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read1(CHUNK_BYTES):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_RESPONSE_BYTES:
            raise NoAnswerError("oversized", f"the response has more than {MAX_RESPONSE_BYTES} bytes")
        channel.settimeout(_left(deadline_s))
    if response.length:
        raise NoAnswerError("connection-lost", "the connection ended within the response")
    response.close()  # frees the connection for the next request
    return b"".join(chunks)


def _fault(error: OSError | http.client.HTTPException | NoAnswerError, sent: bool) -> NoAnswerError:
    if isinstance(error, NoAnswerError):
        return error
    if isinstance(error, TimeoutError):
        return NoAnswerError("timeout", "no answer in time" if sent else "no connection in time", sent)
    if isinstance(error, OSError | http.client.IncompleteRead):
        what = "the connection ended before the response" if sent else "no connection"
        return NoAnswerError("connection-lost", f"{what} ({type(error).__name__})", sent)
    return NoAnswerError("malformed", f"the response is not HTTP ({type(error).__name__})", sent)
