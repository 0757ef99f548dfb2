"""`devices` → the groups of a plan (relay-protocol.md 7).

The outer list is tried in turn, the members of each inner one ring at once.  What is wrong with the request
as a whole refuses it; what is wrong with one device of several spoils only that one, which then fails
undialled with the same sentence.  A number that no network knows always does only that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from cordboard.call.limits import MAX_DESTINATIONS, MAX_GROUP
from cordboard.call.plan import DEFAULT_CALL_STATE_EVENTS, DEFAULT_TIMEOUT, MAX_TIMEOUT, Destination
from cordboard.call.wording import shown
from cordboard.relay.device_echo import echo
from cordboard.relay.params import Params, WrongParamError
from cordboard.relay.phone_device import phone
from cordboard.relay.sip_device import sip

STATES = ("created", "ringing", "answered", "ended")
_MAX_LISTED = 1_000
"""Items of a list before its limits are looked at."""
_ELSEWHERE = ("webrtc", "call", "agora", "stream", "queue", "address", "ws", "rtp")

Groups = tuple[tuple[Destination, ...], ...]


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all devices of a request."""

    tag: str | None = None
    max_price_per_minute: float | None = None
    """US dollars."""
    max_duration: float | None = None
    """Seconds, for devices that do not say it themselves."""


def groups(given: Params, shared: Shared) -> Groups:
    """The destinations of `devices`.  Raises `WrongParamError`."""
    listed = [list(group) for group in _nested(given)]
    listed = [group for group in listed if group]
    total = sum(len(group) for group in listed)
    if not total:
        raise given.error("`devices` is required: a list of lists of devices, at least one.")
    _check_limits(given, listed, total)
    return tuple(tuple(_destination(item, shared, is_sole=total == 1) for item in group) for group in listed)


def single(given: Params, shared: Shared) -> Groups:
    """The one destination of `device`.  Raises `WrongParamError`."""
    return ((_destination(given.needed("device"), shared, is_sole=True),),)


def _nested(given: Params) -> Iterator[Iterator[Params]]:
    """The groups; a bare device in the outer list is a group of its own."""
    outer = given.listed("devices", most=_MAX_LISTED) or []
    for index, group in enumerate(outer):
        items = [group] if isinstance(group, dict) else group
        if not isinstance(items, list):
            raise given.error(f"`devices[{index}]` must be a list of devices, not {shown(group)}.")
        if len(items) > _MAX_LISTED:
            raise given.error(
                f"`devices[{index}]` has {len(items)} devices, at most {MAX_GROUP} are possible."
            )
        yield (_object(given, item, index, n) for n, item in enumerate(items))


def _object(given: Params, item: Any, group: int, index: int) -> Params:
    if isinstance(item, dict):
        return Params(item, given.method, ("devices", group, index))
    raise given.error(f"`devices[{group}][{index}]` must be an object, not {shown(item)}.")


def _check_limits(given: Params, listed: list[list[Params]], total: int) -> None:
    most = max(len(group) for group in listed)
    if most > MAX_GROUP:
        raise given.error(f"`devices` has {most} devices at once, at most {MAX_GROUP} are possible.")
    if total > MAX_DESTINATIONS:
        raise given.error(f"`devices` has {total} devices, at most {MAX_DESTINATIONS} are possible.")


# ------------------------------------------------------------ one device


def _destination(device: Params, shared: Shared, *, is_sole: bool) -> Destination:
    """One device; if it is wrong and not the only one, a destination that fails undialled."""
    kind = _kind(device)
    as_written = {"type": kind, "params": {}}
    try:
        params = device.needed("params")
        as_written = echo(kind, params)
        own = _DEVICES[kind](params)
        common = _common(params, shared)
    except WrongParamError as wrong:
        if is_sole:
            raise
        return Destination(kind=kind, to="", problem=str(wrong), tag=shared.tag, device=as_written)
    return msgspec.structs.replace(own, device=as_written, **common)


def _kind(device: Params) -> str:
    """`phone` or `sip`; any other refuses the whole request, wherever it stands."""
    if device.raw("type") in _ELSEWHERE:
        message = f"`{device.place('type')}` is {shown(device.raw('type'))}, which cannot be dialled here"
        raise WrongParamError(f"{device.method}: {message}: phone and sip can.")
    try:
        kind = device.choice("type", _DEVICES)
    except WrongParamError as wrong:
        raise WrongParamError(str(wrong)) from None
    if not kind:
        raise WrongParamError(f"{device.method}: `{device.place('type')}` is required: one of phone, sip.")
    return kind


def _common(params: Params, shared: Shared) -> dict[str, Any]:
    """What every kind of device has."""
    timeout = params.number("timeout", 1)
    name = "call_state_events" if params.has("call_state_events") else "status_events"
    events = params.choices(name, STATES)
    return {
        "timeout": min(timeout, MAX_TIMEOUT) if timeout is not None else DEFAULT_TIMEOUT,
        "max_duration": params.number("max_duration", 1) or shared.max_duration,
        "call_state_url": params.url("call_state_url"),
        "call_state_events": DEFAULT_CALL_STATE_EVENTS if events is None else frozenset(events),
        "status_url": params.url("status_url"),
        "max_price_per_minute": shared.max_price_per_minute,
        "tag": shared.tag,
    }


_DEVICES: dict[str, Callable[[Params], Destination]] = {"phone": phone, "sip": sip}
