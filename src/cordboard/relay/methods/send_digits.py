"""`calling.send_digits` (relay-protocol.md 8.7)."""

from __future__ import annotations

import re

from cordboard.call.actions import SendDigits
from cordboard.call.commands import Command
from cordboard.relay.methods.method import Reader, on_operation
from cordboard.relay.params import Params

_DIGITS = re.compile(r"[0-9*#A-DWw]{1,256}")


def _send_digits(given: Params, control_id: str) -> Command:
    given.required("digits")
    allowed = "1 to 256 of 0-9 * # A-D, `w` and `W` for pauses"
    digits = given.matching("digits", _DIGITS, allowed)
    return SendDigits(control_id=control_id, digits=digits or "")


METHODS: dict[str, Reader] = {"send_digits": on_operation(_send_digits)}
