"""Whom to call: devices, and plans of several, one after another or at once.

plan = Plan(sip(to="sip:a@example.com", from_="sip:me@example.com"))    # first this one alone
plan = plan.then(phone(to="+15550001", from_="+15559"), phone(to="+15550002", from_="+15559"))   # then both
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict, Unpack

Device = dict[str, Any]
"""`{"type": …, "params": {…}}`, as it goes over the wire."""

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class PhoneParams(TypedDict, total=False):
    """Of a phone number; what is None is left to the server."""

    from_: str | None
    timeout: float | None
    """Seconds of ringing."""
    max_duration: float | None
    """Seconds of the call."""
    call_state_url: str | None
    """Where callbacks about the device go."""
    call_state_events: Sequence[str] | None
    """Of `created`, `ringing`, `answered`, `ended`."""


class SipParams(PhoneParams, total=False):
    """Of a SIP URI: those of a phone number, and more."""

    headers: Headers | None
    """`X-` headers of the INVITE."""
    codecs: Sequence[str] | None
    """In order of preference."""
    webrtc_media: bool | None
    session_timeout: int | None
    """Session-Expires in seconds."""
    from_name: str | None
    encryption: str | None
    """`mandatory`, `optional` or `forbidden`"""
    username: str | None
    password: str | None
    """For a challenge."""


def sip(*, to: str, **params: Unpack[SipParams]) -> Device:
    """A SIP URI; the other arguments are those of `SipParams`."""
    _check("sip", params, SipParams.__optional_keys__)
    return _device("sip", {"from": params.pop("from_", None), "to": to, **params})


def phone(*, to: str, **params: Unpack[PhoneParams]) -> Device:
    """A phone number in E.164 form; the other arguments are those of `PhoneParams`."""
    _check("phone", params, PhoneParams.__optional_keys__)
    return _device("phone", {"from_number": params.pop("from_", None), "to_number": to, **params})


class Plan:
    """Groups of devices: one group after another, those of a group at once; the first answer wins."""

    def __init__(self, *first: Device) -> None:
        """`first`: rung at once."""
        self._groups: list[list[Device]] = [list(first)] if first else []

    def then(self, *devices: Device) -> Plan:
        """A plan that goes on with these, at once, where nobody has answered so far."""
        longer = Plan()
        longer._groups = [*self._groups, list(devices)]
        return longer

    @property
    def groups(self) -> list[list[Device]]:
        """As they go over the wire."""
        return [list(group) for group in self._groups]


Whom: TypeAlias = Plan | Device | Sequence[Device] | Sequence[Sequence[Device]]
"""A plan, one device, devices in turn, or lists of devices: the lists in turn, what is in them at once."""


def groups_of(whom: Whom) -> list[list[Device]]:
    """What goes over the wire: always two levels deep."""
    if isinstance(whom, Plan):
        return whom.groups
    if isinstance(whom, dict):
        return [[whom]]
    return [[entry] if isinstance(entry, dict) else list(entry) for entry in whom]


def _check(name: str, params: Mapping[str, Any], known: frozenset[str]) -> None:
    for unknown in params.keys() - known:
        raise TypeError(f"{name}() got an unexpected keyword argument {unknown!r}")


def _device(kind: str, params: dict[str, Any]) -> Device:
    return {
        "type": kind,
        "params": {
            key: _ON_THE_WIRE.get(key, _same)(value) for key, value in params.items() if value is not None
        },
    }


def _same(value: Any) -> Any:
    return value


def _header_list(headers: Headers) -> list[dict[str, str]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [{"name": name, "value": value} for name, value in pairs]


_ON_THE_WIRE: dict[str, Callable[[Any], Any]] = {
    "headers": _header_list,
    "codecs": list,
    "call_state_events": list,
}
