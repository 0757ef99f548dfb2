"""JSON-RPC messages: all that comes is read, refused with the code that the standard has, or ignored."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard import jsonrpc
from cordboard.jsonrpc import INVALID_REQUEST, PARSE_ERROR, Invalid, Request, Response

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def envelope(**fields: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", **fields})


def test_a_request_is_read() -> None:
    read = jsonrpc.parse(envelope(id="7", method="calling.answer", params={"call_id": "c"}))
    assert read == Request(id="7", method="calling.answer", params={"call_id": "c"})


def test_keys_that_are_not_known_do_no_harm() -> None:
    assert jsonrpc.parse(envelope(id=1, method="m", extra=[1])) == Request(id=1, method="m", params={})


def test_without_an_id_it_is_a_notification() -> None:
    read = jsonrpc.parse(envelope(method="m"))
    assert isinstance(read, Request)
    assert (read.id, read.is_notification) == (None, True)


def test_answers_are_read() -> None:
    assert jsonrpc.parse(envelope(id="e", result={})) == Response(id="e", result={})
    assert jsonrpc.parse(envelope(id="e", error={"code": 1})) == Response(id="e", error={"code": 1})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", PARSE_ERROR),
        ("nonsense", PARSE_ERROR),
        ('{"jsonrpc":"2.0"', PARSE_ERROR),
        (b"\xff\xfe", PARSE_ERROR),
        ('{"jsonrpc":"2.0","id":"1","id":"2","method":"m"}', PARSE_ERROR),
        ('{"jsonrpc":"2.0","id":"1","method":"m","params":{"a":{"b":1,"b":2}}}', PARSE_ERROR),
        ('{"jsonrpc":"2.0","id":"1","method":"m","params":{"a":NaN}}', PARSE_ERROR),
        ('{"jsonrpc":"2.0","id":"1","method":"m","params":{"a":-Infinity}}', PARSE_ERROR),
        ('{"jsonrpc":"2.0","id":"1","method":"\\ud800"}', PARSE_ERROR),
        ("1" * 5_000, PARSE_ERROR),
        ("[" * 100_000, PARSE_ERROR),
        ("[" * 66 + "]" * 66, PARSE_ERROR),
        ('"' + "x" * jsonrpc.MAX_SIZE + '"', INVALID_REQUEST),
        ("[]", INVALID_REQUEST),
        ('[{"jsonrpc":"2.0","id":"1","method":"m"}]', INVALID_REQUEST),
        ("null", INVALID_REQUEST),
        ('"text"', INVALID_REQUEST),
        ('{"id":"1","method":"m"}', INVALID_REQUEST),
        ('{"jsonrpc":2.0,"id":"1","method":"m"}', INVALID_REQUEST),
        (envelope(id="1"), INVALID_REQUEST),
        (envelope(id="1", method=7), INVALID_REQUEST),
        (envelope(id="1", method=""), INVALID_REQUEST),
        (envelope(id="1", method="m", params="text"), INVALID_REQUEST),
        (envelope(id=1.5, method="m"), INVALID_REQUEST),
        (envelope(id=True, method="m"), INVALID_REQUEST),
        (envelope(id={}, method="m"), INVALID_REQUEST),
        (envelope(id="1" * 257, method="m"), INVALID_REQUEST),
    ],
)
def test_what_is_no_message_is_refused_with_the_code_of_the_standard(text: str | bytes, code: int) -> None:
    read = jsonrpc.parse(text)
    assert isinstance(read, Invalid)
    assert read.code == code
    assert read.message.endswith(".")


def test_a_refusal_names_the_id_where_that_can_be_read() -> None:
    read = jsonrpc.parse(envelope(id="9", method=7))
    assert isinstance(read, Invalid)
    assert read.id == "9"
    unread = jsonrpc.parse("{")
    assert isinstance(unread, Invalid)
    assert json.loads(jsonrpc.error(unread.id, unread.code, unread.message))["id"] is None


@given(JSON, st.text(min_size=1, max_size=20), st.text(max_size=50))
def test_what_is_written_can_be_read(value: Any, method: str, id_: str) -> None:
    params = {"value": value}
    assert jsonrpc.parse(jsonrpc.request(id_, method, params)) == Request(
        id=id_, method=method, params=params
    )
    assert jsonrpc.parse(jsonrpc.result(id_, value)) == Response(id=id_, result=value)


def test_texts_that_are_no_unicode_are_written_all_the_same() -> None:
    written = jsonrpc.result("1", {"from": "sip:\ud800@host"})
    assert json.loads(written)["result"]["from"] == "sip:\ud800@host"


def test_very_many_keys_of_which_the_last_comes_twice_are_refused_at_once() -> None:
    """What took minutes, and held up all calls, before anybody was let in."""
    keys = "".join(f'"{n:x}":1,' for n in range(90_000))
    started = time.process_time()
    read = jsonrpc.parse("{" + keys + '"z":1,"z":2}')
    assert isinstance(read, Invalid)
    assert "'z' comes twice" in read.message
    assert time.process_time() - started < 5.0


@given(st.text() | st.binary())
def test_no_text_makes_it_raise(text: str | bytes) -> None:
    jsonrpc.parse(text)


@given(JSON)
def test_no_json_makes_it_raise(data: Any) -> None:
    jsonrpc.parse(json.dumps(data))
