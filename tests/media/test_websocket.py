"""The client's side of RFC 6455: what is sent byte by byte, and what a server may do to it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.media import websocket
from cordboard.media.websocket import Closed, Receiver, WebSocketError, read_answer

KEY = b"the sample nonce"
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
"""Of RFC 6455 1.3."""


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """As a server sends it."""
    first = bytes((0x80 * fin | opcode,))
    if len(payload) < 126:
        return first + bytes((len(payload),)) + payload
    if len(payload) < 1 << 16:
        return first + struct.pack("!BH", 126, len(payload)) + payload
    return first + struct.pack("!BQ", 127, len(payload)) + payload


def test_the_key_is_answered_as_in_the_rfc() -> None:
    assert websocket.accept(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_the_handshake_is_one_request() -> None:
    request = websocket.handshake(host="example.com:8080", path="/a?b=c", key=KEY, authorization="Basic eDp5")
    lines = request.decode().split("\r\n")
    assert lines[0] == "GET /a?b=c HTTP/1.1"
    assert "Host: example.com:8080" in lines
    assert "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" in lines
    assert "Authorization: Basic eDp5" in lines
    assert lines[-2:] == ["", ""]


@pytest.mark.parametrize(
    "fields",
    [{"path": "/\r\nX: y"}, {"host": "a\nb"}, {"path": "/a b"}, {"authorization": "a\r\nb"}, {"host": "ä"}],
)
def test_nothing_can_be_smuggled_into_it(fields: dict[str, str]) -> None:
    values = {"host": "example.com", "path": "/", "authorization": "", **fields}
    with pytest.raises(ValueError, match="not a URL"):
        websocket.handshake(key=KEY, **values)


def test_the_answer_is_read_once_it_is_whole() -> None:
    for cut in range(len(ANSWER)):
        assert read_answer(ANSWER[:cut], KEY) is None
    assert read_answer(ANSWER + b"\x81\x00", KEY) == len(ANSWER)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "answered 401"),
        (b"HTTP/1.1 301 Moved\r\nLocation: ws://a/\r\n\r\n", "answered 301"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "answered 200"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 1O1 x\r\n\r\n", "not HTTP"),
        (b"x" * 20_000, "not HTTP"),
        (ANSWER.replace(b"s3pP", b"XXXX"), "not as a WebSocket server"),
        (ANSWER.replace(b"Upgrade: websocket", b"Upgrade: h2c"), "not as a WebSocket server"),
        (ANSWER[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "not offered"),
    ],
)
def test_another_answer_is_refused_with_the_reason(answer: bytes, words: str) -> None:
    with pytest.raises(WebSocketError, match=words):
        read_answer(answer, KEY)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 160, 65_535, 65_536])
def test_messages_are_masked_and_can_be_unmasked(size: int) -> None:
    payload = bytes(n % 251 for n in range(size))
    sent = websocket.binary(payload, 0x12345678)
    more = {126: 2, 127: 8}.get(sent[1] & 0x7F, 0)
    assert sent[0] == 0x82
    assert sent[1] & 0x80
    length = int.from_bytes(sent[2 : 2 + more], "big") if more else sent[1] & 0x7F
    key, masked = sent[2 + more : 6 + more], sent[6 + more :]
    assert (length, key) == (size, b"\x12\x34\x56\x78")
    assert bytes(byte ^ key[at % 4] for at, byte in enumerate(masked)) == payload


def test_pings_are_answered_and_everything_else_is_skipped() -> None:
    sent = (
        frame(0x1, b"hello") + frame(0x9, b"one") + frame(0x2, b"x" * 70_000) + frame(0xA)
        + frame(0x2, b"a", fin=False) + frame(0x9, b"two") + frame(0x0, b"b")
    )  # fmt: skip
    assert Receiver().feed(sent) == [b"one", b"two"]


@pytest.mark.parametrize(
    ("payload", "closed"),
    [(b"", Closed(0, "")), (b"\x03\xe8", Closed(1000, "")), (b"\x03\xf0why\xff", Closed(1008, "why\ufffd"))],
)
def test_the_end_comes_with_its_reason(payload: bytes, closed: Closed) -> None:
    assert Receiver().feed(frame(0x8, payload) + b"after the end") == [closed]


@pytest.mark.parametrize(
    "bad",
    [
        b"\x81\x80\x00\x00\x00\x00", b"\xc1\x00", b"\x83\x00", b"\x8b\x00", b"\x09\x00", b"\x89\x7e\x00\x80",
        frame(0x0), frame(0x1, fin=False) + frame(0x1), b"\x82\x7f" + b"\xff" * 8,
    ],
    ids=["masked", "reserved bit", "opcode 3", "opcode 11", "ping in pieces", "long ping", "continues",
         "not continued", "endless"],
)  # fmt: skip
def test_a_server_that_breaks_the_rules_is_left(bad: bytes) -> None:
    with pytest.raises(WebSocketError):
        Receiver().feed(bad)


FRAMES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from((0x1, 0x2)), st.binary(max_size=300)),
        st.tuples(st.sampled_from((0x9, 0xA)), st.binary(max_size=125)),
    ),
    max_size=20,
)


@given(FRAMES, st.lists(st.integers(1, 50), max_size=200))
def test_the_pieces_in_which_bytes_arrive_make_no_difference(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(frame(*one) for one in frames)
    receiver, events, at = Receiver(), [], 0
    for size in [*cuts, len(data)]:
        events += receiver.feed(data[at : at + size])
        at += size
    assert events == [payload for opcode, payload in frames if opcode == 0x9]


@given(st.binary(max_size=500))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        assert len(Receiver().feed(data)) <= len(data)
        read_answer(data, KEY)
    except WebSocketError:
        pass
