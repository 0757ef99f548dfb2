"""The client: connects, takes calls of its contexts, makes calls.

client = Client("project", "token", "ws://127.0.0.1:8080")

@client.on_call("office")
async def office(call: Call) -> None:
    await call.answer()
    peer = await call.connect_sip(to="sip:user2@example.com", from_="sip:user1@example.com", timeout=30)
    await call.play_tts("You are peer 1")
    await peer.play_tts("You are peer 2")
    await call.disconnected()
    await (await call.play_tts("The peer disconnected")).ended()
    await call.hangup()

client.run()
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

from cordboard.client.call import Call
from cordboard.client.connection import Connection, Tasks
from cordboard.client.devices import PhoneParams, SipParams, Whom, groups_of, phone, sip
from cordboard.client.errors import AuthenticationError, ConnectionLostError, DialError

Json = dict[str, Any]
OnCall = Callable[[Call], Coroutine[Any, Any, None]]

_log = logging.getLogger("cordboard.client")

DEFAULT_HOST = "ws://127.0.0.1:8080"
_LAST_WORDS = 1.0
"""Seconds that a server which has forgotten the session has to tell how its calls ended."""
_MOST_CALLS = 100_000


class Client:
    """`async with Client(…)` connects and closes; `run` does that and serves until it is interrupted.

    What is not given comes from the environment: `CORDBOARD_PROJECT`, `CORDBOARD_TOKEN`, `CORDBOARD_HOST`.
    `host`: `ws://host:port`, `wss://host:port`, or `host` for `wss://host`.  `ca_file`: PEM file with the
    certificates to trust, where they are private ones.
    """

    def __init__(
        self,
        project: str | None = None,
        token: str | None = None,
        host: str | None = None,
        *,
        ca_file: str | Path | None = None,
    ) -> None:
        self.project = project or os.environ.get("CORDBOARD_PROJECT", "")
        self.host = _url(host or os.environ.get("CORDBOARD_HOST", DEFAULT_HOST))
        token = token or os.environ.get("CORDBOARD_TOKEN", "")
        if not self.project or not token:
            raise ValueError(
                "project and token are needed: as arguments, or CORDBOARD_PROJECT and CORDBOARD_TOKEN"
            )
        tls = None
        if ca_file is not None:
            tls = ssl.create_default_context(cafile=str(ca_file))
        self._on_call: dict[str, OnCall] = {}
        self._calls: dict[str, Call] = {}
        self._dials: dict[str, asyncio.Future[Call]] = {}
        self._expected: set[str] = set()
        """Tags of what this client has asked for: calls that bear one are its own."""
        self._tasks = Tasks()
        self._connection = Connection(
            self.host,
            project=self.project,
            token=token,
            contexts=lambda: list(self._on_call),
            on_event=self._event,
            on_forgotten=self._forgotten,
            tls=tls,
        )
        self._is_open = False

    def __repr__(self) -> str:
        return f"<Client {self.project} {self.host}>"

    # ------------------------------------------------------------ life

    async def __aenter__(self) -> Client:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect.  Raises `AuthenticationError`; OSError or aiohttp.ClientError where nobody answers."""
        await self._connection.open()
        self._is_open = True

    async def close(self) -> None:
        """End what serves calls, and the connection.  The calls themselves stay."""
        self._is_open = False
        await self._tasks.cancel()
        await self._connection.close()

    async def serve(self) -> None:
        """Connect, and take calls until this is cancelled.  A server that is not there yet is waited for."""
        pause = 0.5
        while not self._is_open:
            try:
                await self.open()
            except AuthenticationError:
                raise
            except (OSError, ConnectionLostError) as error:
                _log.info("%s cannot be reached: %s; trying again", self.host, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, 15.0)
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    def run(self) -> None:
        """`serve`, until Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self.serve())

    # ------------------------------------------------------------ calls

    def on_call(self, context: str) -> Callable[[OnCall], OnCall]:
        """Decorates what takes the calls of a context.  Each call has a task of its own."""

        def decorate(handler: OnCall) -> OnCall:
            self._on_call[context] = handler
            if self._is_open:
                self._tasks.start(self._receive(context), f"receive {context}")
            return handler

        return decorate

    async def receive(self, context: str, handler: OnCall) -> None:
        """Take the calls of a context from now on."""
        self._on_call[context] = handler
        await self._receive(context)

    async def unreceive(self, context: str) -> None:
        """Take none of them any more."""
        self._on_call.pop(context, None)
        await self.request("signalwire.unreceive", {"contexts": [context]})

    async def dial(
        self,
        whom: Whom,
        *,
        region: str | None = None,
        max_price_per_minute: float | None = None,
        max_duration: int | None = None,
        timeout: float | None = None,
    ) -> Call:
        """Call the first of the devices that answers.

        `max_price_per_minute`: US dollars, four decimals.  `max_duration`: seconds of the call.
        Raises `DialError` with the reason, `RequestError`; TimeoutError after `timeout` seconds in all
        (each device has a ring time of its own).
        """
        tag = str(uuid.uuid4())
        answered: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._dials[tag] = answered
        self._expected.add(tag)
        params = {"tag": tag, "devices": groups_of(whom)}
        options = {
            "region": region,
            "max_price_per_minute": max_price_per_minute,
            "max_duration": max_duration,
        }
        try:
            await self.request("calling.dial", params | {k: v for k, v in options.items() if v is not None})
            async with asyncio.timeout(timeout):
                return await answered
        finally:
            self._dials.pop(tag, None)
            self._expected.discard(tag)

    async def dial_sip(
        self, *, to: str, max_price_per_minute: float | None = None, **device: Unpack[SipParams]
    ) -> Call:
        """Call a SIP URI; the arguments are those of `devices.sip` and `dial`."""
        return await self.dial(sip(to=to, **device), max_price_per_minute=max_price_per_minute)

    async def dial_phone(
        self, *, to: str, max_price_per_minute: float | None = None, **device: Unpack[PhoneParams]
    ) -> Call:
        """Call a number; the arguments are those of `devices.phone` and `dial`."""
        return await self.dial(phone(to=to, **device), max_price_per_minute=max_price_per_minute)

    def call(self, call_id: str) -> Call | None:
        """One that this client knows of and that has not ended."""
        return self._calls.get(call_id)

    async def request(self, method: str, params: Json) -> Json:
        """Any request; its result.  Raises `RequestError`, `ConnectionLostError`."""
        return await self._connection.request(method, params)

    # ------------------------------------------------------------ for calls

    def expect(self, tag: str) -> None:
        """Calls that bear this tag are on their way."""
        self._expected.add(tag)

    def expect_no_more(self, tag: str) -> None:
        """They are here, or will not come."""
        self._expected.discard(tag)

    # ------------------------------------------------------------ events

    async def _receive(self, context: str) -> None:
        await self.request("signalwire.receive", {"contexts": [context]})

    def _event(self, event_type: str, body: Json) -> None:
        take = {
            "calling.call.receive": self._offered,
            "calling.call.state": self._state,
            "calling.call.dial": self._dialled,
            "calling.call.connect": self._connected,
        }.get(event_type)
        if take is not None:
            take(body)
        elif (call := self._calls.get(str(body.get("call_id", "")))) is not None:
            call.take(event_type, body)

    def _forgotten(self) -> None:
        self._tasks.start(self._give_up(list(self._calls.values()), list(self._dials.values())), "give up")

    async def _give_up(self, calls: list[Call], dials: list[asyncio.Future[Call]]) -> None:
        """What the server has left to say of them comes at once; nobody shall wait for more."""
        await asyncio.sleep(_LAST_WORDS)
        for call in calls:
            call.lost()
            self._calls.pop(call.id, None)
        for dial in dials:
            if not dial.done():
                dial.set_exception(ConnectionLostError("the server has forgotten the dial"))

    def _offered(self, body: Json) -> None:
        context = str(body.get("context", ""))
        handler = self._on_call.get(context)
        if handler is None:
            _log.warning("a call came for the context %s, which nobody takes here", context)
            return
        call = self._known(body)
        self._tasks.start(self._take(handler, call), f"call {call.id} of {context}")

    async def _take(self, handler: OnCall, call: Call) -> None:
        try:
            await handler(call)
        except Exception:
            _log.exception("the handler of call %s failed; the call is hung up", call.id)
            with contextlib.suppress(Exception):
                await call.hangup()

    def _state(self, body: Json) -> None:
        call_id = str(body.get("call_id", ""))
        call = self._calls.get(call_id)
        if call is not None:
            call.update(body)
        elif body.get("tag") in self._expected and body.get("call_state") != "ended":
            call = self._known(body)
        if call is not None and call.has_ended:
            self._calls.pop(call_id, None)

    def _dialled(self, body: Json) -> None:
        waiting = self._dials.get(str(body.get("tag", "")))
        if waiting is None or waiting.done():
            return
        state = body.get("dial_state")
        if state == "answered":
            waiting.set_result(self._known(body.get("call") or {}))
        elif state == "failed":
            waiting.set_exception(DialError(str(body.get("reason", "error"))))

    def _connected(self, body: Json) -> None:
        call = self._calls.get(str(body.get("call_id", "")))
        if call is None:
            return
        told = body.get("peer")
        peer = None
        if told and body.get("connect_state") == "connected":
            peer = self._known({"direction": "outbound", "call_state": "answered", **told})
            peer.peer = call
        elif call.peer is not None:
            call.peer.peer = None
        call.connect_changed(body, peer)

    def _known(self, body: Json) -> Call:
        """The call of that body, which is up to date then."""
        call = self._calls.get(str(body.get("call_id", "")))
        if call is not None:
            call.update(body)
            return call
        call = Call(self, body)
        if len(self._calls) >= _MOST_CALLS:
            self._calls.pop(next(iter(self._calls)))
        if not call.has_ended:
            self._calls[call.id] = call
        return call


def _url(host: str) -> str:
    return host if host.startswith(("ws://", "wss://")) else f"wss://{host}"
