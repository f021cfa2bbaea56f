"""The pages of the built book: their plots, tables, numbers, downloads and links are those of the sources."""

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from helpers.audit import quoted_numbers
from helpers.audit.compare import csv_difference, json_difference
from helpers.book.built_files import Page
from helpers.book.images import drawn_before
from helpers.book.quoted_numbers import Number
from helpers.core import paths
from helpers.figures.executed import ExecutedFigure
from helpers.records.findings import Finding

REBUILD = "build the book again: make book"
_OUTSIDE = ("http", "https", "mailto", "data", "javascript", "blob")


def check_figures(
    html: Path, pages: Mapping[str, Page], executed: Mapping[str, ExecutedFigure]
) -> tuple[int, list[Finding]]:
    """Compare plots and CSV files with the executed analyses; returns how many, and the findings.

    Args:
        html: the root of the book.
        pages: what its pages hold, by their path in it.
        executed: figures and tables by name, as the executed analyses of the book hold them.
    """
    plots = {f"{item.name}-{panel.name}": panel.figure for item in executed.values() for panel in item.panels}
    findings, seen = [], set[tuple[str, str]]()
    for page, parts in pages.items():
        for identifier, figure in parts.plots.items():
            seen.add((page, identifier))
            if identifier in plots and (difference := json_difference(figure, plots[identifier])):
                what = f"plot {identifier}: not as in the executed notebook: {difference}"
                findings.append(Finding(paths.relative(html / page), what, REBUILD))
    for item in executed.values():
        page = f"notebooks/analysis/{item.name}.html"
        findings += [
            Finding(paths.relative(html / page), f"plot {item.name}-{panel.name}: missing", REBUILD)
            for panel in item.panels
            if (page, f"{item.name}-{panel.name}") not in seen
        ]
        findings += _check_images(html / "_images", item)
        findings += _check_csv(html / "artefacts" / f"{item.name}.csv", item)
    return len(plots) + len(executed), findings


def check_numbers(
    html: Path, pages: Mapping[str, Page], computed: Mapping[str, Number]
) -> tuple[int, list[Finding]]:
    """Compare the computed numbers of the pages with those computed now; returns how many, and the findings."""
    sources = {
        PurePosixPath(name).with_suffix(".html").as_posix(): Counter(quoted_numbers.used_numbers(text))
        for name, text in quoted_numbers.texts().items()
    }
    count, findings = 0, []
    for page, parts in pages.items():
        file, on_page = paths.relative(html / page), parts.numbers
        count += len(on_page)
        for name, text in on_page:
            if name not in computed:
                findings.append(Finding(file, f"the number {name} is not among the computed ones", REBUILD))
            elif computed[name].text != text:
                what = f"the number {name}: found {text!r}, computed {computed[name].text!r}"
                findings.append(Finding(file, what, REBUILD))
        absent = sources.get(page, Counter[str]()) - Counter(name for name, _ in on_page)
        findings += [Finding(file, f"the number {name} of its source is missing", REBUILD) for name in absent]
    return count, findings


def check_links(html: Path, pages: Mapping[str, Page]) -> tuple[int, list[Finding]]:
    """Look for the target of every link inside the book; returns how many there are, and what leads nowhere.

    What a page would load from another site by itself is a finding, too: the book needs no network.
    """
    files = {file.relative_to(html).as_posix() for file in html.rglob("*") if file.is_file()}
    count, findings = 0, []
    for page, parts in pages.items():
        for link in dict.fromkeys(parts.links):
            address = urlsplit(link)
            if address.scheme in _OUTSIDE or address.netloc:
                if link in parts.loads and address.netloc:
                    what = f"it loads {link[:80]}, which is no part of the book"
                    findings.append(Finding(paths.relative(html / page), what, REBUILD))
                continue
            count += 1
            folder = posixpath.dirname(page)
            target = (
                posixpath.normpath(posixpath.join(folder, unquote(address.path))) if address.path else page
            )
            if address.scheme or target not in files:
                what = f"the link to {link} leads nowhere"
            elif address.fragment and target in pages and address.fragment not in pages[target].anchors:
                what = f"the link to {link} leads to no anchor of that page"
            else:
                continue
            findings.append(Finding(paths.relative(html / page), what, REBUILD))
    return count, findings


def _check_images(folder: Path, item: ExecutedFigure) -> Iterator[Finding]:
    """Compare the static images with those drawn from the same plots, where these are still there."""
    for panel in item.panels:
        file, drawn = folder / f"{item.name}-{panel.name}.svg", drawn_before(panel)
        if drawn and file.is_file() and file.read_bytes() != drawn.read_bytes():
            yield Finding(paths.relative(file), "not the image drawn from its plot", REBUILD)


def _check_csv(file: Path, item: ExecutedFigure) -> Iterator[Finding]:
    name = paths.relative(file)
    if not file.is_file():
        yield Finding(name, "missing", REBUILD)
    elif difference := csv_difference(file.read_text(encoding="utf-8"), item.data_csv):
        yield Finding(name, f"not as in the executed notebook: {difference}", REBUILD)
