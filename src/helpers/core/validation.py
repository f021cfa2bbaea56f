"""Strict models for everything that comes from outside: study files, parameters, records."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from helpers.core.errors import UserError, nearest, short

_MAX = 2**53
"""A float holds every whole number up to this one, and sums of what a run counts cannot overflow."""
Count = Annotated[int, Field(ge=0, le=_MAX)]
"""A number of things."""
PositiveCount = Annotated[int, Field(ge=1, le=_MAX)]
"""A number of things, at least one."""
Quantity = Annotated[float, Field(ge=0, le=_MAX)]
"""A duration, an energy or a power."""
PositiveQuantity = Annotated[float, Field(gt=0, le=_MAX)]
"""The same of what took place."""


class Strict(BaseModel):
    """Base of all validated data: immutable, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_keys(cls, data: Any) -> Any:
        """Name the nearest valid key, which pydantic's own message does not."""
        if isinstance(data, dict):
            fields = cls.model_fields  # each look at it costs a call
            for key in data:
                if key not in fields:
                    raise ValueError(f"unknown key {short(key)} ({nearest(key, fields)})")
        return data


StrictT = TypeVar("StrictT", bound=Strict)


def parse(kind: type[StrictT], data: Any, location: str) -> StrictT:
    """Validate `data`; `location` names its file.

    Raises:
        UserError: one line with `location`, the field and the fault, of the first fault found.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{location}: {_first(error, kind)}") from None


def parse_json(kind: type[StrictT], text: str | bytes, location: str) -> StrictT:
    """Validate a JSON document as `parse` does."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"{location}: {_first(error, kind)}") from None


def load_yaml(path: Path, location: str) -> Any:
    """Read a YAML file with the safe loader; a key given twice is an error.

    Raises:
        UserError: one line with file and place where it is not valid YAML, or holds a text that cannot be written again.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506  (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{location}: cannot be read: {error}") from None
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        # a date or number that is none is a ValueError, and an AttributeError where a tag calls it one
        problem = " ".join(str(error).split()).replace('in "<unicode string>", ', "at ")
        raise UserError(f"{location}: not valid YAML: {problem}") from None
    _check_texts(document, location)
    return document


def _check_texts(document: Any, location: str) -> None:
    """Look at every text of a document: an escape can make one that UTF-8 cannot write, half of a surrogate pair.

    Raises:
        UserError: one line with file and field of the first text that cannot be written.
    """
    seen: set[int] = set()  # aliases: a list can stand in many places, also in itself
    left: list[tuple[str, Any]] = [("", document)]
    while left:
        field, value = left.pop()
        if isinstance(value, str):
            if not _is_writable(value):
                raise UserError(
                    f"{location}: {field or 'document'}: found {short(value)}, which holds half of a surrogate pair; expected "
                    "text that UTF-8 can write; write the character itself"
                )
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            left += reversed(list(_parts(value, field)))


def _parts(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str | tuple):
            yield field, key
        step = _step(key) if isinstance(key, str) else short(key)
        yield f"{field}.{step}".strip("."), part


def _step(key: str) -> str:
    """Return a key as a part of a field's path: blanks and colons, which end the path, are escaped."""
    return re.sub(r"[\s:]", lambda sign: f"\\x{ord(sign[0]):02x}", key[:60])


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, but a repeated key is an error and not the last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", key_node.start_mark)
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _first(error: ValidationError, kind: type[Strict]) -> str:
    fault = error.errors(include_url=False)[0]
    field = ".".join(_step(str(part)) for part in fault["loc"]) or "document"
    message = " ".join(fault["msg"].removeprefix("Value error, ").split())
    value = fault.get("input")
    if fault["type"] == "literal_error":
        options = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
        message = f"unknown value {short(value)} ({nearest(value, options)})"
    elif fault["type"] not in {"value_error", "missing", "json_invalid"}:
        message += f", found {short(value)}"
    if fault["type"] == "string_type" and isinstance(value, bool | int | float | date):
        message += "; write it in quotes"
    if fault["type"] in {"missing", "string_pattern_mismatch"} and (meant := _meaning(kind, fault["loc"])):
        message += f" ({meant})"
    return f"{field}: {message}"


def _meaning(kind: type[Strict], loc: Sequence[str | int]) -> str:
    """Return what the docstring of a key says, as where its value is looked up; nothing where it has none.

    On the way there names of entries and places in lists are passed over.
    """
    fields: Mapping[str, FieldInfo] = kind.model_fields
    for step in loc[:-1]:
        if str(step) in fields:
            fields = _fields_within(fields[str(step)].annotation)
    field = fields.get(str(loc[-1]))
    return " ".join((field.description or "").split()).rstrip(".") if field else ""


def _fields_within(annotation: Any) -> Mapping[str, FieldInfo]:
    """Return the fields of the model that a type is, or holds; none where it holds no model."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return annotation.model_fields
    return next(filter(None, map(_fields_within, get_args(annotation))), {})
