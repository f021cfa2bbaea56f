"""A page of the book for each run: where it stands (`address`), what is on it (`page`), how it gets there (`staging`)."""

from helpers.run_pages.address import page_of

__all__ = ["page_of"]
