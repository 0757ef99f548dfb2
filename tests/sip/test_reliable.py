"""Reliable provisional responses and PRACK (RFC 3262), and UPDATE in early dialogs (RFC 3311)."""

from __future__ import annotations

import pytest

from cordboard.sip.events import (
    Answered,
    Event,
    InviteReceived,
    Output,
    Provisional,
    RequestDone,
    RequestReceived,
    SessionEnded,
)
from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.rack import RAck
from cordboard.sip.message import Request, Response
from cordboard.sip.stack import SipStack
from cordboard.testing.raw_peer import Fields, RawPeer
from cordboard.testing.stack_pair import ALICE, ANSWER, BOB, OFFER, StackPair
from cordboard.testing.wire import Conditions, Wire

from .raw_call import RawCall

SUPPORTED = (("Supported", "100rel"),)
REQUIRED = (("Require", "100rel"),)


@pytest.mark.parametrize("text", ["", "1", "1 2", "x 2 INVITE", "1 x INVITE", "1 2 IN;VITE", "1 2 INVITE 4"])
def test_a_malformed_rack_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        RAck.parse(text)


def test_rack_is_read_and_written() -> None:
    assert str(RAck.parse("776656 \t 1 INVITE")) == "776656 1 INVITE"


# ------------------------------------------------------------------ we ring


class Callee:
    """Bob is a stack, the raw peer calls him."""

    def __init__(self, headers: Fields = SUPPORTED, offer: bytes = OFFER) -> None:
        self.wire = Wire()
        serial = iter(range(1, 10_000))
        self.bob = SipStack(local=BOB, token=lambda: f"{next(serial):08x}")
        self.wire.attach(self.bob, BOB)
        self.peer = RawPeer(self.wire, ALICE)
        self._branches = iter(range(2, 100))
        self.peer.request("INVITE", BOB, branch="z9hG4bK1", headers=headers, body=offer)
        self.wire.run(0)
        (self.session,) = [e.session for _, _, e in self.wire.events if isinstance(e, InviteReceived)]

    def ring(self, status: int = 183, body: bytes = ANSWER) -> None:
        self.wire.put(BOB, self.bob.ring(self.session, status=status, body=body, now=self.wire.now))
        self.wire.run(0)

    def accept(self) -> None:
        self.wire.put(BOB, self.bob.accept(self.session, body=ANSWER, now=self.wire.now))
        self.wire.run(0)

    def says(self, method: str, headers: Fields = (), body: bytes = b"", cseq: int | None = None) -> None:
        number = next(self._branches)
        to = self.peer.responses[-1].headers.get("To") or ""
        self.peer.request(
            method,
            BOB,
            branch=f"z9hG4bK{number}",
            to=to,
            cseq=number if cseq is None else cseq,
            headers=headers,
            body=body,
        )
        self.wire.run(0)

    def pracks(self, rack: str | None = None) -> None:
        self.says("PRACK", (("RAck", rack or f"{self.rseq} 1 INVITE"),))

    @property
    def rseq(self) -> int:
        return int(self.last_with("RSeq").headers.get("RSeq") or "")

    def last_with(self, header: str) -> Response:
        return [response for response in self.peer.responses if header in response.headers][-1]

    @property
    def reliable(self) -> list[int]:
        """The statuses of the reliable responses, copies included."""
        return [response.status for response in self.peer.responses if "RSeq" in response.headers]

    @property
    def ends(self) -> list[tuple[float, str, int]]:
        return [(when, e.cause, e.status) for when, _, e in self.wire.events if isinstance(e, SessionEnded)]


@pytest.mark.parametrize(
    ("headers", "body", "reliable"),
    [
        ((), ANSWER, False),
        (SUPPORTED, b"", False),
        (SUPPORTED, ANSWER, True),
        (REQUIRED, b"", True),
        ((("k", "timer, 100rel"),), ANSWER, True),
    ],
)
def test_ringing_is_reliable_where_it_has_to_be(headers: Fields, body: bytes, reliable: bool) -> None:
    call = Callee(headers)
    call.ring(body=body)
    response = call.peer.responses[-1]
    assert ("RSeq" in response.headers) == reliable
    assert (response.headers.get("Require") == "100rel") == reliable
    assert response.body == body


def test_a_reliable_response_is_sent_again_at_doubled_intervals_until_its_prack() -> None:
    call = Callee()
    call.ring()
    call.wire.run(10)
    times = [when for when, m in call.peer.received if isinstance(m, Response) and "RSeq" in m.headers]
    assert times == [0, 0.5, 1.5, 3.5, 7.5]
    call.pracks()
    assert (call.peer.responses[-1].status, call.peer.responses[-1].cseq.method) == (200, "PRACK")
    call.wire.run(30)
    assert len(call.reliable) == 5


