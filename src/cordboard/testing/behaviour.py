"""What a simulated phone does with a call, and when: pure, without sockets and clock.

A phone is in one of four states; entering one says what is due in it, leaving one forgets the rest:

    invited   it rings, answers, refuses        (a call to the phone)
    calling   it gives up                       (a call by the phone)
    talking   it presses keys, hangs up, tells how a transfer goes
    over      nothing
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from cordboard.testing.challenge import Challenge

BUSY = 486
DECLINE = 603


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """How a phone treats its calls.  All times in seconds."""

    description: str = ""
    answer_after: float | None = 0.0
    """From the INVITE; None = never."""
    ring: bool = True
    """Sends 180 (or 183, see `early_media`) at once."""
    early_media: bool = False
    """Speaks before it answers: 183 with a description."""
    refuse: int | None = None
    """Final status, 300 to 699, in place of an answer."""
    refuse_after: float = 0.0
    contacts: tuple[str, ...] = ()
    """Contact URIs of a refusal: where a 302 sends the caller."""
    challenge: Challenge | None = None
    """Callers must know a password."""
    digits_by_info: bool = False
    """Keys go by SIP INFO (application/dtmf-relay) in place of RFC 4733."""
    digits_inband: bool = False
    """Keys go as tones in the audio."""
    telephone_events: bool = True
    """RFC 4733 is offered and accepted."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    """In order of preference, as SWML spells them: `G722`, `OPUS@16000H`, `L16`; `G729` says nothing."""
    ptime_ms: int = 20
    """Length of the packets that it asks for."""
    video: tuple[str, ...] = ()
    """`VP8`, `H264`: it sends numbered packets and wants pictures."""
    record: bool = False
    """Keeps all audio, for measurements."""
    session_expires: int | None = None
    """Asks for a session timer of so many seconds (RFC 4028)."""
    silent: bool = False
    """Answers nothing at all, as if it were switched off."""
    tone_hz: float | None = 440.0
    """What it says; None = silence, sent as packets."""
    muted: bool = False
    """Sends no packets."""
    digits: str = ""
    """Keys that it presses (RFC 4733) once it talks."""
    digits_after: float = 0.2
    hang_up_after: float | None = None
    """From the answer; None = waits for the other side."""
    give_up_after: float | None = None
    """Calls that it makes: CANCEL if not answered by then."""
    answer_without_sdp: bool = False
    """A fault: its 200 has no body."""
    encryption: str = "forbidden"
    """SRTP: `mandatory` (it offers RTP/SAVP), `optional` (RTP/AVP with keys, RFC 8643) or `forbidden`."""
    suites: tuple[str, ...] = ()
    """The only SRTP suites that it knows, the best first; empty = all."""
    refuse_hold: int | None = None
    """Final status, 300 to 699, of a re-INVITE that would hold it."""
    refer_refuse: int | None = None
    """Final status, 300 to 699, of a REFER to it, in place of 202."""
    refer_challenge: Challenge | None = None
    """Who refers it must know a password."""
    refer_told: tuple[int, ...] = (100, 200)
    """It calls nobody, but says so: statuses in its NOTIFYs once it has taken a REFER.  The last one ends the
    subscription if it is final; none = it says nothing."""
    refer_every: float = 0.05
    """From one of these NOTIFYs to the next; the first goes at once."""


class State(StrEnum):
    """The states of a phone in one call."""

    INVITED = "invited"
    CALLING = "calling"
    TALKING = "talking"
    OVER = "over"


class Ring(msgspec.Struct, frozen=True):
    """Send 180; with early media 183 and a description."""

    early_media: bool = False


class Accept(msgspec.Struct, frozen=True):
    """Send 200."""

    with_sdp: bool = True


class Refuse(msgspec.Struct, frozen=True):
    """Send a final response that is no 2xx."""

    status: int


class Press(msgspec.Struct, frozen=True):
    """Press keys."""

    digits: str


class HangUp(msgspec.Struct, frozen=True):
    """BYE, or CANCEL before an answer."""


class Tell(msgspec.Struct, frozen=True):
    """NOTIFY how a transfer goes that the far end asked for."""

    status: int
    last: bool
    """It ends the subscription."""


Step = Ring | Accept | Refuse | Press | HangUp | Tell


class BehaviourMachine:
    """One call of one phone: states in, steps out, each in its time."""

    __slots__ = ("_behaviour", "_due", "state")

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._due: list[tuple[float, Step]] = []
        self.state: State | None = None

    def handle(self, state: State, now: float) -> list[Step]:
        """Enter a state; steps of the state before that were not yet due are forgotten."""
        self.state = state
        self._due = []
        return self._add(_PLANS[state](self._behaviour), now)

    def refer(self, now: float) -> list[Step]:
        """It has taken a REFER; the rest of the state goes on."""
        return self._add(_when_referred(self._behaviour), now)

    def _add(self, plan: Plan, now: float) -> list[Step]:
        self._due += [(now + after, step) for after, step in plan]
        self._due.sort(key=lambda due: due[0])
        return self.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """When the next step is due."""
        return self._due[0][0] if self._due else None

    def handle_timeout(self, now: float) -> list[Step]:
        """The steps that are due."""
        count = sum(when <= now for when, _ in self._due)
        steps = [step for _, step in self._due[:count]]
        del self._due[:count]
        return steps


Plan = list[tuple[float, Step]]


def _when_invited(behaviour: Behaviour) -> Plan:
    if behaviour.silent:
        return []
    plan: Plan = [(0.0, Ring(behaviour.early_media))] if behaviour.ring or behaviour.early_media else []
    if behaviour.refuse is not None:
        plan = plan if behaviour.refuse_after > 0 else []
        plan.append((behaviour.refuse_after, Refuse(behaviour.refuse)))
    elif behaviour.answer_after is not None:
        plan.append((behaviour.answer_after, Accept(not behaviour.answer_without_sdp)))
    return plan


def _when_calling(behaviour: Behaviour) -> Plan:
    return [] if behaviour.give_up_after is None else [(behaviour.give_up_after, HangUp())]


def _when_talking(behaviour: Behaviour) -> Plan:
    plan: Plan = [(behaviour.digits_after, Press(behaviour.digits))] if behaviour.digits else []
    if behaviour.hang_up_after is not None:
        plan.append((behaviour.hang_up_after, HangUp()))
    return plan


def _when_referred(behaviour: Behaviour) -> Plan:
    told = behaviour.refer_told
    last = len(told) - 1
    return [
        (number * behaviour.refer_every, Tell(status, number == last and status >= 200))
        for number, status in enumerate(told)
    ]


def _when_over(_: Behaviour) -> Plan:
    return []


_PLANS = {
    State.INVITED: _when_invited,
    State.CALLING: _when_calling,
    State.TALKING: _when_talking,
    State.OVER: _when_over,
}
