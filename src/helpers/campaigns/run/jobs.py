"""What is asked of SLURM beside Snakemake: jobs that an earlier call left, and why a job ended without a word."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from helpers.campaigns.run.sites import Site
from helpers.core import paths
from helpers.core.errors import TransientError, UserError, nearest
from helpers.core.slurm import ask

LOGS = paths.RUNS / ".workflow" / "slurm" / "rule_measure"
"""Snakemake's slurm executor keeps the logs of jobs that failed as RUN/JOB.log."""
_COMMENT = "rule_measure_wildcards_"
"""How that executor's comment on a job begins; the run follows."""


@dataclass(frozen=True)
class Job:
    """A job of this checkout in the queue."""

    job_id: str
    run_id: str
    pending: bool
    reason: str
    """What it waits for, as SLURM says it: `Resources`, `PartitionDown`."""


def in_queue() -> list[Job]:
    """Return the measurements of this checkout that wait or run.

    Raises:
        TransientError: one line where SLURM does not answer.
    """
    text = ask("squeue", "--me", "--noheader", "--format=%i|%T|%r|%Z|%k")
    found = []
    for line in text.splitlines():
        job_id, state, reason, folder, comment = line.split("|", 4)
        if Path(folder) == paths.ROOT and comment.startswith(_COMMENT):
            found.append(Job(job_id, comment.removeprefix(_COMMENT), state == "PENDING", reason))
    return found


def cancel(chosen: Iterable[Job]) -> None:
    """Take jobs out of the queue, or end them; one that has ended meanwhile is none to be cancelled."""
    for job in chosen:
        with suppress(TransientError):
            ask("scancel", job.job_id)


def check_limit(site: Site) -> None:
    """Check that jobs of the longest time limit can run: SLURM would let them wait for ever.

    Raises:
        TransientError: one line where SLURM does not answer.
        UserError: one line where the partition is not there, or ends its jobs earlier.
    """
    told = ask("sinfo", "--noheader", "--format=%P|%l").splitlines()
    limits = dict(line.split("|", 1) for line in told)
    name = site.partition or next((item[:-1] for item in limits if item.endswith("*")), None)
    known = {item.rstrip("*"): limit for item, limit in limits.items()}
    if name is None or name not in known:
        raise UserError(
            f"partition: {name} is not one of the cluster ({nearest(name, known)}); correct the site"
        )
    limit_min = _minutes(known[name])
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
class LastWord:
    """What is known of the last job of a run."""

    state: str | None
    """In which SLURM ended it, such as `TIMEOUT`; None where it forgot."""
    error: str | None
    """The error that the measurement told."""


def last_word(run_id: str, site: Site, since_s: float) -> LastWord:
    """Return how the last job of a run ended, of those that have written since then (a file's time, s)."""
    logs = [
        log for log in (LOGS / run_id).glob("*.log") if log.stem.isdigit() and log.stat().st_mtime >= since_s
    ]
    if not logs:
        return LastWord(None, None)
    newest = max(logs, key=lambda log: int(log.stem))
    told = re.findall(r"^error: (.+)$", newest.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return LastWord(_state(newest.stem, site), told[-1] if told else None)


def _state(job: str, site: Site) -> str | None:
    with suppress(TransientError):
        if site.accounting:
            found = ask("sacct", "-X", "-n", "-P", "-o", "State", "-j", job).split()
            return found[0] if found else None
        told = ask("scontrol", "--oneliner", "show", "job", job)
        return next((word.partition("=")[2] for word in told.split() if word.startswith("JobState=")), None)
    return None
