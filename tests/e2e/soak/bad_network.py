"""A bad way from a simulated phone to the server: loss, jitter that changes the order, an outage, a new NAT
binding.

In user space, on what the phone's socket sends: the kernels of test machines often have no netem.
"""

from __future__ import annotations

import asyncio
import random

from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_sockets import Address, open_rtp


class BadNetwork:
    """What the RTP of one call suffers; nothing until it is told."""

    def __init__(self, call: PhoneCall, address: str, seed: int) -> None:
        self.loss = 0.0
        """Share of the packets."""
        self.delay = (0.0, 0.0)
        """Seconds, from and to: each packet has its own."""
        self.lost = self.sent = 0
        self._random = random.Random(seed)
        self._media = call._media
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._stand_between()

    def rebind(self) -> None:
        """The NAT forgets the phone and gives it another port."""
        old = self._media._sockets
        assert old is not None
        old.close()
        self._media._sockets = open_rtp(self._address, self._media._receive, self._media._receive_report)
        self._stand_between()

    def _stand_between(self) -> None:
        sockets = self._media._sockets
        assert sockets is not None
        through = sockets.send

        def send(data: bytes, destination: Address) -> bool:
            self.sent += 1
            if self._random.random() < self.loss:
                self.lost += 1
            elif self.delay[1]:
                self._loop.call_later(self._random.uniform(*self.delay), through, data, destination)
            else:
                through(data, destination)
            return True

        sockets.send = send
