"""What either end asks inside the dialog: new offers, keys, transfers, refreshes."""

from __future__ import annotations

from collections import deque

from cordboard.call import facts
from cordboard.call.effects import PassDigit, ReportTransfer
from cordboard.legs import info_digits
from cordboard.legs.leg_media import Wishes
from cordboard.legs.outputs import FromLeg, MediaCommand
from cordboard.legs.refer import BadRefer, Referral, Replaced, Subscription, read_refer
from cordboard.legs.sip_leg import SipLeg
from cordboard.legs.surroundings import Surroundings
from cordboard.media.protocol import SendDigits
from cordboard.sdp import SdpError
from cordboard.sip.events import ReinviteReceived, RequestDone, RequestReceived

_TRY_AGAIN = [("Retry-After", "1")]
_NO_BODY_BUT_SDP = [("Accept", "application/sdp")]
_NO_BODY_BUT_KEYS = [("Accept", info_digits.ACCEPTED)]
MAX_KEYS_WAITING = 512
"""Keys for one far end that are not sent yet; further ones are left out."""


class DialogLeg(SipLeg):
    """A leg whose far end can be spoken with inside the dialog."""

    __slots__ = ("_awaited", "_key_pends", "_keys", "_transfer")

    def __init__(
        self, call_id: str, around: Surroundings, dialog_id: int, who: str, hops: int, wishes: Wishes
    ) -> None:
        super().__init__(call_id, around, dialog_id, who, hops, wishes)
        self._awaited: bytes | None = None
        """Our offer in a 200; its answer comes with the ACK."""
        self._transfer: Subscription | None = None
        """Of the last REFER."""
        self._keys: deque[info_digits.KeyPressed] = deque()
        """Those that wait to be sent by INFO."""
        self._key_pends = False
        """One was sent and is not answered."""

    # ------------------------------------------------------------ offers

    def reinvited(self, event: ReinviteReceived, now: float) -> list[FromLeg]:
        """Hold, resume, a moved port, a new codec order (RFC 3261 section 14, RFC 3264 section 8)."""
        if event.request.body or not self.answered:
            return self._offered(event, now)
        self._awaited = self.media.offer_again()
        return self._respond(event.transaction, 200, now, self._awaited)

    def _updated(self, event: RequestReceived, now: float) -> list[FromLeg]:
        """UPDATE: a refresh, or an offer (RFC 3311); a PRACK may bring one too (RFC 3262 section 5)."""
        if not event.request.body:
            return self._respond(event.transaction, 200, now)
        return self._offered(event, now)

    def _offered(self, event: ReinviteReceived | RequestReceived, now: float) -> list[FromLeg]:
        if not self._settled_with(event):
            return self._respond(event.transaction, 500, now, headers=_TRY_AGAIN)
        before = self.media.settled
        try:
            body = self.media.answer(event.request.body)
        except SdpError:
            return self._respond(event.transaction, 488, now)
        responded = self._respond(event.transaction, 200, now, body)
        return responded if self.media.settled is before else [*responded, *self.set_remote()]

    def _settled_with(self, event: ReinviteReceived | RequestReceived) -> bool:
        """Whether the first offer has its answer: before that there is no place for another."""
        return self.answered

    def acknowledged(self, body: bytes, now: float) -> list[FromLeg]:
        """The ACK; it carries the answer where our 200 carried the offer."""
        offer, self._awaited = self._awaited, None
        saved = self.save_dialog()
        if offer is None:
            return saved
        spoken = self.media.settled is not None
        problem = self._read_answer(offer, body)
        if problem is None:
            return [*saved, *self.set_remote()]
        # A call whose media are settled goes on with them.
        return saved if spoken else self.fail(problem, now)

    # ------------------------------------------------------------ other requests

    def requested(self, event: RequestReceived, now: float) -> list[FromLeg]:
        method = event.request.method
        if method in ("UPDATE", "PRACK"):
            return self._updated(event, now)
        if method == "INFO":
            return self._informed(event, now)
        if method == "REFER":
            return self._referred(event, now)
        # NOTIFY: we have subscribed to nothing (RFC 6665 section 4.1.3).
        status = 481 if method == "NOTIFY" else 405
        return self._respond(event.transaction, status, now)

    def _informed(self, event: RequestReceived, now: float) -> list[FromLeg]:
        """Keys; an empty INFO only asks whether we are there."""
        request = event.request
        if not request.body:
            return self._respond(event.transaction, 200, now)
        if not info_digits.is_digits(request.content_type or ""):
            return self._respond(event.transaction, 415, now, headers=_NO_BODY_BUT_KEYS)
        responded = self._respond(event.transaction, 200, now)
        key = info_digits.read_info(request.body)
        if key is None:
            return responded
        orders = self.set_remote() if self.media.digit_by_info() else []
        pressed = facts.DigitReceived(digit=key.digit, duration_ms=key.duration_ms, by_info=True)
        return [*responded, *orders, self.tell(pressed)]

    # ------------------------------------------------------------ keys towards the far end

    def pass_digit(self, effect: PassDigit, now: float) -> list[FromLeg]:
        """A key of the other side of the bridge; the media have passed on what came in the media."""
        if self.media.dtmf_mode == "info":
            return self.send_key(effect.digit, effect.duration_ms, now)
        if not effect.by_info:
            return []
        command = SendDigits(endpoint_id=self.call_id, digits=effect.digit, duration_ms=effect.duration_ms)
        return [MediaCommand(command=command)]

    def send_key(self, digit: str, duration_ms: int, now: float) -> list[FromLeg]:
        """One key by INFO, as soon as those before it are answered: only so do they arrive in order."""
        if self.session is None or not self.answered or self.over or len(self._keys) >= MAX_KEYS_WAITING:
            return []
        self._keys.append(info_digits.KeyPressed(digit, duration_ms))
        return self._next_key(now)

    def _next_key(self, now: float) -> list[FromLeg]:
        if not self._keys or self._key_pends or self.session is None or self.over:
            return []
        self._key_pends = True
        key = self._keys.popleft()
        body = info_digits.write_info(key.digit, key.duration_ms)
        headers = [("Content-Type", info_digits.RELAY)]
        return list(self.stack.request(self.session, "INFO", body=body, headers=headers, now=now))

    def _key_sent(self, *, answered: bool, now: float) -> list[FromLeg]:
        """Whoever does not answer one is not told the others."""
        self._key_pends = False
        if not answered:
            self._keys.clear()
        return self._next_key(now)

    # ------------------------------------------------------------ transfers

    def _referred(self, event: RequestReceived, now: float) -> list[FromLeg]:
        if not self.answered:
            return self._respond(event.transaction, 603, now)
        if self._transfer is not None and not self._transfer.over:
            return self._respond(event.transaction, 491, now)
        found = read_refer(event.request, self.around.own_hosts, self.around.rules.carrier_hosts)
        if isinstance(found, BadRefer):
            return self._respond(event.transaction, found.status, now, reason=found.reason)
        replaced = self._call_of(found.replaces)
        if replaced == self.call_id:
            return self._respond(event.transaction, 400, now, reason="Replaces This Call")
        return self._transferring(event, found, replaced, now)

    def _transferring(
        self, event: RequestReceived, found: Referral, replaced: str | None, now: float
    ) -> list[FromLeg]:
        headers = [] if found.reports else [("Refer-Sub", "false")]
        outputs = self._respond(event.transaction, 202, now, headers=headers)
        self._transfer = Subscription(event.request, wanted=found.reports)
        wanted = facts.TransferRequested(destination=found.destination, replaces=replaced)
        return [*outputs, *self._notify(self._transfer, 100, "", now), self.tell(wanted)]

    def _call_of(self, replaces: Replaced | None) -> str | None:
        if replaces is None:
            return None
        session = self.stack.find_dialog(replaces.call_id, replaces.to_tag, replaces.from_tag)
        return None if session is None else self.around.call_of_session(session)

    def report_transfer(self, effect: ReportTransfer, now: float) -> list[FromLeg]:
        """Tell the sender of the REFER how it goes; after a final status there is nothing more to tell."""
        transfer = self._transfer
        if transfer is None or transfer.over or self.over:
            return []
        return self._notify(transfer, effect.status, effect.reason, now)

    def _notify(self, transfer: Subscription, status: int, reason: str, now: float) -> list[FromLeg]:
        headers, body = transfer.notify(status, reason)
        if self.session is None or not transfer.wanted:
            return []
        return list(self.stack.request(self.session, "NOTIFY", body=body, headers=headers, now=now))

    # ------------------------------------------------------------ refreshes and outcomes

    def refresh_due(self, now: float) -> list[FromLeg]:
        """Half of the session's time is over (RFC 4028): the same description again."""
        if self.session is None or self.over:
            return []
        return list(self.stack.refresh(self.session, self.media.refresh(), now))

    def request_done(self, event: RequestDone, now: float) -> list[FromLeg]:
        """A far end may answer a refresh with other media than before."""
        response = event.response
        if event.method == "INFO":
            return self._key_sent(answered=response is not None, now=now)
        if event.method == "NOTIFY" and (response is None or response.status == 481):
            self._transfer = None
        if event.method != "INVITE" or response is None or not 200 <= response.status < 300:
            return []
        before = self.media.settled
        if self._read_answer(self.media.described, response.body) is not None:
            return []
        return [] if self.media.settled == before else self.set_remote()
