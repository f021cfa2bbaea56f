"""Run a campaign: what is left of it, in a random order; tries again what may pass, notes what does not, and goes on.

Snakemake starts the runs (`workflow/Snakefile`); records appear whole or not at all, so the same command goes on where
the last one stopped, however that was.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from helpers.campaigns import job_status
from helpers.campaigns.job_status import attempt_file
from helpers.campaigns.plan.assignment import MEASURED_BY_RUN
from helpers.campaigns.plan.campaign import CampaignPlan, plan_campaign
from helpers.campaigns.plan.report import summary, time_of
from helpers.campaigns.plan.target import at_site
from helpers.campaigns.run import jobs
from helpers.campaigns.run.progress import Progress, by_reason, state_of
from helpers.campaigns.run.schedule import Schedule, ScheduledRun, again, make_schedule, note_order
from helpers.campaigns.run.sites import LOCAL, Site
from helpers.campaigns.run.snakemake import Tried, measure_once
from helpers.campaigns.run.waiting import Waiting
from helpers.campaigns.run.workflow import workflow_lock
from helpers.core import paths
from helpers.core.errors import TransientError, UserError
from helpers.core.lock import is_held, run_lock
from helpers.records.environment import git_dirty
from helpers.study.campaigns import filed_under
from helpers.study.catalogue import study

LOGGER = logging.getLogger(__name__)

TRIES = 3
"""Of a run whose failure may pass: a port that was taken, a node that was lost, a process that was killed."""
PATIENCE = 150
"""Looks at a queue that does not answer."""
_LOOK_S = 2.0


@dataclass(frozen=True)
class Outcome:
    """What became of a campaign."""

    done: int
    """Runs with a record, also those of earlier calls."""
    failed: dict[str, str]
    """Runs that were tried without success, with the reason."""
    left: int
    """Runs that were not tried, because the call was stopped."""
    cannot_run: dict[str, str]
    """Runs that cannot run here, with the reason."""

    @property
    def complete(self) -> bool:
        """Whether every run of the campaign has a record."""
        return not (self.failed or self.left or self.cannot_run)


def run_campaign(name: str, site: Site = LOCAL, seed: int | None = None) -> Outcome:
    """Measure what is left of a campaign.

    Args:
        name: of the campaign.
        site: where.
        seed: of the order of the runs; chosen, and kept beside the runs, where None.

    Raises:
        UserError: one line, before anything starts, for a fault in the campaign, a record that is in the way, or where
            no run can run here; later, where Snakemake could not start a single run.
    """
    filed_under(name, study())  # a mistyped name is told before the machine is looked at
    here = at_site(site.machine)
    if site.executor == "slurm":
        jobs.check_limit(site)
    with workflow_lock() as lock:
        plan = plan_campaign(name, here=here)
        _check(name, plan)
        cannot = {run.run_id: "; ".join(run.reasons) for run in plan.runs_in({"cannot run"})}
        cannot |= _too_long(plan, site)
        for line in by_reason(cannot):
            LOGGER.warning("cannot run here: %s", line)
        chosen = [run for run in plan.runs_in(MEASURED_BY_RUN) if run.run_id not in cannot]
        done = plan.totals["done"].runs
        if not chosen:
            LOGGER.info("%d of %d runs done, nothing to do", done, len(plan.runs))
            return Outcome(done, {}, 0, cannot)
        schedule = make_schedule(
            chosen, plan.filed_under, plan.machine, site, secrets.randbelow(2**31) if seed is None else seed
        )
        LOGGER.info(
            "%s on %s: %d of %d runs done; %s; order of seed %d",
            *(name, plan.machine, done, len(plan.runs), summary(plan), schedule.seed),
        )
        if git_dirty():
            LOGGER.warning(
                "the working tree has changes (git status): what is measured now cannot be promoted"
            )
        note_order(schedule)
        progress = Progress(plan.filed_under, schedule.runs, done, len(plan.runs))
        stopped = _measure(schedule, lock, progress)
    return _outcome(schedule, progress, done, stopped, cannot)


def _check(name: str, plan: CampaignPlan) -> None:
    """Refuse what a call could not mend.

    Raises:
        UserError: one line for a record that is in the way, and where no run can run here.
    """
    if refused := plan.runs_in({"refused"}):
        more = f" (and {len(refused) - 1} more runs)" if len(refused) > 1 else ""
        raise UserError(f"{'; '.join(refused[0].reasons)}{more}")
    if plan.totals["cannot run"].runs == len(plan.runs):
        raise UserError(
            f"{name}: none of its {len(plan.runs)} runs can run here, first {plan.runs[0].run_id}: "
            f"{'; '.join(plan.runs[0].reasons)}; all reasons: python -m helpers plan {name}"
        )


def _too_long(plan: CampaignPlan, site: Site) -> dict[str, str]:
    """Return the runs that would be ended for their time, whatever limit they are given."""
    if site.executor == "local":
        return {}
    return {
        run.run_id: f"it is expected to take {time_of(run.duration_s)}, jobs of the site end after "
        f"{time_of(60.0 * site.most_min)} (most_min)"
        for run in plan.runs_in(MEASURED_BY_RUN)
        if run.duration_s is not None and run.duration_s > 60 * site.most_min
    }


def _measure(schedule: Schedule, lock: int, progress: Progress) -> bool:
    """Try the runs, and those again whose failure may pass; returns whether it was stopped."""
    for run in schedule.runs:
        _forget_earlier(_folder(schedule, run))
    look = _looks(schedule.site, progress)
    while True:
        elsewhere, log = _left_running(schedule), None
        mine = [run for run in schedule.runs if run.run_id not in elsewhere]
        if mine:
            tried = measure_once(schedule.model_copy(update={"runs": mine}), lock, look)
            progress.look()
            if tried.stopped:
                return True
            _check_begun(schedule, mine, tried)
            log = tried.log
        _wait_for(elsewhere, progress)
        waiting = _note_the_lost(schedule, log, progress)
        if not waiting:
            return False
        schedule = again(schedule, waiting)
        LOGGER.info("trying again: %s", ", ".join(run.run_id for run in waiting))


def _looks(site: Site, progress: Progress) -> Callable[[], None]:
    """Return what is looked at while runs are measured."""
    if site.executor == "local":
        return progress.look
    waiting = Waiting(site.check_s)

    def look() -> None:
        progress.look()
        waiting.look()

    return look


def _forget_earlier(folder: Path) -> None:
    """Remove the note of an earlier call's try, unless an orphan of it still measures the run."""
    note = attempt_file(folder)
    if note.exists() and not is_held(run_lock(folder)):
        note.unlink(missing_ok=True)


