"""`codecheck.yml`: the figures and tables that whoever checks the computations (codecheck.org.uk) makes again."""

import json

import yaml

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.publish.citation import Author, citation

HTML = "_build/html"
SPECIFICATION = "https://codecheck.org.uk/spec/config/1.0/"
"""Version 2.0 asks for the ORCID of every author, which this project does not know."""
_BARS = [f"fktg-{family}-{what}" for family in ("other-llm", "deepseek") for what in ("duration", "energy")]
IMAGES = {
    "figure_1_accuracy_energy": ["fktg", "news", "yelp", "tomatoes", "emotion"],
    "figure_2_components": ["published-traditional", "published-other-llm", "published-deepseek"],
    "figure_3_gpus": _BARS,
    "figure_4_nodes": _BARS,
    "figure_5_gpu_models": _BARS,
    "figure_6_duration_energy": ["linear", "logarithmic"],
    "figure_7_other_datasets": ["news", "yelp", "tomatoes", "emotion"],
}
"""Panels of the paper's figures that show its own values, by figure."""
_HEAD = """\
---
# For a CODECHECK (https://codecheck.org.uk): what `make book` makes. The checker adds `codechecker`, `report`,
# `summary` and `certificate`; the ORCIDs of the authors are not known to this project.
# Written by `python -m helpers describe`.
"""


def codecheck_text() -> str:
    """Return `codecheck.yml`: for every analysis its page and its data, and the images of the paper's figures.

    Certificates show images; those of the book are drawn where a Chromium is.

    Raises:
        UserError: one line where a notebook has no heading.
    """
    cited = citation()
    article = cited.article
    document = {
        "version": SPECIFICATION,
        "paper": {
            "title": article.title,
            "authors": [_author(author) for author in article.authors],
            "reference": article.url,
        },
        "manifest": [entry for name, title in analyses().items() for entry in _entries(name, title)],
    }
    return _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def analyses() -> dict[str, str]:
    """Return the heading of every analysis notebook by its name; errors as `codecheck_text`."""
    titles = {}
    for file in sorted((paths.NOTEBOOKS / "analysis").glob("*.ipynb")):
        first = json.loads(file.read_text(encoding="utf-8"))["cells"][0]
        heading = "".join(first["source"]).splitlines()[0]
        if first["cell_type"] != "markdown" or not heading.startswith("# "):
            raise UserError(
                f"{paths.relative(file)}: expected a heading '# ...' first, found {heading[:60]!r}"
            )
        titles[file.stem] = heading.removeprefix("# ")
    return titles


def _entries(name: str, title: str) -> list[dict[str, str]]:
    rebuild = f"python -m helpers analyse {name}"
    return [
        {"file": f"{HTML}/notebooks/analysis/{name}.html", "comment": f"{title} ({rebuild})"},
        {"file": f"{HTML}/artefacts/{name}.csv", "comment": f"{title}: its data"},
        *(
            {"file": f"{HTML}/_images/{name}-{panel}.svg", "comment": f"{title}: its panel {panel}"}
            for panel in IMAGES.get(name, ())
        ),
    ]


def _author(author: Author) -> dict[str, str]:
    orcid = author.orcid and author.orcid.rpartition("/")[2]
    return {"name": author.full_name, **({"ORCID": orcid} if orcid else {})}
