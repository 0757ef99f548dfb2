"""All transactions of a stack: found by branch, started, run by their timers, forgotten."""

from __future__ import annotations

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import SendMessage
from cordboard.sip.headers.via import MAGIC_COOKIE
from cordboard.sip.message import Request, Response
from cordboard.sip.moment import Moment
from cordboard.sip.outgoing import OutgoingRequest
from cordboard.sip.replies import ReplyWriter
from cordboard.sip.timers import Started, Timer, TimerQueue, Timers, Waiting
from cordboard.sip.transaction.client import CLIENT
from cordboard.sip.transaction.client_invite import CLIENT_INVITE
from cordboard.sip.transaction.server import SERVER
from cordboard.sip.transaction.server_invite import SERVER_INVITE
from cordboard.sip.transaction.table import FAILURE, PROVISIONAL, SUCCESS, State, Timing
from cordboard.sip.transaction.transaction import (
    ClientTransaction,
    ClientUser,
    ServerTransaction,
)

MergeKey = tuple[str, str, int]


def server_key(request: Request, method: str) -> str:
    """What a request's transaction is found by (RFC 3261 section 17.2.3); an ACK has that of its INVITE.

    Without the magic cookie, the rules of RFC 2543: all that stays the same in a retransmission.
    """
    via = request.via
    branch = via.params.get("branch") or ""
    if branch.startswith(MAGIC_COOKIE):
        return f"{method} {branch} {via.sent_by}"
    parts = (request.uri, request.from_tag, request.call_id, request.cseq.number, via.sent_by, branch)
    return f"{method} {parts!r}"


def merge_key(request: Request) -> MergeKey:
    """What two copies of one request that took different paths share (RFC 3261 section 8.2.2.2)."""
    return (request.call_id, request.from_tag or "", request.cseq.number)


def _timings(durations: dict[Timer, float]) -> dict[str, dict[State, Timing]]:
    """By the name of the table."""
    return {table.name: table.timings(durations) for table in (CLIENT_INVITE, CLIENT, SERVER_INVITE, SERVER)}


class TransactionLayer:
    """RFC 3261 section 17."""

    __slots__ = (
        "clients",
        "merged",
        "moment",
        "queue",
        "reliable_timings",
        "servers",
        "timers",
        "timings",
    )

    def __init__(self, moment: Moment, queue: TimerQueue, timers: Timers) -> None:
        self.moment = moment
        self.queue = queue
        self.timers = timers
        self.clients: dict[str, ClientTransaction] = {}
        self.servers: dict[str, ServerTransaction] = {}
        self.merged: dict[MergeKey, ServerTransaction] = {}
        self.timings = _timings(timers.durations(reliable=False))
        self.reliable_timings = _timings(timers.durations(reliable=True))

    def __len__(self) -> int:
        return len(self.clients) + len(self.servers)

    # ------------------------------------------------------------ clients

    def start_client(self, request: OutgoingRequest, user: ClientUser) -> ClientTransaction:
        """Send a request and see to its retransmission."""
        table = CLIENT_INVITE if request.method == "INVITE" else CLIENT
        key = f"{request.method} {request.branch}"
        transaction = ClientTransaction(self, table, key, request, user)
        self.clients[key] = transaction
        transaction.enter(table.initial)
        self.moment.outputs.append(SendMessage(request.data, request.destination))
        return transaction

    def resume_invite(self, request: OutgoingRequest, user: ClientUser) -> ClientTransaction:
        """An INVITE that another process has sent: its responses are awaited here."""
        key = f"INVITE {request.branch}"
        transaction = ClientTransaction(self, CLIENT_INVITE, key, request, user)
        self.clients[key] = transaction
        transaction.enter(State.PROCEEDING)
        return transaction

    def receive_response(self, response: Response) -> bool:
        """Hand a response to its transaction; False if there is none (RFC 3261 section 17.1.3)."""
        cseq = response.cseq
        transaction = self.clients.get(f"{cseq.method} {response.via.params.get('branch')}")
        if transaction is None or transaction.request.cseq != cseq.number:
            return False
        status = response.status
        transaction.take(PROVISIONAL if status < 200 else SUCCESS if status < 300 else FAILURE, response)
        return True

    def transport_failed(self, destination: Endpoint) -> None:
        """Nothing can be sent there: requests that wait for a first response fail at once, unless there is
        another way.  Responses take the one that their request's Via names."""
        for client in [t for t in self.clients.values() if t.destination == destination]:
            client.lose_connection()
        for server in [t for t in self.servers.values() if t.destination == destination]:
            server.lose_connection()

    # ------------------------------------------------------------ servers

    def start_server(self, key: str, request: Request, reply: ReplyWriter) -> ServerTransaction:
        """A request that matches no transaction.  The caller has looked for one."""
        table = SERVER_INVITE if request.method == "INVITE" else SERVER
        transaction = ServerTransaction(self, table, key, request, reply)
        self.servers[key] = transaction
        transaction.enter(table.initial)
        return transaction

    def answer_server(self, key: str, request: Request, reply: ReplyWriter, status: int) -> None:
        """The same for one that is no INVITE and gets its final response in this moment: nothing to wait
        for before that."""
        transaction = ServerTransaction(self, SERVER, key, request, reply)
        self.servers[key] = transaction
        transaction.state = SERVER.initial
        transaction.respond(status)

    def remember_merge(self, transaction: ServerTransaction, key: MergeKey) -> None:
        """Let a second copy of this request, by another path, be recognised."""
        transaction.merge_key = key
        self.merged[key] = transaction

    # ------------------------------------------------------------ both

    def start_timer(self, seconds: float, target: Waiting, timer: Timer) -> Started:
        return self.queue.start(self.moment.now, seconds, target, timer)
