"""Which document answers which number or SIP name, reloaded without a restart.

A changed file is taken over only when the whole of it is good; otherwise the old routes and documents stay
and the log says what is wrong.  Running calls keep the document they began with.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cordboard.server import config as configuration
from cordboard.server.config import Config, ConfigError, Route
from cordboard.swml.document import Document, DocumentError, load

_log = logging.getLogger(__name__)


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """What answers: a loaded document, or a URL to fetch one from."""

    document: Document | None = None
    url: str | None = None
    fallback_url: str | None = None


class RouteError(Exception):
    """A route names a document that cannot be used; `str()` has a line for each mistake."""


class Routes:
    """The routes of one configuration, with their documents loaded."""

    def __init__(self, routes: Mapping[str, Route], directory: Path) -> None:
        """Raises `RouteError`."""
        self.files: dict[Path, float] = {}
        self._exact: dict[str, Routed] = {}
        self._prefixes: list[tuple[str, Routed]] = []
        mistakes: list[str] = []
        for key, route in routes.items():
            try:
                self._add(key, self._load(route, directory))
            except RouteError as error:
                mistakes.append(f"route {key!r}: {error}")
        if mistakes:
            raise RouteError("\n".join(mistakes))
        self._prefixes.sort(key=lambda entry: len(entry[0]), reverse=True)

    def find(self, dialled: str) -> Routed | None:
        """The entry for a user part: exact first, then the longest prefix."""
        routed = self._exact.get(dialled)
        if routed is not None:
            return routed
        return next((routed for prefix, routed in self._prefixes if dialled.startswith(prefix)), None)

    def _add(self, key: str, routed: Routed) -> None:
        if key.endswith("*"):
            self._prefixes.append((key[:-1], routed))
        else:
            self._exact[key] = routed

    def _load(self, route: Route, directory: Path) -> Routed:
        where = route.document
        if where.startswith(("http://", "https://")):
            return Routed(url=where, fallback_url=route.fallback_url)
        path = directory / where
        try:
            self.files[path] = path.stat().st_mtime
            return Routed(document=load(path.read_bytes(), source=str(path)))
        except OSError as error:
            raise RouteError(f"{path}: cannot be read: {error.strerror}") from None
        except DocumentError as error:
            raise RouteError(str(error)) from None


class RouteTable:
    """The routes in force, and the check for newer files."""

    def __init__(self, config: Config, path: Path | None, directory: Path) -> None:
        """`path` is the configuration file, if there is one.  Raises `RouteError`."""
        self._path = path
        self._directory = directory
        self._routes = Routes(config.routes, directory)
        self._keys: Mapping[str, Route] = config.routes
        self._config_time = _mtime(path) if path else 0.0

    def find(self, dialled: str) -> Routed | None:
        return self._routes.find(dialled)

    def reload_if_changed(self) -> bool:
        """Look at the files' times; True when newer ones have been taken over."""
        config_time = _mtime(self._path) if self._path else 0.0
        changed = config_time != self._config_time
        if not changed and all(_mtime(path) == time for path, time in self._routes.files.items()):
            return False
        try:
            keys = configuration.load(self._path).routes if changed and self._path else self._keys
            routes = Routes(keys, self._directory)
        except (ConfigError, RouteError) as error:
            self._remember_times(config_time)
            _log.error("the changed files are refused, the old ones stay in force:\n%s", error)
            return False
        self._routes, self._keys, self._config_time = routes, keys, config_time
        _log.info("routes reloaded: %d", len(keys))
        return True

    def _remember_times(self, config_time: float) -> None:
        self._config_time = config_time
        for path in self._routes.files:
            self._routes.files[path] = _mtime(path)


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return -1.0
