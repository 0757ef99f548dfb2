"""Hold of ours and what may cross it: glare, hang-ups, losses, refreshes; all of it in any order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.call.effects import HoldLeg
from cordboard.call.facts import HoldAnswered, LegHeld, LegResumed
from cordboard.legs.outputs import MediaCommand
from cordboard.legs.rules import LegRules
from cordboard.media.protocol import MediaSilent, WatchSilence
from cordboard.sdp import PCMU, VideoOffer, make_offer, parse
from cordboard.testing.wire import Conditions

from .holding import FREE, HELD, Held, mirrored
from .leg_bench import CALLED, FAR, OURS, LegBench, far_offer
from .offering import VP8, far_keys, keyed, wishes
from .test_session_timer import without_update

RULES = LegRules(rtp_timeout=30.0)


@pytest.fixture(params=["in", "out"])
def up(request: pytest.FixtureRequest) -> Held:
    return Held(request.param)


# ---------------------------------------------------------------- races


def test_glare_is_tried_again_after_a_while_of_chance(up: Held) -> None:
    """RFC 3261 section 14.1: 2.1 to 4 s where we made the Call-ID, else 0 to 2 s."""
    up.ask(True)
    sent = up.bench.now
    up.respond(491)
    assert up.facts == []
    up.bench.run(4.1)
    times = [d.sent_at for d in up.bench.wire.sent if d.source == OURS and d.data.startswith(b"INVITE")]
    pause = next(when - sent for when in times if when > sent)
    assert 2.1 <= pause <= 4.0 if up.call_id == CALLED else 0 <= pause <= 2.0
    assert len(up.asked()) == 2
    up.accept()
    assert up.facts == [HELD]


def test_both_hold_at_the_same_time(up: Held) -> None:
    """Each refuses the other's with 491; who did not make the Call-ID comes through first."""
    bench = up.bench
    bench.wire.conditions = Conditions(shortest_delay=0.01, longest_delay=0.01)
    bench.put(bench.far.reinvite(up.session, far_offer(direction="sendonly", version=2), bench.now))
    bench.do(bench.legs.hold(up.call_id, HoldLeg(on=True), bench.now))
    bench.run(0.1)
    assert "491" in bench.sent()
    for _ in range(60):
        bench.run(0.1)
        if up.asked():
            break
    # Theirs came first, or comes after ours: in the end nothing goes either way.
    up.accept("sendonly")
    bench.run(5)
    assert HELD in up.facts
    assert LegHeld() in up.facts
    assert up.orders[-1] == (False, False)
    bench.wire.conditions = Conditions()
    up.ends_well()


def test_an_offer_of_theirs_while_ours_waits_after_a_491_is_the_one_that_holds(up: Held) -> None:
    up.ask(True)
    before = up.version
    up.respond(491)
    response = up.bench.far_reinvites(up.session, far_offer(PCMU, port=4200, direction="sendonly", version=4))
    origin = parse(response.body).origin
    assert origin is not None
    assert int(origin.version) > before
    up.bench.run(4.1)
    assert up.direction == "inactive"
    assert up.version > int(origin.version)
    up.accept("sendonly", port=4200)
    assert up.facts == [LegHeld(), HELD]
    assert up.commands[-1].port == 4200


def test_a_hold_waits_for_the_ack_of_their_reinvite(up: Held) -> None:
    bench = up.bench
    bench.wire.drop = lambda datagram: datagram.data.startswith(b"ACK")
    bench.far_reinvites(up.session, far_offer(direction="recvonly", port=4300, version=2))
    up.ask(True)
    assert up.asked() == []
    bench.wire.drop = lambda datagram: False
    bench.run(2)
    assert up.direction == "sendonly"
    up.accept(port=4300)
    assert up.facts[-1] == HELD
    assert up.commands[-1].port == 4300


def test_a_hold_that_only_meets_491_is_given_up(up: Held) -> None:
    up.ask(True)
    for _ in range(9):
        up.respond(491)
        up.bench.run(4.1)
    [told] = up.facts
    assert isinstance(told, HoldAnswered)
    assert (told.ok, "491" in told.sentence) == (False, True)
    up.hold()
    assert up.facts[-1] == HELD


@pytest.mark.parametrize("answers", [False, True])
def test_a_hold_that_crosses_a_bye(up: Held, answers: bool) -> None:
    """A far end that hangs up ends the leg; its late answer is acknowledged all the same."""
    bench = up.bench
    bench.wire.drop = lambda datagram: answers and datagram.data.startswith(b"SIP/2.0 200")
    up.ask(True)
    if answers:
        up.accept()
    up.hang_up()
    assert bench.fact_names(up.call_id) == ["LegEnded"]
    bench.wire.drop = lambda datagram: False
    bench.comes_to_rest()


