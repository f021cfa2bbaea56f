"""RO-Crates: valid by their own validator without a network, complete, and true to the records they describe."""

import json
import shutil
import socket
from datetime import datetime
from pathlib import Path

import pytest
import requests
import rocrate
import yaml
from frictionless import Package as Frictionless
from rocrate_validator import models, services

from helpers.core import paths
from helpers.publish import describe_book, describe_campaign
from helpers.publish.run_crate import METADATA
from helpers.records.environment import sha256_of
from helpers.records.storage import read_record
from tests.conftest import ROOT, refusal
from tests.support.browsing import ANALYSES, html, one_book

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
CAMPAIGN = "reference-gpu"


def context():
    """The vocabulary of RO-Crate as ro-crate-py ships it, with the four names that version 1.1 maps otherwise."""
    file = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"
    document = json.loads(file.read_text(encoding="utf-8"))
    base = "https://bioschemas.org"
    document["@context"] |= {
        "ComputationalWorkflow": f"{base}/ComputationalWorkflow",
        "FormalParameter": f"{base}/FormalParameter",
        "input": f"{base}/ComputationalWorkflow#input",
        "output": f"{base}/ComputationalWorkflow#output",
    }
    return document


@pytest.fixture
def validate(monkeypatch):
    return validator(monkeypatch)


def validator(monkeypatch):
    """The validator of RO-Crates; the context is served to it, and anything else that leaves the machine fails."""
    body = json.dumps(context()).encode()

    def answer(_session, _method, url, **_options):
        assert url == CONTEXT, url
        response = requests.Response()
        response.status_code, response.url, response._content = 200, url, body
        response.headers["Content-Type"] = "application/ld+json"
        return response

    def refuse(*_arguments, **_options):
        raise AssertionError("the validator asks the network")

    monkeypatch.setattr(requests.Session, "request", answer)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)

    def issues(folder, severity="REQUIRED"):
        settings = models.ValidationSettings(
            rocrate_uri=str(folder),
            profile_identifier="workflow-run-crate",
            requirement_severity=models.Severity[severity],
            no_cache=True,
        )
        return sorted({issue.message for issue in services.validate(settings).get_issues()})

    return issues


@pytest.fixture
def campaign(tmp_path):
    """A copy of a committed campaign, described."""
    folder = shutil.copytree(paths.MEASUREMENTS / CAMPAIGN, tmp_path / CAMPAIGN)
    describe_campaign(folder)
    return folder


def entities(folder):
    document = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    by_id = {entity["@id"]: entity for entity in document["@graph"]}
    assert len(by_id) == len(document["@graph"])
    return by_id


def of_type(by_id, kind):
    return [entity for entity in by_id.values() if kind in entity["@type"]]


def ids(value):
    return {item["@id"] for item in (value if isinstance(value, list) else [value])}


