"""What a record holds: the schema, validated on write and on read (data contract of a run)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from helpers.llm.answers import Kind
from helpers.study import NAME, Family
from helpers.validation import Strict

SCHEMA_VERSION: Literal[3] = 3

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


class Served(Strict):
    """How a language model was served."""

    engine: str
    """Name in `data/study/engines.yaml`, or the address of an endpoint that ran already."""
    engine_version: str | None
    command: list[str]
    """What was started, without key and paths of the machine; empty for an endpoint that ran already."""
    quantisation: str | None
    """Null: none, or what the checkpoint itself says."""
    prefix_caching: bool | None
    """Null where an endpoint that ran already does not tell."""
    max_model_len: int | None = Field(ge=1)
    """Tokens of prompt and answer together; null: what the checkpoint allows."""
    trust_remote_code: bool


class Asked(Strict):
    """How a language model was asked."""

    language: Literal["de", "en"]
    """Of the instruction."""
    prompt_sha256: str = Sha256
    """Of the messages around an empty text, without examples."""
    shots: int = Field(ge=0)
    """Examples before each text: the first of the training set."""
    output_mode: Literal["free", "constrained"]
    max_tokens: int = Field(ge=1)
    """Of an answer, thinking not counted."""
    reasoning: bool
    """Whether the model thinks before it answers."""
    thinking_tokens: int = Field(ge=0)
    """Tokens of thinking, at the most, on top of `max_tokens`."""
    temperature: float = Field(ge=0)
    ignore_eos: bool
    """Whether each answer had exactly `max_tokens` tokens."""
    json_fallback: bool
    """Whether an answer without the format was asked for a second time, as JSON."""
    timeout_s: float = Field(gt=0)
    dspy_engine: str
    """Which client of DSPy sent the requests."""


class Run(Strict):
    """What was run: one model, dataset, machine and set of settings."""

    run_id: str = Field(pattern=NAME)
    campaign: str = Field(pattern=NAME)
    notebook: Literal["traditional", "llm"]
    model: str
    family: Family
    checkpoint: str | None
    """Sentence embedding or language model; null for models that need none."""
    revision: str | None
    """Commit of the checkpoint on the hub; null for a local one."""
    checkpoint_sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the checkpoint's weights."""
    weights: Literal["trained here", "real", "dummy"]
    """`dummy`: random weights in the shape of the checkpoint, which cost as much and answer nothing."""
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
    served: Served | None = None
    """How a language model was served; null for the other models."""
    asked: Asked | None = None
    """How it was asked."""


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
    garbage_collection: Literal["before windows, never inside"] | None = None
    """When Python collected its garbage."""


class Phase(Strict):
    """A timed part of a run; only inference enters the paper's figures."""

    name: Literal["load", "idle", "train", "warm-up", "inference", "idle-after"]
    duration_s: float = Field(ge=0)
    energy: Energy


class Counts(Strict):
    """Requests and tokens of a whole window, all passes."""

    requests: int = Field(ge=0)
    prompt_tokens: int = Field(ge=0)
    generated_tokens: int = Field(ge=0)


class Replies(Strict):
    """What came of asking for the texts of one split."""

    failures: dict[Kind, int]
    """Texts of the first pass without a category, by kind; a kind that is not there did not happen."""
    tokens_thinking: int | None = Field(ge=0)
    """Of the generated tokens of the first pass, those of thinking; null where the server does not tell."""
    latency_p50_s: float = Field(ge=0)
    """Percentiles of the time per text, over the texts of all passes."""
    latency_p95_s: float = Field(ge=0)
    latency_p99_s: float = Field(ge=0)
    ttft_s: float | None = Field(ge=0)
    """Mean time to the first token over all passes, as the engine counted it."""
    prefix_hit_rate: float | None = Field(ge=0, le=1)
    """Share of the prompt tokens that the engine found in its prefix cache; null where it looked for none."""
    agreement: float | None = Field(ge=0, le=1)
    """Share of the texts whose outcome was the same in all passes; null with a single pass."""
    client: Counts | None
    """What the client counted; null where a server did not tell the tokens of an answer."""
    engine: Counts | None
    """What the engine counted in the same time; null where it counts nothing."""


class SplitResult(Strict):
    """Inference on the test set of one split; durations and energies are per pass."""

    split: int = Field(ge=0, le=9)
    train_ids_sha256: str = Sha256
    test_ids_sha256: str = Sha256
    texts: int = Field(gt=0)
    correct: int | None = Field(ge=0)
    """Of the first pass; null with dummy weights, whose answers mean nothing."""
    parse_failures: int | None = Field(ge=0)
    """Texts that the model answered without a category; they count as wrong. Null with dummy weights."""
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
    """Of the first pass, like what follows; null where they are unknown for a text that was answered."""
    tokens_out: int | None = Field(ge=0)
    """Generated tokens, thinking included."""
    requests_sent: int | None = Field(ge=0)
    requests_answered: int | None = Field(ge=0)
    replies: Replies | None = None
    """What came of asking a language model."""

    @property
    def accuracy(self) -> float | None:
        """Share of the texts whose category is right; None where the answers mean nothing."""
        return None if self.correct is None else self.correct / self.texts

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
        if (self.correct or 0) + (self.parse_failures or 0) > self.texts:
            raise ValueError("correct and parse_failures are more than texts")
        if self.replies is not None and sum(self.replies.failures.values()) > self.texts - (
            self.correct or 0
        ):
            raise ValueError("correct and replies.failures are more than texts")
        return self


class Check(Strict):
    """A named expectation; one that failed stays visible in the book."""

    name: str
    passed: bool
    message: str
    severity: Literal["error", "warning"]


class Record(Strict):
    """One run, complete."""

    schema_version: Literal[3]
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
