"""The properties of `connect` → a `ConnectPlan` (swml.md 7.1 to 7.7, 7.14).

A value is the destination's own if its key is present, else the top level's, else the default (7.4).  What
is wrong at the top level makes the step fail; what is wrong in one destination of a list, only that one.
"""

from __future__ import annotations

import re
from typing import Any

from cordboard.call.addresses import Target, classify, is_caller, is_number, parse_address
from cordboard.call.limits import MAX_DESTINATIONS, MAX_GROUP
from cordboard.call.plan import (
    DEFAULT_MAX_DURATION,
    MAX_TIMEOUT,
    Confirm,
    ConnectPlan,
    Destination,
    PlayItem,
    Ringback,
)
from cordboard.sip.uri import Uri, UriError
from cordboard.swml import codes
from cordboard.swml.checking import check, check_value, invalid
from cordboard.swml.connect_table import DESTINATION, OF_THE_STEP, SESSION_TIMEOUT, SHAPE, SHARED, STRATEGIES
from cordboard.swml.playable import items_of
from cordboard.swml.problems import MethodError, Note, dotted, nearest, shown
from cordboard.swml.program import Inline
from cordboard.swml.properties import text
from cordboard.swml.sip_destination import Paths, sendable, sip_options
from cordboard.swml.unbuilt import DESTINATIONS, refusal

_SIP_SCHEME = re.compile(r"\s*sips?:", re.IGNORECASE)
_NAMES = frozenset(DESTINATION.names())
_SHARED_NAMES = frozenset(item.name for item in SHARED)


def checked(values: dict[str, Any], notes: list[Note]) -> dict[str, Any]:
    """The properties at the top, without defaults.  Raises `MethodError`."""
    values = _without_bad_session_timeout(values, (), notes)
    top = check(values, SHAPE, defaults=False)
    if "headers" in top:
        top["headers"] = _headers(top["headers"], ("headers",), notes)
    return top


def plan_of(top: dict[str, Any], notes: list[Note]) -> ConnectPlan:
    """The plan of checked properties.  Raises `MethodError`."""
    found: list[Note] = []
    try:
        return ConnectPlan(
            groups=_groups(top, found),
            answer_on_bridge=top.get("answer_on_bridge", False),
            ringback=_ringback(top.get("ringback"), found),
            max_duration=float(top.get("max_duration", DEFAULT_MAX_DURATION)),
            status_url=top.get("status_url"),
        )
    finally:
        notes += dict.fromkeys(found)  # what holds for all destinations is said once


def _without_bad_session_timeout(
    values: dict[str, Any], path: tuple[str | int, ...], notes: list[Note]
) -> dict[str, Any]:
    """One that cannot be used is no reason not to dial: the default counts (swml.md 7.8); 0 is none."""
    value = values.get("session_timeout")
    if value is None:
        return values
    try:
        if value != 0:
            check_value(value, SESSION_TIMEOUT, "connect", (*path, "session_timeout"))
            return values
    except MethodError as error:
        notes.append(Note(error.code, f"{error.message}: the default is used", error.path))
    return {name: item for name, item in values.items() if name != "session_timeout"}


def _headers(
    given: list[dict[str, str]], path: tuple[str | int, ...], notes: list[Note]
) -> tuple[tuple[str, str], ...]:
    return sendable([(header["name"], header["value"]) for header in given], path, notes)


def _ringback(value: Any, notes: list[Note]) -> Ringback | None:
    """What the caller hears; a ring tone where nothing of it can be played."""
    options = value if isinstance(value, dict) else {}
    items = options.get("urls") or options.get("url") if isinstance(value, dict) else value
    if not items:
        return None
    listed = items if isinstance(items, list) else [items]
    played = [item for item in items_of(listed, options, "connect", "ringback", notes) if item is not None]
    volume = float(options.get("volume", 0) or 0)
    return Ringback(items=tuple(played) or (PlayItem(kind="ring"),), volume=volume)


def _groups(top: dict[str, Any], notes: list[Note]) -> tuple[tuple[Destination, ...], ...]:
    if "to" in top:
        return ((_single(top, notes),),)
    strategy = next(name for name in STRATEGIES if name in top)
    lists = _as_groups(strategy, top[strategy])
    groups = tuple(
        tuple(_destination(item, path, top, notes) for item, path in group) for group in lists if group
    )
    if not groups:
        message = f"connect: `{strategy}` has no destination"
        raise MethodError(
            codes.PARAMETER_INVALID, message, path=(strategy,), allowed="at least one destination"
        )
    _check_limits(strategy, groups)
    return groups


