"""A codec as scripts, programs and trunks ask for it: `NAME[@rate][@ptime]` (swml.md 7.8).

Modifiers come in any order and either case: `16000h` or `16k` a sampling rate, `20i` a packet length in
milliseconds, `32000b` a bit rate, `2c` channels.
"""

from __future__ import annotations

import re

import msgspec

KNOWN = frozenset({"PCMU", "PCMA", "G722", "G729", "OPUS", "L16", "AMR-WB", "VP8", "H264"})
"""Names that SWML knows; whether this server can speak one is decided where it is offered."""

_MODIFIER = re.compile(r"([0-9]{1,7})([hkibc])", re.IGNORECASE)


class CodecWish(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a `codecs` list."""

    name: str
    """Upper case, one of `KNOWN`."""
    rate: int | None = None
    """Sampling rate in Hz."""
    ptime_ms: int | None = None
    bit_rate: int | None = None
    channels: int | None = None


class UnknownCodecs(msgspec.Struct, frozen=True):
    """What a list of codecs gave: those understood, in order, and the entries that were not."""

    wishes: tuple[CodecWish, ...]
    unknown: tuple[str, ...]


def read_codecs(text: str) -> UnknownCodecs:
    """Read a comma list.  Empty entries and repetitions are left out."""
    wishes: dict[CodecWish, None] = {}
    unknown: list[str] = []
    for entry in text.split(","):
        if not entry.strip():
            continue
        wish = _read(entry.strip())
        if wish is None:
            unknown.append(entry.strip())
        else:
            wishes[wish] = None
    return UnknownCodecs(tuple(wishes), tuple(unknown))


def _read(entry: str) -> CodecWish | None:
    name, *modifiers = (part.strip() for part in entry.split("@"))
    figures: dict[str, int] = {}
    for modifier in modifiers:
        match = _MODIFIER.fullmatch(modifier)
        if match is None:
            return None
        figures[match[2].lower()] = int(match[1])
    if name.upper() not in KNOWN:
        return None
    rate = figures.get("h", figures["k"] * 1000 if "k" in figures else None)
    return CodecWish(
        name=name.upper(),
        rate=rate,
        ptime_ms=figures.get("i"),
        bit_rate=figures.get("b"),
        channels=figures.get("c"),
    )