def test_without_a_prack_the_call_is_refused_after_64_t1() -> None:
    call = Callee()
    call.ring()
    call.wire.run(33)
    assert call.ends == [(32, "no_ack", 504)]
    assert 504 in call.peer.statuses
    call.says("ACK", cseq=1)
    call.wire.run_until_quiet()
    assert not any(call.bob.counts().values())
    assert call.bob.defects == 0


@pytest.mark.parametrize("rack", ["1 1 INVITE", "{rseq} 2 INVITE", "{rseq} 1 UPDATE", "nonsense"])
def test_a_prack_for_something_else_gets_481_and_changes_nothing(rack: str) -> None:
    call = Callee()
    call.ring()
    call.pracks(rack.format(rseq=call.rseq))
    assert call.peer.responses[-1].status == 481
    call.wire.run(1)
    assert len(call.reliable) == 2


def test_a_second_prack_for_the_same_response_gets_481() -> None:
    call = Callee()
    call.ring()
    call.pracks()
    call.pracks()
    assert [r.status for r in call.peer.responses if r.cseq.method == "PRACK"] == [200, 481]


def test_the_next_reliable_response_waits_for_the_prack_of_the_one_before() -> None:
    call = Callee(REQUIRED)
    for status in (180, 181, 183):
        call.ring(status, b"")
    assert call.reliable == [180]
    first = call.rseq
    call.pracks()
    assert (call.reliable, call.rseq) == ([180, 181], first + 1)
    call.pracks()
    assert (call.reliable, call.rseq) == ([180, 181, 183], first + 2)


def test_an_answer_waits_for_the_prack_of_a_description() -> None:
    call = Callee()
    call.ring()
    call.accept()
    assert 200 not in call.peer.statuses
    call.pracks()
    assert [(r.status, r.cseq.method) for r in call.peer.responses][-2:] == [(200, "PRACK"), (200, "INVITE")]


def test_an_answer_does_not_wait_where_no_description_is_pending() -> None:
    call = Callee(REQUIRED)
    call.ring(180, b"")
    call.accept()
    assert call.peer.statuses[-1] == 200
    call.wire.run(3)
    assert call.reliable == [180]


def test_a_cancel_ends_reliable_ringing_and_the_answer_that_waits() -> None:
    call = Callee()
    call.ring()
    call.accept()
    call.peer.request("CANCEL", BOB, branch="z9hG4bK1")
    call.wire.run(0)
    assert call.ends == [(0, "cancelled", 487)]
    call.peer.request("ACK", BOB, branch="z9hG4bK1", to=call.peer.responses[-1].headers.get("To") or "")
    call.wire.run_until_quiet()
    assert call.reliable == [183]
    assert not any(call.bob.counts().values())


def test_a_prack_with_a_description_is_handed_up() -> None:
    call = Callee()
    call.ring()
    call.says("PRACK", (("RAck", f"{call.rseq} 1 INVITE"),), OFFER)
    (event,) = [e for _, _, e in call.wire.events if isinstance(e, RequestReceived)]
    assert (event.request.method, event.request.body) == ("PRACK", OFFER)
    call.wire.put(BOB, call.bob.respond(event.transaction, 200, body=ANSWER, now=call.wire.now))
    call.wire.run(1)
    assert (call.peer.responses[-1].status, call.peer.responses[-1].body) == (200, ANSWER)
    assert len(call.reliable) == 1


@pytest.mark.parametrize(("is_pracked", "status"), [(False, 500), (True, 200)])
def test_an_update_with_an_offer_may_come_when_the_early_answer_is_acknowledged(
    is_pracked: bool, status: int
) -> None:
    call = Callee()
    call.ring()
    if is_pracked:
        call.pracks()
    call.says("UPDATE", body=OFFER)
    for event in [e for _, _, e in call.wire.events if isinstance(e, RequestReceived)]:
        call.wire.put(BOB, call.bob.respond(event.transaction, 200, body=ANSWER, now=call.wire.now))
    call.wire.run(0)
    (response,) = [r for r in call.peer.responses if r.cseq.method == "UPDATE"]
    assert response.status == status
    assert ("Retry-After" in response.headers) == (status == 500)


# ------------------------------------------------------------------ we call


class Caller(RawCall):
    """Alice is a stack and calls the raw peer."""

    def rings(self, rseq: int | str, *, tag: str = "b", status: int = 183, body: bytes = ANSWER) -> None:
        headers = (("RSeq", str(rseq)), ("Require", "100rel"))
        self.bob.answer(self.invite, ALICE, status, tag=tag, headers=headers, body=body)
        self.wire.run(0)

    @property
    def pracks(self) -> list[tuple[str | None, str | None]]:
        """To tag and RAck of each."""
        requests: list[Request] = [r for r in self.bob.requests if r.method == "PRACK"]
        return [(r.to.tag, r.headers.get("RAck")) for r in requests]

    @property
    def progress(self) -> list[tuple[int, str]]:
        return [(e.status, e.dialog_tag) for _, _, e in self.wire.events if isinstance(e, Provisional)]


