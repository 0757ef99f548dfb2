"""A script of what a far end sends and of what is ordered meanwhile, played in Python or by the compiled way.

Whichever way packets go, the same leaves and the same is counted.  What a script may hold is `STEPS`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import NamedTuple

from cordboard.media.protocol import Format

from .endpoint_bench import ByHand, Leg
from .test_endpoint_srtp import Phone, srtp

_MOST_PACKETS = 1500
_COUNTS = (1, 2, 5, 8, 9, 17, 40, 5, 8, 300)
"""Packets that follow each other: around the eighth that is noted, and longer than a run."""
_SIZES = (160, 80, 160, 240, 20, 1, 1500)
_LARGE = (1988, 2024, 2025, 2036, 2037, 3000)
"""Payloads around the longest datagram that is read whole."""
_GAPS = (1, 3, 500, 4000)
_TYPES = (0, 8, 0, 77, 101, 13)
_TICKS = (0, 160, 800)
_ENDPOINT = ((0, "PCMU"), (8, "PCMA"), (101, "telephone-event"))
_PEER = ((8, "PCMA"), (101, "telephone-event"))
_FAREWELL = struct.pack("!BBHI", 0x80, 201, 1, 7) + struct.pack("!BBHI", 0x81, 203, 1, 7)
_MOST_UNHEARD = 32
"""Packets that the memory of the peer's phone surely takes."""
_JITTER = (0.014, 0.021, 0.02, 0.026, 0.019)
"""Seconds from packet to packet."""


class Setting(NamedTuple):
    """Who speaks what, and where the numbers of the stream begin."""

    is_protected: bool = False
    """The far end that speaks."""
    is_peer_protected: bool = False
    has_other_law: bool = False
    """The peer wants A-law."""
    sequence: int = 0
    timestamp: int = 0


class Step(NamedTuple):
    """`number`, 0 to 255, chooses within the step; `data` is what some send."""

    what: str
    number: int = 0
    data: bytes = b""


class Outcome(NamedTuple):
    """What can be seen of a script."""

    heard: list[bytes]
    """By the peer's phone."""
    noted: list[str]


def play(way: str, setting: Setting, script: list[Step]) -> Outcome:
    """`way`: one of `endpoint_bench.WAYS`.  All sockets are closed in the end."""
    with ExitStack() as closing:
        stage = _Stage(way, setting, closing)
        for step in script:
            if len(stage.said) > _MOST_PACKETS:
                break
            STEPS[step.what](stage, step)
        return stage.outcome()


