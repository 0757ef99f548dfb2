"""Being called: ringing, answering, the ACK that never comes, CANCEL and BYE at each moment.

Alice is a raw peer that does as she is told, bob is a real stack.
"""

from __future__ import annotations

import pytest

from cordboard.sip.events import (
    AckReceived,
    CancelReceived,
    InviteReceived,
    ReinviteReceived,
    RequestDone,
    RequestReceived,
    SessionEnded,
)
from cordboard.sip.headers import HeaderError
from cordboard.sip.message import Response
from cordboard.sip.stack import SipStack
from cordboard.sip.their_requests import MAX_TRANSACTIONS
from cordboard.testing.raw_peer import Fields, RawPeer
from cordboard.testing.stack_pair import ALICE, ANSWER, BOB, OFFER
from cordboard.testing.wire import Wire


class Callee:
    """Bob, called by the raw peer."""

    def __init__(self, *, body: bytes = OFFER, max_sessions: int = 10) -> None:
        self.wire = Wire()
        serial = iter(range(1, 10_000))
        self.bob = SipStack(local=BOB, token=lambda: f"{next(serial):08x}", max_sessions=max_sessions)
        self.wire.attach(self.bob, BOB)
        self.alice = RawPeer(self.wire, ALICE)
        self.invite(body=body)
        self.session = next(e.session for e in self.events if isinstance(e, InviteReceived))

    def invite(self, *, branch: str = "z9hG4bKinvite", cseq: int = 1, body: bytes = OFFER) -> None:
        self.alice.request("INVITE", BOB, branch=branch, cseq=cseq, body=body)
        self.wire.run(0)

    def ring(self) -> None:
        self.wire.put(BOB, self.bob.ring(self.session, now=self.wire.now))
        self.wire.run(0)

    def accept(self) -> None:
        self.wire.put(BOB, self.bob.accept(self.session, body=ANSWER, now=self.wire.now))
        self.wire.run(0)

    def reject(self, status: int = 486) -> None:
        self.wire.put(BOB, self.bob.reject(self.session, status=status, now=self.wire.now))
        self.wire.run(0)

    def bye(self) -> None:
        self.wire.put(BOB, self.bob.bye(self.session, now=self.wire.now))
        self.wire.run(0)

    def respond(self, status: int, body: bytes = b"") -> None:
        """Bob answers the last request that was handed up."""
        asked = [e for e in self.events if isinstance(e, ReinviteReceived | RequestReceived)][-1]
        self.wire.put(BOB, self.bob.respond(asked.transaction, status, body=body, now=self.wire.now))
        self.wire.run(0)

    def says(
        self,
        method: str,
        *,
        cseq: int = 2,
        branch: str = "",
        body: bytes = b"",
        tag: str | None = None,
        headers: Fields = (),
    ) -> None:
        """Alice sends a request inside the dialog."""
        self.alice.request(
            method,
            BOB,
            branch=branch or f"z9hG4bK{method}{cseq}",
            to=f"<sip:bob@127.0.0.2>;tag={tag or self.session}",
            cseq=cseq,
            body=body,
            headers=headers,
        )
        self.wire.run(0)

    def connect(self) -> None:
        self.accept()
        self.says("ACK", cseq=1)

    def answers(self, method: str, status: int, body: bytes = b"") -> None:
        """Alice answers bob's last request of that method."""
        self.alice.answer(self.alice.last(method), BOB, status, body=body)
        self.wire.run(0)

    @property
    def events(self) -> list[object]:
        return [event for _, _, event in self.wire.events]

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    @property
    def ends(self) -> list[tuple[float, str, int]]:
        return [(when, e.cause, e.status) for when, _, e in self.wire.events if isinstance(e, SessionEnded)]

    def times(self, status: int, method: str = "INVITE") -> list[float]:
        """When alice got responses of that status."""
        return [
            when
            for when, message in self.alice.received
            if isinstance(message, Response) and message.status == status and message.cseq.method == method
        ]

    def rest(self) -> bool:
        self.wire.run_until_quiet()
        return not any(self.bob.counts().values()) and self.bob.defects == 0


# ------------------------------------------------------------------ ringing and answering


def test_an_invite_is_answered_with_100_before_it_is_told() -> None:
    call = Callee()
    assert call.alice.statuses == [100]
    assert call.alice.responses[0].to.tag is None
    assert call.names == ["InviteReceived"]


def test_ringing_and_answer_make_one_dialog_and_the_ack_is_told_once() -> None:
    call = Callee()
    call.ring()
    call.accept()
    call.says("ACK", cseq=1)
    call.says("ACK", cseq=1, branch="z9hG4bKagain")
    ringing, answer = call.alice.responses[1:]
    assert ringing.to.tag == answer.to.tag == call.session
    assert answer.body == ANSWER
    assert answer.contact is not None
    assert call.names == ["InviteReceived", "AckReceived"]
    call.wire.run(100)
    assert call.times(200) == [0]


