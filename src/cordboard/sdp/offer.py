"""Making offers (RFC 3264): one audio stream with telephone-event (RFC 4733), and video if it is wanted."""

from __future__ import annotations

from collections.abc import Sequence

from cordboard.sdp import writing
from cordboard.sdp.codec import Codec
from cordboard.sdp.codecs import events, longest_ptime
from cordboard.sdp.crypto import CryptoAttribute
from cordboard.sdp.media import Section, VideoOffer
from cordboard.sdp.security import PLAIN_PROTOCOLS, SECURE_PROTOCOLS
from cordboard.sdp.stream import DEFAULT_PTIME_MS, round_ptime

PLAIN, SECURE = PLAIN_PROTOCOLS[0], SECURE_PROTOCOLS[0]
BOTH = "both"


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
    formats = [*codecs, *(events(codecs) if dtmf else [])]
    longest = min((longest_ptime(codec) for codec in codecs), default=ptime_ms)
    ptime_ms = round_ptime(min(ptime_ms, longest))

    def audio(protocol: str) -> str:
        lines = crypto if protocol in SECURE_PROTOCOLS or profile != BOTH or sections else ()
        return writing.audio(port, protocol, formats, ptime_ms, direction, lines)

    def picture(protocol: str) -> str:
        assert video is not None
        return writing.video(
            video.port, protocol, video.codecs, video.feedback, video.direction, video.crypto
        )

    new = [SECURE, PLAIN] if profile == BOTH else [profile]
    parts = [writing.head(address, session_id, version, "0 0")]
    writers = {"audio": audio, **({"video": picture} if video is not None else {})}
    for section in sections:
        write = writers.pop(section.kind, None) if section.active else None
        parts.append(write(section.protocol) if write else _rejected(section))
    if "audio" in writers:
        parts += [audio(protocol) for protocol in new]
    if "video" in writers:
        parts.append(picture(_video_protocol(profile, video)))
    return "".join(parts).encode("ascii")


def _video_protocol(profile: str, video: VideoOffer | None) -> str:
    if profile == BOTH:
        return SECURE if video is not None and video.crypto else PLAIN
    return profile


def _rejected(section: Section) -> str:
    return writing.rejected(section.kind, section.protocol, section.formats)
