"""The one exception for what a user can put right."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A fault in the input: one line that says what was found, what was expected and what to do.

    The command line prints it without a traceback, and so does a notebook.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))

    def _render_traceback_(self) -> list[str]:
        """Show the message alone in a notebook (IPython asks an exception for this)."""
        return [f"{type(self).__name__}: {self}"]


def nearest(word: object, known: Iterable[str]) -> str:
    """Say which of the `known` words is meant most likely, and which there are."""
    options = sorted(known)
    close = get_close_matches(str(word), options, n=1, cutoff=0.4)
    hint = f"nearest: {close[0]!r}; " if close else ""
    return f"{hint}known: {', '.join(options)}"
