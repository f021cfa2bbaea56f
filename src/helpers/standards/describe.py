"""Write every description: those that are committed, and those of the built book."""

from pathlib import Path


def describe_project() -> list[Path]:
    """Write the committed descriptions; returns those whose text changed."""
    return []


def describe_book(html: Path) -> None:
    """Write the descriptions of the built book in the folder `html`, which has to be complete but for its manifest.

    Raises:
        UserError: one line where a file that the book needs is missing.
    """
