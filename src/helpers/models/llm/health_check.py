"""What a server is asked apart from texts: whether it answers, what it serves, what it is."""

import re

import httpx

from helpers.models.llm.endpoint import Endpoint

WARM_UP = {
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 4,  # more than one: with several nodes, the second token is the first that shows a fault
    "temperature": 0.0,
}


def warm_up(endpoint: Endpoint, timeout_s: float) -> str | None:
    """Ask for a completion; health alone does not show that one works. Returns what went wrong."""
    try:
        answer = httpx.post(
            f"{endpoint.url}/chat/completions",
            json={"model": endpoint.model, **WARM_UP},
            headers={"Authorization": f"Bearer {endpoint.api_key}"},
            timeout=timeout_s,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.is_success else f"HTTP {answer.status_code}: {shortened(answer.text)}"


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


def shortened(line: str) -> str:
    """Return a line of a log or an answer without colours and names of processes, 300 characters at most."""
    line = re.sub(r"\x1b\[[0-9;]*m|^(\(\w+.*?pid=\d+\) )+", "", line).strip()
    return " ".join(line.split())[:300]
