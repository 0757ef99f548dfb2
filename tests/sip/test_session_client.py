"""Calling: forks, cancellation and its races, silence.  Alice is a real stack, bob does as he is told."""

from __future__ import annotations

import pytest

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Answered, Provisional, Refused, RequestReceived, SessionEnded
from cordboard.sip.message import Request, parse
from cordboard.sip.stack import SipStack
from cordboard.testing.stack_pair import ALICE, ANSWER, BOB, OFFER, StackPair

from .raw_call import RawCall


class Caller(RawCall):
    """Alice and her one call to the raw peer."""

    def answers(self, status: int, tag: str | None = "b", *, after: float = 0, body: bytes = b"") -> None:
        """Bob answers the INVITE."""
        self.wire.run(after)
        self.bob.answer(self.invite, ALICE, status, tag=tag, body=body)
        self.wire.run(0)

    def answers_request(self, request: Request, status: int) -> None:
        self.bob.answer(request, ALICE, status)
        self.wire.run(0)

    def cancel(self) -> None:
        self.wire.put(ALICE, self.alice.cancel(self.session, now=self.wire.now))
        self.wire.run(0)

    @property
    def ends(self) -> list[tuple[float, str, int]]:
        return [(when, e.cause, e.status) for when, _, e in self.wire.events if isinstance(e, SessionEnded)]

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for _, _, event in self.wire.events]

    def rest(self) -> bool:
        """Comes to rest, with nothing left and no fault met; says when the last thing happened."""
        self.wire.run_until_quiet()
        return not any(self.alice.counts().values()) and self.alice.defects == 0


# ------------------------------------------------------------------ the ordinary way


def test_an_answer_is_acknowledged_before_it_is_told() -> None:
    call = Caller()
    call.answers(100, None)
    call.answers(180)
    call.answers(200, body=ANSWER)
    assert call.names == ["Provisional", "Answered"]
    answered = call.wire.events[1][2]
    assert isinstance(answered, Answered)
    assert answered.body == ANSWER
    ack = call.bob.last("ACK")
    assert (ack.uri, ack.cseq.number, ack.to.tag) == (f"sip:{BOB.host_port}", call.invite.cseq.number, "b")
    assert ack.branch != call.invite.branch


def test_a_repeated_2xx_is_acknowledged_again_and_not_told_again() -> None:
    call = Caller()
    call.answers(200)
    call.answers(200, after=0.5)
    call.answers(200, after=1)
    assert call.bob.methods == ["INVITE", "ACK", "ACK", "ACK"]
    assert call.names == ["Answered"]


def test_a_2xx_that_comes_again_after_the_bye_is_still_acknowledged() -> None:
    call = Caller()
    call.answers(200)
    call.wire.put(ALICE, call.alice.bye(call.session, now=0))
    call.wire.run(0)
    call.answers(200)
    assert call.bob.methods == ["INVITE", "ACK", "BYE", "ACK"]


def test_the_same_provisional_response_twice_is_told_once_and_a_new_one_again() -> None:
    call = Caller()
    for _ in range(3):
        call.answers(180)
    call.answers(183, body=ANSWER)
    call.answers(180)
    assert [e.status for _, _, e in call.wire.events if isinstance(e, Provisional)] == [180, 183, 180]


@pytest.mark.parametrize("status", [302, 401, 404, 486, 500, 503, 603])
def test_a_refusal_is_acknowledged_and_told_with_its_status(status: int) -> None:
    call = Caller()
    call.answers(status)
    assert call.bob.methods == ["INVITE", "ACK"]
    refused = call.wire.events[0][2]
    assert isinstance(refused, Refused)
    assert (refused.status, refused.cause) == (status, "response")
    assert call.ends == [(0, "refused", status)]
    assert call.rest()


def test_silence_ends_the_call_after_64_t1() -> None:
    call = Caller()
    assert call.rest()
    refused = call.wire.events[0][2]
    assert isinstance(refused, Refused)
    assert (refused.response, refused.status, refused.cause) == (None, 408, "timeout")
    assert call.ends == [(32, "timeout", 408)]


def test_a_call_to_a_dead_port_ends_at_once() -> None:
    call = Caller()
    call.wire.put(ALICE, call.alice.transport_failed(BOB, now=0))
    assert call.names == ["Refused", "SessionEnded"]
    assert call.ends == [(0, "transport", 503)]
    assert call.rest()


# ------------------------------------------------------------------ forks


def test_each_fork_that_rings_is_told_with_its_tag() -> None:
    call = Caller()
    call.answers(183, "one", body=ANSWER)
    call.answers(183, "two", body=ANSWER)
    tags = [e.dialog_tag for _, _, e in call.wire.events if isinstance(e, Provisional)]
    assert tags == ["one", "two"]
    assert call.alice.counts()["dialogs"] == 2


