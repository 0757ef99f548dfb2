"""`calling.play` and what steers it (relay-protocol.md 8.2)."""

from __future__ import annotations

from cordboard.call.actions import Play
from cordboard.call.commands import Command
from cordboard.call.limits import MAX_LOOPS
from cordboard.relay.media_items import play_items
from cordboard.relay.methods.method import Reader, on_operation
from cordboard.relay.methods.steering import gain, pause, resume, stop, volume
from cordboard.relay.params import Params


def _play(given: Params, control_id: str) -> Command:
    loop = given.whole("loop", 0, MAX_LOOPS)
    return Play(
        control_id=control_id,
        items=play_items(given),
        volume=gain(given),
        loop=1 if loop is None else loop,
        auto_answer=False,
        status_url=given.url("status_url"),
    )


METHODS: dict[str, Reader] = {
    "play": on_operation(_play),
    "play.pause": pause("play"),
    "play.resume": resume("play"),
    "play.stop": stop("play"),
    "play.volume": volume("play"),
}
