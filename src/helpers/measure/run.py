"""What every measurement does, whatever the model: phases, windows, checks, the record (paper, section 4).

    load -> idle -> for each split: (train) -> warm-up -> window -> idle

The model itself comes as a `SystemUnderTest`: `helpers.measure.traditional` and `helpers.measure.llm` make one.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Protocol

import pandas as pd

from helpers.core import units
from helpers.core.lock import holding_machine
from helpers.measure.plan import Plan
from helpers.metering import checks, plausibility
from helpers.metering.clocks import moment, moved
from helpers.metering.meter import Reading, SourceReading, Window, add, scale, sources_of_run
from helpers.metering.multi_node import RunMeter, open_run_meter
from helpers.metering.other_processes import Load, other_meters, other_processes
from helpers.metering.timeline import Timeline, TimelineLost, start_timeline
from helpers.records.environment import environment, fixed_threads, sha256_of, threads, utc_now
from helpers.records.storage import (
    PREDICTIONS,
    RAW_ANSWERS,
    SCHEMA_VERSION,
    Check,
    Energy,
    Phase,
    Record,
    Replies,
    Run,
    Source,
    SplitResult,
    publish,
    write_record,
    writing,
)
from helpers.study.datasets import Dataset, Split, splits

IDLE_S = 2.0
"""Beside the record where a run keeps its answers, and never in its list of files: nothing copies it."""


@dataclass(frozen=True)
class Answers:
    """The answers of a model to the test texts of a split, as the record has them; see `helpers.records.schema.SplitResult`."""

    texts: int
    correct: int | None
    parse_failures: int | None
    predictions: pd.DataFrame
    """A row per text: its id in the dataset, its label and the answer; no text."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    requests_sent: int | None = None
    requests_cached: int | None = None
    requests_answered: int | None = None
    replies: Replies | None = None
    raw: pd.DataFrame | None = None
    """Raw answers, where they are kept."""


@dataclass(frozen=True)
class MeasuredSplit:
    """One split, measured."""

    split: Split
    train: Reading | None
    warm_up: Reading
    window: Window
    answers: Answers


class SystemUnderTest(Protocol):
    """A model that is loaded, and can be measured."""

    def measure_split(self, meter: RunMeter, split: Split) -> MeasuredSplit:
        """Prepare, warm up and measure one split."""

    def run(self) -> Run:
        """Describe the run, once all splits are measured."""

    def checks(self, measured: Sequence[MeasuredSplit]) -> list[Check]:
        """Return the checks of this kind of model, beside those of every run."""


def measure(
    plan: Plan, dataset: Dataset, load: Callable[[], AbstractContextManager[SystemUnderTest]]
) -> Record:
    """Measure all splits of a run and publish its record.

    The machine has rested since the last measurement on it. Before and after, it is idle with everything loaded. It
    is held for this run alone meanwhile, and its power is written down ten times a second.

    Args:
        plan: the run.
        dataset: its texts.
        load: loads the model, and unloads it at the end of the block; loading is a phase of its own.
    """
    sources = sources_of_run(plan.gpus)
    uuids = [gpu.uuid for gpu in sources.gpus]
    # now: the code that starts the run, not one checked out meanwhile
    run_environment = environment(plan.hardware)
    with (
        holding_machine(plan.parameters.cool_down_s),
        publish(plan.folder) as folder,
        open_run_meter(plan.nodes, plan.hardware.ram_gb, sources) as meter,
        start_timeline(folder, uuids) as timeline,
        ExitStack() as loaded,
    ):
        begun = moment()
        system, load_reading = meter.measure(lambda: loaded.enter_context(load()))
        loaded.enter_context(fixed_threads(plan.hardware.cpu_cores))
        engine = {"engine": plan.engine_threads} if plan.engine_threads else {}
        run_environment = run_environment.model_copy(
            update={"threads": threads() | engine, "garbage_collection": "before windows, never inside"}
        )
        on_gpus = other_processes(uuids)
        others = Load()
        _, idle = meter.measure(lambda: time.sleep(IDLE_S))
        others_percent = others.percent()
        measured = [system.measure_split(meter, split) for split in splits(dataset)[: plan.parameters.splits]]
        _, idle_after = meter.measure(lambda: time.sleep(IDLE_S))
        power, lost = _stopped(timeline)
        windows, both_idle = [item.window for item in measured], [idle, idle_after]
        record = Record(
            schema_version=SCHEMA_VERSION,
            created=utc_now(),
            run=system.run(),
            environment=run_environment,
            phases=_phases(load_reading, idle, measured, idle_after),
            splits=[_split_result(item, both_idle) for item in measured],
            checks=[
                *plausibility.checks_for_windows(windows, both_idle, meter.min_window_s),
                *plausibility.checks_for_run(windows, dataset.warnings, meter.gpus, plan.gpus * plan.nodes),
                checks.clocks_steady([*(window.reading.moved for window in windows), moved(begun, moment())]),
                checks.machine_quiet(others_percent, plan.hardware.cpu_cores),
                checks.one_tracker(other_meters()),
                checks.alone_on_gpu(_most(on_gpus, other_processes(uuids)), plan.gpus),
                *meter.checks(),
                *plausibility.checks_for_timeline(windows, power, lost, plan.gpus if plan.nodes == 1 else 0),
                *system.checks(measured),
            ],
            files={file.name: sha256_of(file) for file in [_write_answers(measured, folder), power] if file},
        )
        write_record(record, folder)
    return record


