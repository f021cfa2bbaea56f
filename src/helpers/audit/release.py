"""What is missing for a release (`make release-check`): version, date, DOI, descriptions, a clean commit, an audited book.

A release is a tag `vVERSION` on a commit for which nothing is missing; CONTRIBUTING.md has the steps.
"""

import re
import sys
from collections.abc import Iterator

from helpers.audit.check import audit
from helpers.core import paths, units
from helpers.core.errors import UserError
from helpers.publish.citation import citation
from helpers.publish.metadata import committed_texts
from helpers.records.environment import git_dirty, git_problem


def missing() -> Iterator[str]:
    """Yield a line for each thing that is missing, with what to do."""
    cited = citation()
    changes = (paths.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(
        rf"^## \[{re.escape(cited.version)}\] - (\d{{4}}-\d{{2}}-\d{{2}})$", changes, re.MULTILINE
    )
    if section is None:
        yield f"CHANGELOG.md: expected a section '## [{cited.version}] - YYYY-MM-DD'; move the entries of [Unreleased] into it"
    if re.search(r"^## \[Unreleased\]\n(?:(?!^## ).*\n)*?- ", changes, re.MULTILINE):
        yield "CHANGELOG.md: [Unreleased] still has entries; move them into the section of the version"
    if cited.date_released is None:
        yield "CITATION.cff: expected 'date-released: YYYY-MM-DD'; add the date of the release"
    elif section is not None and section[1] != cited.date_released:
        yield f"CITATION.cff: date-released is {cited.date_released}, CHANGELOG.md has {section[1]}; make them one"
    if cited.doi is None:
        yield "CITATION.cff: no 'doi'; reserve one where the release will be archived (Zenodo), and add it"
    for file, text in committed_texts().items():
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            yield f"{paths.relative(file)}: not up to date; python -m helpers describe"
    if (problem := git_problem()) is not None:
        yield f"the commit is unknown: {problem}"
    elif git_dirty():
        yield "the working tree has changes (git status); commit them"
    yield from _audited()


def _audited() -> Iterator[str]:
    try:
        report = audit()
    except UserError as error:
        yield str(error)
        return
    if report.findings:
        yield f"the audit has {units.counted(len(report.findings), 'finding')}: python -m helpers audit"


def main() -> int:
    """Print what is missing; returns 1 where something is, else 0."""
    lines = list(missing())
    for line in lines:
        print(f"missing: {line}")
    if not lines:
        print(f"nothing is missing: git tag -s v{citation().version}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
