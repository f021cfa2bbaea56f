"""What a server is asked apart from texts: whether it answers, what it serves, what it is."""

from collections.abc import Mapping
from typing import Any

import httpx

from helpers.models.llm.endpoint import Endpoint
from helpers.models.llm.generation import Constraint, only_answers
from helpers.models.llm.server_log import shortened

WARM_UP = {
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 4,  # more than one: with several nodes, the second token is the first that shows a fault
    "temperature": 0.0,
}


def warm_up(endpoint: Endpoint, timeout_s: float) -> str | None:
    """Ask for a completion; health alone does not show that one works. Returns what went wrong."""
    try:
        answer = _post(endpoint, WARM_UP, timeout_s)
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.is_success else f"HTTP {answer.status_code}: {shortened(answer.text)}"


def keeps_to(endpoint: Endpoint, constraint: Constraint, timeout_s: float) -> bool:
    """Say whether a server obeys a constraint: it has to give an answer that no model gives by itself."""
    probe = "zqx-7"
    try:
        answer = _post(
            endpoint, {**WARM_UP, "max_tokens": 32, **only_answers([probe], constraint)}, timeout_s
        )
        return bool(answer.json()["choices"][0]["message"]["content"] == probe)
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return False


def get(endpoint: Endpoint, path: str) -> httpx.Response:
    """Ask for `path`, which begins beside `/v1`.

    Raises:
        httpx.HTTPError: where there is no answer.
    """
    return httpx.get(
        endpoint.url.removesuffix("/v1") + path,
        headers={"Authorization": f"Bearer {endpoint.api_key}"},
        timeout=10.0,
        trust_env=False,
    )


def _post(endpoint: Endpoint, fields: Mapping[str, Any], timeout_s: float) -> httpx.Response:
    return httpx.post(
        f"{endpoint.url}/chat/completions",
        json={"model": endpoint.model, **fields},
        headers={"Authorization": f"Bearer {endpoint.api_key}"},
        timeout=timeout_s,
        trust_env=False,
    )


def models(listed: httpx.Response) -> list[str]:
    """Return the names of the models that a server lists; empty where it lists none in a way we know."""
    try:
        return [str(model["id"]) for model in listed.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return []


def vllm(endpoint: Endpoint) -> tuple[bool, str | None]:
    """Say whether a server that we did not start has vLLM's counters, and its version."""
    try:
        counts = "vllm:request_success" in get(endpoint, "/metrics").text
        version = get(endpoint, "/version").json().get("version") if counts else None
    except (httpx.HTTPError, ValueError, AttributeError):
        return False, None
    return counts, str(version) if version else None
