"""What a simulated phone and its far end ask each other inside a call: hold, keys, transfers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cordboard.sdp import SdpError
from cordboard.sip import events
from cordboard.sip.message import Request
from cordboard.sip.status import reason_phrase
from cordboard.testing.behaviour import Behaviour, BehaviourMachine, Step
from cordboard.testing.pacer import TICK
from cordboard.testing.phone_media import PhoneMedia, is_hold
from cordboard.testing.phone_report import PhoneReport

if TYPE_CHECKING:
    from cordboard.testing.user_agent import UserAgent

Headers = Sequence[tuple[str, str]]
_FRAGMENT = "message/sipfrag;version=2.0"


class PhoneDialog:
    """The part of a `PhoneCall` that begins with the answer."""

    _media: PhoneMedia
    _report: PhoneReport

    def __init__(self, agent: UserAgent, behaviour: Behaviour) -> None:
        self._agent = agent
        self._machine = BehaviourMachine(behaviour)
        self._rang, self._answered, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._subscription = ""
        """Event of the NOTIFYs that the last REFER to the phone wants."""
        self.behaviour = behaviour
        self.session = ""
        self.requests: list[Request] = []
        """What the far end asked inside the dialog, in order."""
        self.answers: list[tuple[str, int]] = []
        """(method, final status) of what we asked; 0 = there was no answer."""
        self.notices: list[str] = []
        """First lines of the bodies of NOTIFY: how a transfer stands that this phone asked for."""
        self.referred_to: list[str] = []
        """Refer-To of each REFER to this phone that it has taken."""
        self.info_digits = ""
        """Keys that came by INFO."""

    @property
    def is_over(self) -> bool:
        """Nothing more will happen."""
        return self._over.is_set()

    @property
    def is_held(self) -> bool:
        """The far end does not listen, as its last description says."""
        return self._media.is_held

    async def held(self, on: bool = True, *, within: float = 10.0) -> bool:
        """True when the far end has put the phone on hold, or with `on=False` has taken it back."""
        deadline = self._agent.now() + within
        while self.is_held is not on:
            if self._agent.now() >= deadline or self.is_over:
                return False
            await asyncio.sleep(TICK)
        return True

    # ------------------------------------------------------------ by hand

    def hold(self, direction: str = "sendonly") -> None:
        """Re-INVITE with that direction (`inactive` is the other way to hold); ignored before the answer."""
        if self._answered.is_set() and not self.is_over:
            stack, body = self._agent.stack, self._media.offer(direction)
            self._agent.carry_out(stack.reinvite(self.session, body, self._agent.now()))

    def change_keys(self) -> None:
        """Re-INVITE with new SRTP keys."""
        self._media.change_keys()
        self.hold("sendrecv")

    def resume(self) -> None:
        """Back from hold."""
        self.hold("sendrecv")

    def ask(self, method: str, body: bytes = b"", content_type: str = "", headers: Headers = ()) -> None:
        """A request inside the dialog; its final response goes to `answers`."""
        if self.is_over:
            return
        fields = [*headers, ("Content-Type", content_type)] if content_type else [*headers]
        stack, now = self._agent.stack, self._agent.now()
        self._agent.carry_out(stack.request(self.session, method, body=body, headers=fields, now=now))

    def refer(self, to: str, *headers: tuple[str, str]) -> None:
        """Ask the far end to connect whom it talks to with somebody else (RFC 3515); see `notices`."""
        self.ask("REFER", headers=[("Refer-To", f"<{to}>"), *headers])

    def tell(self, status: int, *, last: bool = True) -> None:
        """NOTIFY how the transfer goes that the far end asked for; `last` ends its subscription."""
        state = "terminated;reason=noresource" if last else "active;expires=60"
        headers = [("Event", self._subscription), ("Subscription-State", state)]
        body = f"SIP/2.0 {status} {reason_phrase(status)}\r\n".encode()
        self.ask("NOTIFY", body, _FRAGMENT, headers)

    def change(self, direction: str = "sendrecv", *, by: str = "INVITE") -> None:
        """A new offer by re-INVITE or UPDATE."""
        if by == "INVITE":
            self.hold(direction)
        else:
            self.ask("UPDATE", self._media.offer(direction), "application/sdp")

    def prefer(self, *codecs: str, by: str = "INVITE") -> None:
        """A new offer with these codecs, in this order."""
        self._media.prefer(codecs)
        self.change(by=by)

    def move(self, *, by: str = "INVITE") -> None:
        """A new offer with another port, from which it speaks and where it listens."""
        self._media.move()
        self.change(by=by)

    # ------------------------------------------------------------ what the far end asks

    def _requested(self, event: events.ReinviteReceived | events.RequestReceived) -> None:
        request = event.request
        self.requests.append(request)
        if request.method == "REFER":
            self._referred(event)
            return
        if request.method == "INFO":
            self.info_digits += _digit_of(request.body)
        if request.method == "NOTIFY":
            self.notices.append(request.body.decode("utf-8", "replace").partition("\r")[0])
        status, body = self._reply_to_offer(request)
        self._respond(event, status, body)

    def _reply_to_offer(self, request: Request) -> tuple[int, bytes]:
        """A new offer (hold, resume, another address); without one there is nothing to say but 200."""
        refusal = self.behaviour.refuse_hold
        try:
            if request.body and request.method in ("INVITE", "UPDATE"):
                if refusal is not None and is_hold(request.body):
                    return refusal, b""
                return 200, self._media.answer(request.body)
            return 200, self._media.offer() if request.method == "INVITE" else b""
        except SdpError as error:
            self._report.problem = str(error)
            return 488, b""

    def _referred(self, event: events.ReinviteReceived | events.RequestReceived) -> None:
        """Take it or leave it; nobody is called, but the far end is told what the behaviour says."""
        request, behaviour = event.request, self.behaviour
        challenge = behaviour.refer_challenge
        demand = challenge.demand(request) if challenge is not None else None
        if challenge is not None and demand is not None:
            self._respond(event, challenge.status, headers=[demand])
            return
        self._respond(event, behaviour.refer_refuse or 202)
        if behaviour.refer_refuse is None:
            self._subscription = f"refer;id={request.cseq.number}"
            self.referred_to.append(request.headers.get("Refer-To") or "")
            self._take(self._machine.refer(self._agent.now()))

    def _respond(
        self,
        event: events.ReinviteReceived | events.RequestReceived,
        status: int,
        body: bytes = b"",
        headers: Headers = (),
    ) -> None:
        stack, now = self._agent.stack, self._agent.now()
        self._agent.carry_out(stack.respond(event.transaction, status, body=body, headers=headers, now=now))

    def _asked(self, event: events.RequestDone) -> None:
        """The answer to our re-INVITE; after a refusal all stays as it was."""
        response = event.response
        self.answers.append((event.method, response.status if response is not None else 0))
        if event.method not in ("INVITE", "UPDATE") or response is None or response.status >= 300:
            return
        if response.body:
            self._read(response.body)

    def _read(self, body: bytes) -> None:
        try:
            self._media.read(body)
        except SdpError as error:
            self._report.problem = str(error)

    def _take(self, steps: list[Step]) -> None:
        """Carry out steps of the behaviour."""
        raise NotImplementedError


def _digit_of(body: bytes) -> str:
    """The key of an INFO body: `Signal=5`, or the bare key."""
    text = body.decode("ascii", "replace").strip()
    first = text.splitlines()[0] if text else ""
    return first.partition("=")[2].strip() if "=" in first else first[:1]
