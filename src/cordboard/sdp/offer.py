"""Making offers (RFC 3264): one audio stream with telephone-event (RFC 4733), and video if it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

from cordboard.sdp import writing
from cordboard.sdp.codec import Codec
from cordboard.sdp.codecs import events, longest_ptime
from cordboard.sdp.crypto import CryptoAttribute
from cordboard.sdp.media import Section, VideoOffer
from cordboard.sdp.security import PLAIN_PROTOCOLS, SECURE_PROTOCOLS
from cordboard.sdp.stream import DEFAULT_PTIME_MS, round_ptime

PLAIN, SECURE = PLAIN_PROTOCOLS[0], SECURE_PROTOCOLS[0]
BOTH = "both"
_LONGEST_PTIME_MS = 60


def make_offer(
    *,
    address: str,
    port: int,
    codecs: Sequence[Codec],
    dtmf: bool = True,
    ptime_ms: int = DEFAULT_PTIME_MS,
    direction: str = "sendrecv",
    session_id: int,
    version: int = 1,
    crypto: Sequence[CryptoAttribute] = (),
    profile: str = PLAIN,
    video: VideoOffer | None = None,
    sections: Sequence[Section] = (),
) -> bytes:
    """Offer audio, and video.

    A later one on the same leg keeps `session_id`, raises `version`, and gives the m-lines of the last
    agreement (`MediaParameters.sections`).

    `profile`: RTP/AVP (with `crypto`: RFC 8643), RTP/SAVP, or `both`, a secure line and a plain one, of which
    the far end takes one.  Where `sections` has the stream already, its profile holds.
    """
    formats, longest = _formats(tuple(codecs), dtmf)
    packets = round_ptime(min(ptime_ms, longest))
    if not sections and video is None and profile != BOTH:
        audio_line = writing.audio(port, profile, formats, packets, direction, crypto)
        return f"{writing.head(address, session_id, version, '0 0')}{audio_line}".encode("ascii")
    audio = partial(writing.audio, port, codecs=formats, ptime_ms=packets, direction=direction)
    new = [(SECURE, crypto), (PLAIN, ())] if profile == BOTH else [(profile, crypto)]
    writers: dict[str, Callable[[str], str]] = {"audio": lambda protocol: audio(protocol, crypto=crypto)}
    if video is not None:
        writers["video"] = partial(_picture, video)
    parts = [writing.head(address, session_id, version, "0 0")]
    parts += _standing(sections, writers)
    if "audio" in writers:
        parts += [audio(protocol, crypto=lines) for protocol, lines in new]
    if "video" in writers:
        parts.append(writers["video"](_video_protocol(profile, video, sections)))
    return "".join(parts).encode("ascii")


@lru_cache(maxsize=256)
def _formats(codecs: tuple[Codec, ...], dtmf: bool) -> tuple[tuple[Codec, ...], int]:
    """With the telephone events, and the longest packets (in ms) that all of them can have."""
    formats = (*codecs, *events(codecs)) if dtmf else codecs
    return formats, min([longest_ptime(codec) for codec in codecs], default=_LONGEST_PTIME_MS)


def _standing(sections: Sequence[Section], writers: dict[str, Callable[[str], str]]) -> Iterator[str]:
    """The m-lines that are there already; what they carry is taken out of `writers`."""
    for section in sections:
        write = writers.pop(section.kind, None) if section.active else None
        if write is not None:
            yield write(section.protocol)
        else:
            yield writing.rejected(section.kind, section.protocol, section.formats)


def _picture(video: VideoOffer, protocol: str) -> str:
    return writing.video(video.port, protocol, video.codecs, video.feedback, video.direction, video.crypto)


def _video_protocol(profile: str, video: VideoOffer | None, sections: Sequence[Section]) -> str:
    """That of the audio; of two lines for it, the one that the keys of the video call for."""
    for section in sections:
        if section.kind == "audio" and section.active:
            return section.protocol
    if profile == BOTH:
        return SECURE if video is not None and video.crypto else PLAIN
    return profile
