"""Session timers: who refreshes, how, and what happens when nobody does.  Hours pass in virtual time."""

from __future__ import annotations

import pytest

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import (
    Answered,
    Event,
    InviteReceived,
    Output,
    RefreshDue,
    Refused,
    ReinviteReceived,
    RequestDone,
    RequestReceived,
    SessionEnded,
)
from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.session_expires import SessionExpires, parse_min_se
from cordboard.sip.message import Request, Response, parse
from cordboard.sip.stack import SipStack
from cordboard.testing.raw_peer import Fields, RawPeer
from cordboard.testing.stack_pair import ALICE, ANSWER, BOB, OFFER, StackPair
from cordboard.testing.wire import Conditions, Wire

HOUR = 3600.0


class Pair(StackPair):
    """Bob answers at once; both answer all requests and refresh when it is due."""

    def __init__(
        self,
        *,
        alice: int | None,
        bob: int | None,
        conditions: Conditions = Conditions(),  # noqa: B008 - frozen
        without_update: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(seed=seed, conditions=conditions, on_alice=self._on_alice, on_bob=self._on_bob)
        self._asked_by_bob = bob
        self.without_update = without_update
        self.calling, outputs = self.alice.invite(
            uri="sip:bob@127.0.0.2",
            to="<sip:bob@127.0.0.2>",
            from_="<sip:alice@127.0.0.1>",
            destination=BOB,
            body=OFFER,
            session_expires=alice,
            now=0,
        )
        self.wire.put(ALICE, outputs)

    def _on_alice(self, event: Event, now: float) -> list[Output]:
        return self._on_either(self.alice, event, now)

    def _on_bob(self, event: Event, now: float) -> list[Output]:
        if isinstance(event, InviteReceived):
            return self.bob.accept(event.session, body=ANSWER, session_expires=self._asked_by_bob, now=now)
        return self._on_either(self.bob, event, now)

    def _on_either(self, stack: SipStack, event: Event, now: float) -> list[Output]:
        if isinstance(event, RefreshDue):
            return stack.refresh(event.session, OFFER, now)
        if isinstance(event, RequestReceived) and self.without_update:
            return stack.respond(event.transaction, 405, now=now)
        if isinstance(event, RequestReceived | ReinviteReceived):
            body = ANSWER if isinstance(event, ReinviteReceived) else b""
            return stack.respond(event.transaction, 200, body=body, now=now)
        return []

    def refreshes(self, who: Endpoint, method: str = "UPDATE") -> list[float]:
        """When one of them sent a new one (no copy counts twice)."""
        sent = [d for d in self.wire.sent if d.source == who and d.data.startswith(method.encode())]
        times: dict[bytes, float] = {}
        for datagram in sent:
            times.setdefault(datagram.data, datagram.sent_at)
        return list(times.values())

    @property
    def answer(self) -> Response:
        (event,) = [e for e in self.events(ALICE) if isinstance(e, Answered)]
        return event.response


# ------------------------------------------------------------------ the header


@pytest.mark.parametrize(
    ("text", "seconds", "refresher"),
    [
        ("90", 90, None),
        ("1800;refresher=uac", 1800, "uac"),
        ("1800 ; refresher=UAS;x=y", 1800, "uas"),
        ("90;refresher=me", 90, None),
    ],
)
def test_session_expires_is_read(text: str, seconds: int, refresher: str | None) -> None:
    assert SessionExpires.parse(text) == SessionExpires(seconds, refresher)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "-1", "x", "9" * 30, "90;;", "4294967296"])
def test_a_malformed_one_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        SessionExpires.parse(text)
    with pytest.raises(HeaderError):
        parse_min_se(text)


# ------------------------------------------------------------------ agreeing


