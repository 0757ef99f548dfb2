"""`play` (swml.md 6.3): audio, silence and ringing, in order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from cordboard.call.actions import Play, PlayDone, PlayItem
from cordboard.swml import codes
from cordboard.swml.checking import check, is_url
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import MethodError, Note, shown
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, flag, integer, listing, number, text, url
from cordboard.swml.unbuilt import PLAY_SCHEMES, refusal

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="play",
    main="url",
    main_list="urls",
    exactly_one=("url", "urls"),
    properties=(
        text("url"),
        listing("urls", text("item")),
        number("volume", -40, 40, default=0),
        integer("loop", 0, 10_000, default=1),
        flag("auto_answer", default=True),
        text("say_voice"),
        text("say_language"),
        text("say_gender"),
        url("status_url"),
    ),
    on_failure=(("play_result", "failed"),),
)

_RING = re.compile(r"ring:\s?(?:([0-9.]+):\s?)?([A-Za-z]{2}(?:-old)?)\Z", re.IGNORECASE)
_SILENCE = re.compile(r"silence:\s?([0-9]{1,6}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})\Z", re.IGNORECASE)
_DURATION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{0,6})?\Z|\.[0-9]{1,6}\Z")
_CODES = """at au bg br be ch cl cn cz de dk ee es fi fr gr hu il in it lt jp mx my nl no nz ph pl pt ru se sg
    th uk us us-old tw ve za"""
_COUNTRIES = frozenset(_CODES.split())
_MAX_ITEMS = 100


class Prepared(msgspec.Struct, frozen=True):
    """The action, and whether an item had to be left out."""

    action: Play
    complete: bool


def _prepare(values: dict[str, Any], notes: list[Note]) -> Prepared:
    options = check(values, SHAPE)
    urls = options["urls"] if options["urls"] is not None else [options["url"]]
    items = _items(urls, notes)
    action = Play(
        items=tuple(item for item in items if item is not None),
        volume=float(options["volume"]),
        loop=options["loop"],
        auto_answer=options["auto_answer"],
        status_url=options["status_url"],
    )
    return Prepared(action, None not in items)


def _items(urls: list[str], notes: list[Note]) -> list[PlayItem | None]:
    if not urls or len(urls) > _MAX_ITEMS:
        message = f"play: `urls` must have 1 to {_MAX_ITEMS} items, not {len(urls)}"
        raise MethodError(codes.PARAMETER_INVALID, message, path=("urls",))
    return [_item(value.strip(), notes) for value in urls]


def _item(value: str, notes: list[Note]) -> PlayItem | None:
    """One play URI; None, and a note, if it cannot be understood."""
    scheme = value.partition(":")[0].lower()
    if scheme in PLAY_SCHEMES:
        raise refusal("play", PLAY_SCHEMES[scheme])
    item = _parsed(scheme, value)
    if item is None:
        allowed = "an http(s) or file URL, `silence:seconds` or `ring:[seconds:]country`"
        notes.append(Note(codes.EXECUTE_FAILED, f"play: {shown(value)} is not {allowed}", is_error=True))
    return item


def _parsed(scheme: str, value: str) -> PlayItem | None:
    if scheme in ("http", "https"):
        return PlayItem(kind="audio", url=value) if is_url(value) else None
    if scheme == "file":
        return PlayItem(kind="audio", url=value) if value.isprintable() and len(value) > 5 else None
    if (silence := _SILENCE.match(value)) is not None:
        return PlayItem(kind="silence", duration=float(silence.group(1)))
    if (ring := _RING.match(value)) is not None:
        return _ring(ring.group(1), ring.group(2).lower())
    return None


def _ring(duration: str | None, country: str) -> PlayItem | None:
    if duration is not None and not _DURATION.match(duration):
        return None
    known = country if country in _COUNTRIES else "us"
    return PlayItem(kind="ring", duration=float(duration) if duration else 0.0, country=known)


def _run(step: Step, interpreter: Interpreter) -> Steps:
    prepared: Prepared = yield from interpreter.prepared(step)
    errors: tuple[str, ...] = ()
    if prepared.action.items:
        result = yield prepared.action
        errors = result.errors if isinstance(result, PlayDone) else ()
    for sentence in errors:
        interpreter.error(codes.EXECUTE_FAILED, f"play: {sentence}")
    interpreter.set("play_result", "success" if prepared.complete and not errors else "failed")
    return None


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
