"""Where a language model answers."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server."""

    url: str
    """Ends in `/v1`."""
    model: str
    """Name that requests give."""
    api_key: str = field(repr=False)
