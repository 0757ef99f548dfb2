"""What the server keeps on disk: calls, their events, and the deliveries of callbacks.

`Store` is the interface; `sqlite_store.SqliteStore` is one implementation, and every implementation passes
the same conformance suite.  Writes never block and never raise: they are taken in memory, and everything
that was written in one turn of the event loop is committed in one transaction, in order.  So a call's row is
never later than its first event, and the final event of a call is committed together with its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

PENDING = "pending"
DELIVERED = "delivered"
DEAD = "dead"


class StoreError(Exception):
    """The store cannot be opened or read.  `str()` says why and what to do."""


class NewCall(msgspec.Struct, frozen=True):
    """A call as it begins.  Times are seconds since the epoch, everywhere in this module."""

    call_id: str
    session_id: str
    segment_id: str
    node_id: str
    project_id: str
    space_id: str
    direction: str
    type: str
    from_: str
    to: str
    tag: str | None
    parent_call_id: str | None
    started_at: float
    call_state_url: str | None
    call_state_events: str
    """Space-separated names of the states that go to `call_state_url`."""
    owner: str | None = None
    """The client session that controls it."""


class CallEnd(msgspec.Struct, frozen=True):
    """How a call ended."""

    ended_at: float
    reason: str
    cause: str
    sip_code: int | None
    sip_reason: str
    sentence: str


class OpenConnect(msgspec.Struct, frozen=True):
    """A `connect` that has not had its last event."""

    state: str
    """connecting or connected"""
    status_url: str | None = None
    peer_call_id: str | None = None
    peer_device_type: str = ""
    peer_from: str = ""
    peer_to: str = ""


class NewEvent(msgspec.Struct, frozen=True):
    """One event of one call."""

    call_number: int
    seq: int
    """1, 2, 3 … within the call."""
    event_id: str
    event_type: str
    created_at: float
    body: bytes


class Delivery(msgspec.Struct):
    """One callback on its way to one URL.  `number` rises in the order of writing."""

    number: int
    event_id: str
    session_id: str
    origin: str
    """`scheme://host:port` of the URL: what deliveries share when their receiver is down."""
    url: str
    method: str
    body: bytes
    created_at: float
    attempts: int = 0
    next_try_at: float = 0.0


class Settlement(msgspec.Struct, frozen=True):
    """What came of one attempt."""

    number: int
    state: str
    attempts: int
    next_try_at: float
    status: int | None
    error: str
    at: float
    took_ms: int


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A call as it is read back."""

    number: int
    start: NewCall
    answered_at: float | None
    end: CallEnd | None
    connect: OpenConnect | None
    dialog: bytes | None
    """What the SIP stack needs to send a BYE after a restart."""
    statistics: bytes | None
    """JSON"""
    variables: bytes | None
    """JSON"""
    last_seq: int = 0
    """Number of its latest event; only filled where it is asked for."""


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is read back."""

    seq: int
    event_id: str
    event_type: str
    created_at: float
    body: bytes


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as it is listed.  `url` is as the document gave it, user and password included."""

    number: int
    event_id: str
    session_id: str
    origin: str
    url: str
    method: str
    created_at: float
    state: str
    attempts: int
    next_try_at: float
    last_status: int | None
    last_error: str
    last_at: float | None
    call_id: str = ""
    """Only filled in the lists of a project."""


class CallFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls are listed; None: it does not matter."""

    project_id: str
    direction: str | None = None
    """inbound or outbound"""
    is_dialled: bool | None = None
    """Another call has dialled it."""
    is_over: bool | None = None
    since: float | None = None
    """It began then or later."""


class CallPage(msgspec.Struct, frozen=True):
    """The latest first.  A page may be short, even empty, while there are more."""

    records: list[CallRecord]
    next: int | None
    """The `before` of the page that follows; None after the last one."""


class DeliveryPage(msgspec.Struct, frozen=True):
    """As `CallPage`."""

    records: list[DeliveryRecord]
    next: int | None


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One failed attempt of a delivery; only the latest ones are kept."""

    number: int
    at: float
    took_ms: int
    status: int | None
    error: str


StoredCallback = Callable[[list[Delivery]], None]


