"""Who is being spoken to by the server itself: plays, digits, and keys told in another way than they came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from cordboard.media.dtmf import Digit
from cordboard.media.endpoint import Endpoint
from cordboard.media.graph import Graph, Party
from cordboard.media.link import LinkEnd
from cordboard.media.player import Player, make_player
from cordboard.media.protocol import (
    Command,
    PausePlaying,
    ResumePlaying,
    SendDigits,
    SetGain,
    StartPlay,
    StopPlaying,
)
from cordboard.media.speaker import Speaker

Listening = Endpoint | LinkEnd


class Speaking:
    """All of a worker to whom something is said now.  Plays are laid over what is joined, or silence it."""

    __slots__ = ("_endpoints", "_graph", "_guard", "_parties", "actions")

    def __init__(
        self,
        graph: Graph,
        guard: Callable[[Callable[[], None]], bool],
        endpoints: Mapping[str, Endpoint],
    ) -> None:
        self._graph = graph
        self._guard = guard
        self._endpoints = endpoints
        self._parties: dict[Listening, bool] = {}
        """With whether it stood alone when what is joined was last told."""
        self.actions: dict[type[Command], Callable[[Any], None]] = {
            StartPlay: self._play,
            StopPlaying: self._told(lambda speaker, command: speaker.stop(command.play_id)),
            PausePlaying: self._told(lambda speaker, command: speaker.pause(command.play_id, True)),
            ResumePlaying: self._told(lambda speaker, command: speaker.pause(command.play_id, False)),
            SetGain: self._told(
                lambda speaker, command: speaker.set_volume(command.play_id, command.volume_db)
            ),
            SendDigits: self._told(lambda speaker, command: speaker.send_digits(command)),
        }

    def _told(self, work: Callable[[Speaker, Any], None]) -> Callable[[Any], None]:
        """Work on the speaker of the endpoint that a command names."""

        def tell(command: Any) -> None:
            endpoint = self._endpoints.get(command.endpoint_id)
            if endpoint is not None:
                work(endpoint.speaker, command)
                self.review(endpoint)

        return tell

    def _play(self, command: StartPlay) -> None:
        endpoint = self._endpoints.get(command.endpoint_id)
        if endpoint is not None:
            player = make_player(command.sources, _open_file, volume_db=command.volume_db, loop=command.loop)
            self.say(endpoint, command, player)

    def say(self, endpoint: Endpoint, command: StartPlay, player: Player) -> None:
        """Play what is not in the command."""
        endpoint.speaker.play(command, player)
        self.review(endpoint)

    def review(self, party: Listening) -> None:
        """Its speaker may have begun or ended something."""
        alone = party.speaker.stands_alone
        if self._parties.get(party, False) != alone:
            self._graph.review(party)
        if party.speaker.is_busy:
            self._parties[party] = alone
        else:
            self._parties.pop(party, None)

    def forget(self, party: Listening) -> None:
        """It is no more."""
        self._parties.pop(party, None)

    def tick(self) -> None:
        """20 ms have passed."""
        for party, alone in list(self._parties.items()):
            speaker = party.speaker
            if not self._guard(speaker.tick):
                speaker.end()
            if speaker.stands_alone != alone or not speaker.is_busy:
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
                self.review(party)


def _open_file(path: str) -> BinaryIO:
    return open(path, "rb")