def test_we_hang_up_while_a_hold_is_under_way(up: Held) -> None:
    up.ask(True)
    up.bench.end(up.call_id)
    up.bench.run()
    up.accept()
    assert up.bench.fact_names(up.call_id) == ["LegEnded"]
    up.bench.comes_to_rest()


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("seed", range(8))
def test_a_wire_that_loses_a_third(direction: str, seed: int) -> None:
    up = Held(direction)
    bench = up.bench
    bench.wire._random.seed(seed)
    bench.wire.conditions = Conditions(loss=0.3, duplication=0.1, shortest_delay=0.01, longest_delay=0.05)
    for on, told in ((True, HELD), (False, FREE)):
        up.ask(on)
        bench.run(20)
        up.accept()
        bench.run(20)
        assert up.facts[-1] == told
    assert len(up.asked()) == 2
    assert up.orders == [(True, False), (True, True)]
    bench.wire.conditions = Conditions()
    up.ends_well()


# ---------------------------------------------------------------- session timers


def test_a_refresh_while_held_leaves_the_far_end_held() -> None:
    up = Held("out", LegRules(session_timeout=600))
    without_update(up.bench)
    up.hold()
    up.bench.run(301)
    assert len(up.asked()) == 2
    assert up.offer == up.asked()[0].request.body
    up.accept()
    assert up.facts == [HELD]
    assert up.orders == [(True, False)]


def test_a_refresh_that_falls_due_while_a_hold_is_under_way_repeats_the_hold() -> None:
    up = Held("out", LegRules(session_timeout=600))
    without_update(up.bench)
    up.bench.run(299)
    up.ask(True)
    up.bench.run(2)
    assert len(up.asked()) == 1
    up.accept()
    up.bench.run(400)
    assert len(up.asked()) == 2
    assert up.direction == "sendonly"
    up.accept()
    assert up.orders == [(True, False)]


def test_a_hold_is_a_refresh_too() -> None:
    up = Held("out", LegRules(session_timeout=600))
    up.bench.run(200)
    up.hold()
    request = up.asked()[-1].request
    assert request.headers.get("Session-Expires") == "600;refresher=uac"
    up.bench.run(290)
    assert up.bench.sent().count("UPDATE") == 0
    up.bench.run(20)
    assert up.bench.sent().count("UPDATE") >= 1


# ---------------------------------------------------------------- silence, keys, video


def test_silence_of_who_is_held_is_not_watched_for() -> None:
    up = Held("in", RULES)
    up.hold()
    silent = MediaSilent(endpoint_id=up.call_id, seconds=30.0)
    up.bench.do(up.bench.legs.media_silent(silent, up.bench.now))
    up.resume()
    seconds = [
        told.command.seconds
        for told in up.bench.all_told(MediaCommand)
        if isinstance(told.command, WatchSilence)
    ]
    assert seconds == [0.0, 30.0]
    assert up.facts == [HELD, FREE]


def secure_offer(version: int = 1) -> bytes:
    return make_offer(
        address=FAR.address,
        port=4000,
        codecs=(PCMU,),
        session_id=9,
        version=version,
        crypto=far_keys(),
        profile="RTP/SAVP",
    )


def test_keys_stay_as_they_are() -> None:
    up = Held("in", keyed(), secure_offer())
    before = up.bench.last_sent("200").body
    up.ask(True)
    assert [line for line in up.offer.split(b"\r\n") if b"crypto" in line] == [
        line for line in before.split(b"\r\n") if b"crypto" in line
    ]
    theirs = iter([far_keys()[0].key])
    up.accept(encryption="optional", new_key=lambda length: next(theirs))
    [order] = up.commands
    assert order.srtp is not None
    assert order.srtp.receive.key == far_keys()[0].key
    assert (order.sending, order.receiving) == (True, False)


def test_a_plain_answer_does_not_make_a_secure_call_plain() -> None:
    up = Held("in", keyed(encryption="mandatory"), secure_offer())
    up.ask(True)
    up.respond(200, far_offer(direction="recvonly"))
    [told] = up.facts
    assert isinstance(told, HoldAnswered)
    assert not told.ok
    assert up.orders == []


