"""Progress of a campaign: a line for each run that ends, with what is done and what is left."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers.campaigns.job_status import Attempt, read_attempt
from helpers.campaigns.plan.report import duration_text, energy_text
from helpers.campaigns.run.schedule import ScheduledRun
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.records.storage import RECORD, read_record
from helpers.results.tables import describe

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunStatus:
    """Whether a run has its record, or its last attempt."""

    record: bool
    attempt: Attempt | None


def read_status(folder: Path) -> RunStatus:
    """Return the status of a run by its folder: its record, or its last attempt."""
    if (folder / RECORD).exists():
        return RunStatus(True, None)
    try:
        return RunStatus(False, read_attempt(folder))
    except UserError:  # what another version wrote
        return RunStatus(False, None)


Cost = tuple[float | None, float | None]
"""Duration in s and energy in Wh of a run; None where unknown."""


class Progress:
    """Watches the runs of an invocation and logs what is new.

    Args:
        campaign: the name that the runs are stored under.
        runs: of the invocation.
        before: runs of the campaign that were done before.
        total: runs of the campaign.
        expect: the costs of runs, by their names, from the records that there are by now: what was unknown before the first
            run of a model need not stay so.
    """

    def __init__(
        self,
        campaign: str,
        runs: Sequence[ScheduledRun],
        before: int,
        total: int,
        expect: Callable[[Sequence[str]], Mapping[str, Cost]] | None = None,
    ) -> None:
        self._folder = paths.RUNS / campaign
        self._runs = {run.run_id: run for run in runs}
        self._before, self._total = before, total
        self._begun = time.monotonic()
        self._left = dict(self._runs)
        self._attempts: dict[str, tuple[str, str | None]] = {}
        """Of each run with an attempt and without a record: when the last attempt began, and why it failed if it did."""
        self._lines: dict[str, str] = {}
        """The last line of progress of each run."""
        self._expect = expect

    def poll(self) -> None:
        """Log which runs have ended, and which have begun, since the last poll."""
        for run_id in list(self._left):
            state = read_status(self._folder / run_id)
            if state.record:
                del self._left[run_id]
                self._attempts.pop(run_id, None)
                self._learn()
                LOGGER.info("%s | %s", self._result_text(run_id), self._counts())
            elif state.attempt is not None:
                self._report_attempt(run_id, state.attempt)

    def failures(self) -> dict[str, str]:
        """Return the runs whose last attempt failed, each with the reason."""
        return {run: str(reason) for run, (_, reason) in self._attempts.items() if reason is not None}

    def _report_attempt(self, run_id: str, attempt: Attempt) -> None:
        key = (attempt.began, attempt.reason)
        if self._attempts.get(run_id) != key:
            self._attempts[run_id] = key
            if attempt.reason is None:
                again = f", attempt {attempt.number}" if attempt.number > 1 else ""
                LOGGER.info("%s: begins%s", run_id, again)
            else:
                LOGGER.warning("%s: failed: %s | %s", run_id, attempt.reason, self._counts())
        if attempt.progress is not None and self._lines.get(run_id) != attempt.progress:
            self._lines[run_id] = attempt.progress
            LOGGER.info("%s: %s", run_id, attempt.progress)

    def _learn(self) -> None:
        """Ask again what runs cost of which it was unknown, of those that have ended, too: times are compared with theirs."""
        unknown = [name for name, run in self._runs.items() if run.expected_s is None]
        if self._expect is None or not unknown:
            return
        for run_id, (seconds, energy_wh) in self._expect(unknown).items():
            expected = {"expected_s": seconds, "expected_wh": energy_wh}
            self._runs[run_id] = self._runs[run_id].model_copy(update=expected)
            if run_id in self._left:
                self._left[run_id] = self._runs[run_id]

    def _result_text(self, run_id: str) -> str:
        try:
            return describe(read_record(self._folder / run_id / RECORD))
        except UserError as error:
            return f"{run_id}: {error}"

    def _counts(self) -> str:
        failed = self.failures()
        running = [name for name in self._attempts if name not in failed]
        left = [run for name, run in self._left.items() if name not in failed]
        parts = [f"{self._before + len(self._runs) - len(self._left)} of {self._total} done"]
        parts += [f"{len(running)} running"] if running else []
        parts += [f"{len(failed)} failed"] if failed else []
        parts += [f"{len(left)} left: {self._time_left(left)}, {_energy_left(left)}"] if left else []
        return ", ".join(parts)

    def _time_left(self, left: Sequence[ScheduledRun]) -> str:
        """Scale the estimates of the remaining runs by how long finished runs took against their estimates."""
        ended = [run for name, run in self._runs.items() if name not in self._left]
        expected = sum(run.expected_s or 0.0 for run in ended)
        estimated = [run for run in left if run.expected_s is not None]
        factor = (time.monotonic() - self._begun) / expected if expected else 1.0
        seconds = factor * sum(run.expected_s or 0.0 for run in estimated)
        return _with_unknown(duration_text(seconds), len(left), len(left) - len(estimated))


def _energy_left(left: Sequence[ScheduledRun]) -> str:
    estimated = [run.expected_wh for run in left if run.expected_wh is not None]
    return _with_unknown(energy_text(sum(estimated)), len(left), len(left) - len(estimated), "energy ")


def _with_unknown(text: str, runs: int, unknown: int, what: str = "time ") -> str:
    if unknown == runs:
        return f"{what}unknown"
    return f"about {text}" + (f" + {unknown} unknown" if unknown else "")


def by_reason(runs: dict[str, str]) -> list[str]:
    """Return a line for each reason, with the first of its runs and the number of the others."""
    shared: dict[str, list[str]] = {}
    for run_id, reason in runs.items():
        shared.setdefault(reason, []).append(run_id)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
        for reason, names in shared.items()
    ]
