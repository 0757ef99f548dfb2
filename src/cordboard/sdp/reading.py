"""Reading the answer to an offer of ours (RFC 3264 section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cordboard.sdp import security, video_section
from cordboard.sdp.agreement import agree, events_of, nothing_in_common, placed, refusal, standing
from cordboard.sdp.codec import TELEPHONE_EVENT, Codec
from cordboard.sdp.crypto import CryptoPair
from cordboard.sdp.media import MediaParameters, NoCommonCodec, VideoOffer, VideoParameters
from cordboard.sdp.session import MediaDescription, SdpError, SessionDescription, Traits, parse
from cordboard.sdp.stream import DEFAULT_PTIME_MS, is_reachable, packet_time, settle, transport_problem

Line = tuple[MediaDescription, MediaDescription]
"""A section of the offer and the one at its place in the answer."""


def read_answer(
    offer_sent: bytes | SessionDescription,
    answer: SessionDescription,
    *,
    encryption: str = security.FORBIDDEN,
) -> MediaParameters:
    """What an answer to our offer settles.  Raises `SdpError`, or `NoCommonCodec` when it rejects the stream.

    A peer that answers with other payload types than ours gets its own, and may send under either.  Keys are
    looked for in both descriptions.
    """
    offer = parse(offer_sent) if isinstance(offer_sent, bytes) else offer_sent
    lines = list(zip(offer.media, answer.media, strict=False))
    offered = [line for line in lines if line[0].kind == "audio" and line[0].port]
    if not offered:
        raise SdpError("the answer has no section for the stream that was offered")
    chosen, media = _first(offer, answer, offered, encryption)
    seen = _see(offer, answer, lines, encryption)
    used = [chosen, seen[0]] if seen is not None else [chosen]
    active = (
        [any(section is one for one in used) for section in offer.media] if len(offer.media) > 1 else [True]
    )
    return standing(media, seen[1] if seen is not None else None, offer.media, active)


def _first(
    offer: SessionDescription, answer: SessionDescription, lines: Sequence[Line], encryption: str
) -> tuple[MediaDescription, MediaParameters]:
    problems: list[NoCommonCodec] = []
    for ours, theirs in lines:
        try:
            return ours, _audio(offer, answer, ours, theirs, encryption)
        except NoCommonCodec as problem:
            problems.append(problem)
    raise refusal(problems)


def _audio(
    offer: SessionDescription,
    answer: SessionDescription,
    ours: MediaDescription,
    theirs: MediaDescription,
    encryption: str,
) -> MediaParameters:
    _check(answer, theirs, offer.address_of(ours) or "")
    crypto = security.agreed(ours, theirs, encryption)
    is_shared = ours.traits.is_shared and theirs.traits.is_shared
    spoken = (_remembered_talk if is_shared else _spoken)(
        ours.traits,
        theirs.traits,
        settle(
            offer.direction_of(ours),
            answer.direction_of(theirs),
            is_reachable(answer.address_of(theirs) or ""),
        ),
    )
    if spoken is None:
        raise nothing_in_common(theirs)
    return placed(spoken, answer, theirs, crypto)


def _spoken(ours: Traits, theirs: Traits, direction: str) -> MediaParameters | None:
    """What both can speak; None: nothing."""
    speech = [codec for codec in ours.codecs if codec.name != TELEPHONE_EVENT]
    # The far end's order decides here: its first format is what it likes best.
    formats = {codec.format for codec in speech}
    common = [codec for codec in theirs.codecs if codec.format in formats]
    if not common:
        return None
    events = events_of(ours.codecs)
    their_events = [event for event in events_of(theirs.codecs) if _has(events, event)]
    return agree(
        theirs,
        common,
        ours=speech,
        accepted=_either(speech, common, {event.payload_type for event in events}),
        their_events=their_events,
        our_events=[event for event in events if _has(their_events, event)],
        direction=direction,
        ptime_ms=packet_time(ours, DEFAULT_PTIME_MS, DEFAULT_PTIME_MS * 3),
    )


_remembered_talk = lru_cache(maxsize=256)(_spoken)


def _check(answer: SessionDescription, section: MediaDescription, our_address: str) -> None:
    """Raises `NoCommonCodec` where nothing can be sent to."""
    if section.kind != "audio":
        raise NoCommonCodec(f"{section.kind} is not supported")
    if section.port and section.protocol not in (*security.PLAIN_PROTOCOLS, *security.SECURE_PROTOCOLS):
        raise NoCommonCodec(f"the audio is answered over {section.protocol}")
    problem = transport_problem(answer, section, our_address)
    if problem is not None:
        raise NoCommonCodec(problem)


def _has(codecs: Sequence[Codec], one: Codec) -> bool:
    return any(one.same_format(other) for other in codecs)


def _either(ours: Sequence[Codec], theirs: Sequence[Codec], taken: set[int]) -> list[Codec]:
    """What may arrive: all that we offered, and the peer's own numbers where ours leave them free."""
    types = {codec.payload_type: codec for codec in ours}
    for codec in theirs:
        if codec.payload_type not in taken:
            types.setdefault(codec.payload_type, codec)
    return list(types.values())


def _see(
    offer: SessionDescription, answer: SessionDescription, lines: Sequence[Line], encryption: str
) -> tuple[MediaDescription, VideoParameters] | None:
    """The video, if both sides have it; what is wrong with it does not spoil the audio."""
    for ours, theirs in lines:
        if ours.kind != "video" or theirs.kind != "video" or not ours.port:
            continue
        if transport_problem(answer, theirs, offer.address_of(ours) or "") is not None:
            return None
        try:
            crypto = security.agreed(ours, theirs, encryption)
        except NoCommonCodec:
            return None
        return _seen(offer, answer, ours, theirs, crypto)
    return None


def _seen(
    offer: SessionDescription,
    answer: SessionDescription,
    ours: MediaDescription,
    theirs: MediaDescription,
    crypto: CryptoPair | None,
) -> tuple[MediaDescription, VideoParameters] | None:
    offered = video_section.codecs_of(ours)
    common = video_section.common(theirs, offered) if offered else []
    if not common:
        return None
    wanted = VideoOffer(
        port=ours.port, feedback=video_section.feedback_of(ours), direction=offer.direction_of(ours)
    )
    return ours, video_section.parameters(answer, theirs, common, offered, wanted, crypto)
