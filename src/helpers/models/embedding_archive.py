"""Where a sentence embedding is that comes as an archive in packages, and what its folder holds."""

from pathlib import Path

from helpers.core import paths

PARTS = ("config.json", "model.safetensors", "modules.json", "tokenizer.json")
"""What the folder of an embedding holds at the least."""


def embedding_folder(name: str) -> Path:
    """Return where the archive of an embedding of the catalogue is unpacked."""
    return paths.MODELS / name


def missing_embedding(name: str) -> str | None:
    """Return what an embedding lacks that comes in an archive, and what to do; None where it is complete."""
    folder = embedding_folder(name)
    absent = [part for part in PARTS if not (folder / part).is_file()]
    if not absent:
        return None
    return f"{name}: no {absent[0]} in {paths.relative(folder)}; fetch it: {fetch_command(name)}"


def fetch_command(name: str) -> str:
    """Return the command that fetches a model of the catalogue."""
    return f"python -m helpers fetch --models {name}"
