"""The audit: silent on a book as it was built, and with the right line for everything that was tampered with."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.audit import check
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.display import METADATA
from tests.conftest import Checkout
from tests.support.browsing import one_book

pytestmark = one_book

BOOK = "_build/html"
PAGES = f"{BOOK}/notebooks/analysis"
EXECUTED = f"{BOOK}/_sources/notebooks/analysis"
COMMITTED = "data/measurements/reference-cpu"


def findings(book: Checkout, *options: str) -> list[dict[str, str]]:
    done = book.helpers("audit", "--json", *options)
    assert re.search(r"^\d+ findings?$", done.stderr.strip()) or not done.returncode, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if report["findings"] else 0)
    assert report["passed"] is not bool(report["findings"])
    return list(report["findings"])


def copy_of(book: Checkout, folder: Path) -> Checkout:
    shutil.copytree(book.root, folder / book.root.name, symlinks=True)
    return Checkout(folder / book.root.name)


def with_new_hashes(copy: Checkout) -> Checkout:
    """Write `audit.json` again, as somebody does who changed the book and wants it to pass."""
    (copy.root / "rehash.py").write_text(
        "from helpers.book import manifest\nfrom helpers.book.build import HTML\nmanifest.write(HTML)\n",
        encoding="utf-8",
    )
    done = copy.python("rehash")
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


def live_run(book: Checkout, model: str) -> str:
    """The folder of a run of the demo, as seen from the root of the project."""
    (folder,) = (book.root / "runs" / "demo").glob(f"fktg-sample-{model}-*")
    return str(folder.relative_to(book.root))


# --- nothing was tampered with -----------------------------------------------------------------------------


def test_a_book_as_it_was_built_has_only_the_faults_that_it_was_built_with(book: Checkout) -> None:
    reported = findings(book)
    assert sorted(item["where"].split("/")[1] for item in reported) == ["refused", "study"]
    by_folder = {item["where"].split("/")[1]: item for item in reported}
    assert by_folder["study"]["where"] == "data/study/campaigns/demo.yaml"  # the tests' own demo
    assert "unknown key" in by_folder["refused"]["what"]


def test_one_figure_passes_and_says_what_was_checked(book: Checkout) -> None:
    done = book.helpers("audit", "figure_4_nodes")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "no findings; checked:"
    assert "  re-executed figures              1" in [re.sub(r"  +(?=\d)", " " * 14, line) for line in lines]


def test_a_figure_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="figure_4_nodes"):
        check.audit_figure("figure_4_node")


def test_without_a_book_the_audit_says_how_to_build_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "BUILD", tmp_path)
    with pytest.raises(UserError, match="run `make book` first"):
        check.audit()


# --- tampering ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tampering:
    """A change of one file, and the line that the audit must have for it."""

    file: str
    change: Callable[[Path], object]
    what: str
    """Part of the line."""
    reported_at: str = ""
    """What the line names, by default the file."""


def replaced(old: str, new: str) -> Callable[[Path], object]:
    """Replace the first match of a pattern."""

    def change(file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        changed = re.sub(old, new, text, count=1, flags=re.DOTALL)
        assert changed != text, f"{file} has no {old}"
        file.write_text(changed, encoding="utf-8")

    return change


def appended(content: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(file.read_bytes() + content)


def created(file: Path) -> None:
    file.write_bytes(b"1\n")


BOW, TFIDF, RUN = "runs/demo/BOW", "runs/demo/TFIDF", "runs/demo/PAGE"
CHANGED, SINCE = "changed: sha256", "changed since the book was built"
OF_RUN = "changed since the run: sha256"

TAMPERINGS = {
    "published value": Tampering("data/published/table_b1.csv", replaced(",702.06,", ",703.06,"), CHANGED),
    "catalogue": Tampering("data/study/models.yaml", appended(b"# a word more\n"), CHANGED),
    "sample": Tampering("data/sample/fktg-sample.csv", replaced("e", "E"), CHANGED),
    "committed record": Tampering(
        f"{COMMITTED}/emotion-linear-bow-31b092b2/record.json", replaced(r"(\"energy_wh\": )(\d)", r"\g<1>1\2"), CHANGED
    ),
    "energy of a live record": Tampering(
        f"{BOW}/record.json", replaced(r"(\"energy_wh\": )(\d)", r"\g<1>1\2"), "used it: sha256"
    ),
    "accuracy of a live record": Tampering(
        f"{TFIDF}/record.json",
        replaced(r'"correct": \d+', '"correct": 1'),
        "correct: 1, but predictions.parquet has",
        f"{TFIDF}/record.json: splits.0",
    ),
    "field of a record": Tampering(
        f"{COMMITTED}/yelp-linear-bow-31b092b2/record.json", replaced('"gpus"', '"cards"'), "unknown key 'cards'"
    ),
    "predictions": Tampering(
        f"{COMMITTED}/news-linear-bow-31b092b2/predictions.parquet", appended(b"1"), OF_RUN
    ),
    "power time line": Tampering(f"{TFIDF}/power.parquet", appended(b"1"), OF_RUN),
    "committed executed run": Tampering(
        f"{COMMITTED}/tomatoes-linear-bow-31b092b2/notebook.ipynb", replaced(r"\d\.\d", "9.9"), OF_RUN
    ),
    "live executed run": Tampering(f"{BOW}/notebook.ipynb", replaced(r"\d\.\d", "9.9"), OF_RUN),
    "missing file of a run": Tampering(
        f"{COMMITTED}/yelp-linear-tfidf-31b092b2/predictions.parquet", Path.unlink, "listed in its record"
    ),
    "extra file of a run": Tampering(f"{TFIDF}/extra.csv", created, "its record does not list it"),
    "missing data": Tampering("data/published/README.md", Path.unlink, "listed in data/SHA256SUMS"),
    "extra data": Tampering("data/sample/extra.csv", created, "not listed in data/SHA256SUMS"),
    "package": Tampering("src/helpers/core/units.py", appended(b"# a word more\n"), SINCE),
    "code of an executed analysis": Tampering(
        f"{EXECUTED}/table_b1.ipynb", replaced("load_tables", "load_table"), "text or code is not that of"
    ),
    "value of an executed analysis": Tampering(
        f"{EXECUTED}/figure_5_gpu_models.ipynb", replaced(r'(data_csv": ".*?,)\d', r"\g<1>99"), SINCE
    ),
    "plot": Tampering(
        f"{PAGES}/figure_3_gpus.html",
        replaced(r'(class="plotly-figure">.*?"y":\[)[\d.e-]+', r"\g<1>123456"),
        "not as in the executed notebook: data[0].y[0]: found '123456'",
    ),
    "lost plot": Tampering(
        f"{PAGES}/figure_2_components.html", replaced('id="figure_2_components-', 'id="'), "missing"
    ),
    "table": Tampering(
        f"{PAGES}/table_b2.html", replaced(r"<!-- body -->(.*?)<td", r"<!-- body -->\1<td>9</td><td"),
        "table_b2: not as in the executed notebook",
    ),
    "download": Tampering(
        f"{BOOK}/artefacts/figure_4_nodes.csv", replaced(r"\n[^,]*,", "\nx,"), "not as in the executed notebook"
    ),
    "results table": Tampering(
        f"{BOOK}/results/results.csv", replaced(r"\npublished", "\nmeasured"), SINCE
    ),
    "missing download": Tampering(f"{BOOK}/artefacts/figure_7_other_datasets.csv", Path.unlink, "missing since"),
    "extra file of the book": Tampering(f"{BOOK}/extra.html", created, "new since the book was built"),
    "script": Tampering(f"{BOOK}/_static/figures.js", appended(b"// a word more\n"), SINCE),
    "missing page": Tampering(
        f"{BOOK}/book/glossary.html",
        Path.unlink,
        "glossary.html leads nowhere",
        f"{BOOK}/book/methods.html",
    ),
    "number typed in the prose": Tampering("book/limits.md", appended(b"\nIt is 4711.\n"), "the number 4711 is typed"),
    "number with a wrong name": Tampering(
        "book/protocol.md", appended(b"\nIt is {number}`best.acuracy`.\n"), "no number 'best.acuracy'"
    ),
    "number on a page": Tampering(
        f"{BOOK}/book/index.html",
        replaced(r'(number-decades[^>]*>)[\d.]+', r"\g<1>9.9"),
        "the number decades: found '9.9', computed",
    ),
    "manifest": Tampering(
        f"{BOOK}/audit.json",
        replaced(r'("book/how_to_cite.html": ")\w{4}', r"\g<1>face"),
        SINCE,
        f"{BOOK}/book/how_to_cite.html",
    ),
    **{name: Tampering(name, appended(b"\n"), SINCE) for name in (*paths.DOCUMENTS, "workflow/Snakefile")},
}  # fmt: skip

OF_NOTEBOOK, OF_RECORD, NOW = (
    "not as in the executed notebook",
    "not as made from the record",
    "not as computed now",
)

REHASHED = {
    "finding": Tampering(
        f"{PAGES}/figure_4_nodes.html", replaced(r'(<p class="finding">.{20}).', r"\1?"), OF_NOTEBOOK
    ),
    "alternative text": Tampering(
        f"{PAGES}/figure_3_gpus.html", replaced(r'(<img class="static" [^>]*alt=".{20}).', r"\1?"), OF_NOTEBOOK
    ),
    "table of the data": Tampering(
        f"{PAGES}/figure_2_components.html",
        replaced(r'(class="figure-data">.*?<td class="number">)', r"\g<1>9"),
        OF_NOTEBOOK,
    ),
    "sha256 of an input": Tampering(
        f"{PAGES}/figure_5_gpu_models.html", replaced(r'(class="sha" title="sha256 )\w{4}', r"\1face"), OF_NOTEBOOK
    ),
    "commit": Tampering(
        f"{PAGES}/figure_7_other_datasets.html", replaced(r"(<dt>Commit</dt><dd><code[^>]*>)\w{4}", r"\1face"), OF_NOTEBOOK
    ),
    "link to the function": Tampering(
        f"{PAGES}/table_b2.html", replaced(r'(<dt>Function</dt><dd><a href=")', r"\1../"), OF_NOTEBOOK
    ),
    "image": Tampering(
        f"{BOOK}/_images/figure_1_accuracy_energy-fktg.svg", appended(b"<!-- -->"), "not the image drawn from its plot"
    ),
    "figure of the first page": Tampering(
        f"{BOOK}/book/index.html", replaced(r'(data-alt=".{20}).', r"\1?"), "artefact figure_1_accuracy_energy"
    ),
    "verdict": Tampering(
        f"{BOOK}/book/errata.html", replaced('data-verdict="does not hold"', 'data-verdict="holds"'), NOW
    ),
    "bars of verdicts": Tampering(
        f"{BOOK}/book/at_a_glance.html", replaced(r'(class="glance">.*?<tfoot>.*?<td>)', r"\g<1>9"), NOW
    ),
    "finding on a page of prose": Tampering(
        f"{BOOK}/book/beyond.html", replaced("CodeCarbon", "Another tool"), "the finding of protocol"
    ),
    "audit page": Tampering(
        f"{BOOK}/book/audit.html", replaced(r'(id="audit-environments">.*?<td>)', r"\g<1>9"), NOW
    ),
    "accuracy of a run": Tampering(
        f"{BOOK}/{RUN}.html", replaced(r"Accuracy 0\.\d+", "Accuracy 0.999"), OF_RECORD
    ),
    "failed check of a run": Tampering(
        f"{BOOK}/{RUN}.html", replaced('data-passed="false">failed', 'data-passed="true">passed'), OF_RECORD
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rehashed(book: Checkout, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What the audit finds in a copy whose pages were changed, and their hashes in `audit.json` too."""
    copy = copy_of(book, tmp_path_factory.mktemp("rehashed"))
    for tampering in REHASHED.values():
        tampering.change(copy.root / named(tampering.file, book))
    return findings(with_new_hashes(copy), "--no-execute")


