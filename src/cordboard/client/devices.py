"""Whom to call: devices, and plans of several, one after another or at once.

plan = Plan(sip(to="sip:a@example.com", from_="sip:me@example.com"))    # first this one alone
plan = plan.then(phone(to="+15550001", from_="+15559"), phone(to="+15550002", from_="+15559"))   # then both
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Device = dict[str, Any]
"""`{"type": …, "params": {…}}`, as it goes over the wire."""

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


def sip(
    *,
    to: str,
    from_: str | None = None,
    timeout: float | None = None,
    headers: Headers | None = None,
    codecs: Sequence[str] | None = None,
    webrtc_media: bool | None = None,
    session_timeout: int | None = None,
    call_state_url: str | None = None,
    call_state_events: Sequence[str] | None = None,
    from_name: str | None = None,
    encryption: str | None = None,
    username: str | None = None,
    password: str | None = None,
    max_duration: float | None = None,
) -> Device:
    """A SIP URI.

    `timeout`: seconds of ringing.  `max_duration`: seconds of the call.  `headers`: `X-` headers of the
    INVITE.  `codecs`: in order of preference.  `session_timeout`: Session-Expires in seconds.
    `call_state_events`: of `created`, `ringing`, `answered`, `ended`.  `encryption`: `mandatory`, `optional`
    or `forbidden`.  `username`, `password`: for a challenge.
    """
    return _device(
        "sip",
        {
            "from": from_,
            "to": to,
            "timeout": timeout,
            "headers": _header_list(headers),
            "codecs": list(codecs) if codecs is not None else None,
            "webrtc_media": webrtc_media,
            "session_timeout": session_timeout,
            "call_state_url": call_state_url,
            "call_state_events": list(call_state_events) if call_state_events is not None else None,
            "from_name": from_name,
            "encryption": encryption,
            "username": username,
            "password": password,
            "max_duration": max_duration,
        },
    )


def phone(
    *,
    to: str,
    from_: str | None = None,
    timeout: float | None = None,
    call_state_url: str | None = None,
    call_state_events: Sequence[str] | None = None,
    max_duration: float | None = None,
) -> Device:
    """A phone number in E.164 form; the arguments are those of `sip`."""
    return _device(
        "phone",
        {
            "from_number": from_,
            "to_number": to,
            "timeout": timeout,
            "call_state_url": call_state_url,
            "call_state_events": list(call_state_events) if call_state_events is not None else None,
            "max_duration": max_duration,
        },
    )


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


def _device(kind: str, params: dict[str, Any]) -> Device:
    return {"type": kind, "params": {key: value for key, value in params.items() if value is not None}}


def _header_list(headers: Headers | None) -> list[dict[str, str]] | None:
    if headers is None:
        return None
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [{"name": name, "value": value} for name, value in pairs]
