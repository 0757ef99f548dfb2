"""What a stack has to survive, each with the number of its case: hostile and unlucky peers."""

from __future__ import annotations

import time

import pytest

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import (
    InviteReceived,
    Refused,
    ReinviteReceived,
    RequestReceived,
    SendMessage,
    SessionEnded,
)
from cordboard.sip.headers.contacts import by_preference
from cordboard.sip.message import Request
from cordboard.sip.stack import SipStack
from cordboard.testing.raw_peer import RawPeer
from cordboard.testing.stack_pair import ALICE, ANSWER, BOB, OFFER, StackPair
from cordboard.testing.wire import Wire

from .raw_call import RawCall

LOCAL = Endpoint("UDP", "127.0.0.2", 5060)
SOURCE = Endpoint("UDP", "192.0.2.9", 6543)


def make() -> SipStack:
    serial = iter(range(1, 1_000_000))
    return SipStack(local=LOCAL, token=lambda: f"{next(serial):08x}")


def text(
    method: str = "INVITE", *, extra: str = "", length: str = "Content-Length: 0\r\n", body: str = ""
) -> bytes:
    return (
        f"{method} sip:bob@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5099;branch=z9hG4bK1;rport\r\n"
        f"From: <sip:a@x>;tag=1\r\nTo: <sip:bob@127.0.0.2>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n"
        f"Contact: <sip:a@192.0.2.9>\r\n{extra}{length}\r\n{body}"
    ).encode()


COMPACT = (
    b"INVITE sip:bob@127.0.0.2 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.9:5099\r\n ;branch=z9hG4bK1\r\n"
    b"f: <sip:a@x>;tag=1\r\nt: \r\n <sip:bob@127.0.0.2>\r\ni: c\r\ncSeQ: 1\tINVITE\r\n"
    b"m: <sip:a@192.0.2.9>\r\nl: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("id_", "data", "status"),
    [
        ("2", text(extra="Subject: a\rb\r\n"), None),
        ("2", text(extra="Subject: a\nb: c\r\n"), None),
        ("3", text(length="Content-Length: 3\r\nContent-Length: 4\r\n", body="abcd"), 400),
        ("3", text(length="Content-Length: 9\r\n", body="abcd"), 400),
        ("3", text(length="Content-Length: -1\r\n"), 400),
        ("3", text(length="Content-Length: 1000000000000\r\n"), 400),
        ("4", text(extra="Subject : a\r\nX-A\t: b\r\n"), 100),
        ("4", text(extra="Subject\x00: a\r\n"), 400),
        ("4", text(extra="Subject\x01: a\r\n"), 400),
        ("4", text(extra="Subject\x0b: a\r\n"), 400),
        ("5", text(extra=f"Subject: {'a' * 60_000}\r\n"), 513),
        ("5", text(extra="X: y\r\n" * 5000), 513),
        ("5", text(extra="Via: SIP/2.0/UDP h;branch=z9\r\n" * 1000), 513),
        ("5", text(extra="Record-Route: <sip:h;lr>\r\n" * 1000), 513),
        ("5", text(extra=f"Record-Route: {','.join(['<sip:h;lr>'] * 500)}\r\n"), 513),
        ("8", text(extra="Max-Forwards: 0\r\n"), 483),
        ("11", text("invite"), 405),
        ("11", text("NOSUCH"), 405),
        ("11", COMPACT, 100),
        ("100rel and timer", text(extra="Require: 100rel, timer\r\n"), 100),
        ("unknown extension", text(extra="Require: 100rel, teleport\r\n"), 420),
    ],
)
def test_what_is_malformed_or_too_much_is_refused_at_once(id_: str, data: bytes, status: int | None) -> None:
    stack = make()
    began = time.process_time()
    outputs = stack.receive(data, SOURCE, 0)
    assert time.process_time() - began < 0.05
    replies = [int(output.data.split()[1]) for output in outputs if isinstance(output, SendMessage)]
    assert replies == ([status] if status else [])
    assert stack.defects == 0
    options = stack.receive(text("OPTIONS").replace(b"K1", b"K2"), SOURCE, 0)
    assert isinstance(options[0], SendMessage)


