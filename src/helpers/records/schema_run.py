"""What a record says of the run itself: what was run, how a language model was served and asked, and where."""

from typing import Annotated, Literal

from pydantic import Field

from helpers.core.validation import Count, PositiveCount, PositiveQuantity, Quantity, Strict
from helpers.study.catalogue import NAME, CampaignName, Family
from helpers.study.protocols import Protocol

Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
Weights = Annotated[
    str,
    Field(
        pattern=r"^(trained here|real|dummy|unknown|(dequantised )?I?Q\d[A-Z0-9_]*|(dequantised )?(BF16|F16|F32))$"
    ),
]
"""`trained here`, `real` (as published) or `dummy` (random numbers in the shape of the checkpoint, which cost as much and
answer nothing); `unknown` from an endpoint of others where the entry is one of a quantised file, which can be served as it
is or read back; `Q4_K_M` and the like: quantised so, by llama.cpp's names, `dequantised` where they are read back to `dtype`."""


class Serving(Strict):
    """How a language model was served."""

    engine: str
    """Name in `data/study/engines.yaml`, or the address of an endpoint that ran already."""
    engine_version: str | None
    """As the engine reports; null where it does not."""
    command: list[str]
    """What was started, without key and paths of the machine; empty for an endpoint that ran already."""
    quantisation: str | None
    """Null: none, or what the checkpoint itself says."""
    prefix_caching: bool | None
    """Null where an endpoint that ran already does not report it."""
    max_model_len: PositiveCount | None
    """Tokens of prompt and answer together; null: what the checkpoint allows."""
    trust_remote_code: bool
    """Whether code from the checkpoint's repository ran."""


class Generation(Strict):
    """How a language model was asked."""

    language: Literal["de", "en"]
    """Of the instruction."""
    prompt_sha256: str = Sha256
    """Of the messages around an empty text, without examples."""
    shots: Count
    """Examples before each text: the first of the training set."""
    output_mode: Literal["free", "constrained"]
    """Free text, or held to the categories."""
    constraint: Literal["structured_outputs", "grammar"] | None = None
    """Field of a request that held it to them; null with free text, and in records before version 5."""
    max_tokens: PositiveCount
    """Of an answer; thinking not counted unless `protocol` is `dspy-2025`."""
    reasoning: bool
    """Whether the model thinks before it answers."""
    thinking_tokens: Count
    """Tokens of thinking, at the most, on top of `max_tokens`."""
    temperature: Quantity
    """Of sampling; 0 is always the likeliest token."""
    ignore_eos: bool
    """Whether each answer had exactly `max_tokens` tokens."""
    json_fallback: bool
    """Whether an answer without the format was asked for a second time, as JSON."""
    protocol: Protocol = "companion"
    """Who read the answers: the companion, or DSPy (`dspy-2025`, with DSPy's defaults of the time of the paper's runs)."""
    dspy_cache: bool = False
    """Whether an answer of an earlier split was taken for the same request."""
    timeout_s: PositiveQuantity
    """Longest time of one answer."""
    dspy_engine: str
    """Which client of DSPy sent the requests."""


class Run(Strict):
    """What was run: one model, dataset, machine and set of settings."""

    run_id: str = Field(pattern=NAME)
    """Dataset, model and a hash of the settings; the name of its folder."""
    campaign: CampaignName
    """The list of runs that it belongs to."""
    notebook: Literal["traditional", "llm"]
    """The notebook of `notebooks/measure` that measured it."""
    model: str
    """Its name in the catalogue."""
    family: Family
    """The paper's family of models."""
    checkpoint: str | None
    """Sentence embedding or language model; null for models that need none."""
    revision: str | None
    """Commit of the checkpoint on the hub; null for a local one."""
    checkpoint_sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the checkpoint's weights."""
    weights: Weights
    """What they are: `real`, `dummy`, `trained here`, `unknown`, or how they are or were quantised."""
    gguf_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Of the GGUF file with the quantised weights; null for models that come as they were published."""
    dtype: str | None
    """Number format of the weights; null for models without such."""
    dataset: str
    """Its name in the catalogue."""
    dataset_origin: str
    """Where its texts came from: a folder, the hub, or the sample of the project."""
    dataset_sha256: str = Sha256
    """Of texts and labels, in their order."""
    synthetic: bool
    """Whether the texts were invented for this companion."""
    machine: str = Field(pattern=NAME)
    """The paper's machine, or a name after the hardware that was found."""
    device: Literal["cpu", "cuda"]
    """Where a sentence embedding or a language model was computed."""
    gpus: Count
    """GPUs that the run used."""
    nodes: PositiveCount
    """Computers that the model was spread over."""
    concurrency: PositiveCount
    """Texts asked at the same time; 1 is sequential."""
    splits: int = Field(ge=1, le=10)
    """Train/test splits that were measured, from the first."""
    window_s: PositiveQuantity
    """Passes repeat until this many seconds are over."""
    served: Serving | None = None
    """How a language model was served; null for the other models."""
    asked: Generation | None = None
    """How it was asked."""


class GpuInfo(Strict):
    """A GPU that the driver shows to the run."""

    uuid: str
    """What the driver calls this very card."""
    model: str
    """Name of the card."""
    memory_gb: PositiveQuantity
    """Its memory."""
    power_limit_w: PositiveQuantity | None = None
    """Power that the driver lets it take; null where that is not known, as in records of earlier versions."""
    persistence: bool | None = None
    """Whether the driver stays loaded while nobody uses it."""
    mig: bool | None = None
    """Whether it is cut into instances."""
    ecc: bool | None = None
    """Whether its memory corrects errors, which takes a part of its bandwidth."""


class Environment(Strict):
    """Where it was run."""

    git_commit: str | None = Field(pattern=r"^[0-9a-f]{40}$")
    """Of the code that measured; null outside a git checkout."""
    git_dirty: bool | None
    """Whether that code had changes that were not committed."""
    lock_sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    """Of `requirements.txt`."""
    python: str
    """Version of Python."""
    packages: dict[str, str]
    """Versions of the packages that compute or measure."""
    os: str
    """System and kernel."""
    cpu_model: str
    """As the kernel names it."""
    cpu_cores: PositiveCount
    """Cores that the run may use."""
    ram_gb: PositiveQuantity
    """Memory that the run may use."""
    gpus: list[GpuInfo]
    """All GPUs that the driver shows."""
    driver: str | None
    """Version of the GPU driver; null without one."""
    container: str | None
    """Which kind of container it ran in; null for none."""
    threads: dict[str, Count] | None = None
    """Threads that the libraries of the run use, by library; `engine`: that serve a language model on the CPU."""
    garbage_collection: Literal["before windows, never inside"] | None = None
    """When Python collected its garbage."""
