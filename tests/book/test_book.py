"""How the book is built: what a change builds anew, and what happens without a browser."""

import os
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from helpers import cli
from helpers.book import build as book_module
from helpers.book import fragments
from helpers.campaigns.run import workflow
from helpers.core import paths
from tests.conftest import Checkout
from tests.support.browsing import html, one_book


@one_book
def test_nothing_changed_builds_nothing(book: Checkout) -> None:
    index = html(book) / "index.html"
    before = index.stat().st_mtime_ns
    begin = time.monotonic()
    done = book.helpers("book", "--no-measure")
    assert time.monotonic() - begin < 30
    assert done.returncode == 0, done.stdout + done.stderr
    assert index.stat().st_mtime_ns == before
    assert done.stdout.splitlines()[-1] == f"the book: {index}"
    assert "apt-get" not in done.stdout


def planned_jobs(book: Checkout) -> Counter[str]:
    """Ask Snakemake what it would do now."""
    done = book.python(
        "snakemake",
        "book",
        "--dry-run",
        *(
            "--snakefile",
            "workflow/Snakefile",
            "--profile",
            "workflow/profiles/local",
        ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return Counter({rule: int(number) for rule, number in counts if rule not in ("total", "book")})


@one_book
@pytest.mark.parametrize(
    ("changed", "jobs"),
    [
        ("runs/demo/*/record.json", {"results": 1, "analyses": 1, "html": 1}),
        ("data/study/models.yaml", {"results": 1, "analyses": 1, "html": 1}),
        ("src/helpers/core/units.py", {"results": 1, "analyses": 1, "html": 1}),
        ("notebooks/analysis/table_b1.ipynb", {"analyses": 1, "html": 1}),
        ("book/audit.md", {"html": 1}),
        ("_build/surroundings.txt", {"html": 1}),  # a Chromium came or went, or the repository has an address
        ("README.md", {"html": 1}),  # audit.json holds its sha256
        ("workflow/profiles/local/config.yaml", {"html": 1}),
        ("Makefile", {}),
    ],
)
def test_change_builds_what_depends_on_it(changed: str, jobs: dict[str, int], book: Checkout) -> None:
    file = next(book.root.glob(changed), book.root / changed)
    content, status = (file.read_bytes(), file.stat()) if file.exists() else (b"", None)
    try:
        file.write_bytes(content + b"\n")
        assert planned_jobs(book) == jobs
    finally:
        file.write_bytes(content)
        if status:
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        else:
            file.unlink()


@one_book
def test_new_record_and_removed_record_change_the_results(book: Checkout) -> None:
    folder = book.root / "runs" / "hostile"
    aside = book.root / "aside"
    folder.rename(aside)
    try:
        assert planned_jobs(book)["results"] == 1
    finally:
        aside.rename(folder)
    assert planned_jobs(book) == {}


@pytest.fixture
def without_chromium(tmp_path: Path) -> dict[str, str]:
    """Environment of a process that finds no browser; Kaleido looks in fixed places besides PATH."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "real = os.access\n"
        "names = ('chrom', 'google-chrome', 'msedge', 'microsoft-edge', 'brave', 'vivaldi')\n"
        "os.access = lambda path, mode, **more: (\n"
        "    not os.path.basename(str(path)).lower().startswith(names) and real(path, mode, **more)\n"
        ")\n",
        encoding="utf-8",
    )
    return {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "HIDING": str(tmp_path)}


def hiding(copy: Checkout, environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "PYTHONPATH": f"{environment['HIDING']}:{copy.root / 'src'}"}


def test_without_chromium_there_are_no_images(checkout: Checkout, without_chromium: dict[str, str]) -> None:
    script = (
        "from pathlib import Path\n"
        "from helpers.book import images\n"
        "from helpers.book.analyses import analyse\n"
        "from helpers.figures.executed import read_executed_figure\n"
        "print(images.draw([read_executed_figure(file) for file in analyse(['figure_4_nodes'])], Path('images')))\n"
    )
    (checkout.root / "draw.py").write_text(script, encoding="utf-8")
    done = checkout.python("draw", env=hiding(checkout, without_chromium))
    assert (done.returncode, done.stdout, done.stderr) == (0, "set()\n", "")


def test_page_has_text_in_place_of_an_image_that_was_not_drawn() -> None:
    def image(name: str) -> str:
        return f'<img class="static" src="{name}" alt="What it shows" width="1">'

    body = "".join(image(f"companion-root:_images/{name}.svg") for name in ("there", "absent"))
    expected = image("../_images/there.svg") + "<noscript><p>What it shows</p></noscript>"
    assert fragments.resolved(body, 1, {"there.svg"}, lambda _: None) == expected


@pytest.mark.parametrize("has_images", [True, False])
def test_book_tells_how_to_get_images_only_where_there_is_no_chromium(
    has_images: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(workflow, "make_book", lambda: 0)
    monkeypatch.setattr(book_module, "has_static_images", lambda: has_images)
    assert cli.main(["book", "--no-measure"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"the book: {paths.BUILD / 'html' / 'index.html'}"
    assert any("apt-get install chromium" in line for line in lines) is not has_images


@pytest.mark.parametrize("name", ["figure_4_nodes", "table_b1"])
def test_analysis_runs_with_plain_papermill(name: str, checkout: Checkout) -> None:
    """The book's build executes all of them, without a kernel; one with plots and one without stand for all here."""
    begin = time.monotonic()
    done = checkout.python("papermill", f"notebooks/analysis/{name}.ipynb", "out.ipynb")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 20
    shown = (checkout.root / "out.ipynb").read_text(encoding="utf-8")
    assert 'class=\\"finding\\"' in shown
    assert ("application/vnd.plotly" in shown) == name.startswith("figure")
