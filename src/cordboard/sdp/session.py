"""Session descriptions: text to values and back (RFC 8866).

The reader is lenient where real phones are careless (missing `s=` or `t=`, LF alone, unknown line types, any
order) and strict where leniency could hurt (control characters, lines that are no lines, absurd sizes).
Lines that offer/answer does not use (`b=`, `k=`, `e=` and so on) are dropped.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

import msgspec

from cordboard.sdp.address import connection
from cordboard.sdp.codec import STATIC, TELEPHONE_EVENT, Codec, parse_rtpmap

MAX_BYTES = 65_535
MAX_LINES = 1_024
MAX_MEDIA = 32
MAX_FORMATS = 64
_LONGEST_FMTP = 512

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

_MEDIA_LINE = re.compile(
    r"([!-~]{1,32}) (\d{1,5})(?:/\d{1,5})? ([!-~]{1,64}) ([!-~]+(?: +[!-~]+)*) *", re.ASCII
)
_ORDINARY_HEAD = re.compile(
    r"v=0\no=(\S+) (\S+) (\S+) \S+ \S+ (\S+)\ns=([^\n]*)\nc=IN \S+ ([^\s/]+)\nt=([0-9]{1,20} [0-9]{1,20})"
)
_TIMING = re.compile(r"\d{1,20} \d{1,20}", re.ASCII)


class SdpError(ValueError):
    """The description cannot be read, or cannot be used.  The text is a sentence for logs."""


class Origin(msgspec.Struct, frozen=True):
    """The `o=` line.  A later description of the same session keeps `session_id` and raises `version`."""

    username: str
    session_id: str
    version: str
    address: str


class Traits(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What a section says of its stream beside address, port and keys.

    Phones of a kind say the same in each call: then it is the same object, so that what follows from it can
    be looked up by it.
    """

    codecs: tuple[Codec, ...]
    """The formats, in order; those without meaning are left out."""
    direction: str | None
    """One of `DIRECTIONS`."""
    ptime: int | None
    """Milliseconds."""
    maxptime: int | None
    rtcp: str
    """The port that RFC 3605 gives to RTCP, as it is written; empty = none is given."""
    is_shared: bool
    """It is the same object in each call."""


class MediaDescription(msgspec.Struct, dict=True):
    """One `m=` section.  Not to be changed once it has been asked for its traits or codecs."""

    kind: str
    port: int
    """0 = rejected or switched off."""
    protocol: str
    formats: list[str]
    address: str | None = None
    """From the section's own `c=` line, without TTL; "" = a network type that is not `IN`."""
    attributes: list[tuple[str, str]] = []
    """(name, value) in order; the value of a flag is ""."""

    def attribute(self, name: str) -> str | None:
        """Value of the first attribute of that name."""
        for key, value in self.attributes:
            if key == name:
                return value
        return None

    def codecs(self) -> list[Codec]:
        """The formats as codecs, in order; formats without meaning are left out."""
        return [*self.traits.codecs]

    def all(self, name: str) -> list[str]:
        """Values of all attributes of that name, in order."""
        return [value for key, value in self.attributes if key == name]

    @cached_property
    def has_keys(self) -> bool:
        """There is `crypto` among the attributes."""
        return self.attribute("crypto") is not None

    @cached_property
    def traits(self) -> Traits:
        """What it says, read once."""
        return self._read_traits(is_shared=False)

    def _read_traits(self, *, is_shared: bool) -> Traits:
        mapped, parameters = _rtpmaps(self.attributes), _fmtps(self.attributes)
        found = [mapped.get(text) or _static(text) for text in self.formats]
        return Traits(
            codecs=tuple([_with_fmtp(codec, parameters) for codec in found if codec is not None]),
            direction=_direction(self.attributes),
            ptime=_milliseconds(self.attribute("ptime")),
            maxptime=_milliseconds(self.attribute("maxptime")),
            rtcp=(self.attribute("rtcp") or "").partition(" ")[0],
            is_shared=is_shared,
        )


