"""The paper's values (`data/published/*.csv`) as observations: one row per run, quantity and place."""

import math
from collections.abc import Hashable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.core import paths
from helpers.results.rows import KEY
from helpers.study.catalogue import study

PRINTED = ("accuracy", "duration_s", "energy_wh", "average_power_w")


@dataclass(frozen=True)
class PublishedRun:
    """What a published value belongs to."""

    model: str
    dataset: str
    machine: str
    gpus: int | None
    gpus_origin: str | None
    """`printed`, or `inferred` where the paper leaves the number out."""
    nodes: int


@dataclass(frozen=True)
class Observation:
    """One value of one run, as it stands in one table or figure.

    `uncertainty` is a bound in the unit of the value: half a unit of the last printed digit, or what
    reading the figure allows. `below` is the limit where the paper prints `<0.01`; `value` is then absent.
    """

    origin: str
    kind: str
    """`printed`, `digitised`, or `inferred`: from the limits of a panel in which the mark is hidden."""
    run: PublishedRun
    quantity: str
    value: float | None
    uncertainty: float | None
    below: float | None = None


def observations(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """Return every published value of a run: Tables B1-B5 and Figures 1-7."""
    gpus_b3 = _gpus_of_table_b3(folder)
    items = [
        *_table(folder, "table_b1", gpus_b3),
        *_table(folder, "table_b2", gpus_b3),
        *_table(folder, "table_b3", gpus_b3),
        *_table(folder, "table_b4", gpus_b3),
        *_table(folder, "table_b5", gpus_b3),
        *_figure_2(folder),
    ]
    for name in ("figure_1", "figure_3", "figure_4", "figure_5", "figure_6", "figure_7"):
        items += _figure(folder, name, gpus_b3)
    values = ("origin", "kind", "quantity", "value", "uncertainty", "below")
    return pd.DataFrame(
        [{**asdict(item.run), **{name: getattr(item, name) for name in values}} for item in items]
    )


def published_rows(observations: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each published run, in the order of its first observation."""
    runs: dict[int, list[dict[Hashable, Any]]] = {}
    numbers = observations.groupby(KEY, dropna=False, sort=False).ngroup()
    # Plain dictionaries: pandas takes ten times as long for frames of three rows.
    for number, observation in zip(numbers, observations.to_dict("records"), strict=True):
        runs.setdefault(number, []).append(observation)
    return [_published_row(run) for run in runs.values()]


def _published_row(run: list[dict[Hashable, Any]]) -> dict[str, Any]:
    first = run[0]
    machine = study().machines[str(first["machine"])]
    dataset = study().datasets[str(first["dataset"])]
    chosen = {
        quantity: _preferred([item for item in run if item["quantity"] == quantity])
        for quantity in dict.fromkeys(item["quantity"] for item in run)
    }
    row = {name: first[name] for name in ("source", "model", "family", "dataset", "machine", "gpus", "nodes")}
    row["origin"] = " ".join(sorted({str(item["origin"]) for item in chosen.values()}))
    printed = any(item["gpus_origin"] == "printed" for item in run)
    row["gpus_origin"] = "printed" if printed else first["gpus_origin"]
    row |= {"synthetic": False, "gpu_model": machine.gpu_model, "splits": 10, "texts": dataset.split.test}
    for quantity in ("accuracy", "duration_s", "energy_wh", "cpu_wh", "gpu_wh", "ram_wh"):
        if quantity in chosen:
            row[quantity] = chosen[quantity]["value"]
    for column, quantity in (
        ("accuracy_uncertainty", "accuracy"),
        ("duration_uncertainty_s", "duration_s"),
        ("energy_uncertainty_wh", "energy_wh"),
    ):
        row[column] = chosen[quantity]["uncertainty"] if quantity in chosen else None
    row["energy_kind"] = chosen["energy_wh"]["kind"]
    row["energy_wh_below"] = chosen["energy_wh"]["below"]
    return row


def _preferred(places: list[dict[Hashable, Any]]) -> dict[Hashable, Any]:
    """Choose among the places that give one quantity of one run.

    A printed value comes before one read off a figure or inferred from its limits, except an energy that is printed as a limit or
    with two decimals below 1 Wh; among figures the most precise reading wins.
    """

    def rank(item: dict[Hashable, Any]) -> tuple[int, float]:
        coarse = item["quantity"] == "energy_wh" and not item["value"] >= 1
        uncertainty = math.inf if math.isnan(item["uncertainty"]) else item["uncertainty"]
        return (1 if item["kind"] != "printed" else 2 if coarse else 0), uncertainty

    return min(places, key=rank)


def files(folder: Path = paths.PUBLISHED) -> dict[str, pd.DataFrame]:
    """Return every published file as it is, by name; numbers as numbers."""
    return {file.stem: pd.read_csv(file) for file in sorted(folder.glob("*.csv"))}


def _rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    frame = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
    for row in frame.to_dict("records"):
        yield {str(key): value for key, value in row.items()}


def _gpus_of_table_b3(folder: Path) -> dict[tuple[str, str], int]:
    """Return the GPU counts behind Table B3 and Figure 5, which the paper does not print."""
    gpus = {}
    for row in _rows(folder, "inferred_b3_gpu_counts"):
        gpus[row["model"], "capella"] = int(row["gpus_h100_inferred"])
        gpus[row["model"], "paula"] = gpus[row["model"], "clara"] = int(row["gpus_a30_v100_assumed"])
    return gpus


def _run(name: str, row: dict[str, str], gpus_b3: dict[tuple[str, str], int]) -> PublishedRun:
    printed = row.get("gpus")
    inferred = gpus_b3[row["model"], row["machine"]] if name in ("table_b3", "figure_5") else None
    return PublishedRun(
        model=row["model"],
        dataset=row.get("dataset", "fktg"),
        machine=row["machine"],
        gpus=int(printed) if printed else inferred,
        gpus_origin="printed" if printed else "inferred" if inferred else None,
        nodes=int(row["nodes"]),
    )


def _table(folder: Path, name: str, gpus_b3: dict[tuple[str, str], int]) -> Iterator[Observation]:
    for row in _rows(folder, name):
        run = _run(name, row, gpus_b3)
        for quantity in PRINTED:
            if text := row.get(quantity):
                half = 0.5 * 10.0 ** -len(text.partition(".")[2])
                yield Observation(name, "printed", run, quantity, float(text), half)
        if limit := row.get("energy_wh_below"):
            yield Observation(name, "printed", run, "energy_wh", None, None, float(limit))


def _figure(folder: Path, name: str, gpus_b3: dict[tuple[str, str], int]) -> Iterator[Observation]:
    for row in _rows(folder, name):
        if not row["source"].startswith("digitised"):
            continue  # a marker that cannot be seen: the file repeats the table's value
        run = _run(name, row, gpus_b3)
        hidden = row["source"] == "digitised_panel_limits"
        for quantity in PRINTED:
            if (text := row.get(quantity)) and not (hidden and quantity == "accuracy"):  # it is Table B1's
                kind = "inferred" if hidden else "digitised"
                yield Observation(
                    name, kind, run, quantity, float(text), float(row[f"{quantity}_uncertainty"])
                )


def _figure_2(folder: Path) -> Iterator[Observation]:
    for row in _rows(folder, "figure_2"):
        if row["source"] == "digitised":
            quantity = f"{row['component'].lower()}_wh"
            value, uncertainty = float(row["energy_wh"]), float(row["energy_wh_uncertainty"])
            yield Observation(
                "figure_2", "digitised", _run("figure_2", row, {}), quantity, value, uncertainty
            )
