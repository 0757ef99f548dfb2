"""What is known of a call: the `call` object of scripts, and what its events say about it."""

from __future__ import annotations

from typing import Any

import msgspec


class CallInfo(msgspec.Struct, kw_only=True):
    """What a script sees as `call` (swml.md 2.2).  Owned and kept current by the call; drivers only read."""

    call_id: str
    node_id: str
    segment_id: str
    project_id: str
    space_id: str
    session_id: str
    """The SWML session (`event_channel` = `swml:` + this), shared by all legs of one script."""
    call_state: str
    """created, ringing, answered, ending, ended"""
    direction: str
    """inbound or outbound"""
    type: str
    """phone or sip"""
    from_: str
    """E.164 number or `sip:user@host`"""
    to: str
    from_name: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """The X- headers of the INVITE, sip calls only."""
    tag: str | None = None
    parent_call_id: str | None = None
    parent_device_type: str | None = None
    """phone or sip, of the call that dialled this one."""
    peer_call_id: str | None = None
    """The call that this one is bridged to, now."""
    dial_winner: bool = False
    """It was bridged out of a group that was dialled at once."""
    transfers: int = 0
    """How many transfers this call has been through, those that led to it included."""
    owner: str | None = None
    """The client session that decides what becomes of this call; None: a script, or nobody."""
    device: dict[str, Any] | None = None
    """What was dialled, as the client wrote it: `{type, params}` without its password."""
    sole: bool = True
    """It was dialled as the only destination of its plan."""
    sip_data: dict[str, Any] | None = None

    @property
    def far_end(self) -> str:
        """Who it is, for sentences."""
        return self.from_ if self.direction == "inbound" else self.to