def _left_running(schedule: Schedule) -> set[str]:
    """Return the runs that jobs of an earlier call measure; those of its jobs that only wait are taken back."""
    if schedule.site.executor == "local":
        return set()  # an orphan holds the run's lock, and the next try waits for it
    found = _queue()
    jobs.cancel(job for job in found if job.pending)
    running = {job.run_id for job in found if not job.pending} & {run.run_id for run in schedule.runs}
    if running:
        LOGGER.info("waiting for jobs of an earlier call: %s", ", ".join(sorted(running)))
    return running


def _wait_for(elsewhere: set[str], progress: Progress) -> None:
    while elsewhere and elsewhere & {job.run_id for job in _queue()}:
        progress.look()
        time.sleep(_LOOK_S)


def _queue() -> list[jobs.Job]:
    """Return the jobs in the queue; a controller that is restarted meanwhile is waited for.

    Raises:
        TransientError: one line where it does not come back.
    """
    for _ in range(PATIENCE):
        with suppress(TransientError):
            return jobs.in_queue()
        time.sleep(_LOOK_S)
    return jobs.in_queue()


def _check_begun(schedule: Schedule, runs: Sequence[ScheduledRun], tried: Tried) -> None:
    """Find out whether any run has begun.

    Raises:
        UserError: one line with what Snakemake said where none has.
    """
    states = [state_of(_folder(schedule, run)) for run in runs]
    if any(state.record or state.attempt is not None for state in states):
        return
    raise UserError(f"no run has begun: {_said(tried.log)[:300]}; the whole log: {paths.relative(tried.log)}")


def _said(log: Path) -> str:
    """Return what went wrong by Snakemake's log: what sbatch said, else the first line on an error and the next."""
    if refused := _of_sbatch(log):
        return refused
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    first = next((number for number, line in enumerate(lines) if re.search("Error|Exception", line)), None)
    if first is None:
        return (
            "Snakemake said nothing of an error" if lines else "Snakemake's log is empty (is the disk full?)"
        )
    return " ".join(lines[first : first + 2])


def _of_sbatch(log: Path) -> str | None:
    text = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
    found = re.search(r"SLURM sbatch failed\. The error message was '(.+?)'", text)
    return found[1] if found else None


def _note_the_lost(schedule: Schedule, log: Path | None, progress: Progress) -> list[ScheduledRun]:
    """Note why runs ended that said nothing; returns those that are worth another try.

    Args:
        schedule: the runs that were tried.
        log: of Snakemake; None where it was not started.
        progress: tells them.
    """
    waiting = []
    for run in schedule.runs:
        state = state_of(_folder(schedule, run))
        if state.record:
            continue
        attempt = state.attempt
        if attempt is None or attempt.reason is None:
            reason, passes = _why_lost(schedule, run, log, begun=attempt is not None)
            attempt = job_status.fail(_folder(schedule, run), schedule.attempt, reason, passes)
        if attempt.passes and schedule.attempt < TRIES:
            waiting.append(run)
    progress.look()
    return waiting


def _why_lost(schedule: Schedule, run: ScheduledRun, log: Path | None, begun: bool) -> tuple[str, bool]:
    """Say why a run ended that noted nothing, and whether it may pass."""
    if schedule.site.executor == "local" or log is None:
        return _KILLED, True
    word = jobs.last_word(
        run.run_id, schedule.site, since_s=log.with_suffix(".json").stat().st_mtime - _SLACK_S
    )
    state = word.state or ""
    if state.startswith("TIMEOUT"):
        said = f"SLURM ended its job: {state} after {run.limit_min} min; raise limit_factor or most_min of the site"
        return said, run.limit_min < schedule.site.most_min
    if state.startswith(_NEVER_PASS):
        return f"SLURM ended its job: {state}", False
    if word.error is not None:
        return word.error, False
    if not begun and (refused := _of_sbatch(log)):
        return refused, True
    return f"SLURM ended its job: {state}" if state else _KILLED, True


_KILLED = "the process ended without a word (killed?)"
_NEVER_PASS = ("OUT_OF_MEMORY", "CANCELLED", "DEADLINE")
_SLACK_S = 60.0
"""Between the clocks of this machine and of a file server."""


def _outcome(
    schedule: Schedule, progress: Progress, done: int, stopped: bool, cannot: dict[str, str]
) -> Outcome:
    states = {run.run_id: state_of(_folder(schedule, run)) for run in schedule.runs}
    failed = progress.failures()
    measured = sum(state.record for state in states.values())
    left = len(states) - measured - len(failed) if stopped else 0
    return Outcome(done + measured, failed, left, cannot)


def _folder(schedule: Schedule, run: ScheduledRun) -> Path:
    return paths.RUNS / schedule.campaign / run.run_id
