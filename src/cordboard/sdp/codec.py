"""Payload formats as SDP names them: `a=rtpmap` values and the static payload types (RFC 3551 section 6)."""

from __future__ import annotations

from functools import lru_cache

import msgspec

TELEPHONE_EVENT = "telephone-event"


class Codec(msgspec.Struct, frozen=True):
    """A payload format bound to a payload type.  `name` is upper case, save `telephone-event`."""

    name: str
    payload_type: int
    clock_rate: int = 8000
    channels: int = 1
    fmtp: str = ""
    """Format parameters as the `a=fmtp` line has them; always empty for telephone-event."""

    @property
    def format(self) -> tuple[str, int, int]:
        """The encoding, whatever its payload type."""
        return self.name, self.clock_rate, self.channels

    def same_format(self, other: Codec) -> bool:
        """True when both mean the same encoding, whatever the payload types."""
        return self.format == other.format


PCMU = Codec("PCMU", 0)
PCMA = Codec("PCMA", 8)
G722 = Codec("G722", 9)
G729 = Codec("G729", 18)
OPUS = "OPUS"
"""Always `opus/48000/2`, whatever is really sent (RFC 7587); some phones leave the 2 out."""

_SPELLINGS = {OPUS: "opus"}
_SAMPLED_AT = 16_000
"""Of G722, which is 8000 in SDP by an old mistake (RFC 3551 section 4.5.2) that not every phone repeats."""

STATIC = {
    codec.payload_type: codec
    for codec in (
        PCMU,
        Codec("GSM", 3),
        Codec("G723", 4),
        Codec("DVI4", 5),
        Codec("DVI4", 6, 16000),
        Codec("LPC", 7),
        PCMA,
        G722,
        Codec("L16", 10, 44100, 2),
        Codec("L16", 11, 44100),
        Codec("QCELP", 12),
        Codec("CN", 13),
        Codec("MPA", 14, 90000),
        Codec("G728", 15),
        Codec("DVI4", 16, 11025),
        Codec("DVI4", 17, 22050),
        G729,
    )
}
"""The audio formats that need no rtpmap."""

_MAX_RATE = 384_000
_MAX_CHANNELS = 255


_LONGEST_RTPMAP = 128


def parse_rtpmap(value: str) -> Codec | None:
    """`101 telephone-event/8000` → Codec; None when the line is malformed, too long, or its figures are
    absurd."""
    return _remembered_rtpmap(value) if len(value) <= _LONGEST_RTPMAP else None


@lru_cache(maxsize=1024)
def _remembered_rtpmap(value: str) -> Codec | None:
    number, _, encoding = value.strip().partition(" ")
    parts = encoding.strip().split("/")
    if not 2 <= len(parts) <= 3 or not parts[0]:
        return None
    figures = [_number(text) for text in (number, *parts[1:])]
    payload_type, rate, channels = (*figures, 1)[:3]
    if not (0 <= payload_type <= 127 and 0 < rate <= _MAX_RATE and 0 < channels <= _MAX_CHANNELS):
        return None
    name = _canonical(parts[0])
    if name == OPUS:
        channels = 2
    elif name == G722.name and rate == _SAMPLED_AT:
        rate = G722.clock_rate
    return Codec(name, payload_type, rate, channels)


def rtpmap(codec: Codec) -> str:
    """The value of the `a=rtpmap` line of a codec."""
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    return f"{codec.payload_type} {_SPELLINGS.get(codec.name, codec.name)}/{codec.clock_rate}{channels}"


def _canonical(name: str) -> str:
    # Encoding names are case-insensitive (RFC 8866 section 6.6, RFC 4855 section 3).
    return TELEPHONE_EVENT if name.lower() == TELEPHONE_EVENT else name.upper()


def _number(text: str) -> int:
    # isdigit() alone lets in superscripts, which int() refuses.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
