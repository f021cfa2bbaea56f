"""The public parts of a package's modules, read from their source: nothing is imported, so nothing has to be installed."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from helpers.core import paths

SOURCES = paths.ROOT / "src"
Kind = Literal["function", "class", "method", "property", "attribute", "data"]


@dataclass(frozen=True)
class Item:
    """A function, class, method, property or documented value."""

    kind: Kind
    name: str
    """With its module, for example `helpers.core.units.energy`."""
    signature: str
    """What follows the name: parameters and result, or type and value."""
    doc: str
    members: Sequence["Item"] = field(default_factory=tuple)


@dataclass(frozen=True)
class Module:
    """A module: its name, its file as seen from the root of the project, and what is public in it."""

    name: str
    file: str
    doc: str
    items: Sequence[Item]


def modules_of(package: str, sources: Path = SOURCES) -> list[Module]:
    """Return the modules of a package, itself first, but not those of the packages in it.

    Raises:
        FileNotFoundError: there is no such package.
    """
    folder = sources / package.replace(".", "/")
    files = [folder / "__init__.py", *sorted(folder.glob("[!_]*.py"))]
    return [_module(package if file.stem == "__init__" else f"{package}.{file.stem}", file) for file in files]


def packages(sources: Path = SOURCES) -> list[str]:
    """Return the names of `helpers` and of the packages in it."""
    folders = [file.parent.relative_to(sources) for file in sources.glob("helpers/**/__init__.py")]
    return sorted(".".join(folder.parts) for folder in folders)


def _module(name: str, file: Path) -> Module:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    items = tuple(_items(tree.body, name, "data"))
    return Module(name, paths.relative(file), ast.get_docstring(tree) or "", items)


def _items(body: Sequence[ast.stmt], owner: str, values: Kind) -> Iterator[Item]:
    for index, node in enumerate(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _public(node.name):
            yield _function(node, owner, inside_class=values == "attribute")
        elif isinstance(node, ast.ClassDef) and _public(node.name):
            yield _class(node, owner)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            following = body[index + 1] if index + 1 < len(body) else None
            yield from _value(node, _string(following), owner, values)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str, inside_class: bool) -> Item:
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    if inside_class and node.args.args and "staticmethod" not in decorators:
        node.args.args = node.args.args[1:]  # self says nothing
    result = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    doc = ast.get_docstring(node) or ""
    if inside_class and decorators & {"property", "cached_property"}:
        return Item("property", f"{owner}.{node.name}", result.replace(" -> ", ": "), doc)
    kind: Kind = "method" if inside_class else "function"
    return Item(kind, f"{owner}.{node.name}", f"({ast.unparse(node.args)}){result}", doc)


def _class(node: ast.ClassDef, owner: str) -> Item:
    name = f"{owner}.{node.name}"
    bases = ", ".join(map(ast.unparse, node.bases))
    members = tuple(_items(node.body, name, "attribute"))
    return Item("class", name, f"({bases})" if bases else "", ast.get_docstring(node) or "", members)


def _value(node: ast.Assign | ast.AnnAssign, doc: str, owner: str, kind: Kind) -> Iterator[Item]:
    """Yield a value that is documented, or a field of a class that is declared with a type."""
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    if not isinstance(target, ast.Name) or not _public(target.id):
        return
    declared = isinstance(node, ast.AnnAssign) and kind == "attribute"
    if doc or declared:
        annotation = f": {ast.unparse(node.annotation)}" if isinstance(node, ast.AnnAssign) else ""
        yield Item(kind, f"{owner}.{target.id}", annotation, doc)


def _public(name: str) -> bool:
    return not name.startswith("_")


def _string(node: ast.stmt | None) -> str:
    """Return the text of a statement that is nothing but a text: how this project documents values."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return node.value.value if isinstance(node.value.value, str) else ""
    return ""
