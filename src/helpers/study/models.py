"""Entries of `data/study/models.yaml`: classifiers, language models, checkpoints of sentence embeddings."""

import re
from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from helpers.core.errors import nearest, short
from helpers.core.validation import Strict

Family = Literal["Traditional", "Other LLM", "Deepseek"]
HUB_NAME = r"^[A-Za-z0-9][\w.-]*/[\w.-]+$"
"""OWNER/NAME."""


def _one_of(*names: str) -> Callable[[str], str]:
    """Return what checks that a value is one of these names, or the import path of a class of scikit-learn."""

    def check(value: str) -> str:
        if value not in names and not re.fullmatch(r"sklearn(\.\w+)+", value):
            raise ValueError(
                f"unknown value {short(value)} ({nearest(value, names)}, or the import path of a class of scikit-learn)"
            )
        return value

    return check


Setting = str | int | float | bool | None
"""Value of a parameter of scikit-learn."""


class TraditionalModel(Strict):
    """A classifier on top of features (paper, section 3.1)."""

    title: str
    features: Annotated[str, AfterValidator(_one_of("bow", "tfidf", "embedding"))]
    """`bow`, `tfidf` or `embedding`, as in the paper; or a vectoriser of scikit-learn by its import path."""
    features_parameters: dict[str, Setting] = Field(default={})
    """Of a vectoriser of scikit-learn; what is not given is as the library has it."""
    classifier: Annotated[str, AfterValidator(_one_of("logistic-regression", "xgboost"))]
    """`logistic-regression` or `xgboost`, as in the paper; or a classifier of scikit-learn by its import path."""
    classifier_parameters: dict[str, Setting] = Field(default={})
    """Of a classifier of scikit-learn."""
    family: Literal["Traditional"] = "Traditional"

    in_paper: bool = False
    """One of the paper's six."""

    @model_validator(mode="after")
    def _settings_of_scikit_learn(self) -> Self:
        """The paper's are left as their libraries have them (section 3.1)."""
        for key in ("features", "classifier"):
            if getattr(self, f"{key}_parameters") and not getattr(self, key).startswith("sklearn."):
                raise ValueError(
                    f"'{key}_parameters' is for a class of scikit-learn; expected its import path as '{key}', such as "
                    "sklearn.svm.LinearSVC"
                )
        return self


class MinimumGpus(Strict):
    """The fewest GPUs that a model ran on, at 16 bits per parameter."""

    gpus: int = Field(gt=0)
    """Over all nodes."""
    nodes: int = Field(default=1, gt=0)
    source: Literal["table_b1", "section_3.3", "inferred_b3"]
    """Where the paper says so; Table B3 has the runs but prints no GPU count, so theirs are inferred."""


class PackagedFile(Strict):
    """A file that travels inside packages of the Python index, whole or in parts; its bytes are taken, nothing is run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    """Of the file, once its parts are joined."""
    package: str
    """Name of the package; `{part}` (or `{part:03}`) stands for the number of the part."""
    version: str
    """Of all of its packages."""
    member: str
    """Where the part is in its package."""
    parts: int = Field(default=1, gt=0)
    """Joined in the order of their numbers, from 1 on."""
    size_bytes: int = Field(gt=0)
    """Of the whole file."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the whole file."""

    @property
    def requirements(self) -> list[str]:
        """The packages with their version, in the order of the parts, as pip has them."""
        return [f"{self.package.format(part=part)}=={self.version}" for part in range(1, self.parts + 1)]


def _check_pinned(repository: str | None, revision: str | None) -> None:
    if bool(repository) != bool(revision):
        raise ValueError("'repository' needs 'revision', and 'revision' a 'repository'")


class Gguf(Strict):
    """Quantised weights in one file of the format GGUF, from which a checkpoint's folder is made."""

    file: PackagedFile
    """How the file can be had without a model hub."""
    repository: str | None = Field(default=None, pattern=HUB_NAME)
    """The publisher's own repository with the same file, the same to the byte; None where none is known."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Commit of that repository."""
    quantisation: str = Field(pattern=r"^(I?Q\d[A-Z0-9_]*|BF16|F16|F32)$")
    """How the weights are stored, by llama.cpp's names: `Q4_K_M`."""
    vocabulary: int = Field(gt=0)
    """Rows of the embedding: `vocab_size` in the official `config.json`."""
    tied: bool
    """Whether the output layer is the embedding once more: `tie_word_embeddings` in the official `config.json`."""
    end_token: str
    """With which an answer ends: `eos_token` in the official `tokenizer_config.json`."""

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        _check_pinned(self.repository, self.revision)
        return self


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
    gguf: Gguf | None = None
    """Where the folder's weights come from; None: a repository on the hub, or a folder that somebody else has made."""
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
        if self.gguf is not None and not self.is_folder:
            raise ValueError("'gguf' needs a folder ('./...') as 'checkpoint': it is made from that file")
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


class EmbeddingArchive(Strict):
    """A ZIP file with a sentence embedding, in one folder, that travels inside packages of the Python index."""

    file: PackagedFile
    """How the archive can be had without a model hub."""
    repository: str | None = Field(default=None, pattern=HUB_NAME)
    """The publisher's own repository with the same weights, the same to the byte; None where none is known."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Commit of that repository."""

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        _check_pinned(self.repository, self.revision)
        return self


class EmbeddingCheckpoint(Strict):
    """Where a sentence embedding comes from: a pinned hub repository, an installed package, or an archive in packages."""

    repository: str | None = None
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    package: str | None = None
    archive: EmbeddingArchive | None = None
    weights_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    licence: str

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(map(bool, (self.repository, self.package, self.archive))) != 1:
            raise ValueError(
                "give either 'repository' with 'revision', or 'package' or 'archive' with 'weights_sha256'"
            )
        if bool(self.repository) != bool(self.revision) or bool(self.repository) == bool(self.weights_sha256):
            raise ValueError("'repository' needs 'revision', 'package' and 'archive' need 'weights_sha256'")
        return self

    @property
    def origin(self) -> str:
        """The repository or package that it comes from; of an archive, the publisher's repository where one is known."""
        if self.archive is not None:
            return self.archive.repository or self.archive.file.name
        return self.repository or str(self.package)
