"""Messages cut from a stream: any split gives the same ones, and they end where the parser says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.sip.framer import FramingError, KeepAlive, StreamFramer
from cordboard.sip.message import MAX_MESSAGE_SIZE, MessageError, Request, Response, parse

PING, PONG = KeepAlive.PING, KeepAlive.PONG
CORPUS = [path.read_bytes() for path in sorted((Path(__file__).parent / "torture").glob("*.sip"))]
HEAD = (
    "OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1\r\n"
    "From: <sip:a@x>;tag=1\r\nTo: <sip:b@y>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
)


def message(length: str = "Content-Length: 0\r\n", body: str = "", extra: str = "") -> bytes:
    return f"{HEAD}{extra}{length}\r\n{body}".encode()


def whole(body: str) -> bytes:
    return message(f"Content-Length: {len(body.encode())}\r\n", body)


def frames(data: bytes) -> list[bytes | KeepAlive]:
    return list(StreamFramer().feed(data))


def until_fault(framer: StreamFramer, data: bytes) -> list[bytes | KeepAlive]:
    """What comes before the FramingError."""
    items = []
    try:
        for item in framer.feed(data):
            items.append(item)
    except FramingError:
        return items
    raise AssertionError("no FramingError")


def fed_in_pieces(data: bytes, cuts: list[int]) -> list[bytes | KeepAlive]:
    framer, before = StreamFramer(), 0
    items: list[bytes | KeepAlive] = []
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        items += framer.feed(data[before:cut])
        before = cut
    return items


# ------------------------------------------------------------------ what is a message


BODIES = st.text("v=0\r\nINVITE sip: Content-Length: 5\x00é", max_size=60)


@given(st.lists(BODIES, max_size=6), st.lists(st.integers(0, 5000), max_size=12))
def test_messages_come_out_as_they_went_in_however_they_were_split(
    bodies: list[str], cuts: list[int]
) -> None:
    messages = [whole(body) for body in bodies]
    assert fed_in_pieces(b"".join(messages), cuts) == messages


@given(st.lists(st.sampled_from(["one", "two", "ping", "stray"]), max_size=8), st.lists(st.integers(0, 5000)))
def test_keep_alives_between_messages_are_found_however_they_were_split(
    kinds: list[str], cuts: list[int]
) -> None:
    pieces = {"one": whole("v=0"), "two": whole(""), "ping": b"\r\n\r\n", "stray": b"\r\n"}
    data = b"".join(pieces[kind] for kind in kinds)
    assert fed_in_pieces(data, cuts) == frames(data)
    assert [item for item in frames(data) if isinstance(item, bytes)] == [
        pieces[kind] for kind in kinds if kind in ("one", "two")
    ]


@settings(max_examples=200)
@given(st.sampled_from(CORPUS), st.lists(st.integers(0, 5000), max_size=4), st.binary(max_size=40))
def test_a_frame_ends_where_the_parser_ends_the_body(data: bytes, cuts: list[int], more: bytes) -> None:
    """The parser reads the stream from the frame's first byte to the end as the same message."""
    framer = StreamFramer()
    try:
        first = next(framer.feed(data + more), None)
    except FramingError:
        return
    if not isinstance(first, bytes):
        return
    assert (data + more).startswith(first)
    try:
        alone, ahead = parse(first), parse(data + more)
    except MessageError:
        return
    assert (alone.to_bytes(), alone.body) == (ahead.to_bytes(), ahead.body)
    assert first.endswith(b"\r\n\r\n" + alone.body)


GARBAGE = st.lists(
    st.sampled_from(
        [
            b"\r\n",
            b"\r",
            b"\n",
            b"\r\n\r\n",
            b"l: 3\r\n",
            b"Content-Length: 1\r\n",
            b"SIP/2.0 200 OK\r\n",
            HEAD.encode(),
        ]
    )
    | st.binary(max_size=30),
    max_size=20,
)


@settings(max_examples=300)
@given(GARBAGE, st.lists(st.integers(0, 5000), max_size=8))
def test_garbage_gives_frames_or_a_framing_error_and_the_split_does_not_matter(
    pieces: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(pieces)
    framer, items, before, failed = StreamFramer(), [], 0, False
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        try:
            for item in framer.feed(data[before:cut]):
                items.append(item)
        except FramingError:
            failed = True
            break
        before = cut
    together, whole_failed = [], False
    try:
        for item in StreamFramer().feed(data):
            together.append(item)
    except FramingError:
        whole_failed = True
    assert (items, failed) == (together, whole_failed)


# ------------------------------------------------------------------ keep-alives


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\r\n", [PONG]),
        (b"\r\n\r\n", [PONG, PING]),
        (b"\r\n\r\n\r\n\r\n", [PONG, PING, PONG, PING]),
        (b"\r\n" + whole("") + b"\r\n", [PONG, whole(""), PONG]),
    ],
)
def test_two_line_breaks_are_a_ping_and_one_is_a_pong(data: bytes, expected: list[bytes | KeepAlive]) -> None:
    assert frames(data) == expected


