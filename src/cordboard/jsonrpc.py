"""JSON-RPC 2.0, one object in one text message: read with limits, written fast.

What cannot be read is a value too (`Invalid`), with the error that answers it.  Batches are refused, keys
that are not known are ignored, keys that come twice are not: two readers might differ on which one counts.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

MAX_SIZE = 1 << 20
"""Characters of a message."""
MAX_DEPTH = 64
"""Objects and arrays within each other."""

Id = str | int | None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Something is wanted.  `id` is None for a notification, which is not answered."""

    id: Id
    method: str
    params: Any = None
    is_notification: bool = False

    def __repr__(self) -> str:
        """Params hold tokens and passwords."""
        return f"Request(id={self.id!r}, method={self.method!r}, ...)"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one of our requests."""

    id: Id
    result: Any = None
    error: Any = None


class Invalid(msgspec.Struct, frozen=True, kw_only=True):
    """No message: `error(id, code, message)` says so."""

    id: Id
    code: int
    message: str


def parse(text: str | bytes) -> Request | Response | Invalid:
    """One message.  Never raises."""
    if len(text) > MAX_SIZE:
        return Invalid(id=None, code=INVALID_REQUEST, message=f"The message is over {MAX_SIZE} characters.")
    try:
        text = text if isinstance(text, str) else text.decode()
        data = _decoder.decode(text)
        if not _is_harmless(text):
            _check(data)
    except _WrongError as wrong:
        return Invalid(id=None, code=PARSE_ERROR, message=f"Parse error: {wrong}.")
    except RecursionError:
        return Invalid(id=None, code=PARSE_ERROR, message="Parse error: the message is nested too deep.")
    except ValueError as error:
        return Invalid(id=None, code=PARSE_ERROR, message=f"Parse error: {_where(error)}.")
    return _message(data)


def request(id_: Id, method: str, params: Any) -> bytes:
    """A request as it is sent."""
    return _encode({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})


def result(id_: Id, value: Any) -> bytes:
    """The answer to a request that was carried out, or refused by its application."""
    return _encode({"jsonrpc": "2.0", "id": id_, "result": value})


def error(id_: Id, code: int, message: str) -> bytes:
    """The answer to what was no proper request."""
    return _encode({"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message}})


# -------------------------------------------------- reading


class _WrongError(Exception):
    """The text is JSON, and yet nothing that can be taken."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise _WrongError(f"the key {_twice(pairs)[:50]!r} comes twice in one object")
    return read


def _twice(pairs: list[tuple[str, Any]]) -> str:
    """In one pass: nobody is known yet who could have sent a million characters of keys."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    return key


def _no_number(name: str) -> NoReturn:
    raise _WrongError(f"{name} is no JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


def _is_harmless(text: str) -> bool:
    """So plain that nothing of what is looked for can be in it, as nearly every message is."""
    return text.isascii() and "\\u" not in text and text.count("{") + text.count("[") <= MAX_DEPTH


def _check(data: Any) -> None:
    """The depth, and that every text can be written again."""
    level, depth = [data], 0
    while level:
        if depth > MAX_DEPTH:
            raise _WrongError(f"the message is nested deeper than {MAX_DEPTH}")
        depth += 1
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value.values())
                for key in value:
                    _check_text(key)
            elif isinstance(value, list):
                inner.extend(value)
            elif isinstance(value, str):
                _check_text(value)
        level = inner


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _WrongError("a text holds half of a surrogate pair") from None


def _where(wrong: ValueError) -> str:
    if isinstance(wrong, json.JSONDecodeError):
        return f"{wrong.msg} at character {wrong.pos}"
    return "the text is no UTF-8" if isinstance(wrong, UnicodeDecodeError) else "a number is too long"


def _message(data: Any) -> Request | Response | Invalid:
    if isinstance(data, list):
        return _invalid(None, "batches are not taken; send one object in each message")
    if not isinstance(data, dict):
        return _invalid(None, "a message is one JSON object")
    id_ = data.get("id")
    if isinstance(id_, bool) or not isinstance(id_, str | int | None):
        return _invalid(None, "id must be a string or an integer")
    if isinstance(id_, str) and len(id_) > _LONGEST_ID:
        return _invalid(None, f"id is longer than {_LONGEST_ID} characters")
    if data.get("jsonrpc") != "2.0":
        return _invalid(id_, 'jsonrpc must be "2.0"')
    if "method" in data:
        return _request(id_, data)
    if "result" in data or "error" in data:
        return Response(id=id_, result=data.get("result"), error=data.get("error"))
    return _invalid(id_, "neither method nor result nor error is there")


_LONGEST_ID = 256


def _request(id_: Id, data: dict[str, Any]) -> Request | Invalid:
    method = data["method"]
    if not isinstance(method, str) or not method:
        return _invalid(id_, "method must be a string")
    params = data.get("params", {})
    if not isinstance(params, dict | list | None):
        return _invalid(id_, "params must be an object")
    return Request(id=id_, method=method, params=params, is_notification="id" not in data)


def _invalid(id_: Id, what: str) -> Invalid:
    return Invalid(id=id_, code=INVALID_REQUEST, message=f"Invalid request: {what}.")


# -------------------------------------------------- writing

_encoder = msgspec.json.Encoder()


def _encode(data: Any) -> bytes:
    """Texts of far ends may hold what is no Unicode; only that is replaced."""
    try:
        return _encoder.encode(data)
    except UnicodeEncodeError:
        return json.dumps(data).encode("ascii")
