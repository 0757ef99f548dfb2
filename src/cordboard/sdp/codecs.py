"""From the codecs that a call wishes for to those that are offered: payload types, parameters, packet length.

G729 is never spoken here, only passed on: it is offered where the other leg speaks it.  AMR-WB is known by
name and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Protocol

import msgspec

from cordboard.sdp import fmtp
from cordboard.sdp.codec import G722, G729, OPUS, PCMA, PCMU, TELEPHONE_EVENT, Codec

L16 = "L16"
VIDEO = ("VP8", "H264")
DTMF_PAYLOAD_TYPE = 101

L16_RATES = (8000, 16000, 24000, 48000)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_L16_RATE = 16000
_FEC = "useinbandfec=1"

_FIXED = {"PCMU": (PCMU, (8000,)), "PCMA": (PCMA, (8000,)), "G722": (G722, (8000, 16000))}
"""Codecs with static payload types, and the rates that may be asked of them."""
_FIRST_DYNAMIC, _LAST_TYPE = 96, 127

LONGEST_PACKET = 1_300
"""Bytes of audio in a packet that is not cut into pieces on its way."""


class Wish(Protocol):
    """One entry of a `codecs` list (`cordboard.call.codec_wish`)."""

    @property
    def name(self) -> str: ...
    @property
    def rate(self) -> int | None: ...
    @property
    def ptime_ms(self) -> int | None: ...
    @property
    def bit_rate(self) -> int | None: ...
    @property
    def channels(self) -> int | None: ...


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a list of wishes."""

    codecs: tuple[Codec, ...]
    """Speech, with payload types, in order."""
    ptime_ms: int | None = None
    """Of the first wish that has one."""
    video: tuple[str, ...] = ()
    """Names that were wished for, of `VIDEO`."""
    unsupported: tuple[str, ...] = ()
    """Wishes that cannot be offered, as `G729` or `PCMU@16000H`."""


def ours(wishes: Iterable[Wish], *, first: Sequence[Codec] = (), other: Sequence[Codec] = ()) -> Ours:
    """What is offered.

    `first`: codecs to put in front, as another leg speaks them; what cannot be offered is left out.  `other`:
    all that the other leg speaks; only with it in there (or in `first`) is G729 possible.
    """
    wishes = tuple(wishes)
    wanted = [codec for codec in first if is_spoken(codec)]
    passed = {codec.name for codec in (*first, *other)}
    unsupported: list[str] = []
    for wish in wishes:
        codec = _codec(wish, passed)
        if codec is not None:
            wanted.append(codec)
        elif wish.name not in VIDEO:
            unsupported.append(_spell(wish))
    return Ours(
        codecs=numbered(wanted),
        ptime_ms=next((wish.ptime_ms for wish in wishes if wish.ptime_ms), None),
        video=tuple(wish.name for wish in wishes if wish.name in VIDEO),
        unsupported=tuple(unsupported),
    )


def is_spoken(codec: Codec) -> bool:
    """The server can encode and decode it, or pass it on."""
    return codec.same_format(G729) or any(codec.same_format(mine) for mine in SPOKEN)


def numbered(codecs: Iterable[Codec]) -> tuple[Codec, ...]:
    """Each format once, static types as they are, dynamic ones from 96 on and never that of the digits."""
    free = iter(n for n in range(_FIRST_DYNAMIC, _LAST_TYPE + 1) if n != DTMF_PAYLOAD_TYPE)
    chosen: dict[tuple[str, int, int], Codec] = {}
    for codec in codecs:
        if codec.format not in chosen:
            fixed = _FIXED.get(codec.name, (G729 if codec.name == G729.name else None,))[0]
            number = fixed.payload_type if fixed is not None else next(free)
            parameters = codec.fmtp or (_FEC if codec.name == OPUS else "")
            chosen[codec.format] = msgspec.structs.replace(codec, payload_type=number, fmtp=parameters)
    return tuple(chosen.values())


def events(codecs: Sequence[Codec]) -> list[Codec]:
    """A telephone-event type for each clock rate of the codecs, and always one at 8000 Hz (RFC 4733)."""
    return [*_events(tuple(codecs))]


@lru_cache(maxsize=256)
def _events(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Our own offers are alike in nearly every call."""
    used = {codec.payload_type for codec in codecs}
    numbers = (DTMF_PAYLOAD_TYPE, *range(_FIRST_DYNAMIC, _LAST_TYPE + 1))
    free = iter(number for number in dict.fromkeys(numbers) if number not in used)
    rates = dict.fromkeys([8000, *sorted({codec.clock_rate for codec in codecs})])
    return tuple([Codec(TELEPHONE_EVENT, next(free), rate) for rate in rates])


def audio_rate(*fmtps: str) -> int:
    """At what rate OPUS shall be encoded: the lowest that either side names, one of `OPUS_RATES`; 0 = any."""
    named = [fmtp.number(text, "maxplaybackrate") for text in fmtps]
    limit = min((rate for rate in named if rate), default=0)
    return max((rate for rate in OPUS_RATES if rate <= limit), default=OPUS_RATES[0]) if limit else 0


def bit_rate(*fmtps: str) -> int:
    """At how many bits a second, 6,000 to 510,000 (RFC 7587); 0 = the encoder's choice."""
    named = [fmtp.number(text, "maxaveragebitrate") for text in fmtps]
    limit = min((rate for rate in named if rate), default=0)
    return min(max(limit, 6_000), 510_000) if limit else 0


def longest_ptime(codec: Codec) -> int:
    """Milliseconds of it that fit into one packet, a multiple of 10."""
    if codec.name != L16:
        return 60
    return max(10, min(60, LONGEST_PACKET * 1000 // (2 * codec.channels * codec.clock_rate) // 10 * 10))


def _codec(wish: Wish, passed: set[str]) -> Codec | None:
    """None = it cannot be offered.  Payload types of what is dynamic follow later."""
    if wish.name in _FIXED and (wish.channels or 1) == 1:
        codec, rates = _FIXED[wish.name]
        return codec if wish.rate is None or wish.rate in rates else None
    if wish.name == OPUS:
        return _opus(wish)
    if wish.name == L16:
        rate = wish.rate or _L16_RATE
        return Codec(L16, 0, rate) if rate in L16_RATES and (wish.channels or 1) == 1 else None
    return G729 if wish.name == G729.name and wish.name in passed and wish.rate in (None, 8000) else None


def _opus(wish: Wish) -> Codec | None:
    if wish.rate is not None and wish.rate not in OPUS_RATES:
        return None
    parts = [_FEC]
    if wish.rate is not None and wish.rate != OPUS_RATES[-1]:
        parts += [f"maxplaybackrate={wish.rate}", f"sprop-maxcapturerate={wish.rate}"]
    if wish.bit_rate:
        parts.append(f"maxaveragebitrate={wish.bit_rate}")
    return Codec(OPUS, 0, 48000, 2, "; ".join(parts))


def _spell(wish: Wish) -> str:
    return wish.name if wish.rate is None else f"{wish.name}@{wish.rate}H"


_L16_AT = (16000, 8000, 24000, 48000)
SPOKEN = numbered([PCMU, PCMA, G722, Codec(OPUS, 0, 48000, 2), *(Codec(L16, 0, rate) for rate in _L16_AT)])
"""All that the server can encode and decode."""
