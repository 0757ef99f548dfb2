"""The Via header (RFC 3261 section 20.42; `rport`: RFC 3581)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from cordboard.sip.headers.grammar import HOST, TOKEN, HeaderError, is_token
from cordboard.sip.headers.parameters import Parameters, parse_parameters, write_parameters

MAGIC_COOKIE = "z9hG4bK"

_VIA = re.compile(
    rf"{TOKEN}[ \t]*+/[ \t]*+{TOKEN}[ \t]*+/[ \t]*+({TOKEN})[ \t]++"
    rf"({HOST})[ \t]*+(?::[ \t]*+([0-9]{{1,5}}))?[ \t]*+(;.*+)?",
    re.DOTALL,
)


class Via(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One hop: how the message travelled, and who sent it.  Treat `params` as read-only."""

    transport: str
    """In upper case: UDP, TCP, TLS, WS, …"""
    host: str
    """A name or an address; IPv6 without brackets."""
    port: int | None = None
    params: Mapping[str, str | None] = {}

    @classmethod
    def parse(cls, text: str) -> Via:
        """Reads one value (no comma list); raises HeaderError."""
        found = _VIA.fullmatch(text)
        if found is None:
            raise HeaderError("malformed Via")
        transport, host, port, params = found.groups()
        number = None if port is None else int(port)
        if number is not None and number > 65535:
            raise HeaderError("the port is over 65535")
        return cls(
            transport=transport.upper(),
            host=host[1:-1] if host[0] == "[" else host,
            port=number,
            params=parse_parameters(params) if params else {},
        )

    @property
    def branch(self) -> str | None:
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """The address the message came from, without brackets."""
        value = self.params.get("received")
        return value.strip("[]") if value else value

    @property
    def rport(self) -> int | None:
        """The port the message came from; None if there is none yet (see `wants_rport`)."""
        value = self.params.get("rport")
        return int(value) if value and len(value) <= 5 and value.isascii() and value.isdigit() else None

    @property
    def wants_rport(self) -> bool:
        """Whether the sender asks for answers to the port it sent from (RFC 3581)."""
        return "rport" in self.params

    @property
    def sent_by(self) -> str:
        """`host` or `host:port`, in lower case."""
        if len(self.host) > _ORDINARY_LENGTH:
            return _sent_by.__wrapped__(self.host, self.port)
        return _sent_by(self.host, self.port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {host}{port}{write_parameters(self.params)}"


_ORDINARY_LENGTH = 256
_is_word = re.compile("[A-Za-z0-9-]+").fullmatch


def parse_via(text: str) -> Via:
    """`Via.parse`, remembering what short values say besides their branch: only that is new with each."""
    before, found, after = text.partition(";branch=")
    branch, semicolon, others = after.partition(";")
    if not found or len(text) > _ORDINARY_LENGTH or not (_is_word(branch) or is_token(branch)):
        return Via.parse(text)
    try:
        hop, rest = _remembered_hop(before), _remembered_parameters(semicolon + others)
    except HeaderError:
        return Via.parse(text)  # cut in the middle of something, or malformed
    params = {**hop.params, "branch": branch, **rest}
    if len(params) != len(hop.params) + 1 + len(rest):
        return Via.parse(text)  # a name is there twice, and the first counts
    return Via(transport=hop.transport, host=hop.host, port=hop.port, params=params)


@lru_cache(maxsize=1024)
def _sent_by(host: str, port: int | None) -> str:
    host = f"[{host}]" if ":" in host else host
    return (host if port is None else f"{host}:{port}").lower()


@lru_cache(maxsize=1024)
def _remembered_hop(text: str) -> Via:
    return Via.parse(text)


@lru_cache(maxsize=1024)
def _remembered_parameters(text: str) -> Parameters:
    return parse_parameters(text)
