"""Session descriptions (RFC 8866) and the offer/answer model (RFC 3264), usable alone."""

from __future__ import annotations

from cordboard.sdp.codec import PCMA, PCMU, Codec
from cordboard.sdp.offer_answer import (
    Answer,
    MediaParameters,
    NoCommonCodec,
    answer_offer,
    check_offer,
    make_offer,
    read_answer,
)
from cordboard.sdp.session import MediaDescription, Origin, SdpError, SessionDescription, parse, serialise

__all__ = [
    "PCMA",
    "PCMU",
    "Answer",
    "Codec",
    "MediaDescription",
    "MediaParameters",
    "NoCommonCodec",
    "Origin",
    "SdpError",
    "SessionDescription",
    "answer_offer",
    "check_offer",
    "make_offer",
    "parse",
    "read_answer",
    "serialise",
]
