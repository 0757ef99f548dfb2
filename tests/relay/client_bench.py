"""A client and its session in virtual time: sockets are cut anywhere, and the client keeps what it got."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from cordboard import jsonrpc
from cordboard.relay import frames
from cordboard.relay.connection import Connection, Patience
from cordboard.relay.handshake import Ids, Signer
from cordboard.relay.session import Limits, Session

PROJECT, TOKEN = "project_1", "token"
SIGNER = Signer("key")


class Socket:
    """Both ends of one WebSocket; frames wait in it until they are delivered, or are lost with it."""

    def __init__(self, number: int, connection: Connection) -> None:
        self.number = number
        self.connection = connection
        self.to_client: deque[frames.Send | frames.Ping | frames.Close] = deque()
        self.to_server: deque[frames.Text | frames.Pong] = deque()
        self.is_open = True
        self.in_session = False
        self.received: list[dict[str, Any]] = []
        """Everything that the client read from it."""
        self.close_code: int | None = None


class World:
    """One session, as the hub would keep it, and as many sockets as a test opens."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        patience: Patience | None = None,
        perform: Callable[[frames.Perform], dict[str, Any] | None] = lambda request: {"code": "200"},
        acks: bool = True,
    ) -> None:
        self.now = 100.0
        self.acks = acks
        """The client answers events."""
        self.limits = limits
        self.patience = patience
        self._event_ids = itertools.count()
        self.session = self.new_session()
        self.sockets: list[Socket] = []
        self.performed: list[frames.Perform] = []
        self.over: list[str] = []
        self.events: list[dict[str, Any]] = []
        """What the client was told, in order, over all sockets."""
        self.disk: list[bytes] = []
        """Frames of events that the client may not have, as the session wants them kept."""
        self.answers: list[frames.Remember] = []
        self.newest = 0
        """The number of the newest of all that were kept."""
        self._perform = perform
        self._ids = itertools.count()
        self._numbers = itertools.count(1)

    def new_session(self, protocol: str | None = None) -> Session:
        ids = self._event_ids
        return Session(
            protocol or SIGNER.protocol(PROJECT, "0-0"),
            project=PROJECT,
            ids=Ids(node="node", session="session"),
            space_id="space",
            signer=SIGNER,
            new_id=lambda: f"event-{next(ids)}",
            now=self.now,
            limits=self.limits,
        )

    # ------------------------------------------------------------ the client

    def open(self) -> Socket:
        socket = Socket(next(self._numbers), Connection(0, SIGNER, self.now, self.patience))
        socket.connection = Connection(socket.number, SIGNER, self.now, self.patience)
        self.sockets.append(socket)
        return socket

    def connect(self, **params: Any) -> Socket:
        """A socket that is let in, and what was on the way then has arrived."""
        socket = self.open()
        self.ask(socket, "signalwire.connect", self.credentials(**params))
        self.run()
        return socket

    def credentials(self, **params: Any) -> dict[str, Any]:
        known = {"project": PROJECT, "token": TOKEN}
        return {"authentication": known, "event_acks": self.acks, "contexts": ["office"], **params}

    def resume(self) -> Socket:
        return self.connect(protocol=self.session.protocol)

    def ask(self, socket: Socket, method: str, params: Any = None, id_: jsonrpc.Id = None) -> str:
        """Put a request on the way; its id."""
        name = id_ if id_ is not None else f"request-{next(self._ids)}"
        socket.to_server.append(frames.Text(jsonrpc.request(name, method, params or {})))
        return str(name)

    def answer_to(self, id_: str) -> list[dict[str, Any]]:
        """All answers to a request, wherever they came."""
        return [
            frame
            for socket in self.sockets
            for frame in socket.received
            if "method" not in frame and frame["id"] == id_
        ]

    def told(self) -> list[Any]:
        """The numbers of the events that the client got, in the order of their first arrival."""
        return list(dict.fromkeys(event["params"]["params"]["n"] for event in self.calling()))

    def calling(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["params"]["event_type"].startswith("calling.")]

    # ------------------------------------------------------------ the server

    def happen(self, number: int, size: int = 0) -> None:
        happened = frames.Happened(
            event_type="calling.call.state", params={"n": number, "x": "x" * size}, timestamp=1.5
        )
        self.feed(happened)

    def feed(self, input_: Any) -> None:
        self.carry(self.session.handle(input_, self.now))

    def carry(self, outputs: list[frames.Output]) -> None:
        for output in outputs:
            if isinstance(output, frames.Send | frames.Ping | frames.Close):
                socket = self.sockets[output.socket - 1]
                if socket.is_open:
                    socket.to_client.append(output)
            elif isinstance(output, frames.ConnectWanted):
                self._let_in(output)
            elif isinstance(output, frames.Deliver):
                self.feed(output.input)
            elif isinstance(output, frames.Perform):
                self.performed.append(output)
                answer = self._perform(output)
                if answer is not None:
                    self.feed(frames.Answered(ticket=output.ticket, result=answer))
            elif isinstance(output, frames.Keep):
                self.disk.append(output.frame)
                self.newest += 1
            elif isinstance(output, frames.Remember):
                self.answers.append(output)
            elif isinstance(output, frames.Known):
                del self.disk[: max(0, output.number - (self.newest - len(self.disk)))]
            else:
                self.over.append(output.sentence)

    def _let_in(self, wanted: frames.ConnectWanted) -> None:
        socket = self.sockets[wanted.socket - 1]
        if wanted.connect.token != TOKEN:
            refused = frames.TurnAway(wanted.id, -32002, "no")
            self.carry(socket.connection.handle(refused, self.now))
            return
        self.carry(socket.connection.handle(frames.LetIn(), self.now))
        if self.session.is_over:
            self.session = self.new_session(wanted.connect.protocol)
        socket.in_session = True
        self.feed(frames.Attached(socket=socket.number, id=wanted.id, connect=wanted.connect, timestamp=1.0))

    def kill(self) -> None:
        """The process dies, and what is on the way with it; another one goes on with what is on the disk."""
        for socket in self.sockets:
            self.cut(socket)
        self.session = self.new_session(self.session.protocol)
        kept = [(json.loads(frame)["id"], frame) for frame in self.disk]
        self.session.take_over(kept, self.newest, self.now + 300.0, self.answers)

    # ------------------------------------------------------------ the network

    def cut(self, socket: Socket) -> None:
        """What is on the way is lost."""
        if socket.is_open:
            socket.is_open = False
            socket.to_client.clear()
            socket.to_server.clear()
            self.feed(frames.Detached(socket=socket.number))

    def deliver_to_server(self, socket: Socket) -> None:
        """One frame."""
        if socket.is_open and socket.to_server:
            self.carry(socket.connection.handle(socket.to_server.popleft(), self.now))

    def deliver_to_client(self, socket: Socket) -> None:
        """One frame; the client answers pings and, if it is of that kind, events."""
        if not (socket.is_open and socket.to_client):
            return
        output = socket.to_client.popleft()
        if isinstance(output, frames.Ping):
            socket.to_server.append(frames.Pong(output.payload))
        elif isinstance(output, frames.Close):
            socket.close_code = output.code
            self.cut(socket)
        else:
            self._client_reads(socket, json.loads(output.data))

    def _client_reads(self, socket: Socket, frame: dict[str, Any]) -> None:
        socket.received.append(frame)
        if frame.get("method") == "signalwire.event":
            self.events.append(frame)
            if self.acks:
                socket.to_server.append(frames.Text(jsonrpc.result(frame["id"], {})))

    def walk(self, step: str) -> None:
        """One step that only the newest socket or the clock takes."""
        socket = self.sockets[-1]
        if step == "to client":
            self.deliver_to_client(socket)
        elif step == "to server":
            self.deliver_to_server(socket)
        elif step == "cut":
            self.cut(socket)
        else:
            self.wait({"tick": 0.01, "wait": 1.0}[step], deliver=False)

    def run(self) -> None:
        """Deliver until nothing is on its way."""
        for _ in range(100_000):
            busy = [s for s in self.sockets if s.is_open and (s.to_client or s.to_server)]
            if not busy:
                return
            for socket in busy:
                self.deliver_to_server(socket)
                self.deliver_to_client(socket)
        raise AssertionError("the frames never come to rest")

    def wait(self, seconds: float, *, deliver: bool = True) -> None:
        """Let time pass; every timer goes off at its time."""
        end = self.now + seconds
        for _ in range(10_000):
            due = self._next()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.carry(self.session.handle_timeout(self.now))
            for socket in self.sockets:
                if socket.is_open:
                    self.carry(socket.connection.handle_timeout(self.now))
            if deliver:
                self.run()
        else:
            raise AssertionError("timers go off without end")
        self.now = end

    def _next(self) -> float | None:
        times = [self.session.next_timeout()]
        times += [socket.connection.next_timeout() for socket in self.sockets if socket.is_open]
        return min((due for due in times if due is not None and due != float("inf")), default=None)
