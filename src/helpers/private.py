"""What must not leave this machine with a file: its names, folders of people and projects, tokens."""

import getpass
import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from helpers import paths
from helpers.errors import UserError

_SHORTEST_NAME = 3
_SHORTEST_SECRET = 8
_OF_EVERYBODY = ("localhost", "localdomain", "root", "user", "runner", "jovyan")
"""Names of hosts and users that tell nothing."""
_SECRET_VARIABLE = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD|PASSWD)$")
_TOKEN = re.compile(
    r"\b(hf_[A-Za-z0-9]{20,}|gh[a-z]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{20,}"
    r"|xox[a-z]-[\w-]{10,}|AKIA[0-9A-Z]{16})|-----BEGIN [A-Z ]*PRIVATE KEY|\b[Bb]earer (?=\S*\d)[\w.~+/-]{16,}"
    r"|://[^\s/:@]+:[^\s/@]+@"  # user and password in an address
)
_PLACES = (
    "home|Users|root|tmp|scratch|data|mnt|media|work|workspace|var|srv|opt|gpfs|lustre|beegfs|nfs"
    "|projects?|private"
)
_PATH = re.compile(
    rf"(?:(?<![\w./<~-])|(?<=file://))/(?:{_PLACES})/[\w.][^\s\"'`<>,;)\]]*|\b[A-Za-z]:\\Users\\[^\s\"'<>]+"
)
"""A folder of people or projects, on whichever machine; not the end of an HTML element or part of an address."""
_PICTURE = "image/"
"""What a cell shows as a picture is no text: anything can be found in it."""


def private_words() -> dict[str, str]:
    """Return the words that tell of this machine, with what they are.

    Names of hosts and users that the notebooks and the catalogue use as words anyway are no such words.
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
        if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST_SECRET
    }
    known = {*_OF_EVERYBODY, *_vocabulary()}
    return {
        **{folder: what for folder, what in folders.items() if Path(folder).parent != Path("/")},
        **{
            name: what
            for name, what in names.items()
            if len(name) >= _SHORTEST_NAME and name.lower() not in known
        },
        **secrets,
    }


def find_private(text: str, words: Mapping[str, str] | None = None) -> str | None:
    """Return what is found in a text that must not leave this machine, as `host name`; None where nothing is.

    Secrets are never part of what is returned.

    Args:
        text: what shall be given away.
        words: as `private_words` returns them; saves looking for them for every text.
    """
    for word, what in (private_words() if words is None else words).items():
        if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text, re.IGNORECASE):
            return what
    if _TOKEN.search(text):
        return "a token"
    if path := _PATH.search(text):
        return f"the path {path[0]}"
    return None


def check_private(file: Path, words: Mapping[str, str], remedy: str) -> None:
    """Look through a file: every text of JSON and notebooks, the columns with texts of tables, else all of it.

    Args:
        file: what shall be given away.
        words: as `private_words` returns them.
        remedy: what to do about a find, for the error.

    Raises:
        UserError: one line with file and place, such as `cells.4.outputs.0.text`, for the first find; also where
            the file is not what its name says.
    """
    where = paths.relative(file)
    for place, text in _texts(file, where):
        if found := find_private(text, words):
            raise UserError(f"{where}: {place}: {found}, which must not be published; {remedy}")


def _texts(file: Path, where: str) -> Iterator[tuple[str, str]]:
    match file.suffix:
        case ".json" | ".ipynb":
            try:
                document = json.loads(file.read_bytes())
            except (ValueError, RecursionError) as error:
                raise UserError(f"{where}: not valid JSON: {error}") from None
            yield from _of_document(document, ())
        case ".parquet":
            yield from _of_table(file, where)
        case _:
            yield "text", file.read_text(encoding="utf-8", errors="replace")


def _of_document(value: Any, place: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield ".".join(place) or "document", value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        yield ".".join(place) or "document", "\n".join(value)  # the lines of a cell
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _of_document(item, (*place, str(number)))
    elif isinstance(value, dict):
        yield ".".join(place) or "document", "\n".join(value)
        for key, item in value.items():
            if not key.startswith(_PICTURE):
                yield from _of_document(item, (*place, key))


def _of_table(file: Path, where: str) -> Iterator[tuple[str, str]]:
    import pandas as pd  # noqa: PLC0415  (slow to import, and only here)

    try:
        table = pd.read_parquet(file)
    except ImportError:
        raise UserError(f"{where}: reading it needs pyarrow, found none; pip install '.[measure]'") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: not valid parquet: {error}") from None
    yield "columns", "\n".join(map(str, table.columns))
    for name in table.select_dtypes(include=["object", "string", "category"]).columns:
        yield str(name), "\n".join(str(value) for value in table[name].dropna().unique())


@cache
def _vocabulary() -> frozenset[str]:
    """Return the words of the measurement notebooks and the catalogue, which are in runs of any machine."""
    files = [*(paths.NOTEBOOKS / "measure").glob("*.ipynb"), *paths.STUDY.rglob("*.yaml")]
    return frozenset(
        word.lower()
        for file in files
        for word in re.findall(r"[A-Za-z][\w-]*", file.read_text(encoding="utf-8"))
    )
