"""A call, as a program sees it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from cordboard.client.devices import Device, PhoneParams, SipParams, Whom, groups_of, phone, sip
from cordboard.client.errors import CallEndedError, ConnectError, RequestError
from cordboard.client.operable_call import OperableCall, given
from cordboard.client.playlist import What, items_of

if TYPE_CHECKING:
    from cordboard.client.client import Client

Json = dict[str, Any]

STATES = ("created", "ringing", "answered", "ending", "ended")
_GONE = ("404", "410")


class Call(OperableCall):
    """One leg: a phone, a SIP device.  A peer is a call like any other.

    As an asynchronous context it is hung up when the block is left.
    """

    def __init__(self, client: Client, body: Json) -> None:
        super().__init__()
        self._client = client
        self._changed = asyncio.Event()
        self._connect: _Connecting | None = None
        self.id = str(body.get("call_id", ""))
        self.node_id = str(body.get("node_id", ""))
        self.state = ""
        """One of `STATES`."""
        self.direction = ""
        """`inbound` or `outbound`."""
        self.device: Device = {}
        """`{type, params}` as the server tells it."""
        self.context = ""
        """Where an inbound call came in."""
        self.tag = ""
        self._end_reason = ""
        self.connect_state = ""
        """`connecting`, `connected`, `failed` or `disconnected`: the last connect of this call."""
        self.peer: Call | None = None
        """The call that it is connected with."""
        self.update(body)

    def __repr__(self) -> str:
        return f"<Call {self.id} {self.direction} {self.type} {self.from_} -> {self.to} {self.state}>"

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.has_ended:
            await self.hangup()

    # ------------------------------------------------------------ what is known

    @property
    def type(self) -> str:
        """`phone` or `sip`."""
        return str(self.device.get("type", ""))

    @property
    def params(self) -> Json:
        """Of the device."""
        params: Json = self.device.get("params", {})
        return params

    @property
    def from_(self) -> str:
        """A number or a SIP URI."""
        return str(self.params.get("from") or self.params.get("from_number") or "")

    @property
    def to(self) -> str:
        """A number or a SIP URI."""
        return str(self.params.get("to") or self.params.get("to_number") or "")

    @property
    def from_name(self) -> str:
        """The display name of the caller."""
        return str(self.params.get("from_name") or "")

    @property
    def headers(self) -> dict[str, str]:
        """The X- headers of the INVITE."""
        return {header["name"]: header["value"] for header in self.params.get("headers") or []}

    @property
    def has_ended(self) -> bool:
        """It is over."""
        return self.state == "ended"

    @property
    def end_reason(self) -> str:
        """`hangup`, `busy`, `noAnswer`, `decline`, `cancel`, `error`, …, once it has ended."""
        return self._end_reason

    # ------------------------------------------------------------ life

    async def answer(self, *, max_duration: int | None = None) -> Call:
        """Answer an inbound call; returns when it is answered.  `max_duration`: seconds."""
        await self.request("answer", **given(max_duration=max_duration))
        await self.wait_for("answered")
        return self

    async def hangup(self, reason: str = "hangup") -> None:
        """End it; returns when it has ended.  `reason`: `hangup`, `busy`, `decline`, `noAnswer`, `cancel`."""
        if self.has_ended:
            return
        try:
            await self.request("end", reason=reason)
        except CallEndedError:
            return
        await self.ended()

    async def pass_(self) -> None:
        """Give an inbound call back: it is offered to another client of its context."""
        await self.request("pass")

    async def wait_for(self, *states: str, timeout: float | None = None) -> str:
        """Wait until the call is in one of these states; which.

        Raises `CallEndedError` if it ended instead, ValueError for a state that there is not.
        """
        if unknown := [state for state in states if state not in STATES]:
            raise ValueError(f"there is no state {unknown[0]!r}; the states are {', '.join(STATES)}")

        def reached() -> bool:
            return self.state in states or self.has_ended

        async with asyncio.timeout(timeout):
            await self._until(reached)
        if self.state not in states:
            raise CallEndedError(self.end_reason)
        return self.state

    async def ended(self, timeout: float | None = None) -> str:
        """Wait for the end; its reason."""
        await self.wait_for("ended", timeout=timeout)
        return self.end_reason

    # ------------------------------------------------------------ connect

    async def connect(
        self,
        whom: Whom,
        *,
        ringback: What | None = None,
        max_price_per_minute: float | None = None,
        max_duration: int | None = None,
        status_url: str | None = None,
    ) -> Call:
        """Connect with the first device that answers; that is the peer.

        `ringback`: what this call hears meanwhile.  `max_price_per_minute`: US dollars, four decimals.
        `max_duration`: seconds of the connection.  `status_url`: is told of it by HTTP.
        The peer is a call of its own, and stays when this one ends.
        Raises `ConnectError`, `CallEndedError`, `RequestError`.
        """
        params = given(
            ringback=items_of(ringback) if ringback is not None else None,
            max_price_per_minute=max_price_per_minute,
            max_duration=max_duration,
            status_url=status_url,
        )
        connecting = self._connect = _Connecting(str(uuid.uuid4()))
        self._client.expect(connecting.tag)
        try:
            await self.request("connect", tag=connecting.tag, devices=groups_of(whom), **params)
            await self._until(lambda: connecting.state in ("connected", "failed") or self.has_ended)
        finally:
            self._client.expect_no_more(connecting.tag)
        if connecting.peer is not None:
            return connecting.peer
        if connecting.state == "failed":
            raise ConnectError(connecting.failed_reason)
        raise CallEndedError(self.end_reason)

    async def connect_sip(
        self,
        *,
        to: str,
        ringback: What | None = None,
        max_price_per_minute: float | None = None,
        **device: Unpack[SipParams],
    ) -> Call:
        """Connect with a SIP URI; the arguments are those of `devices.sip` and `connect`."""
        whom = sip(to=to, **device)
        return await self.connect(whom, ringback=ringback, max_price_per_minute=max_price_per_minute)

    async def connect_phone(
        self,
        *,
        to: str,
        ringback: What | None = None,
        max_price_per_minute: float | None = None,
        **device: Unpack[PhoneParams],
    ) -> Call:
        """Connect with a phone number; the arguments are those of `devices.phone` and `connect`."""
        whom = phone(to=to, **device)
        return await self.connect(whom, ringback=ringback, max_price_per_minute=max_price_per_minute)

    async def disconnected(self, timeout: float | None = None) -> Call:
        """Wait until this call is not connected with anybody any more."""

        def apart() -> bool:
            return self.connect_state not in ("connecting", "connected") or self.has_ended

        async with asyncio.timeout(timeout):
            await self._until(apart)
        return self

    async def disconnect(self) -> None:
        """Leave the peer; both calls stay up.  Returns when they are apart."""
        await self.request("disconnect")
        await self.disconnected()

    # ------------------------------------------------------------ the rest

    async def transfer(self, dest: str) -> None:
        """Give the call to a SWML document (its URL, or its text), or an inbound one to another context."""
        await self.request("transfer", dest=dest)

    async def refer(self, to: str, **params: Any) -> None:
        """Ask the far end to call a SIP URI (REFER).  `params`: `headers`, `username`, `password`."""
        await self.request("refer", device={"type": "sip", "params": {"to": to, **params}})

    async def hold(self) -> None:
        """Put the far end on hold."""
        await self.request("hold")

    async def unhold(self) -> None:
        """Take it back."""
        await self.request("unhold")

    async def request(self, method: str, **params: Any) -> Json:
        """Any method `calling.<method>` about this call; its result.

        Raises `CallEndedError` where the server does not know the call any more, `RequestError`,
        `ConnectionLostError`.
        """
        if self.has_ended:
            raise CallEndedError(self.end_reason)
        ids = {"node_id": self.node_id, "call_id": self.id}
        try:
            return await self._client.request(f"calling.{method}", {**ids, **params})
        except RequestError as refused:
            # `play.stop` and the like: the operation is gone, not the call.
            if refused.code not in _GONE or "." in method:
                raise
            self.lost()
            raise CallEndedError(self.end_reason) from refused

    # ------------------------------------------------------------ from the client

    def update(self, body: Json) -> None:
        """A call object: what it says is what is so."""
        self.state = str(body.get("call_state", self.state))
        self.direction = str(body.get("direction", self.direction))
        self.device = body.get("device", self.device)
        self.context = str(body.get("context", self.context))
        self.tag = str(body.get("tag", self.tag))
        if self.has_ended:
            self._end_reason = str(body.get("end_reason", self._end_reason))
            self._end_operations()
        self._wake()

    def take(self, event_type: str, body: Json) -> None:
        """Any other event about this call."""
        self._finish_operation(event_type, body)
        self._wake()

    def connect_changed(self, body: Json, peer: Call | None) -> None:
        """An event about the connect of this call."""
        self.connect_state = str(body.get("connect_state", ""))
        self.peer = peer if self.connect_state == "connected" else None
        if self._connect is not None:
            self._connect.take(body, peer)
        self._wake()

    def lost(self) -> None:
        """The server does not know it any more."""
        if not self.has_ended:
            self.update({"call_state": "ended", "end_reason": "notFound"})

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()


class _Connecting:
    """One connect of a call, until it has a peer or has failed."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.state = ""
        self.peer: Call | None = None
        self.failed_reason = ""

    def take(self, body: Json, peer: Call | None) -> None:
        if self.state in ("connected", "failed"):
            return
        self.state = str(body.get("connect_state", ""))
        self.failed_reason = str(body.get("failed_reason", ""))
        if self.state == "connected":
            self.peer = peer
