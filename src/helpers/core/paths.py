"""Every folder of the project in one place; nothing else spells a path out."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

STUDY = ROOT / "data" / "study"
CAMPAIGNS = STUDY / "campaigns"
PUBLISHED = ROOT / "data" / "published"
MEASUREMENTS = ROOT / "data" / "measurements"
SAMPLE = ROOT / "data" / "sample" / "fktg-sample.csv"

NOTEBOOKS = ROOT / "notebooks"
DOCUMENTS = (
    *(
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
        "README.md",
        "codecheck.yml",
        ".zenodo.json",
        "pyproject.toml",
    ),
    *("requirements.txt", "requirements-book.txt", "_config.yml", "_toc.yml"),
)
"""Single files in the root that the book is made from, or that describe it; as seen from there."""
LOCK_FILE = ROOT / "requirements.txt"

BENCHES = ROOT / "benchmarks" / "results"

RUNS = ROOT / "runs"
BUILD = ROOT / "_build"
STAGING = BUILD / "staging"
MODELS = BUILD / "models"
"""Checkpoints that are made from packaged files, each in a folder of its name."""


def relative(path: Path) -> str:
    """Return `path` as seen from the root of the project, or as it is where it lies outside."""
    path = Path(path).absolute()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def is_folder(checkpoint: str) -> bool:
    """Say whether a checkpoint is given as a folder: with a slash, as `./model`; else it is a name of the catalogue."""
    return "/" in checkpoint
