"""Records and predictions of the campaigns with small language models that nobody measured, in a folder of a test."""

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.records.storage import PREDICTIONS, RECORD, Component, Record
from helpers.results.tables import Tables, load_tables
from helpers.study.catalogue import study
from tests.figures.test_any_campaign import Invented, record_of

REFERENCE, FACTORS = "reference-llm-cpu", "factors-cpu"
SMALL, LARGER, FAILING = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "smollm2-135m"
_POOL = 2000


@dataclass(frozen=True)
class Stub:
    """A run of such a campaign: what it takes, how often it is right, and what it is served with."""

    run: Invented
    accuracy: float
    prefix_caching: bool | None = False
    engine: str = "vllm"
    tokens_out: int = 22
    checks_failed: tuple[str, ...] = ()

    @property
    def weights(self) -> str:
        """What a record says of them: read back to 16 bits under vLLM, as they are stored under llama.cpp."""
        if not self.run.asked:
            return "trained here"
        return "Q4_K_M" if self.engine == "llama-cpp" else "dequantised Q4_K_M"


def reference(
    splits: int = 1, datasets: Iterable[str] = ("news", "yelp", "tomatoes", "emotion")
) -> Iterator[Stub]:
    """Yield six classifiers and three language models on each dataset, one of which never keeps the format."""
    for dataset in datasets:
        common = {"dataset": dataset, "gpus": 0, "splits": splits, "machine": "laptop"}
        for number, model in enumerate(
            name for name, item in study().models.items() if item.family == "Traditional"
        ):
            embedded = model.endswith("embedding")
            accuracy = 0.8 if embedded else 0.3 + 0.05 * number
            yield Stub(Invented(model, seconds=18.0 if embedded else 0.02, **common), accuracy)
        yield Stub(Invented(SMALL, seconds=147.0, failures=(("bad-format", 3),), **common), 0.52)
        yield Stub(Invented(LARGER, seconds=350.0, **common), 0.6)
        broken = (("truncated", 145), ("bad-format", 52), ("off-list", 3))
        yield Stub(
            Invented(FAILING, seconds=435.0, failures=broken, **common),
            0.0,
            tokens_out=109,
            checks_failed=("passes_agree",),
        )


def factors(splits: int = 1, datasets: Iterable[str] = ("news", "emotion")) -> Iterator[Stub]:
    """Yield a baseline and one factor changed at a time."""
    for dataset in datasets:
        common = {"dataset": dataset, "gpus": 0, "splits": splits, "machine": "laptop"}
        yield Stub(Invented(SMALL, seconds=147.0, **common), 0.52)
        yield Stub(Invented(SMALL, seconds=90.0, concurrency=4, **common), 0.52)
        yield Stub(Invented(SMALL, seconds=70.0, concurrency=16, **common), 0.515)
        yield Stub(Invented(SMALL, seconds=80.0, **common), 0.52, prefix_caching=True)
        yield Stub(Invented(SMALL, seconds=300.0, shots=4, **common), 0.62)
        yield Stub(Invented(SMALL, seconds=800.0, shots=16, **common), 0.65)
        yield Stub(Invented(SMALL, seconds=120.0, output_mode="constrained", **common), 0.55)
        yield Stub(Invented(SMALL, seconds=160.0, language="de", **common), 0.41)
        failing = (("off-list", 20),)
        yield Stub(Invented(SMALL, seconds=190.0, protocol="dspy-2025", failures=failing, **common), 0.45)
        yield Stub(Invented(SMALL, seconds=60.0, **common), 0.53, prefix_caching=True, engine="llama-cpp")


def write(stubs: Iterable[Stub], campaign: str, folder: Path, predictions: bool = True) -> None:
    """Write `folder/CAMPAIGN/RUN` of each stub: its record, and its predictions unless they are to be missing."""
    for number, stub in enumerate(stubs):
        record = _record(stub, number, campaign)
        place = folder / campaign / record.run.run_id
        place.mkdir(parents=True)
        (place / RECORD).write_text(record.model_dump_json(), encoding="utf-8")
        if predictions:
            _predictions(stub, record).to_parquet(place / PREDICTIONS)


def load(folder: Path) -> Tables:
    """Return the tables with the published values and the runs of a folder, none of which was refused."""
    tables = load_tables(committed=folder / "none", live=folder)
    assert tables.refused == []
    return tables


def _record(stub: Stub, number: int, campaign: str) -> Record:
    record = record_of(stub.run, number, campaign)
    estimated = Component(energy_wh=stub.run.seconds * 40 / 3600, method="estimated:cpu-load")
    splits = []
    for item in record.splits:
        replies = item.replies and item.replies.model_copy(update={"failures": dict(stub.run.failures)})
        changes = {
            "correct": round(stub.accuracy * item.texts) if stub.accuracy else 0,
            "energy": item.energy.model_copy(update={"cpu": estimated}),
            "replies": replies,
            "duration_s": item.duration_s * (1 + 0.01 * (number * item.split % 5)),
        }
        if stub.run.asked:
            changes["tokens_out"] = stub.tokens_out * item.texts
        splits.append(item.model_copy(update=changes))
    served = record.run.served
    if served is not None:
        served = served.model_copy(update={"engine": stub.engine, "prefix_caching": stub.prefix_caching})
    checks = [
        item.model_copy(update={"passed": item.passed and item.name not in stub.checks_failed})
        for item in record.checks
    ]
    failed = [
        record.checks[0].model_copy(update={"name": name, "passed": False})
        for name in stub.checks_failed
        if name not in {item.name for item in checks}
    ]
    about = record.run.model_copy(update={"served": served, "weights": stub.weights})
    made = record.model_copy(update={"run": about, "splits": splits, "checks": [*checks, *failed]})
    return Record.model_validate_json(json.dumps(json.loads(made.model_dump_json())))


def _predictions(stub: Stub, record: Record) -> pd.DataFrame:
    """Return outcomes with the record's number of right ones; texts that are hard are so for every model."""
    labels = study().datasets[record.run.dataset].labels
    frames = []
    for item in record.splits:
        ids = random.Random(f"{record.run.dataset} {item.split}").sample(range(_POOL), item.texts)
        own = random.Random(f"{record.run.model} {item.split}")
        order = sorted(ids, key=lambda number: number + own.uniform(0, _POOL / 2))
        right, failed = set(order[: item.correct]), order[item.texts - (item.parse_failures or 0) :]
        kinds = [kind for kind, count in stub.run.failures for _ in range(count)]
        kind = dict(zip(failed, kinds, strict=False))
        answers = [labels[0] if i in right else None if i in kind else labels[1] for i in ids]
        frame = pd.DataFrame({"split": item.split, "id": ids, "label": labels[0]})
        if stub.run.asked:
            frame = frame.assign(
                category=answers,
                kind=[kind.get(i, "category") for i in ids],
                tokens_in=600,
                tokens_out=stub.tokens_out,
                latency_s=[stub.run.seconds / item.texts * own.uniform(0.5, 1.5) for _ in ids],
            )
        else:
            frame = frame.assign(answer=answers)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
