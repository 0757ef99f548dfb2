"""Who hears whom: two parties joined, and when each of them may be passed on to the other."""

from __future__ import annotations

from typing import Protocol

from cordboard.media.outgoing import Outgoing
from cordboard.media.relay import Incoming
from cordboard.media.video import Video


class Party(Protocol):
    """An endpoint, or the near end of a link to another worker."""

    @property
    def incoming(self) -> Incoming:
        """What it says."""
        ...

    @property
    def outgoing(self) -> Outgoing:
        """What it hears."""
        ...

    @property
    def video(self) -> Video | None:
        """Its video, if it has any."""
        ...

    @property
    def may_be_heard(self) -> bool:
        """What it says goes to its peer (it is not on hold)."""
        ...

    @property
    def may_be_told(self) -> bool:
        """It can be sent something, and hears nothing in place of its peer."""
        ...


class Graph:
    """Pairs.  Nobody is in more than one."""

    __slots__ = ("_peers",)

    def __init__(self) -> None:
        self._peers: dict[Party, Party] = {}

    def peer(self, party: Party) -> Party | None:
        """Whom it is joined with."""
        return self._peers.get(party)

    def join(self, a: Party, b: Party) -> None:
        """Either hears the other, and nobody else any more."""
        if a is b:
            return
        self.part(a)
        self.part(b)
        self._peers[a], self._peers[b] = b, a
        self.review(a)

    def part(self, party: Party) -> Party | None:
        """Take it and its peer apart; the peer it had."""
        peer = self._peers.pop(party, None)
        if peer is not None:
            del self._peers[peer]
            party.incoming.feed(None)
            peer.incoming.feed(None)
            _show(party, None)
            _show(peer, None)
        return peer

    def review(self, party: Party) -> None:
        """Hold, keys, a play or a new remote may have changed what flows between it and its peer."""
        peer = self._peers.get(party)
        if peer is not None:
            _aim(party, peer)
            _aim(peer, party)


def _aim(speaker: Party, listener: Party) -> None:
    open_ = speaker.may_be_heard and listener.may_be_told
    speaker.incoming.feed(listener.outgoing if open_ else None)
    _show(speaker, listener)


def _show(party: Party, viewer: Party | None) -> None:
    if party.video is not None:
        party.video.feed(viewer.video if viewer is not None else None)
