"""What must not leave this machine with a file: its names, folders of people and projects, tokens."""

import getpass
import html
import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.records.storage import Record

_MIN_NAME_LENGTH = 3
_MIN_SECRET_LENGTH = 8
_COMMON_NAMES = {
    *("localhost", "localdomain", "ubuntu", "debian", "linux"),
    *("root", "user", "runner", "jovyan", "jupyter", "ipython"),
    *("amd", "epyc", "ryzen", "threadripper", "intel", "xeon", "nvidia", "tesla", "quadro", "titan"),
    *("docker", "podman", "apptainer", "singularity", "slurm", "kubernetes"),
}
"""Names of hosts and users that identify nobody, or that records of any machine hold."""
_SECRET_VARIABLE = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD|PASSWD)$")
_TOKEN = re.compile(
    r"\b(hf_[A-Za-z0-9]{20,}|gh[a-z]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{20,}"
    r"|xox[a-z]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{35}|nvapi-[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|\b[Bb]earer (?=\S*\d)[\w.~+/-]{16,}|\b[Aa]uthorization: *[Bb]asic \S{8,}"
    r"|://[^\s/:@]+:[^\s/@]+@"  # user and password in an address
)
_PATH = re.compile(
    r"(?:(?<![\w./<~+-])|(?<=file://))/"
    r"(?!(?:usr|bin|sbin|lib\d*|etc|proc|sys|v\d+|api)/|dev/(?!shm/))"  # of every machine; routes of a server
    r"(?!(?:__w|pytorch|workspace)/\S+\.(?:cc|cpp|cu|cuh|h|hpp)\b)"  # where torch and others were compiled, by their warnings
    r"(?=[\w.-]*[A-Za-z])[\w.-]+/[\w.][^\s\"'`<>,;)\]]*"
    r"|\b[A-Za-z]:\\Users\\[^\s\"'<>]+"
)
"""An absolute path, on whichever machine; not the end of an HTML element or part of an address."""
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Escape sequences for colours; their last letter would be taken for a part of the word that follows."""
_PRINTABLE_KINDS = ("host name", "user name")
"""Kinds whose value is part of the message, since it may be a common word, too."""


def private_words() -> dict[str, str]:
    """Return the words that identify this machine or its user, with their kinds.

    What stands in runs of any machine anyway, such as `jupyter`, is excluded: see `_vocabulary`.
    """
    host = socket.gethostname()
    names = {host: "host name", host.partition(".")[0]: "host name"}
    with suppress(KeyError, OSError):  # a number without a name, as in a container
        names[getpass.getuser()] = "user name"
    folders = {
        str(paths.ROOT): "folder of the project",
        sys.prefix: "folder of Python",
        str(Path.home()): "home directory",
        tempfile.gettempdir(): "folder for temporary files",
    }
    secrets = {
        value: f"value of {name}"
        for name, value in os.environ.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _MIN_SECRET_LENGTH
    }
    common = _COMMON_NAMES | _vocabulary()
    identifying = {name: what for name, what in names.items() if len(name) >= _MIN_NAME_LENGTH}
    return {
        **{folder: what for folder, what in folders.items() if Path(folder).parent != Path("/")},
        **{word: what for word, what in {**identifying, **secrets}.items() if word.lower() not in common},
    }


def find_private(text: str, words: Mapping[str, str] | None = None) -> str | None:
    """Return what in a text must not leave this machine, as `host name`; None where nothing.

    Secrets are never part of what is returned.

    Args:
        text: what shall be given away; colours of a terminal and entities of HTML are seen through.
        words: as `private_words` returns them; saves looking for them for every text.
    """
    text = html.unescape(_COLOUR.sub("", text))
    for word, what in (private_words() if words is None else words).items():
        if re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text, re.IGNORECASE):
            return f"{what} '{word}'" if what in _PRINTABLE_KINDS else what
    if _TOKEN.search(text):
        return "a token"
    if path := _PATH.search(text):
        return f"the path {path[0]}"
    return None


def check_private(file: Path, words: Mapping[str, str], remedy: str) -> None:
    """Check a file: every text of JSON and notebooks, the columns with texts of tables, else all of it.

    Args:
        file: what shall be given away.
        words: as `private_words` returns them.
        remedy: what to do about a finding, for the error.

    Raises:
        UserError: one line with file and field, such as `cells.4.outputs.0.text`, for the first finding; also where
            the file is not what its name says.
    """
    label = paths.relative(file)
    for field, text in _texts(file, label):
        if finding := find_private(text, words):
            raise UserError(f"{label}: {field}: {finding}, which must not be published; {remedy}")


def check_run(folder: Path, names: Iterable[str], words: Mapping[str, str]) -> None:
    """Check files of a run.

    Raises:
        UserError: one line with file and field for the first finding.
    """
    for name in names:
        check_private(folder / name, words, "measure the run again without it")


def _texts(file: Path, label: str) -> Iterator[tuple[str, str]]:
    match file.suffix:
        case ".json" | ".ipynb":
            try:
                document = json.loads(file.read_bytes())
            except (ValueError, RecursionError) as error:
                raise UserError(f"{label}: not valid JSON: {error}") from None
            yield from _document_texts(document, ())
        case ".parquet":
            yield from _table_texts(file, label)
        case _:
            yield "text", file.read_text(encoding="utf-8", errors="replace")


def _document_texts(value: Any, field: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield ".".join(field) or "document", value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        yield ".".join(field) or "document", "\n".join(value)  # the lines of a cell
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _document_texts(item, (*field, str(number)))
    elif isinstance(value, dict):
        yield ".".join(field) or "document", "\n".join(value)
        for key, item in value.items():
            if not _is_picture(key, item):
                yield from _document_texts(item, (*field, key))


def _is_picture(key: str, value: Any) -> bool:
    """Return whether this is a base64 image of a notebook output, in which random matches occur."""
    return key.startswith("image/") and key != "image/svg+xml" and not isinstance(value, dict)


def _table_texts(file: Path, label: str) -> Iterator[tuple[str, str]]:
    try:
        import pyarrow as pa  # noqa: PLC0415  (slow to import, and only here)
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise UserError(f"{label}: reading it needs pyarrow, found none; pip install '.[measure]'") from None
    try:
        table = pq.read_table(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{label}: not valid parquet: {error}") from None
    yield "columns", "\n".join(table.column_names)
    for part in (table.schema, *table.schema):
        for key, value in (part.metadata or {}).items():
            yield f"metadata {key.decode(errors='replace')}", value.decode(errors="replace")
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not pa.types.is_primitive(column.type):  # numbers and times
            yield name, "\n".join({str(value) for value in column.to_pylist()})


@cache
def _vocabulary() -> frozenset[str]:
    """Return the words of notebooks, catalogue, packages and fields, which are in any run; compounds in parts, too."""
    notebooks, packages = (paths.NOTEBOOKS / "measure").glob("*.ipynb"), paths.ROOT.glob("requirements*.txt")
    files = [*notebooks, *packages, *paths.STUDY.rglob("*.yaml")]
    texts = [*(file.read_text(encoding="utf-8") for file in files), *(file.stem for file in files)]
    schema = Record.model_json_schema()
    texts += [key for part in (schema, *schema["$defs"].values()) for key in part.get("properties", {})]
    whole = {word.lower() for text in texts for word in re.findall(r"[A-Za-z][\w.-]*", text)}
    return frozenset(whole | {part for word in whole for part in re.split(r"[\W_]+", word)})
