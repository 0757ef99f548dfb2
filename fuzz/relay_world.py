"""A server's RELAY without sockets, calls and clocks: what a fuzzer does to it is judged frame by frame.

Everything from the text of a message to the command of a call is the server's own (`Hub` and what it is
composed with); the loop, the far ends and the calls are made up, so a run is repeatable and takes no time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from cordboard import jsonrpc
from cordboard.call.actions import CallInfo
from cordboard.call.effects import CallStateChanged, CommandAnswered, DialStateChanged, Happening
from cordboard.call.reasons import Ending
from cordboard.events.bodies import envelope
from cordboard.relay.connection import Patience
from cordboard.relay.frames import Pong, Text
from cordboard.relay.session import Limits
from cordboard.server.compiled_documents import CompiledDocuments
from cordboard.server.control import GONE, Control
from cordboard.server.fetcher import DocumentFetcher
from cordboard.server.new_calls import NewCalls
from cordboard.server.projects import Projects
from cordboard.server.relay_hub import Hub
from cordboard.server.relay_inbound import RelayInbound
from cordboard.server.relay_requests import RelayRequests
from cordboard.server.relay_sessions import Client, Setting
from cordboard.server.relay_transfers import RelayTransfers
from cordboard.server.routes import Routed

TOKENS = {"one": "token-of-one", "two": "token-of-two"}
LIMITS = Limits(events=40, bytes=60_000, requests=12, remembered=8, without_socket=60.0)
_MOST_TIMERS = 20_000


class Loop:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, int, _Timer]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, work: Callable[..., None], *arguments: Any) -> _Timer:
        timer = _Timer(due, work, arguments)
        heapq.heappush(self._timers, (due, next(self._numbers), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Every timer goes off at its time."""
        end = self.now + seconds
        for _ in range(_MOST_TIMERS):
            if not self._timers or self._timers[0][0] > end:
                self.now = end
                return
            due, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, due)
            if timer.is_set:
                timer.work(*timer.arguments)
        raise AssertionError("timers go off without end")


