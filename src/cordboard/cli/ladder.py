"""The SIP ladder, a line for each message, as it happens.

     0.000  caller                 ──▶ cordboard   INVITE sip:+15550100@127.0.0.1
     0.001  cordboard ──▶ +15550101                INVITE …

Whatever a message contains, a line stays a line: it is cut, and what cannot be printed is escaped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from cordboard.cli.printing import printable
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.headers import HeaderError
from cordboard.sip.message import MessageError, Request, Response, parse

MAX_DIALOGS = 1_000
_MAX_NAME = 18
_MAX_TEXT = 90


class Ladder:
    """`tap` is put among the taps of an exchange; `show` gets each finished line."""

    def __init__(self, show: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._show = show
        self._clock = clock
        self._begun: float | None = None
        self._names: OrderedDict[str, str] = OrderedDict()

    def tap(self, direction: str, data: bytes, far_end: Endpoint) -> None:
        """One message, `received` or `sent`."""
        now = self._clock()
        if self._begun is None:
            self._begun = now
        try:
            message = parse(data)
            name, text = self._name(message, direction, far_end), _summary(message)
        except (MessageError, HeaderError) as error:
            name, text = far_end.host_port, f"not SIP: {error}"
        self._line(now, direction, name, text)

    def _name(self, message: Request | Response, direction: str, far_end: Endpoint) -> str:
        """How the far end of this dialog is called: who it is in From or To."""
        name = self._names.get(message.call_id)
        if name is None:
            theirs_is_from = (direction == "received") == isinstance(message, Request)
            uri = message.from_.uri if theirs_is_from else message.to.uri
            name = uri.user or uri.host or far_end.host_port
            self._names[message.call_id] = name[: 4 * _MAX_NAME]
            if len(self._names) > MAX_DIALOGS:
                self._names.popitem(last=False)
        return name

    def _line(self, now: float, direction: str, name: str, text: str) -> None:
        assert self._begun is not None
        shown = printable(name, _MAX_NAME)
        arrow = (
            f"{shown:>{_MAX_NAME}} ──▶ cordboard"
            if direction == "received"
            else (f"{shown:>{_MAX_NAME}} ◀── cordboard")
        )
        self._show(f"{now - self._begun:8.3f}  {arrow}  {printable(text, _MAX_TEXT)}")


def _summary(message: Request | Response) -> str:
    sdp = "  (SDP)" if message.body else ""
    if isinstance(message, Request):
        return f"{message.method} {message.uri}{sdp}"
    return f"{message.status} {message.reason} [{message.cseq.method}]{sdp}"
