"""Start Snakemake, which holds the graph: measure, results tables, analyses, book."""

import os
import subprocess
import sys

from helpers import images, paths
from helpers.lock import holding
from helpers.parameters import campaign_plans


def run(campaign: str | None, target: str) -> int:
    """Make a target of `workflow/Snakefile`; returns Snakemake's exit status.

    `campaign` is measured first; None measures nothing. One workflow runs at a time in a checkout: the lock
    is ours, because Snakemake's own has to be removed by hand after a kill, and Snakemake holds it as long
    as it lives, even when this process was killed.
    """
    if campaign is not None:
        campaign_plans(campaign)  # a fault in the campaign is told before Snakemake starts
    paths.RUNS.mkdir(exist_ok=True)
    with holding(paths.RUNS / ".workflow.lock", "another workflow runs in this folder") as lock:
        command = [
            *(sys.executable, "-m", "snakemake", target),
            *("--snakefile", str(paths.ROOT / "workflow" / "Snakefile")),
            *("--directory", str(paths.ROOT)),
            *("--profile", str(paths.ROOT / "workflow" / "profiles" / "local")),
            *("--config", f"campaign={campaign or ''}"),
        ]
        _note_browser()
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        return subprocess.run(command, check=False, pass_fds=[lock], env=environment).returncode


def _note_browser() -> None:
    """Note whether there is a Chromium in a file that the book depends on: a new one draws the images."""
    note = paths.BUILD / "browser.txt"
    text = "Chromium found\n" if images.has_browser() else "no Chromium\n"
    if not note.is_file() or note.read_text(encoding="utf-8") != text:
        note.parent.mkdir(exist_ok=True)
        note.write_text(text, encoding="utf-8")