class _Stage:
    """A far end that speaks, and one that hears it."""

    def __init__(self, way: str, setting: Setting, closing: ExitStack) -> None:
        self.loop = ByHand(way)
        closing.callback(self.loop.close)
        self.leg, self.peer = Leg(loop=self.loop, ssrc=1), Leg(loop=self.loop, ssrc=2)
        closing.callback(self.peer.close)
        closing.callback(self.leg.close)
        self.keys = srtp() if setting.is_protected else None
        self.peer_keys = srtp(send=3, receive=4) if setting.is_peer_protected else None
        self.has_other_law = setting.has_other_law
        self.phone = Phone(self.leg, self.keys) if self.keys is not None else None
        self.sequence, self.timestamp = setting.sequence, setting.timestamp
        self.ssrc, self.type, self.size = 7, 0, 160
        self.unserved = 0
        """Packets that the loop leaves in their socket for now."""
        self.is_deaf = False
        """The peer's phone is gone: when the system tells of that is not for us to say."""
        self.said: list[bytes] = []
        self._heard: list[bytes] = []
        self._noted: list[str] = []
        self.describe()
        self.describe_peer()
        self.leg.endpoint.incoming.feed(self.peer.endpoint.outgoing)

    # ------------------------------------------------------------ what is ordered

    def describe(self) -> None:
        self.leg.set_remote(srtp=self.keys, accepted=_ENDPOINT)

    def describe_peer(self, *, latch: bool = False) -> None:
        speaks: dict[str, object] = {}
        if self.has_other_law:
            speaks = {"send": Format(name="PCMA", payload_type=8), "accepted": _PEER}
        self.peer.set_remote(srtp=self.peer_keys, latch=latch, **speaks)

    # ------------------------------------------------------------ what is sent

    def packet(
        self, payload: bytes = b"", *, marker: bool = False, first: int = 0x80, back: int = 0
    ) -> bytes:
        """The newest packet of the stream, or one with the number of one `back` from it."""
        number, type_ = (self.sequence - back) & 0xFFFF, self.type | marker << 7
        header = struct.pack("!BBHII", first, type_, number, self.timestamp & 0xFFFFFFFF, self.ssrc)
        audio = (bytes((number * 31 + n) & 0xFF for n in range(8)) * 188)[: self.size]
        return header + payload + audio

    def next(self) -> None:
        self.sequence += 1
        self.timestamp += self.size

    def say(self, packet: bytes) -> None:
        """Under the keys of now; what no phone could seal stays away."""
        if self.phone is None:
            self.send(packet)
            return
        with suppress(OSError):
            self.send(self.phone.seal(packet))

    def send(self, datagram: bytes) -> None:
        self.said.append(datagram)
        self.leg.phone.sendto(datagram, self.leg.server)
        if self.unserved:
            self.unserved -= 1
        else:
            self.loop.serve()
        if len(self.said) % _MOST_UNHEARD == 0:
            self.listen()
        self.loop.clock.now += _JITTER[len(self.said) % len(_JITTER)]

    # ------------------------------------------------------------ what is seen

    def listen(self) -> None:
        if not self.is_deaf:
            self._heard += self.peer.heard()

    def note(self) -> None:
        """Where the far end's port is no fixed number, it is left out."""
        incoming, outgoing = self.leg.endpoint.incoming, self.peer.endpoint.outgoing
        statistics = (self.leg.endpoint.statistics(), self.peer.endpoint.statistics())
        sender = outgoing.sender
        counted = (incoming.malformed, incoming.unexpected, incoming.heard_at, incoming.statistics.highest)
        left = (sender.sequence, sender.timestamp, sender.octets, outgoing.sent_at)
        unsent = outgoing.unsent if not self.is_deaf else None
        noted = repr((statistics, counted, left, unsent, self.leg.events, self.peer.events))
        self._noted.append(re.sub(r"latched_to='[^']*'", "", noted))

    def outcome(self) -> Outcome:
        self.loop.serve()
        self.listen()
        self.note()
        return Outcome(self._heard, self._noted)


# ---------------------------------------------------------------- steps: what comes


def _run(stage: _Stage, step: Step) -> None:
    """Packets without a surprise."""
    for _ in range(_COUNTS[step.number % len(_COUNTS)]):
        stage.next()
        stage.say(stage.packet())


