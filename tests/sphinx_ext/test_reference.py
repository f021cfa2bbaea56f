"""The reference: complete, true to what it describes, and built without warnings by a real Sphinx."""

import io
import json
import re
from pathlib import Path

import papermill
import pytest
import yaml
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from helpers import cli
from helpers.measure.parameters import PARAMETERS, campaign_plans
from helpers.records.schema import Record
from helpers.results.rows import COLUMNS
from helpers.sphinx_ext import fields
from helpers.sphinx_ext.catalogue_tables import PARTS, catalogue_part, column_list, parameter_list, runs_of
from helpers.sphinx_ext.commands import verbs
from helpers.sphinx_ext.docstrings import doc_html, module_html
from helpers.sphinx_ext.modules import modules_of, packages
from helpers.study.catalogue import LanguageModel, study
from tests.conftest import ROOT

PAGES = ROOT / "book" / "reference"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference pages alone, built by Sphinx with warnings as errors."""
    folder = tmp_path_factory.mktemp("reference")
    out, warnings = folder / "html", io.StringIO()
    source = folder / "book" / "reference"
    for file in [*PAGES.glob("*.md"), *PAGES.glob("package/*.md")]:
        target = source / file.relative_to(PAGES)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (folder / "index.md").write_text(
        "# Index\n\n```{toctree}\n:glob:\nbook/reference/**\n```\n", encoding="utf-8"
    )
    settings = {
        "extensions": ["myst_parser", "helpers.sphinx_ext.directives"],
        "myst_enable_extensions": ["html_image"],
        "exclude_patterns": ["CHANGELOG.md", "html", "doctrees"],
    }
    with patch_docutils(str(folder)), docutils_namespace():  # as sphinx-build does: other tests build, too
        Sphinx(
            folder, None, out, folder / "doctrees", "html", settings, status=None, warning=warnings
        ).build()
    assert warnings.getvalue() == ""
    return out / "book" / "reference"


def soup(file: Path) -> BeautifulSoup:
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


# The record


def test_every_field_of_a_record_is_on_its_page_and_explained(site):
    page = soup(site / "record.html")
    models = fields.models_of(Record)
    assert {"Run", "Serving", "Generation", "Environment", "GpuInfo", "Phase", "Energy", "Component"} <= {
        model.__name__ for model in models
    }
    for model in models:
        for name, field in model.model_fields.items():
            entry = page.find(id=f"{model.__name__}.{name}")
            assert entry is not None, f"{model.__name__}.{name}"
            meaning = entry.find_next_sibling("dd")
            assert meaning is not None
            assert meaning.get_text().strip(), f"{model.__name__}.{name} has no docstring in the schema"
            assert meaning.get_text() == " ".join((field.description or "").split()).replace("`", "")


def test_types_units_and_limits_are_those_of_the_model(site):
    page = soup(site / "record.html")

    def text(name: str) -> str:
        entry = page.find(id=name)
        assert entry is not None
        return str(entry.get_text())

    assert text("SplitResult.duration_s") == "duration_s number, s, > 0, ≤ 2⁵³"
    assert text("SplitResult.split") == "split whole number, ≥ 0, ≤ 9"
    assert text("Component.energy_wh") == "energy_wh number (≥ 0, ≤ 2⁵³) or null, Wh"
    assert text("GpuInfo.memory_gb") == "memory_gb number, GB, > 0, ≤ 2⁵³"
    assert text("Environment.git_commit") == "git_commit text or null, 40 hexadecimal digits"
    assert text("Environment.packages") == "packages text by text"
    assert text("Record.splits") == "splits list of SplitResult, at least 1"
    assert text("SplitResult.replies") == "replies Replies or null, may be left out"
    assert text("Check.severity") == "severity error or warning"


def test_links_between_the_parts_of_a_record_lead_somewhere(site):
    page = soup(site / "record.html")
    targets = [link["href"] for link in page.select("dl.fields a")]
    assert len(targets) > 10
    for target in targets:
        assert page.find(id=str(target).removeprefix("#")) is not None, target


# Parameters, columns, catalogue, commands


@pytest.mark.parametrize("notebook", list(PARAMETERS))
def test_parameters_are_those_that_papermill_finds_in_the_notebook(notebook):
    html = BeautifulSoup(parameter_list(notebook), "html.parser")
    seen = papermill.inspect_notebook(str(ROOT / "notebooks" / "measure" / f"{notebook}.ipynb"))
    assert [entry["id"] for entry in html.select("dt")] == [f"{notebook}.{name}" for name in seen]
    for entry, (name, item) in zip(html.select("dt"), seen.items(), strict=True):
        default = entry.select("code")[-1].get_text()
        assert default == item["default"]
        checked = PARAMETERS[notebook].model_fields[name].default
        assert json.loads(default.lower() if default in ("True", "False") else default) == checked
        assert entry.find_next_sibling("dd").get_text().strip()  # type: ignore[union-attr]


def test_every_column_of_the_results_is_explained_with_its_unit():
    html = BeautifulSoup(column_list("results"), "html.parser")
    terms = {entry["id"]: entry.get_text() for entry in html.select("dt")}
    assert list(terms) == [f"results.{name}" for name in COLUMNS]
    assert terms["results.energy_wh"] == "energy_wh number, Wh, may be absent"
    assert terms["results.machine"] == "machine text"
    assert all(len(entry.get_text()) > 3 for entry in html.select("dd"))
    for table in ("observations", "split_results"):
        assert f'id="{table}.origin"' in column_list(table)


def test_the_catalogue_holds_every_entry_once():
    parts = {part: BeautifulSoup(catalogue_part(part), "html.parser") for part in PARTS}
    names = [
        name.get_text()
        for part in parts.values()
        for name in part.select("td:first-child, dt > code:first-child")
    ]
    catalogue = study()
    sections = [
        catalogue.models,
        catalogue.embeddings,
        catalogue.datasets,
        catalogue.machines,
        catalogue.campaigns,
    ]
    assert sorted(names) == sorted(name for section in sections for name in section)
    page = (PAGES / "catalogue.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\{catalogue\} (.*)", page)) == sorted(PARTS)
    models = parts["language models"]
    revisions = [item.revision for item in catalogue.models.values() if isinstance(item, LanguageModel)]
    assert all(revision is None or revision[:12] in models.get_text() for revision in revisions)


@pytest.mark.parametrize("campaign", ["demo", "reference-cpu", "reference-gpu"])
def test_the_number_of_runs_of_a_campaign_is_the_number_of_its_plans(campaign):
    assert runs_of(campaign) == len(campaign_plans(campaign))


def test_every_verb_is_there_with_all_its_arguments_explained(site, capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = re.findall(r"^    ([a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    assert [verb.name for verb in verbs()] == listed
    page = soup(site / "command_line.html")
    for verb in verbs():
        assert page.find(id=f"verb-{verb.name}") is not None
        assert verb.usage.startswith(f"python -m helpers {verb.name}")
        meanings = BeautifulSoup(verb.arguments, "html.parser").select("tbody td:last-child")
        assert all(meaning.get_text() not in ("", "-", "None") for meaning in meanings), verb.name
    assert "-p NAME=VALUE" in page.get_text()


def test_the_changelog_is_the_projects(site):
    assert "Unreleased" in soup(site / "changelog.html").get_text()


# The package


def test_every_package_has_a_page_in_the_contents_and_every_module_a_section(site):
    pages = {file.stem: file.read_text(encoding="utf-8") for file in (PAGES / "package").glob("*.md")}
    named = {name: re.findall(r"\{package\} (\S+)", text) for name, text in pages.items()}
    assert sorted(package for of_page in named.values() for package in of_page) == packages()
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = {file["file"] for file in _files(yaml.safe_load(toc)["parts"]) if "/reference/" in file["file"]}
    everywhere = [*PAGES.glob("*.md"), *PAGES.glob("package/*.md")]
    assert listed == {file.relative_to(ROOT).with_suffix("").as_posix() for file in everywhere}
    for name, of_page in named.items():
        page = soup(site / "package" / f"{name}.html")
        for module in modules_of(of_page[0])[1:]:
            assert page.find(id=f"module-{module.name}") is not None, module.name


def _files(entries: list[dict[str, list[dict[str, str]]]]) -> list[dict[str, str]]:
    files: list[dict[str, str]] = []
    for entry in entries:
        below = entry.get("chapters", []) + entry.get("sections", [])
        files += [item for item in below if "file" in item]
        files += _files(below)  # type: ignore[arg-type]
    return files


def test_functions_that_draw_figures_are_where_links_from_the_figures_lead(site):
    for package in ("figures", "figures.paper", "figures.beyond", "figures.plots"):
        page = soup(site / "package" / f"{package.replace('.', '_')}.html")
        for module in modules_of(f"helpers.{package}"):
            for item in module.items:
                assert page.find(id=item.name) is not None, item.name
    paper = soup(site / "package" / "figures_paper.html")
    assert paper.find(id="helpers.figures.paper.figure_1.figure_1") is not None
    assert (site.parents[1] / "objects.inv").stat().st_size > 1000


def test_what_is_public_is_described_and_what_is_not_is_left_out(tmp_path):
    package = tmp_path / "given"
    package.mkdir()
    (package / "__init__.py").write_text('"""A package."""\n', encoding="utf-8")
    (package / "_hidden.py").write_text("x = 1\n", encoding="utf-8")
    (package / "parts.py").write_text(SOURCE, encoding="utf-8")
    first, second = modules_of("given", tmp_path)
    assert (first.name, first.doc, len(first.items)) == ("given", "A package.", 0)
    described = [(item.kind, item.name, item.signature) for item in second.items]
    assert described == [
        ("data", "given.parts.LIMIT_S", ": float"),
        ("function", "given.parts.power", "(energy_wh: float, *, hours: float=1.0) -> float"),
        ("class", "given.parts.Meter", "(Base)"),
    ]
    members = [(item.kind, item.name.rpartition(".")[2], item.signature) for item in second.items[2].members]
    assert members == [
        ("attribute", "name", ": str"),
        ("property", "watts", ": float"),
        ("method", "read", "(times: int=1) -> None"),
    ]
    page = BeautifulSoup(module_html(second), "html.parser")
    assert "hidden" not in page.get_text()
    assert [section.get_text() for section in page.select(".section")] == ["Arguments", "Raises"]
    entries = [entry.get_text() for entry in page.select("li")]
    assert entries == [
        "energy_wh: the energy, in Wh.",
        "hours: how long, and on over a second line.",
        "ValueError: hours is <= 0.",
    ]
    assert not page.find("script")


SOURCE = '''"""Parts & <script>markup</script>."""
import os

LIMIT_S: float = 3.0
"""The limit."""
UNDOCUMENTED = 1


def power(energy_wh: float, *, hours: float = 1.0) -> float:
    """Return `energy_wh` by time.

    Args:
        energy_wh: the energy, in Wh.
        hours: how long,
            and on over a second line.

    Raises:
        ValueError: hours is <= 0.
    """


def _hidden() -> None:
    """Hidden."""


class Meter(Base):
    """A meter."""

    name: str
    _hidden: str

    @property
    def watts(self) -> float:
        """Now."""

    def read(self, times: int = 1) -> None:
        """Read."""
'''


def test_a_docstring_keeps_its_paragraphs_its_code_and_its_drawings():
    text = "First `a < b` line\nof two.\n\n    a -> b\n      c\n\nLast."
    assert doc_html(text) == (
        "<p>First <code>a &lt; b</code> line of two.</p><pre>a -&gt; b\n  c</pre><p>Last.</p>"
    )
    assert doc_html("") == ""
