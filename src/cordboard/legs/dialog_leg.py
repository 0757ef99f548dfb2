"""What either end asks inside the dialog: new offers, keys, transfers, refreshes."""

from __future__ import annotations

from collections import deque
from functools import partial

from cordboard.call import facts
from cordboard.call.effects import HoldLeg, PassDigit, ReferLeg, ReportTransfer, SendDigitsTo
from cordboard.legs import info_digits
from cordboard.legs.info_sender import KEY_MS, InfoSender, PressKey, RowSent
from cordboard.legs.leg_media import Wishes
from cordboard.legs.outputs import FromLeg, MediaCommand
from cordboard.legs.own_refer import OwnRefer, TargetError, refer_fields, refused
from cordboard.legs.refer import BadRefer, Referral, Replaced, Subscription, read_refer
from cordboard.legs.sip_leg import SipLeg
from cordboard.legs.surroundings import Surroundings
from cordboard.media.protocol import SendDigits
from cordboard.sdp import SdpError
from cordboard.sip.credentials import Credentials
from cordboard.sip.events import ReinviteReceived, RequestDone, RequestReceived, SessionEnded
from cordboard.sip.status import status_said

_TRY_AGAIN = [("Retry-After", "1")]
_NO_BODY_BUT_SDP = [("Accept", "application/sdp")]
_NO_BODY_BUT_KEYS = [("Accept", info_digits.ACCEPTED)]
_HOLD = "hold"
"""Marks the re-INVITE that holds the far end or takes it back."""
MAX_HOLDS_WAITING = 16
MAX_KEYS_WAITING = 512
"""Keys for one far end that are not sent yet; further ones are left out."""


