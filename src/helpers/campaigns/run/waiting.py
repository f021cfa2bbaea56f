"""Jobs that wait in the queue for something else than their turn, as for nodes that were taken out of service."""

import logging
import time
from contextlib import suppress

from helpers.campaigns.run import jobs
from helpers.campaigns.run.progress import by_reason
from helpers.core.errors import TransientError

LOGGER = logging.getLogger(__name__)

_TURN = ("None", "Priority", "Resources", "BeginTime", "Prolog", "Licenses", "Cleaning")
"""Reasons of SLURM that end without anybody's doing."""


class Waiting:
    """Tells what the jobs of this checkout wait for, once for each reason.

    Args:
        look_s: between two looks; a controller has others to serve.
    """

    def __init__(self, look_s: float) -> None:
        self._look_s = look_s
        self._next_s = time.monotonic() + look_s
        self._told: set[str] = set()

    def look(self) -> None:
        """Tell what is new since the last look. None is taken before its time, or while SLURM does not answer."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + self._look_s
        with suppress(TransientError):
            waiting = {job.run_id: job.reason for job in jobs.in_queue() if job.pending}
            self._note({run: reason for run, reason in waiting.items() if not _turn(reason)})

    def _note(self, waiting: dict[str, str]) -> None:
        for line in by_reason({run: reason for run, reason in waiting.items() if reason not in self._told}):
            LOGGER.warning("waits in the queue: %s", line)
        self._told |= set(waiting.values())


def _turn(reason: str) -> bool:
    return not reason or reason.startswith(_TURN)
