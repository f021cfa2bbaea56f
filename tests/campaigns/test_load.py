"""Load: with five hundred more runs, results tables, audit and the pages of the runs are made in a minute."""

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Checkout, make_checkout
from tests.support.stub_runs import CAMPAIGN, RUNS, processor_s, slowness, write_stub_runs

pytestmark = pytest.mark.xdist_group("load")  # written once
MOST_S = 60.0
_AUDIT = """
import json
from helpers.core import paths
from helpers.audit import expected_pages, records
from helpers.book import provenance_page
from helpers.book.provenance import read_provenance
from helpers.results.tables import load_tables
from helpers.book.run_pages.staging import stage_pages

tables = load_tables()
checked, findings = records.check(records.record_files())
pages = stage_pages(tables, paths.STAGING)
provenance = read_provenance(paths.STAGING / "notebooks" / "analysis", tables)
parts = {part: provenance_page.fragment(part, provenance) for part in ("figures", "runs", "files", "environments")}
panels = list(expected_pages.run_parts(provenance.runs))
print(json.dumps({
    "checked": checked,
    "findings": [str(finding) for finding in findings],
    "pages": len(pages),
    "runs": parts["runs"].count("<tr>") - 1,
    "panels": len({item.page for item in panels}),
}))
"""

_CHECK = """
import json
from helpers.audit import records

print(json.dumps([str(finding) for finding in records.check(records.record_files())[1]]))
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with the committed runs and five hundred more."""
    copy = make_checkout(tmp_path_factory.mktemp("load"))
    write_stub_runs(copy.root)
    return copy


def test_results_tables_and_audit_of_500_runs_are_made_in_a_minute(many: Checkout):
    folder = many.root / "_build" / "results"
    folder.mkdir(parents=True)
    (many.root / "_build" / "staging").mkdir()
    (many.root / "_build" / "staging" / "_toc.yml").write_bytes((many.root / "_toc.yml").read_bytes())
    started_s = processor_s()
    done = many.helpers("results", "--write", str(folder))
    assert done.returncode == 0, done.stderr
    listed = many.helpers("analyse", "runs")
    assert listed.returncode == 0, listed.stderr
    audit = run_script(many, _AUDIT)
    took_s = processor_s() - started_s
    committed = len(list(many.root.glob("data/measurements/*/*/record.json")))
    assert rows(folder / "results.csv", CAMPAIGN) == RUNS
    assert rows(folder / "split_results.csv", CAMPAIGN) == 10 * RUNS
    assert audit == {
        "checked": RUNS + committed,
        "findings": [],
        "pages": RUNS + committed,
        "runs": RUNS + committed,
        "panels": RUNS + committed,
    }
    limit_s = MOST_S * slowness()
    assert took_s < limit_s, f"{took_s:.1f} s of {limit_s:.1f} s"


def test_a_changed_file_of_one_run_among_500_is_found(many: Checkout):
    notebook = next((many.root / "runs" / CAMPAIGN).glob("*/notebook.ipynb"))
    before = notebook.read_bytes()
    notebook.unlink()  # a link, which others share
    notebook.write_bytes(before + b"\n")
    (finding,) = run_script(many, _CHECK)
    assert f"runs/{CAMPAIGN}/{notebook.parent.name}/notebook.ipynb: changed since the run" in finding


def test_a_finished_campaign_of_500_runs_is_resumed_in_10_s(many: Checkout):
    started_s, begin = processor_s(), time.monotonic()
    done = many.helpers("run", CAMPAIGN)
    took_s, waited_s = processor_s() - started_s, time.monotonic() - begin
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{RUNS} of {RUNS} runs done, nothing to do\n"
    limit_s = 10.0 * slowness()
    assert took_s < limit_s, f"{took_s:.1f} s of {limit_s:.1f} s"
    assert waited_s < 30.0, f"{waited_s:.1f} s on a machine that does other things, too"


def run_script(checkout: Checkout, script: str) -> Any:
    """Return the JSON that a script says, run as a module of the checkout."""
    (checkout.root / "audit_of_runs.py").write_text(script, encoding="utf-8")
    done = checkout.python("audit_of_runs")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows(file: Path, source: str) -> int:
    """Count the rows of a campaign in a results table."""
    with file.open(encoding="utf-8", newline="") as text:
        return sum(row["source"] == source for row in csv.DictReader(text))
