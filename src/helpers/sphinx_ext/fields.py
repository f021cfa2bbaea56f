"""The fields of a validated model as a list: type, unit, limits and meaning, as the model itself has them."""

import html
from collections.abc import Iterable, Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from helpers.figures.html import code

UNITS = {"_s": "s", "_wh": "Wh", "_w": "W", "_gb": "GB", "_b": "10⁹", "_percent": "%"}
"""Unit by the end of a field's name."""


def anchor(model: type[BaseModel]) -> str:
    """Return the name by which links reach the list of a model's fields."""
    return f"field-{model.__name__.lower()}"


def models_of(root: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model and all models that its fields hold, each once, in the order of reading."""
    models: list[type[BaseModel]] = []
    waiting = [root]
    while waiting:
        model = waiting.pop(0)
        if model not in models:
            models.append(model)
            waiting += [inner for field in model.model_fields.values() for inner in _inner(field.annotation)]
    return models


def field_list(model: type[BaseModel]) -> str:
    """Return the fields of a model, each with type, unit and limits, and below them what it means."""
    return definitions(
        (
            f"{model.__name__}.{name}",
            name,
            [type_html(field.annotation), unit(name), limits(field)],
            meaning(field),
        )
        for name, field in model.model_fields.items()
    )


def definitions(entries: Iterable[tuple[str, str, Sequence[str | None], str]]) -> str:
    """Return names with what is to be known of each as a list.

    Args:
        entries: of each the identifier for links, the name, facts as HTML of which some may be absent, and its
            meaning as HTML.
    """
    rows = "".join(
        f'<dt id="{html.escape(identifier)}">{code(name)} <span class="type">{", ".join(filter(None, facts))}</span></dt>'
        f"<dd>{meaning_html}</dd>"
        for identifier, name, facts, meaning_html in entries
    )
    return f'<dl class="fields">{rows}</dl>'


def unit(name: str) -> str | None:
    """Return the unit of a field or column, after the end of its name."""
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), None)


def limits(field: FieldInfo, default: bool = True) -> str | None:
    """Return as HTML what a value has to satisfy beyond its type, and what it is where it is left out."""
    constraints = list(_limits(field))
    if default and not field.is_required():
        value = field.get_default(call_default_factory=True)
        constraints.append("may be left out" if value in (None, [], {}) else f"default {value!r}")
    return html.escape(", ".join(constraints)) or None


def meaning(field: FieldInfo) -> str:
    """Return the description, with names in backticks set as code."""
    return with_code(" ".join((field.description or "").split()))


def with_code(text: str) -> str:
    """Return a docstring's sentence as HTML: what stands in backticks becomes code."""
    pieces = text.split("`")
    return "".join(
        f"<code>{html.escape(piece)}</code>" if index % 2 else html.escape(piece)
        for index, piece in enumerate(pieces)
    )


def type_html(annotation: Any) -> str:
    """Return a type in words; a model is a link to its fields."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f'<a href="#{anchor(annotation)}">{annotation.__name__}</a>'
    kind, inner = get_origin(annotation), get_args(annotation)
    if kind is Literal:
        return " or ".join(code(str(value)) for value in inner)
    if kind is Annotated:
        constraints = ", ".join(
            filter(None, (limits(item, default=False) for item in inner[1:] if isinstance(item, FieldInfo)))
        )
        return type_html(inner[0]) + (f" ({constraints})" if constraints else "")
    words = [type_html(part) for part in inner]
    if kind in (Union, UnionType):
        return " or ".join(words)
    templates = {list: "list of {0}", dict: "{1} by {0}"}
    return templates[kind].format(*words) if kind in templates else html.escape(str(annotation))


_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    NoneType: "null",
    None: "null",
    Any: "any value",
}


def _inner(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _inner(part)


def _limits(field: FieldInfo) -> Iterator[str]:
    for item in field.metadata:
        if isinstance(item, Gt):
            yield f"> {item.gt}"
        elif isinstance(item, Ge):
            yield f"≥ {item.ge}"
        elif isinstance(item, Lt):
            yield f"< {item.lt}"
        elif isinstance(item, Le):
            yield "≤ 2⁵³" if item.le == 2**53 else f"≤ {item.le}"  # the last whole number that a float holds
        elif isinstance(item, MinLen):
            yield f"at least {item.min_length}"
        elif isinstance(item, MaxLen):
            yield f"at most {item.max_length}"
        elif pattern := getattr(item, "pattern", None):
            yield _PATTERNS.get(pattern, f"matches {pattern}")


_PATTERNS = {
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
    r"^[0-9a-f]{40}$": "40 hexadecimal digits",
    r"^[a-z0-9][a-z0-9.-]*$": "lower-case letters, digits, dots, hyphens",
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$": "like 2026-01-31T12:00:00Z",
}
