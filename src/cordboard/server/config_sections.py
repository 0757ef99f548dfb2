"""The sections of the configuration: every key, what it may be, and its default."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cordboard.call.codec_wish import KNOWN, read_codecs

_NAMESPACE = "00000000-0000-4000-8000-"
DEVELOPMENT_KEY = "development-signing-key"
_PREFIX = re.compile(r"\+[0-9]{0,15}")


def split_host(address: str, default_port: int) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]` or `[v6]:port` → host without brackets, and port."""
    host, separator, port = address.rpartition(":")
    if separator and port.isdigit() and (":" not in host or host.endswith("]")):
        return host.strip("[]"), int(port)
    return address.strip("[]"), default_port


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _network(value: str) -> str:
    ipaddress.ip_network(value, strict=False)
    return value


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value))


def host_address(value: str) -> str:
    address, port = split_host(value, 0)
    _address(address)
    if port > 65_535:
        raise ValueError("the port is over 65535")
    return value


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError(f"{value!r} is not an E.164 prefix such as '+1555'")
    return value


def _codecs(value: str) -> str:
    read = read_codecs(value)
    if read.unknown:
        raise ValueError(f"unknown codec {read.unknown[0]!r}; known are {', '.join(sorted(KNOWN))}")
    return value


Network = Annotated[str, AfterValidator(_network)]
"""A CIDR block."""
Address = Annotated[str, AfterValidator(_address)]
"""An IP address."""
E164 = Annotated[str, Field(pattern=r"^\+[0-9]{1,15}$")]
"""A phone number such as +15551234567."""
Prefix = Annotated[str, AfterValidator(_prefix)]
"""The beginning of E.164 numbers, such as +1555."""
ProjectName = Annotated[str, Field(min_length=1, max_length=255)]
Codecs = Annotated[str, AfterValidator(_codecs)]
"""A comma list of codecs, in order of preference."""


class _Reachable(Section):
    """A section with a socket: where it is bound, and what far ends are told."""

    address: Address = "127.0.0.1"
    public_address: Address | None = None
    """What far ends are told instead of `address` (behind NAT, or bound to all addresses)."""

    @model_validator(mode="after")
    def _can_be_told(self) -> Self:
        if self.public_address is None and ipaddress.ip_address(self.address).is_unspecified:
            raise ValueError(
                f"public_address must be set, because nobody can be told to send to {self.address}"
            )
        return self

    @property
    def told(self) -> str:
        return self.public_address or self.address


class ServerSection(Section):
    """Who this server is, and where it keeps its store."""

    profile: Literal["development", "production"] = "development"
    numbers: tuple[E164, ...] | None = None
    """The numbers that calls to phones may present as `from`; None: every E.164 number."""
    data_directory: str = "cordboard-data"
    """Store and cached audio; relative to the configuration file."""
    node_id: str = _NAMESPACE + "000000000001"
    project_id: str = _NAMESPACE + "000000000002"
    space_id: str = _NAMESPACE + "000000000003"
    signing_key: str = Field(default=DEVELOPMENT_KEY, min_length=1)
    """Signs callbacks and document requests (HMAC)."""
    max_calls: int = Field(default=10_000, ge=1, le=1_000_000)
    """Legs at once; further INVITEs get 503."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class SipSection(_Reachable):
    """The SIP listeners: UDP, TCP on the same port, TLS."""

    address_v6: Address | None = None
    """A second address, where `address` is an IPv4 address and calls go over IPv6 too."""
    public_address_v6: Address | None = None
    """What far ends are told instead of `address_v6`."""
    port: int = Field(default=5060, ge=0, le=65535)
    """0 takes a free port."""
    public_port: int | None = Field(default=None, ge=1, le=65535)
    """What far ends are told instead of `port`, behind a NAT that changes ports."""
    tcp: bool = True
    tls_port: int | None = Field(default=None, ge=0, le=65535)
    """None: no TLS listener; 0 takes a free port."""
    certificate: str | None = None
    """PEM file with the chain of the TLS listener, also shown to servers that ask for it."""
    certificate_key: str | None = None
    """PEM file; None: in the file of `certificate`."""
    client_ca: str | None = None
    """PEM file: TLS clients must show a certificate signed by one of these."""
    server_ca: str | None = None
    """PEM file that certificates of far ends are checked with; None: the system's."""
    verify_servers: bool = True
    """Check the certificates of far ends that are called over TLS, host name included."""
    default_transport: Literal["udp", "tcp", "tls"] = "udp"
    """Where neither the URI nor DNS says another."""
    idle_timeout: float = Field(default=600.0, ge=1)
    """Seconds after which a silent TCP or TLS connection without calls is closed."""
    max_connections: int = Field(default=10_000, ge=1)
    max_connections_per_source: int = Field(default=200, ge=1)
    keep_alive: float = Field(default=25.0, ge=0)
    """Seconds between the CRLFs that hold NAT bindings open (RFC 5626); 0: none."""
    session_timeout: int = Field(default=600, ge=0, le=86_400)
    """Session-Expires of our calls (RFC 4028), at least 90; 0: no session timers."""
    asserted_identity: bool = False
    """Send P-Asserted-Identity to SIP destinations too (trunks have a setting of their own)."""
    domain: str | None = None
    """Host of From URIs made from a number; default: the (public) address."""
    allowed_sources: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")
    """CIDR blocks that may place calls; everybody else gets 403."""

    @model_validator(mode="after")
    def _second_address(self) -> Self:
        if self.address_v6 is None:
            return self
        if ":" not in self.address_v6 or ":" in self.address:
            raise ValueError("address_v6 must be an IPv6 address beside an IPv4 one in address")
        if self.public_address_v6 is None and ipaddress.ip_address(self.address_v6).is_unspecified:
            raise ValueError("public_address_v6 must be set, because nobody can be told to send to ::")
        return self

    @model_validator(mode="after")
    def _tls_has_a_certificate(self) -> Self:
        if self.tls_port is not None and self.certificate is None:
            raise ValueError("certificate must be set, because tls_port opens a TLS listener")
        return self


