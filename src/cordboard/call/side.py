"""One side of a bridge: what a call passes on to the call that it talks to, and does for it.

Keys cross over.  A far end that puts its call on hold gives the other side music; where the server has none,
the shell plays nothing.  A far end that asks for a transfer is answered here, while the call that stays does
the work (`ConnectMachine`): the transferor hears how that goes, and is hung up when it has succeeded.

An attended transfer names another call of this server (Replaces).  That call is asked for its peer, the peer
offers itself to the call that stays, and the two are joined:

    transferor --ReplaceRequested--> named --JoinRequested--> its peer --TransferTo(join)--> staying call
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.effects import (
    ConnectStateChanged,
    Effect,
    PassDigit,
    PlayTo,
    Report,
    ReportTransfer,
    StopPlay,
    TellCall,
)
from cordboard.call.facts import (
    DigitReceived,
    DisconnectRequested,
    JoinRequested,
    PeerHeld,
    PeerPressed,
    PlayFinished,
    ReplaceRequested,
    TransferProgress,
    TransferRequested,
    TransferTo,
)
from cordboard.call.info import CallInfo
from cordboard.call.peer import Peer, peer_of
from cordboard.call.plan import PlayItem

MUSIC = (PlayItem(kind="hold"),)
REPLACE_LIMIT = 5.0
"""Seconds that an attended transfer may take: it rings nobody."""


class Side:
    """What one call does for its peer, and what its peer does for it."""

    __slots__ = (
        "_held",
        "_info",
        "_leaving",
        "_music",
        "_new_id",
        "_other",
        "_transferring",
        "deadline",
        "peer",
    )

    def __init__(self, info: CallInfo, new_id: Callable[[], str]) -> None:
        self._info = info
        self._new_id = new_id
        self.peer: str | None = None
        """Who the peer was when this was looked at last."""
        self._other: Peer | None = None
        """What is known of the peer, where that leads."""
        self._leaving = False
        """Our client has asked for the end of a bridge that the peer leads."""
        self._held = False
        """Our far end has put us on hold."""
        self._music: str | None = None
        """Control id of the music that our far end hears, because the peer's has put us on hold."""
        self._transferring = False
        """Our far end has asked for a transfer, which goes on."""
        self.deadline: float | None = None
        """The end of an attended transfer that nobody has answered."""

    @property
    def is_transferring(self) -> bool:
        """Our far end has asked for a transfer, which goes on."""
        return self._transferring

    # -------------------------------------------------- who the peer is

    def bridged(self, other: Peer | None) -> None:
        """Another call has joined us to itself, and leads."""
        self._other = other

    def ask_to_leave(self) -> list[Effect]:
        """Our client wants to leave a bridge that the peer leads; it reports nothing for us."""
        self._leaving = True
        return self._tell(DisconnectRequested(call_id=self._info.call_id))

    def close(self) -> list[Effect]:
        """Our call is ending."""
        if self._music is None and not self._leaving:
            self._other = None
            return []
        return [*self.silence(), *self._left()]

    def _left(self) -> list[Effect]:
        """What our client waits for that has asked to leave."""
        other, self._other = self._other, None
        leaving, self._leaving = self._leaving, False
        if not leaving or other is None:
            return []
        return [Report(happening=ConnectStateChanged.about("disconnected", other))]

    def follow(self) -> list[Effect]:
        """Look whether the peer has changed since the last time."""
        if self._info.peer_call_id == self.peer:
            return []
        self.peer = self._info.peer_call_id
        effects = self.silence() if self._music is not None else []
        if self._transferring:
            effects += self._transfer_over(487, "Request Terminated")
        if self.peer is None:
            effects += self._left()
        elif self._leaving:
            effects += self.ask_to_leave()
        return (
            [*effects, *self._tell(PeerHeld(call_id=self._info.call_id, held=True))]
            if self._held
            else effects
        )

    def handle_timeout(self, now: float) -> list[Effect]:
        """Give the transfer up."""
        if self.deadline is None or now < self.deadline:
            return []
        return self._transfer_over(408, "Request Timeout")

    # -------------------------------------------------- keys and hold

    def digit_received(self, fact: DigitReceived) -> list[Effect]:
        """Our far end pressed a key."""
        return self._tell(
            PeerPressed(
                call_id=self._info.call_id,
                digit=fact.digit,
                duration_ms=fact.duration_ms,
                by_info=fact.by_info,
            )
        )

    def peer_pressed(self, fact: PeerPressed) -> list[Effect]:
        """The peer's far end pressed a key."""
        if fact.call_id != self._info.peer_call_id or not self._is_up:
            return []
        return [PassDigit(digit=fact.digit, duration_ms=fact.duration_ms, by_info=fact.by_info)]

    def hold_changed(self, *, held: bool) -> list[Effect]:
        """Our far end holds, or listens again."""
        if held == self._held:
            return []
        self._held = held
        return self._tell(PeerHeld(call_id=self._info.call_id, held=held))

    def peer_held(self, fact: PeerHeld) -> list[Effect]:
        """The peer's far end holds, or listens again."""
        if fact.call_id != self._info.peer_call_id or not self._is_up:
            return []
        if not fact.held or self._music is not None:
            return [] if fact.held else self.silence()
        self._music = self._new_id()
        return [PlayTo(control_id=self._music, items=MUSIC, loop=0)]

    def play_finished(self, fact: PlayFinished) -> list[Effect]:
        """There is no music, or it has broken off."""
        if fact.control_id == self._music:
            self._music = None
        return []

    def silence(self) -> list[Effect]:
        """Stop the music, if there is any."""
        stopped, self._music = self._music, None
        return [] if stopped is None else [StopPlay(control_id=stopped)]

    # -------------------------------------------------- transfers

    def transfer_requested(self, fact: TransferRequested, now: float) -> list[Effect]:
        """Our far end wants its other side to talk to somebody else."""
        own, peer = self._info.call_id, self._info.peer_call_id
        if not self._is_up:
            return []
        if self._transferring:
            return [ReportTransfer(status=491, reason="Request Pending")]
        if peer is None:
            return [ReportTransfer(status=481, reason="Call/Transaction Does Not Exist")]
        if fact.replaces in (own, peer):
            return [ReportTransfer(status=482, reason="Loop Detected")]
        self._transferring = True
        if fact.replaces is None:
            return self._tell(TransferTo(transferor=own, destination=fact.destination))
        self.deadline = now + REPLACE_LIMIT
        return [TellCall(call_id=fact.replaces, fact=ReplaceRequested(transferor=own, to=peer))]

    def replace_requested(self, fact: ReplaceRequested) -> list[Effect]:
        """Another call of our far end's wants our peer."""
        if self._info.peer_call_id in (None, fact.to, fact.transferor):
            return _refuse(fact.transferor)
        return self._tell(JoinRequested(transferor=fact.transferor, to=fact.to, leaving=self._info.call_id))

    def join_requested(self, fact: JoinRequested, *, busy: bool) -> list[Effect]:
        """Our peer makes room for `to`.  `busy`: a transfer of our own goes on."""
        if fact.leaving != self._info.peer_call_id or busy or self._transferring:
            return _refuse(fact.transferor)
        offer = TransferTo(transferor=fact.transferor, join=peer_of(self._info))
        return [TellCall(call_id=fact.to, fact=offer)]

    def transfer_progress(self, fact: TransferProgress) -> list[Effect]:
        """How the transfer that our far end asked for goes on."""
        if not self._transferring:
            return []
        if fact.status < 200:
            return [ReportTransfer(status=fact.status, reason=fact.reason)]
        return self._transfer_over(fact.status, fact.reason)

    # -------------------------------------------------- inside

    def _transfer_over(self, status: int, reason: str) -> list[Effect]:
        was, self._transferring = self._transferring, False
        self.deadline = None
        if not was or self._info.call_state != "answered":
            return []
        return [ReportTransfer(status=status, reason=reason)]

    @property
    def _is_up(self) -> bool:
        return self._info.call_state not in ("ending", "ended")

    def _tell(
        self, fact: PeerPressed | PeerHeld | TransferTo | JoinRequested | DisconnectRequested
    ) -> list[Effect]:
        peer = self._info.peer_call_id
        return [] if peer is None else [TellCall(call_id=peer, fact=fact)]


def _refuse(transferor: str) -> list[Effect]:
    fact = TransferProgress(status=481, reason="Call/Transaction Does Not Exist")
    return [TellCall(call_id=transferor, fact=fact)]
