"""A page of the book for each run: where it stands (`address`), what is on it (`page`), how it gets there (`staging`)."""

from helpers.figures.run_addresses import page_of

__all__ = ["page_of"]
