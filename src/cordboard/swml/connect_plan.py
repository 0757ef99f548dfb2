"""The properties of `connect` → a `ConnectPlan` (swml.md 7.1 to 7.7, 7.14).

A value is the destination's own if its key is present, else the top level's, else the default (7.4).  What
is wrong at the top level makes the step fail; what is wrong in one destination of a list, only that one.
"""

from __future__ import annotations

import re
from typing import Any

from cordboard.call.plan import MAX_TIMEOUT, ConnectPlan, Destination, Header
from cordboard.swml import codes
from cordboard.swml.checking import check, check_value, invalid
from cordboard.swml.destination import Target, classify, is_caller, is_number
from cordboard.swml.limits import MAX_DESTINATIONS, MAX_GROUP
from cordboard.swml.problems import MethodError, Note, dotted, nearest, shown
from cordboard.swml.properties import (
    Kind,
    Property,
    Shape,
    choice,
    flag,
    integer,
    listing,
    of_kind,
    text,
    url,
)
from cordboard.swml.unbuilt import DESTINATIONS, HARMLESS, PROPERTIES, refusal, refuse_properties

_SIP = frozenset({"sip", "address"})
_DIALLED = frozenset({"sip", "phone", "address"})
_STREAM = frozenset({"stream"})

_HEADERS = listing(
    "headers",
    of_kind("header", Kind.RECORD, record=(text("name", required=True), text("value", required=True))),
    applies_to=_SIP,
)
_EVENTS = listing("call_state_events", choice("event", "created", "ringing", "answered", "ended"))

SHARED: tuple[Property, ...] = (
    text("from"),
    text("from_name", applies_to=_SIP),
    _HEADERS,
    text("codecs", applies_to=_SIP),
    flag("webrtc_media", applies_to=_SIP),
    integer("session_timeout", applies_to=_SIP),
    choice("encryption", "mandatory", "optional", "forbidden", applies_to=_SIP),
    text("username", applies_to=_SIP),
    text("password", applies_to=_SIP),
    integer("timeout", 1),
    of_kind("confirm", Kind.ANY, applies_to=_DIALLED),
    integer("confirm_timeout", 1, applies_to=_DIALLED),
    url("call_state_url", applies_to=_DIALLED),
    _EVENTS,
    url("status_url"),
    choice("status_url_method", "GET", "POST", applies_to=_STREAM),
    text("name", applies_to=_STREAM),
    text("codec", applies_to=_STREAM),
    flag("realtime", applies_to=_STREAM),
    text("authorization_bearer_token", applies_to=_STREAM),
    of_kind("custom_parameters", Kind.MAP, applies_to=_STREAM),
)
"""Properties of a destination that may stand at the top level too."""

STRATEGIES = ("to", "serial", "parallel", "serial_parallel")

SHAPE = Shape(
    method="connect",
    main="to",
    exactly_one=STRATEGIES,
    properties=(
        text("to"),
        of_kind("serial", Kind.LIST),
        of_kind("parallel", Kind.LIST),
        of_kind("serial_parallel", Kind.LIST),
        *SHARED,
        of_kind("ringback", Kind.ANY),
        of_kind("result", Kind.RESULT, default="connect_result"),
        integer("max_duration", 1),
        flag("answer_on_bridge"),
        of_kind("transfer_after_bridge", Kind.ANY),
    ),
    on_failure=(
        ("connect_result", "failed"),
        ("connect_failed_reason", "error"),
        ("return_value", "failed"),
    ),
)

DESTINATION = Shape(
    method="connect",
    properties=(text("to", required=True), *SHARED, listing("status_events", _EVENTS.items or text("event"))),
)
"""One destination of a list.  `status_events` is another name of `call_state_events`."""

_IGNORED = frozenset({"result"})
_HEADER_NAME = re.compile(r"[Xx]-[A-Za-z0-9!%*_+`'~.-]{1,128}\Z")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{0,4096}\Z")
_NAMES = frozenset(DESTINATION.names())


def make_plan(values: dict[str, Any], notes: list[Note]) -> ConnectPlan:
    """The plan of a connect step.  Raises `MethodError`."""
    top = check(values, SHAPE, defaults=False)
    refuse_properties("connect", {name: top[name] for name in top if name not in _SHARED_NAMES})
    _refuse_shared(top, _kinds_at_top(top))
    headers = _headers(top, notes, ("headers",))
    if headers is not None:
        top["headers"] = headers
    groups = _groups(top, notes)
    return ConnectPlan(
        groups=groups,
        answer_on_bridge=top.get("answer_on_bridge", False),
        status_url=top.get("status_url"),
    )


_SHARED_NAMES = frozenset(item.name for item in SHARED)


