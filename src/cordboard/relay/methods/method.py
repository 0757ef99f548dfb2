"""What the methods have in common: whom they are about, and what names the operation."""

from __future__ import annotations

import re
from collections.abc import Callable

from cordboard.call.commands import Command
from cordboard.relay.params import Params
from cordboard.relay.requests import CallCommand, Request

Reader = Callable[[Params], Request]
"""Raises `WrongParamError`."""

MAX_ID = 256
LONGEST = 86_400.0
"""Seconds that a timer can be set to, where nothing else bounds it."""
_CONTROL_ID = re.compile(r"[\x21-\x7e]{1,128}")


def on_call(read: Callable[[Params], Command]) -> Reader:
    """A method that asks something of a call."""

    def reader(given: Params) -> Request:
        return _command(given, read(given), None)

    return reader


def on_operation(read: Callable[[Params, str], Command]) -> Reader:
    """A method that begins or steers something with a control id."""

    def reader(given: Params) -> Request:
        name = control_id(given)
        return _command(given, read(given, name), name)

    return reader


def call_id(given: Params) -> str:
    """Of the call that it is about."""
    return given.required("call_id", longest=MAX_ID)


def node_id(given: Params) -> str:
    """As the client wrote it."""
    return given.text("node_id", longest=MAX_ID) or ""


def control_id(given: Params) -> str:
    """Of the operation."""
    given.required("control_id")
    allowed = "1 to 128 printable ASCII characters without spaces"
    return given.matching("control_id", _CONTROL_ID, allowed) or ""


def _command(given: Params, command: Command, control: str | None) -> CallCommand:
    return CallCommand(
        method=given.method,
        call_id=call_id(given),
        node_id=node_id(given),
        control_id=control,
        command=command,
    )
