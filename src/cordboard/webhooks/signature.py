"""The signature of callbacks and document requests, and how a receiver checks it.

Two headers, both lower-case hex of an HMAC over the full URL followed by the exact body:
`X-Signalwire-Signature` with SHA-1, `X-Signalwire-SHA256-Signature` with SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from cordboard.webhooks.target import UrlError, parse_target

SHA1_HEADER = "X-Signalwire-Signature"
SHA256_HEADER = "X-Signalwire-SHA256-Signature"


def signature_headers(key: bytes, url: str, body: bytes) -> dict[str, str]:
    """`url`: as it is requested, without user, password and fragment."""
    signed = url.encode("utf-8", "replace") + body
    return {
        SHA1_HEADER: hmac.digest(key, signed, "sha1").hex(),
        SHA256_HEADER: hmac.digest(key, signed, "sha256").hex(),
    }


def verify_signature(key: str | bytes, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """True when a request with this body came from the holder of the key.

    `url` is the address under which the receiver is known to the sender: the one in the document, not one
    guessed from a Host header.  User, password and fragment in it do not matter.  Any of the two headers is
    enough, but one that is there and wrong is refused.
    """
    try:
        signed = parse_target(url).url.encode() + body
    except UrlError:
        return False
    secret = key.encode() if isinstance(key, str) else key
    found = {name.lower(): value for name, value in headers.items()}
    checks = [
        _matches(secret, signed, found[header.lower()], digest)
        for header, digest in ((SHA1_HEADER, "sha1"), (SHA256_HEADER, "sha256"))
        if header.lower() in found
    ]
    return bool(checks) and all(checks)


def _matches(key: bytes, signed: bytes, claimed: str, digest: str) -> bool:
    expected = hmac.new(key, signed, getattr(hashlib, digest)).hexdigest()
    return hmac.compare_digest(expected.encode(), claimed.strip().lower().encode("utf-8", "replace"))
