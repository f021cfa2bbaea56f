"""The results tables: published and measured values in the same columns.

`observations` holds every value with its origin, `results` one row per run, `split_results` one row per
run and split (measured runs only). What is absent is null. Code behind the tables never asks whether a
row was published or measured.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from helpers import paths, published
from helpers.errors import UserError, nearest
from helpers.record import Component, Record, SplitResult, read_records
from helpers.study import study

COLUMNS = (
    "source",
    "origin",
    "model",
    "family",
    "checkpoint",
    "weights",
    "dtype",
    "dataset",
    "synthetic",
    "machine",
    "gpu_model",
    "gpus",
    "gpus_origin",
    "nodes",
    "device",
    "concurrency",
    "prompt",
    "output_mode",
    "splits",
    "texts",
    "accuracy",
    "accuracy_uncertainty",
    "accuracy_sd",
    "duration_s",
    "duration_uncertainty_s",
    "duration_sd_s",
    "energy_kind",
    "energy_wh",
    "energy_wh_below",
    "energy_uncertainty_wh",
    "energy_sd_wh",
    "cpu_wh",
    "gpu_wh",
    "ram_wh",
    "cpu_method",
    "gpu_method",
    "ram_method",
    "ram_codecarbon_wh",
    "idle_power_w",
    "net_wh",
    "train_s",
    "train_wh",
    "tokens_in",
    "tokens_out",
    "parse_failures",
    "checks_failed",
)
"""Columns of `results`. `energy_wh` adds up CPU, GPU and RAM as the paper does (total_as_published).

`energy_kind`: printed or digitised for published values; for runs measured, partly-measured or estimated,
after how CPU and GPU were got (memory always counts by a rule). `net_wh` is `energy_wh` without what the idle
machine, everything loaded, would have taken in that time at `idle_power_w`. `train_s` and `train_wh`: training on one split,
the mean over the splits. `origin`: the published tables and figures, or the record.
"""

_RUN = ["model", "dataset", "machine", "gpus", "nodes"]


@dataclass(frozen=True)
class Tables:
    """The three tables, the published files, and a line for each record that was refused."""

    observations: pd.DataFrame
    results: pd.DataFrame
    split_results: pd.DataFrame
    refused: list[str]
    printed: Mapping[str, pd.DataFrame]
    """The published files as they are, by name: `table_3_regression_fktg` and so on."""


def load_tables(
    published_folder: Path = paths.PUBLISHED, committed: Path = paths.MEASUREMENTS, live: Path = paths.RUNS
) -> Tables:
    """Read the published values, the committed records and the live records of this machine.

    A live record that was promoted is shown once, as committed. A live campaign that bears the name of a
    committed one is another source: `NAME (live)`.
    """
    sources, refused = _records(committed, live)
    seen = published.observations(published_folder)
    family = {name: model.family for name, model in study().models.items()}
    seen.insert(0, "source", "published")
    seen["family"] = seen["model"].map(family)
    rows = [_published_row(run) for _, run in seen.groupby(_RUN, dropna=False, sort=False)]
    rows += [_measured_row(source, file, record) for source, file, record in sources]
    measured = [
        item for source, file, record in sources for item in _measured_observations(source, file, record)
    ]
    per_split = [item for source, file, record in sources for item in _split_rows(source, file, record)]
    return Tables(
        observations=pd.concat([seen, pd.DataFrame(measured)], ignore_index=True),
        results=_integers(pd.DataFrame(rows, columns=list(COLUMNS))),
        split_results=pd.DataFrame(per_split),
        refused=refused,
        printed=published.files(published_folder),
    )


def select(table: pd.DataFrame, source: str | None) -> pd.DataFrame:
    """Return the rows of one source.

    Raises:
        UserError: one line with the nearest source that there is.
    """
    if source is None:
        return table
    known = sorted(set(table["source"])) if len(table) else []
    if source not in known:
        raise UserError(f"--source {source}: no such source ({nearest(source, known)})")
    return table[table["source"] == source]


def of_campaign(table: pd.DataFrame, campaign: str) -> pd.DataFrame:
    """Return the rows of a campaign, committed and live.

    Raises:
        UserError: one line with the nearest source that there is.
    """
    return pd.concat([select(table, campaign), table[table["source"] == f"{campaign} (live)"]])


def one_at_a_time(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose texts were classified one by one, as in the paper; published rows name no concurrency."""
    return table[table["concurrency"].isna() | (table["concurrency"] == 1)]


