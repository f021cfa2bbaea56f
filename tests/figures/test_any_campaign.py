"""Every figure, table and claim stands whatever a campaign measured: language models, one split, no energy, zeros."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from helpers.claims import ledger
from helpers.claims.verdicts import AGREES, DIFFERS, MEASURED_VERDICTS, OPEN, UNKNOWN, VERDICTS
from helpers.figures.display import Figure
from helpers.records.storage import (
    Component,
    Counts,
    Energy,
    Generation,
    Record,
    Replies,
    Serving,
    read_record,
)
from helpers.results.tables import Tables, load_tables
from helpers.study.catalogue import study
from tests.conftest import ROOT
from tests.support.figure_functions import figure_functions

BASE = sorted((ROOT / "data" / "measurements" / "reference-gpu").glob("*/record.json"))[0]
MISSING = Component(energy_wh=None, method="missing")
NO_ENERGY = Energy(cpu=MISSING, gpu=MISSING, ram=MISSING, ram_codecarbon=MISSING)
LLMS = [name for name, model in study().models.items() if model.family != "Traditional"]
TRADITIONAL = [name for name in study().models if name not in LLMS]
DEEPSEEK = [name for name in LLMS if study().models[name].family == "Deepseek"]


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
    dummy: bool = False
    output_mode: str = "free"
    shots: int = 0
    protocol: str = "companion"
    dspy_cache: bool = False
    language: str = "en"
    failures: tuple[tuple[str, int], ...] = ()
    """Texts without a category, by kind."""
    tokens: bool = True
    """Whether the server tells the tokens of an answer."""

    @property
    def asked(self) -> bool:
        """Whether it is a language model."""
        return self.model in LLMS


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


def record_of(run: Invented, number: int, campaign: str = "invented") -> Record:
    base = read_record(BASE)
    about = {
        **{
            name: getattr(run, name)
            for name in ("model", "dataset", "machine", "gpus", "nodes", "concurrency", "splits")
        },
        "run_id": f"run-{number}",
        "campaign": campaign,
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
                **(of_asking(run, item.texts) if run.asked else {}),
            }
        )
        for item in base.splits[: run.splits]
    ]
    if run.asked:
        about |= served_and_asked(run)
    phases = [phase for phase in base.phases if not run.asked or phase.name != "train"]
    about_run = base.run.model_copy(update=about)
    made = base.model_copy(update={"run": about_run, "splits": splits, "phases": phases})
    return Record.model_validate_json(made.model_dump_json())


def served_and_asked(run: Invented) -> dict[str, Any]:
    reasoning = study().models[run.model].reasoning
    served = Serving(
        engine="vllm",
        engine_version="0.32.0",
        command=["vllm", "serve"],
        quantisation=None,
        prefix_caching=False,
        max_model_len=None,
        trust_remote_code=False,
    )
    asked = Generation(
        language=run.language,
        prompt_sha256="0" * 64,
        shots=run.shots,
        output_mode=run.output_mode,
        max_tokens=128,
        reasoning=reasoning,
        thinking_tokens=4096 if reasoning else 0,
        temperature=0.0,
        ignore_eos=run.dummy,
        json_fallback=run.protocol == "dspy-2025",
        protocol=run.protocol,
        dspy_cache=run.dspy_cache,
        timeout_s=600.0,
        dspy_engine="http.client",
    )
    about = {"notebook": "llm", "checkpoint": "owner/name", "checkpoint_sha256": None, "dtype": "bfloat16"}
    return {**about, "weights": "dummy" if run.dummy else "real", "served": served, "asked": asked}


def of_asking(run: Invented, texts: int) -> dict[str, Any]:
    failed = sum(count for _, count in run.failures)
    counts = Counts(requests=texts, prompt_tokens=600 * texts, generated_tokens=22 * texts)
    replies = Replies(
        failures=dict(run.failures),
        tokens_thinking=5 * texts if study().models[run.model].reasoning else None,
        latency_p50_s=0.2,
        latency_p95_s=0.3,
        latency_p99_s=0.4,
        ttft_s=0.05,
        prefix_hit_rate=None,
        agreement=None,
        client=counts if run.tokens else None,
        engine=counts,
    )
    told = {"tokens_in": 600 * texts, "tokens_out": 22 * texts} if run.tokens else {}
    outcome: dict[str, Any] = {"parse_failures": failed}
    if run.dummy:
        outcome = {"correct": None, "parse_failures": None}
    elif failed:
        outcome["correct"] = (texts - failed) // 2
    return {**told, **outcome, "replies": replies, "requests_sent": texts, "requests_answered": texts}


def llms(**settings: Any) -> Iterator[Invented]:
    for number, model in enumerate(LLMS):
        for gpus in (1, 2, 4):
            yield Invented(model, gpus=gpus, seconds=40 * (number + 1) / gpus**0.5, **settings)
    yield Invented(LLMS[1], gpus=2, nodes=2, seconds=300, **settings)
    yield Invented(LLMS[0], gpus=1, concurrency=64, seconds=4, **settings)


def sweep(
    model: str, concurrencies: tuple[int, ...] = (1, 8, 32, 64, 189), **settings: Any
) -> list[Invented]:
    return [Invented(model, concurrency=c, seconds=40 / c**0.6, **settings) for c in concurrencies]


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
    "many texts at a time, and dummy weights": [
        *(run for model in LLMS[:3] for run in sweep(model, dataset="fktg", machine="capella")),
        *sweep(DEEPSEEK[0], machine="capella", dataset="fktg"),
        *sweep(LLMS[0], (8, 64), gpus=2),
        *sweep(LLMS[1], (1, 64), energy="none", tokens=False, gpus=0),
        *(
            run
            for model in LLMS[:2]
            for run in sweep(model, dataset="fktg-sample", synthetic=True, dummy=True)
        ),
        *sweep(LLMS[0], dataset="fktg", dummy=True),
    ],
    "dummy weights, one text at a time": [
        Invented(model, "fktg", "capella", dummy=True) for model in LLMS[:6]
    ],
    "two nodes, and answers without a category": [
        *(
            Invented(model, "fktg", "capella", gpus=4, nodes=nodes, seconds=30.0 * number * nodes**0.8)
            for number, model in enumerate([*LLMS[:3], *DEEPSEEK[:2]], 1)
            for nodes in (1, 2)
        ),
        *(Invented(model, failures=(("off-list", 3), ("truncated", 40))) for model in LLMS[:3]),
        Invented(LLMS[3], failures=(("reasoning-open", 200),)),
        Invented(DEEPSEEK[0], failures=(("timeout", 1), ("empty", 2)), splits=1, tokens=False),
    ],
    "settings of all kinds": [
        Invented(LLMS[0], gpus=2, shots=shots, output_mode=mode, language=language, seconds=10.0 + shots)
        for shots in (0, 4)
        for mode in ("free", "constrained")
        for language in ("de", "en")
    ],
    "everything right": [Invented(name, gpus=0, correct=200) for name in TRADITIONAL],
    "everything wrong": [Invented(name, gpus=0, correct=0) for name in TRADITIONAL],
}


SOURCES = {f"invented-{number}": runs for number, runs in enumerate(CAMPAIGNS.values())}
SELECTIONS = {
    "all at once": [*SOURCES],
    **{
        name: [f"invented-{[*CAMPAIGNS].index(name)}"]
        for name in ("no energy", "invented texts alone", "one run")
    },
}
"""A page shows all campaigns side by side; three alone take the branches for what no run has."""


@pytest.fixture(scope="module", params=SELECTIONS, ids=lambda name: name.replace(" ", "-"))
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The committed campaigns and invented ones, through the records, as `make book` would read them."""
    live = tmp_path_factory.mktemp("runs")
    for source in SELECTIONS[request.param]:
        for number, run in enumerate(SOURCES[source]):
            file = live / source / f"run-{number}" / "record.json"
            file.parent.mkdir(parents=True)
            file.write_text(record_of(run, number, source).model_dump_json(), encoding="utf-8")
    loaded = load_tables(live=live)
    assert loaded.refused == []
    for source in SELECTIONS[request.param]:
        assert (loaded.results["source"] == source).sum() == len(SOURCES[source])
    return loaded