def _kinds_at_top(top: dict[str, Any]) -> frozenset[str]:
    """With `to`, what it dials is known before anything else is looked at."""
    target = classify(top["to"]) if "to" in top else None
    return frozenset({target.kind}) if target is not None else frozenset()


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
    own = check(item, DESTINATION, where=path, defaults=False)
    if "status_events" in own:
        if "call_state_events" in own:
            message = f"connect: `{dotted(path)}` has both `call_state_events` and `status_events`"
            raise MethodError(codes.PARAMETER_CONFLICT, message, path=(*path, "status_events"))
        own["call_state_events"] = own.pop("status_events")
    headers = _headers(own, notes, (*path, "headers"))
    return own if headers is None else {**own, "headers": headers}


def _unknown(name: str, path: tuple[str | int, ...]) -> Note:
    where = dotted((*path, name[:80]))
    if name in _IGNORED:
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
    _refuse_shared(merged, frozenset({target.kind}))
    timeout = float(merged.get("timeout", 60))
    if timeout > MAX_TIMEOUT:
        notes.append(
            Note(codes.PARAMETER_INVALID, f"connect: `timeout` {timeout:g} is cut to {MAX_TIMEOUT:g} s")
        )
    caller = _caller(merged)
    events = merged.get("call_state_events")
    return Destination(
        kind=target.kind,
        to=target.to,
        from_=caller,
        timeout=min(timeout, MAX_TIMEOUT),
        headers=merged.get("headers", ()) if target.kind == "sip" else (),
        call_state_url=merged.get("call_state_url"),
        call_state_events=frozenset({"ended"}) if events is None else frozenset(events),
        status_url=merged.get("status_url"),
        problem=_phone_problem(target, caller),
    )


def _target(to: str, path: tuple[str | int, ...], notes: list[Note]) -> Target:
    target = classify(to)
    if target is None:
        declared = text("to")
        error = invalid("connect", path, declared, to)
        allowed = "a SIP URI (sip:user@host) or an E.164 number (+15551234567)"
        message = f"connect: `{dotted(path)}` must be {allowed}, not {shown(to)}"
        raise MethodError(error.code, message, path=path, found=error.found, allowed=allowed)
    if target.kind in DESTINATIONS:
        raise refusal("connect", DESTINATIONS[target.kind])
    if target.remark:
        notes.append(Note(codes.PARAMETER_INVALID, f"connect: {target.remark}", path))
    return target


def _refuse_shared(given: dict[str, Any], kinds: frozenset[str]) -> None:
    """A property that is not built is refused where it would have an effect (swml.md 7.3, "Applies to")."""
    for declared in SHARED:
        name = declared.name
        if name not in PROPERTIES["connect"] or given.get(name) is None:
            continue
        harmless = name in HARMLESS and HARMLESS[name] == given[name]
        if not harmless and (declared.applies_to is None or declared.applies_to & kinds):
            raise refusal("connect", f"`{name}`")


def _caller(merged: dict[str, Any]) -> str | None:
    caller = merged.get("from")
    if caller is None or not caller.strip():
        return None
    if not is_caller(caller.strip()):
        allowed = "a number (+15551234567), a name without spaces or a SIP URI (sip:user@host)"
        message = f"connect: `from` must be {allowed}, not {shown(caller)}"
        raise MethodError(
            codes.PARAMETER_INVALID, message, path=("from",), found=shown(caller), allowed=allowed
        )
    return str(caller.strip())


def _phone_problem(target: Target, caller: str | None) -> str | None:
    if target.kind != "phone" or caller is None or is_number(caller):
        return None
    return f"connect: `from` must be an E.164 number for the phone number {target.to}, not {shown(caller)}"


def _headers(
    given: dict[str, Any], notes: list[Note], path: tuple[str | int, ...]
) -> tuple[Header, ...] | None:
    """The X- headers; any other name, or a value with control characters, is dropped with a warning."""
    if "headers" not in given:
        return None
    kept: list[Header] = []
    for index, header in enumerate(given["headers"]):
        name, value = header["name"], header["value"]
        if _HEADER_NAME.match(name) and _HEADER_VALUE.match(value):
            kept.append((name, value))
        else:
            message = f"connect: the header {shown(name)} is dropped: only X- headers of one line can be sent"
            notes.append(Note(codes.PARAMETER_INVALID, message, (*path, index)))
    return tuple(kept)


def usable_status_url(values: dict[str, Any]) -> str | None:
    """Where to report a step that is too broken for a plan."""
    declared = SHAPE.find("status_url")
    try:
        found = check_value(values["status_url"], declared, "connect", ()) if declared is not None else None
    except (MethodError, KeyError):
        return None
    return str(found) if found is not None else None
