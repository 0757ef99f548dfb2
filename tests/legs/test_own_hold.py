"""Hold of ours: a re-INVITE (RFC 3264 section 8.4), and what may cross it."""

from __future__ import annotations

import pytest

from cordboard.call.effects import HoldLeg
from cordboard.call.facts import HoldAnswered, LegEnded, LegHeld, LegResumed
from cordboard.legs.outputs import DialogSaved
from cordboard.legs.rules import LegRules
from cordboard.sdp import parse
from cordboard.testing.challenge import Challenge

from .holding import FREE, HELD, Held
from .leg_bench import CALLED, FAR, LegBench, far_answer, far_offer

RULES = LegRules(rtp_timeout=30.0)


@pytest.fixture(params=["in", "out"])
def up(request: pytest.FixtureRequest) -> Held:
    return Held(request.param)


# ---------------------------------------------------------------- as it should be


def test_hold_and_resume(up: Held) -> None:
    up.hold()
    assert (up.direction, up.version, up.facts) == ("sendonly", 2, [HELD])
    up.resume()
    assert (up.direction, up.version, up.facts) == ("sendrecv", 3, [HELD, FREE])
    assert up.orders == [(True, False), (True, True)]
    assert up.bench.sent()[-1] == "ACK"
    up.ends_well()


def test_the_offer_says_the_same_but_for_the_direction(up: Held) -> None:
    before = up.bench.last_sent("200" if up.call_id != CALLED else "INVITE").body
    up.hold()

    def bare(body: bytes) -> list[bytes]:
        return [line for line in body.split(b"\r\n") if not line.startswith((b"o=", b"a=send"))]

    assert bare(up.offer) == bare(before)
    assert len(up.bench.all_told(DialogSaved)) == 1


def test_what_changes_nothing_is_done_at_once(up: Held) -> None:
    up.ask(False)
    assert up.facts == [FREE]
    up.hold()
    up.ask(True)
    assert up.facts == [FREE, HELD, HELD]
    assert len(up.asked()) == 1


def test_changes_of_mind_are_carried_out_in_order(up: Held) -> None:
    for on in (True, True, False, True):
        up.ask(on)
    assert len(up.asked()) == 1
    for directions in ("sendonly", "sendrecv", "sendonly"):
        assert up.direction == directions
        up.accept()
    assert up.facts == [HELD, HELD, FREE, HELD]
    assert len(up.asked()) == 3


def test_too_many_changes_of_mind_are_refused(up: Held) -> None:
    for number in range(17):
        up.ask(number % 2 == 0)
    [told] = up.facts
    assert isinstance(told, HoldAnswered)
    assert not told.ok
    up.hang_up()
    up.bench.comes_to_rest()


def test_a_call_that_is_not_answered_cannot_be_held() -> None:
    bench = LegBench()
    bench.call_out()
    bench.do(bench.legs.hold(CALLED, HoldLeg(on=True), bench.now))
    [told] = bench.facts(CALLED)
    assert isinstance(told, HoldAnswered)
    assert (told.held, told.ok) == (False, False)
    assert "not answered" in told.sentence


def test_a_call_that_is_gone_is_not_held() -> None:
    bench = LegBench()
    assert bench.legs.hold("gone", HoldLeg(on=True), 0.0) == []


@pytest.mark.parametrize("late", [False, True])
def test_a_hold_before_the_answer_is_confirmed_waits_for_that(late: bool) -> None:
    """No INVITE while another is in progress (RFC 3261 section 14.1); `late`: our offer went with the 200."""
    up = Held.__new__(Held)
    up.bench = bench = LegBench()
    up.session = bench.call_in(b"" if late else far_offer())
    up.call_id = bench.offered().call_id
    bench.do(bench.legs.accept_offer(up.call_id))
    bench.open_media(up.call_id)
    bench.wire.drop = lambda datagram: datagram.data.startswith(b"ACK")
    bench.answer(up.call_id)
    bench.run()
    up.ask(True)
    assert up.asked() == []
    bench.wire.drop = lambda datagram: False
    if late:
        ack = [d.data for d in bench.wire.sent if d.source == FAR and d.data.startswith(b"ACK")][-1]
        answer = far_answer(bench.last_sent("200").body)
        length = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(answer)
        data = ack.replace(b"Content-Length: 0\r\n\r\n", length) + answer
        bench.do(bench.legs.receive(data, FAR, bench.now))
        bench.run()
    else:
        bench.run(1)
    assert up.direction == "sendonly"
    up.accept()
    assert up.facts[-1] == HELD
    assert up.orders[-1] == (True, False)
    up.ends_well()


# ---------------------------------------------------------------- both hold


