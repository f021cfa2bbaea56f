"""Attempts to measure a run of a campaign: stored beside the folder of its record until one succeeds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from helpers.core import paths
from helpers.core.errors import Terminated, TransientError, UserError
from helpers.core.files import atomic_write
from helpers.core.validation import Strict, parse_json
from helpers.records.environment import utc_now
from helpers.records.storage import RECORD
from helpers.study.catalogue import NAME


class Attempt(Strict):
    """The last attempt of a run that has no record."""

    run_id: str = Field(pattern=NAME)
    """The run."""
    number: int = Field(ge=1)
    """Number of the attempt within one invocation of `run`, from 1."""
    began: str
    """When it began, UTC."""
    ended: str | None
    """When it failed; null while it is running, and where the process was killed."""
    passes: bool | None
    """Whether the failure is retryable; null as long as it has not failed."""
    reason: str | None
    """Why it failed, in one line."""
    progress: str | None = None
    """What it printed last, not more often than `PROGRESS_S`."""

    @model_validator(mode="after")
    def _failed_or_not(self) -> Self:
        if len({self.ended is None, self.passes is None, self.reason is None}) > 1:
            raise ValueError("'ended', 'passes' and 'reason' are given together, or none of them")
        return self


def attempt_file(folder: Path) -> Path:
    """Return the file of the attempts of the run whose record appears in `folder`."""
    return folder.with_name(f"{folder.name}.attempt.json")


def read_attempt(folder: Path) -> Attempt | None:
    """Return the last attempt of a run; None where there was none, or the run has its record.

    Raises:
        UserError: one line with file and field where the note is not valid.
    """
    file = attempt_file(folder)
    if (folder / RECORD).exists():
        return None
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{paths.relative(file)}: cannot be read: {error.strerror}") from None
    return parse_json(Attempt, text, paths.relative(file))


PROGRESS_S = 30.0
"""Between two writes of what a run prints: one takes about a millisecond of another process than the one that measures."""


@contextmanager
def attempting(folder: Path, number: int) -> Iterator[Callable[[str], None]]:
    """Store that an attempt has begun, and why it failed if it does; a run that succeeds leaves no file.

    The block gets a function that stores a line of progress, if it is time for one. A process that is killed, or terminated,
    leaves an attempt that has begun, without end and record.
    """
    started = Attempt(
        run_id=folder.name, number=number, began=utc_now(), ended=None, passes=None, reason=None
    )
    note(folder, started)
    last_s = time.monotonic()

    def progress(line: str) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= PROGRESS_S:
            last_s = time.monotonic()
            with suppress(OSError):
                note(folder, started.model_copy(update={"progress": _one_line(line)}))

    try:
        yield progress
    except Terminated:  # as by SLURM: the invocation that waits for it finds out why
        raise
    except KeyboardInterrupt:
        _remove_note(folder)
        raise
    except UserError as error:
        _failed(folder, started, str(error), isinstance(error, TransientError))
        raise
    except OSError as error:
        _failed(folder, started, f"{error.filename or 'input or output'}: {error.strerror or error}", False)
        raise
    except Exception as error:
        _failed(folder, started, f"{type(error).__name__}: {error}", False)
        raise
    _remove_note(folder)


def note(folder: Path, attempt: Attempt) -> None:
    """Write the attempt of a run atomically."""
    with atomic_write(attempt_file(folder)) as scratch:
        scratch.write_text(attempt.model_dump_json(indent=1) + "\n", encoding="utf-8")


def fail(folder: Path, number: int, reason: str, passes: bool) -> Attempt:
    """Store that a run failed whose process left no reason."""
    try:
        started = read_attempt(folder)
    except UserError:  # the process may have been killed while it wrote
        started = None
    began = utc_now() if started is None else started.began
    given_up = Attempt(
        run_id=folder.name,
        number=number,
        began=began,
        ended=utc_now(),
        passes=passes,
        reason=_one_line(reason),
    )
    note(folder, given_up)
    return given_up


def _failed(folder: Path, started: Attempt, reason: str, passes: bool) -> None:
    ended = started.model_copy(update={"ended": utc_now(), "passes": passes, "reason": _one_line(reason)})
    with suppress(OSError):  # the disk may be full; the reason is printed on the terminal, too
        note(folder, ended)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _remove_note(folder: Path) -> None:
    attempt_file(folder).unlink(missing_ok=True)
