"""What is wrong with data from outside, in one plain line that names the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_unicode": "must be text in valid Unicode",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have a length of at least {min_length}",
    "too_long": "must have a length of at most {max_length}",
}
_LONGEST_ECHO = 40


def complaint(error: ValidationError, prefix: str = "") -> str:
    """The first thing that is wrong: "limits.chunk must be at most 1048576, not 2097152".

    Args:
        prefix: where the checked data themselves lie, such as "settings".
    """
    detail = error.errors(include_url=False)[0]
    where = _place(prefix, detail["loc"])
    if detail["type"] not in _WORDS:
        text = " ".join(detail["msg"].removeprefix("Value error, ").split())
        return f"{where}: {text}" if where else text
    text = _WORDS[detail["type"]].format(
        **{name: _plain(value) for name, value in detail.get("ctx", {}).items()}
    )
    echo = "" if detail["type"] == "missing" else _echo(detail["input"])
    return f"{where or 'this'} {text}{echo}"


@dataclass(frozen=True)
class UnknownField:
    """A key that no field has; as text, what to say of it.

    Attributes:
        where: the object that has it, such as "settings"; "" for the outermost.
        known: the names that it could have.
    """

    where: str
    key: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        place = _place(self.where, (self.key,))
        return f"{place!a} is not known here; there are: {', '.join(self.known) or 'no fields'}"


def unknown_field(data: Mapping[Any, Any], model: type[BaseModel], where: str = "") -> UnknownField | None:
    """The first key of `data` that `model` does not have, here or in an inner object; None when all fit.

    This costs nothing however many keys there are; pydantic would write a report about each of them.
    """
    for key in data:
        if key not in model.model_fields:
            return UnknownField(where, str(key)[:_LONGEST_ECHO], tuple(model.model_fields))
    for name, field in model.model_fields.items():
        inner, value = field.annotation, data.get(name)
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
            found = unknown_field(value, inner, _place(where, (name,)))
            if found is not None:
                return found
    return None


def _place(prefix: str, location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return (prefix + "".join(parts)).lstrip(".")


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _echo(value: object) -> str:
    """The value itself when it is short enough to be read."""
    if isinstance(value, str):
        short = value[:_LONGEST_ECHO]
        return f", not {short!a}" if short == value else f", not {short!a}..."
    if value is None:
        return ", not null"
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, int | float) and len(str(value)) <= _LONGEST_ECHO:
        return f", not {value}"
    return ""
