"""One call: the life of one leg, and what its driver makes of it.

A call is one far end.  Facts go in one at a time, effects come out; it calls no other call but tells it
facts through the shell's queue.  An inbound call has a driver that is asked for the next action when the
last is done.  A dialled call has a parent, to which it reports: rings, answered, ended.  It may have a
driver too, its confirm script, which starts at the answer; the parent hears `PeerConfirming` then, and
`PeerAnswered` only when the script has ended with the leg up.  From then on it is a call like any other.

Its end has one door.  Whoever wants it, `_end` is asked once, the running action is abandoned at that
moment, and `LegEnded` closes the call, once the recordings have said their last word.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from cordboard.call.actions import (
    CallInfo,
    Driver,
    Finished,
    Hangup,
)
from cordboard.call.background import Background
from cordboard.call.bridge import ending_for_peer
from cordboard.call.driving import Driving
from cordboard.call.effects import CallOver, Effect, EndLeg, TellCall
from cordboard.call.facts import (
    Bridged,
    DigitReceived,
    DriverReply,
    Fact,
    HangupRequested,
    JoinRequested,
    LegAnswered,
    LegDialled,
    LegEnded,
    LegHeld,
    LegResumed,
    LegRinging,
    MediaFailed,
    PeerAnswered,
    PeerConfirming,
    PeerDialled,
    PeerEnded,
    PeerHeld,
    PeerPressed,
    PeerRinging,
    PlayFinished,
    ReplaceRequested,
    TransferProgress,
    TransferRequested,
    TransferTo,
    Unbridged,
)
from cordboard.call.leg import Leg
from cordboard.call.peer import Peer
from cordboard.call.plan import DEFAULT_CALL_STATE_EVENTS, Destination
from cordboard.call.reasons import Ending, EndReason, caller_code, ending, q850_cause
from cordboard.call.running import Running, earliest
from cordboard.call.side import Side
from cordboard.call.workshop import Workshop

HANGUP_CAUSES = {"busy": "script_busy", "decline": "script_declined", "hangup": "hangup_script"}


class Call:
    """One leg's life and its driver's actions; the same for all kinds of far end.

    `new_id` gives call and control ids.  `info` is kept current: its state and peer change in place.
    `destination` is what was dialled.  With `confirm_timeout` (seconds) the driver is a confirm script.
    """

    __slots__ = (
        "_background",
        "_confirm_timeout",
        "_deadline",
        "_driving",
        "_leg",
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
        self._side = Side(info, new_id)
        self._workshop = Workshop(info, self._leg, self._background, new_id)
        self._driving = Driving(driver, self._workshop)
        self._variables: dict[str, Any] = {}
        self._deadline: float | None = None
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

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take one fact.  One that comes too late, or for another, has no effect."""
        if self._over:
            return []
        take = _TAKE.get(type(fact))
        effects = take(self, fact, now) if take is not None else []
        if self._background.items:
            effects += self._background.handle(fact)
        if (running := self._driving.running) is not None:
            effects += running.handle(fact, now)
        return effects + self._go_on(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is due, in the seconds of `now`."""
        if self._over:
            return None
        running = self._driving.next_timeout()
        due = self._deadline
        if running is not None and (due is None or running < due):
            due = running
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
            late = "max_duration" if self._confirm_timeout is None else "confirm_timeout"
            effects += self._end(self._ending(late), now)
        effects += self._side.handle_timeout(now)
        effects += self._background.handle_timeout(now)
        effects += self._driving.handle_timeout(now)
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
        effects = self._leg.answered()
        if not self._driving.has_driver:
            return [*effects, *self._tell_parent(PeerAnswered(call_id=self.info.call_id))]
        self._deadline = now + (self._confirm_timeout or self._workshop.max_duration)
        return effects if self.info.direction == "inbound" else [*effects, *self._begin_script(now)]

    def _begin_script(self, now: float) -> list[Effect]:
        """The script of a call that was dialled runs when that is answered."""
        return [*self._tell_parent(PeerConfirming(call_id=self.info.call_id)), *self._driving.start(now)]

    def _leg_ended(self, fact: LegEnded, now: float) -> list[Effect]:
        if self._leg.is_ended:
            return []
        self._deadline = None
        why = fact.ending
        if self._is_confirming and why.reason is EndReason.HANGUP:
            why = self._ending("confirm_hung_up")
        abandoned = [
            *self._driving.abandon(why, now),
            *self._background.leg_ended(now),
            *self._side.silence(),
        ]
        gone = PeerEnded(call_id=self.info.call_id, ending=why)
        return [*abandoned, *self._leg.ended(why), *self._tell_others(gone)]

    def _hold_changed(self, fact: LegHeld | LegResumed, now: float) -> list[Effect]:
        return self._side.hold_changed(held=isinstance(fact, LegHeld))

    def _transfer_requested(self, fact: TransferRequested, now: float) -> list[Effect]:
        return self._side.transfer_requested(fact, now) if self._leg.is_up else []

    def _play_finished(self, fact: PlayFinished, now: float) -> list[Effect]:
        self._side.play_finished(fact)
        return []

    # -------------------------------------------------- facts from other calls

    def _end_wanted(self, fact: HangupRequested | MediaFailed, now: float) -> list[Effect]:
        return self._end(fact.ending, now)

    def _bridged(self, fact: Bridged, now: float) -> list[Effect]:
        """The other side leads from now on.  A peer that this call had so far makes room."""
        before = self.info.peer_call_id
        self._parent = None
        self.info.dial_winner = self.info.dial_winner or fact.dial_winner
        if before == fact.call_id:
            return []
        self.info.peer_call_id = fact.call_id
        if before is None:
            return []
        gone = Unbridged(call_id=self.info.call_id, ending=self._ending("transferred"))
        return [TellCall(call_id=before, fact=gone)]

    def _unbridged(self, fact: Unbridged, now: float) -> list[Effect]:
        """Without a connect of its own, a call ends with its bridge; after a transfer it always does."""
        if fact.call_id != self.info.peer_call_id:
            return []
        if fact.ending.cause == "transferred":
            return self._transferred(fact, now)
        return [] if self._leads else self._end(fact.ending, now)

    def _other_ended(self, fact: PeerEnded, now: float) -> list[Effect]:
        """A dialled call does not outlive the one that it was dialled for, nor that which it talks to."""
        bridged = fact.call_id == self.info.peer_call_id
        if not bridged and fact.call_id != self._parent:
            return []
        if bridged and self._leads:
            return []
        return self._end(ending_for_peer(fact.ending, who=self._name(), bridged=bridged), now)

    def _peer_pressed(self, fact: PeerPressed, now: float) -> list[Effect]:
        return self._side.peer_pressed(fact) if self._leg.is_up else []

    def _peer_held(self, fact: PeerHeld, now: float) -> list[Effect]:
        return self._side.peer_held(fact) if self._leg.is_up else []

    def _transfer_to(self, fact: TransferTo, now: float) -> list[Effect]:
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
        refused = TransferProgress(status=481, reason="Call/Transaction Does Not Exist")
        return [TellCall(call_id=fact.transferor, fact=refused)]

    def _join_requested(self, fact: JoinRequested, now: float) -> list[Effect]:
        connect = self._driving.connect
        free = self._driving.running is None if connect is None else connect.may_move
        return self._side.join_requested(fact, busy=not (free and self._leg.is_answered))

    def _transfer_progress(self, fact: TransferProgress, now: float) -> list[Effect]:
        """The far end that asked for a transfer has no one to talk to when it has succeeded."""
        asked = self._side.is_transferring
        effects = self._side.transfer_progress(fact)
        peer = self.info.peer_call_id
        if not asked or peer is None or not 200 <= fact.status < 300:
            return effects
        gone = Unbridged(call_id=peer, ending=self._ending("transferred"))
        return [*effects, *self._transferred(gone, now)]

    def _transferred(self, fact: Unbridged, now: float) -> list[Effect]:
        left = self._driving.handle(fact, now)
        self.info.peer_call_id = None
        return [*left, *self._side.follow(), *self._end(self._ending("transferred"), now)]

    @property
    def _leads(self) -> bool:
        """It has a connect of its own, which goes on from its bridge."""
        return self._driving.connect is not None

    def _tell_parent(self, fact: Fact) -> list[Effect]:
        return [] if self._parent is None else [TellCall(call_id=self._parent, fact=fact)]

    def _tell_others(self, fact: Fact) -> list[Effect]:
        """The parent until it is bridged, the peer then; a connect tells its peer itself."""
        peer = None if self._leads else self.info.peer_call_id
        others = dict.fromkeys((self._parent, peer))
        return [TellCall(call_id=other, fact=fact) for other in others if other is not None]

    # -------------------------------------------------- the driver

    @property
    def _is_confirming(self) -> bool:
        return self._confirm_timeout is not None and self._leg.is_answered

    def _driver_replied(self, fact: DriverReply, now: float) -> list[Effect]:
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
        if self._leg.is_ended and self._driving.running is None and self._background.is_over:
            self._over = True
            effects.append(CallOver())
        return effects

    def _take_result(self, done: Running, now: float) -> list[Effect]:
        if done.result is None or not self._leg.is_up:
            return []
        if self._driving.has_driver:
            return self._driving.resume(done.result, now)
        return self._end(self._driving.last_failure or self._ending("hangup_peer"), now)

    def _fulfil(self, now: float) -> list[Effect]:
        """What the driver wishes that only the call can do."""
        wish, self._driving.wish = self._driving.wish, None
        if wish is None:
            return []
        return self._hang_up(wish, now) if isinstance(wish, Hangup) else self._finish(wish, now)

    # -------------------------------------------------- the end

    def _hang_up(self, action: Hangup, now: float) -> list[Effect]:
        """Unanswered, no reason given means busy (swml.md 6.2).  A confirm script declines with it."""
        if self._is_confirming:
            return self._end(self._ending("confirm_declined"), now)
        reason = action.reason or ("busy" if self._leg.is_unanswered else "hangup")
        return self._end(self._ending(HANGUP_CAUSES.get(reason, "hangup_script")), now)

    def _finish(self, finished: Finished, now: float) -> list[Effect]:
        """Out of steps.  A caller who was never answered learns why the last connect failed."""
        if finished.failed is not None:
            return self._end(self._ending(self._failure(), finished.failed), now)
        if self._is_confirming:
            return self._accept()
        if self._leg.is_unanswered:
            return self._end(self._driving.last_failure or self._ending("script_busy"), now)
        return self._end(self._ending("script_ended"), now)

    def _failure(self) -> str:
        if self._is_confirming:
            return "confirm_failed"
        return "document_failed" if self._driving.document_missing else "script_failed"

    def _accept(self) -> list[Effect]:
        """The confirm script has ended with the leg up: it has done its work."""
        self._variables = self._driving.dismiss()
        self._confirm_timeout = self._deadline = None
        return self._tell_parent(PeerAnswered(call_id=self.info.call_id))

    def _end(self, why: Ending, now: float) -> list[Effect]:
        """The one door: abandon what runs, end the leg.  Both are done once, however often it is asked."""
        command = EndLeg(
            ending=why,
            sip_code=caller_code(why),
            q850=q850_cause(why),
            answered_elsewhere=why.cause == "lost_race",
        )
        self._deadline = None
        abandoned = [*self._driving.abandon(why, now), *self._background.stop_all(), *self._side.silence()]
        return [*abandoned, *self._leg.end(command)]

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
    LegHeld: Call._hold_changed,
    LegResumed: Call._hold_changed,
    DigitReceived: lambda call, fact, now: call._side.digit_received(fact),
    PlayFinished: Call._play_finished,
    MediaFailed: Call._end_wanted,
    HangupRequested: Call._end_wanted,
    Bridged: Call._bridged,
    Unbridged: Call._unbridged,
    PeerEnded: Call._other_ended,
    PeerPressed: Call._peer_pressed,
    PeerHeld: Call._peer_held,
    TransferRequested: Call._transfer_requested,
    TransferTo: Call._transfer_to,
    TransferProgress: Call._transfer_progress,
    ReplaceRequested: lambda call, fact, now: call._side.replace_requested(fact),
    JoinRequested: Call._join_requested,
    DriverReply: Call._driver_replied,
}
