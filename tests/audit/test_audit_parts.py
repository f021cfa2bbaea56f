"""Parts of the audit: comparing, reading pages, checksums, typed numbers, links."""

import json
import shutil
import subprocess

import pandas as pd
import pytest

from helpers import cli
from helpers.audit import check, compare, expected_pages, integrity, pages, quoted_numbers, records, results
from helpers.book import built_files, manifest
from helpers.book.quoted_numbers import Number
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.records import checksums
from helpers.records.findings import Finding, Report
from helpers.results.tables import Tables
from tests.conftest import ROOT

# --- comparing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actual", "expected", "difference"),
    [
        ({"y": [1.0, 2.0]}, {"y": [1.0, 2.0 * (1 + 5e-10)]}, None),
        ({"y": [1.0, 2.0]}, {"y": [1.0, 2.0 * (1 + 5e-9)]}, "y[1]: found '2.0', expected '2.00000001'"),
        ({"y": [1]}, {"y": [1.0]}, None),
        ({"y": [None]}, {"y": [0]}, "y[0]: found 'None', expected '0'"),
        ({"y": [True]}, {"y": [1]}, "y[0]: found 'True', expected '1'"),
        ({"y": [1, 2]}, {"y": [1]}, "y: 2 values, expected 1"),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, "a.b: found 'x', expected 'y'"),
        ({"a": 1, "b": 2}, {"a": 1}, "document: only one of both has b"),
        ({"a": []}, {"a": {}}, "a: found '[]', expected '{}'"),
        (None, {"a": 1}, "document: found 'None', expected"),
    ],
)
def test_plots_may_differ_by_rounding_and_in_nothing_else(actual, expected, difference):
    message = compare.json_difference(actual, expected)
    assert message is None if difference is None else message.startswith(difference)


@pytest.mark.parametrize(
    ("actual", "expected", "difference"),
    [
        ("a,b\nx,0.1\n", "a,b\nx,0.10000000000000001\n", None),
        ("a,b\nx,0.1\n", "a,b\nx,0.1001\n", "row 1, b: found '0.1', expected '0.1001'"),
        ("a,b\nx,\n", "a,b\nx,0\n", "row 1, b: found '', expected '0'"),
        ("a,b\nx,1\n", "a,c\nx,1\n", "columns: "),
        ("a\n1\n", "a\n1\n2\n", "1 rows, expected 2"),
        ("a\n1\n", "a\n1,2\n", "row 1: 1 cells, expected 2"),
        ('a\n"x,y"\n', "a\nx\n", "row 1, a: found 'x,y', expected 'x'"),
        ("", "a\n1\n", "columns: "),
    ],
)
def test_tables_may_differ_by_rounding_and_in_nothing_else(actual, expected, difference):
    message = compare.csv_difference(actual, expected)
    assert message is None if difference is None else message.startswith(difference)


def test_a_difference_in_a_long_text_is_shown_where_it_is():
    message = compare.json_difference("x" * 500 + "one", "x" * 500 + "two")
    assert "one" in message
    assert "two" in message
    assert len(message) < 200


def test_a_part_that_stands_in_a_text_as_it_should_is_no_difference():
    assert compare.text_difference("before " + "x" * 50 + " after", "x" * 50) is None


def test_a_part_that_differs_is_shown_from_where_it_differs():
    message = compare.text_difference("before " + "x" * 50 + "one after", "x" * 50 + "two")
    assert "xxone after" in message
    assert "xxtwo" in message


def test_a_part_of_which_nothing_is_there_is_named_by_its_beginning():
    assert compare.text_difference("before and after", "something else") == "expected 'something else'"


@pytest.mark.parametrize(("count", "stderr"), [(1, "1 finding\n"), (2, "2 findings\n")])
def test_the_number_of_findings_is_in_good_english(count, stderr, monkeypatch, capsys):
    report = Report(findings=[Finding("a", str(index), "") for index in range(count)])
    monkeypatch.setattr(check, "audit", lambda _execute: report)
    assert cli.main(["audit"]) == 1
    assert capsys.readouterr().err == stderr


