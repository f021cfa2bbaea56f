"""Start Snakemake, which holds the graph: measure, results tables, analyses, book."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from helpers.book import images
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.lock import holding
from helpers.figures.html import REPOSITORY_VARIABLE
from helpers.models import hub


def workflow_lock() -> AbstractContextManager[int]:
    """Hold this checkout for one workflow; waits while another runs.

    The lock is not Snakemake's own, because that has to be removed by hand after a kill. Snakemake holds it, too, as long as
    it lives, even where the process that started it was killed.
    """
    paths.RUNS.mkdir(exist_ok=True)
    return holding(paths.RUNS / ".workflow.lock", "another workflow runs in this folder")


def check_folders() -> None:
    """Check that this user may write where Snakemake does: on a read-only disk or after a run as root it may not.

    Raises:
        UserError: one line with the first folder that cannot be written.
    """
    if not os.access(paths.ROOT, os.W_OK | os.X_OK):
        raise UserError(
            "the folder of the companion cannot be written by this user, expected one of your own: copy it "
            "(cp -r . ~/companion) and start again there; claims, status, audit and load_tables only read"
        )
    for folder in (paths.ROOT / ".snakemake", paths.RUNS / ".workflow", paths.BUILD):
        if not folder.is_dir():
            continue
        for item in (folder, *(part for part in folder.iterdir() if part.is_dir())):
            if not os.access(item, os.W_OK | os.X_OK):
                name = paths.relative(item)
                raise UserError(
                    f"{name}: cannot be written by this user, it belongs to user {item.stat().st_uid}; expected a folder of your "
                    f"own: sudo chown -R $(id -u) {paths.relative(folder)}"
                )


def start(
    target: str, profile: str, options: Sequence[str], lock: int, log: IO[bytes] | None = None
) -> "subprocess.Popen[bytes]":
    """Start Snakemake for a target of `workflow/Snakefile`.

    Args:
        target: what to make.
        profile: a folder of `workflow/profiles`.
        options: further ones.
        lock: what `workflow_lock` gave.
        log: takes all that it prints; it goes to the terminal where None. With a log it has a session of its own, so
            that Ctrl-C on the terminal is for the caller alone.
    """
    command = [
        *(sys.executable, "-m", "snakemake", target),
        *("--snakefile", str(paths.ROOT / "workflow" / "Snakefile")),
        *("--directory", str(paths.ROOT)),
        *("--profile", str(paths.ROOT / "workflow" / "profiles" / profile)),
        *options,
    ]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", **_cache()}
    return subprocess.Popen(
        command,
        cwd=paths.ROOT,  # the working directory of SLURM jobs, by which they are recognised
        pass_fds=[lock],
        env=environment,
        stdin=None if log is None else subprocess.DEVNULL,
        stdout=log,
        stderr=None if log is None else subprocess.STDOUT,
        start_new_session=log is not None,
    )


def _cache() -> dict[str, str]:
    """Return where Snakemake keeps its cache if it cannot where it would, as with a home that is read-only on a node."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111  (no home is no error)
    existing = next(folder for folder in (usual, *usual.absolute().parents) if folder.exists())
    if os.access(existing, os.W_OK | os.X_OK):
        return {}
    # the hub's checkpoints stay where they are
    return {"XDG_CACHE_HOME": str(paths.RUNS / ".workflow" / "cache"), "HF_HOME": str(hub.home())}


def make_book() -> int:
    """Make the book from the records that are there; returns Snakemake's exit status.

    Raises:
        UserError: one line with the first folder that cannot be written.
    """
    check_folders()
    with workflow_lock() as lock:
        _write_surroundings()
        return start("book", "local", [], lock).wait()


def _write_surroundings() -> None:
    """Note what the book depends on beside files, in a file: whether a Chromium draws images, and the repository's address."""
    note: Path = paths.BUILD / "surroundings.txt"
    browser = "Chromium found" if images.has_browser() else "no Chromium"
    text = f"{browser}\n{REPOSITORY_VARIABLE}={os.environ.get(REPOSITORY_VARIABLE, '')}\n"
    if not note.is_file() or note.read_text(encoding="utf-8") != text:
        note.parent.mkdir(exist_ok=True)
        note.write_text(text, encoding="utf-8")
