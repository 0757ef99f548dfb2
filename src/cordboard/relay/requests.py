"""What a client asked for, read and checked: a `calling.*` request in this server's own words."""

from __future__ import annotations

import msgspec

from cordboard.call.commands import Command
from cordboard.call.plan import ConnectPlan


class CallCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Something asked of one call."""

    method: str
    """As on the wire: `calling.play.stop`."""
    call_id: str
    command: Command
    control_id: str | None = None
    node_id: str = ""
    """As the client wrote it; echoed."""


class DialRequest(msgspec.Struct, frozen=True, kw_only=True):
    """New calls, the first that answers wins."""

    method: str = "calling.dial"
    tag: str
    plan: ConnectPlan
    node_id: str = ""
    max_duration: float | None = None
    """Seconds from the answer; it is in the plan's destinations already."""


class BeginRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One new call; its id is told at once, and it has no dial events."""

    method: str = "calling.begin"
    tag: str
    plan: ConnectPlan
    node_id: str = ""


class PassRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Give an offered call back, for another client."""

    method: str = "calling.pass"
    call_id: str
    node_id: str = ""


class TransferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A document takes over."""

    method: str = "calling.transfer"
    call_id: str
    dest: str
    """A URL of a SWML document, the document itself, or the name of a context."""
    node_id: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A request that cannot be carried out as it is written."""

    code: str
    """`400` as written, `404` no such method, `501` not built."""
    message: str
    """One sentence for the client's programmer."""
    call_id: str | None = None
    method: str = ""


Request = CallCommand | DialRequest | BeginRequest | PassRequest | TransferRequest | Refusal