def describe(record: Record) -> str:
    """Say in one line what a run gave."""
    row = _measured_row(record.run.campaign, Path(), record)
    failed = f", checks failed: {row['checks_failed']}" if row["checks_failed"] else ""
    energy = (
        "energy unknown" if row["energy_wh"] is None else f"{row['energy_wh']:.3g} Wh ({row['energy_kind']})"
    )
    return (
        f"{record.run.run_id}: accuracy {row['accuracy']:.3f} +/- {row['accuracy_sd'] or 0:.3f}, "
        f"{row['duration_s']:.3g} s, {energy} per pass{failed}"
    )


def _records(committed: Path, live: Path) -> tuple[list[tuple[str, Path, Record]], list[str]]:
    filed, refused = read_records(committed)
    running, refused_live = read_records(live)
    campaigns = {record.run.campaign for record in filed.values()}
    known = {(record.run.campaign, record.run.run_id, record.created) for record in filed.values()}
    found = [(record.run.campaign, file, record) for file, record in filed.items()]
    for file, record in running.items():
        name = record.run.campaign
        if (name, record.run.run_id, record.created) not in known:
            found.append((f"{name} (live)" if name in campaigns else name, file, record))
    return found, refused + refused_live


def _published_row(run: pd.DataFrame) -> dict[str, Any]:
    first = run.iloc[0]
    machine = study().machines[str(first["machine"])]
    dataset = study().datasets[str(first["dataset"])]
    chosen = {quantity: _preferred(values) for quantity, values in run.groupby("quantity")}
    row = {name: first[name] for name in ("source", "model", "family", "dataset", "machine", "gpus", "nodes")}
    row["origin"] = " ".join(sorted({str(item["origin"]) for item in chosen.values()}))
    row["gpus_origin"] = "printed" if (run["gpus_origin"] == "printed").any() else first["gpus_origin"]
    row |= {"synthetic": False, "gpu_model": machine.gpu_model, "splits": 10, "texts": dataset.split.test}
    for quantity, item in chosen.items():
        if quantity in ("accuracy", "duration_s", "energy_wh", "cpu_wh", "gpu_wh", "ram_wh"):
            row[str(quantity)] = item["value"]
    for column, quantity in (
        ("accuracy_uncertainty", "accuracy"),
        ("duration_uncertainty_s", "duration_s"),
        ("energy_uncertainty_wh", "energy_wh"),
    ):
        row[column] = chosen[quantity]["uncertainty"] if quantity in chosen else None
    row["energy_kind"] = chosen["energy_wh"]["kind"]
    row["energy_wh_below"] = chosen["energy_wh"]["below"]
    return row


def _preferred(values: pd.DataFrame) -> pd.Series:
    """Choose among the places that give one quantity of one run.

    A printed value comes before one read off a figure, except an energy that is printed as a limit or
    with two decimals below 1 Wh; among figures the most precise reading wins.
    """
    coarse = (values["quantity"] == "energy_wh") & ~(values["value"] >= 1)
    rank = (values["kind"] != "printed").astype(int) + 2 * ((values["kind"] == "printed") & coarse)
    order = values.assign(rank=rank).sort_values(["rank", "uncertainty"], kind="stable")
    return order.iloc[0]


