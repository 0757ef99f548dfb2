"""The configuration: one TOML file, every key with a default, errors with the line and the nearest key.

Without a file the server runs its development profile: everything on loopback, simulated phones at hand,
private addresses allowed.  The production profile starts closed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator

from cordboard.server.config_sections import (
    DEVELOPMENT_KEY,
    DnsSection,
    HttpSection,
    MediaSection,
    OutboundSection,
    PhonesSection,
    ProjectName,
    ProjectSection,
    RecordingsSection,
    RelaySection,
    Rewrite,
    Route,
    Section,
    ServerSection,
    SipSection,
    SpeechSection,
    Trunk,
    host_address,
    split_host,
)

__all__ = [
    "Config",
    "ConfigError",
    "DnsSection",
    "Rewrite",
    "Route",
    "ServerSection",
    "SipSection",
    "Trunk",
    "load",
    "parse",
    "split_host",
]


class ConfigError(Exception):
    """The file cannot be used.  `str()` is one line for each mistake: file, line, key, what is wrong."""


class Config(Section):
    """The whole file."""

    server: ServerSection = ServerSection()
    sip: SipSection = SipSection()
    media: MediaSection = MediaSection()
    http: HttpSection = HttpSection()
    relay: RelaySection = RelaySection()
    projects: dict[ProjectName, ProjectSection] = Field(default_factory=dict)
    """Project id → its tokens; none: RELAY and API are closed, but for the development profile's own."""
    recordings: RecordingsSection = RecordingsSection()
    speech: SpeechSection = SpeechSection()
    dns: DnsSection = DnsSection()
    outbound: OutboundSection = OutboundSection()
    phones: PhonesSection = PhonesSection()
    routes: dict[str, Route] = Field(default_factory=dict)
    """Number (`+1555…`), SIP user name, or a prefix ending in `*`; the longest match answers."""
    trunks: dict[str, Trunk] = Field(default_factory=dict)
    hosts: dict[str, Annotated[str, AfterValidator(host_address)]] = Field(default_factory=dict)
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
        if self.server.profile == "production" and self.server.signing_key == DEVELOPMENT_KEY:
            raise ValueError("server.signing_key must be set in the production profile")
        return self

    @model_validator(mode="after")
    def _contexts_have_a_project(self) -> Config:
        for key, route in self.routes.items():
            if route.project is not None and self.projects and route.project not in self.projects:
                raise ValueError(f"routes.{key}: there is no project {route.project!r}")
            if route.context is None:
                continue
            if route.project is None and self.project_of(route) not in self.projects and self.projects:
                raise ValueError(f"routes.{key}: project must be set, because there are several")
        return self

    def project_of(self, route: Route) -> str:
        """The project whose clients a call of this route is offered to, and which it belongs to."""
        return self.default_project if route.project is None else route.project

    @property
    def default_project(self) -> str:
        """Whose calls come in where a route names no project: the only project, else `server.project_id`."""
        return next(iter(self.projects)) if len(self.projects) == 1 else self.server.project_id

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


def load(path: Path) -> Config:
    """Read and check a file.  Raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
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
        can_be_shown = isinstance(found, str | int | float | bool) and not _SECRETS & set(path)
        shown = f" (found {found!r})" if can_be_shown else ""
        return str(problem["msg"]).removeprefix("Value error, ") + shown
    allowed = _keys_at(path[:-1])
    near = difflib.get_close_matches(path[-1], allowed, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown key{hint or '.'} Allowed here: {', '.join(sorted(allowed))}."


_SECRETS = {"tokens", "password", "signing_key"}

_ENTRY_MODELS: dict[str, type[BaseModel]] = {"projects": ProjectSection, "routes": Route, "trunks": Trunk}


def _keys_at(path: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Config
    if path and path[0] in _ENTRY_MODELS:
        model = _ENTRY_MODELS[path[0]]
    elif path:
        annotation = Config.model_fields[path[0]].annotation
        assert isinstance(annotation, type)
        model = annotation
    return [field.alias or name for name, field in model.model_fields.items()]


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
