"""Whatever bytes arrive, parse gives a message or a MessageError, and what it accepts can be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.sip.headers import HeaderError, NameAddr, Via, parse_name_addr
from cordboard.sip.headers.via import parse_via
from cordboard.sip.message import MessageError, Request, Response, parse

CORPUS = [path.read_bytes() for path in sorted((Path(__file__).parent / "torture").glob("*.sip"))]
SNIPPETS = [
    b"\r\n",
    b"\r\n ",
    b"\r",
    b"\n",
    b"\x00",
    b'"',
    b"<",
    b">",
    b";",
    b",",
    b":",
    b"%",
    b"@",
    b"\\",
    b"\xff",
]
SNIPPETS += [
    b"SIP/2.0",
    b"Via: ",
    b"v:",
    b"l: 5\r\n",
    b"\r\n\r\n",
    b" ",
    b"9" * 20,
    b"a" * 300,
    b"[::1]",
    b"=",
    b"*",
]


def use(message: Request | Response) -> None:
    """Reads and writes all there is; nothing of it may raise."""
    _ = (message.call_id, message.cseq, message.via, message.branch, message.sent_by, message.contact)
    _ = (message.from_.tag, message.to.tag, message.record_routes, message.routes, message.max_forwards)
    _ = (message.content_type, message.contact_is_wildcard, [str(via) for via in message.vias])
    _ = (str(message.from_), str(message.to), [str(contact) for contact in message.contacts])
    written = message.to_bytes()
    assert parse(written).to_bytes() == written
    if isinstance(message, Request):
        message.stamp_source("192.0.2.1", 5060)
        answer = parse(message.response(200, to_tag="ours").to_bytes())
        assert answer.via.received in (None, "192.0.2.1")
        assert answer.to.tag is not None


def refusal(data: bytes) -> MessageError | None:
    try:
        message = parse(data)
    except MessageError as error:
        return error
    use(message)
    return None


def try_it(data: bytes) -> None:
    error = refusal(data)
    if error is None:
        return
    assert 400 <= error.code <= 699
    if isinstance(error.partial, Request):
        _ = (error.partial.via, error.partial.branch, error.partial.call_id)
        assert error.partial.response(error.code, error.reason, to_tag="t").to_bytes()


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    try_it(data)


@given(st.lists(st.sampled_from(SNIPPETS) | st.binary(max_size=6), max_size=20).map(b"".join))
def test_any_headers(data: bytes) -> None:
    try_it(
        b"INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nTo: <sip:a>\r\nf: <sip:b>\r\n"
        b"i: 1\r\nCSeq: 1 INVITE\r\n"
        b"Contact: <sip:a>" + data + b"\r\n\r\n"
    )


@settings(max_examples=200)
@given(
    st.sampled_from(CORPUS),
    st.lists(
        st.tuples(st.integers(0, 1500), st.integers(0, 8), st.sampled_from(SNIPPETS) | st.binary(max_size=4)),
        min_size=1,
        max_size=4,
    ),
)
def test_any_change_of_a_real_message(data: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    for position, removed, inserted in changes:
        position %= len(data)
        data = data[:position] + inserted + data[position + removed :] or b" "
    try_it(data)


def outcome(data: bytes) -> object:
    """All that a reader can know of a message."""
    try:
        it = parse(data)
    except MessageError as error:
        return error.code, error.reason, error.partial is None
    start = (it.method, it.uri) if isinstance(it, Request) else (it.status, it.reason)
    typed = (it.call_id, it.cseq, it.vias, it.from_, it.to, it.contacts, it.record_routes, it.routes)
    rest = (it.max_forwards, it.content_type, [str(via) for via in it.vias], str(it.from_), str(it.to))
    return start, it.headers.items(), typed, rest, it.body


def same_outcome(data: bytes) -> None:
    # An empty line in front makes a message unusual, so that nothing remembered is used to read it.
    data = data.lstrip(b"\r\n")
    assert outcome(data) == outcome(b"\r\n" + data) == outcome(data)


@settings(max_examples=200)
@given(
    st.sampled_from(CORPUS),
    st.lists(
        st.tuples(st.integers(0, 1500), st.integers(0, 8), st.sampled_from(SNIPPETS) | st.binary(max_size=4)),
        max_size=3,
    ),
)
def test_what_is_remembered_reads_like_what_is_new(
    data: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    for position, removed, inserted in changes:
        position %= len(data)
        data = data[:position] + inserted + data[position + removed :] or b" "
    same_outcome(data)


PARTS = [";branch=", "z9hG4bKa", ";rport", ";RPORT", ";Branch=b", ";tag=", "x", ";", "=", '"', " ", ",", "<"]
PARTS += [">", "sip:a@b", "SIP/2.0/UDP ", "a:5060", "[::1]", ";received=1.2.3.4", '"a;tag=b" ', "\t", "@"]


@settings(max_examples=300)
@given(
    st.sampled_from(["SIP/2.0/UDP a", "sip:a@b", "<sip:a@b>", '"A" <sip:a', ""]),
    st.lists(st.sampled_from(PARTS), max_size=8).map("".join),
)
def test_a_branch_or_a_tag_anywhere_in_a_value_is_read_as_if_nothing_was_remembered(
    start: str, rest: str
) -> None:
    text = start + rest
    assert value(parse_via, text) == value(Via.parse, text)
    assert value(parse_name_addr, text) == value(NameAddr.parse, text)


def value(read: Callable[[str], Via | NameAddr], text: str) -> object:
    try:
        found = read(text)
    except HeaderError:
        return None
    return found, str(found)
