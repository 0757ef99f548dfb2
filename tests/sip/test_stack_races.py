"""Two stacks on a bad wire: whatever is lost, late, doubled or overtaken, each call ends once and leaves
nothing.  And whatever bytes arrive, there is an answer or silence, never an exception."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import (
    Answered,
    Event,
    InviteReceived,
    Output,
    RefreshDue,
    ReinviteReceived,
    RequestReceived,
    SendMessage,
    SessionEnded,
)
from cordboard.sip.stack import SipStack
from cordboard.sip.timers import STEP
from cordboard.testing.stack_pair import ALICE, ANSWER, BOB, OFFER, StackPair
from cordboard.testing.wire import Conditions


class Chaos:
    """Some calls between two stacks; both ends do what chance tells them, when it tells them."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        conditions = Conditions(
            loss=self.chance.choice([0.0, 0.1, 0.3, 0.6]),
            duplication=self.chance.choice([0.0, 0.2]),
            shortest_delay=0.001,
            longest_delay=self.chance.choice([0.001, 0.1, 1.5]),
        )
        self.pair = StackPair(seed=seed, conditions=conditions, on_alice=self._on_alice, on_bob=self._on_bob)
        self.begun: Counter[tuple[Endpoint, str]] = Counter()
        for _ in range(3):
            self.pair.wire.at(self.chance.uniform(0, 3), self._call)

    def _call(self) -> None:
        session = self.pair.call(self._interval())
        self.begun[ALICE, session] += 1
        self._plan_end(ALICE, session, 40)

    def _interval(self) -> int | None:
        return 90 if self.chance.random() < 0.4 else None

    def _plan_end(self, who: Endpoint, session: str, most: float) -> None:
        """Sooner or later everybody has had enough: no call may ring or talk for ever."""
        wire = self.pair.wire
        wire.at(wire.now + self.chance.uniform(0, most), lambda: self._end(who, session))

    def _end(self, who: Endpoint, session: str) -> None:
        stack = self._stack(who)
        act = stack.cancel if self.chance.random() < 0.5 else stack.bye
        self.pair.wire.put(who, act(session, now=self.pair.now))

    def _stack(self, who: Endpoint) -> SipStack:
        return self.pair.alice if who == ALICE else self.pair.bob

    def _on_bob(self, event: Event, now: float) -> list[Output]:
        if not isinstance(event, InviteReceived):
            return self._on_either(BOB, event, now)
        self.begun[BOB, event.session] += 1
        self._plan_end(BOB, event.session, 60)
        later = now + self.chance.choice([0.0, 0.0, 0.2, 5.0, 30.0])
        self.pair.wire.at(later, lambda: self._decide(event.session))
        return [*self._ring(event.session, now), *self._ring(event.session, now)]

    def _ring(self, session: str, now: float) -> list[Output]:
        """Perhaps; with a description reliably."""
        body = ANSWER if self.chance.random() < 0.5 else b""
        return self.pair.bob.ring(session, body=body, now=now) if self.chance.random() < 0.5 else []

    def _decide(self, session: str) -> None:
        now, bob = self.pair.now, self.pair.bob
        if self.chance.random() < 0.7:
            asked = self._interval()
            self.pair.wire.put(BOB, bob.accept(session, body=ANSWER, session_expires=asked, now=now))
        else:
            self.pair.wire.put(BOB, bob.reject(session, status=486, now=now))

    def _on_alice(self, event: Event, now: float) -> list[Output]:
        if isinstance(event, Answered):
            return self._ask(ALICE, event.session, now)
        return self._on_either(ALICE, event, now)

    def _on_either(self, who: Endpoint, event: Event, now: float) -> list[Output]:
        if isinstance(event, RefreshDue) and self.chance.random() < 0.8:
            return self._stack(who).refresh(event.session, OFFER, now)
        if isinstance(event, ReinviteReceived | RequestReceived) and self.chance.random() < 0.8:
            status = self.chance.choice([200, 200, 488])
            body = ANSWER if status == 200 else b""
            return [
                *self._stack(who).respond(event.transaction, status, body=body, now=now),
                *self._ask(who, event.session, now),
            ]
        return []

    def _ask(self, who: Endpoint, session: str, now: float) -> list[Output]:
        """Perhaps something inside the dialog."""
        stack, lot = self._stack(who), self.chance.random()
        if lot < 0.3:
            return stack.reinvite(session, OFFER, now)
        if lot < 0.5:
            return stack.request(session, "INFO", now=now)
        if lot < 0.6:
            return stack.request(session, "UPDATE", body=OFFER, now=now)
        return []

    def check(self) -> None:
        busy_until = 0.0
        busy = True
        while busy or self.pair.wire.next_time() is not None:
            assert self.pair.wire.step(), (self.pair.alice.counts(), self.pair.bob.counts())
            busy_until = self.pair.now if busy else busy_until
            busy = not self.pair.at_rest()
        self._check_ends()
        # Nothing is left 64*T1 after the last transaction began, nor after the last datagram arrived.
        last = max(datagram.sent_at for datagram in self.pair.wire.sent)
        assert busy_until <= last + 64 * 0.5 + self.pair.wire.conditions.longest_delay + STEP

    def _check_ends(self) -> None:
        ended = Counter(
            (who, e.session) for _, who, e in self.pair.wire.events if isinstance(e, SessionEnded)
        )
        assert ended == self.begun
        over: set[str] = set()
        for _, _, event in self.pair.wire.events:
            assert event.session not in over, event
            if isinstance(event, SessionEnded):
                over.add(event.session)


