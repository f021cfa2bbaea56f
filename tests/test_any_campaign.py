"""Every figure, table and claim stands whatever a campaign measured: language models, one split, no energy, zeros."""

import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
import pytest

from conftest import ROOT
from helpers import paths
from helpers.claims import ledger
from helpers.record import Component, Energy, Record, read_record
from helpers.results import Tables, load_tables
from helpers.show import Artefact
from helpers.study import study

BASE = sorted((ROOT / "data" / "measurements" / "reference-gpu").glob("*/record.json"))[0]
MISSING = Component(energy_wh=None, method="missing")
NO_ENERGY = Energy(cpu=MISSING, gpu=MISSING, ram=MISSING, ram_codecarbon=MISSING)
LLMS = [name for name, model in study().models.items() if model.family != "Traditional"]
TRADITIONAL = [name for name in study().models if name not in LLMS]


@dataclass(frozen=True)
class Invented:
    """A run of an invented campaign."""

    model: str
    dataset: str = "news"
    machine: str = "box"
    gpus: int = 1
    nodes: int = 1
    concurrency: int = 1
    splits: int = 10
    seconds: float = 10.0
    energy: str = "measured"
    """`measured`, `none` or `zero`."""
    synthetic: bool = False
    correct: int | None = None


def energy_of(run: Invented, watts: float) -> Energy:
    if run.energy == "none":
        return NO_ENERGY
    wh = 0.0 if run.energy == "zero" else watts * run.seconds / 3600
    gpu = Component(energy_wh=0.7 * wh, method="measured:nvml-counter") if run.gpus else MISSING
    return Energy(
        cpu=Component(energy_wh=0.2 * wh, method="measured:rapl"),
        gpu=gpu,
        ram=Component(energy_wh=0.1 * wh, method="estimated:ram-0.375W/GB"),
        ram_codecarbon=Component(energy_wh=0.1 * wh, method="estimated:ram-codecarbon"),
    )


def record_of(run: Invented, number: int) -> Record:
    base = read_record(BASE)
    about = {
        **{
            name: getattr(run, name)
            for name in ("model", "dataset", "machine", "gpus", "nodes", "concurrency", "splits")
        },
        "run_id": f"run-{number}",
        "campaign": "invented",
        "family": study().models[run.model].family,
        "synthetic": run.synthetic,
        "device": "cuda" if run.gpus else "cpu",
    }
    splits = [
        item.model_copy(
            update={
                "duration_s": run.seconds * (1 + 0.01 * item.split),
                "energy": energy_of(run, 200 + 100 * run.gpus + item.split),
                "correct": item.correct - number % 7 if run.correct is None else run.correct,
            }
        )
        for item in base.splits[: run.splits]
    ]
    trained = run.model in TRADITIONAL
    phases = [phase for phase in base.phases if trained or phase.name != "train"]
    about_run = base.run.model_copy(update=about)
    made = base.model_copy(update={"run": about_run, "splits": splits, "phases": phases})
    return Record.model_validate_json(made.model_dump_json())


def llms(**settings: Any) -> Iterator[Invented]:
    for number, model in enumerate(LLMS):
        for gpus in (1, 2, 4):
            yield Invented(model, gpus=gpus, seconds=40 * (number + 1) / gpus**0.5, **settings)
    yield Invented(LLMS[1], gpus=2, nodes=2, seconds=300, **settings)
    yield Invented(LLMS[0], gpus=1, concurrency=64, seconds=4, **settings)


