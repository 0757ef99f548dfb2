"""A far end that asks for credentials (RFC 7616): a second opinion on digests, made without `sip.auth`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

from cordboard.sip.message import Request

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_PARAMETER = re.compile(r'([a-z0-9-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))', re.IGNORECASE)


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a phone lets call it."""

    username: str = "user"
    password: str = "secret"
    realm: str = "phones.test"
    algorithm: str = "MD5"
    """MD5, SHA-256 or SHA-512-256, perhaps with `-sess`; empty = not said, which means MD5."""
    qop: str = "auth"
    """What is offered: `auth`, `auth-int`, `auth,auth-int`, or empty (RFC 2069)."""
    status: int = 401
    """401, or 407 as a proxy says it."""
    nonces: tuple[str, ...] = ("5f1c2a",)
    """A request with one that is not the last is told `stale=true` and the next."""
    opaque: str = ""

    @property
    def header_name(self) -> str:
        """Where credentials are looked for."""
        return "Authorization" if self.status == 401 else "Proxy-Authorization"

    def demand(self, request: Request) -> tuple[str, str] | None:
        """The header field to refuse this request with; None when its credentials are right."""
        given = request.headers.get(self.header_name)
        if given is None:
            return self._challenge(self.nonces[0])
        values = parameters(given)
        nonce = values.get("nonce", "")
        if self._expected(values, request) != values.get("response") or nonce not in self.nonces:
            return self._challenge(self.nonces[0])
        later = self.nonces[self.nonces.index(nonce) + 1 :]
        return self._challenge(later[0], stale=True) if later else None

    def _challenge(self, nonce: str, *, stale: bool = False) -> tuple[str, str]:
        parts = [f'realm="{self.realm}"', f'nonce="{nonce}"']
        parts += [f'opaque="{self.opaque}"'] if self.opaque else []
        parts += [f"algorithm={self.algorithm}"] if self.algorithm else []
        parts += [f'qop="{self.qop}"'] if self.qop else []
        parts += ["stale=true"] if stale else []
        name = "WWW-Authenticate" if self.status == 401 else "Proxy-Authenticate"
        return name, "Digest " + ", ".join(parts)

    def _expected(self, values: Mapping[str, str], request: Request) -> str:
        """The `response` that somebody who knows the password gives (RFC 7616 section 3.4)."""
        algorithm = self.algorithm or "MD5"
        name = _HASHES[algorithm.removesuffix("-sess")]
        nonce, cnonce, qop = values.get("nonce", ""), values.get("cnonce", ""), values.get("qop", "")
        a1 = _hash(name, f"{self.username}:{self.realm}:{self.password}")
        if algorithm.endswith("-sess"):
            a1 = _hash(name, f"{a1}:{nonce}:{cnonce}")
        a2 = f"{request.method}:{values.get('uri', '')}"
        if qop == "auth-int":
            a2 += ":" + hashlib.new(name, request.body).hexdigest()
        counted = f"{values.get('nc', '')}:{cnonce}:{qop}:" if qop else ""
        return _hash(name, f"{a1}:{nonce}:{counted}{_hash(name, a2)}")


def parameters(header: str) -> dict[str, str]:
    """The parameters of a Digest header; names in lower case, quotes and escapes resolved."""
    return {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted or not plain else plain
        for name, quoted, plain in _PARAMETER.findall(header.partition(" ")[2])
    }


def _hash(name: str, text: str) -> str:
    return hashlib.new(name, text.encode("utf-8", "surrogateescape")).hexdigest()
