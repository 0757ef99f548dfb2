"""RELAY on real sockets of the loopback, before calls that only keep a diary."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp

from cordboard.call.actions import CallInfo
from cordboard.call.effects import CallStateChanged, CommandAnswered, Happening
from cordboard.call.reasons import Ending
from cordboard.events.bodies import envelope
from cordboard.relay.connection import Patience
from cordboard.relay.session import Limits
from cordboard.server.compiled_documents import CompiledDocuments
from cordboard.server.control import GONE, Control
from cordboard.server.fetcher import DocumentFetcher
from cordboard.server.http_server import HttpServer
from cordboard.server.new_calls import NewCalls
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.projects import Projects
from cordboard.server.random_ids import new_id
from cordboard.server.relay_hub import Hub
from cordboard.server.relay_inbound import RelayInbound
from cordboard.server.relay_requests import RelayRequests
from cordboard.server.relay_server import RelayServer
from cordboard.server.relay_sessions import Setting
from cordboard.server.relay_stored import read
from cordboard.server.relay_transfers import RelayTransfers
from cordboard.server.routes import Routed

PROJECT, TOKEN = "one", "token-of-one"
OTHER, OTHER_TOKEN = "two", "token-of-two"


class Calls:
    """Stands where `Control` stands; what is asked of it is in `diary`."""

    def __init__(self) -> None:
        self.infos: dict[str, CallInfo] = {}
        self.diary: list[tuple[Any, ...]] = []
        self.answer: Callable[[Any], CommandAnswered | None] = lambda command: CommandAnswered(ticket="")

    def add(self, call_id: str, *, project: str = PROJECT, owner: str | None = None) -> CallInfo:
        info = CallInfo(
            call_id=call_id,
            node_id="node",
            segment_id="segment",
            project_id=project,
            space_id="space",
            session_id=call_id,
            call_state="created",
            direction="inbound",
            type="sip",
            from_="sip:alice@example.com",
            to="sip:office@example.com",
            owner=owner,
        )
        self.infos[call_id] = info
        return info

    def call(self, call_id: str) -> Any:
        info = self.infos.get(call_id)
        return SimpleNamespace(info=info) if info is not None else None

    def calls(self) -> list[Any]:
        return [SimpleNamespace(info=info) for info in self.infos.values()]

    def command(self, call_id: str, command: Any, answered: Callable[[CommandAnswered], None]) -> None:
        if call_id not in self.infos:
            answered(GONE)
            return
        self.diary.append(("command", call_id, type(command).__name__))
        answer = self.answer(command)
        if answer is not None:
            answered(answer)

    def dial(self, plan: Any, **about: Any) -> str:
        self.diary.append(("dial", about["owner"], about["tag"], about.get("call_id")))
        return "dial"

    def end(self, call_id: str, ending: Ending) -> None:
        self.diary.append(("end", call_id, ending.cause))

    def take(self, call_id: str, owner: str) -> None:
        self.infos[call_id].owner = owner
        self.diary.append(("take", call_id, owner))

    def lose(self, call_id: str, ending: Ending) -> None:
        if call_id in self.infos:
            self.infos[call_id].owner = None
        self.diary.append(("lose", call_id, ending.cause))

    def give_driver(self, call_id: str, driver: Any) -> None:
        self.diary.append(("give_driver", call_id))

    def did(self, what: str) -> list[tuple[Any, ...]]:
        return [entry[1:] for entry in self.diary if entry[0] == what]


class Client:
    """The far end: asks, and keeps what it is told."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.events: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []
        self.protocol = ""
        self.acks = True
        self._ids = itertools.count()
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def connect(self, **params: Any) -> dict[str, Any]:
        """The answer to `signalwire.connect`."""
        known = {"project": params.pop("project", PROJECT), "token": params.pop("token", TOKEN)}
        told = {"authentication": known, "contexts": ["office"], "event_acks": True, **params}
        self.acks = told["event_acks"]
        answer = await self.ask("signalwire.connect", told)
        self.protocol = answer.get("result", {}).get("protocol", "")
        return answer

    async def ask(self, method: str, params: Any = None, id_: str = "") -> dict[str, Any]:
        id_ = id_ or f"request-{next(self._ids)}"
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[id_] = future
        await self.send({"jsonrpc": "2.0", "id": id_, "method": method, "params": params or {}})
        async with asyncio.timeout(5.0):
            return await future

    async def send(self, frame: Any) -> None:
        await self.websocket.send_str(json.dumps(frame))

    async def event(self, kind: str, **values: Any) -> dict[str, Any]:
        """The params of the first event of that kind with these values, once it has come."""
        async with asyncio.timeout(5.0):
            while True:
                for event in self.events:
                    params = event["params"]["params"]
                    if event["params"]["event_type"] == kind and values.items() <= params.items():
                        return cast(dict[str, Any], params)
                self._more.clear()
                await self._more.wait()

    async def closed(self) -> int | None:
        """Wait for it; the close code."""
        async with asyncio.timeout(5.0):
            await self._reading
        return self.websocket.close_code

    async def cut(self) -> None:
        """Without a goodbye."""
        self._reading.cancel()
        transport = self.websocket.get_extra_info("socket")
        assert transport is not None
        connection = self.websocket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def forget(self) -> None:
        """Leave nothing behind."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        async with asyncio.timeout(5.0):
            await self.websocket.close()
        self.websocket._response.close()

    async def _read(self) -> None:
        async for message in self.websocket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            frame = json.loads(message.data)
            if frame.get("method") == "signalwire.event":
                self.events.append(frame)
                if self.acks:
                    await self.send({"jsonrpc": "2.0", "id": frame["id"], "result": {}})
            elif "method" in frame:
                self.others.append(frame)
            elif frame["id"] in self._answers:
                self._answers.pop(frame["id"]).set_result(frame)
            else:
                self.others.append(frame)
            self._more.set()


class Bench:
    """A hub with all that is around it, except calls."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        patience: Patience | None = None,
        most: int = 100,
        most_of_a_source: int = 50,
        sessions: Path | None = None,
        signing_key: str = "key",
    ) -> None:
        """`sessions`: where they outlive the process."""
        self.sessions = sessions
        self.calls = Calls()
        self.stopping = False
        self.closed_because = ""
        control = cast(Control, self.calls)
        setting = Setting(
            node_id="node",
            space_id="space",
            signing_key=signing_key,
            limits=limits or Limits(),
            patience=patience or Patience(),
        )
        self.projects = Projects({PROJECT: (TOKEN,), OTHER: (OTHER_TOKEN,)})
        self.hub = Hub(control, self.projects, setting, new_id)
        new_calls = NewCalls(
            envs={},
            new_id=new_id,
            domain="host",
            node_id="node",
            space_id="space",
            compiled=CompiledDocuments(),
        )
        self.inbound = RelayInbound(self.hub, control, new_calls, PROJECT)
        policy = OutboundPolicy(allow_private=True, allowed_networks=(), hosts={})
        self.documents = DocumentFetcher(policy, signing_key="key")
        self._tasks: set[asyncio.Task[None]] = set()
        requests = RelayRequests(
            self.hub,
            control,
            self.inbound,
            RelayTransfers(control, new_calls, self.inbound, self.documents, {}, self._spawn),
            node_id="node",
            new_id=new_id,
            closed_because=lambda: self.closed_because,
        )
        self.hub.perform, self.hub.watcher = requests.perform, self.inbound
        self.sockets = RelayServer(
            self.hub, most=most, most_of_a_source=most_of_a_source, is_stopping=lambda: self.stopping
        )
        self.http = HttpServer("127.0.0.1", 0)
        self.http.upgrades = self.sockets.answer
        self._session: aiohttp.ClientSession
        self._clients: list[Client] = []

    @property
    def url(self) -> str:
        return self.http.base_url

    async def client(self, path: str = "/", **options: Any) -> Client:
        """A socket, not yet connected."""
        made = Client(await self._session.ws_connect(self.url + path, **options))
        self._clients.append(made)
        return made

    async def connected(self, **params: Any) -> Client:
        client = await self.client()
        assert "result" in await client.connect(**params)
        return client

    def happen(self, call_id: str, state: str) -> None:
        """As the recorder tells it."""
        info = self.calls.infos[call_id]
        info.call_state = state
        self.report(info, CallStateChanged(state=state))

    def report(self, info: CallInfo, happening: Happening) -> None:
        body = envelope(happening, info, timestamp=time.time())
        self.hub.listen(info, happening, body)
        self.inbound.listen(info, happening, body)

    def offer(self, call_id: str, **options: Any) -> CallInfo:
        """A call comes in for the context."""
        info = self.calls.add(call_id, project=options.pop("project", PROJECT))
        self.inbound.offer(info, Routed(context="office", **options))
        return info

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5.0):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def _spawn(self, work: Coroutine[Any, Any, None], call_id: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def start(self) -> None:
        if self.sessions is not None:
            self.hub.restore(read(self.sessions))
            self.hub.open_journal(self.sessions)
        await self.http.start()
        self._session = aiohttp.ClientSession()

    async def stop(self) -> None:
        await self.sockets.stop(0.2)
        await self.hub.journal.close()
        self.inbound.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*[client.forget() for client in self._clients])
        await self._session.close()
        await self.documents.close()
        await self.http.stop()


@asynccontextmanager
async def bench(**options: Any) -> AsyncIterator[Bench]:
    made = Bench(**options)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
