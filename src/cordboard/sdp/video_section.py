"""Video that is passed on as it is: one stream of VP8 or H264, with the RTCP feedback that both ends know.

Payload types and parameters are the far ends' own; what differs between two legs is translated in the worker,
by the names of `label`.
"""

from __future__ import annotations

from collections.abc import Sequence

from cordboard.sdp import fmtp, security, writing
from cordboard.sdp.codec import Codec
from cordboard.sdp.codecs import VIDEO
from cordboard.sdp.crypto import CryptoPair
from cordboard.sdp.media import VideoOffer, VideoParameters
from cordboard.sdp.session import MediaDescription, SessionDescription
from cordboard.sdp.stream import is_reachable, rtcp_port, settle, transport_problem

FEEDBACK = ("nack", "nack pli", "ccm fir")
"""What a receiver asks of the sender; of the rest (goog-remb, transport-cc) nothing is promised."""


def label(codec: Codec) -> str:
    """The encoding with what tells two of them apart: `VP8`, `H264/1/42` (packetization mode, profile)."""
    if codec.name != "H264":
        return codec.name
    parameters = fmtp.parameters(codec.fmtp)
    mode = parameters.get("packetization-mode", "0")
    return f"H264/{mode[:1]}/{parameters.get('profile-level-id', '42')[:2].lower()}"


def codecs_of(section: MediaDescription) -> list[Codec]:
    """Those that can be passed on, in the far end's order, each label once."""
    found: dict[str, Codec] = {}
    for codec in section.codecs():
        if codec.name in VIDEO:
            found.setdefault(label(codec), codec)
    return list(found.values())


def feedback_of(section: MediaDescription) -> tuple[str, ...]:
    """Of `FEEDBACK`, what the section names for any format."""
    named = {value.partition(" ")[2].strip() for value in section.all("rtcp-fb")}
    return tuple(one for one in FEEDBACK if one in named)


def find(offer: SessionDescription, address: str, encryption: str) -> MediaDescription | None:
    """The video section of an offer that could be answered; None if there is none."""
    for section in offer.media:
        if section.kind == "video" and section.port and codecs_of(section):
            usable = transport_problem(offer, section, address) is None
            return section if usable and security.problem(section, encryption) is None else None
    return None


def common(section: MediaDescription, wanted: Sequence[Codec]) -> list[Codec]:
    """Theirs, those of them that are also wanted; nothing wanted in particular = all."""
    labels = {label(codec) for codec in wanted}
    return [codec for codec in codecs_of(section) if not labels or label(codec) in labels]


def parameters(
    session: SessionDescription,
    section: MediaDescription,
    codecs: list[Codec],
    accepted: Sequence[Codec],
    wanted: VideoOffer,
    crypto: CryptoPair | None,
) -> VideoParameters:
    """What is agreed: `codecs` as they receive them, `accepted` as we do."""
    address = session.address_of(section) or ""
    reachable = is_reachable(address)
    feedback = feedback_of(section)
    types = {codec.payload_type: label(codec) for codec in (*codecs, *accepted)}
    return VideoParameters(
        address=address,
        port=section.port,
        rtcp_port=rtcp_port(section) if reachable else 0,
        codecs=tuple(codecs),
        accepted=tuple(types.items()),
        send=tuple((codec.payload_type, label(codec)) for codec in codecs),
        feedback=tuple(one for one in feedback if not wanted.feedback or one in wanted.feedback),
        direction=settle(wanted.direction, session.direction_of(section), reachable),
        crypto=crypto,
    )


def write(protocol: str, port: int, agreed: VideoParameters) -> str:
    """The section of an answer."""
    crypto = (agreed.crypto.send,) if agreed.crypto is not None else ()
    return writing.video(port, protocol, agreed.codecs, agreed.feedback, agreed.direction, crypto)
