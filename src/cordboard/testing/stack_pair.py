"""Two SIP stacks, alice and bob, on one wire: for tests of what they do to each other."""

from __future__ import annotations

from itertools import count

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Event, InviteReceived
from cordboard.sip.stack import SipStack
from cordboard.testing.wire import Conditions, Reaction, Wire

ALICE = Endpoint("UDP", "127.0.0.1", 5060)
BOB = Endpoint("UDP", "127.0.0.2", 5060)
OFFER = b"v=0\r\no=alice\r\n"
ANSWER = b"v=0\r\no=bob\r\n"


class StackPair:
    """Alice calls bob; what bob (and alice) do about an event is up to the test."""

    def __init__(
        self,
        *,
        seed: int = 0,
        conditions: Conditions = Conditions(),  # noqa: B008 - frozen
        on_alice: Reaction | None = None,
        on_bob: Reaction | None = None,
        max_sessions: int = 1000,
    ) -> None:
        self.wire = Wire(seed=seed, conditions=conditions)
        self._ids = count(1)
        self.alice = SipStack(local=ALICE, token=self.token, max_sessions=max_sessions)
        self.bob = SipStack(local=BOB, token=self.token, max_sessions=max_sessions)
        self.wire.attach(self.alice, ALICE, on_alice)
        self.wire.attach(self.bob, BOB, on_bob)

    def token(self) -> str:
        return f"{next(self._ids):08x}"

    @property
    def now(self) -> float:
        return self.wire.now

    def call(self, session_expires: int | None = None) -> str:
        """Alice sends an INVITE to bob; returns her session."""
        session, outputs = self.alice.invite(
            uri="sip:bob@127.0.0.2",
            to="<sip:bob@127.0.0.2>",
            from_="<sip:alice@127.0.0.1>",
            destination=BOB,
            body=OFFER,
            session_expires=session_expires,
            now=self.now,
        )
        self.wire.put(ALICE, outputs)
        return session

    def connect(self) -> tuple[str, str]:
        """A call that bob has answered and alice has acknowledged; returns both sessions."""
        calling = self.call()
        self.wire.run(0)
        called = self.offered()
        self.wire.put(BOB, self.bob.accept(called, body=ANSWER, now=self.now))
        self.wire.run(0)
        return calling, called

    def offered(self) -> str:
        """The session of bob's last `InviteReceived`."""
        return [event.session for event in self.events(BOB) if isinstance(event, InviteReceived)][-1]

    def events(self, address: Endpoint) -> list[Event]:
        """What has happened to one of them, in order."""
        return [event for _, where, event in self.wire.events if where == address]

    def names(self, address: Endpoint) -> list[str]:
        """The same as class names."""
        return [type(event).__name__ for event in self.events(address)]

    def first_lines(self, source: Endpoint) -> list[str]:
        """The start of each message that one of them sent: method, or status."""
        lines = [datagram.first_line for datagram in self.wire.sent if datagram.source == source]
        return [line.split()[1] if line.startswith("SIP/") else line.split()[0] for line in lines]

    def at_rest(self) -> bool:
        """Neither stack holds anything, and neither has met a fault of its own."""
        empty = not any(self.alice.counts().values()) and not any(self.bob.counts().values())
        return empty and not self.alice.defects and not self.bob.defects
