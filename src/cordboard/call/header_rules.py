"""What of a program's own may stand in the headers of an INVITE (swml.md 7.6, 7.7)."""

from __future__ import annotations

import re

_NAME = re.compile(r"[Xx]-[A-Za-z0-9!%*_+`'~.-]{1,128}\Z")
_VALUE = re.compile("[^\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]{0,4096}\\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")


def is_custom_header(name: str, value: str) -> bool:
    """Whether it is an X- header of one line."""
    return _NAME.match(name) is not None and _VALUE.match(value) is not None


def is_one_line(text: str) -> bool:
    """Whether it has no control characters."""
    return _CONTROL.search(text) is None


def one_line(text: str) -> str:
    """Control characters as spaces."""
    return _CONTROL.sub(" ", text).strip()
