"""The state of a checkout: what is measured, what is refused, whether the book is out of date, what to do next."""

import json
import shutil
from pathlib import Path

import pytest

from helpers.book import build, manifest
from helpers.campaigns import status
from helpers.cli import main
from helpers.core import paths
from helpers.measure.parameters import campaign_runs


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The committed records alone, in a project whose runs and book are in another folder."""
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(build, "HTML", tmp_path / "html")
    return paths.MEASUREMENTS


def test_committed_and_own_records_are_counted_apart(records: Path, tmp_path: Path) -> None:
    source = records / "reference-cpu"
    runs = sorted(source.glob("*/record.json"))
    for number, file in enumerate(runs[:3]):
        target = tmp_path / "runs" / "reference-cpu" / file.parent.name
        shutil.copytree(file.parent, target)
        if number < 2:  # measured again, so not the committed one
            record = json.loads(file.read_text(encoding="utf-8"))
            record["created"] = "2026-01-01T00:00:00Z"
            (target / "record.json").write_text(json.dumps(record), encoding="utf-8")
    state = status.status()
    (item,) = [item for item in state.campaigns if item.campaign == "reference-cpu"]
    assert (item.of, item.committed, item.here) == (len(campaign_runs("reference-cpu")), len(runs), 2)
    assert state.refused == ()


def test_records_that_no_table_takes_are_named(records: Path, tmp_path: Path) -> None:
    file = next(records.glob("reference-cpu/*/record.json"))
    record = json.loads(file.read_text(encoding="utf-8"))
    record["run"] |= {"dataset": "gnad", "campaign": "trial"}
    for name, text in (("broken", "{"), (file.parent.name, json.dumps(record))):
        folder = tmp_path / "runs" / "trial" / name
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(text, encoding="utf-8")
    refused = status.status().refused
    assert len(refused) == 2
    assert "dataset 'gnad' is not in the catalogue" in refused[1]


def test_a_book_is_not_built_or_up_to_date_or_out_of_date(records: Path, tmp_path: Path, monkeypatch) -> None:
    assert status.lines(status.status())[-1].startswith("book: not built; make book")
    build.HTML.mkdir()
    manifest.write(build.HTML)
    assert ", up to date; python -m helpers audit" in status.lines(status.status())[-1]
    sources = manifest.sources()
    monkeypatch.setattr(
        manifest, "sources", lambda: {**sources, "book/index.md": "other", "book/new.md": "x"}
    )
    state = status.status()
    assert state.changed == ("book/index.md", "book/new.md")
    last = status.lines(state)[-1]
    assert "out of date: book/index.md and 1 more changed; python -m helpers book --no-measure" in last


def test_what_is_not_measured_is_named_with_what_to_do(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not measured: ")]
    assert "paper" in line
    assert line.endswith("; python -m helpers plan NAME")


def test_as_json_it_holds_the_same(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"campaigns", "refused", "book_made", "changed"}
    assert {item["campaign"] for item in document["campaigns"]} >= {"reference-cpu", "paper", "demo"}
