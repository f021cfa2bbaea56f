"""The words of the project: field terms in names and messages, and a glossary for the few of our own."""

import argparse
import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import cli
from helpers.core import paths

SOURCES = paths.ROOT / "src"
VAGUE = {"found", "known", "told", "said", "there", "place", "wanted", "where", "mine", "ours"}
"""Names that say where a value came from, and not what it is."""
MAX_VAGUE_PERCENT = 0.3

PHRASES = {
    r"\b(what|thing that|nothing|something) is off\b": "findings; a finding; no findings",
    r"\bmake no figure again\b": "skip re-executing figures",
    r"\b(figures?|artefacts?|tables?)( is| are)? made again\b|\bas made again\b": "re-executed",
    r"\bwhose electricity\b": "grid whose carbon intensity is used",
    r"\bmak(e|es|ing) [^.;:]{0,40}\banew\b|\bmade anew\b": "regenerate, regenerated",
    r"\bmend(s|ed|ing)?\b": "repaired, fixed",
    r"\bat hand\b": "current; of this machine",
    r"\bwhole or not at all\b": "atomically",
    r"\btold\b": "reported; distinguished; known",
    r"\bpaper mode\b": "sequential",
    r"\bone by one\b": "sequential; concurrency 1",
    r"\bdearest\b": "most energy",
    r"\bthriftier\b": "more efficient",
    r"\bN-th try\b|\b(first|second|third|last|another|each) try\b": "attempt N",
    r"\bfiled under\b": "stored under",
    r"\bPassingError\b": "TransientError",
    r"\bpassing (error|fault)s?\b": "transient error",
    r"\blast word\b": "exit status",
    r"\bwhat is wanted\b": "required files",
}
"""Phrases, as patterns, that the field has a term for, and the term."""
_ANY_PHRASE = re.compile("|".join(PHRASES), re.IGNORECASE)


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Give the names that a module binds: functions, classes, arguments, variables, attributes, imports."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.ExceptHandler(name=str(name)):
                yield name
            case ast.alias():
                yield (node.asname or node.name).rpartition(".")[2]


def messages(tree: ast.Module) -> Iterator[str]:
    """Give the texts of a module that a user may read: its strings but docstrings."""
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
            yield node.value


def phrases_in(text: str) -> list[str]:
    """Return a line for each phrase of `PHRASES` in a text, with the field's term."""
    text = " ".join(text.split())
    if not _ANY_PHRASE.search(text):
        return []
    return [
        f"{match[0]!r}: use {term}"
        for pattern, term in PHRASES.items()
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]


def parsed(folder: Path) -> dict[str, ast.Module]:
    return {
        str(file.relative_to(paths.ROOT)): ast.parse(file.read_text(encoding="utf-8"))
        for file in sorted(folder.rglob("*.py"))
    }


def help_texts() -> dict[str, str]:
    """Return the help of the command line and of each verb."""
    top = cli.parser()
    (verbs,) = (item for item in top._actions if isinstance(item, argparse._SubParsersAction))
    texts = {f"helpers {name} --help": verb.format_help() for name, verb in verbs.choices.items()}
    return {"helpers --help": top.format_help(), **texts}


def prose() -> dict[str, str]:
    """Return the texts of pages, notebooks and of the files at the root."""
    files = [
        *(paths.ROOT / "book").rglob("*.md"),
        *(paths.ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    ]
    texts = {str(file.relative_to(paths.ROOT)): file.read_text(encoding="utf-8") for file in sorted(files)}
    for file in sorted((paths.ROOT / "notebooks").rglob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        texts[str(file.relative_to(paths.ROOT))] = text
    makefile = (paths.ROOT / "Makefile").read_text(encoding="utf-8")
    texts["Makefile"] = "\n".join(re.findall(r"^[a-z-]+:.*?## (.*)$", makefile, re.MULTILINE))
    return texts


def test_names_say_what_a_value_is() -> None:
    by_file = {file: Counter(bound_names(tree)) for file, tree in parsed(SOURCES).items()}
    vague = Counter(
        {
            file: sum(count for name, count in names.items() if name in VAGUE)
            for file, names in by_file.items()
        }
    )
    percent = 100 * vague.total() / sum(names.total() for names in by_file.values())
    worst = ", ".join(f"{file} ({count})" for file, count in vague.most_common(15) if count)
    assert percent < MAX_VAGUE_PERCENT, f"{percent:.2f} % of all names; most in {worst}"


def test_help_texts_use_the_terms_of_the_field() -> None:
    lines = [f"{name}: {line}" for name, text in help_texts().items() for line in phrases_in(text)]
    assert not lines, "\n".join(lines)


def test_messages_use_the_terms_of_the_field() -> None:
    lines = [
        f"{file}: {line}"
        for file, tree in parsed(SOURCES).items()
        for text in messages(tree)
        for line in phrases_in(text)
    ]
    assert not lines, "\n".join(lines)


def test_the_prose_uses_the_terms_of_the_field() -> None:
    lines = [f"{name}: {line}" for name, text in prose().items() for line in phrases_in(text)]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("term", ["pass", "window", "split", "run", "campaign"])
def test_terms_of_our_own_stand_in_the_glossary(term: str) -> None:
    glossary = (paths.ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    assert re.search(rf"^{term}\n    \S", glossary, re.MULTILINE)
