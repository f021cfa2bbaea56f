"""The parameters that the measurement notebooks declare, each with its type, default and limits."""

from typing import Literal

from pydantic import Field

from helpers.core.validation import Strict
from helpers.models.llm.generation import DEFAULT_MAX_TOKENS
from helpers.study.catalogue import PAPER_EMBEDDING, CampaignName
from helpers.study.protocols import Protocol

MAX_TOKENS = 10_000_000
"""More than any model reads or writes at once; sums of tokens stay exact numbers."""

WARM_UP_TEXTS = 4
"""Training texts of the warm-up before a window, at least; as many as the concurrency where that is larger."""


class RunParameters(Strict):
    """Parameters that every measurement notebook has."""

    model: str
    """A model of the catalogue."""
    dataset: str = "fktg-sample"
    """A dataset of the catalogue."""
    machine: str = "auto"
    """The current machine, or the name of the paper's machine that it is."""
    campaign: CampaignName = "local"
    """The name that the run is stored under."""
    splits: int = Field(default=10, ge=1, le=10)
    """How many of the 10 fixed splits, from the first."""
    window_s: float = Field(default=5.0, gt=0, le=3600)
    """Passes repeat until this many seconds are over; below 5 a check fails."""
    cool_down_s: float = Field(default=10.0, ge=0, le=3600)
    """Seconds that the machine rests after the end of the last measurement on it, before this one begins."""
    data_dir: str = ""
    """Folder with NAME.csv.gz files, or the CSV that an entry names; the default is what COMPANION_DATASETS names."""
    output: str = ""
    """Folder that receives CAMPAIGN/RUN/record.json; the default is runs."""


class TraditionalParameters(RunParameters):
    """Parameters of `notebooks/measure/traditional.ipynb`."""

    model: str = "linear-tfidf"
    """A traditional model of the catalogue."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where a sentence embedding is computed; the paper used a GPU."""
    checkpoint: str = PAPER_EMBEDDING
    """Sentence embedding: one of the catalogue, or a folder, written with a slash."""


class LlmParameters(RunParameters):
    """Parameters of `notebooks/measure/llm.ipynb`."""

    model: str = "qwen2.5-0.5b"
    """A language model of the catalogue."""
    gpus: int = Field(default=0, ge=0, le=64)
    """GPUs of each node, over which every layer is spread; 0: the CPU serves."""
    threads: int = Field(default=0, ge=0, le=1024)
    """Threads with which an engine computes that is started on the CPU; 0: one for each core that the run may use."""
    nodes: int = Field(default=1, ge=1, le=64)
    """Nodes over which the layers are spread, with Ray."""
    concurrency: int = Field(default=1, ge=1, le=4096)
    """Requests under way at the same time; 1 is sequential. The paper does not say; its durations on Capella fit 1."""
    protocol: Protocol = "companion"
    """How the model is asked and its answer read: the companion's way, or DSPy's defaults of the time of the paper's runs
    (`dspy-2025`: 1000 tokens, thinking included, a second request for JSON, DSPy's own reading), which the paper, silent
    about its settings, may have used."""
    dspy_cache: bool = False
    """With `dspy-2025` only: take the answer of an earlier split for the same text. DSPy's cache was on by default."""
    language: Literal["", "de", "en"] = ""
    """Of the instruction; the default is the dataset's. The paper says German for FKTG, and of the others nothing."""
    shots: int = Field(default=0, ge=0, le=100)
    """Examples before each text, from the training split."""
    output_mode: Literal["free", "constrained"] = "free"
    """Free text, or nothing but a category (structured outputs), which the paper does not mention."""
    max_tokens: int = Field(default=DEFAULT_MAX_TOKENS, ge=1, le=MAX_TOKENS)
    """Tokens of an answer, at the most; the paper does not say."""
    thinking_tokens: int = Field(default=4096, ge=1, le=MAX_TOKENS)
    """Tokens of thinking, at the most, on top of those; for reasoning models only. The paper does not say."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """0: always the likeliest token. The paper does not say; DSPy's default was 0 at its time."""
    json_fallback: bool = False
    """Ask a second time, for JSON, where an answer has not the format. The paper does not say; DSPy did so by default."""
    engine: str = "vllm"
    """An engine of data/study/engines.yaml, or the URL of an endpoint that runs already."""
    checkpoint: str = ""
    """A folder with a checkpoint in place of the catalogue's; of an endpoint that runs already, the name it serves."""
    weights: Literal["real", "dummy"] = "real"
    """`dummy`: random weights, which cost as much and answer nothing."""
    dtype: Literal["auto", "bfloat16", "float16", "half", "float32", "float"] = "auto"
    """Number format of the weights, by vLLM's names; auto: the checkpoint's."""
    quantisation: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9_-]*)?$")
    """Passed to the engine; the default is what the checkpoint itself says."""
    prefix_caching: bool = False
    """Whether the engine may keep the beginning that all prompts share. The paper does not say."""
    max_model_len: int = Field(default=0, ge=0, le=MAX_TOKENS)
    """Tokens of prompt and answer together; 0: what the checkpoint allows."""
    timeout_s: float = Field(default=600.0, gt=0, le=86400)
    """Longest time of one answer."""
    start_timeout_s: float = Field(default=1800.0, gt=0, le=86400)
    """Longest time until the engine answers."""
    keep_answers: bool = False
    """Keep the raw answers in a file beside the record that is never promoted; they may quote the texts."""
