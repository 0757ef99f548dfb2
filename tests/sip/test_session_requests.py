"""Our requests inside the dialog, and what happens when both ends ask at once: two real stacks."""

from __future__ import annotations

import pytest

from cordboard.sip.events import Event, Output, ReinviteReceived, RequestDone, RequestReceived, SessionEnded
from cordboard.sip.stack import SipStack
from cordboard.testing.raw_peer import RawPeer
from cordboard.testing.stack_pair import ALICE, ANSWER, BOB, OFFER, StackPair


def statuses(pair: StackPair, address: object = ALICE) -> list[tuple[str, int | None]]:
    """The outcome of each request."""
    done = [e for _, where, e in pair.wire.events if where == address and isinstance(e, RequestDone)]
    return [(e.method, e.response.status if e.response else None) for e in done]


def answering(status: int = 200) -> StackPair:
    """Bob answers each request inside the dialog at once."""
    pair: StackPair

    def on_bob(event: Event, now: float) -> list[Output]:
        if isinstance(event, ReinviteReceived | RequestReceived):
            body = ANSWER if status == 200 else b""
            return pair.bob.respond(event.transaction, status, body=body, now=now)
        return []

    pair = StackPair(on_bob=on_bob)
    return pair


def asked(pair: StackPair) -> list[str]:
    """Bob's open transactions."""
    return [e.transaction for e in pair.events(BOB) if isinstance(e, ReinviteReceived | RequestReceived)]


@pytest.mark.parametrize("status", [200, 415, 500])
def test_a_request_is_done_with_its_final_response(status: int) -> None:
    pair = answering(status)
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.request(calling, "INFO", now=0))
    pair.wire.run(0)
    assert statuses(pair) == [("INFO", status)]
    assert pair.alice.counts()["sessions"] == 1


def test_a_reinvite_is_acknowledged_and_done() -> None:
    pair = answering()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.run(60)
    assert statuses(pair) == [("INVITE", 200)]
    assert pair.first_lines(ALICE) == ["INVITE", "ACK", "INVITE", "ACK"]
    assert pair.names(BOB)[-2:] == ["ReinviteReceived", "AckReceived"]


def test_the_callee_can_reinvite_too() -> None:
    pair = StackPair()
    _, called = pair.connect()
    pair.wire.put(BOB, pair.bob.reinvite(called, OFFER, 0))
    pair.wire.run(0)
    event = pair.events(ALICE)[-1]
    assert isinstance(event, ReinviteReceived)
    pair.wire.put(ALICE, pair.alice.respond(event.transaction, 200, body=ANSWER, now=0))
    pair.wire.run(0)
    assert statuses(pair, BOB) == [("INVITE", 200)]
    assert pair.names(ALICE)[-1] == "AckReceived"


def test_a_repeated_2xx_to_a_reinvite_is_acknowledged_again() -> None:
    pair = answering()
    calling, _ = pair.connect()
    acks = []
    pair.wire.drop = lambda d: d.data.startswith(b"ACK") and (acks.append(d) or len(acks) < 3)  # type: ignore[func-returns-value]
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.run(60)
    assert len(acks) == 3
    assert statuses(pair) == [("INVITE", 200)]
    assert pair.alice.counts()["sessions"] == pair.bob.counts()["sessions"] == 1


def test_requests_leave_one_after_the_other_in_the_order_of_their_cseq() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    for _ in range(3):
        pair.wire.put(ALICE, pair.alice.request(calling, "INFO", now=0))
    pair.wire.run(0)
    assert len(asked(pair)) == 1
    for number in range(3):
        pair.wire.put(BOB, pair.bob.respond(asked(pair)[number], 200, now=0))
        pair.wire.run(0)
    numbers = [e.request.cseq.number for e in pair.events(BOB) if isinstance(e, RequestReceived)]
    assert numbers == [2, 3, 4]
    assert statuses(pair) == [("INFO", 200)] * 3


def test_bye_does_not_wait_for_other_requests_which_are_done_without_a_response() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    for _ in range(3):
        pair.wire.put(ALICE, pair.alice.request(calling, "INFO", now=0))
    pair.wire.put(ALICE, pair.alice.bye(calling, now=0))
    pair.wire.run(0)
    assert statuses(pair) == [("INFO", None)] * 3
    assert pair.names(ALICE)[-1] == "SessionEnded"
    pair.wire.run_until_quiet()
    assert pair.at_rest()


