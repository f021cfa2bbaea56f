"""What is missing for a release, with what to do about each."""

import datetime
from pathlib import Path

import pytest

from helpers.audit import release
from helpers.core.errors import UserError
from helpers.records.findings import Finding, Report
from tests.conftest import Checkout, git


def lines(checkout: Checkout) -> list[str]:
    done = checkout.python("helpers.audit.release")
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_everything_that_is_missing_is_named_until_nothing_is(checkout: Checkout) -> None:
    before = "\n".join(lines(checkout))
    for part in ("[Unreleased] still has", "date-released", "no 'doi'", "make book"):
        assert part in before
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for name, old, new in (
        ("pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"'),
        ("CITATION.cff", "version: 0.1.0\n", f"version: 0.2.0\ndate-released: '{today}'\n"),
    ):
        replace(checkout.root / name, old, new)
    assert any("expected a section '## [0.2.0] - YYYY-MM-DD'" in line for line in lines(checkout))
    replace(checkout.root / "CHANGELOG.md", "## [Unreleased]\n", f"## [Unreleased]\n\n## [0.2.0] - {today}\n")
    replace(checkout.root / "CITATION.cff", "version: 0.2.0\n", "version: 0.2.0\ndoi: 10.5281/zenodo.1\n")
    assert any(line.endswith("python -m helpers describe") for line in lines(checkout))
    assert checkout.helpers("describe").returncode == 0
    assert any("the working tree has changes" in line for line in lines(checkout))
    git(checkout.root, "add", "-A")
    git(
        checkout.root,
        "-c",
        "user.name=test",
        "-c",
        "user.email=t@example.org",
        "commit",
        "-qm",
        "release: 0.1.0",
    )
    (left,) = lines(checkout)
    assert "expected the built book, found none" in left


def test_a_date_that_differs_is_named(checkout: Checkout) -> None:
    replace(
        checkout.root / "CITATION.cff", "version: 0.1.0\n", "version: 0.1.0\ndate-released: '2026-01-02'\n"
    )
    assert any("date-released is 2026-01-02, CHANGELOG.md has 2026-11-28" in line for line in lines(checkout))


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (Report(findings=[Finding("a", "b", "c")]), ["the audit has 1 finding: python -m helpers audit"]),
        (Report(), []),
        (UserError("there is no book; make book"), ["there is no book; make book"]),
    ],
)
def test_an_audit_with_findings_is_no_release(
    report: Report | UserError, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def audited() -> Report:
        if isinstance(report, UserError):
            raise report
        return report

    monkeypatch.setattr(release, "audit", audited)
    assert list(release._audited()) == said