@pytest.mark.parametrize("batch", range(10))
def test_three_hundred_runs_over_a_bad_wire_end_each_session_once_and_leave_nothing(batch: int) -> None:
    for seed in range(batch * 30, batch * 30 + 30):
        Chaos(seed).check()


@pytest.mark.parametrize("lost", range(1, 8))
def test_a_call_survives_the_loss_of_any_one_message(lost: int) -> None:
    pair = StackPair()
    sent = iter(range(1, 1000))
    pair.wire.drop = lambda datagram: next(sent) == lost
    calling = pair.call()
    pair.wire.run(1)
    called = pair.offered()
    pair.wire.put(BOB, pair.bob.ring(called, now=pair.now))
    pair.wire.run(1)
    pair.wire.put(BOB, pair.bob.accept(called, body=ANSWER, now=pair.now))
    pair.wire.run(2)
    pair.wire.put(ALICE, pair.alice.bye(calling, now=pair.now))
    pair.wire.run_until_quiet()
    ends = [e.cause for _, _, e in pair.wire.events if isinstance(e, SessionEnded)]
    assert ends == ["bye_sent", "bye_received"]
    assert pair.names(BOB) == ["InviteReceived", "AckReceived", "SessionEnded"]
    assert pair.at_rest()


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.03])
def test_an_answer_and_a_cancel_that_cross_leave_both_ends_agreed(delay: float) -> None:
    """Bob answers while the CANCEL is under way: he is acknowledged and then hung up on, in that order."""
    pair = StackPair(conditions=Conditions(shortest_delay=0.02, longest_delay=0.02))
    calling = pair.call()
    pair.wire.run(0.1)
    called = pair.offered()
    pair.wire.at(
        pair.now + delay, lambda: pair.wire.put(BOB, pair.bob.accept(called, body=b"", now=pair.now))
    )
    pair.wire.put(ALICE, pair.alice.cancel(calling, now=pair.now))
    pair.wire.run_until_quiet()
    assert pair.at_rest()
    ends = {who: e.cause for _, who, e in pair.wire.events if isinstance(e, SessionEnded)}
    if delay < 0.02:
        assert pair.first_lines(ALICE) == ["INVITE", "CANCEL", "ACK", "BYE"]
        assert ends == {ALICE: "cancelled", BOB: "bye_received"}
    else:
        assert pair.first_lines(ALICE) == ["INVITE", "CANCEL", "ACK"]
        assert ends == {ALICE: "cancelled", BOB: "cancelled"}


# ------------------------------------------------------------------ hostile bytes


def _corpus() -> list[bytes]:
    """Every kind of message that two stacks say to each other, and all that alice can be sent."""
    pair = StackPair()
    calling, called = pair.connect()
    pair.wire.put(BOB, pair.bob.reinvite(called, OFFER, 0))
    pair.wire.put(ALICE, pair.alice.request(calling, "INFO", now=0))
    pair.wire.run(0)
    other = pair.call()
    pair.wire.run(0)
    pair.wire.put(ALICE, pair.alice.cancel(other, now=0))
    pair.wire.run(0)
    pair.wire.put(ALICE, pair.alice.bye(calling, now=0))
    pair.wire.run(0)
    return [datagram.data for datagram in pair.wire.sent]


CORPUS = _corpus()
SNIPPETS = [
    b"\r\n",
    b"\0",
    b"\xff",
    b";",
    b",",
    b'"',
    b"<",
    b">",
    b":",
    b"@",
    b"=",
    b" ",
    b"%",
    b"\t",
    b"SIP/2.0",
]
SNIPPETS += [
    b"z9hG4bK",
    b";tag=",
    b"Via: ",
    b"To: ",
    b"CSeq: 1 INVITE",
    b"99999999999999999999",
    b"[::1]",
    b";lr",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message of the corpus with some places cut out, doubled, or filled with what hurts."""
    data = bytearray(draw(st.sampled_from(CORPUS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        data[at:end] = draw(
            st.sampled_from(SNIPPETS) | st.just(bytes(data[at:end]) * 2) | st.binary(max_size=4)
        )
    return bytes(data)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(mutated(), st.booleans()), min_size=1, max_size=12), st.integers(0, 3))
def test_whatever_arrives_there_is_an_answer_or_silence(
    messages: list[tuple[bytes, bool]], moment: int
) -> None:
    pair = StackPair()
    session = pair.connect()[0] if moment else pair.call()
    pair.wire.run(0)
    if moment == 2:
        pair.wire.put(ALICE, pair.alice.reinvite(session, OFFER, 0))
    if moment == 3:
        pair.wire.put(ALICE, pair.alice.bye(session, now=0))
    for data, to_alice in messages:
        stack, source = (pair.alice, BOB) if to_alice else (pair.bob, ALICE)
        outputs = stack.receive(data, source, pair.now)
        assert sum(isinstance(output, SendMessage) for output in outputs) <= 4
        assert stack.defects == 0
    _everybody_hangs_up(pair)
    pair.wire.run_until_quiet()
    assert pair.at_rest()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_message_do_no_harm(data: bytes) -> None:
    pair = StackPair()
    pair.bob.receive(data, ALICE, 0.0)
    assert pair.bob.defects == 0
    assert pair.bob.counts()["timers"] == 0


def _everybody_hangs_up(pair: StackPair) -> None:
    for stack, who in ((pair.alice, ALICE), (pair.bob, BOB)):
        for session in list(stack._core.sessions):
            pair.wire.put(who, stack.bye(session, now=pair.now))