def test_the_queue_of_our_requests_is_limited() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    for _ in range(100):
        pair.wire.put(ALICE, pair.alice.request(calling, "INFO", now=0))
    assert len(statuses(pair)) == 100 - 33


def test_a_request_without_a_dialog_is_done_at_once() -> None:
    pair = StackPair()
    calling = pair.call()
    pair.wire.put(ALICE, pair.alice.request(calling, "INFO", now=0))
    assert statuses(pair) == [("INFO", None)]


@pytest.mark.parametrize("method", ["INFO", "INVITE"])
def test_a_far_end_that_does_not_answer_is_lost(method: str) -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    pair.wire.drop = lambda datagram: True
    outputs = (
        pair.alice.reinvite(calling, OFFER, 0)
        if method == "INVITE"
        else pair.alice.request(calling, method, now=0)
    )
    pair.wire.put(ALICE, outputs)
    pair.wire.run_until_quiet()
    assert statuses(pair) == [(method, None)]
    ended = pair.events(ALICE)[-1]
    assert isinstance(ended, SessionEnded)
    assert (ended.cause, ended.status) == ("timeout", 408)
    assert not any(pair.alice.counts().values())


def test_a_far_end_that_cannot_be_reached_is_lost_at_once() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.request(calling, "INFO", now=0))
    pair.wire.put(ALICE, pair.alice.transport_failed(BOB, now=0))
    ended = pair.events(ALICE)[-1]
    assert isinstance(ended, SessionEnded)
    assert (ended.cause, ended.status) == ("transport", 503)


def test_a_far_end_that_does_not_know_the_dialog_ends_it() -> None:
    pair = answering(481)
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.request(calling, "INFO", now=0))
    pair.wire.run(0)
    assert statuses(pair) == [("INFO", 481)]
    ended = pair.events(ALICE)[-1]
    assert isinstance(ended, SessionEnded)
    assert ended.status == 481


# ------------------------------------------------------------------ glare


def both_answering() -> StackPair:
    pair: StackPair

    def on_alice(event: Event, now: float) -> list[Output]:
        return answer(pair.alice, event, now)

    def on_bob(event: Event, now: float) -> list[Output]:
        return answer(pair.bob, event, now)

    def answer(stack: SipStack, event: Event, now: float) -> list[Output]:
        if isinstance(event, ReinviteReceived | RequestReceived):
            return stack.respond(event.transaction, 200, body=ANSWER, now=now)
        return []

    pair = StackPair(on_alice=on_alice, on_bob=on_bob)
    return pair


@pytest.mark.parametrize("seed", range(20))
def test_19_two_reinvites_that_cross_are_both_tried_again_the_callees_first(seed: int) -> None:
    pair = both_answering()
    for _ in range(seed):
        pair.token()
    calling, called = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.put(BOB, pair.bob.reinvite(called, OFFER, 0))
    pair.wire.run(60)
    assert statuses(pair, ALICE) == [("INVITE", 200)]
    assert statuses(pair, BOB) == [("INVITE", 200)]
    invites = [(d.sent_at, d.source) for d in pair.wire.sent if d.data.startswith(b"INVITE")][3:]
    assert [source for _, source in invites] == [BOB, ALICE]
    assert invites[0][0] <= 2.0
    assert 2.1 <= invites[1][0] <= 4.0
    assert pair.alice.counts()["sessions"] == pair.bob.counts()["sessions"] == 1


def test_19_a_far_end_that_always_says_491_is_believed_in_the_end() -> None:
    pair = answering(491)
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.run(60)
    assert statuses(pair) == [("INVITE", 491)]
    assert pair.first_lines(ALICE).count("INVITE") == 10
    pair.wire.put(ALICE, pair.alice.bye(calling, now=pair.now))
    pair.wire.run_until_quiet()
    assert pair.at_rest()


def test_19_bye_while_a_reinvite_waits_to_be_tried_again_ends_both() -> None:
    pair = answering(491)
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.run(0.1)
    pair.wire.put(ALICE, pair.alice.bye(calling, now=pair.now))
    pair.wire.run_until_quiet()
    assert statuses(pair) == [("INVITE", None)]
    assert pair.first_lines(ALICE).count("INVITE") == 2
    assert pair.at_rest()