def test_the_ack_brings_the_answer_to_a_late_offer() -> None:
    call = Callee(body=b"")
    call.accept()
    call.says("ACK", cseq=1, body=ANSWER)
    told = call.events[-1]
    assert isinstance(told, AckReceived)
    assert told.body == ANSWER


def test_the_answer_is_sent_again_until_64_t1_and_then_the_call_ends_with_bye() -> None:
    call = Callee()
    call.wire.run(5)
    call.accept()
    assert call.rest()
    assert call.times(200) == [5, 5.5, 6.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5, 32.5, 36.5]
    assert call.alice.methods[0] == "BYE"
    assert call.ends == [(37, "no_ack", 0)]


def test_a_repeated_invite_gets_the_last_response_again_and_is_not_told() -> None:
    call = Callee()
    call.invite()
    call.ring()
    call.invite()
    call.connect()
    call.invite()
    assert call.alice.statuses == [100, 100, 180, 180, 200, 200]
    assert call.names.count("InviteReceived") == 1


def test_the_second_copy_of_an_invite_that_took_another_path_gets_482() -> None:
    call = Callee()
    call.invite(branch="z9hG4bKother")
    call.accept()
    call.invite(branch="z9hG4bKthird")
    assert call.alice.statuses == [100, 482, 200, 482]
    assert call.names.count("InviteReceived") == 1


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_refusal_is_sent_again_until_its_ack(status: int) -> None:
    call = Callee()
    call.reject(status)
    assert call.ends == [(0, "rejected", status)]
    call.wire.run(1)
    call.alice.request("ACK", BOB, branch="z9hG4bKinvite", to=f"<sip:bob@127.0.0.2>;tag={call.session}")
    assert call.rest()
    assert call.times(status) == [0, 0.5]
    assert call.names == ["InviteReceived", "SessionEnded"]


def test_a_refusal_without_ack_is_given_up_after_64_t1() -> None:
    call = Callee()
    call.reject()
    assert call.rest()
    assert call.times(486)[-1] == 31.5


def test_what_comes_after_the_end_of_a_session_is_ignored() -> None:
    call = Callee()
    call.reject()
    call.ring()
    call.accept()
    call.reject(603)
    call.bye()
    assert call.alice.statuses == [100, 486]
    assert call.alice.methods == []


def test_hanging_up_before_the_answer_refuses_with_480() -> None:
    call = Callee()
    call.ring()
    call.bye()
    assert call.alice.statuses == [100, 180, 480]
    assert call.ends == [(0, "rejected", 480)]


def test_a_response_outside_its_range_is_our_mistake() -> None:
    call = Callee()
    with pytest.raises(ValueError, match="status"):
        call.bob.ring(call.session, status=200, now=0)
    with pytest.raises(ValueError, match="status"):
        call.bob.reject(call.session, status=200, now=0)
    with pytest.raises(HeaderError):
        call.bob.accept(call.session, body=b"", headers=[("X", "a\r\nb")], now=0)
    call.accept()
    assert call.alice.statuses == [100, 200]


# ------------------------------------------------------------------ CANCEL


def cancel(call: Callee) -> None:
    call.alice.request("CANCEL", BOB, branch="z9hG4bKinvite")
    call.wire.run(0)


def test_cancel_gets_200_and_its_invite_487() -> None:
    call = Callee()
    call.ring()
    cancel(call)
    assert call.times(200, "CANCEL") == [0]
    assert call.times(487) == [0]
    assert call.names == ["InviteReceived", "CancelReceived", "SessionEnded"]
    assert isinstance(call.events[1], CancelReceived)
    assert call.ends == [(0, "cancelled", 487)]
    assert call.rest()


def test_a_repeated_cancel_gets_200_again_and_nothing_more() -> None:
    call = Callee()
    cancel(call)
    cancel(call)
    assert call.times(200, "CANCEL") == [0, 0]
    assert call.names.count("SessionEnded") == 1


def test_cancel_after_the_answer_gets_200_and_has_no_effect() -> None:
    call = Callee()
    call.accept()
    cancel(call)
    call.says("ACK", cseq=1)
    assert call.times(200, "CANCEL") == [0]
    assert call.times(487) == []
    assert call.names == ["InviteReceived", "AckReceived"]


def test_cancel_for_nothing_gets_481() -> None:
    call = Callee()
    call.alice.request("CANCEL", BOB, branch="z9hG4bKnever")
    call.wire.run(0)
    assert call.times(481, "CANCEL") == [0]


