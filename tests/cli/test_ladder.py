"""The ladder: a line stays a line, whatever a message contains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.cli.ladder import MAX_DIALOGS, Ladder
from cordboard.cli.printing import printable
from cordboard.sip.endpoint import Endpoint

FAR = Endpoint("UDP", "192.0.2.7", 5070)
LONGEST = 160


ALICE = "<sip:alice@h>;tag=1"


class Screen:
    """A ladder, and what it has shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 100.0
        self.ladder = Ladder(self.lines.append, lambda: self.now)

    def shows(self, direction: str, data: bytes) -> str:
        before = len(self.lines)
        self.ladder.tap(direction, data, FAR)
        assert len(self.lines) == before + 1, "one message, one line"
        return self.lines[-1]


def invite(*, from_: str = ALICE, call_id: str = "c", uri: str = "sip:bob@h", body: str = "") -> bytes:
    return (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: {from_}\r\nTo: <sip:bob@h>\r\n"
        f"Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode("utf-8", "surrogateescape")


def response(status: int, reason: str, *, call_id: str = "c", to: str = "<sip:bob@h>;tag=2") -> bytes:
    return (
        f"SIP/2.0 {status} {reason}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:alice@h>;tag=1\r\n"
        f"To: {to}\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_a_call_reads_as_a_conversation(screen: Screen) -> None:
    assert screen.shows("received", invite(body="v=0")).split() == (
        ["0.000", "alice", "──▶", "cordboard", "INVITE", "sip:bob@h", "(SDP)"]
    )
    screen.now += 1.25
    assert screen.shows("sent", response(180, "Ringing")).split() == (
        ["1.250", "alice", "◀──", "cordboard", "180", "Ringing", "[INVITE]"]
    )
    assert "bob ◀── cordboard" in screen.shows("sent", invite(call_id="d"))
    assert "bob ──▶ cordboard" in screen.shows("received", response(200, "OK", call_id="d"))


def test_a_far_end_keeps_its_name_through_its_dialog(screen: Screen) -> None:
    screen.shows("received", invite())
    bye = (
        invite(from_="<sip:bob@h>;tag=2")
        .replace(b"INVITE", b"BYE")
        .replace(b"To: <sip:bob@h>", b"To: <sip:alice@h>")
    )
    assert "alice ◀── cordboard" in screen.shows("sent", bye)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\x00" * 50,
        b"INVITE sip:a SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        invite(from_="nonsense <"),
        invite(from_="<sip:a@[bad>"),
        invite().replace(b"1 INVITE", b"x INVITE"),
        invite().replace(b"Call-ID: c\r\n", b""),
        response(200, "OK").replace(b"1 INVITE", b"-5"),
        response(200, "OK", to="><"),
        b"A" * 65_000,
    ],
)
def test_what_is_no_sip_is_a_line_too(screen: Screen, data: bytes) -> None:
    for direction in ("received", "sent"):
        assert len(screen.shows(direction, data)) <= LONGEST


@pytest.mark.parametrize(
    "data",
    [
        invite(from_='"\x1b[2J\x1b]0;owned\x07" <sip:\udc80\udcff@h>;tag=1'),
        invite(uri="sip:%1b%5b31m@h"),
        invite(from_="<sip:%1B%5B2J%0A%0D@h>;tag=1"),
        invite(uri="sip:" + "x" * 3000 + "@h"),
        invite(call_id="i" * 4096),
        invite(from_="<sip:" + "\u202e" * 200 + "@h>;tag=1"),
        response(486, "\x1b[31mBusy\x07\x9b2J" + "y" * 3000),
    ],
)
def test_escape_sequences_and_long_texts_do_not_get_out_of_their_line(screen: Screen, data: bytes) -> None:
    line = screen.shows("received", data)
    assert line.isprintable()
    assert len(line) <= LONGEST
    line.encode()


def test_many_dialogs_do_not_grow_the_memory(screen: Screen) -> None:
    for number in range(MAX_DIALOGS + 20):
        screen.shows("received", invite(call_id=f"{number}" + "x" * 100, from_=f"<sip:{'u' * 500}@h>;tag=1"))
    assert len(screen.ladder._names) == MAX_DIALOGS
    assert all(len(name) <= 100 for name in screen.ladder._names.values())


@given(st.binary(max_size=300))
def test_any_bytes_make_one_printable_line(data: bytes) -> None:
    assert Screen().shows("received", data).isprintable()


@given(st.text(max_size=100), st.integers(min_value=2, max_value=50))
def test_printable_text_is_printable_and_short(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    if text.isprintable() and len(text) <= limit:
        assert shown == text


def test_what_is_cut_off_is_marked() -> None:
    assert printable("abcdef", 4) == "abc…"
    assert printable("a\x1bb", 20) == "a\\x1bb"
