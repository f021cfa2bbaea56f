"""10,000 mutated records and campaign files: each is accepted as valid, or refused in a line with file and field."""

import copy
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from helpers.campaigns.job_status import Attempt, attempt_file, fail, read_attempt
from helpers.campaigns.plan import campaign as planning
from helpers.campaigns.plan import report
from helpers.campaigns.plan.assignment import mismatch
from helpers.campaigns.plan.campaign import plan_campaign
from helpers.campaigns.plan.reference_runs import ReferenceRuns
from helpers.campaigns.plan.target import Target
from helpers.campaigns.run.sites import Site, load_site
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.validation import load_yaml, parse
from helpers.measure import parameters
from helpers.records.hardware import Hardware
from helpers.records.storage import Record, read_records
from helpers.results.rows import measured_observations, measured_row, split_rows
from helpers.study.catalogue import Campaign, study
from tests.records.test_record import RUN_ID, of_language_model, record_document, write_run

EXAMPLES = 5000
HANG_S = 10
FIELD = re.compile(r"^[^\s:]+: ")
"""After the file: the path of a field, `document`, or what is wrong with the file as a whole."""
WHOLE_FILE = ("not valid YAML: ", "cannot be read: ")

VALUES = [
    *(None, True, False, 0, -1, 1, 3, 10**6, 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *(
        "",
        " ",
        "x",
        "../../x",
        "/etc/passwd",
        "~nobody-has-this-name/x",
        "a\nb",
        "\0",
        "\ud800",
        "é\u202e",
        "9" * 5000,
    ),
    *(
        "<script>alert(1)</script>",
        "2026-11-20T16:43:32Z",
        "news",
        "linear-bow",
        "llama-3.1-8b",
        "capella",
        "llm",
    ),
    *([], [[]], {}, {"": None}, [None] * 3, ["linear-bow"] * 2, [1, 2], {"campaign": "x"}),
]
KEYS = [
    "",
    "model",
    "dataset",
    "machine",
    "campaign",
    "output",
    "notebook",
    "grid",
    "where",
    "part_of",
    "zz",
    "\0",
    "7",
]

mutations = st.lists(
    st.tuples(
        st.sampled_from(["delete", "replace", "add", "rename"]),
        st.integers(0, 10**6),
        st.integers(0, len(VALUES) - 1),
        st.integers(0, len(KEYS) - 1),
    ),
    min_size=1,
    max_size=3,
)
spoils = st.none() | st.tuples(
    st.sampled_from(["cut", "flip", "insert", "repeat"]),
    st.integers(0, 10**6),
    st.binary(min_size=1, max_size=3),
)
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def paths_of(document, start=()) -> Iterator[tuple]:
    """Every path into a document."""
    items = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for step, value in items:
        yield (*start, step)
        yield from paths_of(value, (*start, step))


def mutate(document, mutation):
    """Change one place of a document."""
    kind, which, value, key = mutation
    fields = list(paths_of(document))
    if not fields:
        return
    path = fields[which % len(fields)]
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    if kind == "delete":
        del parent[path[-1]]
    elif kind == "replace" or not isinstance(parent, dict):
        parent[path[-1]] = copy.deepcopy(VALUES[value])
    elif kind == "add":
        parent[KEYS[key]] = copy.deepcopy(VALUES[value])
    else:
        parent[KEYS[key]] = parent.pop(path[-1])


def spoil(data: bytes, how) -> bytes:
    """Damage the bytes of a file, as a broken disk or an interrupted copy does."""
    if how is None:
        return data
    kind, path, given_bytes = how
    at = path % max(len(data), 1)
    match kind:
        case "cut":
            return data[:at]
        case "flip":
            return data[:at] + given_bytes + data[at + len(given_bytes) :]
        case "insert":
            return data[:at] + given_bytes + data[at:]
    return data[: at + 20] + data[at:]


@contextmanager
def no_hang():
    """Fail where one example takes more CPU time than any can; a busy machine is slow, not wrong."""

    def stop(*_):
        raise TimeoutError(f"more than {HANG_S} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def check_line(line: str, file: str) -> None:
    """A refusal is one line that begins with the file, then the field."""
    assert len(line.splitlines()) == 1
    assert len(line) < 3000, len(line)
    assert line.startswith(f"{file}: "), line[:300]
    rest = line.removeprefix(f"{file}: ")
    assert rest.startswith(WHOLE_FILE) or FIELD.match(rest), line[:300]


# Records


def record_base(of_llm: bool) -> dict:
    document = record_document(splits=1)
    if of_llm:
        of_language_model(document)
    return document


@bounded
@given(of_llm=st.booleans(), changes=mutations, how=spoils)
def test_a_mutated_record_is_valid_or_refused(tmp_path_factory, of_llm, changes, how):
    folder = _folder(tmp_path_factory)
    document = record_base(of_llm)
    for change in changes:
        mutate(document, change)
    file = write_run(folder / "demo", document)
    file.write_bytes(spoil(file.read_bytes(), how))
    with no_hang():
        records, refused = read_records(folder)
        assert len(records) + len(refused) == 1
        for line in refused:
            check_line(line, str(file))
        for path, record in records.items():
            assert Record.model_validate_json(record.model_dump_json()) == record
            list(measured_observations(measured_row("demo", path, record)))
            list(split_rows("demo", path, record))


def _folder(factory) -> Path:
    """One folder for all examples."""
    if not hasattr(_folder, "made"):
        _folder.made = factory.mktemp("mutations")
    return _folder.made


@pytest.mark.parametrize("depth", [100, 3000, 100_000])
def test_a_record_that_is_nested_deeply_is_refused_at_once(tmp_path, depth):
    file = write_run(tmp_path / "demo", '{"schema_version": 4, "run": ' + "[" * depth + "]" * depth + "}")
    with no_hang():
        (line,) = read_records(tmp_path)[1]
    check_line(line, str(file))


# Campaigns

LLM = {
    "title": "t",
    "description": "d",
    "notebook": "llm",
    "grid": [
        {
            "model": ["llama-3.1-8b", "ds-qwen-14b"],
            "dataset": ["fktg", "news"],
            "machine": "capella",
            "gpus": [1, 2],
        },
        {"notebook": "traditional", "model": "linear-bow", "dataset": "news", "published_in": ["table_b4"]},
        {
            "model": "tiny",
            "dataset": "tiny",
            "data_dir": "./x",
            "reconstruction": "because it is needed here",
        },
    ],
}
PART = {
    "title": "t",
    "description": "d",
    "part_of": "whole",
    "where": {"machine": "capella"},
    "reconstructed": False,
}
HERE = Target("here", True, Hardware("CPU", 2, 8.0, (), None), None, None)
NO_REFERENCES = ReferenceRuns([], {}, {})


def plan_file(file: Path, monkeypatch) -> planning.CampaignPlan:
    """Read a campaign as the catalogue does, and plan it."""
    location = paths.relative(paths.CAMPAIGNS / "trial.yaml")
    trial = parse(Campaign, load_yaml(file, location), location)
    whole = Campaign.model_validate(LLM)
    catalogue = study().model_copy(update={"campaigns": {"whole": whole, "trial": trial}})
    monkeypatch.setattr(parameters, "study", lambda: catalogue)
    monkeypatch.setattr(planning, "study", lambda: catalogue)
    return plan_campaign("trial", references=NO_REFERENCES, here=HERE)


@bounded
@given(base=st.sampled_from([LLM, PART]), changes=mutations, how=spoils)
def test_a_mutated_campaign_is_planned_whole_or_refused(tmp_path_factory, base, changes, how):
    document = copy.deepcopy(base)
    for change in changes:
        mutate(document, change)
    file = _folder(tmp_path_factory) / "trial.yaml"
    file.write_bytes(spoil(json.dumps(document).encode(), how))  # JSON is YAML
    check_campaign(file)


def check_campaign(file):
    """Plan it; a plan has all its runs, a refusal is one line."""
    with pytest.MonkeyPatch.context() as monkeypatch, no_hang():
        try:
            plan = plan_file(file, monkeypatch)
        except UserError as error:
            check_line(str(error), "data/study/campaigns/trial.yaml")
        else:
            assert len({run.run_id for run in plan.runs}) == len(plan.runs) > 0
            assert sum(total.runs for total in plan.totals.values()) == len(plan.runs)
            outputs = [*report.lines(plan), json.dumps(report.as_json(plan), ensure_ascii=False)]
            assert all(line.encode() for line in outputs if line)


@pytest.mark.parametrize(
    "document",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
            for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        )
        + "title: *i\n",
        "title: t\ndescription:\n- &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"- &{new} [{', '.join([f'*{old}'] * 9)}]\n"
            for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True)
        ),
        "&a [*a]",
        "title: &a {b: *a}",
        "grid: [" * 3000,
        "title: " + "[" * 3000 + "]" * 3000,
        "title: t\ndescription: d\nnotebook: llm\ngrid: &g [{model: *g}]",
        "title: t\ndescription: d\nnotebook: llm\ngrid: [&g {model: tiny, dataset: *g}]",
        "? [a, b]\n: c",
        "? {a: b}\n: c",
        "<<: 3",
        "title: t\ndescription: d\nnotebook: llm\ngrid: [{1: 2, null: 3}]",
        "title: t\ndescription: d\nnotebook: llm\ngrid:\n- {"
        + ", ".join(
            f"{name}: {list(range(1, 60))}"
            for name in ("max_tokens", "shots", "concurrency", "max_model_len")
        )
        + "}",
        "title: 2026-11-20\n",
        "!!python/object/apply:os.system ['true']",
        "title: !!binary x",
        "\ufefftitle: t",
        "title: 0x" + "f" * 5000,
        "title: " + "9" * 5000,
        "title: 190:20:30:99999",
        "a: {b: 1}\na: 2",
    ],
)
def test_a_malicious_campaign_is_refused_at_once(tmp_path, document):
    file = tmp_path / "trial.yaml"
    file.write_text(document, encoding="utf-8")
    check_campaign(file)


