"""Inbound calls looking for a client: one at a time, in turn, until one takes the call or nobody is left.

A client takes a call with its first command; it gives it back with `calling.pass`, or loses it when the time
of the offer is over.  Whoever had a call is not asked again about it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import msgspec

Subscribers = Callable[[str, str], Sequence[str]]
"""(project, context) → the clients that can be asked now, in a steady order."""

_MOST_TURNS = 4096
"""Contexts whose turn is remembered."""


class CallComes(msgspec.Struct, frozen=True, kw_only=True):
    """A call for the clients of a context."""

    call_id: str
    project: str
    context: str
    timeout: float
    """Seconds that each client has."""


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A client has asked something of the call."""

    call_id: str
    client: str


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A client does not want it."""

    call_id: str
    client: str


class ClientGone(msgspec.Struct, frozen=True, kw_only=True):
    """A client has no socket now; `for_ever`: and will not come back."""

    client: str
    for_ever: bool = False


class CallGone(msgspec.Struct, frozen=True, kw_only=True):
    """The caller has given up."""

    call_id: str


Input = CallComes | Claimed | Passed | ClientGone | CallGone


class OfferTo(msgspec.Struct, frozen=True, kw_only=True):
    """Tell this client of the call."""

    call_id: str
    client: str
    context: str


class Withdraw(msgspec.Struct, frozen=True, kw_only=True):
    """The call is not this client's any more."""

    call_id: str
    client: str


class Nobody(msgspec.Struct, frozen=True, kw_only=True):
    """No client takes the call."""

    call_id: str


Output = OfferTo | Withdraw | Nobody


class _Open(msgspec.Struct):
    """A call that nobody has taken yet."""

    call: CallComes
    holder: str = ""
    due: float = 0.0
    asked: set[str] = msgspec.field(default_factory=set)


class Offers:
    """All calls that wait for a client."""

    def __init__(self, subscribers: Subscribers) -> None:
        self._subscribers = subscribers
        self._open: dict[str, _Open] = {}
        self._dues: list[tuple[float, str]] = []
        """A heap; what is no longer so is passed over when it comes up."""
        self._turns: dict[tuple[str, str], str] = {}
        """Who was asked last."""

    def __len__(self) -> int:
        return len(self._open)

    def holder(self, call_id: str) -> str | None:
        """The client that is being asked."""
        found = self._open.get(call_id)
        return found.holder if found is not None else None

    def handle(self, input_: Input, now: float) -> list[Output]:
        """Take what happened."""
        if isinstance(input_, CallComes):
            self._open[input_.call_id] = offer = _Open(call=input_)
            return self._next(offer, now)
        if isinstance(input_, ClientGone):
            return self._client_gone(input_, now)
        found = self._open.get(input_.call_id)
        if found is None:
            return []
        if isinstance(input_, CallGone):
            del self._open[input_.call_id]
        elif input_.client != found.holder:
            return []
        elif isinstance(input_, Claimed):
            del self._open[input_.call_id]
        else:
            return self._pass_on(found, now)
        return []

    def next_timeout(self) -> float | None:
        while self._dues:
            due, call_id = self._dues[0]
            offer = self._open.get(call_id)
            if offer is not None and offer.due == due:
                return due
            heapq.heappop(self._dues)
        return None

    def handle_timeout(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        while (due := self.next_timeout()) is not None and due <= now:
            outputs += self._pass_on(self._open[self._dues[0][1]], now)
        return outputs

    # -------------------------------------------------- inside

    def _client_gone(self, gone: ClientGone, now: float) -> list[Output]:
        """A short loss of its socket costs a client the call only where another one is there to take it."""
        outputs: list[Output] = []
        for offer in [offer for offer in self._open.values() if offer.holder == gone.client]:
            if gone.for_ever or self._candidate(offer) is not None:
                outputs += self._pass_on(offer, now)
        return outputs

    def _pass_on(self, offer: _Open, now: float) -> list[Output]:
        withdrawn = Withdraw(call_id=offer.call.call_id, client=offer.holder)
        return [withdrawn, *self._next(offer, now)]

    def _next(self, offer: _Open, now: float) -> list[Output]:
        call, client = offer.call, self._candidate(offer)
        if client is None:
            del self._open[call.call_id]
            return [Nobody(call_id=call.call_id)]
        offer.asked.add(client)
        offer.holder, offer.due = client, now + call.timeout
        heapq.heappush(self._dues, (offer.due, call.call_id))
        self._remember_turn((call.project, call.context), client)
        return [OfferTo(call_id=call.call_id, client=client, context=call.context)]

    def _candidate(self, offer: _Open) -> str | None:
        """The first one behind whoever was asked last, of those who were not asked about this call."""
        call = offer.call
        clients = list(self._subscribers(call.project, call.context))
        last = self._turns.get((call.project, call.context))
        at = clients.index(last) + 1 if last in clients else 0
        in_turn = clients[at:] + clients[:at]
        return next((client for client in in_turn if client not in offer.asked), None)

    def _remember_turn(self, context: tuple[str, str], client: str) -> None:
        if len(self._turns) >= _MOST_TURNS:
            self._turns.clear()
        self._turns[context] = client
