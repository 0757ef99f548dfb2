"""A session: one INVITE usage of a dialog, from its INVITE to its end.

What client and server have in common from the 2xx on: the ACK of answers, requests inside the dialog, BYE.
The layer above never sees an ACK of its own, a retransmission, or a fork that lost.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from cordboard.sip.answer import Answer
from cordboard.sip.auth_client import CHALLENGED, Authenticator, Tries
from cordboard.sip.credentials import Credentials
from cordboard.sip.dialog import Dialog
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.errand import Errand
from cordboard.sip.events import AckReceived, EndCause, RequestDone, SessionEnded
from cordboard.sip.message import Request, Response
from cordboard.sip.outgoing import OutgoingRequest
from cordboard.sip.own_requests import Body, OwnRequests
from cordboard.sip.session_timer import SessionTimer
from cordboard.sip.their_requests import TheirRequests
from cordboard.sip.transaction.transaction import NOBODY, ServerTransaction

if TYPE_CHECKING:
    from cordboard.sip.core import UserAgentCore


class SessionState(StrEnum):
    """Where a session is; `ENDED` from the moment `SessionEnded` is reported."""

    INVITED = "invited"
    """Server: the INVITE has no final response yet."""
    INVITING = "inviting"
    """Client: our INVITE has no final response yet."""
    CANCELLING = "cancelling"
    """Client: cancelled, the final response is awaited."""
    ESTABLISHED = "established"
    """A 2xx has been sent or received."""
    ENDED = "ended"


# As in `transaction.table`: a name of the module is looked up ten times faster than a member.
INVITED, INVITING, CANCELLING = SessionState.INVITED, SessionState.INVITING, SessionState.CANCELLING
ESTABLISHED, ENDED = SessionState.ESTABLISHED, SessionState.ENDED


_EXPIRED = 'Reason: SIP;cause=408;text="Session timer expired"\r\n'


class Session:
    """The common part; `ClientSession` and `ServerSession` add the INVITE."""

    __slots__ = (
        "_own",
        "_their",
        "answers",
        "authenticator",
        "core",
        "credentials",
        "dialog",
        "held_bye",
        "id",
        "state",
        "timer",
    )

    def __init__(self, core: UserAgentCore, session_id: str, state: SessionState) -> None:
        self.core = core
        self.id = session_id
        self.state = state
        self.dialog: Dialog | None = None
        """The confirmed dialog; of a server, from the first response with a tag."""
        self.answers: dict[int, Answer] = {}
        """Our 2xx that wait for their ACK, by CSeq number."""
        self.held_bye: str | None = None
        """Header lines of a BYE that must wait for the ACK (section 15)."""
        self.credentials: Credentials | None = None
        self.authenticator: Authenticator | None = None
        """Once there was a challenge."""
        self.timer: SessionTimer | None = None
        """From the 2xx on, if there is one."""
        self._own: OwnRequests | None = None
        self._their: TheirRequests | None = None
        core.sessions[session_id] = self

    @property
    def own(self) -> OwnRequests:
        """Our requests inside the dialog."""
        if self._own is None:
            self._own = OwnRequests(self)
        return self._own

    @property
    def their(self) -> TheirRequests:
        """The far end's requests inside the dialog."""
        if self._their is None:
            self._their = TheirRequests(self)
        return self._their

    @property
    def over(self) -> bool:
        """`SessionEnded` has been reported; a dialog that is still there waits for an ACK only."""
        return self.state is ENDED

    @property
    def busy(self) -> bool:
        """The far end has more transactions inside the dialog than one session may have."""
        return self._their is not None and self._their.full

    # ------------------------------------------------------------ sending

    def offering(self, dialog: Dialog) -> str:
        """The header lines of what may make or change this dialog, responses included."""
        identity = self.core.identity(dialog.destination)
        return identity.secure_offering if dialog.target[:5] == "sips:" else identity.offering

    def build(
        self,
        dialog: Dialog,
        method: str,
        extra: str,
        body: bytes = b"",
        authenticator: Authenticator | None = None,
    ) -> OutgoingRequest:
        """A request inside a dialog, with our credentials if they were asked for before; with those of
        `authenticator` in place of the session's."""
        branch = self.core.new_branch()
        via = self.core.via(branch, dialog.destination)
        added = ""
        authenticator = authenticator or self.authenticator
        if authenticator is not None:
            added = authenticator.lines(method, dialog.target, body, dialog.destination)
        return dialog.request(method, via=via, branch=branch, extra=extra, added=added, body=body)

    def build_ack(self, dialog: Dialog, cseq: int, added: str) -> OutgoingRequest:
        """The ACK for a 2xx to our INVITE of this number; `added`: the credentials of that INVITE (section
        22.1)."""
        branch = self.core.new_branch()
        via = self.core.via(branch, dialog.destination)
        return dialog.request("ACK", via=via, branch=branch, extra="", added=added, cseq=cseq)

    def send_bye(self, dialog: Dialog, extra: str = "") -> None:
        extra += self.core.agent
        if self.credentials is None:
            self.core.layer.start_client(self.build(dialog, "BYE", extra), NOBODY)
        else:
            Errand(self, dialog, "BYE", extra).send()

    def challenged(self, response: Response, sent: OutgoingRequest, tries: Tries) -> bool:
        """Whether to send this request again, with the credentials that its response asks for."""
        if self.credentials is None or response.status not in CHALLENGED:
            return False
        if self.authenticator is None:
            self.authenticator = Authenticator(self.credentials, self.host, self.core.token)
        return self.authenticator.accept(response, sent, tries)

    @property
    def host(self) -> Endpoint:
        """The only one that may get our credentials."""
        raise NotImplementedError

    # ------------------------------------------------------------ the end

    def bye(self, extra: str) -> None:
        """Hang up, whatever the state.  The session counts as over at once (section 15.1.1)."""
        if self.state is not ESTABLISHED or self.dialog is None:
            return
        if self.waits_for_first_ack:
            self.held_bye = extra
        else:
            if self._own is not None:
                self._own.hurry()
            self.send_bye(self.dialog, extra)
        self.end("bye_sent")

    @property
    def waits_for_first_ack(self) -> bool:
        """We answered, but do not know yet whether the far end has seen it: no BYE before (section 15)."""
        return False

    def end(self, cause: EndCause, status: int = 0, request: Request | None = None) -> None:
        """The one place where a session ends."""
        if self.state is ENDED:
            return
        self.state = ENDED
        self.core.sessions.pop(self.id, None)
        if self.held_bye is None:
            self.forget_dialog()
        if self.timer is not None:
            self.timer.stop()
        if self._own is not None:
            self._own.abandon()
        if self._their is not None:
            self._their.abandon()
        self.core.report(SessionEnded(self.id, cause, status, request))

    def forget_dialog(self) -> None:
        """Requests inside the dialog get 481 from now on."""
        for answer in self.answers.values():
            answer.stop()
        self.answers.clear()
        if self.dialog is not None:
            self.core.unregister(self.dialog)

    def lost(self, status: int) -> None:
        """The far end does not know the dialog, or is silent (section 12.2.1.2)."""
        if self.state is not ESTABLISHED or self.dialog is None:
            return
        self.send_bye(self.dialog)
        causes: dict[int, EndCause] = {408: "timeout", 503: "transport"}
        self.end(causes.get(status, "bye_sent"), status)

    def expire(self) -> None:
        """Nobody has refreshed the session (RFC 4028 section 10)."""
        if self.state is ESTABLISHED and self.dialog is not None:
            self.send_bye(self.dialog, _EXPIRED)
            self.end("timer_expired")

    # ------------------------------------------------------------ answers and their ACKs

    def await_ack(self, transaction: ServerTransaction) -> None:
        answer = Answer(self, transaction)
        self.answers[answer.cseq] = answer

    def acknowledged(self, request: Request) -> None:
        """An ACK inside the dialog; all but the first for an answer are retransmissions."""
        answer = self.answers.pop(request.cseq.number, None)
        if answer is None:
            return
        answer.stop()
        if self.held_bye is not None:
            self._send_held_bye()
            return
        self.core.report(AckReceived(self.id, request.body))
        if self._own is not None:
            self._own.go_on()

    def answer_unacknowledged(self, answer: Answer) -> None:
        """64*T1 without an ACK (section 13.3.1.4)."""
        self.answers.pop(answer.cseq, None)
        if self.held_bye is not None:
            self._send_held_bye()
        elif self.dialog is not None and self.state is not ENDED:
            self.send_bye(self.dialog)
            self.end("no_ack")

    def _send_held_bye(self) -> None:
        extra, self.held_bye = self.held_bye, None
        if self.dialog is not None:
            self.send_bye(self.dialog, extra or "")
        self.forget_dialog()

    # ------------------------------------------------------------ requests inside the dialog

    @property
    def invite_pending(self) -> bool:
        """Whether the INVITE that made this session has no final response yet."""
        return self.state in (INVITED, INVITING, CANCELLING)

    @property
    def offer_sent(self) -> bool:
        """An offer of ours in the first INVITE, or in its 2xx, waits for its answer."""
        return self.state in (INVITING, CANCELLING)

    @property
    def owns_call_id(self) -> bool:
        """We made it (section 14.1)."""
        return False

    def is_settled(self, dialog: Dialog) -> bool:
        """Before the final response: offer and answer of the INVITE are complete in this early dialog, so
        that an UPDATE may bring another offer (RFC 3311 section 5.1)."""
        return False

    def pracked(self, transaction: ServerTransaction) -> None:
        """PRACK, from whoever called."""
        transaction.respond(481)

    def refresh(self, extra: str, offer: Body) -> None:
        """UPDATE without a body where the far end takes it, else re-INVITE with this offer."""
        if self.timer is not None and self.timer.updates:
            self.request("UPDATE", extra, b"")
        else:
            self.request("INVITE", extra, offer)

    def request(
        self, method: str, extra: str, body: Body, credentials: Credentials | None = None, mark: str = ""
    ) -> None:
        """Send a request inside the dialog, in its turn."""
        if self.state is ENDED or self.dialog is None:
            self.core.report(RequestDone(self.id, method, None, mark=mark))
        else:
            self.own.add(method, extra, body, credentials, mark)

    def bye_received(self, request: Request) -> None:
        """BYE inside a dialog; 200 has been sent."""
        if self.held_bye is not None:
            self.held_bye = None
            self.forget_dialog()
        else:
            self.end("bye_received", request=request)

    def transaction_over(self, transaction: ServerTransaction) -> None:
        """A server transaction inside the dialog is gone."""
        if self._their is not None:
            self._their.over(transaction)

    def cancelled(self, transaction: ServerTransaction, request: Request) -> None:
        """CANCEL for an INVITE inside the dialog (section 9.2)."""
        self.their.withdraw(transaction)