class DialogLeg(SipLeg):
    """A leg whose far end can be spoken with inside the dialog."""

    __slots__ = ("_awaited", "_holds", "_key_pends", "_keys", "_refer", "_sender", "_transfer", "waits")

    def __init__(
        self, call_id: str, around: Surroundings, dialog_id: int, who: str, hops: int, wishes: Wishes
    ) -> None:
        super().__init__(call_id, around, dialog_id, who, hops, wishes)
        self._awaited: bytes | None = None
        """Our offer in a 200; its answer comes with the ACK."""
        self._transfer: Subscription | None = None
        """Of the last REFER of theirs."""
        self._refer: OwnRefer | None = None
        """The last of ours."""
        self._holds: deque[bool] = deque()
        """What shall become of hold, in order; the first is under way."""
        self.waits = False
        """It has had a time of its own to wait for, and may have one again."""
        self._sender: InfoSender | None = None
        """Rows of keys that go by INFO just now."""
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
        if method == "NOTIFY":
            return self._notified(event, now)
        return self._respond(event.transaction, 405, now)

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

    def send_digits(self, effect: SendDigitsTo, now: float) -> list[FromLeg]:
        """Press keys: the media do, or the leg itself where the far end wants INFO."""
        if self.media.dtmf_mode != "info":
            row, name = effect.digits, effect.control_id
            return [MediaCommand(command=SendDigits(endpoint_id=self.call_id, digits=row, send_id=name))]
        if self._sender is None:
            self._sender, self.waits = InfoSender(), True
        return self._press(self._sender.add(effect.control_id, effect.digits, now), now)

    def _press(self, steps: list[PressKey | RowSent], now: float) -> list[FromLeg]:
        outputs: list[FromLeg] = []
        for step in steps:
            if isinstance(step, PressKey):
                outputs += self.send_key(step.digit, KEY_MS, now)
            else:
                outputs.append(self.tell(facts.DigitsSent(control_id=step.control_id)))
        if self._sender is not None and self._sender.next_timeout() is None:
            self._sender = None
        return outputs

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

    # ------------------------------------------------------------ transfers that we ask for

    def refer(self, effect: ReferLeg, now: float) -> list[FromLeg]:
        """Ask the far end to go somewhere else; one after the other."""
        if self.over:
            return []
        if self.session is None or not self.answered:
            return [self.tell(refused(self.who, "a call must be answered for that: answer it first."))]
        if self._refer is not None and not self._refer.is_over:
            return [self.tell(refused(self.who, "another REFER is under way: wait for its end."))]
        try:
            fields = refer_fields(effect, self.stack.local_party(self.session))
        except TargetError as error:
            return [self.tell(refused(self.who, str(error)))]
        self.waits = True
        self._refer = OwnRefer(self.who, effect.to, 0 if self._refer is None else self._refer.last_cseq)
        credentials = None
        if effect.username is not None:
            credentials = Credentials(username=effect.username, password=effect.password or "")
        sent = self.stack.request(self.session, "REFER", headers=fields, credentials=credentials, now=now)
        return list(sent)

    def _notified(self, event: RequestReceived, now: float) -> list[FromLeg]:
        """What the far end tells of a REFER of ours; to anything else we have not subscribed (RFC 6665
        section 4.1.3)."""
        if self._refer is None or not self._refer.takes(event.request):
            return self._respond(event.transaction, 481, now)
        responded = self._respond(event.transaction, 200, now)
        return [*responded, *self._progress(self._refer.notified(event.request, now))]

    def _progress(self, progressed: facts.ReferProgressed | None) -> list[FromLeg]:
        return [] if progressed is None or self.over else [self.tell(progressed)]

    def session_ended(self, event: SessionEnded) -> list[FromLeg]:
        """A transfer that is under way gets its last word first: a far end may well hang up on it."""
        told = self._progress(self._refer.ended()) if self._refer is not None else []
        return [*told, *super().session_ended(event)]

    # ------------------------------------------------------------ hold

    def hold(self, effect: HoldLeg, now: float) -> list[FromLeg]:
        """Hold the far end, or take it back, when what was asked before is done."""
        if self.over:
            return []
        if self.session is None or not self.answered:
            return [self._hold_answered("A call that is not answered cannot be held: answer it first.")]
        if len(self._holds) >= MAX_HOLDS_WAITING:
            return [self._hold_answered(f"Too many changes of hold wait for {self.who}.")]
        self._holds.append(effect.on)
        return self._next_hold(now) if len(self._holds) == 1 else []

    def _next_hold(self, now: float) -> list[FromLeg]:
        """What changes nothing is done at once."""
        done: list[FromLeg] = []
        while self._holds and self._holds[0] is self.media.holding:
            self._holds.popleft()
            done.append(self._hold_answered())
        if self._holds and self.session is not None:
            offer = partial(self.media.propose, self._holds[0])
            done += self.stack.reinvite(self.session, offer, now, mark=_HOLD)
        return done

    def _hold_done(self, event: RequestDone, now: float) -> list[FromLeg]:
        """After a refusal all is as it was (RFC 3261 section 14.1); of a lost dialog the stack tells next."""
        self._holds.popleft()
        if not event.status:
            return []
        response = event.response
        if response is None or response.status >= 300:
            self.media.drop_proposal()
            said = status_said(event.status, "" if response is None else response.reason)
            return [self._hold_answered(f"{self.who} did not agree: {said}."), *self._next_hold(now)]
        try:
            self.media.agree_to_proposal(response.body)
        except SdpError as error:
            problem = f"The answer of {self.who} cannot be used: {error}."
            return [self._hold_answered(problem), *self._next_hold(now)]
        return [*self.set_remote(), *self.save_dialog(), self._hold_answered(), *self._next_hold(now)]

    def _hold_answered(self, problem: str = "") -> FromLeg:
        return self.tell(facts.HoldAnswered(held=self.media.holding, ok=not problem, sentence=problem))

    # ------------------------------------------------------------ time

    def next_timeout(self) -> float | None:
        """When the leg itself has something to do; None: it waits for its stack alone."""
        due = None if self._refer is None else self._refer.next_timeout()
        row = None if self._sender is None else self._sender.next_timeout()
        return due if row is None else row if due is None else min(due, row)

    def handle_timeout(self, now: float) -> list[FromLeg]:
        """What is due."""
        outputs = self._press(self._sender.handle_timeout(now), now) if self._sender is not None else []
        told = self._progress(self._refer.handle_timeout(now)) if self._refer is not None else []
        return [*outputs, *told]

    # ------------------------------------------------------------ refreshes and outcomes

    def refresh_due(self, now: float) -> list[FromLeg]:
        """Half of the session's time is over (RFC 4028): the same description again."""
        if self.session is None or self.over:
            return []
        return list(self.stack.refresh(self.session, self.media.refresh, now))

    def request_done(self, event: RequestDone, now: float) -> list[FromLeg]:
        """A far end may answer a refresh with other media than before."""
        response = event.response
        if event.method == "INFO":
            return self._key_sent(answered=response is not None, now=now)
        if event.method == "REFER" and self._refer is not None:
            return self._progress(self._refer.answered(response, event.status, now))
        if event.mark == _HOLD:
            return self._hold_done(event, now)
        if event.method == "NOTIFY" and (response is None or response.status == 481):
            self._transfer = None
        if event.method != "INVITE" or response is None or not 200 <= response.status < 300:
            return []
        before = self.media.settled
        if self._read_answer(self.media.described, response.body) is not None:
            return []
        return [] if self.media.settled == before else self.set_remote()