class SessionDescription(msgspec.Struct):
    """A whole description."""

    origin: Origin | None = None
    name: str = "-"
    address: str | None = None
    """From the session level `c=` line."""
    timing: str = "0 0"
    attributes: list[tuple[str, str]] = []
    media: list[MediaDescription] = []

    def attribute(self, name: str) -> str | None:
        """Value of the first session level attribute of that name."""
        return _first(self.attributes, name)

    def address_of(self, media: MediaDescription) -> str | None:
        """Where a section's media goes: its own `c=`, else the session's."""
        return self.address if media.address is None else media.address

    def direction_of(self, media: MediaDescription) -> str:
        """One of `DIRECTIONS`; a section without one inherits the session's (RFC 8866 section 6.7)."""
        theirs = media.traits.direction
        if theirs is None and self.attributes:
            theirs = _direction(self.attributes)
        return theirs or "sendrecv"


def parse(body: bytes) -> SessionDescription:
    """Read a description.  Raises `SdpError`; bounded by the limits at the top of this module."""
    head, *sections = _text(body).split("\nm=")
    if len(sections) > MAX_MEDIA:
        raise SdpError(f"more than {MAX_MEDIA} media sections")
    session = _ordinary_head(head) or _head(head)
    media = session.media = []
    for text in sections:
        media.append(_section(text))
    return session


def serialise(session: SessionDescription) -> bytes:
    """Write a description.  The fields must hold what `parse` could have read."""
    origin = session.origin or Origin("-", "0", "0", session.address or "0.0.0.0")
    lines = [
        "v=0",
        f"o={origin.username} {origin.session_id} {origin.version} {connection(origin.address)}",
        f"s={session.name}",
    ]
    if session.address is not None:
        lines.append(f"c={connection(session.address)}")
    lines.append(f"t={session.timing}")
    lines.extend(_attribute_lines(session.attributes))
    for media in session.media:
        lines.extend(_media_lines(media))
    lines.append("")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def _text(body: bytes) -> str:
    """The description with LF between its lines, and none at its end."""
    if len(body) > MAX_BYTES:
        raise SdpError(f"description of {len(body)} bytes, more than {MAX_BYTES}")
    if body.count(b"\n") > MAX_LINES:
        raise SdpError(f"more than {MAX_LINES} lines")
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").rstrip("\r\n")
    if "\r" in text or "\0" in text:
        raise SdpError("a control character inside a line")
    if text.partition("\n")[0].rstrip() != "v=0":
        raise SdpError("does not begin with v=0")
    return text


def _ordinary_head(text: str) -> SessionDescription | None:
    """What nearly everybody says before the first section, read at once; None where it is said otherwise."""
    found = _ORDINARY_HEAD.fullmatch(text)
    if found is None:
        return None
    user, session_id, version, from_, name, address, timing = found.groups()
    return SessionDescription(Origin(user, session_id, version, from_), name or "-", address, timing, [])


def _head(text: str) -> SessionDescription:
    session = SessionDescription()
    for line in text.split("\n"):
        _session_line(session, line[:2], line)
    return session


def _session_line(session: SessionDescription, kind: str, line: str) -> None:
    if kind == "a=":
        session.attributes.append(_attribute(line))
    elif kind == "c=":
        if session.address is None:
            session.address = _connection(line[2:])
    elif kind == "o=":
        session.origin = _origin(line[2:])
    elif kind == "s=":
        session.name = line[2:] or "-"
    elif kind == "t=":
        session.timing = line[2:] if _TIMING.fullmatch(line, 2) else "0 0"  # an answer repeats it
    elif kind[1:] != "=":
        raise SdpError(f"not a line of SDP: {line[:40]!r}")


# But for the port, a phone describes its streams in the same words in each call.
_ORDINARY_LENGTH = 1024
_SOME_PORT = "9"
_KEYS = "\na=crypto:"
_KEY_LINE = re.compile(_KEYS + "([^\n]*)")


def _section(text: str) -> MediaDescription:
    """A section from behind its `m=`.  Keys are new in each call, and no memory of ours shall have them."""
    has_keys = _KEYS in text
    plain = _KEY_LINE.sub("", text) if has_keys else text
    kind, _, rest = plain.partition(" ")
    port, _, rest = rest.partition(" ")
    if len(plain) > _ORDINARY_LENGTH or not _is_port(port):
        return _read_section(text)
    try:
        model = _remembered_section(f"{kind} {_SOME_PORT} {rest}")
    except SdpError:
        return _read_section(text)  # for the text of the error
    attributes = [*model.attributes]
    if has_keys:
        attributes += [("crypto", value) for value in _KEY_LINE.findall(text)]
    section = MediaDescription(kind, int(port), model.protocol, [*model.formats], model.address, attributes)
    section.has_keys = has_keys
    section.traits = model.traits
    return section


