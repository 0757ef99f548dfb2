"""How a mistake in what a program asks for is put into words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_SHOWN = 10**40
"""Longer numbers are not written out: Python refuses that for thousands of digits."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like `name`, or an empty string."""
    close = difflib.get_close_matches(name[:64], list(known), n=1, cutoff=0.6)
    return close[0] if close else ""


def shown(value: object, limit: int = 60) -> str:
    """A value as a short quotation for a message."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        short = value if len(value) <= limit else value[: limit - 1] + "…"
        return '"' + "".join(c if c.isprintable() else "�" for c in short) + '"'
    if isinstance(value, int) and not -MOST_SHOWN < value < MOST_SHOWN:
        return "a number of very many digits"
    return f"the number {str(value)[:limit]}" if not isinstance(value, float) else f"the number {value!r}"


def dotted(path: Iterable[str | int]) -> str:
    """`("serial", 1, "to")` as `serial[1].to`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
