"""One socket of a client: who it is comes first, then everything goes to its session.

Clients go on sending after they were refused (relay-protocol.md 3.4), so nothing but `signalwire.connect` and
`signalwire.ping` is heard before they are let in, and nothing at all once the socket closes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cordboard import jsonrpc
from cordboard.relay.frames import (
    Answer,
    Close,
    ConnectWanted,
    Deliver,
    LetIn,
    Output,
    Ping,
    Pong,
    Proven,
    Received,
    Send,
    Text,
    TurnAway,
)
from cordboard.relay.handshake import ConnectRefusal, Signer, read_connect

NOT_CONNECTED = -32000
POLICY = 1008
"""WebSocket close code (RFC 6455 section 7.4.1)."""
GOING_AWAY = 1001
_ALIVE = b"alive"


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, and how much nonsense is borne."""

    handshake: float = 10.0
    heartbeat: float = 15.0
    """Between pings."""
    silence: float = 15.0
    """After a ping."""
    nonsense: int = 20
    """Messages that are none, or come before `signalwire.connect`."""


class Connection:
    """`next_timeout` always has a value: a socket is either let in, heard of, or closed."""

    def __init__(self, socket: int, signer: Signer, now: float, patience: Patience | None = None) -> None:
        self._socket = socket
        self._signer = signer
        self._patience = patience or Patience()
        self._state = "new"
        self._nonsense = 0
        self._due = now + self._patience.handshake
        self._heard = now

    @property
    def is_closing(self) -> bool:
        return self._state == "closing"

    def handle(self, input_: Text | Pong | LetIn | TurnAway, now: float) -> list[Output]:
        self._heard = now
        if self._state == "closing":
            return []
        if isinstance(input_, Text):
            return self._text(input_.data)
        if isinstance(input_, Pong):
            return _proof(self._socket, input_.payload)
        if isinstance(input_, LetIn):
            self._state, self._due = "open", now + self._patience.heartbeat
            return []
        return [self._error(input_.id, input_.code, input_.message), *self._close(POLICY, "refused")]

    def next_timeout(self) -> float:
        return self._due

    def handle_timeout(self, now: float) -> list[Output]:
        if now < self._due:
            return []
        if self._state == "new":
            return self._close(POLICY, "no signalwire.connect in time")
        if self._state == "closing" or now - self._heard >= self._patience.heartbeat + self._patience.silence:
            return self._close(GOING_AWAY, "no sign of life")
        self._due = now + min(self._patience.heartbeat, self._patience.silence)
        return [Ping(self._socket, _ALIVE)]

    # -------------------------------------------------- messages

    def _text(self, data: str | bytes) -> list[Output]:
        message = jsonrpc.parse(data)
        if isinstance(message, jsonrpc.Invalid):
            return self._not_heard(message.id, message.code, message.message)
        if isinstance(message, jsonrpc.Response):
            return [self._deliver(message)] if self._state == "open" else []
        if message.method == "signalwire.connect":
            return self._connect(message)
        if self._state == "open":
            return [self._deliver(message)]
        if message.method == "signalwire.ping":
            return [Send(self._socket, Answer(jsonrpc.result(message.id, pong(message.params))))]
        sentence = f"{message.method[:100]} is not heard before signalwire.connect has succeeded."
        return self._not_heard(message.id, NOT_CONNECTED, sentence)

    def _connect(self, request: jsonrpc.Request) -> list[Output]:
        if self._state != "new":
            sentence = "This socket is connected already; open another one for another session."
            return self._not_heard(request.id, jsonrpc.INVALID_REQUEST, sentence)
        connect = read_connect(request.params, self._signer)
        if isinstance(connect, ConnectRefusal):
            return [
                self._error(request.id, connect.code, connect.message),
                *self._close(POLICY, "refused"),
            ]
        return [ConnectWanted(self._socket, request.id, connect)]

    def _not_heard(self, id_: jsonrpc.Id, code: int, sentence: str) -> list[Output]:
        self._nonsense += 1
        too_much = self._nonsense > self._patience.nonsense
        closing = self._close(POLICY, "too much that is no request") if too_much else []
        return [self._error(id_, code, sentence), *closing]

    def _deliver(self, message: jsonrpc.Request | jsonrpc.Response) -> Output:
        return Deliver(Received(socket=self._socket, message=message))

    def _error(self, id_: jsonrpc.Id, code: int, sentence: str) -> Output:
        return Send(self._socket, Answer(jsonrpc.error(id_, code, sentence)))

    def _close(self, code: int, reason: str) -> list[Output]:
        self._state = "closing"
        self._due = float("inf")
        return [Close(self._socket, code, reason)]


def proof(number: int) -> bytes:
    """Payload of the ping whose pong proves all events up to a number."""
    return b"%d" % number


def pong(params: Any) -> dict[str, Any]:
    """The result of `signalwire.ping`."""
    told = params.get("timestamp") if isinstance(params, dict) else None
    return {"timestamp": told} if isinstance(told, int | float) else {}


def _proof(socket: int, payload: bytes) -> list[Output]:
    if not payload.isdigit() or len(payload) > 18:
        return []
    return [Deliver(Proven(socket=socket, number=int(payload)))]