def test_19_other_requests_do_not_wait_for_a_reinvite_that_rests() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.run(0)
    pair.wire.put(BOB, pair.bob.respond(asked(pair)[0], 491, now=0))
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.put(ALICE, pair.alice.request(calling, "INFO", now=0))
    pair.wire.run(0.1)
    assert pair.first_lines(ALICE) == ["INVITE", "ACK", "INVITE", "ACK", "INFO"]


def test_an_update_that_is_to_come_later_comes_later() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.request(calling, "UPDATE", body=OFFER, now=0))
    pair.wire.run(0)
    retry = [("Retry-After", "7")]
    pair.wire.put(BOB, pair.bob.respond(asked(pair)[0], 500, headers=retry, now=0))
    pair.wire.run(6.9)
    assert pair.first_lines(ALICE).count("UPDATE") == 1
    pair.wire.run(0.2)
    assert pair.first_lines(ALICE).count("UPDATE") == 2


def test_a_notify_that_waits_is_sent_before_a_bye_and_anything_else_is_left_out() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    for method in ("NOTIFY", "INFO", "NOTIFY"):
        pair.wire.put(ALICE, pair.alice.request(calling, method, now=0))
    pair.wire.put(ALICE, pair.alice.bye(calling, now=0))
    pair.wire.run(40)
    lines = pair.first_lines(ALICE)
    assert lines[lines.index("ACK") + 1 :][:3] == ["NOTIFY", "NOTIFY", "BYE"]
    assert "INFO" not in lines
    assert statuses(pair) == [(method, None) for method in ("NOTIFY", "INFO", "NOTIFY")]
    assert pair.at_rest()


@pytest.mark.parametrize("method", ["NOTIFY", "REFER"])
@pytest.mark.parametrize("status", [481, 408])
def test_21_a_refused_notify_or_refer_does_not_end_the_call(method: str, status: int) -> None:
    pair = answering(status)
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.request(calling, method, now=0))
    pair.wire.run(1)
    assert statuses(pair) == [(method, status)]
    assert pair.alice.counts()["sessions"] == 1


def test_an_update_with_an_offer_that_meets_our_reinvite_gets_491() -> None:
    pair = StackPair()
    calling, called = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.put(BOB, pair.bob.request(called, "UPDATE", body=OFFER, now=0))
    pair.wire.run(0)
    assert "491" in pair.first_lines(ALICE)
    assert statuses(pair, BOB) == []


def test_an_update_without_an_offer_is_no_glare() -> None:
    pair = StackPair()
    calling, called = pair.connect()
    pair.wire.put(BOB, pair.bob.request(called, "UPDATE", now=0))
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.run(0)
    assert pair.names(ALICE)[-1] == "RequestReceived"
    assert pair.names(BOB)[-1] == "ReinviteReceived"


def test_our_reinvite_waits_until_theirs_is_acknowledged() -> None:
    pair = StackPair()
    calling, called = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.run(0)
    pair.wire.put(BOB, pair.bob.reinvite(called, OFFER, 0))
    pair.wire.run(0)
    assert "INVITE" not in pair.first_lines(BOB)
    pair.wire.put(BOB, pair.bob.respond(asked(pair)[0], 200, body=ANSWER, now=0))
    assert "INVITE" not in pair.first_lines(BOB)
    pair.wire.run(0)
    assert pair.first_lines(BOB)[-1] == "INVITE"


def test_our_reinvite_leaves_when_theirs_is_refused() -> None:
    pair = StackPair()
    calling, called = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.run(0)
    pair.wire.put(BOB, pair.bob.reinvite(called, OFFER, 0))
    pair.wire.put(BOB, pair.bob.respond(asked(pair)[0], 488, now=0))
    assert pair.first_lines(BOB)[-2:] == ["488", "INVITE"]


def test_a_reinvite_before_the_first_ack_waits_for_it() -> None:
    pair = StackPair()
    pair.call()
    pair.wire.run(0)
    called = pair.offered()
    outputs = pair.bob.accept(called, body=ANSWER, now=0)
    pair.wire.put(BOB, outputs)
    pair.wire.put(BOB, pair.bob.reinvite(called, OFFER, 0))
    assert "INVITE" not in pair.first_lines(BOB)
    pair.wire.run(0)
    assert pair.first_lines(BOB)[-1] == "INVITE"


