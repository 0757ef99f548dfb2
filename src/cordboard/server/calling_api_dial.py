"""The parameters of `dial` → what is dialled, and the document that drives the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cordboard.call.addresses import classify, is_url
from cordboard.call.plan import ConnectPlan, Destination
from cordboard.call.wording import shown
from cordboard.events.encoding import encode
from cordboard.server.calling_api_errors import ApiError
from cordboard.server.calling_api_params import invalid
from cordboard.server.long_documents import beside_calls
from cordboard.server.routes import Routed
from cordboard.swml import connect_plan
from cordboard.swml.checking import is_inline
from cordboard.swml.document import load
from cordboard.swml.lint import lint
from cordboard.swml.problems import DocumentError, Finding, MethodError, Note

_SOURCE = "swml"
MAX_WARNINGS = 20
MAX_REMARKED = 64 * 1024
"""Characters of a document of which more is said than whether it can be run."""

_NAMES = {
    "to": "to",
    "from": "from",
    "caller_id": "from",
    "from_name": "from_name",
    "timeout": "timeout",
    "status_url": "call_state_url",
    "status_events": "call_state_events",
    "headers": "headers",
    "encryption": "encryption",
    "session_timeout": "session_timeout",
    "username": "username",
    "password": "password",
}
"""Our parameters and those of `connect`; of two that mean the same the later one counts."""


class Dialled(msgspec.Struct, frozen=True):
    """What is dialled, and what would have been wanted otherwise."""

    plan: ConnectPlan
    warnings: list[str]


def plan_of(params: Mapping[str, Any]) -> Dialled:
    """One destination, by the rules of `connect`.  `params` are checked.  Raises `ApiError`."""
    wanted = {ours: params[name] for name, ours in _NAMES.items() if name in params}
    if "codecs" in params:
        codecs = params["codecs"]
        wanted["codecs"] = codecs if isinstance(codecs, str) else ",".join(codecs)
    notes: list[Note] = []
    try:
        plan = connect_plan.plan_of(connect_plan.checked(wanted, notes), notes)
    except MethodError as error:
        raise invalid(_as_ours(error), "params") from None
    ((destination,),) = plan.groups
    groups = ((_with_limits(destination, params),),)
    return Dialled(msgspec.structs.replace(plan, groups=groups), _warnings(notes))


def _with_limits(destination: Destination, params: Mapping[str, Any]) -> Destination:
    price = params.get("max_price_per_minute")
    if price is not None and round(price, 4) != price:
        sentence = f"dial: `max_price_per_minute` has at most four decimals, not {price!r}"
        raise ApiError(400, sentence, code="invalid_parameter", path="params.max_price_per_minute")
    duration = params.get("max_duration")
    return msgspec.structs.replace(
        destination,
        max_price_per_minute=None if price is None else float(price),
        max_duration=None if duration is None else float(duration),
    )


def _as_ours(error: MethodError) -> MethodError:
    """The rules of `connect` speak of `connect`."""
    message = error.message.replace("connect: ", "dial: ", 1)
    ours = {theirs: name for name, theirs in _NAMES.items()} | {"from": "from"}
    path = (ours.get(str(error.path[0]), error.path[0]), *error.path[1:]) if error.path else ()
    return MethodError(error.code, message, path=path, found=error.found, allowed=error.allowed)


def _warnings(notes: list[Note]) -> list[str]:
    said = [note.message.replace("connect: ", "dial: ", 1) for note in notes if not note.lint_only]
    return said[:MAX_WARNINGS]


# ---------------------------------------------------------------- documents


def routed_of(params: Mapping[str, Any]) -> Routed:
    """The document, or where it is fetched.  Raises `ApiError` for a document that cannot be run."""
    if "swml" not in params:
        return Routed(url=params["url"], fallback_url=params.get("fallback_url"))
    if "fallback_url" in params:
        sentence = "`fallback_url` has a meaning only beside `url`"
        raise ApiError(400, sentence, code="invalid_parameter", path="params.fallback_url")
    try:
        return Routed(document=load(text_of(params["swml"]), source=_SOURCE))
    except DocumentError as error:
        raise _unusable(error.finding) from None


def routed_to(dest: str) -> Routed:
    """Where `calling.transfer` leads: a document, the URL of one, or somebody who is connected."""
    if is_inline(dest):
        return routed_of({"swml": dest})
    if is_url(dest.strip()):
        return Routed(url=dest.strip())
    if classify(dest) is None:
        allowed = "a SWML document, its URL, a phone number or a SIP URI"
        sentence = f"`dest` must be {allowed}, not {shown(dest)}"
        raise ApiError(400, sentence, code="invalid_parameter", path="params.dest")
    steps = [{"connect": {"to": dest.strip()}}]
    return routed_of({"swml": {"version": "1.0.0", "sections": {"main": steps}}})


async def documented(params: Mapping[str, Any]) -> tuple[Routed, list[str]]:
    """`routed_of` and `remarks_on`; a long document holds up no call."""

    def read() -> tuple[Routed, list[str]]:
        return routed_of(params), remarks_on(params)

    return await beside_calls(len(text_of(params.get("swml", ""))), read)


def remarks_on(params: Mapping[str, Any]) -> list[str]:
    """What can be said of a document that can be run: steps that will fail, and what is hardly meant."""
    text = text_of(params.get("swml", ""))
    if not text or len(text) > MAX_REMARKED:
        return []
    return [str(finding) for finding in lint(text, source=_SOURCE)[:MAX_WARNINGS]]


def text_of(swml: str | dict[str, Any]) -> str | bytes:
    """A document as text, however it was given."""
    return swml if isinstance(swml, str) else encode(swml)


def _unusable(finding: Finding) -> ApiError:
    return ApiError(
        400,
        finding.said(),
        code="invalid_document",
        line=finding.line,
        column=finding.column,
        path=finding.path,
        found=finding.found,
        allowed=finding.allowed,
        nearest=finding.nearest,
    )
