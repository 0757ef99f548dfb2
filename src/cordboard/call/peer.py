"""The other side of a bridge, as the events of this side name it."""

from __future__ import annotations

import msgspec

from cordboard.call.info import CallInfo


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A call that another one talks to."""

    call_id: str
    device_type: str
    """phone or sip"""
    from_: str
    to: str
    tag: str | None = None


def peer_of(info: CallInfo) -> Peer:
    """How a call presents itself to the other side."""
    return Peer(call_id=info.call_id, device_type=info.type, from_=info.from_, to=info.to, tag=info.tag)
