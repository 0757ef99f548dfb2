"""Bodies → JSON bytes, whatever text they carry."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()
encode_readable = _encoder.encode
"""`encode` of what is known to be valid text; else UnicodeEncodeError."""
_SURROGATES = re.compile("[\ud800-\udfff]")


def encode(body: Any) -> bytes:
    """JSON of plain data or structs.  Text that is no valid UTF-8 loses only its bad bytes (to U+FFFD)."""
    try:
        return _encoder.encode(body)
    except UnicodeEncodeError:
        return _encoder.encode(_readable_tree(body))


def readable(text: str) -> str:
    """Text without lone surrogates, which neither JSON nor a store can hold."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _readable_tree(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _readable_tree(msgspec.structs.asdict(value))
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {_readable_tree(key): _readable_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_readable_tree(item) for item in value]
    return value
