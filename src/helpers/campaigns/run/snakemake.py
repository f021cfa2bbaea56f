"""One attempt of the runs of a schedule: Snakemake from its start to its end, and the errors in its log."""

import logging
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from helpers.campaigns.run import jobs, workflow
from helpers.campaigns.run.schedule import Schedule, write_schedule
from helpers.campaigns.run.sites import Site
from helpers.core.errors import Terminated, TransientError

LOGGER = logging.getLogger(__name__)

POLL_S = 0.5
"""Between two polls of the runs."""
GRACE_S = 20.0
"""For measurements that were interrupted; they remove what they had begun."""
STOPPING = "stopping: current measurements are completed; Ctrl-C again stops them at once"


@dataclass(frozen=True)
class AttemptResult:
    """How an attempt ended."""

    stopped: bool
    """With Ctrl-C."""
    log: Path
    """All that Snakemake and the measurements printed."""


def measure_once(schedule: Schedule, lock: int, poll: Callable[[], None]) -> AttemptResult:
    """Let Snakemake measure the runs of a schedule.

    After the first Ctrl-C no further run begins; after the second one what runs is ended. Whatever a run had begun is
    removed then, and measured by the next invocation.

    Args:
        schedule: the runs.
        lock: of the workflow; Snakemake holds it, too.
        poll: called twice a second.
    """
    file = write_schedule(schedule)
    log = file.with_suffix(".log")
    with log.open("wb") as out:
        options = ["--config", f"schedule={file}", *_site_options(schedule.site)]
        process = workflow.start("campaign", schedule.site.executor, options, lock, out)
    try:
        try:
            _watch(process, poll)
            return AttemptResult(False, log)
        except Terminated:
            raise
        except KeyboardInterrupt:
            LOGGER.warning(STOPPING)
            _begin_no_more(process, schedule.site)
            _watch(process, poll)
    except Terminated:
        _leave(process, schedule.site)
    except KeyboardInterrupt:
        LOGGER.warning("stopping at once")
        _end(process, schedule.site)
    return AttemptResult(True, log)


def _site_options(site: Site) -> Sequence[str]:
    if site.executor == "local":
        return []
    return [
        *("--jobs", str(site.jobs)),
        *("--slurm-status-command", "sacct" if site.accounting else "squeue"),
        *("--slurm-init-seconds-before-status-checks", str(site.check_s)),
        *("--seconds-between-status-checks", str(site.check_s)),
        *(["--slurm-no-account"] if site.account is None else []),
    ]


def _watch(process: "subprocess.Popen[bytes]", poll: Callable[[], None]) -> None:
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
            return
        poll()


def _begin_no_more(process: "subprocess.Popen[bytes]", site: Site) -> None:
    process.terminate()  # Snakemake waits for what runs, and starts nothing
    if site.executor == "slurm":
        with suppress(TransientError):
            jobs.cancel(job for job in jobs.queued_jobs() if job.pending)


def _end(process: "subprocess.Popen[bytes]", site: Site) -> None:
    """End Snakemake and all measurements: first as Ctrl-C does, then by force. A further Ctrl-C does not hinder that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    below = _below(process)
    if site.executor == "slurm":
        with suppress(TransientError):
            jobs.cancel(jobs.queued_jobs())
    for child in below:
        with suppress(psutil.Error):
            if "helpers" in child.cmdline():
                child.send_signal(signal.SIGINT)
    psutil.wait_procs(below, GRACE_S)
    for child in _below(process):
        with suppress(psutil.Error):
            child.kill()
    process.kill()
    process.wait()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(process: "subprocess.Popen[bytes]", site: Site) -> None:
    """End at once, without terminal: what runs here ends, too; jobs run on, and the next invocation waits for them."""
    if site.executor == "local":
        _end(process, site)
    else:
        process.kill()
        process.wait()


def _below(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def read_error(log: Path) -> str:
    """Return the error in Snakemake's log: that of sbatch, else the first line with an error and the next."""
    text = log.read_text(encoding="utf-8", errors="replace")
    if refusal := sbatch_error(log):
        return refusal
    lines = [line.strip() for line in text.splitlines()]
    first = next((number for number, line in enumerate(lines) if re.search("Error|Exception", line)), None)
    if first is None:
        return "Snakemake reported no error" if lines else "Snakemake's log is empty (is the disk full?)"
    return " ".join(lines[first : first + 2])


def sbatch_error(log: Path) -> str | None:
    """Return why sbatch refused a job, by Snakemake's log; None where it refused none."""
    text = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
    match = re.search(r"SLURM sbatch failed\. The error message was '(.+?)'", text)
    return match[1] if match else None
