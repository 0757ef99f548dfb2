"""The header values a SIP stack asks for, typed, read when asked for and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cordboard.sip.headers.cseq import CSeq
from cordboard.sip.headers.fields import Headers
from cordboard.sip.headers.grammar import HeaderError, HeaderTooLargeError, read_number
from cordboard.sip.headers.lists import split_list
from cordboard.sip.headers.name_addr import NameAddr, parse_name_addr
from cordboard.sip.headers.via import Via, parse_via

LARGEST_CONTENT_LENGTH = 65_535
MAX_ADDRESSES = 70
"""Of Via, Contact, Route and Record-Route each: as many hops as Max-Forwards allows by default."""


class TypedHeaders:
    """What requests and responses share.

    The properties raise HeaderError on a message that was built by hand with a bad or missing value; on
    one that was parsed they never do.  Treat the lists they give as read-only.  What each message must have
    (the first seven) is read by the parser, and stays what the message came with.
    """

    __slots__ = ("body", "call_id", "cseq", "from_", "from_tag", "headers", "to", "to_tag", "via")

    headers: Headers
    body: bytes
    call_id: str
    cseq: CSeq
    from_: NameAddr
    from_tag: str | None
    to: NameAddr
    to_tag: str | None
    via: Via
    """The topmost Via: of a request, the hop it came from."""

    if not TYPE_CHECKING:  # or every misspelt attribute would have a type

        def __getattr__(self, name: str) -> Any:
            """Those seven of a message that was built by hand."""
            read = _OF_EVERY_MESSAGE.get(name)
            if read is None:
                raise AttributeError(name)
            return read(self)

    @property
    def vias(self) -> list[Via]:
        """Every Via, the topmost first."""
        value: list[Via] = self._typed("Via")
        return value

    @property
    def branch(self) -> str:
        """The topmost Via's branch, empty if it has none: with `sent_by` and `cseq`, what a transaction
        is known by (RFC 3261 section 17.2.3)."""
        return self.via.params.get("branch") or ""

    @property
    def sent_by(self) -> str:
        """The topmost Via's `host` or `host:port`, in lower case."""
        return self.via.sent_by

    @property
    def contacts(self) -> list[NameAddr]:
        """Every Contact in order; empty for `*` as well (see `contact_is_wildcard`)."""
        value: list[NameAddr] = self._typed("Contact")
        return value

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact."""
        contacts = self.contacts
        return contacts[0] if contacts else None

    @property
    def contact_is_wildcard(self) -> bool:
        """Whether Contact is `*`, which only a REGISTER may say."""
        return self.headers.get("Contact") == "*"

    @property
    def record_routes(self) -> list[str]:
        """The raw Record-Route elements, topmost first, one address each."""
        value: list[str] = self._typed("Record-Route")
        return value

    @property
    def routes(self) -> list[str]:
        """The raw Route elements, topmost first, one address each."""
        value: list[str] = self._typed("Route")
        return value

    @property
    def max_forwards(self) -> int | None:
        value: int | None = self._typed("Max-Forwards")
        return value

    @property
    def content_type(self) -> str | None:
        """The body's media type in lower case, without parameters, such as `application/sdp`."""
        value: str | None = self._typed("Content-Type")
        return value

    def elements(self, name: str) -> list[str]:
        """The raw elements of a comma list such as Require, Supported, Allow or Accept; empty if there is
        none.  Raises HeaderError if a quote or an angle bracket in it is never closed."""
        return [element for value in self.headers.get_all(name) for element in split_list(value)]

    def _typed(self, name: str) -> Any:
        headers = self.headers
        place = headers.places.get(name)
        return self._read(name) if place is None else headers.typed[place]

    def _read(self, name: str) -> Any:
        parsed = self.headers.parsed
        if name not in parsed:
            headers = self.headers
            parsed[name] = _when_absent(name) if headers.places else read_lines(name, headers.get_all(name))
        return parsed[name]


_OF_EVERY_MESSAGE: dict[str, Callable[[TypedHeaders], Any]] = {
    "call_id": lambda message: message._typed("Call-ID"),
    "cseq": lambda message: message._typed("CSeq"),
    "from_": lambda message: message._typed("From"),
    "from_tag": lambda message: message.from_.tag,
    "to": lambda message: message._typed("To"),
    "to_tag": lambda message: message.to.tag,
    "via": lambda message: message._typed("Via")[0],
}


def read_lines(name: str, values: list[str]) -> object:
    """The typed value of all the lines of one typed header; raises HeaderError."""
    if len(values) == 1:
        return READERS[name](values[0])
    if not values:
        return _when_absent(name)
    if name in _LISTS:
        return _read_lists(name, values)
    # One may stand for all only where nothing depends on which: two values would let two readers of one
    # message see two callers, or two bodies (RFC 4475 section 3.3.9).
    read = READERS[name]
    if name != "Content-Length" or len({read(value) for value in values}) != 1:
        raise HeaderError("there is more than one")
    return read(values[0])


def _when_absent(name: str) -> object:
    if name in MANDATORY:
        raise HeaderError(f"there is no {name}")
    return [] if name in _LISTS else None


def _read_lists(name: str, values: list[str]) -> list[object]:
    elements: list[object] = []
    for value in values:
        read: Any = READERS[name](value)
        elements += read
        _check_number(len(elements))
    return elements


def _read_call_id(value: str) -> str:
    if not value:
        raise HeaderError("it is empty")
    return value


def _read_vias(value: str) -> list[Via]:
    return [parse_via(value)] if "," not in value else [parse_via(element) for element in _addresses(value)]


def _read_contacts(value: str) -> list[NameAddr]:
    if value == "*":
        return []
    if "," not in value:
        return [parse_name_addr(value)]
    return [parse_name_addr(element) for element in _addresses(value)]


def _read_routes(value: str) -> list[str]:
    """Routes stay raw, since they are copied as they are; each is known to be readable."""
    routes = _addresses(value)
    for route in routes:
        parse_name_addr(route)
    return routes


def _read_max_forwards(value: str) -> int:
    return read_number(value, 255, "Max-Forwards")


def _read_content_type(value: str) -> str:
    return value.partition(";")[0].replace(" ", "").replace("\t", "").lower()


def _read_content_length(value: str) -> int:
    return read_number(value, LARGEST_CONTENT_LENGTH, "Content-Length")


def _addresses(value: str) -> list[str]:
    """Counted before any is read: reading is what costs."""
    elements = split_list(value)
    if not elements:
        raise HeaderError("it is empty")
    _check_number(len(elements))
    return elements


def _check_number(addresses: int) -> None:
    if addresses > MAX_ADDRESSES:
        raise HeaderTooLargeError(f"there are more than {MAX_ADDRESSES}")


READERS: dict[str, Callable[[str], object]] = {
    "Call-ID": _read_call_id,
    "Contact": _read_contacts,
    "Content-Length": _read_content_length,
    "Content-Type": _read_content_type,
    "CSeq": CSeq.parse,
    "From": parse_name_addr,
    "Max-Forwards": _read_max_forwards,
    "Record-Route": _read_routes,
    "Route": _read_routes,
    "To": parse_name_addr,
    "Via": _read_vias,
}
"""How one line of each typed header is read: raw value in, typed value out, or HeaderError."""

_LISTS = frozenset({"Contact", "Record-Route", "Route", "Via"})
MANDATORY = frozenset({"Call-ID", "CSeq", "From", "To", "Via"})
