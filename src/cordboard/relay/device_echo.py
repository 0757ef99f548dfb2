"""A device as its client wrote it, for the events about it: known members only, and never a password.

URLs lose theirs too: whoever reads the log of a client shall not be able to post to its service.
"""

from __future__ import annotations

import re
from typing import Any

from cordboard.call.addresses import without_userinfo
from cordboard.call.limits import MAX_HEADERS
from cordboard.relay.params import MAX_TEXT, Params

_URLS = ("call_state_url", "status_url")
_COMMON = ("timeout", "max_duration", "call_state_events", "status_events", *_URLS)
_NAMES = {
    "phone": ("from_number", "to_number", *_COMMON),
    "sip": (
        "from",
        "to",
        "from_name",
        "headers",
        "codecs",
        "webrtc_media",
        "session_timeout",
        "encryption",
        "username",
        *_COMMON,
    ),
}

_SIP_PASSWORD = re.compile(r"^(sips?:[^:@]*):[^@:;?/]*(?=@)", re.IGNORECASE)
_LARGEST = 2**53
"""Numbers up to here are the same in every program that reads JSON."""


def echo(kind: str, params: Params) -> dict[str, Any]:
    """`{type, params}`; members of a kind that no device has are left out."""
    kept = {name: _plain(params.raw(name)) for name in _NAMES[kind]}
    for name in _URLS:
        if isinstance(url := kept[name], str):
            kept[name] = without_userinfo(url)
    for name in ("from", "to"):
        if isinstance(uri := kept.get(name), str):
            kept[name] = _SIP_PASSWORD.sub(r"\1", uri)
    return {"type": kind, "params": {name: value for name, value in kept.items() if value is not None}}


def _plain(value: Any) -> Any:
    """What an event may hold: a scalar, a short list of texts, a list of headers; None for all else."""
    if isinstance(value, list):
        items = [_header(item) if isinstance(item, dict) else _scalar(item) for item in value[:MAX_HEADERS]]
        return [item for item in items if item is not None]
    return _scalar(value)


def _header(item: dict[str, Any]) -> dict[str, str] | None:
    name, value = _scalar(item.get("name")), _scalar(item.get("value"))
    return {"name": name, "value": value} if isinstance(name, str) and isinstance(value, str) else None


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else None
    is_number = isinstance(value, int | float) and abs(value) < _LARGEST
    return value if isinstance(value, bool) or is_number else None
