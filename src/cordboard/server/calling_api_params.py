"""The parameters of `dial` and `update`: tables that check them, and that the description is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cordboard.call.wording import nearest, shown
from cordboard.server.calling_api_errors import ApiError
from cordboard.swml.checking import check
from cordboard.swml.problems import MethodError
from cordboard.swml.properties import (
    Kind,
    Property,
    Shape,
    choice,
    integer,
    listing,
    number,
    of_kind,
    record,
    text,
    union,
    url,
)

_DOCUMENT: tuple[Property, ...] = (
    url("url", about="Where the SWML document is fetched when the call is answered."),
    union(
        "swml",
        of_kind("swml", Kind.MAP),
        text("swml"),
        about="The SWML document itself: an object, or its text (JSON or YAML).",
    ),
    url("fallback_url", about="Fetched when `url` gives no document."),
)
_STATE = choice("event", "created", "ringing", "answered", "ended")

DIAL = Shape(
    method="dial",
    about="Calls a far end; the document runs when it has answered.",
    exactly_one=("url", "swml"),
    properties=(
        text("to", required=True, about="A phone number (+15551234567) or a SIP URI (sip:user@host)."),
        text("from", required=True, about="The caller's number, name or SIP URI."),
        *_DOCUMENT,
        text("caller_id", about="Shown to the far end in place of `from`."),
        text("from_name", about="Display name, at most 70 characters."),
        integer("timeout", 1, about="Seconds that it rings, at most 600; 60 by default."),
        number("max_duration", 1, about="Seconds from the answer after which the call is hung up."),
        number(
            "max_price_per_minute",
            0,
            about="US dollars, at most four decimals: a number that costs more is not dialled.",
        ),
        url("status_url", about="Where calling.call.state events are posted."),
        listing("status_events", _STATE, about="Which states are posted; only `ended` by default."),
        listing(
            "headers",
            record("header", text("name", required=True), text("value", required=True)),
            about="X- headers of the INVITE.",
        ),
        union(
            "codecs",
            listing("codecs", text("codec")),
            text("codecs"),
            about="Codecs in order of preference: a list, or names with commas between.",
        ),
        choice("encryption", "mandatory", "optional", "forbidden", about="SRTP; `optional` by default."),
        integer("session_timeout", 1, 86_400, about="Session-Expires in seconds."),
        text("username", about="User of the digest authentication of a SIP destination."),
        text("password", about="Password of the digest authentication of a SIP destination."),
    ),
)

UPDATE = Shape(
    method="update",
    about="Gives a call that goes on another document, or ends it.",
    exactly_one=("url", "swml", "status"),
    properties=(
        text("id", about="The call, where the request does not name it beside `params`."),
        *_DOCUMENT,
        choice(
            "status",
            "canceled",
            "completed",
            about="`canceled` ends a call that has not been answered, `completed` any call.",
        ),
    ),
)


def checked(values: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """The parameters that are there.  Raises `ApiError` (400), also for one that the table does not have."""
    only_known(values, shape.names(), "params.")
    try:
        return check(values, shape, defaults=False)
    except MethodError as error:
        raise invalid(error, "params") from None


def only_known(values: Iterable[str], known: Iterable[str], where: str = "") -> None:
    """Raises `ApiError` for the first name that is not known."""
    allowed = tuple(known)
    for name in values:
        if name not in allowed:
            near = nearest(name, allowed)
            hint = f"Did you mean `{near}`?" if near else f"Known are {', '.join(allowed)}."
            sentence = f"There is no `{where}{shown(name)[1:-1]}`. {hint}"
            raise ApiError(400, sentence, code="unknown_parameter", path=f"{where}{name[:80]}", nearest=near)


def invalid(error: MethodError, base: str) -> ApiError:
    """What a table says, as an answer; `base` is where its values stand in the body."""
    path = base + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.path)
    return ApiError(400, error.message, code="invalid_parameter", path=path, allowed=error.allowed)
