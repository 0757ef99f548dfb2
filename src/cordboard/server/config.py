"""The configuration: one TOML file, every key with a default, errors with the line and the nearest key.

Without a file the server runs its development profile: everything on loopback, simulated phones at hand,
private addresses allowed.  The production profile starts closed.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

_NAMESPACE = "00000000-0000-4000-8000-"
_DEVELOPMENT_KEY = "development-signing-key"


class ConfigError(Exception):
    """The file cannot be used.  `str()` is one line for each mistake: file, line, key, what is wrong."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _network(value: str) -> str:
    ipaddress.ip_network(value, strict=False)
    return value


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value))


def _host_address(value: str) -> str:
    address, port = split_host(value, 0)
    _address(address)
    if port > 65_535:
        raise ValueError("the port is over 65535")
    return value


Network = Annotated[str, AfterValidator(_network)]
"""A CIDR block."""
Address = Annotated[str, AfterValidator(_address)]
"""An IP address."""


class _Reachable(_Section):
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


class ServerSection(_Section):
    """Who this server is, and where it keeps its store."""

    profile: Literal["development", "production"] = "development"
    data_directory: str = "cordboard-data"
    """Store and cached audio; relative to the configuration file."""
    node_id: str = _NAMESPACE + "000000000001"
    project_id: str = _NAMESPACE + "000000000002"
    space_id: str = _NAMESPACE + "000000000003"
    signing_key: str = Field(default=_DEVELOPMENT_KEY, min_length=1)
    """Signs callbacks and document requests (HMAC)."""
    max_calls: int = Field(default=10_000, ge=1, le=1_000_000)
    """Legs at once; further INVITEs get 503."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class SipSection(_Reachable):
    """The SIP listener (UDP)."""

    port: int = Field(default=5060, ge=0, le=65535)
    """0 takes a free port."""
    domain: str | None = None
    """Host of From URIs made from a number; default: the (public) address."""
    allowed_sources: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")
    """CIDR blocks that may place calls; everybody else gets 403."""


class MediaSection(_Reachable):
    """RTP and the worker processes."""

    workers: int = Field(default=0, ge=0, le=256)
    """0 = one for each core."""
    port_min: int = Field(default=10_000, ge=1024, le=65_534)
    port_max: int = Field(default=19_999, ge=1025, le=65_535)
    directory: str | None = None
    """Where `file:` URLs of `play` may point; none: files are refused."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        # Two ports for each leg, two legs for each call, on each worker.
        least = 4 * max(1, self.workers) - 1
        if self.port_max - self.port_min < least:
            raise ValueError(f"port_max must be at least port_min + {least}")
        return self


class OutboundSection(_Section):
    """Where documents, callbacks, audio and SIP calls may go."""

    allow_private: bool | None = None
    """Loopback and private addresses; default: only in the development profile."""
    allowed_networks: tuple[Network, ...] = ()
    """CIDR blocks allowed although they are private."""


class Route(_Section):
    """What answers a number or a SIP name."""

    document: str
    """A file (relative to the configuration file) or an http(s) URL."""
    fallback_url: str | None = None
    """Fetched when `document` cannot be."""

    @property
    def is_fetched(self) -> bool:
        return _is_url(self.document)

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


