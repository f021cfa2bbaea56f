"""Let Sphinx build what Jupyter Book configures: in this process, and on every core."""

import shutil
from pathlib import Path

from jupyter_book.sphinx import build_sphinx

from helpers.core.cores import usable_cores
from helpers.core.errors import UserError


def build_html(source: Path, html: Path) -> None:
    """Build the staged book in `source` into `html`, from scratch; warnings go to stderr.

    This is `jupyter-book build --all -W -n --keep-going`, whose command line builds on one core only.

    Raises:
        UserError: one line where Sphinx gave warnings, which are errors here.
    """
    shutil.rmtree(html, ignore_errors=True)
    status = build_sphinx(
        str(source),
        str(html),
        noconfig=True,
        path_config=str(source / "_config.yml"),
        confoverrides={"external_toc_path": str(source / "_toc.yml"), "latex_individualpages": False},
        freshenv=True,
        quiet=True,
        warningiserror=True,
        keep_going=True,
        jobs=len(usable_cores()),
    )
    if status != 0:
        raise UserError("book: Jupyter Book gave the warnings above; correct the pages they name")
