"""Keys of SRTP in descriptions: `a=crypto` (SDES, RFC 4568; suites of RFC 6188 and RFC 7714).

A line that cannot be used is left out, as RFC 4568 has it: an unknown suite, a key of the wrong length, more
than one key, a master key identifier, session parameters that change what goes over the wire.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

KEY_LENGTHS = {
    "AEAD_AES_256_GCM_8": 44,
    "AEAD_AES_256_GCM": 44,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
"""Bytes of master key and master salt by suite, the one that we like best first."""

OFFERED = (
    "AEAD_AES_256_GCM_8",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_32",
)
"""swml.md 7.8; the other suites of `KEY_LENGTHS` are answered where a far end offers them."""

_RANKS = {suite: rank for rank, suite in enumerate(KEY_LENGTHS)}
_LINE = re.compile(r"(\d{1,9})[ \t]+([!-~]+)[ \t]+([!-~]+)((?:[ \t]+[!-~]+)*)[ \t]*", re.ASCII)
_LIFETIME = re.compile(r"2\^\d{1,2}|\d{1,15}", re.ASCII)
_HARMLESS = re.compile(r"-.*|WSH=\d{1,6}|KDR=0", re.ASCII | re.IGNORECASE)
_MOST_LINES = 24
_LONGEST_LINE = 512


class CryptoAttribute(msgspec.Struct, frozen=True):
    """One line: a suite, and the key that whoever says it will send with."""

    tag: int
    suite: str
    key: bytes
    """Master key followed by master salt."""

    def __repr__(self) -> str:
        return f"CryptoAttribute(tag={self.tag}, suite={self.suite!r})"


class CryptoPair(msgspec.Struct, frozen=True):
    """What was agreed for a stream."""

    send: CryptoAttribute
    receive: CryptoAttribute


def parse_crypto(value: str) -> CryptoAttribute | None:
    """`1 AES_CM_128_HMAC_SHA1_80 inline:…|2^20`; None when the line cannot be used."""
    match = _LINE.fullmatch(value) if len(value) <= _LONGEST_LINE else None
    if match is None or not all(_HARMLESS.fullmatch(text) for text in match[4].split()):
        return None
    suite = match[2].upper()
    key = _key(match[3])
    if key is None or KEY_LENGTHS.get(suite) != len(key):
        return None
    return CryptoAttribute(int(match[1]), suite, key)


def _key(parameter: str) -> bytes | None:
    method, _, rest = parameter.partition(":")
    text, *more = rest.split("|")
    if method.lower() != "inline" or len(more) > 1 or not all(_LIFETIME.fullmatch(part) for part in more):
        return None
    try:
        # Some phones leave the padding out.
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def serialise_crypto(crypto: CryptoAttribute) -> str:
    """The value of the line."""
    return (
        f"{crypto.tag} {crypto.suite} inline:{binascii.b2a_base64(crypto.key, newline=False).decode('ascii')}"
    )


def usable(values: Iterable[str]) -> list[CryptoAttribute]:
    """The lines of a section that can be used, the best suite first."""
    found = [parse_crypto(value) for value in list(values)[:_MOST_LINES]]
    return sorted((one for one in found if one is not None), key=lambda one: _RANKS[one.suite])


def new_keys(
    new_key: Callable[[int], bytes],
    suites: Sequence[str] = OFFERED,
    keep: CryptoAttribute | None = None,
) -> tuple[CryptoAttribute, ...]:
    """Lines for an offer.

    `new_key` makes so many random bytes.  `keep`: the key in use; a far end that answers with the same suite
    goes on undisturbed.
    """
    lines: list[CryptoAttribute] = []
    for tag, suite in enumerate(suites, 1):
        kept = keep is not None and keep.suite == suite
        key = keep.key if keep is not None and kept else new_key(KEY_LENGTHS[suite])
        lines.append(CryptoAttribute(tag, suite, key))
    return tuple(lines)


def answer_to(
    theirs: CryptoAttribute, new_key: Callable[[int], bytes], keep: CryptoPair | None = None
) -> CryptoPair:
    """Ours for one of theirs.  While they keep their key (`keep`), so do we."""
    same = keep is not None and (keep.receive.suite, keep.receive.key) == (theirs.suite, theirs.key)
    key = keep.send.key if keep is not None and same else new_key(KEY_LENGTHS[theirs.suite])
    return CryptoPair(CryptoAttribute(theirs.tag, theirs.suite, key), theirs)
