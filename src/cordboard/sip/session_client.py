"""The client's side of a session: our INVITE, its forks, its cancellation (RFC 3261 sections 9.1, 13.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cordboard.sip.auth_client import Tries
from cordboard.sip.credentials import Credentials
from cordboard.sip.dialog import Dialog
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.errand import Errand
from cordboard.sip.events import Answered, EndCause, Provisional, Refused
from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.rack import RAck, parse_rseq
from cordboard.sip.message import Request, Response
from cordboard.sip.outgoing import OutgoingRequest
from cordboard.sip.session import CANCELLING, ESTABLISHED, INVITING, Session
from cordboard.sip.session_timer import MIN_SE, agree_as_client, min_se, names, wish_lines
from cordboard.sip.timers import Started, Timer
from cordboard.sip.transaction.table import State
from cordboard.sip.transaction.transaction import NOBODY, ClientTransaction

if TYPE_CHECKING:
    from cordboard.sip.core import UserAgentCore

MAX_FORKS = 32
"""Early dialogs, and answers, of one INVITE; those beyond are ignored."""


class ClientSession(Session):
    """We called.  The user of the INVITE transaction."""

    __slots__ = (
        "_acks",
        "_cancel_extra",
        "_cancel_sent",
        "_deadline",
        "_ended_by",
        "_forks",
        "_progress",
        "_rseqs",
        "_settled",
        "_tries",
        "_wish",
        "transaction",
    )

    def __init__(self, core: UserAgentCore, session_id: str, credentials: Credentials | None = None) -> None:
        super().__init__(core, session_id, INVITING)
        self.credentials = credentials
        self._tries: Tries | None = None
        self._wish: int | None = None
        """The session interval that we ask for, in seconds."""
        self._rseqs: dict[str, int] | None = None
        """The RSeq of the last reliable provisional response by To tag."""
        self._settled: frozenset[str] = frozenset()
        """The To tags of early dialogs whose answer has come reliably."""
        self._forks: dict[str, Dialog] = {}
        """Early dialogs by To tag."""
        self._acks: dict[str, tuple[bytes, Endpoint]] = {}
        """The ACK of each answer by To tag."""
        self._progress: dict[str, tuple[int, bytes]] = {}
        self._cancel_extra = ""
        self._cancel_sent = False
        self._deadline: Started | None = None
        self._ended_by: tuple[EndCause, Request | None] = ("cancelled", None)
        self.transaction: ClientTransaction | None = None

    def invite(self, request: OutgoingRequest, session_expires: int | None = None) -> None:
        """`session_expires`: seconds; the header lines that say so are in the request."""
        self._wish = session_expires
        self.transaction = self.core.layer.start_client(request, self)

    def give_up(self, request: OutgoingRequest, extra: str) -> None:
        """CANCEL an INVITE that another process has sent; an answer that crosses it gets its ACK and BYE."""
        self.state = CANCELLING
        self._cancel_extra = extra
        self.transaction = self.core.layer.resume_invite(request, self)
        self._send_cancel()

    @property
    def owns_call_id(self) -> bool:
        return True

    @property
    def host(self) -> Endpoint:
        assert self.transaction is not None
        return self.transaction.request.destination

    def _invite_again(self, sent: OutgoingRequest, extra: str | None = None) -> None:
        """As a new transaction, under the same Call-ID and From tag (section 22.2)."""
        self._forget_forks()
        branch = self.core.new_branch()
        via = self.core.via(branch, sent.destination)
        again = sent.again(via=via, branch=branch, added=self._added(sent), extra=extra)
        self.transaction = self.core.layer.start_client(again, self)

    def _added(self, sent: OutgoingRequest) -> str:
        """The lines that a repeated INVITE has beside those of the first."""
        if self.authenticator is None:
            return ""
        return self.authenticator.lines("INVITE", sent.uri, sent.body, sent.destination)

    # ------------------------------------------------------------ responses

    def received_response(self, transaction: ClientTransaction, response: Response) -> None:
        if response.status < 200:
            self._progressed(transaction, response)
        elif response.status < 300:
            self._answered(transaction, response)
        elif transaction is self.transaction:
            self._refused(transaction, response)

    def _progressed(self, transaction: ClientTransaction, response: Response) -> None:
        if self.state is CANCELLING:
            self._send_cancel()
            self._acknowledge(transaction, response.to_tag or "", response)
            return
        if response.status == 100 or self.state is not INVITING:
            return
        tag = response.to_tag or ""
        if tag and not self._know_fork(transaction, tag, response):
            return
        if response.headers.get("RSeq") is not None and not self._acknowledge(transaction, tag, response):
            return
        seen = (response.status, response.body)
        if self._progress.get(tag) == seen:
            return
        self._progress[tag] = seen
        self.core.report(Provisional(self.id, response.status, response.reason, response, response.body, tag))

    def _acknowledge(self, transaction: ClientTransaction, tag: str, response: Response) -> bool:
        """PRACK for a reliable provisional response; False if it is no news, or out of order (RFC 3262
        section 4)."""
        if response.status == 100 or not names(response, "Require", "100rel"):
            return True
        number = _rseq(response)
        dialog = self._forks.get(tag)
        if self._rseqs is None:
            self._rseqs = {}
        before = self._rseqs.get(tag)
        if dialog is None or number is None or (before is not None and number != before + 1):
            return False
        self._rseqs[tag] = number
        if response.body:
            self._settled |= {tag}
        rack = RAck(number, transaction.request.cseq, "INVITE")
        Errand(self, dialog, "PRACK", f"RAck: {rack}\r\n{self.core.agent}").send()
        return True

    def is_settled(self, dialog: Dialog) -> bool:
        return dialog.remote_tag in self._settled

    def _know_fork(self, transaction: ClientTransaction, tag: str, response: Response) -> bool:
        """Keep an early dialog for this To tag; False if there are too many."""
        if tag in self._forks:
            return True
        if len(self._forks) >= MAX_FORKS:
            return False
        self._forks[tag] = dialog = Dialog.of_response(transaction.request, self.id, response)
        self.core.register(self, dialog)
        return True

    def _answered(self, transaction: ClientTransaction, response: Response) -> None:
        """Each dialog's first 2xx gets an ACK, and so do its retransmissions; only one dialog may live."""
        tag = response.to_tag or ""
        known = self._acks.get(tag)
        if known is not None:
            self.core.moment.send(*known)
            return
        if len(self._acks) >= MAX_FORKS:
            return
        dialog = self._dialog_of(transaction, tag, response)
        ack = self.build_ack(dialog, transaction.request.cseq, transaction.request.added)
        self._acks[tag] = (ack.data, ack.destination)
        self.core.moment.send(ack.data, ack.destination)
        if self.state is INVITING:
            self._establish(dialog, response)
            return
        self.send_bye(dialog, self._cancel_extra)
        if self.state is CANCELLING:
            self._end_cancelled(response.status)

    def _dialog_of(self, transaction: ClientTransaction, tag: str, response: Response) -> Dialog:
        """The 2xx makes the dialog, or has the last word about the early one."""
        dialog = self._forks.get(tag)
        if dialog is None:
            return Dialog.of_response(transaction.request, self.id, response)
        dialog.confirm(response)
        return dialog

    def _establish(self, dialog: Dialog, response: Response) -> None:
        self._forget_forks()
        self.state = ESTABLISHED
        self.dialog = dialog
        self.core.register(self, dialog)
        if self._wish is not None or response.headers.get("Session-Expires") is not None:
            agree_as_client(self, response, self._wish)
        self.core.report(Answered(self.id, response, response.body))

    def _refused(self, transaction: ClientTransaction, response: Response) -> None:
        if self.state is CANCELLING:
            self._end_cancelled(response.status)
            return
        if self._try_again(transaction.request, response):
            return
        self.core.report(Refused(self.id, response, response.status, response.reason, "response"))
        self.end("refused", response.status)

    def _try_again(self, sent: OutgoingRequest, response: Response) -> bool:
        """Whether the INVITE has been sent again, with what this refusal asks for."""
        if response.status == 422 and self._wish is not None:
            return self._wish_for_more(sent, response, self._wish)
        if self.credentials is None:
            return False
        if self._tries is None:
            self._tries = Tries()
        if not self.challenged(response, sent, self._tries):
            return False
        self._invite_again(sent)
        return True

    def _wish_for_more(self, sent: OutgoingRequest, response: Response, wish: int) -> bool:
        """422: once more with their minimum (RFC 4028 section 7.3), but not for ever."""
        least = min_se(response)
        if least <= wish:
            return False
        before = wish_lines(wish, MIN_SE, "uac")
        if before not in sent.extra:
            return False
        self._wish = least
        self._invite_again(sent, sent.extra.replace(before, wish_lines(least, least, "uac"), 1))
        return True

    def failed(self, transaction: ClientTransaction, status: int) -> None:
        """Timer B, or the INVITE could not be sent."""
        if self.state is CANCELLING:
            self._end_cancelled(status)
            return
        timeout = status == 408
        reason = "Request Timeout" if timeout else ""
        self.core.report(Refused(self.id, None, status, reason, "timeout" if timeout else "transport"))
        self.end("timeout" if timeout else "transport", status)

    # ------------------------------------------------------------ giving up

    def cancel(self, extra: str) -> None:
        """CANCEL, as soon as there is a provisional response (section 9.1)."""
        if self.state is not INVITING:
            self.bye(extra)
            return
        self.state = CANCELLING
        self._cancel_extra = extra
        if self.transaction is not None and self.transaction.state is State.PROCEEDING:
            self._send_cancel()

    def bye(self, extra: str) -> None:
        if self.state is INVITING:
            self.cancel(extra)
        else:
            super().bye(extra)

    def _send_cancel(self) -> None:
        """Once.  A far end that never sends the final response is given up after 64*T1."""
        if self._cancel_sent or self.transaction is None:
            return
        self._cancel_sent = True
        cancel = self.transaction.request.cancellation(self._cancel_extra)
        self.core.layer.start_client(cancel, NOBODY)
        self._deadline = self.core.layer.start_timer(self.core.timers.patience, self, Timer.CANCELLED)

    def fire(self, timer: Timer) -> None:
        """No final response 64*T1 after the CANCEL."""
        self._deadline = None
        if self.transaction is not None:
            self.transaction.terminate()
        self._end_cancelled(0)

    def _end_cancelled(self, status: int) -> None:
        cause, request = self._ended_by
        self.end(cause, status, request)

    def bye_received(self, request: Request) -> None:
        """Section 15 forbids the callee a BYE before the ACK, but its 200 may have been overtaken: give up
        the INVITE, whatever comes of it."""
        if self.state is INVITING:
            self._ended_by = ("bye_received", request)
            self.cancel("")
        elif self.state is not CANCELLING:
            super().bye_received(request)

    # ------------------------------------------------------------ leaving nothing behind

    def forget_dialog(self) -> None:
        self._forget_forks()
        if self._deadline is not None:
            self.core.queue.stop(self._deadline)
            self._deadline = None
        super().forget_dialog()

    def _forget_forks(self) -> None:
        for dialog in self._forks.values():
            self.core.unregister(dialog)
        self._forks.clear()
        self._progress.clear()
        self._rseqs = None
        self._settled = frozenset()


def _rseq(response: Response) -> int | None:
    try:
        return parse_rseq(response.headers.get("RSeq") or "")
    except HeaderError:
        return None