class _Timer:
    def __init__(self, due: float, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._due = due
        self.work = work
        self.arguments = arguments
        self.is_set = True

    def cancel(self) -> None:
        self.is_set = False

    def when(self) -> float:
        return self._due


class Calls:
    """Stands where `Control` stands."""

    def __init__(self, happen: Callable[[CallInfo, Happening], None]) -> None:
        self.infos: dict[str, CallInfo] = {}
        self.projects: dict[str, str] = {}
        self.dials: list[CallInfo] = []
        self.waiting: list[Callable[[CommandAnswered], None]] = []
        self.answer: CommandAnswered | None = None
        """None: later."""
        self.knowers: dict[str, set[str]] = {}
        """By call, the sessions that may have heard of it."""
        self._happen = happen

    def add(self, project: str, *, owner: str | None = None, direction: str = "inbound") -> CallInfo:
        name = f"c{len(self.knowers)}"
        info = CallInfo(
            call_id=name,
            node_id="node",
            segment_id=name,
            project_id=project,
            space_id="space",
            session_id=name,
            call_state="created",
            direction=direction,
            type="sip",
            from_="sip:alice@example.com",
            to="sip:office@example.com",
            owner=owner,
        )
        self.infos[name] = info
        self.projects[name] = project
        self.knowers[name] = {owner} if owner else set()
        return info

    def call(self, call_id: str) -> Any:
        info = self.infos.get(call_id)
        return SimpleNamespace(info=info) if info is not None else None

    def calls(self) -> list[Any]:
        return [SimpleNamespace(info=info) for info in self.infos.values()]

    def command(self, call_id: str, command: Any, answered: Callable[[CommandAnswered], None]) -> None:
        if call_id not in self.infos:
            answered(GONE)
        elif self.answer is None:
            self.waiting.append(answered)
        else:
            answered(self.answer)

    def dial(self, plan: Any, **about: Any) -> str:
        info = self.add(about["project_id"], owner=about["owner"], direction="outbound")
        info.tag = about["tag"]
        self.dials.append(info)
        self._happen(info, DialStateChanged(state="dialing"))
        return info.call_id

    def end(self, call_id: str, ending: Ending) -> None:
        info = self.infos.pop(call_id, None)
        if info is not None:
            info.call_state = "ended"
            self._happen(info, CallStateChanged(state="ended", ending=ending))

    def take(self, call_id: str, owner: str) -> None:
        self.infos[call_id].owner = owner
        self.knowers[call_id].add(owner)

    def lose(self, call_id: str, ending: Ending) -> None:
        if call_id in self.infos:
            self.infos[call_id].owner = None

    def give_driver(self, call_id: str, driver: Any) -> None:
        self.infos[call_id].owner = None


class Line:
    """A client's socket, both ends: what is sent is judged at once, what the client has read is kept."""

    def __init__(self, world: World, source: str) -> None:
        self.source = source
        self.world = world
        self.is_open = True
        self.is_closing = False
        self.project = ""
        """Whose credentials it last showed."""
        self.protocol = ""
        self.asked: Counter[str] = Counter()
        """Requests without an answer, by id, of a socket that is not let in."""
        self.unread: list[tuple[Client | None, dict[str, Any]]] = []
        """With whom it was sent for."""
        self.pings: list[tuple[bytes, int]] = []
        """With how much was to be read before each."""
        self.last_said: str | bytes = b""
        self.number = world.hub.opened(self)

    # ------------------------------------------------------------ what the server sends

    def send(self, data: bytes) -> None:
        if self.is_closing or not self.is_open:
            return
        frame = msgspec.json.decode(data)
        if "method" not in frame:
            self.world.answered(self, frame)
        elif frame["method"] == "signalwire.event":
            self.world.judge_event(self, frame["params"])
        self.unread.append((self.world.client(self), frame))

    def ping(self, payload: bytes) -> None:
        if not self.is_closing:
            self.pings.append((payload, len(self.unread)))

    def close(self, code: int, reason: str) -> None:
        self.is_closing = True
        self.world.broke(self)

    # ------------------------------------------------------------ what the client does

    def say(self, text: str | bytes) -> None:
        """A text message; what has to be answered is counted."""
        if not self.is_open:
            return
        self.last_said = text
        if not self.is_closing:
            self._expect(text)
        self.world.hub.heard(self.number, Text(text))

    def _expect(self, text: str | bytes) -> None:
        message = jsonrpc.parse(text)
        if isinstance(message, jsonrpc.Response) or message.id is None:
            return
        if isinstance(message, jsonrpc.Request) and message.method == "signalwire.connect":
            known = message.params.get("authentication") if isinstance(message.params, dict) else None
            project = known.get("project") if isinstance(known, dict) else None
            if not self.protocol and isinstance(project, str):
                self.project = project
        self.world.expects(self)[_key(message.id)] += 1

    def pong(self, payload: bytes) -> None:
        if self.is_open:
            self.world.hub.heard(self.number, Pong(payload))

    def cut(self) -> None:
        """What was not read is lost."""
        if self.is_open:
            self.is_open = False
            self.unread.clear()
            self.world.broke(self)
            self.world.hub.closed(self.number)


class Told:
    """The numbered events of one session object, as they were made and as its client read them."""

    def __init__(self) -> None:
        self.made = 0
        self.read: list[int] = []
        self.ids: set[str] = set()


class World:
    """Clients of two projects, and calls of both."""

    def __init__(self) -> None:
        self.loop = Loop()
        self._ids = itertools.count()
        self.calls = Calls(self.happen)
        self.asked: dict[str, Counter[str]] = {}
        self.lost: dict[str, Counter[str]] = {}
        self.told: dict[Client, Told] = {}
        self.lines: list[Line] = []
        self.wrong: list[str] = []
        """What was sent wrongly: kept, because the server guards itself against what is raised there."""
        asyncio._set_running_loop(cast(asyncio.AbstractEventLoop, self.loop))
        try:
            self._compose()
        finally:
            asyncio._set_running_loop(None)

    def _compose(self) -> None:
        control = cast(Control, self.calls)
        setting = Setting(
            node_id="node", space_id="space", signing_key="key", limits=LIMITS, patience=Patience(nonsense=50)
        )
        projects = Projects({project: (token,) for project, token in TOKENS.items()})
        self.hub = Hub(control, projects, setting, self._id)
        new_calls = NewCalls(
            envs={},
            new_id=self._id,
            domain="host",
            node_id="node",
            space_id="space",
            compiled=CompiledDocuments(),
        )
        self.inbound = RelayInbound(self.hub, control, new_calls, "one")
        documents = cast(DocumentFetcher, SimpleNamespace(fetch=_no_fetch))
        transfers = RelayTransfers(control, new_calls, self.inbound, documents, {}, self._spawn)
        requests = RelayRequests(
            self.hub,
            control,
            self.inbound,
            transfers,
            node_id="node",
            new_id=self._id,
            closed_because=lambda: "",
        )
        self.hub.perform, self.hub.watcher = requests.perform, self.inbound

    def _id(self) -> str:
        return f"0-{next(self._ids):x}"

    def _spawn(self, work: Any, call_id: str) -> Any:
        work.close()  # a document that never comes

    # ------------------------------------------------------------ what happens

    def open(self, source: str) -> Line:
        line = Line(self, source)
        self.lines.append(line)
        return line

    def offer(self, project: str, context: str) -> None:
        info = self.calls.add(project)
        self.inbound.offer(info, Routed(context=context, project=project, offer_timeout=5.0))

    def happen(self, info: CallInfo, happening: Happening) -> None:
        """As the recorder tells it."""
        body = envelope(happening, info, timestamp=1.0)
        self.hub.listen(info, happening, body)
        self.inbound.listen(info, happening, body)

    def tell(self, client: Client) -> None:
        """A numbered event."""
        told = self.told.setdefault(client, Told())
        number, told.made = told.made, told.made + 1
        self.hub.tell(client, "fuzz.numbered", {"n": number, "x": "y" * (number % 7 * 100)})

    def client(self, line: Line) -> Client | None:
        return self.hub.client(line.protocol) if line.protocol else None

    # ------------------------------------------------------------ what must hold

    def expects(self, line: Line) -> Counter[str]:
        return self.asked.setdefault(line.protocol, Counter()) if line.protocol else line.asked

    def broke(self, line: Line) -> None:
        """Its answers may come over another socket, or never."""
        if line.protocol:
            waiting = self.asked.pop(line.protocol, Counter())
            self.lost.setdefault(line.protocol, Counter()).update(waiting)
        line.asked.clear()

    def answered(self, line: Line, frame: dict[str, Any]) -> None:
        """To a request that was made, and for the first time."""
        if frame["id"] is None:
            return
        key = _key(frame["id"])
        result = frame.get("result")
        self._must("Internal error" not in str(result.get("message") if result else ""), frame)
        for waiting in (line.asked, self.asked.get(line.protocol), self.lost.get(line.protocol)):
            if waiting is not None and waiting[key] > 0:
                waiting[key] -= 1
                break
        else:
            self._must(False, ("nobody asked", frame))
        if result and "session_restored" in result:
            self._let_in(line, result)

    def _let_in(self, line: Line, result: dict[str, Any]) -> None:
        line.protocol = result["protocol"]
        self._must(line.protocol.endswith("_" + line.project), (line.protocol, line.project))
        waiting, line.asked = line.asked, Counter()
        self.asked.setdefault(line.protocol, Counter()).update(waiting)

    def judge_event(self, line: Line, event: dict[str, Any]) -> None:
        """It is for the one who gets it."""
        self._must(event["event_channel"] == line.protocol, event)
        self._must(event["project_id"] == line.project, event)
        client = self.client(line)
        self._must(client is not None and client.session.socket == line.number, event)
        call_id = event["params"].get("call_id")
        if call_id is None:
            return
        knowers = self.calls.knowers[call_id]
        if event["event_type"] == "calling.call.receive":
            knowers.add(line.protocol)  # it is told a moment before it owns the call
            self._must(self.calls.projects[call_id] == line.project, event)
        self._must(line.protocol in knowers, event)

    def _must(self, holds: bool, what: object) -> None:
        if not holds:
            self.wrong.append(str(what))

    def read(self, line: Line, most: int = 1_000) -> list[dict[str, Any]]:
        """The client reads some of what has come; numbered events are noted."""
        frames, line.unread = line.unread[:most], line.unread[most:]
        for client, frame in frames:
            if client is not None and frame.get("params", {}).get("event_type") == "fuzz.numbered":
                self._note(client, frame)
        return [frame for _, frame in frames]

    def _note(self, client: Client, frame: dict[str, Any]) -> None:
        told = self.told.get(client)
        if told is None or frame["id"] in told.ids:
            return
        told.ids.add(frame["id"])
        told.read.append(frame["params"]["params"]["n"])

    def check(self) -> None:
        """At any moment."""
        assert not self.wrong, self.wrong
        assert self.hub.defects == 0
        assert self.hub.counts()["sockets"] == sum(line.is_open for line in self.lines)
        self._check_subscribers()
        for line in self.lines:
            if (client := self.client(line)) is not None:
                outbox = client.session._outbox
                assert len(outbox) <= LIMITS.events, len(outbox)
                assert outbox.size <= LIMITS.bytes, outbox.size
                assert outbox.size == sum(map(len, outbox.frames()))
                assert len(client.session._pending) <= LIMITS.requests
                if line.is_open and not line.is_closing:
                    assert client.session.socket == line.number

    def _check_subscribers(self) -> None:
        for project in TOKENS:
            for context in ("office", "a", "sales"):
                sessions = [client.session for client in self.hub._clients.values()]
                wanting = [
                    session.protocol
                    for session in sessions
                    if session.project == project
                    and session.socket is not None
                    and context in session.contexts
                ]
                assert list(self.hub.subscribers(project, context)) == wanting, (project, context)

    def finish(self) -> None:
        """Everything is answered, and every client that comes back has everything that happened."""
        for line in self.lines:
            self.read(line)
        for _ in range(8):
            self.loop.advance(1.5)
            for line in self.lines:
                self.read(line)
                _answer_pings(line)
        self.check()
        for protocol, waiting in self.asked.items():
            assert not +waiting, (protocol, waiting)
        for client, told in list(self.told.items()):
            if self.hub.client(client.session.protocol) is client:
                self._come_back(client, told)

    def forget(self) -> None:
        """Nobody comes back: nothing is kept for ever."""
        for line in self.lines:
            line.cut()
        self.loop.advance(2 * LIMITS.without_socket)
        assert not self.wrong, self.wrong
        assert self.hub.defects == 0
        assert self.hub.counts() == {"clients": 0, "sockets": 0}, self.hub.counts()
        assert len(self.inbound) == 0
        assert not self.inbound._fallbacks, self.inbound._fallbacks
        assert all(info.owner is None for info in self.calls.infos.values())

    def _come_back(self, client: Client, told: Told) -> None:
        for line in self.lines:
            if line.protocol == client.session.protocol:
                self.read(line)
        line = self.open("192.0.2.99")
        project = client.session.project
        line.say(connect("last", project, protocol=client.session.protocol))
        self.read(line)
        assert told.read == list(range(told.made)), (told.read, told.made)


def connect(id_: str, project: str, token: str | None = None, **more: Any) -> bytes:
    """`signalwire.connect` with the right token, unless another is given."""
    token = TOKENS.get(project, "") if token is None else token
    params = {"authentication": {"project": project, "token": token}, "event_acks": True, **more}
    return jsonrpc.request(id_, "signalwire.connect", params)


def _answer_pings(line: Line) -> None:
    pings, line.pings = line.pings, []
    for payload, _ in pings:
        line.pong(payload)


def _key(id_: Any) -> str:
    """`1` and `"1"` are two."""
    return repr(id_)


async def _no_fetch(*arguments: Any) -> None:
    return None
