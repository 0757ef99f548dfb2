"""Play URIs: what `play`, `prompt` and `ringback` can be asked to play (swml.md 6.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from cordboard.call.limits import COUNTRIES, MAX_PLAYED, MAX_SPOKEN
from cordboard.call.plan import PlayItem
from cordboard.swml import codes
from cordboard.swml.checking import is_url
from cordboard.swml.problems import MethodError, Note, shown
from cordboard.swml.properties import Property, text
from cordboard.swml.values import to_text

DEFAULT_LANGUAGE = "en-US"

SAY: tuple[Property, ...] = (
    text("say_voice", about="Voice of `say:` texts; the variable `say_voice` is the default."),
    text("say_language", about="Language of `say:` texts, en-US by default."),
    text("say_gender", about="Gender of the voice of `say:` texts."),
)

_RING = re.compile(r"ring:\s?(?:([0-9.]+):\s?)?([A-Za-z]{2}(?:-old)?)\Z", re.IGNORECASE)
_SILENCE = re.compile(r"silence:\s?([0-9]{1,6}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})\Z", re.IGNORECASE)
_DURATION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{0,6})?\Z|\.[0-9]{1,6}\Z")
_ALLOWED = "an http(s) or file URL, `say:text`, `silence:seconds` or `ring:[seconds:]country`"


def items_of(
    values: list[str], options: Mapping[str, Any], method: str, name: str, notes: list[Note]
) -> list[PlayItem | None]:
    """What is to be played; None, and a note, for each that cannot be understood.  Raises `MethodError`.

    `options` are the checked properties, with those of `SAY` among them.
    """
    if not values or len(values) > MAX_PLAYED:
        message = f"{method}: `{name}` must have 1 to {MAX_PLAYED} items, not {len(values)}"
        raise MethodError(codes.PARAMETER_INVALID, message, path=(name,))
    return [_item(value.strip(), options, method, (name, n), notes) for n, value in enumerate(values)]


def _item(
    value: str, options: Mapping[str, Any], method: str, path: tuple[str | int, ...], notes: list[Note]
) -> PlayItem | None:
    item = _parsed(value, options)
    if item is None:
        message = f"{method}: {shown(value)} is not {_ALLOWED}"
        notes.append(Note(codes.EXECUTE_FAILED, message, path, is_error=True))
    return item


def _parsed(value: str, options: Mapping[str, Any]) -> PlayItem | None:
    scheme, _, rest = value.partition(":")
    scheme = scheme.lower()
    if scheme in ("http", "https"):
        return PlayItem(kind="audio", url=value) if is_url(value) else None
    if scheme == "file":
        return PlayItem(kind="audio", url=value) if value.isprintable() and len(value) > 5 else None
    if scheme == "say":
        return _spoken(rest.strip(), options)
    if (silence := _SILENCE.match(value)) is not None:
        return PlayItem(kind="silence", duration=float(silence.group(1)))
    if (ring := _RING.match(value)) is not None:
        return _ring(ring.group(1), ring.group(2).lower())
    return None


def _spoken(words: str, options: Mapping[str, Any]) -> PlayItem | None:
    if not words or len(words) > MAX_SPOKEN:
        return None
    return PlayItem(
        kind="say",
        text=words,
        voice=options.get("say_voice") or "",
        language=options.get("say_language") or "",
        gender=options.get("say_gender") or "",
    )


def _ring(duration: str | None, country: str) -> PlayItem | None:
    if duration is not None and not _DURATION.match(duration):
        return None
    known = country if country in COUNTRIES else "us"
    return PlayItem(kind="ring", duration=float(duration) if duration else 0.0, country=known)


def with_voices(items: tuple[PlayItem, ...], variables: Mapping[str, Any]) -> tuple[PlayItem, ...]:
    """The items with what their step left open taken from the variables of the script (swml.md 3.5)."""
    if not any(item.kind == "say" for item in items):
        return items
    return tuple(_with_voice(item, variables) if item.kind == "say" else item for item in items)


def _with_voice(item: PlayItem, variables: Mapping[str, Any]) -> PlayItem:
    return msgspec.structs.replace(
        item,
        voice=item.voice or to_text(variables.get("say_voice")),
        language=item.language or to_text(variables.get("say_language")) or DEFAULT_LANGUAGE,
        gender=item.gender or to_text(variables.get("say_gender")),
    )