class MediaSection(_Reachable):
    """RTP and the worker processes."""

    workers: int = Field(default=0, ge=0, le=256)
    """0 = one for each core."""
    compiled: bool = True
    """Use the compiled fast path where the installation has made it; False: Python alone."""
    port_min: int = Field(default=10_000, ge=1024, le=65_534)
    port_max: int = Field(default=19_999, ge=1025, le=65_535)
    directory: str | None = None
    """Where `file:` URLs of `play` may point; none: files are refused."""
    codecs: Codecs = "PCMU,PCMA"
    """Offered to far ends after the caller's own codec, where a destination does not say otherwise."""
    encryption: Literal["mandatory", "optional", "forbidden"] = "optional"
    """SRTP of calls that come in, and of those that are made where no document or trunk says otherwise."""
    hold_music: str = "generated"
    """What a party hears while the other holds it: `generated`, `none` (the far end's own), or a file."""
    rtp_timeout: float = Field(default=300.0, ge=0)
    """Seconds without RTP and RTCP after which a leg that is not on hold is hung up; 0: never."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        # Two ports for each leg, two legs for each call, on each worker.
        least = 4 * max(1, self.workers) - 1
        if self.port_max - self.port_min < least:
            raise ValueError(f"port_max must be at least port_min + {least}")
        return self


class HttpSection(_Reachable):
    """The HTTP listeners: recordings, RELAY."""

    port: int = Field(default=8080, ge=0, le=65535)
    """0 takes a free port."""
    public_url: str | None = None
    """What stands before the path in URLs that are handed out, such as https://calls.example.com."""
    tls_port: int | None = Field(default=None, ge=0, le=65535)
    """The same over TLS; None: no TLS listener; 0 takes a free port."""
    certificate: str | None = None
    """PEM file with the chain of the TLS listener."""
    certificate_key: str | None = None
    """PEM file; None: in the file of `certificate`."""

    @model_validator(mode="after")
    def _tls_has_a_certificate(self) -> Self:
        if self.tls_port is not None and self.certificate is None:
            raise ValueError("certificate must be set, because tls_port opens a TLS listener")
        return self


class RelaySection(Section):
    """Clients that control calls over WebSocket."""

    enabled: bool = True
    session_timeout: float = Field(default=300.0, ge=1, le=86_400)
    """Seconds for which a client may be without a connection before its calls lose it."""
    max_connections: int = Field(default=10_000, ge=1)
    max_connections_per_source: int = Field(default=200, ge=1)


class ProjectSection(Section):
    """Who may use RELAY and the HTTP API."""

    tokens: tuple[Annotated[str, Field(min_length=8, max_length=255)], ...] = Field(min_length=1, repr=False)


class RecordingsSection(Section):
    """Recordings of `record` and `record_call`."""

    directory: str | None = None
    """None: `recordings` in the data directory."""
    url_lifetime: int = Field(default=7 * 86_400, ge=60)
    """Seconds for which a recording's URL can be used."""
    keep_days: int = Field(default=30, ge=0)
    """Days after which recordings are deleted; 0: never."""


class SpeechSection(Section):
    """Text to speech (`say:`)."""

    engine: Literal["auto", "hibari", "espeak", "none"] = "auto"
    """auto: hibari for English, espeak-ng for other languages, where they are installed."""
    voice: str = ""
    """Where neither the document nor `say_voice` names one."""
    language: str = "en-US"


