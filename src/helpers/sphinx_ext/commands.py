"""The verbs of `python -m helpers`, read from the parser that the command line itself uses."""

import argparse
from dataclasses import dataclass

import pandas as pd

from helpers import cli
from helpers.figures.display import html_table
from helpers.figures.html import Markup, code


@dataclass(frozen=True)
class Verb:
    """A verb: how it is called, what it does, and a table of its arguments (HTML), where it has any."""

    name: str
    does: str
    usage: str
    arguments: str


def verbs() -> list[Verb]:
    """Return all verbs, in the order of `--help`."""
    parser = cli.parser()
    subparsers = next(item for item in parser._actions if isinstance(item, argparse._SubParsersAction))
    return [_verb(name, item) for name, item in subparsers.choices.items()]


def _verb(name: str, parser: argparse.ArgumentParser) -> Verb:
    rows = [
        {"Argument": _name(action), "Meaning": _meaning(action)}
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction)
    ]
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    table = html_table(pd.DataFrame(rows, dtype=object), f"Arguments of {name}") if rows else ""
    return Verb(name, parser.description or "", usage, table)


def _name(action: argparse.Action) -> Markup:
    if not action.option_strings:
        return code(str(action.metavar or action.dest))
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return code(", ".join(action.option_strings) + value)


def _meaning(action: argparse.Action) -> str:
    choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
    return f"{action.help}{choices}"
