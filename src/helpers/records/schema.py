"""What a record holds: the schema, validated on write and on read (data contract of a run)."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from helpers.core.validation import Count, PositiveCount, PositiveQuantity, Quantity, Strict
from helpers.records.schema_kinds import Kind
from helpers.records.schema_run import Environment, Run, Sha256

SCHEMA_VERSION: Literal[5] = 5

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A file in the run's own folder: a name with a folder in it would lead out of it."""
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

    energy_wh: Quantity | None
    """Wh; null where it is missing."""
    method: Method
    """Measured, estimated or missing, and by what."""

    @model_validator(mode="after")
    def _missing_is_null(self) -> Self:
        if (self.energy_wh is None) != (self.method == "missing"):
            raise ValueError("energy_wh is null exactly where method is 'missing'")
        return self


class Energy(Strict):
    """Energy by component."""

    cpu: Component
    """Of all CPUs that the run may use."""
    gpu: Component
    """Of the GPUs that the run uses."""
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
        parts_wh = [part.energy_wh for part in (self.cpu, self.gpu, self.ram) if part.energy_wh is not None]
        return sum(parts_wh) if parts_wh else None


class Source(Strict):
    """What one source says by itself about a component: CodeCarbon's part, one counter, or the power time line."""

    source: str
    """Such as `codecarbon:measured:rapl`, `nvml:GPU-...`, `rapl:package-0`, `timeline:nvml:GPU-...`."""
    component: Literal["cpu", "dram", "gpu", "ram"]
    """What it is the energy of; `dram` is memory by a counter."""
    energy_wh: Quantity | None
    """Wh per pass; null where the source gave none."""
    problem: str | None
    """Why there is none, or what is wrong with it."""


class Phase(Strict):
    """A timed part of a run; only inference enters the paper's figures."""

    name: Literal["load", "idle", "train", "warm-up", "inference", "idle-after"]
    """In this order; train and warm-up and inference repeat for each split and are added up."""
    duration_s: Quantity
    """All splits together."""
    energy: Energy
    """All splits together."""


class Counts(Strict):
    """Requests and tokens of a whole window, all passes."""

    requests: Count
    """Requests that were answered."""
    prompt_tokens: Count
    """Tokens of the prompts."""
    generated_tokens: Count
    """Tokens of the answers, thinking included."""


class Replies(Strict):
    """Responses to the requests of one split."""

    failures: dict[Kind, Count]
    """Texts of the first pass without a category, by kind; a kind that is absent did not happen."""
    tokens_thinking: Count | None
    """Of the generated tokens of the first pass, those of thinking; null where the server does not report them."""
    latency_p50_s: Quantity
    """Percentiles of the time per text, over the texts of all passes."""
    latency_p95_s: Quantity
    """95 % of the texts took no longer."""
    latency_p99_s: Quantity
    """99 % of the texts took no longer."""
    ttft_s: Quantity | None
    """Mean time to the first token over all passes, as the engine counted it."""
    prefix_hit_rate: float | None = Field(ge=0, le=1)
    """Share of the prompt tokens that the engine found in its prefix cache; null where it looked for none."""
    agreement: float | None = Field(ge=0, le=1)
    """Share of the texts whose outcome was the same in all passes; null with a single pass."""
    client: Counts | None
    """What the client counted; null where a server did not report the tokens of an answer."""
    engine: Counts | None
    """What the engine counted in the same time; null where it counts nothing."""


class SplitResult(Strict):
    """Inference on the test set of one split; durations and energies are per pass."""

    split: int = Field(ge=0, le=9)
    """Its number; the splits are the same for every model."""
    train_ids_sha256: str = Sha256
    """Of the ids of the training texts, in their order."""
    test_ids_sha256: str = Sha256
    """Of the ids of the test texts, in their order."""
    texts: PositiveCount
    """Texts of the test set."""
    correct: Count | None
    """Of the first pass; null with dummy weights, whose answers mean nothing."""
    parse_failures: Count | None
    """Texts that the model answered without a category; they count as wrong. Null with dummy weights."""
    passes: PositiveCount
    """How often the test set was classified in the window."""
    window_s: PositiveQuantity
    """Length of the measured window: all passes."""
    duration_s: PositiveQuantity
    """Of one pass."""
    energy: Energy
    """Of one pass."""
    idle_power_w: Quantity | None
    """Power of the idle machine with everything loaded, all known components: the mean of before and after."""
    idle_energy: Energy | None = None
    """What the idle machine would have taken in the duration of a pass, by component."""
    sources: list[Source] = Field(default_factory=list)
    """What each source says about a pass, for the checks and for readers."""
    tokens_in: Count | None
    """Of the first pass, like what follows, and of requests that were sent; null where one of them was not counted."""
    tokens_out: Count | None
    """Generated tokens, thinking included."""
    requests_sent: Count | None
    """Requests of the first pass; a text can take two (`json_fallback`)."""
    requests_cached: Count | None = None
    """Requests of the first pass that were not sent, for the cache had the answer; null where there was no cache."""
    requests_answered: Count | None
    """Those of them that were answered."""
    replies: Replies | None = None
    """Responses of a language model."""

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
    """What was expected."""
    passed: bool
    """Whether it held."""
    message: str
    """What was found, and what was expected."""
    severity: Literal["error", "warning"]
    """`error`: the energy cannot be used; `warning`: it is to be read with care."""


class Record(Strict):
    """One run, complete."""

    schema_version: Literal[1, 2, 3, 4, 5]
    """Of what took the run. A change of the fields is a new version; older ones are read."""
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    """When the run ended, UTC."""
    run: Run
    """What was run."""
    environment: Environment
    """Where it was run."""
    phases: list[Phase]
    """The timed parts."""
    splits: list[SplitResult] = Field(min_length=1)
    """What was measured, split by split."""
    checks: list[Check]
    """What was expected, and whether it held."""
    files: dict[FileName, Annotated[str, Sha256]]
    """sha256 of the files beside the record."""

    @model_validator(mode="after")
    def _created_is_a_time(self) -> Self:
        try:
            datetime.strptime(self.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise ValueError(f"created: {error}") from None
        return self

    @model_validator(mode="after")
    def _splits_are_there(self) -> Self:
        if [item.split for item in self.splits] != list(range(self.run.splits)):
            raise ValueError(f"splits are not 0 to {self.run.splits - 1}, each once, in order")
        return self
