"""Reference runs with duration and energy: the paper's, and those of stored records."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from helpers.core import paths
from helpers.records.storage import Record, read_records
from helpers.results import published
from helpers.results.rows import measured_row
from helpers.study.catalogue import LanguageModel, study

PAPERS_MACHINE = "capella"
"""Where the runs of Tables B4 to B6 were made."""


@dataclass(frozen=True)
class PublishedRun:
    """A run of the paper; durations and energies are those of a pass, GPUs are over all nodes."""

    model: str
    dataset: str
    machine: str
    gpus: int
    nodes: int
    duration_s: float | None
    duration_from: str
    energy_wh: float | None
    energy_from: str
    energy_below_wh: float | None = None
    """The limit, where the paper prints nothing else."""


@dataclass(frozen=True)
class MeasuredRun:
    """A run of a record; durations and energies are those of a pass."""

    record: Record
    origin: str
    """The record's file."""
    duration_s: float
    energy_wh: float | None


@dataclass(frozen=True)
class Power:
    """What a machine takes while a model answers, by Table 3: (a + c x GPUs) x duration (the paper's Eq. 1)."""

    a_wh_per_s: float
    c_wh_per_s: float

    def energy_wh(self, duration_s: float, gpus: int) -> float:
        """Return the energy of a duration on that many GPUs."""
        return (self.a_wh_per_s + self.c_wh_per_s * gpus) * duration_s


@dataclass(frozen=True)
class ReferenceRuns:
    """Everything that an estimate can come from."""

    published: Sequence[PublishedRun]
    measured: Mapping[str, Sequence[MeasuredRun]]
    """By the name of the run, newest first."""
    power: Mapping[str, Power]
    """By machine of the paper."""

    @cached_property
    def by_key(self) -> Mapping[tuple[str, str, str, int, int], PublishedRun]:
        """Return the paper's runs by model, dataset, machine, GPUs and nodes."""
        return {(run.model, run.dataset, run.machine, run.gpus, run.nodes): run for run in self.published}

    @cached_property
    def fewest_gpus(self) -> Mapping[tuple[str, str, str], int]:
        """Return the fewest GPUs on one node by model, dataset and machine."""
        fewest: dict[tuple[str, str, str], int] = {}
        for run in self.published:
            if run.nodes == 1:
                key = (run.model, run.dataset, run.machine)
                fewest[key] = min(run.gpus, fewest.get(key, run.gpus))
        return fewest

    def published_for_model(self, model: str) -> list[PublishedRun]:
        """Return the paper's runs of a model with a duration."""
        return [run for run in self.published if run.model == model and run.duration_s is not None]

    def measured_for_model(self, model: str) -> list[MeasuredRun]:
        """Return the measured runs of a model, newest first."""
        runs = [item for runs in self.measured.values() for item in runs if item.record.run.model == model]
        return sorted(runs, key=lambda item: item.record.created, reverse=True)


def load_reference_runs(
    published_folder: Path = paths.PUBLISHED, records: Sequence[Path] | None = None
) -> ReferenceRuns:
    """Read the paper's runs, and the records that were committed and that lie in `runs/`.

    Invalid records are ignored here.
    """
    files = published.files(published_folder)
    measured: dict[str, list[MeasuredRun]] = {}
    for folder in (paths.MEASUREMENTS, paths.RUNS) if records is None else records:
        for file, record in read_records(folder)[0].items():
            measured.setdefault(record.run.run_id, []).append(_measured(file, record))
    for runs in measured.values():
        runs.sort(key=lambda item: item.record.created, reverse=True)
    seen = published.observations(published_folder).assign(source="published", family=None)
    rows = published.published_rows(seen)
    printed = [_published(row, files["table_b6_regression"]) for row in rows]
    timed_runs = {run.model: run for run in printed if _is_timed(run)}
    return ReferenceRuns(
        published=[_timed(run, timed_runs) for run in printed],
        measured=measured,
        power=_power(files["table_3_regression_fktg"]),
    )


def titles(origins: str) -> str:
    """Return the places of published values as the paper names them, such as `Table B1, Figure 3`."""
    return ", ".join(name.replace("_", " ").title() for name in origins.split())


