"""A REFER of ours: what was asked for, and what the far end tells of it (RFC 3515, RFC 6665, RFC 4488)."""

from __future__ import annotations

import re

from cordboard.call.effects import ReferLeg
from cordboard.call.facts import ReferProgressed
from cordboard.call.reasons import Ending, ending, ending_of_status
from cordboard.legs.identity import safe_headers
from cordboard.sip.headers import HeaderError, NameAddr, parse_name_addr
from cordboard.sip.message import Request, Response
from cordboard.sip.status import reason_phrase
from cordboard.sip.uri import Uri, UriError

NO_WORD = 60.0
"""Seconds after a 2xx in which the first NOTIFY must come; none goes without (RFC 6665 section 4.2.1.4)."""
SHORTEST, LONGEST = 60.0, 600.0
"""Seconds from one NOTIFY to the next, whatever the far end says of its subscription."""
_USUAL = 180.0
_SCHEMES = ("sip", "sips", "tel")
_FRAGMENT = "message/sipfrag"
_STATUS_LINE = re.compile(rb"\s{0,8}SIP/2\.0[ \t]{1,8}([1-6][0-9][0-9])(?![0-9])", re.IGNORECASE)
_FIRST = 256
"""Bytes of a NOTIFY's body that may hold the end of its status line."""
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


class TargetError(ValueError):
    """Nobody can be referred there; the text is a sentence."""


def refer_fields(effect: ReferLeg, we: str | None) -> list[tuple[str, str]]:
    """The header fields of the REFER; `we`: how the dialog names us.  Raises TargetError.

    Of those that were asked for only X- fields of one line go: the others are ours to say.
    """
    try:
        target = Uri.parse(effect.to)
    except UriError as error:
        raise TargetError(f"{effect.to[:200]!r} is no address to refer to: {error}.") from None
    if target.scheme not in _SCHEMES:
        raise TargetError(f"{effect.to[:200]!r} is no address to refer to: sip, sips or tel is needed.")
    fields = [("Refer-To", str(NameAddr(display_name="", uri=target))), ("Accept", _FRAGMENT)]
    return [*fields, *_referred_by(we), *safe_headers(effect.headers)]


def _referred_by(we: str | None) -> list[tuple[str, str]]:
    """RFC 3892 section 2.1.1."""
    try:
        uri = parse_name_addr(we or "").uri
    except HeaderError:
        return []
    return [("Referred-By", str(NameAddr(display_name="", uri=uri)))]