CAMPAIGNS = {
    "language models of the paper's dataset": [*llms(dataset="fktg"), *llms(), *map(Invented, TRADITIONAL)],
    "the paper again, on its machine": [
        *llms(dataset="fktg", machine="capella"),
        *llms(dataset="emotion", machine="capella"),
    ],
    "one split": [
        *llms(dataset="fktg", splits=1),
        *(Invented(name, "fktg", gpus=0, splits=1) for name in TRADITIONAL),
    ],
    "no energy": [*llms(energy="none"), *(Invented(name, gpus=0, energy="none") for name in TRADITIONAL)],
    "counters that stood still": [Invented(name, energy="zero") for name in (*LLMS[:2], *TRADITIONAL)],
    "invented texts alone": [Invented(name, "fktg-sample", gpus=0, synthetic=True) for name in TRADITIONAL],
    "one run": [Invented("linear-bow", "fktg", gpus=0, splits=1, seconds=0.01)],
    "a GPU count that one model alone has": [
        *(Invented(name, seconds=30.0 * number) for number, name in enumerate(LLMS[:5], 1)),
        Invented(LLMS[5], gpus=2, seconds=200),
    ],
    "everything right": [Invented(name, gpus=0, correct=200) for name in TRADITIONAL],
    "everything wrong": [Invented(name, gpus=0, correct=0) for name in TRADITIONAL],
}


@pytest.fixture(scope="module", params=CAMPAIGNS, ids=lambda name: name.replace(" ", "-"))
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The committed campaigns and an invented one, through the records, as `make book` would read them."""
    live = tmp_path_factory.mktemp("runs")
    for number, run in enumerate(CAMPAIGNS[request.param]):
        file = live / "invented" / f"run-{number}" / "record.json"
        file.parent.mkdir(parents=True)
        file.write_text(record_of(run, number).model_dump_json(), encoding="utf-8")
    loaded = load_tables(live=live)
    assert loaded.refused == []
    assert (loaded.results["source"] == "invented").sum() == len(CAMPAIGNS[request.param])
    return loaded


def functions() -> dict[str, Any]:
    found = {}
    for file in sorted((paths.NOTEBOOKS / "analysis").glob("*.ipynb")):
        source = nbformat.read(file, as_version=4).cells[1].source
        module, name = re.search(r"from helpers\.artefacts\.(\w+) import (\w+)", source).groups()
        found[file.stem] = getattr(importlib.import_module(f"helpers.artefacts.{module}"), name)
    return found


BENCHES = {"protocol"}
"""Pages that draw benches and no runs (tests/test_bench.py)."""


@pytest.mark.parametrize("name", sorted(functions().keys() - BENCHES))
def test_every_page_can_be_drawn(name, tables):
    artefact = functions()[name](tables)
    assert isinstance(artefact, Artefact)
    assert artefact.name == name
    assert artefact.finding
    assert not re.search(r"\b(nan|inf|None|NaN)\b", f"{artefact.finding} {artefact.note}")
    for panel in artefact.panels:
        drawn = panel.figure.to_json()
        assert "Infinity" not in drawn
        for axis in re.findall(r'"range":(\[[^\]]*\])', drawn):
            assert all(end is None or abs(end) < 1e9 for end in json.loads(axis))


@pytest.mark.parametrize("source", ["invented", "published"])
def test_every_claim_gets_a_verdict(source, tables):
    found = ledger.evaluate(tables, source)
    assert len(found) > 100
    for item in found:
        assert item.verdict in ledger.VERDICTS
        assert item.reason
        assert (item.recomputed is None) == (item.verdict == ledger.OPEN)


def test_an_energy_of_zero_is_missing_and_not_free(tmp_path: Path) -> None:
    file = tmp_path / "invented" / "run-0" / "record.json"
    file.parent.mkdir(parents=True)
    file.write_text(record_of(Invented("linear-bow", energy="zero"), 0).model_dump_json(), encoding="utf-8")
    loaded = load_tables(live=tmp_path)
    mine = loaded.results[loaded.results["source"] == "invented"]
    assert mine["energy_wh"].isna().all()
    assert loaded.split_results.query("source == 'invented'")["energy_wh"].isna().all()


def test_runs_with_many_texts_at_once_are_not_fitted_with_the_others() -> None:
    from helpers.statistics import regression

    tables = load_tables()
    mine = tables.results[tables.results["source"] == "reference-gpu"]
    batched = replace(
        tables,
        results=tables.results.assign(
            concurrency=tables.results["concurrency"].where(tables.results.index != mine.index[0], 64)
        ),
    )
    points = [
        regression.points(t.results, "reference-gpu", mine["machine"].iloc[0]) for t in (tables, batched)
    ]
    assert len(points[0]) == len(points[1]) + 1