class DnsSection(Section):
    """How names of SIP destinations are looked up (RFC 3263)."""

    servers: tuple[str, ...] = ()
    """`address` or `address:port`; none: those of the system."""
    timeout: float = Field(default=3.0, gt=0, le=30)
    """Seconds for all look-ups of one name."""


class OutboundSection(Section):
    """Where documents, callbacks, audio and SIP calls may go."""

    allow_private: bool | None = None
    """Loopback and private addresses; default: only in the development profile."""
    allowed_networks: tuple[Network, ...] = ()
    """CIDR blocks allowed although they are private."""


class Route(Section):
    """What answers a number or a SIP name: a document, or the RELAY clients of a context."""

    document: str | None = None
    """A file (relative to the configuration file) or an http(s) URL; with `context`: where no client is."""
    fallback_url: str | None = None
    """Fetched when `document` cannot be."""
    context: str | None = Field(default=None, min_length=1, max_length=255)
    """Offer the call to the clients that are subscribed to it, one after another."""
    project: str | None = None
    """Whose calls they are, and whose clients are asked; None: `Config.default_project`."""
    offer_timeout: float = Field(default=20.0, ge=1, le=600)
    """Seconds that each client has to take the call."""

    @property
    def is_fetched(self) -> bool:
        return self.document is not None and _is_url(self.document)

    @model_validator(mode="after")
    def _is_answered(self) -> Self:
        if self.document is None and self.context is None:
            raise ValueError("document or context must be set")
        return self

    @model_validator(mode="after")
    def _fallback_fits(self) -> Self:
        if self.fallback_url is None:
            return self
        if not self.is_fetched:
            raise ValueError("fallback_url has a meaning only where document is a URL")
        if not _is_url(self.fallback_url):
            raise ValueError("fallback_url must be an http(s) URL")
        return self


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _rewrite(value: tuple[str, str]) -> tuple[str, str]:
    try:
        re.sub(value[0], value[1], "+15551234567")
    except (re.error, IndexError) as error:
        raise ValueError(f"{value[0]!r} cannot be used: {error}") from None
    return value


Rewrite = Annotated[tuple[str, str], AfterValidator(_rewrite)]
"""[regular expression, replacement]"""


class Trunk(Section):
    """A SIP trunk for phone numbers."""

    address: str
    """`host` or `host:port` of the carrier; without a port NAPTR and SRV are asked (RFC 3263)."""
    transport: Literal["udp", "tcp", "tls"] | None = None
    """None: what DNS says, else UDP."""
    allowed_prefixes: tuple[Prefix, ...] = ()
    """E.164 prefixes that may be dialled, such as `+1`; none: nothing."""
    priority: int = Field(default=0, ge=0, le=65_535)
    """Trunks with the lowest are tried first."""
    weight: int = Field(default=1, ge=1, le=65_535)
    """Share of the calls among trunks of one priority."""
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    realm: str | None = None
    """Answer only challenges of this realm."""
    registers: bool = Field(default=False, alias="register")
    """Keep a REGISTER up, so that the carrier sends calls to this server."""
    register_expires: int = Field(default=300, ge=60, le=86_400)
    rewrite_to: tuple[Rewrite, ...] = ()
    """[pattern, replacement] pairs for the dialled number, the first that matches counts."""
    rewrite_from: tuple[Rewrite, ...] = ()
    """The same for the caller's number."""
    from_user: str | None = None
    """User of the From URI in place of the caller's number (some carriers want the account's name)."""
    from_names: bool = False
    """Callers who are no number are told by their name (a PBX takes them, a carrier does not)."""
    from_domain: str | None = None
    asserted_identity: bool = True
    """Say the caller's number in P-Asserted-Identity."""
    codecs: Codecs | None = None
    encryption: Literal["mandatory", "optional", "forbidden"] = "forbidden"
    two_media_lines: bool = False
    """Offer `optional` as an SAVP and an AVP line instead of one AVP line with a=crypto (RFC 8643)."""
    dtmf: Literal["auto", "rfc4733", "info", "inband"] = "auto"
    session_timeout: int | None = Field(default=None, ge=0, le=86_400)
    allowed_sources: tuple[Network, ...] = ()
    """CIDR blocks whose calls come from this trunk; their asserted identity is believed."""
    options_interval: float = Field(default=0.0, ge=0)
    """Seconds between OPTIONS requests; a trunk that does not answer them is passed over; 0: none."""
    max_calls: int = Field(default=0, ge=0)
    """At once; 0: no limit."""
    max_calls_per_second: float = Field(default=0.0, ge=0)
    """0: no limit."""
    test_number: E164 | None = None
    """What `cordboard trunk test` calls; None: nothing is dialled."""
    rates: dict[Prefix, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """US dollars a minute by prefix; the longest prefix counts."""


class PhonesSection(Section):
    """The simulated phones."""

    enabled: bool | None = None
    """Default: only in the development profile."""
    address: Address = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    """0 takes a free port."""
