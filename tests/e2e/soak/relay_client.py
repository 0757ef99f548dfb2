"""A client of RELAY on a raw WebSocket, whose connection breaks, and who writes a diary of all it is told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import aiohttp

from .relay_subject import PROJECT, TOKEN

Json = dict[str, Any]
_PATIENCE = 60.0
"""Seconds for an answer, with all losses of the connection meanwhile."""


class ClientDeadError(Exception):
    """It was killed in the middle of what it did."""


class Told(NamedTuple):
    """An event."""

    event_type: str
    channel: str
    params: Json


class Asked(NamedTuple):
    """A request."""

    method: str
    params: Json


class CallView:
    """A call as its client knows it."""

    def __init__(self, call_id: str, node_id: str) -> None:
        self.call_id = call_id
        self.node_id = node_id
        self.states: list[str] = []
        self.changed = asyncio.Event()

    @property
    def is_over(self) -> bool:
        return "ended" in self.states

    async def until(self, true: Callable[[], bool], within: float) -> bool:
        """Whether it became true in time."""
        try:
            async with asyncio.timeout(within):
                while not true():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True


class RelayClient:
    """`acks`: it answers events; otherwise it answers the server's pings only, as older SDKs do."""

    def __init__(
        self,
        url: str,
        http: aiohttp.ClientSession,
        *,
        acks: bool = True,
        contexts: Sequence[str] = (),
        credentials: tuple[str, str] = (PROJECT, TOKEN),
    ) -> None:
        self._url = url
        self._http = http
        self._acks = acks
        self._contexts = list(contexts)
        self._credentials = credentials
        self.protocol = ""
        self.names: list[str] = []
        """All protocol strings that it has had."""
        self.diary: list[Told] = []
        self.repeated = 0
        """Events that came again over another socket."""
        self.farewells: list[Json] = []
        """Params of `signalwire.disconnect`."""
        self.told_before_farewell: list[int] = []
        """Events before each of them."""
        self.asked: dict[str, Asked] = {}
        self.results: dict[str, list[Json]] = {}
        self.calls: dict[str, CallView] = {}
        self.dials: dict[str, asyncio.Future[Json]] = {}
        """Tag → the event that decided the dial."""
        self.on_offer: Callable[[CallView], None] = lambda call: None
        self.on_peer: Callable[[CallView], None] = lambda call: None
        """Told of each call that a connect makes."""
        self.connected = 0
        self.forgotten = 0
        """Times that the server did not know the session any more."""
        self.close_codes: list[int | None] = []
        self.is_dead = False
        self.away: Callable[[], float] = lambda: 0.05
        """Seconds until it comes back."""
        self.may_come = asyncio.Event()
        """Unset while it stays away."""
        self.may_come.set()
        self._seen: set[str] = set()
        self._ids = itertools.count()
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._more = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ its life

    async def start(self) -> None:
        """Connect, and stay connected."""
        self._keeping = asyncio.create_task(self._keep())
        await self.until(lambda: self.connected > 0, 30.0)

    async def stop(self) -> None:
        """Go without a goodbye, for good."""
        self.is_dead = True
        self.cut()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        for waiting in (*self._waiting.values(), *self.dials.values()):
            if not waiting.done():
                waiting.set_exception(ClientDeadError())
                waiting.exception()  # nobody may be waiting for it

    def cut(self) -> None:
        """The connection breaks in the middle of whatever is on it."""
        socket = self._socket
        if socket is None or socket._response.connection is None:
            return
        transport = socket._response.connection.transport
        if transport is not None:
            transport.abort()

    async def until(self, true: Callable[[], bool], within: float) -> None:
        """Wait for what depends on messages; TimeoutError."""
        async with asyncio.timeout(within):
            while not true():
                self._more.clear()
                await self._more.wait()

    async def leave(self) -> None:
        """The connection breaks, and it does not come back before `may_come` is set."""
        self.may_come.clear()
        self.cut()
        await self.until(lambda: self._socket is None, 30.0)

    async def _keep(self) -> None:
        while not self.is_dead:
            await self.may_come.wait()
            with contextlib.suppress(OSError, aiohttp.ClientError):
                await self._one_socket()
            self._socket = None
            self._pulse()
            await asyncio.sleep(self.away())

    async def _one_socket(self) -> None:
        socket = await self._http.ws_connect(self._url, max_msg_size=0)
        try:
            params: Json = {
                "version": {"major": 3, "minor": 0, "revision": 0},
                "authentication": dict(zip(("project", "token"), self._credentials, strict=True)),
                "event_acks": self._acks,
                "contexts": self._contexts,
            }
            if self.protocol:
                params["protocol"] = self.protocol
            await socket.send_str(_frame(f"connect-{next(self._ids)}", "signalwire.connect", params))
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._take(socket, json.loads(message.data))
        finally:
            self.close_codes.append(socket.close_code)
            await socket.close()

    def _pulse(self) -> None:
        self._more.set()

    # ------------------------------------------------------------ what comes

    async def _take(self, socket: aiohttp.ClientWebSocketResponse, frame: Json) -> None:
        if "method" not in frame:
            await self._answered(socket, frame)
        elif frame["method"] == "signalwire.event":
            self._event(frame)
            if self._acks:
                await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": {}}))
        elif frame["method"] == "signalwire.disconnect":
            self.farewells.append(frame["params"])
            self.told_before_farewell.append(len(self.diary))
            if frame["params"].get("restart"):
                self.protocol = ""
            await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": {}}))
        self._pulse()

    async def _answered(self, socket: aiohttp.ClientWebSocketResponse, frame: Json) -> None:
        request_id = frame["id"]
        if request_id.startswith("connect-"):
            result = frame["result"]
            known, self.protocol = self.protocol, result["protocol"]
            self.forgotten += bool(known) and not (result["session_restored"] and known == self.protocol)
            if self.protocol not in self.names:
                self.names.append(self.protocol)
            self.connected += 1
            self._socket = socket
            for waiting in list(self._waiting):  # nobody knows whether the server had them
                await socket.send_str(_frame(waiting, *self.asked[waiting]))
            return
        self.results.setdefault(request_id, []).append(frame)
        waiting_for = self._waiting.pop(request_id, None)
        if waiting_for is not None and not waiting_for.done():
            waiting_for.set_result(frame)

    def _event(self, frame: Json) -> None:
        if frame["id"] in self._seen:
            self.repeated += 1
            return
        self._seen.add(frame["id"])
        event = frame["params"]
        kind, params = event["event_type"], event["params"]
        self.diary.append(Told(kind, event["event_channel"], params))
        if kind == "calling.call.dial":
            decided = self.dials.get(params["tag"])
            if params["dial_state"] != "dialing" and decided is not None and not decided.done():
                decided.set_result(params)
        if kind in ("calling.call.receive", "calling.call.state"):
            self._state(kind, params)

    def _state(self, kind: str, params: Json) -> None:
        call_id = params["call_id"]
        call = self.calls.setdefault(call_id, CallView(call_id, params["node_id"]))
        call.states.append(params["call_state"])
        call.changed.set()
        if kind == "calling.call.receive":
            self.on_offer(call)
        elif params["call_state"] == "created" and "peer" in params:
            self.on_peer(call)

    # ------------------------------------------------------------ what it asks

    async def ask(self, method: str, params: Json) -> Json:
        """The whole answer; a request that was under way when the connection broke is sent again."""
        if self.is_dead:
            raise ClientDeadError
        request_id = f"request-{next(self._ids)}"
        self.asked[request_id] = Asked(method, params)
        waiting: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = waiting
        if self._socket is not None:
            with contextlib.suppress(OSError, aiohttp.ClientError):
                await self._socket.send_str(_frame(request_id, method, params))
        try:
            async with asyncio.timeout(_PATIENCE):
                return await waiting
        except TimeoutError:
            raise AssertionError(f"{method} {params}: no answer") from None

    async def command(self, call: CallView, method: str, **params: Any) -> str:
        """Ask something of a call; the code of the answer."""
        about = {"node_id": call.node_id, "call_id": call.call_id}
        answer = await self.ask(f"calling.{method}", about | params)
        return str(answer.get("result", {}).get("code", answer.get("error")))

    async def dial(self, tag: str, devices: list[list[Json]]) -> Json | None:
        """The event that decides it; None if it was refused."""
        decided: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.dials[tag] = decided
        answer = await self.ask("calling.dial", {"tag": tag, "devices": devices})
        if answer.get("result", {}).get("code") != "200":
            return None
        return await decided

    def codes(self) -> Counter[str]:
        """Method and code of each answer."""
        return Counter(
            f"{self.asked[request_id].method} {frame.get('result', {}).get('code', 'error')}"
            for request_id, frames in self.results.items()
            for frame in frames
        )


def _frame(request_id: str, method: str, params: Json) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
