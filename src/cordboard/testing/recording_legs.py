"""Simulated legs that behave as SIP user agents do, and keep a record of what was on the wire.

CANCEL waits for a provisional response, a 200 that crosses it is ACKed and ended by BYE, a far end that says
nothing is given up after 64*T1.  `cordboard.testing.virtual` has an example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from cordboard.call.effects import AnswerLeg, Dial, EndLeg, ReportTransfer, RingLeg
from cordboard.call.facts import (
    DigitReceived,
    Fact,
    LegAnswered,
    LegEnded,
    LegHeld,
    LegResumed,
    LegRinging,
    TransferRequested,
)
from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending, ending, ending_of_status
from cordboard.testing.virtual_time import VirtualTime

T1 = 0.5
GIVE_UP = 64 * T1
"""Timer B and Timer F, and how long a CANCEL waits for its 487 (RFC 3261, 17.1 and 9.1)."""


class FarEnd:
    """What a dialled far end does: (seconds after the INVITE, what), in order.

    What is a status code (180, 183 with SDP, 200, any failure), or, after a 200, a word:

    - `"bye"`, `"hold"`, `"resume"`
    - `"press 1"`: a key
    - `"refer b2"`: a transfer to that destination
    - `"refer b2 replacing c"`: one that replaces a call: `c` is its id, or what it was dialled to

    Nothing at all is a far end that is silent.  `answers_cancel` false: it takes the CANCEL and never sends
    the 487.
    """

    def __init__(self, *steps: tuple[float, int | str], answers_cancel: bool = True) -> None:
        self.steps = steps
        self.answers_cancel = answers_cancel


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """What the calling phone does: hang up (CANCEL or BYE) at a time, or wait to be hung up on."""

    hangs_up_at: float | None = None
    does: tuple[tuple[float, str], ...] = ()
    """(time, word) as a `FarEnd` does them."""


class Seen(msgspec.Struct, frozen=True):
    """One message on the simulated wire; `>` is ours, `<` is theirs."""

    at: float
    call_id: str
    what: str


class SimulatedLeg:
    """What both kinds of leg share: the wire log and the one terminal fact."""

    def __init__(self, legs: RecordingLegs, call_id: str) -> None:
        self.call_id = call_id
        self.is_over = False
        self._legs = legs
        self._time = legs.time

    def seen(self, what: str) -> None:
        """Put one message on the record."""
        self._legs.seen.append(Seen(self._time.now, self.call_id, what))

    def tell(self, fact: Fact) -> None:
        """Give the call a fact of its leg, if the leg is not over."""
        if not self.is_over:
            self._legs.deliver(self.call_id, fact)

    def over(self, why: Ending) -> None:
        """The terminal fact, once."""
        self.tell(LegEnded(ending=why))
        self.is_over = True

    @property
    def is_talking(self) -> bool:
        """Answered, and nobody has asked for the end."""
        return False

    def do(self, word: str) -> None:
        """What a person at this far end does, if the call is up."""
        if not self.is_talking:
            return
        self.seen(f"< {word}")
        what, _, rest = word.partition(" ")
        if what in ("hold", "resume"):
            self.tell(LegHeld() if what == "hold" else LegResumed())
        elif what == "press":
            self.tell(DigitReceived(digit=rest, duration_ms=100))
        else:
            self.tell(self._transfer(rest))

    def report_transfer(self, command: ReportTransfer) -> None:
        """NOTIFY."""
        if not self.is_over:
            self.seen(f"> NOTIFY {command.status}")

    def _transfer(self, wish: str) -> TransferRequested:
        to, _, replaced = wish.partition(" replacing ")
        destination = Destination(kind="sip", to=to, timeout=8.0)
        return TransferRequested(
            destination=destination, replaces=self._legs.call_id_of(replaced) if replaced else None
        )

    def begin_transaction(self) -> None:
        """A request leaves: from now on 64*T1 are left for everything to be over."""
        self._legs.last_transaction = self._time.now


class CallingLeg(SimulatedLeg):
    """The leg of the caller: it gets our responses."""

    def __init__(self, legs: RecordingLegs, call_id: str, caller: Caller) -> None:
        super().__init__(legs, call_id)
        self._answered = False
        self._ending: Ending | None = None
        self.seen("< INVITE")
        self.begin_transaction()
        if caller.hangs_up_at is not None:
            self._time.at(caller.hangs_up_at, self._hang_up)
        for when, word in caller.does:
            self._time.at(when, self._hang_up if word == "bye" else partial(self.do, word))

    @property
    def is_talking(self) -> bool:
        return self._answered and self._ending is None and not self.is_over

    def ring(self, command: RingLeg) -> None:
        """180, or 183 with SDP."""
        self.seen("> 183" if command.early_media else "> 180")

    def answer(self) -> None:
        """200; the fact follows."""
        if self._answered or self._ending is not None or self.is_over:
            return
        self._answered = True
        self.seen("> 200")
        self.tell(LegAnswered())

    def end(self, command: EndLeg) -> None:
        """A final response, or BYE."""
        if self._ending is not None or self.is_over:
            return
        self._ending = command.ending
        self.begin_transaction()
        self.seen("> BYE" if self._answered else f"> {command.sip_code}")
        self._time.after(self._legs.round_trip, lambda: self.over(command.ending))

    def _hang_up(self) -> None:
        if self.is_over or (self._ending is not None and not self._answered):
            return
        self.begin_transaction()
        self.seen("< BYE" if self._answered else "< CANCEL")
        cause = "hangup_far_end" if self._answered else "caller_cancelled"
        self.over(self._ending or ending(cause, who="The caller"))


class DialledLeg(SimulatedLeg):
    """The leg of a destination: an INVITE client transaction and what follows."""

    def __init__(self, legs: RecordingLegs, call_id: str, far_end: FarEnd) -> None:
        super().__init__(legs, call_id)
        self._far_end = far_end
        self._provisional = False
        self._answered = False
        self._cancelled = False
        self._final_left = False
        self._ending: Ending | None = None
        self.seen("> INVITE")
        self.begin_transaction()
        self._time.after(GIVE_UP, self._give_up_invite)
        self._schedule()

    @property
    def is_talking(self) -> bool:
        return self._answered and self._ending is None and not self.is_over

    # ---------------------------------------- what we do

    def end(self, command: EndLeg) -> None:
        """CANCEL as soon as that is allowed, or BYE.  The first command counts."""
        if self.is_over or self._ending is not None:
            return
        self._ending = command.ending
        self._elsewhere = command.answered_elsewhere
        if self._answered:
            self._bye()
        elif self._provisional:
            self._cancel()

    def _cancel(self) -> None:
        self._cancelled = True
        self.begin_transaction()
        self.seen("> CANCEL elsewhere" if self._elsewhere else "> CANCEL")
        self._time.after(self._legs.round_trip / 2, self._cancel_arrives)
        self._time.after(GIVE_UP, self._give_up)

    def _bye(self) -> None:
        self.begin_transaction()
        self.seen("> BYE")
        assert self._ending is not None
        why = self._ending
        self._time.after(self._legs.round_trip, lambda: self.over(why))

    def _give_up_invite(self) -> None:
        if not self._provisional and not self._answered and not self.is_over:
            self.over(self._ending or ending("invite_timeout"))

    def _give_up(self) -> None:
        if not self._answered and not self.is_over:
            assert self._ending is not None
            self.over(self._ending)

    # ---------------------------------------- what the far end does

    def _schedule(self) -> None:
        for seconds, what in self._far_end.steps:
            if isinstance(what, str):
                self._time.after(seconds, self._bye_arrives if what == "bye" else partial(self.do, what))
            else:
                self._time.after(max(0.0, seconds - self._legs.round_trip / 2), self._leaves(what))

    def _leaves(self, status: int) -> Callable[[], None]:
        """The far end sends a response, unless a CANCEL was there before."""

        def send() -> None:
            if self._final_left:
                return
            self._final_left = status >= 200
            self._time.after(self._legs.round_trip / 2, lambda: self._arrives(status))

        return send

    def _cancel_arrives(self) -> None:
        if not self._final_left and self._far_end.answers_cancel:
            self._final_left = True
            self._time.after(self._legs.round_trip / 2, lambda: self._arrives(487))

    def _arrives(self, status: int) -> None:
        if self.is_over:
            return
        self.seen(f"< {status}")
        if status < 200:
            self._provisional_arrives(status)
        elif status < 300:
            self._answer_arrives()
        else:
            self._refusal_arrives(status)

    def _provisional_arrives(self, status: int) -> None:
        self._provisional = True
        if self._ending is None:
            self.tell(LegRinging(early_media=status == 183))
        elif not self._cancelled:
            self._cancel()

    def _answer_arrives(self) -> None:
        self._answered = True
        crossed = self._ending is not None
        self.seen("> ACK")
        self.tell(LegAnswered())
        if crossed:
            self._bye()

    def _refusal_arrives(self, status: int) -> None:
        self.seen("> ACK")
        asked = self._ending if status == 487 else None
        self.over(asked or ending_of_status(status, "Refused", who=self.call_id))

    def _bye_arrives(self) -> None:
        if self._answered and not self.is_over:
            self.begin_transaction()
            self.seen("< BYE")
            self.over(self._ending or ending("hangup_far_end", who=self.call_id))


class RecordingLegs:
    """All legs of a test, what each of them put on the wire, and when the last transaction began."""

    def __init__(
        self, time: VirtualTime, far_ends: Mapping[str, FarEnd], *, round_trip: float = 0.02
    ) -> None:
        """`far_ends`: what each `to` does; one that is not there cannot be resolved."""
        self.time = time
        self.far_ends = far_ends
        self.round_trip = round_trip
        self.seen: list[Seen] = []
        self.legs: dict[str, CallingLeg | DialledLeg] = {}
        self.dialled: dict[str, str] = {}
        """What was dialled last as what call."""
        self.last_transaction = 0.0
        self.deliver: Callable[[str, Fact], None] = lambda call_id, fact: None

    def dial(self, command: Dial) -> None:
        """Start the leg of a dialled call."""
        self.dialled[command.destination.to] = command.call_id
        far_end = self.far_ends.get(command.destination.to)
        if far_end is None:
            unknown = ending("dns_failed", who=command.destination.to)
            self.time.after(self.round_trip, lambda: self.deliver(command.call_id, LegEnded(ending=unknown)))
        else:
            self.legs[command.call_id] = DialledLeg(self, command.call_id, far_end)

    def call_id_of(self, name: str) -> str:
        """The call that was dialled to this destination; otherwise the name is an id."""
        return self.dialled.get(name, name)

    def call_in(self, call_id: str, caller: Caller) -> None:
        """A caller's INVITE has arrived."""
        self.legs[call_id] = CallingLeg(self, call_id, caller)

    def carry_out(self, call_id: str, command: RingLeg | AnswerLeg | EndLeg | ReportTransfer) -> None:
        """Do what a call asks of its leg."""
        leg = self.legs.get(call_id)
        if isinstance(command, ReportTransfer):
            if leg is not None:
                leg.report_transfer(command)
            return
        if isinstance(command, EndLeg):
            if leg is not None:
                leg.end(command)
        elif isinstance(leg, CallingLeg):
            leg.answer() if isinstance(command, AnswerLeg) else leg.ring(command)

    def wire(self, call_id: str) -> list[str]:
        """What one leg sent and got, in order."""
        return [seen.what for seen in self.seen if seen.call_id == call_id]
