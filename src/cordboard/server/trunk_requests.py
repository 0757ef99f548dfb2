"""Requests outside any dialog (OPTIONS, REGISTER) and their outcomes, for tasks that wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from cordboard.sip.credentials import Credentials
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import ResponseReceived, SendMessage
from cordboard.sip.stack import SipStack

Carry = Callable[[list[Any]], None]
"""Carries out what the stack wants."""


class TrunkRequests:
    """`carry` gets what the stack returns; `arrived` is told each outcome."""

    def __init__(self, stack: SipStack, carry: Carry) -> None:
        self._stack = stack
        self._carry = carry
        self._waiting: dict[str, asyncio.Future[ResponseReceived]] = {}

    async def send(
        self,
        method: str,
        *,
        uri: str,
        to: str,
        from_: str,
        destination: Endpoint,
        headers: Iterable[tuple[str, str]] = (),
        credentials: Credentials | None = None,
        call_id: str | None = None,
        cseq: int | None = None,
    ) -> ResponseReceived:
        """Challenges are answered on the way.  Raises HeaderError for what cannot be written."""
        loop = asyncio.get_running_loop()
        request, outputs = self._stack.send(
            method,
            uri=uri,
            to=to,
            from_=from_,
            destination=destination,
            headers=headers,
            credentials=credentials,
            call_id=call_id,
            cseq=cseq,
            now=loop.time(),
        )
        outcome: asyncio.Future[ResponseReceived] = loop.create_future()
        self._waiting[request] = outcome
        try:
            self._carry([o for o in outputs if isinstance(o, SendMessage | ResponseReceived)])
            return await outcome
        finally:
            self._waiting.pop(request, None)

    def arrived(self, event: ResponseReceived) -> None:
        waiting = self._waiting.get(event.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(event)