def test_of_two_forks_that_answer_the_second_gets_ack_and_then_bye() -> None:
    call = Caller()
    call.answers(180, "one")
    call.answers(180, "two")
    call.answers(200, "one")
    call.answers(200, "two")
    assert call.bob.methods == ["INVITE", "ACK", "ACK", "BYE"]
    assert [request.to.tag for request in call.bob.requests[1:]] == ["one", "two", "two"]
    assert call.names.count("Answered") == 1
    assert call.ends == []
    assert call.alice.counts()["dialogs"] == 1


def test_a_fork_that_answers_after_we_hung_up_gets_ack_and_then_bye() -> None:
    call = Caller()
    call.answers(200, "one")
    call.wire.put(ALICE, call.alice.bye(call.session, now=0))
    call.answers(200, "two", after=5)
    assert call.bob.methods == ["INVITE", "ACK", "BYE", "BYE", "BYE", "BYE", "ACK", "BYE"]
    assert len(call.ends) == 1


def test_the_forks_of_one_invite_are_limited() -> None:
    call = Caller()
    for number in range(100):
        call.answers(180, f"early{number}")
    assert call.names.count("Provisional") == 32
    for number in range(100):
        call.answers(200, f"final{number}")
    assert call.bob.methods.count("ACK") == 32
    assert call.bob.methods.count("BYE") == 31


# ------------------------------------------------------------------ cancelling


def test_cancel_after_ringing_leaves_at_once_and_ends_with_the_487() -> None:
    call = Caller()
    call.answers(180)
    call.cancel()
    cancel = call.bob.last("CANCEL")
    assert (cancel.branch, cancel.uri, cancel.cseq.number) == (
        call.invite.branch,
        call.invite.uri,
        call.invite.cseq.number,
    )
    assert cancel.to.tag is None
    call.answers_request(cancel, 200)
    assert call.ends == []
    call.answers(487)
    assert call.bob.methods == ["INVITE", "CANCEL", "ACK"]
    assert call.ends == [(0, "cancelled", 487)]
    assert call.rest()


def test_cancel_is_held_until_a_provisional_response() -> None:
    call = Caller()
    call.cancel()
    assert call.bob.methods == ["INVITE"]
    call.answers(100, None, after=2)
    assert call.bob.methods[-1] == "CANCEL"
    call.answers(180)
    assert call.bob.methods.count("CANCEL") == 1
    assert "Provisional" not in call.names


def test_cancel_without_any_response_is_given_up_after_64_t1() -> None:
    call = Caller()
    call.cancel()
    assert call.rest()
    assert "CANCEL" not in call.bob.methods
    assert call.ends == [(32, "cancelled", 408)]
    assert call.names == ["SessionEnded"]


def test_a_200_that_crosses_the_cancel_gets_ack_and_then_bye() -> None:
    call = Caller()
    call.answers(180)
    call.cancel()
    call.answers(200)
    assert call.bob.methods == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert call.names == ["Provisional", "SessionEnded"]
    assert call.ends == [(0, "cancelled", 200)]
    call.answers(200, after=0.5)
    assert [method for method in call.bob.methods if method == "ACK"] == ["ACK", "ACK"]
    assert call.rest()


def test_a_200_while_the_cancel_is_held_gets_ack_and_then_bye() -> None:
    call = Caller()
    call.cancel()
    call.answers(200, after=3)
    assert call.bob.methods[-2:] == ["ACK", "BYE"]
    assert "CANCEL" not in call.bob.methods
    assert call.ends == [(3, "cancelled", 200)]
    assert call.rest()


def test_a_far_end_that_takes_the_cancel_but_never_sends_487_is_given_up_after_64_t1() -> None:
    call = Caller()
    call.answers(180)
    call.wire.run(10)
    call.cancel()
    call.answers_request(call.bob.last("CANCEL"), 200)
    assert call.rest()
    assert call.ends == [(42, "cancelled", 0)]
    assert call.wire.now == 42


def test_another_failure_that_crosses_the_cancel_ends_the_session_as_cancelled() -> None:
    call = Caller()
    call.answers(180)
    call.cancel()
    call.answers(486)
    assert call.names == ["Provisional", "SessionEnded"]
    assert call.ends == [(0, "cancelled", 486)]


def test_two_forks_that_answer_a_cancelled_invite_both_get_ack_and_bye() -> None:
    call = Caller()
    call.answers(180)
    call.cancel()
    call.answers(200, "one")
    call.answers(200, "two")
    assert call.bob.methods == ["INVITE", "CANCEL", "ACK", "BYE", "ACK", "BYE"]
    assert len(call.ends) == 1


