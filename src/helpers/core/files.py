"""Files that are read if they can be, and files that are written atomically."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """Give a scratch path beside `file`, in its format; what the block writes to it replaces `file` at the end.

    Its folder is made. Where the block fails, `file` stays as it was, and nothing half-written is left.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.stem}.{os.getpid()}.partial{file.suffix}")
    try:
        yield scratch
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)


def read_text(file: Path) -> str:
    """Return a text file's content without white space around it; empty where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def last_line(text: str) -> str:
    """Return the last line of a log that is not blank; empty where all are."""
    return next((line.strip() for line in reversed(text.split("\n")) if line.strip()), "")
