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
from cordboard.call.actions import CallInfo, Driver, Finished, Hangup
from cordboard.call.background import Background
from cordboard.call.bridge import ending_for_peer
from cordboard.call.commanding import Commanding
from cordboard.call.driving import Driving
from cordboard.call.effects import CallOver, Effect, EndLeg, TellCall, Unjoin
from cordboard.call.leg import Leg
from cordboard.call.peer import Peer
from cordboard.call.plan import DEFAULT_CALL_STATE_EVENTS, Destination
from cordboard.call.reasons import Ending, EndReason, caller_code, ending, q850_cause
from cordboard.call.running import Running, earliest
from cordboard.call.side import Side
from cordboard.call.verdict import cause_of_end, cause_of_hangup
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
        "_parent",
        "_side",
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
        self._parent = parent
        self._confirm_timeout = confirm_timeout if driver is not None else None
        """None: there is nothing to confirm, or it is confirmed."""
        self._leg = Leg(info, call_state_url, call_state_events)
        self._background = Background()
        self._new_id = new_id
        self._side = Side(info, new_id)
        self._workshop = Workshop(info, self._leg, self._background, new_id)
        self._driving = Driving(driver, self._workshop)
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
        running = self._driving.next_timeout()
        due = self._deadline
        if running is not None and (due is None or running < due):
            due = running
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
        return self._end(self._ending(late), now)

    # -------------------------------------------------- facts about the own leg

    def _leg_dialled(self, fact: facts.LegDialled, now: float) -> list[Effect]:
        if not self._leg.is_unanswered:
            return []
        return self._tell_parent(facts.PeerDialled(call_id=self.info.call_id))

    def _leg_rings(self, fact: facts.LegRinging, now: float) -> list[Effect]:
        if not self._leg.is_unanswered:
            return []
        told = facts.PeerRinging(call_id=self.info.call_id, early_media=fact.early_media)
        return [*self._leg.ringing(), *self._tell_parent(told)]

    def _leg_answered(self, fact: facts.LegAnswered, now: float) -> list[Effect]:
        if not self._leg.is_unanswered:
            return self._leg.answered()
        effects = self._leg.answered()
        self._limit(now)
        if not self._driving.has_driver:
            return [*effects, *self._tell_parent(facts.PeerAnswered(call_id=self.info.call_id))]
        return effects if self.info.direction == "inbound" else [*effects, *self._begin_script(now)]

    def _limit(self, now: float) -> None:
        """How long it may last from now on: a call without driver or client as long as its bridge."""
        most = self.destination.max_duration if self.destination is not None else None
        if self._confirm_timeout is not None:
            most = self._confirm_timeout
        elif most is None and (self._driving.has_driver or self.info.owner is not None):
            most = self._workshop.max_duration
        self._deadline = None if most is None else now + most

    def _begin_script(self, now: float) -> list[Effect]:
        """The script of a call that was dialled runs when that is answered."""
        return [
            *self._tell_parent(facts.PeerConfirming(call_id=self.info.call_id)),
            *self._driving.start(now),
        ]

    def _leg_ended(self, fact: facts.LegEnded, now: float) -> list[Effect]:
        if self._leg.is_ended or self._held is not None:
            return []
        self._deadline = None
        why = fact.ending
        if self._is_confirming and why.reason is EndReason.HANGUP:
            why = self._ending("confirm_hung_up")
        abandoned = [*self._abandon(why, now), *self._background.leg_ended(now)]
        told = self._tell_others(facts.PeerEnded(call_id=self.info.call_id, ending=why))
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

    def _hold_changed(self, fact: facts.LegHeld | facts.LegResumed, now: float) -> list[Effect]:
        return self._side.hold_changed(held=isinstance(fact, facts.LegHeld))

    def _transfer_requested(self, fact: facts.TransferRequested, now: float) -> list[Effect]:
        return self._side.transfer_requested(fact, now) if self._leg.is_up else []

    def _play_finished(self, fact: facts.PlayFinished, now: float) -> list[Effect]:
        self._side.play_finished(fact)
        return []

    # -------------------------------------------------- facts from other calls

    def _end_wanted(self, fact: facts.HangupRequested | facts.MediaFailed, now: float) -> list[Effect]:
        return self._end(fact.ending, now)

    def _bridged(self, fact: facts.Bridged, now: float) -> list[Effect]:
        """The other side leads from now on.  A peer that this call had so far makes room."""
        before = self.info.peer_call_id
        self._parent = None
        self._side.bridged(fact.peer)
        self.info.dial_winner = self.info.dial_winner or fact.dial_winner
        if before == fact.call_id:
            return []
        self.info.peer_call_id = fact.call_id
        if before is None:
            return []
        gone = facts.Unbridged(call_id=self.info.call_id, ending=self._ending("transferred"))
        return [TellCall(call_id=before, fact=gone)]

    def _unbridged(self, fact: facts.Unbridged, now: float) -> list[Effect]:
        """Without connect or client of its own, a call ends with its bridge; after a transfer any does."""
        if fact.call_id != self.info.peer_call_id:
            return []
        if fact.ending.cause == "transferred":
            return self._transferred(fact, now)
        if self._leads:
            return []
        if self.info.owner is None or fact.for_good:
            return self._end(fact.ending, now)
        self.info.peer_call_id = None
        return []

    def _other_ended(self, fact: facts.PeerEnded, now: float) -> list[Effect]:
        """A dialled call does not outlive the one that it was dialled for, nor that which it talks to."""
        bridged = fact.call_id == self.info.peer_call_id
        if not bridged and fact.call_id != self._parent:
            return []
        if bridged and self._leads:
            return []
        if bridged and self.info.owner is not None:
            self.info.peer_call_id = None
            return []
        return self._end(ending_for_peer(fact.ending, who=self._name(), bridged=bridged), now)

    def _peer_pressed(self, fact: facts.PeerPressed, now: float) -> list[Effect]:
        return self._side.peer_pressed(fact) if self._leg.is_up else []

    def _peer_held(self, fact: facts.PeerHeld, now: float) -> list[Effect]:
        return self._side.peer_held(fact) if self._leg.is_up else []

    def _transfer_to(self, fact: facts.TransferTo, now: float) -> list[Effect]:
        """A connect of its own takes it from here; a dialled call without one gets one."""
        if self._leads:
            return []
        idle = self._driving.running is None and self._leg.is_answered
        if idle and fact.transferor == self.info.peer_call_id:
            peer = Peer(
                call_id=fact.transferor,
                device_type=self.info.parent_device_type or self.info.type,
                from_=self.info.from_,
                to=self.info.to,
            )
            self._driving.running = self._workshop.staying(peer)
            return []
        refused = facts.TransferProgress(status=481, reason="Call/Transaction Does Not Exist")
        return [TellCall(call_id=fact.transferor, fact=refused)]

    def _join_requested(self, fact: facts.JoinRequested, now: float) -> list[Effect]:
        connect = self._driving.connect
        free = self._driving.running is None if connect is None else connect.may_move
        return self._side.join_requested(fact, busy=not (free and self._leg.is_answered))

    def _transfer_progress(self, fact: facts.TransferProgress, now: float) -> list[Effect]:
        """The far end that asked for a transfer has no one to talk to when it has succeeded."""
        asked = self._side.is_transferring
        effects = self._side.transfer_progress(fact)
        peer = self.info.peer_call_id
        if not asked or peer is None or not 200 <= fact.status < 300:
            return effects
        gone = facts.Unbridged(call_id=peer, ending=self._ending("transferred"))
        return [*effects, *self._transferred(gone, now)]

    def _transferred(self, fact: facts.Unbridged, now: float) -> list[Effect]:
        left = self._driving.handle(fact, now)
        self.info.peer_call_id = None
        return [*left, *self._side.follow(), *self._end(self._ending("transferred"), now)]

    @property
    def _leads(self) -> bool:
        """It has a connect of its own, which goes on from its bridge."""
        return self._driving.connect is not None

    def _tell_parent(self, fact: facts.Fact) -> list[Effect]:
        return [] if self._parent is None else [TellCall(call_id=self._parent, fact=fact)]

    def _tell_others(self, fact: facts.Fact) -> list[Effect]:
        """The parent until it is bridged, the peer then; a connect tells its peer itself."""
        peer = None if self._leads else self.info.peer_call_id
        others = dict.fromkeys((self._parent, peer))
        return [TellCall(call_id=other, fact=fact) for other in others if other is not None]

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
        self.info.owner = fact.owner
        self._orphaned = None
        if self._leg.is_answered and self._deadline is None:
            self._limit(now)
        return self._leg.ring()

    def _control_lost(self, fact: facts.ControlLost, now: float) -> list[Effect]:
        self.info.owner = None
        self._orphaned = fact.ending
        return []

    def _dial_won(self, fact: facts.DialWon, now: float) -> list[Effect]:
        self._parent = None
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
            return self._tell_parent(fact) or self._drive(fact.driver, now)
        effects = self._drive(fact.driver, now)
        if ringing_out:
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
        return [*effects, *self._leave_peer(why), *self._leave_parent()]

    def _leave_peer(self, why: Ending) -> list[Effect]:
        own, peer = self.info.call_id, self.info.peer_call_id
        if peer is None:
            return []
        self.info.peer_call_id = None
        return [
            Unjoin(a=own, b=peer),
            TellCall(call_id=peer, fact=facts.Unbridged(call_id=own, ending=why)),
            *self._side.follow(),
        ]

    def _leave_parent(self) -> list[Effect]:
        gone = facts.PeerEnded(call_id=self.info.call_id, ending=self._ending("transferred"))
        told, self._parent = self._tell_parent(gone), None
        return told

    @property
    def _is_abandoned(self) -> bool:
        """Its client is gone, and nobody and nothing is left for which it would stay up."""
        if self._orphaned is None or self._parent is not None or self.info.peer_call_id is not None:
            return False
        busy = self._driving.has_driver or self._driving.running is not None
        return not busy and (self._commands is None or not self._commands.operations.keeps_up)

    # -------------------------------------------------- the driver

    @property
    def _is_confirming(self) -> bool:
        return self._confirm_timeout is not None and self._leg.is_answered

    def _driver_replied(self, fact: facts.DriverReply, now: float) -> list[Effect]:
        return self._driving.reply(fact, now) if self._leg.is_up else []

    def _go_on(self, now: float) -> list[Effect]:
        """Resume the driver when the action is done; close when all is."""
        effects: list[Effect] = []
        if self.info.peer_call_id != self._side.peer:
            effects += self._side.follow()
        if (done := self._driving.finished()) is not None:
            effects += self._take_result(done, now)
        if self._driving.wish is not None:
            effects += self._fulfil(now)
        if self._orphaned is not None and self._is_abandoned:
            effects += self._end(self._orphaned, now)
        if self._held is not None and self._has_last_word:
            effects += self._report_end(self._held)
        if self._leg.is_ended and self._driving.running is None and self._has_last_word:
            self._over = True
            effects.append(CallOver())
        return effects

    def _take_result(self, done: Running, now: float) -> list[Effect]:
        if done.result is None or not self._leg.is_up:
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
        return self._hang_up(wish, now) if isinstance(wish, Hangup) else self._finish(wish, now)

    # -------------------------------------------------- the end

    def _hang_up(self, action: Hangup, now: float) -> list[Effect]:
        unanswered = self._leg.is_unanswered
        cause = cause_of_hangup(action, confirming=self._is_confirming, unanswered=unanswered)
        return self._end(self._ending(cause), now)

    def _finish(self, finished: Finished, now: float) -> list[Effect]:
        """Out of steps.  A caller who was never answered learns why the last connect failed."""
        if finished.failed is None and self._is_confirming:
            return self._accept(now)
        driving, unanswered = self._driving, self._leg.is_unanswered
        if finished.failed is None and unanswered and driving.last_failure is not None:
            return self._end(driving.last_failure, now)
        cause = cause_of_end(
            finished,
            confirming=self._is_confirming,
            unanswered=unanswered,
            document_missing=driving.document_missing,
        )
        return self._end(self._ending(cause, finished.failed or ""), now)

    def _accept(self, now: float) -> list[Effect]:
        """The confirm script has ended with the leg up: it has done its work."""
        self._variables = self._driving.dismiss()
        self._confirm_timeout = None
        self._limit(now)
        return self._tell_parent(facts.PeerAnswered(call_id=self.info.call_id))

    def _end(self, why: Ending, now: float) -> list[Effect]:
        """The one door: abandon what runs, end the leg.  Both are done once, however often it is asked."""
        if not self._leg.is_up:
            return []
        command = EndLeg(
            ending=why,
            sip_code=caller_code(why),
            q850=q850_cause(why),
            answered_elsewhere=why.cause == "lost_race",
        )
        self._deadline = None
        return [*self._abandon(why, now), *self._background.stop_all(), *self._leg.end(command)]

    def _abandon(self, why: Ending, now: float) -> list[Effect]:
        operations = self._commands.operations.abandon(why, now) if self._commands is not None else []
        return [*operations, *self._driving.abandon(why, now), *self._side.close()]

    def _ending(self, cause: str, detail: str = "") -> Ending:
        return ending(cause, who=self._name(), detail=detail)

    def _name(self) -> str:
        """The far end, for sentences."""
        return self.info.from_ if self.info.direction == "inbound" else self.info.to