# ------------------------------------------------------------------ a re-INVITE that hangs


def hanging() -> tuple[StackPair, str]:
    """Bob's place is taken by a raw peer that answers a re-INVITE with 180 only."""
    pair = StackPair()
    calling, _ = pair.connect()
    peer = RawPeer(pair.wire, BOB)
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0))
    pair.wire.run(0)
    peer.answer(peer.last("INVITE"), ALICE, 180)
    pair.wire.run(0)
    return pair, calling


def test_a_reinvite_that_only_rings_is_given_up() -> None:
    pair, _ = hanging()
    pair.wire.run(179)
    assert statuses(pair) == []
    pair.wire.run(2)
    assert statuses(pair) == [("INVITE", None)]
    assert pair.names(ALICE)[-1] == "SessionEnded"
    pair.wire.run(33)
    assert not any(pair.alice.counts().values())


def test_a_reinvite_that_only_rings_does_not_outlive_its_session_by_more_than_64_t1() -> None:
    pair, calling = hanging()
    pair.wire.run(10)
    pair.wire.put(ALICE, pair.alice.bye(calling, now=pair.now))
    pair.wire.run(32)
    assert not any(pair.alice.counts().values())


# ------------------------------------------------------------------ across a restart


def test_a_saved_dialog_can_be_ended_by_another_stack() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    saved = pair.alice.save_dialog(calling)
    assert saved is not None
    successor = StackPair().alice
    pair.wire.attach(successor, ALICE)
    pair.wire.put(ALICE, successor.bye_saved_dialog(saved, headers=[("Reason", "SIP;cause=503")], now=0))
    pair.wire.run(0)
    ended = pair.events(BOB)[-1]
    assert isinstance(ended, SessionEnded)
    assert ended.cause == "bye_received"
    assert ended.request is not None
    assert ended.request.headers.get("Reason") == "SIP;cause=503"
    pair.wire.run_until_quiet()
    assert not any(successor.counts().values())


@pytest.mark.parametrize("is_answered", [False, True])
def test_a_saved_invite_can_be_cancelled_by_another_stack(is_answered: bool) -> None:
    """An answer that crosses the CANCEL is acknowledged and ended too."""
    pair = StackPair()
    calling = pair.call()
    pair.wire.run(0)
    pair.wire.put(BOB, pair.bob.ring(pair.offered(), now=0))
    pair.wire.run(0)
    saved = pair.alice.save_dialog(calling)
    assert saved is not None
    successor = StackPair().alice
    pair.wire.attach(successor, ALICE)
    if is_answered:
        pair.wire.put(BOB, pair.bob.accept(pair.offered(), body=ANSWER, now=0))
    pair.wire.put(ALICE, successor.bye_saved_dialog(saved, now=0))
    pair.wire.run_until_quiet()
    sent = pair.first_lines(ALICE)[1:]
    assert sent == (["CANCEL", "ACK", "BYE"] if is_answered else ["CANCEL", "ACK"])
    ended = pair.events(BOB)[-1]
    assert isinstance(ended, SessionEnded)
    assert ended.cause == ("bye_received" if is_answered else "cancelled")
    assert not any(successor.counts().values())
    assert successor.defects == 0


def test_a_caller_whom_we_have_not_answered_cannot_be_saved() -> None:
    pair = StackPair()
    pair.call()
    pair.wire.run(0)
    pair.wire.put(BOB, pair.bob.ring(pair.offered(), now=0))
    pair.wire.run(0)
    assert pair.bob.save_dialog(pair.offered()) is None
    assert pair.bob.save_dialog("unknown") is None


@pytest.mark.parametrize(
    "saved", [b"", b"\x00", b"rubbish", b"\x97\x01\x02\x03\x04\x05\x06\x07", b"I", b"I\x97\x01"]
)
def test_a_saved_dialog_that_cannot_be_read_does_nothing(saved: bytes) -> None:
    assert StackPair().alice.bye_saved_dialog(saved, now=0) == []


# ---------------------------------------------------------------- offers that are made when they leave