def split_table(record: Record) -> pd.DataFrame:
    """Return what was measured per split, one row each, for the notebook to show."""
    return pd.DataFrame(
        {
            "split": item.split,
            "accuracy": item.accuracy,
            "duration_s": item.duration_s,
            "energy_wh": item.energy.total_wh,
            "passes": item.passes,
            "window_s": item.window_s,
        }
        for item in record.splits
    )


def check_table(record: Record) -> pd.DataFrame:
    """Return the checks of a run, one row each, for the notebook to show."""
    return pd.DataFrame(check.model_dump() for check in record.checks)


def report(item: MeasuredSplit) -> None:
    """Print what a split gave, in one line."""
    correct, window = item.answers.correct, item.window
    accuracy = "no accuracy" if correct is None else f"accuracy {correct / item.answers.texts:.3f}"
    passes = f"{window.passes} {'pass' if window.passes == 1 else 'passes'}"
    print(f"split {item.split.number}: {accuracy}, {units.duration(window.duration_s, 4)} x {passes}")


def _phases(
    load: Reading, idle: Reading, measured: Sequence[MeasuredSplit], idle_after: Reading
) -> list[Phase]:
    phases = {
        "load": [load],
        "idle": [idle],
        "train": [item.train for item in measured if item.train is not None],
        "warm-up": [item.warm_up for item in measured],
        "inference": [item.window.reading for item in measured],
        "idle-after": [idle_after],
    }
    return [_phase(name, readings) for name, readings in phases.items() if readings]


def _phase(name: str, readings: Sequence[Reading]) -> Phase:
    energy: Energy = reduce(add, (reading.energy for reading in readings))
    seconds = sum(reading.duration_s for reading in readings)
    return Phase.model_validate({"name": name, "duration_s": seconds, "energy": energy})


def _split_result(item: MeasuredSplit, idle: Sequence[Reading]) -> SplitResult:
    answers, window = item.answers, item.window
    return SplitResult(
        split=item.split.number,
        train_ids_sha256=item.split.train_sha256,
        test_ids_sha256=item.split.test_sha256,
        texts=answers.texts,
        correct=answers.correct,
        parse_failures=answers.parse_failures,
        passes=window.passes,
        window_s=window.reading.duration_s,
        duration_s=window.duration_s,
        energy=window.energy,
        idle_power_w=_mean_power_w(idle),
        idle_energy=_idle_energy(idle, window.duration_s),
        sources=[_source(source, window.passes) for source in window.reading.sources],
        tokens_in=answers.tokens_in,
        tokens_out=answers.tokens_out,
        requests_sent=answers.requests_sent,
        requests_cached=answers.requests_cached,
        requests_answered=answers.requests_answered,
        replies=answers.replies,
    )


def _write_answers(measured: Sequence[MeasuredSplit], folder: Path) -> Path:
    """Write the predictions, and the raw answers where they are kept; returns the file of the former."""
    for name, frames in (
        (PREDICTIONS, [(item.split.number, item.answers.predictions) for item in measured]),
        (RAW_ANSWERS, [(item.split.number, item.answers.raw) for item in measured]),
    ):
        kept = [(number, frame) for number, frame in frames if frame is not None]
        if kept:
            table = pd.concat([frame.assign(split=number) for number, frame in kept])
            table = table[["split", *table.columns.drop("split")]]
            with writing(folder / name):
                table.to_parquet(folder / name, index=False)
    return folder / PREDICTIONS


def _stopped(timeline: Timeline) -> tuple[Path | None, str | None]:
    """Return the file of the power time line, or why there is none: a run is worth more than its time line."""
    try:
        return timeline.stop(), None
    except TimelineLost as lost:
        return None, str(lost)


def _most(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(before, after)


def _mean_power_w(idle: Sequence[Reading]) -> float | None:
    powers = [plausibility.power_w(reading) for reading in idle]
    present = [power for power in powers if power is not None]
    return sum(present) / len(present) if len(present) == len(powers) else None


def _idle_energy(idle: Sequence[Reading], duration_s: float) -> Energy:
    """Return what the idle machine would have taken in that time: the mean power of all idle phases."""
    total: Energy = reduce(add, (reading.energy for reading in idle))
    return scale(total, duration_s / sum(reading.duration_s for reading in idle))


def _source(reading: SourceReading, passes: int) -> Source:
    """Return what a source says about one pass."""
    energy_wh = None if reading.energy_wh is None else reading.energy_wh / passes
    return Source.model_validate(
        {
            "source": reading.source,
            "component": reading.component,
            "energy_wh": energy_wh,
            "problem": reading.problem,
        }
    )