# --- pages of the book -------------------------------------------------------------------------------------

PAGE = """<html><body><h1 id="top">T</h1>
<p>It is <a class="number number-one reference external" href="other.html#there">0.5</a> and
<span class="number number-two">7</span>; <td class="number">8</td></p>
<div class="plot" id="figure_1-fktg"><img src="a.svg" alt="x">
<script type="application/json" class="plotly-figure">{"data":[{"y":[1,"\\u003c/a>"]}]}</script></div>
<div class="plot" id="broken"><script type="application/json" class="plotly-figure">{"da</script></div>
</body></html>"""


@pytest.fixture
def html(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "none.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "other.html").write_text(
        '<p id="there">.</p><a href="page.html#top">up</a>', encoding="utf-8"
    )
    (tmp_path / "a.svg").write_text("<svg/>", encoding="utf-8")
    return tmp_path


def test_a_page_is_read_with_its_plots_numbers_links_and_anchors(html):
    read = built_files.read_book(html)
    assert set(read) == {"page.html", "other.html"}
    page = read["page.html"]
    assert page.plots == {"figure_1-fktg": {"data": [{"y": [1, "</a>"]}]}, "broken": None}
    assert page.numbers == [("one", "0.5"), ("two", "7")]
    assert page.links == ["other.html#there", "a.svg"]
    assert page.anchors == {"top", "figure_1-fktg", "broken"}


@pytest.mark.parametrize(
    ("page", "part", "what"),
    [
        ("page.html", '<h1 id="top">T</h1>', None),
        ("page.html", '<p class="finding">There is more.</p>', "it: not as it was: expected"),
        ("gone.html", '<h1 id="top">T</h1>', "missing"),
    ],
)
def test_a_part_is_looked_for_on_its_page(html, page, part, what):
    count, reported = expected_pages.check(html, [expected_pages.Expected(page, "it", part, "it was")])
    assert count == 1
    assert [item.what[: len(what or "")] for item in reported] == ([what] if what else [])


def test_links_that_lead_somewhere_are_counted_and_not_named(html):
    assert pages.check_links(html, built_files.read_book(html)) == (3, [])


@pytest.mark.parametrize(
    ("link", "what"),
    [
        ("gone.html", "leads nowhere"),
        ("other.html#gone", "leads to no anchor of that page"),
        ("#gone", "leads to no anchor of that page"),
        ("../page.html", "leads nowhere"),
        ("companion-root:a.svg", "leads nowhere"),
        ("a.svg", None),
        ("other%2ehtml", None),
        ("https://example.org/gone", None),
        ("mailto:a@example.org", None),
    ],
)
def test_a_link_that_leads_nowhere_is_named(html, link, what):
    (html / "more.html").write_text(f'<a href="{link}">x</a>', encoding="utf-8")
    reported = pages.check_links(html, built_files.read_book(html))[1]
    assert [item.what for item in reported] == ([f"the link to {link} {what}"] if what else [])


@pytest.mark.parametrize(
    "tag",
    [
        '<meta http-equiv="Refresh" content="0; url={}" />',
        '<script src="{}"></script>',
        '<img src="{}">',
        '<iframe src="{}"></iframe>',
    ],
)
def test_what_a_page_loads_is_in_the_book(html, tag):
    root = html / "index.html"
    for target, what in (
        ("https://elsewhere.org/x", ["it loads https://elsewhere.org/x, which is no part of the book"]),
        ("//elsewhere.org/x", ["it loads //elsewhere.org/x, which is no part of the book"]),
        ("gone.html", ["the link to gone.html leads nowhere"]),
        ("page.html", []),
    ):
        root.write_text(tag.format(target), encoding="utf-8")
        assert [item.what for item in pages.check_links(html, built_files.read_book(html))[1]] == what