def test_who_holds_us_is_held_by_nothing_going_either_way(up: Held) -> None:
    up.bench.far_reinvites(up.session, far_offer(direction="sendonly"))
    up.hold("sendonly")
    assert up.direction == "inactive"
    assert up.facts == [LegHeld(), HELD]
    up.resume("sendonly")
    assert up.direction == "sendrecv"
    assert up.facts == [LegHeld(), HELD, FREE]
    assert up.orders == [(False, True), (False, False), (False, True)]
    up.bench.far_reinvites(up.session, far_offer(version=2))
    assert up.facts[-1] == LegResumed()
    assert up.orders[-1] == (True, True)


@pytest.mark.parametrize(
    ("theirs", "ours", "orders"),
    [
        ("sendonly", "inactive", (False, False)),
        ("inactive", "inactive", (False, False)),
        ("recvonly", "sendonly", (True, False)),
        ("sendrecv", "sendonly", (True, False)),
    ],
)
def test_an_offer_of_who_is_held_is_answered_as_it_is_held(
    up: Held, theirs: str, ours: str, orders: tuple[bool, bool]
) -> None:
    up.hold()
    response = up.bench.far_reinvites(up.session, far_offer(direction=theirs, port=4100, version=3))
    assert (ours, "") in parse(response.body).media[0].attributes
    assert up.orders[-1] == orders
    up.resume("sendrecv" if orders[0] else "sendonly")
    assert up.orders[-1] == (orders[0], True)
    up.ends_well()


def test_who_is_held_and_asks_for_an_offer_is_still_held(up: Held) -> None:
    up.hold()
    response = up.bench.far_reinvites(up.session, b"")
    assert ("sendonly", "") in parse(response.body).media[0].attributes


def test_an_answer_that_nothing_goes_either_way_does_not_say_that_they_hold_us(up: Held) -> None:
    """Some answer every hold with `inactive`."""
    up.hold("inactive")
    assert up.facts == [HELD]
    assert up.orders == [(False, False)]
    up.resume()
    assert up.facts == [HELD, FREE]
    assert up.orders[-1] == (True, True)


def test_who_holds_us_in_its_answer_has_said_so(up: Held) -> None:
    up.hold()
    up.resume("sendonly")
    assert up.facts == [HELD, LegHeld(), FREE]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("status", [302, 403, 415, 488, 500, 603])
def test_a_refusal_leaves_all_as_it_was(up: Held, status: int) -> None:
    up.ask(True)
    up.respond(status)
    [told] = up.facts
    assert isinstance(told, HoldAnswered)
    assert (told.held, told.ok) == (False, False)
    assert str(status) in told.sentence
    assert up.orders == []
    up.hold()
    assert up.facts[-1] == HELD
    up.ask(False)
    up.respond(status)
    assert up.facts[-1] == HoldAnswered(held=True, ok=False, sentence=told.sentence)
    up.ends_well()


@pytest.mark.parametrize("answer", [b"", b"nonsense", far_offer(port=0)])
def test_an_answer_that_cannot_be_used_leaves_the_media_as_they_were(up: Held, answer: bytes) -> None:
    up.ask(True)
    up.respond(200, answer)
    [told] = up.facts
    assert isinstance(told, HoldAnswered)
    assert (told.held, told.ok) == (False, False)
    assert up.orders == []
    version = up.version
    response = up.bench.far_reinvites(up.session, b"")
    assert ("sendrecv", "") in parse(response.body).media[0].attributes
    origin = parse(response.body).origin
    assert origin is not None
    assert int(origin.version) > version


@pytest.mark.parametrize("status", [408, 481])
def test_a_far_end_that_does_not_know_the_call_any_more_is_hung_up(up: Held, status: int) -> None:
    """RFC 3261 section 12.2.1.2."""
    up.ask(True)
    up.respond(status)
    told, ended = up.facts
    assert isinstance(told, HoldAnswered)
    assert not told.ok
    assert isinstance(ended, LegEnded)
    assert "BYE" in up.bench.sent()
    up.bench.comes_to_rest()


def test_a_far_end_that_does_not_answer_is_hung_up(up: Held) -> None:
    """Timer B."""
    up.bench.wire.drop = lambda datagram: datagram.destination == FAR
    up.ask(True)
    up.bench.run(33)
    told, ended = up.facts
    assert isinstance(told, HoldAnswered)
    assert not told.ok
    assert isinstance(ended, LegEnded)
    assert ended.ending.cause == "dialog_timeout"


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenge_is_answered_with_the_credentials_of_the_call(status: int) -> None:
    from cordboard.call.plan import Destination

    bench = LegBench()
    destination = Destination(kind="sip", to="sip:bob@127.0.0.2", username="user", password="secret")
    session = bench.call_out(destination=destination)
    bench.far_accepts(session)
    up = Held.__new__(Held)
    up.bench, up.session, up.call_id = bench, session, CALLED
    bench.told.clear()
    up.ask(True)
    first, challenge = up.offer, Challenge(status=status)
    demand = challenge.demand(up.asked()[-1].request)
    assert demand is not None
    up.respond(status, b"", demand)
    assert challenge.demand(up.asked()[-1].request) is None
    assert up.offer == first
    up.accept()
    assert up.facts == [HELD]
