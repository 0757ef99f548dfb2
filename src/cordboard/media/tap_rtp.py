"""A tap that sends RTP: a stream of its own, from a port of its own."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket

from cordboard.media.codecs import g711, opus
from cordboard.media.protocol import BeginTap
from cordboard.media.rtp import RtpSender
from cordboard.media.tap import OPUS, packet_ms

_TYPES = {g711.PCMU: 0, g711.PCMA: 8, OPUS: 111}
"""Payload types; that of OPUS is dynamic, and 111 is what most others take."""


class RtpCarrier:
    """`local`: the address to send from, where the target can be reached from it."""

    def __init__(self, order: BeginTap, sender: RtpSender, local: str) -> None:
        self.problem = ""
        self.address, self.port = "", 0
        self._sender = sender
        self._type = _TYPES.get(order.codec, 0)
        rate = opus.CLOCK_RATE if order.codec == OPUS else 8000
        self._ticks = rate // 1000 * packet_ms(order.codec, order.ptime_ms)
        """Of the RTP clock, that a packet lasts."""
        try:
            self._socket = _socket_to((order.address, order.port), local)
            self.address, self.port = self._socket.getsockname()[:2]
        except (OSError, OverflowError, ValueError) as error:
            number = getattr(error, "errno", None)
            reason = os.strerror(number) if number else str(error)
            self.problem = f"Nothing can be sent to {order.address}:{order.port}: {reason}."

    @property
    def is_open(self) -> bool:
        """It can send."""
        return not self.problem

    def send(self, payload: bytes) -> None:
        """One packet; who does not take it misses it."""
        packet = self._sender.packet(payload, self._type, self._ticks)
        with contextlib.suppress(OSError):
            self._socket.send(packet)

    def tick(self, now: float) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """The end."""
        if not self.problem:
            self._socket.close()


def _socket_to(target: tuple[str, int], local: str) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(target[0]).version == 6 else socket.AF_INET
    try:
        return _connected(family, target, local)
    except OSError:
        # It cannot be reached from that address (loopback, the other family): let the system choose.
        return _connected(family, target, None)


def _connected(family: socket.AddressFamily, target: tuple[str, int], local: str | None) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        if local is not None:
            made.bind((local, 0))
        made.connect(target)
    except BaseException:
        made.close()
        raise
    return made
