"""Execute the analysis notebooks: each in a fork of one process that has loaded the packages, two or more at a time."""

import gc
import importlib
import multiprocessing
import os
import pkgutil
import sys
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from helpers import figures
from helpers.book import warm_engine
from helpers.core import paths
from helpers.core.cores import usable_cores
from helpers.core.errors import UserError
from helpers.core.files import atomic_write
from helpers.figures import display
from helpers.measure.notebook import execute_notebook
from helpers.results.tables import load_tables
from helpers.study.catalogue import entry

SOURCES = paths.NOTEBOOKS / "analysis"


def analysis_names() -> list[str]:
    """Return the names of all analysis notebooks."""
    return sorted(file.stem for file in SOURCES.glob("*.ipynb"))


def analyse(names: Sequence[str], folder: Path = paths.STAGING) -> list[Path]:
    """Execute analysis notebooks into `folder`, by default where the book is staged; returns the executed ones.

    Each runs in a process of its own and is written atomically. One that fails does not stop the others.

    Raises:
        UserError: one line where there is no such notebook, or some failed; their errors are on stderr.
    """
    notebooks = {name: SOURCES / f"{name}.ipynb" for name in analysis_names()}
    sources = [entry("analysis notebook", notebooks, name) for name in names]
    targets = [folder / paths.relative(source) for source in sources]
    _load_packages()
    failed = _in_forks(list(zip(sources, targets, strict=True)))
    if failed:
        raise UserError(f"{len(failed)} of {len(names)} analyses failed, see above: {', '.join(failed)}")
    return targets


def _load_packages() -> None:
    """Import what the notebooks import, and what those load when first used, once for all forks."""
    load_tables()
    for module in pkgutil.iter_modules(figures.__path__):
        importlib.import_module(f"{figures.__name__}.{module.name}")


def _in_forks(jobs: list[tuple[Path, Path]]) -> list[str]:
    """Execute the jobs, as many at a time as there are cores; returns the names of those that failed."""
    context = multiprocessing.get_context("fork")
    waiting = list(reversed(jobs))
    running: list[BaseProcess] = []
    failed = []
    while waiting or running:
        while waiting and len(running) < len(usable_cores()):
            source, target = waiting.pop()
            running.append(context.Process(target=_execute, args=(source, target), name=source.stem))
            running[-1].start()
        wait([process.sentinel for process in running])
        ended = [process for process in running if process.exitcode is not None]
        running = [process for process in running if process not in ended]
        failed += [process.name for process in ended if process.exitcode != 0]
    return sorted(failed)


def _execute(source: Path, target: Path) -> None:
    gc.disable()  # the process ends with the notebook
    os.environ[display.BOOK_VARIABLE] = "1"
    try:
        with atomic_write(target) as scratch:
            execute_notebook(source, scratch, {}, warm_engine.NAME)
    except UserError as error:
        sys.exit(f"error: {error}")
