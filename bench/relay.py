"""What relaying real RTP costs, what gets lost, and how much later it arrives."""

from __future__ import annotations

from collections.abc import Iterator

from bench.generator import Generator, Talked
from bench.report import RELAY_PERCENT, Budget, Figure
from bench.settings import Settings
from bench.subject import Subject, connect_document

_SETTLE = 2.0
_BEHIND = 10.0
"""Milliseconds of lateness of the load itself from which on its figures say little."""


def relay(settings: Settings) -> Iterator[Figure]:
    """Calls set up by SIP through the server, then 50 packets a second each way on all of them."""
    straight = _straight(settings)
    print(f"  without a server: {_delays(straight)}")
    for calls, codec in settings.relayed:
        yield from _relay(settings, calls, codec, straight)


def _straight(settings: Settings) -> Talked:
    with Generator(100, core=settings.cores.load, priority=settings.priority) as load:
        load.begin_talking(settings.relay_seconds / 2, directly=True)
        return load.talked()


def _relay(settings: Settings, calls: int, codec: str, straight: Talked) -> Iterator[Figure]:
    cores, priority, seconds = settings.cores, settings.priority, settings.relay_seconds
    name = f"{calls} calls PCMU-{codec}"
    with (
        Generator(calls, callee_codec=codec, core=cores.load, priority=priority) as load,
        Subject(connect_document(load.callee_port), core=cores.server, priority=priority) as server,
    ):
        placed = load.place(server.port, rate=50)
        load.begin_talking(_SETTLE)
        load.talked()
        before = server.cost()
        load.begin_talking(seconds)
        talked = load.talked()
        used = server.cost().since(before)
        load.end()
        said = server.log()
    workers, control = used.workers, used.control
    print(
        f"  {name}: workers {workers.total / seconds * 100:.1f} % of a core (user "
        f"{workers.user / seconds * 100:.1f}, system {workers.system / seconds * 100:.1f}), control "
        f"{control.total / seconds * 100:.1f} %"
    )
    print(f"    {talked.sent} packets, {talked.sent - talked.received} lost; {_delays(talked)}")
    if said:
        print(f"  the server says:\n{said[-1500:]}")
    note = _doubt(placed.answered, placed.asked, placed.refused, talked)
    limit = Budget(RELAY_PERCENT.limit * calls / 100)
    yield Figure(f"{name}, of a core", used.total / seconds * 100, "%", limit, note)
    yield Figure(f"{name}, lost", talked.loss * 100, "%")
    yield Figure(f"{name}, delay added, p50", talked.p50_ms - straight.p50_ms, "ms")
    yield Figure(f"{name}, delay added, p99", talked.p99_ms - straight.p99_ms, "ms")


def _delays(talked: Talked) -> str:
    return (
        f"delay p50 {talked.p50_ms:.2f} ms, p99 {talked.p99_ms:.2f} ms, p99.9 {talked.p999_ms:.2f} ms "
        f"(load: {talked.cpu_share * 100:.0f} % of a core, late by {talked.late_ms:.1f} ms at p99)"
    )


def _doubt(answered: int, asked: int, refused: str, talked: Talked) -> str:
    if answered < asked:
        return f"only {answered} of {asked} calls were answered ({refused or 'no reply'})"
    if talked.foreign:
        return f"{talked.foreign} packets could not be read"
    return f"the load was late by {talked.late_ms:.0f} ms" if talked.late_ms > _BEHIND else ""
