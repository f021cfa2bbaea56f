"""Draw the static images of the figures: what a reader sees before, or without, JavaScript."""

import asyncio
import hashlib
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from helpers.core import paths
from helpers.core.files import atomic_write
from helpers.figures.display import SMALL_PX, WIDE_PX
from helpers.figures.executed import ExecutedFigure, ExecutedPanel

PLOTLY_JS = paths.ROOT / "book" / "_static" / "plotly-basic.min.js"
"""Plotly's bundle for lines, points and bars, a quarter of the whole; `make plotly` fetches that of the plotly that is locked."""
CACHE = paths.BUILD / "images"
"""Images by the hash of what they are drawn from: an unchanged figure is not drawn again."""
NO_BROWSER = "no static images: install Chromium (Debian: apt-get install chromium), then `make book` again"
_TABS = 2
"""Drawn at a time, in one browser."""
_START_S, _IMAGE_S = 60, 10
"""How long to wait for a browser, and for each image."""


def draw(shown: Iterable[ExecutedFigure], folder: Path) -> set[str]:
    """Write `ARTEFACT-PANEL.svg` for every panel; returns the names of the files written.

    Where there is no Chromium, only images that were drawn before are written; a browser that is there and
    does not work must not cost the book, so it costs the images and a line on stderr.
    """
    panels = {f"{item.name}-{panel.name}.svg": panel for item in shown for panel in item.panels}
    kept = {name: CACHE / f"{_key(panel)}.svg" for name, panel in panels.items()}
    missing = {kept[name]: panel for name, panel in panels.items() if not kept[name].is_file()}
    if missing and has_browser():
        CACHE.mkdir(parents=True, exist_ok=True)
        asyncio.run(_draw(missing))
    drawn = {name for name, file in kept.items() if file.is_file()}
    folder.mkdir(parents=True, exist_ok=True)
    for name in drawn:
        shutil.copyfile(kept[name], folder / name)
    return drawn


def drawn_before(panel: ExecutedPanel) -> Path | None:
    """Return the image of a panel among those that were drawn; None where it is not there (any more)."""
    file = CACHE / f"{_key(panel)}.svg"
    return file if file.is_file() else None


def has_browser() -> bool:
    """Say whether the machine has a Chromium."""
    from choreographer.browsers.chromium import Chromium  # noqa: PLC0415  (kaleido's own way to find one)

    return Chromium.find_browser(skip_local=False) is not None


async def _draw(panels: Mapping[Path, ExecutedPanel]) -> None:
    import choreographer  # noqa: PLC0415  (slow, and only where something is to be drawn)

    logging.getLogger("choreographer").setLevel(logging.CRITICAL)
    waiting = list(panels.items())
    try:
        async with asyncio.timeout(_START_S + _IMAGE_S * len(waiting)):
            with tempfile.TemporaryDirectory() as folder:
                page = Path(folder) / "page.html"
                page.write_text(f'<script src="{PLOTLY_JS.as_uri()}"></script>', encoding="utf-8")
                async with choreographer.Browser(headless=True) as browser:
                    await asyncio.gather(*(_draw_in_tab(browser, page, waiting) for _ in range(_TABS)))
    except Exception as error:  # whatever a browser does wrong
        print(f"no static images: Chromium does not work here ({type(error).__name__})", file=sys.stderr)


async def _draw_in_tab(browser: Any, page: Path, waiting: list[tuple[Path, ExecutedPanel]]) -> None:
    """Draw what waits, one after the other, in a tab that loads Plotly once."""
    tab = await browser.create_tab(page.as_uri())
    while not await _evaluate(tab, 'document.readyState === "complete" && "Plotly" in window'):
        await asyncio.sleep(0.02)
    while waiting:
        file, panel = waiting.pop()
        size = _size_px(panel)
        figure = {"data": panel.figure["data"], "layout": panel.figure["layout"]}
        svg = await _evaluate(tab, f"{_DRAW}({json.dumps(figure)}, {json.dumps(size)})")
        with atomic_write(file) as scratch:
            # Plotly sets some attributes in an order that depends on when it gets to them.
            scratch.write_text(ElementTree.canonicalize(svg), encoding="utf-8")


_DRAW = """((figure, size) => {
  let state = 1;  // Plotly makes names by chance: here the same for the same figure
  Math.random = () => (state = state * 16807 % 2147483647) / 2147483647;
  return Plotly.toImage(figure, {format: "svg", imageDataOnly: true, ...size});
})"""


async def _evaluate(tab: Any, expression: str) -> Any:
    params = {"expression": expression, "awaitPromise": True, "returnByValue": True}
    answer = (await tab.send_command("Runtime.evaluate", params=params))["result"]
    if "exceptionDetails" in answer:
        raise RuntimeError(answer["exceptionDetails"]["text"])
    return answer["result"]["value"]


def _size_px(panel: ExecutedPanel) -> dict[str, int]:
    return {"width": WIDE_PX if panel.wide else SMALL_PX, "height": panel.height}


def _key(panel: ExecutedPanel) -> str:
    drawn_from = [panel.figure["data"], panel.figure["layout"], _size_px(panel)]
    drawn_from += [metadata.version("plotly"), _DRAW]
    return hashlib.sha256(json.dumps(drawn_from, sort_keys=True).encode()).hexdigest()
