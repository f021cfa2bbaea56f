"""What of the Hugging Face hub is on this machine already, by its files alone: nothing is asked over the network."""

import os
import shutil
from pathlib import Path

from helpers.errors import UserError
from helpers.llm.checkpoint import find_checkpoint
from helpers.study import Hub


def cache_folder() -> Path:
    """Return where the hub's files are kept, by the variables that its client obeys."""
    if (named := os.environ.get("HF_HUB_CACHE")) is not None:
        return Path(named).expanduser()
    return _home() / "hub"


def offline() -> bool:
    """Say whether the client may not use the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}


def has_token() -> bool:
    """Say whether there is a token; whether it has access is not known."""
    file = Path(os.environ.get("HF_TOKEN_PATH", _home() / "token")).expanduser()
    return bool(os.environ.get("HF_TOKEN")) or file.is_file()


def snapshot(name: str, revision: str | None) -> Path | None:
    """Return the folder of a checkpoint that is complete in the cache; None where it is not."""
    folder = _snapshot("models", name, revision)
    if folder is None:
        return None
    try:
        find_checkpoint(str(folder), None, "checkpoint")
    except UserError:
        # A sentence embedding keeps its tokeniser and weights in the same places.
        return None
    return folder


def _snapshot(kind: str, name: str, revision: str | None) -> Path | None:
    if revision is None:
        return None
    folder = cache_folder() / f"{kind}--{name.replace('/', '--')}" / "snapshots" / revision
    return folder if folder.is_dir() else None


def has_dataset(item: Hub) -> bool:
    """Say whether all parts of a dataset are in the cache."""
    folder = _snapshot("datasets", item.repository, item.revision)
    return folder is not None and all((folder / part).is_file() for part in item.parts)


def free_bytes() -> int | None:
    """Return the free space where the cache is, or will be; None where that cannot be told."""
    folder = cache_folder()
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def _home() -> Path:
    if (named := os.environ.get("HF_HOME")) is not None:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "huggingface"
