"""What the configuration lays down for every SIP leg."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cordboard.call.codec_wish import CodecWish

PCMU_PCMA = (CodecWish(name="PCMU"), CodecWish(name="PCMA"))


def no_keys(length: int) -> bytes:
    """Stands in where no source of keys was given: then nothing is encrypted."""
    raise NotImplementedError("a source of SRTP keys is needed")


def nobody(address: str) -> bool:
    """Stands in where no source is trusted."""
    return False


class LegRules(msgspec.Struct, frozen=True, kw_only=True):
    """The same for all calls of a server; scripts and trunks can say otherwise for one leg."""

    codecs: tuple[CodecWish, ...] = PCMU_PCMA
    """Offered after the caller's own codec, and what callers are answered with."""
    encryption: str = "forbidden"
    """`mandatory`, `optional` or `forbidden`: of calls that come in, and of those that we make where nobody
    says otherwise.  The first two need `new_key`."""
    session_timeout: int = 0
    """Seconds of Session-Expires; 0 = no session timers."""
    asserted_identity: bool = False
    """Say the caller's identity in P-Asserted-Identity towards SIP destinations."""
    own_hosts: frozenset[str] = frozenset()
    """Further names and addresses of this server, in lower case: a number there is a phone number."""
    carrier_hosts: frozenset[str] = frozenset()
    """Of trunks, in lower case: whoever transfers a call to a number there has it dialled as a number."""
    rtp_timeout: float = 0.0
    """Seconds without a packet after which a leg is hung up; 0 = never."""
    trusts: Callable[[str], bool] = nobody
    """Whether the asserted identity of a call from this address is believed."""
    new_key: Callable[[int], bytes] = no_keys
    """So many random bytes, for SRTP."""
