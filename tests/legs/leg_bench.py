"""SIP legs on a wire in virtual time, with a real SIP stack as the far end and the test as the shell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from cordboard.call.effects import AnswerLeg, Dial, EndLeg, RingLeg
from cordboard.call.facts import Fact, LegDialled, LegEnded
from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending, ending
from cordboard.legs.outputs import (
    CallOffered,
    Happened,
    MediaOrder,
    Output,
    ResolveTarget,
    Route,
    Target,
    Terms,
)
from cordboard.legs.rules import LegRules
from cordboard.legs.sip_legs import Identity, SipLegs
from cordboard.media.protocol import EndpointOpened
from cordboard.sdp import PCMA, PCMU, Codec, answer_offer, make_offer, parse
from cordboard.sip import events
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.message import Request, Response
from cordboard.sip.message import parse as parse_message
from cordboard.sip.stack import SipStack
from cordboard.testing.wire import Wire

OURS = Endpoint("UDP", "127.0.0.1", 5060)
FAR = Endpoint("UDP", "127.0.0.2", 5060)
G729 = Codec("G729", 18)
CALLED = "call-b"
PARENT = "call-a"
BOB = "sip:bob@127.0.0.2"

_Out = TypeVar("_Out")
_Event = TypeVar("_Event")


def far_offer(*codecs: Codec, port: int = 4000, direction: str = "sendrecv", version: int = 1) -> bytes:
    """An offer of the far end."""
    return make_offer(
        address=FAR.address,
        port=port,
        codecs=codecs or (PCMU,),
        session_id=9,
        version=version,
        direction=direction,
    )


def far_answer(offer: bytes, *codecs: Codec, port: int = 4000) -> bytes:
    """The far end's answer."""
    return answer_offer(
        parse(offer), address=FAR.address, port=port, codecs=codecs or (PCMU, PCMA), session_id=9
    ).body


