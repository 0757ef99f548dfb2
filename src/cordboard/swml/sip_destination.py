"""The options of a SIP destination, from its properties and from its URI (swml.md 7.6 to 7.8)."""

from __future__ import annotations

from typing import Any

import msgspec

from cordboard.call.addresses import Address
from cordboard.call.codec_wish import CodecWish
from cordboard.call.header_rules import is_custom_header, is_one_line, one_line
from cordboard.call.limits import MAX_HEADERS, MAX_NAME, MIN_SESSION
from cordboard.call.plan import Header
from cordboard.swml import codes
from cordboard.swml.codec_list import codecs_of
from cordboard.swml.problems import MethodError, Note, shown

Path = tuple[str | int, ...]


def sendable(headers: list[Header] | tuple[Header, ...], path: Path, notes: list[Note]) -> tuple[Header, ...]:
    """The X- headers; any other name, or a value with control characters, is dropped with a warning."""
    kept: list[Header] = []
    for index, (name, value) in enumerate(headers):
        if not is_custom_header(name, value):
            message = f"connect: the header {shown(name)} is dropped: only X- headers of one line can be sent"
            notes.append(Note(codes.PARAMETER_INVALID, message, (*path, index)))
        elif len(kept) < MAX_HEADERS:
            kept.append((name, value))
        else:
            message = f"connect: more than {MAX_HEADERS} headers: the others are dropped"
            notes.append(Note(codes.PARAMETER_INVALID, message, (*path, index)))
            break
    return tuple(kept)


def sip_options(merged: dict[str, Any], address: Address, paths: Paths, notes: list[Note]) -> dict[str, Any]:
    """What a `Destination` of the kind `sip` has besides what all have.  Raises `MethodError`."""
    _note_transport(address, paths, notes)
    _note_readable_keys(merged, address, paths, notes)
    return {
        "headers": (*merged.get("headers", ()), *sendable(address.headers, paths.of("to"), notes)),
        "from_name": _display_name(merged.get("from_name"), paths, notes),
        "codecs": _codecs(merged, address, paths, notes),
        "encryption": merged.get("encryption"),
        "session_timeout": _session_timeout(merged.get("session_timeout"), paths, notes),
        **_credentials(merged, paths),
    }


class Paths(msgspec.Struct, frozen=True):
    """Where the properties of one destination stand in the argument of the step."""

    base: Path
    own: frozenset[str]

    def of(self, name: str) -> Path:
        return (*self.base, name) if name in self.own else (name,)


def _display_name(name: str | None, paths: Paths, notes: list[Note]) -> str | None:
    if name is None:
        return None
    clean = one_line(name)
    if clean != name.strip():
        message = "connect: control characters in `from_name` are left out"
        notes.append(Note(codes.PARAMETER_INVALID, message, paths.of("from_name")))
    if len(clean) > MAX_NAME:
        message = f"connect: `from_name` is cut to {MAX_NAME} characters"
        notes.append(Note(codes.PARAMETER_INVALID, message, paths.of("from_name")))
    return clean[:MAX_NAME]


def _codecs(
    merged: dict[str, Any], address: Address, paths: Paths, notes: list[Note]
) -> tuple[CodecWish, ...]:
    """A `codecs` parameter of the URI wins over the property."""
    if address.codecs is not None:
        return codecs_of(address.codecs, "connect", paths.of("to"), notes)
    return codecs_of(merged.get("codecs") or "", "connect", paths.of("codecs"), notes)


def _session_timeout(seconds: int | None, paths: Paths, notes: list[Note]) -> int | None:
    if seconds is None or seconds >= MIN_SESSION:
        return seconds
    message = f"connect: `session_timeout` {seconds} is raised to {MIN_SESSION} s, the least that SIP knows"
    notes.append(Note(codes.PARAMETER_INVALID, message, paths.of("session_timeout")))
    return MIN_SESSION


def _credentials(merged: dict[str, Any], paths: Paths) -> dict[str, str | None]:
    for name in ("username", "password"):
        value = merged.get(name)
        if value is not None and (not is_one_line(value) or len(value) > 256):
            message = f"connect: `{name}` must be one line of at most 256 characters"
            raise MethodError(codes.PARAMETER_INVALID, message, path=paths.of(name))
    if merged.get("username") is None:
        return {"username": None, "password": None}
    return {"username": merged["username"], "password": merged.get("password") or ""}


def _note_transport(address: Address, paths: Paths, notes: list[Note]) -> None:
    """What can only fail is found without a call; when it runs, the leg says so itself."""
    transport, secure = address.transport, address.uri[:5].lower() == "sips:"
    if transport in ("", "tcp", "tls") or (transport == "udp" and not secure):
        return
    fault = "contradicts `sips:`" if transport == "udp" else "is none that this server speaks"
    usable = "`;transport=tls` or `tcp`" if secure else "`;transport=udp`, `tcp` or `tls`"
    message = f"connect: `transport={transport}` {fault}: write {usable}"
    notes.append(Note(codes.PARAMETER_INVALID, message, paths.of("to"), is_error=True, lint_only=True))


def _note_readable_keys(merged: dict[str, Any], address: Address, paths: Paths, notes: list[Note]) -> None:
    """SDES keys stand in the SDP: whoever can read the signalling can read the call."""
    if merged.get("encryption") != "mandatory" or not address.uri.lower().startswith("sip:"):
        return
    if address.transport in ("tls", "wss"):
        return
    remedy = "write `sips:` or `;transport=tls`"
    if address.transport:
        message = f"connect: the keys of the encryption can be read on the way to {address.uri}: {remedy}"
    else:
        message = f"connect: the keys of the encryption can be read unless the far end takes TLS: {remedy}"
    notes.append(
        Note(codes.PARAMETER_INVALID, message, paths.of("encryption"), lint_only=not address.transport)
    )
