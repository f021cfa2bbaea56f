"""DSPy's cache of answers, as far as one run can have it: the same request is not sent again."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from helpers.models.llm.endpoint import Completion


class AnswerCache:
    """Answers by request: model, messages and settings, the key of DSPy's own cache; may be used from many threads.

    DSPy's lies on disk and outlives a run. This one lives in memory, for one run and across its splits: answers may
    quote the texts, which no run stores, and a repeated run would measure nothing but its predecessor's answers.

    It works within passes only, so that warming up neither fills nor uses it. Each pass over a test set begins with what
    the test sets before it left: the passes of a window do the same work, and none answers for the next one. What the
    first pass has added is kept for the test sets that follow (`end_split`).
    """

    def __init__(self) -> None:
        self._kept: dict[str, Completion] = {}
        self._first: dict[str, Completion] | None = None
        self._current: dict[str, Completion] | None = None

    @contextmanager
    def one_pass(self) -> Iterator[None]:
        """Use the cache in the block, which is one pass over a test set."""
        self._current = {}
        try:
            yield
        finally:
            self._first = self._current if self._first is None else self._first
            self._current = None

    def end_split(self) -> None:
        """Keep what the first pass of the split has added."""
        self._kept |= self._first or {}
        self._first = None

    def get(self, request: Mapping[str, Any]) -> Completion | None:
        """Return the answer to a request; None where it has to be sent."""
        if self._current is None:
            return None
        key = _key(request)
        return self._current.get(key) or self._kept.get(key)

    def put(self, request: Mapping[str, Any], answer: Completion) -> None:
        """Keep the answer to a request."""
        if self._current is not None:
            self._current[_key(request)] = answer


def _key(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
