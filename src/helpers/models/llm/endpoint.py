"""An OpenAI-compatible server, and what it returns for a request."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server."""

    url: str
    """Ends in `/v1`."""
    model: str
    """Name that requests give."""
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Completion:
    """What a server says of one answer."""

    content: str | None
    reasoning: str | None
    """Thinking that the server has split off."""
    finish_reason: str | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_thinking: int | None
