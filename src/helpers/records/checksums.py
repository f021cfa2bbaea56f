"""Checksums of everything under `data/`, committed as `data/SHA256SUMS`; `sha256sum --check` reads them, too."""

from pathlib import Path

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.records.environment import sha256_of
from helpers.records.findings import Finding, short

NAME = "SHA256SUMS"
UNCOMMITTED = "raw_answers.parquet"
RENEW = "if the change is meant, `python -m helpers describe` renews the checksums; else `git checkout data`"


def write() -> Path:
    """Write `data/SHA256SUMS`; the file changes only where a file under `data/` did."""
    file = _file()
    text = sums_text(file.parent)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
    return file


def sums_text(folder: Path) -> str:
    """Return the checksums of every file below a folder, as `sha256sum --check` reads them in it."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests(folder).items())


def read() -> dict[str, str]:
    """Return the committed sha256 of each file, by its path as seen from `data/`.

    Raises:
        UserError: one line where the file is missing, or a line of it is not `SHA256  PATH`.
    """
    file = _file()
    location = paths.relative(file)
    if not file.is_file():
        raise UserError(
            f"{location}: missing; `git checkout {location}`, or `python -m helpers describe` writes it"
        )
    listed = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        digest, gap, name = line[:64], line[64:66], line[66:]
        if gap != "  " or not name or set(digest) - set("0123456789abcdef"):
            raise UserError(f"{location}: line {number}: expected `SHA256  PATH`, found {line[:80]!r}")
        listed[name] = digest
    return listed


def check() -> tuple[int, list[Finding]]:
    """Compare the files under `data/` with their checksums; returns their number and the findings.

    Raises:
        UserError: as `read`.
    """
    listed, current = read(), digests(_file().parent)
    findings = []
    for name in sorted(listed.keys() | current.keys()):
        location = f"data/{name}"
        if name not in current:
            findings.append(Finding(location, f"missing, but listed in data/{NAME}", RENEW))
        elif name not in listed:
            findings.append(Finding(location, f"not listed in data/{NAME}", RENEW))
        elif listed[name] != current[name]:
            change = f"changed: sha256 {short(current[name])}, expected {short(listed[name])} (data/{NAME})"
            findings.append(Finding(location, change, RENEW))
    return len(current), findings


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below a folder by its path in it; hidden and uncommitted ones are left out."""
    files = {
        file.relative_to(folder).as_posix(): file
        for file in folder.rglob("*")
        if file.is_file() and file.name not in (NAME, UNCOMMITTED)
    }
    return {
        name: sha256_of(files[name])
        for name in sorted(files)
        if not any(part.startswith(".") for part in name.split("/"))
    }


def _file() -> Path:
    return paths.ROOT / "data" / NAME
