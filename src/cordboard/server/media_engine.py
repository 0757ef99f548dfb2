"""The control process's side of the media: places legs on workers, sends commands, hands up events."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from cordboard.media.latching import DEFAULT_POLICY, LatchingPolicy
from cordboard.media.protocol import (
    CloseEndpoint,
    Command,
    EndpointClosed,
    EndpointRefused,
    Event,
    JoinEndpoints,
    LinkEndpoint,
    OpenEndpoint,
    PausePlaying,
    Ping,
    ResumePlaying,
    SendDigits,
    SetGain,
    SetRemote,
    StartPlay,
    StopPlaying,
    UnjoinEndpoints,
    UnlinkEndpoint,
    WatchSilence,
)
from cordboard.media.protocol_listeners import ListenerCommand
from cordboard.media.worker import WorkerSettings
from cordboard.server.worker_process import WorkerProcess

EndpointCommand = (
    SendDigits | ListenerCommand | WatchSilence | StopPlaying | PausePlaying | ResumePlaying | SetGain
)

_logger = logging.getLogger(__name__)


class MediaEngine:
    """Commands never fail and never wait: what becomes of them is told by `on_event` and `on_worker_died`.

    A command for an endpoint that is not there (closed, or lost with its worker) does nothing, except `open`,
    which always has a reply.  When a worker dies, its endpoints are gone: `on_worker_died` gets their ids and
    a sentence, and a new worker takes its place.
    """

    def __init__(
        self,
        *,
        workers: int,
        address: str,
        port_range: tuple[int, int],
        directory: str,
        on_event: Callable[[Event], None],
        on_worker_died: Callable[[list[str], str], None],
        public_address: str = "",
        latching: LatchingPolicy = DEFAULT_POLICY,
        port_quiet: float = 5.0,
        compiled: bool = True,
    ) -> None:
        self._address = address
        self._public_address = public_address
        self._directory = directory
        self._latching = latching
        self._port_quiet = port_quiet
        self._compiled = compiled
        self._on_event = on_event
        self._on_worker_died = on_worker_died
        self._worker_of: dict[str, WorkerProcess] = {}
        self._peers: dict[str, str] = {}
        self._workers = [
            self._make_worker(index, ports) for index, ports in enumerate(_shares(port_range, workers))
        ]

    def _make_worker(self, index: int, ports: tuple[int, int]) -> WorkerProcess:
        def settings(control_fd: int) -> WorkerSettings:
            return WorkerSettings(
                control_fd=control_fd,
                link_path=os.path.join(self._directory, f"media-{index}.sock"),
                address=self._address,
                public_address=self._public_address,
                first_port=ports[0],
                last_port=ports[1],
                port_quiet=self._port_quiet,
                latching=self._latching,
                compiled=self._compiled,
            )

        return WorkerProcess(settings, on_event=self._event_came, on_died=self._worker_died)

    async def start(self) -> None:
        """All workers answer when this returns.  Raises OSError if one does not; then none is left."""
        started = [worker.start() for worker in self._workers]
        outcomes = await asyncio.gather(*started, return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failures:
            await self.stop()
            raise failures[0]

    async def stop(self) -> None:
        """All workers have ended when this returns; nobody is told about their endpoints."""
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        self._worker_of.clear()
        self._peers.clear()

    def worker_pids(self) -> list[int]:
        """Of those that live."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def endpoints(self) -> int:
        """Open ones, and those of which the reply is under way."""
        return len(self._worker_of)

    def is_open(self, endpoint_id: str) -> bool:
        """It was opened, or is being opened, and neither closed nor lost."""
        return endpoint_id in self._worker_of

    # -------------------------------------------------------------- commands

    def open(self, endpoint_id: str, *, near: str | None = None, video: bool = False) -> None:
        """`EndpointOpened` or `EndpointRefused` follows.  `near`: on the same worker as this endpoint."""
        if endpoint_id in self._worker_of:
            self._refuse(endpoint_id, "the id is taken")
            return
        worker = self._place(near)
        if worker is None:
            self._refuse(endpoint_id, "no media worker is running")
            return
        self._worker_of[endpoint_id] = worker
        worker.endpoints.add(endpoint_id)
        worker.send(OpenEndpoint(endpoint_id=endpoint_id, video=video))

    def _place(self, near: str | None) -> WorkerProcess | None:
        wanted = self._worker_of.get(near) if near is not None else None
        if wanted is not None:
            return wanted
        ready = [worker for worker in self._workers if worker.is_ready]
        # One that still starts takes commands too; they wait for it, where nobody else is there.
        able = ready or [worker for worker in self._workers if worker.is_alive]
        return min(able, key=lambda worker: len(worker.endpoints), default=None)

    def _refuse(self, endpoint_id: str, sentence: str) -> None:
        refused = EndpointRefused(endpoint_id=endpoint_id, sentence=sentence)
        asyncio.get_running_loop().call_soon(self._on_event, refused)

    def set_remote(self, command: SetRemote) -> None:
        """May come again at any time."""
        self._send(command.endpoint_id, command)

    def join(self, a: str, b: str) -> None:
        """Either hears the other, whatever workers they are on; earlier joins of either end."""
        worker_a, worker_b = self._worker_of.get(a), self._worker_of.get(b)
        if worker_a is None or worker_b is None or a == b or self._peers.get(a) == b:
            return
        for end in (a, b):
            if end in self._peers:
                self._part(end)
        self._peers[a], self._peers[b] = b, a
        if worker_a is worker_b:
            worker_a.send(JoinEndpoints(a=a, b=b))
            return
        for here, worker, there, other in ((a, worker_a, b, worker_b), (b, worker_b, a, worker_a)):
            worker.send(
                LinkEndpoint(endpoint_id=here, remote_endpoint_id=there, remote_socket=other.link_path)
            )

    def unjoin(self, a: str, b: str) -> None:
        """Nothing flows between the two any more."""
        if self._peers.get(a) == b:
            self._part(a)

    def _part(self, endpoint_id: str) -> None:
        peer = self._peers.pop(endpoint_id, None)
        if peer is None:
            return
        self._peers.pop(peer, None)
        here, there = self._worker_of.get(endpoint_id), self._worker_of.get(peer)
        if here is there:
            self._send(endpoint_id, UnjoinEndpoints(a=endpoint_id, b=peer))
        else:
            self._send(endpoint_id, UnlinkEndpoint(endpoint_id=endpoint_id))
            self._send(peer, UnlinkEndpoint(endpoint_id=peer))

    def play(self, command: StartPlay) -> None:
        """`PlayEnded` follows, unless the endpoint is lost."""
        self._send(command.endpoint_id, command)

    def stop_play(self, command: StopPlaying) -> None:
        """`PlayEnded` follows if it was still playing."""
        self._send(command.endpoint_id, command)

    def send_digits(self, command: SendDigits) -> None:
        """After those that are still being sent."""
        self._send(command.endpoint_id, command)

    def close(self, endpoint_id: str) -> None:
        """`EndpointClosed` follows; the id may be used again after it."""
        if endpoint_id in self._peers:
            self._part(endpoint_id)
        self._send(endpoint_id, CloseEndpoint(endpoint_id=endpoint_id))

    def ping(self, serial: int) -> None:
        """A `Pong` with this serial follows from every worker that lives, after all commands so far."""
        for worker in self._workers:
            worker.send(Ping(serial=serial))

    def send(self, command: EndpointCommand) -> None:
        """Any other command for an open endpoint; without one it does nothing."""
        self._send(command.endpoint_id, command)

    def _send(self, endpoint_id: str, command: Command) -> None:
        worker = self._worker_of.get(endpoint_id)
        if worker is not None:
            worker.send(command)

    # -------------------------------------------------------------- from the workers

    def _event_came(self, worker: WorkerProcess, event: Event) -> None:
        if isinstance(event, EndpointClosed | EndpointRefused):
            self._forget(event.endpoint_id, worker)
        try:
            self._on_event(event)
        except Exception:
            # One listener's defect must not break the stream of events for all other calls.
            _logger.exception("an event of the media could not be taken: %r", event)

    def _forget(self, endpoint_id: str, worker: WorkerProcess) -> None:
        self._worker_of.pop(endpoint_id, None)
        worker.endpoints.discard(endpoint_id)

    def _worker_died(self, worker: WorkerProcess, sentence: str) -> None:
        lost = sorted(worker.endpoints)
        for endpoint_id in lost:
            self._forget(endpoint_id, worker)
            self._part(endpoint_id)
        _logger.error("%s; %d endpoints are lost", sentence, len(lost))
        self._on_worker_died(lost, sentence)


def _shares(port_range: tuple[int, int], workers: int) -> list[tuple[int, int]]:
    """The range in as many parts as there are workers, each beginning with an even port."""
    first, last = port_range[0] + port_range[0] % 2, port_range[1]
    pairs = max(0, last + 1 - first) // 2
    bounds = [first + 2 * (pairs * index // workers) for index in range(workers + 1)]
    return [(bounds[index], bounds[index + 1] - 1) for index in range(workers)]
