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
