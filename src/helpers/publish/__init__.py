"""Descriptions for machines and archives: RO-Crate, Frictionless data packages, CODECHECK, Zenodo, citation."""

from helpers.publish.crates import describe_campaign
from helpers.publish.metadata import describe_book, describe_project

__all__ = ["describe_book", "describe_campaign", "describe_project"]