class Store(Protocol):
    """Implementations are opened before calls are taken, and closed after the last of them."""

    on_stored: StoredCallback
    """Called in the loop with the deliveries that are now safe, in the order of their numbers."""

    # ---- writing: never blocks, never raises

    def add_call(self, call: NewCall) -> int:
        """Returns the call's number, by which the other methods know it."""

    def call_answered(self, call_number: int, at: float) -> None: ...

    def call_ended(self, call_number: int, end: CallEnd) -> None: ...

    def owner_changed(self, call_number: int, owner: str | None) -> None:
        """Another client session controls it, or none."""

    def connect_changed(self, call_number: int, connect: OpenConnect | None) -> None:
        """None: the connect has had its last event."""

    def save_dialog(self, call_number: int, dialog: bytes) -> None: ...

    def finish_call(self, call_number: int, statistics: bytes | None, variables: bytes | None) -> None:
        """What is known only after the end.  Also forgets the dialog."""

    def save_ladder(self, call_number: int, ladder: bytes) -> None:
        """The SIP messages of a call that is over, as `sip_log` encodes them."""

    def add_event(self, event: NewEvent) -> None: ...

    def add_delivery(self, event: NewEvent, session_id: str, *, origin: str, url: str, method: str) -> None:
        """A callback with the body of this event, which is added with `add_event`."""

    def settle(self, settlement: Settlement) -> None: ...

    # ---- reading: sees everything written before

    def next_pending(
        self, origin: str, after: int, limit: int, loaded: Callable[[list[Delivery]], None]
    ) -> None:
        """Pending deliveries of an origin with a number above `after`, in order.

        `loaded` is called in the loop after `on_stored` of everything committed before the reading, and
        before `on_stored` of everything committed later.  It is called only when the reading succeeded;
        until then it is tried again.
        """

    # These raise `StoreError`.

    async def pending_origins(self) -> list[str]: ...

    async def unfinished_calls(self) -> list[CallRecord]:
        """Calls without an end or with an open connect: after a start, those of the server that died."""

    async def calls(self, *, limit: int = 100, before: int | None = None) -> list[CallRecord]:
        """The latest first; `before` is the number of the last one of the page before."""

    async def call_page(
        self, wanted: CallFilter, *, limit: int = 100, before: int | None = None
    ) -> CallPage: ...

    async def call(self, call_id: str) -> CallRecord | None: ...

    async def session(self, call_id: str) -> list[CallRecord]:
        """All calls of the session that this call belongs to, the oldest first."""

    async def open_operations(self) -> dict[int, list[tuple[bytes, str | None]]]:
        """By number, for calls without an end: (body, where it was posted) of each event of an operation, in
        order."""

    async def ladder(self, call_id: str) -> bytes | None:
        """What `save_ladder` was given; None if there is nothing."""

    async def events(self, call_id: str, *, after: int = 0, limit: int = 1000) -> list[EventRecord]: ...

    async def deliveries(
        self, *, state: str | None = None, limit: int = 100, before: int | None = None
    ) -> list[DeliveryRecord]:
        """The latest first."""

    async def delivery_page(
        self, project_id: str, *, state: str | None = None, limit: int = 100, before: int | None = None
    ) -> DeliveryPage:
        """Those of the calls of one project."""

    async def delivery(self, number: int, project_id: str) -> DeliveryRecord | None:
        """None also where it is another project's."""

    async def attempts(self, delivery_number: int) -> list[AttemptRecord]: ...

    async def revive(self, delivery_numbers: Sequence[int], at: float) -> list[Delivery]:
        """Dead deliveries become pending, as if they had been made at `at`; returns those that were dead."""

    async def take_resend_requests(self) -> list[int]:
        """Numbers of the dead deliveries that another process wants sent again; each is returned once."""

    # ---- life

    async def flush(self) -> None:
        """Wait until all that was written before is committed (or was given up)."""

    async def prune(self, older_than: float) -> None:
        """Forget calls that ended, and settled deliveries that were made, before this time."""

    async def close(self) -> None: ...

    @property
    def is_healthy(self) -> bool:
        """False while nothing can be committed: take no new calls."""