class LegBench:
    """`legs` are the legs under test.  Time passes with `run`; what they want of the shell is `told`."""

    def __init__(
        self,
        *,
        max_legs: int = 100,
        may_call: Callable[[str], bool] = lambda address: True,
        rules: LegRules = LegRules(),  # noqa: B008 - immutable
    ) -> None:
        self.wire = Wire()
        self._ids = count(1)
        self.far = SipStack(local=FAR, token=self._token)
        self.stack = SipStack(local=OURS, token=self._token)
        ours = Identity(
            new_id=lambda: f"id-{next(self._ids)}",
            node_id="node",
            project_id="project",
            space_id="space",
            domain="pbx.example.com",
        )
        self.legs = SipLegs(self.stack, ours, may_call=may_call, max_legs=max_legs, rules=rules)
        self.told: list[Output] = []
        self.wire.attach(_Node(self), OURS)
        self.wire.attach(self.far, FAR)

    def _token(self) -> str:
        return f"{next(self._ids):08x}"

    @property
    def now(self) -> float:
        return self.wire.now

    def run(self, seconds: float = 0.0) -> None:
        self.wire.run(seconds)

    # ------------------------------------------------------------ the shell

    def take(self, outputs: Sequence[Output]) -> list[events.Output]:
        """Keep what is for the shell, hand back what is for the wire."""
        self.told += [output for output in outputs if not isinstance(output, events.SendMessage)]
        return [output for output in outputs if isinstance(output, events.SendMessage)]

    def do(self, outputs: Sequence[Output]) -> None:
        self.wire.put(OURS, self.take(outputs))

    def all_told(self, kind: type[_Out]) -> list[_Out]:
        return [output for output in self.told if isinstance(output, kind)]

    def facts(self, call_id: str) -> list[Fact]:
        """All but that the INVITE has left, which `dialled` tells."""
        told = [told.fact for told in self.all_told(Happened) if told.call_id == call_id]
        return [fact for fact in told if not isinstance(fact, LegDialled)]

    def dialled(self, call_id: str) -> int:
        """How often the leg has said that its INVITE has left."""
        told = [told.fact for told in self.all_told(Happened) if told.call_id == call_id]
        return sum(isinstance(fact, LegDialled) for fact in told)

    def fact_names(self, call_id: str) -> list[str]:
        return [type(fact).__name__ for fact in self.facts(call_id)]

    def ending(self, call_id: str) -> Ending:
        """Of the leg: there must be exactly one, and nothing after it."""
        found = self.facts(call_id)
        assert [isinstance(fact, LegEnded) for fact in found] == [False] * (len(found) - 1) + [True]
        last = found[-1]
        assert isinstance(last, LegEnded)
        return last.ending

    def media_orders(self, call_id: str) -> list[MediaOrder]:
        return [told for told in self.all_told(MediaOrder) if told.command.endpoint_id == call_id]

    def offered(self) -> CallOffered:
        """The one call that was offered."""
        [offer] = self.all_told(CallOffered)
        return offer

    # ------------------------------------------------------------ what the shell does

    def open_media(self, call_id: str, port: int = 10_000) -> None:
        opened = EndpointOpened(endpoint_id=call_id, address=OURS.address, port=port)
        self.do(self.legs.media_opened(opened, self.now))

    def resolve(self, uri: str = BOB, *, is_phone: bool = False) -> None:
        self.route(Target(request_uri=uri, endpoint=FAR, is_phone=is_phone))

    def route(self, *targets: Target, terms: Terms | None = None) -> None:
        self.do(self.legs.resolved(CALLED, Route(targets=targets, terms=terms), self.now))

    def dial(self, **changes: Any) -> None:
        """Ask for the outbound leg."""
        values: dict[str, Any] = {"from_": "+15550001", "destination": Destination(kind="sip", to=BOB)}
        values.update(changes)
        self.do(self.legs.dial(Dial(call_id=CALLED, parent=PARENT, session_id="s", **values), self.now))

    def dial_from(self, parent: str) -> None:
        """The same, for a call that is there."""
        destination = Destination(kind="sip", to=BOB)
        effect = Dial(
            call_id=CALLED, parent=parent, session_id="s", from_="+15550001", destination=destination
        )
        self.do(self.legs.dial(effect, self.now))

    def call_out(self, **changes: Any) -> str:
        """Dial and let the INVITE arrive; the far end's session."""
        self.dial(**changes)
        self.resolve()
        self.open_media(CALLED)
        self.run()
        return self.invited()

    def asked(self) -> ResolveTarget:
        """The last question where to go."""
        return self.all_told(ResolveTarget)[-1]

    def end(self, call_id: str, cause: str = "hangup_script", **fields: Any) -> None:
        effect = EndLeg(ending=ending(cause, who="somebody"), **fields)
        self.do(self.legs.end(call_id, effect, self.now))

    def ring(self, call_id: str, *, early_media: bool = False) -> None:
        self.do(self.legs.ring(call_id, RingLeg(early_media=early_media), self.now))

    def answer(self, call_id: str) -> None:
        self.do(self.legs.answer(call_id, AnswerLeg(), self.now))

    # ------------------------------------------------------------ the far end

    def call_in(
        self,
        body: bytes | None = None,
        *,
        uri: str = "sip:+15559999@127.0.0.1",
        from_: str = "<sip:+15550001@127.0.0.2>",
        headers: Sequence[tuple[str, str]] = (),
    ) -> str:
        """The far end's INVITE arrives; its session."""
        session, outputs = self.far.invite(
            uri=uri,
            to=f"<{uri}>",
            from_=from_,
            destination=OURS,
            body=far_offer() if body is None else body,
            headers=headers,
            now=self.now,
        )
        self.put(outputs)
        self.run()
        return session

    def answered_call_in(self, body: bytes | None = None) -> tuple[str, str]:
        """A call that came in and is up: (call id, the far end's session)."""
        session = self.call_in(body)
        call_id = self.offered().call_id
        self.do(self.legs.accept_offer(call_id))
        self.open_media(call_id)
        self.answer(call_id)
        self.run()
        return call_id, session

    def answered_call_out(self) -> str:
        """A dialled call that is up: the far end's session."""
        session = self.call_out()
        self.far_accepts(session)
        return session

    def far_accepts(self, session: str, body: bytes | None = None) -> None:
        answer = far_answer(self.received(events.InviteReceived).request.body) if body is None else body
        self.put(self.far.accept(session, body=answer, now=self.now))
        self.run()

    def put(self, outputs: Sequence[events.Output]) -> None:
        self.wire.put(FAR, outputs)

    def far_reinvites(self, session: str, body: bytes) -> Response:
        """Its re-INVITE, and our final response."""
        self.put(self.far.reinvite(session, body, self.now))
        self.run()
        return self.outcome()

    def far_requests(self, session: str, method: str, body: bytes = b"", content: str = "") -> Response:
        headers = [("Content-Type", content)] if content else []
        self.put(self.far.request(session, method, body=body, headers=headers, now=self.now))
        self.run()
        return self.outcome()

    def outcome(self) -> Response:
        response = self.received(events.RequestDone).response
        assert response is not None
        return response

    def received(self, kind: type[_Event]) -> _Event:
        """The far end's last event of a kind."""
        return [event for _, where, event in self.wire.events if where == FAR and isinstance(event, kind)][-1]

    def invited(self) -> str:
        """The session of the INVITE that arrived at the far end."""
        return self.received(events.InviteReceived).session

    def received_nothing_but_refusals(self, outputs: Sequence[Output]) -> bool:
        """All that left are final responses that refuse, or 100."""
        sent = [output.data for output in outputs if isinstance(output, events.SendMessage)]
        statuses = [_short(data.split(b"\r\n", 1)[0].decode()) for data in sent]
        return all(status == "100" or status[0] in "456" for status in statuses)

    # ------------------------------------------------------------ the wire

    def sent(self) -> list[str]:
        """Method or status of each message of ours, in order."""
        return [_short(datagram.first_line) for datagram in self.wire.sent if datagram.source == OURS]

    def last_sent(self, what: str) -> Request | Response:
        """Our last message with this method or status."""
        found = [d.data for d in self.wire.sent if d.source == OURS and _short(d.first_line) == what]
        return parse_message(found[-1])

    def comes_to_rest(self) -> None:
        """Nothing is left of any call, at either end, and nobody has met a fault of his own."""
        self.wire.run_until_quiet()
        assert len(self.legs) == 0
        assert self.legs._by_session == {}
        assert not any(self.stack.counts().values())
        assert not any(self.far.counts().values())
        assert self.stack.defects == self.far.defects == 0


class _Node:
    """The legs as the wire sees them."""

    def __init__(self, bench: LegBench) -> None:
        self._bench = bench

    def receive(self, data: bytes, source: Endpoint, now: float) -> list[events.Output]:
        return self._bench.take(self._bench.legs.receive(data, source, now))

    def next_timeout(self) -> float | None:
        return self._bench.legs.next_timeout()

    def handle_timeout(self, now: float) -> list[events.Output]:
        return self._bench.take(self._bench.legs.handle_timeout(now))


def _short(first_line: str) -> str:
    return first_line.split()[1] if first_line.startswith("SIP/") else first_line.split()[0]
