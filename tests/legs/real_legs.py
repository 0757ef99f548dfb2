"""SIP legs on real sockets of loopback, with the test as the shell, that call simulated phones."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from cordboard.call.effects import Dial, EndLeg, HoldLeg, ReferLeg
from cordboard.call.facts import Fact, LegAnswered
from cordboard.call.plan import Destination
from cordboard.call.reasons import ending
from cordboard.legs.outputs import Happened, MediaOrder, OpenMedia, Output, ResolveTarget, Route, Target
from cordboard.legs.rules import LegRules
from cordboard.legs.sip_legs import Identity, SipLegs
from cordboard.media.protocol import EndpointOpened, SetRemote
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import SendMessage
from cordboard.sip.stack import SipStack
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_sockets import UdpSocket
from cordboard.testing.phone_streams import PhoneStreams, TlsContexts

CALL = "the-call"
_Fact = TypeVar("_Fact", bound=Fact)


class RealLegs:
    """One dialled leg.  `packets` counts what the phone has said to its endpoint."""

    def __init__(self, tls: TlsContexts | None = None, rules: LegRules | None = None) -> None:
        self._tls, self._rules = tls, rules or LegRules()
        self.facts: list[Fact] = []
        self.orders: list[SetRemote] = []
        self.packets = 0
        self.lost: Callable[[bytes], bool] = lambda data: False
        """What does not reach the phone."""
        self._timer: asyncio.TimerHandle | None = None
        self._told = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._udp = UdpSocket("127.0.0.1", 0, self._received)
        self._rtp = UdpSocket("127.0.0.1", 0, self._heard)
        self._streams = PhoneStreams(self._take, lambda peer: None, self._tls)
        stack = SipStack(local=Endpoint("UDP", *self._udp.address), token=lambda: secrets.token_hex(8))
        ours = Identity(
            new_id=lambda: secrets.token_hex(8), node_id="n", project_id="p", space_id="s", domain="d.example"
        )
        self.legs = SipLegs(stack, ours, may_call=lambda address: True, max_legs=10, rules=self._rules)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.do(self.legs.end(CALL, EndLeg(ending=ending("hangup_script")), self.now))
        if self._timer is not None:
            self._timer.cancel()
        for one in (self._udp, self._rtp, self._streams):
            one.close()

    @property
    def now(self) -> float:
        return self._loop.time()

    # ------------------------------------------------------------ what the test does

    async def call(self, phone: SimulatedPhone, transport: str = "UDP") -> PhoneCall:
        """Dial the phone, until it is up."""
        uri = phone.uri(transport=None if transport == "UDP" else transport.lower())
        port = int(uri.rpartition(":")[2].partition(";")[0])
        self._place = Endpoint(transport, "127.0.0.1", port, "localhost" if transport == "TLS" else "")
        self._uri = uri
        effect = Dial(
            call_id=CALL,
            parent="",
            session_id="s",
            destination=Destination(kind="sip", to=uri),
            from_="+15550001",
        )
        self.do(self.legs.dial(effect, self.now))
        call = await phone.next_call()
        await self.next_fact(LegAnswered)
        return call

    def refer(self, to: str, username: str | None = None, password: str | None = None) -> None:
        effect = ReferLeg(to=to, username=username, password=password, headers=(("X-Case", "7"),))
        self.do(self.legs.refer(CALL, effect, self.now))

    def hold(self, on: bool) -> None:
        self.do(self.legs.hold(CALL, HoldLeg(on=on), self.now))

    async def next_fact(self, kind: type[_Fact], *, within: float = 5.0) -> _Fact:
        """The first of that kind that has not been asked for; those before it are forgotten."""
        async with asyncio.timeout(within):
            while True:
                while self.facts:
                    fact = self.facts.pop(0)
                    if isinstance(fact, kind):
                        return fact
                self._told.clear()
                await self._told.wait()

    # ------------------------------------------------------------ the shell

    def do(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, SendMessage):
                self._send(output)
            elif isinstance(output, OpenMedia):
                address, port = self._rtp.address
                opened = EndpointOpened(endpoint_id=output.call_id, address=address, port=port)
                self.do(self.legs.media_opened(opened, self.now))
            elif isinstance(output, ResolveTarget):
                target = Target(request_uri=self._uri, endpoint=self._place)
                self.do(self.legs.resolved(output.call_id, Route(targets=(target,)), self.now))
            elif isinstance(output, MediaOrder):
                self.orders.append(output.command)
            elif isinstance(output, Happened):
                self.facts.append(output.fact)
                self._told.set()
        self._rearm()

    def _send(self, message: SendMessage) -> None:
        peer = message.destination
        if self.lost(message.data):
            return
        if peer.transport == "UDP":
            self._udp.send(message.data, (peer.address, peer.port))
        else:
            self._streams.send(message.data, peer)

    def _received(self, data: bytes, source: tuple[str, int]) -> None:
        self._take(data, Endpoint("UDP", *source))

    def _take(self, data: bytes, source: Endpoint) -> None:
        self.do(self.legs.receive(data, source, self.now))

    def _heard(self, data: bytes, source: tuple[str, int]) -> None:
        self.packets += 1

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.legs.next_timeout()
        self._timer = None if due is None else self._loop.call_at(due, self._timed_out)

    def _timed_out(self) -> None:
        self.do(self.legs.handle_timeout(self.now))
