"""The door of the `calling.*` methods: JSON params → `Request`."""

from __future__ import annotations

from typing import Any

from cordboard.call.wording import nearest, shown
from cordboard.relay.methods import control, detect, dial, hold, play, prompt, record, refer, send_digits, tap
from cordboard.relay.methods.method import Reader
from cordboard.relay.methods.unbuilt import UNBUILT
from cordboard.relay.params import Params, WrongParamError
from cordboard.relay.requests import Refusal, Request

METHODS: dict[str, Reader] = {
    "calling." + name: reader
    for family in (control, detect, dial, hold, play, prompt, record, refer, send_digits, tap)
    for name, reader in family.METHODS.items()
}
_MAX_ID = 256


def read(method: str, params: object) -> Request:
    """What a client asks for.  Never raises; whatever cannot be done is a `Refusal` with a sentence."""
    reader = METHODS.get(method)
    if reader is None:
        return _unknown(method)
    if not isinstance(params, dict):
        return Refusal(code="400", message=f"{method}: `params` must be an object, not {shown(params)}.")
    try:
        return reader(Params(params, method))
    except WrongParamError as wrong:
        return Refusal(code=wrong.code, message=str(wrong), call_id=_call_id(params), method=method)


def _call_id(params: dict[str, Any]) -> str | None:
    call_id = params.get("call_id")
    return call_id if isinstance(call_id, str) and len(call_id) <= _MAX_ID else None


def _unknown(method: str) -> Refusal:
    """Not 404: clients take that as the end of the call."""
    base = method.removesuffix(".stop")
    if method in UNBUILT or base in UNBUILT:
        return Refusal(code="501", message=f"{method} is not built into this server.", method=method)
    near = nearest(method, METHODS)
    hint = f"; did you mean `{near}`?" if near else "."
    return Refusal(code="501", message=f"{shown(method)} is no method of this server{hint}", method=method)
