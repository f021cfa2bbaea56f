"""The client's connections made by httpx, a client for each connection: what llm.py compares our own with."""

import json
import threading
import time
from typing import Any

import httpx

from helpers.models.llm.connections import CONNECT_S, MAX_RESPONSE_BYTES, NoAnswerError
from helpers.models.llm.endpoint import Endpoint


class HttpxConnections:
    """What `helpers.models.llm.connections.Connections` does, as far as httpx can.

    A single `httpx.Client` for all threads would take 25 ms of CPU per request at concurrency 189. Neither of them can
    end requests under way from another thread, or bound the time of a whole response that trickles in.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float) -> None:
        self._root = str(httpx.URL(endpoint.url).copy_with(path="/")).rstrip("/")
        self._options: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {endpoint.api_key}"},
            "timeout": httpx.Timeout(timeout_s, connect=CONNECT_S),
            "trust_env": False,
            "verify": httpx.create_ssl_context(),
        }
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._idle: list[httpx.Client] = []
        self._open: list[httpx.Client] = []

    def post(self, path: str, payload: dict[str, Any]) -> tuple[int, bytes]:
        """Send a JSON document once; return status and body of the response.

        Raises:
            NoAnswerError: where there is no whole response.
        """
        deadline_s = time.perf_counter() + self._timeout_s
        with self._lock:
            client = self._idle.pop() if self._idle else self._new()
        headers = {"Content-Type": "application/json"}
        chunks, size = [], 0
        try:
            with client.stream(
                "POST", f"{self._root}{path}", content=json.dumps(payload), headers=headers
            ) as response:
                for chunk in response.iter_raw():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > MAX_RESPONSE_BYTES:
                        raise NoAnswerError(
                            "oversized", f"the response has more than {MAX_RESPONSE_BYTES} bytes"
                        )
                    if time.perf_counter() > deadline_s:
                        raise NoAnswerError("timeout", "no answer in time")
        except httpx.ConnectError as error:
            raise NoAnswerError(
                "connection-lost", f"no connection ({type(error).__name__})", sent=False
            ) from error
        except httpx.TimeoutException as error:
            raise NoAnswerError("timeout", "no answer in time") from error
        except httpx.HTTPError as error:
            raise NoAnswerError("connection-lost", f"no response ({type(error).__name__})") from error
        with self._lock:
            self._idle.append(client)
        return response.status_code, b"".join(chunks)

    def close(self) -> None:
        """Close every connection that no request uses."""
        for client in self._open:
            client.close()

    def _new(self) -> httpx.Client:
        client = httpx.Client(**self._options)
        self._open.append(client)
        return client
