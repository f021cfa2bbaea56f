"""Numbers of the prose: every one computed from the data, none typed (see the role `number` of the book)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from helpers import units
from helpers.claims import ledger
from helpers.results import Tables
from helpers.statistics import diagnostics, regression
from helpers.study import model_title, study


@dataclass(frozen=True)
class Number:
    """A number as prose shows it, and the analysis notebook that shows where it comes from."""

    text: str
    see: str = ""
    """Without one the number comes from the catalogue (`data/study`)."""


def numbers(tables: Tables) -> dict[str, Number]:
    """Return every number that prose may use, by name."""
    return {name: number for part in _PARTS for name, number in part(tables)}


Part = Callable[[Tables], Iterator[tuple[str, Number]]]


def _figure_1(tables: Tables) -> Iterator[tuple[str, Number]]:
    see = "figure_1_accuracy_energy"
    published = tables.results[tables.results["source"] == "published"]
    fktg = published[(published["dataset"] == "fktg") & published["accuracy"].notna()]
    best = fktg.sort_values("accuracy").iloc[-1]
    cheapest, dearest = (fktg.sort_values("energy_wh").iloc[place] for place in (0, -1))
    yield "best.model", Number(model_title(best["model"]), see)
    yield "best.accuracy", Number(f"{best['accuracy']:.2f}", see)
    yield "best.energy", Number(units.energy(best["energy_wh"]), see)
    yield "dearest.model", Number(model_title(dearest["model"]), see)
    yield "dearest.energy", Number(units.energy(dearest["energy_wh"]), see)
    yield "cheapest.energy", Number(units.energy(cheapest["energy_wh"]), see)
    yield "decades", Number(f"{math.log10(dearest['energy_wh'] / cheapest['energy_wh']):.1f}", see)


def _regression(tables: Tables) -> Iterator[tuple[str, Number]]:
    points = regression.points(tables.results, "published", "capella", "fktg")
    errors = diagnostics.left_out_errors(points)
    sizes = errors["error_percent"].abs()
    long = errors["duration_s"] >= diagnostics.LONG_S
    see = "duration_proxy"
    yield "proxy.long-from", Number(units.duration(diagnostics.LONG_S, 3), see)
    yield "proxy.median-long", Number(f"{sizes[long].median():.0f}{units.THIN}%", see)
    yield "proxy.median-short", Number(f"{sizes[~long].median():.0f}{units.THIN}%", see)
    yield "capella.points", Number(str(len(points)), "table_3_regression")
    printed = regression.printed_fit(tables.printed, machine="capella")
    yield "capella.printed-points", Number(str(printed.n), "table_3_regression")


def _claims(tables: Tables) -> Iterator[tuple[str, Number]]:
    found = ledger.evaluate(tables, "published")
    verdicts = pd.Series([item.verdict for item in found if item.claim.nature == "statement"])
    tested = verdicts != ledger.OPEN
    holding = verdicts.isin([ledger.HOLDS, ledger.ROUNDED])
    for name, count in (
        ("all", len(verdicts)),
        ("tested", tested.sum()),
        ("holding", holding.sum()),
        ("rounded", (verdicts == ledger.ROUNDED).sum()),
        ("failing", (verdicts == ledger.FAILS).sum()),
        ("untested", (~tested).sum()),
    ):
        yield f"claims.{name}", Number(str(count), "claims")


def _runs(tables: Tables) -> Iterator[tuple[str, Number]]:
    for source in ("published", *study().campaigns):
        yield f"runs.{source}", Number(str((tables.results["source"] == source).sum()), "runs")


def _study(_tables: Tables) -> Iterator[tuple[str, Number]]:
    for name, dataset in study().datasets.items():
        yield f"{name}.labels", Number(str(len(dataset.labels)))
        yield f"{name}.train", Number(str(dataset.split.train))
        yield f"{name}.test", Number(str(dataset.split.test))
        if dataset.texts is not None:
            yield f"{name}.texts", Number(str(dataset.texts))
        if dataset.csv is not None:
            yield f"{name}.min-per-label", Number(str(dataset.csv.min_per_label))


_PARTS: tuple[Part, ...] = (_figure_1, _regression, _claims, _runs, _study)
