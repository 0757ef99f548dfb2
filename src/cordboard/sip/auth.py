"""Digest authentication (RFC 7616, RFC 8760, RFC 2069 without `qop`), both sides.  Nothing here has a clock
or makes up anything: nonces and cnonces come in.

Text is UTF-8 in normal form C, whether the challenge names a charset or not: SIP has no other.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from hmac import compare_digest

import msgspec

from cordboard.sip.headers.grammar import QUOTED, TOKEN, HeaderError, quote, unquote
from cordboard.sip.outgoing import encoded

ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
"""Names of RFC 8760 with those of hashlib, the weakest first.  Each also with `-sess`."""
_STRENGTH = {name: rank for rank, name in enumerate(ALGORITHMS)}
_SESSION = "-SESS"

MAX_CHALLENGES = 16
_SCHEME = re.compile(rf"[ \t,]*+({TOKEN})[ \t]++")
_PARAMETER = re.compile(
    rf"[ \t,]*+({TOKEN})[ \t]*+=[ \t]*+({QUOTED}|{TOKEN}[=/A-Za-z0-9]*+)[ \t]*+", re.DOTALL
)


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """One that we can answer."""

    realm: str
    nonce: str
    opaque: str | None = None
    algorithm: str = "MD5"
    """A key of ALGORITHMS."""
    session: bool = False
    """The `-sess` form."""
    named: str | None = None
    """The algorithm as the challenge spells it; None if it names none."""
    qop: str | None = None
    """auth, auth-int, or None for RFC 2069."""
    stale: bool = False

    @property
    def strength(self) -> int:
        return _STRENGTH[self.algorithm]


def read_challenges(values: list[str]) -> list[Challenge]:
    """The digest challenges that we can answer among these WWW-Authenticate or Proxy-Authenticate values.

    What is malformed, of another scheme, or wants an unknown algorithm or quality is left out.
    """
    found: list[Challenge] = []
    for value in values[:MAX_CHALLENGES]:
        try:
            parameters = [read_parameters(rest) for scheme, rest in _schemes(value) if scheme == "digest"]
        except HeaderError:
            continue
        found += [made for each in parameters if (made := _challenge(each)) is not None]
    return found[:MAX_CHALLENGES]


def _schemes(value: str) -> list[tuple[str, str]]:
    """The challenges of one line.  SIP has one a line; HTTP's list (RFC 9110 section 11.6.1) is borne."""
    schemes: list[tuple[str, str]] = []
    place = 0
    while place < len(value.rstrip(" \t,")):
        scheme = _SCHEME.match(value, place)
        if scheme is None:
            raise HeaderError("no scheme")
        end = _end_of_parameters(value, scheme.end())
        schemes.append((scheme[1].lower(), value[scheme.end() : end]))
        place = end
    return schemes


def _end_of_parameters(value: str, place: int) -> int:
    begun = place
    while (found := _PARAMETER.match(value, place)) is not None:
        place = found.end()
    if place == begun:
        raise HeaderError("no parameters")
    return place


def read_parameters(text: str) -> dict[str, str]:
    """`name=value, name="value"` by lower-case name; raises HeaderError if a name is there twice, since two
    readers of it could then see two different things."""
    parameters: dict[str, str] = {}
    place, end = 0, len(text.rstrip(" \t,"))
    while place < end:
        found = _PARAMETER.match(text, place)
        if found is None or found[1].lower() in parameters:
            raise HeaderError("malformed parameters")
        value = found[2]
        parameters[found[1].lower()] = unquote(value) if value[0] == '"' else value
        place = found.end()
    return parameters


def _challenge(parameters: Mapping[str, str]) -> Challenge | None:
    realm, nonce = parameters.get("realm"), parameters.get("nonce")
    algorithm = known_algorithm(parameters.get("algorithm"))
    quality = _quality(parameters.get("qop"))
    if realm is None or nonce is None or algorithm is None or quality is None:
        return None
    return Challenge(
        realm=realm,
        nonce=nonce,
        opaque=parameters.get("opaque"),
        algorithm=algorithm[0],
        session=algorithm[1],
        named=parameters.get("algorithm"),
        qop=quality or None,
        stale=parameters.get("stale", "").lower() == "true",
    )


def known_algorithm(name: str | None) -> tuple[str, bool] | None:
    """A key of ALGORITHMS, and whether it is the `-sess` form; None if we do not have it."""
    upper = (name or "MD5").upper()
    base = upper.removesuffix(_SESSION)
    return (base, base != upper) if base in ALGORITHMS else None