def test_a_reliable_response_is_acknowledged_once() -> None:
    call = Caller()
    call.rings(100)
    call.bob.answer(call.bob.last("PRACK"), ALICE, 200)
    call.rings(100)
    assert call.pracks == [("b", "100 1 INVITE")]
    assert call.progress == [(183, "b")]
    prack = call.bob.last("PRACK")
    assert (prack.uri, prack.cseq.number) == (f"sip:{BOB.host_port}", 2)
    call.bob.answer(call.invite, ALICE, 200, tag="b", body=ANSWER)
    call.wire.run(0)
    assert call.bob.last("ACK").cseq.number == 1


def test_what_is_out_of_order_is_dropped() -> None:
    call = Caller()
    for rseq in (7, 9, 8, 10, 9):
        call.rings(rseq, status=183, body=str(rseq).encode())
    assert [rack for _, rack in call.pracks] == ["7 1 INVITE", "8 1 INVITE", "9 1 INVITE"]
    assert len(call.progress) == 3


@pytest.mark.parametrize("rseq", ["x", "-1", "99999999999999999999"])
def test_a_malformed_rseq_is_dropped(rseq: str) -> None:
    call = Caller()
    call.rings(rseq)
    assert (call.pracks, call.progress) == ([], [])
    assert call.alice.defects == 0


def test_23_each_early_dialog_counts_for_itself() -> None:
    call = Caller()
    call.rings(100, tag="b")
    call.rings(500, tag="c")
    call.rings(101, tag="b", status=180, body=b"")
    call.rings(501, tag="c", status=180, body=b"")
    assert call.pracks == [
        ("b", "100 1 INVITE"),
        ("c", "500 1 INVITE"),
        ("b", "101 1 INVITE"),
        ("c", "501 1 INVITE"),
    ]
    assert call.progress == [(183, "b"), (183, "c"), (180, "b"), (180, "c")]
    call.bob.answer(call.invite, ALICE, 200, tag="c", body=ANSWER)
    call.wire.run(0)
    (answered,) = [e for _, _, e in call.wire.events if isinstance(e, Answered)]
    assert answered.response.to.tag == "c"
    call.wire.put(ALICE, call.alice.request(call.session, "INFO", now=0))
    call.wire.run(0)
    assert call.bob.last("INFO").cseq.number == 4


def test_a_reliable_response_that_crosses_the_cancel_is_still_acknowledged() -> None:
    call = Caller()
    call.rings(1)
    call.wire.put(ALICE, call.alice.cancel(call.session, now=0))
    call.rings(2, status=180, body=b"")
    assert [rack for _, rack in call.pracks] == ["1 1 INVITE", "2 1 INVITE"]


@pytest.mark.parametrize(("rseq", "told"), [(None, False), (1, True)])
def test_an_update_in_an_early_dialog_needs_the_early_answer(rseq: int | None, told: bool) -> None:
    call = Caller()
    if rseq is None:
        call.bob.answer(call.invite, ALICE, 183, tag="b", body=ANSWER)
        call.wire.run(0)
    else:
        call.rings(rseq)
    call.bob.request(
        "UPDATE",
        ALICE,
        branch="z9hG4bKu",
        uri=f"sip:{ALICE.host_port}",
        to=f"{call.invite.headers.get('From')}",
        from_="<sip:bob@127.0.0.2>;tag=b",
        call_id=call.invite.call_id,
        body=OFFER,
    )
    call.wire.run(0)
    assert [e.request.method for _, _, e in call.wire.events if isinstance(e, RequestReceived)] == (
        ["UPDATE"] if told else []
    )
    assert call.bob.statuses == ([] if told else [491])


# ------------------------------------------------------------------ two stacks on a bad wire


@pytest.mark.parametrize("seed", range(15))
def test_calls_with_early_media_come_up_and_leave_nothing_on_a_bad_wire(seed: int) -> None:
    pair: StackPair

    def on_bob(event: Event, now: float) -> list[Output]:
        if not isinstance(event, InviteReceived):
            return []
        pair.wire.at(now + 1, lambda: accept(event.session))
        return pair.bob.ring(event.session, status=183, body=ANSWER, now=now)

    def accept(session: str) -> None:
        pair.wire.put(BOB, pair.bob.accept(session, body=ANSWER, now=pair.now))

    conditions = Conditions(loss=0.25, duplication=0.2, shortest_delay=0.01, longest_delay=0.4)
    pair = StackPair(seed=seed, conditions=conditions, on_bob=on_bob)
    calling = pair.call()
    pair.wire.run(60)
    assert "PRACK" in pair.first_lines(ALICE)
    assert "Answered" in pair.names(ALICE)
    assert not any(isinstance(e, RequestDone | SessionEnded) for e in pair.events(ALICE))
    pair.wire.put(ALICE, pair.alice.bye(calling, now=pair.now))
    pair.wire.run_until_quiet()
    assert pair.at_rest()
