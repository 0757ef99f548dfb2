"""What is wrong with bytes that are no SIP message."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cordboard.sip.message import Message


class MessageError(ValueError):
    """Bytes that are no acceptable SIP message.

    `code` and `reason` are what a request deserves as its response; `reason` holds nothing the peer sent.
    `partial` is the message as far as it goes, when its topmost Via is readable and From, To, Call-ID and
    CSeq are there: enough for `partial.response(code, reason)`.  Of its properties only `via`, `branch`,
    `sent_by` and `call_id` are sure not to raise.
    """

    def __init__(self, code: int, reason: str, partial: Message | None = None) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
        self.partial = partial