def _quality(offered: str | None) -> str | None:
    """The `qop` to answer with, "" for none; None if we have none of those.

    `auth` before `auth-int`: a proxy that touches the body would break the latter.
    """
    if offered is None:
        return ""
    names = [name.strip().lower() for name in offered.split(",")]
    return next((name for name in ("auth", "auth-int") if name in names), None)


def strongest(challenges: list[Challenge]) -> Challenge | None:
    """Of those, the first of the strongest algorithm."""
    return max(challenges, key=lambda challenge: challenge.strength, default=None)


# ------------------------------------------------------------ the digest


def digest(
    challenge: Challenge,
    *,
    username: str,
    password: str,
    method: str,
    uri: str,
    body: bytes,
    cnonce: str,
    nc: int,
) -> str:
    """The `response` value (RFC 7616 section 3.4.1)."""
    secret = _hash(challenge, f"{_normal(username)}:{challenge.realm}:{_normal(password)}")
    if challenge.session:
        secret = _hash(challenge, f"{secret}:{challenge.nonce}:{cnonce}")
    asked = f"{method}:{uri}"
    if challenge.qop == "auth-int":
        asked += f":{_hash(challenge, body)}"
    asked = _hash(challenge, asked)
    if challenge.qop is None:
        return _hash(challenge, f"{secret}:{challenge.nonce}:{asked}")
    return _hash(challenge, f"{secret}:{challenge.nonce}:{nc:08x}:{cnonce}:{challenge.qop}:{asked}")


def _hash(challenge: Challenge, text: str | bytes) -> str:
    octets = text if isinstance(text, bytes) else encoded(text, b"")
    return hashlib.new(ALGORITHMS[challenge.algorithm], octets, usedforsecurity=False).hexdigest()


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def credentials_value(
    challenge: Challenge,
    *,
    username: str,
    password: str,
    method: str,
    uri: str,
    body: bytes,
    cnonce: str,
    nc: int,
) -> str:
    """The value of Authorization or Proxy-Authorization."""
    response = digest(
        challenge,
        username=username,
        password=password,
        method=method,
        uri=uri,
        body=body,
        cnonce=cnonce,
        nc=nc,
    )
    parts = [
        f"username={quote(_normal(username))}",
        f"realm={quote(challenge.realm)}",
        f"nonce={quote(challenge.nonce)}",
        f"uri={quote(uri)}",
        f'response="{response}"',
    ]
    if challenge.named is not None:
        parts.append(f"algorithm={challenge.named}")
    if challenge.opaque is not None:
        parts.append(f"opaque={quote(challenge.opaque)}")
    if challenge.qop is not None:
        parts += [f'cnonce="{cnonce}"', f"qop={challenge.qop}", f"nc={nc:08x}"]
    elif challenge.session:
        parts.append(f'cnonce="{cnonce}"')
    return f"Digest {', '.join(parts)}"


# ------------------------------------------------------------ the server's side


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What credentials claim; read by `read_credentials`."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str | None = None
    opaque: str | None = None
    qop: str | None = None
    cnonce: str = ""
    nc: int = 0


def read_credentials(value: str) -> Offered | None:
    """An Authorization value; None if it is malformed or of another scheme."""
    try:
        schemes = _schemes(value)
        if len(schemes) != 1 or schemes[0][0] != "digest":
            return None
        found = read_parameters(schemes[0][1])
        return Offered(
            username=found["username"],
            realm=found["realm"],
            nonce=found["nonce"],
            uri=found["uri"],
            response=found["response"].lower(),
            algorithm=found.get("algorithm"),
            opaque=found.get("opaque"),
            qop=found.get("qop"),
            cnonce=found.get("cnonce", ""),
            nc=int(found.get("nc", "0")[:8], 16),
        )
    except (HeaderError, KeyError, ValueError):
        return None


def verify(challenge: Challenge, offered: Offered, *, password: str, method: str, body: bytes) -> bool:
    """Whether these credentials answer this challenge.  Neither a weaker algorithm nor another quality than
    the challenge's will do.  Whether `nc` was used before is for the caller to know."""
    same = (offered.realm, offered.nonce, offered.opaque) == (
        challenge.realm,
        challenge.nonce,
        challenge.opaque,
    )
    algorithm = known_algorithm(offered.algorithm)
    if not same or algorithm != (challenge.algorithm, challenge.session) or offered.qop != challenge.qop:
        return False
    expected = digest(
        challenge,
        username=offered.username,
        password=password,
        method=method,
        uri=offered.uri,
        body=body,
        cnonce=offered.cnonce,
        nc=offered.nc,
    )
    return compare_digest(expected.encode(), offered.response.encode(errors="replace"))
