"""A call to a peer that says only what the test tells it to."""

from __future__ import annotations

from cordboard.sip.stack import SipStack
from cordboard.testing.raw_peer import RawPeer
from cordboard.testing.stack_pair import ALICE, BOB, OFFER
from cordboard.testing.wire import Wire


class RawCall:
    """Alice is a stack; Bob, the raw peer, has her INVITE."""

    def __init__(self) -> None:
        self.wire = Wire()
        serial = iter(range(1, 10_000))
        self.alice = SipStack(local=ALICE, token=lambda: f"{next(serial):08x}")
        self.wire.attach(self.alice, ALICE)
        self.bob = RawPeer(self.wire, BOB)
        self.session, outputs = self.alice.invite(
            uri="sip:bob@127.0.0.2",
            to="<sip:bob@127.0.0.2>",
            from_="<sip:alice@127.0.0.1>",
            destination=BOB,
            body=OFFER,
            now=0,
        )
        self.wire.put(ALICE, outputs)
        self.wire.run(0)
        self.invite = self.bob.requests[0]
