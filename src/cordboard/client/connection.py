"""One session with a server: requests out, events in, over as many sockets as it takes.

A socket that is lost is replaced, and the session goes on (`protocol` of `signalwire.connect`): the server
sends again what it has no proof of, and what came twice is dropped here by its id.  So events come in order,
once each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import ssl
import uuid
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from cordboard.client.errors import AuthenticationError, ConnectionLostError, RequestError

Json = dict[str, Any]

_log = logging.getLogger("cordboard.client")

AGENT = "cordboard-python"
REQUEST_TIMEOUT = 10.0
"""Seconds for an answer; a server answers at once, or it is not there any more."""
_WAIT_FOR_SOCKET = 30.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0
_HEARTBEAT = 20.0
_LARGEST_MESSAGE = 10 << 20
_REMEMBERED = 5_000
"""Ids of events, to tell those that come twice."""
_AUTHENTICATION_FAILED = -32002


class Connection:
    """Use `open`, `request`, `close`.  `on_event` gets (event type, body).

    `on_forgotten`: the server has come back, and knows nothing of the session any more.
    """

    def __init__(
        self,
        url: str,
        *,
        project: str,
        token: str,
        contexts: Callable[[], list[str]],
        on_event: Callable[[str, Json], None],
        on_forgotten: Callable[[], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._authentication = {"project": project, "token": token}
        self._contexts = contexts
        self._on_event = on_event
        self._on_forgotten = on_forgotten
        self._tls = tls
        self._protocol: str | None = None
        self._authorization_state: str | None = None
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._open = asyncio.Event()
        self._pending: dict[str, asyncio.Future[Json]] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._keeper: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self.connected = 0
        """Sockets so far that were accepted."""
        self.restored = False
        """The last socket took up an earlier session."""

    @property
    def is_open(self) -> bool:
        """There is a socket, and the server has accepted the credentials."""
        return self._open.is_set()

    async def open(self) -> None:
        """Connect.  Raises `AuthenticationError`, and OSError or aiohttp.ClientError where nobody answers."""
        self._http = aiohttp.ClientSession()
        try:
            socket = await self._connect()
        except BaseException:
            await self._http.close()
            raise
        self._keeper = asyncio.create_task(self._keep(socket))

    async def close(self) -> None:
        """No event comes after this; the server keeps the session for a while."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()
        self._fail_pending(ConnectionLostError("the client was closed"))

    async def request(self, method: str, params: Json) -> Json:
        """The result.  Raises `RequestError`, `ConnectionLostError`, `AuthenticationError`."""
        try:
            async with asyncio.timeout(_WAIT_FOR_SOCKET):
                await self._wait_open()
        except TimeoutError:
            raise ConnectionLostError(f"{method}: there is no connection to {self._url}") from None
        assert self._socket is not None
        answer = await self._ask(self._socket, method, params)
        if "error" in answer:
            error = answer["error"]
            raise RequestError(method, str(error.get("code", "")), str(error.get("message", "")))
        result: Json = answer.get("result") or {}
        code = str(result.get("code", "200"))
        if not (len(code) == 3 and code.startswith("2")):
            raise RequestError(method, code, str(result.get("message", "")))
        return result

    async def _wait_open(self) -> None:
        while not self._open.is_set():
            if self._failure is not None:
                raise self._failure
            await self._open.wait()
        if self._failure is not None:
            raise self._failure

    async def _ask(self, socket: aiohttp.ClientWebSocketResponse, method: str, params: Json) -> Json:
        request_id = str(uuid.uuid4())
        answered: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = answered
        frame = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        try:
            await socket.send_str(json.dumps(frame))
            # Not `wait_for`: that swallows a cancellation which comes together with the answer (Python 3.11).
            async with asyncio.timeout(REQUEST_TIMEOUT):
                return await answered
        except TimeoutError:
            await socket.close()
            raise ConnectionLostError(f"{method}: no answer within {REQUEST_TIMEOUT:.0f} s") from None
        except (OSError, aiohttp.ClientError) as error:
            raise ConnectionLostError(f"{method}: {error}") from error
        finally:
            self._pending.pop(request_id, None)

    # ------------------------------------------------------------ sockets

    async def _keep(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Read; connect again whenever the socket is gone."""
        while True:
            await self._read(socket)
            self._open.clear()
            self._socket = None
            self._fail_pending(ConnectionLostError("the connection to the server broke"))
            again = await self._connect_again()
            if again is None:
                return
            socket = again

    async def _connect_again(self) -> aiohttp.ClientWebSocketResponse | None:
        pause = _SHORTEST_PAUSE
        while True:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            try:
                return await self._connect()
            except AuthenticationError as error:
                _log.error("%s does not accept this project and token any more", self._url)
                self._failure = error
                self._open.set()
                return None
            except (OSError, aiohttp.ClientError, ConnectionLostError, RequestError, TimeoutError) as error:
                _log.info("%s cannot be reached: %s; trying again", self._url, error)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        assert self._http is not None
        options: Json = {} if self._tls is None else {"ssl": self._tls}
        async with asyncio.timeout(REQUEST_TIMEOUT):
            socket = await self._http.ws_connect(
                self._url, heartbeat=_HEARTBEAT, max_msg_size=_LARGEST_MESSAGE, **options
            )
        reading = asyncio.create_task(self._read_one_answer(socket))
        try:
            self._accept(socket, await self._ask(socket, "signalwire.connect", self._connect_params()))
        except BaseException:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await socket.close()
            raise
        await reading
        return socket

    async def _read_one_answer(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Until `signalwire.connect` is answered; what else comes is taken too."""
        while any(not answered.done() for answered in self._pending.values()):
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                self._fail_pending(ConnectionLostError("the server closed the connection"))
                return
            await self._take(socket, message.data)

    def _connect_params(self) -> Json:
        params: Json = {
            "version": {"major": 3, "minor": 0, "revision": 0},
            "agent": AGENT,
            "event_acks": True,
            "authentication": self._authentication,
        }
        if contexts := self._contexts():
            params["contexts"] = contexts
        if self._protocol is not None:
            params["protocol"] = self._protocol
        if self._authorization_state is not None:
            params["authorization_state"] = self._authorization_state
        return params

    def _accept(self, socket: aiohttp.ClientWebSocketResponse, answer: Json) -> None:
        if "error" in answer:
            error = answer["error"]
            message = str(error.get("message", ""))
            if error.get("code") == _AUTHENTICATION_FAILED:
                raise AuthenticationError(message or "the server does not accept this project and token")
            raise RequestError("signalwire.connect", str(error.get("code", "")), message)
        result: Json = answer.get("result") or {}
        self._protocol = result.get("protocol") or self._protocol
        self.restored = bool(result.get("session_restored"))
        self.connected += 1
        self._socket = socket
        self._open.set()
        if self.connected > 1 and result.get("session_restored") is False:
            self._on_forgotten()

    # ------------------------------------------------------------ frames

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        with contextlib.suppress(OSError, aiohttp.ClientError):
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._take(socket, message.data)

    async def _take(self, socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
        try:
            frame = json.loads(text)
        except ValueError:
            return
        if not isinstance(frame, dict):
            return
        if "method" not in frame:
            answered = self._pending.get(str(frame.get("id")))
            if answered is not None and not answered.done():
                answered.set_result(frame)
            return
        await self._serve(socket, frame)

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse, frame: Json) -> None:
        """What the server asks: it is answered first, as the server may wait for that."""
        method, params = frame["method"], frame.get("params") or {}
        result: Json = {}
        if method == "signalwire.ping" and "timestamp" in params:
            result = {"timestamp": params["timestamp"]}
        if "id" in frame:
            with contextlib.suppress(OSError, aiohttp.ClientError):
                await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": result}))
        if method == "signalwire.event":
            self._event(str(frame.get("id", "")), params)
        elif method == "signalwire.disconnect" and params.get("restart"):
            self._protocol = self._authorization_state = None

    def _event(self, event_id: str, params: Json) -> None:
        if event_id:
            if event_id in self._seen:
                return
            self._seen[event_id] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        event_type, body = str(params.get("event_type", "")), params.get("params") or {}
        if event_type == "signalwire.authorization.state":
            self._authorization_state = body.get("authorization_state")
            return
        try:
            self._on_event(event_type, body)
        except Exception:
            _log.exception("an event could not be handled: %s", event_type)

    def _fail_pending(self, error: Exception) -> None:
        for answered in list(self._pending.values()):
            if not answered.done():
                answered.set_exception(error)


class Tasks:
    """Tasks that belong to a client: none is forgotten, and what goes wrong in one is logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def cancel(self) -> None:
        """End all."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)
