"""The server as a whole: what is started in which order, and what is left when it stops."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from cordboard.call.facts import Fact
from cordboard.call.reasons import ending
from cordboard.legs.sip_legs import Identity, SipLegs
from cordboard.server.address_rules import source_filter
from cordboard.server.call_media import CallMedia
from cordboard.server.calling_api import CallingApi
from cordboard.server.calling_api_setup import attach as attach_api
from cordboard.server.config import Config, Trunk, split_host
from cordboard.server.detectors import Detectors
from cordboard.server.exchange import Exchange
from cordboard.server.fetcher import AudioFetcher, DocumentFetcher
from cordboard.server.http_server import HttpServer, RecordingDownloads
from cordboard.server.javascript import evaluate
from cordboard.server.leg_rules import leg_rules
from cordboard.server.media_engine import MediaEngine
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.playback import Playback
from cordboard.server.projects import Projects
from cordboard.server.random_ids import new_id, new_token
from cordboard.server.recorder import Recorder
from cordboard.server.recording_files import RecordingFiles
from cordboard.server.recording_links import RecordingLinks
from cordboard.server.recordings import Recordings
from cordboard.server.recovery import recover
from cordboard.server.registrations import TrunkWatch
from cordboard.server.relay_setup import Relay
from cordboard.server.relay_stored import owed
from cordboard.server.resolver import Resolver
from cordboard.server.routes import RouteTable
from cordboard.server.sip_setup import make_targets, make_watch, told
from cordboard.server.sip_sockets import UdpSocket
from cordboard.server.sip_transports import SipTransports
from cordboard.server.sounds import HoldMusic, Sounds
from cordboard.server.speech import Speech
from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.taps import Taps
from cordboard.server.tls import TlsContexts, TlsFiles
from cordboard.server.trunks import Trunks
from cordboard.server.webhook_sender import WebhookSender
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.stack import SipStack
from cordboard.testing.phone import PhoneBank

_log = logging.getLogger(__name__)

PHONES_HOST = "phones.test"
"""Host name of the simulated phones: `sip:alice@phones.test`."""
PHONES_PREFIX = "+1555010"
"""Numbers of the simulated phones."""
_STORE_FILE = "cordboard.sqlite3"
_SESSIONS = "relay-sessions"
_HOUSEKEEPING_EVERY = 1.0
_PRUNE_EVERY = 86_400.0
_KEEP_RECORDS = 30 * 86_400.0
"""Seconds for which records of calls, events and deliveries stay in the store."""
_FAREWELL = 2.0
_LAST_CALLBACKS = 2.0


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
        self.http: HttpServer
        self.api: CallingApi
        self.projects: Projects
        """Who may use RELAY and the HTTP API."""
        self.relay: Relay
        self.recordings: Recordings
        self.recorder: Recorder
        self.transports: SipTransports
        self.trunks: Trunks
        self.watch: TrunkWatch
        self._resolver: Resolver
        self._is_running = False
        self._closing = AsyncExitStack()
        """What must be ended again, in the reverse order of its start."""

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def data_directory(self) -> Path:
        return self._directory / self.config.server.data_directory

    @property
    def socket(self) -> UdpSocket:
        """SIP over UDP."""
        return self.transports.udp

    # ------------------------------------------------------------ start

    async def start(self) -> None:
        """Raises OSError (a port is taken), `StoreError`; then nothing of it goes on running."""
        try:
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise
        self._is_running = True

    async def _start(self) -> None:
        closing = self._closing
        # The store comes first: it tells whether another server runs here.
        self.store = SqliteStore.open(self.data_directory / _STORE_FILE)
        closing.push_async_callback(self.store.close)
        if self.config.phones_enabled:
            await self._start_phones()
        policy, ports = self._outbound()
        self.sender = WebhookSender(self.store, policy, signing_key=self.config.server.signing_key)
        closing.push_async_callback(self.sender.stop)
        self.recorder = Recorder(self.store, self.sender, new_id)
        self.transports = SipTransports(
            self.config.sip,
            on_message=self._received,
            on_failure=self._unreachable,
            directory=self._directory,
        )
        closing.push_async_callback(self.transports.close)
        self.projects = Projects.of(self.config)
        await self._start_http()
        self._documents = DocumentFetcher(policy, signing_key=self.config.server.signing_key)
        self.exchange = self._make_exchange(policy, ports)
        sessions = self.data_directory / _SESSIONS
        self.relay = Relay(self.config, self.exchange, self._documents, self.projects, sessions)
        closing.push_async_callback(self.relay.farewell)
        self.media = self._make_media()
        closing.push_async_callback(self.media.stop)
        self.exchange.attach(self.transports.send, self.media)
        closing.push_async_callback(self.exchange.stop)
        await self.media.start()
        evaluate("1", {})  # the first evaluation in a thread makes its context
        left = self.relay.left()
        await recover(self.store, self.sender, self.exchange.hang_up_saved, owed=owed(left))
        await self.sender.start()
        left_behind = await asyncio.to_thread(self._recording_files.orphans)
        self.relay.open(self.http, left)
        self._attach_api()
        # Only now: a call that came earlier would find no media, and recovery would close it.
        self.transports.listen()
        self.watch = make_watch(
            self.config,
            self.trunks,
            self._resolver,
            self.exchange.requests,
            self.transports.local,
            self.transports.send,
        )
        self.watch.start()
        closing.push_async_callback(self.watch.stop)
        closing.push_async_callback(self.transports.close)  # and first of all when it stops
        finishing = asyncio.create_task(self.recordings.finish(left_behind))
        closing.push_async_callback(_cancelled, finishing)
        housekeeping = asyncio.create_task(self._keep_house())
        closing.push_async_callback(_cancelled, housekeeping)

    async def _start_phones(self) -> None:
        section = self.config.phones
        self.phones = PhoneBank(address=section.address, port=section.port)
        await self.phones.start()
        self._closing.push_async_callback(self.phones.stop)

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
            trunks["simulated phones"] = Trunk(
                address=address, allowed_prefixes=(PHONES_PREFIX,), from_names=True
            )
        return trunks

    def _make_exchange(self, policy: OutboundPolicy, ports: dict[str, int]) -> Exchange:
        config = self.config
        first, *others = told(config.sip, self.transports.local)
        targets, self.trunks, self._resolver = make_targets(
            config, policy, trunks=self._trunks(), ports=ports, local=self.transports.local
        )
        stack = SipStack(
            local=first,
            also=others,
            token=new_token,
            user_agent="Cordboard",
            # Twice the legs: sessions of legs that are over are still being seen off.
            max_sessions=2 * config.server.max_calls,
        )
        ours = Identity(
            new_id=new_id,
            node_id=config.server.node_id,
            project_id=config.default_project,
            space_id=config.server.space_id,
            domain=config.sip.domain or config.sip.told,
        )
        legs = SipLegs(
            stack,
            ours,
            may_call=source_filter(_callers(config)),
            max_legs=config.server.max_calls,
            rules=leg_rules(config),
        )
        return Exchange(
            legs=legs,
            targets=targets,
            recorder=self.recorder,
            documents=self._documents,
            call_media=partial(self._make_call_media, policy),
            route=self.routes.find,
            ready=lambda: self.store.is_healthy,
            envs=config.envs,
            new_id=new_id,
        )

    def _make_call_media(
        self,
        policy: OutboundPolicy,
        media: MediaEngine,
        post: Callable[[str, Fact], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
    ) -> CallMedia:
        audio = AudioFetcher(policy, self.data_directory / "audio", self._media_directory())
        self.recordings = Recordings(self._recording_files, self._links, media, post, spawn, new_id)
        return CallMedia(
            Playback(media, Sounds(audio, self._speech(), self._hold_music()), post, spawn),
            self.recordings,
            Taps(policy, media, post, spawn, insecure=self.config.is_development),
            Detectors(media, post),
        )

    def _speech(self) -> Speech:
        section = self.config.speech
        return Speech(
            self.data_directory / "speech",
            engine=section.engine,
            voice=section.voice,
            language=section.language,
        )

    def _hold_music(self) -> HoldMusic:
        return HoldMusic(self.config.media.hold_music, self.data_directory / "music", self._directory)

    async def _start_http(self) -> None:
        """Development: where nobody asked for the port, any other will do."""
        section, recordings = self.config.http, self.config.recordings
        self._recording_files = RecordingFiles(
            self._directory / recordings.directory
            if recordings.directory
            else self.data_directory / "recordings"
        )
        await asyncio.to_thread(self._recording_files.prepare)
        self._links = RecordingLinks(self.config.server.signing_key, recordings.url_lifetime)
        spare = self.config.is_development and "port" not in section.model_fields_set
        self.http = HttpServer(section.address, section.port, spare=spare)
        RecordingDownloads(self._recording_files, self._links).add_to(self.http)
        self.api = CallingApi(self.projects)
        self.api.add_to(self.http)
        await self.http.start()
        self._closing.push_async_callback(self.http.stop)
        if section.tls_port is not None:
            await self.http.start_tls(section.tls_port, TlsContexts(self._http_files(), listens=True))
        host = f"[{section.told}]" if ":" in section.told else section.told
        self._links.base_url = (section.public_url or f"http://{host}:{self.http.port}").rstrip("/")

    def _attach_api(self) -> None:
        path, node_id = self.data_directory / _STORE_FILE, self.config.server.node_id
        attach_api(self.api, self.exchange, self.store, path, self.sender, node_id=node_id)

    def _http_files(self) -> TlsFiles:
        section = self.config.http
        assert section.certificate is not None
        key = section.certificate_key
        return TlsFiles(
            certificate=self._directory / section.certificate,
            key=self._directory / key if key is not None else None,
        )

    def _media_directory(self) -> Path | None:
        named = self.config.media.directory
        return self._directory / named if named else None

    def _make_media(self) -> MediaEngine:
        # Unix socket paths are short: they do not go into the data directory.
        directory = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="cordboard-"))
        section = self.config.media
        return MediaEngine(
            workers=section.workers or os.cpu_count() or 1,
            address=section.address,
            port_range=(section.port_min, section.port_max),
            directory=directory,
            public_address=section.public_address or "",
            compiled=section.compiled,
            on_event=self.exchange.media_event,
            on_worker_died=self.exchange.worker_died,
        )

    # ------------------------------------------------------------ while it runs

    def _received(self, data: bytes, source: Endpoint) -> None:
        self.exchange.received(data, source)

    def _unreachable(self, destination: Endpoint, sentence: str) -> None:
        self.exchange.unreachable(destination, sentence)

    async def _keep_house(self) -> None:
        """Each second: take over changed files, say what went wrong inside; each day: drop old records."""
        reported = 0
        next_prune = 0.0
        while True:
            await asyncio.sleep(_HOUSEKEEPING_EVERY)
            try:
                self.routes.reload_if_changed()
                self.exchange.sip_log.sweep()
                reported = self._report_defects(reported)
                if wanted := await self.store.take_resend_requests():
                    await self.sender.resend(wanted)
                if time.time() >= next_prune:
                    next_prune = time.time() + _PRUNE_EVERY
                    await self.store.prune(time.time() - _KEEP_RECORDS)
                    await self.recordings.prune(self.config.recordings.keep_days)
            except Exception:
                _log.exception("housekeeping failed; it is tried again")

    def _report_defects(self, reported: int) -> int:
        stack = self.exchange.legs.stack
        if stack.defects > reported:
            _log.error("%d defects in the SIP stack", stack.defects, exc_info=stack.last_defect)
        return stack.defects

    # ------------------------------------------------------------ stop

    async def stop(self) -> None:
        """Hang up what lasts and see it off; callbacks that stay behind are sent after the next start.

        A second call does nothing.
        """
        if self._is_running:
            self._is_running = False
            self.exchange.draining = True
            self.exchange.switchboard.hang_up_all(ending("server_stopping"))
            await asyncio.gather(
                self._wait_for(self.exchange.quiet(), _FAREWELL),
                self._wait_for(self.watch.farewell(), _FAREWELL),
            )
            await self.relay.farewell()
            self.exchange.sip_log.sweep(everything=True)
            await self._wait_for(self.sender.idle(), _LAST_CALLBACKS)
        await self._closing.aclose()

    async def _wait_for(self, done: Awaitable[None], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await done
        except TimeoutError:
            _log.info("not everything was finished within %.0f s", seconds)


def _callers(config: Config) -> tuple[str, ...]:
    """Who may place calls: the allowed sources, and those of every trunk."""
    of_trunks = (source for trunk in config.trunks.values() for source in trunk.allowed_sources)
    return (*config.sip.allowed_sources, *of_trunks)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
