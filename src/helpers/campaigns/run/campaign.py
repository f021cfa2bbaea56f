"""Run a campaign: measure its missing runs in a random order, retry what is retryable, record other failures, go on.

Snakemake starts the runs (`workflow/Snakefile`). Records are written atomically, so the same command goes on where the
last one stopped.
"""

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers.campaigns import job_status
from helpers.campaigns.job_status import attempt_file
from helpers.campaigns.plan.assignment import MEASURED_BY_RUN
from helpers.campaigns.plan.campaign import CampaignPlan, expected_cost, plan_campaign
from helpers.campaigns.plan.reference_runs import load_reference_runs
from helpers.campaigns.plan.report import duration_text, summary
from helpers.campaigns.plan.target import Target, site_target
from helpers.campaigns.run import jobs
from helpers.campaigns.run.progress import Cost, Progress, by_reason, read_status
from helpers.campaigns.run.schedule import Schedule, ScheduledRun, add_to_run_order, make_schedule, reschedule
from helpers.campaigns.run.sites import LOCAL, Site
from helpers.campaigns.run.snakemake import measure_once, read_error, sbatch_error
from helpers.campaigns.run.workflow import check_folders, workflow_lock
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.lock import is_held, run_lock
from helpers.records.environment import git_dirty, git_problem
from helpers.study.campaigns import filed_under
from helpers.study.catalogue import study

LOGGER = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""Of a run whose failure is retryable: a port that was taken, a node that was lost, a process that was killed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a campaign."""

    done: int
    """Runs with a record, also those of earlier invocations."""
    failed: dict[str, str]
    """Runs whose last attempt failed, with the reason."""
    left: int
    """Runs without an attempt, because the invocation was stopped."""
    cannot_run: dict[str, str]
    """Runs that cannot run here, with the reason."""

    @property
    def complete(self) -> bool:
        """Whether every run of the campaign has a record."""
        return not (self.failed or self.left or self.cannot_run)


def run_campaign(name: str, site: Site = LOCAL, seed: int | None = None) -> Outcome:
    """Measure the missing runs of a campaign.

    Args:
        name: of the campaign.
        site: where its runs are measured.
        seed: of the run order; random where None, and stored with the runs.

    Raises:
        UserError: one line, before anything starts, for a fault in the campaign, for an invalid record, or where no run
            can run here; later, where Snakemake could not start a single run.
    """
    check_folders()
    filed_under(name, study())  # a mistyped name is an error before the machine is inspected
    target = site_target(site.machine)
    if site.executor == "slurm":
        jobs.check_limit(site)
    with workflow_lock() as lock:
        plan = plan_campaign(name, here=target)
        _check(name, plan)
        cannot_run = {run.run_id: "; ".join(run.reasons) for run in plan.runs_in({"cannot run"})}
        cannot_run |= _too_long(plan, site)
        for line in by_reason(cannot_run):
            LOGGER.warning("cannot run here: %s", line)
        to_measure = [run for run in plan.runs_in(MEASURED_BY_RUN) if run.run_id not in cannot_run]
        done = plan.totals["done"].runs
        if not to_measure:
            LOGGER.info("%d of %d runs done, nothing to do", done, len(plan.runs))
            return Outcome(done, {}, 0, cannot_run)
        seed = secrets.randbelow(2**31) if seed is None else seed
        schedule = make_schedule(to_measure, plan.filed_under, plan.machine, site, seed)
        LOGGER.info(
            "%s on %s: %d of %d runs done; %s; order of seed %d",
            *(name, plan.machine, done, len(plan.runs), summary(plan), schedule.seed),
        )
        if (problem := git_problem()) is not None:
            LOGGER.warning("the commit is unknown, so what is measured now cannot be promoted: %s", problem)
        elif git_dirty():
            LOGGER.warning(
                "the working tree has changes (git status): what is measured now cannot be promoted"
            )
        add_to_run_order(schedule)
        progress = Progress(plan.filed_under, schedule.runs, done, len(plan.runs), _expectation(plan, target))
        stopped = _measure(schedule, lock, progress)
    return _outcome(schedule, progress, done, stopped, cannot_run)


def _expectation(plan: CampaignPlan, target: Target) -> Callable[[Sequence[str]], Mapping[str, Cost]]:
    """Return what gives the expected costs of runs, by their names, from the records that there are when it is called."""
    plans = {run.run_id: run.plan for run in plan.runs}

    def expect(run_ids: Sequence[str]) -> dict[str, Cost]:
        references = load_reference_runs()
        return {run_id: expected_cost(plans[run_id], target, references) for run_id in run_ids}

    return expect


def _check(name: str, plan: CampaignPlan) -> None:
    """Refuse what an invocation could not repair.

    Raises:
        UserError: one line for an invalid record, and where no run can run here.
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
    """Return the runs whose estimate exceeds the longest time limit of the site."""
    if site.executor == "local":
        return {}
    return {
        run.run_id: f"it is expected to take {duration_text(run.duration_s)}, jobs of the site end after "
        f"{duration_text(60.0 * site.most_min)} (most_min)"
        for run in plan.runs_in(MEASURED_BY_RUN)
        if run.duration_s is not None and run.duration_s > 60 * site.most_min
    }