def _gap(stage: _Stage, step: Step) -> None:
    stage.sequence += _GAPS[step.number % len(_GAPS)]
    stage.timestamp += _TICKS[step.number // 4 % len(_TICKS)]


def _again(stage: _Stage, step: Step) -> None:
    """A packet of a number that was there already, made anew."""
    stage.say(stage.packet(back=step.number % 4))


def _source(stage: _Stage, step: Step) -> None:
    stage.ssrc = 7 + step.number % 12


def _type(stage: _Stage, step: Step) -> None:
    stage.type = _TYPES[step.number % len(_TYPES)]


def _size(stage: _Stage, step: Step) -> None:
    stage.size = _SIZES[step.number % len(_SIZES)]


def _marker(stage: _Stage, _: Step) -> None:
    stage.next()
    stage.say(stage.packet(marker=True))


def _extension(stage: _Stage, _: Step) -> None:
    stage.next()
    stage.say(stage.packet(b"\xbe\xde\0\1abcd", first=0x90))


def _contributor(stage: _Stage, _: Step) -> None:
    stage.next()
    stage.say(stage.packet(b"abcd", first=0x81))


def _short(stage: _Stage, step: Step) -> None:
    """The beginning of the packet that would be next."""
    stage.next()
    whole = stage.packet()
    stage.sequence -= 1
    stage.timestamp -= stage.size
    stage.send(whole[: step.number % len(whole)])


def _large(stage: _Stage, step: Step) -> None:
    size, stage.size = stage.size, 0
    payload = b"x" * _LARGE[step.number % len(_LARGE)]
    stage.sequence += 1
    whole = stage.packet(payload)
    stage.size = size
    if stage.phone is None or len(whole) > 1400:
        stage.send(whole)
    else:
        stage.say(whole)


def _report(stage: _Stage, _: Step) -> None:
    """RTCP on the port of RTP (RFC 5761)."""
    stage.send(stage.phone.protection.protect_rtcp(_FAREWELL) if stage.phone is not None else _FAREWELL)


def _digit(stage: _Stage, _: Step) -> None:
    """RFC 4733: three packets of one moment."""
    type_, size, stage.type, stage.size = stage.type, stage.size, 101, 0
    for number in range(1, 4):
        stage.sequence += 1
        end = 0x80 if number == 3 else 0
        stage.say(stage.packet(struct.pack("!BBH", 5, 10 | end, 160 * number), marker=number == 1))
    stage.type, stage.size = type_, size
    stage.timestamp += 480


def _replay(stage: _Stage, step: Step) -> None:
    """A datagram that was sent already."""
    if stage.said:
        stage.send(stage.said[-1 - step.number % len(stage.said)])


def _tampered(stage: _Stage, step: Step) -> None:
    """One bit of the next packet was changed on its way."""
    stage.next()
    made = [stage.packet()]
    if stage.phone is not None:
        with suppress(OSError):
            made = [stage.phone.seal(made[0])]
    changed = bytearray(made[0])
    changed[-1 - step.number % len(changed)] ^= 1 << step.number % 8
    stage.send(bytes(changed))


def _unsealed(stage: _Stage, _: Step) -> None:
    """The next packet, plain whatever was agreed."""
    stage.next()
    stage.send(stage.packet())


def _odd(stage: _Stage, step: Step) -> None:
    """Anything."""
    stage.send(step.data)


def _odd_next(stage: _Stage, step: Step) -> None:
    """The next packet with anything in it, of any length."""
    stage.next()
    size, stage.size = stage.size, 0
    stage.say(stage.packet(step.data))
    stage.size = size


def _burst(stage: _Stage, step: Step) -> None:
    """The packets that follow are all there when the loop looks next."""
    stage.unserved = 2 + step.number % 5


# ---------------------------------------------------------------- steps: what is ordered


def _note(stage: _Stage, _: Step) -> None:
    stage.note()


def _rekey(stage: _Stage, step: Step) -> None:
    """New keys for the far end; the old ones hold for a while."""
    if stage.keys is None:
        return
    stage.keys = srtp(send=5 + step.number % 100, receive=105 + step.number % 100)
    stage.describe()
    stage.phone = Phone(stage.leg, stage.keys)
    if step.number % 2:
        stage.loop.clock.now += 6


def _rekey_peer(stage: _Stage, step: Step) -> None:
    if stage.peer_keys is not None:
        stage.peer_keys = srtp(send=5 + step.number % 100, receive=105 + step.number % 100)
        stage.describe_peer()


def _plain(stage: _Stage, _: Step) -> None:
    stage.keys = stage.phone = None
    stage.describe()


def _protect(stage: _Stage, _: Step) -> None:
    if stage.keys is None:
        stage.keys = srtp()
        stage.describe()
        stage.phone = Phone(stage.leg, stage.keys)


def _describe_again(stage: _Stage, step: Step) -> None:
    stage.describe_peer(latch=bool(step.number % 2))


def _part(stage: _Stage, _: Step) -> None:
    stage.leg.endpoint.incoming.feed(None)


def _join(stage: _Stage, _: Step) -> None:
    stage.leg.endpoint.incoming.feed(stage.peer.endpoint.outgoing)


def _time(stage: _Stage, step: Step) -> None:
    stage.loop.clock.now += step.number * 0.012


def _hold(stage: _Stage, _: Step) -> None:
    """Off and on again."""
    stage.leg.set_remote(port=0, srtp=stage.keys, accepted=_ENDPOINT)
    stage.describe()


def _deaf(stage: _Stage, _: Step) -> None:
    """The peer's phone is gone; the system refuses what is sent to it."""
    if not stage.is_deaf:
        stage.listen()
        stage.peer.phone.close()
        stage.is_deaf = True


STEPS: dict[str, Callable[[_Stage, Step], None]] = {
    "run": _run,
    "gap": _gap,
    "again": _again,
    "source": _source,
    "type": _type,
    "size": _size,
    "marker": _marker,
    "extension": _extension,
    "contributor": _contributor,
    "short": _short,
    "large": _large,
    "report": _report,
    "digit": _digit,
    "replay": _replay,
    "tampered": _tampered,
    "unsealed": _unsealed,
    "odd": _odd,
    "odd next": _odd_next,
    "burst": _burst,
    "note": _note,
    "rekey": _rekey,
    "rekey peer": _rekey_peer,
    "plain": _plain,
    "protect": _protect,
    "describe again": _describe_again,
    "part": _part,
    "join": _join,
    "time": _time,
    "hold": _hold,
    "deaf": _deaf,
}