@pytest.mark.parametrize("function", figure_functions(), ids=lambda function: function.__name__)
def test_every_page_can_be_drawn(function, tables):
    artefact = function(tables)
    assert isinstance(artefact, Figure)
    assert artefact.finding
    assert not re.search(r"\b(nan|inf|None|NaN)\b", f"{artefact.finding} {artefact.note}")
    for panel in artefact.panels:
        drawn = panel.figure.to_json()
        assert "Infinity" not in drawn
        for axis in re.findall(r'"range":(\[[^\]]*\])', drawn):
            assert all(end is None or abs(end) < 1e9 for end in json.loads(axis))


@pytest.mark.parametrize("tables", ["invented texts alone"], indirect=True)
@pytest.mark.parametrize("function", figure_functions(), ids=lambda function: function.__name__)
def test_runs_on_invented_texts_stand_on_a_page_of_their_own(function, tables):
    with_them, without = function(tables), function(load_tables(live=Path("none")))
    if function.__name__ in ("demo", "runs"):
        assert len(with_them.data) == len(without.data) + len(TRADITIONAL)
    else:
        assert with_them.html() == without.html()
        assert with_them.data.equals(without.data)


@pytest.mark.parametrize("tables", ["all at once"], indirect=True)
@pytest.mark.parametrize("source", [*SOURCES, "published"])
def test_every_claim_gets_a_verdict(source, tables):
    found = ledger.evaluate(tables, source)
    assert len(found) > 100
    for item in found:
        outcomes = (AGREES, DIFFERS, UNKNOWN)
        verdicts = VERDICTS if source == "published" else MEASURED_VERDICTS
        assert item.word in (verdicts if item.claim.nature == "statement" else outcomes)
        assert item.reason
        assert (item.recomputed is None) == (item.word in (OPEN, UNKNOWN))


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
