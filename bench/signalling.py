"""What a connected call costs without its packets: CPU time, calls a second, time to set it up."""

from __future__ import annotations

from collections.abc import Iterator

from bench.callbacks import Receiver
from bench.generator import Generator
from bench.report import CALL_MS, SETUP_P50_MS, SETUP_P99_MS, Figure
from bench.settings import Settings
from bench.sipp_load import Callee, LoadResult, place_calls, quantile
from bench.subject import Cost, Subject, connect_document

WARM_RATE, WARM_SECONDS = 50, 3.0
_REST_A_RUNG = 4
"""How many times its own length a load may take to come to rest (callbacks go on after it)."""


def cost(settings: Settings) -> Iterator[Figure]:
    """CPU time of INVITE, 180, 200, ACK, one second of talk, BYE: first without callbacks, then with."""
    cores, priority = settings.cores, settings.priority
    with Callee(core=cores.load, priority=priority) as callee:
        yield from _cost(settings, callee, None)
        with Receiver(core=cores.load, priority=priority) as receiver:
            yield from _cost(settings, callee, receiver)


def _cost(settings: Settings, callee: Callee, receiver: Receiver | None) -> Iterator[Figure]:
    document = connect_document(callee.port, receiver.url if receiver else None)
    what = "events stored" if receiver is None else "callbacks stored and delivered"
    with Subject(document, core=settings.cores.server, priority=settings.priority) as server:
        place(settings, callee, server, WARM_RATE, WARM_SECONDS)
        received = receiver.count() if receiver else 0
        load, used = place(settings, callee, server, settings.cost_rate, settings.cost_seconds)
        received = receiver.count() - received if receiver else 0
        print(f"  {what}: {load.asked} calls at {settings.cost_rate}/s, {outcome(load)}")
        print(f"    {shares(used, load.asked)}")
        if receiver:
            print(f"    {received / load.asked:.2f} callbacks a call")
        complain(server)
        yield Figure(f"CPU a call, {what}", used.total / load.asked * 1000, "ms", CALL_MS, doubt(load))


def ladder(settings: Settings) -> Iterator[Figure]:
    """The highest rate without a failed call and without a SIP retransmission on either side."""
    cores, priority = settings.cores, settings.priority
    best, at_best = 0, 0.0
    with (
        Callee(core=cores.load, priority=priority) as callee,
        Subject(connect_document(callee.port), core=cores.server, priority=priority) as server,
    ):
        place(settings, callee, server, WARM_RATE, WARM_SECONDS)
        for rate in settings.rates:
            load, used = place(settings, callee, server, rate, settings.rung_seconds)
            a_call = used.total / load.asked * 1000
            print(f"  {rate:4d}/s: {outcome(load)}; {a_call:.2f} ms a call, {shares(used, load.asked)}")
            if not load.is_clean:
                break
            best, at_best = rate, a_call
        complain(server)
    limit = " (the end of the ladder)" if best == settings.rates[-1] else ""
    yield Figure("clean calls a second", best, "calls/s", note=f"{at_best:.2f} ms a call there{limit}")


def setup_time(settings: Settings) -> Iterator[Figure]:
    """INVITE to 200 at the caller, through the server and straight to the callee."""
    cores, priority = settings.cores, settings.priority
    with Generator(settings.setup_calls, core=cores.load, priority=priority) as load:
        direct = load.place(load.callee_port, rate=50).setup_ms
        load.end()
        with Subject(connect_document(load.callee_port), core=cores.server, priority=priority) as server:
            load.place(server.port, rate=50, count=min(50, settings.setup_calls))
            load.end()
            placed = load.place(server.port, rate=50)
            load.end()
            complain(server)
    through = placed.setup_ms
    print(f"  {placed.answered} of {placed.asked} calls answered at 50/s {placed.refused}")
    print(f"  through the server p50 {quantile(through, 0.5):.2f} ms, p99 {quantile(through, 0.99):.2f} ms")
    print(f"  straight           p50 {quantile(direct, 0.5):.2f} ms, p99 {quantile(direct, 0.99):.2f} ms")
    for name, share, budget in (("p50", 0.5, SETUP_P50_MS), ("p99", 0.99, SETUP_P99_MS)):
        added = quantile(through, share) - quantile(direct, share)
        yield Figure(f"set-up time added, {name}", added, "ms", budget)


def confirm(settings: Settings) -> Iterator[Figure]:
    """CPU time of a call whose callee hears a short confirm script before it is bridged."""
    cores, priority = settings.cores, settings.priority
    steps = ("confirm:", "  - play: 'silence:0.1'")
    with (
        Callee(core=cores.load, priority=priority) as callee,
        Subject(connect_document(callee.port, more=steps), core=cores.server, priority=priority) as server,
    ):
        place(settings, callee, server, WARM_RATE, WARM_SECONDS)
        load, used = place(settings, callee, server, settings.cost_rate, settings.cost_seconds)
        print(f"  {load.asked} calls at {settings.cost_rate}/s, {outcome(load)}")
        print(f"    {shares(used, load.asked)}")
        complain(server)
    yield Figure("CPU a call with confirm", used.total / load.asked * 1000, "ms", None, doubt(load))


def place(
    settings: Settings, callee: Callee, server: Subject, rate: int, seconds: float
) -> tuple[LoadResult, Cost]:
    """Calls, and what they cost until the server is at rest again."""
    before = server.cost()
    load = place_calls(
        callee, server.port, rate=rate, seconds=seconds, core=settings.cores.load, priority=settings.priority
    )
    server.wait_until_idle(seconds * _REST_A_RUNG)
    return load, server.cost().since(before)


def shares(used: Cost, calls: int) -> str:
    """Of the processes, a call."""
    control, workers = used.control, used.workers
    return (
        f"control {control.total / calls * 1000:.2f} ms (user {control.user / calls * 1000:.2f}, "
        f"system {control.system / calls * 1000:.2f}), workers {workers.total / calls * 1000:.2f} ms"
    )


def outcome(load: LoadResult) -> str:
    """What SIPp counted."""
    return f"{load.failed} failed, {load.retransmissions} retransmissions"


def doubt(load: LoadResult) -> str:
    """A note for the table; "" if all is well."""
    return "" if load.is_clean else f"not clean: {outcome(load)}"


def complain(server: Subject) -> None:
    """Show what the server has warned of."""
    if said := server.log():
        print(f"  the server says:\n{said[-1500:]}")