def test_an_answer_that_crosses_the_cancel_is_not_sent() -> None:
    call = Callee()
    cancel(call)
    call.accept()
    assert call.times(200, "INVITE") == []
    assert call.times(487) == [0]


# ------------------------------------------------------------------ BYE


def test_a_bye_ends_the_call_and_its_repetition_gets_200_again() -> None:
    call = Callee()
    call.connect()
    call.says("BYE")
    call.says("BYE")
    assert call.times(200, "BYE") == [0, 0]
    assert call.ends == [(0, "bye_received", 0)]
    call.says("BYE", cseq=3)
    assert call.times(481, "BYE") == [0]
    assert call.rest()


def test_a_bye_before_the_answer_gets_200_and_the_invite_487() -> None:
    call = Callee()
    call.ring()
    call.says("BYE")
    assert call.times(200, "BYE") == [0]
    assert call.times(487) == [0]
    assert call.ends == [(0, "bye_received", 487)]
    assert call.rest()


def test_a_bye_instead_of_the_ack_ends_the_call_and_stops_the_answer() -> None:
    call = Callee()
    call.accept()
    call.says("BYE")
    assert call.rest()
    assert call.times(200) == [0]
    assert call.ends == [(0, "bye_received", 0)]


def test_our_bye_waits_for_the_ack() -> None:
    call = Callee()
    call.accept()
    call.bye()
    assert call.ends == [(0, "bye_sent", 0)]
    assert call.alice.methods == []
    call.wire.run(3)
    assert call.times(200) == [0, 0.5, 1.5]
    call.says("ACK", cseq=1)
    assert call.alice.methods == ["BYE"]
    assert call.names == ["InviteReceived", "SessionEnded"]
    call.answers("BYE", 200)
    assert call.rest()


def test_our_bye_leaves_after_64_t1_if_the_ack_never_comes() -> None:
    call = Callee()
    call.accept()
    call.bye()
    assert call.rest()
    first = next(when for when, message in call.alice.received if not isinstance(message, Response))
    assert first == 32
    assert call.alice.methods[0] == "BYE"


def test_our_waiting_bye_is_not_sent_if_theirs_comes_first() -> None:
    call = Callee()
    call.accept()
    call.bye()
    call.says("BYE")
    assert call.rest()
    assert call.alice.methods == []
    assert call.names.count("SessionEnded") == 1


def test_a_bye_that_nobody_answers_is_given_up_after_64_t1() -> None:
    call = Callee()
    call.connect()
    call.bye()
    assert call.ends == [(0, "bye_sent", 0)]
    assert call.rest()
    assert call.wire.now == 32


def test_two_byes_that_cross_end_the_call_once() -> None:
    call = Callee()
    call.connect()
    call.bye()
    call.says("BYE")
    assert call.ends == [(0, "bye_sent", 0)]
    assert call.alice.statuses[-1] == 481
    assert call.rest()


# ------------------------------------------------------------------ their requests inside the dialog


@pytest.mark.parametrize("method", ["INFO", "UPDATE"])
def test_a_request_inside_the_dialog_is_handed_up_and_answered_once(method: str) -> None:
    call = Callee()
    call.connect()
    call.says(method)
    call.says(method)
    call.respond(200)
    call.respond(488)
    assert call.names.count("RequestReceived") == 1
    assert call.times(200, method) == [0]
    call.says(method)
    assert call.times(200, method) == [0, 0]


def test_a_reinvite_is_answered_and_acknowledged_like_the_first_one() -> None:
    call = Callee()
    call.connect()
    call.says("INVITE", body=OFFER)
    call.respond(200, ANSWER)
    call.wire.run(1.6)
    call.says("ACK", cseq=2)
    call.wire.run(60)
    assert call.times(200) == [0, 0, 0.5, 1.5]
    assert call.names == ["InviteReceived", "AckReceived", "ReinviteReceived", "AckReceived"]


def test_a_reinvite_whose_answer_is_never_acknowledged_ends_the_call() -> None:
    call = Callee()
    call.connect()
    call.says("INVITE", body=OFFER)
    call.respond(200, ANSWER)
    assert call.rest()
    assert call.ends == [(32, "no_ack", 0)]
    assert call.alice.methods[0] == "BYE"


def test_a_refused_reinvite_leaves_the_call_as_it_was() -> None:
    call = Callee()
    call.connect()
    call.says("INVITE", body=OFFER)
    call.respond(488)
    call.says("ACK", branch="z9hG4bKINVITE2")
    call.wire.run(60)
    assert call.times(488) == [0]
    assert call.ends == []
    assert call.bob.counts()["sessions"] == 1