_Listed = tuple[Any, tuple[str | int, ...]]


def _as_groups(strategy: str, value: list[Any]) -> list[list[_Listed]]:
    """Every strategy as groups: dialled in turn, the members of one at once."""
    listed: list[_Listed] = [(item, (strategy, index)) for index, item in enumerate(value)]
    if strategy == "serial":
        return [[item] for item in listed]
    if strategy == "parallel":
        return [listed]
    groups: list[list[_Listed]] = []
    for group, path in listed:
        if not isinstance(group, list):
            message = f"connect: `{dotted(path)}` must be a list of destinations, not {shown(group)}"
            raise MethodError(codes.WRONG_TYPE, message, path=path, allowed="a list of destinations")
        groups.append([(item, (*path, index)) for index, item in enumerate(group)])
    return groups


def _check_limits(strategy: str, groups: tuple[tuple[Destination, ...], ...]) -> None:
    most = max(len(group) for group in groups)
    if most > MAX_GROUP:
        message = f"connect: {most} destinations at once, at most {MAX_GROUP} are possible"
        raise MethodError(codes.PARAMETER_INVALID, message, path=(strategy,))
    total = sum(len(group) for group in groups)
    if total > MAX_DESTINATIONS:
        message = f"connect: {total} destinations, at most {MAX_DESTINATIONS} are possible"
        raise MethodError(codes.PARAMETER_INVALID, message, path=(strategy,))


def _single(top: dict[str, Any], notes: list[Note]) -> Destination:
    destination = _made(top, {}, ("to",), notes)
    if destination.problem is not None:
        raise MethodError(codes.PARAMETER_INVALID, destination.problem, path=("from",))
    return destination


def _destination(
    item: Any, path: tuple[str | int, ...], top: dict[str, Any], notes: list[Note]
) -> Destination:
    """One destination of a list; if it is invalid, one that fails undialled."""
    if isinstance(item, str):
        item = {"to": item}
    try:
        own = _own(item, path, notes)
        destination = _made(own, top, (*path, "to"), notes)
    except MethodError as error:
        if error.code == codes.EXECUTE_FAILED:
            raise
        notes.append(Note(error.code, error.message, error.path, is_error=True))
        return Destination(kind="sip", to=_to_of(item), problem=error.message)
    if destination.problem is not None:
        notes.append(Note(codes.PARAMETER_INVALID, destination.problem, path, is_error=True))
    return destination


def _to_of(item: Any) -> str:
    to = item.get("to") if isinstance(item, dict) else None
    return to.strip()[:256] if isinstance(to, str) else ""


def _own(item: Any, path: tuple[str | int, ...], notes: list[Note]) -> dict[str, Any]:
    if not isinstance(item, dict):
        message = f"connect: `{dotted(path)}` must be a mapping with `to`, not {shown(item)}"
        raise MethodError(codes.WRONG_TYPE, message, path=path, allowed="a mapping with `to`")
    for name in item:
        if name not in _NAMES:
            notes.append(_unknown(name, path))
    item = _without_bad_session_timeout(item, path, notes)
    own = check(item, DESTINATION, where=path, defaults=False)
    if "status_events" in own:
        if "call_state_events" in own:
            message = f"connect: `{dotted(path)}` has both `call_state_events` and `status_events`"
            raise MethodError(codes.PARAMETER_CONFLICT, message, path=(*path, "status_events"))
        own["call_state_events"] = own.pop("status_events")
    if "headers" in own:
        own["headers"] = _headers(own["headers"], (*path, "headers"), notes)
    return own


def _unknown(name: str, path: tuple[str | int, ...]) -> Note:
    where = dotted((*path, name[:80]))
    if name in OF_THE_STEP:
        return Note(
            codes.PARAMETER_UNDEFINED, f"connect: `{where}` is ignored: it belongs to the step", (*path, name)
        )
    near = nearest(name, _NAMES)
    hint = f"; did you mean `{near}`?" if near else ""
    return Note(
        codes.PARAMETER_UNDEFINED, f"connect: unknown property `{where}` is ignored{hint}", (*path, name)
    )


