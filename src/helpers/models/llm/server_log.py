"""What a server that failed has to say: how it ended, its first error, its last lines, and whether to try again."""

import re
import signal
from pathlib import Path

from helpers.core.errors import PassingError, UserError, is_out_of_memory
from helpers.models.llm import watchdog
from helpers.models.llm.health_check import shortened

LOG_LINES = 4
_KILLED = "by SIGKILL"
_IN_USE = "address already in use"
"""In the log of an engine whose port was taken between our look and its own."""
_REMEDY = "out of memory: end other programs on the machine, or take a smaller max_model_len, more gpus or a smaller model"


def fault(found: str, log: Path | None) -> UserError:
    """Return the error for what was found of a server, with what its log says.

    It may pass where a port was in use. Where memory was short it does not, and the line says what helps.
    """
    said = _told(log)
    if _IN_USE in said.lower():
        return PassingError(f"{found}; its port was in use, start again; {said}")
    if is_out_of_memory(said) or _KILLED in found:
        return UserError(f"{found}; {_REMEDY}; {said}")
    return UserError(f"{found}; {said}")


def how(status: int) -> str:
    """Say how a guarded engine ended."""
    if status <= watchdog.BY_SIGNAL:
        return f"with status {status}"
    name = signal.Signals(status - watchdog.BY_SIGNAL).name
    return f"by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"


def _told(log: Path | None) -> str:
    """Return the first error in a log and its last lines."""
    if log is None:
        return "it was not started here"
    try:
        lines = [shortened(line) for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        lines = []
    lines = [line for line in lines if line]
    causes = [
        line
        for line in lines
        if re.search(r"\b[A-Z]\w*(Error|Exception): ", line) and not line.startswith("WARNING")
    ]
    shown = [*(line for line in causes[:1] if line not in lines[-LOG_LINES:]), *lines[-LOG_LINES:]]
    return f"its log ends: {' | '.join(shown) or '(empty)'}"
