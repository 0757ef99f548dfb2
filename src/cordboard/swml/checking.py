"""Values against a property table: types, conversions, bounds (swml.md 3.4, 7.14; placeholders keep types).

`read` turns nodes into values at load, guided by the table: a plain YAML number in a string property becomes
its source text, while a JSON number there becomes a `Misfit`, so that only the step (or the one
destination) that holds it fails.  `check` runs on the values after substitution.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from collections.abc import Mapping as MappingType
from typing import Any

import msgspec

from cordboard.call.addresses import is_url as is_url
from cordboard.swml import codes
from cordboard.swml.nodes import Mapping, Node, Scalar, Sequence, plain
from cordboard.swml.problems import MethodError, dotted, shown
from cordboard.swml.program import Inline
from cordboard.swml.properties import Kind, Property, Shape
from cordboard.swml.values import to_text

_SECTIONS = re.compile(r"^sections\s*:", re.MULTILINE)
_TEXTUAL = frozenset({Kind.STRING, Kind.URL, Kind.CONFIRM, Kind.DOCUMENT})
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(?:\.[0-9]{1,15})?\Z")
_BOOLEANS: dict[str, bool] = {"true": True, "false": False}


class Misfit(msgspec.Struct, frozen=True):
    """A literal whose type the table does not allow."""

    value: Any


Path = tuple[str | int, ...]
CompileInline = Callable[[Sequence | Scalar, Path], Inline]
"""Makes a part of the program of steps, or of a document, that a property holds."""


def read(node: Node, declared: Property, inline: CompileInline, path: Path = ()) -> Any:
    """The value of a literal, as the table wants it; `path` is where it stands in the argument."""
    if isinstance(node, Scalar):
        return _read_scalar(node, declared, inline, path)
    if isinstance(node, Sequence):
        return _read_list(node, declared, inline, path)
    if declared.kind is Kind.RECORD:
        return _read_record(node, declared, inline, path)
    if declared.kind is Kind.UNION:
        return _read_option(node, declared, Kind.RECORD, inline, path)
    return plain(node)


def _read_scalar(node: Scalar, declared: Property, inline: CompileInline, path: Path) -> Any:
    if declared.kind is Kind.UNION:
        return _read_scalar_option(node, declared, inline, path)
    if declared.kind is Kind.DOCUMENT and isinstance(node.value, str) and is_inline(node.value):
        return inline(node, path)
    if declared.kind not in _TEXTUAL or node.value is None or isinstance(node.value, str):
        return node.value
    return node.text if node.text is not None else Misfit(node.value)


def _read_scalar_option(node: Scalar, declared: Property, inline: CompileInline, path: Path) -> Any:
    """A number is text only where no option is one."""
    kinds = {option.kind for option in declared.options}
    textual = next((option for option in declared.options if option.kind in _TEXTUAL), None)
    if textual is None or kinds & {Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.ANY}:
        return node.value
    return _read_scalar(node, textual, inline, path)


def _read_list(node: Sequence, declared: Property, inline: CompileInline, path: Path) -> Any:
    if declared.kind is Kind.CONFIRM:
        return inline(node, path)
    if declared.kind is Kind.UNION:
        return _read_option(node, declared, Kind.LIST, inline, path)
    if declared.kind is not Kind.LIST or declared.items is None:
        return plain(node)
    items = declared.items
    return [read(item, items, inline, (*path, index)) for index, item in enumerate(node.items)]


def _read_option(node: Node, declared: Property, kind: Kind, inline: CompileInline, path: Path) -> Any:
    fitting = next((option for option in declared.options if option.kind is kind), None)
    return plain(node) if fitting is None else read(node, fitting, inline, path)


def _read_record(node: Mapping, declared: Property, inline: CompileInline, path: Path) -> dict[str, Any]:
    known = {item.name: item for item in declared.record}
    return {
        key: read(item, known[key], inline, (*path, key)) if key in known else plain(item)
        for key, item in node.entries.items()
    }


def is_inline(text: str) -> bool:
    """Whether a text is a SWML document rather than the URL of one (swml.md 1.4)."""
    stripped = text.strip()
    return stripped.startswith("{") or ("\n" in stripped and _SECTIONS.search(stripped) is not None)


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
    wanted = shape.exactly_one or shape.at_least_one
    if not wanted:
        return
    given = [name for name in wanted if values.get(name) is not None]
    listed = ", ".join(f"`{name}`" for name in wanted)
    if not given:
        message = f"{shape.method}: one of {listed} is required"
        raise MethodError(codes.PARAMETER_MISSING, message, path=where, allowed=listed)
    if shape.exactly_one and len(given) > 1:
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
    if declared.pattern and re.fullmatch(declared.pattern, converted) is None:
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
    if declared.items is None:
        return value
    return {key: check_value(item, declared.items, method, (*path, key)) for key, item in value.items()}


def _record(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> dict[str, Any]:
    if declared.main is not None and isinstance(value, str):
        value = {declared.main: value}
    shape = Shape(method=method, properties=declared.record)
    return check(_map(value, declared, method, path), shape, where=path)


def _list(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(method, path, declared, value, codes.WRONG_TYPE)
    if declared.items is None or declared.lazy:
        return value
    return [check_value(item, declared.items, method, (*path, n)) for n, item in enumerate(value)]


def _confirm(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, Inline):
        return _sound(value, path)
    if not isinstance(value, str):
        raise invalid(method, path, declared, value, codes.WRONG_TYPE)
    return _url(value, declared, method, path)


def _document(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, Inline):
        return _sound(value, path)
    if not isinstance(value, str):
        raise invalid(method, path, declared, value, codes.WRONG_TYPE)
    return value if is_inline(value) else _url(value, declared, method, path)


def _sound(value: Inline, path: tuple[str | int, ...]) -> Inline:
    if value.fault is not None:
        fault = value.fault
        raise MethodError(fault.code, fault.message, path=path, found=fault.found, allowed=fault.allowed)
    return value


def _union(value: Any, declared: Property, method: str, path: tuple[str | int, ...]) -> Any:
    """What the first fitting option makes of it; the fault of the only option of its kind says most."""
    faults: list[MethodError] = []
    for option in declared.options:
        try:
            return check_value(value, option, method, path)
        except MethodError as error:
            faults.append(error)
    of_its_kind = [fault for fault in faults if fault.code != codes.WRONG_TYPE or len(fault.path) > len(path)]
    if len(of_its_kind) == 1:
        raise of_its_kind[0]
    raise invalid(method, path, declared, value, codes.PARAMETER_INVALID if of_its_kind else codes.WRONG_TYPE)


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
    Kind.CONFIRM: _confirm,
    Kind.DOCUMENT: _document,
    Kind.UNION: _union,
}
