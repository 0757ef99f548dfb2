"""SIP messages (RFC 3261 section 7): text to values, and values to text.

A message keeps its header lines as raw text, so that what is passed on or copied into a response stays
as it was sent.  `parse` reads the few headers that the transaction and dialog layers need of every
message, and leaves the others until they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from cordboard.sip.headers.fields import Headers, check_sendable
from cordboard.sip.headers.grammar import HeaderError, HeaderTooLargeError, is_token
from cordboard.sip.headers.layout import LAYOUTS
from cordboard.sip.headers.lines import MAX_REMEMBERED_LENGTH, read_line
from cordboard.sip.headers.lists import split_list
from cordboard.sip.headers.name_addr import parse_name_addr
from cordboard.sip.headers.names import SPELLINGS, canonical_name
from cordboard.sip.headers.typed import READERS, TypedHeaders, read_lines
from cordboard.sip.headers.via import Via
from cordboard.sip.message_error import MessageError
from cordboard.sip.status import reason_phrase
from cordboard.sip.uri import MAX_URI_LENGTH, Uri, UriError

__all__ = ["Message", "MessageError", "Request", "Response", "measure", "parse"]

Fields = Iterable[tuple[str, str]]
Fault = tuple[int, str]

MAX_MESSAGE_SIZE = 65_535
MAX_HEADER_LINES = 256
MAX_LINE_LENGTH = 8192


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
    def unchecked(cls, method: str, uri: str, headers: Headers, body: bytes = b"") -> Request:
        """A request whose parts are taken as they are, without a check."""
        made = cls.__new__(cls)
        made.method = method
        made.uri = uri
        made.headers = headers
        made.body = body
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
        for name, value in self.headers:
            if name in copied:
                names.append(name)
                values.append(_with_tag(value, to_tag) if to_tag and name == "To" else value)
        fields = Headers.unchecked(names, values)
        for name, value in headers:
            fields.add(name, value)
        return Response(status, reason, fields, body)

    def stamp_source(self, address: str, port: int) -> None:
        """Writes where the request came from into its topmost Via: `received` when sent-by says otherwise,
        and both `rport` and `received` when asked for (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
        top = self.via
        params = dict(top.params)
        if top.wants_rport:
            params["rport"] = str(port)
            params["received"] = address
        elif top.host != address or "received" in params:
            params["received"] = address
        else:
            return
        self._replace_top_via(Via(transport=top.transport, host=top.host, port=top.port, params=params))

    def _replace_top_via(self, top: Via) -> None:
        below = self.vias[1:]
        raw = self.headers.get("Via") or ""
        # The first line may hold more than the topmost; they stay as they were sent.
        others = split_list(raw)[1:] if "," in raw else ()
        self.headers.set_first("Via", ", ".join([str(top), *others]))
        self.headers.parsed["Via"] = [top, *below]
        self.via = top

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
_new_request, _new_response = Request.__new__, Response.__new__

_COPIED = frozenset({"Via", "From", "To", "Call-ID", "CSeq"})
_COPIED_TO_DIALOG = _COPIED | {"Record-Route"}


def _with_tag(value: str, tag: str) -> str:
    try:
        if parse_name_addr(value).tag is not None:
            return value
    except HeaderError:
        pass  # a request refused for this very header: the tag goes where it would belong
    return f"{value};tag={tag}"


def _write(start_line: str, headers: Headers, body: bytes) -> bytes:
    lines = [start_line]
    lines += [f"{name}: {value}" for name, value in headers if name != "Content-Length"]
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


_MANDATORY = ("From", "To", "Call-ID", "CSeq", "Via")
_ALL_MANDATORY = frozenset(_MANDATORY)
_USUAL_METHODS = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "UPDATE"})
_VERSION = re.compile(r"[Ss][Ii][Pp]/[0-9]+\.[0-9]+")
_STATUS_LINE = re.compile(r"[Ss][Ii][Pp]/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.DOTALL)


def parse(data: bytes) -> Request | Response:
    """Reads one datagram, or one message cut from a stream.

    The body ends where Content-Length says, or with the data if there is none.  After this has returned,
    no typed property of the message raises, and its Request-URI is known to be a URI.  Raises MessageError
    and nothing else, in time linear to the size of `data`.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    if end and len(head) <= MAX_LINE_LENGTH and len(data) <= MAX_MESSAGE_SIZE:
        lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        start = lines.pop(0)
        if 0 < len(lines) <= MAX_HEADER_LINES and len(start) <= MAX_REMEMBERED_LENGTH:
            try:
                message = _parse_ordinary(start, lines, body)
            except HeaderError:
                message = None
            if message is not None:
                return message
    return _parse_thoroughly(data)


def _parse_ordinary(start: str, lines: list[str], body: bytes) -> Message | None:
    """What nearly all messages are: no line folded, none malformed.  HeaderError or None for all others."""
    names, values, typed = zip(*map(read_line, lines))  # noqa: B905 - `strict` costs more than the rest
    layout = LAYOUTS[names]
    if layout.repeated:
        typed = _join_lines(names, values, typed, layout.repeated)
    if not layout.complete:
        return None
    if layout.length is not None and typed[layout.length] != len(body):
        if typed[layout.length] > len(body):
            return None
        body = body[: typed[layout.length]]
    method, subject, status = _remembered_start(start)
    message: Message
    if status:
        message = _new_response(Response)
        message.status, message.reason = status, subject
    elif typed[layout.cseq].method == method:
        message = _new_request(Request)
        message.method, message.uri = method, subject
    else:
        return None
    message.headers = Headers.laid_out(names, values, typed, layout.places)
    message.body = body
    message.call_id = typed[layout.call_id]
    message.cseq = typed[layout.cseq]
    message.from_ = from_ = typed[layout.from_]
    message.from_tag = from_.params.get("tag")
    message.to = to = typed[layout.to]
    message.to_tag = to.params.get("tag")
    message.via = typed[layout.via][0]
    return message


def _join_lines(
    names: tuple[str, ...], values: tuple[str, ...], typed: tuple[Any, ...], repeated: tuple[str, ...]
) -> tuple[Any, ...]:
    """The typed values, where each line of a name has that of all of them; raises HeaderError."""
    lines = list(zip(names, values, strict=True))
    joined = {name: read_lines(name, [value for key, value in lines if key == name]) for name in repeated}
    return tuple([joined.get(name, value) for name, value in zip(names, typed, strict=True)])


@lru_cache(maxsize=1024)
def _remembered_start(line: str) -> tuple[str, str, int]:
    """Method, Request-URI and 0; or nothing, reason and status.  Raises HeaderError if it is malformed."""
    if "\r" in line or "\n" in line:
        raise HeaderError("a line break in the start line")
    try:
        message, fault = _read_start_line(line, Headers())
    except MessageError as error:
        raise HeaderError(error.reason) from None
    if fault is not None:
        raise HeaderError(fault[1])
    if isinstance(message, Response):
        return "", message.reason, message.status
    return message.method, message.uri, 0


def _parse_thoroughly(data: bytes) -> Message:
    lines, body, fault = _split(data)
    names, values, line_fault = _read_lines(lines)
    headers = Headers.unchecked(names, values)
    message, start_fault = _read_start_line(lines[0], headers)
    message.body = body
    fault = fault or start_fault or line_fault or _header_fault(names, headers) or _meaning_fault(message)
    if fault is not None:
        raise MessageError(*fault, _answerable(message))
    return message


def measure(head: bytes) -> int:
    """The length of a message of a stream, of which `head` is all up to and with the empty line.

    Raises MessageError if the message does not say, clearly and within the limits, where it ends (RFC 3261
    sections 18.3 and 20.14), or if its lines are too long or too many.  All else is left to `parse`.
    """
    lines, _, fault = _split(head)
    names, values, line_fault = _read_lines(lines)
    headers = Headers.unchecked(names, values)
    if fault is None and line_fault is not None and line_fault[0] == 513:
        fault = line_fault
    declared, length_fault = _declared_length(headers)
    fault = fault or length_fault
    if fault is None and len(head) + declared > MAX_MESSAGE_SIZE:
        fault = (513, f"Message over {MAX_MESSAGE_SIZE} bytes")
    if fault is not None:
        raise MessageError(*fault, _answerable(_read_start_line(lines[0], headers)[0]))
    return len(head) + declared


def _declared_length(headers: Headers) -> tuple[int, Fault | None]:
    values = headers.get_all("Content-Length")
    if not values:
        return 0, (400, "Missing Content-Length")
    try:
        length = read_lines("Content-Length", values)
    except HeaderError as error:
        return 0, (400, f"Malformed Content-Length: {error}")
    assert isinstance(length, int)
    return length, None


def _split(data: bytes) -> tuple[list[str], bytes, Fault | None]:
    """The lines of the head, and what follows the empty line."""
    if len(data) > MAX_MESSAGE_SIZE:
        raise MessageError(513, f"Message over {MAX_MESSAGE_SIZE} bytes")
    if data[:1] == b"\r":
        data = data.lstrip(b"\r\n")  # RFC 3261 section 7.5: empty lines before the start line
    fault: Fault | None = None
    end = data.find(b"\r\n\r\n")
    if end < 0:
        fault = (400, "No empty line after the headers")
        end = len(data) - 2 if data.endswith(b"\r\n") else len(data)
    text = data[:end].decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    breaks = len(lines) - 1
    if text.count("\n") != breaks or text.count("\r") != breaks:
        # Nothing of such a message is repeated in an answer: the next reader may split it elsewhere.
        raise MessageError(400, "Bare CR or LF in the headers")
    if breaks > MAX_HEADER_LINES:
        del lines[MAX_HEADER_LINES + 1 :]
        fault = (513, f"More than {MAX_HEADER_LINES} header lines")
    return lines, data[end + 4 :], fault


def _read_lines(lines: list[str]) -> tuple[list[str], list[str], Fault | None]:
    """The names and the values of the header lines, unfolded; lines that are none are left out."""
    names: list[str] = []
    values: list[str] = []
    fault: Fault | None = None
    known = SPELLINGS.get
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = known(name) or canonical_name(name)
        if key is not None and colon and len(line) <= MAX_LINE_LENGTH:
            names.append(key)
            values.append(value.strip(" \t"))
        elif line[:1] in (" ", "\t") and values and len(line) + len(values[-1]) <= MAX_LINE_LENGTH:
            values[-1] = (values[-1] + " " + line.strip(" \t")).strip(" ")
        elif fault is None:
            fault = _line_fault(line, bool(values))
    return names, values, fault


def _line_fault(line: str, folds: bool) -> Fault:
    if len(line) > MAX_LINE_LENGTH or (line[:1] in (" ", "\t") and folds):
        return (513, f"Header over {MAX_LINE_LENGTH} characters")
    return (400, "Malformed header line")


def _read_start_line(line: str, headers: Headers) -> tuple[Request | Response, Fault | None]:
    if line[:4].upper() == "SIP/":
        return _read_status_line(line, headers), None
    method, _, rest = line.partition(" ")
    uri, _, version = rest.rpartition(" ")
    if method not in _USUAL_METHODS and not is_token(method):
        raise MessageError(400, "Malformed request line")
    return Request.unchecked(method, uri, headers), _request_line_fault(uri, version)


def _read_status_line(line: str, headers: Headers) -> Response:
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise MessageError(400, "Malformed status line")
    return Response(int(found[1]), found[2] or "", headers)


def _request_line_fault(uri: str, version: str) -> Fault | None:
    if version != "SIP/2.0" and not (version.isascii() and version.upper() == "SIP/2.0"):
        known = _VERSION.fullmatch(version) is not None
        return (505, "Version Not Supported") if known else (400, "Malformed request line")
    if len(uri) > MAX_URI_LENGTH:
        return (414, "Request-URI Too Long")
    try:
        Uri.parse(uri)
    except UriError:
        return (400, "Malformed Request-URI")
    return None


def _header_fault(names: list[str], headers: Headers) -> Fault | None:
    """Reads every typed header there is, so that it is known to be good, and remembered."""
    present = set(names)
    if not present >= _ALL_MANDATORY:
        missing = next(name for name in _MANDATORY if name not in present)
        return (400, f"Missing {missing}")
    alone = len(present) == len(names)
    parsed = headers.parsed
    for name, value in headers:
        read = READERS.get(name)
        if read is None or name in parsed:
            continue
        try:
            parsed[name] = read(value) if alone else read_lines(name, headers.get_all(name))
        except HeaderTooLargeError as error:
            return (513, f"Too large {name}: {error}")
        except HeaderError as error:
            return (400, f"Malformed {name}: {error}")
    return None


def _meaning_fault(message: Message) -> Fault | None:
    if isinstance(message, Request) and message.cseq.method != message.method:
        return (400, "CSeq names another method")
    declared = message.headers.parsed.get("Content-Length")
    if declared is not None and declared != len(message.body):
        if declared > len(message.body):
            return (400, "Content-Length is larger than the body")
        message.body = message.body[:declared]
    return None


def _answerable(message: Message) -> Message | None:
    """The message with one each of the headers a response copies, or None if it cannot be answered."""
    headers = message.headers
    try:
        top = Via.parse(split_list(headers.get("Via") or "")[0])
    except (HeaderError, IndexError):
        return None
    for name in _MANDATORY:
        value = headers.get(name)
        if not value:
            return None
        if name != "Via":
            headers.set(name, value)
    headers.parsed["Via"] = [top]
    return message
