"""All taps of a worker: begun and finished by command, and by the end of their leg."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cordboard.media.protocol import BeginTap, Event, FinishTap, TapBegun, TapClosed
from cordboard.media.recordings import Recorded
from cordboard.media.tap import TapSound

MOST_OF_ONE_LEG = 8


class Carrier(Protocol):
    """Takes payloads to the one who taps.  With a `problem` it is over, and nothing more is sent."""

    problem: str
    address: str
    port: int
    """Where RTP comes from."""

    @property
    def is_open(self) -> bool:
        """It sends."""
        ...

    def send(self, payload: bytes) -> None:
        """One packet or message."""
        ...

    def tick(self, now: float) -> None:
        """20 ms have passed."""
        ...

    def close(self) -> None:
        """The end."""
        ...


class _Tap:
    __slots__ = ("begun", "carrier", "command", "leg", "sound")

    def __init__(self, command: BeginTap, leg: Recorded, carrier: Carrier) -> None:
        self.command = command
        self.leg = leg
        self.carrier = carrier
        self.sound = TapSound(direction=command.direction, codec=command.codec, ptime_ms=command.ptime_ms)
        self.begun = False


class Taps:
    """`carry` makes the way out of a tap; `shown`: our address as far ends see it, where it differs."""

    def __init__(
        self, report: Callable[[Event], None], carry: Callable[[BeginTap], Carrier], *, shown: str = ""
    ) -> None:
        self._report = report
        self._carry = carry
        self._shown = shown
        self._all: dict[tuple[str, str], _Tap] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, command: BeginTap, leg: Recorded | None) -> None:
        """`TapBegun` and `TapClosed` follow, or the latter alone."""
        problem = self._problem(command, leg)
        if leg is None or problem:
            self._closed(command, problem)
            return
        tap = _Tap(command, leg, self._carry(command))
        self._all[command.endpoint_id, command.tap_id] = tap
        leg.incoming.attach(tap.sound.said)
        leg.outgoing.attach(tap.sound.told)

    def _problem(self, command: BeginTap, leg: Recorded | None) -> str:
        if leg is None:
            return "The call has no media that could be tapped."
        if (command.endpoint_id, command.tap_id) in self._all:
            return "The tap has begun already."
        if sum(key[0] == command.endpoint_id for key in self._all) >= MOST_OF_ONE_LEG:
            return f"The call has {MOST_OF_ONE_LEG} taps already."
        return ""

    def finish(self, command: FinishTap) -> None:
        """As asked for."""
        self._end((command.endpoint_id, command.tap_id))

    def leave(self, endpoint_id: str) -> None:
        """The leg is closed."""
        for key in [key for key in self._all if key[0] == endpoint_id]:
            self._end(key)

    def tick(self, now: float) -> None:
        """20 ms have passed, and everybody who listens has heard them."""
        for key, tap in list(self._all.items()):
            tap.carrier.tick(now)
            self._advance(tap)
            if tap.carrier.problem:
                self._end(key)

    def _advance(self, tap: _Tap) -> None:
        payloads = tap.sound.tick()
        if not tap.carrier.is_open or tap.carrier.problem:
            return
        if not tap.begun:
            tap.begun = True
            self._begun(tap)
        for payload in payloads:
            tap.carrier.send(payload)

    def _end(self, key: tuple[str, str]) -> None:
        tap = self._all.pop(key, None)
        if tap is None:
            return
        tap.leg.incoming.detach(tap.sound.said)
        tap.leg.outgoing.detach(tap.sound.told)
        tap.carrier.close()
        self._closed(tap.command, tap.carrier.problem)

    def _begun(self, tap: _Tap) -> None:
        address = tap.carrier.address and (self._shown or tap.carrier.address)
        ids = {"endpoint_id": tap.command.endpoint_id, "tap_id": tap.command.tap_id}
        self._report(TapBegun(**ids, address=address, port=tap.carrier.port))

    def _closed(self, command: BeginTap, sentence: str) -> None:
        self._report(TapClosed(endpoint_id=command.endpoint_id, tap_id=command.tap_id, sentence=sentence))
