"""Entries of `data/study/models.yaml`: classifiers, language models, checkpoints of sentence embeddings."""

from typing import Literal, Self

from pydantic import Field, model_validator

from helpers.core.validation import Strict

Family = Literal["Traditional", "Other LLM", "Deepseek"]


class TraditionalModel(Strict):
    """A classifier on top of features (paper, section 3.1)."""

    title: str
    features: Literal["bow", "tfidf", "embedding"]
    classifier: Literal["logistic-regression", "xgboost"]
    family: Literal["Traditional"] = "Traditional"

    in_paper: bool = False
    """One of the paper's six."""


class MinimumGpus(Strict):
    """The fewest GPUs that a model ran on, at 16 bits per parameter."""

    gpus: int = Field(gt=0)
    """Over all nodes."""
    nodes: int = Field(default=1, gt=0)
    source: Literal["table_b1", "section_3.3", "inferred_b3"]
    """Where the paper says so; Table B3 has the runs but prints no GPU count, so theirs are inferred."""


class LanguageModel(Strict):
    """A checkpoint that is asked without training (paper, section 3.2 and Table 1).

    Facts are those of the checkpoint's public configuration and model card.
    """

    title: str
    """How figures and tables write its name."""
    family: Literal["Other LLM", "Deepseek"]
    """The group whose colour and mark it has; Deepseek are the models whose reasoning is DeepSeek's."""
    in_paper: bool = False
    """One of the paper's 11."""
    checkpoint: str = Field(pattern=r"^(\./.+|[A-Za-z0-9][\w.-]*/[\w.-]+)$")
    """Repository on the Hugging Face hub, OWNER/NAME; or a folder, from the root of the project and beginning with './'."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Commit on the hub, 40 hex digits; a folder has none."""
    stands_for: str | None = None
    """The paper's model whose name means this checkpoint, but whose link leads to another."""
    note: str | None = None
    """A remark for those who read the file; nothing shows it."""
    parameters_b: float = Field(gt=0)
    """Parameters in billions, as its page on the hub states; at 2 bytes each they are the least memory in GB."""
    active_parameters_b: float | None = Field(default=None, gt=0)
    """Of a mixture of experts: the parameters that work on one token, in billions; None: all of them."""
    layers: int = Field(gt=0)
    """`num_hidden_layers` in the checkpoint's `config.json`."""
    attention_layers: int | None = Field(default=None, gt=0)
    """Layers with a key-value cache, where not all have one (Mamba); None: all of them."""
    hidden_size: int = Field(gt=0)
    """`hidden_size` in the checkpoint's `config.json`."""
    heads: int = Field(gt=0)
    """`num_attention_heads` in the checkpoint's `config.json`."""
    kv_heads: int = Field(gt=0)
    """`num_key_value_heads` in the checkpoint's `config.json`; as many as `heads` where that has none."""
    head_size: int | None = Field(default=None, gt=0)
    """`head_dim` in the checkpoint's `config.json`; None where that has none: `hidden_size` by `heads`."""
    context_length: int = Field(gt=0)
    """Tokens of prompt and answer together: `max_position_embeddings` in the checkpoint's `config.json`."""
    dtype: Literal["bfloat16", "float16", "float32"]
    """Of the weights as published: `torch_dtype` or `dtype` in the checkpoint's `config.json`."""
    licence: str
    """As its page on the hub names it."""
    gated: bool | None
    """Whether the hub asks for an account that has accepted the licence; null: not known to us."""
    trust_remote_code: bool = False
    """Whether it cannot run without code from its repository; that of the pinned revision, and no other, is trusted."""
    reasoning: bool = False
    """Whether it thinks before it answers."""
    min_gpus: dict[str, MinimumGpus] = Field(default_factory=dict)
    """By machine of the paper; a machine is absent where the paper has no run."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.is_folder == bool(self.revision):
            raise ValueError("a checkpoint on the hub needs 'revision', a folder ('./...') has none")
        if self.trust_remote_code and not self.revision:
            raise ValueError("'trust_remote_code' needs 'revision': code that may change is not trusted")
        if self.head_size is None and self.hidden_size % self.heads:
            raise ValueError("'hidden_size' is a multiple of 'heads', or 'head_size' (head_dim) is needed")
        if self.heads % self.kv_heads:
            raise ValueError("'heads' is a multiple of 'kv_heads'")
        return self

    @property
    def is_folder(self) -> bool:
        """Whether the checkpoint is a folder and not on the hub."""
        return self.checkpoint.startswith("./")

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of the key-value cache that a token takes, at 2 bytes a number."""
        caching = self.attention_layers or self.layers
        head = self.head_size or self.hidden_size // self.heads
        return 2 * 2 * caching * self.kv_heads * head


class EmbeddingCheckpoint(Strict):
    """Where a sentence embedding comes from: a pinned hub repository or an installed package."""

    repository: str | None = None
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    package: str | None = None
    weights_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    licence: str

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.repository) == bool(self.package):
            raise ValueError("give either 'repository' with 'revision' or 'package' with 'weights_sha256'")
        if bool(self.repository) != bool(self.revision) or bool(self.package) != bool(self.weights_sha256):
            raise ValueError("'repository' needs 'revision', 'package' needs 'weights_sha256'")
        return self
