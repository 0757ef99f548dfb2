"""A new INVITE as a call that is offered: who calls, what was dialled (swml.md 2.2)."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import CallInfo
from cordboard.legs import identity
from cordboard.legs.outputs import CallOffered
from cordboard.sip.events import InviteReceived
from cordboard.sip.headers import HeaderError, NameAddr, parse_name_addrs
from cordboard.sip.message import Request
from cordboard.sip.uri import Uri


class Identity:
    """What every call of this server has in common."""

    __slots__ = ("domain", "new_id", "node_id", "project_id", "space_id")

    def __init__(
        self, *, new_id: Callable[[], str], node_id: str, project_id: str, space_id: str, domain: str
    ) -> None:
        self.new_id = new_id
        self.node_id = node_id
        self.project_id = project_id
        self.space_id = space_id
        self.domain = domain


def describe(event: InviteReceived, ours: Identity, *, trusted: bool) -> CallOffered:
    """Raises UriError and HeaderError for an INVITE that cannot be read.

    `trusted`: the source's word for who calls is believed where it asserts it (RFC 3325).
    """
    request = event.request
    dialled = Uri.parse(request.uri)
    call_id = ours.new_id()
    return CallOffered(
        call_id=call_id,
        info=_info(call_id, request, dialled, _caller(request, trusted), ours),
        dialled=identity.name_in(dialled),
        source=event.source,
        sip_call_id=request.call_id,
    )


def wants_privacy(request: Request) -> bool:
    """The caller has asked that its identity be kept from others (RFC 3323, RFC 3325 section 9.3)."""
    wishes = ";".join(request.headers.get_all("Privacy")).lower().replace(",", ";").split(";")
    return not {wish.strip() for wish in wishes}.isdisjoint(("id", "user", "header"))


def _caller(request: Request, trusted: bool) -> NameAddr:
    """From; what a trusted source asserts says it better, unless the caller withholds it."""
    asserted = request.headers.get_all("P-Asserted-Identity") if trusted else []
    if not asserted or wants_privacy(request):
        return request.from_
    try:
        found = parse_name_addrs(asserted)
    except HeaderError:
        return request.from_
    return next((one for one in found if one.uri.is_sip or one.uri.scheme == "tel"), request.from_)


def _info(call_id: str, request: Request, dialled: Uri, caller: NameAddr, ours: Identity) -> CallInfo:
    phone = identity.is_phone_call(dialled, caller.uri)
    return CallInfo(
        call_id=call_id,
        node_id=ours.node_id,
        segment_id=ours.new_id(),
        project_id=ours.project_id,
        space_id=ours.space_id,
        session_id=ours.new_id(),
        call_state="created",
        direction="inbound",
        type="phone" if phone else "sip",
        from_=identity.seen_by_scripts(caller.uri),
        to=identity.seen_by_scripts(dialled),
        from_name=caller.display_name or "",
        headers=() if phone else identity.custom_headers(request),
        sip_data=None if phone else identity.sip_data(request),
    )
