"""Session timers of legs (RFC 4028): who asks for what, refreshes, far ends that vanish."""

from __future__ import annotations

import pytest

from cordboard.call.facts import LegHeld
from cordboard.call.plan import Destination
from cordboard.legs.outputs import Target, Terms
from cordboard.legs.rules import LegRules
from cordboard.sdp import parse
from cordboard.sip.events import (
    InviteReceived,
    RefreshDue,
    ReinviteReceived,
    RequestReceived,
    SendMessage,
)

from .leg_bench import BOB, CALLED, FAR, LegBench, far_answer, far_offer

RULES = LegRules(session_timeout=600)
FOUR_HOURS = 4 * 3600


def asked_for(destination: Destination, rules: LegRules, terms: Terms | None = None) -> str | None:
    """The Session-Expires of the INVITE."""
    bench = LegBench(rules=rules)
    bench.dial(destination=destination)
    bench.open_media(CALLED)
    bench.route(Target(request_uri=BOB, endpoint=FAR, is_phone=destination.kind == "phone"), terms=terms)
    value = bench.last_sent("INVITE").headers.get("Session-Expires")
    return None if value is None else value.partition(";")[0]


@pytest.mark.parametrize(
    ("kind", "wish", "trunk", "server", "expected"),
    [
        ("sip", None, None, 600, "600"),
        ("sip", None, None, 0, None),
        ("sip", 120, None, 600, "120"),
        ("sip", 120, None, 0, "120"),
        ("sip", 30, None, 600, "90"),
        ("phone", 300, None, 0, None),
        ("phone", 300, None, 600, "600"),
        ("phone", 300, 1800, 600, "1800"),
        ("phone", None, 0, 600, None),
    ],
)
def test_the_destination_the_trunk_or_the_server_says_how_long(
    kind: str, wish: int | None, trunk: int | None, server: int, expected: str | None
) -> None:
    to = BOB if kind == "sip" else "+15551234567"
    terms = Terms(trunk="t", session_timeout=trunk) if kind == "phone" else None
    destination = Destination(kind=kind, to=to, session_timeout=wish)
    assert asked_for(destination, LegRules(session_timeout=server), terms) == expected


class FarEnd:
    """Answers what our leg asks inside the dialog, as a phone does; `takes_update` or re-INVITE alone."""

    def __init__(self, bench: LegBench) -> None:
        self.bench = bench
        self._seen = 0
        self.methods: list[str] = []
        self.is_gone = False

    def run(self, seconds: float) -> None:
        """Let time pass, in steps, and answer what comes."""
        bench, end = self.bench, self.bench.now + seconds
        while bench.now < end:
            bench.run(min(5.0, end - bench.now))
            self.answer()

    def answer(self) -> None:
        events, self._seen = self.bench.wire.events[self._seen :], len(self.bench.wire.events)
        for _, where, event in events:
            if where != FAR or self.is_gone:
                continue
            if isinstance(event, RequestReceived | ReinviteReceived):
                self.methods.append(event.request.method)
                body = far_answer(event.request.body) if event.request.body else b""
                answer = self.bench.far.respond(event.transaction, 200, body=body, now=self.bench.now)
                self.bench.put(answer)
            elif isinstance(event, RefreshDue):
                self.bench.put(self.bench.far.refresh(event.session, far_offer(), self.bench.now))
        self.bench.run()


def test_a_call_of_four_hours_stays_up_on_refreshes_of_ours() -> None:
    bench = LegBench(rules=RULES)
    session = bench.answered_call_out()
    far = FarEnd(bench)
    orders = len(bench.media_orders(CALLED))
    far.run(FOUR_HOURS)
    assert bench.fact_names(CALLED) == ["LegAnswered"]
    assert far.methods == ["UPDATE"] * len(far.methods)
    assert len(far.methods) >= FOUR_HOURS // 300 - 1
    assert len(bench.media_orders(CALLED)) == orders
    bench.put(bench.far.bye(session, now=bench.now))
    bench.run()
    assert bench.ending(CALLED).cause == "hangup_far_end"
    bench.comes_to_rest()


def called_with_a_timer(bench: LegBench) -> tuple[str, str]:
    """A caller who refreshes himself, answered: his session, and the id of his call here."""
    session, outputs = bench.far.invite(
        uri="sip:+15559999@127.0.0.1",
        to="<sip:+15559999@127.0.0.1>",
        from_="<sip:+15550001@127.0.0.2>",
        destination=bench.stack.local,
        body=far_offer(),
        session_expires=600,
        now=bench.now,
    )
    bench.put(outputs)
    bench.run()
    call_id = bench.offered().call_id
    bench.do(bench.legs.accept_offer(call_id))
    bench.open_media(call_id)
    bench.answer(call_id)
    bench.run()
    return session, call_id


def test_a_call_of_four_hours_stays_up_on_refreshes_of_the_caller() -> None:
    bench = LegBench(rules=RULES)
    session, call_id = called_with_a_timer(bench)
    far = FarEnd(bench)
    far.run(FOUR_HOURS)
    assert bench.fact_names(call_id) == ["LegAnswered"]
    assert len(bench.media_orders(call_id)) == 1
    bench.put(bench.far.bye(session, now=bench.now))
    bench.run()
    bench.comes_to_rest()