class Trunk(_Section):
    """A SIP trunk for phone numbers."""

    address: str
    """`host` or `host:port` of the carrier."""
    allowed_prefixes: tuple[str, ...] = ()
    """E.164 prefixes that may be dialled, such as `+1`; none: nothing."""

    @field_validator("allowed_prefixes")
    @classmethod
    def _prefixes(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not re.fullmatch(r"\+[0-9]{0,15}", value):
                raise ValueError(f"{value!r} is not an E.164 prefix such as '+1555'")
        return values


class PhonesSection(_Section):
    """The simulated phones."""

    enabled: bool | None = None
    """Default: only in the development profile."""
    address: Address = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    """0 takes a free port."""


class Config(_Section):
    """The whole file."""

    server: ServerSection = ServerSection()
    sip: SipSection = SipSection()
    media: MediaSection = MediaSection()
    outbound: OutboundSection = OutboundSection()
    phones: PhonesSection = PhonesSection()
    routes: dict[str, Route] = Field(default_factory=dict)
    """Number (`+1555…`), SIP user name, or a prefix ending in `*`; the longest match answers."""
    trunks: dict[str, Trunk] = Field(default_factory=dict)
    hosts: dict[str, Annotated[str, AfterValidator(_host_address)]] = Field(default_factory=dict)
    """Host names with a fixed `address` or `address:port`, asked before DNS."""
    envs: dict[str, str] = Field(default_factory=dict)
    """What documents see as `envs`."""

    @field_validator("routes", mode="before")
    @classmethod
    def _short_routes(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: {"document": v} if isinstance(v, str) else v for k, v in value.items()}

    @model_validator(mode="after")
    def _production_is_keyed(self) -> Config:
        if self.server.profile == "production" and self.server.signing_key == _DEVELOPMENT_KEY:
            raise ValueError("server.signing_key must be set in the production profile")
        return self

    @property
    def is_development(self) -> bool:
        return self.server.profile == "development"

    @property
    def private_allowed(self) -> bool:
        allowed = self.outbound.allow_private
        return self.is_development if allowed is None else allowed

    @property
    def phones_enabled(self) -> bool:
        return self.is_development if self.phones.enabled is None else self.phones.enabled


def split_host(address: str, default_port: int) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]` or `[v6]:port` → host without brackets, and port."""
    host, separator, port = address.rpartition(":")
    if separator and port.isdigit() and (":" not in host or host.endswith("]")):
        return host.strip("[]"), int(port)
    return address.strip("[]"), default_port


def load(path: Path) -> Config:
    """Read and check a file.  Raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return parse(text, source=str(path))


def parse(text: str, *, source: str) -> Config:
    """Check the text of a file.  Raises `ConfigError`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from None
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(_lines(error, text, source))) from None


def _lines(error: ValidationError, text: str, source: str) -> list[str]:
    found: list[tuple[int, str]] = []
    for problem in error.errors():
        path = tuple(str(part) for part in problem["loc"])
        found.append((_line_of(text, path), f"{'.'.join(path) or 'file'}: {_explain(problem, path)}"))
    return [f"{source}:{line}: {mistake}" for line, mistake in sorted(found)]


def _explain(problem: Any, path: tuple[str, ...]) -> str:
    if problem["type"] != "extra_forbidden":
        found = problem.get("input")
        shown = f" (found {found!r})" if isinstance(found, str | int | float | bool) else ""
        return str(problem["msg"]).removeprefix("Value error, ") + shown
    allowed = _keys_at(path[:-1])
    near = difflib.get_close_matches(path[-1], allowed, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown key{hint or '.'} Allowed here: {', '.join(sorted(allowed))}."


_ENTRY_MODELS: dict[str, type[BaseModel]] = {"routes": Route, "trunks": Trunk}


def _keys_at(path: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Config
    if path and path[0] in _ENTRY_MODELS:
        model = _ENTRY_MODELS[path[0]]
    elif path:
        annotation = Config.model_fields[path[0]].annotation
        assert isinstance(annotation, type)
        model = annotation
    return list(model.model_fields)


_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)\s*=""")


def _line_of(text: str, path: tuple[str, ...]) -> int:
    """The line that sets `path`, or the deepest table on the way to it; 1 when there is neither."""
    best_line, best_depth = 1, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        here = table
        if match := _TABLE.match(line):
            here = table = _split_key(match[1])
        elif match := _KEY.match(line):
            here = table + _split_key(match[1])
        else:
            continue
        if len(here) > best_depth and here == path[: len(here)]:
            best_line, best_depth = number, len(here)
    return best_line


def _split_key(key: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(r"""[^."']+|"[^"]*"|'[^']*'""", key))
