"""Starts an engine and ends it with everything it started, whatever becomes of the process that wants it.

A program of its own, for nothing that runs inside a process survives `kill -9` of that process. It ends the
engine when its standard input closes, which the operating system does for every end of its parent.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

GRACE_S = 20.0
"""How long an engine may take to end by itself; vLLM takes about 2 s and then frees its shared memory."""
PATIENCE_S = 3.0
"""For what the engine leaves behind."""
BY_SIGNAL = 128
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (where Linux shows it)
_DEATH_SIGNAL, _ADOPT_ORPHANS = 1, 36  # prctl's PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER


def main(arguments: Sequence[str]) -> int:
    """Watch one engine: LOG FOLDER COMMAND...; returns its exit status, or 128 plus the signal that ended it.

    LOG takes everything that it prints, FOLDER is removed after its end.
    """
    log, folder, *command = arguments
    parent = os.getppid()
    signal.signal(signal.SIGTERM, _stop)
    _prctl(_ADOPT_ORPHANS, 1)
    try:
        with Path(log).open("wb") as out:
            engine = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_watchdog,  # noqa: PLW1509  (this process has one thread)
            )
        try:
            while engine.poll() is None and not _abandoned(parent):
                pass
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            status = _end(engine)
        return status if status >= 0 else BY_SIGNAL - status
    finally:
        _remove(Path(folder))


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)


def _abandoned(parent: int) -> bool:
    """Wait a moment; say whether the parent has closed the pipe or is gone."""
    readable, _, _ = select.select([sys.stdin], [], [], 0.2)
    return bool(readable) or os.getppid() != parent


def _end(engine: "subprocess.Popen[bytes]") -> int:
    if engine.poll() is None:
        engine.terminate()
        try:
            engine.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            engine.kill()
    status = engine.wait()
    # A dead engine leaves processes behind, and shared memory. Python's cleaner of that is one of them: it ends by
    # itself, after all others have, and must not be killed before.
    _signal_all(signal.SIGTERM)
    _signal_all(signal.SIGKILL, spared="multiprocessing.resource_tracker")
    _signal_all(signal.SIGKILL)
    return status


def _remove(folder: Path) -> None:
    """Remove the engine's temporary files, and the shared memory that vLLM's CPU processes name after one of them."""
    for mark in folder.glob("vllm_dist_*"):
        for piece in SHARED_MEMORY.glob(f"{mark.name}-*"):
            piece.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _signal_all(number: signal.Signals, spared: str = "\0") -> None:
    """Signal all processes of the engine but those that are `spared`; wait until all have ended, for a while."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with suppress(psutil.Error):
            if spared not in " ".join(process.cmdline()):
                process.send_signal(number)
    psutil.wait_procs(left, PATIENCE_S)


def _die_with_watchdog() -> None:
    _prctl(_DEATH_SIGNAL, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