def test_numbers_of_pages_are_those_computed_now(html):
    read = built_files.read_book(html)
    computed = {"one": Number("0.5"), "two": Number("7")}
    assert pages.check_numbers(html, read, computed) == (2, [])
    (changed,) = pages.check_numbers(html, read, computed | {"two": Number("8")})[1]
    assert changed.what == "the number two: found '7', computed '8'"
    (unknown,) = pages.check_numbers(html, read, {"one": Number("0.5")})[1]
    assert unknown.what == "the number two is not among the computed ones"


def test_results_tables_of_the_book_are_those_computed_now(tmp_path):
    frames = {name: pd.DataFrame({"model": ["a"], "energy_wh": [0.1]}) for name in results.NAMES}
    now = Tables(**frames, refused=[], printed={})
    (tmp_path / "results").mkdir()
    for name in results.NAMES[:2]:
        (tmp_path / "results" / f"{name}.csv").write_text("model,energy_wh\na,0.1\n", encoding="utf-8")
    (missing,) = results.check_results(tmp_path, now)[1]
    assert missing == Finding(str(tmp_path / "results/split_results.csv"), "missing", pages.REBUILD)
    (tmp_path / "results" / "split_results.csv").write_text("model,energy_wh\na,0.2\n", encoding="utf-8")
    (changed,) = results.check_results(tmp_path, now)[1]
    assert changed.what == "not as computed now: row 1, energy_wh: found '0.2', expected '0.1'"


# --- checksums ---------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two files of data and one page of prose."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "data" / "sample").mkdir(parents=True)
    (tmp_path / "data" / "b.csv").write_text("2\n", encoding="utf-8")
    (tmp_path / "data" / "sample" / "a.csv").write_text("1\n", encoding="utf-8")
    (tmp_path / "data" / ".hidden").write_text("3\n", encoding="utf-8")
    (tmp_path / "data" / "raw_answers.parquet").write_text("4\n", encoding="utf-8")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "page.md").write_text("# T\n\nIt is {number}`one`.\n", encoding="utf-8")
    (tmp_path / "book" / "typed_numbers.yaml").write_text("", encoding="utf-8")
    return tmp_path


def test_checksums_are_what_sha256sum_reads_and_cover_what_is_committed(project):
    file = checksums.write()
    assert [line.split("  ")[1] for line in file.read_text(encoding="utf-8").splitlines()] == [
        "b.csv",
        "sample/a.csv",
    ]
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", file.name],
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert checksums.check() == (2, [])


def test_checksums_are_written_only_where_something_changed(project):
    before = checksums.write().stat().st_mtime_ns
    assert checksums.write().stat().st_mtime_ns == before
    (project / "data" / "b.csv").write_text("3\n", encoding="utf-8")
    assert checksums.check()[1] != []
    checksums.write()
    assert checksums.check() == (2, [])


@pytest.mark.parametrize(
    "line", ["0" * 63 + "  a.csv", "0" * 64 + " *a.csv", "x" * 64 + "  a.csv", "0" * 64 + "  "]
)
def test_a_line_that_is_no_checksum_is_an_error(project, line):
    checksums.write().write_text(line + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="data/SHA256SUMS: line 1: expected `SHA256  PATH`"):
        checksums.read()


def test_missing_checksums_say_how_to_get_them(project):
    with pytest.raises(UserError, match="python -m helpers describe"):
        checksums.check()


def test_the_committed_checksums_are_up_to_date():
    assert checksums.check()[1] == []


# --- the prose ---------------------------------------------------------------------------------------------


def test_prose_without_typed_numbers_passes(project):
    assert quoted_numbers.check({"one": Number("1")}) == (1, [])


@pytest.mark.parametrize(
    ("text", "reasons", "file", "what"),
    [
        ("It is 12.", "", "book/page.md", "the number 12 is typed"),
        ("It is {number}`ona`.", "", "book/page.md", "no number 'ona' (nearest: 'one'"),
        (
            "None.",
            'book/page.md: {"12": why}',
            "book/typed_numbers.yaml",
            "12 of book/page.md is not typed there",
        ),
        ("None.", 'gone.md: {"12": why}', "book/typed_numbers.yaml", "12 of gone.md is not typed there"),
    ],
)
def test_a_typed_number_needs_a_reason_and_a_reason_a_number(project, text, reasons, file, what):
    (project / "book" / "page.md").write_text(text, encoding="utf-8")
    (project / "book" / "typed_numbers.yaml").write_text(reasons, encoding="utf-8")
    (finding,) = quoted_numbers.check({"one": Number("1")})[1]
    assert finding.where == file
    assert finding.what.startswith(what)


