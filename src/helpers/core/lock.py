"""Locks: one measurement at a time on a machine, one workflow at a time in a checkout."""

import errno
import fcntl
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from helpers.core.errors import UserError

LOCK_VARIABLE = "COMPANION_MACHINE_LOCK"
MACHINE_LOCK = Path(os.environ.get(LOCK_VARIABLE) or "/tmp/text-classification-energy.lock")  # noqa: S108
"""One file for all users of a machine."""


@contextmanager
def holding(file: Path, occupied: str) -> Iterator[int]:
    """Hold a lock file; waits while another process does, and says so with `occupied`.

    The operating system drops the lock when its holder ends, however it ends: an orphan is waited for, a
    dead process is not. Gives the file descriptor, for a child process that shall hold the lock, too.
    """
    descriptor = _open(file)
    try:
        # the name alone: the message may appear in a notebook, which names no folder
        _wait(descriptor, f"waiting: {occupied} ({file.name})")
        yield descriptor
    finally:
        os.close(descriptor)


def fetch_lock(folder: Path) -> Path:
    """Return the lock of a folder that downloads go into: not in it, for many shared file systems have no locks."""
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"text-classification-fetch-{key}.lock"


def run_lock(folder: Path) -> Path:
    """Return the lock of the run whose record appears in `folder`."""
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def holding_machine(cool_down_s: float) -> Iterator[None]:
    """Hold this machine for one measurement, once it has rested since the end of the last one on it.

    That end is the lock file's time of change; who comes from another user's measurement may note it, too.
    """
    with holding(MACHINE_LOCK, "another measurement runs on this machine") as lock:
        with suppress(OSError):  # another user's file, and open to all already
            os.fchmod(lock, 0o666)
        rested_s = max(time.time() - os.fstat(lock).st_mtime, 0.0)  # below 0 where the clock was set back
        time.sleep(max(cool_down_s - rested_s, 0.0))
        try:
            yield
        finally:
            with suppress(OSError):  # made by hand, not by us
                os.utime(lock)


def is_held(file: Path) -> bool:
    """Say whether another process holds the lock at this moment."""
    descriptor = _open(file)
    try:
        return not _take(descriptor)
    finally:
        os.close(descriptor)


def _wait(descriptor: int, message: str) -> None:
    announced = False
    while not _take(descriptor):
        if not announced:
            print(message, file=sys.stderr, flush=True)
            announced = True
        time.sleep(0.2)


def _take(descriptor: int) -> bool:
    """Take a lock, if nobody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise UserError(
            f"a lock cannot be taken here ({error.strerror}), expected a file system that knows locks; ask for it to be mounted "
            "with them (Lustre: flock), or put the checkout elsewhere"
        ) from None
    return True


def _open(file: Path) -> int:
    with suppress(FileNotFoundError):
        return _open_known(file)
    with suppress(FileExistsError):
        made = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        os.utime(made, (0, 0))  # nobody has held it yet
        return made
    return _open_known(file)


def _open_known(file: Path) -> int:
    """Open a lock for writing, which NFS asks for; another user's for reading, which is enough on a machine.

    Raises:
        UserError: one line where the lock is a link: anybody may put one into /tmp, to a file of another user.
    """
    try:
        with suppress(PermissionError):
            return os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UserError(f"{file}: is a link, expected a lock file; remove it") from None
