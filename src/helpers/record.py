"""The record: the JSON that a run writes, validated on write and on read (data contract of a run)."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from helpers import paths
from helpers.errors import UserError
from helpers.study import NAME, Family
from helpers.validation import Strict, parse_json

SCHEMA_VERSION: Literal[2] = 2
READABLE = (1, 2)
"""Version 1 had no sources, no second idle phase, no thread counts and no power time line: they are absent then."""
RECORD = "record.json"

Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
Method = Literal[
    "measured:nvml-counter",
    "measured:rapl",
    "measured:powermetrics",
    "estimated:cpu-load",
    "estimated:tdp",
    "estimated:unknown",
    "estimated:ram-0.375W/GB",
    "estimated:ram-codecarbon",
    "missing",
]


class Component(Strict):
    """Energy of one component and how it was got."""

    energy_wh: float | None = Field(ge=0)
    """Wh; null where it is missing."""
    method: Method

    @model_validator(mode="after")
    def _missing_is_null(self) -> Self:
        if (self.energy_wh is None) != (self.method == "missing"):
            raise ValueError("energy_wh is null exactly where method is 'missing'")
        return self


class Energy(Strict):
    """Energy by component."""

    cpu: Component
    gpu: Component
    ram: Component
    """By the paper's rule: 0.375 W for each GB that the run may use."""
    ram_codecarbon: Component
    """The same by CodeCarbon's own rule; beside `ram`, never added to it."""

    def lacks(self, gpus: int) -> list[str]:
        """Return what a run on that many GPUs uses and has no energy of: its sum is not the run's."""
        used = {"cpu": self.cpu, "ram": self.ram} | ({"gpu": self.gpu} if gpus else {})
        return [name for name, part in used.items() if part.energy_wh is None]

    @property
    def total_wh(self) -> float | None:
        """Sum of CPU, GPU and RAM in Wh as the paper adds them up; None where nothing is known."""
        known = [part.energy_wh for part in (self.cpu, self.gpu, self.ram) if part.energy_wh is not None]
        return sum(known) if known else None


class Source(Strict):
    """What one source says by itself about a component: CodeCarbon's part, one counter, or the power time line."""

    source: str
    """Such as `codecarbon:measured:rapl`, `nvml:GPU-...`, `rapl:package-0`, `timeline:nvml:GPU-...`."""
    component: Literal["cpu", "dram", "gpu", "ram"]
    energy_wh: float | None = Field(ge=0)
    """Wh per pass; null where the source gave none."""
    problem: str | None
    """Why there is none, or what is wrong with it."""


class Run(Strict):
    """What was run: one model, dataset, machine and set of settings."""

    run_id: str = Field(pattern=NAME)
    campaign: str = Field(pattern=NAME)
    notebook: Literal["traditional"]
    model: str
    family: Family
    checkpoint: str | None
    """Sentence embedding or language model; null for models that need none."""
    revision: str | None
    """Commit of the checkpoint on the hub; null for a local one."""
    checkpoint_sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the checkpoint's weights."""
    weights: Literal["trained here", "real"]
    dtype: str | None
    dataset: str
    dataset_origin: str
    dataset_sha256: str = Sha256
    synthetic: bool
    machine: str = Field(pattern=NAME)
    device: Literal["cpu", "cuda"]
    gpus: int = Field(ge=0)
    """GPUs that the run used."""
    nodes: int = Field(ge=1)
    concurrency: int = Field(ge=1)
    splits: int = Field(ge=1, le=10)
    window_s: float = Field(gt=0)


class GpuInfo(Strict):
    """A GPU that the driver shows to the run."""

    uuid: str
    model: str
    memory_gb: float = Field(gt=0)


class Environment(Strict):
    """Where it was run."""

    git_commit: str | None = Field(pattern=r"^[0-9a-f]{40}$")
    git_dirty: bool | None
    lock_sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    python: str
    packages: dict[str, str]
    os: str
    cpu_model: str
    cpu_cores: int = Field(ge=1)
    ram_gb: float = Field(gt=0)
    gpus: list[GpuInfo]
    driver: str | None
    container: str | None
    threads: dict[str, int] | None = None
    """Threads that the libraries of the run use, by library."""


class Phase(Strict):
    """A timed part of a run; only inference enters the paper's figures."""

    name: Literal["load", "idle", "train", "warm-up", "inference", "idle-after"]
    duration_s: float = Field(ge=0)
    energy: Energy


