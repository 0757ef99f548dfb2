"""One transaction: a state of a table, the message that it sends again, and its timers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cordboard.sip.endpoint import RELIABLE_TRANSPORTS, Endpoint
from cordboard.sip.events import SendMessage
from cordboard.sip.message import Request, Response
from cordboard.sip.outgoing import OutgoingRequest
from cordboard.sip.replies import ReplyWriter, second_destination
from cordboard.sip.timers import Started, Timer
from cordboard.sip.transaction.table import (
    ACKNOWLEDGE,
    FAILURE,
    PASS_UP,
    PROCEEDING,
    PROVISIONAL,
    SEND,
    SUCCESS,
    TERMINATED,
    TRYING,
    Action,
    Input,
    State,
    Table,
)

if TYPE_CHECKING:
    from cordboard.sip.transaction.layer import TransactionLayer


class ClientUser(Protocol):
    """Whoever sent the request (the "transaction user" of RFC 3261)."""

    def received_response(self, transaction: ClientTransaction, response: Response) -> None:
        """A response that is no retransmission, except that each 2xx to an INVITE is handed up."""

    def failed(self, transaction: ClientTransaction, status: int) -> None:
        """No final response: 408 after the timeout, 503 if the request could not be sent."""


class Nobody:
    """A transaction user that does not care: of CANCEL, of BYE."""

    def received_response(self, transaction: ClientTransaction, response: Response) -> None:
        pass

    def failed(self, transaction: ClientTransaction, status: int) -> None:
        pass


NOBODY = Nobody()


class Transaction:
    """What clients and servers share: running the table."""

    __slots__ = (
        "_again",
        "_end",
        "_interval",
        "_timings",
        "destination",
        "key",
        "layer",
        "message",
        "state",
        "table",
    )

    def __init__(self, layer: TransactionLayer, table: Table, key: str, destination: Endpoint) -> None:
        self.layer = layer
        self.table = table
        self.key = key
        self.destination = destination
        self.message = b""
        self.state = TERMINATED
        self._again: Started | None = None
        self._end: Started | None = None
        self._interval = 0.0
        is_reliable = destination.transport in RELIABLE_TRANSPORTS
        self._timings = (layer.reliable_timings if is_reliable else layer.timings)[table.name]

    def fire(self, timer: Timer) -> None:
        self.take(timer)

    def take(self, cause: Timer | Input, response: Response | None = None) -> None:
        """Look the input up in the table and do what the row says."""
        step = self.table.rows.get((self.state, cause))
        if step is None:
            return
        state, actions = step
        if state is not self.state:
            self.enter(state)
        for action in actions:
            if action is SEND:
                self.layer.moment.outputs.append(SendMessage(self.message, self.destination))
            else:
                self._perform(action, response)
        if state is TERMINATED:
            self.leave()

    def _perform(self, action: Action, response: Response | None) -> None:
        if action is Action.DOUBLE:
            self._repeat(self._interval * 2)
        elif action is Action.DOUBLE_UP_TO_T2:
            self._repeat(min(self._interval * 2, self.layer.timers.t2))
        elif action is Action.SLOW_DOWN:
            self._repeat(self.layer.timers.t2)
        elif action is Action.AGAIN:
            self._repeat(self._interval)

    def _repeat(self, interval: float) -> None:
        timer = self.table.timers[self.state].again
        assert timer is not None
        self._interval = interval
        layer = self.layer
        self._again = layer.queue.start(layer.moment.now, interval, self, timer)

    def enter(self, state: State) -> None:
        """Change the state, and start and stop the timers that the two states do not share."""
        queue, now, timings = self.layer.queue, self.layer.moment.now, self._timings
        again_before, _, end_before, _ = timings[self.state]
        again, interval, end, duration = timings[state]
        self.state = state
        if again is not again_before:
            if self._again is not None:
                queue.stop(self._again)
            self._interval = interval or 0.0
            if again is None or interval is None:
                self._again = None
            else:
                self._again = queue.start(now, interval, self, again)
        if end is not end_before:
            if self._end is not None:
                queue.stop(self._end)
            if end is None or duration is None:
                self._end = None
            else:
                self._end = queue.start(now, duration, self, end)

    def leave(self) -> None:
        """The transaction is over: forget it, and let go of its user."""
        raise NotImplementedError

    def terminate(self) -> None:
        """Give up at once, without a word to anybody."""
        if self.state is not TERMINATED:
            self.enter(TERMINATED)
            self.leave()


class ClientTransaction(Transaction):
    """We sent the request."""

    __slots__ = ("_acknowledgement", "request", "user")

    def __init__(
        self, layer: TransactionLayer, table: Table, key: str, request: OutgoingRequest, user: ClientUser
    ) -> None:
        super().__init__(layer, table, key, request.destination)
        self.request = request
        self.user = user
        self.message = request.data
        self._acknowledgement = b""

    def _perform(self, action: Action, response: Response | None) -> None:
        if action is PASS_UP:
            assert response is not None
            self.user.received_response(self, response)
        elif action is ACKNOWLEDGE:
            self._acknowledge(response)
        elif action is Action.REPORT_TIMEOUT:
            self.user.failed(self, 408)
        elif action is Action.REPORT_TRANSPORT_ERROR:
            self.user.failed(self, 503)
        else:
            super()._perform(action, response)

    def lose_connection(self) -> None:
        """Nothing can be sent to the destination."""
        other = self.request.alternative
        if other is None or other == self.destination:
            self.take(Input.TRANSPORT_ERROR)
            return
        self.destination = other
        if self.state in (State.CALLING, TRYING, PROCEEDING):
            self.layer.moment.send(self.message, other)

    def leave(self) -> None:
        self.layer.clients.pop(self.key, None)
        self.user = NOBODY

    def _acknowledge(self, response: Response | None) -> None:
        if not self._acknowledgement:
            assert response is not None
            self._acknowledgement = self.request.acknowledgement(response.headers.get("To") or "")
        self.layer.moment.send(self._acknowledgement, self.destination)


class ServerUser(Protocol):
    """Whose dialog a server transaction counts against."""

    def transaction_over(self, transaction: ServerTransaction) -> None:
        """The transaction is gone, answered or not."""


class ServerTransaction(Transaction):
    """They sent the request."""

    __slots__ = ("merge_key", "reply", "request", "user")

    def __init__(
        self, layer: TransactionLayer, table: Table, key: str, request: Request, reply: ReplyWriter
    ) -> None:
        super().__init__(layer, table, key, reply.destination)
        self.request = request
        self.reply = reply
        self.user: ServerUser | None = None
        self.merge_key: tuple[str, str, int] | None = None

    @property
    def answered(self) -> bool:
        """A final response has been sent."""
        return self.state is not TRYING and self.state is not PROCEEDING

    def respond(self, status: int, reason: str | None = None, extra: str = "", body: bytes = b"") -> None:
        """Send a response.  After a final one, further ones are ignored."""
        if self.state is not TRYING and self.state is not PROCEEDING:
            return
        self.message = self.reply.write(status, reason, extra, body)
        self.take(PROVISIONAL if status < 200 else SUCCESS if status < 300 else FAILURE)

    def lose_connection(self) -> None:
        """Nothing can be sent to the destination."""
        other = second_destination(self.request, self.destination)
        if other is None:
            return
        self.destination = other
        if self.message and self.state in (PROCEEDING, State.COMPLETED, State.ACCEPTED):
            self.layer.moment.send(self.message, other)

    def leave(self) -> None:
        self.layer.servers.pop(self.key, None)
        if self.merge_key is not None:
            self.layer.merged.pop(self.merge_key, None)
        if self.user is not None:
            self.user.transaction_over(self)
            self.user = None
