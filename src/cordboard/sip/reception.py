"""What arrives: parsed, matched to its transaction, its dialog or a new session, or refused.

A response that needs no memory is sent without a transaction (RFC 3261 section 8.2.7): what strangers send
must not fill the tables.
"""

from __future__ import annotations

from zlib import crc32

from cordboard.sip.core import ACCEPT, ALLOW, SUPPORTED, UserAgentCore
from cordboard.sip.dialog import Dialog
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import InviteReceived
from cordboard.sip.message import MessageError, Request, parse
from cordboard.sip.refusal import (
    MERGED,
    NO_DIALOG,
    NOT_ALLOWED,
    OVERLOADED,
    Refusal,
    refuse_invite,
    refuse_method,
)
from cordboard.sip.replies import ReplyWriter
from cordboard.sip.session import Session
from cordboard.sip.session_server import ServerSession
from cordboard.sip.transaction.layer import merge_key, server_key
from cordboard.sip.transaction.table import ACCEPTED, Input
from cordboard.sip.transaction.transaction import ServerTransaction

_OUT_OF_ORDER = Refusal(500, "CSeq Out Of Order")
_SPARE_TRANSACTIONS = 1024
_BLANKS = b"\r\n\0"


class Reception:
    """The entrance of the stack.  `ignored` and `defects` count what was dropped, and our own faults."""

    __slots__ = (
        "_core",
        "_max_sessions",
        "_max_transactions",
        "_secret",
        "defects",
        "ignored",
        "last_defect",
    )

    def __init__(self, core: UserAgentCore, max_sessions: int) -> None:
        self._core = core
        self._max_sessions = max_sessions
        # A transaction outlives its session by 64*T1, so there are more of them, but not without limit.
        self._max_transactions = 2 * max_sessions + _SPARE_TRANSACTIONS
        self._secret = core.token()
        self.defects = 0
        self.last_defect: Exception | None = None
        self.ignored = 0

    def receive(self, data: bytes, source: Endpoint) -> None:
        """One message."""
        try:
            if data[:1] in _BLANKS and not data.strip(_BLANKS):
                self.ignored += 1  # a keep-alive
                return
            try:
                message = parse(data)
            except MessageError as error:
                self._refuse_malformed(error, source)
                return
            if isinstance(message, Request):
                self._receive_request(message, source)
            elif not self._core.layer.receive_response(message):
                self.ignored += 1
        except Exception as defect:  # the last guard: one message must not take the server down
            self._note(defect)

    def run_timers(self, now: float) -> None:
        """All timers that are due; those that are started meanwhile wait for the next call."""
        for target, timer in self._core.queue.take_due(now):
            try:
                target.fire(timer)
            except Exception as defect:  # as above
                self._note(defect)

    def _note(self, defect: Exception) -> None:
        self.defects += 1
        self.last_defect = defect

    def _refuse_malformed(self, error: MessageError, source: Endpoint) -> None:
        partial = error.partial
        if not isinstance(partial, Request) or partial.method == "ACK":
            self.ignored += 1
            return
        destination = _malformed_destination(partial, source)
        partial.stamp_source(source.address, source.port)
        tag = self._stateless_tag(partial)
        self._core.moment.send(partial.response(error.code, error.reason, to_tag=tag).to_bytes(), destination)

    # ------------------------------------------------------------ requests

    def _receive_request(self, request: Request, source: Endpoint) -> None:
        method = request.method
        key = server_key(request, "INVITE" if method == "ACK" else method)
        transaction = self._core.layer.servers.get(key)
        if transaction is not None and not (method == "ACK" and transaction.state is ACCEPTED):
            transaction.take(Input.ACK if method == "ACK" else Input.REQUEST)
        elif method == "CANCEL":
            self._cancel(request, source)
        elif request.to_tag is not None:
            self._receive_in_dialog(key, request, source)
        elif method == "INVITE":
            self._receive_invite(key, request, source)
        else:
            self._receive_outside(request, source)

    def _receive_outside(self, request: Request, source: Endpoint) -> None:
        """No dialog and no session to come."""
        if request.method == "ACK":
            self.ignored += 1
        elif request.method == "OPTIONS":
            self._refuse(request, source, Refusal(200, None, ALLOW + SUPPORTED + ACCEPT))
        else:
            self._refuse(request, source, NO_DIALOG if refuse_method(request) is None else NOT_ALLOWED)

    def _refuse(self, request: Request, source: Endpoint, refusal: Refusal) -> None:
        """Answer without a transaction: the same request again gets the same answer again."""
        reply = ReplyWriter(request, source, self._stateless_tag(request))
        data = reply.write(refusal.status, refusal.reason, refusal.extra)
        self._core.moment.send(data, reply.destination)

    def _stateless_tag(self, request: Request) -> str:
        """The same for each copy of one request (section 8.2.7)."""
        return f"{crc32(f'{self._secret}{request.call_id}{request.branch}'.encode(errors='replace')):08x}"

    # ------------------------------------------------------------ CANCEL

    def _cancel(self, request: Request, source: Endpoint) -> None:
        """Section 9.2: 200 if there is something to cancel, even if it is too late for that."""
        invite = self._core.layer.servers.get(server_key(request, "INVITE"))
        if invite is None or invite.user is None:
            self._refuse(request, source, NO_DIALOG)
            return
        self._refuse(request, source, Refusal(200))
        if not invite.answered:
            self._session_of(invite).cancelled(invite, request)

    def _session_of(self, transaction: ServerTransaction) -> Session:
        assert isinstance(transaction.user, Session)
        return transaction.user

    # ------------------------------------------------------------ a new session

    def _receive_invite(self, key: str, request: Request, source: Endpoint) -> None:
        core = self._core
        merge = merge_key(request)
        refusal = MERGED if merge in core.layer.merged else self._refuse_invite(request)
        if refusal is not None:
            self._refuse(request, source, refusal)
            return
        reply = ReplyWriter(request, source, core.token())
        transaction = core.layer.start_server(key, request, reply)
        core.layer.remember_merge(transaction, merge)
        session = ServerSession(core, transaction, source)
        transaction.respond(100, None, _timestamp(request))
        core.moment.outputs.append(InviteReceived(session.id, request, source))

    def _refuse_invite(self, request: Request) -> Refusal | None:
        return refuse_invite(request) or (OVERLOADED if self._full else None)

    @property
    def _full(self) -> bool:
        core = self._core
        return len(core.sessions) >= self._max_sessions or len(core.layer.servers) >= self._max_transactions

    # ------------------------------------------------------------ inside a dialog

    def _receive_in_dialog(self, key: str, request: Request, source: Endpoint) -> None:
        found = self._core.dialogs.get((request.call_id, request.to_tag or "", request.from_tag or ""))
        if request.method == "ACK":
            if found is None:
                self.ignored += 1
            else:
                found[0].acknowledged(request)
        elif found is None or (found[0].over and request.method != "BYE"):
            self._refuse(request, source, NO_DIALOG)
        else:
            self._receive_from_peer(key, request, source, *found)

    def _receive_from_peer(
        self, key: str, request: Request, source: Endpoint, session: Session, dialog: Dialog
    ) -> None:
        """A new request from the far end of a dialog (section 12.2.2)."""
        layer = self._core.layer
        # New calls are turned away at the limit, the ends of those that are, not before twice as many.
        full = len(layer.servers) >= 2 * self._max_transactions
        if full or (session.busy and request.method != "BYE"):
            self._refuse(request, source, OVERLOADED)
            return
        if not dialog.accepts(request.cseq.number):
            self._refuse(request, source, _OUT_OF_ORDER)
            return
        reply = ReplyWriter(request, source, "")
        if request.method == "BYE":
            layer.answer_server(key, request, reply, 200)
            session.bye_received(request)
        else:
            session.their.receive(dialog, layer.start_server(key, request, reply))


def _timestamp(request: Request) -> str:
    """Section 8.2.6.1: a 100 repeats it."""
    timestamp = request.headers.get("Timestamp")
    return "" if timestamp is None else f"Timestamp: {timestamp}\r\n"


def _malformed_destination(partial: Request, source: Endpoint) -> Endpoint:
    via = partial.via
    if source.reliable or via.wants_rport or not via.port:
        return source
    return Endpoint(source.transport, source.address, via.port)
