"""The SIP stack: bytes and time in, bytes and events out.  Knows no sockets, no clock, no randomness."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from cordboard.sip.core import UserAgentCore
from cordboard.sip.credentials import Credentials
from cordboard.sip.dialog import Dialog
from cordboard.sip.endpoint import SECURE_TRANSPORTS, Endpoint
from cordboard.sip.events import EVENTS, Event, Output, SendMessage
from cordboard.sip.headers.fields import check_sendable
from cordboard.sip.headers.grammar import HeaderError, is_token
from cordboard.sip.outgoing import OutgoingRequest, header_lines
from cordboard.sip.outside import OutsideRequest
from cordboard.sip.own_requests import Body
from cordboard.sip.reception import Reception
from cordboard.sip.saved import restore_invite, save_invite
from cordboard.sip.session import Session
from cordboard.sip.session_client import ClientSession
from cordboard.sip.session_server import ServerSession
from cordboard.sip.session_timer import MIN_SE, wish_lines
from cordboard.sip.timers import TimerQueue, Timers
from cordboard.sip.transaction.server_invite import SERVER_INVITE
from cordboard.sip.transaction.table import State
from cordboard.sip.transaction.transaction import NOBODY
from cordboard.sip.uri import UriError

Fields = Iterable[tuple[str, str]]

_UNANSWERED = (State.CALLING, State.TRYING, State.PROCEEDING)


class SipStack:
    """RFC 3261 user agent, client and server.

    Times are seconds of one monotonic clock.  Each method returns what has to be done, in this order.
    Nothing that arrives raises; calls about a session or transaction that is over return an empty list.
    `headers` with a line break or a bad name raise HeaderError.
    """

    __slots__ = ("_core", "_reception")

    def __init__(
        self,
        *,
        local: Endpoint,
        token: Callable[[], str],
        user_agent: str = "Cordboard",
        timers: Timers = Timers(),  # noqa: B008 - immutable
        max_sessions: int = 100_000,
        also: Sequence[Endpoint] = (),
    ) -> None:
        """`local`, and `also` for other transports and IP versions: for Via and Contact, by the destination.

        `token`: a new random hex id with each call, the source of tags, branches and Call-IDs (at least 32
        bits: RFC 3261 section 19.3).
        """
        self._core = UserAgentCore(local=local, also=also, token=token, user_agent=user_agent, timers=timers)
        self._reception = Reception(self._core, max_sessions)

    @property
    def local(self) -> Endpoint:
        """The first address in Via and Contact."""
        return self._core.local

    # ------------------------------------------------------------ bytes and time

    def receive(self, data: bytes, source: Endpoint, now: float) -> list[Output]:
        """One datagram, or one message cut from a stream."""
        moment = self._core.moment
        moment.now = now
        outputs: list[Output] = []
        moment.outputs = outputs
        self._reception.receive(data, source)
        return outputs

    def transport_failed(self, destination: Endpoint, now: float) -> list[Output]:
        """Sending to `destination` failed (ICMP, connection refused)."""
        outputs = self._core.moment.begin(now)
        for _, dialog in list(self._core.dialogs.values()):
            if dialog.destination == destination:
                dialog.lose_connection()
        self._core.layer.transport_failed(destination)
        return outputs

    @property
    def queue(self) -> TimerQueue:
        """For its `due`: no timer runs out before."""
        return self._core.queue

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called; None: not before something else happens."""
        return self._core.queue.next_timeout()

    def handle_timeout(self, now: float) -> list[Output]:
        """Run all timers that are due."""
        outputs = self._core.moment.begin(now)
        self._reception.run_timers(now)
        return outputs

    # ------------------------------------------------------------ calling

    def invite(
        self,
        *,
        uri: str,
        to: str,
        from_: str,
        destination: Endpoint,
        body: bytes,
        headers: Fields = (),
        call_id: str | None = None,
        credentials: Credentials | None = None,
        session_expires: int | None = None,
        now: float,
    ) -> tuple[str, list[Output]]:
        """Call `uri`: returns the id of the new session.  `to` and `from_` are header values without tag.

        `credentials` answer challenges of the host at `destination`, in all requests of the session.
        `session_expires`: seconds between refreshes (RFC 4028), at least 90; `RefreshDue` asks for ours.
        Raises UriError for a sips URI over a transport that is not secure.
        """
        wish = ""
        if session_expires is not None:
            session_expires = max(session_expires, MIN_SE)
            wish = wish_lines(session_expires, MIN_SE, "uac")
        core = self._core
        outputs = core.moment.begin(now)
        session_id, branch = core.token(), core.new_branch()
        request = OutgoingRequest(
            "INVITE",
            check_sendable(uri),
            via=core.via(branch, destination),
            branch=branch,
            from_=f"{check_sendable(from_)};tag={session_id}",
            to=check_sendable(to),
            call_id=check_sendable(call_id or core.token()),
            cseq=1,
            destination=destination,
            extra=_offering(core, uri, destination) + wish + header_lines(headers),
            body=body,
        )
        ClientSession(core, session_id, credentials).invite(request, session_expires)
        return session_id, outputs

    def cancel(self, session: str, *, headers: Fields = (), now: float) -> list[Output]:
        """Give up a call that is not answered.  CANCEL waits for a provisional response; an answer that
        crosses it is acknowledged and ended with BYE.  `SessionEnded` comes when the far end has let go, or
        64*T1 later."""
        outputs, found = self._begin(session, now)
        if isinstance(found, ClientSession):
            found.cancel(header_lines(headers))
        elif found is not None:
            found.bye(header_lines(headers))
        return outputs

    # ------------------------------------------------------------ being called

    def ring(
        self,
        session: str,
        *,
        status: int = 180,
        reason: str | None = None,
        body: bytes = b"",
        headers: Fields = (),
        now: float,
    ) -> list[Output]:
        """A provisional response, 101 to 199.  It is sent reliably (RFC 3262) where the caller requires that,
        or can do so and there is a body: then until its PRACK, or the end of the session after 64*T1."""
        _check_status(status, 101, 199)
        outputs, found = self._begin(session, now)
        if isinstance(found, ServerSession):
            found.ring(status, _checked(reason), header_lines(headers), body)
        return outputs

    def accept(
        self,
        session: str,
        *,
        body: bytes,
        headers: Fields = (),
        session_expires: int | None = None,
        now: float,
    ) -> list[Output]:
        """200, sent again until the ACK comes.  Without one for 64*T1, BYE and `SessionEnded("no_ack")`.

        It waits for the PRACK of a reliable description.  `session_expires`: seconds between refreshes that
        we ask of a caller who knows timers and names none, and the most that one may name.
        """
        outputs, found = self._begin(session, now)
        if isinstance(found, ServerSession):
            found.accept(header_lines(headers), body, session_expires)
        return outputs

    def reject(
        self, session: str, *, status: int, reason: str | None = None, headers: Fields = (), now: float
    ) -> list[Output]:
        """A final response of 300 to 699, and the end of the session."""
        _check_status(status, 300, 699)
        outputs, found = self._begin(session, now)
        if isinstance(found, ServerSession):
            found.reject(status, _checked(reason), header_lines(headers))
        return outputs

    # ------------------------------------------------------------ inside the dialog

    def bye(self, session: str, *, headers: Fields = (), now: float) -> list[Output]:
        """Hang up.  Before the answer this cancels our call, or refuses theirs with 480.

        If our 200 has not been acknowledged yet, the BYE leaves when it has been (RFC 3261 section 15).
        """
        outputs, found = self._begin(session, now)
        if found is not None:
            found.bye(header_lines(headers))
        return outputs

    def request(
        self,
        session: str,
        method: str,
        *,
        body: bytes = b"",
        headers: Fields = (),
        credentials: Credentials | None = None,
        mark: str = "",
        now: float,
    ) -> list[Output]:
        """A request inside the dialog, other than INVITE and BYE; `RequestDone` tells its outcome.

        Requests leave one after the other.  Name the Content-Type in `headers` if the body is no SDP.
        `credentials`: for this request, in place of the session's.  `mark` is repeated by `RequestDone`.
        """
        if not is_token(method):
            raise HeaderError("a method must be a token")
        outputs, found = self._begin(session, now)
        if found is not None:
            found.request(method, header_lines(headers), body, credentials, mark)
        return outputs

    def reinvite(
        self, session: str, body: Body, now: float, *, headers: Fields = (), mark: str = ""
    ) -> list[Output]:
        """INVITE inside the dialog; `body` is an offer, or what makes one each time that the INVITE leaves,
        for it may have to wait for an offer of theirs.  `RequestDone` has the acknowledged answer, and
        repeats `mark`."""
        outputs, found = self._begin(session, now)
        if found is not None:
            found.request("INVITE", header_lines(headers), body, mark=mark)
        return outputs

    def refresh(self, session: str, offer: Body, now: float) -> list[Output]:
        """What `RefreshDue` asks for: UPDATE without a body if the far end takes it, else a re-INVITE with
        this offer of what holds (as with `reinvite`).  `RequestDone` tells the outcome."""
        outputs, found = self._begin(session, now)
        if found is not None:
            found.refresh("", offer)
        return outputs

    def respond(
        self,
        transaction: str,
        status: int,
        reason: str | None = None,
        *,
        body: bytes = b"",
        headers: Fields = (),
        now: float,
    ) -> list[Output]:
        """Answer a `RequestReceived` or `ReinviteReceived`."""
        _check_status(status, 101, 699)
        outputs = self._core.moment.begin(now)
        found = self._core.layer.servers.get(transaction)
        if found is not None and isinstance(found.user, Session):
            found.user.their.respond(transaction, status, _checked(reason), header_lines(headers), body)
        return outputs

    def find_dialog(self, call_id: str, to_tag: str, from_tag: str) -> str | None:
        """The session that a Replaces header means (RFC 3891 section 3): `to_tag` is our tag in it."""
        found = self._core.dialogs.get((call_id, to_tag, from_tag))
        return None if found is None or found[0].over else found[0].id

    def local_party(self, session: str) -> str | None:
        """We, as From or To of this dialog name us, with our tag; None: there is no dialog."""
        found = self._core.sessions.get(session)
        return None if found is None or found.dialog is None else found.dialog.local

    # ------------------------------------------------------------ outside dialogs

    def send(
        self,
        method: str,
        *,
        uri: str,
        to: str,
        from_: str,
        destination: Endpoint,
        headers: Fields = (),
        body: bytes = b"",
        credentials: Credentials | None = None,
        call_id: str | None = None,
        cseq: int | None = None,
        now: float,
    ) -> tuple[str, list[Output]]:
        """A request such as OPTIONS or REGISTER: returns its id, which `ResponseReceived` will repeat.

        `to` and `from_` are header values without tag.  After a challenge the CSeq is one higher than `cseq`
        (1 by default); `response.cseq` says what it was.
        """
        if not is_token(method) or method in ("INVITE", "ACK", "CANCEL"):
            raise HeaderError("a method must be a token, and one that needs no dialog")
        core = self._core
        outputs = core.moment.begin(now)
        request_id, branch = core.token(), core.new_branch()
        request = OutgoingRequest(
            method,
            check_sendable(uri),
            via=core.via(branch, destination),
            branch=branch,
            from_=f"{check_sendable(from_)};tag={request_id}",
            to=check_sendable(to),
            call_id=check_sendable(call_id or core.token()),
            cseq=1 if cseq is None else cseq,
            destination=destination,
            extra=core.agent + header_lines(headers),
            body=body,
        )
        OutsideRequest(core, request_id, credentials).send(request)
        return request_id, outputs

    # ------------------------------------------------------------ across a restart

    def save_dialog(self, session: str) -> bytes | None:
        """What `bye_saved_dialog` needs; None if there is nothing to end: no such session, or a caller whom
        we have not answered."""
        found = self._core.sessions.get(session)
        if isinstance(found, ClientSession) and found.invite_pending and found.transaction is not None:
            return save_invite(found.transaction.request, found.id)
        if found is None or found.dialog is None or found.invite_pending:
            return None
        return found.dialog.save()

    def bye_saved_dialog(self, saved: bytes, *, headers: Fields = (), now: float) -> list[Output]:
        """BYE in a dialog that another process has left behind, or CANCEL for its INVITE; nothing if `saved`
        cannot be read."""
        outputs = self._core.moment.begin(now)
        extra = header_lines(headers)
        with contextlib.suppress(msgspec.DecodeError):
            invite = restore_invite(saved)
            if invite is None:
                self._bye(Dialog.restore(saved), extra)
            elif invite[0] not in self._core.sessions:
                ClientSession(self._core, invite[0]).give_up(invite[1], extra)
        return outputs

    def _bye(self, dialog: Dialog, extra: str) -> None:
        core = self._core
        branch = core.new_branch()
        via = core.via(branch, dialog.destination)
        sent = dialog.request("BYE", via=via, branch=branch, extra=extra + core.agent)
        core.layer.start_client(sent, NOBODY)

    # ------------------------------------------------------------ figures

    def counts(self) -> dict[str, int]:
        """What is alive: all 0 at rest."""
        core = self._core
        return {
            "transactions": len(core.layer),
            "dialogs": len(core.dialogs),
            "sessions": len(core.sessions),
            "timers": len(core.queue),
            "merge_keys": len(core.layer.merged),
        }

    def unanswered(self) -> int:
        """Requests of ours that wait for their final response, and BYEs that wait for an ACK."""
        core = self._core
        waiting = sum(transaction.state in _UNANSWERED for transaction in core.layer.clients.values())
        return waiting + sum(session.held_bye is not None for session, _ in core.dialogs.values())

    def unacknowledged(self) -> int:
        """Refusals of ours that still wait for their ACK, and are sent again meanwhile."""
        servers = self._core.layer.servers.values()
        return sum(one.table is SERVER_INVITE and one.state is State.COMPLETED for one in servers)

    @property
    def defects(self) -> int:
        """Faults of this stack that an arriving message or a timer brought to light.  Should be 0."""
        return self._reception.defects

    @property
    def last_defect(self) -> Exception | None:
        """The latest of them, with its traceback, for the log."""
        return self._reception.last_defect

    @property
    def ignored(self) -> int:
        """Messages that got no answer: strays, keep-alives, what is no SIP."""
        return self._reception.ignored

    def _begin(self, session: str, now: float) -> tuple[list[Output], Session | None]:
        core = self._core
        moment = core.moment
        moment.now = now
        outputs: list[Output] = []
        moment.outputs = outputs
        return outputs, core.sessions.get(session)


def _offering(core: UserAgentCore, uri: str, destination: Endpoint) -> str:
    """Of an INVITE.  Raises UriError for sips over a transport that is not secure."""
    identity = core.identity(destination)
    if uri[:5].lower() != "sips:":
        return identity.offering
    if destination.transport not in SECURE_TRANSPORTS:
        raise UriError("a sips URI may only be called over TLS")
    return identity.secure_offering


def _check_status(status: int, lowest: int, highest: int) -> None:
    if not lowest <= status <= highest:
        raise ValueError(f"status {status} is not within {lowest} to {highest}")


def _checked(reason: str | None) -> str | None:
    return None if reason is None else check_sendable(reason)


__all__ = ["EVENTS", "Endpoint", "Event", "Output", "SendMessage", "SipStack", "Timers"]