class OwnRefer:
    """One REFER and its implicit subscription; time is an input.  The last thing that it tells is final.

    A far end may go on telling after the final status of the transfer: it is answered until it says that it
    has finished, and nobody hears of it.
    """

    __slots__ = (
        "_before",
        "_cseq",
        "_due",
        "_notify_code",
        "_refer_code",
        "_subscribed",
        "_to",
        "_who",
        "is_over",
    )

    def __init__(self, who: str, to: str, before: int = 0) -> None:
        """`who`: how sentences name the far end; `to`: whom it is asked to call.

        `before`: CSeq number of the REFER before this one in the dialog, 0 if it is the first.
        """
        self._who = who
        self._to = to
        self._before = before
        self._cseq: int | None = None
        self._refer_code: int | None = None
        self._notify_code: int | None = None
        self._subscribed = True
        self._due: float | None = None
        self.is_over = False
        """The final word has been told."""

    @property
    def last_cseq(self) -> int:
        """What `before` is for the next one."""
        return self._before if self._cseq is None else self._cseq

    # ------------------------------------------------------------ the REFER

    def answered(self, response: Response | None, status: int, now: float) -> ReferProgressed | None:
        """Its final response, or 408 or 503 in `status` where none came; 0: the session is over."""
        if response is not None:
            self._cseq = response.cseq.number
        if self.is_over or not status:
            return None
        if response is None and self._notify_code is None:
            self._refer_code, self._subscribed = status, False
            return self._final(ending(_UNANSWERED.get(status, _UNANSWERED[408]), who=self._who))
        if response is not None:
            self._refer_code = response.status
            if response.status >= 300:
                self._subscribed = False
                code, text = response.status, _phrase(response.status, response.reason)
                return self._final(ending("refer_refused", who=self._who, sip_code=code, sip_reason=text))
        # A NOTIFY alone says too that the REFER was accepted (RFC 6665 section 4.1.2.4).
        return self._accepted(response, now)

    def _accepted(self, response: Response | None, now: float) -> ReferProgressed:
        if not self._subscribed or (self._notify_code or 0) >= 200:
            return self._final(self._outcome())
        if response is not None and (response.headers.get("Refer-Sub") or "").strip().lower() == "false":
            self._subscribed = False
            return self._final(None)
        if self._notify_code is None:
            self._due = now + NO_WORD
        return self._progress()

    # ------------------------------------------------------------ its NOTIFYs

    def takes(self, request: Request) -> bool:
        """Whether this NOTIFY belongs to its subscription (RFC 3515 section 2.4.6)."""
        kind, _, params = (request.headers.get("Event") or "").partition(";")
        if not self._subscribed or kind.strip().lower() != "refer":
            return False
        named = _param(params, "id")
        if named is None:
            return True
        number = int(named) if _NUMBER.fullmatch(named) else 0
        return self._before < number and (self._cseq is None or number <= self._cseq)

    def notified(self, request: Request, now: float) -> ReferProgressed | None:
        """One of them; None: it is no news."""
        state, _, params = (request.headers.get("Subscription-State") or "").partition(";")
        self._subscribed = state.strip().lower() != "terminated"
        if self.is_over:
            return None
        code = _status_in(request)
        is_news = code is not None and code != self._notify_code
        self._notify_code = self._notify_code if code is None else code
        self._due = now + _lifetime(params)
        has_ended = not self._subscribed or (self._notify_code or 0) >= 200
        if has_ended and self._refer_code is not None:
            return self._final(self._outcome())
        return self._progress() if is_news else None

    # ------------------------------------------------------------ time, and the end

    def next_timeout(self) -> float | None:
        """None: it waits for nothing that it would not be told."""
        return self._due

    def handle_timeout(self, now: float) -> ReferProgressed | None:
        """The far end has said nothing for too long."""
        if self._due is None or now < self._due:
            return None
        return self._final(self._untold("nothing came in time"))

    def ended(self) -> ReferProgressed | None:
        """The far end has left the dialog: nothing more will be told."""
        if self.is_over:
            return None
        return self._final(self._untold("it hung up before"))

    def _progress(self) -> ReferProgressed:
        return ReferProgressed(refer_code=self._refer_code, notify_code=self._notify_code)

    def _final(self, failure: Ending | None) -> ReferProgressed:
        self.is_over, self._due = True, None
        return ReferProgressed(
            refer_code=self._refer_code, notify_code=self._notify_code, is_final=True, ending=failure
        )

    def _outcome(self) -> Ending | None:
        """Of a subscription that is over; None: a success."""
        code = self._notify_code
        if code is None or code < 200:
            return self._untold("it stopped telling")
        return None if code < 300 else ending_of_status(code, reason_phrase(code), who=self._to)

    def _untold(self, why: str) -> Ending:
        return ending("refer_untold", who=self._who, detail=why)


_UNANSWERED = {408: "refer_unanswered", 503: "refer_unsent"}


def refused(who: str, sentence: str) -> ReferProgressed:
    """What is told of a REFER that never leaves."""
    return ReferProgressed(is_final=True, ending=ending("refer_impossible", who=who, detail=sentence))


def _phrase(status: int, theirs: str) -> str:
    """Of the far end, if it can be printed."""
    return (theirs if theirs and theirs.isprintable() else reason_phrase(status))[:80]


def _status_in(request: Request) -> int | None:
    """The status line of the fragment (RFC 3420); None where there is none."""
    kind = (request.content_type or _FRAGMENT).partition(";")[0].strip().lower()
    found = _STATUS_LINE.match(request.body[:_FIRST]) if kind == _FRAGMENT else None
    return int(found[1]) if found is not None else None


def _lifetime(params: str) -> float:
    """Seconds until the next NOTIFY must have come."""
    text = _param(params, "expires")
    seconds = float(text) if text is not None and _NUMBER.fullmatch(text) else _USUAL
    return min(max(seconds, SHORTEST), LONGEST)


def _param(params: str, name: str) -> str | None:
    for param in params.split(";"):
        key, _, value = param.partition("=")
        if key.strip().lower() == name:
            return value.strip()
    return None