@pytest.mark.parametrize("text", ["page.md: 12", "- 12", 'page.md: {"12": ""}', "page.md: {12: why}"])
def test_a_list_of_reasons_that_is_none_is_an_error(project, text):
    (project / "book" / "typed_numbers.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r'book/typed_numbers.yaml: .*expected lines `"NUMBER": reason`'):
        quoted_numbers.allowed()


# --- the manifest ------------------------------------------------------------------------------------------


def test_the_manifest_lists_every_source_and_no_leftovers():
    listed = set(manifest.sources())
    tracked = subprocess.run(
        ["git", "ls-files", "book", "data", "notebooks", "src", "workflow", "benchmarks/results", *paths.DOCUMENTS],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {name for name in tracked if (ROOT / name).is_file()} <= listed
    assert not [name for name in listed if "__pycache__" in name or "egg-info" in name]


@pytest.mark.parametrize("content", ["{", "[]", '{"made": 1}'])
def test_a_manifest_that_is_none_is_an_error_of_one_line(tmp_path, content):
    (tmp_path / manifest.NAME).write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as error:
        manifest.read(tmp_path)
    assert len(str(error.value).splitlines()) == 1


def test_inputs_that_changed_are_named_once_with_those_that_used_them(project):
    digest = manifest.digests(["data/b.csv"])["data/b.csv"]
    used = {name: {"data/b.csv": digest, "/outside.csv": ""} for name in "ABCDE"}
    assert integrity.check_inputs(used) == (1, [])
    (project / "data" / "b.csv").unlink()
    (finding,) = integrity.check_inputs(used)[1]
    assert finding.where == "data/b.csv"
    assert finding.what.startswith("changed since A, B, C and 2 more used it: missing, expected")


# --- the report --------------------------------------------------------------------------------------------


def test_a_report_names_each_finding_once_and_counts_what_was_checked():
    report = Report()
    report.add("files", 2, [Finding("a", "b", "c"), Finding("a", "b", "c")])
    report.add("files", 1, [Finding("a", "b", "c"), Finding.from_error(UserError("x: y: z"))])
    assert report.as_text() == "a: b; c\nx: y: z"
    assert report.as_json() == {
        "passed": False,
        "checked": {"files": 3},
        "findings": [
            {"where": "a", "what": "b", "remedy": "c"},
            {"where": "x", "what": "y: z", "remedy": ""},
        ],
    }
    assert json.loads(json.dumps(report.as_json()))["passed"] is False


def test_a_report_without_findings_says_what_was_checked():
    report = Report()
    report.add("files", 12, [])
    assert report.as_text() == "no findings; checked:\n  files      12"


# --- runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raw_answers.parquet", "raw answers, which may quote the texts"),
        (".hidden", "no file of the run"),
        ("notes.txt", "no file of the run"),
        ("link.json", "a link, expected a file of the run"),
        (None, None),
    ],
)
def test_what_lies_beside_a_committed_record_is_a_finding(tmp_path, monkeypatch, name, said):
    source = next(paths.MEASUREMENTS.glob("reference-cpu/*/record.json")).parent
    folder = tmp_path / "measurements" / "reference-cpu" / source.name
    shutil.copytree(source, folder)
    monkeypatch.setattr(paths, "MEASUREMENTS", tmp_path / "measurements")
    if name == "link.json":
        (folder / name).symlink_to(folder / "record.json")
    elif name is not None:
        (folder / name).write_text("x", encoding="utf-8")
    _, findings = records.check([folder / "record.json"])
    assert [item.what.startswith(said) for item in findings] == ([True] if said else [])
