"""The header values a SIP stack asks for, typed, read when asked for and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cordboard.sip.headers.cseq import CSeq
from cordboard.sip.headers.fields import Headers
from cordboard.sip.headers.grammar import HeaderError, read_number
from cordboard.sip.headers.lists import split_list
from cordboard.sip.headers.name_addr import NameAddr, parse_name_addr, parse_name_addrs
from cordboard.sip.headers.via import Via

T = TypeVar("T")


class TypedHeaders:
    """What requests and responses share.

    The typed properties raise HeaderError on a message that was built here with a bad or missing value;
    on one that `parse` returned they never do.
    """

    __slots__ = ("body", "headers")

    headers: Headers
    body: bytes

    @property
    def call_id(self) -> str:
        return self._required("Call-ID")

    @property
    def cseq(self) -> CSeq:
        return self._remember("CSeq", lambda: CSeq.parse(self._required("CSeq")))

    @property
    def vias(self) -> list[Via]:
        """Every Via, the topmost first.  Treat the list as read-only."""
        return self._remember("Via", lambda: _read_vias(self.headers.get_all("Via")))

    @property
    def via(self) -> Via:
        """The topmost Via: of a request, the hop it came from."""
        return self.vias[0]

    @property
    def branch(self) -> str:
        """The topmost Via's branch, empty if it has none: with `sent_by` and `cseq`, what a transaction
        is known by (RFC 3261 section 17.2.3)."""
        return self.vias[0].branch or ""

    @property
    def sent_by(self) -> str:
        """The topmost Via's `host` or `host:port`, in lower case."""
        return self.vias[0].sent_by

    @property
    def from_(self) -> NameAddr:
        return self._remember("From", lambda: parse_name_addr(self._required("From")))

    @property
    def to(self) -> NameAddr:
        return self._remember("To", lambda: parse_name_addr(self._required("To")))

    @property
    def contacts(self) -> list[NameAddr]:
        """Every Contact in order; empty for `*` as well (see `contact_is_wildcard`)."""
        return self._remember("Contact", self._read_contacts)

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
        return self._remember("Record-Route", lambda: _split_all(self.headers.get_all("Record-Route")))

    @property
    def routes(self) -> list[str]:
        """The raw Route elements, topmost first, one address each."""
        return self._remember("Route", lambda: _split_all(self.headers.get_all("Route")))

    @property
    def max_forwards(self) -> int | None:
        value = self.headers.get("Max-Forwards")
        return None if value is None else read_number(value, 255, "Max-Forwards")

    @property
    def content_type(self) -> str | None:
        """The body's media type in lower case, without parameters, such as `application/sdp`."""
        value = self.headers.get("Content-Type")
        return None if value is None else value.partition(";")[0].replace(" ", "").strip("\t").lower()

    def option_tags(self, name: str) -> list[str]:
        """The option tags (or methods, or types) of Require, Supported, Allow, Accept, …"""
        return _split_all(self.headers.get_all(name))

    def _required(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise HeaderError(f"no {name}")
        return value

    def _read_contacts(self) -> list[NameAddr]:
        values = self.headers.get_all("Contact")
        return [] if values == ["*"] else parse_name_addrs(values)

    def _remember(self, name: str, read: Callable[[], T]) -> T:
        parsed = self.headers._parsed
        value: T | None = parsed.get(name)
        if value is None:
            value = parsed[name] = read()
        return value


def _read_vias(values: list[str]) -> list[Via]:
    vias = [Via.parse(element) for value in values for element in split_list(value)]
    if not vias:
        raise HeaderError("no Via")
    return vias


def _split_all(values: list[str]) -> list[str]:
    return [element for value in values for element in split_list(value)]
