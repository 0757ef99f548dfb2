"""One call of a simulated phone: the behaviour, the SIP session and the audio, held together.

Outcomes are values: the waiting methods return False or a report when a call failed, and raise TimeoutError
only when nothing was decided in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cordboard.sdp import SdpError
from cordboard.sip import events
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.message import Request
from cordboard.testing.behaviour import (
    Accept,
    Behaviour,
    HangUp,
    Press,
    Refuse,
    Ring,
    State,
    Step,
    Tell,
)
from cordboard.testing.pacer import TICK
from cordboard.testing.phone_audio import PhoneAudio
from cordboard.testing.phone_dialog import Headers, PhoneDialog
from cordboard.testing.phone_media import PhoneMedia
from cordboard.testing.phone_report import Direction, PhoneReport
from cordboard.testing.phone_video import PhoneVideo

if TYPE_CHECKING:
    from cordboard.testing.user_agent import UserAgent

_US = {"bye_sent", "rejected"}
_THEM = {"bye_received", "refused"}


class PhoneCall(PhoneDialog):
    """A handle on one call.  Made by a phone; the methods under "by hand" play the user."""

    def __init__(
        self, agent: UserAgent, behaviour: Behaviour, direction: Direction, *, record: bool = False
    ) -> None:
        super().__init__(agent, behaviour)
        self._timer: asyncio.TimerHandle | None = None
        record = record or behaviour.record
        self._offer = b""
        self._dialog = ("", "", "")
        """Call-ID, our tag, theirs; of a call that this phone made."""
        self.audio = PhoneAudio(
            ssrc=agent.new_number(), tone_hz=behaviour.tone_hz, muted=behaviour.muted, record=record
        )
        self._media = PhoneMedia(
            self.audio,
            address=agent.address,
            session_id=agent.new_number(),
            pacer=agent.pacer,
            clock=agent.now,
            behaviour=behaviour,
            keep_wire=record,
        )
        self._report = PhoneReport(direction=direction, begun_at=agent.now())

    # ------------------------------------------------------------ what happened

    async def ringing(self, *, within: float = 20.0) -> bool:
        """True when it rings; False when it ended without."""
        async with asyncio.timeout(within):
            await self._rang.wait()
        return self._report.ringing_at is not None

    async def answered(self, *, within: float = 20.0) -> bool:
        """True when it is answered; False when it ended without."""
        async with asyncio.timeout(within):
            await self._answered.wait()
        return self._report.answered_at is not None

    async def ended(self, *, within: float = 20.0) -> PhoneReport:
        """The report, when all is over."""
        async with asyncio.timeout(within):
            await self._over.wait()
        return self.report

    async def hears(self, frequency: float, *, within: float = 10.0) -> bool:
        """True when 100 ms of that tone have been heard; False when they have not by then."""
        return await self._until(lambda: self.audio.hears(frequency), within)

    async def hears_digits(self, digits: str, *, within: float = 10.0) -> bool:
        """True when exactly these keys have been heard so far."""
        return await self._until(lambda: self.digits_heard == digits, within)

    async def _until(self, condition: Callable[[], bool], within: float) -> bool:
        deadline = self._agent.now() + within
        while not condition():
            if self._agent.now() >= deadline or self.is_over:
                return False
            await asyncio.sleep(TICK)
        return True

    @property
    def _is_decided(self) -> bool:
        """Answered, refused or given up: the INVITE has its final response."""
        return self._report.status != 0 or self.is_over

    @property
    def is_secure(self) -> bool:
        """SRTP was agreed on."""
        return self._media.is_secure

    @property
    def packets_unauthentic(self) -> int:
        """Packets that were plain, replayed or of another key while SRTP was agreed on."""
        return self._media.packets_unauthentic

    @property
    def wire(self) -> list[bytes]:
        """Datagrams as they came to its media ports, if the call is recorded."""
        return list(self._media.wire or ())

    @property
    def video(self) -> PhoneVideo | None:
        """None = the phone has none."""
        return self._media.video

    @property
    def digits_heard(self) -> str:
        """Keys that the far end pressed so far."""
        return "".join(heard.digit for heard in self.audio.digits_heard)

    @property
    def report(self) -> PhoneReport:
        """As of now."""
        self._report.digits_heard = self.digits_heard
        self._report.audio = self.audio.report()
        return self._report

    @property
    def replaces(self) -> str:
        """What names this dialog in a Replaces, escaped for a URI, once it is answered (RFC 3891 section 3).

        The tags are as the far end sees them, which is the one that is asked to replace.
        """
        call_id, local, remote = self._dialog
        return quote(f"{call_id};to-tag={remote};from-tag={local}", safe="")

    # ------------------------------------------------------------ by hand

    def ring(self, *, early_media: bool = False) -> None:
        """180, or 183 with a description, after which it speaks."""
        body = self._answer_description() if early_media else b""
        if body is None or self._is_decided:
            return
        status = 183 if early_media else 180
        self._rings(status)
        self._agent.carry_out(
            self._agent.stack.ring(self.session, status=status, body=body, now=self._agent.now())
        )

    def accept(self, *, with_sdp: bool = True) -> None:
        """200; `with_sdp=False` is a fault."""
        body = self._answer_description() if with_sdp else b""
        if body is None or self._is_decided:
            return
        self._report.status = 200
        self._is_answered()
        self._agent.carry_out(self._agent.stack.accept(self.session, body=body, now=self._agent.now()))

    def refuse(self, status: int) -> None:
        """A final response of 300 to 699."""
        if self._is_decided:
            return
        self._report.status = status
        contacts = [("Contact", f"<{uri}>") for uri in self.behaviour.contacts]
        stack, now = self._agent.stack, self._agent.now()
        self._agent.carry_out(stack.reject(self.session, status=status, headers=contacts, now=now))

    def hang_up(self) -> None:
        """BYE; CANCEL for a call that is not answered yet, 480 for one that came in."""
        stack, now = self._agent.stack, self._agent.now()
        if self.is_over:
            return
        if self._answered.is_set():
            self._agent.carry_out(stack.bye(self.session, now=now))
        elif self._report.direction == "in":
            self.refuse(480)
        else:
            self._agent.carry_out(stack.cancel(self.session, now=now))

    def press(self, digits: str) -> None:
        """Press keys: RFC 4733, or INFO or tones where the behaviour says so."""
        if self.behaviour.digits_inband:
            self.audio.press_inband(digits)
        elif not self.behaviour.digits_by_info:
            self.audio.press(digits)
        for digit in digits if self.behaviour.digits_by_info else "":
            self.ask("INFO", f"Signal={digit}\r\nDuration=160\r\n".encode(), "application/dtmf-relay")

    def speak(self, tone_hz: float | None) -> None:
        """Change the tone; None = silence."""
        self.audio.speak(tone_hz)

    # ------------------------------------------------------------ for the phone

    def invite(self, to: str, from_: str, uri: str, destination: Endpoint, headers: Headers) -> None:
        """Place the call."""
        self._report.local_uri, self._report.remote_uri = from_, uri
        self.session, outputs = self._agent.stack.invite(
            uri=uri,
            to=to,
            from_=from_,
            destination=destination,
            body=self._media.offer(),
            headers=headers,
            now=self._agent.now(),
        )
        self._agent.adopt(self)
        self._enter(State.CALLING)
        self._agent.carry_out(outputs)

    def invited(self, event: events.InviteReceived) -> None:
        """Somebody calls."""
        request = event.request
        self.session = event.session
        if self._is_challenged(request):
            return
        self._report.call_id = request.call_id
        self._report.local_uri, self._report.remote_uri = request.uri, str(request.from_.uri)
        self._offer = request.body
        self._enter(State.INVITED)

    def _is_challenged(self, request: Request) -> bool:
        challenge = self.behaviour.challenge
        demand = challenge.demand(request) if challenge is not None else None
        if challenge is None or demand is None:
            return False
        self._report.status = challenge.status
        stack, now = self._agent.stack, self._agent.now()
        refusal = stack.reject(self.session, status=challenge.status, headers=[demand], now=now)
        self._agent.carry_out(refusal)
        return True

    def handle(self, event: events.Event) -> None:
        """Whatever the stack says about this session."""
        reaction = _REACTIONS.get(type(event))
        if reaction is not None:
            reaction(self, event)

    def close(self) -> None:
        """Let go of everything; the session is over or will never be."""
        self._enter(State.OVER)
        self._media.close()
        for event in (self._rang, self._answered, self._over):
            event.set()

    # ------------------------------------------------------------ behaviour

    def _enter(self, state: State) -> None:
        self._take(self._machine.handle(state, self._agent.now()))

    def _timed_out(self) -> None:
        self._take(self._machine.handle_timeout(self._agent.now()))

    def _take(self, steps: list[Step]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._machine.next_timeout()
        self._timer = None if due is None else self._agent.loop.call_at(due, self._timed_out)
        for step in steps:
            self._do(step)

    def _do(self, step: Step) -> None:
        match step:
            case Ring(early_media):
                self.ring(early_media=early_media)
            case Accept(with_sdp):
                self.accept(with_sdp=with_sdp)
            case Refuse(status):
                self.refuse(status)
            case Press(digits):
                self.press(digits)
            case HangUp():
                self.hang_up()
            case Tell(status, last):
                self.tell(status, last=last)

    # ------------------------------------------------------------ SIP

    def _provisional(self, event: events.Provisional) -> None:
        self._report.call_id = event.response.call_id
        self._rings(event.status)
        if event.body:
            self._read(event.body)

    def _was_answered(self, event: events.Answered) -> None:
        response = event.response
        self._report.call_id, self._report.status = response.call_id, response.status
        self._dialog = (response.call_id, response.from_.tag or "", response.to.tag or "")
        self._is_answered()
        if event.body:
            self._read(event.body)
        elif self.audio.destination is None:
            self._report.problem = "the answer has no description of media"
        if self._report.problem:
            self.hang_up()
        else:
            self._enter(State.TALKING)

    def _was_refused(self, event: events.Refused) -> None:
        self._report.status, self._report.reason = event.status, event.reason

    def _acknowledged(self, event: events.AckReceived) -> None:
        if event.body and not self._offer:
            self._read(event.body)
        if self._machine.state is State.INVITED:
            self._enter(State.TALKING)

    def _has_ended(self, event: events.SessionEnded) -> None:
        self._report.ended_at = self._agent.now()
        self._report.cause = event.cause
        self._report.status = self._report.status or event.status
        us = event.cause in _US or (event.cause == "cancelled" and self._report.direction == "out")
        them = event.cause in _THEM or (event.cause == "cancelled" and not us)
        self._report.ended_by = "us" if us else "them" if them else ""
        self._agent.forget(self)
        self.close()

    def _rings(self, status: int) -> None:
        self._report.provisionals.append(status)
        if self._report.ringing_at is None:
            self._report.ringing_at = self._agent.now()
        self._rang.set()

    def _is_answered(self) -> None:
        self._report.answered_at = self._agent.now()
        self._rang.set()
        self._answered.set()

    def _answer_description(self) -> bytes | None:
        """What we say about our media in 183 and 200; None when the call had to be refused for it."""
        try:
            return self._media.answer_first(self._offer)
        except (SdpError, OSError) as error:
            self._report.problem = str(error)
            self.refuse(488)
            return None


_REACTIONS: dict[type, Callable[[PhoneCall, Any], None]] = {
    events.Provisional: PhoneCall._provisional,
    events.Answered: PhoneCall._was_answered,
    events.Refused: PhoneCall._was_refused,
    events.AckReceived: PhoneCall._acknowledged,
    events.ReinviteReceived: PhoneCall._requested,
    events.RequestReceived: PhoneCall._requested,
    events.RequestDone: PhoneCall._asked,
    events.SessionEnded: PhoneCall._has_ended,
}