def _is_port(text: str) -> bool:
    return len(text) <= 5 and text.isascii() and text.isdigit() and int(text) <= 65_535


def _read_section(text: str) -> MediaDescription:
    first, *lines = text.split("\n")
    section = _media(first)
    for line in lines:
        kind = line[:2]
        if kind == "a=":
            section.attributes.append(_attribute(line))
        elif kind == "c=":
            section.address = _connection(line[2:]) if section.address is None else section.address
        elif kind[1:] != "=":
            raise SdpError(f"not a line of SDP: {line[:40]!r}")
    return section


@lru_cache(maxsize=512)
def _remembered_section(text: str) -> MediaDescription:
    section = _read_section(text)
    section.traits = section._read_traits(is_shared=True)
    return section


def _attribute(line: str) -> tuple[str, str]:
    name, _, value = line[2:].partition(":")
    return name, value


def _origin(value: str) -> Origin:
    # From the right: some phones put a display name with spaces into the user name.
    parts = value.rsplit(None, 5)
    if len(parts) != 6:
        raise SdpError("the o= line has not six fields")
    return Origin(parts[0], parts[1], parts[2], parts[5])


def _connection(value: str) -> str:
    parts = value.split()
    if len(parts) != 3:
        raise SdpError("the c= line has not three fields")
    return parts[2].partition("/")[0] if parts[0] == "IN" else ""


def _media(value: str) -> MediaDescription:
    match = _MEDIA_LINE.fullmatch(value)
    if match is None:
        raise SdpError(f"cannot read m={value[:40]!r}")
    port = int(match[2])
    if port > 65_535:
        raise SdpError(f"port {port}")
    return MediaDescription(match[1], port, match[3], match[4].split(None, MAX_FORMATS)[:MAX_FORMATS])


def _first(attributes: list[tuple[str, str]], name: str) -> str | None:
    for key, value in attributes:
        if key == name:
            return value
    return None


def _direction(attributes: list[tuple[str, str]]) -> str | None:
    for name, _ in attributes:
        if name in DIRECTIONS:
            return name
    return None


def _milliseconds(text: str | None) -> int | None:
    """A ptime value; None when missing, malformed or beyond reason.  Some phones write `20.0`."""
    if text is None:
        return None
    whole = text.strip().partition(".")[0]
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 4):
        return None
    return int(whole) or None


def _rtpmaps(attributes: list[tuple[str, str]]) -> dict[str, Codec]:
    mapped: dict[str, Codec] = {}
    for name, value in attributes:
        if name == "rtpmap":
            codec = parse_rtpmap(value)
            if codec is not None:
                mapped.setdefault(str(codec.payload_type), codec)
    return mapped


def _fmtps(attributes: list[tuple[str, str]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, value in attributes:
        number, _, parameters = value.partition(" ")
        if name == "fmtp" and _is_port(number) and len(parameters) <= _LONGEST_FMTP:
            found.setdefault(int(number), parameters.strip())
    return found


def _with_fmtp(codec: Codec, parameters: dict[int, str]) -> Codec:
    fmtp = parameters.get(codec.payload_type)
    if not fmtp or codec.name == TELEPHONE_EVENT or not fmtp.isascii():
        return codec
    return msgspec.structs.replace(codec, fmtp=fmtp)


def _static(text: str) -> Codec | None:
    return STATIC.get(int(text)) if text.isdecimal() and len(text) <= 3 else None


def _attribute_lines(attributes: list[tuple[str, str]]) -> list[str]:
    return [f"a={name}:{value}" if value else f"a={name}" for name, value in attributes]


def _media_lines(media: MediaDescription) -> list[str]:
    lines = [f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}"]
    if media.address is not None:
        lines.append(f"c={connection(media.address)}")
    return lines + _attribute_lines(media.attributes)
