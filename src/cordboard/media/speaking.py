"""Who is being spoken to by the server itself: plays, digits, and keys told in another way than they came."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.media.dtmf import Digit
from cordboard.media.endpoint import Endpoint
from cordboard.media.graph import Graph, Party
from cordboard.media.link import LinkEnd

Listening = Endpoint | LinkEnd


class Speaking:
    """All of a worker to whom something is said now; what is joined with them is silent meanwhile."""

    __slots__ = ("_graph", "_guard", "_parties")

    def __init__(self, graph: Graph, guard: Callable[[Callable[[], None]], bool]) -> None:
        self._graph = graph
        self._guard = guard
        self._parties: set[Listening] = set()

    def begin(self, party: Listening) -> None:
        """Its speaker has something to say."""
        if party not in self._parties:
            party.outgoing.interrupt()
            self._parties.add(party)
            self._graph.review(party)

    def review(self, party: Listening) -> None:
        """Its speaker may have come to an end."""
        if party in self._parties and not party.speaker.is_busy:
            self._parties.discard(party)
            self._graph.review(party)

    def forget(self, party: Listening) -> None:
        """It is no more."""
        self._parties.discard(party)

    def tick(self) -> None:
        """20 ms have passed."""
        for party in list(self._parties):
            if not self._guard(party.speaker.tick):
                party.speaker.end()
            self.review(party)

    def pressed(self, endpoint: Endpoint | None, digit: Digit, by_tone: bool) -> None:
        """A far end pressed a key: whoever it is joined with is told in the way that it understands."""
        peer = self._graph.peer(endpoint) if endpoint is not None and endpoint.may_be_heard else None
        if peer is not None:
            self.press(peer, digit, by_tone)

    def press(self, party: Party | None, digit: Digit, by_tone: bool) -> None:
        """Tones pass as they are to who wants tones, and events to who wants events; the others are told."""
        if isinstance(party, Endpoint | LinkEnd):
            wanted = party.outgoing.speech.digits
            if wanted == ("rfc4733" if by_tone else "inband"):
                party.speaker.press(digit)
                self.begin(party)
