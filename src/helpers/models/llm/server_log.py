"""The error for a server that failed: how it ended, the first error and last lines of its log, whether to retry."""

import re
import signal
from pathlib import Path

from helpers.core.errors import TransientError, UserError, is_out_of_memory
from helpers.models.llm import watchdog

LOG_LINES = 4
_KILLED = "by SIGKILL"
_IN_USE = "address already in use"
"""In the log of an engine whose port was taken between our check and its start."""
_WORKER_DIED = "died unexpectedly"
"""What vLLM writes where one of its worker processes was killed; the errors below it only follow from that."""
_REMEDY = "out of memory: end other programs on the machine, or take a smaller max_model_len, more gpus or a smaller model"


SERVER_LOG = "; its log ends: "
"""Between the message of an error and the lines of the server's log."""


def fault(problem: str, log: Path | None) -> UserError:
    """Return the error for a problem of a server, with a summary of its log.

    It is transient where a port was in use; where memory was short it is not, and the line says what helps.
    """
    log_summary = _summary(log)
    if _IN_USE in log_summary.lower():
        return TransientError(f"{problem}; its port was in use, start again{log_summary}")
    if is_out_of_memory(log_summary) or _KILLED in problem or _WORKER_DIED in log_summary:
        return UserError(f"{problem}; {_REMEDY}{log_summary}")
    return UserError(f"{problem}{log_summary}")


def exit_reason(status: int) -> str:
    """Say how an engine under the watchdog ended."""
    if status <= watchdog.BY_SIGNAL:
        return f"with status {status}"
    name = signal.Signals(status - watchdog.BY_SIGNAL).name
    return f"by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"


def _summary(log: Path | None) -> str:
    """Return the first error in a log and its last lines, to be put behind a message."""
    if log is None:
        return "; it was not started here"
    try:
        lines = [shortened(line) for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        lines = []
    lines = [line for line in lines if line]
    causes = [
        line
        for line in lines
        if _WORKER_DIED in line
        or (re.search(r"\b[A-Z]\w*(Error|Exception): ", line) and not line.startswith("WARNING"))
    ]
    causes.sort(key=lambda line: _WORKER_DIED not in line)
    shown = [*(line for line in causes[:1] if line not in lines[-LOG_LINES:]), *lines[-LOG_LINES:]]
    return f"{SERVER_LOG}{' | '.join(shown) or '(empty)'}"


def shortened(line: str) -> str:
    """Return a line of a log or an answer without colours and names of processes, 300 characters at most."""
    line = re.sub(r"\x1b\[[0-9;]*m|^(\(\w+.*?pid=\d+\) )+", "", line).strip()
    return " ".join(line.split())[:300]