def test_cancelling_twice_or_after_the_end_does_nothing() -> None:
    call = Caller()
    call.answers(180)
    call.cancel()
    call.cancel()
    call.answers(487)
    call.cancel()
    assert call.bob.methods == ["INVITE", "CANCEL", "ACK"]


def test_cancel_after_the_answer_hangs_up() -> None:
    call = Caller()
    call.answers(200)
    call.cancel()
    assert call.bob.methods == ["INVITE", "ACK", "BYE"]
    assert call.ends == [(0, "bye_sent", 0)]


def test_bye_before_the_answer_cancels() -> None:
    call = Caller()
    call.answers(180)
    call.wire.put(ALICE, call.alice.bye(call.session, now=0))
    call.wire.run(0)
    assert call.bob.methods == ["INVITE", "CANCEL"]


def test_the_cancel_carries_the_headers_it_is_given() -> None:
    call = Caller()
    call.answers(180)
    reason = 'SIP;cause=200;text="Call completed elsewhere"'
    call.wire.put(ALICE, call.alice.cancel(call.session, headers=[("Reason", reason)], now=0))
    call.wire.run(0)
    assert call.bob.last("CANCEL").headers.get("Reason") == reason


# ------------------------------------------------------------------ the callee in a hurry


def _from_bob(call: Caller, method: str, *, cseq: int = 1) -> None:
    """A request of bob's inside the (early) dialog with tag b."""
    call.bob.request(
        method,
        ALICE,
        branch=f"z9hG4bKbob{method}{cseq}",
        uri=f"sip:{ALICE.host_port}",
        from_="<sip:bob@127.0.0.2>;tag=b",
        to=call.invite.headers.get("From") or "",
        call_id=call.invite.call_id,
        cseq=cseq,
    )
    call.wire.run(0)


def test_a_bye_that_overtakes_its_own_200_ends_the_call() -> None:
    call = Caller()
    call.answers(180)
    _from_bob(call, "BYE")
    assert call.bob.statuses == [200]
    call.answers(200)
    assert "Answered" not in call.names
    assert call.bob.methods == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert call.ends == [(0, "bye_received", 200)]
    assert call.rest()


def test_an_invite_inside_an_early_dialog_meets_ours_and_gets_491() -> None:
    call = Caller()
    call.answers(180)
    _from_bob(call, "INVITE")
    assert call.bob.statuses == [491]


def test_info_inside_an_early_dialog_is_handed_up() -> None:
    call = Caller()
    call.answers(180)
    _from_bob(call, "INFO")
    assert isinstance(call.wire.events[-1][2], RequestReceived)


# ------------------------------------------------------------------ strays


def test_responses_to_nothing_are_ignored_and_counted() -> None:
    call = Caller()
    stray = call.invite.response(200, to_tag="x").to_bytes().replace(b"z9hG4bK", b"z9hG4bKno")
    call.wire.put(ALICE, call.alice.receive(stray, BOB, now=0))
    wrong_cseq = call.invite.response(200, to_tag="x").to_bytes().replace(b"CSeq: 1 ", b"CSeq: 9 ")
    call.wire.put(ALICE, call.alice.receive(wrong_cseq, BOB, now=0))
    assert call.alice.ignored == 2
    assert call.names == []


def test_the_invite_says_what_it_has_to() -> None:
    invite = parse(Caller().invite.to_bytes())
    assert isinstance(invite, Request)
    assert invite.max_forwards == 70
    assert invite.via.wants_rport
    assert invite.contact is not None
    assert invite.content_type == "application/sdp"
    assert "CANCEL" in (invite.headers.get("Allow") or "")
    assert invite.body == OFFER


def test_an_ipv6_stack_writes_its_address_in_brackets() -> None:
    local, far = Endpoint("UDP", "::1", 5060), Endpoint("UDP", "::1", 5070)
    stack = SipStack(local=local, token=lambda: "0000")
    _, outputs = stack.invite(
        uri="sip:b@[::1]:5070", to="<sip:b@x>", from_="<sip:a@x>", destination=far, body=b"", now=0
    )
    assert b"UDP [::1]:5060;branch" in getattr(outputs[0], "data", b"")
    assert b"Contact: <sip:[::1]:5060>" in getattr(outputs[0], "data", b"")


def test_two_stacks_complete_a_call_in_the_fewest_messages() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.bye(calling, now=0))
    pair.wire.run(0)
    assert pair.first_lines(ALICE) == ["INVITE", "ACK", "BYE"]
    assert pair.first_lines(BOB) == ["100", "200", "200"]
    pair.wire.run_until_quiet()
    assert pair.at_rest()