def test_8_a_request_that_comes_back_to_us_by_another_way_gets_482() -> None:
    stack = make()
    stack.receive(text(), SOURCE, 0)
    (output,) = stack.receive(text().replace(b"K1", b"K2"), SOURCE, 0)
    assert isinstance(output, SendMessage)
    assert output.data.startswith(b"SIP/2.0 482")


# ------------------------------------------------------------------ responses and cancellation


class Caller(RawCall):
    """Alice calls the raw peer."""

    def answers(self, status: int, request: Request | None = None, tag: str = "b") -> None:
        self.bob.answer(request or self.invite, ALICE, status, tag=tag)
        self.wire.run(0)

    @property
    def ends(self) -> list[tuple[float, str]]:
        return [(when, e.cause) for when, _, e in self.wire.events if isinstance(e, SessionEnded)]


@pytest.mark.parametrize(
    ("id_", "change"),
    [
        ("12 other branch", (b"branch=z9hG4bK", b"branch=z9hG4bKx")),
        ("12 wrong CSeq", (b"CSeq: 1 INVITE", b"CSeq: 2 INVITE")),
        ("12 wrong method", (b"CSeq: 1 INVITE", b"CSeq: 1 BYE")),
    ],
)
def test_12_a_response_to_nothing_is_counted_and_changes_nothing(
    id_: str, change: tuple[bytes, bytes]
) -> None:
    call = Caller()
    data = call.invite.response(200, to_tag="b").to_bytes().replace(*change)
    call.bob.send(ALICE, data)
    call.wire.run(0)
    assert call.alice.ignored == 1
    assert call.wire.events == []


def test_15_a_cancel_before_any_response_is_held_and_given_up_after_64_t1() -> None:
    call = Caller()
    call.wire.put(ALICE, call.alice.cancel(call.session, now=0))
    call.wire.run_until_quiet()
    assert "CANCEL" not in call.bob.methods
    assert call.ends == [(32.0, "cancelled")]


def test_16_a_peer_that_never_sends_487_is_given_up_after_64_t1() -> None:
    call = Caller()
    call.answers(180)
    call.wire.put(ALICE, call.alice.cancel(call.session, now=0))
    call.wire.run(0)
    call.answers(200, call.bob.last("CANCEL"))
    call.wire.run_until_quiet()
    assert call.ends == [(32.0, "cancelled")]
    assert not any(call.alice.counts().values())


def test_23_forks_that_ring_are_told_apart_and_the_one_that_answers_stays() -> None:
    call = Caller()
    for tag in ("b", "c", "d"):
        call.answers(183, tag=tag)
    call.answers(200, tag="c")
    call.answers(200, tag="d")
    assert call.alice.counts()["dialogs"] == 1
    assert [(r.method, r.to.tag) for r in call.bob.requests[1:]] == [("ACK", "c"), ("ACK", "d"), ("BYE", "d")]


def test_a_redirection_names_its_targets_in_the_order_of_preference() -> None:
    call = Caller()
    contacts = (
        ("Contact", "<sip:last@h>;q=0.1, <sip:bad@h>;q=x, <sip:first@h>"),
        ("Contact", "<sip:second@h>;q=0.75, <sip:third@h>;q=0.7"),
    )
    response = call.invite.response(302, to_tag="b", headers=contacts)
    call.bob.send(ALICE, response.to_bytes())
    call.wire.run(0)
    (refused,) = [e for _, _, e in call.wire.events if isinstance(e, Refused)]
    assert refused.response is not None
    users = [contact.uri.user for contact in by_preference(refused.response.contacts)]
    assert users == ["first", "second", "third", "last", "bad"]


# ------------------------------------------------------------------ inside a dialog


