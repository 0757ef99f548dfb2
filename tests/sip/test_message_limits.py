"""What is too large, and what a parser could be made to do for ever."""

from __future__ import annotations

import time

import pytest

from cordboard.sip.headers.typed import MAX_ADDRESSES
from cordboard.sip.message import (
    MAX_HEADER_LINES,
    MAX_LINE_LENGTH,
    MAX_MESSAGE_SIZE,
    MessageError,
    Request,
    parse,
)

HEAD = (
    b"OPTIONS sip:bob@192.0.2.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK776\r\n"
    b"From: <sip:alice@example.com>;tag=1928\r\n"
    b"To: <sip:bob@192.0.2.1>\r\n"
    b"Call-ID: a84b4c76\r\n"
    b"CSeq: 1 OPTIONS\r\n"
)
LINES = 5


def options(headers: bytes = b"", body: bytes = b"") -> bytes:
    return HEAD + headers + b"\r\n" + body


def verdict(data: bytes) -> int:
    """0 if accepted, else the code; never more than a twentieth of a second of processor time."""
    started = time.process_time()
    try:
        parse(data)
    except MessageError as error:
        return error.code
    finally:
        assert time.process_time() - started < 0.05
    return 0


def test_a_message_may_fill_a_datagram_and_no_more() -> None:
    room = MAX_MESSAGE_SIZE - len(options())
    assert verdict(options(body=b"x" * room)) == 0
    assert verdict(options(body=b"x" * (room + 1))) == 513


def test_there_may_be_so_many_header_lines_and_no_more() -> None:
    assert verdict(options(b"A: b\r\n" * (MAX_HEADER_LINES - LINES))) == 0
    assert verdict(options(b"A: b\r\n" * (MAX_HEADER_LINES - LINES + 1))) == 513


def test_too_many_header_lines_after_the_first_few_can_be_answered() -> None:
    with pytest.raises(MessageError) as caught:
        parse(options(b"A: b\r\n" * 10_000))
    assert isinstance(caught.value.partial, Request)
    assert len(caught.value.partial.headers) == MAX_HEADER_LINES


def test_a_header_may_be_so_long_and_no_longer() -> None:
    assert verdict(options(b"Subject: " + b"x" * (MAX_LINE_LENGTH - 9) + b"\r\n")) == 0
    assert verdict(options(b"Subject: " + b"x" * (MAX_LINE_LENGTH - 8) + b"\r\n")) == 513
    assert verdict(options(b"Subject: " + b"x" * (MAX_MESSAGE_SIZE - len(HEAD) - 13) + b"\r\n")) == 513


def test_folding_does_not_make_a_header_longer_than_allowed() -> None:
    assert verdict(options(b"Subject: x\r\n" + b" yyyyyyyy\r\n" * 200)) == 0
    assert verdict(options(b"Subject: x\r\n" + (b" " + b"y" * 4000 + b"\r\n") * 3)) == 513


@pytest.mark.parametrize("name", [b"Via", b"Contact", b"Route", b"Record-Route"])
def test_there_may_be_so_many_hops_and_no_more(name: bytes) -> None:
    hop = b"SIP/2.0/UDP h;branch=z9hG4bK1" if name == b"Via" else b"<sip:h;lr>"
    room = MAX_ADDRESSES - (name == b"Via")
    assert verdict(options((name + b": " + hop + b"\r\n") * room)) == 0
    assert verdict(options((name + b": " + hop + b"\r\n") * (room + 1))) == 513
    assert verdict(options(name + b": " + b", ".join([hop] * (room + 1)) + b"\r\n")) == 513


@pytest.mark.parametrize(
    "headers",
    [
        b"A:\r\n" * 10_000,
        b"Via: SIP/2.0/UDP h\r\n" * 3_000,
        (b"Via: " + b"SIP/2.0/UDP h," * 580 + b"SIP/2.0/UDP h\r\n") * 7,
        b"Record-Route: <sip:h>\r\n" * 1_000,
        b"X: " + b"x" * 65_000 + b"\r\n",
        b"X" * 65_000 + b":\r\n",
        b" " * 60_000 + b"\r\n",
        b"X: y\r\n" + b" \r\n" * 20_000,
        b"Contact: " + b'"' * 8_000 + b"\r\n",
        b"Contact: " + b"<" * 8_000 + b"\r\n",
        b"Contact: " + b'"\\' * 4_000 + b"\r\n",
        b"Contact: " + b"a " * 4_000 + b"\r\n",
        b"Contact: " + b"<sip:h>," * 1_000 + b'"\r\n',
        b"Contact: <sip:h>" + b" ;" * 4_000 + b"\r\n",
        b"Contact: <sip:h>" + b";a" * 4_000 + b"=\r\n",
        b"Contact: <sip:h>" + b"\t;\ta\t=\tb" * 900 + b'"\r\n',
        b"Contact: <sip:" + b";" * 4_000 + b">\r\n",
        b"Contact: <sip:" + b"a;b=" * 1_000 + b"@h>\r\n",
        b"Contact: <sip:" + b"%41" * 1_300 + b"@h>\r\n",
        b"Contact: <sip:h?" + b"&a=b" * 1_000 + b">\r\n",
        b"Contact: <tel:" + b";a" * 2_000 + b"?>\r\n",
        b"Content-Length: " + b"1" * 8_000 + b"\r\n",
        b"Max-Forwards: " + b"0" * 8_000 + b"\r\n",
        b"Route: " + b"," * 8_000 + b"\r\n",
    ],
    ids=lambda headers: repr(headers[:24]),
)
def test_hostile_headers_cost_little(headers: bytes) -> None:
    assert verdict(options(headers)) in (0, 400, 513)
    assert verdict(options(headers * (MAX_MESSAGE_SIZE // len(headers) or 1))[:MAX_MESSAGE_SIZE]) in (
        0,
        400,
        513,
    )