def test_a_message_has_begun_when_anything_but_a_keep_alive_waits() -> None:
    framer = StreamFramer()
    states = []
    for piece in (b"\r", b"\n", HEAD.encode(), b"Content-Length: 1\r\n\r\n", b"x"):
        list(framer.feed(piece))
        states.append(framer.begun)
    assert states == [False, False, True, True, False]


# ------------------------------------------------------------------ what ends the connection


@pytest.mark.parametrize(
    ("id_", "data"),
    [
        ("missing", message("")),
        ("3", message("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd")),
        ("3", message("Content-Length: 3\r\nl: 4\r\n", "abcd")),
        ("3", message("Content-Length: -1\r\n")),
        ("3", message("Content-Length: 1000000000000\r\n")),
        ("3", message("Content-Length: 65536\r\n")),
        ("3", message("Content-Length: 65535\r\n")),
        ("no number", message("Content-Length: 0x10\r\n")),
        ("empty", message("Content-Length:\r\n")),
        ("list", message("Content-Length: 3, 3\r\n", "abc")),
        ("folded", message("Content-Length: 1\r\n 2\r\n", "abc")),
        ("2", message(extra="Subject: a\rb\r\n")),
        ("2", message(extra="Subject: a\nContent-Length: 7\r\n")),
        ("2", b"\n" + message()),
        ("2", b"\r\r\n" + message()),
        ("5", message(extra=f"Subject: {'a' * 9000}\r\n")),
        ("5", message(extra="X: y\r\n" * 10_000)),
        ("5", b"a" * 70_000),
    ],
)
def test_what_does_not_say_where_it_ends_ends_the_connection(id_: str, data: bytes) -> None:
    framer = StreamFramer()
    with pytest.raises(FramingError):
        list(framer.feed(data))
    with pytest.raises(FramingError):
        list(framer.feed(whole("")))


def test_the_error_brings_the_answer_to_a_request() -> None:
    with pytest.raises(FramingError) as caught:
        frames(message("Content-Length: -1\r\n"))
    data = caught.value.response()
    assert data is not None
    answer = parse(data)
    assert isinstance(answer, Response)
    assert (answer.status, answer.branch, answer.cseq.method) == (400, "z9hG4bK1", "OPTIONS")
    assert answer.to.tag


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP h\r\n\r\n",
        message("").replace(b"OPTIONS", b"ACK"),
        b"\x16\x03\x01\x00\xa5" + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_no_answer(data: bytes) -> None:
    with pytest.raises(FramingError) as caught:
        frames(data)
    assert caught.value.response() is None


def test_what_came_before_the_fault_is_handed_on() -> None:
    data = whole("a") + whole("") + message("")
    assert until_fault(StreamFramer(), data) == [whole("a"), whole("")]


def test_the_same_length_twice_is_no_fault() -> None:
    data = message("Content-Length: 3\r\nl: 3\r\n", "abc")
    assert frames(data) == [data]


def test_a_malformed_message_of_known_length_is_handed_on_and_the_next_one_found() -> None:
    bad = message("Content-Length: 2\r\n", "ab").replace(b"CSeq: 1", b"CSeq: x")
    assert frames(bad + whole("v")) == [bad, whole("v")]
    with pytest.raises(MessageError):
        parse(bad)


def test_no_more_than_one_message_is_ever_kept() -> None:
    framer = StreamFramer()
    largest = MAX_MESSAGE_SIZE - len(message("Content-Length: 60000\r\n"))
    data = message("Content-Length: 60000\r\n", "x" * 60_000)
    assert largest > 60_000
    for start in range(0, len(data) - 1, 1000):
        assert list(framer.feed(data[start : min(start + 1000, len(data) - 1)])) == []
    (found,) = framer.feed(data[-1:])
    assert isinstance(found, bytes)
    request = parse(found)
    assert isinstance(request, Request)
    assert len(request.body) == 60_000
    for _ in range(65):
        assert list(framer.feed(b"a" * 1000)) == []
    assert until_fault(framer, b"a" * 1000) == []
