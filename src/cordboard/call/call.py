"""One call: the life of one leg, and what its driver makes of it.

A call is one far end.  Facts go in one at a time, effects come out; it calls no other call but tells it
facts through the shell's queue.  An inbound call has a driver that is asked for the next action when the
last is done.  A dialled call has a parent, to which it reports: rings, answered, ended.

Its end has one door.  Whoever wants it (the script, another call, a timer, the media), `_end` is asked once,
the running action is abandoned at that moment, and `LegEnded` closes the call.  Whatever arrives later
finds the call over and has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from cordboard.call.actions import (
    Answer,
    CallInfo,
    Connect,
    Driver,
    Evaluate,
    FetchDocument,
    Finished,
    Hangup,
    Play,
    Result,
    Sleep,
    Turn,
)
from cordboard.call.answering import Answering
from cordboard.call.bridge import ending_for_peer
from cordboard.call.connect import ConnectMachine
from cordboard.call.effects import AskShell, CallOver, Effect, EndLeg, Report, ScriptWarned, TellCall
from cordboard.call.facts import (
    Bridged,
    DriverReply,
    Fact,
    HangupRequested,
    LegAnswered,
    LegDialled,
    LegEnded,
    LegRinging,
    MediaFailed,
    PeerAnswered,
    PeerDialled,
    PeerEnded,
    PeerRinging,
    Unbridged,
)
from cordboard.call.leg import Leg
from cordboard.call.plan import DEFAULT_CALL_STATE_EVENTS, Destination
from cordboard.call.playback import Playback
from cordboard.call.reasons import Ending, caller_code, ending, q850_cause
from cordboard.call.running import Running, earliest
from cordboard.call.sleeping import Sleeping

MAX_IDLE_TURNS = 10_000
"""Turns in a row that wait for nothing; a script that takes more goes in circles."""

MAX_DURATION = 14_400.0
"""Seconds that an answered call with a driver may last, unless its `Answer` says otherwise."""

HANGUP_CAUSES = {"busy": "script_busy", "decline": "script_declined", "hangup": "hangup_script"}


class Call:
    """One leg's life and its driver's actions; the same for all kinds of far end.

    `new_id` gives call ids and control ids.  `info` is kept current: its state and peer change in place.
    `destination` is what was dialled, for an outbound call.
    """

    __slots__ = (
        "_bridged_to",
        "_deadline",
        "_driver",
        "_last_failure",
        "_leg",
        "_max_duration",
        "_new_id",
        "_over",
        "_parent",
        "_running",
        "_ticket",
        "destination",
        "info",
    )

    def __init__(
        self,
        *,
        info: CallInfo,
        driver: Driver | None,
        parent: str | None = None,
        call_state_url: str | None = None,
        call_state_events: Set[str] = DEFAULT_CALL_STATE_EVENTS,
        destination: Destination | None = None,
        new_id: Callable[[], str],
    ) -> None:
        self.info = info
        self.destination = destination
        self._driver = driver
        self._parent = parent
        self._leg = Leg(info, call_state_url, call_state_events)
        self._new_id = new_id
        self._running: Running | None = None
        self._ticket = 0
        self._max_duration = MAX_DURATION
        self._deadline: float | None = None
        self._last_failure: Ending | None = None
        self._bridged_to: str | None = None
        self._over = False

    @property
    def is_over(self) -> bool:
        """`CallOver` is out; nothing has an effect any more."""
        return self._over

    def variables(self) -> dict[str, Any]:
        """The driver's variables, for the call record; empty without a driver."""
        return self._driver.variables() if self._driver is not None else {}

    # -------------------------------------------------- inputs

    def start(self, now: float) -> list[Effect]:
        """Report `created`, and set the driver going.  Outbound: its leg is already on its way."""
        effects = self._leg.created()
        if self._driver is not None:
            effects += self._take_turns(self._driver.start(), now)
        return effects

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take one fact.  One that comes too late, or for another, has no effect."""
        if self._over:
            return []
        take = _TAKE.get(type(fact))
        effects = take(self, fact, now) if take is not None else []
        if self._running is not None:
            effects += self._running.handle(fact, now)
        return effects + self._go_on(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is due, in the seconds of `now`."""
        if self._running is None:
            return self._deadline
        return earliest((self._deadline, self._running.next_timeout()))

    def handle_timeout(self, now: float) -> list[Effect]:
        """Do what is due at `now`."""
        effects: list[Effect] = []
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            effects += self._end(self._ending("max_duration"), now)
        if self._running is not None:
            effects += self._running.handle_timeout(now)
        return effects + self._go_on(now)

    # -------------------------------------------------- facts about the own leg

    def _leg_dialled(self, fact: LegDialled, now: float) -> list[Effect]:
        return self._tell_parent(PeerDialled(call_id=self.info.call_id)) if self._leg.is_unanswered else []

    def _leg_rings(self, fact: LegRinging, now: float) -> list[Effect]:
        if not self._leg.is_unanswered:
            return []
        told = PeerRinging(call_id=self.info.call_id, early_media=fact.early_media)
        return [*self._leg.ringing(), *self._tell_parent(told)]

    def _leg_answered(self, fact: LegAnswered, now: float) -> list[Effect]:
        if not self._leg.is_unanswered:
            return self._leg.answered()
        if self._driver is not None:
            self._deadline = now + self._max_duration
        return [*self._leg.answered(), *self._tell_parent(PeerAnswered(call_id=self.info.call_id))]

    def _leg_ended(self, fact: LegEnded, now: float) -> list[Effect]:
        self._deadline = None
        abandoned = self._abandon(fact.ending, now)
        gone = PeerEnded(call_id=self.info.call_id, ending=fact.ending)
        return [*abandoned, *self._leg.ended(fact.ending), *self._tell_others(gone)]

    def _media_failed(self, fact: MediaFailed, now: float) -> list[Effect]:
        return self._end(fact.ending, now)

    # -------------------------------------------------- facts from other calls

    def _hangup_requested(self, fact: HangupRequested, now: float) -> list[Effect]:
        return self._end(fact.ending, now)

    def _bridged(self, fact: Bridged, now: float) -> list[Effect]:
        self._bridged_to = self.info.peer_call_id = fact.call_id
        return []

    def _unbridged(self, fact: Unbridged, now: float) -> list[Effect]:
        if fact.call_id == self._bridged_to:
            self._bridged_to = self.info.peer_call_id = None
        return []

    def _other_ended(self, fact: PeerEnded, now: float) -> list[Effect]:
        """A dialled call does not outlive the one that it was dialled for."""
        if fact.call_id not in (self._parent, self._bridged_to):
            return []
        bridged = fact.call_id == self._bridged_to
        return self._end(ending_for_peer(fact.ending, who=self._name(), bridged=bridged), now)

    def _tell_parent(self, fact: Fact) -> list[Effect]:
        return [] if self._parent is None else [TellCall(call_id=self._parent, fact=fact)]

    def _tell_others(self, fact: Fact) -> list[Effect]:
        others = dict.fromkeys((self._parent, self._bridged_to))
        return [TellCall(call_id=other, fact=fact) for other in others if other is not None]

    # -------------------------------------------------- the driver

    def _driver_replied(self, fact: DriverReply, now: float) -> list[Effect]:
        if fact.ticket != self._ticket or self._driver is None or not self._leg.is_up:
            return []
        self._ticket += 1
        return self._take_turns(self._driver.resume(fact.result), now)

    def _go_on(self, now: float) -> list[Effect]:
        """Resume the driver when the action is done; close when all is."""
        running = self._running
        if running is not None and running.is_over:
            self._running = None
            if isinstance(running, ConnectMachine):
                self._last_failure = running.failure
            if running.result is not None and self._driver is not None and self._leg.is_up:
                return self._take_turns(self._driver.resume(running.result), now)
        if self._running is None and self._leg.is_ended and not self._over:
            self._over = True
            return [CallOver()]
        return []

    def _take_turns(self, turn: Turn, now: float) -> list[Effect]:
        """Carry turns out until one of them takes time."""
        effects: list[Effect] = []
        driver = self._driver
        for _ in range(MAX_IDLE_TURNS):
            result = self._take(turn, now, effects)
            if result is None or driver is None:
                return effects
            turn = driver.resume(result)
        endless = self._ending("script_failed", "it goes in circles without ever waiting for anything.")
        return effects + self._end(endless, now)

    def _take(self, turn: Turn, now: float, effects: list[Effect]) -> Result | None:
        """Carry one turn out; the result if it is there at once."""
        effects += [Report(happening=ScriptWarned(warning=warning)) for warning in turn.warnings]
        wanted = turn.next
        if isinstance(wanted, (Evaluate, FetchDocument)):
            self._ticket += 1
            effects.append(AskShell(ticket=self._ticket, request=wanted))
        elif isinstance(wanted, Finished):
            effects += self._finish(wanted, now)
        elif isinstance(wanted, Hangup):
            effects += self._hang_up(wanted, now)
        else:
            return self._run(self._machine(wanted), now, effects)
        return None

    def _run(self, running: Running, now: float, effects: list[Effect]) -> Result | None:
        effects += running.start(now)
        if running.is_over:
            if isinstance(running, ConnectMachine):
                self._last_failure = running.failure
            return running.result
        self._running = running
        return None

    def _machine(self, action: Any) -> Running:
        if isinstance(action, Connect):
            return ConnectMachine(action, self.info, self._leg, self._new_id)
        if isinstance(action, Play):
            return Playback(action, self._leg, self._new_id)
        if isinstance(action, Sleep):
            return Sleeping(action)
        assert isinstance(action, Answer)
        if self._leg.is_unanswered:
            self._max_duration = action.max_duration
        return Answering(self._leg)

    # -------------------------------------------------- the end

    def _hang_up(self, action: Hangup, now: float) -> list[Effect]:
        """Unanswered, no reason given means busy (swml.md 6.2)."""
        reason = action.reason or ("busy" if self._leg.is_unanswered else "hangup")
        return self._end(self._ending(HANGUP_CAUSES.get(reason, "hangup_script")), now)

    def _finish(self, finished: Finished, now: float) -> list[Effect]:
        """Out of steps.  A caller who was never answered learns why the last connect failed."""
        if finished.failed is not None:
            return self._end(self._ending("script_failed", finished.failed), now)
        if self._leg.is_unanswered:
            return self._end(self._last_failure or self._ending("script_busy"), now)
        return self._end(self._ending("script_ended"), now)

    def _end(self, why: Ending, now: float) -> list[Effect]:
        """The one door: abandon what runs, end the leg.  Both are done once, however often it is asked."""
        command = EndLeg(
            ending=why,
            sip_code=caller_code(why),
            q850=q850_cause(why),
            answered_elsewhere=why.cause == "lost_race",
        )
        self._deadline = None
        return [*self._abandon(why, now), *self._leg.end(command)]

    def _abandon(self, why: Ending, now: float) -> list[Effect]:
        return [] if self._running is None else self._running.abandon(why, now)

    def _ending(self, cause: str, detail: str = "") -> Ending:
        return ending(cause, who=self._name(), detail=detail)

    def _name(self) -> str:
        """The far end, for sentences."""
        return self.info.from_ if self.info.direction == "inbound" else self.info.to


_TAKE: dict[type, Callable[[Call, Any, float], list[Effect]]] = {
    LegDialled: Call._leg_dialled,
    LegRinging: Call._leg_rings,
    LegAnswered: Call._leg_answered,
    LegEnded: Call._leg_ended,
    MediaFailed: Call._media_failed,
    HangupRequested: Call._hangup_requested,
    Bridged: Call._bridged,
    Unbridged: Call._unbridged,
    PeerEnded: Call._other_ended,
    DriverReply: Call._driver_replied,
}