def _made(
    own: dict[str, Any], top: dict[str, Any], path: tuple[str | int, ...], notes: list[Note]
) -> Destination:
    """A destination with every default resolved; `problem` where only dialling it is impossible."""
    target = _target(own["to"], path, notes)
    merged = {**{name: top[name] for name in top if name in _SHARED_NAMES}, **own}
    paths = Paths(path[:-1], frozenset(own))
    _refuse_webrtc(merged, target, paths)
    caller = _caller(merged, paths)
    timeout = _seconds("timeout", merged.get("timeout", 60), paths, notes)
    events = merged.get("call_state_events")
    options: dict[str, Any] = {}
    to = target.to
    if target.kind == "sip":
        address = parse_address(to)
        to = address.uri
        options = sip_options(merged, address, paths, notes)
    return Destination(
        kind=target.kind,
        to=to,
        from_=caller,
        timeout=timeout,
        confirm=_confirm(merged, timeout, paths, notes),
        call_state_url=merged.get("call_state_url"),
        call_state_events=frozenset({"ended"}) if events is None else frozenset(events),
        status_url=merged.get("status_url"),
        problem=_phone_problem(target, caller),
        **options,
    )


def _seconds(name: str, value: float, paths: Paths, notes: list[Note]) -> float:
    seconds = float(value)
    if seconds > MAX_TIMEOUT:
        message = f"connect: `{name}` {seconds:g} is cut to {MAX_TIMEOUT:g} s"
        notes.append(Note(codes.PARAMETER_INVALID, message, paths.of(name)))
    return min(seconds, MAX_TIMEOUT)


def _confirm(merged: dict[str, Any], timeout: float, paths: Paths, notes: list[Note]) -> Confirm | None:
    """An empty list of steps is none: so a destination can do without that of the top level."""
    given = merged.get("confirm")
    if given is None:
        return None
    limit = _seconds("confirm_timeout", merged.get("confirm_timeout", timeout), paths, notes)
    if not isinstance(given, Inline):
        return Confirm(url=given, timeout=limit)
    document = given.document
    if document is None or not document.sections["main"].steps:
        return None
    return Confirm(document=document, timeout=limit)


def _target(to: str, path: tuple[str | int, ...], notes: list[Note]) -> Target:
    target = classify(to)
    if target is None:
        declared = text("to")
        error = invalid("connect", path, declared, to)
        allowed = "a SIP URI (sip:user@host) or an E.164 number (+15551234567)"
        message = f"connect: `{dotted(path)}` must be {allowed}, not {shown(to)}"
        raise MethodError(error.code, message, path=path, found=error.found, allowed=allowed)
    if target.kind == "sip":
        _readable(parse_address(target.to).uri, path)
    if target.kind in DESTINATIONS:
        raise refusal("connect", DESTINATIONS[target.kind])
    if target.remark:
        notes.append(Note(codes.PARAMETER_INVALID, f"connect: {target.remark}", path))
    return target


def _readable(uri: str, path: tuple[str | int, ...]) -> None:
    """What the INVITE could not carry is found before anybody is dialled.  Raises `MethodError`."""
    try:
        Uri.parse(uri)
    except UriError as error:
        message = f"connect: `{dotted(path)}` is no SIP URI, {shown(uri)}: {error}"
        allowed = "sip:user@host, with escapes (%20) for other characters"
        raise MethodError(
            codes.PARAMETER_INVALID, message, path=path, found=shown(uri), allowed=allowed
        ) from None


def _refuse_webrtc(merged: dict[str, Any], target: Target, paths: Paths) -> None:
    if not merged.get("webrtc_media") or target.kind != "sip":
        return
    if merged.get("encryption") == "forbidden":
        message = "connect: `webrtc_media` is always encrypted, and `encryption` is forbidden"
        raise MethodError(codes.PARAMETER_CONFLICT, message, path=paths.of("webrtc_media"))
    raise refusal("connect", "`webrtc_media`")


def _caller(merged: dict[str, Any], paths: Paths) -> str | None:
    caller = merged.get("from")
    if caller is None or not caller.strip():
        return None
    if not is_caller(caller.strip()):
        allowed = "a number (+15551234567), a name without spaces or a SIP URI (sip:user@host)"
        message = f"connect: `from` must be {allowed}, not {shown(caller)}"
        raise MethodError(
            codes.PARAMETER_INVALID, message, path=paths.of("from"), found=shown(caller), allowed=allowed
        )
    if _SIP_SCHEME.match(caller.strip()):
        _readable(caller.strip(), paths.of("from"))
    return str(caller.strip())


def _phone_problem(target: Target, caller: str | None) -> str | None:
    if target.kind != "phone" or caller is None or is_number(caller):
        return None
    return f"connect: `from` must be an E.164 number for the phone number {target.to}, not {shown(caller)}"


def usable_status_url(values: dict[str, Any]) -> str | None:
    """Where to report a step that is too broken for a plan."""
    declared = SHAPE.find("status_url")
    try:
        found = check_value(values["status_url"], declared, "connect", ()) if declared is not None else None
    except (MethodError, KeyError):
        return None
    return str(found) if found is not None else None
