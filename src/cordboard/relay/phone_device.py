"""A device of the type `phone` (relay-protocol.md 7.1)."""

from __future__ import annotations

from cordboard.call.addresses import classify, is_number
from cordboard.call.plan import Destination
from cordboard.call.wording import shown
from cordboard.relay.params import Params

_LONGEST = 256


def phone(params: Params) -> Destination:
    """A number to dial.  One that no network knows makes a destination that fails undialled."""
    to = params.required("to_number", longest=_LONGEST).strip()
    from_ = (params.text("from_number", longest=_LONGEST) or "").strip() or None
    target = classify(to)
    wrong = ""
    if target is None or target.kind != "phone":
        wrong = _sentence(params, "to_number", to)
    elif from_ is not None and not is_number(from_):
        wrong = _sentence(params, "from_number", from_)
    return Destination(kind="phone", to=to, from_=from_, problem=wrong or None)


def _sentence(params: Params, name: str, value: str) -> str:
    allowed = "an E.164 number (as +15551234567)"
    return f"{params.method}: `{params.place(name)}` must be {allowed}, not {shown(value)}."
