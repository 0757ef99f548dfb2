"""Session timers (RFC 4028): a far end that has vanished is noticed, and a session that is up stays up.

One side refreshes with UPDATE or re-INVITE at half the interval; each refresh, by whomever, settles interval
and refresher anew.  Without one, both sides end the session a little before the interval is over.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cordboard.sip.events import RefreshDue
from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.lists import split_list
from cordboard.sip.headers.session_expires import SessionExpires, parse_min_se
from cordboard.sip.message import Request, Response
from cordboard.sip.timers import Started, Timer

if TYPE_CHECKING:
    from cordboard.sip.session import Session

MIN_SE = 90
"""Seconds; less than that may not be asked for (section 5)."""
_ORDINARY_LENGTH = 256
_LONGEST_MARGIN = 32.0
_RETRY_SHARE = 8
_LONGEST_RETRY = 30.0
TOO_SMALL = f"Min-SE: {MIN_SE}\r\n"
"""The header lines of a 422."""


class SessionTimer:
    """Of one session, from its 2xx on."""

    __slots__ = ("_expiry", "_refresh", "_refreshes", "_session", "interval", "min_se", "updates")

    def __init__(self, session: Session, *, updates: bool) -> None:
        """`updates`: the far end takes UPDATE."""
        self._session = session
        self.updates = updates
        self.interval = 0
        self.min_se = MIN_SE
        self._refreshes = False
        self._refresh: Started | None = None
        self._expiry: Started | None = None

    def start(self, interval: int, *, ours: bool) -> None:
        """From now on; `ours`: it is we who refresh.  An interval that no peer may ask for is not taken at
        its word: it would be over before a refresh could get through."""
        self.stop()
        self.interval = max(interval, self.min_se)
        self._refreshes = ours
        if ours:
            self._refresh = self._start(self.interval / 2, Timer.REFRESH)
        margin = min(_LONGEST_MARGIN, self.interval / 3)
        self._expiry = self._start(self.interval - margin, Timer.EXPIRY)

    def _start(self, seconds: float, timer: Timer) -> Started:
        core = self._session.core
        return core.queue.start_apart(core.moment.now, seconds, self, timer)

    def stop(self) -> None:
        queue = self._session.core.queue
        if self._refresh is not None:
            queue.stop(self._refresh)
        if self._expiry is not None:
            queue.stop(self._expiry)
        self._refresh = self._expiry = None

    def fire(self, timer: Timer) -> None:
        if timer is Timer.REFRESH:
            self._refresh = None
            self._session.core.report(RefreshDue(self._session.id))
        else:
            self.stop()
            self._session.expire()

    def lines(self) -> str:
        """For a request that refreshes: who refreshes now goes on doing so, as far as that request knows."""
        refresher = "uac" if self._refreshes else "uas"
        return wish_lines(self.interval, self.min_se, refresher)

    def raise_minimum(self, response: Response) -> None:
        """A 422 to a refresh of ours."""
        self.min_se = max(self.min_se, min_se(response))
        self.interval = max(self.interval, self.min_se)

    def refused(self, method: str, status: int) -> None:
        """A refresh of ours failed, but the dialog lives (section 7.4): try again until time is up."""
        if not self._refreshes or self._refresh is not None:
            return
        if method == "UPDATE" and status in (405, 501):
            self.updates = False
            self._session.core.report(RefreshDue(self._session.id))
        else:
            pause = min(_LONGEST_RETRY, self.interval / _RETRY_SHARE)
            self._refresh = self._start(pause, Timer.REFRESH)


def wish_lines(interval: int, least: int, refresher: str) -> str:
    """The header lines of a request with a session timer."""
    minimum = f"Min-SE: {least}\r\n" if least > MIN_SE else ""
    return f"Session-Expires: {interval};refresher={refresher}\r\n{minimum}"


# ------------------------------------------------------------ what they say


def session_expires(message: Request | Response) -> SessionExpires | None:
    """None also if it is malformed: nobody can be held to that."""
    value = message.headers.get("Session-Expires")
    try:
        return None if value is None else SessionExpires.parse(value)
    except HeaderError:
        return None


def min_se(message: Request | Response) -> int:
    """At least MIN_SE."""
    value = message.headers.get("Min-SE")
    try:
        return MIN_SE if value is None else max(MIN_SE, parse_min_se(value))
    except HeaderError:
        return MIN_SE


def names(message: Request | Response, header: str, wanted: str) -> bool:
    """Whether a header such as Supported or Allow lists this; not if it is malformed."""
    line = message.headers.get(header)
    if line is None:
        return False
    if message.headers.count(header) == 1 and len(line) <= _ORDINARY_LENGTH:
        return wanted in _remembered_list(line)
    try:
        return wanted in message.elements(header)
    except HeaderError:
        return False


# Peers say the same Allow and Supported each time.
@lru_cache(maxsize=1024)
def _remembered_list(line: str) -> frozenset[str]:
    try:
        return frozenset(split_list(line))
    except HeaderError:
        return frozenset()


def is_too_small(request: Request) -> bool:
    """To be refused with 422: only a client that knows timers can do anything about it (section 9)."""
    wanted = session_expires(request)
    return wanted is not None and wanted.seconds < MIN_SE and names(request, "Supported", "timer")


# ------------------------------------------------------------ agreeing


def agree_as_client(session: Session, response: Response, wished: int | None) -> None:
    """A 2xx to our INVITE or UPDATE (section 7.2).  A far end without timers is refreshed all the same, if we
    wished for it; a refresher that is not named is we."""
    agreed = session_expires(response)
    if agreed is None and wished is None:
        return
    timer = _timer_of(session, response)
    if agreed is None:
        timer.start(wished or MIN_SE, ours=True)
    else:
        timer.start(agreed.seconds, ours=agreed.refresher != "uas")


def agree_as_server(session: Session, request: Request, wished: int | None) -> str:
    """Start the timer with our 2xx (section 9): returns the header lines for it."""
    asked = session_expires(request)
    knows = names(request, "Supported", "timer")
    if asked is None and (wished is None or (not knows and session.timer is None)):
        return ""
    timer = _timer_of(session, request)
    interval = _interval(asked, wished, min_se(request))
    theirs = knows and asked is not None and asked.refresher == "uac"
    timer.start(interval, ours=not theirs)
    if asked is None and not knows:
        return ""
    require = "Require: timer\r\n" if theirs else ""
    return f"Session-Expires: {timer.interval};refresher={'uac' if theirs else 'uas'}\r\n{require}"


def _interval(asked: SessionExpires | None, wished: int | None, least: int) -> int:
    """What they asked for, or less if we wish, but nothing under the minimum."""
    if asked is None:
        return max(wished or 0, least)
    return asked.seconds if wished is None else max(min(asked.seconds, wished), min(least, asked.seconds))


def _timer_of(session: Session, message: Request | Response) -> SessionTimer:
    if session.timer is None:
        session.timer = SessionTimer(session, updates=names(message, "Allow", "UPDATE"))
    return session.timer
