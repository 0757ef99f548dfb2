"""Properties of `connect` that have no effect where they stand (swml.md 7.3): ignored when it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cordboard.call.addresses import classify
from cordboard.swml import codes
from cordboard.swml.connect_table import SHARED
from cordboard.swml.problems import Note, dotted

_KINDS = {
    "sip": "a SIP URI",
    "phone": "a phone number",
    "address": "a resource address",
    "queue": "a queue",
    "stream": "a stream",
}
_LIMITED = {item.name: item.applies_to for item in SHARED if item.applies_to is not None}
_NEEDS = {
    "password": "username",
    "confirm_timeout": "confirm",
    "call_state_events": "call_state_url",
    "status_events": "call_state_url",
}

Listed = tuple[dict[str, Any], tuple[str | int, ...]]


def advise(values: dict[str, Any]) -> list[Note]:
    """What is worth saying of the values of a step as they are written."""
    if "to" in values:
        return [*_about(values, (), _kind(values["to"])), *_alone(values, [])]
    notes: list[Note] = []
    members = list(_members(values))
    for member, path in members:
        notes += _about(member, path, _kind(member.get("to")))
    kinds = {_kind(member.get("to")) for member, _ in members}
    if len(kinds) == 1:
        notes += _about(values, (), kinds.pop())
    return [*notes, *_alone(values, members)]


def _kind(to: Any) -> str | None:
    target = classify(to) if isinstance(to, str) else None
    return target.kind if target is not None else None


def _about(given: dict[str, Any], path: tuple[str | int, ...], kind: str | None) -> list[Note]:
    if kind is None:
        return []
    return [
        Note(
            codes.PARAMETER_INVALID,
            f"connect: `{dotted((*path, name))}` has no effect on {_KINDS[kind]}",
            (*path, name),
            lint_only=True,
        )
        for name, kinds in _LIMITED.items()
        if given.get(name) is not None and kind not in kinds
    ]


def _members(values: dict[str, Any]) -> Iterator[Listed]:
    for name in ("serial", "parallel", "serial_parallel"):
        yield from _below(values.get(name), (name,))


def _below(value: Any, path: tuple[str | int, ...]) -> Iterator[Listed]:
    if isinstance(value, dict):
        yield value, path
    elif isinstance(value, str):
        yield {"to": value}, path
    elif isinstance(value, list) and len(path) <= 2:
        for index, item in enumerate(value):
            yield from _below(item, (*path, index))


def _alone(values: dict[str, Any], members: list[Listed]) -> Iterator[Note]:
    """Properties that do nothing without another one, which may stand at the other level (swml.md 7.4)."""
    for name, other in _NEEDS.items():
        around = bool(values.get(other))
        if values.get(name) is not None and not (around or any(given.get(other) for given, _ in members)):
            yield _lonely((name,), other)
        for given, path in members:
            if given.get(name) is not None and not given.get(other, around):
                yield _lonely((*path, name), other)


def _lonely(path: tuple[str | int, ...], other: str) -> Note:
    message = f"connect: `{dotted(path)}` has no effect without `{other}`"
    return Note(codes.PARAMETER_INVALID, message, path, lint_only=True)
