"""Which document or context answers which number or SIP name, reloaded without a restart.

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
    """What answers: a loaded document, or a URL to fetch one from; before them the clients of a context."""

    document: Document | None = None
    url: str | None = None
    fallback_url: str | None = None
    context: str | None = None
    project: str | None = None
    """Whose clients; None: the server's own."""
    offer_timeout: float = 20.0
    """Seconds that each client has."""

    @property
    def has_document(self) -> bool:
        return self.document is not None or self.url is not None


class RouteError(Exception):
    """A route names a document that cannot be used; `str()` has a line for each mistake."""


class Routes:
    """The routes of one configuration, with their documents loaded."""

    def __init__(self, routes: Mapping[str, Route], directory: Path) -> None:
        """Raises `RouteError`."""
        self._exact: dict[str, Routed] = {}
        self._prefixes: list[tuple[str, Routed]] = []
        mistakes: list[str] = []
        for key, route in routes.items():
            try:
                self._add(key, _load(route, directory))
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


def _load(route: Route, directory: Path) -> Routed:
    return msgspec.structs.replace(
        _document(route, directory),
        context=route.context,
        project=route.project,
        offer_timeout=route.offer_timeout,
    )


def _document(route: Route, directory: Path) -> Routed:
    if route.document is None:
        return Routed()
    if route.is_fetched:
        return Routed(url=route.document, fallback_url=route.fallback_url)
    path = directory / route.document
    try:
        return Routed(document=load(path.read_bytes(), source=str(path)))
    except OSError as error:
        raise RouteError(f"{path}: cannot be read: {error.strerror}") from None
    except DocumentError as error:
        raise RouteError(str(error)) from None


_Stamp = tuple[int, int] | None
"""Time of the last change and size; None for a file that is not there."""


class RouteTable:
    """The routes in force, and the check for newer files."""

    def __init__(self, config: Config, path: Path | None, directory: Path) -> None:
        """`path` is the configuration file, if there is one.  Raises `RouteError`."""
        self._path = path
        self._directory = directory
        self._config = self._wanted = config
        self._seen = self._stamps(config)
        self._routes = Routes(config.routes, directory)

    def find(self, dialled: str) -> Routed | None:
        return self._routes.find(dialled)

    def reload_if_changed(self) -> bool:
        """Look at the files' times; True when newer ones have been taken over.

        Files that were refused are looked at again when one of them has changed once more.
        """
        if self._stamps(self._wanted) == self._seen:
            return False
        try:
            self._wanted = configuration.load(self._path) if self._path else self._config
            self._seen = self._stamps(self._wanted)
            self._routes = Routes(self._wanted.routes, self._directory)
        except (ConfigError, RouteError) as error:
            self._seen = self._stamps(self._wanted)
            _log.error("the changed files are refused, the old ones stay in force:\n%s", error)
            return False
        self._taken_over()
        return True

    def _taken_over(self) -> None:
        rest = {"routes": self._config.routes}
        if self._wanted.model_copy(update=rest) != self._config:
            _log.warning("of the changed configuration only the routes are in force before a restart")
        _log.info("routes reloaded: %d", len(self._wanted.routes))

    def _stamps(self, config: Config) -> dict[Path, _Stamp]:
        """The files that decide: the configuration, and the documents that it names."""
        documents = (route.document for route in config.routes.values() if not route.is_fetched)
        files = {self._directory / document for document in documents if document is not None}
        if self._path is not None:
            files.add(self._path)
        return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
