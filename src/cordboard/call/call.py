"""One call: the life of one leg, and what its driver makes of it.

A call is one far end.  Facts go in one at a time, effects come out; it calls no other call but tells it
facts through the shell's queue.  An inbound call has a driver that is asked for the next action when the
last is done.  A dialled call has a parent, to which it reports: rings, answered, ended.  It may have a
driver too, its confirm script, which starts at the answer; the parent hears `PeerConfirming` then, and
`PeerAnswered` only when the script has ended with the leg up.  From then on it is a call like any other.

A call with an owner is controlled by a client: its commands may run several operations at once, also beside
a script, and it does not end with its bridge.  It ends by its far end, by a command, by its longest duration,
or when its client is gone and nothing goes on any more.

Its end has one door.  Whoever wants it, `_end` is asked once, the running action is abandoned at that
moment, and `LegEnded` closes the call, once the recordings have said their last word.  A client hears nothing
of a call after `ended`, so there that report waits for those words, for `HELD_BACK` at most.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from cordboard.call import facts
from cordboard.call.actions import CallInfo, Driver, Finished
from cordboard.call.background import Background
from cordboard.call.commanding import Commanding
from cordboard.call.driving import Driving
from cordboard.call.effects import CallOver, Effect, EndLeg
from cordboard.call.leg import GONE, UNANSWERED, Leg
from cordboard.call.plan import DEFAULT_CALL_STATE_EVENTS, DEFAULT_TIMEOUT, Destination
from cordboard.call.reasons import Ending, EndReason, caller_code, ending, q850_cause
from cordboard.call.running import Running, earliest
from cordboard.call.side import Side
from cordboard.call.ties import Ties
from cordboard.call.verdict import ending_of_wish, q850_of_wish
from cordboard.call.workshop import Workshop

HELD_BACK = 5.5
"""Seconds that the last report of a controlled call waits for its recordings and taps."""


class Call:
    """One leg's life and its driver's actions; the same for all kinds of far end.

    `new_id` gives call and control ids.  `info` is kept current: its state and peer change in place.
    `destination` is what was dialled.  With `confirm_timeout` (seconds) the driver is a confirm script.
    """

    __slots__ = (
        "_background",
        "_commands",
        "_confirm_timeout",
        "_deadline",
        "_driving",
        "_held",
        "_leg",
        "_new_id",
        "_orphaned",
        "_over",
        "_side",
        "_ties",
        "_variables",
        "_workshop",
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
        confirm_timeout: float | None = None,
        new_id: Callable[[], str],
    ) -> None:
        self.info = info
        self.destination = destination
        self._confirm_timeout = confirm_timeout if driver is not None else None
        """None: there is nothing to confirm, or it is confirmed."""
        self._leg = Leg(info, call_state_url, call_state_events)
        self._background = Background()
        self._new_id = new_id
        self._side = Side(info, new_id)
        self._workshop = Workshop(info, self._leg, self._background, new_id)
        self._driving = Driving(driver, self._workshop)
        self._ties = Ties(
            info=info,
            leg=self._leg,
            side=self._side,
            driving=self._driving,
            workshop=self._workshop,
            parent=parent,
        )
        self._variables: dict[str, Any] = {}
        self._deadline: float | None = None
        self._commands: Commanding | None = None
        """What clients have asked for; None: nothing yet."""
        self._held: Ending | None = None
        """How the leg has ended, while that is not reported yet."""
        self._orphaned: Ending | None = None
        """Its client is gone, and with this it ends when nothing goes on any more."""
        self._over = False

    @property
    def is_over(self) -> bool:
        """`CallOver` is out; nothing has an effect any more."""
        return self._over

    def variables(self) -> dict[str, Any]:
        """The driver's variables, for the call record; empty without a driver."""
        return self._driving.variables() or self._variables

    # -------------------------------------------------- inputs

    def start(self, now: float) -> list[Effect]:
        """Report `created`, and set the driver going.  Outbound: its leg is already on its way."""
        effects = self._leg.created()
        if self.info.direction == "inbound":
            effects += self._driving.start(now)
        return effects + self._fulfil(now)

    def handle(self, fact: facts.Fact, now: float) -> list[Effect]:
        """Take one fact.  One that comes too late, or for another, has no effect."""
        if self._over:
            return []
        take = _TAKE.get(type(fact))
        effects = take(self, fact, now) if take is not None else []
        if self._background.items:
            effects += self._background.handle(fact)
        if (running := self._driving.running) is not None:
            effects += running.handle(fact, now)
        if self._commands is not None:
            effects += self._commands.operations.handle(fact, now)
        return effects + self._go_on(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is due, in the seconds of `now`."""
        if self._over:
            return None
        due, running = self._deadline, self._driving.running
        if running is not None:
            done = running.next_timeout()
            if done is not None and (due is None or done < due):
                due = done
        if self._commands is not None:
            due = earliest((due, self._commands.operations.next_timeout()))
        if self._background.deadline is None and self._side.deadline is None:
            return due
        return earliest((due, self._background.deadline, self._side.deadline))

    def handle_timeout(self, now: float) -> list[Effect]:
        """Do what is due at `now`."""
        if self._over:
            return []
        effects: list[Effect] = []
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            effects += self._too_late(now)
        if self._commands is not None:
            effects += self._commands.operations.handle_timeout(now)
        effects += self._side.handle_timeout(now)
        effects += self._background.handle_timeout(now)
        effects += self._driving.handle_timeout(now)
        return effects + self._go_on(now)

    def _too_late(self, now: float) -> list[Effect]:
        if self._held is not None:
            return self._report_end(self._held)
        late = "max_duration" if self._confirm_timeout is None else "confirm_timeout"
        return self._end(self._ending("ring_timeout" if self._leg.is_unanswered else late), now)

    # -------------------------------------------------- facts about the own leg

    def _leg_dialled(self, fact: facts.LegDialled, now: float) -> list[Effect]:
        if self.info.call_state not in UNANSWERED:
            return []
        return self._ties.tell_parent(facts.PeerDialled(call_id=self.info.call_id))

    def _leg_rings(self, fact: facts.LegRinging, now: float) -> list[Effect]:
        if self.info.call_state not in UNANSWERED:
            return []
        told = facts.PeerRinging(call_id=self.info.call_id, early_media=fact.early_media)
        return [*self._leg.ringing(), *self._ties.tell_parent(told)]

    def _leg_answered(self, fact: facts.LegAnswered, now: float) -> list[Effect]:
        if self.info.call_state not in UNANSWERED:
            return self._leg.answered()
        effects = self._leg.answered()
        self._limit(now)
        if not self._driving.has_driver:
            return [*effects, *self._ties.tell_parent(facts.PeerAnswered(call_id=self.info.call_id))]
        if self.info.direction == "inbound":
            return effects
        # The script of a call that was dialled runs when that is answered.
        confirming = self._ties.tell_parent(facts.PeerConfirming(call_id=self.info.call_id))
        return [*effects, *confirming, *self._driving.start(now)]

    def _limit(self, now: float) -> None:
        """How long it may last from now on.  One that was dialled for a bridge is bounded by that."""
        most = self.destination.max_duration if self.destination is not None else None
        if self._confirm_timeout is not None:
            most = self._confirm_timeout
        elif most is None and self._stands_alone:
            most = self._workshop.max_duration
        self._deadline = None if most is None else now + most

    @property
    def _stands_alone(self) -> bool:
        led = self._driving.has_driver or self.info.owner is not None or self._orphaned is not None
        return led or self._ties.parent is None

    def _leg_ended(self, fact: facts.LegEnded, now: float) -> list[Effect]:
        if self.info.call_state == "ended" or self._held is not None:
            return []
        self._deadline = None
        why = fact.ending
        if self._is_confirming and why.reason is EndReason.HANGUP:
            why = self._ending("confirm_hung_up")
        abandoned = [*self._abandon(why, now), *self._background.leg_ended(now)]
        told = self._ties.tell_others(facts.PeerEnded(call_id=self.info.call_id, ending=why))
        if self.info.owner is None or self._has_last_word:
            return [*abandoned, *self._leg.ended(why), *told]
        self._held, self._deadline = why, now + HELD_BACK
        self._leg.ending()
        return [*abandoned, *told]

    @property
    def _has_last_word(self) -> bool:
        """Nothing more will be reported about recordings, taps and operations."""
        commands = self._commands
        return self._background.is_over and (commands is None or commands.operations.is_over)

    def _report_end(self, why: Ending) -> list[Effect]:
        self._held = self._deadline = None
        return self._leg.ended(why)

    # -------------------------------------------------- facts from other calls

    def _end_wanted(self, fact: facts.HangupRequested | facts.MediaFailed, now: float) -> list[Effect]:
        return self._end(fact.ending, now)

    # -------------------------------------------------- clients

    def _commanded(self, fact: facts.Commanded, now: float) -> list[Effect]:
        if self._commands is None:
            self._commands = Commanding(
                info=self.info,
                leg=self._leg,
                side=self._side,
                driving=self._driving,
                workshop=self._workshop,
                new_id=self._new_id,
            )
        return self._commands.take(fact, now, self._end)

    def _control_taken(self, fact: facts.ControlTaken, now: float) -> list[Effect]:
        """A caller rings while its client is asked."""
        if not self._leg.is_up:
            return []
        self.info.owner, self._orphaned = fact.owner, None
        if self._leg.is_answered and self._deadline is None:
            self._limit(now)
        return self._leg.ring()

    def _control_lost(self, fact: facts.ControlLost, now: float) -> list[Effect]:
        self.info.owner = None
        self._orphaned = fact.ending
        return []

    def _dial_won(self, fact: facts.DialWon, now: float) -> list[Effect]:
        self._ties.parent = None
        self.info.dial_winner = self.info.dial_winner or fact.dial_winner
        if self._leg.is_answered and self._deadline is None:
            self._deadline = now + self._workshop.max_duration
        return []

    def _driver_given(self, fact: facts.DriverGiven, now: float) -> list[Effect]:
        """What goes on in the foreground makes room; a call that others dial stands on its own now."""
        if not self._leg.is_up:
            return []
        ringing_out = self._leg.is_unanswered and self.info.direction == "outbound"
        if ringing_out and self.info.parent_call_id is None:
            # Still part of a dial, which gives the script to who wins.  Nobody's but its own: kept here.
            return self._ties.tell_parent(fact) or self._drive(fact.driver, now)
        effects = self._drive(fact.driver, now)
        if ringing_out:
            # Nobody else bounds its ringing any more.
            self._deadline = now + (self.destination.timeout if self.destination else DEFAULT_TIMEOUT)
            return effects
        if self._leg.is_answered and self._deadline is None:
            self._limit(now)
        return [*effects, *self._driving.start(now)]

    def _drive(self, driver: Driver, now: float) -> list[Effect]:
        why = self._ending("disconnected")
        effects = self._driving.replace(driver, why, now)
        if self._confirm_timeout is not None:
            self._confirm_timeout = self._deadline = None
        if self._commands is not None:
            effects += self._commands.operations.abandon_foreground(why, now)
        for item in self._background.items.values():
            effects += item.stop() if item.foreground else []
        return [*effects, *self._ties.leave(why)]

    @property
    def _is_abandoned(self) -> bool:
        """Its client is gone, and nobody and nothing is left for which it would stay up."""
        if not self._ties.are_cut:
            return False
        if self._driving.has_driver or self._driving.running is not None:
            return False
        commands = self._commands
        return commands is None or self._leg.is_unanswered or not commands.operations.keeps_up

    # -------------------------------------------------- the driver

    @property
    def _is_confirming(self) -> bool:
        return self._confirm_timeout is not None and self._leg.is_answered

    def _go_on(self, now: float) -> list[Effect]:
        """Resume the driver when the action is done; close when all is."""
        effects: list[Effect] = []
        if self.info.peer_call_id != self._side.peer:
            effects += self._side.follow()
        driving = self._driving
        if driving.running is not None and driving.running.is_over:
            effects += self._take_result(driving.take_away(driving.running), now)
        if driving.wish is not None:
            effects += self._fulfil(now)
        if self._orphaned is not None and self._is_abandoned:
            effects += self._end(self._orphaned, now)
        if self._held is not None and self._has_last_word:
            effects += self._report_end(self._held)
        if self.info.call_state == "ended" and driving.running is None and self._has_last_word:
            self._over = True
            effects.append(CallOver())
        return effects

    def _take_result(self, done: Running, now: float) -> list[Effect]:
        if done.result is None or self.info.call_state in GONE:
            return []
        if self._driving.has_driver:
            return self._driving.resume(done.result, now)
        if self.info.owner is not None or self._orphaned is not None:
            return []
        return self._end(self._driving.last_failure or self._ending("hangup_peer"), now)

    def _fulfil(self, now: float) -> list[Effect]:
        """What the driver wishes that only the call can do."""
        wish, self._driving.wish = self._driving.wish, None
        if wish is None:
            return []
        confirming = self._is_confirming
        if confirming and isinstance(wish, Finished) and wish.failed is None:
            return self._accept(now)
        why = ending_of_wish(wish, self.info, self._driving, confirming=confirming)
        return self._end(why, now, q850_of_wish(wish, why))

    # -------------------------------------------------- the end

    def _accept(self, now: float) -> list[Effect]:
        """The confirm script has ended with the leg up: it has done its work."""
        self._variables = self._driving.dismiss()
        self._confirm_timeout = None
        self._limit(now)
        return self._ties.tell_parent(facts.PeerAnswered(call_id=self.info.call_id))

    def _end(self, why: Ending, now: float, q850: int | None = None) -> list[Effect]:
        """The one door: abandon what runs, end the leg.  Both are done once, however often it is asked.

        `q850`: the cause to be told on the wire, where it is not that of `why`.
        """
        if self.info.call_state in GONE:
            return []
        command = EndLeg(
            ending=why,
            sip_code=caller_code(why),
            q850=q850_cause(why) if q850 is None else q850,
            answered_elsewhere=why.cause == "lost_race",
        )
        self._deadline = None
        return [*self._abandon(why, now), *self._background.stop_all(), *self._leg.end(command)]

    def _abandon(self, why: Ending, now: float) -> list[Effect]:
        operations = self._commands.operations.abandon(why, now) if self._commands is not None else []
        running = self._driving.running
        abandoned = running.abandon(why, now) if running is not None else []
        return [*operations, *abandoned, *self._side.close()]

    def _ending(self, cause: str, detail: str = "") -> Ending:
        return ending(cause, who=self.info.far_end, detail=detail)


_TAKE: dict[type, Callable[[Call, Any, float], list[Effect]]] = {
    facts.LegDialled: Call._leg_dialled,
    facts.LegRinging: Call._leg_rings,
    facts.LegAnswered: Call._leg_answered,
    facts.LegEnded: Call._leg_ended,
    facts.LegHeld: lambda call, fact, now: call._side.hold_changed(held=True),
    facts.LegResumed: lambda call, fact, now: call._side.hold_changed(held=False),
    facts.DigitReceived: lambda call, fact, now: call._side.digit_received(fact),
    facts.PlayFinished: lambda call, fact, now: call._side.play_finished(fact),
    facts.MediaFailed: Call._end_wanted,
    facts.HangupRequested: Call._end_wanted,
    facts.Bridged: lambda call, fact, now: call._ties.bridged(fact),
    facts.Unbridged: lambda call, fact, now: call._ties.unbridged(fact, now, call._end),
    facts.PeerEnded: lambda call, fact, now: call._ties.other_ended(fact, now, call._end),
    facts.PeerPressed: lambda call, fact, now: call._side.peer_pressed(fact),
    facts.PeerHeld: lambda call, fact, now: call._side.peer_held(fact),
    facts.TransferRequested: lambda call, fact, now: call._side.transfer_requested(fact, now),
    facts.TransferTo: lambda call, fact, now: call._ties.transfer_to(fact),
    facts.TransferProgress: lambda call, fact, now: call._ties.transfer_progress(fact, now, call._end),
    facts.ReplaceRequested: lambda call, fact, now: call._side.replace_requested(fact),
    facts.JoinRequested: lambda call, fact, now: call._ties.join_requested(fact),
    facts.Commanded: Call._commanded,
    facts.ControlTaken: Call._control_taken,
    facts.ControlLost: Call._control_lost,
    facts.DriverGiven: Call._driver_given,
    facts.DialWon: Call._dial_won,
    facts.DriverReply: lambda call, fact, now: call._driving.reply(fact, now) if call._leg.is_up else [],
}
