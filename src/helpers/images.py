"""Draw the static images of the figures: what a reader sees before, or without, JavaScript."""

import asyncio
import hashlib
import json
import logging
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from helpers import paths
from helpers.show import SMALL_PX, WIDE_PX
from helpers.shown import Shown, ShownPanel

CACHE = paths.BUILD / "images"
"""Images by the hash of what they are drawn from: an unchanged figure is not drawn again."""
NO_BROWSER = "no static images: install Chromium (Debian: apt-get install chromium), then `make book` again"
_TABS = 2
"""Drawn at a time, in one browser."""
_TIMEOUT_S = 60


def draw(shown: Iterable[Shown], folder: Path) -> set[str]:
    """Write `ARTEFACT-PANEL.svg` for every panel; returns the names of the files written.

    Where there is no Chromium, only images that were drawn before are written; a browser that is there and
    does not work must not cost the book, so it costs the images and a line on stderr.
    """
    wanted = {f"{item.name}-{panel.name}.svg": panel for item in shown for panel in item.panels}
    kept = {name: CACHE / f"{_key(panel)}.svg" for name, panel in wanted.items()}
    missing = {kept[name]: panel for name, panel in wanted.items() if not kept[name].is_file()}
    if missing and has_browser():
        CACHE.mkdir(parents=True, exist_ok=True)
        asyncio.run(_draw(missing))
    drawn = {name for name, file in kept.items() if file.is_file()}
    folder.mkdir(parents=True, exist_ok=True)
    for name in drawn:
        shutil.copyfile(kept[name], folder / name)
    return drawn


def has_browser() -> bool:
    """Say whether the machine has a Chromium."""
    from choreographer.browsers.chromium import Chromium  # noqa: PLC0415  (kaleido's own way to find one)

    return Chromium.find_browser(skip_local=False) is not None


async def _draw(panels: Mapping[Path, ShownPanel]) -> None:
    import kaleido  # noqa: PLC0415  (slow, and only where something is to be drawn)

    logging.getLogger("kaleido").setLevel(logging.CRITICAL)
    logging.getLogger("choreographer").setLevel(logging.CRITICAL)
    try:
        async with kaleido.Kaleido(n=_TABS, timeout=_TIMEOUT_S) as browser:
            await asyncio.gather(*(_draw_one(browser, file, panel) for file, panel in panels.items()))
    except Exception as error:  # whatever a browser does wrong
        print(f"no static images: Chromium does not work here ({type(error).__name__})", file=sys.stderr)


async def _draw_one(browser: Any, file: Path, panel: ShownPanel) -> None:
    size = {"format": "svg", "width": WIDE_PX if panel.wide else SMALL_PX, "height": panel.height}
    figure = {"data": panel.figure["data"], "layout": panel.figure["layout"]}
    content = await browser.calc_fig(figure, size)
    scratch = file.with_suffix(".partial")
    scratch.write_text(_same_each_time(content.decode()), encoding="utf-8")
    scratch.replace(file)


def _same_each_time(svg: str) -> str:
    """Replace the random part of Plotly's names, so that the same figure is the same file."""
    names = re.findall(r'id="(?:defs|legend|clip|topdefs|g)([0-9a-f]{6})', svg)
    for number, name in enumerate(dict.fromkeys(names)):
        svg = svg.replace(name, f"{number:06d}")
    return svg


def _key(panel: ShownPanel) -> str:
    versions = [metadata.version(name) for name in ("plotly", "kaleido")]
    drawn_from = [panel.figure["data"], panel.figure["layout"], panel.wide, panel.height, *versions]
    return hashlib.sha256(json.dumps(drawn_from, sort_keys=True).encode()).hexdigest()
