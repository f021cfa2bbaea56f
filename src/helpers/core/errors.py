"""The exceptions for what a user can put right, or wait for."""

import re
import reprlib
from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A fault in the input: one line that says what was found, what was expected and what to do.

    The command line prints it without a traceback, and so does a notebook.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, _LONGEST))

    def _render_traceback_(self) -> list[str]:
        """Show the message alone in a notebook (IPython asks an exception for this)."""
        return [f"{type(self).__name__}: {self}"]


class TransientError(UserError):
    """A fault that may be gone at the next attempt although nothing was corrected: a campaign retries such a run."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end, or its terminal is gone: it cleans up, as after Ctrl-C, and does not wait."""


_LONGEST = 4000
"""Characters of a message: names that are refused may be long."""


def printable(text: str, most: int | None = None) -> str:
    """Return a text in one line, cut to `most` characters; what cannot be printed, or steers a terminal, is escaped."""
    line = " ".join(text.splitlines())
    cut = line if most is None or len(line) <= most else f"{line[: most // 2]} ... {line[-most // 2 :]}"
    return "".join(
        sign if sign.isprintable() or sign.isspace() else sign.encode("unicode_escape").decode("ascii")
        for sign in cut
    )


def is_out_of_memory(text: str) -> bool:
    """Say whether a program reports that it ran out of memory, that of a GPU included."""
    return _OUT_OF_MEMORY.search(text) is not None


_OUT_OF_MEMORY = re.compile(r"MemoryError|out of memory|(?:can't|cannot) allocate memory", re.IGNORECASE)


def nearest(word: object, words: Iterable[str]) -> str:
    """Name the most likely one of `words`, and list them all."""
    options = sorted(words)
    close = get_close_matches(word if isinstance(word, str) else short(word), options, n=1, cutoff=0.4)
    hint = f"nearest: {close[0]!r}; " if close else ""
    return f"{hint}known: {', '.join(options)}"


def short(value: object) -> str:
    """Return how a value is written, in at most 60 characters.

    It may be nested deeply or refer to itself, and a number may have too many digits to be written.
    """
    try:
        text = repr(value[:60]) if isinstance(value, str) else _REPR.repr(value)
    except ValueError:
        return f"<{type(value).__name__} that is too long to be written>"
    return text if len(text) <= 60 else text[:57] + "..."


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 60
_REPR.maxlevel = 3
