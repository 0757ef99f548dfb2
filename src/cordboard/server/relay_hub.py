"""The clients of RELAY: sockets and sessions, tied to calls.

A session's protocol string is the owner of its calls (`CallInfo.owner`): what happens to them goes to that
session, in order.  Everything here is synchronous, so a result leaves before the events that it began.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from cordboard.call.actions import CallInfo
from cordboard.call.effects import CallStateChanged, DialStateChanged, Happening
from cordboard.call.reasons import ending
from cordboard.events.bodies import Body
from cordboard.jsonrpc import Request
from cordboard.relay import frames
from cordboard.relay.connection import Connection
from cordboard.relay.handshake import AUTHENTICATION_FAILED, REFUSED, Signer
from cordboard.relay.open_ends import BRIDGES, begun
from cordboard.relay.requests import CallCommand
from cordboard.server.control import Control
from cordboard.server.projects import Projects
from cordboard.server.relay_journal import Journal
from cordboard.server.relay_sessions import Client, Sessions, Setting
from cordboard.server.relay_stored import StoredSession, as_answer

_log = logging.getLogger(__name__)

_MOST_CONTEXTS = 1_000
"""Whose clients are listed."""
_NO_ROOM = -32000


class Wire(Protocol):
    """The far end of a client, as `RelaySocket` has it."""

    source: str

    def send(self, data: bytes) -> None: ...
    def ping(self, payload: bytes) -> None: ...
    def close(self, code: int, reason: str) -> None: ...


class _Plug:
    """A socket."""

    __slots__ = ("client", "connection", "timer", "wire")

    def __init__(self, wire: Wire, connection: Connection) -> None:
        self.wire = wire
        self.connection = connection
        self.client: Client | None = None
        self.timer: asyncio.TimerHandle | None = None


class Watcher(Protocol):
    """Who is told of clients that come and go (`RelayInbound`)."""

    def client_gone(self, client: str, *, for_ever: bool) -> None: ...
    def claimed(self, call_id: str, client: str) -> None: ...


Performer = Callable[["Client", int, str, Any], None]
"""(client, ticket, method, params): answers by `Hub.answer`."""


class Hub:
    """All clients of this server."""

    def __init__(
        self, control: Control, projects: Projects, setting: Setting, new_id: Callable[[], str]
    ) -> None:
        self.control = control
        self.perform: Performer
        """Set before the first client comes; so is `watcher`."""
        self.watcher: Watcher
        self.defects = 0
        """Always 0 unless there is a bug."""
        self._projects = projects
        self._setting = setting
        self._signer = Signer(setting.signing_key)
        self._new_id = new_id
        self._loop = asyncio.get_running_loop()
        self.journal = Journal()
        """Not open unless sessions shall outlive the process."""
        self._sessions = Sessions(setting, self._signer, new_id, self.journal)
        self._clients = self._sessions.clients
        self._plugs: dict[int, _Plug] = {}
        self._subscribers: dict[tuple[str, str], list[str]] = {}
        """By context, until a client comes, goes or says otherwise."""
        self._last_socket = 0

    # ------------------------------------------------------------ who is there

    def counts(self) -> dict[str, int]:
        """For the checks of what is left over."""
        return {"clients": len(self._clients), "sockets": len(self._plugs)}

    def unproven(self) -> int:
        """Events that clients with a socket may not have yet."""
        return sum(c.session.unproven for c in self._clients.values() if c.session.socket is not None)

    def client(self, protocol: str) -> Client | None:
        return self._clients.get(protocol)

    def subscribers(self, project: str, context: str) -> Sequence[str]:
        """The clients with a socket that want the calls of a context, in the order in which they came."""
        found = self._subscribers.get((project, context))
        if found is None:
            if len(self._subscribers) >= _MOST_CONTEXTS:
                self._subscribers.clear()
            found = [name for name, client in self._clients.items() if _wants(client, project, context)]
            self._subscribers[project, context] = found
        return found

    # ------------------------------------------------------------ sockets

    def opened(self, wire: Wire) -> int:
        """A socket is there; its number for what follows."""
        self._last_socket += 1
        number = self._last_socket
        connection = Connection(number, self._signer, self._loop.time(), self._setting.patience)
        self._plugs[number] = plug = _Plug(wire, connection)
        self._arm_plug(number, plug)
        return number

    def heard(self, number: int, input_: frames.Text | frames.Pong) -> None:
        """A message or a pong has come."""
        plug = self._plugs.get(number)
        if plug is not None:
            self._carry(plug.connection.handle(input_, self._loop.time()), plug.client)

    def closed(self, number: int) -> None:
        """The socket is gone."""
        plug = self._plugs.pop(number, None)
        if plug is None:
            return
        if plug.timer is not None:
            plug.timer.cancel()
        if (client := plug.client) is not None:
            was_owner = client.session.socket == number
            self._feed(client, frames.Detached(socket=number))
            self._subscribers.clear()
            if was_owner:
                client.left_at = time.time()
                self.journal.note("L", client.number, client.left_at)
                self.watcher.client_gone(client.session.protocol, for_ever=False)

    def _arm_plug(self, number: int, plug: _Plug) -> None:
        if plug.timer is not None:
            plug.timer.cancel()
        due = plug.connection.next_timeout()
        if due != float("inf"):
            plug.timer = self._loop.call_at(due, self._plug_due, number)

    def _plug_due(self, number: int) -> None:
        plug = self._plugs[number]
        self._carry(plug.connection.handle_timeout(self._loop.time()), plug.client)
        if number in self._plugs:
            self._arm_plug(number, plug)

    # ------------------------------------------------------------ letting in

    def _connect_wanted(self, wanted: frames.ConnectWanted, _: Client | None) -> None:
        plug, now = self._plugs[wanted.socket], self._loop.time()
        connect = wanted.connect
        if not self._projects.check(connect.project, connect.token, plug.wire.source, now):
            self._turn_away(wanted, AUTHENTICATION_FAILED, REFUSED)
            return
        client = self._client_for(connect.protocol, connect.project)
        if client is None:
            self._turn_away(wanted, _NO_ROOM, "The server has no room for another client.")
            return
        plug.client = client
        self._carry(plug.connection.handle(frames.LetIn(), now), client)
        self._arm_plug(wanted.socket, plug)
        attached = frames.Attached(socket=wanted.socket, id=wanted.id, connect=connect, timestamp=time.time())
        known = len(client.session.contexts)
        self._feed(client, attached)
        self._subscribers.clear()
        if client.left_at is not None:
            client.left_at = None
            self.journal.note("L", client.number)
        if len(client.session.contexts) != known:
            self.journal.note("C", client.number, list(client.session.contexts))

    def _turn_away(self, wanted: frames.ConnectWanted, code: int, sentence: str) -> None:
        plug = self._plugs[wanted.socket]
        refused = frames.TurnAway(wanted.id, code, sentence)
        self._carry(plug.connection.handle(refused, self._loop.time()), None)

    def _client_for(self, protocol: str | None, project: str) -> Client | None:
        """The session that is resumed, or a new one; None where there is no room."""
        ours = protocol if self._signer.is_ours(protocol, project) else None
        if ours is not None and (known := self._clients.get(ours)) is not None:
            return known
        return self._sessions.new(ours or self._signer.protocol(project, self._new_id()), project)

    def restore(self, sessions: Iterable[StoredSession]) -> None:
        """Go on with those of an earlier run: their clients are told how all ended that died with it."""
        at = time.time()
        for client, events in self._sessions.restore(sessions, at):
            for event_type, params in events:
                self._feed(client, _event(event_type, params, at))
            self._arm(client)

    def open_journal(self, directory: Path) -> None:
        """Sessions outlive the process from now on."""
        self.journal.open(directory, self._sessions.snapshots)

    # ------------------------------------------------------------ sessions

    def answer(self, client: Client, ticket: int, result: dict[str, Any]) -> None:
        """What a request of a client came to."""
        self._feed(client, frames.Answered(ticket=ticket, result=result))

    def tell(self, client: Client, event_type: str, params: dict[str, Any]) -> None:
        """An event for a client."""
        self._tell(client, event_type, params, time.time())

    def _tell(self, client: Client, event_type: str, params: dict[str, Any], at: float) -> None:
        client.ends.told(event_type, params)
        self._feed(client, _event(event_type, params, at))

    def _feed(self, client: Client, input_: Any) -> None:
        self._carry(client.session.handle(input_, self._loop.time()), client)
        self._arm(client)

    def _arm(self, client: Client) -> None:
        """An earlier wake-up than needed is harmless; a timer for each event would not be."""
        due = client.session.next_timeout()
        if due is None or (client.due is not None and client.due <= due):
            return
        if client.timer is not None:
            client.timer.cancel()
        client.due, client.timer = due, self._loop.call_at(due, self._client_due, client)

    def _client_due(self, client: Client) -> None:
        client.due = client.timer = None
        self._carry(client.session.handle_timeout(self._loop.time()), client)
        self._arm(client)

    def _over(self, over: frames.Over, client: Client | None) -> None:
        """Its calls have nobody any more."""
        assert client is not None
        name = client.session.protocol
        _log.info("RELAY client %s: %s", name, over.sentence)
        self._clients.pop(name, None)
        self.journal.note("X", client.number)
        self._subscribers.clear()
        if client.timer is not None:
            client.timer.cancel()
        self.watcher.client_gone(name, for_ever=True)
        for call in self.control.calls():
            if call.info.owner == name:
                who = call.info.from_ if call.info.direction == "inbound" else call.info.to
                self.control.lose(call.info.call_id, ending("client_gone", who=who))
        for dial in client.dials:
            self.control.lose(dial, ending("client_gone", who="the dial"))

    # ------------------------------------------------------------ what machines want

    def _carry(self, outputs: list[frames.Output], client: Client | None) -> None:
        for output in outputs:
            _CARRY[type(output)](self, output, client)

    def _send(self, output: frames.Send, _: Client | None) -> None:
        if (plug := self._plugs.get(output.socket)) is not None:
            plug.wire.send(output.data)

    def _ping(self, output: frames.Ping, _: Client | None) -> None:
        if (plug := self._plugs.get(output.socket)) is not None:
            plug.wire.ping(output.payload)

    def _close(self, output: frames.Close, _: Client | None) -> None:
        if (plug := self._plugs.get(output.socket)) is not None:
            plug.wire.close(output.code, output.reason)

    def _deliver(self, output: frames.Deliver, client: Client | None) -> None:
        if client is not None:
            self._feed(client, output.input)
            if _may_subscribe(output.input):
                self._subscribers.clear()
                self.journal.note("C", client.number, list(client.session.contexts))

    def _keep(self, output: frames.Keep, client: Client | None) -> None:
        assert client is not None
        self.journal.event(client.number, output.frame)

    def _known(self, output: frames.Known, client: Client | None) -> None:
        assert client is not None
        self.journal.known(client.number, output.number)

    def _remember(self, output: frames.Remember, client: Client | None) -> None:
        assert client is not None
        self.journal.note("R", client.number, as_answer(output))

    def _performs(self, output: frames.Perform, client: Client | None) -> None:
        assert client is not None
        self.perform(client, output.ticket, output.method, output.params)

    # ------------------------------------------------------------ calls

    def listen(self, info: CallInfo, happening: Happening, body: Body) -> None:
        """A listener of the recorder: what happens to a client's call goes to the client."""
        if info.owner is None:
            return
        client = self._clients.get(info.owner)
        try:
            if client is None:
                self._ownerless(info, happening)
            else:
                self._tell_of_call(client, info, happening, body)
        except Exception:
            # A defect here costs the client an event, and not the caller the call.
            self.defects += 1
            _log.exception("call %s: internal error in what its client is told", info.call_id)

    def _tell_of_call(self, client: Client, info: CallInfo, happening: Happening, body: Body) -> None:
        _keep_count(client, info, happening)
        at = body["timestamp"]
        for event_type, params in client.projection.events(info, happening, body):
            self._tell(client, event_type, params, at)

    def _ownerless(self, info: CallInfo, happening: Happening) -> None:
        """Made in the moment in which its client went away."""
        born = isinstance(happening, CallStateChanged) and happening.state == "created"
        if born and info.owner is not None and info.owner.startswith("signalwire_"):
            self.control.lose(info.call_id, ending("client_gone", who=info.to))

    def accepted(self, request: CallCommand) -> None:
        """A request was carried out: who owns the call is told how what it began goes on, and ends."""
        about = begun(request)
        call = self.control.call(request.call_id) if about is not None else None
        client = self._clients.get(call.info.owner or "") if call is not None else None
        if about is None or client is None:
            return
        if request.method in BRIDGES:
            client.projection.asked(request.call_id)
        url = getattr(request.command, "status_url", None)
        client.ends.accepted(request.method, request.call_id, about, url)
        self.journal.note("B", client.number, (request.method, request.call_id, about, url))

    # ------------------------------------------------------------ the end

    def farewell(self) -> None:
        """The server stops, and what has happened is told."""
        for client in list(self._clients.values()):
            self._feed(client, frames.Leaving(restart=True))

    def stop(self) -> None:
        """Close all sockets, forget all clients; their sessions are on the disk."""
        self.journal.settle()
        for plug in list(self._plugs.values()):
            plug.wire.close(1001, "the server stops")
        timers = [plug.timer for plug in self._plugs.values()]
        for timer in (*timers, *(client.timer for client in self._clients.values())):
            if timer is not None:
                timer.cancel()
        self._clients.clear()
        self._plugs.clear()


