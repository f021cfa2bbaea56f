"""Load a dataset and cut it into its 10 fixed splits (paper, sections 3 and 5.1)."""

import hashlib
import json
import logging
import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.study.catalogue import Csv, DatasetEntry, Hub, entry, study
from helpers.study.csv_texts import read_texts

FOLDER_VARIABLE = "COMPANION_DATASETS"
SPLITS = 10


@dataclass(frozen=True)
class Dataset:
    """Texts with the name of their label; the id of a text is its position."""

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    origin: str
    """`folder`, `sample` or `hub:REPOSITORY@REVISION`."""
    synthetic: bool
    sha256: str
    """Of the texts and labels in their order."""
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Split:
    """One of the fixed train/test splits: positions in the dataset."""

    number: int
    train: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def train_sha256(self) -> str:
        """sha256 of the training ids, one a line."""
        return sha256_of_ids(self.train)

    @property
    def test_sha256(self) -> str:
        """sha256 of the test ids, one a line."""
        return sha256_of_ids(self.test)


def load_dataset(name: str, folder: str | Path | None = None) -> Dataset:
    """Load a dataset of the catalogue.

    Its own CSV (FKTG) in `folder`, or in the folder that COMPANION_DATASETS names, comes first; then `NAME.csv.gz`
    (columns text, label) there; then the shipped sample, or the pinned revision on the Hugging Face hub.

    Raises:
        UserError: one line where the name is unknown, or the data is missing or not what it should be.
    """
    item = entry("dataset", study().datasets, name)
    directory = _folder(folder)
    own = directory is not None and item.csv is not None and (directory / item.csv.file).is_file()
    if directory and not own and (directory / f"{name}.csv.gz").is_file():
        frame, origin = _read_csv(directory / f"{name}.csv.gz", "text", "label"), "folder"
    elif item.csv is not None:
        frame, origin = _from_csv(name, item, item.csv, directory)
    elif item.hub is not None:
        frame, origin = _from_hub(name, item.hub), f"hub:{item.hub.repository}@{item.hub.revision}"
    return _dataset(name, item, frame, origin)


def local_file(name: str, folder: str | Path | None = None) -> Path | None:
    """Return the file that `load_dataset` reads; None where there is none, and the hub would be asked.

    Raises:
        UserError: one line where the name is unknown, or the folder is none.
    """
    item = entry("dataset", study().datasets, name)
    directory = _folder(folder)
    own = [] if directory is None or item.csv is None else [directory / item.csv.file]
    compressed = [] if directory is None else [directory / f"{name}.csv.gz"]
    shipped = [paths.SAMPLE] if item.csv is not None and item.csv.file == paths.SAMPLE.name else []
    return next((file for file in (*own, *compressed, *shipped) if file.is_file()), None)


def splits(dataset: Dataset) -> list[Split]:
    """Return the 10 splits, the same for every model and machine.

    The ids are put in the order of sha256("dataset:split:id"): no random generator whose stream may
    change with a version, nothing to seed. The first `test` of them are the test set, the next
    `train` the training set. Sizes are the paper's: FKTG one half each
    (189 and 189 of its 378), the others 200 and 200.
    """
    size = study().datasets[dataset.name].split
    test, train = size.test, size.train
    if size.halves:
        test, train = len(dataset) // 2, len(dataset) - len(dataset) // 2
    if len(dataset) < max(2, train + test):
        raise UserError(
            f"{dataset.name}: {len(dataset)} texts found, a split needs {max(2, train + test)}; "
            "provide the whole dataset, or make 'split' in data/study/datasets.yaml smaller where it is yours"
        )
    return [_split(dataset, number, train, test) for number in range(SPLITS)]


def check_training_labels(dataset: Dataset, split: Split) -> None:
    """Check that there are two labels or more to learn.

    Raises:
        UserError: one line with the split and its label.
    """
    labels = set(pick(dataset.labels, split.train))
    if len(labels) < 2:
        raise UserError(
            f"{dataset.name}, split {split.number}: all {len(split.train)} training texts have the label "
            f"{' '.join(map(repr, labels))}, expected two labels or more; make 'split.train' in data/study/datasets.yaml larger"
        )


def pick(values: Sequence[str], ids: Sequence[int]) -> list[str]:
    """Return the texts, or labels, with these ids."""
    return [values[i] for i in ids]


