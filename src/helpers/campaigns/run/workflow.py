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
from helpers.core.lock import holding


def workflow_lock() -> AbstractContextManager[int]:
    """Hold this checkout for one workflow; waits while another runs.

    The lock is not Snakemake's own, because that has to be removed by hand after a kill. Snakemake holds it, too, as long as
    it lives, even where the process that started it was killed.
    """
    paths.RUNS.mkdir(exist_ok=True)
    return holding(paths.RUNS / ".workflow.lock", "another workflow runs in this folder")


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
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
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


def make_book() -> int:
    """Make the book from the records that are there; returns Snakemake's exit status."""
    with workflow_lock() as lock:
        _write_browser_state()
        return start("book", "local", [], lock).wait()


def _write_browser_state() -> None:
    """Note whether there is a Chromium in a file that the book depends on: a new one draws the images."""
    note: Path = paths.BUILD / "browser.txt"
    text = "Chromium found\n" if images.has_browser() else "no Chromium\n"
    if not note.is_file() or note.read_text(encoding="utf-8") != text:
        note.parent.mkdir(exist_ok=True)
        note.write_text(text, encoding="utf-8")