def _measured_row(source: str, file: Path, record: Record) -> dict[str, Any]:
    run = record.run
    accuracy = [item.correct / item.texts for item in record.splits]
    durations = [item.duration_s for item in record.splits]
    energies = [wh for item in record.splits if (wh := _complete_wh(record, item)) is not None]
    components = {name: [getattr(item.energy, name) for item in record.splits] for name in _COMPONENTS}
    # A sum with the CPU and one without it have no mean.
    alike = all(len({part.method for part in components[name]}) == 1 for name in ("cpu", "gpu", "ram"))
    complete = alike and len(energies) == len(record.splits)
    return {
        "source": source,
        "origin": paths.relative(file),
        **{name: getattr(run, name) for name in _FROM_RUN},
        "gpu_model": record.environment.gpus[0].model if record.environment.gpus else None,
        "gpus_origin": "measured",
        "texts": record.splits[0].texts,
        "accuracy": statistics.fmean(accuracy),
        "accuracy_sd": _sd(accuracy),
        "duration_s": statistics.fmean(durations),
        "duration_sd_s": _sd(durations),
        "energy_kind": _kind(record),
        "energy_wh": statistics.fmean(energies) if complete else None,
        "energy_sd_wh": _sd(energies) if complete else None,
        **{f"{name}_wh": _mean([part.energy_wh for part in parts]) for name, parts in components.items()},
        **{
            f"{name}_method": parts[0].method
            for name, parts in components.items()
            if name != "ram_codecarbon"
        },
        "idle_power_w": _mean([item.idle_power_w for item in record.splits]),
        "net_wh": _mean([item.net_wh for item in record.splits]) if complete else None,
        **_training(record),
        "tokens_in": _mean([item.tokens_in for item in record.splits]),
        "tokens_out": _mean([item.tokens_out for item in record.splits]),
        "parse_failures": _mean([item.parse_failures for item in record.splits]),
        "checks_failed": " ".join(check.name for check in record.checks if not check.passed),
    }


def _training(record: Record) -> dict[str, float | None]:
    phase = next((item for item in record.phases if item.name == "train"), None)
    if phase is None:
        return {"train_s": None, "train_wh": None}
    count, energy_wh = len(record.splits), phase.energy.total_wh
    return {
        "train_s": phase.duration_s / count,
        "train_wh": None if energy_wh is None else energy_wh / count,
    }


_COMPONENTS = ("cpu", "gpu", "ram", "ram_codecarbon")
_FROM_RUN = (
    "model",
    "family",
    "checkpoint",
    "weights",
    "dtype",
    "dataset",
    "synthetic",
    "machine",
    "gpus",
    "nodes",
    "device",
    "concurrency",
    "splits",
)


def _measured_observations(source: str, file: Path, record: Record) -> Iterator[dict[str, Any]]:
    row = _measured_row(source, file, record)
    for quantity in ("accuracy", "duration_s", "energy_wh", "cpu_wh", "gpu_wh", "ram_wh"):
        yield {
            **{name: row[name] for name in ("source", "origin", "family", *_RUN, "gpus_origin")},
            "kind": _quantity_kind(quantity, row),
            "quantity": quantity,
            "value": row[quantity],
        }


def _quantity_kind(quantity: str, row: dict[str, Any]) -> str:
    if quantity == "energy_wh":
        return str(row["energy_kind"])
    if not quantity.endswith("_wh"):
        return "measured"
    return str(row[quantity.replace("_wh", "_method")]).partition(":")[0]


def _split_rows(source: str, file: Path, record: Record) -> Iterator[dict[str, Any]]:
    for item in record.splits:
        yield {
            "source": source,
            "origin": paths.relative(file),
            **{name: getattr(record.run, name) for name in _FROM_RUN if name != "splits"},
            **item.model_dump(exclude={"energy", "idle_energy", "sources"}),
            "accuracy": item.correct / item.texts,
            "energy_wh": _complete_wh(record, item),
            "net_wh": item.net_wh,
            **{f"{name}_wh": getattr(item.energy, name).energy_wh for name in _COMPONENTS},
            **{f"{name}_method": getattr(item.energy, name).method for name in _COMPONENTS},
        }


def _complete_wh(record: Record, item: SplitResult) -> float | None:
    """Return the energy of a pass; None where it lacks a component that the run used, or is 0 (the check `energy_known`).

    A counter that did not move says nothing.
    """
    return None if item.energy.lacks(record.run.gpus) else item.energy.total_wh or None


def _kind(record: Record) -> str:
    if any(item.energy.lacks(record.run.gpus) for item in record.splits):
        return "missing"
    # Memory always counts by a rule; what tells runs apart is how CPU and GPU were got.
    parts: list[Component] = [part for s in record.splits for part in (s.energy.cpu, s.energy.gpu)]
    kinds = {part.method.partition(":")[0] for part in parts} - {"missing"}
    if kinds == {"measured"}:
        return "measured"
    return "partly-measured" if "measured" in kinds else "estimated" if kinds else "missing"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _sd(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _integers(table: pd.DataFrame) -> pd.DataFrame:
    whole = ["gpus", "nodes", "concurrency", "splits", "texts"]
    return table.astype(dict.fromkeys(whole, "Int64"))