def references(value):
    """Every identifier that an entity leads to."""
    if isinstance(value, dict):
        yield from [value["@id"]] if set(value) == {"@id"} else references(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def check_files(folder, by_id):
    """Every file of the crate is there with the hash that the crate says; returns how many."""
    files = [entity for entity in of_type(by_id, "File") if "sha256" in entity]
    for entity in files:
        assert sha256_of(folder / entity["@id"]) == entity["sha256"], entity["@id"]
    return len(files)


def test_a_campaign_is_a_valid_workflow_run_crate(campaign, validate):
    assert validate(campaign) == []


def test_what_the_crate_of_a_campaign_only_should_have_and_lacks_is_known(campaign, validate):
    lacking = validate(campaign, "RECOMMENDED")
    accepted = (
        "The Application SHOULD have a url",  # the repository has no address of its own yet
        "The SoftwareApplication id SHOULD be an absolute URI",
        "The README.md SHOULD",
        "The Action SHOULD have an agent",  # of the whole campaign
        "The `publisher` property",
        "The organization SHOULD have a URL",
    )
    assert [message for message in lacking if not message.startswith(accepted)] == []


@pytest.mark.parametrize(
    ("kind", "key", "message"),
    [
        ("CreateAction", "instrument", "MUST have an instrument"),
        ("ComputationalWorkflow", "programmingLanguage", "language"),
        ("FormalParameter", "additionalType", "additionalType"),
    ],
)
def test_the_validator_finds_what_is_left_out(campaign, validate, kind, key, message):
    document = json.loads((campaign / METADATA).read_text(encoding="utf-8"))
    first = next(entity for entity in document["@graph"] if kind in entity["@type"])
    del first[key]
    (campaign / METADATA).write_text(json.dumps(document), encoding="utf-8")
    assert message in " ".join(validate(campaign))


def test_the_validator_misses_a_workflow_that_is_not_there(campaign, validate):
    (campaign / "workflow" / "Snakefile").unlink()
    assert "Main Workflow workflow/Snakefile not found in crate" in validate(campaign)


def test_every_run_is_an_action_with_its_inputs_environment_energy_and_results(campaign):
    by_id = entities(campaign)
    runs = sorted(file.parent for file in campaign.glob("*/record.json"))
    assert len(runs) == 8
    assert check_files(campaign, by_id) == 3 * len(runs) + 1
    for folder in runs:
        record = read_record(folder / "record.json")
        action = by_id[f"#run-{folder.name}"]
        assert datetime.fromisoformat(action["startTime"]) < datetime.fromisoformat(action["endTime"])
        assert action["endTime"] == record.created.replace("Z", "+00:00")
        assert ids(action["agent"]) == {"#the-contributors-of-the-companion"}
        assert ids(action["result"]) == {
            f"{folder.name}/{name}" for name in ("record.json", "notebook.ipynb", "predictions.parquet")
        }
        inputs = {by_id[name].get("name"): by_id[name] for name in ids(action["object"])}
        assert inputs["model"]["value"] == record.run.model
        assert ids(inputs["model"]["exampleOfWork"]) == {"#parameter-model"}
        assert any(record.run.dataset_sha256 in str(entity.get("identifier")) for entity in inputs.values())
        (tool,) = ids(action["instrument"])
        assert by_id[tool]["version"] == record.environment.git_commit
        environment = {by_id[name]["name"]: by_id[name]["value"] for name in ids(action["environment"])}
        assert environment["commit"] == record.environment.git_commit
        assert record.environment.gpus[0].uuid in environment["gpus"]
        assert environment["cpu"].startswith(record.environment.cpu_model)
        usage = {by_id[name]["name"]: by_id[name] for name in ids(action["resourceUsage"])}
        (inference,) = [phase for phase in record.phases if phase.name == "inference"]
        assert usage["inference: energy_wh"]["value"] == inference.energy.total_wh
        assert usage["inference: energy_wh"]["unitCode"] == "http://qudt.org/vocab/unit/W-HR"
        assert usage["inference: duration_s"]["value"] == inference.duration_s


def test_who_measured_a_run_that_is_not_committed_is_left_open(tmp_path):
    folder = shutil.copytree(paths.MEASUREMENTS / CAMPAIGN, tmp_path / "own")
    for file in folder.glob("*/record.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        document["run"]["campaign"] = "own"
        file.write_text(json.dumps(document), encoding="utf-8")
    describe_campaign(folder)
    assert not any("agent" in action for action in of_type(entities(folder), "CreateAction"))


def test_a_failed_check_is_reported(campaign):
    file = next(campaign.glob("*/record.json"))
    document = json.loads(file.read_text(encoding="utf-8"))
    document["checks"][0] |= {"passed": False, "name": "window_long_enough"}
    file.write_text(json.dumps(document), encoding="utf-8")
    describe_campaign(campaign)
    description = entities(campaign)[f"#run-{file.parent.name}"]["description"]
    assert "Checks that failed: window_long_enough" in description


def test_the_same_folder_has_the_same_description_without_paths_of_the_machine(campaign):
    before = (campaign / METADATA).read_bytes()
    describe_campaign(campaign)
    assert (campaign / METADATA).read_bytes() == before
    for folder in (campaign.parent, ROOT):
        assert str(folder).encode() not in before


def test_nothing_leads_nowhere(campaign):
    by_id = entities(campaign)
    outside = {
        name
        for entity in by_id.values()
        for key, value in entity.items()
        if key != "@id"
        for name in references(value)
        if name not in by_id
    }
    assert {name for name in outside if not name.startswith("https://")} == set()


def test_a_folder_without_runs_is_refused(tmp_path):
    assert "expected folders of runs with a record.json, found none" in refusal(describe_campaign, tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- the built book ----------------------------------------------------------------------------------------


@one_book
def test_the_book_is_a_valid_workflow_run_crate(book, validate):
    assert validate(html(book)) == []


@one_book
def test_every_analysis_and_every_run_of_the_book_is_an_action_on_files_that_are_there(book):
    folder = html(book)
    by_id = entities(folder)
    assert check_files(folder, by_id) > 300
    for name in ANALYSES:
        action = by_id[f"#analysis-{name}"]
        assert f"artefacts/{name}.csv" in ids(action["result"])
        assert f"notebooks/analysis/{name}.html" in ids(action["result"])
    inputs = ids(by_id["#analysis-figure_1_accuracy_energy"]["object"])
    assert {"published/table_b1.csv", "published/figure_1.csv"} <= inputs
    records = {
        file.parent.relative_to(folder).as_posix()
        for part in ("measurements", "runs")
        for file in folder.glob(f"{part}/*/*/record.json")
    }
    assert len(records) > 30
    assert {name.replace("/", "-") for name in records} == {
        name.removeprefix("#run-") for name in by_id if name.startswith("#run-")
    }
    live = [entity for name, entity in by_id.items() if name.startswith("#run-runs-")]
    assert live
    assert not any("agent" in action for action in live)


@one_book
def test_the_tables_of_the_book_are_what_their_descriptions_say(book):
    for name in ("published", "results"):
        report = Frictionless(str(html(book) / name / "datapackage.json")).validate()
        assert report.valid, report.flatten(["name", "rowNumber", "fieldName", "message"])


@one_book
def test_every_file_of_the_codecheck_manifest_is_in_the_book(book):
    manifest = yaml.safe_load((book.root / "codecheck.yml").read_text(encoding="utf-8"))["manifest"]
    images = [entry for entry in manifest if entry["file"].endswith(".svg")]
    assert len(images) > 20
    assert len(manifest) == 2 * len(ANALYSES) + len(images)
    assert [entry["file"] for entry in manifest if not (book.root / entry["file"]).is_file()] == []


@one_book
def test_a_book_without_its_executed_analyses_is_refused(book, tmp_path):
    copy = shutil.copytree(html(book), tmp_path / "html", ignore=shutil.ignore_patterns("_sources"))
    assert "expected the executed analyses, found none; build the book first" in refusal(describe_book, copy)
