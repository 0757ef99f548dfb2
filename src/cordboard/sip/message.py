"""SIP messages (RFC 3261 section 7): text to values, parsed when asked for, and values to text.

A message keeps its header lines as raw text, so that what is passed on or copied into a response stays
as it was sent.  `parse` checks the headers that the transaction and dialog layers read; after it has
returned, none of the typed properties raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from cordboard.sip.headers.fields import Headers, check_sendable
from cordboard.sip.headers.grammar import HeaderError, is_token, read_number
from cordboard.sip.headers.lists import split_list
from cordboard.sip.headers.name_addr import parse_name_addr
from cordboard.sip.headers.names import SPELLINGS, canonical_name
from cordboard.sip.headers.typed import TypedHeaders
from cordboard.sip.headers.via import Via
from cordboard.sip.status import reason_phrase
from cordboard.sip.uri import MAX_URI_LENGTH, Uri, UriError

Fields = Iterable[tuple[str, str]]

MAX_MESSAGE_SIZE = 65_535
MAX_HEADER_LINES = 256
MAX_LINE_LENGTH = 8192
MAX_VIAS = 70
MAX_ROUTES = 70


class Request(TypedHeaders):
    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers | Fields = (), body: bytes = b"") -> None:
        """`uri` is the Request-URI's text.  Content-Length is written by `to_bytes` and need not be given.

        Raises HeaderError if a part cannot be written as the grammar wants it.
        """
        if not is_token(method):
            raise HeaderError("a method must be a token")
        if not uri or " " in uri:
            raise HeaderError("a Request-URI may not be empty or hold a space")
        self.method = method
        self.uri = check_sendable(uri)
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body

    @classmethod
    def of_parsed(cls, method: str, uri: str, headers: Headers) -> Request:
        """A request whose parts are taken as they are, without a check."""
        made = cls.__new__(cls)
        made.method = method
        made.uri = uri
        made.headers = headers
        made.body = b""
        return made

    def to_bytes(self) -> bytes:
        """The message as it goes on the wire, with the Content-Length of its body."""
        return _write(f"{self.method} {self.uri} SIP/2.0", self.headers, self.body)

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
    ) -> Response:
        """A response to this request (RFC 3261 section 8.2.6.2), with Record-Route where a dialog needs it.

        `to_tag` is added to To unless the request's To has a tag.  Works on the `partial` of a MessageError.
        """
        names: list[str] = []
        values: list[str] = []
        copied = _COPIED_TO_DIALOG if 100 < status < 300 else _COPIED
        for name, value in zip(self.headers._names, self.headers._values, strict=True):
            if name in copied:
                names.append(name)
                values.append(_with_tag(value, to_tag) if name == "To" and to_tag else value)
        fields = Headers.of_parsed(names, values)
        for name, value in headers:
            fields.add(name, value)
        return Response(status, reason, fields, body)

    def stamp_source(self, address: str, port: int) -> None:
        """Writes where the request came from into its topmost Via: `received` when that is not what sent-by
        says, and `rport` when asked for (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
        top = self.via
        stamps: dict[str, str | None] = {}
        if top.wants_rport:
            stamps = {"rport": str(port), "received": address}
        elif top.host != address:
            stamps = {"received": address}
        if stamps:
            self._replace_top_via(
                Via(transport=top.transport, host=top.host, port=top.port, params={**top.params, **stamps})
            )

    def _replace_top_via(self, top: Via) -> None:
        vias = self.vias
        elements = split_list(self._required("Via"))
        self.headers.set_first("Via", ", ".join([str(top), *elements[1:]]))
        self.headers._parsed["Via"] = [top, *vias[1:]]

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(TypedHeaders):
    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str | None = None, headers: Headers | Fields = (), body: bytes = b""
    ) -> None:
        """`reason` None: the usual phrase of the status.  Raises HeaderError if a part cannot be written."""
        if not 100 <= status <= 699:
            raise HeaderError("a status is 100 to 699")
        self.status = status
        self.reason = reason_phrase(status) if reason is None else check_sendable(reason)
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body

    def to_bytes(self) -> bytes:
        """The message as it goes on the wire, with the Content-Length of its body."""
        return _write(f"SIP/2.0 {self.status} {self.reason}", self.headers, self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


Message = Request | Response

_COPIED = frozenset({"Via", "From", "To", "Call-ID", "CSeq"})
_COPIED_TO_DIALOG = _COPIED | {"Record-Route"}


def _write(start_line: str, headers: Headers, body: bytes) -> bytes:
    lines = [start_line]
    lines += [f"{name}: {value}" for name, value in headers if name != "Content-Length"]
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def _with_tag(value: str, tag: str) -> str:
    """To with our tag; the parameters are looked for after the URI, and a quoted `;tag=` is none."""
    try:
        if parse_name_addr(value).tag is not None:
            return value
    except HeaderError:
        pass  # a request we refuse for this very header: the tag goes where it would belong
    return f"{value};tag={tag}"


# One of these each: two would let two readers of one message see two callers (RFC 4475 section 3.3.9).
_MANDATORY = ("From", "To", "Call-ID", "CSeq")
_AT_MOST_ONCE = ("Max-Forwards", "Content-Type")

_FOLD = re.compile("\r\n[ \t]+")
_VERSION = re.compile(r"SIP/([0-9]+)\.([0-9]+)", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.IGNORECASE | re.DOTALL)


class MessageError(ValueError):
    """Bytes that are no acceptable SIP message.

    `code` and `reason` are what a request deserves as its response; `reason` holds nothing the peer sent.
    `partial` is the request as far as it goes, when its topmost Via is readable and From, To, Call-ID and
    CSeq are there: enough for `partial.response(code, reason)`.  Of its properties only `via`, `branch`,
    `sent_by` and `call_id` are sure not to raise.
    """

    def __init__(self, code: int, reason: str, partial: Request | Response | None = None) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
        self.partial = partial


def parse(data: bytes) -> Request | Response:
    """Reads one datagram, or one message cut from a stream.

    The body ends where Content-Length says, or with the data if there is none.  Raises MessageError and
    nothing else, in time linear to the size of `data`.
    """
    if len(data) > MAX_MESSAGE_SIZE:
        raise MessageError(513, f"Message over {MAX_MESSAGE_SIZE} bytes")
    lines, body, fault = _split(data.lstrip(b"\r\n") if data[:1] in b"\r\n" else data)
    headers, fault = _read_headers(lines, fault)
    message, fault = _read_start_line(lines[0], headers, fault)
    message.body = body
    if fault is None:
        fault = _first_fault(message)
    if fault is not None:
        raise MessageError(*fault, _answerable(message))
    return message


Fault = tuple[int, str]


def _split(data: bytes) -> tuple[list[str], bytes, Fault | None]:
    """The unfolded lines of the head, and what follows the empty line."""
    fault: Fault | None = None
    end = data.find(b"\r\n\r\n")
    if end < 0:
        fault = (400, "No empty line after the headers")
        end = len(data) - 2 if data.endswith(b"\r\n") else len(data)
    text = data[:end].decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    breaks = len(lines) - 1
    if text.count("\r") != breaks or text.count("\n") != breaks:
        # Nothing of such a message is repeated in an answer: the next reader may split it elsewhere.
        raise MessageError(400, "Bare CR or LF in the headers")
    if breaks > MAX_HEADER_LINES:
        fault = (513, f"More than {MAX_HEADER_LINES} header lines")
        del lines[MAX_HEADER_LINES + 1 :]
    if len(text) > MAX_LINE_LENGTH and max(map(len, lines)) > MAX_LINE_LENGTH:
        raise MessageError(513, f"Header line over {MAX_LINE_LENGTH} characters")
    return lines, data[end + 4 :], fault


def _read_headers(lines: list[str], fault: Fault | None) -> tuple[Headers, Fault | None]:
    names: list[str] = []
    values: list[str] = []
    known = SPELLINGS.get
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = known(name) or canonical_name(name)
        if key is None or not colon:
            fault = fault or (400, "Malformed header line")
            continue
        names.append(key)
        values.append(value.strip(" \t"))
    return Headers.of_parsed(names, values), fault


def _read_start_line(
    line: str, headers: Headers, fault: Fault | None
) -> tuple[Request | Response, Fault | None]:
    if line[:4].upper() == "SIP/":
        return _read_status_line(line, headers), fault
    method, _, rest = line.partition(" ")
    uri, _, version = rest.rpartition(" ")
    if not is_token(method):
        raise MessageError(400, "Malformed request line")
    request = Request.of_parsed(method, uri, headers)
    return request, fault or _request_line_fault(uri, version)


def _read_status_line(line: str, headers: Headers) -> Response:
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise MessageError(400, "Malformed status line")
    response = Response(int(found[1]), "", headers)
    response.reason = found[2] or ""
    return response


def _request_line_fault(uri: str, version: str) -> Fault | None:
    if version != "SIP/2.0" and version.upper() != "SIP/2.0":
        if _VERSION.fullmatch(version) is not None:
            return (505, "Version Not Supported")
        return (400, "Malformed request line")
    if len(uri) > MAX_URI_LENGTH:
        return (414, "Request-URI Too Long")
    try:
        Uri.parse(uri)
    except UriError:
        return (400, "Malformed Request-URI")
    return None


def _first_fault(message: Request | Response) -> Fault | None:
    """Reads what the layers above will read, so that it is known to be good, and remembered."""
    fault = _count_fault(message.headers)
    if fault is not None:
        return fault
    fault = _value_fault(message)
    if fault is not None:
        return fault
    if len(message.vias) > MAX_VIAS:
        return (513, f"More than {MAX_VIAS} Vias")
    if isinstance(message, Request) and message.cseq.method != message.method:
        return (400, "CSeq names another method")
    return _route_fault(message) or _body_fault(message)


def _value_fault(message: Request | Response) -> Fault | None:
    for name, read in _READ_NOW:
        try:
            read(message)
        except HeaderError as error:
            return (400, f"Malformed {name}: {error}")
    return None


def _count_fault(headers: Headers) -> Fault | None:
    for name in _MANDATORY:
        count = headers.count(name)
        if count != 1:
            return (400, f"Missing {name}" if count == 0 else f"More than one {name}")
    for name in _AT_MOST_ONCE:
        if headers.count(name) > 1:
            return (400, f"More than one {name}")
    return None


def _route_fault(message: Request | Response) -> Fault | None:
    for name, routes in (("Record-Route", message.record_routes), ("Route", message.routes)):
        if len(routes) > MAX_ROUTES:
            return (513, f"More than {MAX_ROUTES} addresses in {name}")
        try:
            for route in routes:
                parse_name_addr(route)
        except HeaderError as error:
            return (400, f"Malformed {name}: {error}")
    return None


def _body_fault(message: Request | Response) -> Fault | None:
    """Cuts the body to Content-Length; a value that is wrong, or not the only one, is a fault."""
    lengths = set(message.headers.get_all("Content-Length"))
    if not lengths:
        return None
    try:
        numbers = {read_number(length, MAX_MESSAGE_SIZE, "Content-Length") for length in lengths}
    except HeaderError as error:
        return (400, f"Malformed Content-Length: {error}")
    if len(numbers) > 1:
        return (400, "Content-Lengths that differ")
    declared = numbers.pop()
    if declared > len(message.body):
        return (400, "Content-Length is larger than the body")
    if declared < len(message.body):
        message.body = message.body[:declared]
    return None


def _answerable(message: Request | Response) -> Request | Response | None:
    """The message with one each of the headers a response copies, or None if it cannot be answered."""
    headers = message.headers
    top = next(iter(headers.get_all("Via")), "")
    if not top or not all(name in headers for name in _MANDATORY):
        return None
    try:
        via = Via.parse(split_list(top)[0])
    except (HeaderError, IndexError):
        return None
    for name in _MANDATORY:
        headers.set(name, headers.get(name) or "")
    headers._parsed["Via"] = [via]
    return message


_READ_NOW: tuple[tuple[str, Callable[[Request | Response], object]], ...] = (
    ("Via", lambda message: message.vias),
    ("CSeq", lambda message: message.cseq),
    ("From", lambda message: message.from_),
    ("To", lambda message: message.to),
    ("Contact", lambda message: message.contacts),
    ("Max-Forwards", lambda message: message.max_forwards),
    ("Record-Route", lambda message: message.record_routes),
    ("Route", lambda message: message.routes),
)