def test_both_legs_of_a_call_of_four_hours_stay_up_each_on_its_own_timer() -> None:
    """The caller refreshes his leg, we the other one."""
    bench = LegBench(rules=RULES)
    caller, call_id = called_with_a_timer(bench)
    called = bench.answered_call_out()
    far = FarEnd(bench)
    begun = len(bench.sent())
    far.run(FOUR_HOURS)
    assert bench.fact_names(call_id) == bench.fact_names(CALLED) == ["LegAnswered"]
    assert far.methods == ["UPDATE"] * len(far.methods)
    assert len(far.methods) >= FOUR_HOURS // 300 - 1
    answered = bench.sent()[begun:].count("200")
    assert answered >= FOUR_HOURS // 300 - 1
    for session in (caller, called):
        bench.put(bench.far.bye(session, now=bench.now))
    bench.run()
    bench.comes_to_rest()


def test_a_far_end_that_vanishes_is_hung_up_before_the_session_expires() -> None:
    bench = LegBench(rules=RULES)
    bench.answered_call_out()
    bench.wire.drop = lambda datagram: datagram.destination == FAR
    bench.run(600.0)
    end = bench.ending(CALLED)
    assert end.cause in ("session_expired", "dialog_timeout")
    bench.comes_to_rest()


@pytest.mark.parametrize(("seconds", "before"), [(90, 30), (600, 32)])
def test_a_called_phone_that_stops_refreshing_is_hung_up_before_the_expiry(seconds: int, before: int) -> None:
    """H19"""
    bench = LegBench(rules=LegRules(session_timeout=0))
    bench.call_out(destination=Destination(kind="sip", to=BOB, session_timeout=seconds))
    invite = bench.received(InviteReceived).request
    fields = [
        ("Require", "timer"),
        ("Session-Expires", f"{seconds};refresher=uas"),
        ("Contact", f"<sip:bob@{FAR.address}:{FAR.port}>"),
        ("Content-Type", "application/sdp"),
    ]
    answer = invite.response(200, to_tag="far", headers=fields, body=far_answer(invite.body))
    bench.put([SendMessage(data=answer.to_bytes(), destination=bench.stack.local)])
    bench.run(seconds - before - 1)
    assert bench.fact_names(CALLED) == ["LegAnswered"]
    bench.run(2)
    end = bench.ending(CALLED)
    assert (end.cause, bench.sent()[-1]) == ("session_expired", "BYE")


def test_a_caller_that_stops_refreshing_is_hung_up_with_the_reason() -> None:
    bench = LegBench(rules=RULES)
    _, outputs = bench.far.invite(
        uri="sip:+15559999@127.0.0.1",
        to="<sip:+15559999@127.0.0.1>",
        from_="<sip:+15550001@127.0.0.2>",
        destination=bench.stack.local,
        body=far_offer(),
        session_expires=90,
        now=bench.now,
    )
    bench.put(outputs)
    bench.run()
    call_id = bench.offered().call_id
    bench.do(bench.legs.accept_offer(call_id))
    bench.open_media(call_id)
    bench.answer(call_id)
    bench.run(59.0)
    assert bench.fact_names(call_id) == ["LegAnswered"]
    bench.run(32.0)
    end = bench.ending(call_id)
    assert end.cause == "session_expired"
    assert "refresh" in end.sentence


def without_update(bench: LegBench) -> None:
    """A far end that does not take UPDATE: our refreshes are re-INVITEs."""
    leg = bench.legs._legs[CALLED]
    timer = bench.stack._core.sessions[leg.session or ""].timer
    assert timer is not None
    timer.updates = False


def test_a_refresh_by_reinvite_repeats_what_holds_and_changes_no_media() -> None:
    bench = LegBench(rules=RULES)
    bench.answered_call_out()
    without_update(bench)
    far = FarEnd(bench)
    offer, orders = bench.last_sent("INVITE").body, len(bench.media_orders(CALLED))
    far.run(700.0)
    assert far.methods == ["INVITE"] * 2
    assert bench.last_sent("INVITE").body == offer
    assert len(bench.media_orders(CALLED)) == orders
    assert bench.fact_names(CALLED) == ["LegAnswered"]


def test_a_refresh_during_hold_does_not_take_the_call_back() -> None:
    bench = LegBench(rules=RULES)
    session = bench.answered_call_out()
    without_update(bench)
    bench.far_reinvites(session, far_offer(direction="sendonly", version=2))
    assert bench.facts(CALLED)[-1] == LegHeld()
    far = FarEnd(bench)
    far.answer()
    far.run(320.0)
    assert ("recvonly", "") in parse(bench.last_sent("INVITE").body).media[0].attributes
    assert bench.facts(CALLED)[-1] == LegHeld()


def test_a_far_end_may_answer_a_refresh_from_another_port() -> None:
    bench = LegBench(rules=RULES)
    bench.answered_call_out()
    without_update(bench)
    bench.run(300.5)
    reinvite = bench.received(ReinviteReceived)
    body = far_answer(reinvite.request.body, port=4444)
    bench.put(bench.far.respond(reinvite.transaction, 200, body=body, now=bench.now))
    bench.run()
    assert bench.media_orders(CALLED)[-1].command.port == 4444