def _split(dataset: Dataset, number: int, train: int, test: int) -> Split:
    def rank(i: int) -> bytes:
        return hashlib.sha256(f"{dataset.name}:{number}:{i}".encode()).digest()

    order = sorted(range(len(dataset)), key=rank)
    return Split(number, train=tuple(order[test : test + train]), test=tuple(order[:test]))


def _folder(folder: str | Path | None) -> Path | None:
    chosen = folder or os.environ.get(FOLDER_VARIABLE)
    if not chosen:
        return None
    path = Path(chosen).expanduser()
    if not path.is_dir():
        source = "data_dir" if folder else FOLDER_VARIABLE
        raise UserError(
            f"{source}={chosen}: no such folder; give one with NAME.csv.gz files, or leave it out"
        )
    return path


def _from_csv(name: str, item: DatasetEntry, csv: Csv, directory: Path | None) -> tuple[pd.DataFrame, str]:
    shipped = csv.file == paths.SAMPLE.name
    file = paths.SAMPLE if shipped else directory / csv.file if directory else None
    if file is None or not file.is_file():
        missing = f"{file} not found" if file else f"{FOLDER_VARIABLE} and data_dir name no folder"
        raise UserError(
            f"{name}: {missing}; put {csv.file} (columns {csv.text_column}, {csv.label_column}) in a folder and set one of "
            f"{FOLDER_VARIABLE} and data_dir to it"
            f"{' (book/get_the_data.md says where it comes from)' if item.in_paper else ''}"
        )
    frame = _read_csv(file, csv.text_column, csv.label_column)
    counts = frame["label"].map(frame["label"].value_counts())
    return frame[counts >= csv.min_per_label].reset_index(drop=True), "sample" if shipped else "folder"


def _from_hub(name: str, hub: Hub) -> pd.DataFrame:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415  (slow to import, and only here)

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries are reported in one line below
    try:
        files = [
            hf_hub_download(hub.repository, part, repo_type="dataset", revision=hub.revision)
            for part in hub.parts
        ]
    except Exception as error:
        reason = textwrap.shorten(str(error), 160, placeholder=" ...")
        raise UserError(
            f"{name}: not in a folder, and {hub.repository}@{hub.revision[:8]} could not be downloaded from the hub "
            f"({type(error).__name__}: {reason}); set {FOLDER_VARIABLE} to a folder with {name}.csv.gz, "
            "or try again with network"
        ) from None
    frame = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    names = dict(enumerate(hub.labels))
    unknown = sorted(set(frame["label"]) - set(names))
    if unknown:
        raise UserError(
            f"{name}: {hub.repository}@{hub.revision[:8]} has the label {unknown[0]}, expected 0 to {len(names) - 1}; "
            "correct hub.labels in data/study/datasets.yaml"
        )
    return _with_text(pd.DataFrame({"text": frame["text"], "label": frame["label"].map(names)}))


def _read_csv(file: Path, text_column: str, label_column: str) -> pd.DataFrame:
    texts, labels = read_texts(file, text_column, label_column)
    return pd.DataFrame({"text": texts, "label": labels}, dtype=object)


def _with_text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["text"].str.strip() != ""].reset_index(drop=True)


def _dataset(name: str, item: DatasetEntry, frame: pd.DataFrame, origin: str) -> Dataset:
    texts, labels = tuple(frame["text"]), tuple(frame["label"])
    warnings = []
    if unknown := sorted(set(labels) - set(item.labels)):
        if origin != "folder" or item.csv is None or not item.in_paper:
            raise UserError(
                f"{name}: label {unknown[0]!r} is not one of its {len(item.labels)} labels "
                f"({', '.join(item.labels)}); correct the file, or data/study/datasets.yaml"
            )
        warnings.append(f"{name}: labels that the paper does not have: {', '.join(unknown)}")
    if item.texts and len(texts) != item.texts:
        warnings.append(
            f"{name}: {len(texts)} texts, {'the paper has' if item.in_paper else 'expected'} {item.texts}"
        )
    if missing := sorted(set(item.labels) - set(labels)):
        warnings.append(f"{name}: no text of label {', '.join(missing)}")
    lines = (json.dumps([text, label], ensure_ascii=False) for text, label in zip(texts, labels, strict=True))
    sha256 = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return Dataset(name, texts, labels, origin, item.synthetic, sha256, tuple(warnings))


def sha256_of_ids(ids: Sequence[int]) -> str:
    """Return the sha256 of ids, one a line."""
    return hashlib.sha256("\n".join(map(str, ids)).encode()).hexdigest()