def _measure(schedule: Schedule, lock: int, progress: Progress) -> bool:
    """Measure the runs, and retry those whose failure is retryable; returns whether it was stopped."""
    for run in schedule.runs:
        _remove_earlier_note(_folder(schedule, run))
    poll = _poller(schedule.site, progress)
    while True:
        elsewhere, log = _running_elsewhere(schedule), None
        to_start = [run for run in schedule.runs if run.run_id not in elsewhere]
        if to_start:
            result = measure_once(schedule.model_copy(update={"runs": to_start}), lock, poll)
            progress.poll()
            if result.stopped:
                return True
            log = result.log
            _check_started(schedule, to_start, log)
        jobs.wait_for(elsewhere, progress.poll)
        retryable = _record_lost_runs(schedule, log, progress)
        if not retryable:
            return False
        schedule = reschedule(schedule, retryable)
        LOGGER.info("retrying: %s", ", ".join(run.run_id for run in retryable))


def _poller(site: Site, progress: Progress) -> Callable[[], None]:
    """Return what is called again and again while runs are measured."""
    if site.executor == "local":
        return progress.poll
    monitor = jobs.QueueMonitor(site.check_s)

    def poll() -> None:
        progress.poll()
        monitor.poll()

    return poll


def _remove_earlier_note(folder: Path) -> None:
    """Remove the attempt of an earlier invocation, unless an orphan of it still measures the run."""
    note = attempt_file(folder)
    if note.exists() and not is_held(run_lock(folder)):
        note.unlink(missing_ok=True)


def _running_elsewhere(schedule: Schedule) -> set[str]:
    """Return the runs that jobs of an earlier invocation measure; its pending jobs are cancelled."""
    if schedule.site.executor == "local":
        return set()  # an orphan holds the run's lock, and the next attempt waits for it
    queued = jobs.wait_for_queue()
    jobs.cancel(job for job in queued if job.pending)
    running = {job.run_id for job in queued if not job.pending} & {run.run_id for run in schedule.runs}
    if running:
        LOGGER.info("waiting for jobs of an earlier invocation: %s", ", ".join(sorted(running)))
    return running


def _check_started(schedule: Schedule, runs: Sequence[ScheduledRun], log: Path) -> None:
    """Check that at least one run has started.

    Raises:
        UserError: one line with Snakemake's error where none has.
    """
    statuses = [read_status(_folder(schedule, run)) for run in runs]
    if not any(status.record or status.attempt is not None for status in statuses):
        raise UserError(f"no run has begun: {read_error(log)[:300]}; the whole log: {paths.relative(log)}")


def _record_lost_runs(schedule: Schedule, log: Path | None, progress: Progress) -> list[ScheduledRun]:
    """Record why runs ended that left no reason themselves; returns the runs to retry.

    Args:
        schedule: the runs of this attempt.
        log: of Snakemake; None where it was not started.
        progress: reports the failures.
    """
    retryable = []
    for run in schedule.runs:
        status = read_status(_folder(schedule, run))
        if status.record:
            continue
        attempt = status.attempt
        if attempt is None or attempt.reason is None:
            reason, passes = _diagnose_lost_run(schedule, run, log, started=attempt is not None)
            attempt = job_status.fail(_folder(schedule, run), schedule.attempt, reason, passes)
        if attempt.passes and schedule.attempt < MAX_ATTEMPTS:
            retryable.append(run)
    progress.poll()
    return retryable


def _diagnose_lost_run(
    schedule: Schedule, run: ScheduledRun, log: Path | None, started: bool
) -> tuple[str, bool]:
    """Return why a run ended that left no reason, and whether it is retryable."""
    if schedule.site.executor == "local" or log is None:
        return _KILLED, True
    since_s = log.with_suffix(".json").stat().st_mtime - _CLOCK_TOLERANCE_S
    status = jobs.exit_status(run.run_id, schedule.site, since_s)
    state = status.state or ""
    if state.startswith("TIMEOUT"):
        reason = f"SLURM ended its job: {state} after {run.limit_min} min; raise limit_factor or most_min of the site"
        return reason, run.limit_min < schedule.site.most_min
    if state.startswith(_NOT_RETRYABLE):
        return f"SLURM ended its job: {state}", False
    if status.error is not None:
        return status.error, False
    if not started and (refusal := sbatch_error(log)):
        return refusal, True
    return f"SLURM ended its job: {state}" if state else _KILLED, True


_KILLED = "the process ended without a message (killed?)"
_NOT_RETRYABLE = ("OUT_OF_MEMORY", "CANCELLED", "DEADLINE")
_CLOCK_TOLERANCE_S = 60.0
"""Between the clocks of this machine and of a file server."""


def _outcome(
    schedule: Schedule, progress: Progress, done: int, stopped: bool, cannot_run: dict[str, str]
) -> Outcome:
    measured = sum(read_status(_folder(schedule, run)).record for run in schedule.runs)
    failed = progress.failures()
    left = len(schedule.runs) - measured - len(failed) if stopped else 0
    return Outcome(done + measured, failed, left, cannot_run)


def _folder(schedule: Schedule, run: ScheduledRun) -> Path:
    return paths.RUNS / schedule.campaign / run.run_id
