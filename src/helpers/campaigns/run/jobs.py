"""SLURM's queue beside Snakemake: jobs of an earlier invocation, what pending jobs wait for, how a job ended."""

import logging
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from helpers.campaigns.run.progress import by_reason
from helpers.campaigns.run.sites import Site
from helpers.core import paths
from helpers.core.errors import TransientError, UserError, nearest
from helpers.core.slurm import ask

LOGGER = logging.getLogger(__name__)

LOGS = paths.RUNS / ".workflow" / "slurm" / "rule_measure"
"""Snakemake's slurm executor keeps the logs of jobs that failed as RUN/JOB.log."""
_COMMENT = "rule_measure_wildcards_"
"""How that executor's comment on a job begins; the run follows."""
MAX_POLLS = 150
"""Of a queue that does not answer."""
_POLL_S = 2.0
_OWN_TURN = ("None", "Priority", "Resources", "BeginTime", "Prolog", "Licenses", "Cleaning")
"""SLURM's reasons for waiting that end by themselves."""


@dataclass(frozen=True)
class Job:
    """A job of this checkout in the queue."""

    job_id: str
    run_id: str
    pending: bool
    reason: str
    """What it waits for, in SLURM's words: `Resources`, `PartitionDown`."""


def queued_jobs() -> list[Job]:
    """Return the measurements of this checkout that wait or run.

    Raises:
        TransientError: one line where SLURM does not answer.
    """
    text = ask("squeue", "--me", "--noheader", "--format=%i|%T|%r|%Z|%k")
    queued = []
    for line in text.splitlines():
        job_id, state, reason, folder, comment = line.split("|", 4)
        if Path(folder) == paths.ROOT and comment.startswith(_COMMENT):
            queued.append(Job(job_id, comment.removeprefix(_COMMENT), state == "PENDING", reason))
    return queued


def wait_for_queue() -> list[Job]:
    """Return the jobs in the queue; waits for a controller that is being restarted.

    Raises:
        TransientError: one line where it does not come back.
    """
    for _ in range(MAX_POLLS):
        with suppress(TransientError):
            return queued_jobs()
        time.sleep(_POLL_S)
    return queued_jobs()


def wait_for(runs: set[str], poll: Callable[[], None]) -> None:
    """Wait until no job measures one of the runs; `poll` is called meanwhile.

    Raises:
        TransientError: one line where SLURM stops answering.
    """
    while runs and runs & {job.run_id for job in wait_for_queue()}:
        poll()
        time.sleep(_POLL_S)


class QueueMonitor:
    """Logs what pending jobs of this checkout wait for beside their turn, once for each reason.

    Args:
        interval_s: between two polls; a controller has others to serve.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._next_s = time.monotonic() + interval_s
        self._reported: set[str] = set()

    def poll(self) -> None:
        """Log new reasons since the last poll; does nothing before its time, or while SLURM does not answer."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + self._interval_s
        with suppress(TransientError):
            reasons = {
                job.run_id: job.reason
                for job in queued_jobs()
                if job.pending and job.reason and not job.reason.startswith(_OWN_TURN)
            }
            new = {run: reason for run, reason in reasons.items() if reason not in self._reported}
            for line in by_reason(new):
                LOGGER.warning("waits in the queue: %s", line)
            self._reported |= set(reasons.values())


def cancel(chosen: Iterable[Job]) -> None:
    """Cancel jobs, pending or running; those that have ended meanwhile are ignored."""
    for job in chosen:
        with suppress(TransientError):
            ask("scancel", job.job_id)


def check_limit(site: Site) -> None:
    """Check that jobs of the longest time limit can run: SLURM would let them wait for ever.

    Raises:
        TransientError: one line where SLURM does not answer.
        UserError: one line where the partition is not there, or ends its jobs earlier.
    """
    partitions = ask("sinfo", "--noheader", "--format=%P|%l").splitlines()
    limits = dict(line.split("|", 1) for line in partitions)
    name = site.partition or next((item[:-1] for item in limits if item.endswith("*")), None)
    limits_by_name = {item.rstrip("*"): limit for item, limit in limits.items()}
    if name is None or name not in limits_by_name:
        raise UserError(
            f"partition: {name} is not one of the cluster ({nearest(name, limits_by_name)}); correct the site"
        )
    limit_min = _minutes(limits_by_name[name])
    if limit_min is not None and site.most_min > limit_min:
        raise UserError(
            f"most_min: {site.most_min} min, partition {name} ends its jobs after {limit_min}; set most_min: {limit_min} "
            "in the site"
        )


def _minutes(limit: str) -> int | None:
    """Return a limit as SLURM writes it (`1-00:00:00`, `30:00`) in minutes; None where there is none."""
    if not limit.replace("-", ":").replace(":", "").isdigit():
        return None
    days, _, rest = limit.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    hours = [0] * (3 - len(parts)) + parts
    return int(days or 0) * 1440 + hours[0] * 60 + hours[1]


@dataclass(frozen=True)
class ExitStatus:
    """How the last job of a run ended."""

    state: str | None
    """In which SLURM ended it, such as `TIMEOUT`; None where it forgot."""
    error: str | None
    """The error that the measurement printed."""


def exit_status(run_id: str, site: Site, since_s: float) -> ExitStatus:
    """Return how the last job of a run ended, of those that have written since then (a file's time, s)."""
    logs = [
        log for log in (LOGS / run_id).glob("*.log") if log.stem.isdigit() and log.stat().st_mtime >= since_s
    ]
    if not logs:
        return ExitStatus(None, None)
    newest = max(logs, key=lambda log: int(log.stem))
    errors = re.findall(r"^error: (.+)$", newest.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return ExitStatus(_state(newest.stem, site), errors[-1] if errors else None)


def _state(job: str, site: Site) -> str | None:
    with suppress(TransientError):
        if site.accounting:
            states = ask("sacct", "-X", "-n", "-P", "-o", "State", "-j", job).split()
            return states[0] if states else None
        answer = ask("scontrol", "--oneliner", "show", "job", job)
        return next((word.partition("=")[2] for word in answer.split() if word.startswith("JobState=")), None)
    return None