# What `run` reads beside: sites, and notes on tries

SITE = """\
title: A cluster
executor: slurm
machine: capella
partition: gpu
account: mine
gres: gpu:h100
accounting: false
jobs: 4
limit_factor: 2.5
"""


@settings(bounded, max_examples=1000)
@given(changes=mutations, how=spoils)
def test_a_mutated_site_is_valid_or_refused(tmp_path_factory, changes, how):
    file = _folder(tmp_path_factory) / "site.yaml"
    document = yaml.safe_load(SITE)
    for change in changes:
        mutate(document, change)
    file.write_bytes(spoil(json.dumps(document).encode(), how))
    with no_hang():
        try:
            site = load_site(str(file))
        except UserError as error:
            check_line(str(error), str(file))
        else:
            assert parse(Site, site.model_dump(), "again") == site


@settings(bounded, max_examples=1000)
@given(changes=mutations, how=spoils)
def test_a_mutated_note_on_a_try_is_valid_or_refused(tmp_path_factory, changes, how):
    folder = _folder(tmp_path_factory) / "campaign" / "news-linear-bow-01234567"
    fail(folder, 1, "killed", passes=True)
    file = attempt_file(folder)
    document = json.loads(file.read_bytes())
    for change in changes:
        mutate(document, change)
    file.write_bytes(spoil(json.dumps(document).encode(), how))
    with no_hang():
        try:
            attempt = read_attempt(folder)
        except UserError as error:
            check_line(str(error), str(file))
        else:
            assert Attempt.model_validate_json(attempt.model_dump_json()) == attempt


def test_a_record_says_in_what_it_is_not_the_planned_run():
    record = Record.model_validate(record_document(run_id=RUN_ID))
    planned = parameters.plan({"model": "linear-bow", "campaign": "other"}, "here")
    assert mismatch(record, planned) == "run.campaign: found 'demo', the campaign has 'other'"
