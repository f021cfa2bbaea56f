"""What a measurement notebook does: train, measure inference, write the record (paper, section 4)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

import pandas as pd
import psutil

from helpers import traditional
from helpers.datasets import Dataset, Split, load_dataset, splits
from helpers.environment import environment, sha256_of, threads
from helpers.errors import UserError
from helpers.lock import MACHINE_LOCK, holding
from helpers.metering import checks
from helpers.metering.meter import (
    Meter,
    Reading,
    SourceReading,
    Window,
    add,
    find_sources,
    open_meter,
    scale,
)
from helpers.metering.neighbours import other_processes
from helpers.metering.timeline import (
    Timeline,
    TimelineLost,
    integral_wh,
    power_column,
    read_timeline,
    start_timeline,
    temperature_settled,
    throttled,
)
from helpers.parameters import Plan
from helpers.paths import relative
from helpers.record import (
    RECORD,
    SCHEMA_VERSION,
    Check,
    Energy,
    Phase,
    Record,
    Run,
    Source,
    SplitResult,
    publish,
    write_record,
)

WINDOW_S = 5.0
"""A window below this is too short to be trusted, whatever a run asks for."""
IDLE_S = 2.0


@dataclass(frozen=True)
class _Measured:
    """One split, measured."""

    split: Split
    answers: list[str]
    train: Reading
    warm_up: Reading
    window: Window


def check_ready(plan: Plan) -> Dataset:
    """Check the input and that the run is not there yet; returns the dataset.

    Raises:
        UserError: one line that says what is missing and what to do.
    """
    if (plan.folder / RECORD).exists():
        raise UserError(
            f"{relative(plan.folder)} holds a run already; delete the folder to measure it again, "
            "or file the run under another campaign=NAME"
        )
    return check_input(plan)


def check_input(plan: Plan) -> Dataset:
    """Check what needs the data and the checkpoint; returns the dataset.

    Raises:
        UserError: one line that says what is missing and what to do.
    """
    dataset = load_dataset(plan.parameters.dataset, plan.parameters.data_dir)
    splits(dataset)
    if plan.checkpoint is not None:
        traditional.check_embedding(plan.checkpoint, plan.parameters.device)
    return dataset


def measure(plan: Plan, dataset: Dataset) -> Record:
    """Measure all splits of a run and publish its record; prints a line per split.

    Per split: train on the training texts, one warm-up pass, then passes over the test texts (features
    and prediction) until `window_s` seconds are over. Before and after, the machine is idle with everything
    loaded. The machine is held for itself meanwhile, and its power is written down ten times a second.
    """
    uuids = _gpu_uuids(plan)
    where = environment(plan.hardware)  # the code that starts the run, not one checked out meanwhile
    with (
        holding(MACHINE_LOCK, "another measurement runs on this machine"),
        publish(plan.folder) as folder,
        open_meter(plan.hardware.ram_gb, uuids) as meter,
        start_timeline(folder, uuids) as timeline,
    ):
        embedding, load = meter.measure(
            lambda: plan.checkpoint and traditional.load_embedding(plan.checkpoint, plan.parameters.device)
        )
        where = where.model_copy(update={"threads": threads()})  # of the libraries that are loaded by now
        psutil.cpu_percent()  # counts from here
        _, idle = meter.measure(lambda: time.sleep(IDLE_S))
        others_percent = psutil.cpu_percent()
        measured = [
            _measure_split(plan, meter, embedding or None, dataset, split)
            for split in splits(dataset)[: plan.parameters.splits]
        ]
        _, idle_after = meter.measure(lambda: time.sleep(IDLE_S))
        power, lost = _stopped(timeline)
        phases = [
            _phase("load", [load]),
            _phase("idle", [idle]),
            _phase("train", [item.train for item in measured]),
            _phase("warm-up", [item.warm_up for item in measured]),
            _phase("inference", [item.window.reading for item in measured]),
            _phase("idle-after", [idle_after]),
        ]
        predictions = folder / "predictions.parquet"
        _predictions(measured, dataset).to_parquet(predictions, index=False)
        files = [predictions, *([power] if power else [])]
        record = Record(
            schema_version=SCHEMA_VERSION,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            run=_run(plan, dataset, embedding or None),
            environment=where,
            phases=phases,
            splits=[_split_result(item, dataset, [idle, idle_after]) for item in measured],
            checks=_checks(plan, measured, dataset, meter, [idle, idle_after], others_percent)
            + _timeline_checks(measured, power, lost, uuids),
            files={file.name: sha256_of(file) for file in files},
        )
        write_record(record, folder)
    return record


def split_table(record: Record) -> pd.DataFrame:
    """Return what was measured per split, one row each, for the notebook to show."""
    return pd.DataFrame(
        {
            "split": item.split,
            "accuracy": item.correct / item.texts,
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


def _measure_split(
    plan: Plan, meter: Meter, embedding: traditional.Embedding | None, dataset: Dataset, split: Split
) -> _Measured:
    train_texts, train_labels = _pick(dataset.texts, split.train), _pick(dataset.labels, split.train)
    test_texts = _pick(dataset.texts, split.test)
    classifier, train = meter.measure(
        lambda: traditional.train(plan.model, embedding, train_texts, train_labels)
    )
    answers, warm_up = meter.measure(lambda: classifier.predict(test_texts))
    window = meter.window(lambda: classifier.predict(test_texts), plan.parameters.window_s)
    right = sum(a == b for a, b in zip(answers, _pick(dataset.labels, split.test), strict=True))
    accuracy, milliseconds = right / len(answers), window.duration_s * 1000
    print(f"split {split.number}: accuracy {accuracy:.3f}, {milliseconds:.4g} ms x {window.passes} passes")
    return _Measured(split, answers, train, warm_up, window)


def _run(plan: Plan, dataset: Dataset, embedding: traditional.Embedding | None) -> Run:
    chosen = plan.parameters
    return Run(
        run_id=plan.run_id,
        campaign=chosen.campaign,
        notebook="traditional",
        model=chosen.model,
        family=plan.model.family,
        checkpoint=embedding.checkpoint if embedding else None,
        revision=embedding.revision if embedding else None,
        checkpoint_sha256=embedding.weights_sha256 if embedding else None,
        weights="trained here",
        dtype=embedding.dtype if embedding else None,
        dataset=dataset.name,
        dataset_origin=dataset.origin,
        dataset_sha256=dataset.sha256,
        synthetic=dataset.synthetic,
        machine=plan.machine,
        device=chosen.device,
        gpus=_gpus(plan),
        nodes=1,
        concurrency=1,
        splits=chosen.splits,
        window_s=chosen.window_s,
    )


def _split_result(item: _Measured, dataset: Dataset, idle: Sequence[Reading]) -> SplitResult:
    labels = _pick(dataset.labels, item.split.test)
    return SplitResult(
        split=item.split.number,
        train_ids_sha256=item.split.train_sha256,
        test_ids_sha256=item.split.test_sha256,
        texts=len(labels),
        correct=sum(a == b for a, b in zip(item.answers, labels, strict=True)),
        parse_failures=0,
        passes=item.window.passes,
        window_s=item.window.reading.duration_s,
        duration_s=item.window.duration_s,
        energy=item.window.energy,
        idle_power_w=_mean_power_w(idle),
        idle_energy=_idle_energy(idle, item.window.duration_s),
        sources=[_source(source, item.window.passes) for source in item.window.reading.sources],
        tokens_in=None,
        tokens_out=None,
        requests_sent=None,
        requests_answered=None,
    )


def _predictions(measured: Sequence[_Measured], dataset: Dataset) -> pd.DataFrame:
    """Return one row per split and test text: position, label and answer; no text."""
    return pd.concat(
        pd.DataFrame(
            {
                "split": item.split.number,
                "id": item.split.test,
                "label": _pick(dataset.labels, item.split.test),
                "answer": item.answers,
            }
        )
        for item in measured
    )


def _checks(
    plan: Plan,
    measured: Sequence[_Measured],
    dataset: Dataset,
    meter: Meter,
    idle: Sequence[Reading],
    others_percent: float,
) -> list[Check]:
    windows = [item.window for item in measured]
    readings = [window.reading for window in windows]
    known = all((window.energy.total_wh or 0) > 0 for window in windows)
    before_w, after_w = map(_power_w, idle)
    return [
        checks.window_long_enough(windows, max(WINDOW_S, meter.least_window_s)),
        checks.clocks_agree(readings),
        checks.counters_moved(readings),
        checks.sources_agree(readings),
        checks.idle_stable(before_w, after_w),
        checks.repeats_agree([window.duration_s for window in windows]),
        Check(
            name="energy_known",
            passed=known,
            message="every split has an energy above 0" if known else "a split has no energy above 0",
            severity="error",
        ),
        Check(
            name="dataset_as_expected",
            passed=not dataset.warnings,
            message="; ".join(dataset.warnings) or "number of texts and labels as in the catalogue",
            severity="warning",
        ),
        Check(
            name="gpus_metered",
            passed=meter.gpus == _gpus(plan),
            message=f"the energy of {meter.gpus} GPUs was counted, the run used {_gpus(plan)}",
            severity="warning",
        ),
        checks.machine_quiet(others_percent, plan.hardware.cpu_cores),
    ]


def _timeline_checks(
    measured: Sequence[_Measured], power: Path | None, lost: str | None, uuids: Sequence[str]
) -> list[Check]:
    """Compare the power time line with the counters, window by window, and ask it for throttling and heat."""
    if power is None:
        return [Check(name="timeline_complete", passed=False, message=str(lost), severity="warning")]
    frame = read_timeline(power)
    spans, pairs = [], []
    for reading in (item.window.reading for item in measured):
        if reading.started_s is None:
            continue
        start_s, end_s = reading.started_s, reading.started_s + reading.duration_s
        spans.append((start_s, end_s))
        for source in reading.sources:
            column = power_column(frame, source.source)
            integral = integral_wh(frame, start_s, end_s, column) if column else None
            if source.energy_wh and integral is not None:
                pairs.append((source.source, source.energy_wh, integral))
    slowed = [found for span in spans if (found := throttled(frame, *span)) is not None]
    settled = [steady for span in spans if (steady := temperature_settled(frame, *span)) is not None]
    return [
        checks.timeline_agrees(pairs),
        checks.clocks_not_throttled(set().union(*slowed) if slowed else None),
        checks.temperature_settled(all(settled) if settled else None),
        checks.alone_on_gpu(other_processes(uuids) if uuids else None),
    ]


def _stopped(timeline: Timeline) -> tuple[Path | None, str | None]:
    """Return the file of the power time line, or why there is none: a run is worth more than its time line."""
    try:
        return timeline.stop(), None
    except TimelineLost as lost:
        return None, str(lost)


def _gpu_uuids(plan: Plan) -> list[str]:
    """Return the GPU that torch computes on: the first that the run may use; none for a run on the CPU."""
    return [gpu.uuid for gpu in find_sources().gpus[:1]] if _gpus(plan) else []


def _gpus(plan: Plan) -> int:
    return 1 if plan.checkpoint is not None and plan.parameters.device == "cuda" else 0


def _phase(name: str, readings: Sequence[Reading]) -> Phase:
    energy: Energy = reduce(add, (reading.energy for reading in readings))
    seconds = sum(reading.duration_s for reading in readings)
    return Phase.model_validate({"name": name, "duration_s": seconds, "energy": energy})


def _power_w(reading: Reading) -> float | None:
    total_wh = reading.energy.total_wh
    return None if total_wh is None else total_wh * 3600 / reading.duration_s


def _mean_power_w(idle: Sequence[Reading]) -> float | None:
    powers = [_power_w(reading) for reading in idle]
    known = [power for power in powers if power is not None]
    return sum(known) / len(known) if len(known) == len(powers) else None


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


def _pick(values: Sequence[str], ids: Sequence[int]) -> list[str]:
    return [values[i] for i in ids]
