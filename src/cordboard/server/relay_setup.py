"""RELAY of one server, put together."""

from __future__ import annotations

import logging
from pathlib import Path

from cordboard.relay.session import Limits
from cordboard.server.config import Config, Route
from cordboard.server.exchange import Exchange
from cordboard.server.fetcher import DocumentFetcher
from cordboard.server.http_server import HttpServer
from cordboard.server.projects import Projects
from cordboard.server.random_ids import new_id
from cordboard.server.relay_hub import Hub
from cordboard.server.relay_inbound import RelayInbound
from cordboard.server.relay_requests import RelayRequests
from cordboard.server.relay_server import RelayServer
from cordboard.server.relay_sessions import Setting
from cordboard.server.relay_stored import StoredSession, read
from cordboard.server.relay_transfers import RelayTransfers

_log = logging.getLogger(__name__)

_LAST_FRAMES = 1.0
"""Seconds for the last frames of clients when the server stops."""
_STOPPING = "The server is stopping."
_STORE = "The server's store fails; no call can be made now."


class Relay:
    """`hub` is where its clients are; it hears of calls from its making, and of clients from `open`."""

    def __init__(
        self,
        config: Config,
        exchange: Exchange,
        documents: DocumentFetcher,
        projects: Projects,
        sessions: Path,
    ) -> None:
        """`sessions`: the directory in which they outlive the process."""
        self._config = config
        self._directory = sessions
        self._exchange = exchange
        server, section = config.server, config.relay
        setting = Setting(
            node_id=server.node_id,
            space_id=server.space_id,
            signing_key=server.signing_key,
            limits=Limits(without_socket=section.session_timeout),
        )
        control, new_calls = exchange.control, exchange.new_calls
        self.hub = Hub(control, projects, setting, new_id)
        project = config.project_of(Route(context="any"))
        self.inbound = RelayInbound(self.hub, control, new_calls, project)
        transfers = RelayTransfers(control, new_calls, self.inbound, documents, config.envs, exchange.spawn)
        requests = RelayRequests(
            self.hub,
            control,
            self.inbound,
            transfers,
            node_id=server.node_id,
            new_id=new_id,
            closed_because=self._closed_because,
        )
        self.hub.perform, self.hub.watcher = requests.perform, self.inbound
        self.sockets = RelayServer(
            self.hub,
            most=section.max_connections,
            most_of_a_source=section.max_connections_per_source,
            is_stopping=lambda: exchange.draining,
        )
        exchange.inbound = self.inbound
        exchange.recorder.owned_listeners.append(self.hub.listen)
        exchange.recorder.listen(self.inbound.listen, "answered", "ended")

    def left(self) -> list[StoredSession]:
        """The sessions that an earlier run has left."""
        try:
            return read(self._directory) if self._config.relay.enabled else []
        except OSError as error:
            _log.error("the sessions of RELAY clients cannot be read: %s", error)
            return []

    def open(self, http: HttpServer, left: list[StoredSession]) -> None:
        """Go on with the sessions of an earlier run, let clients come."""
        if self._config.relay.enabled:
            self.hub.restore(left)
            self.hub.open_journal(self._directory)
            http.upgrades = self.sockets.answer

    async def farewell(self) -> None:
        """All calls are over: tell the clients to come back later."""
        self.hub.farewell()
        await self.sockets.stop(_LAST_FRAMES)
        await self.hub.journal.close()
        self.inbound.stop()

    def _closed_because(self) -> str:
        if self._exchange.draining:
            return _STOPPING
        return "" if self._exchange.is_ready() else _STORE
