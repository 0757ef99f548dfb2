"""The server as a whole: what is started in which order, and what is left when it stops."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import uuid
from collections.abc import Awaitable
from pathlib import Path

from cordboard.call.reasons import ending
from cordboard.legs.sip_legs import Identity, SipLegs
from cordboard.server.address_rules import source_filter
from cordboard.server.config import Config, Trunk, split_host
from cordboard.server.exchange import Exchange
from cordboard.server.fetcher import AudioFetcher, DocumentFetcher
from cordboard.server.media_engine import MediaEngine
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.recorder import Recorder
from cordboard.server.recovery import recover
from cordboard.server.routes import RouteTable
from cordboard.server.sip_sockets import UdpSocket
from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.targets import Targets
from cordboard.server.webhook_sender import WebhookSender
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.stack import SipStack
from cordboard.testing.phone import PhoneBank

_log = logging.getLogger(__name__)

PHONES_HOST = "phones.test"
"""Host name of the simulated phones: `sip:alice@phones.test`."""
PHONES_PREFIX = "+1555010"
"""Numbers of the simulated phones."""
_RELOAD_EVERY = 1.0
_FAREWELL = 2.0
_LAST_CALLBACKS = 2.0


def new_id() -> str:
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


class Server:
    """One node.  `await start()`, then `await stop()`; or use it as an async context manager."""

    def __init__(self, config: Config, *, path: Path | None = None, directory: Path | None = None) -> None:
        """`path`: the configuration file; `directory`: what its relative paths start from."""
        self.config = config
        self._path = path
        self._directory = directory or (path.parent if path else Path.cwd())
        self.routes = RouteTable(config, path, self._directory)
        self.phones: PhoneBank | None = None
        self.store: SqliteStore
        self.sender: WebhookSender
        self.media: MediaEngine
        self.exchange: Exchange
        self.recorder: Recorder
        self.socket: UdpSocket
        self._sockets_directory: tempfile.TemporaryDirectory[str] | None = None
        self._reloading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def data_directory(self) -> Path:
        return self._directory / self.config.server.data_directory

    # ------------------------------------------------------------ start

    async def start(self) -> None:
        """Raises OSError (a port is taken), `StoreError`."""
        if self.config.phones_enabled:
            await self._start_phones()
        policy, ports = self._outbound()
        self.store = SqliteStore.open(self.data_directory / "cordboard.sqlite3")
        self.sender = WebhookSender(self.store, policy, signing_key=self.config.server.signing_key)
        self.recorder = Recorder(self.store, self.sender, new_id)
        self.socket = UdpSocket(
            self.config.sip.address, self.config.sip.port, self._received, self._unreachable
        )
        self.exchange = self._make_exchange(policy, ports)
        self.media = self._make_media()
        await self.media.start()
        self.exchange.attach(self.socket.send, self.media)
        await recover(self.store, self.sender, self.exchange.hang_up_saved)
        await self.sender.start()
        self._reloading = asyncio.create_task(self._watch_files())

    async def _start_phones(self) -> None:
        section = self.config.phones
        self.phones = PhoneBank(address=section.address, port=section.port)
        await self.phones.start()

    def _outbound(self) -> tuple[OutboundPolicy, dict[str, int]]:
        hosts = dict(self.config.hosts)
        if self.phones is not None:
            hosts[PHONES_HOST] = f"{self.phones.address}:{self.phones.port}"
        fixed = {name.lower(): split_host(address, 0) for name, address in hosts.items()}
        policy = OutboundPolicy(
            allow_private=self.config.private_allowed,
            allowed_networks=self.config.outbound.allowed_networks,
            hosts={name: address for name, (address, _) in fixed.items()},
        )
        return policy, {name: port for name, (_, port) in fixed.items() if port}

    def _trunks(self) -> dict[str, Trunk]:
        trunks = dict(self.config.trunks)
        if self.phones is not None:
            address = f"{self.phones.address}:{self.phones.port}"
            trunks["simulated phones"] = Trunk(address=address, allowed_prefixes=(PHONES_PREFIX,))
        return trunks

    def _make_exchange(self, policy: OutboundPolicy, ports: dict[str, int]) -> Exchange:
        config = self.config
        stack = SipStack(
            local=self.socket.local,
            token=lambda: os.urandom(8).hex(),
            user_agent="Cordboard",
            max_sessions=config.server.max_calls,
        )
        ours = Identity(
            new_id=new_id,
            node_id=config.server.node_id,
            project_id=config.server.project_id,
            space_id=config.server.space_id,
            domain=config.sip.domain or config.sip.address,
        )
        legs = SipLegs(
            stack,
            ours,
            may_call=source_filter(config.sip.allowed_sources),
            max_legs=config.server.max_calls,
        )
        return Exchange(
            legs=legs,
            targets=Targets(policy, self._trunks(), ports),
            recorder=self.recorder,
            documents=DocumentFetcher(policy, signing_key=config.server.signing_key),
            audio=AudioFetcher(policy, self.data_directory / "audio", self._media_directory()),
            route=self.routes.find,
            envs=config.envs,
            new_id=new_id,
        )

    def _media_directory(self) -> Path | None:
        named = self.config.media.directory
        return self._directory / named if named else None

    def _make_media(self) -> MediaEngine:
        # Unix socket paths are short: they do not go into the data directory.
        self._sockets_directory = tempfile.TemporaryDirectory(prefix="cordboard-")
        section = self.config.media
        return MediaEngine(
            workers=section.workers or os.cpu_count() or 1,
            address=section.address,
            port_range=(section.port_min, section.port_max),
            directory=self._sockets_directory.name,
            on_event=self.exchange.media_event,
            on_worker_died=self.exchange.worker_died,
        )

    # ------------------------------------------------------------ while it runs

    def _received(self, data: bytes, source: Endpoint) -> None:
        self.exchange.received(data, source)

    def _unreachable(self, destination: Endpoint) -> None:
        self.exchange.unreachable(destination)

    async def _watch_files(self) -> None:
        while True:
            await asyncio.sleep(_RELOAD_EVERY)
            try:
                self.routes.reload_if_changed()
            except Exception:
                _log.exception("the changed files could not be looked at")

    # ------------------------------------------------------------ stop

    async def stop(self) -> None:
        """Hang up what lasts and see it off; callbacks that stay behind are sent after the next start."""
        self.exchange.draining = True
        if self._reloading is not None:
            self._reloading.cancel()
        self.exchange.switchboard.hang_up_all(ending("server_stopping"))
        await self._wait_for(self.exchange.quiet(), _FAREWELL)
        await self._wait_for(self.sender.idle(), _LAST_CALLBACKS)
        await self.exchange.stop()
        await self.media.stop()
        await self.sender.stop()
        self.socket.close()
        if self.phones is not None:
            await self.phones.stop()
        await self.store.close()
        if self._sockets_directory is not None:
            self._sockets_directory.cleanup()

    async def _wait_for(self, done: Awaitable[None], seconds: float) -> None:
        try:
            await asyncio.wait_for(done, seconds)
        except TimeoutError:
            _log.info("not everything was finished within %.0f s", seconds)
