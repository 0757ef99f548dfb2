"""A client's session: it outlives its sockets, and no event of it is lost while it lives.

The newest socket owns it: answers and events go there.  What the client may not have yet waits in the outbox;
a socket that resumes gets its result first, then all of that in order, then what is new.  A session that has
no socket for too long, or more events than it may keep, is over: a client that comes back later is told so
(`session_restored` false).
"""

from __future__ import annotations

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from cordboard import jsonrpc
from cordboard.relay.connection import NOT_CONNECTED, pong, proof
from cordboard.relay.frames import (
    Acceptance,
    Answer,
    Answered,
    Attached,
    Close,
    Detached,
    Happened,
    Keep,
    Known,
    Leaving,
    Output,
    Over,
    Perform,
    Ping,
    Proven,
    Received,
    Remember,
    Send,
)
from cordboard.relay.handshake import MAX_CONTEXTS, Ids, Signer, connect_result, is_contexts
from cordboard.relay.outbox import Outbox

SUPERSEDED = 4000
"""Close code of a socket whose session went on over another one."""
TOO_MUCH = 1013
"""Close code: try again later."""
_LATE = {"code": "500", "message": "The server did not get an answer from the call in time."}
_FULL = {"code": "429", "message": "Too many requests are waiting for their answer."}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a session may hold.  Times in seconds."""

    events: int = 10_000
    """Events that the client may not have yet, at most."""
    bytes: int = 6 << 20
    """Of those events; a socket must bear all of them at once."""
    requests: int = 1_000
    """Waiting for their answer."""
    remembered: int = 256
    """Answers that a request with the same id gets again."""
    answer_within: float = 8.0
    """Clients give up after ten seconds, and close the socket."""
    without_socket: float = 300.0
    prove_after: float = 0.02
    """After an event, for those of the same moment: until then it would come twice over another socket."""
    prove_every: float = 0.2
    """Pings that prove events: at most so often."""


class _Pending(msgspec.Struct):
    """A request that is being carried out."""

    id: jsonrpc.Id
    digest: bytes
    due: float
    copies: int
    """How often the answer is sent: a request may come twice."""


class Session:
    """One client.  `protocol` is its name, and the owner of its calls."""

    def __init__(
        self,
        protocol: str,
        *,
        project: str,
        ids: Ids,
        space_id: str,
        signer: Signer,
        new_id: Callable[[], str],
        now: float,
        limits: Limits | None = None,
    ) -> None:
        self.protocol = protocol
        self.project = project
        self.contexts: dict[str, None] = {}
        """In the order of subscription."""
        self.socket: int | None = None
        self.is_over = False
        self._ids = ids
        self._space_id = space_id
        self._signer = signer
        self._new_id = new_id
        self._limits = limits or Limits()
        self._outbox = Outbox(max_events=self._limits.events, max_bytes=self._limits.bytes)
        self._was_attached = False
        self._event_acks = False
        self._expires: float | None = now + self._limits.without_socket
        self._prove_at: float | None = None
        self._may_ask = now
        """When the next ping may go out."""
        self._asked: int | None = None
        """The number that the ping on its way will prove."""
        self._tickets = 0
        self._pending: dict[int, _Pending] = {}
        self._remembered: OrderedDict[tuple[type, jsonrpc.Id], Remember] = OrderedDict()

    def take_over(
        self,
        kept: Iterable[tuple[str, bytes]],
        last: int,
        expires: float,
        answers: Iterable[Remember] = (),
    ) -> None:
        """Be the session of an earlier run of the server.

        `kept`: the ids and frames of events that its client is not known to have, in order; `last`: the
        number of the newest event; `expires`: when it is over if the client has not come back; `answers`: to
        requests that may come again.
        """
        self._outbox.take_over(kept, last)
        for answer in answers:
            # Whether it was a refusal is not read again: then events wait for a moment in vain.
            self._remember(msgspec.structs.replace(answer, frame=Acceptance(answer.frame)))
        self._was_attached = True
        self._expires = expires

    def kept(self) -> tuple[int, list[bytes]]:
        """What `take_over` wants to know: the number of the newest event, and the frames."""
        return self._outbox.last, self._outbox.frames()

    def latest_answers(self, most: int) -> list[Remember]:
        """Those whose requests may come again, the oldest first."""
        latest = list(itertools.islice(reversed(self._remembered.values()), most))
        return latest[::-1]

    @property
    def unproven(self) -> int:
        """Events that the client may not have."""
        return len(self._outbox)

    # -------------------------------------------------- the machine

    def handle(self, input_: Any, now: float) -> list[Output]:
        """Take one input of `cordboard.relay.frames`."""
        if self.is_over:
            return []
        return _TAKE[type(input_)](self, input_, now)

    def next_timeout(self) -> float | None:
        due = self._prove_at
        if self._pending:
            first = next(iter(self._pending.values())).due
            due = first if due is None or first < due else due
        if self._expires is not None:
            due = self._expires if due is None or self._expires < due else due
        return None if self.is_over else due

    def handle_timeout(self, now: float) -> list[Output]:
        if self.is_over:
            return []
        if self._expires is not None and now >= self._expires:
            seconds = self._limits.without_socket
            return self._end(f"The client has not come back within {seconds:g} s.")
        outputs: list[Output] = []
        while self._pending and (ticket := next(iter(self._pending))) and self._pending[ticket].due <= now:
            outputs += self._answered(Answered(ticket=ticket, result=_LATE), now)
        if self._prove_at is not None and now >= self._prove_at:
            outputs += self._prove(now)
        return outputs

    # -------------------------------------------------- sockets

    def _attached(self, attached: Attached, now: float) -> list[Output]:
        older, self.socket = self.socket, attached.socket
        restored, self._was_attached = self._was_attached, True
        self._event_acks = attached.connect.event_acks
        self._expires = self._prove_at = self._asked = None
        self.contexts.update(dict.fromkeys(attached.connect.contexts[:MAX_CONTEXTS]))
        told = connect_result(
            self.protocol,
            self.project,
            self._signer.signature(self.project),
            self._ids,
            restored=restored,
        )
        outputs: list[Output] = []
        if older is not None:
            outputs.append(Close(older, SUPERSEDED, "the session goes on over a newer connection"))
        outputs.append(self._send(Answer(jsonrpc.result(attached.id, told))))
        outputs += [self._send(frame) for frame in self._outbox.frames()]
        outputs.append(self._send(self._authorization_state(attached.timestamp)))
        self._prove_soon(now)
        return outputs

    def _detached(self, detached: Detached, now: float) -> list[Output]:
        if detached.socket == self.socket:
            self.socket = self._prove_at = self._asked = None
            self._expires = now + self._limits.without_socket
        return []

    def _authorization_state(self, timestamp: float) -> bytes:
        params = {"authorization_state": self._signer.authorization_state(self.protocol)}
        return self._event("signalwire.authorization.state", params, self._new_id(), timestamp)

    def _leaving(self, leaving: Leaving, now: float) -> list[Output]:
        if self.socket is None:
            return []
        params = {"restart": leaving.restart}
        return [self._send(jsonrpc.request(self._new_id(), "signalwire.disconnect", params))]

    def _end(self, sentence: str) -> list[Output]:
        self.is_over = True
        socket, self.socket = self.socket, None
        closing: list[Output] = [] if socket is None else [Close(socket, TOO_MUCH, "the session has ended")]
        return [*closing, Over(sentence)]

    def _send(self, data: bytes) -> Send:
        assert self.socket is not None
        return Send(self.socket, data)

    # -------------------------------------------------- events

    def _happened(self, happened: Happened, now: float) -> list[Output]:
        event_id = self._new_id()
        frame = self._event(happened.event_type, happened.params, event_id, happened.timestamp)
        if not self._outbox.add(event_id, frame):
            return self._end("More events wait for the client than are kept.")
        if self.socket is None:
            return [Keep(frame)]
        self._prove_soon(now)
        return [Keep(frame), Send(self.socket, frame)]

    def _event(self, event_type: str, params: dict[str, Any], event_id: str, timestamp: float) -> bytes:
        body = {
            "event_type": event_type,
            "event_channel": self.protocol,
            "timestamp": timestamp,
            "project_id": self.project,
            "space_id": self._space_id,
            "params": params,
        }
        return jsonrpc.request(event_id, "signalwire.event", body)

    def _prove_soon(self, now: float) -> None:
        """A client that answers no events shows by a pong what it has."""
        wanted = self._asked is None and not self._event_acks and len(self._outbox) > 0
        if wanted and self._prove_at is None and self.socket is not None:
            self._prove_at = max(now + self._limits.prove_after, self._may_ask)

    def _prove(self, now: float) -> list[Output]:
        self._prove_at = None
        self._may_ask = now + self._limits.prove_every
        if self.socket is None or self._asked is not None or not len(self._outbox):
            return []
        self._asked = self._outbox.last
        return [Ping(self.socket, proof(self._asked))]

    def _proven(self, proven: Proven, now: float) -> list[Output]:
        # A pong that nobody asked for may claim anything.
        if proven.socket == self.socket and self._asked is not None and proven.number == self._asked:
            self._asked = None
            self._outbox.prove(proven.number)
            self._prove_soon(now)
            return [Known(self._outbox.proven)]
        return []

    # -------------------------------------------------- messages

    def _received(self, received: Received, now: float) -> list[Output]:
        message = received.message
        if isinstance(message, jsonrpc.Response):
            return self._acknowledged(received.socket, message.id)
        if received.socket != self.socket:
            sentence = "This session goes on over a newer connection."
            return [Send(received.socket, Answer(jsonrpc.error(message.id, NOT_CONNECTED, sentence)))]
        if message.method.startswith("calling."):
            return self._calling(message, now)
        answer = self._own(message)
        return [] if message.is_notification else [self._send(answer)]

    def _acknowledged(self, socket: int, event_id: jsonrpc.Id) -> list[Output]:
        if socket != self.socket or not self._event_acks or not isinstance(event_id, str):
            return []
        is_news = self._outbox.acknowledged(event_id)
        return [Known(self._outbox.proven)] if is_news else []

    def _own(self, request: jsonrpc.Request) -> Answer:
        if request.method == "signalwire.ping":
            return Answer(jsonrpc.result(request.id, pong(request.params)))
        if request.method in ("signalwire.receive", "signalwire.unreceive"):
            return _answer(request.id, self._subscribe(request))
        sentence = f"There is no method {request.method[:100]}."
        return Answer(jsonrpc.error(request.id, jsonrpc.METHOD_NOT_FOUND, sentence))

    def _subscribe(self, request: jsonrpc.Request) -> dict[str, str]:
        contexts = request.params.get("contexts") if isinstance(request.params, dict) else None
        if not is_contexts(contexts):
            return {"code": "400", "message": f"contexts must be a list of at most {MAX_CONTEXTS} names."}
        assert isinstance(contexts, list)
        if request.method == "signalwire.unreceive":
            for context in contexts:
                self.contexts.pop(context, None)
            return {"code": "200", "message": "Not receiving these contexts"}
        if len(self.contexts.keys() | set(contexts)) > MAX_CONTEXTS:
            return {"code": "400", "message": f"A session can have {MAX_CONTEXTS} contexts at most."}
        self.contexts.update(dict.fromkeys(contexts))
        return {"code": "200", "message": "Receiving these contexts"}

    # -------------------------------------------------- requests of calls

    def _calling(self, request: jsonrpc.Request, now: float) -> list[Output]:
        digest = _digest(request)
        if request.id is not None:
            before = self._remembered.get((type(request.id), request.id))
            if before is not None and before.digest == digest:
                return [self._send(before.frame)]
            if self._is_under_way(request, digest):
                return []
        if len(self._pending) >= self._limits.requests:
            return [self._send(_answer(request.id, _FULL))]
        self._tickets += 1
        self._pending[self._tickets] = _Pending(
            id=request.id,
            digest=digest,
            due=now + self._limits.answer_within,
            copies=0 if request.is_notification else 1,
        )
        return [Perform(self._tickets, request.method, request.params)]

    def _is_under_way(self, request: jsonrpc.Request, digest: bytes) -> bool:
        for pending in self._pending.values():
            if pending.id == request.id and pending.digest == digest:
                pending.copies += 1
                return True
        return False

    def _answered(self, answered: Answered, now: float) -> list[Output]:
        pending = self._pending.pop(answered.ticket, None)
        if pending is None:
            return []
        frame = _answer(pending.id, answered.result)
        remembered: list[Output] = []
        if pending.id is not None:
            remembered.append(answer := Remember(pending.id, pending.digest, frame))
            self._remember(answer)
        if self.socket is None:
            return remembered
        return [*remembered, *[self._send(frame)] * pending.copies]

    def _remember(self, answer: Remember) -> None:
        key = type(answer.id), answer.id
        self._remembered[key] = answer
        self._remembered.move_to_end(key)
        while len(self._remembered) > self._limits.remembered:
            self._remembered.popitem(last=False)


def _answer(id_: jsonrpc.Id, result: Mapping[str, Any]) -> Answer:
    """`result`: with its `code`."""
    kind = Acceptance if result["code"].startswith("2") else Answer
    return kind(jsonrpc.result(id_, result))


def _digest(request: jsonrpc.Request) -> bytes:
    """A client may count its requests anew on each socket: the same id does not make them the same."""
    written = repr((request.method, request.params)).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(written, digest_size=16).digest()


_TAKE: dict[type, Callable[[Session, Any, float], list[Output]]] = {
    Attached: Session._attached,
    Detached: Session._detached,
    Received: Session._received,
    Answered: Session._answered,
    Happened: Session._happened,
    Proven: Session._proven,
    Leaving: Session._leaving,
}