@pytest.mark.parametrize("body", [b"", OFFER])
def test_20_a_reinvite_after_our_bye_gets_481(body: bytes) -> None:
    pair = StackPair()
    calling, called = pair.connect()
    pair.wire.drop = lambda datagram: datagram.data.startswith(b"BYE")
    pair.wire.put(ALICE, pair.alice.bye(calling, now=pair.now))
    pair.wire.put(BOB, pair.bob.reinvite(called, body, pair.now))
    pair.wire.run(0)
    assert pair.first_lines(ALICE)[-1] == "481"
    assert not [e for e in pair.events(ALICE) if isinstance(e, ReinviteReceived)]


def test_20_a_reinvite_without_a_description_brings_the_answer_with_the_ack() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, b"", pair.now))
    pair.wire.run(0)
    (event,) = [e for e in pair.events(BOB) if isinstance(e, ReinviteReceived)]
    assert event.request.body == b""
    pair.wire.put(BOB, pair.bob.respond(event.transaction, 200, body=OFFER, now=pair.now))
    pair.wire.run(1)
    assert pair.first_lines(ALICE)[-1] == "ACK"


@pytest.mark.parametrize("method", ["INFO", "UPDATE", "REFER", "NOTIFY"])
def test_21_what_may_be_asked_inside_a_dialog_is_handed_up_and_answered_once(method: str) -> None:
    pair = StackPair()
    calling, called = pair.connect()
    headers = [("Refer-To", "<sip:carol@h>"), ("Referred-By", "<sip:alice@h>")]
    pair.wire.put(ALICE, pair.alice.request(calling, method, headers=headers, now=0))
    pair.wire.run(0)
    (event,) = [e for e in pair.events(BOB) if isinstance(e, RequestReceived)]
    assert (event.session, event.request.method) == (called, method)
    assert event.request.headers.get("Refer-To") == "<sip:carol@h>"
    pair.wire.put(BOB, pair.bob.respond(event.transaction, 202, now=0))
    pair.wire.run(1)
    assert pair.first_lines(BOB)[-1] == "202"
    pair.wire.put(ALICE, pair.alice.bye(calling, now=pair.now))
    pair.wire.run_until_quiet()
    assert pair.at_rest()


def test_21_bye_while_a_refer_waits_answers_it_with_487() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.request(calling, "REFER", now=0))
    pair.wire.run(0)
    pair.wire.put(ALICE, pair.alice.bye(calling, now=0))
    pair.wire.run_until_quiet()
    assert "487" in pair.first_lines(BOB)
    assert pair.at_rest()


def test_a_dialog_is_found_by_what_a_replaces_header_says() -> None:
    pair = StackPair()
    calling, called = pair.connect()
    (offered,) = [e.request for e in pair.events(BOB) if isinstance(e, InviteReceived)]
    ids = (offered.call_id, called, calling)
    assert pair.bob.find_dialog(*ids) == called
    assert pair.bob.find_dialog(offered.call_id, calling, called) is None
    assert pair.bob.find_dialog("other", called, calling) is None
    pair.wire.put(BOB, pair.bob.bye(called, now=0))
    assert pair.bob.find_dialog(*ids) is None


def test_26_a_repeated_invite_after_the_200_gets_that_again_and_makes_no_second_call() -> None:
    wire = Wire()
    serial = iter(range(1, 10_000))
    bob = SipStack(local=BOB, token=lambda: f"{next(serial):08x}")
    wire.attach(bob, BOB)
    peer = RawPeer(wire, ALICE)
    peer.request("INVITE", BOB, branch="z9hG4bK1", body=OFFER)
    wire.run(0)
    (event,) = [e for _, _, e in wire.events if isinstance(e, InviteReceived)]
    wire.put(BOB, bob.accept(event.session, body=ANSWER, now=0))
    peer.request("INVITE", BOB, branch="z9hG4bK1", body=OFFER)
    wire.run(0)
    assert peer.statuses == [100, 200, 200]
    assert bob.counts()["sessions"] == 1
    assert len(wire.events) == 1
