"""What a run wants from the Hugging Face hub: repositories at pinned revisions, and which of their files."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from helpers.core.errors import UserError

Kind = Literal["model", "embedding", "dataset"]
EMBEDDING_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "1_Pooling/*")
"""Of a sentence embedding, in all of its folders."""
_MODEL_FILES = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken", "tokenizer*")
"""Of a language model, beside each other: folders hold its weights once more, in another format."""
_TEMPLATES = "additional_chat_templates/*.jinja"
_ONCE_MORE = ("consolidated*", "*.gguf", "*.onnx")


@dataclass(frozen=True)
class HubItem:
    """A repository at a revision, and the parts of it that a run needs."""

    kind: Kind
    name: str
    revision: str
    parts: frozenset[str] = frozenset()
    """Of a dataset: its files."""
    weights: bool = True
    """Of a model: whether its weights are needed, or made up."""
    code: bool = False
    """Of a model: whether it needs Python code from its repository."""

    @property
    def title(self) -> str:
        """What it is called in a line."""
        return f"{self.kind} {self.name}@{self.revision[:8]}"


def required_files(item: HubItem, listed: Iterable[str]) -> list[str]:
    """Return the required files of a repository, of those that are `listed`.

    Of a checkpoint only what the engines and sentence-transformers load; its weights in one format: safetensors,
    or else PyTorch's.

    Raises:
        UserError: one line, without the item's title, where the repository lacks a file that it is of no use without.
    """
    names = sorted(listed)
    if item.kind == "dataset":
        if absent := sorted(item.parts - set(names)):
            raise UserError(f"no file {absent[0]} in it; correct hub.parts in data/study/datasets.yaml")
        return sorted(item.parts)
    if item.kind == "embedding":
        chosen = [name for name in names if is_embedding_file(name)]
        spare = [name for name in names if fnmatchcase(name, "*pytorch_model*.bin")]
    else:
        chosen, spare = _select_model_files(item, names)
    if not any(name.endswith(".safetensors") for name in chosen):
        chosen += spare
    if "config.json" not in chosen or not any(name.endswith((".safetensors", ".bin")) for name in chosen):
        raise UserError(
            "no config.json with weights (*.safetensors or *.bin) in it; correct its repository or revision in "
            "data/study/models.yaml"
        )
    return [name for name in sorted(chosen) if item.weights or not name.endswith((".safetensors", ".bin"))]


def is_embedding_file(name: str) -> bool:
    """Say whether sentence-transformers may load a file of an embedding, by its path; a pickle is none."""
    return _matches(name, EMBEDDING_FILES)


def _select_model_files(item: HubItem, names: list[str]) -> tuple[list[str], list[str]]:
    beside = [name for name in names if "/" not in name and not _matches(name, _ONCE_MORE)]
    chosen = [name for name in beside if _matches(name, _MODEL_FILES)]
    chosen += [name for name in names if fnmatchcase(name, _TEMPLATES)]
    if item.code:
        chosen += [name for name in names if name.endswith(".py")]
    return chosen, [name for name in beside if name.endswith(".bin")]


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
