"""From two sections, theirs and ours, to what both sides can do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from cordboard.sdp import codecs as known
from cordboard.sdp import security
from cordboard.sdp.codec import OPUS, TELEPHONE_EVENT, Codec
from cordboard.sdp.crypto import CryptoPair
from cordboard.sdp.media import (
    MediaParameters,
    NoCommonCodec,
    NoCommonSecurity,
    Section,
    VideoParameters,
)
from cordboard.sdp.session import MediaDescription, SessionDescription, Traits
from cordboard.sdp.stream import is_reachable, packet_time, rtcp_port, transport_problem

_MOST_PROBLEMS = 4
_EVENT_RATE = 8000
"""Of telephone-event where a far end does not have it at the rate of its codec."""


def section_problem(
    session: SessionDescription, section: MediaDescription, our_address: str, encryption: str
) -> NoCommonCodec | None:
    """Why an offered section cannot be used, or None."""
    if section.kind != "audio":
        return NoCommonCodec(f"{section.kind} is not supported")
    if section.port:
        problem = security.problem(section, encryption)
        if problem is not None:
            return NoCommonSecurity(problem)
    unreachable = transport_problem(session, section, our_address)
    return NoCommonCodec(unreachable) if unreachable else None


def nothing_in_common(section: MediaDescription) -> NoCommonCodec:
    """The outcome for a section of which no codec is ours."""
    names = ", ".join(codec.name[:32] for codec in section.codecs()[:8])
    return NoCommonCodec(f"no common codec (they have: {names or 'none that is named'})")


def refusal(problems: Sequence[NoCommonCodec]) -> NoCommonCodec:
    """One outcome out of those of all sections."""
    sentence = "; ".join(str(problem) for problem in problems[:_MOST_PROBLEMS])
    security_alone = any(isinstance(problem, NoCommonSecurity) for problem in problems)
    kind = NoCommonSecurity if security_alone else NoCommonCodec
    return kind(sentence or "the description has no media")


def in_common(theirs: Sequence[Codec], ours: Sequence[Codec]) -> list[Codec]:
    """Theirs, in our order."""
    return [*_in_common(tuple(theirs), tuple(ours))]


@lru_cache(maxsize=256)
def _in_common(theirs: tuple[Codec, ...], ours: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Phones of a kind have the same codecs in every call."""
    first = {codec.format: codec for codec in reversed(theirs)}
    found = [first.get(mine.format) for mine in ours]
    return tuple([codec for codec in found if codec is not None])


def with_our_parameters(theirs: Sequence[Codec], ours: Sequence[Codec]) -> list[Codec]:
    """For an answer: their payload types; of OPUS our wishes, for it says what we want to receive."""
    return [_with_our_fmtp(codec, ours) if codec.name == OPUS else codec for codec in theirs]


def _with_our_fmtp(theirs: Codec, ours: Sequence[Codec]) -> Codec:
    mine = {codec.format: codec.fmtp for codec in ours}
    return msgspec.structs.replace(theirs, fmtp=mine[theirs.format])


def events_of(codecs: Sequence[Codec]) -> list[Codec]:
    """The telephone events among them, the first of each clock rate."""
    found: dict[int, Codec] = {}
    for codec in codecs:
        if codec.name == TELEPHONE_EVENT:
            found.setdefault(codec.clock_rate, codec)
    return list(found.values())


def answered_events(theirs: Sequence[Codec], common: Sequence[Codec]) -> list[Codec]:
    """Those of an offer that go with the codecs in common."""
    rates = {_EVENT_RATE, *(codec.clock_rate for codec in common)}
    return [event for event in events_of(theirs) if event.clock_rate in rates]


def agree(
    theirs: Traits,
    common: Sequence[Codec],
    *,
    ours: Sequence[Codec],
    accepted: Sequence[Codec],
    their_events: Sequence[Codec],
    our_events: Sequence[Codec],
    direction: str,
    ptime_ms: int,
) -> MediaParameters:
    """The first of `common` is what we send, `accepted` what may arrive.  Not placed yet (`placed`)."""
    codec = common[0]
    fmtps = [mine.fmtp for mine in ours if mine.same_format(codec)] if codec.name == OPUS else []
    event, heard = _event(codec, their_events, our_events)
    return MediaParameters(
        address="",
        port=0,
        rtcp_port=0,
        codec=codec,
        accepted=tuple([(one.payload_type, one.name) for one in accepted]),
        formats=tuple(accepted),
        events=tuple(our_events),
        ptime_ms=packet_time(theirs, ptime_ms, known.longest_ptime(codec)),
        audio_rate=known.audio_rate(codec.fmtp, *fmtps) if codec.name == OPUS else 0,
        bit_rate=known.bit_rate(codec.fmtp, *fmtps) if codec.name == OPUS else 0,
        dtmf_send_type=event.payload_type if event is not None else None,
        dtmf_receive_type=heard.payload_type if event is not None and heard is not None else None,
        dtmf_clock_rate=event.clock_rate if event is not None else _EVENT_RATE,
        direction=direction,
    )


def placed(
    media: MediaParameters, session: SessionDescription, section: MediaDescription, crypto: CryptoPair | None
) -> MediaParameters:
    """What was agreed with a section of theirs, with its address, port and keys."""
    address = (session.address if section.address is None else section.address) or ""
    return msgspec.structs.replace(
        media,
        address=address,
        port=section.port,
        rtcp_port=rtcp_port(section) if is_reachable(address) else 0,
        crypto=crypto,
    )


def _event(codec: Codec, theirs: Sequence[Codec], ours: Sequence[Codec]) -> tuple[Codec | None, Codec | None]:
    """The pair that goes with a codec (RFC 4733 section 2.1), or failing that the one at 8000 Hz."""
    heard = {event.clock_rate: event for event in ours}
    told = {event.clock_rate: event for event in theirs}
    for rate in (codec.clock_rate, _EVENT_RATE):
        if rate in told:
            return told[rate], heard.get(rate)
    return None, None


def standing(
    media: MediaParameters,
    picture: VideoParameters | None,
    lines: Sequence[MediaDescription],
    active: Sequence[bool],
) -> MediaParameters:
    """The audio with its video and the m-lines as they stand now."""
    sections = tuple(
        [
            Section(line.kind, line.protocol, tuple(line.formats), alive)
            for line, alive in zip(lines, active, strict=True)
        ]
    )
    return msgspec.structs.replace(media, video=picture, sections=sections)
