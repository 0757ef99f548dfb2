"""Projects and their tokens: who may use RELAY and the HTTP API.

A project that is not there and a token that is wrong look the same, in the answer and in the work that it
takes.  Guessing is slowed down by source address, and by project for sources that never showed a right token:
so a guesser cannot lock out those whom the project knows.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from cordboard.server.config import Config

_log = logging.getLogger(__name__)

DEVELOPMENT_TOKEN = "development-token"
"""Of the one project of a development server that configures none; only loopback and private addresses."""

MOST_OF_A_SOURCE = 10
MOST_OF_A_KNOWN_SOURCE = 1_000
"""One that has shown a right token of this project: all clients may stand behind one proxy."""
MOST_OF_A_PROJECT = 100
"""Wrong tokens within a window."""
WINDOW = 60.0
_MOST_KEPT = 10_000
"""Sources, projects: those that failed longest ago are forgotten first."""


def development_credentials(config: Config) -> tuple[str, str] | None:
    """Project and token that a development server has of its own, where its file names none."""
    if config.projects or not config.is_development:
        return None
    return config.server.project_id, DEVELOPMENT_TOKEN


class _Failures:
    """Wrong tries by key, in windows of fixed length."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def is_over(self, key: str, now: float, most: int) -> bool:
        since, count = self._kept.get(key, (now, 0))
        return count >= most and now - since < WINDOW

    def add(self, key: str, now: float) -> None:
        since, count = self._kept.get(key, (now, 0))
        if now - since >= WINDOW:
            since, count = now, 0
        self._kept[key] = (since, count + 1)
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)


class Projects:
    """`tokens`: those of each project.  Nothing of it is shown by `repr` or in a log."""

    def __init__(self, tokens: Mapping[str, Sequence[str]], *, near_only: bool = False) -> None:
        """`near_only`: loopback and private sources alone are let in."""
        self._known = [(project, _digest(project, token)) for project in tokens for token in tokens[project]]
        self._near_only = near_only
        self._by_source = _Failures()
        self._by_project = _Failures()
        self._welcome: OrderedDict[tuple[str, str], None] = OrderedDict()
        """(source, project) that showed a right token."""

    @classmethod
    def of(cls, config: Config) -> Projects:
        """Those of the file; a development server without any has one, which it tells in its log."""
        own = development_credentials(config)
        if own is None:
            return cls({name: section.tokens for name, section in config.projects.items()})
        project, token = own
        _log.info("RELAY and API: project %s, token %s (development)", project, token)
        return cls({project: (token,)}, near_only=True)

    def __bool__(self) -> bool:
        """Somebody can be let in."""
        return bool(self._known)

    def __contains__(self, project: object) -> bool:
        return any(project == name for name, _ in self._known)

    def check(self, project: str, token: str, source: str, now: float) -> bool:
        """Whether they may in.  `source`: IP address; `now`: monotonic seconds."""
        source = network_of(source)
        digest, right = _digest(project, token), False
        for _, known in self._known:
            right |= hmac.compare_digest(known, digest)
        if self._is_slowed_down(project, source, now) or (self._near_only and not _is_near(source)):
            _log.warning("credentials from %s are not looked at", source)
            return False
        if not right:
            self._failed(project, source, now)
            return False
        self._welcome[source, project] = None
        if len(self._welcome) > _MOST_KEPT:
            self._welcome.popitem(last=False)
        return True

    def project_of(self, token: str, source: str, now: float) -> str | None:
        """Whose token it is, where no project is named (a Bearer token); otherwise as `check`."""
        found = ""
        for name, known in self._known:
            found = name if hmac.compare_digest(known, _digest(name, token)) else found
        return found if self.check(found, token, source, now) else None

    def _is_slowed_down(self, project: str, source: str, now: float) -> bool:
        if (source, project) in self._welcome:
            return self._by_source.is_over(source, now, MOST_OF_A_KNOWN_SOURCE)
        by_source = self._by_source.is_over(source, now, MOST_OF_A_SOURCE)
        return by_source or self._by_project.is_over(project, now, MOST_OF_A_PROJECT)

    def _failed(self, project: str, source: str, now: float) -> None:
        self._by_source.add(source, now)
        self._by_project.add(project[:255], now)
        _log.warning("wrong project or token from %s", source)


def network_of(address: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False).network_address)


def _is_near(source: str) -> bool:
    try:
        return ipaddress.ip_address(source).is_private
    except ValueError:
        return False


def _digest(project: str, token: str) -> bytes:
    """Of equal length whatever is compared, and of no use to who sees it."""
    told = f"{len(project)}:{project}{token}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(told).digest()
