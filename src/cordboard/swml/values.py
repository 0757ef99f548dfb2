"""Plain data as JavaScript sees it: text, truth, size (swml.md 3.2, 3.4)."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from cordboard.swml.limits import MAX_VALUE

_MEMBER = 64
_json = msgspec.json.Encoder()


def to_text(value: Any) -> str:
    """`String(value)` for scalars, JSON for lists and mappings, empty for null."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    return to_json(value)


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent):+d}" if exponent else mantissa


def to_json(value: Any) -> str:
    """Compact JSON."""
    return _json.encode(value).decode()


def truth(value: Any) -> bool:
    """JavaScript's truth: empty lists and mappings are true."""
    if isinstance(value, (list, dict)):
        return True
    return bool(value) and not (isinstance(value, float) and math.isnan(value))


def stringified(value: Any) -> Any:
    """`params` are passed as strings: every scalar inside becomes its text (swml.md 3.4)."""
    if isinstance(value, dict):
        return {key: stringified(item) for key, item in value.items()}
    if isinstance(value, list):
        return [stringified(item) for item in value]
    return to_text(value)


def size(value: Any, limit: int = MAX_VALUE) -> int:
    """Characters of a value, and 64 for each member; stops counting soon after `limit`."""
    if isinstance(value, str):
        return len(value) + 1
    total = 0
    stack = [value]
    while stack and total <= limit:
        item = stack.pop()
        total += _MEMBER
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, dict):
            total += sum(map(len, item))
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return total


def depth(value: Any, limit: int) -> int:
    """Levels of lists and mappings; stops counting soon after `limit`."""
    level, row = 0, _containers([value])
    while row and level <= limit:
        level += 1
        row = [inner for item in row for inner in _containers(item)]
    return level


def _containers(value: dict[str, Any] | list[Any]) -> list[Any]:
    items = value.values() if isinstance(value, dict) else value
    return [item for item in items if isinstance(item, (dict, list))]
