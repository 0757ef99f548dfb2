"""The JSON Schema (draft 2020-12) of documents, made from the same table that checks them.

Where a number, a boolean, a choice or a URL is wanted, a placeholder may stand: what it will be is known when
the step runs.  A schema cannot say all that `lint` can.
"""

from __future__ import annotations

from typing import Any

from cordboard.swml.methods import ALL
from cordboard.swml.methods.method import Method
from cordboard.swml.properties import Kind, Property, Shape

DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_PLACEHOLDER: Schema = {"$ref": "#/$defs/placeholder"}
_STEPS: Schema = {"$ref": "#/$defs/steps"}
_ANY: Schema = {}
_CONDITION: Schema = {"type": ["string", "boolean", "number"]}
_WITH_ARGUMENTS_OF_THEIR_OWN: dict[str, Schema] = {
    "set": {"type": "object"},
    "unset": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "return": _ANY,
}
"""Methods whose argument is one value."""


def json_schema() -> Schema:
    """The schema of a whole document."""
    return {
        "$schema": DRAFT,
        "title": "SWML document",
        "type": "object",
        "required": ["sections"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": "1.0.0"},
            "sections": {
                "type": "object",
                "required": ["main"],
                "additionalProperties": {"anyOf": [_STEPS, {"type": "null"}]},
                "properties": {"main": {**_STEPS, "minItems": 1}},
            },
        },
        "$defs": _definitions(),
    }


def _definitions() -> Schema:
    steps = [{"$ref": f"#/$defs/{_key(name)}"} for name in ALL]
    bare = [name for name, method in ALL.items() if not _needs_argument(method)]
    return {
        "placeholder": {"type": "string", "pattern": r"[$%]\{[\s\S]*\}"},
        "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
        "step": {"oneOf": [*steps, {"enum": bare}]},
        "cases": {"type": "object", "additionalProperties": _STEPS},
        "branches": {"type": "array", "items": {"anyOf": [_branch(), _otherwise()]}},
        **{_key(name): _step(name, method) for name, method in ALL.items()},
    }


def _key(name: str) -> str:
    return f"step.{name}"


def _needs_argument(method: Method) -> bool:
    shape = method.shape
    if shape.method in ("set", "unset"):
        return True
    return bool(shape.exactly_one or shape.at_least_one) or any(item.required for item in shape.properties)


def _branch() -> Schema:
    properties = {"when": _CONDITION, "then": _STEPS, "else": _STEPS}
    return _object(properties, ["when", "then"])


def _otherwise() -> Schema:
    return _object({"else": _STEPS}, ["else"])


def _object(properties: Schema, required: list[str]) -> Schema:
    made: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**made, "required": required} if required else made


def _step(name: str, method: Method) -> Schema:
    made = _object({name: _argument(method)}, [name])
    return {**made, "description": method.shape.about} if method.shape.about else made


def _argument(method: Method) -> Schema:
    """The mapping of properties, and the shorter ways to write it."""
    shape = method.shape
    if shape.method in _WITH_ARGUMENTS_OF_THEIR_OWN:
        return _WITH_ARGUMENTS_OF_THEIR_OWN[shape.method]
    ways = [_mapping(shape)]
    for main in dict.fromkeys((shape.main, shape.main_list)):
        declared = shape.find(main) if main is not None else None
        if declared is not None:
            ways.append(_bare(declared))
    if not _needs_argument(method):
        ways.append({"type": "null"})
    return ways[0] if len(ways) == 1 else {"anyOf": ways}


def _bare(declared: Property) -> Schema:
    """A property that stands for the whole argument; a label is text also where it looks like a number."""
    return {key: item for key, item in _value(declared).items() if key not in ("description", "default")}


def _mapping(shape: Shape) -> Schema:
    properties = {item.name: _described(item) for item in shape.properties}
    made = _object(properties, [item.name for item in shape.properties if item.required])
    if shape.exactly_one:
        made["oneOf"] = [{"required": [name]} for name in shape.exactly_one]
    if shape.at_least_one:
        made["anyOf"] = [{"required": [name]} for name in shape.at_least_one]
    return made


def _described(declared: Property) -> Schema:
    made = dict(_value(declared))
    if declared.about:
        made["description"] = declared.about
    if declared.default is not None and declared.kind is not Kind.RESULT:
        made["default"] = declared.default
    return made


def _value(declared: Property) -> Schema:
    made: Schema = _MAKERS[declared.kind](declared)
    return made


def _open(schema: Schema) -> Schema:
    return {"anyOf": [schema, _PLACEHOLDER]}


def _string(declared: Property) -> Schema:
    if declared.enum:
        return _open({"enum": list(declared.enum)})
    if declared.pattern:
        return _open({"type": "string", "pattern": f"^(?:{declared.pattern})$"})
    return {"type": "string"}


def _url(_: Property) -> Schema:
    return _open({"type": "string", "pattern": "^\\s*[hH][tT][tT][pP][sS]?://"})


def _number(declared: Property) -> Schema:
    made: Schema = {"type": "integer" if declared.kind is Kind.INTEGER else "number"}
    if declared.minimum is not None:
        made["minimum"] = declared.minimum
    if declared.maximum is not None:
        made["maximum"] = declared.maximum
    return _open(made)


def _map(declared: Property) -> Schema:
    if declared.items is None:
        return _open({"type": "object"})
    return _open({"type": "object", "additionalProperties": _value(declared.items)})


def _list(declared: Property) -> Schema:
    if declared.items is None:
        return _open({"type": "array"})
    return _open({"type": "array", "items": _value(declared.items)})


def _record(declared: Property) -> Schema:
    properties = {item.name: _described(item) for item in declared.record}
    made = _object(properties, [item.name for item in declared.record if item.required])
    if declared.main is None:
        return made
    return {"anyOf": [made, {"type": "string"}]}


def _union(declared: Property) -> Schema:
    return {"anyOf": [_value(option) for option in declared.options]}


def _confirm(declared: Property) -> Schema:
    return {"anyOf": [_url(declared), _STEPS]}


def _document(_: Property) -> Schema:
    return {"type": "string", "minLength": 1}


def _result(_: Property) -> Schema:
    switch = {"variable": {"type": "string"}, "case": {"$ref": "#/$defs/cases"}, "default": _STEPS}
    return {"anyOf": [_object(switch, []), {"$ref": "#/$defs/branches"}]}


_MAKERS: dict[Kind, Any] = {
    Kind.STRING: _string,
    Kind.URL: _url,
    Kind.INTEGER: _number,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: lambda _: _open({"type": "boolean"}),
    Kind.ANY: lambda _: _ANY,
    Kind.MAP: _map,
    Kind.LIST: _list,
    Kind.RECORD: _record,
    Kind.STEPS: lambda _: _STEPS,
    Kind.CASES: lambda _: {"$ref": "#/$defs/cases"},
    Kind.BRANCHES: lambda _: {"$ref": "#/$defs/branches"},
    Kind.RESULT: _result,
    Kind.CONDITION: lambda _: _CONDITION,
    Kind.CONFIRM: _confirm,
    Kind.DOCUMENT: _document,
    Kind.UNION: _union,
}
