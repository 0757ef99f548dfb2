"""Which streams a leg may have: plain RTP, SRTP with SDES keys, or either (swml.md 7.8, RFC 8643).

A section is *secure* when it carries a usable `a=crypto` line, whatever its profile: RTP/SAVP demands one,
and RTP/AVP with one is opportunistic SRTP.
"""

from __future__ import annotations

from cordboard.sdp.crypto import CryptoAttribute, CryptoPair, usable
from cordboard.sdp.media import NoCommonSecurity
from cordboard.sdp.session import MediaDescription

PLAIN_PROTOCOLS = ("RTP/AVP", "RTP/AVPF")
SECURE_PROTOCOLS = ("RTP/SAVP", "RTP/SAVPF")

MANDATORY, OPTIONAL, FORBIDDEN = "mandatory", "optional", "forbidden"

_NO_KEYS = "it has no a=crypto line that can be used"


def may_be_secure(encryption: str) -> bool:
    """The policy allows SRTP."""
    return encryption != FORBIDDEN


def problem(section: MediaDescription, encryption: str) -> str | None:
    """Why the policy cannot take a section that is offered; None if it can, one way or the other."""
    if section.protocol in SECURE_PROTOCOLS:
        if encryption == FORBIDDEN:
            return f"the audio is offered over {section.protocol}, and encryption is forbidden here"
        return None if keys(section) else f"the audio is offered over {section.protocol}, but {_NO_KEYS}"
    if section.protocol not in PLAIN_PROTOCOLS:
        known = ", ".join(PLAIN_PROTOCOLS[:1] + SECURE_PROTOCOLS[:1])
        return f"the audio is offered over {section.protocol}, only {known} is supported"
    if encryption == MANDATORY and not keys(section):
        return f"encryption is mandatory here, and the audio is offered plain ({_NO_KEYS})"
    return None


def keys(section: MediaDescription) -> list[CryptoAttribute]:
    """The usable lines of a section, the strongest first."""
    lines = section.all("crypto") if section.has_keys else []
    return usable(lines) if lines else []


def is_secure(section: MediaDescription, encryption: str) -> bool:
    """It becomes SRTP under that policy."""
    return section.has_keys and encryption != FORBIDDEN and bool(keys(section))


def agreed(offer: MediaDescription, answer: MediaDescription, encryption: str) -> CryptoPair | None:
    """What an answer to ours settles; None = the stream is plain.  Raises `NoCommonSecurity`."""
    secure_profile = answer.protocol in SECURE_PROTOCOLS
    if encryption == FORBIDDEN:
        if secure_profile:
            raise NoCommonSecurity(f"the answer is {answer.protocol}, and encryption is forbidden here")
        return None
    # Most far ends leave our keys alone: then they are not read again.
    ours = keys(offer) if secure_profile or answer.has_keys else []
    for line in keys(answer) if ours else ():
        for mine in ours:
            if (mine.tag, mine.suite) == (line.tag, line.suite):
                return CryptoPair(mine, line)
    if secure_profile or ours:
        raise NoCommonSecurity("the answer has no a=crypto line that fits one of the offer's")
    if encryption == MANDATORY:
        raise NoCommonSecurity("encryption is mandatory here, and the answer is plain")
    return None
