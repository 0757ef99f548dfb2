"""`play` (swml.md 6.3): audio, speech, silence and ringing, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cordboard.call.actions import Play, PlayDone
from cordboard.swml import codes
from cordboard.swml.checking import check
from cordboard.swml.methods.method import Method
from cordboard.swml.playable import SAY, items_of, with_voices
from cordboard.swml.problems import Note
from cordboard.swml.program import Step, Steps
from cordboard.swml.properties import Shape, flag, integer, listing, number, text, url

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

SHAPE = Shape(
    method="play",
    about="Plays audio files, speech, silence or ringing, and waits for the end.",
    main="url",
    main_list="urls",
    exactly_one=("url", "urls"),
    properties=(
        text("url", about="What to play: https://…, say:…, silence:SECONDS or ring:[SECONDS:]COUNTRY."),
        listing("urls", text("item"), about="Several of them, played in order."),
        number("volume", -40, 40, default=0, about="Gain in dB."),
        integer("loop", 0, 10_000, default=1, about="Times to play all of it; 0 = for ever."),
        flag("auto_answer", default=True, about="Answer first; otherwise play as early media."),
        *SAY,
        url("status_url", about="Where calling.call.play events are posted."),
    ),
    on_failure=(("play_result", "failed"),),
)


class Prepared(msgspec.Struct, frozen=True):
    """The action, and whether an item had to be left out."""

    action: Play
    complete: bool


def _prepare(values: dict[str, Any], notes: list[Note]) -> Prepared:
    options = check(values, SHAPE)
    name = "urls" if options["urls"] is not None else "url"
    urls = options["urls"] if name == "urls" else [options["url"]]
    items = items_of(urls, options, "play", name, notes)
    action = Play(
        items=tuple(item for item in items if item is not None),
        volume=float(options["volume"]),
        loop=options["loop"],
        auto_answer=options["auto_answer"],
        status_url=options["status_url"],
    )
    return Prepared(action, None not in items)


def _run(step: Step, interpreter: Interpreter) -> Steps:
    prepared: Prepared = yield from interpreter.prepared(step)
    errors: tuple[str, ...] = ()
    if prepared.action.items:
        items = with_voices(prepared.action.items, interpreter.scopes.vars.values)
        result = yield msgspec.structs.replace(prepared.action, items=items)
        errors = result.errors if isinstance(result, PlayDone) else ()
        for sentence in result.warnings if isinstance(result, PlayDone) else ():
            interpreter.warn(codes.EXECUTE_FAILED, f"play: {sentence}")
    for sentence in errors:
        interpreter.error(codes.EXECUTE_FAILED, f"play: {sentence}")
    interpreter.set("play_result", "success" if prepared.complete and not errors else "failed")
    return None


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
