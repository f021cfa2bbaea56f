"""The book on its way out: the ZIP, links to the repository, the workflow that publishes it, web addresses, formulas."""

import re
import shlex
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from helpers import cli
from helpers.book import linkcheck, trimming
from helpers.book.build import with_version
from helpers.book.repository import with_repository
from helpers.campaigns.transfer import archive
from helpers.figures.html import REPOSITORY_VARIABLE, commit_link
from helpers.publish.citation import citation
from helpers.sphinx_ext import mathml
from tests.conftest import ROOT, Checkout, refusal
from tests.support.browsing import ANALYSES, html, one_book, page

CONFIG = (ROOT / "_config.yml").read_text(encoding="utf-8")
ADDRESS = "https://github.com/owner/name"
WORKFLOWS = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
PAGES = WORKFLOWS["pages"]


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A book of two pages."""
    folder = tmp_path / "html"
    (folder / "deep").mkdir(parents=True)
    (folder / "index.html").write_text("<p>front</p>", encoding="utf-8")
    (folder / "deep" / "page.html").write_text("<p>page</p>", encoding="utf-8")
    return folder


# --- the ZIP -------------------------------------------------------------------------------------------


def test_zip_holds_the_book_in_one_folder(pages: Path, tmp_path: Path) -> None:
    archive.write_zip(pages, tmp_path / "out" / "book.zip")
    with zipfile.ZipFile(tmp_path / "out" / "book.zip") as packed:
        assert packed.testzip() is None
        assert packed.namelist() == [f"{archive.FOLDER}/{name}" for name in ("deep/page.html", "index.html")]
        assert packed.read(f"{archive.FOLDER}/deep/page.html") == b"<p>page</p>"
        assert {entry.external_attr >> 16 for entry in packed.infolist()} == {0o644}


def test_same_book_gives_the_same_zip_and_another_one_does_not(pages: Path, tmp_path: Path) -> None:
    archive.write_zip(pages, tmp_path / "a.zip")
    (pages / "index.html").touch()
    (pages / "index.html").chmod(0o600)
    archive.write_zip(pages, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    (pages / "index.html").write_text("<p>other</p>", encoding="utf-8")
    archive.write_zip(pages, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() != (tmp_path / "b.zip").read_bytes()


def test_zip_beside_the_pages_does_not_hold_itself(pages: Path) -> None:
    for _ in range(2):
        archive.write_zip(pages, pages / "book.zip")
    with zipfile.ZipFile(pages / "book.zip") as packed:
        assert len(packed.namelist()) == 2
    assert sorted(item.name for item in pages.iterdir()) == ["book.zip", "deep", "index.html"]


# --- the built book ------------------------------------------------------------------------------------


@one_book
def test_book_asks_no_server(book: Checkout) -> None:
    files = [file for file in html(book).rglob("*") if file.is_file()]
    names = {file.relative_to(html(book)).as_posix() for file in files}
    assert not [name for name in names if name.endswith((".map", ".ttf", ".mo", ".po")) or "thebe" in name]
    for file in files:
        if file.suffix == ".html":
            text = file.read_text(encoding="utf-8")
            assert not re.search(r'<(script|link|img|iframe)\b[^>]*(src|href)="(https?:)?//', text), file
            assert "thebe" not in text.lower(), file


@one_book
def test_without_a_repository_the_book_leads_to_none(book: Checkout) -> None:
    for name in ("book/index", "notebooks/analysis/table_b1", "notebooks/measure/llm"):
        soup = page(book, name)
        assert not soup.select(".dropdown-launch-buttons, .dropdown-source-buttons"), name
        assert "mybinder" not in str(soup), name


@one_book
def test_csv_of_every_artefact_lies_beside_the_pages(book: Checkout) -> None:
    assert sorted(file.stem for file in html(book).glob("artefacts/*.csv")) == ANALYSES


@one_book
def test_book_that_knows_its_repository_launches_analyses_only(
    book: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> None:
    script = (
        "from pathlib import Path\n"
        "from helpers.book import build, sphinx_build\n"
        "from helpers.core import paths\n"
        "build.stage()\n"
        "sphinx_build.build_html(paths.STAGING, Path('_build/public/html'))\n"
    )
    environment = {**book.environment, REPOSITORY_VARIABLE: ADDRESS, "PYTHONWARNINGS": "ignore"}
    python = book.start("helpers").args[0]
    done = subprocess.run(
        [python, "-c", script], cwd=book.root, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    public = book.root / "_build" / "public" / "html"
    launched = {
        file.relative_to(public).as_posix()
        for file in public.rglob("*.html")
        if "mybinder.org/v2/gh/owner/name/main?" in file.read_text(encoding="utf-8")
    }
    assert launched == {f"notebooks/analysis/{name}.html" for name in ANALYSES}
    binder = (public / "notebooks/analysis/table_b1.html").read_text(encoding="utf-8")
    assert "urlpath=lab/tree/notebooks/analysis/table_b1.ipynb" in binder
    assert f"{ADDRESS}/blob/main/book/index.md" in (public / "book/index.html").read_text(encoding="utf-8")
    made_at_build = next(public.glob("runs/demo/*.html")).read_text(encoding="utf-8")
    assert f"{ADDRESS}/blob/" not in made_at_build


# --- the repository ------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_the_configuration_is_that_of_the_project(address: str | None) -> None:
    assert with_repository(CONFIG, address) == CONFIG


def test_configuration_with_an_address_differs_in_the_links_alone() -> None:
    before, after = yaml.safe_load(CONFIG), yaml.safe_load(with_repository(CONFIG, f"{ADDRESS}/"))
    assert after.pop("repository") == {"url": ADDRESS, "branch": "main"}
    assert after.pop("launch_buttons")["binderhub_url"] == "https://mybinder.org"
    assert after["html"].pop("use_repository_button")
    assert after["sphinx"]["config"]["html_theme_options"].pop("use_source_button")
    before["html"].pop("use_repository_button")
    assert after == before


@pytest.mark.parametrize(
    "address", ["owner/name", "http://github.com/owner/name", "https://github.com/owner", "git@x:y/z"]
)
def test_address_that_is_none_is_refused(address: str) -> None:
    assert "https://github.com/OWNER/NAME" in refusal(with_repository, CONFIG, address)


# --- the workflow and Binder ---------------------------------------------------------------------------


def commands(workflow: dict[str, Any]) -> list[list[str]]:
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    lines = [line for step in steps for line in step.get("run", "").splitlines() if line]
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_command_of_a_workflow_is_one_of_the_project(name: str) -> None:
    parser = cli.parser()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert commands(WORKFLOWS[name])
    for command in commands(WORKFLOWS[name]):
        if command[1:3] == ["-m", "helpers"]:
            parser.parse_args(command[3:])
        elif command[1:] == ["-m", "helpers.book.linkcheck"]:
            continue
        elif command[0] == "make":
            assert command[1] in targets
        else:
            assert command[0] == "cp"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_do_no_more_than_it_must(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        deploys = any("deploy-pages" in step.get("uses", "") for step in job["steps"])
        assert job.get("permissions", {}) == ({"pages": "write", "id-token": "write"} if deploys else {})
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v0"))
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize(
    ("commit", "date", "expected"),
    [
        (
            "0123456789abcdef",
            "2026-11-30T10:00:00+01:00",
            'Version 0.1.0, commit <code title="0123456789abcdef">0123456789</code> of 2026-11-30. Code MIT',
        ),
        (None, None, "Version 0.1.0. Code MIT"),
    ],
)
def test_the_footer_says_the_version(commit: str | None, date: str | None, expected: str) -> None:
    footer = yaml.safe_load(with_version(CONFIG, commit, date))["html"]["extra_footer"]
    assert footer.startswith(expected.replace("0.1.0", citation().version))


def test_a_commit_leads_to_the_repository_where_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef"
    monkeypatch.delenv(REPOSITORY_VARIABLE, raising=False)
    assert "<a " not in commit_link(commit)
    monkeypatch.setenv(REPOSITORY_VARIABLE, f"{ADDRESS}/")
    assert f'<a href="{ADDRESS}/commit/{commit}">' in commit_link(commit, 8)
    assert ">01234567<" in commit_link(commit, 8)


def test_workflow_audits_what_it_publishes_and_measures_nothing() -> None:
    assert commands(PAGES)[0][:2] == ["make", "read"]
    assert commands(PAGES)[1] == [".venv-read/bin/python", "-m", "helpers", "audit"]
    (recipe,) = re.findall(
        r"^read: .*\n\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert "book --no-measure --zip _build/text-classification-energy.zip" in recipe
    upload = next(step for step in PAGES["jobs"]["build"]["steps"] if "upload" in step.get("uses", ""))
    assert upload["with"]["path"] == "_build/html"
    assert REPOSITORY_VARIABLE in PAGES["jobs"]["build"]["env"]


def test_ci_runs_what_the_workflow_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in commands(PAGES):
        line = " ".join(part for part in command if not part.startswith("PYTHON="))
        assert re.search(rf"^{re.escape(line)}", ci, re.MULTILINE), line


def test_binder_installs_what_the_book_needs() -> None:
    binder = ROOT / ".binder"
    named = [
        line[3:] for line in (binder / "requirements.txt").read_text().splitlines() if line.startswith("-r ")
    ]
    assert [(binder / name).resolve() for name in named] == [ROOT / "requirements-book.txt"]
    assert (binder / "runtime.txt").read_text().strip() == "python-3.11"
    assert (binder / "postBuild").stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(binder / "postBuild")], check=True)


# --- web addresses -------------------------------------------------------------------------------------


class Server(BaseHTTPRequestHandler):
    """Answers with the status that stands in the path."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """Address of a server of this machine."""
    http = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def test_links_are_the_web_addresses_of_all_pages(pages: Path) -> None:
    (pages / "index.html").write_text(
        '<a href="https://a.org/x?b=1&amp;c=2#part">a</a><a class="x" href="deep/page.html">in</a>'
        '<a href="http://b.org/">b</a><a href="#here">here</a><img src="https://c.org/y.png">',
        encoding="utf-8",
    )
    (pages / "deep" / "page.html").write_text('<a href="http://b.org/">b</a>', encoding="utf-8")
    assert linkcheck.links(pages) == {
        "http://b.org/": ["deep/page.html", "index.html"],
        "https://a.org/x?b=1&c=2": ["index.html"],
    }


def test_addresses_that_are_not_there_are_told_with_a_page(server: str) -> None:
    nobody = HTTPServer(("127.0.0.1", 0), Server)
    nobody.server_close()
    closed = f"http://127.0.0.1:{nobody.server_port}/200"
    pages_of = {f"{server}/{status}": [f"{status}.html"] for status in (200, 403, 404, 429, 500)}
    lines = linkcheck.broken({**pages_of, closed: ["closed.html", "other.html"]})
    assert lines[:2] == [
        f"{server}/404: status 404 (on 404.html)",
        f"{server}/500: status 500 (on 500.html)",
    ]
    assert len(lines) == 3
    assert lines[2].startswith(f"{closed}: ")
    assert lines[2].endswith("(on closed.html)")


def test_link_check_fails_where_an_address_is_not_there(
    pages: Path, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(linkcheck.build, "HTML", pages)
    (pages / "index.html").write_text(f'<a href="{server}/200">a</a>', encoding="utf-8")
    assert linkcheck.main() == 0
    (pages / "index.html").write_text(f'<a href="{server}/404">a</a>', encoding="utf-8")
    assert linkcheck.main() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 web addresses, 1 not found"


# --- formulas and trimming -----------------------------------------------------------------------------


@pytest.mark.parametrize("display", ["inline", "block"])
def test_formula_is_mathml_with_its_source_as_text(display: str) -> None:
    made = mathml.mathml(r"\log_{10} E < \frac{a}{b} \cdot t^2", display)
    element = ElementTree.fromstring(made)  # noqa: S314  (made here)
    assert element.tag == "{http://www.w3.org/1998/Math/MathML}math"
    assert element.get("display") == display
    assert element.get("alttext") == r"\log_{10} E < \frac{a}{b} \cdot t^2"
    tags = {child.tag.partition("}")[2] for child in element.iter()}
    assert {"msub", "mfrac", "msup"} <= tags


def test_trimming_takes_what_asks_a_server_and_nothing_else(pages: Path) -> None:
    kept = '<script src="_static/figures.js"></script><link rel="preload" as="script" href="x.js"><p>text</p>'
    (pages / "index.html").write_text(
        '<link rel="preload" as="font" href="f.woff2">\n<script>const THEBE_JS_URL = "https://unpkg.com"\n</script>'
        f'<script src="_static/sphinx-thebe.js?v=1"></script>{kept}<script>kernelName = "python3"</script>',
        encoding="utf-8",
    )
    static = pages / "_static"
    (static / "locales" / "de").mkdir(parents=True)
    for name in ("locales/de/x.mo", "figures.js", "figures.js.map", "sphinx-thebe.js"):
        (static / name).write_text("x", encoding="utf-8")
    trimming.trim(pages)
    assert (pages / "index.html").read_text(encoding="utf-8") == kept
    assert [file.name for file in static.rglob("*")] == ["figures.js"]