@pytest.mark.parametrize(
    ("alice", "bob", "expected"),
    [
        (600, None, "600;refresher=uac"),
        (600, 300, "300;refresher=uac"),
        (600, 1800, "600;refresher=uac"),
        (100, 30, "90;refresher=uac"),
        (None, 300, "300;refresher=uas"),
        (None, 20, "90;refresher=uas"),
        (None, None, None),
        (20, None, "90;refresher=uac"),
    ],
)
def test_interval_and_refresher_are_agreed(alice: int | None, bob: int | None, expected: str | None) -> None:
    pair = Pair(alice=alice, bob=bob)
    pair.wire.run(1)
    assert pair.answer.headers.get("Session-Expires") == expected
    assert pair.answer.headers.get("Require") == ("timer" if alice else None)
    pair.wire.run(10 * HOUR)
    refresher = None if expected is None else ALICE if expected.endswith("uac") else BOB
    assert bool(pair.refreshes(ALICE)) == (refresher == ALICE)
    assert bool(pair.refreshes(BOB)) == (refresher == BOB)
    assert pair.alice.counts()["sessions"] == pair.bob.counts()["sessions"] == 1


@pytest.mark.parametrize("without_update", [False, True])
@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize(("alice", "bob"), [(300, None), (None, 300)])
def test_22_a_call_of_four_hours_stays_up_with_either_refresher(
    alice: int | None, bob: int | None, loss: float, without_update: bool
) -> None:
    conditions = Conditions(loss=loss, shortest_delay=0.01, longest_delay=0.05)
    pair = Pair(alice=alice, bob=bob, conditions=conditions, without_update=without_update, seed=3)
    pair.wire.run(4 * HOUR)
    assert not any(isinstance(event, SessionEnded) for _, _, event in pair.wire.events)
    refresher = ALICE if alice else BOB
    method = "INVITE" if without_update else "UPDATE"
    assert 90 <= len(pair.refreshes(refresher, method)) <= 98
    stack = pair.alice if alice else pair.bob
    session = pair.calling if alice else pair.offered()
    pair.wire.put(refresher, stack.bye(session, now=pair.now))
    pair.wire.run_until_quiet()
    assert pair.at_rest()


def test_22_a_refresh_leaves_at_half_the_interval_and_renews_it() -> None:
    pair = Pair(alice=120, bob=None)
    pair.wire.run(200)
    assert pair.refreshes(ALICE) == [60, 120, 180]
    update = parse(next(d.data for d in pair.wire.sent if d.data.startswith(b"UPDATE")))
    assert update.headers.get("Session-Expires") == "120;refresher=uac"
    assert "timer" in update.elements("Supported")
    assert update.body == b""


def test_22_a_reinvite_of_the_other_side_renews_it_too() -> None:
    pair = Pair(alice=120, bob=None)
    pair.wire.run(50)
    pair.wire.put(BOB, pair.bob.reinvite(pair.offered(), OFFER, pair.now))
    pair.wire.run(59)
    assert pair.refreshes(ALICE) == []
    pair.wire.run(2)
    assert pair.refreshes(ALICE) == [110]


# ------------------------------------------------------------------ nobody refreshes


@pytest.mark.parametrize(("interval", "margin"), [(90, 30), (120, 32), (1800, 32)])
@pytest.mark.parametrize("silent", [ALICE, BOB])
def test_22_a_far_end_that_does_not_refresh_is_hung_up_on_before_the_interval_is_over(
    interval: int, margin: int, silent: Endpoint
) -> None:
    """The refresher forgets; both ends notice by themselves."""
    asked = {ALICE: (interval, None), BOB: (None, interval)}[silent]
    pair = Pair(alice=asked[0], bob=asked[1])
    pair.wire.run(0)
    pair.wire.attach(pair.alice if silent == ALICE else pair.bob, silent)
    pair.wire.drop = lambda datagram: datagram.data.startswith(b"BYE")
    pair.wire.run(interval)
    ended = [(when, who, e.cause) for when, who, e in pair.wire.events if isinstance(e, SessionEnded)]
    due = interval - margin
    assert sorted(ended) == [(due, ALICE, "timer_expired"), (due, BOB, "timer_expired")]
    pair.wire.drop = lambda datagram: False
    pair.wire.run_until_quiet()
    assert pair.at_rest()