def _measured(file: Path, record: Record) -> MeasuredRun:
    row = measured_row(record.run.campaign, file, record)
    return MeasuredRun(record, str(row["origin"]), row["duration_s"], row["energy_wh"])


def _published(row: Mapping[str, object], table_b6: pd.DataFrame) -> PublishedRun:
    """Return a row of the paper; where it prints no GPUs, the fewest, and no duration, that of Table B6 read backwards."""
    model, dataset = str(row["model"]), str(row["dataset"])
    entry = study().models[model]
    origin = titles(str(row["origin"]))
    given, energy_wh = _number(row["gpus"]), _number(row.get("energy_wh"))
    gpus = int(given) if given is not None else _fewest_gpus(model)
    duration_s, duration_from = _number(row.get("duration_s")), origin
    if duration_s is None and energy_wh is not None and isinstance(entry, LanguageModel):
        duration_s = _table_b6_duration_s(table_b6[table_b6["dataset"] == dataset], energy_wh, gpus)
        duration_from = f"{origin}, Table B6 solved for duration"
    return PublishedRun(
        model=model,
        dataset=dataset,
        machine=str(row["machine"]),
        gpus=gpus,
        nodes=int(str(row["nodes"])),
        duration_s=duration_s,
        duration_from=duration_from,
        energy_wh=energy_wh,
        energy_from=origin if energy_wh is not None else f"{origin} prints a limit only",
        energy_below_wh=_number(row.get("energy_wh_below")) if energy_wh is None else None,
    )


def _is_timed(run: PublishedRun) -> bool:
    """Return whether a run of a traditional model has both duration and energy: on FKTG alone the paper prints them."""
    return bool(run.duration_s and run.energy_wh and not isinstance(study().models[run.model], LanguageModel))


def _timed(run: PublishedRun, timed_runs: Mapping[str, PublishedRun]) -> PublishedRun:
    """Give a run of a traditional model without duration the one of its energy at the power that the model takes on FKTG.

    Where the paper prints a limit, the energy on FKTG stands in if it keeps to it, and else the limit itself.
    """
    like = timed_runs.get(run.model)
    if run.duration_s is not None or like is None or not like.duration_s or not like.energy_wh:
        return run
    seconds_per_wh = like.duration_s / like.energy_wh
    at_power = f"at the power of {like.duration_from} ({like.dataset})"
    if run.energy_wh is not None:
        return replace(
            run, duration_s=run.energy_wh * seconds_per_wh, duration_from=f"{run.duration_from} {at_power}"
        )
    limit = run.energy_below_wh
    if limit is None:
        return run
    printed = f"{run.duration_from} prints less than {limit:g} Wh"
    if like.energy_wh < limit:
        as_there = f"{like.duration_from} ({like.dataset}), for {printed}"
        return replace(
            run,
            duration_s=like.duration_s,
            duration_from=as_there,
            energy_wh=like.energy_wh,
            energy_from=as_there,
        )
    return replace(
        run,
        duration_s=limit * seconds_per_wh,
        duration_from=f"at most: {printed}, {at_power}",
        energy_wh=limit,
        energy_from=f"at most: {printed}",
    )


def _fewest_gpus(model: str) -> int:
    entry = study().models[model]
    return entry.min_gpus[PAPERS_MACHINE].gpus if isinstance(entry, LanguageModel) else 1


def _table_b6_duration_s(printed: pd.DataFrame, energy_wh: float, gpus: int) -> float | None:
    """Return the duration at which the printed line has that energy; None where it is not positive."""
    terms = dict(zip(printed["term"], printed["estimate"], strict=True))
    if not terms:
        return None
    slope = terms["duration"] + terms["duration_x_gpus"] * gpus
    seconds = (energy_wh - terms["constant"] - terms["gpus"] * gpus) / slope
    return float(seconds) if seconds > 0 else None


def _power(table_3: pd.DataFrame) -> dict[str, Power]:
    power = {}
    for machine, rows in table_3.groupby("machine"):
        terms = dict(zip(rows["term"], rows["estimate"], strict=True))
        power[str(machine)] = Power(float(terms["duration_a"]), float(terms["duration_x_gpus_c"]))
    return power


def _number(value: object) -> float | None:
    """Return a number of a table; None where it is absent, as None or NaN."""
    number = math.nan if value is None or value is pd.NA else float(str(value))
    return None if math.isnan(number) else number
