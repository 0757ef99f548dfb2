"""Ladders: which messages are kept of a call, and what is kept of a message."""

from __future__ import annotations

import pytest

from cordboard.server.sip_log import (
    MAX_MESSAGES,
    MAX_STRAY_BYTES,
    MAX_STRAYS,
    SipLog,
    SipNote,
    call_id_of,
    decode,
    shows_keys,
    trunks_of,
)
from cordboard.sip.endpoint import Endpoint

FAR = Endpoint("UDP", "192.0.2.1", 5060)
SDP = b"v=0\r\nm=audio 4000 RTP/AVP 0 101\r\na=crypto:1 X inline:secret\r\n"


def invite(call_id: str, body: bytes = b"") -> bytes:
    head = f"INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\nAuthorization: key"
    return head.encode() + b"\r\n\r\n" + body


def response(call_id: str, status: str, *more: str) -> bytes:
    lines = [f"SIP/2.0 {status}", f"Call-ID: {call_id}", "CSeq: 1 INVITE", *more, "", ""]
    return "\r\n".join(lines).encode()


class Kept:
    """What a log has saved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.saved: dict[int, list[SipNote]] = {}
        self.log = SipLog(self._save, lambda: self.now)

    def _save(self, number: int, ladder: bytes) -> None:
        self.saved[number] = decode(ladder)

    def finish(self, call_id: str) -> None:
        self.log.over(call_id)
        self.now += 2
        self.log.sweep()


def test_a_ladder_has_the_messages_from_before_the_call_was_known_to_after_its_end() -> None:
    kept = Kept()
    kept.log.note(False, invite("abc", SDP), FAR)
    kept.log.note(True, response("abc", "100 Trying"), FAR)
    kept.log.begin("a", "abc", 7)
    kept.log.note(True, response("abc", "486 Busy Here", "Reason: Q.850;cause=17"), FAR)
    kept.log.over("a")
    kept.log.sweep()
    assert kept.saved == {}
    kept.log.note(False, b"ACK sip:bob@example.com SIP/2.0\r\nCall-ID: abc\r\nCSeq: 1 ACK\r\n\r\n", FAR)
    kept.now += 1
    kept.log.sweep()
    where = "UDP 192.0.2.1:5060"
    media = "audio 4000 RTP/AVP 0 101; a=crypto"
    assert kept.saved == {
        7: [
            SipNote(1000.0, False, where, "INVITE sip:bob@example.com", media),
            SipNote(1000.0, True, where, "100 Trying [INVITE]"),
            SipNote(1000.0, True, where, "486 Busy Here [INVITE]", "Reason: Q.850;cause=17"),
            SipNote(1000.0, False, where, "ACK sip:bob@example.com"),
        ]
    }
    assert len(kept.log) == 0


@pytest.mark.parametrize("end", [b"\r\n", b""])
def test_a_ladder_says_what_a_notify_told_of_a_transfer(end: bytes) -> None:
    kept = Kept()
    kept.log.begin("a", "abc", 7)
    head = b"NOTIFY sip:bob@example.com SIP/2.0\r\nCall-ID: abc\r\nCSeq: 2 NOTIFY\r\n\r\n"
    kept.log.note(True, head + b"SIP/2.0 481 Call/Transaction Does Not Exist" + end, FAR)
    kept.finish("a")
    (note,) = kept.saved[7]
    assert (note.line, note.note) == ("NOTIFY sip:bob@example.com", "481 Call/Transaction Does Not Exist")


def test_nothing_secret_is_kept() -> None:
    kept = Kept()
    kept.log.begin("a", "abc", 1)
    kept.log.note(False, invite("abc", SDP), FAR)
    kept.finish("a")
    assert "secret" not in repr(kept.saved)
    assert "key" not in repr(kept.saved)


def test_dialogs_are_not_mixed() -> None:
    kept = Kept()
    for number, name in enumerate("ab"):
        kept.log.begin(name, name, number)
    kept.log.note(True, response("b", "180 Ringing"), FAR)
    kept.finish("a")
    kept.finish("b")
    assert [len(kept.saved[number]) for number in (0, 1)] == [0, 1]


def test_a_long_dialog_keeps_its_beginning_and_its_end() -> None:
    kept = Kept()
    kept.log.begin("a", "abc", 1)
    for number in range(MAX_MESSAGES + 50):
        kept.log.note(True, response("abc", f"18{number % 10} {number}"), FAR)
    kept.finish("a")
    lines = [note.line for note in kept.saved[1]]
    assert len(lines) == MAX_MESSAGES + 1
    assert lines[0] == "180 0 [INVITE]"
    assert lines[MAX_MESSAGES // 2] == "… 50 messages left out"
    assert lines[-1] == f"189 {MAX_MESSAGES + 49} [INVITE]"


def test_messages_of_no_call_are_forgotten() -> None:
    kept = Kept()
    for number in range(3 * MAX_STRAYS):
        kept.log.note(False, invite(str(number)), FAR)
    kept.log.begin("old", "0", 1)
    kept.log.begin("new", str(3 * MAX_STRAYS - 1), 2)
    kept.log.over("old")
    kept.log.over("new")
    kept.log.sweep(everything=True)
    assert [len(kept.saved[number]) for number in (1, 2)] == [0, 1]


def test_large_messages_of_no_call_are_forgotten_sooner() -> None:
    kept = Kept()
    most = MAX_STRAY_BYTES // 60_000
    for number in range(most + 1):
        kept.log.note(False, invite(str(number), bytes(60_000)), FAR)
    for number in range(most + 1):
        kept.log.begin(str(number), str(number), number)
        kept.log.over(str(number))
    kept.log.sweep(everything=True)
    assert [len(kept.saved[number]) for number in range(most + 1)] == [0] + [1] * most


@pytest.mark.parametrize(
    ("data", "call_id"),
    [
        (b"OPTIONS sip:a SIP/2.0\r\nCall-ID: x@y\r\n\r\n", b"x@y"),
        (b"OPTIONS sip:a SIP/2.0\r\ni:  x\r\n\r\n", b"x"),
        (b"OPTIONS sip:a SIP/2.0\r\nCALL-ID\t: x\r\n\r\n", b"x"),
        (b"OPTIONS sip:a SIP/2.0\r\nTo: x\r\n\r\ni: body", None),
        (b"\r\n\r\n", None),
        (b"", None),
        (b"\nCall-ID:", b""),
    ],
)
def test_the_call_id_is_found_however_it_is_spelt(data: bytes, call_id: bytes | None) -> None:
    assert call_id_of(data) == call_id


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe\r\nCall-ID: abc\r\n", b"\nCall-ID: abc", b"SIP/2.0 \r\ni: abc\r\n\r\nm="]
)
def test_no_message_stops_the_log(data: bytes) -> None:
    kept = Kept()
    kept.log.begin("a", "abc", 1)
    kept.log.note(False, data, FAR)
    kept.finish("a")
    assert len(kept.saved[1]) <= 1


def test_a_ladder_can_be_read_until_the_store_has_it() -> None:
    kept = Kept()
    kept.log.note(False, invite("d"), FAR)
    assert kept.log.notes("c", 7) == []
    kept.log.begin("c", "d", 7)
    assert [note.line for note in kept.log.notes("c", 7)] == ["INVITE sip:bob@example.com"]
    kept.log.over("c")
    kept.log.note(True, response("d", "200 OK"), FAR)
    assert [note.line for note in kept.log.notes("c", 7)][1:] == ["200 OK [INVITE]"]
    assert kept.log.notes("c", 8) == []
    kept.log.sweep(everything=True)
    assert kept.log.notes("c", 7) == []
    assert len(kept.saved[7]) == 2


def test_the_trunks_of_a_call_stand_between_its_messages_and_cannot_be_claimed() -> None:
    kept = Kept()
    kept.log.begin("a", "abc", 1)
    kept.log.goes_by("a", "one")
    kept.log.note(True, invite("abc"), FAR)
    kept.log.note(False, response("abc", "503 by the trunk false"), FAR)
    for name in ("two", "one"):
        kept.log.goes_by("a", name)
    kept.log.goes_by("unknown", "three")
    kept.finish("a")
    assert trunks_of(kept.saved[1]) == ["one", "two"]
    lines = [note.line for note in kept.saved[1]]
    assert lines[:2] == ["by the trunk one", "INVITE sip:bob@example.com"]


@pytest.mark.parametrize(
    ("transport", "answer", "shown"),
    [
        ("UDP", SDP, True),
        ("TCP", SDP, True),
        ("TLS", SDP, False),
        ("UDP", b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n", False),
    ],
)
def test_keys_that_could_be_read_on_their_way_are_noticed(transport: str, answer: bytes, shown: bool) -> None:
    """An offer that was answered without keys has none that are in use."""
    kept, there = Kept(), Endpoint(transport, "192.0.2.1", 5060)
    kept.log.begin("a", "abc", 1)
    kept.log.note(True, invite("abc", SDP), there)
    kept.log.note(False, response("abc", "200 OK") + answer, there)
    kept.finish("a")
    assert shows_keys(kept.saved[1]) is shown
