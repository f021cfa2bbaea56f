"""Files that follow a standard of others, by its own validator or by its published rules."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.publish.codecheck import SPECIFICATION, codecheck_text
from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_every_file_says_its_licence() -> None:
    done = run("reuse", "lint", "--lines")
    assert done.returncode == 0, done.stdout


def test_a_file_without_a_licence_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("pass\n", encoding="utf-8")
    assert run("reuse", "lint", cwd=tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("github-issue-forms", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))),
        ("dependabot", [ROOT / ".github" / "dependabot.yml"]),
        ("citation-file-format", [ROOT / "CITATION.cff"]),
    ],
)
def test_files_for_platforms_are_valid_by_their_schemas(
    schema: str, files: list[Path], tmp_path: Path
) -> None:
    assert files
    done = run("check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files))
    assert done.returncode == 0, done.stdout
    broken = tmp_path / files[0].name
    broken.write_text("nothing: of the kind\n", encoding="utf-8")
    assert run("check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(broken)).returncode == 1


# CODECHECK: the rules of specification 1.0 (codecheckers/register, rules-1.0.yml) that can be met before a check;
# CC-CFG-008 to 013 and 024 to 026 are about the codechecker, the report and the certificate, who come later.


@pytest.fixture(scope="module")
def codecheck() -> dict:
    return yaml.safe_load((ROOT / "codecheck.yml").read_text(encoding="utf-8"))


def test_codecheck_is_a_document_of_a_known_version(codecheck: dict) -> None:
    text = codecheck_text()
    assert text.startswith("---\n")  # CC-CFG-001, 002
    assert (ROOT / "codecheck.yml").read_text(encoding="utf-8") == text  # 003
    assert codecheck["version"] == SPECIFICATION  # 014, 015
    assert re.fullmatch(r"https://codecheck\.org\.uk/spec/config/\d\.\d/", SPECIFICATION)
    assert "reference-other" not in codecheck  # a field of 2.0


def test_codecheck_lists_files_with_comments(codecheck: dict) -> None:
    assert codecheck["manifest"]  # 004
    for item in codecheck["manifest"]:
        assert item["file"]  # 005
        assert not Path(item["file"]).is_absolute()  # 006
        assert item["comment"]  # 007


def test_codecheck_names_the_paper(codecheck: dict) -> None:
    paper = codecheck["paper"]  # 016
    assert paper["title"]  # 017
    assert paper["authors"]  # 018
    assert all(author["name"] for author in paper["authors"])  # 019
    assert re.fullmatch(r"https://doi\.org/10\.\d{4,9}/\S+", paper["reference"])  # 021, 022, 027, 028
    assert not re.search(r"FIXME|TODO|XXXXX", codecheck_text())  # 023
