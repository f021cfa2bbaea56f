"""Who made what: `CITATION.cff` read, kept at the version of the project, and turned into what archives want."""

import json
import re
import tomllib
from functools import cache
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.validation import Strict, load_yaml, parse
from helpers.publish.licences import CODE, TEXT_AND_DATA

CFF = paths.ROOT / "CITATION.cff"
_PROJECT = paths.ROOT / "pyproject.toml"


class Author(Strict):
    """A person, or a group, which has only a name."""

    name: str | None = None
    family_names: str | None = None
    given_names: str | None = None
    orcid: str | None = Field(default=None, pattern=r"^https://orcid\.org/(\d{4}-){3}\d{3}[\dX]$")
    affiliation: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.name) == bool(self.family_names and self.given_names):
            raise ValueError("give either 'name' (of a group) or 'family-names' with 'given-names'")
        return self

    @property
    def full_name(self) -> str:
        """Given name first."""
        return self.name or f"{self.given_names} {self.family_names}"

    @property
    def sorted_name(self) -> str:
        """Family name first."""
        return self.name or f"{self.family_names}, {self.given_names}"


class Identifier(Strict):
    """Another place of the article."""

    type: Literal["doi", "other", "swh", "url"]
    value: str
    description: str


class Article(Strict):
    """The article that this companion accompanies."""

    type: Literal["article"]
    title: str
    authors: list[Author] = Field(min_length=1)
    journal: str
    volume: int
    issue: int
    year: int
    doi: str
    identifiers: list[Identifier]

    @property
    def url(self) -> str:
        """Where the DOI leads."""
        return f"https://doi.org/{self.doi}"

    @property
    def preprint_url(self) -> str:
        """Where the preprint stands.

        Raises:
            UserError: one line where CITATION.cff names none.
        """
        for item in self.identifiers:
            if item.value.startswith("arXiv:"):
                return f"https://arxiv.org/abs/{item.value.removeprefix('arXiv:')}"
        raise UserError(f"{paths.relative(CFF)}: preferred-citation.identifiers: expected one 'arXiv:NUMBER'")


class Citation(Strict):
    """`CITATION.cff`."""

    cff_version: Literal["1.2.0"]
    title: str
    message: str
    abstract: str
    type: Literal["software"]
    authors: list[Author] = Field(min_length=1)
    keywords: list[str]
    license: str
    version: str
    repository_code: str | None = None
    doi: str | None = None
    """Of this companion, once an archive has given it one."""
    date_released: str | None = None
    preferred_citation: Article

    @property
    def article(self) -> Article:
        """The article that this companion accompanies."""
        return self.preferred_citation

    @property
    def slug(self) -> str:
        """Name of the project in identifiers."""
        return str(_project()["name"])


@cache
def citation() -> Citation:
    """Return `CITATION.cff`, read once per process, with the version of the project.

    Raises:
        UserError: one line with file, key and fault.
    """
    file = paths.relative(CFF)
    cited = parse(Citation, _with_underscores(load_yaml(CFF, file)), file)
    if cited.license != CODE.spdx:
        raise UserError(f"{file}: license: found {cited.license!r}, expected that of the code, {CODE.spdx!r}")
    return cited.model_copy(update={"version": _project()["version"]})


def cff_text() -> str:
    """Return the text of `CITATION.cff` with the version of the project; all else in it is written by people."""
    text = CFF.read_text(encoding="utf-8")
    return re.sub(r"(?m)^version: .*$", f"version: {citation().version}", text)


def zenodo_text() -> str:
    """Return `.zenodo.json`: what Zenodo shows of a release."""
    cited = citation()
    fields = {
        "upload_type": "software",
        "title": cited.title,
        "description": f"<p>{cited.abstract}</p>",
        "creators": [_creator(author) for author in cited.authors],
        "version": cited.version,
        "access_right": "open",
        "license": CODE.spdx,
        "notes": f"Code: {CODE.spdx}. Text and data: {TEXT_AND_DATA.spdx}. Texts of third parties are not contained.",
        "language": "eng",
        "keywords": cited.keywords,
        "related_identifiers": [
            {
                "identifier": cited.article.url,
                "relation": "isSupplementTo",
                "resource_type": "publication-article",
                "scheme": "doi",
            },
            {
                "identifier": cited.article.preprint_url,
                "relation": "isSupplementTo",
                "resource_type": "publication-preprint",
                "scheme": "url",
            },
        ],
    }
    return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"


def article_bibtex() -> str:
    """Return the article as a BibTeX entry."""
    article = citation().article
    fields = {
        "author": " and ".join(author.sorted_name for author in article.authors),
        "title": article.title,
        "journal": article.journal,
        "volume": str(article.volume),
        "number": str(article.issue),
        "year": str(article.year),
        "doi": article.doi,
    }
    return _bibtex("article", f"{_key(article.authors)}_{article.year}", fields)


def companion_bibtex() -> str:
    """Return this companion as a BibTeX entry; year and DOI once a release has them."""
    cited = citation()
    fields = {
        "author": " and ".join(f"{{{author.sorted_name}}}" for author in cited.authors),
        "title": cited.title,
        "version": cited.version,
        **({"year": cited.date_released[:4]} if cited.date_released else {}),
        **({"doi": cited.doi} if cited.doi else {}),
        **({"url": cited.repository_code} if cited.repository_code else {}),
        "note": f"Companion to doi {cited.article.doi}",
    }
    return _bibtex("software", "companion", fields)


def _bibtex(kind: str, key: str, fields: dict[str, str]) -> str:
    width = max(map(len, fields))
    lines = "\n".join(f"  {name:<{width}} = {{{value}}}," for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}\n}}"


def _key(authors: list[Author]) -> str:
    return "_".join((author.family_names or author.full_name).lower() for author in authors)


def _creator(author: Author) -> dict[str, str]:
    orcid = author.orcid and author.orcid.rpartition("/")[2]
    fields = {"name": author.sorted_name, "affiliation": author.affiliation, "orcid": orcid}
    return {key: value for key, value in fields.items() if value}


@cache
def _project() -> dict[str, Any]:
    return dict(tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"])


def _with_underscores(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key).replace("-", "_"): _with_underscores(value) for key, value in data.items()}
    return [_with_underscores(item) for item in data] if isinstance(data, list) else data