def test_video_is_held_with_the_audio() -> None:
    from cordboard.media.protocol import EndpointOpened

    video = VideoOffer(port=4002, codecs=(VP8,))
    body = make_offer(address=FAR.address, port=4000, codecs=(PCMU,), session_id=9, video=video)
    up = Held.__new__(Held)
    up.bench = bench = LegBench(rules=LegRules(codecs=wishes("PCMU,VP8")))
    up.session = bench.call_in(body)
    up.call_id = bench.offered().call_id
    opened = EndpointOpened(endpoint_id=up.call_id, address=OURS.address, port=10_000, video_port=10_002)
    bench.do(bench.legs.media_opened(opened, bench.now))
    bench.answer(up.call_id)
    bench.run()
    bench.told.clear()
    up.ask(True)
    assert [parse(up.offer).direction_of(one) for one in parse(up.offer).media] == ["sendonly"] * 2
    up.accept(video=VideoOffer(port=4002))
    [order] = up.commands
    assert order.video is not None
    assert (order.video.sending, order.video.receiving) == (True, False)
    response = bench.far_reinvites(up.session, body.replace(b"m=video 4002", b"m=video 4004"))
    assert [parse(response.body).direction_of(one) for one in parse(response.body).media] == ["sendonly"] * 2
    up.ask(False)
    assert [parse(up.offer).direction_of(one) for one in parse(up.offer).media] == ["sendrecv"] * 2


def test_a_video_that_the_far_end_has_switched_off_stays_off() -> None:
    video = VideoOffer(port=4002, codecs=(VP8,))
    body = make_offer(address=FAR.address, port=4000, codecs=(PCMU,), session_id=9, video=video)
    up = Held("in", LegRules(), body)
    up.ask(True)
    assert [one.port for one in parse(up.offer).media] == [10_000, 0]
    up.accept()
    assert up.facts == [HELD]


# ---------------------------------------------------------------- any order


class Mixed(Held):
    """Whoever holds, refuses, or meets the other, in any order."""

    def __init__(self, direction: str) -> None:
        super().__init__(direction)
        self.holds = 0
        self.theirs = "sendrecv"
        self._answered = 0

    def we_hold(self, on: bool) -> None:
        self.holds += 1
        self.ask(on)

    def they_say(self, direction: str) -> None:
        self.theirs = direction
        offer = far_offer(direction=direction, version=int(self.bench.now * 100) + 2)
        self.bench.put(self.bench.far.reinvite(self.session, offer, self.bench.now))
        self.bench.run()

    def they_ask_for_an_offer(self) -> None:
        self.bench.put(self.bench.far.reinvite(self.session, b"", self.bench.now))
        self.bench.run()

    def they_answer(self, status: int) -> None:
        """The oldest of our re-INVITEs that waits."""
        waiting = self.asked()[self._answered :]
        if not waiting:
            return
        self._answered += 1
        body = mirrored(waiting[0].request.body, self.theirs) if status == 200 else b""
        bench = self.bench
        bench.put(bench.far.respond(waiting[0].transaction, status, body=body, now=bench.now))
        bench.run()

    def wait(self) -> None:
        self.bench.run(1.3)

    def settle(self) -> None:
        """Until nothing is asked any more."""
        for _ in range(80):
            self.they_answer(200)
            self.wait()

    def described(self) -> list[bytes]:
        """All that we have said of our media, in order, repetitions left out."""
        sent = [d.data for d in self.bench.wire.sent if d.source == OURS]
        bodies = [data.partition(b"\r\n\r\n")[2] for data in sent if b"application/sdp\r\n" in data]
        return [body for body, before in zip(bodies, [b"", *bodies], strict=False) if body and body != before]


MIXTURE = (
    lambda up: up.we_hold(True),
    lambda up: up.we_hold(False),
    lambda up: up.they_say("sendonly"),
    lambda up: up.they_say("sendrecv"),
    lambda up: up.they_say("inactive"),
    Mixed.they_ask_for_an_offer,
    lambda up: up.they_answer(200),
    lambda up: up.they_answer(491),
    lambda up: up.they_answer(488),
    Mixed.wait,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["in", "out"]), st.lists(st.sampled_from(MIXTURE), max_size=14))
def test_in_any_order_each_hold_is_answered_and_what_is_told_agrees(
    direction: str, steps: list[Callable[[Mixed], None]]
) -> None:
    up = Mixed(direction)
    for step in steps:
        step(up)
    up.settle()
    answers = [fact for fact in up.facts if isinstance(fact, HoldAnswered)]
    assert len(answers) == up.holds
    # Our descriptions are newer with each change (RFC 3264 section 8).
    versions = [int(origin.version) for body in up.described() if (origin := parse(body).origin)]
    assert versions == sorted(set(versions))
    # What was said last is what the worker does.
    holding = bool(answers) and answers[-1].held
    if up.orders:
        assert up.orders[-1][1] is (not holding and up.theirs != "inactive")
    held = [fact for fact in up.facts if isinstance(fact, LegHeld | LegResumed)]
    told = bool(held) and isinstance(held[-1], LegHeld)
    assert told is (up.theirs != "sendrecv")
    up.ends_well()