def test_a_cancelled_reinvite_gets_487_and_a_late_answer_is_ignored() -> None:
    call = Callee()
    call.connect()
    call.says("INVITE", body=OFFER)
    call.alice.request(
        "CANCEL", BOB, branch="z9hG4bKINVITE2", cseq=2, to=f"<sip:bob@127.0.0.2>;tag={call.session}"
    )
    call.wire.run(0)
    call.respond(200, ANSWER)
    assert call.times(487) == [0]
    assert call.times(200, "CANCEL") == [0]
    assert call.times(200) == [0]
    assert call.ends == []


def test_bye_while_a_reinvite_waits_ends_both() -> None:
    call = Callee()
    call.connect()
    call.says("INVITE", body=OFFER)
    call.says("BYE", cseq=3)
    assert call.times(487) == [0]
    assert call.times(200, "BYE") == [0]
    call.respond(200, ANSWER)
    assert call.times(200) == [0]
    assert call.rest()


def test_bye_while_our_request_waits_ends_that_too() -> None:
    call = Callee()
    call.connect()
    call.wire.put(BOB, call.bob.request(call.session, "INFO", now=0))
    call.says("BYE")
    done, ended = call.events[-2:]
    assert isinstance(done, RequestDone)
    assert done.response is None
    assert isinstance(ended, SessionEnded)
    call.answers("INFO", 200)
    assert call.names.count("RequestDone") == 1
    assert call.rest()


def test_a_second_reinvite_before_the_first_is_answered_gets_500_and_retry_after() -> None:
    call = Callee()
    call.connect()
    call.says("INVITE", body=OFFER)
    call.says("INVITE", cseq=3, body=OFFER)
    refusal = call.alice.responses[-1]
    assert refusal.status == 500
    assert 0 <= int(refusal.headers.get("Retry-After") or "-1") <= 10
    call.respond(200, ANSWER)
    assert call.alice.responses[-1].cseq.number == 2


def test_an_update_with_an_offer_before_our_answer_gets_500_and_retry_after() -> None:
    call = Callee()
    call.ring()
    call.says("UPDATE", body=OFFER)
    assert call.alice.responses[-1].status == 500
    assert call.alice.responses[-1].headers.get("Retry-After") is not None


def test_a_reinvite_before_the_answer_to_our_late_offer_gets_491() -> None:
    call = Callee(body=b"")
    call.accept()
    call.says("INVITE", body=OFFER)
    assert call.times(491) == [0]


def test_a_reinvite_that_overtakes_the_ack_is_accepted() -> None:
    call = Callee()
    call.accept()
    call.says("INVITE", body=OFFER)
    call.respond(200, ANSWER)
    call.says("ACK", cseq=2)
    call.says("ACK", cseq=1)
    assert call.names.count("AckReceived") == 2
    call.wire.run(100)
    assert call.ends == []


def test_a_request_with_an_old_cseq_gets_500_each_time_and_is_not_told() -> None:
    call = Callee()
    call.connect()
    call.says("INFO", cseq=5)
    call.says("INFO", cseq=4)
    call.says("INFO", cseq=4)
    assert call.times(500, "INFO") == [0, 0]
    assert call.names.count("RequestReceived") == 1


def test_a_request_that_nobody_answers_is_forgotten() -> None:
    call = Callee()
    call.connect()
    call.says("INFO")
    call.wire.run(33)
    call.respond(200)
    assert call.times(200, "INFO") == []
    call.says("BYE", cseq=3)
    assert call.rest()


@pytest.mark.parametrize(
    ("method", "headers", "body", "status"),
    [
        ("OPTIONS", (), b"", 200),
        ("SUBSCRIBE", (), b"", 405),
        ("NONSENSE", (), b"", 405),
        ("INFO", (("Require", "100rel, foo"),), b"", 420),
    ],
)
def test_some_requests_inside_the_dialog_are_answered_by_the_stack(
    method: str, headers: Fields, body: bytes, status: int
) -> None:
    call = Callee()
    call.connect()
    call.says(method, headers=headers, body=body)
    assert call.times(status, method) == [0]
    assert "RequestReceived" not in call.names


def test_one_dialog_cannot_fill_the_table() -> None:
    call = Callee()
    call.connect()
    for number in range(900):
        call.says("INFO", cseq=2 + number)
    assert len(call.times(503, "INFO")) == 900 - MAX_TRANSACTIONS
    assert call.bob.counts()["transactions"] < MAX_TRANSACTIONS + 12
    call.says("BYE", cseq=1000)
    assert call.ends == [(0, "bye_received", 0)]
    assert call.rest()


def test_a_request_with_a_wrong_tag_gets_481() -> None:
    call = Callee()
    call.connect()
    call.says("BYE", tag="wrong")
    assert call.times(481, "BYE") == [0]
    assert call.ends == []
