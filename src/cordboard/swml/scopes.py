"""The four scopes of a script, `call`, `params`, `vars` and `envs`, and how a name is found (swml.md 3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cordboard.call.actions import CallInfo
from cordboard.events.call_object import call_object
from cordboard.swml import codes
from cordboard.swml.expressions import PathPart
from cordboard.swml.limits import MAX_VALUE
from cordboard.swml.problems import MethodError
from cordboard.swml.values import size

_SCOPES = frozenset({"call", "params", "vars", "envs"})
_NAME = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_SEES_EVERYTHING = frozenset({"globalThis", "this", "eval", "Function"})
_DIRECT = {"from": "from_", "to": "to", "type": "type", "direction": "direction", "call_id": "call_id"}
_STATES = frozenset({"call_state", "state"})


class Variables:
    """`vars`: written by `set`, `unset` and the outputs of methods; bounded in total size."""

    __slots__ = ("_sizes", "_total", "values")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._total = 0
        for name, value in values.items():
            self.set(name, value)

    def set(self, name: str, value: Any, limit: int = MAX_VALUE) -> None:
        """Raises `MethodError` when all variables together would be larger than `limit`."""
        new = len(name) + size(value)
        total = self._total - self._sizes.get(name, 0) + new
        if total > limit:
            raise MethodError(codes.PARAMETER_INVALID, f"set: `{name[:80]}` makes the variables exceed 1 MiB")
        self._total = total
        self._sizes[name] = new
        self.values[name] = value

    def unset(self, name: str) -> None:
        self._total -= self._sizes.pop(name, 0)
        self.values.pop(name, None)


class Scopes:
    """Everything that a placeholder or an expression can see at one moment."""

    __slots__ = ("envs", "info", "params", "vars")

    def __init__(self, info: CallInfo, variables: Variables, envs: dict[str, Any], params: dict[str, Any]):
        self.info = info
        self.vars = variables
        self.envs = envs
        self.params = params

    def call(self) -> dict[str, Any]:
        """The `call` scope as plain data, with `state` beside `call_state`."""
        data = call_object(self.info)
        data["state"] = data["call_state"]
        if self.info.from_name:
            data["from_name"] = self.info.from_name
        return data

    def find(self, path: tuple[PathPart, ...]) -> tuple[bool, Any]:
        """Whether the path leads to a value, and the value."""
        first, rest = path[0], path[1:]
        if first in _SCOPES:
            if first == "call" and rest:
                return self._find_in_call(rest)
            return follow(self._scope(str(first)), rest)
        for values in (self.vars.values, self.envs):
            if first in values:
                return follow(values[str(first)], rest)
        return self._find_in_call(path)

    def lookup(self, path: tuple[PathPart, ...]) -> Any:
        """The value of a plain path; an empty string if there is none."""
        found, value = self.find(path)
        return value if found and value is not None else ""

    def bindings(self, expression: str) -> dict[str, Any]:
        """The global names that `expression` can use, limited to those it mentions."""
        names = set(_NAME.findall(expression))
        if names & _SEES_EVERYTHING:
            return {**self.call(), **self.envs, **self.vars.values, **self._all_scopes()}
        bound: dict[str, Any] = {}
        for name in names:
            if name in _SCOPES:
                bound[name] = self._scope(name)
            else:
                found, value = self.find((name,))
                if found:
                    bound[name] = value
        return bound

    def _all_scopes(self) -> dict[str, Any]:
        return {name: self._scope(name) for name in _SCOPES}

    def _scope(self, name: str) -> dict[str, Any]:
        if name == "call":
            return self.call()
        if name == "params":
            return self.params
        return dict(self.vars.values) if name == "vars" else self.envs

    def _find_in_call(self, path: tuple[PathPart, ...]) -> tuple[bool, Any]:
        name = path[0]
        if len(path) == 1:  # the common ones, without building the whole object
            if name in _STATES:
                return True, self.info.call_state
            if name in _DIRECT:
                return True, getattr(self.info, _DIRECT[str(name)])
        return follow(self.call(), path)


def follow(value: Any, path: tuple[PathPart, ...]) -> tuple[bool, Any]:
    """Where a path leads inside plain data.  A list of headers can be indexed by header name."""
    for part in path:
        if isinstance(value, dict):
            if str(part) not in value:
                return False, None
            value = value[str(part)]
        elif isinstance(value, list):
            found, value = _item(value, part)
            if not found:
                return False, None
        else:
            return False, None
    return True, value


def _item(items: list[Any], part: PathPart) -> tuple[bool, Any]:
    if isinstance(part, int) or (part.isdecimal() and len(part) < 10):
        index = int(part)
        return (True, items[index]) if index < len(items) else (False, None)
    for item in items:
        if isinstance(item, dict) and str(item.get("name", "")).lower() == part.lower() and "value" in item:
            return True, item["value"]
    return False, None
