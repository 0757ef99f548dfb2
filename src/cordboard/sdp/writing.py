"""The lines of the descriptions that we make."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cordboard.sdp.address import connection
from cordboard.sdp.codec import TELEPHONE_EVENT, Codec, rtpmap
from cordboard.sdp.crypto import CryptoAttribute, serialise_crypto


def head(address: str, session_id: int, version: int, timing: str) -> str:
    """The session level."""
    where = connection(address)
    return f"v=0\r\no=- {session_id} {version} {where}\r\ns=-\r\nc={where}\r\nt={timing}\r\n"


def audio(
    port: int,
    protocol: str,
    codecs: Sequence[Codec],
    ptime_ms: int,
    direction: str,
    crypto: Sequence[CryptoAttribute] = (),
) -> str:
    """An audio section; `codecs` with the telephone events."""
    body = _body(protocol, tuple(codecs), (f"a=ptime:{ptime_ms}", f"a={direction}"))
    return f"m=audio {port} {body}{keys(crypto) if crypto else ''}"


def video(
    port: int,
    protocol: str,
    codecs: Sequence[Codec],
    feedback: Sequence[str],
    direction: str,
    crypto: Sequence[CryptoAttribute] = (),
) -> str:
    """A video section."""
    lines = tuple(f"a=rtcp-fb:* {one}" for one in feedback)
    body = _body(protocol, tuple(codecs), (*lines, f"a={direction}"))
    return f"m=video {port} {body}{keys(crypto)}"


def rejected(kind: str, protocol: str, formats: Sequence[str]) -> str:
    """A section that is not wanted keeps its place."""
    return f"m={kind} 0 {protocol} {' '.join(formats)}\r\n"


def keys(crypto: Sequence[CryptoAttribute]) -> str:
    """Not remembered with the rest: it is new in each call."""
    lines = ""
    for one in crypto:
        lines += f"a=crypto:{serialise_crypto(one)}\r\n"
    return lines


@lru_cache(maxsize=256)
def _body(protocol: str, codecs: tuple[Codec, ...], tail: tuple[str, ...]) -> str:
    """A section from its protocol on; the same few come again and again."""
    lines = [" ".join([protocol, *(str(codec.payload_type) for codec in codecs)])]
    for codec in codecs:
        lines.append(f"a=rtpmap:{rtpmap(codec)}")
    for codec in codecs:
        fmtp = "0-15" if codec.name == TELEPHONE_EVENT else codec.fmtp
        if fmtp:
            lines.append(f"a=fmtp:{codec.payload_type} {fmtp}")
    return "\r\n".join([*lines, *tail, ""])
