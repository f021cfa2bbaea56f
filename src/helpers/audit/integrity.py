"""The built book against the hashes of `audit.json`: every file of it, and every source.

Whoever changes a page may renew its hash: against that, figures are executed again and pages compared with their sources
(`rebuild`, `expected_pages`). The hashes find what these cannot: a source that changed since the book was built, and a
damaged, missing or extra file of which nothing is computed again, as prose, the reference, scripts and styles.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from helpers.book import manifest
from helpers.book.manifest import EXECUTED, Manifest
from helpers.core import paths
from helpers.records.findings import Finding, short

REBUILD = "build the book again: make book"
_COPIED = "data/"
"""What stands below it is copied beside the pages."""
_SINCE_BUILT = "the book was built"


def check_files(html: Path, written: Manifest) -> tuple[int, list[Finding]]:
    """Compare every file of the book with `audit.json`; returns how many there are, and the findings."""
    built = manifest.files(html)
    findings = list(_differences(written.files, built, paths.relative(html)))
    for name, digest in written.sources.items():
        copied = name.removeprefix(_COPIED)
        if name.startswith(_COPIED) and built.get(copied, digest) != digest:
            what = f"not as {name}, of which it is a copy: {_expected(built[copied], digest)}"
            findings.append(Finding(f"{paths.relative(html)}/{copied}", what, REBUILD))
    return len(written.files), findings


def check_sources(written: Manifest, folder: str = "") -> tuple[int, list[Finding]]:
    """Compare every file that the book was made from; returns how many there are, and the findings.

    Args:
        written: what the book was made from.
        folder: only those below it, as seen from the root of the project.
    """
    expected, present = (
        {name: digest for name, digest in files.items() if name.startswith(folder)}
        for files in (written.sources, manifest.sources())
    )
    return len(present), list(_differences(expected, present, ""))


def check_figure(html: Path, written: Manifest, name: str) -> tuple[int, list[Finding]]:
    """Compare the files of one figure or table, and the scripts that draw it, with `audit.json`.

    Returns:
        How many there are, and the findings.
    """
    own = {f"notebooks/analysis/{name}.html", f"{EXECUTED}/{name}.ipynb", f"artefacts/{name}.csv"}
    expected, built = (
        {
            file: digest
            for file, digest in files.items()
            if file in own or file.startswith((f"_images/{name}-", "_static/"))
        }
        for files in (written.files, manifest.files(html))
    )
    return len(expected), list(_differences(expected, built, paths.relative(html)))


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
    present = manifest.digests({file for file, _ in expected})
    findings = []
    for (file, digest), users in sorted(expected.items()):
        if present[file] != digest:
            more = f" and {len(users) - 3} more" if len(users) > 3 else ""
            since = f"{', '.join(users[:3])}{more} used it"
            findings.append(
                Finding(file, f"changed since {since}: {_expected(present[file], digest)}", REBUILD)
            )
    return len(present), findings


def _differences(expected: Mapping[str, str], present: Mapping[str, str], folder: str) -> Iterator[Finding]:
    for name in sorted(expected.keys() | present.keys()):
        file = f"{folder}/{name}" if folder else name
        if name not in present:
            yield Finding(file, f"missing since {_SINCE_BUILT}", REBUILD)
        elif name not in expected:
            yield Finding(file, f"new since {_SINCE_BUILT}", REBUILD)
        elif present[name] != expected[name]:
            what = f"changed since {_SINCE_BUILT}: {_expected(present[name], expected[name])}"
            yield Finding(file, what, REBUILD)


def _expected(present: str, expected: str) -> str:
    """Say which sha256 a file has, empty where there is none, and which it should have."""
    return f"{f'sha256 {short(present)}' if present else 'missing'}, expected {short(expected)}"
