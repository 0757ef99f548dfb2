"""Calls that outlive this process: what another one needs to end them."""

from __future__ import annotations

import msgspec

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.outgoing import OutgoingRequest

_MARK = b"I"
"""Before a saved INVITE.  No saved dialog begins so: that is a msgpack array."""


class SavedInvite(msgspec.Struct, frozen=True, array_like=True):
    """An INVITE of ours without a final response: what its CANCEL must repeat."""

    tag: str
    uri: bytes
    via: bytes
    branch: str
    from_: bytes
    to: bytes
    call_id: bytes
    cseq: int
    routes: bytes
    destination: tuple[str, str, int, str]


def save_invite(sent: OutgoingRequest, tag: str) -> bytes:
    """For `restore_invite`.  `tag`: our From tag."""
    to = sent.destination
    saved = SavedInvite(
        tag=tag,
        uri=_octets(sent.uri),
        via=_octets(sent.via),
        branch=sent.branch,
        from_=_octets(sent.from_),
        to=_octets(sent.to),
        call_id=_octets(sent.call_id),
        cseq=sent.cseq,
        routes=_octets(sent.routes),
        destination=(to.transport, to.address, to.port, to.server_name),
    )
    return _MARK + msgspec.msgpack.encode(saved)


def restore_invite(saved: bytes) -> tuple[str, OutgoingRequest] | None:
    """The From tag and the INVITE; None if it is something else.  Raises msgspec.DecodeError on what
    `save_invite` did not write."""
    if not saved.startswith(_MARK):
        return None
    it = msgspec.msgpack.decode(saved[len(_MARK) :], type=SavedInvite)
    return it.tag, OutgoingRequest(
        "INVITE",
        _text(it.uri),
        via=_text(it.via),
        branch=it.branch,
        from_=_text(it.from_),
        to=_text(it.to),
        call_id=_text(it.call_id),
        cseq=it.cseq,
        destination=Endpoint(*it.destination),
        routes=_text(it.routes),
    )


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
