"""Session descriptions (RFC 8866) and the offer/answer model (RFC 3264), usable alone."""

from __future__ import annotations

from cordboard.sdp.answer import answer_offer, check_offer, offers_video
from cordboard.sdp.codec import G722, G729, PCMA, PCMU, Codec
from cordboard.sdp.codecs import SPOKEN, Ours, ours
from cordboard.sdp.crypto import CryptoAttribute, CryptoPair, new_keys
from cordboard.sdp.media import (
    Answer,
    MediaParameters,
    NoCommonCodec,
    NoCommonSecurity,
    Section,
    VideoOffer,
    VideoParameters,
)
from cordboard.sdp.offer import make_offer
from cordboard.sdp.reading import read_answer
from cordboard.sdp.session import MediaDescription, Origin, SdpError, SessionDescription, parse, serialise

__all__ = [
    "G722",
    "G729",
    "PCMA",
    "PCMU",
    "SPOKEN",
    "Answer",
    "Codec",
    "CryptoAttribute",
    "CryptoPair",
    "MediaDescription",
    "MediaParameters",
    "NoCommonCodec",
    "NoCommonSecurity",
    "Origin",
    "Ours",
    "SdpError",
    "Section",
    "SessionDescription",
    "VideoOffer",
    "VideoParameters",
    "answer_offer",
    "check_offer",
    "make_offer",
    "new_keys",
    "offers_video",
    "ours",
    "parse",
    "read_answer",
    "serialise",
]
