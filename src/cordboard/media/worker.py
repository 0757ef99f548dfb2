"""The worker process: `python -m cordboard.media.worker SETTINGS`, SETTINGS being JSON (`WorkerSettings`).

It lives as long as its control socket: when that closes, for whatever reason, the process ends.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from cordboard.media import fastpath, protocol, rtcp
from cordboard.media.channel import ChannelError, command_reader, frame
from cordboard.media.clock import Clock
from cordboard.media.codecs import catalogue, resample
from cordboard.media.dtmf import Digit
from cordboard.media.endpoint import Endpoint
from cordboard.media.graph import Graph
from cordboard.media.hearing import Hearings
from cordboard.media.latching import LatchingPolicy
from cordboard.media.link import LinkEnd, LinkSocket
from cordboard.media.loop import TICK, Loop
from cordboard.media.observers import Observers
from cordboard.media.ports import PortPool
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender
from cordboard.media.silence import SilenceWatch
from cordboard.media.speaking import Speaking

_READ = 1 << 14
_HIGHEST_PORT = 0xFFFF
_NICENESS = -10
_MOST_UNSENT = 64 << 20
"""Bytes of events that the control process may leave unread before it counts as gone."""
_TICKS_BETWEEN_COLLECTIONS = 250
_REPORT_SLOTS = 512
"""Ticks that the wheel of due reports covers: more than the longest wait."""

_logger = logging.getLogger(__name__)


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is started with."""

    control_fd: int
    """The worker's end of the control socket (a Unix stream)."""
    link_path: str
    """Where other workers reach this one (a Unix datagram socket)."""
    address: str
    """To bind, and to say in `EndpointOpened` unless `public_address` is given."""
    public_address: str = ""
    first_port: int
    last_port: int
    port_quiet: float = 5.0
    """Seconds without a packet before a port is used again."""
    spare_ports: int = 64
    latching: LatchingPolicy = LatchingPolicy()
    compiled: bool = True
    """Use the compiled fast path where it is there."""