def _event(event_type: str, params: dict[str, Any], timestamp: float) -> frames.Happened:
    return frames.Happened(event_type=event_type, params=params, timestamp=timestamp)


def _wants(client: Client, project: str, context: str) -> bool:
    session = client.session
    return session.socket is not None and session.project == project and context in session.contexts


def _may_subscribe(input_: frames.Received | frames.Proven) -> bool:
    message = input_.message if isinstance(input_, frames.Received) else None
    return isinstance(message, Request) and message.method.endswith("receive")


def _keep_count(client: Client, info: CallInfo, happening: Happening) -> None:
    """The dials of a client that goes away must end."""
    if isinstance(happening, DialStateChanged):
        if happening.state == "dialing":
            client.dials.add(info.call_id)
        else:
            client.dials.discard(info.call_id)


_CARRY: dict[type, Callable[[Hub, Any, Client | None], None]] = {
    frames.Keep: Hub._keep,
    frames.Known: Hub._known,
    frames.Remember: Hub._remember,
    frames.Send: Hub._send,
    frames.Ping: Hub._ping,
    frames.Close: Hub._close,
    frames.ConnectWanted: Hub._connect_wanted,
    frames.Deliver: Hub._deliver,
    frames.Perform: Hub._performs,
    frames.Over: Hub._over,
}
