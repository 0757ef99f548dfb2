"""RELAY with many clients: what each keeps in memory, and how many events a second reach them in order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from bench.relay_load import Delivered, RelayLoad
from bench.relay_producer import SECTIONS, Producer
from bench.report import EVENTS_A_SECOND, Figure
from bench.settings import Settings
from bench.subject import Subject

_WARM_CLIENTS = 20
"""What the first clients bring with them is no cost of a client."""
_REST = 2.0
"""Seconds in which the last answers and proofs arrive."""
_BEHIND = 1.05
"""A server that needs so much longer than planned does not make the rate."""


def clients(settings: Settings) -> Iterator[Figure]:
    """Memory and CPU of clients that are only there, then events to all of them."""
    yield from _idle(settings)
    for acks in (True, False):
        yield from _events(settings, acks=acks)


def _idle(settings: Settings) -> Iterator[Figure]:
    cores, many = settings.cores, settings.clients
    with (
        RelayLoad(core=cores.load, priority=settings.priority) as load,
        Subject(sections=SECTIONS, core=cores.server, priority=settings.priority) as server,
    ):
        load.connect(server.http_port, _WARM_CLIENTS)
        time.sleep(1.0)
        rest, started = server.resident_kib()[0], server.cost().control
        load.connect(server.http_port, many)
        time.sleep(_REST)
        grown, connected = server.resident_kib()[0] - rest, server.cost().control
        time.sleep(settings.idle_seconds)
        idle = server.cost().control.since(connected).total / settings.idle_seconds
        said = server.log()
    a_client = connected.since(started).total / many * 1000
    print(
        f"  {many} clients: control process {rest} KiB + {grown} KiB; {a_client:.2f} ms of CPU to connect one"
    )
    if said:
        print(f"  the server says:\n{said[-1500:]}")
    yield Figure("memory a RELAY client", grown / many, "KiB")
    yield Figure(f"{many} RELAY clients that are only there", idle * 100, "%", note="of a core")


def _events(settings: Settings, *, acks: bool) -> Iterator[Figure]:
    how = "answered" if acks else "proven by pings"
    best = 0
    with (
        RelayLoad(core=settings.cores.load, priority=settings.priority) as load,
        Producer(core=settings.cores.server, priority=settings.priority) as server,
    ):
        names = load.connect(server.http_port, settings.clients, acks=acks)
        for rate in settings.event_rates:
            for stored in (False, True):
                rung = _rung(settings, load, server, names, rate, stored)
                kept = "stored" if stored else "not stored"
                name = f"RELAY events {how}, {kept}: core use at {rate}/s"
                yield Figure(name, rung.share * 100, "%", note=_delays(rung.told))
                if stored and rung.is_clean:
                    best = rate
    yield Figure(f"RELAY events in order, {how}", best, "events/s", EVENTS_A_SECOND)


class _Rung(NamedTuple):
    """One rate."""

    told: Delivered
    share: float
    """Of a core."""
    is_clean: bool
    """All came, in order, and the server was not behind."""


def _rung(
    settings: Settings, load: RelayLoad, server: Producer, names: list[str], rate: int, stored: bool
) -> _Rung:
    seconds = settings.event_seconds
    wanted = int(rate * seconds)
    before, began = server.cpu(), time.monotonic()
    load.begin_counting(wanted)
    produced = server.produce(names, rate, seconds, stored=stored)
    told = load.counted(seconds * 5 + 60)
    took = time.monotonic() - began
    time.sleep(_REST)
    used = server.cpu().since(before)
    print(
        f"  {rate}/s {'stored' if stored else 'not stored'}: {told.events} of {wanted} events, "
        f"{told.out_of_order} out of order, {told.cut} clients cut; produced in {produced.seconds:.2f} s"
    )
    print(
        f"    {used.total / wanted * 1e6:.0f} us of CPU an event (user {used.user / wanted * 1e6:.0f}, "
        f"system {used.system / wanted * 1e6:.0f}); load {told.cpu_seconds / took * 100:.0f} % of its core"
    )
    is_whole = told.events == wanted and told.out_of_order == 0 and told.cut == 0
    return _Rung(told, used.total / seconds, is_whole and produced.seconds < seconds * _BEHIND)


def _delays(told: Delivered) -> str:
    return f"p50 {told.p50_ms:.1f} ms, p99 {told.p99_ms:.1f} ms, slowest {told.slowest_ms:.0f} ms"