class Worker:
    """All endpoints of one process."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._clock = Clock(time.monotonic())
        self._endpoints: dict[str, Endpoint] = {}
        self._ticking: set[Incoming] = set()
        self._hearings: Hearings = {}
        self._reports_due: tuple[set[Endpoint], ...] = tuple(set() for _ in range(_REPORT_SLOTS))
        """Who tells its far end how it is heard, by the tick at which it does so next."""
        self._graph = Graph()
        self._random = random.SystemRandom()
        self._draw = random.Random(self._random.getrandbits(64)).random
        self._loop = Loop(
            clock=self._clock,
            tick=self._tick,
            after=self._flush,
            is_idle=self._is_idle,
            fastpath=fastpath.load() if settings.compiled else None,
        )
        self._speaking = Speaking(self._graph, self._loop.guard, self._endpoints)
        self._pool = PortPool(
            address=settings.address,
            ports=self._shuffled_ports(),
            readiness=self._loop,
            quiet=settings.port_quiet,
            spare=settings.spare_ports,
        )
        self._control = socket.socket(fileno=settings.control_fd)
        self._control.setblocking(False)
        self._commands = command_reader()
        self._outbox = bytearray()
        self._blocked = False
        self._ticks = 0
        self._actions: dict[type[protocol.Command], Callable[[Any], None]] = {
            protocol.OpenEndpoint: self._open,
            protocol.SetRemote: self._set_remote,
            protocol.JoinEndpoints: self._join,
            protocol.UnjoinEndpoints: self._unjoin,
            protocol.CloseEndpoint: self._close,
            protocol.LinkEndpoint: self._link,
            protocol.UnlinkEndpoint: self._unlink,
            protocol.Ping: self._ping,
        }
        self._observers = Observers(
            self._endpoints,
            clock=self._clock,
            report=self._report,
            play=self._speaking.say,
            new_sender=self._new_sender,
            draw=lambda: self._random.getrandbits(32),
            address=settings.address,
            public_address=settings.public_address,
        )
        self._actions.update(self._speaking.actions)
        self._actions.update(self._observers.actions)
        self._silence = SilenceWatch(self._endpoints, clock=self._clock, report=self._report)
        self._actions[protocol.WatchSilence] = self._silence.watch
        self._links = LinkSocket(settings.link_path)
        self._loop.watch_urgently(self._control, self._control_ready)
        self._loop.watch(self._links.socket, self._links.receive)

    def run(self) -> None:
        """Until the control process is gone."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._loop.run()
        self._observers.stop()

    def _shuffled_ports(self) -> list[int]:
        """Strangers shall not guess the next call's port."""
        first = self._settings.first_port + self._settings.first_port % 2
        ports = list(range(first, min(self._settings.last_port, _HIGHEST_PORT), 2))
        self._random.shuffle(ports)
        return ports

    def _is_idle(self) -> bool:
        return not self._endpoints and self._pool.is_settled and not self._observers

    # -------------------------------------------------------------- the control socket

    def _control_ready(self) -> None:
        try:
            data = self._control.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.stop()
            return
        try:
            for command in self._commands.feed(data):
                self._obey(command)
        except ChannelError:
            # Nothing that follows can be understood; the control process starts a new worker.
            _logger.exception("the control channel is broken")
            self._loop.stop()

    def _obey(self, command: protocol.Command) -> None:
        if not self._loop.guard(lambda: self._do(command)):
            self._answer_for(command)

    def _answer_for(self, command: protocol.Command) -> None:
        """Somebody waits for the reply, even if it could not be carried out for a reason nobody foresaw."""
        if isinstance(command, protocol.OpenEndpoint):
            self._refuse(command, "the media worker has a defect; its log says more")
        elif isinstance(command, protocol.CloseEndpoint):
            nothing_known = protocol.LegStatistics()
            self._report(protocol.EndpointClosed(endpoint_id=command.endpoint_id, statistics=nothing_known))
        elif isinstance(command, protocol.StartPlay):
            ids = {"endpoint_id": command.endpoint_id, "play_id": command.play_id}
            self._report(protocol.PlayEnded(**ids, errors=("The media worker has a defect.",)))

    def _report(self, event: protocol.Event) -> None:
        self._outbox += frame(event)

    def _endpoint_says(self, event: protocol.Event) -> None:
        self._report(event)
        self._observers.heard(event)

    def _flush(self) -> None:
        """All that one turn had to say goes out at once."""
        self._links.flush()
        if not self._outbox:
            return
        try:
            del self._outbox[: self._control.send(self._outbox)]
        except BlockingIOError:
            if len(self._outbox) > _MOST_UNSENT:
                self._loop.stop()
        except OSError:
            self._loop.stop()
        if self._blocked != bool(self._outbox):
            self._blocked = bool(self._outbox)
            self._loop.await_writable(self._control, self._blocked)

    # -------------------------------------------------------------- commands

    def _do(self, command: protocol.Command) -> None:
        self._actions[type(command)](command)

    def _open(self, command: protocol.OpenEndpoint) -> None:
        if command.endpoint_id in self._endpoints:
            self._refuse(command, "the id is taken")
            return
        ports = self._pool.take(self._clock.now)
        if ports is None:
            self._refuse(command, "no port is free")
            return
        endpoint = Endpoint(
            command.endpoint_id,
            address=self._settings.address,
            ports=ports,
            sender=self._new_sender(),
            clock=self._clock,
            readiness=self._loop,
            report=self._endpoint_says,
            policy=self._settings.latching,
            ticking=self._ticking,
            hearings=self._hearings,
            video=self._pool.take(self._clock.now) if command.video else None,
        )
        endpoint.incoming.keys.convert = partial(self._pressed, command.endpoint_id)
        self._await_report(endpoint, first=True)
        self._endpoints[command.endpoint_id] = endpoint
        address = self._settings.public_address or self._settings.address
        self._report(
            protocol.EndpointOpened(
                endpoint_id=command.endpoint_id,
                address=address,
                port=ports.port,
                video_port=endpoint.video.ports.port if endpoint.video is not None else 0,
            )
        )

    def _refuse(self, command: protocol.OpenEndpoint, sentence: str) -> None:
        self._report(protocol.EndpointRefused(endpoint_id=command.endpoint_id, sentence=sentence))

    def _new_sender(self) -> RtpSender:
        bits = self._random.getrandbits(79)
        # Half of the range of sequence numbers, so that a wrap does not come at once.
        return RtpSender(ssrc=bits & 0xFFFFFFFF, timestamp=bits >> 32 & 0xFFFFFFFF, sequence=bits >> 64)

    def _set_remote(self, command: protocol.SetRemote) -> None:
        endpoint = self._endpoints.get(command.endpoint_id)
        if endpoint is not None:
            endpoint.set_remote(command)
            self._graph.review(endpoint)

    def _join(self, command: protocol.JoinEndpoints) -> None:
        a, b = self._endpoints.get(command.a), self._endpoints.get(command.b)
        if a is not None and b is not None:
            self._part(a)
            self._part(b)
            self._graph.join(a, b)

    def _unjoin(self, command: protocol.UnjoinEndpoints) -> None:
        a, b = self._endpoints.get(command.a), self._endpoints.get(command.b)
        if a is not None and b is not None and self._graph.peer(a) is b:
            self._part(a)

    def _close(self, command: protocol.CloseEndpoint) -> None:
        endpoint = self._endpoints.pop(command.endpoint_id, None)
        if endpoint is None:
            return
        self._part(endpoint)
        self._observers.leave(command.endpoint_id)
        self._silence.leave(command.endpoint_id)
        self._speaking.forget(endpoint)
        self._ticking.discard(endpoint.incoming)
        for hearing in (endpoint.incoming.hearing, endpoint.outgoing.hearing):
            if hearing is not None:
                self._hearings.pop(hearing, None)
        self._reports_due[endpoint.report_slot].discard(endpoint)
        statistics = endpoint.close()
        self._pool.give_back(endpoint.ports, self._clock.now, heard=endpoint.was_heard)
        video = endpoint.video
        if video is not None:
            self._pool.give_back(video.ports, self._clock.now, heard=video.was_heard)
        self._report(protocol.EndpointClosed(endpoint_id=command.endpoint_id, statistics=statistics))

    def _pressed(self, endpoint_id: str, digit: Digit, by_tone: bool) -> None:
        self._speaking.pressed(self._endpoints.get(endpoint_id), digit, by_tone)

    def _pressed_beyond_link(self, endpoint_id: str, digit: Digit, by_tone: bool) -> None:
        self._speaking.press(self._endpoints.get(endpoint_id), digit, by_tone)

    def _link(self, command: protocol.LinkEndpoint) -> None:
        endpoint = self._endpoints.get(command.endpoint_id)
        if endpoint is None:
            return
        end = LinkEnd(
            command.endpoint_id,
            command.remote_endpoint_id,
            command.remote_socket,
            sender=self._new_sender(),
            clock=self._clock,
            transmit=self._links.transmit,
            ticking=self._ticking,
        )
        end.incoming.keys.convert = partial(self._pressed_beyond_link, command.endpoint_id)
        self._part(endpoint)
        self._links.add(end)
        self._graph.join(endpoint, end)

    def _unlink(self, command: protocol.UnlinkEndpoint) -> None:
        endpoint = self._endpoints.get(command.endpoint_id)
        if endpoint is not None and isinstance(self._graph.peer(endpoint), LinkEnd):
            self._part(endpoint)

    def _part(self, endpoint: Endpoint) -> None:
        peer = self._graph.part(endpoint)
        if isinstance(peer, LinkEnd):
            self._links.remove(peer)
            self._speaking.forget(peer)

    def _ping(self, command: protocol.Ping) -> None:
        self._report(
            protocol.Pong(
                serial=command.serial,
                endpoints=len(self._endpoints),
                free_ports=self._pool.free,
                tick_late_p99_ms=self._loop.tick_late_p99_ms(),
                resident_kib=_resident_kib(),
            )
        )

    # -------------------------------------------------------------- the tick

    def _tick(self) -> None:
        self._ticks += 1
        self._speaking.tick()
        for incoming in list(self._ticking):
            self._loop.guard(incoming.tick)
        for hearing in list(self._hearings):
            self._loop.guard(hearing.tick)
        if self._observers:
            self._loop.guard(self._observers.tick)
        if self._silence:
            self._loop.guard(self._silence.tick)
        self._send_reports()
        self._pool.tend(self._clock.now)
        if self._ticks % _TICKS_BETWEEN_COLLECTIONS == 0:
            gc.collect(1)

    def _send_reports(self) -> None:
        due = self._reports_due[self._ticks % _REPORT_SLOTS]
        while due:
            endpoint = due.pop()
            self._loop.guard(endpoint.report)
            self._await_report(endpoint)

    def _await_report(self, endpoint: Endpoint, *, first: bool = False) -> None:
        ticks = round(rtcp.wait(self._draw(), first=first) / TICK)
        endpoint.report_slot = (self._ticks + ticks) % _REPORT_SLOTS
        self._reports_due[endpoint.report_slot].add(endpoint)


def _resident_kib() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


def _raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _go_first() -> None:
    """A late packet is heard, a late document is not; where the system does not allow it, so be it."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


def main(arguments: list[str], *, start: Callable[[Worker], None] = Worker.run) -> None:
    """The process."""
    # Control-C, and the stop of a service manager, go to all processes; the control process decides when a
    # worker ends, which is when its calls have ended.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(format="%(asctime)s media worker: %(levelname)s %(message)s")
    _raise_file_limit()
    _go_first()
    # Its import takes longer than any tick may: not when the first file is played.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    resample.load()
    catalogue.load()
    start(Worker(msgspec.json.decode(arguments[0], type=WorkerSettings)))


if __name__ == "__main__":
    main(sys.argv[1:])
