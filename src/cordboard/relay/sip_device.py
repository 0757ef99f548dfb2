"""A device of the type `sip` (relay-protocol.md 7.2)."""

from __future__ import annotations

from typing import Any

from cordboard.call.addresses import Address, classify, is_caller, parse_address
from cordboard.call.codec_wish import KNOWN, CodecWish, read_codecs
from cordboard.call.header_rules import is_custom_header, is_one_line, one_line
from cordboard.call.limits import MAX_HEADERS, MAX_NAME, MAX_SESSION, MIN_SESSION
from cordboard.call.plan import Destination, Header
from cordboard.call.wording import nearest, shown
from cordboard.relay.params import Params
from cordboard.sip.uri import Uri, UriError

ENCRYPTIONS = ("mandatory", "optional", "forbidden")
_MAX_URI = 2_048
_MAX_CODECS = 24
_URI = "a SIP URI (sip:user@host)"


def sip(params: Params) -> Destination:
    """A SIP URI to dial, with everything that is sent to it or shown there.  Raises `WrongParamError`."""
    address = sip_address(params, "to")
    _check_media(params)
    return Destination(
        kind="sip",
        to=address.uri,
        from_=_from(params),
        from_name=_from_name(params),
        headers=(*headers(params), *_own_headers(address)),
        codecs=_codecs(params, address),
        encryption=params.choice("encryption", ENCRYPTIONS) or None,
        session_timeout=_session_timeout(params),
        **credentials(params),
    )


def sip_address(params: Params, name: str) -> Address:
    """A URI that can be called, without what it asks for besides.  Raises `WrongParamError`."""
    address = parse_address(_sip_target(params, name))
    _check_uri(params, name, address.uri)
    return address


def sip_uri(params: Params, name: str) -> str:
    """A whole URI, with its headers (a Replaces).  Raises `WrongParamError`."""
    uri = _sip_target(params, name)
    _check_uri(params, name, uri)
    return uri


def _sip_target(params: Params, name: str) -> str:
    target = classify(params.required(name, longest=_MAX_URI))
    if target is None or target.kind != "sip":
        raise params.wrong(name, _URI)
    return target.to


def _check_uri(params: Params, name: str, uri: str) -> None:
    """What an INVITE could not carry is found before anybody is dialled."""
    try:
        Uri.parse(uri)
    except UriError as error:
        message = f"`{params.place(name)}` is no SIP URI, {shown(uri)}: {error}."
        raise params.error(message) from None


def _from(params: Params) -> str | None:
    """As it is written, whatever its scheme; the caller's own if absent."""
    from_ = (params.text("from", longest=_MAX_URI) or "").strip()
    if not from_:
        return None
    target = classify(from_)
    if target is not None and target.kind == "sip":
        _check_uri(params, "from", target.to)
        return target.to
    if not is_caller(from_):
        raise params.wrong("from", f"{_URI}, a number or a name without spaces")
    return from_


def _from_name(params: Params) -> str | None:
    name = params.text("from_name")
    return one_line(name)[:MAX_NAME] if name is not None else None


def headers(params: Params) -> tuple[Header, ...]:
    """The X- headers; any other is refused.  Raises `WrongParamError`."""
    return tuple(_header(item) for item in params.objects("headers", most=MAX_HEADERS))


def _header(item: Params) -> Header:
    name, value = item.required("name"), item.text("value") or ""
    if not is_custom_header(name, value):
        message = f"`{item.place('name')}`, {shown(name)}, cannot be sent: only X- headers of one line can."
        raise item.error(message)
    return name, value


def _own_headers(address: Address) -> tuple[Header, ...]:
    return tuple(header for header in address.headers[:MAX_HEADERS] if is_custom_header(*header))


def _codecs(params: Params, address: Address) -> tuple[CodecWish, ...]:
    """Those that are known, in order; a `codecs` parameter of the URI wins."""
    text = address.codecs if address.codecs is not None else _codec_text(params)
    found = read_codecs(text)
    if found.unknown and not found.wishes:
        near = nearest(found.unknown[0].upper(), KNOWN)
        hint = f"; did you mean `{near}`?" if near else f"; known are {', '.join(sorted(KNOWN))}."
        raise params.error(f"`{params.place('codecs')}` has no known codec, found {shown(text)}{hint}")
    return found.wishes[:_MAX_CODECS]


def _codec_text(params: Params) -> str:
    """A list of names, or one text with commas."""
    value = params.raw("codecs")
    if not isinstance(value, list):
        return params.text("codecs") or ""
    names = params.listed("codecs") or []
    for index, name in enumerate(names):
        if not isinstance(name, str) or len(name) > _MAX_URI:
            raise params.error(f"`{params.place('codecs')}[{index}]` must be a name, not {shown(name)}.")
    return ",".join(names)


def _session_timeout(params: Params) -> int | None:
    """Seconds; 0 is the server's own, as is what SIP cannot say."""
    seconds = params.number("session_timeout", 0)
    if not seconds or seconds > MAX_SESSION:
        return None
    return max(int(seconds), MIN_SESSION)


def _check_media(params: Params) -> None:
    if params.flag("webrtc_media", False):
        place = params.place("webrtc_media")
        sentence = f"`{place}` is true, and WebRTC media are not built into this server: leave it out."
        raise params.error(sentence, code="501")


def credentials(params: Params) -> dict[str, Any]:
    """`username` and `password` for a challenge; a password alone counts as none."""
    for name in ("username", "password"):
        value = params.raw(name)
        is_fit = isinstance(value, str) and len(value) <= 256 and is_one_line(value)
        if value is not None and not is_fit:  # it is not shown in what is said of it
            raise params.error(f"`{params.place(name)}` must be one line of at most 256 characters.")
    if not params.has("username"):
        return {"username": None, "password": None}
    return {"username": params.text("username"), "password": params.text("password") or ""}
