"""Of the operations on a call: which event leaves one open, and what the last one says when nobody is left
who knows better.

One table for callbacks and for clients: they differ in what the last event of a recording and of a collect
says (`relay.open_ends`), and in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Params = dict[str, Any]


class OperationKind(NamedTuple):
    goes_on: Callable[[Params], bool]
    """After an event with these params."""
    last: Callable[[Params], Params]
    """What the last event says in place of the params of the one before it."""


def _in(*states: str) -> Callable[[Params], bool]:
    return lambda params: params.get("state") in states


def _ends(state: str) -> Callable[[Params], Params]:
    return lambda params: {"state": state}


def _no_input(params: Params) -> Params:
    return {"result": {"type": "no_input"}}


def _is_detecting(params: Params) -> bool:
    return params.get("detect", {}).get("params", {}).get("event") not in ("finished", "error")


def _detected(params: Params) -> Params:
    return {"detect": {"type": params.get("detect", {}).get("type"), "params": {"event": "finished"}}}


OPERATIONS = {
    "calling.call.play": OperationKind(_in("playing", "paused"), _ends("finished")),
    "calling.call.record": OperationKind(_in("recording", "paused"), _ends("error")),
    "calling.call.tap": OperationKind(_in("tapping"), _ends("finished")),
    "calling.call.collect": OperationKind(_in("collecting"), _no_input),
    "calling.call.detect": OperationKind(_is_detecting, _detected),
    "calling.call.send_digits": OperationKind(_in(), _ends("error")),
    "calling.call.refer": OperationKind(_in("inProgress"), _ends("failed")),
}
"""By event type.  Keys that are pressed have no event but their last."""
