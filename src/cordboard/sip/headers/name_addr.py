"""From, To, Contact, Route and their like: `"Name" <uri>;parameters` (RFC 3261 section 20.10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from cordboard.sip.headers.grammar import QUOTED, TOKEN, HeaderError, is_token, quote, unquote
from cordboard.sip.headers.lists import split_list
from cordboard.sip.headers.parameters import parse_parameters, write_parameters
from cordboard.sip.uri import Uri, UriError

_BRACKETED = re.compile(
    rf"[ \t]*+(?P<name>{QUOTED}|(?:{TOKEN}|[ \t\x80-\U0010ffff])*+)[ \t]*+"
    r"<(?P<uri>[^<>\"]*+)>(?P<params>.*+)",
    re.DOTALL,
)
# Without brackets, `;` begins the header's own parameters, and `?` and `,` cannot be in the URI.
_BARE = re.compile(r"[ \t]*+(?P<uri>[^\s;?,<>\"]++)[ \t]*+(?P<params>.*+)", re.DOTALL)


class NameAddr(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A name-addr or addr-spec with the header's parameters.  Treat `params` as read-only."""

    display_name: str = ""
    """Without quotes and escapes; empty if there is none."""
    uri: Uri
    params: Mapping[str, str | None] = {}

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Reads one value; raises HeaderError."""
        found = _BRACKETED.fullmatch(text)
        if found is not None:
            name, address, params = found.groups()
            name = unquote(name) if name[:1] == '"' else name.rstrip(" \t")
        else:
            name, address, params = "", *_bare_parts(text)
        try:
            uri = Uri.parse(address)
        except UriError as error:
            raise HeaderError(str(error)) from None
        return cls(display_name=name, uri=uri, params=parse_parameters(params) if params else {})

    @property
    def tag(self) -> str | None:
        """The From or To tag."""
        return self.params.get("tag")

    def __str__(self) -> str:
        name = f"{quote(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>{write_parameters(self.params)}"


def _bare_parts(text: str) -> tuple[str, str]:
    found = _BARE.fullmatch(text)
    if found is None:
        raise HeaderError("neither an address in angle brackets nor a plain URI")
    return found["uri"], found["params"]


_is_word = re.compile("[A-Za-z0-9-]+").fullmatch


# Of one party, only the tag is new with each dialog.
@lru_cache(maxsize=2048)
def _remembered(text: str) -> NameAddr:
    return NameAddr.parse(text)


def parse_name_addr(text: str) -> NameAddr:
    """`NameAddr.parse`, remembering what short values say besides their tag."""
    if len(text) > 256:
        return NameAddr.parse(text)
    address, found, tag = text.partition(";tag=")
    if not found or not (_is_word(tag) or is_token(tag)):
        return _remembered(text)
    try:
        party = _remembered(address)
    except HeaderError:
        return _remembered(text)  # it was cut in the middle of something
    if "tag" in party.params:
        return _remembered(text)  # the first counts
    return NameAddr(display_name=party.display_name, uri=party.uri, params={**party.params, "tag": tag})


def parse_name_addrs(values: list[str]) -> list[NameAddr]:
    """The addresses of several header lines, each of which may be a comma list.  Raises HeaderError."""
    return [parse_name_addr(element) for value in values for element in split_list(value)]
