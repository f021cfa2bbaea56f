"""What is asked of SLURM beside Snakemake: jobs that an earlier call left, and why a job ended without a word."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from helpers import paths
from helpers.errors import PassingError
from helpers.running.sites import Site
from helpers.slurm import ask

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


def in_queue() -> list[Job]:
    """Return the measurements of this checkout that wait or run.

    Raises:
        PassingError: one line where SLURM does not answer.
    """
    text = ask("squeue", "--me", "--noheader", "--format=%i|%T|%Z|%k")
    found = []
    for line in text.splitlines():
        job_id, state, folder, comment = line.split("|", 3)
        if Path(folder) == paths.ROOT and comment.startswith(_COMMENT):
            found.append(Job(job_id, comment.removeprefix(_COMMENT), state == "PENDING"))
    return found


def cancel(chosen: Iterable[Job]) -> None:
    """Take jobs out of the queue, or end them; one that has ended meanwhile is none to be cancelled."""
    for job in chosen:
        with suppress(PassingError):
            ask("scancel", job.job_id)


def last_word(run_id: str, site: Site) -> str | None:
    """Return in what state the last job of a run ended, by SLURM: `TIMEOUT`, `NODE_FAIL`; None where it forgot."""
    ids = sorted((int(log.stem) for log in (LOGS / run_id).glob("*.log") if log.stem.isdigit()), reverse=True)
    if not ids:
        return None
    try:
        if site.accounting:
            text = ask("sacct", "-X", "-n", "-P", "-o", "State", "-j", str(ids[0]))
            return text.split()[0] if text.split() else None
        told = ask("scontrol", "--oneliner", "show", "job", str(ids[0]))
    except PassingError:
        return None
    return next((word.partition("=")[2] for word in told.split() if word.startswith("JobState=")), None)