def test_22_a_refresh_that_nobody_answers_ends_the_call() -> None:
    pair = Pair(alice=600, bob=None)
    pair.wire.run(1)
    pair.wire.drop = lambda datagram: True
    pair.wire.run(600)
    ended = {who: (when, e.cause) for when, who, e in pair.wire.events if isinstance(e, SessionEnded)}
    assert ended == {ALICE: (300 + 32, "timeout"), BOB: (568, "timer_expired")}


# ------------------------------------------------------------------ with a peer of one's own making


class Caller:
    """Alice asks the raw peer for a session timer."""

    def __init__(self, session_expires: int | None = 120) -> None:
        self.wire = Wire()
        serial = iter(range(1, 10_000))
        self.alice = SipStack(local=ALICE, token=lambda: f"{next(serial):08x}")
        self.wire.attach(self.alice, ALICE, self._react)
        self.bob = RawPeer(self.wire, BOB)
        self.session, outputs = self.alice.invite(
            uri="sip:bob@127.0.0.2",
            to="<sip:bob@127.0.0.2>",
            from_="<sip:alice@127.0.0.1>",
            destination=BOB,
            body=OFFER,
            session_expires=session_expires,
            now=0,
        )
        self.wire.put(ALICE, outputs)
        self.wire.run(0)

    def _react(self, event: Event, now: float) -> list[Output]:
        return self.alice.refresh(event.session, OFFER, now) if isinstance(event, RefreshDue) else []

    @property
    def last(self) -> Request:
        return [request for request in self.bob.requests if request.method != "ACK"][-1]

    def answers(self, status: int, *headers: tuple[str, str]) -> None:
        self.bob.answer(self.last, ALICE, status, tag="b", headers=headers)
        self.wire.run(0)


def test_the_invite_asks_for_the_timer() -> None:
    invite = Caller(session_expires=50).last
    assert invite.headers.get("Session-Expires") == "90;refresher=uac"
    assert "timer" in invite.elements("Supported")
    assert Caller(session_expires=None).last.headers.get("Session-Expires") is None


def test_22_a_422_is_answered_once_with_their_minimum() -> None:
    call = Caller()
    first = call.last
    call.answers(422, ("Min-SE", "1000"))
    second = call.last
    assert second.headers.get("Session-Expires") == "1000;refresher=uac"
    assert second.headers.get("Min-SE") == "1000"
    assert (second.call_id, second.from_.tag, second.body) == (first.call_id, first.from_.tag, OFFER)
    assert second.cseq.number == 2
    call.answers(422, ("Min-SE", "1000"))
    assert [e.status for _, _, e in call.wire.events if isinstance(e, Refused)] == [422]


@pytest.mark.parametrize("headers", [(), (("Min-SE", "x"),), (("Min-SE", "90"),)])
def test_22_a_422_that_asks_for_nothing_is_the_outcome(headers: Fields) -> None:
    call = Caller()
    call.answers(422, *headers)
    assert [e.status for _, _, e in call.wire.events if isinstance(e, Refused)] == [422]


@pytest.mark.parametrize(
    ("headers", "refreshed_at"),
    [
        ((), 60),
        ((("Session-Expires", "100;refresher=uac"),), 50),
        ((("Session-Expires", "100"),), 50),
        ((("Session-Expires", "10;refresher=uac"),), 45),
        ((("Session-Expires", "nonsense"),), 60),
    ],
)
def test_we_refresh_also_a_far_end_that_knows_no_timers(headers: Fields, refreshed_at: float) -> None:
    call = Caller()
    call.answers(200, *headers)
    call.wire.run(refreshed_at - 0.1)
    assert call.last.method == "INVITE"
    call.wire.run(0.2)
    assert call.last.method == "INVITE"
    assert call.last.cseq.number == 2
    assert call.last.body == OFFER