_TAKE: dict[type, Callable[[Call, Any, float], list[Effect]]] = {
    facts.LegDialled: Call._leg_dialled,
    facts.LegRinging: Call._leg_rings,
    facts.LegAnswered: Call._leg_answered,
    facts.LegEnded: Call._leg_ended,
    facts.LegHeld: Call._hold_changed,
    facts.LegResumed: Call._hold_changed,
    facts.DigitReceived: lambda call, fact, now: call._side.digit_received(fact),
    facts.PlayFinished: Call._play_finished,
    facts.MediaFailed: Call._end_wanted,
    facts.HangupRequested: Call._end_wanted,
    facts.Bridged: Call._bridged,
    facts.Unbridged: Call._unbridged,
    facts.PeerEnded: Call._other_ended,
    facts.PeerPressed: Call._peer_pressed,
    facts.PeerHeld: Call._peer_held,
    facts.TransferRequested: Call._transfer_requested,
    facts.TransferTo: Call._transfer_to,
    facts.TransferProgress: Call._transfer_progress,
    facts.ReplaceRequested: lambda call, fact, now: call._side.replace_requested(fact),
    facts.JoinRequested: Call._join_requested,
    facts.Commanded: Call._commanded,
    facts.ControlTaken: Call._control_taken,
    facts.ControlLost: Call._control_lost,
    facts.DriverGiven: Call._driver_given,
    facts.DialWon: Call._dial_won,
    facts.DriverReply: Call._driver_replied,
}
