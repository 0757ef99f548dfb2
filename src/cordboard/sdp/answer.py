"""Answering offers (RFC 3264).

Of an offer one audio section is taken, the first secure one where the policy allows that, else the first,
and one of video where it is wanted.  Every other section keeps its place in the answer with port 0.  Payload
types of an offer stay as they are in the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from cordboard.sdp import security, video_section, writing
from cordboard.sdp.agreement import (
    agree,
    answered_events,
    in_common,
    nothing_in_common,
    placed,
    refusal,
    section_problem,
    standing,
    with_our_parameters,
)
from cordboard.sdp.codec import Codec
from cordboard.sdp.crypto import CryptoPair, answer_to
from cordboard.sdp.media import Answer, MediaParameters, NoCommonCodec, VideoOffer, VideoParameters
from cordboard.sdp.session import MediaDescription, SessionDescription, Traits
from cordboard.sdp.stream import DEFAULT_PTIME_MS, is_reachable, settle

NewKey = Callable[[int], bytes]


def check_offer(
    offer: SessionDescription,
    *,
    address: str,
    codecs: Sequence[Codec],
    encryption: str = security.FORBIDDEN,
) -> MediaDescription:
    """The audio section that `answer_offer` would take.  Raises `NoCommonCodec` where there is none."""
    return _choose(offer, codecs, address, encryption)[0]


def offers_video(offer: SessionDescription, *, address: str, encryption: str = security.FORBIDDEN) -> bool:
    """There is a video section that could be answered."""
    return video_section.find(offer, address, encryption) is not None


def answer_offer(
    offer: SessionDescription,
    *,
    address: str,
    port: int,
    codecs: Sequence[Codec],
    session_id: int,
    version: int = 1,
    direction: str = "sendrecv",
    encryption: str = security.FORBIDDEN,
    new_key: NewKey | None = None,
    keep: MediaParameters | None = None,
    video: VideoOffer | None = None,
    ptime_ms: int = DEFAULT_PTIME_MS,
    chosen: MediaDescription | None = None,
) -> Answer:
    """Answer with all codecs in common, in the order of `codecs`; the first is what we send.

    `direction` is what we want; the answer has what the offer leaves of it.  `new_key` makes so many random
    bytes; without it no key can be made, and `encryption` counts as forbidden.  `keep`: what holds in this
    session so far: a far end that keeps its key keeps ours.  `video`: what that we would have.
    `ptime_ms` is for offers that name no packet length.  `chosen`: what `check_offer` has found with the same
    codecs, in whatever order, and the same encryption.  Raises `NoCommonCodec`.
    """
    keys = _Keys(encryption, new_key)
    common = in_common(chosen.traits.codecs, codecs) if chosen is not None else []
    if chosen is None or not common:
        chosen, common = _choose(offer, codecs, address, keys.encryption)
    pair = keys.answer(chosen, keep.crypto if keep else None)
    agreed = _remembered_agreement if chosen.traits.is_shared else _agree
    way = settle(direction, offer.direction_of(chosen), is_reachable(offer.address_of(chosen) or ""))
    media = placed(agreed(chosen.traits, tuple(common), tuple(codecs), way, ptime_ms), offer, chosen, pair)
    written = {id(chosen): _write(port, chosen, media, common, codecs)}
    seen = _see(offer, address, video, keys, keep) if video is not None else None
    if seen is not None and video is not None:
        written[id(seen[0])] = video_section.write(seen[0].protocol, video.port, seen[1])
    parts = [writing.head(address, session_id, version, offer.timing)]
    parts += [written.get(id(section)) or _rejected(section) for section in offer.media]
    active = [id(section) in written for section in offer.media]
    settled = standing(media, seen[1] if seen else None, offer.media, active)
    return Answer("".join(parts).encode("ascii"), settled)


def _agree(
    theirs: Traits, common: tuple[Codec, ...], ours: tuple[Codec, ...], direction: str, ptime_ms: int
) -> MediaParameters:
    """Payload types are the same in both directions: those of the offer."""
    events = answered_events(theirs.codecs, common)
    return agree(
        theirs,
        common,
        ours=ours,
        accepted=common,
        their_events=events,
        our_events=events,
        direction=direction,
        ptime_ms=ptime_ms,
    )


_remembered_agreement = lru_cache(maxsize=256)(_agree)


def _write(
    port: int,
    chosen: MediaDescription,
    media: MediaParameters,
    common: list[Codec],
    ours: Sequence[Codec],
) -> str:
    formats = [*with_our_parameters(common, ours), *media.events]
    lines = (media.crypto.send,) if media.crypto is not None else ()
    return writing.audio(port, chosen.protocol, formats, media.ptime_ms, media.direction, lines)


class _Keys:
    """The policy, and how keys are made."""

    def __init__(self, encryption: str, new_key: NewKey | None) -> None:
        self.encryption = encryption if new_key is not None else security.FORBIDDEN
        self._new_key = new_key

    def answer(self, section: MediaDescription, keep: CryptoPair | None) -> CryptoPair | None:
        """For the strongest suite of the section; None = plain."""
        if self._new_key is None or not security.is_secure(section, self.encryption):
            return None
        return answer_to(security.keys(section)[0], self._new_key, keep)


def _choose(
    offer: SessionDescription, codecs: Sequence[Codec], address: str, encryption: str
) -> tuple[MediaDescription, list[Codec]]:
    problems: list[NoCommonCodec] = []
    usable: list[tuple[MediaDescription, list[Codec]]] = []
    for section in offer.media:
        problem = section_problem(offer, section, address, encryption)
        common = [] if problem else in_common(section.traits.codecs, codecs)
        if common:
            usable.append((section, common))
        else:
            problems.append(problem or nothing_in_common(section))
    if not usable:
        raise refusal(problems)
    if len(usable) == 1:
        return usable[0]
    return min(usable, key=lambda found: not security.is_secure(found[0], encryption))


def _see(
    offer: SessionDescription,
    address: str,
    wanted: VideoOffer,
    keys: _Keys,
    keep: MediaParameters | None,
) -> tuple[MediaDescription, VideoParameters] | None:
    section = video_section.find(offer, address, keys.encryption)
    common = video_section.common(section, wanted.codecs) if section is not None else []
    if section is None or not common:
        return None
    before = keep.video.crypto if keep is not None and keep.video is not None else None
    pair = keys.answer(section, before)
    return section, video_section.parameters(offer, section, common, common, wanted, pair)


def _rejected(section: MediaDescription) -> str:
    return writing.rejected(section.kind, section.protocol, section.formats)
