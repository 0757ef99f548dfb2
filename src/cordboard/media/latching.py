"""Whose packets are taken for the far end's (symmetric RTP, RFC 4961), safe against RTP bleed.

A far end behind NAT sends from another address than its SDP says.  Whoever simply follows the first packet
hands the call to any stranger who finds the port, so:

* The signalled address is always believed, and takes the stream back from anyone who was latched before it
  was heard.
* Anyone else is latched only while the signalled address has not been heard, and only after a run of
  consecutive RTP packets of negotiated payload types with one SSRC: from the signalled IP at any time, from
  another IP within the first seconds, or at any time if the signalled address is a private one and the
  source's is not (then the SDP cannot be right).
* After that the source is fixed.  Only after it has fallen silent may a new port of the same IP (a NAT that
  forgot its mapping) be latched, by the same run of packets.
* What is not RTP never counts for anything and is never answered.
* A packet of an SRTP stream that is authentic proves its source: no run is needed, and any IP may follow one
  that has fallen silent.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from cordboard.media import rtp

Address = tuple[str, int]


class LatchingPolicy(NamedTuple):
    """How ready a leg is to follow the source of the packets."""

    run: int = 5
    """Consecutive packets that make a candidate credible."""
    window: float = 10.0
    """Seconds after the address was signalled in which any IP may become the source; 0 = never another IP."""
    silence: float = 1.0
    """Seconds without a packet after which the source may have been rebound by a NAT."""


DEFAULT_POLICY = LatchingPolicy()


class Verdict(Enum):
    """What to do with a datagram."""

    ACCEPTED = "accepted"
    LATCHED = "latched"
    """Accepted, and from now on this is the source."""
    REFUSED = "refused"
    """RTP from somebody else."""
    IGNORED = "ignored"
    """Not RTP."""


@lru_cache(maxsize=4096)
def is_private(address: str) -> bool:
    """Not reachable over the public Internet.  What is no IP address counts as private."""
    try:
        return not ipaddress.ip_address(address).is_global
    except ValueError:
        return True


class Latch:
    """One leg's rule: `judge` each datagram whose source is not known to be the latched one."""

    __slots__ = (
        "_candidate",
        "_expected",
        "_follow",
        "_policy",
        "_run",
        "_signalled_at",
        "_ssrc",
        "latched",
        "refused",
        "signalled",
    )

    def __init__(self, policy: LatchingPolicy = DEFAULT_POLICY) -> None:
        self._policy = policy
        self.signalled: Address | None = None
        """What the SDP says; None = nothing yet, nobody is believed."""
        self.latched: Address | None = None
        """Where media really comes from; None = not heard yet."""
        self.refused = 0
        """RTP packets of others."""
        self._follow = True
        self._signalled_at = 0.0
        self._candidate: Address | None = None
        """Who might become the source."""
        self._ssrc = -1
        self._expected = -1
        """The sequence number that would continue its run."""
        self._run = 0

    @property
    def target(self) -> Address | None:
        """Where to send."""
        return self.latched or self.signalled

    def signal(self, address: Address | None, now: float, *, follow: bool = True) -> None:
        """The SDP says (again) where the far end is.  The same address as before keeps the latch."""
        self._follow = follow
        self._signalled_at = now
        if address == self.signalled and (follow or self.latched in (None, address)):
            return
        keeps = address is not None and self.latched == address
        self.signalled = address
        self.latched = address if keeps else None
        self._forget_candidate()

    def judge(
        self,
        source: Address,
        data: bytes,
        payload_types: Container[int],
        now: float,
        heard_at: float,
        *,
        authentic: bool = False,
    ) -> Verdict:
        """A datagram came.  `heard_at`: when the latched source was last heard; `authentic`: only the far end
        can have made it."""
        if not rtp.is_rtp(data):
            return Verdict.IGNORED
        if source == self.signalled:
            return self._judge_signalled(source)
        if source == self.latched:
            return Verdict.ACCEPTED
        if self._may_follow(source, now, heard_at, authentic) and self._is_credible(
            source, data, payload_types, authentic
        ):
            self.latched = source
            self._forget_candidate()
            return Verdict.LATCHED
        self.refused += 1
        return Verdict.REFUSED

    def _judge_signalled(self, source: Address) -> Verdict:
        if self.latched == source:
            return Verdict.ACCEPTED
        self.latched = source
        self._forget_candidate()
        return Verdict.LATCHED

    def _may_follow(self, source: Address, now: float, heard_at: float, authentic: bool) -> bool:
        if not self._follow or self.signalled is None:
            return False
        if self.latched is not None:
            known = authentic or source[0] in (self.latched[0], self.signalled[0])
            return known and now - heard_at >= self._policy.silence
        if authentic or source[0] == self.signalled[0]:
            return True
        if not self._policy.window:
            return False
        if now - self._signalled_at <= self._policy.window:
            return True
        return is_private(self.signalled[0]) and not is_private(source[0])

    def _is_credible(
        self, source: Address, data: bytes, payload_types: Container[int], authentic: bool
    ) -> bool:
        """Count the candidate's run.  Two candidates at once break each other's."""
        _, second, sequence, _, ssrc = rtp.header(data)
        if second & 0x7F not in payload_types or rtp.payload(data) is None:
            self._forget_candidate()
            return False
        if authentic:
            return True
        if source == self._candidate and ssrc == self._ssrc and sequence == self._expected:
            self._run += 1
        else:
            self._candidate, self._ssrc, self._run = source, ssrc, 1
        self._expected = (sequence + 1) & 0xFFFF
        return self._run >= self._policy.run

    def _forget_candidate(self) -> None:
        self._candidate = None
        self._run = 0
