"""Whatever happens in whatever order: a leg ends once, says nothing after it, and nothing is left of it."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.call.effects import HoldLeg, PassDigit, ReferLeg, ReportTransfer, SendDigitsTo
from cordboard.call.facts import LegDialled, LegEnded
from cordboard.call.plan import Destination
from cordboard.call.reasons import ending
from cordboard.legs.outputs import CallOffered, Happened, Target, Terms
from cordboard.legs.rules import LegRules
from cordboard.media.protocol import MediaSilent
from cordboard.sdp import SdpError
from cordboard.sip import events
from cordboard.sip.endpoint import Endpoint

from .leg_bench import BOB, CALLED, FAR, LegBench, far_answer, far_offer

DEAD = Endpoint("UDP", "127.0.0.9", 5060)
TARGETS = (
    Target(request_uri=BOB, endpoint=DEAD),
    Target(request_uri=BOB, endpoint=FAR),
    Target(request_uri=BOB, endpoint=FAR, large=Endpoint("TCP", "127.0.0.2", 5060)),
)


class Walk:
    """One dialled call and one that comes in, and all that can befall them."""

    def __init__(self) -> None:
        rules = LegRules(
            encryption="optional", new_key=lambda length: b"k" * length, session_timeout=90, rtp_timeout=10.0
        )
        self.bench = LegBench(rules=rules)
        self.bench.dial(destination=Destination(kind="sip", to=BOB, username="u", password="p"))
        self.caller = self.bench.call_in(far_offer())

    def ids(self) -> list[str]:
        return [CALLED, *(offer.call_id for offer in self.bench.all_told(CallOffered))]

    def each(self, act: Callable[[str], None]) -> None:
        for call_id in self.ids():
            act(call_id)

    def far_sessions(self) -> list[str]:
        """Those of the far end, the latest last."""
        invited = [
            e.session
            for _, w, e in self.bench.wire.events
            if isinstance(e, events.InviteReceived) and w == FAR
        ]
        return [self.caller, *invited]

    def far(self, act: Callable[[str], list[events.Output]]) -> None:
        self.bench.put(act(self.far_sessions()[-1]))
        self.bench.put(act(self.caller))
        self.bench.run()

    # ------------------------------------------------------------ the shell and the calls

    def open(self) -> None:
        self.each(self.bench.open_media)

    def resolve(self) -> None:
        self.bench.route(*TARGETS)

    def resolve_trunk(self) -> None:
        self.bench.route(TARGETS[1], terms=Terms(trunk="t", dtmf="info", two_media_lines=True))

    def lose(self) -> None:
        self.bench.do(self.bench.legs.unresolved(CALLED, ending("dns_failed"), self.bench.now))

    def fail(self) -> None:
        for place in (DEAD, Endpoint("TCP", "127.0.0.2", 5060)):
            self.bench.do(self.bench.legs.transport_failed(place, self.bench.now))

    def ring(self) -> None:
        self.each(lambda call_id: self.bench.ring(call_id, early_media=True))

    def answer(self) -> None:
        self.each(self.bench.answer)

    def press(self) -> None:
        legs, now = self.bench.legs, self.bench.now
        key = PassDigit(digit="1", duration_ms=100, by_info=True)
        row = SendDigitsTo(control_id="c", digits="1W2")
        self.each(lambda call_id: self.bench.do(legs.pass_digit(call_id, key, now)))
        self.each(lambda call_id: self.bench.do(legs.send_digits(call_id, row, now)))

    def report(self) -> None:
        effect = ReportTransfer(status=200)
        legs, now = self.bench.legs, self.bench.now
        self.each(lambda call_id: self.bench.do(legs.report_transfer(call_id, effect, now)))

    def silence(self) -> None:
        legs, now = self.bench.legs, self.bench.now
        self.each(
            lambda call_id: self.bench.do(
                legs.media_silent(MediaSilent(endpoint_id=call_id, seconds=10.0), now)
            )
        )

    def our_refer(self) -> None:
        legs, now = self.bench.legs, self.bench.now
        effect = ReferLeg(to="sip:c@h", username="u", password="p")
        self.each(lambda call_id: self.bench.do(legs.refer(call_id, effect, now)))
        self.bench.run()

    def our_hold(self, on: bool) -> None:
        legs, now = self.bench.legs, self.bench.now
        self.each(lambda call_id: self.bench.do(legs.hold(call_id, HoldLeg(on=on), now)))
        self.bench.run()

    def end(self) -> None:
        self.each(self.bench.end)

    # ------------------------------------------------------------ the far end

    def far_rings(self) -> None:
        self.far(
            lambda session: self.bench.far.ring(session, status=183, body=self._sdp(), now=self.bench.now)
        )

    def far_answers(self) -> None:
        self.far(lambda session: self.bench.far.accept(session, body=self._sdp(), now=self.bench.now))

    def _sdp(self) -> bytes:
        invited = [
            e for _, w, e in self.bench.wire.events if isinstance(e, events.InviteReceived) and w == FAR
        ]
        try:
            return far_answer(invited[-1].request.body) if invited else far_offer()
        except SdpError:
            return far_offer()

    def refuse(self, status: int, *headers: tuple[str, str]) -> None:
        now = self.bench.now
        self.far(lambda session: self.bench.far.reject(session, status=status, headers=headers, now=now))

    def redirect(self) -> None:
        self.refuse(302, ("Contact", f"<sip:n{int(self.bench.now)}@127.0.0.2>"))

    def challenge(self) -> None:
        self.refuse(401, ("WWW-Authenticate", 'Digest realm="r", nonce="n", algorithm=MD5, qop="auth"'))

    def hold(self) -> None:
        offer = far_offer(direction="sendonly", version=2)
        self.far(lambda session: self.bench.far.reinvite(session, offer, self.bench.now))

    def late_offer(self) -> None:
        self.far(lambda session: self.bench.far.reinvite(session, b"", self.bench.now))

    def refer(self) -> None:
        self._request("REFER", ("Refer-To", "<sip:c@h?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>"))

    def info(self) -> None:
        self._request("INFO", ("Content-Type", "application/dtmf-relay"), body=b"Signal=5\r\n")

    def update(self) -> None:
        self._request("UPDATE", body=far_offer(port=4400, version=3))

    def _request(self, method: str, *headers: tuple[str, str], body: bytes = b"") -> None:
        now = self.bench.now
        self.far(lambda session: self.bench.far.request(session, method, headers=headers, body=body, now=now))

    def far_ends(self) -> None:
        self.far(lambda session: self.bench.far.bye(session, now=self.bench.now))

    def notify(self) -> None:
        fields = [("Event", "refer"), ("Content-Type", "message/sipfrag"), ("Subscription-State", "active")]
        self._request("NOTIFY", *fields, body=b"SIP/2.0 180 Ringing\r\n")

    def answer_requests(self, status: int = 200) -> None:
        bench = self.bench
        for _, where, event in [*bench.wire.events]:
            if where == FAR and isinstance(event, events.RequestReceived | events.ReinviteReceived):
                offer = event.request.body if event.request.method == "INVITE" else b""
                body = self._answer_to(offer) if status == 200 else b""
                bench.put(bench.far.respond(event.transaction, status, body=body, now=bench.now))
        bench.run()

    def _answer_to(self, offer: bytes) -> bytes:
        try:
            return far_answer(offer) if offer else b""
        except SdpError:
            return b""

    def wait(self) -> None:
        self.bench.run(20.0)


STEPS: tuple[Callable[[Walk], None], ...] = (
    Walk.open,
    Walk.resolve,
    Walk.resolve_trunk,
    Walk.lose,
    Walk.fail,
    Walk.ring,
    Walk.answer,
    Walk.press,
    Walk.report,
    Walk.silence,
    Walk.end,
    Walk.far_rings,
    Walk.far_answers,
    lambda walk: walk.refuse(488),
    lambda walk: walk.refuse(503),
    lambda walk: walk.refuse(486),
    Walk.redirect,
    Walk.challenge,
    Walk.hold,
    Walk.late_offer,
    Walk.refer,
    Walk.info,
    Walk.update,
    Walk.far_ends,
    Walk.answer_requests,
    lambda walk: walk.answer_requests(491),
    lambda walk: walk.answer_requests(500),
    Walk.our_refer,
    Walk.notify,
    lambda walk: walk.our_hold(True),
    lambda walk: walk.our_hold(False),
    Walk.wait,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, len(STEPS) - 1), max_size=25))
def test_a_leg_ends_once_and_leaves_nothing(steps: list[int]) -> None:
    walk = Walk()
    bench = walk.bench
    for step in (0, 1, *steps):
        STEPS[step](walk)
    walk.end()
    bench.run()
    for call_id in walk.ids():
        told = [t.fact for t in bench.all_told(Happened) if t.call_id == call_id]
        assert isinstance(told[-1], LegEnded)
        assert sum(isinstance(fact, LegEnded) for fact in told) == 1
        assert sum(isinstance(fact, LegDialled) for fact in told) <= 1
    walk.far_ends()
    bench.comes_to_rest()
    assert bench.legs.timed == {}
