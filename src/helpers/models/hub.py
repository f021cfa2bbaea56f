"""What of the Hugging Face hub is on this machine already, by its files alone: nothing is asked over the network."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from helpers.core.errors import UserError
from helpers.models.hub_files import HubItem, required_files
from helpers.models.llm.checkpoint import find_checkpoint
from helpers.study.catalogue import Hub

_LISTING_FORMAT = 1


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, as the hub describes it."""

    size_bytes: int
    digest: str
    """Name of its blob in the cache: sha256 where it is large (LFS), else git's sha1 of the blob."""


def cache_folder() -> Path:
    """Return where the hub's files are kept, by the variables that its client obeys."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if (named := os.environ.get(name)) is not None:
            return _expanded(named)
    return home() / "hub"


def offline() -> bool:
    """Say whether the client may not use the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}


def has_token() -> bool:
    """Say whether there is a token; whether it has access is not known."""
    named = os.environ.get("HF_TOKEN_PATH")
    file = home() / "token" if named is None else _expanded(named)
    return bool(os.environ.get("HF_TOKEN")) or file.is_file()


def snapshot_folder(item: HubItem) -> Path:
    """Return where the files of a repository are, at a revision."""
    return _repository(item.kind, item.name) / "snapshots" / item.revision


def blob(item: HubItem, file: HubFile) -> Path:
    """Return where the content of a file is, or will be; the snapshots hold links to it."""
    return _repository(item.kind, item.name) / "blobs" / file.digest


def listing(item: HubItem) -> dict[str, HubFile] | None:
    """Return the files of a repository as the client has written them down; None where it has not.

    Its `snapshot_download` does so before it gets the first file.
    """
    file = _repository(item.kind, item.name) / "trees" / f"{item.revision}.json"
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["format_version"] != _LISTING_FORMAT:
            return None
        return {
            name: HubFile(entry.get("lfs_size", entry["size"]), entry.get("lfs_sha256", entry["blob_id"]))
            for name, entry in document["files"].items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def linked(item: HubItem) -> dict[str, HubFile]:
    """Return the files that a snapshot holds, with the names of their blobs; without a link it is empty."""
    folder = snapshot_folder(item)
    return {
        file.relative_to(folder).as_posix(): HubFile(
            file.stat().st_size, file.readlink().name if file.is_symlink() else ""
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def complete(item: HubItem) -> bool:
    """Say whether all required files of a repository are in the cache, so that a run finds them without a network."""
    folder = snapshot_folder(item)
    if not folder.is_dir():
        return False
    if item.kind == "dataset":
        return all((folder / part).is_file() for part in item.parts)
    listed = listing(item)
    try:
        find_checkpoint(str(folder), None, "checkpoint" if item.weights else "dummy")
        # A sentence embedding keeps its tokeniser and weights in the same places.
        required = [] if listed is None else required_files(item, listed)
    except UserError:
        return False
    if item.kind == "model":
        # Other clients get fewer files; but without the list of its parts a part of the weights would be taken for all.
        required = [name for name in required if name.endswith(".safetensors.index.json")]
    return all((folder / name).is_file() for name in required)


def has_dataset(item: Hub) -> bool:
    """Say whether all parts of a dataset are in the cache."""
    return complete(HubItem("dataset", item.repository, item.revision, frozenset(item.parts)))


def free_bytes() -> int | None:
    """Return the free space where the cache is, or will be; None where that cannot be determined."""
    folder = cache_folder()
    for ancestor in (folder, *folder.parents):
        try:
            return shutil.disk_usage(ancestor).free
        except OSError:
            continue
    return None


def _repository(kind: str, name: str) -> Path:
    group = "datasets" if kind == "dataset" else "models"
    return cache_folder() / f"{group}--{name.replace('/', '--')}"


def home() -> Path:
    """Return the folder of the hub's client, with its cache and token."""
    if (named := os.environ.get("HF_HOME")) is not None:
        return _expanded(named)
    return _expanded(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"


def _expanded(folder: str) -> Path:
    """Return a folder as the client reads it: the `~` of an unknown user stands for itself."""
    return Path(os.path.expanduser(os.path.expandvars(folder)))  # noqa: PTH111  (Path's own raises there)
