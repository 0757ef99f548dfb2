"""Inbound calls for the clients of a context: offered in turn, the route's document comes last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from cordboard.call.actions import CallInfo
from cordboard.call.effects import CallStateChanged, Happening
from cordboard.call.reasons import ending
from cordboard.events.bodies import Body, envelope
from cordboard.relay import offers
from cordboard.server.control import Control
from cordboard.server.new_calls import NewCalls
from cordboard.server.relay_hub import Hub
from cordboard.server.routes import Routed


class RelayInbound:
    """`project`: whose clients are asked where a route names none."""

    def __init__(self, hub: Hub, control: Control, new_calls: NewCalls, project: str) -> None:
        self._hub = hub
        self._control = control
        self._new_calls = new_calls
        self._project = project
        self._offers = offers.Offers(hub.subscribers)
        self._fallbacks: dict[str, Routed] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    def __len__(self) -> int:
        return len(self._offers)

    def project_of(self, routed: Routed) -> str:
        """Whose call it will be."""
        return routed.project or self._project

    def can_take(self, routed: Routed) -> bool:
        """There is a client that can be asked."""
        return routed.context is not None and bool(
            self._hub.subscribers(self.project_of(routed), routed.context)
        )

    def offer(self, info: CallInfo, routed: Routed) -> None:
        """Ask one client after another, then the document of the route."""
        assert routed.context is not None
        self._fallbacks[info.call_id] = routed
        self._handle(
            offers.CallComes(
                call_id=info.call_id,
                project=info.project_id,
                context=routed.context,
                timeout=routed.offer_timeout,
            )
        )

    def claimed(self, call_id: str, client: str) -> None:
        """A client has asked something of the call: it is the one, if the call was offered to it."""
        if self._offers.holder(call_id) == client:
            self._fallbacks.pop(call_id, None)
            self._handle(offers.Claimed(call_id=call_id, client=client))

    def decided(self, call_id: str) -> None:
        """Somebody else says what becomes of the call: it is offered no further."""
        holder = self._offers.holder(call_id)
        if holder is not None:
            self.claimed(call_id, holder)

    def holder(self, call_id: str) -> str | None:
        """The client that a call is offered to now."""
        return self._offers.holder(call_id)

    def passed(self, call_id: str, client: str) -> None:
        """Give it to the next one, if it is offered to this client now."""
        self._handle(offers.Passed(call_id=call_id, client=client))

    def client_gone(self, client: str, *, for_ever: bool) -> None:
        self._handle(offers.ClientGone(client=client, for_ever=for_ever))

    def listen(self, info: CallInfo, happening: Happening, body: Body) -> None:
        """A listener of the recorder: callers give up, and are answered by whoever may."""
        if not isinstance(happening, CallStateChanged) or info.direction != "inbound":
            return
        if happening.state == "ended":
            self._fallbacks.pop(info.call_id, None)
            self._handle(offers.CallGone(call_id=info.call_id))
        elif happening.state == "answered":
            self.decided(info.call_id)

    def withdraw(self, info: CallInfo, client: str) -> None:
        """For this client the call is over: it is somebody else's."""
        found = self._hub.client(client)
        if found is None:
            return
        gone = msgspec.structs.replace(info, call_state="ended", owner=client)
        happening = CallStateChanged(state="ended", ending=ending("client_no_answer", who=info.from_))
        body = envelope(happening, gone, timestamp=time.time())
        for event_type, params in found.projection.events(gone, happening, body):
            self._hub.tell(found, event_type, params)
        found.projection.forget(info.call_id)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    # ------------------------------------------------------------ inside

    def _handle(self, input_: offers.Input) -> None:
        self._carry(self._offers.handle(input_, self._loop.time()))

    def _due(self) -> None:
        self._timer = None
        self._carry(self._offers.handle_timeout(self._loop.time()))

    def _carry(self, outputs: list[offers.Output]) -> None:
        for output in outputs:
            call = self._control.call(output.call_id)
            if call is not None:
                _CARRY[type(output)](self, output, call.info)
        self._arm()

    def _arm(self) -> None:
        """An earlier wake-up than needed is harmless; a timer for each call would not be."""
        due = self._offers.next_timeout()
        if due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        # The handle does not always know: uvloop's has no time where that has come already.
        self._timer_due, self._timer = due, self._loop.call_at(due, self._due)

    def _offer_to(self, output: offers.OfferTo, info: CallInfo) -> None:
        client = self._hub.client(output.client)
        if client is not None:
            self._hub.tell(client, *client.projection.offer(info, output.context))
            # One event too many ends a session: then the call is offered to the next one already.
            if self._hub.client(output.client) is client:
                self._control.take(info.call_id, output.client)

    def _withdraw(self, output: offers.Withdraw, info: CallInfo) -> None:
        self.withdraw(info, output.client)

    def _nobody(self, output: offers.Nobody, info: CallInfo) -> None:
        routed = self._fallbacks.pop(info.call_id, None)
        end = ending("no_client", who=info.from_)
        if routed is None or not routed.has_document:
            self._control.end(info.call_id, end)
            return
        self._control.give_driver(info.call_id, self._new_calls.script(routed, info))
        self._control.lose(info.call_id, end)


_CARRY: dict[type, Callable[[RelayInbound, Any, CallInfo], None]] = {
    offers.OfferTo: RelayInbound._offer_to,
    offers.Withdraw: RelayInbound._withdraw,
    offers.Nobody: RelayInbound._nobody,
}