def test_update_is_used_where_the_far_end_allows_it() -> None:
    call = Caller()
    call.answers(200, ("Allow", "INVITE, ACK, BYE, UPDATE"))
    call.wire.run(61)
    assert call.last.method == "UPDATE"


def test_a_refused_refresh_is_tried_again_until_time_is_up() -> None:
    call = Caller()
    call.answers(200, ("Allow", "UPDATE"))
    call.wire.run(60)
    call.answers(500)
    call.wire.run(15)
    assert [r.method for r in call.bob.requests].count("UPDATE") == 2
    call.answers(503)
    call.wire.run(14)
    ended = [(when, e.cause) for when, _, e in call.wire.events if isinstance(e, SessionEnded)]
    assert ended == [(88, "timer_expired")]
    assert call.last.method == "BYE"
    assert 'text="Session timer expired"' in (call.last.headers.get("Reason") or "")


@pytest.mark.parametrize("status", [405, 501])
def test_an_update_that_is_not_understood_is_followed_by_a_reinvite(status: int) -> None:
    call = Caller()
    call.answers(200, ("Allow", "UPDATE"))
    call.wire.run(60)
    call.answers(status)
    assert (call.last.method, call.last.body) == ("INVITE", OFFER)


def test_22_a_refresh_that_gets_422_is_sent_again_with_their_minimum() -> None:
    call = Caller()
    call.answers(200, ("Allow", "UPDATE"))
    call.wire.run(60)
    call.answers(422, ("Min-SE", "400"))
    assert call.last.headers.get("Session-Expires") == "400;refresher=uac"
    call.answers(200, ("Session-Expires", "400;refresher=uac"))
    call.wire.run(199)
    assert call.last.cseq.number == 3
    call.wire.run(2)
    assert call.last.cseq.number == 4


# ------------------------------------------------------------------ being called


def invited(*headers: tuple[str, str]) -> tuple[Wire, RawPeer, SipStack]:
    wire = Wire()
    serial = iter(range(1, 10_000))
    bob = SipStack(local=BOB, token=lambda: f"{next(serial):08x}")

    def on_bob(event: Event, now: float) -> list[Output]:
        return bob.accept(event.session, body=ANSWER, now=now) if isinstance(event, InviteReceived) else []

    wire.attach(bob, BOB, on_bob)
    peer = RawPeer(wire, ALICE)
    peer.request("INVITE", BOB, branch="z9hG4bK1", headers=headers, body=OFFER)
    wire.run(0)
    return wire, peer, bob


def test_22_too_small_an_interval_gets_422_with_our_minimum() -> None:
    _, peer, _ = invited(("Session-Expires", "89"), ("Supported", "timer"))
    assert peer.statuses[-1] == 422
    assert peer.responses[-1].headers.get("Min-SE") == "90"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((("Session-Expires", "89"),), "89;refresher=uas"),
        ((("Session-Expires", "300;refresher=uac"),), "300;refresher=uas"),
        ((("x", "300;refresher=uas"), ("Supported", "timer")), "300;refresher=uas"),
        ((("x", "300"), ("k", "100rel, timer")), "300;refresher=uas"),
        ((("Session-Expires", "nonsense"), ("Supported", "timer")), None),
        ((("Supported", "timer"),), None),
    ],
)
def test_the_answer_names_interval_and_refresher(headers: Fields, expected: str | None) -> None:
    _, peer, bob = invited(*headers)
    answer = peer.responses[-1]
    value = answer.headers.get("Session-Expires")
    assert answer.status == 200
    assert value == expected or (expected == "89;refresher=uas" and value == "90;refresher=uas")
    assert bob.defects == 0


def test_request_done_is_told_for_each_refresh() -> None:
    pair = Pair(alice=120, bob=None)
    pair.wire.run(130)
    assert [e.method for e in pair.events(ALICE) if isinstance(e, RequestDone)] == ["UPDATE", "UPDATE"]
