"""Values against a property table: types, conversions, bounds (swml.md 3.4, 7.14; placeholders keep types).

`read` turns nodes into values at load, guided by the table: a plain YAML number in a string property becomes
its source text, while a JSON number there becomes a `Misfit`, so that only the step (or the one
destination) that holds it fails.  `check` runs on the values after substitution.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping as MappingType
from typing import Any

import msgspec

from cordboard.swml import codes
from cordboard.swml.nodes import Mapping, Node, Scalar, Sequence, plain
from cordboard.swml.problems import MethodError, dotted, shown
from cordboard.swml.properties import Kind, Property, Shape
from cordboard.swml.values import to_text

_URL = re.compile(r"https?://[^\s/?#\x00-\x1f\x7f]+[^\s\x00-\x1f\x7f]*\Z", re.IGNORECASE)
_TEXTUAL = frozenset({Kind.STRING, Kind.URL})
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(?:\.[0-9]{1,15})?\Z")
_BOOLEANS: dict[str, bool] = {"true": True, "false": False}


class Misfit(msgspec.Struct, frozen=True):
    """A literal whose type the table does not allow."""

    value: Any


def read(node: Node, declared: Property) -> Any:
    """The value of a literal, as the table wants it."""
    if isinstance(node, Scalar):
        return _read_scalar(node, declared)
    if declared.kind is Kind.LIST and isinstance(node, Sequence) and declared.items is not None:
        return [read(item, declared.items) for item in node.items]
    if declared.kind is Kind.RECORD and isinstance(node, Mapping):
        return _read_record(node, declared)
    return plain(node)


def _read_scalar(node: Scalar, declared: Property) -> Any:
    if declared.kind not in _TEXTUAL or node.value is None or isinstance(node.value, str):
        return node.value
    return node.text if node.text is not None else Misfit(node.value)


def _read_record(node: Mapping, declared: Property) -> dict[str, Any]:
    known = {item.name: item for item in declared.record}
    return {
        key: read(item, known[key]) if key in known else plain(item) for key, item in node.entries.items()
    }


def check(
    values: MappingType[str, Any], shape: Shape, *, where: tuple[str | int, ...] = (), defaults: bool = True
) -> dict[str, Any]:
    """The declared properties of `values`, checked and converted; raises `MethodError`.

    A property that is null counts as absent.  Without `defaults` absent properties are left out.
    """
    _check_choice(values, shape, where)
    checked: dict[str, Any] = {}
    for declared in shape.properties:
        name = declared.name
        value = values.get(name)
        if value is not None:
            checked[name] = check_value(value, declared, shape.method, (*where, name))
        elif declared.required:
            message = f"{shape.method}: `{dotted((*where, name))}` is required"
            raise MethodError(codes.PARAMETER_MISSING, message, path=where, allowed=declared.described())
        elif defaults:
            checked[name] = declared.default
    return checked


def _check_choice(values: MappingType[str, Any], shape: Shape, where: tuple[str | int, ...]) -> None:
    if not shape.exactly_one:
        return
    given = [name for name in shape.exactly_one if values.get(name) is not None]
    listed = ", ".join(f"`{name}`" for name in shape.exactly_one)
    if not given:
        message = f"{shape.method}: one of {listed} is required"
        raise MethodError(codes.PARAMETER_MISSING, message, path=where, allowed=listed)
    if len(given) > 1:
        message = f"{shape.method}: `{given[0]}` and `{given[1]}` exclude each other"
        raise MethodError(codes.PARAMETER_CONFLICT, message, path=(*where, given[1]), allowed=listed)


def check_value(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> Any:
    """One value, converted; raises `MethodError`."""
    if isinstance(value, Misfit):
        raise invalid(method, path, declared, value.value, codes.WRONG_TYPE)
    converted = _CONVERTERS[declared.kind](value, declared, method, path)
    if declared.enum and converted not in declared.enum:
        raise invalid(method, path, declared, value)
    if declared.minimum is not None and converted < declared.minimum:
        raise invalid(method, path, declared, value)
    if declared.maximum is not None and converted > declared.maximum:
        raise invalid(method, path, declared, value)
    return converted


def invalid(
    method: str,
    path: tuple[str | int, ...],
    declared: Property,
    value: Any,
    code: str = codes.PARAMETER_INVALID,
) -> MethodError:
    """The error for a value that the table does not allow."""
    allowed, found = declared.described(), shown(value)
    message = f"{method}: `{dotted(path)}` must be {allowed}, not {found}"
    return MethodError(code, message, path=path, found=found, allowed=allowed)


def _string(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> str:
    if isinstance(value, (dict, list)):
        raise invalid(method, path, declared, value, codes.WRONG_TYPE)
    return to_text(value)


def _url(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> str:
    converted = _string(value, declared, method, path).strip()
    if not is_url(converted):
        raise invalid(method, path, declared, value)
    return converted


def is_url(value: str) -> bool:
    """Whether a text is an absolute http(s) URL without spaces or control characters."""
    return len(value) <= 4096 and _URL.match(value) is not None


def _integer(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> int:
    converted = _number(value, declared, method, path)
    if converted != int(converted):
        raise invalid(method, path, declared, value)
    return int(converted)


def _number(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> float:
    if isinstance(value, str) and _NUMBER.match(value.strip()):
        value = float(value)
    if isinstance(value, (dict, list, bool)):
        raise invalid(method, path, declared, value, codes.WRONG_TYPE)
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise invalid(method, path, declared, value)
    return value


def _boolean(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _BOOLEANS:
        return _BOOLEANS[value.strip().lower()]
    code = codes.PARAMETER_INVALID if isinstance(value, str) else codes.WRONG_TYPE
    raise invalid(method, path, declared, value, code)


def _anything(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> Any:
    return value


def _map(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(method, path, declared, value, codes.WRONG_TYPE)
    return value


def _record(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> dict[str, Any]:
    shape = Shape(method=method, properties=declared.record)
    return check(_map(value, declared, method, path), shape, where=path)


def _list(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(method, path, declared, value, codes.WRONG_TYPE)
    if declared.items is None:
        return value
    return [check_value(item, declared.items, method, (*path, n)) for n, item in enumerate(value)]


_CONVERTERS: dict[Kind, Any] = {
    Kind.STRING: _string,
    Kind.URL: _url,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.ANY: _anything,
    Kind.MAP: _map,
    Kind.RECORD: _record,
    Kind.LIST: _list,
}