@pytest.mark.parametrize("kind", REHASHED)
def test_a_page_changed_with_its_hash_is_found(
    rehashed: list[dict[str, str]], book: Checkout, kind: str
) -> None:
    tampering = REHASHED[kind]
    lines = [item["what"] for item in rehashed if item["where"] == named(tampering.file, book)]
    assert any(tampering.what in what for what in lines), lines


@pytest.fixture(scope="module")
def tampered(book: Checkout, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What the audit finds in a copy of the book in which all of these were done, each to a file of its own."""
    copy = copy_of(book, tmp_path_factory.mktemp("tampered"))
    for tampering in TAMPERINGS.values():
        tampering.change(copy.root / named(tampering.file, book))
    return findings(copy, "--no-execute")


def named(text: str, book: Checkout) -> str:
    text = text.replace(RUN, live_run(book, "linear-bow"))  # its page has the same path
    return text.replace(BOW, live_run(book, "linear-bow")).replace(TFIDF, live_run(book, "linear-tfidf"))


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_tampering_is_found_and_named(tampered: list[dict[str, str]], book: Checkout, kind: str) -> None:
    tampering = TAMPERINGS[kind]
    name = named(tampering.reported_at or tampering.file, book)
    lines = [item["what"] for item in tampered if item["where"].startswith(name)]
    assert any(tampering.what in what for what in lines), lines


def test_every_line_says_what_to_do_and_is_reported_once(tampered: list[dict[str, str]]) -> None:
    lines = [json.dumps(item) for item in tampered]
    assert len(lines) == len(set(lines))
    assert all(item["where"] and item["what"] and "\n" not in str(item) for item in tampered)
    assert sum(bool(item["remedy"]) for item in tampered) >= len(tampered) - 2


def change_everywhere(copy: Checkout, name: str, change: Callable[[str], str]) -> None:
    """Change what a figure shows in its executed notebook and on its page."""
    executed, page = copy.root / EXECUTED / f"{name}.ipynb", copy.root / PAGES / f"{name}.html"
    document = json.loads(executed.read_text(encoding="utf-8"))
    outputs = [output for cell in document["cells"] for output in cell.get("outputs", [])]
    (output,) = (item for item in outputs if METADATA in item.get("metadata", {}))
    fragment = "".join(output["data"]["text/html"])
    assert change(fragment) != fragment
    output["data"]["text/html"] = change(fragment)
    executed.write_text(json.dumps(document), encoding="utf-8")
    page.write_text(change(page.read_text(encoding="utf-8")), encoding="utf-8")


EVERYWHERE = {
    "figure_2_components": (r'(<p class="finding">.{20}).', r"\1?"),
    "figure_3_gpus": (r'(alt=".{20}).', r"\1?"),
    "figure_4_nodes": (r'(class="figure-data">.*?<td class="number">)', r"\g<1>9"),
    "figure_5_gpu_models": (r'(class="sha" title="sha256 )\w{4}', r"\1face"),
}
"""A part of each figure: finding, alternative text, table of the data, Source panel."""
COMMIT = (r"<dt>Commit</dt><dd>.*?</dd>", "<dt>Commit</dt><dd>another, 2020-02-02</dd>")


def test_parts_of_a_figure_changed_everywhere_are_found_and_an_older_commit_is_none_of_them(
    book: Checkout, tmp_path: Path
) -> None:
    copy = copy_of(book, tmp_path)
    changes = EVERYWHERE | {"figure_7_other_datasets": COMMIT}
    for name, (old, new) in changes.items():
        change_everywhere(
            copy, name, lambda text, old=old, new=new: re.sub(old, new, text, count=1, flags=re.DOTALL)
        )
    (copy.root / "remake.py").write_text(
        "import json\nfrom helpers.audit import rebuild\nfrom helpers.book.build import HTML\n"
        f"print(json.dumps([item.where for item in rebuild.check(HTML, {list(changes)})[1]]))\n",
        encoding="utf-8",
    )
    done = copy.python("remake")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [f"{EXECUTED}/{name}.ipynb" for name in EVERYWHERE]


def test_one_figure_is_checked_with_its_images_scripts_and_the_package(
    book: Checkout, tmp_path: Path
) -> None:
    copy = copy_of(book, tmp_path)
    image = copy.root / BOOK / "_images" / "figure_4_nodes-fktg-deepseek-energy.svg"
    changed = [
        image,
        copy.root / BOOK / "_static" / "figures.js",
        copy.root / "src" / "helpers" / "core" / "units.py",
    ]
    for file in changed:
        appended(b"\n")(file)
    reported = {item["where"] for item in findings(copy, "figure_4_nodes", "--no-execute")}
    assert reported == {str(file.relative_to(copy.root)) for file in changed}


def test_a_figure_changed_everywhere_in_the_book_is_found_by_executing_it_again(
    book: Checkout, tmp_path: Path
) -> None:
    """Executed notebook, page and manifest agree with each other; only the sources say otherwise."""
    copy = copy_of(book, tmp_path)
    name = "figure_4_nodes"
    value = re.search(r'"y":\[([\d.e-]+)', (copy.root / PAGES / f"{name}.html").read_text(encoding="utf-8"))[
        1
    ]
    change_everywhere(copy, name, lambda text: text.replace(value, "123.456"))
    with_new_hashes(copy)
    assert findings(copy, name, "--no-execute") == []
    lines = [item["what"] for item in findings(copy, name)]
    assert any("not as executed again: plot" in what and "123.456" in what for what in lines), lines
