"""Under which licences the parts of the project, and what it uses of others, stand (SPDX identifiers)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """A licence of the SPDX list."""

    spdx: str
    title: str
    url: str

    def as_datapackage(self) -> dict[str, str]:
        """Return it as a data package names a licence."""
        return {"name": self.spdx, "title": self.title, "path": self.url}


CODE = Licence("MIT", "MIT License", "https://spdx.org/licenses/MIT")
"""Of the code and the notebooks."""
TEXT_AND_DATA = Licence(
    "CC-BY-4.0",
    "Creative Commons Attribution 4.0 International",
    "https://creativecommons.org/licenses/by/4.0/",
)
"""Of the pages, the data and the measurements."""


@dataclass(frozen=True)
class Bundled:
    """A package of others, files of which are part of the built book."""

    package: str
    holds: str
    spdx: str


BUNDLED = (
    Bundled("plotly", "plotly.js, which draws the figures", "MIT"),
    Bundled("sphinx-book-theme", "styles and scripts of the pages", "BSD-3-Clause"),
    Bundled("pydata-sphinx-theme", "styles and scripts of the pages", "BSD-3-Clause"),
    Bundled("pydata-sphinx-theme", "Bootstrap and Popper in it", "MIT"),
    Bundled("pydata-sphinx-theme", "icons of Font Awesome Free in it", "CC-BY-4.0 AND OFL-1.1 AND MIT"),
    Bundled("sphinx", "search and base styles", "BSD-2-Clause"),
    Bundled("myst-nb", "styles of notebooks", "BSD-3-Clause"),
    Bundled("sphinx-design", "styles of cards and grids", "MIT"),
    Bundled("sphinx-togglebutton", "folding", "MIT"),
    Bundled("sphinx-copybutton", "copy buttons", "MIT"),
)

MODEL_SPDX = {"Apache 2.0": "Apache-2.0", "MIT": "MIT"}
"""SPDX identifiers of the licences that the catalogue of models names; the others are on no list."""
