"""The frame of an RO-Crate: what it is, who made it, under which licence, from which workflow; files with their hashes.

Both crates follow the Workflow Run Crate profile: the workflow is the Snakefile, and what it ran are actions.
"""

import json
import mimetypes
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from helpers.core import paths
from helpers.publish.citation import Author, citation
from helpers.publish.licences import CODE, TEXT_AND_DATA, Licence
from helpers.publish.preview import PREVIEW, preview_text
from helpers.records.environment import git_commit_of, sha256_of

METADATA = "ro-crate-metadata.json"
SNAKEFILE = "workflow/Snakefile"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_TERMS = {
    "environment": "https://w3id.org/ro/terms/workflow-run#environment",
    "resourceUsage": "https://w3id.org/ro/terms/workflow-run#resourceUsage",
    "sha256": "https://w3id.org/ro/terms/workflow-run#sha256",
}
"""Terms beyond those of RO-Crate 1.1; spelled out, so that nobody has to fetch another context."""
_WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_MEDIA_TYPES = {
    ".ipynb": "application/x-ipynb+json",
    ".parquet": "application/vnd.apache.parquet",
    ".yaml": "application/yaml",
}

Properties = Mapping[str, Any]


class Crate:
    """A folder that is described; nothing is written before `write`."""

    def __init__(self, folder: Path, name: str, description: str, published: str) -> None:
        self.folder = folder
        """What is described."""
        self._crate = ROCrate(version="1.1")
        self._crate.metadata.extra_terms.update(_TERMS)
        root = self._crate.root_dataset
        root["name"] = name
        root["description"] = description
        root["datePublished"] = published
        root["license"] = self._licence(TEXT_AND_DATA)
        root["version"] = citation().version
        self.makers = _compact([self._author(author) for author in citation().authors])
        """Who made the project."""
        root["author"] = self.makers
        root["citation"] = self._article()
        root["keywords"] = ", ".join(citation().keywords)
        root["conformsTo"] = [self._profile(url) for url in PROFILES]
        self.code_licence = self._licence(CODE)

    def entity(self, identifier: str, kind: str | list[str], properties: Properties) -> ContextEntity:
        """Return the entity of that name, which is made at the first call."""
        return self._crate.get(identifier) or self._crate.add(
            ContextEntity(self._crate, identifier, {"@type": kind, **_known(properties)})
        )

    def file(self, name: str, title: str, properties: Properties | None = None) -> Any:
        """Describe a file of the folder by its path in it."""
        if described_before := self._crate.get(name):
            return described_before
        path = self.folder / name
        kind = _MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
        described = {
            "name": title,
            "encodingFormat": kind or "application/octet-stream",
            "contentSize": str(path.stat().st_size),
            "sha256": sha256_of(path),
            **(properties or {}),
        }
        return self._crate.add_file(path, name, properties=_known(described))

    def dataset(self, name: str, title: str, parts: Iterable[Any], description: str | None = None) -> Any:
        """Describe a folder in the folder, which holds `parts`."""
        properties = {"name": title, "description": description, "hasPart": list(parts)}
        return self._crate.add_directory(
            self.folder / name, f"{name.rstrip('/')}/", properties=_known(properties)
        )

    def workflow(self, tools: Iterable[Any], inputs: Iterable[Any]) -> Any:
        """Copy the Snakefile into the folder and describe it as the workflow that made everything."""
        source = self.folder / SNAKEFILE
        source.parent.mkdir(exist_ok=True)
        shutil.copyfile(paths.ROOT / SNAKEFILE, source)
        workflow = self._crate.add_workflow(
            source, SNAKEFILE, main=True, lang="snakemake", properties={"name": "From measurement to book"}
        )
        workflow["description"] = "Measures the runs of a campaign, executes the analyses, builds the book."
        workflow["version"] = git_commit_of(SNAKEFILE) or citation().version
        workflow["license"] = self.code_licence
        workflow["sha256"] = sha256_of(source)
        workflow["encodingFormat"] = "text/plain"
        workflow["conformsTo"] = self.entity(
            _WORKFLOW, "CreativeWork", {"name": "Bioschemas ComputationalWorkflow 1.0"}
        )
        workflow["hasPart"] = _compact(list(tools))
        workflow["input"] = _compact(list(inputs))
        return workflow

    def action(self, identifier: str, properties: Properties) -> Any:
        """Describe something that was done; the folder mentions it."""
        action = self.entity(identifier, "CreateAction", properties)
        self._crate.root_dataset.append_to("mentions", action)
        return action

    def write(self, steps: Sequence[str]) -> Path:
        """Write the description into the folder, for machines and, with the `steps` of a recipient, for people."""
        self.entity(
            PREVIEW, "CreativeWork", {"name": "This crate on a page", "about": self._crate.root_dataset}
        )
        document = self._crate.metadata.generate()
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (self.folder / METADATA).write_text(text, encoding="utf-8")
        (self.folder / PREVIEW).write_text(preview_text(document, steps), encoding="utf-8")
        return self.folder / METADATA

    def _licence(self, licence: Licence) -> ContextEntity:
        return self.entity(licence.url, "CreativeWork", {"name": licence.title, "identifier": licence.spdx})

    def _author(self, author: Author) -> ContextEntity:
        kind = "Organization" if author.name else "Person"
        identifier = author.orcid or f"#{author.full_name.lower().replace(' ', '-')}"
        institution = author.affiliation
        affiliation = institution and self.entity(
            f"#{institution.replace(' ', '-')}", "Organization", {"name": institution}
        )
        return self.entity(identifier, kind, {"name": author.full_name, "affiliation": affiliation})

    def _article(self) -> ContextEntity:
        article = citation().article
        properties = {
            "name": article.title,
            "author": [self._author(author) for author in article.authors],
            "isPartOf": article.journal,
            "datePublished": str(article.year),
            "identifier": article.url,
            "sameAs": article.preprint_url,
        }
        return self.entity(article.url, "ScholarlyArticle", properties)

    def _profile(self, url: str) -> ContextEntity:
        name, version = PROFILES[url]
        return self.entity(url, "CreativeWork", {"name": name, "version": version})


def _known(properties: Properties) -> dict[str, Any]:
    """Leave out what is absent."""
    return {key: _compact(value) for key, value in properties.items() if value is not None and value != []}


def _compact(value: Any) -> Any:
    """Write a list of one as that one, as RO-Crate recommends."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