def done(pair: StackPair) -> list[tuple[str, int, str]]:
    """(method, status, mark) of each request of Alice."""
    return [(e.method, e.status, e.mark) for e in pair.events(ALICE) if isinstance(e, RequestDone)]


def bodies(pair: StackPair) -> list[bytes]:
    """Of the re-INVITEs that Bob has seen."""
    return [e.request.body for e in pair.events(BOB) if isinstance(e, ReinviteReceived)]


def test_a_request_is_known_again_by_its_mark() -> None:
    pair = answering()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0, mark="one"))
    pair.wire.put(ALICE, pair.alice.request(calling, "INFO", mark="two", now=0))
    pair.wire.run(0)
    assert done(pair) == [("INVITE", 200, "one"), ("INFO", 200, "two")]


def test_what_nobody_answers_is_done_with_408() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    pair.wire.drop = lambda datagram: datagram.source == ALICE
    pair.wire.put(ALICE, pair.alice.request(calling, "REFER", mark="lost", now=0))
    pair.wire.run(33)
    assert done(pair) == [("REFER", 408, "lost")]


def test_what_a_session_takes_with_it_is_done_with_0() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.reinvite(calling, OFFER, 0, mark="late"))
    pair.wire.put(ALICE, pair.alice.bye(calling, now=0))
    assert done(pair) == [("INVITE", 0, "late")]


def test_an_offer_that_waits_is_made_when_it_leaves() -> None:
    """After theirs has been acknowledged, and whoever makes it has heard of that."""
    pair = StackPair()
    calling, called = pair.connect()
    pair.wire.put(BOB, pair.bob.reinvite(called, OFFER, 0))
    pair.wire.run(0)
    heard: list[str] = []

    def made() -> bytes:
        heard.append(pair.names(ALICE)[-1])
        return OFFER

    pair.wire.put(ALICE, pair.alice.reinvite(calling, made, 0))
    assert heard == []
    [theirs] = [e for e in pair.events(ALICE) if isinstance(e, ReinviteReceived)]
    pair.wire.put(ALICE, pair.alice.respond(theirs.transaction, 200, body=ANSWER, now=0))
    pair.wire.run(0)
    assert heard == ["AckReceived"]
    assert bodies(pair) == [OFFER]


def test_an_offer_is_made_after_the_outcome_of_the_one_before_is_known() -> None:
    pair = answering()
    calling, _ = pair.connect()
    heard: list[int] = []

    def made() -> bytes:
        heard.append(len(done(pair)))
        return OFFER

    for _ in range(3):
        pair.wire.put(ALICE, pair.alice.reinvite(calling, made, 0))
    pair.wire.run(1)
    assert heard == [0, 1, 2]


def test_an_offer_is_made_again_for_each_try() -> None:
    pair = StackPair()
    calling, _ = pair.connect()
    made = iter([b"v=0\r\no=1\r\n", b"v=0\r\no=2\r\n"])
    pair.wire.put(ALICE, pair.alice.reinvite(calling, lambda: next(made), 0))
    pair.wire.run(0)
    pair.wire.put(BOB, pair.bob.respond(asked(pair)[-1], 491, now=0))
    pair.wire.run(5)
    assert bodies(pair) == [b"v=0\r\no=1\r\n", b"v=0\r\no=2\r\n"]


@pytest.mark.parametrize("method", ["REFER", "NOTIFY"])
def test_what_begins_or_serves_a_subscription_has_a_contact(method: str) -> None:
    """RFC 3515 section 2.2, RFC 6665 section 8.2.1."""
    pair = answering()
    calling, _ = pair.connect()
    pair.wire.put(ALICE, pair.alice.request(calling, method, now=0))
    pair.wire.run(0)
    [seen] = [e for e in pair.events(BOB) if isinstance(e, RequestReceived)]
    assert seen.request.headers.get("Contact") == f"<sip:{ALICE.host_port}>"


def test_we_are_named_as_the_dialog_names_us() -> None:
    pair = StackPair()
    calling, called = pair.connect()
    assert (pair.alice.local_party(calling) or "").startswith("<sip:alice@127.0.0.1>;tag=")
    assert (pair.bob.local_party(called) or "").startswith("<sip:bob@127.0.0.2>;tag=")
    assert pair.alice.local_party("nobody") is None
