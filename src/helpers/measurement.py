"""What a measurement notebook does: train, measure inference, write the record (paper, section 4)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce

import pandas as pd
import psutil

from helpers import meter as metering
from helpers import traditional
from helpers.datasets import Dataset, Split, load_dataset, splits
from helpers.environment import environment, sha256_of
from helpers.errors import UserError
from helpers.lock import MACHINE_LOCK, holding
from helpers.meter import Meter, Reading, Window, open_meter
from helpers.parameters import Plan
from helpers.paths import relative
from helpers.record import (
    RECORD,
    Check,
    Energy,
    Phase,
    Record,
    Run,
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
    and prediction) until `window_s` seconds are over. The machine is held for itself meanwhile.
    """
    where = environment(plan.hardware)  # the code that starts the run, not one checked out meanwhile
    with (
        holding(MACHINE_LOCK, "another measurement runs on this machine"),
        open_meter(plan.hardware.ram_gb) as meter,
    ):
        embedding, load = meter.measure(
            lambda: plan.checkpoint and traditional.load_embedding(plan.checkpoint, plan.parameters.device)
        )
        psutil.cpu_percent()  # counts from here
        _, idle = meter.measure(lambda: time.sleep(IDLE_S))
        others_percent = psutil.cpu_percent()
        measured = [
            _measure_split(plan, meter, embedding or None, dataset, split)
            for split in splits(dataset)[: plan.parameters.splits]
        ]
    phases = [
        _phase("load", [load]),
        _phase("idle", [idle]),
        _phase("train", [item.train for item in measured]),
        _phase("warm-up", [item.warm_up for item in measured]),
        _phase("inference", [item.window.reading for item in measured]),
    ]
    with publish(plan.folder) as folder:
        predictions = folder / "predictions.parquet"
        _predictions(measured, dataset).to_parquet(predictions, index=False)
        record = Record(
            schema_version=1,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            run=_run(plan, dataset, embedding or None),
            environment=where,
            phases=phases,
            splits=[_split_result(item, dataset, _power_w(idle)) for item in measured],
            checks=_checks(plan, measured, dataset, others_percent, meter.gpus),
            files={predictions.name: sha256_of(predictions)},
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


def _split_result(item: _Measured, dataset: Dataset, idle_power_w: float | None) -> SplitResult:
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
        idle_power_w=idle_power_w,
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
    plan: Plan, measured: Sequence[_Measured], dataset: Dataset, others_percent: float, gpus_metered: int
) -> list[Check]:
    gpus = _gpus(plan)
    shortest = min(item.window.reading.duration_s for item in measured)
    apart = max(
        abs(item.window.reading.codecarbon_duration_s / item.window.reading.duration_s - 1)
        for item in measured
    )
    known = all((item.window.energy.total_wh or 0) > 0 for item in measured)
    return [
        Check(
            name="window_long_enough",
            passed=shortest >= WINDOW_S,
            message=f"shortest window {shortest:.2f} s, expected at least {WINDOW_S:g} s",
            severity="warning",
        ),
        Check(
            name="clocks_agree",
            passed=apart <= 0.05,
            message=f"CodeCarbon's durations and ours are at most {apart:.2%} apart, expected 5 %",
            severity="warning",
        ),
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
            passed=gpus_metered == gpus,
            message=f"the energy of {gpus_metered} GPUs was counted, the run used {gpus}",
            severity="warning",
        ),
        Check(
            name="machine_quiet",
            passed=others_percent <= 5,
            message=f"other processes kept the CPU {others_percent:.1f} % busy while idle, expected at most 5 %",
            severity="warning",
        ),
    ]


def _gpus(plan: Plan) -> int:
    return 1 if plan.checkpoint is not None and plan.parameters.device == "cuda" else 0


def _phase(name: str, readings: Sequence[Reading]) -> Phase:
    energy: Energy = reduce(metering.add, (reading.energy for reading in readings))
    seconds = sum(reading.duration_s for reading in readings)
    return Phase.model_validate({"name": name, "duration_s": seconds, "energy": energy})


def _power_w(reading: Reading) -> float | None:
    total_wh = reading.energy.total_wh
    return None if total_wh is None else total_wh * 3600 / reading.duration_s


def _pick(values: Sequence[str], ids: Sequence[int]) -> list[str]:
    return [values[i] for i in ids]
