"""The built book against `audit.json`: every file of it, every source, and what the manifest itself says."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from helpers.book import manifest
from helpers.book.built_files import Page
from helpers.book.manifest import Manifest
from helpers.core import paths
from helpers.records.findings import Finding, short

REBUILD = "build the book again: make book"
_COPIED = "data/"
"""What stands below it is copied beside the pages."""


def check_files(html: Path, written: Manifest) -> tuple[int, list[Finding]]:
    """Compare every file of the book, and the seal of `audit.json`; returns how many there are, and what is off."""
    found = manifest.files(html)
    findings = list(_differences(written.files, found, paths.relative(html), "the book was built"))
    findings += _check_seal(html, written)
    for name, digest in written.sources.items():
        copied = name.removeprefix(_COPIED)
        if name.startswith(_COPIED) and found.get(copied, digest) != digest:
            said = f"not as {name}, of which it is a copy: sha256 {short(found[copied])}, expected {short(digest)}"
            findings.append(Finding(f"{paths.relative(html)}/{copied}", said, REBUILD))
    return len(written.files) + 1, findings


def check_sources(written: Manifest, folder: str = "") -> tuple[int, list[Finding]]:
    """Compare every file that the book was made from; returns how many there are, and what is off.

    Args:
        written: what the book was made from.
        folder: only those below it, as seen from the root of the project.
    """
    expected, found = (
        {name: digest for name, digest in files.items() if name.startswith(folder)}
        for files in (written.sources, manifest.sources())
    )
    return len(found), list(_differences(expected, found, "", "the book was built"))


def check_content(html: Path, pages: Mapping[str, Page], written: Manifest) -> tuple[int, list[Finding]]:
    """Compare what `audit.json` says on figures, runs and numbers with what the book and the records say."""
    now = manifest.describe(html, pages)
    where = paths.relative(html / manifest.NAME)
    findings = []
    for section in ("artefacts", "runs"):
        said, is_so = getattr(written, section), getattr(now, section)
        for name in sorted(said.keys() | is_so.keys()):
            if name not in said or name not in is_so:
                what = "not in the book" if name not in said else "in the book, but not there any more"
                findings.append(Finding(f"{where}: {section}: {name}", what, REBUILD))
            elif said[name] != is_so[name]:
                fields = ", ".join(_changed(said[name].model_dump(), is_so[name].model_dump()))
                findings.append(Finding(f"{where}: {section}: {name}", f"{fields}: not as it is", REBUILD))
    if written.numbers != now.numbers:
        findings.append(Finding(f"{where}: numbers", "not those of the pages", REBUILD))
    if written.lock_sha256 != now.lock_sha256:
        findings.append(Finding(f"{where}: lock_sha256", "not that of requirements.txt", REBUILD))
    return len(now.artefacts) + len(now.runs) + 1, findings


def check_figure(html: Path, written: Manifest, name: str) -> tuple[int, list[Finding]]:
    """Compare the files of one figure or table, the scripts that draw it, and the seal with `audit.json`.

    Returns:
        How many there are, and what is off.
    """
    if name not in written.artefacts:
        return 1, [Finding(paths.relative(html / manifest.NAME), f"no figure or table {name}", REBUILD)]
    figure = written.artefacts[name]
    wanted = {figure.page, figure.executed, figure.csv}
    expected, found = (
        {
            file: digest
            for file, digest in files.items()
            if file in wanted or file.startswith((f"_images/{name}-", "_static/"))
        }
        for files in (written.files, manifest.files(html))
    )
    findings = [
        *_differences(expected, found, paths.relative(html), "the book was built"),
        *_check_seal(html, written),
    ]
    return len(expected) + 1, findings


def check_inputs(figures: Mapping[str, Mapping[str, str]]) -> tuple[int, list[Finding]]:
    """Compare the inputs of figures and tables with what they were when each was made.

    Args:
        figures: sha256 of each input, by figure or table; empty for a file outside the project.
    """
    expected: dict[tuple[str, str], list[str]] = {}
    for figure, inputs in figures.items():
        for file, digest in inputs.items():
            if digest:
                expected.setdefault((file, digest), []).append(figure)
    found = manifest.digests({file for file, _ in expected})
    findings = []
    for (file, digest), users in sorted(expected.items()):
        if found[file] != digest:
            more = f" and {len(users) - 3} more" if len(users) > 3 else ""
            state = f"sha256 {short(found[file])}" if found[file] else "missing"
            said = f"changed since {', '.join(users[:3])}{more} used it: {state}, expected {short(digest)}"
            findings.append(Finding(file, said, REBUILD))
    return len(found), findings


def _check_seal(html: Path, written: Manifest) -> Iterator[Finding]:
    if manifest.sealed(written).seal != written.seal:
        where = paths.relative(html / manifest.NAME)
        yield Finding(where, "changed: its seal does not fit its content", REBUILD)


def _differences(
    expected: Mapping[str, str], found: Mapping[str, str], folder: str, since: str
) -> Iterator[Finding]:
    for name in sorted(expected.keys() | found.keys()):
        where = f"{folder}/{name}" if folder else name
        if name not in found:
            yield Finding(where, f"missing since {since}", REBUILD)
        elif name not in expected:
            yield Finding(where, f"new since {since}", REBUILD)
        elif found[name] != expected[name]:
            said = f"changed since {since}: sha256 {short(found[name])}, expected {short(expected[name])}"
            yield Finding(where, said, REBUILD)


def _changed(said: dict[str, Any], is_so: dict[str, Any]) -> list[str]:
    return [name for name in said if said[name] != is_so[name]]