class SplitResult(Strict):
    """Inference on the test set of one split; durations and energies are per pass."""

    split: int = Field(ge=0, le=9)
    train_ids_sha256: str = Sha256
    test_ids_sha256: str = Sha256
    texts: int = Field(gt=0)
    correct: int = Field(ge=0)
    parse_failures: int = Field(ge=0)
    passes: int = Field(ge=1)
    window_s: float = Field(gt=0)
    """Length of the measured window: all passes."""
    duration_s: float = Field(gt=0)
    energy: Energy
    idle_power_w: float | None = Field(ge=0)
    """Power of the idle machine with everything loaded, all known components: the mean of before and after."""
    idle_energy: Energy | None = None
    """What the idle machine would have taken in the duration of a pass, by component."""
    sources: list[Source] = Field(default_factory=list)
    """What each source says about a pass, for the checks and for readers."""
    tokens_in: int | None = Field(ge=0)
    tokens_out: int | None = Field(ge=0)
    requests_sent: int | None = Field(ge=0)
    requests_answered: int | None = Field(ge=0)

    @property
    def net_wh(self) -> float | None:
        """Energy of a pass beyond the idle machine's, in Wh; None where one has a component that the other lacks."""
        if self.idle_energy is None:
            return None
        pairs = [
            (getattr(self.energy, name), getattr(self.idle_energy, name)) for name in ("cpu", "gpu", "ram")
        ]
        if any((gross.energy_wh is None) != (idle.energy_wh is None) for gross, idle in pairs):
            return None  # a sum with a component less the sum without it is the energy of nothing
        gross_wh, idle_wh = self.energy.total_wh, self.idle_energy.total_wh
        return None if gross_wh is None or idle_wh is None else gross_wh - idle_wh

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.correct + self.parse_failures > self.texts:
            raise ValueError("correct and parse_failures are more than texts")
        return self


class Check(Strict):
    """A named expectation; one that failed stays visible in the book."""

    name: str
    passed: bool
    message: str
    severity: Literal["error", "warning"]


class Record(Strict):
    """One run, complete."""

    schema_version: Literal[2]
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    """When the run ended, UTC."""
    run: Run
    environment: Environment
    phases: list[Phase]
    splits: list[SplitResult] = Field(min_length=1)
    checks: list[Check]
    files: dict[str, str]
    """sha256 of the files beside the record."""

    @model_validator(mode="after")
    def _splits_are_there(self) -> Self:
        if [item.split for item in self.splits] != list(range(self.run.splits)):
            raise ValueError(f"splits are not 0 to {self.run.splits - 1}, each once, in order")
        return self


def read_record(file: Path) -> Record:
    """Read and validate a record.

    Raises:
        UserError: one line with file and field.
    """
    where = paths.relative(file)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {error.strerror}") from None
    version = _schema_version(text)
    if version is not None and (version not in READABLE or isinstance(version, bool)):
        raise UserError(
            f"{where}: schema_version: found {version!r}, this version reads {' and '.join(map(str, READABLE))}; "
            "use the version of the companion that wrote it"
        )
    record = parse_json(Record, _upgraded(text) if version == 1 else text, where)
    if file.parent.name != record.run.run_id:
        raise UserError(f"{where}: run.run_id: {record.run.run_id!r} does not name its folder")
    return record


def read_records(folder: Path) -> tuple[dict[Path, Record], list[str]]:
    """Read `folder/CAMPAIGN/RUN/record.json`; give the valid ones and what is wrong with others."""
    records: dict[Path, Record] = {}
    refused: list[str] = []
    for file in sorted(folder.glob(f"[!.]*/[!.]*/{RECORD}")):
        try:
            records[file] = read_record(file)
        except UserError as error:
            refused.append(str(error))
    return records, refused


def write_record(record: Record, folder: Path) -> None:
    """Write `folder/record.json`, durable, and check that it reads back; call it last, inside `publish`."""
    file = folder / RECORD
    with file.open("w", encoding="utf-8") as out:
        out.write(record.model_dump_json(indent=1) + "\n")
        out.flush()
        os.fsync(out.fileno())
    if parse_json(Record, file.read_bytes(), str(file)) != record:
        raise UserError(f"{paths.relative(file)}: does not read back as it was written")


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Give a scratch folder beside `target` that becomes `target` at the end, whole or not at all.

    Scratch folders of processes that no longer live are removed first, and so is a `target` that holds no
    record: what is left of a run whose record was deleted.

    Raises:
        UserError: where `target` holds a record already.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}.*.partial"):
        if int(stale.name.split(".")[-2]) == os.getpid() or not _alive(int(stale.name.split(".")[-2])):
            shutil.rmtree(stale, ignore_errors=True)
    scratch = target.parent / f".{target.name}.{os.getpid()}.partial"
    scratch.mkdir()
    try:
        yield scratch
        if target.is_dir() and not (target / RECORD).exists():
            shutil.rmtree(target)
        try:
            scratch.rename(target)  # never replaces a folder that holds something
        except OSError as error:
            raise UserError(f"{paths.relative(target)}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _upgraded(text: bytes) -> bytes:
    """Return a record of version 1 as one of the version now; what it lacks is absent."""
    return json.dumps(json.loads(text) | {"schema_version": SCHEMA_VERSION}).encode()


def _schema_version(text: bytes) -> object:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document.get("schema_version") if isinstance(document, dict) else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
